"""Short cuts to declare pointwise records: shared `infer` rules, signatures and samples. Registers nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..dtypes import DType
from ..op import PURE, Effects, Infer, Op, Promote, Sample, Scalar, register
from ..promote import type_of
from ..types import TensorType, tensor

#: Compiled against eager, where nothing is said: a few units in the last place of the dtype that is stored.
CLOSE: Mapping[str, tuple[float, float]] = {
    "f16": (2e-3, 1e-3), "bf16": (1.6e-2, 1e-2), "f32": (3e-6, 1e-6), "f64": (1e-13, 1e-13),
}  # fmt: skip
#: Elements from which on an eager call of an op that NumPy does slowly is worth compiling (`Op.heavy`).
LARGE = 1 << 16
EXACT: Mapping[str, tuple[float, float]] = {}

Kinds = str  # letters of dtype kinds: "b" bool, "u" unsigned, "i" signed, "f" floating, "c" complex


def dtype_of(*types: Any) -> DType:
    """The dtype of the first tensor among promoted operands."""
    return next(t.dtype for t in types if isinstance(t, TensorType))


def conjugated(x: Any) -> Any:
    """`x` as a gradient rule multiplies with it: the conjugate where it is complex."""
    if isinstance(x, complex):
        return x.conjugate()
    if not _is_complex(x):
        return x
    from .complexes import conj

    return conj(x)


def _is_complex(x: Any) -> bool:
    kind = type_of(x)
    return isinstance(kind, TensorType) and kind.dtype.is_complex


def holomorphic(rule: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """A gradient rule written for real operands, for complex ones too: times the conjugate of the derivative."""

    def grad(g: Any, need: Any, out: Any, *ins: Any, **attrs: Any) -> tuple[Any, ...]:
        if not any(map(_is_complex, ins)):
            return rule(g, need, out, *ins, **attrs)
        found = rule(conjugated(g), need, out, *ins, **attrs)
        return tuple(None if x is None else conjugated(x) for x in found)

    return grad


def check_kind(op: str, kinds: Kinds, *types: Any, hint: str = "") -> None:
    """DTypeError naming all operands where a tensor's dtype is not of one of `kinds`."""
    for t in types:
        if isinstance(t, TensorType) and t.dtype.kind not in kinds:
            raise DTypeError(f"{op}: not defined for {t.dtype.name} (got {layout.describe(*types)}){hint and ': ' + hint}")


def infer_pointwise(op: str, kinds: Kinds = "buif", result: DType | None = None, hint: str = "") -> Infer:
    """`infer` of an op whose operands have been promoted: the result has their dtype, or `result`."""

    def infer(*types: Any, **_attrs: Any) -> tuple[TensorType]:
        if None in types:
            raise TypeError(f"{op}: expected tensors and numbers, got None (operands {layout.describe(*types)})")
        check_kind(op, kinds, *types, hint=hint)
        return (layout.elementwise(op, result or dtype_of(*types), *types),)

    return infer


def floats(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: DType = dtypes.float32, span: tuple[float, float] = (-3, 3)
) -> Any:
    """Random values of `dtype` in `span`: whole numbers for integral dtypes, coin flips for bool."""
    if dtype.kind == "b":
        return np.asarray(rng.integers(0, 2, shape)).astype(np.bool_)
    if dtype.kind in "ui":
        low = max(0, int(span[0])) if dtype.kind == "u" else int(span[0])
        return np.asarray(rng.integers(low, int(span[1]) + 1, shape)).astype(dtype.np)
    return np.asarray(rng.uniform(*span, shape)).astype(dtype.np)


def unary_samples(kinds: Kinds, span: tuple[float, float] = (-3, 3), **attrs: Any) -> Callable[..., Iterator[Sample]]:
    """0-d, empty, transposed, sliced and broadcast operands of every dtype of `kinds`."""

    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        for dtype in dtypes.ALL:
            if dtype.kind in kinds:
                yield Sample((floats(rng, (3, 4), dtype, span),), attrs)
        main = dtypes.float64 if "f" in kinds else dtypes.bool_ if kinds == "b" else dtypes.int64
        yield Sample((floats(rng, (), main, span),), attrs, note="0-d")
        yield Sample((floats(rng, (0, 3), main, span),), attrs, note="empty")
        yield Sample((floats(rng, (2, 3, 4), main, span).transpose(2, 0, 1),), attrs, note="transposed")
        yield Sample((floats(rng, (6, 5), main, span)[::2, 1::3],), attrs, note="strided")
        yield Sample((np.broadcast_to(floats(rng, (4,), main, span), (3, 4)),), attrs, note="expanded")
        yield Sample((floats(rng, (1, 37), main, span),), attrs, note="odd")
        for dtype in dtypes.FLOATING[2:] if "f" in kinds else ():
            yield Sample((np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.2e-38, -1.2e-38], dtype.np),), attrs, note="special")

    return sample


