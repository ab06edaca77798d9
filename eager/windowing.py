"""``signal.windows``: window functions by name, of `M` points; `sym` False gives the first M points of one a point longer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from . import creation
from .fourier import kaiser_window
from .generated import cos, exp, sin
from .modes import no_grad


def _placed(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn` with the arguments `device`, `layout` (strided) and `requires_grad` of functions that make tensors."""

    @wraps(fn)
    def function(
        M: int, *, device: Any = None, layout: Any = None, requires_grad: bool = False, **options: Any
    ) -> Any:
        made = fn(M, **options)
        return (made if device is None else made.to(device)).requires_grad_(requires_grad)

    return function


def _points(M: int, sym: bool, dtype: Any, start: float, end: float) -> Any:
    """`M` points from `start` to `end`, which counts where `sym`."""
    if M < 0:
        raise ValueError(f"requires non-negative window length, got M={M}")
    count = M - 1 if sym else M
    step = (end - start) / count if count > 0 else 0.0
    return creation.arange(M, dtype=dtype or creation.get_default_dtype()) * step + start  # anywhere


@_placed
def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, dtype: Any = None, **options: Any) -> Any:
    """The sum of ``(-1)**i * a[i] * cos(i * angle)``, the angle from 0 to 2 pi."""
    with no_grad():
        angles = _points(M, sym, dtype, 0.0, 2 * math.pi)
        if M == 1:
            return angles * 0 + 1
        total = angles * 0
        for i, weight in enumerate(a):
            total = total + cos(angles * i) * (weight * (-1) ** i)
        return total


@_placed
def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Any:
    """``alpha - (1 - alpha) * cos(angle)``."""
    return general_cosine(M, a=(alpha, 1.0 - alpha), sym=sym, **options)


@_placed
def hamming(M: int, *, sym: bool = True, **options: Any) -> Any:
    """Hamming's window."""
    return general_hamming(M, sym=sym, **options)


@_placed
def hann(M: int, *, sym: bool = True, **options: Any) -> Any:
    """Hann's window."""
    return general_hamming(M, alpha=0.5, sym=sym, **options)


@_placed
def blackman(M: int, *, sym: bool = True, **options: Any) -> Any:
    """Blackman's window."""
    return general_cosine(M, a=(0.42, 0.5, 0.08), sym=sym, **options)


@_placed
def nuttall(M: int, *, sym: bool = True, **options: Any) -> Any:
    """The minimum four-term Blackman-Harris window of Nuttall."""
    return general_cosine(M, a=(0.3635819, 0.4891775, 0.1365995, 0.0106411), sym=sym, **options)


@_placed
def bartlett(M: int, *, sym: bool = True, dtype: Any = None, **options: Any) -> Any:
    """A triangle."""
    with no_grad():
        x = _points(M, sym, dtype, -1.0, 1.0)
        return x * 0 + 1 if M == 1 else 1 - x.abs()


@_placed
def cosine(M: int, *, sym: bool = True, dtype: Any = None, **options: Any) -> Any:
    """Half a sine wave."""
    with no_grad():
        count = M if sym else M + 1
        x = creation.arange(M, dtype=dtype or creation.get_default_dtype())  # anywhere
        return sin((x + 0.5) * (math.pi / max(count, 1)))


@_placed
def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, dtype: Any = None, **options: Any
) -> Any:
    """``exp(-|n - center| / tau)``."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    with no_grad():
        middle = (M - 1 if sym else M) / 2.0 if center is None else center
        x = creation.arange(M, dtype=dtype or creation.get_default_dtype())  # anywhere
        return exp((x - middle).abs() * (-1 / tau))


@_placed
def gaussian(M: int, *, std: float = 1.0, sym: bool = True, dtype: Any = None, **options: Any) -> Any:
    """``exp(-((n - middle) / std)**2 / 2)``."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    with no_grad():
        x = creation.arange(M, dtype=dtype or creation.get_default_dtype()) - (M - 1 if sym else M) / 2.0  # anywhere
        return exp((x / std) ** 2 * -0.5)


@_placed
def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, dtype: Any = None, **options: Any) -> Any:
    """Kaiser's window."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return kaiser_window(M, periodic=not sym, beta=beta, dtype=dtype)
