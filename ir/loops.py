"""The kernel IR: loops over axes, loads and stores with index expressions, a scalar body, reductions. Device neutral.

A kernel is run once per point of `grid` (in parallel, in any order); statements define names that are visible below them
in the same block and in nested blocks. Text, verifier and NumPy reference live beside this file and in `backends.reference`.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterable, Iterator
from typing import Union

from .dtypes import DType
from .graph import Where
from .lazyclass import dataclass
from .sizes import Size

#: name -> number of operands. Each back end implements exactly these; ops are expressions over them. Comparisons and
#: logic give bool; `cast` converts to the statement's dtype; `select(c, a, b)`; integer `div` and `mod` truncate toward
#: minus infinity and need a Check for a zero divisor; float `mod` is Python's; `round` is half to even; `minimum` and
#: `maximum` hand NaN on; `philox(key, counter, word)` is one 64-bit word (word 0..3) of Philox4x64-10 as i64 bits.
PRIMITIVES: dict[str, int] = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "mod": 2, "fma": 3, "neg": 1, "abs": 1, "minimum": 2, "maximum": 2,
    "sqrt": 1, "exp": 1, "expm1": 1, "log": 1, "log1p": 1, "sin": 1, "cos": 1, "tanh": 1, "erf": 1, "pow": 2,
    "floor": 1, "ceil": 1, "trunc": 1, "round": 1,
    "eq": 2, "lt": 2, "le": 2, "and": 2, "or": 2, "xor": 2, "not": 1, "shl": 2, "shr": 2,
    "select": 3, "cast": 1, "philox": 3,
}  # fmt: skip

#: Primitives whose result is bool whatever the operands are.
COMPARISONS = frozenset(("eq", "lt", "le"))

#: How accumulators combine; `neutral` is the value that changes nothing.
COMBINES = ("add", "mul", "maximum", "minimum", "and", "or")

#: Bytes to whose multiples temporaries and scratch areas are aligned.
ALIGN = 64


def method_of(prim: str) -> str:
    """What a builder of scalar primitives calls `prim`: Python's keywords get an underscore."""
    return f"{prim}_" if keyword.iskeyword(prim) else prim


def neutral(combine: str, dtype: DType) -> bool | int | float:
    """The value of `dtype` that changes nothing under `combine`."""
    if combine in ("add", "or", "mul"):
        return dtype.np.type(combine == "mul").item()  # type: ignore[no-any-return]
    if combine == "and":
        return -1 if dtype.kind == "i" else (1 << 8 * dtype.itemsize) - 1 if dtype.kind == "u" else True
    least = combine == "maximum"
    if dtype.kind == "f":
        return -math.inf if least else math.inf
    if dtype.kind == "b":
        return not least
    bits, signed = 8 * dtype.itemsize, dtype.kind == "i"
    return (-(1 << bits - 1) if signed else 0) if least else (1 << bits - signed) - 1


@dataclass(frozen=True, slots=True)
class Axis:
    """One loop: `name` is a symbol of index expressions, running from 0 to `extent` - 1."""

    name: str
    extent: Size


@dataclass(frozen=True, slots=True)
class Buffer:
    """One pointer argument. `size`: number of elements that may be reached from it. `access`: "r", "w" or "rw"."""

    name: str
    dtype: DType
    size: Size
    access: str


@dataclass(frozen=True, slots=True)
class Scratch:
    """Memory private to one grid point (a row kept between two loops of the same kernel); `size` in elements."""

    name: str
    dtype: DType
    size: Size


