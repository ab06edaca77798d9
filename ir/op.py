"""The op record: everything the system knows about one op, declared once, in one file of `ir/ops`.

From a record come the public function, the Tensor method, the graph node, the verifier's check, the kernels, the
gradient, the generated tests and the fuzzer's inputs. Nothing elsewhere may be keyed by an op's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, Union

from .lazyclass import dataclass
from .types import ScalarType, Type

Infer = Callable[..., tuple[Type, ...]]


@dataclass(frozen=True, slots=True)
class Scalar:
    """Pointwise lowering. ``fn(s, *xs, **attrs)`` builds the result with `s`, a builder of scalar primitives
    (`ir.loops.PRIMITIVES`); `xs` are the operands at one index, broadcast, already of one dtype (`op.promote`).
    Several results: a tuple. ``s.index(d)`` is the output's index along dimension `d`."""

    fn: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Reduce:
    """Lowering of a reduction over attr ``dim`` (a tuple of dimensions; kept as size 1 when attr ``keepdim``).

    `combine` is one of "add", "mul", "maximum", "minimum", "and", "or"; accumulation is in the result's compute dtype, that
    of "and" and "or" in bool.
    """

    combine: str


@dataclass(frozen=True, slots=True)
class Move:
    """Lowering of pure data movement. ``fn(index, shapes, **attrs)`` takes the output index (one Size per output
    dimension) and the operands' shapes; returns pieces ``(condition, operand number, operand index)``, where a condition
    is None (always) or ``(lo, size, hi)`` meaning lo <= size < hi. Exactly one piece holds for every output index."""

    fn: Callable[..., tuple[tuple[tuple[Any, Any, Any] | None, int, tuple[Any, ...]], ...]]


@dataclass(frozen=True, slots=True)
class Places:
    """Where in a table an element lies: its index there, None in the dimensions whose position is data, and for each of
    these, in order, (operand number, index of the element of that operand which holds the position)."""

    index: tuple[Any, ...]
    positions: tuple[tuple[int, tuple[Any, ...]], ...]

    def filled(self, positions: Any) -> tuple[Any, ...]:
        """The index with `positions` where they are data."""
        found = iter(positions)
        return tuple(next(found) if i is None else i for i in self.index)

    @property
    def dims(self) -> tuple[int, ...]:
        """The dimensions whose position is data."""
        return tuple(d for d, i in enumerate(self.index) if i is None)


@dataclass(frozen=True, slots=True)
class Gather:
    """Lowering of an indexed read of operand 0. ``fn(index, shapes, **attrs)`` takes the output index and the operands' shapes
    and returns Places. Positions are checked; with `wraps` (of the attrs) negative ones count from the end."""

    fn: Callable[..., Places]
    wraps: Callable[..., bool] = lambda **_attrs: False


@dataclass(frozen=True, slots=True)
class Scatter:
    """Lowering of an indexed write: operand 0, in which each element of the last operand is stored, or combined with what is
    there, at its Places (`fn` and `wraps` as for Gather, `index` being that of the last operand). ``serial(shapes, **attrs)``:
    the dimensions of the last operand along which two elements may have one place; the others never meet.
    ``combine(**attrs)``: how a place takes an element, as in Reduce; None: the last one in index order stays."""

    fn: Callable[..., Places]
    serial: Callable[..., tuple[int, ...]]
    combine: Callable[..., str | None]
    wraps: Callable[..., bool] = lambda **_attrs: False


@dataclass(frozen=True, slots=True)
class Scan:
    """Lowering of a running total along attr ``dim``: element i is the `combine` (as in Reduce) of elements 0 to i. It
    accumulates in float64 where the result is floating, else in the result's dtype."""

    combine: str


@dataclass(frozen=True, slots=True)
class Gemm:
    """Lowering of batched matrix multiplication: a template claims it (BLAS on the CPU)."""


@dataclass(frozen=True, slots=True)
class Decompose:
    """``fn(*ins, **attrs)`` rewrites the call in other ops; used where no back end claims the whole node."""

    fn: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Extern:
    """The NumPy kernel itself runs as a step of a compiled plan; `reason` says why there is no lowering."""

    reason: str


Lowering = Union[Scalar, Reduce, Move, Gather, Scatter, Scan, Gemm, Decompose, Extern]

#: Lowerings whose calls never share a kernel. (Decompose stands here for the calls that a back end claims whole; all others
#: are decomposed before kernels are made.)
WHOLE = (Gemm, Extern, Decompose)


@dataclass(frozen=True, slots=True)
class Promote:
    """Which operands are cast to one dtype before anything else sees the call, and to which: "same" (the common type
    of tensors and weak scalars) or "float" (that, or the default float where it is integral). A Python int that an
    integral target does not hold wraps around; among the operands `exact` it is refused (RangeError). A Python float is
    rounded to a half target first, unless the op takes it `wide` (mul, div). `no_bool`: why a bool is refused."""

    to: str = "same"
    operands: tuple[int, ...] | None = None  # None: all
    exact: tuple[int, ...] = ()
    wide: bool = False
    no_bool: str = ""


