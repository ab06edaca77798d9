"""Runs kernel IR on NumPy arrays: what a Kernel means, the oracle of every code generator. Slow by design of its simplicity.

All loops run at once: a name's value is an array with one dimension per open axis (size 1 where it does not depend on it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir import sizes
from ..ir.loops import (
    Axis,
    Check,
    Compute,
    Const,
    Index,
    Kernel,
    Load,
    LoadAt,
    Loop,
    Param,
    Reduce,
    Running,
    Stmt,
    Store,
    StoreAt,
    method_of,
    neutral,
)  # fmt: skip
from ..ir.scalar_numpy import NumpyScalars
from ..ir.sizes import Call, Expr, Size, Symbol

Array = np.ndarray[Any, Any]


def run_kernel(kernel: Kernel, buffers: Sequence[Array], values: Mapping[str, int], scalars: Sequence[Any]) -> int:
    """Run `kernel` on flat arrays (one per buffer argument), values of its size symbols, and its scalar arguments.
    Returns the status: 0, or 1 + the number of the error whose Check failed first."""
    if kernel.parts:
        return _run_parts(kernel, buffers, values, scalars)
    run = _Run(kernel, dict(values), dict(zip([p.name for p in kernel.scalars], scalars, strict=True)))
    run.memory = {b.name: a for b, a in zip(kernel.buffers, buffers, strict=True)}
    extents = [sizes.evaluate(a.extent, values) for a in kernel.grid]
    run.axes = [a.name for a in kernel.grid]
    run.extents = extents
    run.lengths = {s.name: (sizes.evaluate(s.size, values), s.dtype.np) for s in kernel.scratch}
    with np.errstate(all="ignore"):
        try:
            run.body(kernel.body)
        except _Failed as failed:
            return failed.status
    return 0


def _run_parts(kernel: Kernel, buffers: Sequence[Array], values: Mapping[str, int], scalars: Sequence[Any]) -> int:
    memory = {b.name: a for b, a in zip(kernel.buffers, buffers, strict=True)}
    given = {p.name: x for p, x in zip(kernel.scalars, scalars, strict=True)}
    for part in kernel.parts:
        numbers = {name: values[name] for name in part.sizes}
        run_kernel(part, [memory[b.name] for b in part.buffers], numbers, [given[p.name] for p in part.scalars])
    return 0


COMBINE: Mapping[str, Any] = {
    "add": np.add, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum, "and": np.logical_and, "or": np.logical_or,
}  # fmt: skip


class _Failed(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(slots=True)
class _Run:
    kernel: Kernel
    values: dict[str, int]
    scalars: dict[str, Any]
    memory: dict[str, Array] = field(default_factory=dict)
    lengths: dict[str, tuple[int, Any]] = field(default_factory=dict)  # of scratch rows, with their dtypes
    rows: dict[str, tuple[tuple[str, ...], Array]] = field(default_factory=dict)  # the axes with a row for each point, the rows
    env: dict[str, Array] = field(default_factory=dict)
    axes: list[str] = field(default_factory=list)
    extents: list[int] = field(default_factory=list)

    def body(self, body: Sequence[Stmt]) -> None:
        for st in body:
            if isinstance(st, Loop):
                self._inside((st.axis,), st.body)
            elif isinstance(st, Reduce):
                self._reduce(st)
            elif isinstance(st, Store):
                self._store(st)
            elif isinstance(st, StoreAt):
                self._store_at(st)
            elif isinstance(st, Check):
                if not np.all(np.broadcast_to(self._full(st.ok), self.extents)):
                    raise _Failed(st.error + 1)
            else:
                self.env[st.dest] = self._value(st)

    def _inside(self, axes: Sequence[Axis], body: Sequence[Stmt]) -> None:
        count = len(axes)
        for a in axes:
            self.axes.append(a.name)
            self.extents.append(sizes.evaluate(a.extent, self.values))
        self.body(body)
        del self.axes[-count:], self.extents[-count:]

    def _reduce(self, st: Reduce) -> None:
        count = len(st.axes)
        inner = [sizes.evaluate(a.extent, self.values) for a in st.axes]
        self._inside(st.axes, st.body)
        outer = len(self.axes)
        for acc in st.accs:
            dtype = acc.dtype.np
            x = self.env[acc.value]
            x = x.reshape(x.shape + (1,) * (outer + count - x.ndim))
            x = np.broadcast_to(x, (*self.extents, *inner)).reshape(*self.extents, int(np.prod(inner, dtype=np.int64)))
            start = neutral(acc.combine, acc.dtype)
            made = COMBINE[acc.combine].reduce(np.ascontiguousarray(x), axis=-1, dtype=dtype, initial=start)
            self.env[acc.dest] = np.asarray(made, dtype)

    def _full(self, name: str) -> Array:
        """A name's value with one dimension per open axis."""
        x = self.env[name]
        return x.reshape(x.shape + (1,) * (len(self.axes) - x.ndim))

    def _size(self, size: Size) -> Array:
        """An index expression at all points of the open axes."""
        if isinstance(size, int):
            return np.asarray(size, np.int64).reshape((1,) * len(self.axes))
        assert isinstance(size, Expr)
        total = np.zeros((1,) * len(self.axes), np.int64)
        for mono, k in size.terms:
            term = np.asarray(k, np.int64)
            for atom, power in mono:
                term = term * self._atom(atom) ** power
            total = total + term
        return total

    def _atom(self, atom: Symbol | Call) -> Array:
        if isinstance(atom, Symbol):
            if atom.name not in self.axes:
                return np.asarray(self.values[atom.name], np.int64)
            at = self.axes.index(atom.name)
            shape = [1] * len(self.axes)
            shape[at] = self.extents[at]
            return np.arange(self.extents[at], dtype=np.int64).reshape(shape)
        a, b = self._size(atom.a), self._size(atom.b)
        fn = {"floordiv": np.floor_divide, "mod": np.remainder, "min": np.minimum, "max": np.maximum}[atom.fn]
        return np.asarray(fn(a, b))

    def _value(self, st: Stmt) -> Array:
        if isinstance(st, (Load, LoadAt)):
            return self._load(st)
        ones = (1,) * len(self.axes)
        if isinstance(st, Index):
            return self._size(st.value)
        if isinstance(st, Const):
            return np.asarray(st.value).astype(st.dtype.np).reshape(ones)
        if isinstance(st, Param):
            return np.asarray(self.scalars[st.param]).astype(st.dtype.np).reshape(ones)
        if isinstance(st, Running):
            x = np.broadcast_to(self._full(st.value), self.extents)
            return np.asarray(COMBINE[st.combine].accumulate(x, axis=-1, dtype=st.dtype.np))
        assert isinstance(st, Compute)
        s = NumpyScalars((), st.dtype.compute)
        args = [self._full(a) for a in st.args]
        if st.prim == "cast":
            return np.asarray(s.cast(args[0], st.dtype))
        out = getattr(s, method_of(st.prim))(*args)
        if out.dtype != st.dtype.np:
            raise TypeError(f"{self.kernel.name}: {st} gives {out.dtype}")
        return np.asarray(out)

    def _load(self, st: Load | LoadAt) -> Array:
        at = self._size(st.index)
        if isinstance(st, LoadAt):
            at = at + self._full(st.at) * self._size(st.stride)
        keep = self._full(st.mask) if st.mask else None
        if keep is not None:
            at = np.where(keep, at, 0)
        out = self._read(st.buffer, at, keep)
        return out if keep is None else np.where(keep, out, np.zeros((), out.dtype)).astype(out.dtype)

    def _read(self, buffer: str, at: Array, keep: Array | None) -> Array:
        if buffer in self.rows:
            axes, rows = self.rows[buffer]
            return np.asarray(rows[(*self._points(axes), at)])
        memory = self.memory[buffer]
        if not memory.size:
            return np.zeros(at.shape, memory.dtype)
        if at.size and not (at.min() >= 0 and at.max() < memory.size):
            raise IndexError(f"{self.kernel.name}: load of {buffer} reaches {at.min()}..{at.max()} of {memory.size} elements")
        return np.asarray(memory[at])

    def _points(self, axes: Sequence[str]) -> tuple[Array, ...]:
        """Index arrays of some open axes, to find the row of each point."""
        return tuple(self._atom(Symbol(name)) for name in axes)

    def _row(self, st: Store) -> tuple[tuple[str, ...], Array]:
        """The rows that a store fills, one for each point of the open axes that do not run along it."""
        along = set(sizes.symbols_of(st.index))
        axes = tuple(name for name in self.axes if name not in along)
        if st.buffer not in self.rows or self.rows[st.buffer][0] != axes:
            length, dtype = self.lengths[st.buffer]
            extents = [self.extents[self.axes.index(name)] for name in axes]
            self.rows[st.buffer] = axes, np.zeros((*extents, length), dtype)
        return self.rows[st.buffer]

    def _store(self, st: Store) -> None:
        at = np.broadcast_to(self._size(st.index), self.extents)
        value = np.broadcast_to(self._full(st.value), self.extents)
        if st.buffer in self.lengths:
            axes, rows = self._row(st)
            rows[(*self._points(axes), at)] = value
            return
        if not at.size:
            return
        memory = self.memory[st.buffer]
        if not (at.min() >= 0 and at.max() < memory.size):
            raise IndexError(f"{self.kernel.name}: store to {st.buffer} reaches {at.min()}..{at.max()} of {memory.size} elements")
        if value.dtype != memory.dtype:
            raise TypeError(f"{self.kernel.name}: {value.dtype} stored in {st.buffer} of {memory.dtype}")
        memory[at] = value

    def _store_at(self, st: StoreAt) -> None:
        """All points in the order of the loops, the innermost fastest: those of a serial loop that share an element in order."""
        at = self._size(st.index) + self._full(st.at) * self._size(st.stride)
        at = np.broadcast_to(at, self.extents).reshape(-1)
        value = np.broadcast_to(self._full(st.value), self.extents).reshape(-1)
        memory = self.memory[st.buffer]
        if at.size and not (at.min() >= 0 and at.max() < memory.size):
            raise IndexError(f"{self.kernel.name}: store to {st.buffer} reaches {at.min()}..{at.max()} of {memory.size} elements")
        if value.dtype != memory.dtype:
            raise TypeError(f"{self.kernel.name}: {value.dtype} stored in {st.buffer} of {memory.dtype}")
        if st.combine is None:
            memory[at] = value
        else:
            COMBINE[st.combine].at(memory, at, value)
