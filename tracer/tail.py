"""Generates the tail of a capture: a readable Python function that rebuilds the result from the graph's outputs and the sources,
repeats the effects in order and, at a graph break, hands the frames to `resume`.

``tail(args, outputs)``: `args` are the bound parameters, `outputs` the graph's. All sources are loaded before any effect.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..eager.tensor import Tensor
from ..ir.graph import Output
from . import late_text
from .bytecode import NULL
from .classes import by_python, native_base
from .effects import Call, CastingSet, Effect, Evaluate, GradModeSet, Method, SetAttr, SetCell, SetItem
from .frame import Frame
from .generated import define
from .liveness import GONE, Gone, dead
from .ratios import SizeFloat
from .resume import SHIFT, origin
from .session import Session
from .symbols import SizeInt
from .tail_values import Cycle, ValueWriter
from .turns import check
from .values import Lazy, SymFloat, SymInt

Tail = Callable[[Sequence[Any], Sequence[Any]], Any]


class End(NamedTuple):
    """How a tail ends: its effects, one line each, and the expression of its result; or, with a `turn` (the name of the list of
    `Turn`s, and the text that makes them), of the packed frame, whose driver waits where the frame is a resume function's."""

    effects: list[str]
    result: str
    turn: tuple[str, str] | None = None
    resumed: bool = False