@dataclass(frozen=True, slots=True)
class Effects:
    """`aliases`: the operand whose storage the result is a view of. `draws`: number of Philox blocks (256 bits) taken,
    as a function of the result type. `raises`: what an eager run may raise because of values, not shapes."""

    aliases: int | None = None
    draws: Callable[..., Any] | None = None
    raises: tuple[type[BaseException], ...] = ()


PURE = Effects()


@dataclass(frozen=True, slots=True)
class Sample:
    """One call for the generated tests: operands (arrays or Python scalars), attrs, and the error expected, if any."""

    operands: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    raises: type[BaseException] | None = None
    note: str = ""


def same_attrs(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    """`Op.members` of ops whose attributes count dimensions from the last, or none."""
    return attrs


def inner_dim(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    """`Op.members` of ops with one attribute `dim`, which is not that of the members."""
    if attrs["dim"] == 0:
        raise ValueError("dimension 0 is that of the members")
    return {**attrs, "dim": attrs["dim"] - 1}


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One op.

    name       unique; the graph's spelling of the node
    signature  PyTorch's argument lists, one overload a line (grammar: `eager/signature.py`); () where users cannot call it
    infer      ``(*types, **attrs) -> (type, ...)``; operands arrive as TensorType, ScalarType, Python number or None;
               raises ShapeError or DTypeError naming all operands
    eager      ``(*arrays, **attrs) -> array or tuple``: the NumPy kernel, the meaning of the op
    grad       ``(g, need, out, *ins, **attrs) -> tuple``, one entry per operand, None where not wanted or not
               differentiable; written in ops; may ignore broadcasting and promotion (the engine undoes both)
    lowering   exactly one of the classes above
    batch      ``(dims, *ins, **attrs) -> result`` with the batch dimension first; without it `ir.batch` derives one
    looped     why the batch rule calls the op on each member, where it does
    autocast   "low" (the low dtype), "f32" (float32), "f32 gpu" (float32, on the CPU as it comes), "promote", "" (indifferent)
    tolerance  dtype short name -> (rtol, atol), compiled against eager
    sample     ``(rng) -> iterator of Sample``
    upcast     half operands reach `eager` in float32 and the result is rounded once
    constant   why there is no gradient, for ops without `grad`
    fixed      operands which a capture takes as constants where they are Python numbers (an exponent: the best code hangs on it)
    heavy      worth compiling alone: eager programs run it as a graph of one node from its third call on (`eager/hot.py`), where
               its operands have that many elements (True: as few as any)
    binds      the attribute that is a bare symbol, which the first dimension of the first result settles: a size that data decide
    parts      the call on `ir.pair.Pair`s for complex operands, which gives a Pair, or a Value where the result is real: for ops
               on complex numbers that are neither pointwise nor data movement (`ir/passes/pairs.py`)
    eager_only  its operand or result is complex, or no NumPy kernel runs it: generated programs and tests over all records leave
               it out
    members    ``(attrs) -> attrs`` of the call on each member, for operands whose first dimension is a list of members of several
               shapes (nested tensors); raises ValueError where the call mixes members. Pointwise ops need none
    operator   Python's operator that is this op, as its special method is called without underscores ("add", "eq", "invert")
    """

    name: str
    signature: tuple[str, ...]
    infer: Infer
    eager: Callable[..., Any]
    grad: Callable[..., tuple[Any, ...]] | None
    lowering: Lowering
    sample: Callable[..., Iterator[Sample]]
    promote: Promote | None = None
    batch: Callable[..., Any] | None = None
    effects: Effects = PURE
    autocast: str = ""
    tolerance: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    upcast: bool = True
    constant: str = ""
    operator: str = ""
    fixed: tuple[int, ...] = ()
    heavy: int = 0
    binds: str = ""
    parts: Callable[..., Any] | None = None
    eager_only: bool = False
    looped: str = ""
    members: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None

    def __call__(self, *operands: Any, **attrs: Any) -> Any:
        """Apply to Tensors (eager or traced) or to graph Values: the first operand that knows how decides."""
        for x in operands:
            apply = getattr(type(x), "__apply_op__", None)
            if apply is not None:
                return apply(x, self, operands, attrs)
        raise TypeError(f"{self.name}: no tensor among operands of type {[type(x).__name__ for x in operands]}")

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return lookup, (self.name,)


OPS: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Enter a record; a second one of the same name is refused."""
    if op.name in OPS:
        raise ValueError(f"op {op.name!r} is declared twice")
    if op.grad is None and not op.constant:
        raise ValueError(f"op {op.name!r} has neither a gradient nor a reason for having none")
    OPS[op.name] = op
    return op


def lookup(name: str) -> Op:
    """The record called `name`; KeyError if there is none. Imports the records on first use."""
    from . import ops  # registers them

    if name not in OPS:
        ops.load_rare()
    return OPS[name]


def is_scalar(x: Any) -> bool:
    """Whether an operand is weak: a Python number or a graph scalar."""
    return isinstance(x, (bool, int, float, complex, ScalarType))
