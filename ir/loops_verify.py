"""Checks every invariant of a kernel. A VerifyError is a defect of the schedule, never of the user's program.

Names: each is defined once, before its use, in a block that encloses the use. Dtypes: each primitive gets the operands it
takes; f16 and bf16 appear at casts, loads, stores and selects of stored values only around a cast. Indices: all symbols are
axes in scope or sizes of the kernel, and bounds that can be decided lie inside the buffer. Stores: to "w" and "rw" buffers
and scratch, never certainly twice to one place. Checks name an error of the kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import field

from ..errors import VerifyError
from . import dtypes, sizes
from .dtypes import DType
from .lazyclass import dataclass
from .loops import (
    COMBINES,
    COMPARISONS,
    PRIMITIVES,
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
)  # fmt: skip
from .loops_text import stmt_text
from .schedule_index import affine
from .sizes import Size

FLOATING_ONLY = frozenset(
    ("fma", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf", "floor", "ceil", "trunc", "round")
)
LOGIC = frozenset(("and", "or", "xor", "not"))
SHIFTS = frozenset(("shl", "shr"))
SCALAR_KINDS = ("bool", "int", "float")


def verify_kernel(kernel: Kernel) -> None:
    """VerifyError with the reason and the statement where `kernel` breaks an invariant."""
    _Checker(kernel).check()
    for part in kernel.parts:
        verify_kernel(part)
    if kernel.parts:
        _check_parts(kernel)


def _check_parts(kernel: Kernel) -> None:
    """VerifyError where parts are given other things than the whole, or where one writes what another one touches."""
    whole = _Checker(kernel)
    whole.need(not (kernel.grid or kernel.body or kernel.scratch or kernel.errors), "parts beside statements of its own")
    types = {b.name: (b.dtype, b.size) for b in kernel.buffers}
    users = Counter(b.name for part in kernel.parts for b in part.buffers)
    for part in kernel.parts:
        whole.need(not part.parts, f"part {part.name} has parts")
        given = all(types.get(b.name) == (b.dtype, b.size) for b in part.buffers)
        whole.need(given, f"part {part.name} has other buffers")
        whole.need({*part.sizes} <= {*kernel.sizes}, f"part {part.name} has other sizes")
        whole.need({*part.scalars} <= {*kernel.scalars}, f"part {part.name} has other scalars")
        shared = [b.name for b in part.buffers if b.access != "r" and users[b.name] > 1]
        whole.need(not shared, f"part {part.name} writes {', '.join(shared)}, which another part touches")


@dataclass(slots=True)
class _Checker:
    kernel: Kernel
    names: dict[str, DType] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)
    axes: dict[str, Axis] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
    serial: set[str] = field(default_factory=set)
    at: Stmt | None = None

    def fail(self, reason: str) -> VerifyError:
        place = f"\n  in: {stmt_text(self.at)}" if self.at is not None else ""
        return VerifyError(f"kernel {self.kernel.name}: {reason}{place}")

    def need(self, holds: bool, reason: str) -> None:
        if not holds:
            raise self.fail(reason)

    def check(self) -> None:
        k = self.kernel
        memory = [b.name for b in k.buffers] + [s.name for s in k.scratch]
        self.need(len(set(memory)) == len(memory), f"two buffers of one name among {memory}")
        self.need(len(set(k.sizes)) == len(k.sizes), f"two sizes of one name among {k.sizes}")
        for b in k.buffers:
            self.need(b.access in ("r", "w", "rw"), f"buffer {b.name} has access {b.access!r}")
            self.known([b.size], f"the size of buffer {b.name}")
        for s in k.scratch:
            self.known([s.size], f"the size of scratch {s.name}")
        for p in k.scalars:
            self.need(p.kind in SCALAR_KINDS, f"scalar {p.name} is of kind {p.kind!r}")
        for axis in k.grid:
            self.open(axis)
        self.block(k.body)

    def known(self, found: Iterable[Size], what: str) -> None:
        symbols = {s for size in found for s in sizes.symbols_of(size)}
        lost = sorted(symbols - set(self.axes) - set(self.kernel.sizes))
        self.need(not lost, f"{what} uses {', '.join(lost)}: neither a loop axis in scope nor a size of the kernel")

    def open(self, axis: Axis) -> None:
        self.need(axis.name not in self.axes, f"axis {axis.name} is open already")
        self.need(axis.name not in self.kernel.sizes, f"axis {axis.name} has the name of a size")
        self.known([axis.extent], f"the extent of axis {axis.name}")
        depends = set(sizes.symbols_of(axis.extent)) & set(self.axes)
        self.need(not depends, f"the extent of axis {axis.name} depends on an axis")
        self.axes[axis.name] = axis

    def block(self, body: tuple[Stmt, ...]) -> None:
        for st in body:
            self.at = st
            if isinstance(st, (Loop, Reduce)):
                self.nest(st)
            elif isinstance(st, (Store, StoreAt)):
                self.store(st)
            elif isinstance(st, Check):
                self.need(self.use(st.ok) is dtypes.bool_, f"{st.ok} is checked but is no bool")
                self.need(0 <= st.error < len(self.kernel.errors), f"there is no error {st.error}")
            else:
                self.define(st.dest, self.value(st))

    def nest(self, st: Loop | Reduce) -> None:
        outer = dict(self.names)
        axes = (st.axis,) if isinstance(st, Loop) else st.axes
        self.need(bool(axes), "a reduction over no axis")
        for axis in axes:
            self.open(axis)
        self.serial |= {axis.name for axis in axes if isinstance(st, Loop) and st.serial}
        self.block(st.body)
        self.at = st
        found: dict[str, DType] = {}
        for acc in st.accs if isinstance(st, Reduce) else ():
            self.need(acc.combine in COMBINES, f"unknown combine {acc.combine!r}")
            self.need(self.use(acc.value) is acc.dtype, f"{acc.value} is accumulated as {acc.dtype.short}")
            self.need(not acc.dtype.is_half, f"accumulation in {acc.dtype.short}")
            self.need((acc.combine in ("and", "or")) <= (acc.dtype.kind == "b"), f"combine {acc.combine} of {acc.dtype.short}")
            found[acc.dest] = acc.dtype
        for axis in axes:
            del self.axes[axis.name]
        self.names = outer
        for dest, dtype in found.items():
            self.define(dest, dtype)

    def define(self, name: str, dtype: DType) -> None:
        self.need(name not in self.defined, f"{name} is defined twice")
        self.defined.add(name)
        self.names[name] = dtype

    def use(self, name: str) -> DType:
        if name not in self.names:
            raise self.fail(f"{name} is {'not visible here' if name in self.defined else 'used before it is defined'}")
        return self.names[name]

    def memory(self, name: str) -> tuple[DType, Size, str]:
        for b in self.kernel.buffers:
            if b.name == name:
                return b.dtype, b.size, b.access
        for s in self.kernel.scratch:
            if s.name == name:
                return s.dtype, s.size, "rw"
        raise self.fail(f"there is no buffer {name}")

    def value(self, st: Stmt) -> DType:
        if isinstance(st, (Load, LoadAt)):
            return self.load(st)
        if isinstance(st, Index):
            self.known([st.value], "the index value")
            return dtypes.int64
        if isinstance(st, Const):
            kind = {"b": bool, "f": float}.get(st.dtype.kind, int)
            self.need(type(st.value) is kind, f"literal {st.value!r} is no {st.dtype.short}")
            self.need(not st.dtype.is_half, f"a literal of {st.dtype.short}")
            return st.dtype
        if isinstance(st, Param):
            self.need(any(p.name == st.param for p in self.kernel.scalars), f"there is no scalar {st.param}")
            self.need(not st.dtype.is_half, f"a scalar as {st.dtype.short}")
            return st.dtype
        if isinstance(st, Running):
            self.need(bool(self.axes) and list(self.axes)[-1] in self.serial, "a running total outside of a serial loop")
            self.need(st.combine in COMBINES, f"unknown combine {st.combine!r}")
            self.need(self.use(st.value) is st.dtype, f"{st.value} is accumulated as {st.dtype.short}")
            self.need(not st.dtype.is_half, f"accumulation in {st.dtype.short}")
            return st.dtype
        assert isinstance(st, Compute)
        self.primitive(st)
        return st.dtype

    def load(self, st: Load | LoadAt) -> DType:
        dtype, size, access = self.memory(st.buffer)
        self.need(access != "w", f"buffer {st.buffer} is only written")
        self.known([st.index] + ([st.stride] if isinstance(st, LoadAt) else []), "the index")
        if st.mask is not None:
            self.need(self.use(st.mask) is dtypes.bool_, f"mask {st.mask} is no bool")
        if isinstance(st, LoadAt):
            self.need(self.use(st.at) is dtypes.int64, f"position {st.at} is no i64")
        elif st.mask is None:
            self.inside(st.index, size, st.buffer)
        return dtype

    def inside(self, index: Size, size: Size, buffer: str) -> None:
        """Where the bounds are decided, they lie in the buffer; loops of no iteration reach nothing."""
        if any(axis.extent == 0 for axis in self.axes.values()):
            return
        low, high = sizes.bounds(index)
        self.need(low is None or low >= 0 or self.negative(index), f"index {index} may reach {low} of {buffer}")
        top = sizes.bounds(size)[1]
        fits = high is None or top is None or high < top or sizes.bounds(size - sizes.upper(index))[0] in range(1, top + 1)
        self.need(fits, f"index {index} may reach {high} of {buffer}, which has {size} elements")

    def negative(self, index: Size) -> bool:
        """Whether the lower bound is only a loose one: axes with opposite signs may cancel."""
        return affine(index, sorted(self.axes)) is None

    def store(self, st: Store | StoreAt) -> None:
        dtype, size, access = self.memory(st.buffer)
        self.need(access != "r", f"buffer {st.buffer} is only read")
        self.known([st.index], "the index")
        self.need(self.use(st.value) is dtype, f"{self.names.get(st.value)} stored in {st.buffer} of {dtype.short}")
        if isinstance(st, StoreAt):
            self.known([st.stride], "the stride")
            self.need(self.use(st.at) is dtypes.int64, f"position {st.at} is no i64")
            self.need(st.combine is None or st.combine in COMBINES, f"unknown combine {st.combine!r}")
            self.need(st.combine is None or access == "rw", f"buffer {st.buffer} is combined with and has access {access!r}")
            self.need(st.combine is None or not dtype.is_half, f"accumulation in {dtype.short}")
        else:
            self.inside(st.index, size, st.buffer)
        if all(s.name != st.buffer for s in self.kernel.scratch):
            self.apart(st)

    def apart(self, st: Store | StoreAt) -> None:
        """No two grid points or iterations certainly store to the same element: an axis that the index lacks would,
        unless it runs in order."""
        used = set(sizes.symbols_of(st.index))
        for axis in self.axes.values():
            single = axis.extent == 1 or axis.extent == 0 or axis.name in self.serial
            self.need(axis.name in used or single, f"every point of axis {axis.name} stores to the same element of {st.buffer}")

    def primitive(self, st: Compute) -> None:
        self.need(st.prim in PRIMITIVES, f"unknown primitive {st.prim!r}")
        self.need(len(st.args) == PRIMITIVES[st.prim], f"{st.prim} takes {PRIMITIVES[st.prim]} operands, not {len(st.args)}")
        args = [self.use(a) for a in st.args]
        if st.prim == "cast":
            self.need(args[0] is not st.dtype, "a cast to the same dtype")
            halves = [d for d in (args[0], st.dtype) if d.is_half]
            self.need(not halves or dtypes.float32 in (args[0], st.dtype), "half types are cast from and to f32 only")
            return
        if st.prim == "select":
            self.need(args[0] is dtypes.bool_, f"select's condition {st.args[0]} is no bool")
            args = args[1:]
        elif any(d.is_half for d in (*args, st.dtype)):
            raise self.fail(f"{st.prim} in a half type: only cast, load, store and select take f16 and bf16")
        self.need(len(set(args)) == 1, f"operands of {st.prim} differ: {', '.join(d.short for d in args)}")
        want = dtypes.bool_ if st.prim in COMPARISONS else args[0]
        self.need(st.dtype is want, f"{st.prim} of {args[0].short} gives {want.short}, not {st.dtype.short}")
        kinds = "f" if st.prim in FLOATING_ONLY else "bui" if st.prim in LOGIC else "ui" if st.prim in SHIFTS else "buif"
        kinds = "i" if st.prim == "philox" else kinds
        self.need(args[0].kind in kinds, f"{st.prim} is not defined for {args[0].short}")
