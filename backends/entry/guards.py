"""Guards and Sources -> rows. Everything is native but what has to call Python: those rows come first.

In Python: ClassAttrIs when a class on its MRO has changed since; SameStorage and SameObject over more than PAIRWISE sources
when one of them has changed since they last held; a GradMode whose getter is not the runtime's; an Attr of an object whose
type no guard names, or that the type's own attributes would hide; SubclassIs; Equals and KeysAre of values that are not of
built-in types.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import CellType, FunctionType, MemberDescriptorType, MethodType
from typing import Any

from ...errors import CompileError
from ...ir import solve
from ...ir.sizes import symbols_of
from ...runtime import gradmode, layout, peek
from ...runtime import guard as g
from ...runtime import source as s
from ...runtime.meta import kind_of
from .frame import Frame
from .memos import Memos, named
from .scalars import ScalarRows, leaves
from .sizes import SizeRows
from .words import WILD

_PLAIN = (bool, int, float, str, bytes, type(None))
_MISSING = object()
PAIRWISE = 12


class GuardRows:
    """Writes the rows of one variant's guards and loads. Needs the classes that `TensorIs` and `TypeIs` name to know slots."""

    def __init__(self, frame: Frame, guards: Sequence[g.Guard]) -> None:
        self.frame, self.guards = frame, guards
        self.types: dict[s.Source, type] = {}
        self.tensors: dict[s.Source, g.TensorIs | g.TensorLike] = {}
        self.sizes = SizeRows(frame)
        for x in guards:
            if isinstance(x, (g.TensorIs, g.TensorLike)):
                self.types[x.source], self.tensors[x.source] = x.cls, x
            elif isinstance(x, g.TypeIs):
                self.types[x.source] = x.cls
        self._at: dict[s.Source, int] = {}
        self._done: set[g.Guard] = set()
        self._arrays: dict[s.Source, int] = {}
        self._items: dict[s.Source, int] = {}
        self._slots: dict[tuple[type, str], int] = {}
        self._strings: set[s.Source] = set()  # dicts whose keys a row has looked at: they are all str
        self._keys_of = {x.source: x for x in guards if isinstance(x, g.KeysAre) and all(map(_plain, x.keys))}
        self.counted = self._find_counted()
        self.scalars = ScalarRows(self)
        self.pinned: dict[s.Source, int] = {}
        self._looked: dict[int, s.Source] = {}  # ways that `_pin` is done with, by identity
        self._inputs: set[s.Source] = set()
        self._first = 0  # the row behind those that run Python

    # ---- iterators of range, whose next number is arithmetic ----
    def _is_range(self, source: s.Source) -> bool:
        return self.types.get(source) is peek.RANGE and layout.range_iterator() is not None

    def _find_counted(self) -> set[s.Source]:
        """Lengths, and what range iterators give next, where nothing asks for an object."""
        mentioned = [(x, src) for x in self.guards for src in named(x)]
        seen = [leaf for _, src in mentioned for leaf in leaves(src)]
        found: set[s.Source] = {src for src in seen if isinstance(src, s.Next) and self._is_range(src.base)}
        found |= {src for src in seen if isinstance(src, s.Length) and self.types.get(src.base) in (list, dict)}
        for x, src in mentioned:
            whole = isinstance(x, (g.FitsInt64, g.SizesFit)) or (isinstance(x, g.Equals) and type(x.value) is int)
            way = src
            while isinstance(way, (s.InstanceDict, s.Attr, s.Item, s.Cell)):
                way = way.base
            if not whole or way is not src:
                found.discard(way)
        return found

    def _range_fields(self, source: s.Source) -> tuple[int, int, int]:
        """Words with the next number, the step and how many are left."""
        frame, at = self.frame, layout.range_iterator()
        assert at is not None
        self._need_type(source)
        it, words = self.word(source), []
        for offset in at:
            words.append(frame.const(0) if offset is None else frame.words())
            if offset is not None:
                frame.row("field", words[-1], it, offset)
        index, start, step, length = words
        if at[0] is not None:
            start = self.sizes.op("add", start, self.sizes.op("mul", index, step))
            length = self.sizes.op("add", length, self.sizes.op("mul", index, frame.const(-1)))
        return start, step, length

    def _length_of(self, source: s.Source) -> int:
        self._need_type(source)
        at = self.frame.words()
        self.frame.row("field", at, self.word(source), layout.SIZE)
        return at

    def _has_next(self, x: g.HasNext) -> None:
        _, _, left = self._range_fields(x.source)
        few, many = (self.frame.const(1), left) if x.more else (left, self.frame.const(0))
        self.frame.row("at_most", 0, few, many)

    def emit(self, sources: Sequence[s.Source]) -> None:
        """Rows of all guards: those that may run Python, then, with everything loaded anew, the others."""
        versions: dict[type, list[g.ClassAttrIs]] = {}
        self._inputs = set(sources)
        for src in [*sources, *(src for x in self.guards for src in named(x))]:
            self._pin(src)
        for x in self.guards:
            if isinstance(x, g.ClassAttrIs):
                versions.setdefault(x.cls, []).append(x)
            elif not self._native(x):
                self._callback(x)
        for cls, found in versions.items():
            self._version(cls, found)
        self._first = len(self.frame.rows)
        native = [x for x in self.guards if self._native(x) and not isinstance(x, g.ClassAttrIs)]
        lasting = [x for x in native if not any(map(s.hangs_on_listed, named(x)))]  # a copy is another object at every call
        Memos(self, lasting, [src for src in sources if not s.hangs_on_listed(src)]).emit()
        for x in native:
            if not self._is_long(x):
                self.guard(x)
        for x in native:
            if self._is_long(x):
                self._remembered(x)

    @property
    def known(self) -> dict[s.Source, int]:
        """The word of every source that has been loaded."""
        return self._at

    def forget(self, sources: Iterable[s.Source]) -> None:
        """These have words only in rows that may be skipped."""
        for source in sources:
            self._at.pop(source, None)
        self._items.clear()

    # ---- sources ----
    def word(self, source: s.Source) -> int:
        """The frame word that holds the object found at `source` (borrowed)."""
        at = self._at.get(source)
        if at is None:
            at = self._at[source] = self._load(source)
        return at

    def tensor(self, source: s.Source) -> int:
        """The word with the array of the tensor at `source`, its data address in the word after it."""
        at = self._arrays.get(source)
        if at is not None:
            return at
        at = self._arrays[source] = self.frame.words(2)
        known = self.tensors.get(source)
        if isinstance(known, g.TensorLike):
            del self._arrays[source]
            return self.like(known)
        if known is not None and known.meta.device != "cpu":
            self.guard_meta(known)
            self._place(source, at, known.meta.dtype.itemsize)
        elif known is not None:
            self._done.add(known)
            self.frame.row("tensor", at, self.word(source), self.frame.object(known.cls), self.frame.object(known.meta))
        elif source in self.types:
            self._need_type(source)
            self.frame.row("array", at, self.word(source))
        else:
            raise CompileError(f"no guard says that {source.expr()} is a Tensor")
        return at

    def _load(self, source: s.Source) -> int:
        frame = self.frame
        if isinstance(source, s.Arg):
            return source.index
        if isinstance(source, s.Const):
            return frame.const(frame.object(source.value))
        if isinstance(source, s.Computed):
            raise CompileError(f"{source.expr()} is computed by Python: it must be pinned")
        base = self.word(source.base)
        dest = frame.words()
        if isinstance(source, s.InstanceDict):
            cls = self.types.get(source.base)
            pointer = layout.dict_pointer(cls) if cls is not None else None
            if pointer:
                self._need_type(source.base)
            frame.row("instance_dict", dest, base, pointer or 0, len(frame.rows) + 1 - self._first)
        elif isinstance(source, s.Item):
            self._item(source, dest, base)
        elif isinstance(source, s.Cell):
            frame.row("type", 0, base, frame.object(CellType))
            frame.row("load", dest, base, layout.CELL)
        else:
            assert isinstance(source, s.Attr)  # whatever else is no plain way has been pinned
            self._attr(source, dest, base)
        return dest

    def items(self, source: s.Source) -> int:
        """The word with the address of the items of the list at `source`, which has some."""
        at = self._items.get(source)
        if at is None:
            at = self._items[source] = self.frame.words()
            self.frame.row("load", at, self.word(source), layout.LIST_ITEMS)
        return at

    def _need_plain_keys(self, source: s.Source) -> None:
        """Looking into a dict must run no ``__eq__`` of its keys: a guard names them all, or they are str."""
        keys = self._keys_of.get(source)
        if keys is not None:
            self.guard(keys)
        elif source not in self._strings and not issubclass(self.types.get(source, dict), (list, tuple)):
            self._strings.add(source)
            self.frame.row("strings", 0, self.word(source))

    def _item(self, source: s.Item, dest: int, base: int) -> None:
        if type(source.key) is int and -(2**62) < source.key < 2**62:
            if source.base in self._keys_of:
                self._need_plain_keys(source.base)
            self.frame.row("item", dest, base, self.frame.object(source.key), source.key)
        else:
            self._need_plain_keys(source.base)
            self.frame.row("dict_get", dest, base, self.frame.object(source.key))

    def _attr(self, source: s.Attr, dest: int, base: int) -> None:
        if source.base in self.types:
            self._need_type(source.base)
        if self.slot(source) > 0:
            self.frame.row("load", dest, base, self.slot(source))
        else:
            fields = s.InstanceDict(source.base)
            where = self.word(fields)
            self._need_plain_keys(fields)
            self.frame.row("dict_get", dest, where, self.frame.object(source.name))

    def _need_type(self, source: s.Source) -> None:
        check = self.tensors.get(source) or g.TypeIs(source, self.types[source])
        if check not in self._done:
            self._done.add(check)
            self.frame.row("type", 0, self.word(source), self.frame.object(self.types[source]))
            if isinstance(check, (g.TensorIs, g.TensorLike)):
                self._done.discard(check)  # its meta is still to be looked at

    def _pin(self, source: s.Source) -> None:
        """Have Python load what rows cannot; the call owns such an object until it ends."""
        if isinstance(source, (s.Arg, s.Const)) or id(source) in self._looked or source in self.pinned:
            return
        self._looked[id(source)] = source
        if isinstance(source, (s.Next, s.Length)):
            self._pin(source.base)
            if source in self.counted:
                return
        if isinstance(source, s.Computed) and self.scalars.type_of(source) is not None:
            return
        if isinstance(source, (s.Computed, s.Next, s.Length, s.Listed)):
            at = self.pinned[source] = self._at[source] = self.frame.owned()
            self.frame.row("call", at, self.frame.object(Loader(source)), 0, self.frame.nparams)
            return
        self._pin(source.base)
        odd_attr = isinstance(source, s.Attr) and not self._attr_is_native(source)
        if odd_attr or (isinstance(source, s.Item) and not self._item_is_native(source)):
            at = self.pinned[source] = self._at[source] = self.frame.owned()
            self.frame.row("call", at, self.frame.object(Loader(source)), 0, self.frame.nparams)

    def _item_is_native(self, source: s.Item) -> bool:
        if type(source.key) is str or source.base in self._keys_of:
            return _plain(source.key)
        packed = isinstance(source.base, s.Arg) and source.base.slots is not None  # the frame of a resume function: a tuple
        return type(source.key) is int and (packed or issubclass(self.types.get(source.base, dict), (list, tuple)))

    def slot(self, source: s.Attr) -> int:
        """Offset of the field of the object at ``source.base`` that holds the attribute; -1 where it is not a plain field."""
        cls = self._class_of(source.base)
        if cls is None:
            return -1
        if (cls, source.name) not in self._slots:
            self._slots[cls, source.name] = _field(cls, source.name)
        return self._slots[cls, source.name]

    def _class_of(self, source: s.Source) -> type | None:
        if isinstance(source, s.Const) and isinstance(source.value, (FunctionType, MethodType)):
            return type(source.value)  # nobody changes the type of these
        return self.types.get(source)

    def _attr_is_native(self, source: s.Attr) -> bool:
        if self.slot(source) > 0:
            return True
        cls = self.types.get(source.base)
        if cls is None or _class_attr(cls, "__getattribute__") is not object.__getattribute__:
            return False
        found = _class_attr(cls, source.name)
        return not hasattr(type(found), "__set__") and cls.__dictoffset__ != 0

    # ---- guards ----
    def _native(self, x: g.Guard) -> bool:
        if isinstance(x, g.HasNext):
            return self._is_range(x.source)
        if isinstance(x, g.ClassAttrIs):
            return layout.type_versions()
        if isinstance(x, g.SubclassIs):
            return False
        if isinstance(x, g.GradMode):
            return x.read is gradmode.get or getattr(x.read, "__wrapped__", None) is gradmode.get or x.read in NATIVE_GETTERS
        if isinstance(x, g.SameStorage):
            return all(src in self.tensors for group in x.classes for src in group)
        if isinstance(x, g.Equals):
            return type(x.value) in _PLAIN
        if isinstance(x, g.KeysAre):
            return all(map(_plain, x.keys))
        return True

    def guard(self, x: g.Guard) -> None:
        """Rows of a guard, unless they are written already."""
        if x not in self._done:
            self._done.add(x)
            _ROWS[type(x)](self, x)

    def _callback(self, x: g.Guard) -> None:
        def ask(*args: Any) -> bool:
            return g.holds(x, args)

        self.frame.row("callback", 0, 0, self.frame.object(ask))

    def _version(self, cls: type, found: list[g.ClassAttrIs]) -> None:
        frame, row = self.frame, len(self.frame.rows)
        if not layout.type_versions():
            for x in found:
                self._callback(x)
            return
        cached: list[Any] = []  # the word of the row that holds the version

        def ask(*args: Any) -> bool:
            _assign_version(cls)
            now = layout.half(id(cls) + layout.TP_VERSION)
            holds = all(g.holds(x, args) for x in found)
            if holds and cached:
                cached[0][0] = now or -1
            return holds

        frame.row("version", 0, frame.object(cls), frame.object(ask), -1)
        frame.patches.append((cached.append, row))

    def _is_long(self, x: g.Guard) -> bool:
        """Whether comparing all pairs costs more than remembering what Python last agreed to."""
        return isinstance(x, (g.SameStorage, g.SameObject)) and self._native(x) and sum(map(len, x.classes)) > PAIRWISE

    def _remembered(self, x: Any) -> None:
        sources, words = self._compared(x)
        frame, by_storage = self.frame, isinstance(x, g.SameStorage)
        seen = (ctypes.c_int64 * len(words))()
        frame.keep.append(seen)

        def ask(*args: Any) -> bool:
            holds = g.holds(x, args)
            if holds:
                found = [src.load(args) for src in sources]
                seen[:] = [id(y.storage if by_storage else y) for y in found]
            return holds

        back = len(frame.rows) + 1 - self._first
        frame.row("remembered", by_storage, frame.array([len(words), *words, back]), ctypes.addressof(seen), frame.object(ask))

    def _pattern(self, x: Any) -> None:
        _, words = self._compared(x)
        groups = [i for i, group in enumerate(x.classes) for _ in group]
        at, numbers = self.frame.array([len(words), *words]), self.frame.array(groups)
        self.frame.row("pattern", isinstance(x, g.SameStorage), at, numbers)

    def _compared(self, x: Any) -> tuple[list[s.Source], list[int]]:
        sources = [src for group in x.classes for src in group]
        if isinstance(x, g.SameStorage):
            for src in sources:
                self.guard(self.tensors[src])
        return sources, [self.word(src) for src in sources]

    # one method per native guard
    def _tensor_is(self, x: g.TensorIs) -> None:
        if x.source in self._inputs:
            self.tensor(x.source)
        else:
            self.guard_meta(x)

    def guard_meta(self, x: g.TensorIs) -> None:
        """The row of a guard on a tensor whose memory nobody asks for."""
        self._done.add(x)
        self.frame.row("meta", 0, self.word(x.source), self.frame.object(x.cls), self.frame.object(x.meta))

    def _place(self, source: s.Source, at: int, itemsize: int) -> None:
        """Where a tensor of a GPU lies: its storage, and the address of its first element behind it."""
        self.frame.row("place", at, self.word(source), 0, itemsize)

    def like(self, x: g.TensorLike) -> int:
        """The word with the array of a tensor that has sizes known at the call; behind it the address of its data, then its sizes
        and strides."""
        at = self._arrays.get(x.source)
        if at is None:
            self._done.add(x)
            found = (*x.shape, *x.strides)
            kind = kind_of(x.dtype, x.requires_grad, x.device, len(x.shape))
            wanted = [n if isinstance(n, int) else WILD for n in found]
            at = self._arrays[x.source] = self.frame.words(2 + len(found))
            descr = self.frame.array([self.frame.object(kind), len(found), *wanted])
            on_device = x.device != "cpu"
            self.frame.row("like_meta" if on_device else "like", at, self.word(x.source), self.frame.object(x.cls), descr)
            if on_device and x.source in self._inputs:
                self._place(x.source, at, x.dtype.itemsize)
        return at

    def _sizes_fit(self, x: g.SizesFit) -> None:
        """The symbols from the places that settle them, then whether all places and conditions agree."""
        frame, sizes, places = self.frame, self.sizes, x.places()
        words = [self.integer(source) for source, _ in x.numbers]
        for t in x.tensors:
            first = self.like(t) + 2
            words += range(first, first + 2 * len(t.shape))
        for place, name, a, b in solve.order(places):
            word = words[place] if b == 0 else sizes.op("add", words[place], sizes.size(b * -1))
            sizes.symbols[name] = word if a == 1 else sizes.op("floordiv", word, sizes.size(a))
        for word, size in zip(words, places, strict=True):
            is_symbol = word in [sizes.symbols[name] for name in symbols_of(size)]
            if not isinstance(size, int) and not is_symbol:
                frame.row("same", 0, word, sizes.size(size))
        for word, (_, size) in zip(words, x.numbers, strict=False):
            if isinstance(size, int):
                frame.row("same", 0, word, frame.const(size))
        for span in x.spans:
            frame.row("at_most", 0, frame.const(span.low), sizes.symbols[span.name])
            if span.high is not None:
                frame.row("at_most", 0, sizes.symbols[span.name], frame.const(span.high))
        for relation in x.relations:
            op = {"!=": "differ", "==": "same", ">=": "at_most"}[relation.op]
            frame.row(op, 0, frame.const(0), sizes.size(relation.size))

    def _type_is(self, x: g.TypeIs) -> None:
        if isinstance(x.source, s.Computed) and self.is_number(x.source):
            if self.scalars.type_of(x.source) is not x.cls:
                raise CompileError(f"{x.source.expr()} is no {x.cls.__name__}")
            self.scalars.number(x.source)
            return
        self.frame.row("type", 0, self.word(x.source), self.frame.object(x.cls))

    def _is(self, x: g.Is) -> None:
        if not (isinstance(x.source, s.Const) and x.source.value is x.value):
            self.frame.row("is", 0, self.word(x.source), self.frame.object(x.value))

    def _equals(self, x: g.Equals) -> None:
        if x.source in self.counted:
            self.frame.row("same", 0, self.integer(x.source), self.frame.const(x.value))
            return
        frame, at, value = self.frame, self.word(x.source), x.value
        if value is None or isinstance(value, bool):
            frame.row("is", 0, at, frame.object(value))
        elif isinstance(value, float):
            bits = struct.unpack("<q", struct.pack("<d", value))[0]
            frame.row("float_nan" if value != value else "float_is", 0, at, bits)
        elif isinstance(value, int) and -(2**63) <= value < 2**63:
            frame.row("int_is", 0, at, value)
        else:
            frame.row("equal", 0, at, frame.object(value))

    def is_number(self, source: s.Source) -> bool:
        """Whether rows work out the number at `source`, so that there is no object."""
        return source in self.counted or (isinstance(source, s.Computed) and self.scalars.type_of(source) is not None)

    def _holds(self, x: g.Holds) -> None:
        if self.scalars.type_of(x.source) is bool:
            self.scalars.holds(x.source, x.truth)
            return
        self.frame.row("is", 0, self.word(x.source), self.frame.object(x.truth))

    def _fits(self, x: g.FitsInt64) -> None:
        self.integer(x.source)

    def integer(self, source: s.Source) -> int:
        """The word with the 64-bit value of the exact int at `source`."""
        if source in self.counted:
            assert isinstance(source, (s.Next, s.Length))
            return self._length_of(source.base) if isinstance(source, s.Length) else self._range_fields(source.base)[0]
        if isinstance(source, s.Computed) and self.is_number(source):
            return self.scalars.number(source)
        at = self.frame.words()
        self.frame.row("int", at, self.word(source))
        return at

    def _length(self, x: g.LengthIs) -> None:
        self.frame.row("length", 0, self.word(x.source), x.length)

    def _keys(self, x: g.KeysAre) -> None:
        self.frame.row("keys", 0, self.word(x.source), self.frame.object(tuple(x.keys)))

    def _lacks(self, x: g.Lacks) -> None:
        self._need_plain_keys(x.source)
        self.frame.row("lacks", 0, self.word(x.source), self.frame.object(x.key))

    def _grad(self, x: g.GradMode) -> None:
        self.frame.row("grad", 0, 0, gradmode.word(x.enabled, x.casting))


