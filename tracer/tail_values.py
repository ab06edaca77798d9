"""How the tail makes values again: one expression or a few lines of Python for each object that the caller may see.

Lines that need what an effect gives stand among the effects (`stream`), all others before them (`builds`).
"""

from __future__ import annotations

import builtins
import collections
import enum
import functools
import itertools
import keyword
import math
import operator
import re
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ..eager.device import Device
from ..eager.tensor import Tensor
from ..ir.dtypes import DType
from ..ir.graph import Output
from ..ir.op import Effects, Op
from ..ir.types import TensorType
from ..runtime import arithmetic
from ..runtime.source import Arg, Attr, Cell, Const, InstanceDict, Item, Length, Listed, Next, Source
from . import late_text
from .attributes import Namespace
from .breaks import describe
from .bytecode import NULL
from .class_statements import made_of
from .classes import by_python, native_base
from .families import told
from .generators import Generator
from .late import LATE, Snapshot
from .late_ops import holds
from .liveness import GONE
from .operators import ITERATORS, VIEWS
from .parameters import parameters
from .ratios import SizeFloat
from .session import Session
from .symbols import SizeInt, has_size
from .tail_helpers import HELPERS
from .values import Apply, Lazy, Leaf, SymFloat, SymInt


class Cycle(Exception):
    """An object holds itself; build it empty and fill it later."""


#: what a tail calls its own arguments and locals, and the function itself (`variant.bind_plain`)
_OWN_NAMES = {"args", "outputs", "again", "frame", "plain", "tail"}


