"""Which sizes of what comes from outside a capture leaves open: those that differed between calls, or that the user marked.

    policy = Policy(dynamic)             one for each compiled function; `dynamic` as in `compile`
    policy.learn(guards, args)           a call that these guards of a variant refused
    mark_dynamic(t, dim), mark_static(t) what the user knows

Parameters of models keep constant sizes unless they are marked. Knows no graph.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from typing import Any

from .. import knobs
from ..eager.tensor import Tensor
from ..ir.types import TensorType
from ..runtime.guard import GONE, ClassAttrIs, Equals, Guard, SizesFit, TensorIs, TensorLike
from ..runtime.source import Source
from .symbols import SizeInt, Symbols, raw

_LARGEST = 2**61


class _Marks:
    """Dimensions by Tensor, for as long as it lives. (Tensors compare element by element: they are no keys.)"""

    def __init__(self) -> None:
        self.found: dict[int, tuple[Any, set[int] | None]] = {}

    def of(self, t: Any) -> set[int] | None:
        found = self.found.get(id(t))
        return found[1] if found is not None and found[0]() is t else set()

    def put(self, t: Any, dims: set[int] | None) -> None:
        key = id(t)
        self.found[key] = weakref.ref(t, lambda _: self.found.pop(key, None)), dims


_marked, _fixed = _Marks(), _Marks()


def mark_dynamic(t: Tensor, dim: int | Sequence[int]) -> None:
    """Say that the size of `t` along `dim` (one or several) changes from call to call, before the first. IndexError where there
    is no such dimension."""
    _marked.put(t, (_marked.of(t) or set()) | _dims(t, dim))


def mark_static(t: Tensor, dim: int | Sequence[int] | None = None) -> None:
    """Say that the size of `t` along `dim` (one, several or None: all) is a constant: another value compiles anew."""
    _fixed.put(t, None if dim is None else (_fixed.of(t) or set()) | _dims(t, dim))


def _is_parameter(value: Any) -> bool:
    """Whether `value` is a Parameter, none of which there is before its class is loaded."""
    loaded = sys.modules.get(f"{__name__.split('.')[0]}.nn.parameter")
    return loaded is not None and isinstance(value, loaded.Parameter)


def _dims(t: Tensor, dim: int | Sequence[int]) -> set[int]:
    given = (dim,) if isinstance(dim, int) else tuple(dim)
    for d in given:
        if not -t.ndim <= d < t.ndim:
            raise IndexError(f"dimension {d} of a tensor of shape {list(t.shape)}, which has {t.ndim}")
    return {d % t.ndim for d in given}


class Policy:
    """What one compiled function leaves open."""

    def __init__(self, dynamic: bool | None = None, breaks: bool = True) -> None:
        """`breaks`: whether the graph may break where a number that keeps changing would have to be a constant."""
        self.dynamic, self.breaks = dynamic, breaks
        self.compiles = True  # whether a back end of ours builds the graph: others run it op by op
        self.constants: dict[Any, set[int | float]] = {}  # by source, or (source, rank, dimension): what it was compiled as
        self.restless: set[Any] = set()  # those that are compiled as no further constant
        self.generic = False  # all sizes are open
        self.in_text: set[Source] = set()  # numbers whose text the program itself needs: they are constants there
        self.dims: dict[tuple[Source, int], set[int]] = {}  # by source and rank
        self.strides: dict[tuple[Source, int], set[int]] = {}
        self.numbers: set[Source] = set()
        self.class_numbers: set[tuple[type, str]] = set()  # attributes of classes that have changed

    # -- learning ----------------------------------------------------------------------------------------------------

    def learn(self, guards: Sequence[Guard], args: Sequence[Any]) -> None:
        """Note the sizes and ints that differ from those that the guards of a variant expect."""
        if self.dynamic is False:
            return
        for guard in guards:
            try:
                self._learn(guard, args)
            except GONE:
                continue

    def _learn(self, guard: Guard, args: Sequence[Any]) -> None:
        if isinstance(guard, Equals) and type(guard.value) in (int, float):
            value = guard.source.load(args)
            if type(value) is type(guard.value) and value != guard.value:
                self._was(guard.source, guard.value)
                if type(value) is int:
                    self.numbers.add(guard.source)
        elif isinstance(guard, ClassAttrIs) and type(guard.value) in (int, float):
            if type(getattr(guard.cls, guard.name)) is type(guard.value) and getattr(guard.cls, guard.name) != guard.value:
                self.class_numbers.add((guard.cls, guard.name))
        elif isinstance(guard, (TensorIs, TensorLike)):
            found = guard.source.load(args)
            if isinstance(found, Tensor):
                expected = guard.meta.type if isinstance(guard, TensorIs) else guard.type
                self._compare(guard.source, expected, found.meta)
        elif isinstance(guard, SizesFit):
            self.numbers.update(source for source, _ in guard.numbers)
            for source, size in guard.numbers:
                if isinstance(size, int) and source.load(args) != size:
                    self._was(source, size)

    def _was(self, what: Any, value: int | float) -> None:
        """A source, or a dimension of one, was compiled as this constant, and is another number now."""
        found = self.constants.setdefault(what, set())
        found.add(value)
        if self.breaks and len(found) >= knobs.constant_limit:
            self.restless.add(what)

    def keeps_changing(self, what: Any) -> bool:
        """Whether a source, or (source, rank, dimension), is to be compiled as no further constant."""
        return what in self.restless or (self.breaks and knobs.constant_limit == 0)

    def history(self) -> str:
        """What has been too many constants, for a message."""
        texts = []
        for what in self.restless:
            source, dim = (what[0], f".shape[{what[2]}]") if isinstance(what, tuple) else (what, "")
            values = ", ".join(map(repr, sorted(self.constants.get(what, ()))))
            texts.append(f"{source.expr()}{dim} = {values}")
        return "; ".join(sorted(texts))

    def generalise(self) -> None:
        """Too many variants: all sizes are open from here on, and no number that has changed is a constant again."""
        self.generic = True
        self.restless |= self.constants.keys() if self.breaks else set()

    def _compare(self, source: Source, expected: TensorType, found: Any) -> None:
        if len(expected.shape) != len(found.shape):
            return
        for known, old, new in ((self.dims, expected.shape, found.shape), (self.strides, expected.strides, found.strides)):
            differ = {d for d, (a, b) in enumerate(zip(old, new, strict=True)) if not isinstance(a, int) or a != b}
            for d in differ & known.get((source, len(old)), set()) if known is self.dims else ():
                constant = old[d]
                if isinstance(constant, int):
                    self._was((source, len(old), d), constant)
            if differ:
                known.setdefault((source, len(old)), set()).update(differ)

    # -- asking ------------------------------------------------------------------------------------------------------

    def is_size(self, value: Any, source: Source) -> bool:
        """Whether an int from outside is a size from the start."""
        return type(value) is int and source in self.numbers and 2 <= value < _LARGEST

    def open_dims(self, value: Any, source: Source) -> set[int]:
        """The dimensions of a Tensor from outside whose sizes stay open."""
        marked, fixed = _marked.of(value), _fixed.of(value)
        if self.dynamic is False or fixed is None:
            return set()
        found = set(marked or ())
        if not _is_parameter(value):
            found |= set(range(value.ndim)) if self.dynamic or self.generic else self.dims.get((source, value.ndim), set())
        return {d for d in found - fixed if value.meta.shape[d] > 1}

    def type_of(self, value: Any, source: Source, symbols: Symbols) -> TensorType | None:
        """The type of a Tensor from outside, with a `SizeInt` for each size that stays open; None where all are fixed."""
        meta, dims = value.meta, self.open_dims(value, source)
        strided = self.strides.get((source, len(meta.shape)), set()) if self.dynamic is not False else set()
        if 0 in meta.shape or not (dims or strided):
            return None
        shape = tuple([symbols.fresh(n, place=d) if d in dims else n for d, n in enumerate(meta.shape)])
        symbols.restless |= {str(shape[d].size) for d in dims if self.keeps_changing((source, len(shape), d))}
        strides = _strides(shape, meta.strides, strided, symbols)
        if not any(isinstance(n, SizeInt) for n in (*shape, *strides)):
            return None
        return TensorType(shape, meta.dtype, strides)


def _strides(shape: tuple[Any, ...], strides: tuple[int, ...], open_: set[int], symbols: Symbols) -> tuple[Any, ...]:
    """Strides as products of sizes where the memory is dense in some order of the dimensions, or in part of it; else those that
    have differed before are symbols, and the others constants."""
    out: list[Any] = list(strides)
    order = sorted(range(len(shape)), key=lambda d: (strides[d], -d))
    step: Any = 1
    for d in order:
        if strides[d] == 0 or (raw(shape[d]) == 1 and not isinstance(shape[d], SizeInt) and strides[d] != raw(step)):
            continue
        if strides[d] != raw(step):
            step = symbols.fresh(strides[d]) if d in open_ else strides[d]
        out[d] = step
        step = step * shape[d]
    return tuple(out)
