"""Complex numbers under PyTorch's names: parts, conjugate, angle. Over `ir.ops.complexes`; real tensors are taken too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..ir import dtypes
from ..ir.ops import complexes
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import functional as f
from . import generated as g
from .outputs import fills, finished, into
from .pure import pure

if TYPE_CHECKING:
    from .tensor import Tensor


@pure
def real(input: Tensor) -> Tensor:
    """The real parts, a view; a real tensor as it is."""
    return f.select(complexes.view_as_real(input), -1, 0) if input.dtype.kind == "c" else input


@pure
def imag(input: Tensor) -> Tensor:
    """The imaginary parts of a complex tensor, a view."""
    if input.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return f.select(complexes.view_as_real(input), -1, 1)


@fills
@pure
def conj(input: Tensor) -> Tensor:
    """Each element with the other sign of its imaginary part; a real tensor as it is."""
    return complexes.conj(input) if input.dtype.kind == "c" else input


@fills
@pure
def sgn(input: Tensor) -> Tensor:
    """``x / |x|``, 0 at 0; of a real tensor the sign."""
    return complexes.complex_sign(input) if input.dtype.kind == "c" else g.sign(input)


@pure
def angle(input: Tensor, *, out: Any = None) -> Tensor:
    """The angle from the positive real axis: of real numbers 0 or pi."""
    if input.dtype.kind == "c":
        return finished(complexes.complex_angle(input), out)  # type: ignore[no-any-return]
    x = input if input.dtype.is_floating_point else f.to(input, dtypes.default())
    flat = where(g.lt(x, 0), filled(x, (), math.pi), 0.0)
    return finished(where(g.isnan(x), x, flat), out)  # type: ignore[no-any-return]


@fills
@pure
def complex_of(real: Tensor, imag: Tensor) -> Tensor:
    """``real + i * imag``; both float32, or float64."""
    return complexes.complex_of(real, imag)  # type: ignore[no-any-return]


@pure
def view_as_real(input: Tensor) -> Tensor:
    """The real and the imaginary part of each element as a last dimension of two; a view."""
    return complexes.view_as_real(input)  # type: ignore[no-any-return]


@pure
def view_as_complex(input: Tensor) -> Tensor:
    """Pairs of floats in a last dimension of two as complex numbers; a view."""
    return complexes.view_as_complex(input)  # type: ignore[no-any-return]


@pure
def polar(abs: Tensor, angle: Tensor, *, out: Any = None) -> Tensor:
    """``abs * (cos(angle) + i * sin(angle))``."""
    result = complexes.polar(abs, angle)
    return result if out is None else into(out, result)  # type: ignore[no-any-return]


def set_part(x: Any, index: int, value: Any) -> None:
    """Write the real (0) or imaginary (1) part of `x`."""
    f.select(complexes.view_as_real(x), -1, index).copy_(value)