class ValueWriter:
    """Writes one tail. `outputs` are the graph outputs it found a need for."""

    def __init__(self, session: Session, split: set[int]) -> None:
        self.session = session
        self.outputs: list[Output] = []
        self.tensors: list[Any] = []
        self.output_of: dict[int, int] = {}  # id of a graph output -> its place among `tensors`
        self.storages: set[int] = set()  # ids of the memory of graph outputs
        self.names: dict[str, Any] = dict(HELPERS)
        self.named = {id(value): name for name, value in HELPERS.items()}
        self.held: set[str] = set()  # names of the user's own objects
        self.loads: list[str] = []
        self.builds: list[str] = []
        self.sources: dict[Source, str] = {}
        self.memo: dict[int, tuple[Any, str]] = {}
        self.pending: set[int] = set()
        self.split = split
        self.bases: dict[int, tuple[Any, str]] = {}
        self.making: dict[int, list[str]] = {}  # id of a class that is being made -> cells that wait for it
        self.count = 0
        self.stream: list[str] = []  # lines that run among the effects
        self.begun: dict[str, str] = {}  # locals that are iterators -> their lines
        self.waiting: set[str] = set()  # locals that only lines of the stream make
        self.places: dict[int, Any] = {}  # number of a line of the stream -> the user's lines
        self.depth = 0  # of `with` blocks

    # -- pieces ----------------------------------------------------------------------------------------------------

    def const(self, value: Any, hint: str = "c") -> str:
        """A name for an object that the tail holds."""
        known = self.named.get(id(value))
        if known is not None:
            return known
        word = "".join(ch if ch.isalnum() else "_" for ch in hint) or "c"
        name = (
            word
            if word.isidentifier() and word not in self.names and word not in _OWN_NAMES
            else f"{word}_{len(self.names)}"
        )
        taken = (
            name.startswith("__") or keyword.iskeyword(name) or (name[0] in "sv" and name[1:].isdigit()) or name in dir(builtins)
        )
        name = f"c_{len(self.names)}" if taken or not name.isidentifier() else name
        self.names[name] = value
        self.named[id(value)] = name
        return name

    def load(self, source: Source) -> str:
        """A local that holds what lies at `source` before any effect."""
        if isinstance(source, Const):
            self.held.add(name := self.const(source.value, source.name))
            return name
        if source not in self.sources:
            self.sources[source] = f"s{len(self.sources)}"
            text = self._load_text(source)
            self.loads.append(f"{self.sources[source]} = {text}  # {' '.join(source.expr().splitlines())}")
        return self.sources[source]

    def _load_text(self, source: Source) -> str:
        if isinstance(source, Arg):
            return f"args[{source.index}]"
        base = self.load(source.base)  # type: ignore[union-attr]
        if isinstance(source, InstanceDict):
            return f"vars({base})"
        if isinstance(source, Attr):
            return f"{base}.{source.name}"
        if isinstance(source, Cell):
            return f"{base}.cell_contents"
        if isinstance(source, Listed):
            return f"listed({base})"
        if isinstance(source, Next):
            return f"peek({base})"
        if isinstance(source, Length):
            return f"len({base})"
        assert isinstance(source, Item)
        return f"{base}[{self.literal(source.key)}]"

    def literal(self, x: Any) -> str:
        """A constant."""
        if x is None or type(x) in (bool, int) or (type(x) is str and len(x) < 60) or (type(x) is float and math.isfinite(x)):
            return repr(x)
        return self.const(x, getattr(x, "__name__", "c"))

    def number(self, expr: Any) -> str:
        """Arithmetic on numbers from outside."""
        if isinstance(expr, Leaf):
            return self.load(expr.source)
        if isinstance(expr, Apply):
            return arithmetic.text(expr.op, list(map(self.number, expr.args)))
        return self.literal(expr) if expr >= 0 else f"({self.literal(expr)})"

    def size(self, x: SizeInt) -> str:
        """A size, from the sizes of what comes from outside."""
        size = self.session.recorder.symbols.now(x.size)
        if isinstance(size, int):
            return self.literal(size)
        recorder = self.session.recorder
        if recorder.symbols.decided_by_data(size):
            return self.assign(f"{self.tensor(recorder.size_tensor(x))}.item()")
        return self.assign(self.session.outside.size_text(size, self.load))

    # -- values ----------------------------------------------------------------------------------------------------

    def text(self, x: Any) -> str:
        """An expression for `x` as the caller may see it."""
        if type(x) in _LATE:
            return late_text.text(self, x)
        if x is NULL or x is GONE:
            return self.const(x)
        if type(x) is Lazy:
            return self.load(x.source)
        if isinstance(x, SizeInt):
            return self.size(x)
        if isinstance(x, SizeFloat):
            return self.literal(x.pin())
        if isinstance(x, (SymFloat, SymInt)):
            return self.literal(x.raw) if x.sym.pinned else self.number(x.sym.expr)
        if isinstance(x, Tensor):
            return self.tensor(x)
        if type(x) is slice and (has_size((x.start, x.stop, x.step)) or holds([x.start, x.stop, x.step])):
            return f"{self.const(slice, 'slice')}({self.text(x.start)}, {self.text(x.stop)}, {self.text(x.step)})"
        source = self.session.outside.source_of(x)
        if source is not None:
            return self.load(source)
        if id(x) in self.session.fresh_classes:
            return self._fresh_class(x)
        if type(x) is property and any(id(part) in self.session.fresh_functions for part in (x.fget, x.fset, x.fdel)):
            return self._property(x)
        made_before = type(x) is types.FunctionType and id(x) not in self.session.fresh_functions
        if made_before and id(x) in self.session.made_at:  # by the library's transforms, of functions that hold traced values
            raise self.session.undo(x, f"{describe(x)}, which the region made")
        if isinstance(x, (type, *_IMMUTABLE)) or type(x) in _CONSTANT or made_before:
            return self.literal(x)
        known = self.memo.get(id(x))
        if known is not None:
            return known[1]
        if type(x) is types.FunctionType:
            self._class_first(x)
            if id(x) in self.memo:
                return self.memo[id(x)][1]
        if id(x) in self.pending:
            self.split.add(id(x))
            raise Cycle
        self.pending.add(id(x))
        name = self._build(x)
        self.pending.discard(id(x))
        self.memo[id(x)] = x, name
        return name

    def tensor(self, x: Any) -> str:
        """An input by its source, anything else as a graph output."""
        found = self.session.recorder.input_of(x)
        if found is not None:
            return self.load(found.source)
        known = self.memo.get(id(x))
        if known is not None:
            return known[1]
        if id(x) in self.output_of:
            return f"outputs[{self.output_of[id(x)]}]"
        if id(x._storage) in self.split:
            return self._view(x)
        if self.session.recorder.is_fresh(x) and id(x._storage) in self.storages:
            self.split.add(id(x._storage))  # both are views of one output
            raise Cycle
        return told(self, x, self._output(x) if self.session.recorder.histories.is_plain(x) else self._with_history(x))

    def _with_history(self, x: Any) -> str:
        """A Tensor that the region itself has made a leaf, whose history it has used up, or to which it gave a gradient."""
        recorder, kind = self.session.recorder, self.session.recorder.histories.kind(x)
        text = self._output(recorder.histories.plain(x) if kind else x)
        self.storages.add(id(x._storage))
        return self._with_gradient(x, self.assign(f"{kind}({text}, {recorder.histories.maker(x)!r})") if kind else text)

    def _with_gradient(self, x: Any, text: str) -> str:
        """`text` of a Tensor, which gets the gradient that the region gave it."""
        self.memo[id(x)] = x, text
        if x._grad is not None:
            self.line(f"{text}._grad = {self.text(x._grad)}")
        return text

    def _view(self, x: Any) -> str:
        """A Tensor that shares its fresh memory with another: the same views are taken of all of it again."""
        recorder = self.session.recorder
        base = self.bases.get(id(x._storage))
        if base is None:
            whole = recorder.whole(x)
            text = self._output(whole) if recorder.histories.is_plain(whole) else self._with_history(whole)
            base = self.bases[id(x._storage)] = whole, text
        text = base[1]
        tracked = x.meta.requires_grad and not self.session.outside.mode  # the mode that the tail runs in, effects come later
        self.builds += ["set_grad(True)"] if tracked else []
        for op, attrs in recorder.way_to(x):
            text = self.assign(f"{self.const(op, op.name)}({text}, **{self._attrs(attrs)})")
        self.builds += ["set_grad(False)"] if tracked else []
        if base[0].meta.requires_grad and not x.meta.requires_grad:
            text = self.assign(f"{text}.detach()")
        text = told(self, x, text)
        return self._with_gradient(x, self.assign(f"leaf({text}, None)") if recorder.histories.kind(x) == "leaf" else text)

    def _attrs(self, attrs: dict[str, Any]) -> str:
        """The attributes of an op: an object where all are constants."""
        if not any(has_size(v) for v in attrs.values()):
            return self.const(attrs, "attrs")
        return "{" + ", ".join([f"{k!r}: {self.text(v)}" for k, v in attrs.items()]) + "}"

    def _output(self, x: Any) -> str:
        """A new graph output."""
        self.output_of[id(x)] = len(self.tensors)
        self.storages.add(id(x._storage))
        self.tensors.append(x)
        self.outputs.append(self.session.recorder.output(x))
        return f"outputs[{len(self.tensors) - 1}]"

    def assign(self, text: str) -> str:
        """A new local."""
        name = self.fresh_name()
        if self.line(f"{name} = {text}"):
            self.waiting.add(name)
        return name

    def fresh_name(self) -> str:
        """A name for a new local."""
        self.count += 1
        return f"v{self.count - 1}"

    def line(self, text: str) -> bool:
        """Add a line: before all effects, or (True) among them, where it needs what one of them gives."""
        if self.waiting and not self.waiting.isdisjoint(_LOCALS.findall(text)):
            self.stream.append("    " * self.depth + text)
            return True
        self.builds.append(text)
        return False

    def effect_line(self, text: str, place: Any = None) -> None:
        """Add a line among the effects; `place`: the user's, where it may raise."""
        if place is not None:
            self.places[len(self.stream)] = place
        self.stream.append("    " * self.depth + text)

    def output_text(self, x: Any) -> str:
        """A traced Tensor that nobody else gets, as a graph output."""
        return self._output(x)

    def _build(self, x: Any) -> str:
        cls = type(x)
        if isinstance(x, BaseException) and id(x) in self.session.made_at:
            raise self.session.undo(x, f"{describe(x)}, which was raised and has a traceback")
        make = _BUILDERS.get(cls)
        if make is not None:
            return make(self, x)
        if isinstance(x, Generator):
            return self._generator(x)
        if isinstance(x, ITERATORS):
            return self._iterator(x)
        if isinstance(x, VIEWS[:3]):
            owner = self.session_owner(x)
            return self.assign(f"{self.text(owner)}.{cls.__name__.split('_')[-1]}()")
        if isinstance(x, (types.BuiltinFunctionType, types.MethodWrapperType)):
            owner = getattr(x, "__self__", None)
            if owner is None or isinstance(owner, types.ModuleType):
                return self.const(x, x.__name__)
            return self.assign(f"{self.text(owner)}.{x.__name__}")
        if by_python(cls):
            return self._instance(x, cls)
        if isinstance(x, BaseException):
            return self._instance(x, cls)
        raise self.session.undo(x, f"{describe(x)}, which the region made")

    def _generator(self, x: Generator) -> str:
        """A generator or coroutine that has not begun: its function is called, which runs nothing."""
        if type(x) is not Generator or x.frame.started or x.done:
            raise self.session.undo(x, "a generator that is not exhausted")
        x.handed = True
        function, slots = x.frame.function, [y for y in x.frame.slots if y is not NULL]
        return self.assign(f"call_bound({self.text(function)}, [{self.items(slots[: len(parameters(function.__code__))])}])")

    def session_owner(self, view: Any) -> Any:
        """The dict under a view."""
        import gc

        return next(o for o in gc.get_referents(view) if isinstance(o, dict))

    def items(self, x: Any) -> str:
        """Comma-separated expressions."""
        return ", ".join([self.text(y) for y in x])

    def _list(self, x: list[Any]) -> str:
        if id(x) in self.split:
            name = self._early(x, "[]")
            self.line(f"{name}.extend([{self.items(x)}])")
            return name
        return self.assign(f"[{self.items(x)}]")

    def _early(self, x: Any, text: str) -> str:
        """Name `x` before its content is there."""
        name = self.assign(text)
        self.memo[id(x)] = x, name
        return name

    def _dict(self, x: dict[Any, Any]) -> str:
        if id(x) in self.split:
            name = self._early(x, "{}")
            self.line(f"{name}.update({self._pairs(x)})")
            return name
        return self.assign(self._pairs(x))

    def _pairs(self, x: dict[Any, Any]) -> str:
        plain = collections.OrderedDict if isinstance(x, collections.OrderedDict) else dict  # each has an order of its own
        return "{" + ", ".join([f"{self.text(k)}: {self.text(v)}" for k, v in plain.items(x)]) + "}"

    def _tuple(self, x: tuple[Any, ...]) -> str:
        return self.assign(self._tuple_text(x)) if x else "()"

    def _tuple_text(self, x: tuple[Any, ...]) -> str:
        return f"({self.items(x)}{',' * (len(x) == 1)})"

    def _set(self, x: Any) -> str:
        return self.assign(f"{type(x).__name__}([{self.items(_order_of(x))}])")

    def _made_of(self, x: Any) -> str:
        """deque, OrderedDict, Counter, defaultdict."""
        cls = self.const(type(x), type(x).__name__)
        if isinstance(x, collections.deque):
            return self.assign(f"{cls}([{self.items(x)}], {self.text(x.maxlen)})")
        first = f"{self.text(x.default_factory)}, " if isinstance(x, collections.defaultdict) else ""
        return self.assign(f"{cls}({first}{self._pairs(x)})")

    def _simple_namespace(self, x: Any) -> str:
        name = self._early(x, "SimpleNamespace()")
        self.line(f"vars({name}).update({self._pairs(vars(x))})")
        return name

    def _method(self, x: types.MethodType) -> str:
        if isinstance(x.__self__, (Generator, Namespace)):  # a stand-in's: that of the real object
            return self.assign(f"{self.text(x.__self__)}.{x.__func__.__name__}")
        return self.assign(f"MethodType({self.text(x.__func__)}, {self.text(x.__self__)})")

    def _partial(self, x: Any) -> str:
        return self.assign(f"partial({self.text(x.func)}, *{self._tuple_text(x.args)}, **{self._pairs(x.keywords)})")

    def _cell(self, x: types.CellType) -> str:
        name = self._early(x, "CellType()")
        content = _content(x)
        if content is NULL:
            return name
        if id(content) in self.making:  # a method's own class, which is being made
            self.making[id(content)].append(name)
            return name
        self.line(f"{name}.cell_contents = {self.text(content)}")
        return name

    def _function(self, x: types.FunctionType) -> str:
        cells = self._tuple_text(x.__closure__) if x.__closure__ else "None"
        code, names = self.const(x.__code__, "code"), self.const(x.__globals__, "globals_")
        name = self._early(x, f"FunctionType({code}, {names}, {x.__name__!r}, {self.text(x.__defaults__)}, {cells})")
        for part in ("__kwdefaults__", "__annotations__", "__dict__"):
            if getattr(x, part):
                self.line(f"{name}.{part} = {self.text(getattr(x, part))}")
        bare = types.FunctionType(x.__code__, x.__globals__, None, None, x.__closure__)
        for part in ("__doc__", "__module__"):
            if getattr(x, part) != getattr(bare, part):
                self.line(f"{name}.{part} = {self.text(getattr(x, part))}")
        self.line(f"{name}.__qualname__ = {x.__qualname__!r}")
        return name

    def _property(self, x: property) -> str:
        known = self.memo.get(id(x))
        if known is not None:
            return known[1]
        name = self.assign(f"property({self.text(x.fget)}, {self.text(x.fset)}, {self.text(x.fdel)}, {self.text(x.__doc__)})")
        self.memo[id(x)] = x, name
        return name

    def _wrapped(self, x: Any) -> str:
        """A staticmethod or classmethod."""
        return self.assign(f"{type(x).__name__}({self.text(x.__func__)})")

    def _fresh_class(self, x: type) -> str:
        """A class that the region made, made again."""
        known = self.memo.get(id(x))
        if known is not None:
            return known[1]
        self.making[id(x)] = []
        names, bases = self._pairs(made_of(x)), self._tuple_text(x.__bases__)
        name = self._early(x, f"type({x.__name__!r}, {bases}, {names})")
        self.line(f"{name}.__qualname__ = {x.__qualname__!r}")
        for cell in self.making.pop(id(x)):
            self.line(f"{cell}.cell_contents = {name}")
        return name

    def _class_first(self, x: types.FunctionType) -> None:
        """Make the class that a method of it holds in its cells before the method."""
        for cell in x.__closure__ or ():
            content = _content(cell)
            if id(content) in self.session.fresh_classes and id(content) not in self.making:
                self._fresh_class(content)

    def _namespace(self, x: Namespace) -> str:
        return self.assign(f"vars({self.text(x.owner)})")

    def _super(self, x: Any) -> str:
        return self.assign(f"super({self.text(x.__thisclass__)}, {self.text(x.__self__)})")

    def _instance(self, x: Any, cls: type) -> str:
        """An object of a user's class, made without running its code."""
        base = next((t for t in (tuple, list, dict, set, BaseException) if isinstance(x, t)), object)
        if base is tuple:
            return self.assign(f"tuple.__new__({self.text(cls)}, {self._tuple_text(tuple(x))})")
        if isinstance(x, (int, float, str, bytes)):
            return self._value_instance(x, cls)
        args = ", " + self.items(x.args) if base is BaseException and x.args else ""
        native = native_base(cls)
        name = self._early(x, f"{self.literal(native)}.__new__({self.text(cls)}{args})")
        if base is BaseException:
            self._exception(x, native, name)
        if base is list or base is set:
            self.line(f"{base.__name__}.{'extend' if base is list else 'update'}({name}, [{self.items(x)}])")
        if base is dict:
            self.line(f"dict.update({name}, {self._pairs(x)})")
        own = getattr(x, "__dict__", None)
        if own and id(x) in self.session.own_dicts:
            self.line(f"put({name}, '__dict__', {self._pairs(own)})")
        elif own:
            self.line(f"vars({name}).update({self._pairs(own)})")
        for slot in _slots_of(cls):
            if hasattr(x, slot):
                self.line(f"put({name}, {slot!r}, {self.text(getattr(x, slot))})")
        return name

    def _value_instance(self, x: Any, cls: type) -> str:
        native = native_base(cls)
        name = self._early(x, f"{native.__name__}.__new__({self.literal(cls)}, {self.literal(native.__new__(native, x))})")
        if getattr(x, "__dict__", None):
            self.line(f"vars({name}).update({self._pairs(vars(x))})")
        return name

    def _exception(self, x: BaseException, native: type, name: str) -> None:
        """What an exception holds beside its arguments. It was never raised: CPython makes those that were."""
        for part in ("__cause__", "__context__"):
            if getattr(x, part) is not None:
                self.line(f"{name}.{part} = {self.text(getattr(x, part))}")
        self.line(f"{name}.__suppress_context__ = {x.__suppress_context__}")
        bare = native.__new__(native, *x.args)
        for cls in native.__mro__:
            for part, held in vars(cls).items():
                value = getattr(x, part, None)
                own = isinstance(held, types.MemberDescriptorType) and not part.startswith("__")
                if own and value is not getattr(bare, part, None) and _takes(bare, part, value):
                    self.line(f"{name}.{part} = {self.text(value)}")

    def _iterator(self, x: Any) -> str:
        """A half-run iterator: made again over the same container and moved to the same place."""
        if isinstance(x, (enumerate, zip)):
            made = x.__reduce__()
            return self._begun(f"{type(x).__name__}({self.items(made[1])}{', strict=True' if len(made) > 2 else ''})")
        _, over = self.session.made_from.get(id(x), (None, None))
        if isinstance(x, (type(iter({})), type(iter({}.values())), type(iter({}.items())))) and over is not None:
            try:
                x.__reduce__()  # looks at the items left
            except RuntimeError:
                raise self.session.undo(x, f"{describe(x)}, whose dict has changed size") from None
            done = len(over) - operator.length_hint(x)
            return self._begun(f"moved({self.text(over)}, {done})")
        parts = x.__reduce__()
        if parts[0] not in (iter, reversed) or isinstance(x, (type(iter(set())), type(reversed({})))):
            raise self.session.undo(x, f"{describe(x)}, half run")
        way = "iterator" if parts[0] is iter else "backwards"
        return self._begun(f"{way}({self.text(parts[1][0])}, {self.text(parts[2] if len(parts) > 2 else None)})")

    def _begun(self, text: str) -> str:
        """A new local, an iterator, which has to do with its container as it is behind the effects."""
        name = self.assign(text)
        self.begun[name] = f"{name} = {text}"
        return name

    def _behind(self, effects: list[str]) -> list[str]:
        """The lines that make iterators no other line needs: they move from before the effects to behind them."""
        if not effects:
            return []
        moved = {name: line for name, line in self.begun.items() if line in self.builds}
        stays: set[str] = {""}
        while stays:
            rest = [*(line for line in self.builds if line not in moved.values()), *effects]
            stays = moved.keys() & set(_LOCALS.findall("\n".join(rest)))
            moved = {name: line for name, line in moved.items() if name not in stays}
        self.builds = [line for line in self.builds if line not in moved.values()]
        return list(moved.values())


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return NULL


