"""Discrete Fourier transforms over chosen dimensions, complex to complex and between real and half spectra: NumPy's pocketfft.

Attr `scale`: what the sum is divided by: "" nothing, "root" the square root of the number of elements, "all" that number.
Loaded by `eager/fourier.py` or `ops.load_rare`. Eager only, as complex numbers are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..dtypes import DType
from ..op import Extern, Op, Sample, lookup, register
from ..types import TensorType, tensor
from .casts import cast
from .creation import filled
from .declare import floats
from .pointwise import mul
from .shape import cat, front, slice_

_REASON = "kernels know no complex numbers"
SAME = {"f32": (1e-4, 1e-4), "f64": (1e-11, 1e-11)}
Dims = tuple[int, ...]
_FORWARD: dict[str, Any] = {"": "backward", "root": "ortho", "all": "forward"}
_INVERSE: dict[str, Any] = {"": "forward", "root": "ortho", "all": "backward"}


def _checked(op: str, x: TensorType, dim: Dims, kinds: tuple[DType, ...]) -> None:
    if x.dtype not in kinds:
        raise DTypeError(f"{op}: needs one of {', '.join(d.name for d in kinds)}, got {layout.describe(x)}")
    if not dim or any(not 0 <= d < x.ndim for d in dim) or len(set(dim)) < len(dim):
        raise ShapeError(f"{op}: dims {list(dim)} do not fit {layout.describe(x)}")


def _normal(out: Any, dtype: Any) -> Any:
    return np.ascontiguousarray(out.astype(dtype, copy=False)).reshape(out.shape)


def _complex(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.complex128) -> Any:
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


def _batch(name: str) -> Any:
    def batch(dims: Any, x: Any, *, dim: Dims, **attrs: Any) -> Any:
        return lookup(name)(front(x, dims[0]), dim=tuple([d + 1 for d in dim]), **attrs)

    return batch


_COMPLEX, _REAL = (dtypes.complex64, dtypes.complex128), (dtypes.float32, dtypes.float64)


def _whole_infer(x: TensorType, *, dim: Dims, forward: bool = True, scale: str = "") -> tuple[TensorType]:
    _checked("fft_whole", x, dim, _COMPLEX)
    return (tensor(x.shape, x.dtype),)


def _whole(x: Any, *, dim: Dims, forward: bool = True, scale: str = "") -> Any:
    if x.dtype.kind != "c":
        raise TypeError("complex array expected")
    out = np.fft.fftn(x, axes=dim, norm=_FORWARD[scale]) if forward else np.fft.ifftn(x, axes=dim, norm=_INVERSE[scale])
    return _normal(out, x.dtype)


def _whole_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dim, forward, scale in (((1,), True, ""), ((0,), False, "all"), ((0, 1), True, "root"), ((1, 0), False, "")):
        yield Sample((_complex(rng, (3, 4)),), {"dim": dim, "forward": forward, "scale": scale})
    yield Sample((_complex(rng, (2, 5), np.complex64),), {"dim": (1,)})
    yield Sample((_complex(rng, (4, 3)).T,), {"dim": (1,)}, note="transposed")
    yield Sample((_complex(rng, (0, 3)),), {"dim": (1,)}, note="empty")
    yield Sample((np.zeros(3),), {"dim": (0,)}, raises=DTypeError)
    yield Sample((_complex(rng, (3,)),), {"dim": (1,)}, raises=ShapeError)


#: Complex to complex; `forward`: with exponents of minus i, else plus i. Public: fft.fft, ifft, fftn ...
fft_whole: Op = register(Op(
    "fft_whole", (), _whole_infer, _whole,
    lambda g, need, out, x, *, dim, forward=True, scale="": (fft_whole(g, dim=dim, forward=not forward, scale=scale),),
    Extern(_REASON), _whole_samples, tolerance=SAME, upcast=False, eager_only=True, batch=_batch("fft_whole"),
))  # fmt: skip


def _half_infer(x: TensorType, *, dim: Dims, forward: bool = True, scale: str = "") -> tuple[TensorType]:
    _checked("fft_half", x, dim, _REAL)
    shape = [n // 2 + 1 if d == dim[-1] else n for d, n in enumerate(x.shape)]
    return (tensor(shape, x.dtype.to_complex()),)


def _half(x: Any, *, dim: Dims, forward: bool = True, scale: str = "") -> Any:
    if x.dtype not in (np.float32, np.float64):
        raise TypeError("real array expected")
    out = np.fft.rfftn(x, axes=dim, norm=_FORWARD[scale])
    return _normal(out if forward else np.conj(out), np.complex64 if x.dtype == np.float32 else np.complex128)


def _half_grad(g: Any, need: Any, out: Any, x: Any, *, dim: Dims, forward: bool = True, scale: str = "") -> tuple[Any, ...]:
    last = dim[-1]
    rest = [x.shape[d] - n if d == last else n for d, n in enumerate(g.shape)]
    whole = cat(g, filled(g, tuple(rest), 0), dim=last) if rest[last] else g
    back = fft_whole(whole, dim=dim, forward=not forward, scale=scale)
    return (cast(back, dtype=x.dtype),)


def _half_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dim, forward, scale in (((1,), True, ""), ((0,), False, "all"), ((0, 1), True, "root")):
        yield Sample((rng.normal(size=(3, 4)),), {"dim": dim, "forward": forward, "scale": scale})
    yield Sample((floats(rng, (2, 5)),), {"dim": (1,)})
    yield Sample((rng.normal(size=(4, 3)).T,), {"dim": (1,)}, note="transposed")
    yield Sample((np.zeros((0, 3)),), {"dim": (1,)}, note="empty")
    yield Sample((_complex(rng, (3,)),), {"dim": (0,)}, raises=DTypeError)
    yield Sample((np.zeros(3),), {"dim": ()}, raises=ShapeError)


#: Real to the first half of the spectrum along the last of `dim`. Public: fft.rfft, ihfft, rfftn ...
fft_half: Op = register(Op(
    "fft_half", (), _half_infer, _half, _half_grad, Extern(_REASON), _half_samples, tolerance=SAME, upcast=False, eager_only=True,
    batch=_batch("fft_half"),
))  # fmt: skip


def _real_infer(x: TensorType, *, dim: Dims, n: int, forward: bool = False, scale: str = "") -> tuple[TensorType]:
    _checked("fft_real", x, dim, _COMPLEX)
    if n < 1 or x.shape[dim[-1]] != n // 2 + 1:
        raise ShapeError(f"fft_real: {n} real numbers come of {n // 2 + 1} complex ones, got {layout.describe(x)}")
    return (tensor([n if d == dim[-1] else s for d, s in enumerate(x.shape)], x.dtype.to_real()),)


def _real(x: Any, *, dim: Dims, n: int, forward: bool = False, scale: str = "") -> Any:
    if x.dtype.kind != "c" or x.shape[dim[-1]] != n // 2 + 1:
        raise TypeError("complex array expected")
    sizes = [n if d == dim[-1] else x.shape[d] for d in dim]
    out = np.fft.irfftn(np.conj(x) if forward else x, sizes, dim, _INVERSE[scale])
    return _normal(out, np.float32 if x.dtype == np.complex64 else np.float64)


def _real_grad(
    g: Any, need: Any, out: Any, x: Any, *, dim: Dims, n: int, forward: bool = False, scale: str = ""
) -> tuple[Any, ...]:
    """The half spectrum, elements that stand for two of the whole one twice."""
    half, last = fft_half(g, dim=dim, forward=not forward, scale=scale), dim[-1]
    twice = n - (n // 2 + 1)
    if not twice:
        return (half,)
    stretches = [(a, b) for a, b in ((0, 1), (1, 1 + twice), (1 + twice, n // 2 + 1)) if b > a]
    parts = [slice_(half, dim=last, start=a, stop=b, step=1) for a, b in stretches]
    parts[1] = mul(parts[1], 2)
    return (cat(*parts, dim=last),)


def _real_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dim, n, scale in (((1,), 6, "all"), ((1,), 7, ""), ((0, 1), 7, "root")):
        yield Sample((_complex(rng, (3, 4)),), {"dim": dim, "n": n, "scale": scale})
    yield Sample((_complex(rng, (3, 4)),), {"dim": (1,), "n": 6, "forward": True})
    yield Sample((_complex(rng, (2, 3), np.complex64),), {"dim": (1,), "n": 4})
    yield Sample((_complex(rng, (4, 3)).T,), {"dim": (1,), "n": 6}, note="transposed")
    yield Sample((_complex(rng, (0, 3)),), {"dim": (1,), "n": 4}, note="empty")
    yield Sample((_complex(rng, (3,)),), {"dim": (0,), "n": 6}, raises=ShapeError)
    yield Sample((np.zeros(3),), {"dim": (0,), "n": 4}, raises=DTypeError)


#: The first half of a Hermitian spectrum to `n` real numbers along the last of `dim`. Public: fft.irfft, hfft, irfftn ...
fft_real: Op = register(Op(
    "fft_real", (), _real_infer, _real, _real_grad, Extern(_REASON), _real_samples, tolerance=SAME, upcast=False, eager_only=True,
    batch=_batch("fft_real"),
))  # fmt: skip
