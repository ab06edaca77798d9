"""The builder of scalar primitives that turns an op's scalar expression into kernel statements. One instance per op call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DivisionError
from . import dtypes
from .dtypes import DType
from .loops import COMPARISONS, PRIMITIVES, Compute, Const, Stmt, method_of
from .op import Op
from .promote import wrapped
from .scalar_numpy import compute_dtype as scalar_dtype
from .sizes import Size
from .types import contiguous_strides


def compute_dtype(dtype: DType) -> DType:
    """The dtype arithmetic is done in: float32 for the half types."""
    return dtypes.BY_NUMPY[dtype.compute]


#: ``(name of a bool, message, kind)``: where the bool is false the kernel ends with that error.
Require = Callable[[str, str, type[BaseException]], None]


class Block:
    """A list of statements under construction with the names visible in it. `axes`: the loop axes open here and outside."""

    def __init__(self, parent: Block | None, axes: frozenset[str]) -> None:
        self.parent, self.axes = parent, axes
        self.out: list[Stmt] = []
        self.memo: dict[Any, Any] = {}

    def find(self, key: Any) -> Any:
        """What is known under `key` here or in an enclosing block; None where nothing is."""
        block: Block | None = self
        while block is not None:
            if key in block.memo:
                return block.memo[key]
            block = block.parent
        return None


class Names:
    """Fresh names of one kernel, the dtype of each, the value of literals, and what each costs to compute again: (slow
    primitives, loads)."""

    def __init__(self) -> None:
        self.dtype: dict[str, DType] = {}
        self.literal: dict[str, bool | int | float] = {}
        self.cost: dict[str, tuple[int, int]] = {}

    def fresh(self, dtype: DType, *parts: str, slow: int = 0, loads: int = 0) -> str:
        """A new name whose value is computed from `parts`."""
        name = f"v{len(self.dtype)}"
        self.dtype[name] = dtype
        self.cost[name] = (slow + sum(self.cost[p][0] for p in parts), loads + sum(self.cost[p][1] for p in parts))
        return name


class KernelScalars:
    """`s` of a Scalar lowering inside a kernel: one method per primitive (``s.and_`` for "and"), each gives a name.

    Operands are names or Python numbers; a number takes the dtype of the other operands. ``s.require(ok, message, kind)``
    ends the kernel with an error where `ok` is false."""

    def __init__(
        self, names: Names, block: Block, op: Op, dtype: DType, size: Callable[[Size], str], index: Sequence[Size],
        require: Require, where: Any, given: Callable[[str], str | None] = lambda x: None,
    ) -> None:  # fmt: skip
        self._names, self._block, self._op, self._dtype = names, block, op, dtype
        self._size, self._at, self.require, self._where, self._given = size, index, require, where, given

    if TYPE_CHECKING:  # the primitives' methods are made below

        def __getattr__(self, prim: str) -> Callable[..., str]: ...

    def const(self, value: bool | int | float, dtype: DType | None = None) -> str:
        """A literal; without `dtype` in the dtype the op computes in."""
        dtype = compute_dtype(dtype or self._dtype)
        value = bool(value) if dtype.kind == "b" else float(value) if dtype.kind == "f" else wrapped(int(value), dtype)
        key = ("const", repr(value), dtype)
        name = self._block.find(key)
        if name is None:
            name = self._names.fresh(dtype)
            self._names.literal[name] = value
            self._block.out.append(Const(name, value, dtype))
            self._block.memo[key] = name
        return str(name)

    def const_as(self, value: bool | int | float, dtype: DType) -> str:
        """A literal in the compute form of `dtype`."""
        return self.const(value, dtype)

    def size(self, value: Size) -> str:
        """A size as i64."""
        return self._size(value)

    def dtype_of(self, x: str) -> DType:
        """The dtype of a name."""
        return self._names.dtype[x]

    def literal(self, x: str) -> bool | int | float | None:
        """The number that `x` is in the program's text; None where it is computed."""
        return self._names.literal.get(x)

    def given(self, x: str) -> str | None:
        """As i64, the weak int that is known only at the call and is operand `x` of this op; None where `x` is none."""
        return self._given(x)

    def index(self, d: int) -> str:
        """The result's index along dimension `d`, as i64."""
        return self._size(self._at[d])

    def number(self, shape: Sequence[Size]) -> str:
        """The row-major number of the result's element, as i64: one index expression, so that loops may still become one."""
        total: Size = 0
        for at, stride in zip(self._at, contiguous_strides(tuple(shape)), strict=True):
            total = total + at * stride
        return self._size(total)

    def cast(self, x: Any, dtype: DType) -> str:
        """`x` converted; half types go through float32."""
        if not isinstance(x, str):
            return self.const(x, dtype)
        source = self._names.dtype[x]
        if source is dtype:
            return x
        if source.is_half and dtype is not dtypes.float32:
            return self.cast(self.cast(x, dtypes.float32), dtype)
        if dtype.is_half and source is not dtypes.float32:
            return self.cast(self.cast(x, dtypes.float32), dtype)
        return self._emit("cast", (x,), dtype)

    def _emit(self, prim: str, args: tuple[str, ...], dtype: DType) -> str:
        key = (prim, args, dtype)
        name = self._block.find(key)
        if name is None:
            name = self._names.fresh(dtype, *args, slow=prim in SLOW)
            self._block.out.append(Compute(name, prim, args, dtype, self._where))
            self._block.memo[key] = name
        return str(name)

    def _apply(self, prim: str, operands: tuple[Any, ...]) -> str:
        if len(operands) != PRIMITIVES[prim]:
            raise TypeError(f"{self._op.name}: {prim} takes {PRIMITIVES[prim]} operands, not {len(operands)}")
        data = operands[1:] if prim == "select" else operands
        like = next((x for x in data if isinstance(x, str)), None)
        dtype = None if like is None else self._names.dtype[like]
        names = tuple(x if isinstance(x, str) else self.const(x, dtype) for x in data)
        if prim == "select":
            names = (operands[0] if isinstance(operands[0], str) else self.const(operands[0], dtypes.bool_), *names)
        dtype = dtypes.bool_ if prim in COMPARISONS else self._names.dtype[names[-1]]
        if prim in ("div", "mod") and dtype.kind in "ui":
            self._nonzero(names[1])
        return self._emit(prim, names, dtype)

    def _nonzero(self, divisor: str) -> None:
        if not self._names.literal.get(divisor):
            zero = self._emit("eq", (divisor, self.const(0, self._names.dtype[divisor])), dtypes.bool_)
            self.require(self._emit("not", (zero,), dtypes.bool_), "integer division or modulo by zero", DivisionError)


