"""Random draws as pure functions of a generator state: i64[2] = (key, counter of 256-bit blocks) of Philox4x64-10.

Element i of `rand` is word i % 4 of block counter + i // 4 (equal to numpy.random.Philox at that key and counter). Element i
of `randn` takes the two halves of that word, and in float64 words 2i and 2i + 1. Whoever draws advances the state by
`effects.draws(result type)` blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout, numpy_math, sizes
from ..dtypes import DType
from ..op import Decompose, Effects, Op, Sample, Scalar, register
from ..sizes import Expr, Size
from ..types import TensorType, numel, tensor
from .casts import cast
from .compare import ge, where
from .creation import arange, made_by, number
from .declare import CLOSE, floats
from .pointwise import add, mul
from .reductions import converted, wide
from .shape import front, slice_, view

#: dtype -> bits of a uniform number: its mantissa with the leading one, so that every value is exact and below 1.
_BITS = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53}
#: 2 pi / 2^24: one of 2^24 steps round the circle, in float32
_TURN = np.float32(2 * math.pi * 2.0**-24)


def _check(op: str, state: TensorType, dtype: DType) -> None:
    if state.dtype is not dtypes.int64 or not layout.same_shape(state.shape, (2,)):
        raise ShapeError(f"{op}: the generator state must be i64[2], got {layout.describe(state)}")
    if not dtype.is_floating_point:
        raise DTypeError(f"{op}: draws floating numbers, not {dtype.name} (state {layout.describe(state)})")


def _draw_infer(op: str) -> Any:
    def infer(state: TensorType, *, shape: tuple[Size, ...], dtype: DType) -> tuple[TensorType]:
        _check(op, state, dtype)
        return (tensor(shape, dtype),)

    return infer


#: words at a time, so that what is made of them stays in the cache
_PIECE = 1 << 14


def _uniforms(state: Any, n: int, dtype: DType) -> Any:
    bits = _BITS[dtype.short]
    words = numpy_math.philox_words(int(state[0]), int(state[1]), n)
    words >>= np.uint64(64 - bits)
    return words.astype(dtype.compute) * dtype.compute.type(2.0**-bits)


def _rand_eager(state: Any, *, shape: tuple[int, ...], dtype: DType) -> Any:
    return _uniforms(state, math.prod(shape), dtype).astype(dtype.np, copy=False).reshape(shape)


def _randn_eager(state: Any, *, shape: tuple[int, ...], dtype: DType) -> Any:
    if not dtype.is_floating_point:
        raise TypeError("floating dtype expected")
    if dtype is dtypes.float64:
        pairs = _uniforms(state, 2 * math.prod(shape), dtype).reshape(-1, 2)
        return (np.sqrt(-2 * np.log1p(-pairs[:, 0])) * np.cos(2 * math.pi * pairs[:, 1])).reshape(shape)
    out = np.empty(math.prod(shape), np.float32)
    stream = numpy_math.philox_stream(int(state[0]), int(state[1]))
    for start in range(0, out.size, _PIECE):
        _normals(stream.random_raw(min(_PIECE, out.size - start)), out[start : start + _PIECE])
    return out.astype(dtype.np, copy=False).reshape(shape)


def _normals(words: Any, out: Any) -> None:
    """One normal number of each word, see `_normal_scalar`."""
    np.log((words >> np.uint64(32)).astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33), out=out)
    out *= np.float32(-2)
    np.sqrt(out, out=out)
    angle = (words >> np.uint64(8) & np.uint64((1 << 24) - 1)).astype(np.float32)
    angle *= _TURN
    out *= np.cos(angle, out=angle)


def halves(state: Any) -> tuple[Any, Any]:
    """The key and the counter of a state as two 0-d tensors."""
    key, counter = (view(slice_(state, dim=0, start=i, stop=i + 1, step=1), shape=()) for i in (0, 1))
    return key, counter


def _point_infer(op: str) -> Any:
    def infer(key: TensorType, counter: TensorType, *, shape: tuple[Size, ...], dtype: DType) -> tuple[TensorType]:
        if key.dtype is not dtypes.int64 or counter.dtype is not dtypes.int64 or key.shape or counter.shape:
            raise ShapeError(f"{op}: key and counter must be i64[], got {layout.describe(key, counter)}")
        return (tensor(shape, dtype),)

    return infer


def _word(s: Any, key: Any, counter: Any, number: Any) -> Any:
    """Word `number` of the stream, as i64 bits."""
    block = s.add(counter, s.shr(number, s.const_as(2, dtypes.int64)))
    return s.philox(key, block, s.and_(number, s.const_as(3, dtypes.int64)))


def _uniform(s: Any, key: Any, counter: Any, number: Any, dtype: DType) -> Any:
    """Uniform number `number` of the stream, in the compute dtype of `dtype`."""
    bits = _BITS[dtype.short]
    kind = dtypes.float32 if dtype.is_half else dtype
    word = _word(s, key, counter, number)
    top = s.and_(s.shr(word, s.const_as(64 - bits, dtypes.int64)), s.const_as((1 << bits) - 1, dtypes.int64))
    return s.mul(s.cast(top, kind), s.const_as(2.0**-bits, kind))


def _uniform_scalar(s: Any, key: Any, counter: Any, *, shape: tuple[Size, ...], dtype: DType) -> Any:
    return _uniform(s, key, counter, s.number(shape), dtype)


def _normal_scalar(s: Any, key: Any, counter: Any, *, shape: tuple[Size, ...], dtype: DType) -> Any:
    """Box and Muller's method: two uniforms make one normal number (the sine is not used). What is narrower than float64 is
    computed in float32, from the 32 high bits of a word and from 24 of its low ones."""
    f64, f32, i64 = dtypes.float64, dtypes.float32, dtypes.int64
    if dtype is not f64:
        word = _word(s, key, counter, s.number(shape))
        high = s.and_(s.shr(word, s.const_as(32, i64)), s.const_as((1 << 32) - 1, i64))
        low = s.and_(s.shr(word, s.const_as(8, i64)), s.const_as((1 << 24) - 1, i64))
        u = s.add(s.mul(s.cast(high, f32), s.const_as(2.0**-32, f32)), s.const_as(2.0**-33, f32))
        radius = s.sqrt(s.mul(s.log(u), s.const_as(-2.0, f32)))
        out = s.mul(radius, s.cos(s.mul(s.cast(low, f32), s.const_as(float(_TURN), f32))))
        return out if dtype is f32 else s.cast(out, dtype)
    twice = s.mul(s.number(shape), s.const_as(2, dtypes.int64))
    u1 = _uniform(s, key, counter, twice, f64)
    u2 = _uniform(s, key, counter, s.add(twice, s.const_as(1, dtypes.int64)), f64)
    radius = s.sqrt(s.mul(s.const_as(-2.0, f64), s.log1p(s.neg(u1))))
    return s.mul(radius, s.cos(s.mul(s.const_as(2 * math.pi, f64), u2)))


def _point_eager(draw: Any) -> Any:
    return lambda key, counter, *, shape, dtype: draw(np.array([key, counter], np.int64), shape=shape, dtype=dtype)


def _draw_samples(rng: np.random.Generator) -> Iterator[Sample]:
    state = np.array([1234, 5], np.int64)
    for dtype in dtypes.FLOATING:
        yield Sample((state,), {"shape": (3, 5), "dtype": dtype})
    yield Sample((np.array([-7, 2**40], np.int64),), {"shape": (2, 3, 4), "dtype": dtypes.float64})
    yield Sample((state,), {"shape": (), "dtype": dtypes.float32})
    yield Sample((state,), {"shape": (0, 3), "dtype": dtypes.float32})
    yield Sample((state,), {"shape": (3,), "dtype": dtypes.int64}, raises=DTypeError)
    yield Sample((state[:1],), {"shape": (3,), "dtype": dtypes.float32}, raises=ShapeError)


def _point_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _draw_samples(rng):
        if sample.raises is None:
            state = sample.operands[0]
            yield Sample((np.asarray(state[0]), np.asarray(state[1])), sample.attrs)
    no_key = np.asarray(1.5), np.asarray(5)
    yield Sample(no_key, {"shape": (3,), "dtype": dtypes.float32}, raises=ShapeError)


def blocks_of(narrow: int, wide: int) -> Any:
    """`effects.draws`: blocks taken by a result that gets `wide` elements out of each in float64, else `narrow`."""

    def draws(t: TensorType) -> Size:
        n = wide if t.dtype is dtypes.float64 else narrow
        return sizes.floordiv(numel(t.shape) + n - 1, n)

    return draws


_STREAM = "a fixed stream of numbers"
_OWN = "each member has a key and a counter of its own, and a draw takes one of each"


def _draw(name: str, eager: Any, scalar: Any, per_block: int) -> tuple[Op, Op]:
    """The op on a state, and the pointwise op on key and counter it decomposes into."""
    def looped(dims: Any, *ins: Any, **attrs: Any) -> Any:
        """Each member has its own key and counter, and a draw takes one of each."""
        from ..batch import unrolled

        return unrolled(point if len(ins) == 2 else draw)(dims, *ins, **attrs)

    point = register(Op(
        f"philox_{name}", (), _point_infer(f"philox_{name}"), _point_eager(eager), None, Scalar(scalar), _point_samples,
        upcast=False, tolerance=CLOSE, constant=_STREAM, batch=looped, looped=_OWN,
    ))  # fmt: skip
    draw = register(Op(
        name, (), _draw_infer(name), eager, None, Decompose(lambda state, **attrs: point(*halves(state), **attrs)), _draw_samples,
        effects=Effects(draws=blocks_of(4, per_block)), upcast=False, tolerance=CLOSE, constant=_STREAM, batch=looped,
        looped=_OWN,
    ))  # fmt: skip
    return draw, point


#: Uniform numbers in [0, 1). Public (from a generator): eager/functional.py.
rand, philox_rand = _draw("rand", _rand_eager, _uniform_scalar, 4)
#: Normal numbers. Public (from a generator): eager/functional.py.
randn, philox_randn = _draw("randn", _randn_eager, _normal_scalar, 2)


def _advance_infer(state: TensorType, *, blocks: Size) -> tuple[TensorType]:
    _check("rng_advance", state, dtypes.float32)
    return (tensor((2,), dtypes.int64),)


def _advance_scalar(s: Any, state: Any, *, blocks: Size) -> Any:
    step = s.size(blocks) if isinstance(blocks, Expr) else s.const_as(blocks, dtypes.int64)
    return s.add(state, s.mul(s.index(0), step))


#: The state `blocks` further on.
rng_advance = register(Op(
    "rng_advance", (), _advance_infer, lambda state, *, blocks: state + np.array([0, blocks]), None, Scalar(_advance_scalar),
    lambda rng: iter((Sample((np.array([3, 9], np.int64),), {"blocks": 7}),
                      Sample((np.array([3], np.int64),), {"blocks": 7}, raises=ShapeError))), upcast=False, constant=_STREAM,
    batch=lambda dims, state, *, blocks: _advance_batch(front(state, dims[0]), blocks),
))  # fmt: skip


def _advance_batch(state: Any, blocks: Size) -> Any:
    step = made_by(state, arange, start=0, step=1, length=2, dtype=dtypes.int64)
    return add(state, mul(step, number(state, blocks)))


def _dropout_infer(x: TensorType, state: TensorType, *, p: float) -> tuple[TensorType]:
    _check("dropout", state, dtypes.float32)
    if not x.dtype.is_floating_point:
        raise DTypeError(f"dropout: not defined for {x.dtype.name} (got {layout.describe(x, state)})")
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: the probability must be between 0 and 1, got {p}")
    return (layout.preserved(x.dtype, x),)


def _dropout_eager(x: Any, state: Any, *, p: float) -> Any:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: the probability must be between 0 and 1, got {p}")
    keep = _rand_eager(state, shape=x.shape, dtype=dtypes.float32) >= np.float32(p)
    out = layout.empty_like(x, x.dtype)
    np.multiply(x, _scale(p), out=out)
    out[~keep] = 0
    return out


def _scale(p: float) -> float:
    return 0.0 if p == 1 else 1 / (1 - p)


def _dropout_decompose(x: Any, state: Any, *, p: float) -> Any:
    keep = ge(rand(state, shape=tuple(x.shape), dtype=dtypes.float32), p)
    scaled = mul(cast(x, dtype=wide(x.dtype)) if x.dtype.is_half else x, _scale(p))
    return converted(where(keep, scaled, 0.0), x.dtype)


def _dropout_grad(g: Any, need: Any, out: Any, x: Any, state: Any, *, p: float) -> tuple[Any, ...]:
    return dropout(g, state, p=p) if need[0] else None, None


def _dropout_samples(rng: np.random.Generator) -> Iterator[Sample]:
    state = np.array([77, 3], np.int64)
    for dtype in dtypes.FLOATING:
        yield Sample((floats(rng, (4, 5), dtype), state), {"p": 0.3})
    x = floats(rng, (4, 6), dtypes.float64)
    for p in (0.0, 1.0, 0.5):
        yield Sample((x.T, state), {"p": p})
    yield Sample((floats(rng, ()), state), {"p": 0.5})
    yield Sample((floats(rng, (0, 2)), state), {"p": 0.5})
    yield Sample((x, state), {"p": 1.5}, raises=ValueError)
    yield Sample((x.astype(np.int64), state), {"p": 0.5}, raises=DTypeError)


#: Zero with probability p, else x / (1 - p); element i is dropped where uniform number i (f32) is below p. Called only in
#: training: eager/functional.py takes the snapshot of the state and advances the generator.
dropout: Op = register(Op(
    "dropout", (), _dropout_infer, _dropout_eager, _dropout_grad, Decompose(_dropout_decompose), _dropout_samples,
    effects=Effects(draws=blocks_of(4, 4), raises=(ValueError,)), tolerance=CLOSE, heavy=1 << 14,
))  # fmt: skip
