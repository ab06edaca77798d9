"""Defects to plant into the tracer, one at a time: the generated Python programs must find each. Each undoes itself.

None may make the interpreter crash: what is wrong are values, orders, guards and ways, never the shape of a stack.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fusewire.runtime import guard
from fusewire.runtime.source import Item
from fusewire.tracer import binding, capture, effects, frame, guards, operators, session, tail, tail_helpers
from fusewire.tracer.bytecode import NULL, Step
from fusewire.tracer.values import SymInt

Plant = Callable[[], Any]
FAULTS: dict[str, Plant] = {}
NEEDS: dict[str, str] = {
    "displays_are_reversed": r"\{'[kp]': ",
    "contexts_are_dropped": "__context__",
    "causes_are_dropped": "__cause__",
    "keyword_defaults_are_forgotten": r"key=.*\*\*more\)",
    "managers_swallow_nothing": "'swallow'",
    "class_attributes_are_not_guarded": r"# before call.*(Base|Manager)\.",
    "objects_are_equal_to_themselves_alone": r"\((obj|base|child|v\d+) == (obj|base|child|v\d+)\)",
    "keys_are_not_guarded": "# before call.*(TABLE|GROUPS)|TABLE",
    "at_most_is_less": " <= ",
    "texts_are_not_guarded": "# before call.*WORD",
    "zero_is_none": "is not None:",
}
"""What a program must hold for a fault to matter: a pattern in its text. Others are not run with it."""


def fault(plant: Plant) -> Plant:
    """Enter a planter under its own name."""
    FAULTS[plant.__name__] = plant
    return plant


@contextmanager
def put(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` (or the item of a dict) is `value` for a while."""
    before = owner[name] if isinstance(owner, dict) else vars(owner)[name]
    set_it = owner.__setitem__ if isinstance(owner, dict) else lambda n, v: setattr(owner, n, v)
    set_it(name, value)
    try:
        yield
    finally:
        set_it(name, before)


def handler(op: str, change: Callable[[Callable[..., Any], Any, Any], Any]) -> Any:
    """The handler of `op` becomes ``change(true handler, frame, step)``."""
    before = frame.HANDLERS[op]
    return put(frame.HANDLERS, op, lambda f, step: change(before, f, step))


def with_arg(step: Step, arg: Any) -> Step:
    """The same step with another argument."""
    return Step(step.op, arg, step.instr, step.begins, step.target, step.backward)


def no_guard(kind: type, wanted: Callable[[Any], bool] = lambda g: True) -> Any:
    """Guards of a kind are forgotten."""
    before = guards.Outside.guard

    def admit(self: Any, g: Any) -> None:
        if not (type(g) is kind and wanted(g)):
            before(self, g)

    return put(guards.Outside, "guard", admit)


# -- guards ----------------------------------------------------------------------------------------------------------------


@fault
def numbers_are_not_guarded() -> Any:
    return no_guard(guard.Equals, lambda g: type(g.value) is int)


@fault
def texts_are_not_guarded() -> Any:
    return no_guard(guard.Equals, lambda g: type(g.value) is str)


@fault
def lengths_are_not_guarded() -> Any:
    return no_guard(guard.LengthIs)


@fault
def keys_are_not_guarded() -> Any:
    return no_guard(guard.KeysAre)


@fault
def class_attributes_are_not_guarded() -> Any:
    return no_guard(guard.ClassAttrIs)


@fault
def items_are_not_guarded() -> Any:
    return no_guard(guard.Equals, lambda g: isinstance(g.source, Item))


# -- handlers --------------------------------------------------------------------------------------------------------------


@fault
def at_most_is_less() -> Any:
    return handler("COMPARE_OP", lambda true, f, step: true(f, with_arg(step, "<") if step.arg == "<=" else step))


@fault
def zero_is_none() -> Any:
    def jump(true: Any, f: Any, step: Any) -> Any:
        return true(f, step) if f.stack[-1] != 0 or type(f.stack[-1]) is not int else (f.stack.pop(), step.target)[1]

    return handler("POP_JUMP_IF_NONE", jump)


@fault
def in_place_makes_a_new_list() -> Any:
    def add(true: Any, f: Any, step: Any) -> Any:
        return true(f, with_arg(step, "+") if step.arg == "+=" and type(f.stack[-2]) is type(f.stack[-1]) is list else step)

    return handler("BINARY_OP", add)


@fault
def not_in_is_in() -> Any:
    return handler("CONTAINS_OP", lambda true, f, step: true(f, with_arg(step, 0)))


@fault
def displays_are_reversed() -> Any:
    def build(true: Any, f: Any, step: Any) -> Any:
        n = 2 * step.arg
        f.stack[len(f.stack) - n :] = [x for i in range(n - 2, -2, -2) for x in f.stack[len(f.stack) - n + i :][:2]]
        return true(f, step)

    return handler("BUILD_MAP", build)


@fault
def only_the_first_class_is_caught() -> Any:
    def match(true: Any, f: Any, step: Any) -> Any:
        f.stack[-1] = f.stack[-1][0] if isinstance(f.stack[-1], tuple) and f.stack[-1] else f.stack[-1]
        return true(f, step)

    return handler("CHECK_EXC_MATCH", match)


@fault
def managers_swallow_nothing() -> Any:
    def leave(true: Any, f: Any, step: Any) -> None:
        true(f, step)
        f.stack[-1] = False

    return handler("WITH_EXCEPT_START", leave)


@fault
def causes_are_dropped() -> Any:
    def throw(true: Any, f: Any, step: Any) -> Any:
        if step.arg == 2:
            f.stack[-1] = None
        return true(f, step)

    return handler("RAISE_VARARGS", throw)