#: other functions that answer what gradmode.get answers; their owner adds them
NATIVE_GETTERS: set[Any] = set()

_ROWS: dict[type, Callable[[GuardRows, Any], object]] = {
    g.TensorLike: GuardRows.like, g.SizesFit: GuardRows._sizes_fit,
    g.TensorIs: GuardRows._tensor_is, g.TypeIs: GuardRows._type_is, g.Is: GuardRows._is, g.Equals: GuardRows._equals,
    g.FitsInt64: GuardRows._fits, g.Holds: GuardRows._holds, g.LengthIs: GuardRows._length, g.KeysAre: GuardRows._keys,
    g.Lacks: GuardRows._lacks, g.GradMode: GuardRows._grad, g.HasNext: GuardRows._has_next,
    g.SameStorage: GuardRows._pattern, g.SameObject: GuardRows._pattern,
}  # fmt: skip


class Loader:
    """Loads a source in Python; where nothing is found the result is this class, which no guard accepts."""

    def __init__(self, source: s.Source) -> None:
        self.source = source

    def __call__(self, *args: Any) -> Any:
        try:
            return self.source.load(args)
        except g.GONE:
            return Loader


def _assign_version(cls: type) -> None:
    """A look-up gives a changed class its new version number; this one finds nothing and so runs nobody's code."""
    with suppress(AttributeError):
        type.__getattribute__(cls, "_fusewire_version")


def _plain(key: Any) -> bool:
    return type(key) in _PLAIN


def _class_attr(cls: type, name: str) -> Any:
    return next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), _MISSING)


def _field(cls: type, name: str) -> int:
    """Byte offset in an instance of `cls` of the plain field behind an attribute; -1 where there is none."""
    if issubclass(cls, FunctionType):
        return layout.function_offsets()["__code__"] if name == "__code__" else -1
    if cls is MethodType:
        return {"__func__": layout.METHOD_FUNCTION, "__self__": layout.METHOD_SELF}.get(name, -1)
    found = _class_attr(cls, name)
    if not isinstance(found, MemberDescriptorType) or _class_attr(cls, "__getattribute__") is not object.__getattribute__:
        return -1
    try:
        return layout.slot_offsets(found.__objclass__).get(found.__name__, -1)
    except (layout.LayoutError, TypeError, AttributeError):
        return -1