def _takes(obj: Any, name: str, value: Any) -> bool:
    """Whether the attribute can be set; those that cannot follow from the arguments."""
    try:
        setattr(obj, name, value)
    except (AttributeError, TypeError):
        return False
    return True


def _slots_of(cls: type) -> list[str]:
    return [
        n
        for c in cls.__mro__
        for n, d in c.__dict__.items()
        if isinstance(d, types.MemberDescriptorType) and by_python(c)
    ]


_LATE = {*LATE, Snapshot}
_LOCALS = re.compile(r"\bv\d+\b")
def _order_of(x: Any) -> list[Any]:
    """The items of a set in an order that gives a set of the same order: where hashes collide, who came first lies first."""
    items = list(x)
    orders = itertools.permutations(items) if len(items) <= 6 else (items, items[::-1])
    return next((list(order) for order in orders if list(map(id, type(x)(order))) == list(map(id, items))), items)


_CONSTANT = {
    type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis), type(NotImplemented), types.ModuleType,
    types.CodeType,
    property, types.MethodDescriptorType, types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
    types.GenericAlias, types.UnionType,
}  # fmt: skip
_IMMUTABLE = (DType, Op, Effects, TensorType, Device, np.dtype, np.generic, enum.Enum)  # known by value, or one of a kind
_BUILDERS: dict[type, Callable[[ValueWriter, Any], str]] = {
    list: ValueWriter._list, dict: ValueWriter._dict, tuple: ValueWriter._tuple, set: ValueWriter._set,
    frozenset: ValueWriter._set,
    collections.deque: ValueWriter._made_of, collections.OrderedDict: ValueWriter._made_of,
    collections.Counter: ValueWriter._made_of,
    collections.defaultdict: ValueWriter._made_of, types.MethodType: ValueWriter._method, functools.partial: ValueWriter._partial,
    types.CellType: ValueWriter._cell, types.FunctionType: ValueWriter._function, Namespace: ValueWriter._namespace,
    super: ValueWriter._super, types.SimpleNamespace: ValueWriter._simple_namespace,
    staticmethod: ValueWriter._wrapped, classmethod: ValueWriter._wrapped,
}  # fmt: skip
