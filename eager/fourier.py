"""What `fusewire.fft` holds, and stft and istft of the top namespace: Fourier transforms under PyTorch's names. `norm`:
"backward" (the inverse divides by the number of elements), "ortho" (both by its root) or "forward"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError
from ..ir import dtypes
from ..ir.ops import fourier as records
from ..ir.ops.creation import filled
from . import generated as g
from .arguments import wrap_dim
from .arranging import pad, roll
from .complexes import view_as_real
from .creation import arange
from .executor import apply
from .functional import expand, narrow, reshape, to, transpose, unsqueeze
from .outputs import matched
from .pure import pure
from .scattering import index_add

if TYPE_CHECKING:
    from .tensor import Tensor

_SCALE = {None: ("", "all"), "backward": ("", "all"), "ortho": ("root", "root"), "forward": ("all", "")}


def _scale(norm: str | None, forward: bool) -> str:
    if norm not in _SCALE:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return _SCALE[norm][0 if forward else 1]


def _real(x: Any) -> Any:
    if x.dtype.kind == "c":
        raise DTypeError(f"expects a real input tensor, but got {x.dtype.name}{list(x.shape)}")
    return x if x.dtype in (dtypes.float32, dtypes.float64) else to(x, dtypes.default())


def _complex(x: Any) -> Any:
    return x if x.dtype.kind == "c" else to(_real(x), _real(x).dtype.to_complex())


def _fitted(x: Any, sizes: Sequence[Any], dims: Sequence[int]) -> Any:
    """`x` cut, or continued with zeros, to `sizes` along `dims` (None, -1: as it is)."""
    for n, d in zip(sizes, dims, strict=True):
        have = x.shape[d]
        if n is None or n == -1 or n == have:
            if have < 1:
                raise RuntimeError(f"Invalid number of data points ({have}) specified")
            continue
        if n < 1:
            raise RuntimeError(f"Invalid number of data points ({n}) specified")
        if n < have:
            x = narrow(x, d, 0, n)
        else:
            x = g.cat([x, filled(x, [n - have if k == d else s for k, s in enumerate(x.shape)], 0)], d)
    return x


def _dims(x: Any, s: Any, dim: Any) -> tuple[list[int], list[Any]]:
    """(dimensions counted from the front, the size wanted along each)."""
    s = (s,) if isinstance(s, int) else s
    if dim is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise RuntimeError(f"Got shape with {count} values but input tensor only has {x.ndim} dimensions.")
        dim = range(x.ndim - count, x.ndim)
    dims = [wrap_dim(d, x.ndim) for d in ((dim,) if isinstance(dim, int) else dim)]
    if len(set(dims)) < len(dims):
        raise RuntimeError("FFT dims must be unique")
    sizes = [None] * len(dims) if s is None else list(s)
    if len(sizes) != len(dims):
        raise RuntimeError("When given, dim and shape arguments must have the same length")
    return dims, sizes


def _whole(x: Any, sizes: Any, dims: Any, norm: Any, forward: bool, out: Any) -> Any:
    x = _fitted(_complex(x), sizes, dims)
    if not dims:
        return matched(g.clone(x), out)
    attrs = {"dim": tuple(dims), "forward": forward, "scale": _scale(norm, forward)}
    return matched(apply(records.fft_whole, (x,), attrs), out)


def _half(x: Any, sizes: Any, dims: Any, norm: Any, forward: bool, out: Any) -> Any:
    x = _fitted(_real(x), sizes, dims)
    attrs = {"dim": tuple(dims), "forward": forward, "scale": _scale(norm, forward)}
    return matched(apply(records.fft_half, (x,), attrs), out)


def _to_real(x: Any, sizes: Any, dims: Any, norm: Any, forward: bool, out: Any) -> Any:
    x = _complex(x)
    n = sizes[-1]
    n = 2 * (x.shape[dims[-1]] - 1) if n is None or n == -1 else n
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    x = _fitted(x, [*sizes[:-1], n // 2 + 1], dims)
    attrs = {"dim": tuple(dims), "n": int(n), "forward": forward, "scale": _scale(norm, forward)}
    return matched(apply(records.fft_real, (x,), attrs), out)


def _family(name: str, run: Any, forward: bool, text: str) -> tuple[Any, Any, Any]:
    """The transforms along one dimension, two and any number."""

    @pure
    def one(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Tensor:
        return run(input, [n], [wrap_dim(dim, input.ndim)], norm, forward, out)  # type: ignore[no-any-return]

    @pure
    def two(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Any = None) -> Tensor:
        dims, sizes = _dims(input, s, dim)
        return run(input, sizes, dims, norm, forward, out)  # type: ignore[no-any-return]

    @pure
    def many(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Tensor:
        dims, sizes = _dims(input, s, dim)
        return run(input, sizes, dims, norm, forward, out)  # type: ignore[no-any-return]

    for fn, end, over in ((one, "", "along `dim`"), (two, "2", "over two dimensions"), (many, "n", "over `dim` (None: all)")):
        fn.__name__ = fn.__qualname__ = name + end
        fn.__doc__ = f"{text} {over}, of `{'s' if end else 'n'}` elements."
    return one, two, many


fft, fft2, fftn = _family("fft", _whole, True, "Discrete Fourier transform")
ifft, ifft2, ifftn = _family("ifft", _whole, False, "Inverse discrete Fourier transform")
rfft, rfft2, rfftn = _family("rfft", _half, True, "First half of the transform of real numbers")
irfft, irfft2, irfftn = _family("irfft", _to_real, False, "Inverse of the transform of real numbers")
hfft, hfft2, hfftn = _family("hfft", _to_real, True, "Transform of a half Hermitian signal, which is real")
ihfft, ihfft2, ihfftn = _family("ihfft", _half, False, "Inverse of `hfft`")


@pure
def fftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None
) -> Tensor:
    """Frequencies of the elements of a transform of `n` samples, `d` apart."""
    at = arange(n, dtype=dtype or dtypes.default(), device=device)
    made = g.where(at < (n + 1) // 2, at, at - n) / (n * d)
    return _flagged(matched(made, out), requires_grad)  # type: ignore[no-any-return]


@pure
def rfftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None
) -> Tensor:
    """Frequencies of the elements of `rfft` of `n` samples, `d` apart."""
    made = arange(n // 2 + 1, dtype=dtype or dtypes.default(), device=device) / (n * d)
    return _flagged(matched(made, out), requires_grad)  # type: ignore[no-any-return]


def _flagged(x: Any, requires_grad: bool) -> Any:
    return x.requires_grad_() if requires_grad else x


@pure
def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The element of frequency 0 in the middle."""
    dims = _shifted(input, dim)
    return roll(input, [input.shape[d] // 2 for d in dims], dims)


@pure
def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """Inverse of `fftshift`."""
    dims = _shifted(input, dim)
    return roll(input, [(input.shape[d] + 1) // 2 for d in dims], dims)


def _shifted(x: Any, dim: Any) -> list[int]:
    given = range(x.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    return [wrap_dim(d, x.ndim) for d in given]


# -- windows of short time


def _window(x: Any, window: Any, win_length: int, n_fft: int) -> Any:
    """The window, with zeros on both sides to `n_fft` elements."""
    real = x.dtype.to_real()
    found = filled(x, (win_length,), 1, real) if window is None else window
    left = (n_fft - win_length) // 2
    return pad(found, (left, n_fft - win_length - left)) if win_length < n_fft else found


@pure
def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Any = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    """Spectra (..., frequencies, frames) of stretches of `n_fft` samples, `hop_length` apart, times a window."""
    hop = n_fft // 4 if hop_length is None else hop_length
    wide = n_fft if win_length is None else win_length
    if return_complex is False:
        found = stft(input, n_fft, hop, wide, window, center, pad_mode, normalized, onesided, True)
        return view_as_real(found)  # type: ignore[no-any-return]
    if return_complex is None and input.dtype.kind != "c":
        raise RuntimeError("stft requires the return_complex parameter be given for real inputs, and will further require that "
                           "return_complex=True in a future PyTorch release.")  # fmt: skip
    x = input if input.ndim > 1 else unsqueeze(input, 0)
    if center:
        half = n_fft // 2
        x = reshape(pad(unsqueeze(x, 1), (half, half), mode=pad_mode), (x.shape[0], -1))
    if n_fft > x.shape[-1] or n_fft <= 0 or hop <= 0:
        raise RuntimeError(f"stft({input.dtype.name}{list(input.shape)}, n_fft={n_fft}, hop_length={hop}, win_length={wide}): "
                           f"expected 0 < n_fft <= {x.shape[-1]} and hop_length > 0")  # fmt: skip
    frames = x.unfold(-1, n_fft, hop) * _window(input, window, wide, n_fft)
    scale = "ortho" if normalized else None
    half_only = input.dtype.kind != "c" if onesided is None else onesided
    found = transpose((rfft if half_only else fft)(frames, n_fft, -1, scale), -2, -1)
    return found if input.ndim > 1 else found[0]


@pure
def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Any = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: int | None = None,
    return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signal of least squared distance whose `stft` is `input`."""
    hop = n_fft // 4 if hop_length is None else hop_length
    wide = n_fft if win_length is None else win_length
    x = input if input.ndim > 2 else unsqueeze(input, 0)
    half_only = x.shape[-2] != n_fft if onesided is None else onesided
    spectra = transpose(x, -2, -1)
    scale = "ortho" if normalized else None
    if return_complex and half_only:
        raise RuntimeError(f"istft({input.dtype.name}{list(input.shape)}, n_fft={n_fft}): a complex result needs spectra of both "
                           "sides")  # fmt: skip
    frames = ifft(spectra, n_fft, -1, scale) if return_complex else irfft(spectra, n_fft, -1, scale)
    shape = _window(frames, window, wide, n_fft)
    count = frames.shape[-2]
    total = n_fft + hop * (count - 1)
    places = reshape(unsqueeze(arange(count, device=x.device) * hop, 1) + arange(n_fft, device=x.device), (-1,))
    weighted = reshape(frames * shape, (frames.shape[0], -1))
    signal = index_add(filled(weighted, (weighted.shape[0], total), 0), 1, places, weighted)
    squares = reshape(expand(shape * shape, (count, n_fft)), (-1,))
    envelope = index_add(filled(squares, (total,), 0), 0, places, squares)
    start = n_fft // 2 if center else 0
    end = total - n_fft // 2 if center and length is None else total if length is None else min(start + length, total)
    signal, envelope = narrow(signal, 1, start, end - start), narrow(envelope, 0, start, end - start)
    known = envelope._array is not None or envelope.storage.on_device
    if known and float(g.amin(g.abs(envelope))) < 1e-11:
        raise RuntimeError(f"istft(...): window overlap add min: {float(g.amin(g.abs(envelope)))}")
    signal = signal / envelope
    if length is not None and signal.shape[1] < length:
        signal = pad(signal, (0, length - signal.shape[1]))
    return signal if input.ndim > 2 else signal[0]


# -- windows


def _windowed(name: str, text: str, shape: Any) -> Any:
    @pure
    def function(
        window_length: int, periodic: bool = True, *args: Any, dtype: Any = None, device: Any = None, layout: Any = None,
        pin_memory: bool = False, requires_grad: bool = False, **options: Any,
    ) -> Tensor:  # fmt: skip
        wanted = dtype or dtypes.default()
        if window_length < 0:
            raise RuntimeError(f"{name} requires non-negative window_length, got window_length={window_length}")
        if window_length < 2:
            return _flagged(arange(window_length, dtype=wanted, device=device) + 1.0, requires_grad)  # type: ignore
        at = arange(window_length, dtype=dtypes.float64, device=device)
        last = window_length if periodic else window_length - 1
        return _flagged(to(shape(at, float(last), *args, **options), wanted), requires_grad)  # type: ignore

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{text}; `periodic`: the first elements of one that is longer by one."
    return function


def _cosines(at: Any, last: float, *weights: float) -> Any:
    total = at * 0.0 + weights[0]
    for k, w in enumerate(weights[1:], 1):
        total = total + g.cos(at * (2 * math.pi * k / last)) * (w * (-1) ** k)
    return total


def _hamming(at: Any, last: float, alpha: float = 0.54, beta: float = 0.46) -> Any:
    return _cosines(at, last, alpha, beta)


def _kaiser(at: Any, last: float, beta: float = 12.0) -> Any:
    from .mathematics import i0

    away = at * (2 / last) - 1
    return i0(g.sqrt(g.relu(1 - away * away)) * beta) / i0(filled(at, (), beta))


hann_window = _windowed("hann_window", "Half a turn of a raised cosine", lambda at, last: _cosines(at, last, 0.5, 0.5))
hamming_window = _windowed("hamming_window", "A raised cosine on a step", _hamming)
blackman_window = _windowed("blackman_window", "Two cosines", lambda at, last: _cosines(at, last, 0.42, 0.5, 0.08))
bartlett_window = _windowed("bartlett_window", "A triangle", lambda at, last: 1 - g.abs(at * (2 / last) - 1))
kaiser_window = _windowed("kaiser_window", "Kaiser's window of shape `beta`", _kaiser)

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft",
    "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip
