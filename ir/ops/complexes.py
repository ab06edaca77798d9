"""Complex numbers: their parts as views, made of parts, conjugate, direction, argument.

Kernels know real numbers only: a compiled graph computes with pairs (`Op.parts`), or runs these kernels as steps. Gradients
follow PyTorch: that of a function which is differentiable in the complex sense is the incoming one times the conjugate of its
derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Extern, Infer, Op, Sample, lookup, register
from ..pair import Pair, pair_of
from ..sizes import Size
from ..types import TensorType
from .casts import contiguous
from .compare import eq, where
from .declare import CLOSE, floats
from .pointwise import add, cos, div, mul, neg, sin
from .shape import ALIAS, aligned, cat, front, reshape, slice_

_REASON = "kernels know no complex numbers"


def _complex(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.complex128) -> Any:
    return np.asarray(floats(rng, shape, dtypes.float64) + 1j * floats(rng, shape, dtypes.float64)).astype(dtype)


def _needs(op: str, kinds: str, x: Any) -> None:
    if not isinstance(x, TensorType) or x.dtype.kind not in kinds:
        what = "a complex" if kinds == "c" else "a float32 or float64"
        raise DTypeError(f"{op}: needs {what} tensor, got {layout.describe(x)}")


def _samples(*dtypes_: Any) -> Callable[..., Iterator[Sample]]:
    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        for dtype in dtypes_:
            yield Sample((_complex(rng, (2, 3), dtype),))
        yield Sample((_complex(rng, ()),), note="0-d")
        yield Sample((_complex(rng, (0, 3)),), note="empty")
        yield Sample((_complex(rng, (4, 3)).T[:, ::2],), note="strided")
        yield Sample((np.ones(2, np.float32),), raises=DTypeError)

    return sample


# -- the parts as memory


def _real_infer(x: TensorType) -> tuple[TensorType]:
    _needs("view_as_real", "c", x)
    return (TensorType((*x.shape, 2), x.dtype.to_real(), (*(s * 2 for s in x.strides), 1)),)


def _real_eager(x: Any) -> Any:
    part = x.real
    return np.lib.stride_tricks.as_strided(part, (*x.shape, 2), (*x.strides, part.itemsize))


def _stacked(x: Pair) -> Any:
    return cat(*[reshape(p, (*p.shape, 1)) for p in x.parts], dim=len(x.re.shape))


#: The real and the imaginary part of each element as a last dimension of two; a view.
view_as_real: Op = register(Op(
    "view_as_real", (), _real_infer, _real_eager,
    lambda g, need, out, x: (view_as_complex(_together(g)),), Extern(_REASON), _samples(np.complex64, np.complex128),
    effects=ALIAS, upcast=False, eager_only=True, batch=lambda dims, x: view_as_real(front(x, dims[0])), parts=_stacked,
))  # fmt: skip


def _together(g: Any) -> Any:
    from .casts import contiguous

    return contiguous(g)


def _pairs_infer(x: TensorType) -> tuple[TensorType]:
    if not isinstance(x, TensorType) or x.dtype not in (dtypes.float32, dtypes.float64):
        raise DTypeError(f"view_as_complex: needs a float32 or float64 tensor, got {layout.describe(x)}")
    if not x.shape or x.shape[-1] != 2:
        raise ShapeError(f"Tensor must have a last dimension of size 2: view_as_complex of {layout.describe(x)}")
    if x.strides[-1] != 1 or any(s % 2 for s in x.strides[:-1]):
        raise ShapeError(f"Tensor must have a last dimension with stride 1 and even strides: view_as_complex of "
                         f"{layout.describe(x)} with strides {list(x.strides)}")  # fmt: skip
    return (TensorType(x.shape[:-1], x.dtype.to_complex(), tuple(s // 2 for s in x.strides[:-1])),)


def _pairs_eager(x: Any) -> Any:
    whole = np.complex64 if x.dtype == np.float32 else np.complex128 if x.dtype == np.float64 else None
    if whole is None or x.shape[-1:] != (2,) or any(s % (2 * x.itemsize) for s in x.strides[:-1]):
        raise ValueError("pairs of floats expected")
    return x.view(whole)[..., 0]


def _pairs_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((floats(rng, (3, 2)),))
    yield Sample((floats(rng, (4, 3, 2), dtypes.float64)[::2],), note="strided")
    yield Sample((floats(rng, (0, 2)),), note="empty")
    yield Sample((floats(rng, (2,)),), note="0-d result")
    yield Sample((floats(rng, (2, 3)),), raises=ShapeError)
    yield Sample((floats(rng, (2, 2), dtypes.int64),), raises=DTypeError)


def _unstacked(x: Any) -> Pair:
    last = len(x.shape) - 1
    parts = [slice_(x, dim=last, start=k, stop=k + 1, step=1) for k in (0, 1)]
    return pair_of([reshape(p, x.shape[:-1]) for p in parts], x.dtype.to_complex())


#: Pairs of floats in a last dimension of two as complex numbers; a view.
view_as_complex: Op = register(Op(
    "view_as_complex", (), _pairs_infer, _pairs_eager,
    lambda g, need, out, x: (view_as_real(g),), Extern(_REASON), _pairs_samples, effects=ALIAS, upcast=False,
    eager_only=True, batch=lambda dims, x: view_as_complex(contiguous(front(x, dims[0]))), parts=_unstacked,
))  # fmt: skip


# -- element by element


def _infer(op: str, real: bool = False) -> Infer:
    def infer(x: Any) -> tuple[TensorType]:
        _needs(op, "c", x)
        return (layout.elementwise(op, x.dtype.to_real() if real else x.dtype, x),)

    return infer


def _checked(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def eager(x: Any) -> Any:
        if x.dtype.kind != "c":
            raise TypeError("complex array expected")
        return fn(x)

    return eager


def _each(
    name: str, eager: Callable[[Any], Any], grad: Callable[..., Any] | None, parts: Callable[[Pair], Any], real: bool = False
) -> Op:
    return register(Op(
        name, (), _infer(name, real), _checked(eager), grad, Extern(_REASON), _samples(np.complex64, np.complex128),
        upcast=False, tolerance=CLOSE, batch=lambda dims, x: lookup(name)(front(x, dims[0])), eager_only=True,
        parts=parts,
    ))  # fmt: skip


#: The imaginary part with the other sign. Public (real tensors as they are): eager/complexes.py.
conj: Op = _each("conj", np.conjugate, lambda g, need, out, x: (conj(g),), lambda x: Pair(x.re, neg(x.im), x.dtype))


def _sgn_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    from .pointwise import abs

    size = abs(x)
    safe = where(eq(size, 0), 1.0, size)
    along = _real(mul(conj(out), g))
    turned = div(add(g, neg(mul(out, along))), safe)
    return (where(eq(size, 0), 0.0, turned),)


def _real(x: Any) -> Any:
    """The real part."""
    from .casts import cast

    return cast(x, dtype=x.dtype.to_real())


def _direction(x: Any) -> Any:
    size = np.abs(x)
    return np.where(size == 0, 0, x / np.where(size == 0, 1, size)).astype(x.dtype)


def _direction_parts(x: Pair) -> Pair:
    from .transcendental import hypot

    size = hypot(x.re, x.im)
    safe = where(eq(size, 0), 1.0, size)
    return Pair(div(x.re, safe), div(x.im, safe), x.dtype)


#: x / |x|, 0 at 0.
complex_sign: Op = _each("complex_sign", _direction, _sgn_grad, _direction_parts)


def _angle_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    from .pointwise import abs

    size = abs(x)
    square = where(eq(size, 0), 1.0, mul(size, size))
    turn = mul(mul(x, 1j), div(g, square))
    return (where(eq(size, 0), 0.0, turn),)


def _angle_parts(x: Pair) -> Any:
    from .transcendental import atan2

    return atan2(x.im, x.re)


#: The angle from the positive real axis.
complex_angle: Op = _each("complex_angle", lambda x: np.arctan2(x.imag, x.real), _angle_grad, _angle_parts, real=True)

# -- made of two real tensors


def _made_infer(op: str) -> Infer:
    def infer(x: Any, y: Any) -> tuple[TensorType]:
        if x.dtype is not y.dtype or x.dtype not in (dtypes.float32, dtypes.float64):
            raise DTypeError(f"{op}: both must be float32, or float64, got {layout.describe(x, y)}")
        return (layout.elementwise(op, x.dtype.to_complex(), x, y),)

    return infer


def _made_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dtype in (dtypes.float32, dtypes.float64):
        yield Sample((floats(rng, (2, 3), dtype), floats(rng, (3,), dtype)))
    yield Sample((floats(rng, (), dtypes.float64), floats(rng, (), dtypes.float64)), note="0-d")
    yield Sample((floats(rng, (0, 3)), floats(rng, (0, 3))), note="empty")
    yield Sample((floats(rng, (3, 4)).T, floats(rng, (3, 4)).T), note="strided")
    yield Sample((floats(rng, (2, 3)), floats(rng, (4,))), raises=ShapeError)
    yield Sample((floats(rng, (2,)), floats(rng, (2,), dtypes.int64)), raises=DTypeError)


def _imag(x: Any) -> Any:
    return _real(mul(x, -1j))


def _joined(x: Any, y: Any) -> Any:
    if x.dtype != y.dtype or x.dtype not in (np.float32, np.float64):
        raise TypeError("two real arrays of one dtype expected")
    out = np.empty(np.broadcast_shapes(x.shape, y.shape), np.complex64 if x.dtype == np.float32 else np.complex128)
    out.real, out.imag = x, y
    types = layout.type_of_array(np.asarray(x)), layout.type_of_array(np.asarray(y))
    wanted = layout.elementwise("complex", layout.type_of_array(out).dtype, *types).strides
    return layout.conformed(out, tuple(s * out.itemsize for s in wanted))  # type: ignore[operator, misc]


#: x + iy.
def _over_batch(dims: Any, xs: tuple[Any, ...]) -> list[Any]:
    """Operands that broadcast once each has the batch in front."""
    full = max([x.ndim - (d is not None) for x, d in zip(xs, dims, strict=True)]) + 1
    return [x if d is None else aligned(front(x, d), full) for x, d in zip(xs, dims, strict=True)]


complex_of: Op = register(Op(
    "complex_of", (), _made_infer("complex"), _joined,
    lambda g, need, out, x, y: (_real(g) if need[0] else None, _imag(g) if need[1] else None), Extern(_REASON), _made_samples,
    upcast=False, eager_only=True, batch=lambda dims, *xs: complex_of(*_over_batch(dims, xs)),
    parts=lambda x, y: Pair(x, y, x.dtype.to_complex()),
))  # fmt: skip


def _polar_grad(g: Any, need: Any, out: Any, r: Any, phi: Any) -> tuple[Any, ...]:
    along = add(mul(_real(g), cos(phi)), mul(_imag(g), sin(phi))) if need[0] else None
    return along, _real(mul(g, conj(mul(out, 1j)))) if need[1] else None


#: r (cos phi + i sin phi).
polar: Op = register(Op(
    "polar", (), _made_infer("polar"), lambda r, phi: _joined(r * np.cos(phi), r * np.sin(phi)),
    _polar_grad, Extern(_REASON), _made_samples, upcast=False, tolerance=CLOSE, eager_only=True,
    batch=lambda dims, *xs: polar(*_over_batch(dims, xs)),
    parts=lambda r, phi: Pair(mul(r, cos(phi)), mul(r, sin(phi)), r.dtype.to_complex()),
))  # fmt: skip

# -- what compiled graphs put between pairs and complex memory; made after differentiation

_LATE = "made after differentiation"


def _parts_infer(x: TensorType) -> tuple[TensorType, TensorType]:
    part = layout.preserved(x.dtype.to_real(), x)
    return part, part


def _parts_eager(x: Any) -> Any:
    (part, _) = _parts_infer(layout.type_of_array(x))
    strides: Any = tuple(s * part.dtype.itemsize for s in part.strides)
    return tuple([layout.conformed(np.array(p), strides) for p in (x.real, x.imag)])


#: (real parts, imaginary parts).
complex_parts: Op = register(Op(
    "complex_parts", (), _parts_infer, _parts_eager, None, Extern(_REASON), _samples(np.complex64, np.complex128),
    upcast=False, constant=_LATE, eager_only=True, batch=lambda dims, x: complex_parts(front(x, dims[0])),
))  # fmt: skip


def _whole_infer(re: TensorType, im: TensorType, *, strides: tuple[Size, ...]) -> tuple[TensorType]:
    return (TensorType(re.shape, re.dtype.to_complex(), strides),)


def _whole_eager(re: Any, im: Any, *, strides: tuple[int, ...]) -> Any:
    out = np.empty(re.shape, np.complex64 if re.dtype == np.float32 else np.complex128)
    out.real, out.imag = re, im
    return layout.conformed(out, tuple([s * out.itemsize for s in strides]))


def _whole_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((floats(rng, (2, 3)), floats(rng, (2, 3))), {"strides": (3, 1)})
    yield Sample((floats(rng, (2, 3), dtypes.float64), floats(rng, (2, 3), dtypes.float64)), {"strides": (1, 2)}, note="turned")


#: x + iy of two values of one shape, laid out by `strides`.
complex_whole: Op = register(Op(
    "complex_whole", (), _whole_infer, _whole_eager, None, Extern(_REASON), _whole_samples, upcast=False, constant=_LATE,
    eager_only=True, batch=lambda dims, re, im, *, strides: complex_of(front(re, dims[0]), front(im, dims[1])),
))  # fmt: skip


def _step_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((_complex(rng, (2, 3)),), {"op": "exp", "attrs": ()})


def _step_batch(dims: Any, *xs: Any, op: str, attrs: tuple[Any, ...]) -> Any:
    rule = lookup(op).batch
    if rule is None:
        raise NotImplementedError(f"{op} of complex numbers under vmap")
    return rule(dims, *xs, **dict(attrs))


#: A call of record `op` with `attrs` whose NumPy kernel runs as a step, whatever its lowering is.
whole: Op = register(Op(
    "whole", (), lambda *types, op, attrs: lookup(op).infer(*types, **dict(attrs)),
    lambda *xs, op, attrs: lookup(op).eager(*xs, **dict(attrs)), None, Extern(_REASON), _step_samples, upcast=False,
    constant=_LATE, eager_only=True, batch=_step_batch,
))  # fmt: skip