def binary_samples(
    kinds: Kinds, left: tuple[float, float] = (-3, 3), right: tuple[float, float] | None = None
) -> Callable[..., Iterator[Sample]]:
    """Equal, broadcast, strided and empty operands, weak scalars on both sides, mixed dtypes, shapes that do not fit."""
    other = left if right is None else right

    def pair(rng: np.random.Generator, a: tuple[int, ...], b: tuple[int, ...], da: DType, db: DType) -> tuple[Any, Any]:
        return floats(rng, a, da, left), floats(rng, b, db, other)

    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        for dtype in dtypes.ALL:
            if dtype.kind in kinds:
                yield Sample(pair(rng, (3, 4), (3, 4), dtype, dtype))
        main = dtypes.float64 if "f" in kinds else dtypes.bool_ if kinds == "b" else dtypes.int64
        for a, b in (((), ()), ((3, 1), (4,)), ((0, 3), (1,)), ((2, 1, 3), (4, 1))):
            yield Sample(pair(rng, a, b, main, main), note="broadcast")
        x, y = pair(rng, (4, 3), (4, 3), main, main)
        yield Sample((x.T, y.T), note="transposed")
        yield Sample((x.T, floats(rng, (3, 4), main, other)), note="orders disagree")
        yield Sample((x[::2], y[1::2]), note="strided")
        yield Sample(pair(rng, (2, 3), (4,), main, main), raises=ShapeError)
        if kinds != "b":
            yield from _scalar_samples(rng, kinds, left, other)

    return sample


def _scalar_samples(rng: np.random.Generator, kinds: Kinds, left: Any, right: Any) -> Iterator[Sample]:
    a, b = max(1, int(left[1])), max(1, int(right[1]))
    yield Sample((floats(rng, (3,), dtypes.int32, left), b), note="weak int")
    yield Sample((a, floats(rng, (3,), dtypes.int64, right)), note="weak int left")
    yield Sample((256 + a, floats(rng, (3,), dtypes.uint8, right)), note="weak int wraps")
    yield Sample((floats(rng, (3,), dtypes.int8, left), -a), note="weak int wraps or is negative")
    if "f" in kinds:
        yield Sample((floats(rng, (3,), dtypes.float32, left), b - 0.5), note="weak float")
        yield Sample((floats(rng, (3,), dtypes.bfloat16, left), b), note="weak int, half")
        yield Sample((floats(rng, (3,), dtypes.int64, left), b + 0.5), note="weak float, integral tensor")
        yield Sample((floats(rng, (3,), dtypes.float32, left), floats(rng, (), dtypes.float64, right)), note="0-d is weaker")
        yield Sample((floats(rng, (3,), dtypes.float16, left), floats(rng, (3,), dtypes.bfloat16, right)), note="halves mix")
        yield Sample((floats(rng, (2, 3), dtypes.int64, left), floats(rng, (3,), dtypes.float32, right)), note="mixed kinds")


def pointwise(
    name: str, signature: tuple[str, ...], eager: Callable[..., Any], scalar: Callable[..., Any],
    grad: Callable[..., Any] | None, sample: Callable[..., Iterator[Sample]], *, to: str = "same", kinds: Kinds = "buif",
    result: DType | None = None, hint: str = "", operands: tuple[int, ...] | None = None,
    tolerance: Mapping[str, tuple[float, float]] = EXACT, autocast: str = "", constant: str = "", effects: Effects = PURE,
    infer: Infer | None = None, exact: tuple[int, ...] = (), operator: str = "", fixed: tuple[int, ...] = (),
    heavy: int = 0, wide: bool = False, complexes: bool = False,
    no_bool: str = "",
) -> Op:  # fmt: skip
    """Register an op with a scalar lowering. `complexes`: its kernel takes complex arrays too, and its gradient rule conjugates
    what it multiplies with."""
    rule = infer or infer_pointwise(name, kinds + "c" * complexes, result, hint)
    promote = Promote(to, operands, exact, wide, no_bool)
    sample = sample if to == "float" else _with_refusal(sample, rule)
    return register(Op(name, signature, rule, eager, grad, Scalar(scalar), sample, promote, None, effects, autocast,
                       tolerance, True, constant, operator, fixed, heavy=heavy))  # fmt: skip


def _with_refusal(sample: Callable[..., Iterator[Sample]], infer: Infer) -> Callable[..., Iterator[Sample]]:
    """The samples of a record, and of one with one operand the first dtype that it refuses, if there is any."""

    def sampled(rng: np.random.Generator) -> Iterator[Sample]:
        found = list(sample(rng))
        yield from found
        attrs = found[0].attrs
        for dtype in (dtypes.bool_, dtypes.int64, dtypes.float32) if len(found[0].operands) == 1 else ():
            try:
                infer(tensor((2,), dtype), **attrs)
            except DTypeError:
                yield Sample((np.ones(2, dtype.np),), attrs, raises=DTypeError, note="refused")
                return

    return sampled