#: Primitives that cost about as much as a load from cache.
MIDDLING = frozenset(("div", "mod", "sqrt"))
#: Primitives that cost far more than a load from cache.
SLOW = frozenset(("exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf", "pow", "philox"))


def _method(prim: str) -> Callable[..., str]:
    def call(self: KernelScalars, *operands: Any) -> str:
        return self._apply(prim, operands)

    call.__doc__ = f"The primitive {prim!r} (`ir.loops.PRIMITIVES`)."
    return call


for _prim in PRIMITIVES:
    if _prim != "cast":
        setattr(KernelScalars, method_of(_prim), _method(_prim))


def primitives_of(node: Any) -> list[str]:
    """Names of the primitives in a Scalar node's expression, each as often as it stands there."""
    names = Names()
    block = Block(None, frozenset())
    dtype = scalar_dtype(node.op, [getattr(a, "type", a) for a in node.args], [r.type for r in node.results])

    def size(value: Size) -> str:
        return names.fresh(dtypes.int64)

    at = (0,) * len(node.results[0].shape)
    s = KernelScalars(names, block, node.op, dtype, size, at, lambda ok, message, kind: None, None)
    xs = [None if a is None else names.fresh(compute_dtype(getattr(getattr(a, "type", a), "dtype", dtype))) for a in node.args]
    node.op.lowering.fn(s, *xs, **node.attrs)
    return [st.prim for st in block.out if isinstance(st, Compute)]
