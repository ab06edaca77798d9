"""Everything met from outside of the region: the form the interpreter sees it in, where it comes from, and the guards on it.

`Outside.admit` is the only way in. Guards come from Sources alone and stand in the order of admission, so that none loads
through a base that is not checked. Containers are copied: the tracer changes the copy, and the tail repeats the changes.
"""

from __future__ import annotations

import enum
import functools
import re
import types
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from ..eager.tensor import Tensor
from ..ir import solve
from ..ir.dtypes import DType
from ..ir.op import Effects, Op
from ..ir.sizes import Size, symbols_of
from ..ir.types import ScalarType, TensorType
from ..runtime import gradmode, peek
from ..runtime.guard import (
    ClassAttrIs,
    Equals,
    FitsInt64,
    GradMode,
    Guard,
    HasNext,
    Holds,
    Is,
    KeysAre,
    LengthIs,
    Relation,
    SameObject,
    SameStorage,
    SizesFit,
    Span,
    TensorIs,
    TensorLike,
    TypeIs,
)
from ..runtime.source import Arg, Attr, Computed, Const, Item, Length, Next, Source
from .breaks import Break, describe
from .bytecode import NULL
from .classes import native_base
from .policy import Policy
from .recorder import Recorder, source_of
from .symbols import SizeInt
from .values import Apply, Leaf, SymInt, symbolic

_EQUAL = (bool, str, bytes, type(None))
_PLAIN = (*_EQUAL, int, float)
_SINGLE = (
    type(Ellipsis), type(NotImplemented), types.ModuleType, types.BuiltinFunctionType, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.ClassMethodDescriptorType, types.CodeType, types.GetSetDescriptorType,
    types.MemberDescriptorType, re.Pattern, DType, Op, Effects, types.GenericAlias, types.UnionType,
)  # fmt: skip
_LARGEST = 10_000
_FEW = 4
_OURS = __name__.split(".")[0]
_OUTSIDE_OF_LIBRARY = tuple(f"{_OURS}.{part}" for part in ("bench", "tests", "examples"))


def of_library(module: Any) -> bool:
    """Whether a module's name is one of fusewire's own, whose functions and classes nobody rebinds."""
    return isinstance(module, str) and module.split(".")[0] == _OURS and not module.startswith(_OUTSIDE_OF_LIBRARY)


