"""Linear algebra under PyTorch's older names in the top namespace, whose arguments are called otherwise than in `linalg`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import factors, linalg
from .outputs import finished
from .pure import pure
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor


@pure
def det(input: Tensor, *, out: Any = None) -> Tensor:
    """`linalg.det`."""
    return linalg.det(input, out=out)


@pure
def slogdet(input: Tensor) -> Any:
    """`linalg.slogdet`."""
    return linalg.slogdet(input)


@pure
def inverse(input: Tensor, *, out: Any = None) -> Tensor:
    """`linalg.inv`."""
    return linalg.inv(input, out=out)


@pure
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv`; singular values below `rcond` times the largest count as zero."""
    return linalg.pinv(input, rcond)


@pure
def matrix_exp(input: Tensor) -> Tensor:
    """`linalg.matrix_exp`."""
    return linalg.matrix_exp(input)


@served
@pure
def matrix_power(input: Tensor, n: int, *, out: Any = None) -> Tensor:
    """`linalg.matrix_power`."""
    return linalg.matrix_power(input, n, out=out)


@pure
def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False, *, out: Any = None) -> Tensor:
    """The solution of ``A x = input``, where `input2` is the Cholesky factor of A."""
    return linalg.cholesky_solve(input, input2, upper, out=out)


@pure
def orgqr(input: Tensor, input2: Tensor, *, out: Any = None) -> Tensor:
    """`linalg.householder_product`."""
    return finished(factors.householder_product(input, input2), out)  # type: ignore[no-any-return]


@pure
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Any = None) -> Tensor:
    """The solution of ``A x = input``, where A is factored as `linalg.lu_factor` gives it."""
    return factors.old_lu_solve(input, LU_data, LU_pivots, out=out)