class TailWriter(ValueWriter):
    """Writes one tail: the values of `ValueWriter`, the effects in order, and how it ends."""

    def replay(self, effects: list[Any]) -> list[str]:
        """The lines of the effects, in order, to which those are added that need what they give."""
        for late, _ in self.session.effects.doubtful:
            self.text(late)
        for e in effects:
            if isinstance(e, Call):
                late_text.call(self, e)
            elif isinstance(e, Evaluate):
                late_text.evaluate(self, e)
            else:
                line = self.effect(e)
                self.effect_line(line)
        return self.stream

    def effect(self, e: Effect) -> str:
        """One line of Python."""
        if isinstance(e, SetAttr):
            if isinstance(e.target, type) and e.value is NULL:
                return f"delattr({self.text(e.target)}, {e.name!r})"
            if isinstance(e.target, Tensor) and e.name == "grad":
                return f"{self.text(e.target)}._grad = {self.text(e.value)}"
            if isinstance(e.target, (Tensor, type)):
                return f"{self.text(e.target)}.{e.name} = {self.text(e.value)}"
            if e.value is NULL:
                return f"drop({self.text(e.target)}, {e.name!r})"
            return f"put({self.text(e.target)}, {e.name!r}, {self.text(e.value)})"
        if isinstance(e, SetItem):
            target = self.const(e.target, "globals_") if self._is_module_namespace(e.target) else self.text(e.target)
            key = self.text(e.key) if not isinstance(e.key, slice) else self.const(e.key, "window")
            if by_python(type(e.target)):  # its own methods have run already
                way, rest = ("__delitem__", "") if e.value is NULL else ("__setitem__", f", {self.text(e.value)}")
                return f"{self.literal(native_base(type(e.target)))}.{way}({target}, {key}{rest})"
            return f"del {target}[{key}]" if e.value is NULL else f"{target}[{key}] = {self.text(e.value)}"
        if isinstance(e, SetCell):
            cell = self.text(e.target)
            return f"del {cell}.cell_contents" if e.value is NULL else f"{cell}.cell_contents = {self.text(e.value)}"
        if isinstance(e, GradModeSet):
            return f"set_grad({e.enabled})"
        if isinstance(e, CastingSet):
            return f"set_casting({e.mode})"
        assert isinstance(e, Method)
        if by_python(type(e.target)):
            base = self.literal(native_base(type(e.target)))
            return f"{base}.{e.name}({', '.join([self.text(e.target), *map(self.text, e.args)])})"
        return f"{self.text(e.target)}.{e.name}({self.items(e.args)})"

    def turn(self, frames: Sequence[Frame], offsets: Sequence[int], effects: list[Any], continuations: Any) -> End:
        """The end at a graph break: the outermost frame packed; on top of its stack stands what runs those that it called."""
        done, turns, callee = self.replay(effects), self.const([], "turns"), ""
        made: list[str] = []
        for k in reversed(range(len(frames))):
            packed, turn = self._packed(frames[k], offsets[k], callee, continuations)
            made.insert(0, turn)
            callee = f"partial(go_in, [{packed}], {turns}[{k}])"
        return End(done, packed, turn=(turns, f"({', '.join(made)},)"), resumed=origin(frames[0].code) is not None)

    def _packed(self, frame: Frame, offset: int, callee: str, continuations: Any) -> tuple[str, str]:
        """A frame's values, slots in order, then the stack from its top, and the text of its `Turn`."""
        source = origin(frame.code)
        slots, code = (frame.slots, frame.code) if source is None else (frame.slots[source.hidden :], source.code)
        offset -= 0 if source is None else SHIFT
        check(code, offset, len(slots), None if callee else len(frame.stack))
        slots = self.kept(code, offset, slots)
        nulls = tuple([k for k, x in enumerate([*slots, *frame.stack]) if x is NULL])
        texts = [self.text(x) for x in slots] + ([callee] if callee else []) + [self.text(x) for x in reversed(frame.stack)]
        where = f"{self.const(continuations, 'continuations')}, {self.const(frame.function, code.co_name)}"
        depth = len(frame.stack) + bool(callee)
        return f"({''.join([f'{x}, ' for x in texts])})", f"Turn({where}, {offset}, {depth}, {nulls}, {bool(callee)})"

    def kept(self, code: types.CodeType, offset: int, slots: list[Any]) -> list[Any]:
        """`slots` of user code before `offset`, without what nobody reads again and nobody misses: numbers, texts, Tensors, and
        that a variable is unbound, so that a loop's first turn looks like the others."""
        unread = dead(code, offset)
        return [GONE if k in unread and _is_plain(x) else x for k, x in enumerate(slots)]

    def _is_module_namespace(self, target: Any) -> bool:
        return self.session.outside.source_of(target) is None and isinstance(target, dict) and "__name__" in target

    def finish(self, end: End) -> Tail:
        """The compiled function."""
        behind = self._behind(end.effects)
        lines = [*self._with_places([*self.loads, *self._guarded()], end.effects), *behind]
        made = [f"v{i}" for i in range(self.count)] + list(self.sources.values())
        if end.turn is not None:
            lines = self._turning(lines, end, made)
        else:
            lines.append(f"return {end.result}")
        return self._compiled(lines)

    def _guarded(self) -> list[str]:
        """What is made before the first effect: where that may raise, CPython does the whole call instead."""
        if not self.session.effects.doubtful:
            return self.builds
        inner = [f"    {line}" for line in self.builds]
        given = f"args[:{self.session.parameters}]" if self.session.drawn.slots else "args"
        return ["again = False", "try:", *inner, "except Exception:", "    again = True", _AGAIN, f"    return plain({given})"]

    def _with_places(self, lines: list[str], effects: list[str]) -> list[str]:
        """`lines`, then the effects; what one of them raises is raised on the user's line."""
        if not self.places:
            return [*lines, *effects]
        first = len(lines) + 3  # "def" and "try" stand before
        known = self.const({first + i: place for i, place in self.places.items()}, "places")
        inner = [f"    {line}" for line in effects]
        return [*lines, "try:", *inner, "except BaseException:", f"    put_place({known})", "    raise"]

    def _turning(self, lines: list[str], end: End, made: list[str]) -> list[str]:
        """`lines`, the place of the break (made at the first call), and what goes on from there."""
        assert end.turn is not None
        turns, texts = end.turn
        lines += [f"if not {turns}:", f"    {turns}.extend({texts})"]
        if end.resumed:
            return [*lines, f"return {end.result}, {turns}[0]"]
        lines += [f"frame = [{end.result}]", *([f"del {', '.join(made)}"] if made else [])]  # what the frame drops must die there
        lines += ["try:", f"    return go_on(frame, {turns}[0])"]
        return [*lines, "except BaseException:", "    hide_tail()", "    raise"]  # the traceback holds the user's frames only

    def _compiled(self, lines: list[str]) -> Tail:
        text = "def tail(args, outputs):\n" + "".join(f"    {line}\n" for line in lines)
        tail: Tail = define("tail", text, self.names, self.held)
        return tail


def _is_plain(x: Any) -> bool:
    """Whether nothing happens when `x` goes away."""
    return type(x.value if type(x) is Lazy else x) in _PLAIN or x is NULL


_AGAIN = "if again:  # nothing has happened yet: CPython does it all"
_PLAIN = {type(None), bool, int, float, str, SymInt, SymFloat, SizeInt, SizeFloat, Tensor, Gone}


def write(session: Session, make: Callable[[TailWriter], End]) -> tuple[Tail, list[Output], list[Any]]:
    """Run `make` on a fresh writer, again while it finds objects that hold themselves, or memory under several outputs.

    The tail, the graph outputs, their Tensors."""
    split: set[int] = set()
    while True:
        writer = TailWriter(session, split)
        known = len(split)
        try:
            tail = writer.finish(make(writer))
        except Cycle:
            if len(split) == known:
                raise RecursionError("a value of the region holds itself through a tuple or set") from None
            continue
        return tail, writer.outputs, writer.tensors