class Outside:
    """The outside world as one capture sees it."""

    def __init__(self, recorder: Recorder, policy: Policy) -> None:
        self.recorder, self.policy = recorder, policy
        self.sized: dict[Source, tuple[type, TensorType, Any]] = {}  # Tensors with sizes that are not fixed: class, type, meta
        self.size_numbers: dict[Source, SizeInt] = {}  # ints that are sizes
        self.guards: dict[Any, Guard] = {}
        self.memo: dict[int, tuple[Any, Any, Source]] = {}  # id of the real object -> real, seen, source
        self.origin: dict[int, tuple[Any, Source]] = {}  # id of the object seen -> seen, source
        self.numbers: dict[Source, Any] = {}
        self.pinned: dict[Source, Any] = {}
        self.made: set[int] = set()  # ids of functions and classes that the region made
        self.held: set[int] = set()  # ids of functions that are guarded by identity
        self.opaque: set[int] = set()  # ids of registered objects with native content that no guard covers
        self.closed: dict[int, tuple[Any, Any, Source]] = {}  # lists and dicts that nothing has opened
        self.tainted: dict[int, Any] = {}  # what a deferred call may change
        self.changed: dict[int, Any] = {}  # objects seen whose identity matters: they are mutated, or looked up by it
        self.needed: dict[Any, type] = {}  # arithmetic that may fail, by its source: the type that it must give
        self.taken: set[int] = set()  # ids of iterators from outside that an item was taken from
        self.mode, self.casting = gradmode.get(), gradmode.casting()
        self.guard(GradMode(self.mode, gradmode.get, self.casting))

    def guard(self, guard: Guard) -> None:
        if isinstance(guard, (Is, TypeIs)) and isinstance(guard.source, Const):
            return  # the capture holds this very object
        if isinstance(guard, ClassAttrIs):
            key: Any = ClassAttrIs, guard.cls, guard.name
        else:
            key = (Is, guard.source, id(guard.value)) if isinstance(guard, Is) else guard
        self.guards.setdefault(key, guard)

    # -- admission -------------------------------------------------------------------------------------------------

    def admit(self, value: Any, source: Source) -> Any:
        """`value`, found at `source`, as the interpreter sees it."""
        cls = type(value)
        if cls is float or cls is int:
            return self.number(value, source)
        if cls in _EQUAL:
            self.guard(Equals(source, value))
            return value
        known = self.memo.get(id(value))
        if known is not None:
            if known[2] != source:
                self.guard(SameObject(((known[2], source),)))
            return known[1]
        return self._first(value, cls, source)

    def _first(self, value: Any, cls: type, source: Source) -> Any:
        if self.tainted and id(value) in self.tainted:
            raise Break("outside-object", f"{describe(cls)}, which a call that is made behind the graph may change")
        if isinstance(value, Tensor):
            return self._tensor(value, source)
        if isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType)) and not _stands_alone(value):
            return self._bound(value, source)
        if isinstance(value, (type, enum.Enum, *_SINGLE)):
            self.guard(Is(source, value))
            return self.register(value, value, source)
        make = MAKERS.get(types.FunctionType if isinstance(value, types.FunctionType) else cls)  # 3.11 installs a subclass
        if make is not None:
            return make(self, value, source)
        if isinstance(value, tuple) and hasattr(cls, "_fields"):
            return self._tuple(value, source)
        if hasattr(cls, "n_sequence_fields") and all(type(x) in (*_EQUAL, int, float) for x in value):  # sys.flags ...
            self.guard(Is(source, value))
            return self.register(value, value, source)
        base = native_base(cls)
        if base in SUBCLASSED and base is not cls:
            return SUBCLASSED[base](self, value, source)
        self.guard(TypeIs(source, cls))
        if base is not object and not isinstance(value, types.CellType):
            self.opaque.add(id(value))
        return self.register(value, value, source)

    def _bound(self, value: Any, source: Source) -> Any:
        """A built-in method of some object: the same method of what the interpreter sees in that object's place."""
        self.guard(TypeIs(source, type(value)))
        self.guard(Equals(Attr(source, "__name__"), value.__name__))
        owner = self.admit(value.__self__, Attr(source, "__self__"))
        if isinstance(owner, Tensor) or id(owner) in self.opaque:
            self.opaque.add(id(value))
            return self.register(value, value, source)
        return self.register(value, getattr(owner, value.__name__), source)

    def is_opaque(self, seen: Any) -> bool:
        """Whether `seen` has native content from outside that is not guarded: it may be passed on, not looked into."""
        return id(seen) in self.opaque

    def register(self, real: Any, seen: Any, source: Source) -> Any:
        """Note that `seen` stands for `real`, found at `source`."""
        self.memo[id(real)] = real, seen, source
        self.origin[id(seen)] = seen, source
        return seen

    def source_of(self, seen: Any) -> Source | None:
        """Where an object that the interpreter holds comes from; None where the region made it."""
        found = self.origin.get(id(seen))
        return found[1] if found is not None and found[0] is seen else None

    def apart(self, a: Source, b: Source) -> None:
        """Two objects from outside are two."""
        if not _same_root(a, b):
            self.guard(SameObject(((a,), (b,))))

    def individual(self, seen: Any) -> None:
        """The identity of `seen` matters: where it comes from outside it must stay none of the others of its type."""
        self.changed[id(seen)] = seen

    def is_held(self, function: Any) -> bool:
        """Whether a guard names this very function."""
        return id(function) in self.held

    def constant(self, value: Any, name: str) -> Any:
        """An object that is part of the program itself (guarded by who found it), admitted under its own identity."""
        cls = type(value)
        if cls in _EQUAL or cls in (int, float, complex) or id(value) in self.made:
            return value
        known = self.memo.get(id(value))
        return known[1] if known is not None else self._first(value, cls, Const(value, name))

    def _tensor(self, value: Any, source: Source) -> Any:
        cls = type(value)
        self.recorder.place(value.meta.device, "a tensor")
        sized = self.policy.type_of(value, source, self.recorder.symbols)
        if sized is None:
            self.guard(TensorIs(source, cls, value.meta))
        else:
            self.sized[source] = cls, sized, value.meta
            self.guards[TensorLike, source] = TensorIs(source, cls, value.meta)  # `finish` puts the right one in its place
        return self.register(value, self.recorder.admit(value, source, sized), source)

    def number(self, value: Any, source: Source) -> Any:
        """An int or float from outside, symbolic until something looks at it."""
        if source in self.pinned:
            return self.pinned[source]
        if source in self.size_numbers:
            return self.size_numbers[source]
        if self.policy.is_size(value, source):
            made = self.size_numbers[source] = self.recorder.symbols.given_int(value)
            self.recorder.numbers[str(made.size)] = source
            if self.policy.keeps_changing(source):
                self.recorder.symbols.restless.add(str(made.size))
            return made
        return self.symbolic(value, source)

    def symbolic(self, value: Any, source: Source) -> Any:
        """The number at `source`, for arithmetic."""
        found = self.numbers.get(source)
        if found is None:
            found = self.numbers[source] = symbolic(Leaf(source), value, ((source, value),), self)
        return found

    def pin(self, source: Source, value: Any) -> None:
        """The number at `source` is this one from here on."""
        if self.policy.keeps_changing(source) and source not in self.pinned:
            raise Break("changing-number", f"the value of {source.expr()}, which is {value!r} now")
        self.pinned[source] = value
        self.guard(Equals(source, value))

    def decide(self, expr: Apply, truth: bool) -> None:
        """A comparison of numbers has come out so."""
        found: Any = source_of(expr)
        self.guards.setdefault((Holds, found, truth), Holds(found, truth, str(self.recorder.where())))

    def need(self, expr: Apply, cls: type) -> None:
        """Arithmetic that may fail, or give another type."""
        self.needed[source_of(expr)] = cls

    def _needs(self) -> None:
        """The types of arithmetic that may fail, but for parts of what is worked out anyway."""
        guards = [x for x in self.guards.values() if isinstance(x, (Holds, FitsInt64, TypeIs)) and isinstance(x.source, Computed)]
        whole = {*self.needed, *(x.source for x in guards)}
        inner = {y for x in whole for y in _parts(x)}
        for source, cls in self.needed.items():
            if source not in inner or (cls is int and source.op == "**"):  # of all, a power alone may become another type
                self.guard(TypeIs(source, cls))

    def size_text(self, size: Size, load: Callable[[Source], str]) -> str:
        """A size as Python text over what `load` names: ints from outside and shapes of Tensors."""
        final = self.recorder.symbols.final
        places: list[tuple[Size, str]] = [(final(x), load(source)) for source, x in self.size_numbers.items()]
        for source, (_, sized, _) in self.sized.items():
            where = load(source)
            for what, found in (("shape", sized.shape), ("meta.strides", sized.strides)):
                places += [(final(n), f"{where}.{what}[{d}]") for d, n in enumerate(found)]
        texts: dict[str, str] = {}
        for place, name, a, b in solve.order([p for p, _ in places]):
            inner = f"{places[place][1]} - ({text_of(b, texts)})" if b != 0 else places[place][1]
            texts[name] = inner if a == 1 else f"({inner}) // ({text_of(a, texts)})"
        return text_of(size, texts)

    # -- containers --------------------------------------------------------------------------------------------------

    def _as_it_is(self, value: Any, source: Source) -> Any:
        """Something to pass on, not to look into: its type is guarded, its content is not."""
        self.guard(TypeIs(source, type(value)))
        self.opaque.add(id(value))
        return self.register(value, value, source)

    def _tuple(self, value: Any, source: Source) -> Any:
        if len(value) > _LARGEST:
            return self._as_it_is(value, source)
        if isinstance(source, Const):  # the capture holds this very tuple, so nothing in it changes
            held = enumerate(tuple.__iter__(value))
            items = [x if type(x) in _PLAIN else self.admit(x, Const(x, f"{source.name}[{i}]")) for i, x in held]
        else:
            self.guard(TypeIs(source, type(value)))
            self.guard(LengthIs(source, len(value)))
            items = [self.admit(x, Item(source, i)) for i, x in enumerate(tuple.__iter__(value))]
        seen = tuple.__new__(type(value), items)
        return self.register(value, seen, source) if items else seen

    def _list(self, value: Any, source: Source) -> Any:
        """A list may be appended to without a guard on what it holds: it is opened when something looks into it."""
        if len(value) > _LARGEST:
            return self._as_it_is(value, source)
        self.guard(TypeIs(source, list))
        seen: list[Any] = self.register(value, [], source)
        self.closed[id(seen)] = seen, value, source
        return seen

    def closed_length(self, seen: Any) -> Any:
        """The length of a list or dict from outside that nothing has looked into, which stays closed; None for anything else."""
        found = self.closed.get(id(seen))
        if found is None:
            return None
        _, real, source = found
        if type(real) is dict and seen:
            return None
        length = self.number(len(real), Length(source))
        return length + len(seen) if seen else length

    def closed_truth(self, seen: Any) -> bool | None:
        """Whether a list or dict that nothing has opened holds something; None for anything else."""
        found = self.closed.get(id(seen))
        if found is None:
            return None
        _, real, source = found
        if not real and not seen:
            self.guard(LengthIs(source, 0))
        return True if seen else bool(real) and bool(self.number(len(real), Length(source)) != 0)

    def open(self, seen: Any) -> None:
        """Something looks into `seen`: a list from outside gets its items, before those the region appended, a dict its own,
        under those that the region put in."""
        found = self.closed.pop(id(seen), None)
        if found is not None:
            _, real, source = found
            if type(real) is dict:
                put = dict(seen)
                seen.clear()
                self._fill(seen, real, source)
                seen.update(put)
                return
            self.guard(LengthIs(source, len(real)))
            seen[:0] = [self.admit(x, Item(source, i)) for i, x in enumerate(real)]

    def _dict(self, value: Any, source: Source) -> Any:
        if len(value) > _LARGEST or not all(self._key(k) for k in value):
            return self._as_it_is(value, source)
        self.guard(TypeIs(source, dict))
        seen: dict[Any, Any] = self.register(value, {}, source)
        self.closed[id(seen)] = seen, value, source
        return seen

    def _fill(self, seen: dict[Any, Any], real: dict[Any, Any], source: Source) -> None:
        self.guard(KeysAre(source, tuple(real)))
        for key, x in real.items():
            seen_key = self.admit(key, Const(key, "key")) if isinstance(key, (Tensor, types.FunctionType)) else key
            seen[seen_key] = self.admit(x, Item(source, key))

    def entry(self, seen: Any, key: Any) -> Any:
        """What a list or dict that nothing has opened holds at `key`, a constant, where it does; NotImplemented for all else."""
        found = self.closed.get(id(seen))
        if found is None or type(key) not in (str, int):
            return NotImplemented
        _, real, source = found
        if type(real) is dict:
            if key in seen:
                return seen[key]
            return self.admit(real[key], Item(source, key)) if key in real else NotImplemented
        if type(key) is not int:
            return NotImplemented
        if -len(seen) <= key < 0:
            return seen[key]
        at = key if key >= 0 else key + len(seen)  # from the end of those that were there before
        return self.admit(real[at], Item(source, at)) if -len(real) <= at < len(real) else NotImplemented

    def put(self, seen: Any, key: Any, value: Any) -> bool:
        """Put `value` into a dict that nothing has opened, at `key`, a constant; False for all else."""
        found = self.closed.get(id(seen))
        if found is None or type(found[1]) is not dict or type(key) not in (str, int) or value is NULL:
            return False
        seen[key] = value
        return True

    def _key(self, key: Any) -> bool:
        if isinstance(key, tuple):
            return type(key) is tuple and all(map(self._key, key))
        return type(key) in (str, int, bool, bytes, float, type(None)) or isinstance(
            key, (type, enum.Enum, DType, types.FunctionType, Tensor)
        )

    def _method(self, value: Any, source: Source) -> Any:
        self.guard(TypeIs(source, types.MethodType))
        function = self.admit(value.__func__, Attr(source, "__func__"))
        return self.register(value, types.MethodType(function, self.admit(value.__self__, Attr(source, "__self__"))), source)

    def _function(self, value: Any, source: Source) -> Any:
        if of_library(value.__globals__.get("__name__")) or _root_is_const(source):
            self.guard(Is(source, value))
            self.held.add(id(value))
        else:
            self.guard(TypeIs(source, type(value)))
        if not of_library(value.__globals__.get("__name__")):
            self.guard(Is(Attr(source, "__code__"), value.__code__))
        return self.register(value, value, source)

    def _partial(self, value: Any, source: Source) -> Any:
        self.guard(TypeIs(source, functools.partial))
        function = self.admit(value.func, Attr(source, "func"))
        args = self.admit(value.args, Attr(source, "args"))
        keywords = self.admit(value.keywords, Attr(source, "keywords"))
        self.open(keywords)
        made = functools.partial(function, *args, **keywords)
        vars(made).update(vars(value))  # each is admitted where it is read
        return self.register(value, made, source)

    def _span(self, value: Any, source: Source) -> Any:
        parts = [getattr(value, part) for part in ("start", "stop", "step")]
        if not all(type(x) in (int, type(None)) for x in parts):
            return self._as_it_is(value, source)
        self.guard(TypeIs(source, type(value)))
        for part, x in zip(("start", "stop", "step"), parts, strict=True):
            self.guard(Equals(Attr(source, part), x))
        return self.register(value, value, source)

    def take(self, it: Any) -> tuple[Any, ...] | None:
        """The next item of an iterator from outside, as a tuple, empty where there is none; None where nothing can tell, where
        it gave one already (what is outside of the region is not unrolled), or the region changed what it runs over."""
        source = self.source_of(it)
        if source is None or id(it) in self.taken or not peek.known(it):
            return None
        if any(id(x) in self.memo and id(self.memo[id(x)][1]) in self.changed for x in peek.under(it)):
            return None
        more = peek.more(it)
        if not more and type(it) is not peek.RANGE:
            return None  # a list may grow, and the iterator would go on
        self.guard(HasNext(source, more))
        self.taken.add(id(it))
        return (self.admit(peek.item(it), Next(source)),) if more else ()

    # -- the end -----------------------------------------------------------------------------------------------------

    def finish(self) -> tuple[Guard, ...]:
        """All guards, those on numbers, memory and identity last."""
        for source, x in self.numbers.items():
            if source not in self.pinned and not self._counts(source):
                fits = type(x) is SymInt and source in self.recorder.scalars
                self.guard(FitsInt64(source) if fits else TypeIs(source, x.plain))
        for source, value in self.recorder.scalars.items():
            if isinstance(source, Computed):
                self.guard(FitsInt64(source) if value.type == ScalarType("int") else TypeIs(source, float))
        self._needs()
        if self.recorder.writes and len(self.recorder.inputs) > 1:
            self.guard(SameStorage(self._memories()))
        self._identities()
        self._sizes()
        return tuple(self.guards.values())

    def _memories(self) -> tuple[tuple[Source, ...], ...]:
        """The graph's inputs by the memory that they share."""
        found: dict[int, list[Source]] = {}
        for i in self.recorder.inputs:
            found.setdefault(id(i.real if i.real._storage is None else i.real._storage), []).append(i.source)
        return tuple(map(tuple, found.values()))

    def _counts(self, source: Source) -> bool:
        """Whether what `source` gives is an int anyway, and nobody needs it."""
        counted = isinstance(source, Length) or (isinstance(source, Next) and TypeIs(source.base, peek.RANGE) in self.guards)
        return counted and source not in self.recorder.scalars

    def _sizes(self) -> None:
        """The guards on sizes that are not fixed: what the places hold, then what the code has asked about the symbols."""
        known, final = self.recorder.symbols, self.recorder.symbols.final
        likes = []
        for source, (cls, found, meta) in self.sized.items():
            shape, strides = final(found.shape), final(found.strides)
            if all(isinstance(n, int) for n in (*shape, *strides)):
                continue
            like = TensorLike(source, cls, meta.dtype, meta.requires_grad, meta.device, shape, strides)
            self.guards[TensorLike, source] = like
            likes.append(like)
        numbers = tuple((source, final(x)) for source, x in self.size_numbers.items())
        names = dict.fromkeys(name for t in likes for n in (*t.shape, *t.strides) for name in symbols_of(n))
        names |= dict.fromkeys(name for _, n in numbers for name in symbols_of(n))
        if not likes and not numbers:
            return
        spans = tuple(Span(name, known.low[name], known.high[name], known.reason(name)) for name in names)
        relations = tuple(Relation(op, size, where) for op, size, where in known.open_conditions())
        self.guard(SizesFit(tuple(likes), numbers, spans, relations))

    def _identities(self) -> None:
        """An object that the region changes is none of the others of its type."""
        changed = [(x, self.source_of(x)) for x in self.changed.values()]
        counts = Counter(type(x) for x, _ in changed)
        for seen, source in changed:
            alike = [(x, s) for x, s in self.origin.values() if type(x) is type(seen)]
            if source is None or counts[type(seen)] == 0:
                continue
            if counts[type(seen)] > _FEW:
                counts[type(seen)] = 0  # one guard for all of them
                self.guard(SameObject(tuple((s,) for _, s in alike)))
                continue
            others = [s for x, s in alike if x is not seen and not _same_root(s, source)]
            if others:
                self.guard(SameObject(((source,), *((s,) for s in others))))