@dataclass(frozen=True, slots=True)
class ScalarParam:
    """One weak scalar argument, passed as 8 bytes: f64 for "float", i64 for "int" and "bool"."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Load:
    """``dest = buffer[index]`` (buffer or scratch); with `mask`, zero where that bool name is false (nothing is read)."""

    dest: str
    buffer: str
    index: Size
    mask: str | None = None


@dataclass(frozen=True, slots=True)
class LoadAt:
    """``dest = buffer[index + at * stride]`` with `at` an i64 name that a Check has bounded."""

    dest: str
    buffer: str
    index: Size
    at: str
    stride: Size
    mask: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """``dest = value`` as i64: an index or size expression used as data."""

    dest: str
    value: Size


@dataclass(frozen=True, slots=True)
class Const:
    """A literal of the given dtype."""

    dest: str
    value: bool | int | float
    dtype: DType


@dataclass(frozen=True, slots=True)
class Param:
    """The value of a scalar parameter, converted to `dtype`."""

    dest: str
    param: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Compute:
    """``dest = prim(args)`` in `dtype` (f16 and bf16 appear only as operand or result of `cast`). For comparisons the
    operands share one dtype and `dtype` is bool."""

    dest: str
    prim: str
    args: tuple[str, ...]
    dtype: DType
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """``buffer[index] = value`` (buffer or scratch; dtypes equal)."""

    buffer: str
    index: Size
    value: str


@dataclass(frozen=True, slots=True)
class StoreAt:
    """``buffer[index + at * stride] = value`` with `at` an i64 name that a Check has bounded; with `combine`, what is there is
    combined with `value` as an accumulator is. Only iterations of a serial Loop may reach one element twice."""

    buffer: str
    index: Size
    at: str
    stride: Size
    value: str
    combine: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Where the bool name `ok` is false the kernel returns status `error` + 1 (index into Kernel.errors)."""

    ok: str
    error: int


@dataclass(frozen=True, slots=True)
class Loop:
    """``for axis: body``; iterations are independent of one another, or run in order where `serial`."""

    axis: Axis
    body: tuple[Stmt, ...]
    serial: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """In a serial Loop: ``dest`` is the `combine` of `value` over the iterations so far, this one included."""

    dest: str
    combine: str
    value: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Acc:
    """After a Reduce, `dest` is the `combine` of `value` over all iterations (the neutral element where there are none)."""

    dest: str
    combine: str
    value: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Reduce:
    """Loop over `axes` (the last innermost), accumulating. Names of the body are not visible after it; `accs` are."""

    axes: tuple[Axis, ...]
    body: tuple[Stmt, ...]
    accs: tuple[Acc, ...]


def beginning(acc: Acc | Running) -> bool | int | float:
    """What an accumulator holds before the first iteration: a running sum -0.0, which leaves the sign of a first zero alone."""
    if isinstance(acc, Running) and acc.combine == "add" and acc.dtype.kind == "f":
        return -0.0
    return neutral(acc.combine, acc.dtype)


Stmt = Union[Load, LoadAt, Index, Const, Param, Compute, Store, StoreAt, Check, Running, Loop, Reduce]


def walk(body: Iterable[Stmt]) -> Iterator[Stmt]:
    """All statements, nested ones included, in order."""
    for st in body:
        yield st
        if isinstance(st, (Loop, Reduce)):
            yield from walk(st.body)


def sizes_of(st: Stmt) -> tuple[Size, ...]:
    """The index expressions and extents of one statement itself."""
    if isinstance(st, (Load, Store)):
        return (st.index,)
    if isinstance(st, (LoadAt, StoreAt)):
        return (st.index, st.stride)
    if isinstance(st, Index):
        return (st.value,)
    if isinstance(st, Loop):
        return (st.axis.extent,)
    return tuple(a.extent for a in st.axes) if isinstance(st, Reduce) else ()


@dataclass(frozen=True, slots=True)
class KernelError:
    """What a nonzero status stands for: raised as `kind` with `message`, unless replaying the graph eagerly raises first."""

    op: str
    kind: type[BaseException]
    message: str
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Kernel:
    """ABI: ``i32 kernel(ptr args, ptr sizes, ptr scalars, ptr scratch, i64 thread, i64 threads)``: `args` points to one
    pointer per buffer, `sizes` to one i64 per symbol, `scalars` to 8 bytes per parameter, `scratch` to one thread's scratch
    (all Scratch areas in order, each at a multiple of 64 bytes). Zero: done; n: errors[n - 1].

    `parts`: kernels that run in its place, at the same time or in any order (`ir.together`; GPUs have them only). It then has all
    that they are given, by the same names, and neither grid nor body of its own."""

    name: str
    buffers: tuple[Buffer, ...]
    sizes: tuple[str, ...]
    scalars: tuple[ScalarParam, ...]
    grid: tuple[Axis, ...]
    body: tuple[Stmt, ...]
    errors: tuple[KernelError, ...] = ()
    scratch: tuple[Scratch, ...] = ()
    parts: tuple[Kernel, ...] = ()

    @property
    def memory(self) -> tuple[Buffer | Scratch, ...]:
        """What loads and stores name: the buffers, then the scratch areas."""
        return (*self.buffers, *self.scratch)

    def __str__(self) -> str:
        from .loops_text import print_kernel

        return print_kernel(self)