@fault
def contexts_are_dropped() -> Any:
    return put(session.Session, "in_context", lambda self, exc: None)


@fault
def cells_are_stale() -> Any:
    def load(true: Any, f: Any, step: Any) -> Any:
        true(f, step)
        known = vars(f.session).setdefault("planted", {})
        f.stack[-1] = known.setdefault(id(f.load_slot(step.arg)), f.stack[-1])

    return handler("LOAD_DEREF", load)


@fault
def deleted_names_live_on() -> Any:
    return handler("DELETE_FAST", lambda true, f, step: None)


@fault
def keyword_defaults_are_forgotten() -> Any:
    def attribute(true: Any, f: Any, step: Any) -> Any:
        if step.arg == "kwdefaults":
            f.stack[-2] = dict.fromkeys(f.stack[-2], 1)
        return true(f, step)

    def flags(true: Any, f: Any, step: Any) -> Any:
        true(f, step)
        made = f.stack[-1]
        if made.__kwdefaults__:
            made.__kwdefaults__ = dict.fromkeys(made.__kwdefaults__, 1)

    known = "SET_FUNCTION_ATTRIBUTE" in frame.HANDLERS
    return handler("SET_FUNCTION_ATTRIBUTE", attribute) if known else handler("MAKE_FUNCTION", flags)


@fault
def star_arguments_are_reversed() -> Any:
    before = binding.bind

    def bind(s: Any, function: Any, args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
        slots = before(s, function, args, kwargs)
        return [x[::-1] if type(x) is tuple and i >= function.__code__.co_argcount else x for i, x in enumerate(slots)]

    return put(vars(session), "bind", bind)


@fault
def loops_end_early() -> Any:
    def loop(true: Any, f: Any, step: Any) -> Any:
        it = f.stack[-1]
        if f.session.outside.source_of(it) is None and isinstance(it, type(iter([]))) and operator.length_hint(it) == 1:
            f.stack.pop()
            return step.target
        return true(f, step)

    return handler("FOR_ITER", loop)


@fault
def specs_are_forgotten() -> Any:
    def text(true: Any, f: Any, step: Any) -> Any:
        if step.arg:
            f.stack[-1] = ""
        return true(f, step)

    return handler("FORMAT", text)


@fault
def rests_are_tuples_of_the_end() -> Any:
    def unpack(true: Any, f: Any, step: Any) -> Any:
        true(f, step)
        rest = f.stack[-1 - step.arg[0]]
        rest.reverse()

    return handler("UNPACK_EX", unpack)


@fault
def walks_are_not_counted() -> Any:
    """Arithmetic on numbers from outside becomes the number of the first call."""
    def add(true: Any, f: Any, step: Any) -> Any:
        true(f, step)
        if type(f.stack[-1]) is SymInt:
            f.stack[-1] = f.stack[-1].raw

    return handler("BINARY_OP", add)


# -- effects, tail -----------------------------------------------------------------------------------------------------------


@fault
def stores_to_attributes_are_lost() -> Any:
    def store(self: Any, target: Any, name: str, value: Any) -> None:
        self.attrs[id(target), name] = value

    return put(effects.Effects, "set_attr", store)


@fault
def stores_to_cells_are_lost() -> Any:
    def store(self: Any, cell: Any, value: Any) -> None:
        self.cells[id(cell)] = value

    return put(effects.Effects, "set_cell", store)


@fault
def stores_to_globals_are_lost() -> Any:
    def store(self: Any, namespace: dict[str, Any], name: str, value: Any) -> None:
        self.globals[id(namespace), name] = value

    return put(effects.Effects, "set_global", store)


@fault
def methods_are_replayed_twice() -> Any:
    before = effects.Effects.container

    def twice(self: Any, target: Any, name: str, args: tuple[Any, ...]) -> None:
        before(self, target, name, args)
        if name == "append":
            before(self, target, name, args)

    return put(effects.Effects, "container", twice)


@fault
def effects_are_reversed() -> Any:
    before = tail.TailWriter.finish

    def finish(self: Any, end: Any) -> Any:
        if not self.places and not any(line.startswith(" ") for line in end.effects):
            end.effects.reverse()
        return before(self, end)

    return put(tail.TailWriter, "finish", finish)


@fault
def deletions_are_lost() -> Any:
    before = effects.Effects.item

    def item(self: Any, target: Any, key: Any, value: Any) -> None:
        if value is not NULL:
            before(self, target, key, value)

    return put(effects.Effects, "item", item)


@fault
def iterators_begin_anew() -> Any:
    return put(tail_helpers.HELPERS, "iterator", lambda over, state: iter(over))


@fault
def sameness_is_not_guarded() -> Any:
    return no_guard(guard.SameObject)


@fault
def objects_are_equal_to_themselves_alone() -> Any:
    before = operators.Operators.compare

    def compare(self: Any, symbol: str, a: Any, b: Any) -> Any:
        if symbol == "==" and type(a) is type(b) and hasattr(a, "__dict__") and not isinstance(a, type):
            return a is b
        return before(self, symbol, a, b)

    return put(operators.Operators, "compare", compare)


@fault
def globals_are_read_once() -> Any:
    """A read of a global behind a store to it finds what was there before the call."""
    before = frame.HANDLERS["LOAD_GLOBAL"]

    def load(f: Any, step: Any) -> Any:
        kept = f.session.effects.globals
        f.session.effects.globals = {}
        try:
            return before(f, step)
        finally:
            f.session.effects.globals = kept

    return put(frame.HANDLERS, "LOAD_GLOBAL", load)


assert capture.capture  # whose import registers the handlers