def text_of(size: Size, names: dict[str, str]) -> str:
    """A size as a Python expression, each symbol as the text given for it."""
    return re.sub(r"\bs\d+\b", lambda found: f"({names[found[0]]})", str(size))


def _parts(x: Any) -> Iterator[Any]:
    """The arithmetic inside of arithmetic."""
    for y in x.args:
        if isinstance(y, Computed):
            yield y
            yield from _parts(y)


def _stands_alone(function: Any) -> bool:
    owner = getattr(function, "__self__", None)
    return owner is None or isinstance(owner, (types.ModuleType, type))


def _root(source: Source) -> Source:
    while not isinstance(source, (Arg, Const, Computed)):
        source = source.base
    return source


def _root_is_const(source: Source) -> bool:
    return isinstance(_root(source), Const)


def _same_root(a: Source, b: Source | None) -> bool:
    """Constants are held by identity: two of them never become one."""
    return isinstance(a, Const) and isinstance(b, Const)


SUBCLASSED: dict[type, Callable[[Outside, Any, Source], Any]] = {}  # by built-in base: objects of classes made by Python code
MAKERS: dict[type, Callable[[Outside, Any, Source], Any]] = {
    tuple: Outside._tuple,
    list: Outside._list,
    dict: Outside._dict,
    types.MethodType: Outside._method,
    types.FunctionType: Outside._function,
    functools.partial: Outside._partial,
    range: Outside._span,
    slice: Outside._span,
}
