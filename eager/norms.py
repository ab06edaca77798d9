"""Norms and condition numbers of `fusewire.linalg`: plain functions over `reducing.norm` and singular values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError, ShapeError
from . import generated as g
from .arguments import to_dtype, wrap_dim, wrap_dims
from .functional import permute, reshape, to
from .linalg import inv, svdvals
from .outputs import finished, matched
from .pure import pure
from .reducing import norm as _plain_norm
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor


def _measured(x: Tensor, dtype: Any) -> Any:
    wanted = to_dtype(dtype)
    x = x if wanted is None or wanted is x.dtype else to(x, wanted)
    if not x.dtype.is_floating_point and x.dtype.kind != "c":
        raise DTypeError(f"linalg.norm: Expected a floating point or complex tensor as input. Got {x.dtype.name}{list(x.shape)}")
    return x


@served
@pure
def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Tensor:
    """p-norms of vectors along `dim` (None: of all elements)."""
    return matched(_plain_norm(_measured(x, dtype), ord, dim, keepdim), out)  # type: ignore[no-any-return]


@served
@pure
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Tensor:
    """Norms of matrices: "fro", "nuc", infinity, minus infinity, 1, -1, 2 or -2."""
    x = _measured(A, dtype)
    if x.ndim < 2:
        raise ShapeError(f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions, got {list(x.shape)}")
    if ord not in ("fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    rows, columns = (wrap_dim(d, x.ndim) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord == "fro":
        found = _plain_norm(x, 2, (rows, columns), True)
    elif ord in ("nuc", 2, -2):
        rest = [d for d in range(x.ndim) if d not in (rows, columns)]
        s = svdvals(permute(x, (*rest, rows, columns)))
        value = g.sum(s, -1) if ord == "nuc" else (g.amax if ord > 0 else g.amin)(s, -1)
        found = reshape(value, [1 if d in (rows, columns) else n for d, n in enumerate(x.shape)])
    else:
        first, second = (rows, columns) if ord in (1, -1) else (columns, rows)
        found = (g.amax if ord > 0 else g.amin)(g.sum(g.abs(x), first, True), second, True)
    shape = [n for d, n in enumerate(found.shape) if keepdim or d not in (rows, columns)]
    return matched(reshape(found, shape), out)  # type: ignore[no-any-return]


@pure
def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Any = None, dtype: Any = None
) -> Tensor:
    """`vector_norm` of order 2 of everything; `matrix_norm` where `ord` is given and two dimensions are meant."""
    x = _measured(A, dtype)
    pair = isinstance(dim, (tuple, list)) and len(dim) == 2
    if ord is None or (not isinstance(ord, str) and not pair and (dim is not None or x.ndim == 1)):
        if ord is None:
            return vector_norm(x, 2, dim, keepdim, out=out)
        return vector_norm(x, ord, dim, keepdim, out=out)
    if dim is None and x.ndim != 2:
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {x.ndim}D.")
    return matrix_norm(x, ord, (0, 1) if dim is None else wrap_dims(dim, x.ndim) if ord == "fro" else dim, keepdim, out=out)


@pure
def cond(A: Tensor, p: Any = None, *, out: Any = None) -> Tensor:
    """The condition number: the matrix norm `p` of A times that of its inverse (2 by default)."""
    if p is None or p in (2, -2):
        s = svdvals(A)
        high, low = s[..., 0], s[..., -1]
        return matched(low / high if p == -2 else high / low, out)  # type: ignore[no-any-return]
    return matched(matrix_norm(A, p) * matrix_norm(inv(A), p), out)  # type: ignore[no-any-return]


__all__ = ["cond", "matrix_norm", "norm", "vector_norm"]


def frobenius_norm(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Tensor:
    """Root of the sum of squares."""
    return finished((input.abs() ** 2).sum(dim, keepdim).sqrt(), out)  # type: ignore[no-any-return]


def nuclear_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Sum of the singular values of a matrix, or of those that lie along two dimensions."""
    return to(input, input.dtype).norm("nuc", dim, keepdim)  # type: ignore[no-any-return]


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norm over all dimensions but `dim`; over all where `dim` is -1."""
    if dim == -1:
        return v.norm(pow)  # type: ignore[no-any-return]
    others = [d for d in range(v.ndim) if d != dim % v.ndim]
    return (v.abs() ** pow).sum(others, keepdim=True) ** (1 / pow)
