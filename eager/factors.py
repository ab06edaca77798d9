"""Factors of matrices under PyTorch's names: LU of any shape, LDL, Householder's reflections, and of low rank.

Over the records of `ir.ops.factors` and `symmetric`; a part of `fusewire.linalg` and of the top namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..ir.ops import decompositions, symmetric
from ..ir.ops import factors as records
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from ..ir.ops.decompositions import adjoint as turned
from . import generated as g
from .arranging import flip
from .complexes import conj
from .executor import apply
from .functional import expand, matmul, narrow
from .linalg import cholesky, eigh, eye_like, no_info, qr, solve_triangular, svd
from .outputs import fills, matched
from .pure import pure
from .random import randn
from .return_types import shown

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}


class LU(NamedTuple):
    """A = P L U."""

    P: Any
    L: Any
    U: Any

    def __repr__(self) -> str:
        return shown("linalg_lu")(self)


class LUFactor(NamedTuple):
    """L and U in one matrix, and exchanged rows counted from 1."""

    LU: Any
    pivots: Any

    def __repr__(self) -> str:
        return shown("linalg_lu_factor")(self)


@fills
@pure
def lu_factor(A: Tensor, *, pivot: bool = True) -> LUFactor:
    """(L and U in one matrix, exchanged rows) of matrices of any shape."""
    if not pivot:
        raise NotImplementedError("linalg.lu_factor: LU without pivoting is not built")
    return LUFactor(*apply(records.lu_factor, (A,), _NONE))


@fills
@pure
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """(`lu_factor`'s results, zeros)."""
    return (*lu_factor(A, pivot=pivot), no_info(A, A.shape[:-2]))


@fills
@pure
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> LU:
    """(P, L, U) of the results of `lu_factor`; what is not asked for is empty."""
    nothing = filled(LU_data, (0,), 0)
    order = records.permutation(LU_pivots, LU_data, LU_data.shape[-2]) if unpack_pivots else nothing
    if not unpack_data:
        return LU(order, nothing, nothing)
    return LU(order, records.unit_lower(LU_data), records.packed_upper(LU_data))


@fills
@pure
def lu(A: Tensor, *, pivot: bool = True) -> LU:
    """(P, L, U), A = P L U."""
    packed, pivots = lu_factor(A, pivot=pivot)
    return LU(records.permutation(pivots, packed, A.shape[-2]), records.unit_lower(packed), records.packed_upper(packed))


@pure
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False, out: Any = None) -> Tensor:
    """X of ``A X = B`` by the factors of A."""
    if not left:
        return matched(turned(lu_solve(LU, pivots, turned(B), adjoint=not adjoint)), out)  # type: ignore[no-any-return]
    order = records.permutation(pivots, LU, LU.shape[-2])
    if adjoint:
        half = solve_triangular(turned(LU), B, upper=False)
        half = solve_triangular(turned(LU), half, upper=True, unitriangular=True)
        return matched(matmul(order, half), out)  # type: ignore[no-any-return]
    half = solve_triangular(LU, matmul(turned(order), B), upper=False, unitriangular=True)
    return matched(solve_triangular(LU, half, upper=True), out)  # type: ignore[no-any-return]


@pure
def old_lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Any = None) -> Tensor:
    """`linalg.lu_solve` with the right side first."""
    return lu_solve(LU_data, LU_pivots, b, out=out)


@pure
def householder_product(A: Tensor, tau: Tensor, *, out: Any = None) -> Tensor:
    """The first columns of the product of reflections ``I - tau v v^T``, v being the columns of A below a 1 on the diagonal."""
    m, n = A.shape[-2:]
    found = expand(eye_like(A, m), (*A.shape[:-2], m, m))[..., :n]
    if not A.numel():
        return matched(g.clone(A), out)  # type: ignore[no-any-return]
    i, j = decompositions.places(A, m, n)
    vectors = where(g.eq(i, j), 1.0, where(i > j, A, 0.0))
    for k in range(int(tau.shape[-1]) - 1, -1, -1):
        v = vectors[..., k : k + 1]
        found = found - tau[..., k, None, None] * matmul(v, matmul(turned(v), found))
    return matched(found, out)  # type: ignore[no-any-return]


@pure
def lu_pair(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """`linalg.lu_factor` as the top namespace has it, with zeros for each matrix where `get_infos`."""
    made = lu_factor(A, pivot=pivot)
    return (*made, no_info(A, A.shape[:-2])) if get_infos else tuple(made)


# -- symmetric matrices


class LDLFactor(NamedTuple):
    """L and the pivot blocks in one matrix, and exchanged rows as LAPACK numbers them."""

    LD: Any
    pivots: Any

    def __repr__(self) -> str:
        return shown("linalg_ldl_factor")(self)


@fills
@pure
def ldl_factor(A: Tensor, *, hermitian: bool = False) -> LDLFactor:
    """(L and D in one matrix, pivots) of symmetric (or Hermitian) matrices, of which the lower triangle is read."""
    return LDLFactor(*apply(symmetric.ldl_factor, (A,), {"hermitian": bool(hermitian)}))


@fills
@pure
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """(`ldl_factor`'s results, zeros)."""
    return (*ldl_factor(A, hermitian=hermitian), no_info(A, A.shape[:-2]))


@pure
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False, out: Any = None) -> Tensor:
    """X of ``A X = B`` by the results of `ldl_factor`."""
    attrs = {"hermitian": bool(hermitian)}
    if B.requires_grad:
        inverse = apply(symmetric.ldl_solve, (LD.detach(), pivots, expand(eye_like(LD), LD.shape)), attrs)
        return matched(matmul(inverse, B), out)  # type: ignore[no-any-return]
    return matched(apply(symmetric.ldl_solve, (LD.detach(), pivots, B), attrs), out)  # type: ignore[no-any-return]


# -- Householder's reflections


class GeQRF(NamedTuple):
    """R and the reflections' vectors in one matrix, and the reflections' factors."""

    a: Any
    tau: Any

    def __repr__(self) -> str:
        return shown("geqrf")(self)


@fills
@pure
def geqrf(input: Tensor) -> GeQRF:
    """`linalg.qr` before Q is made of its reflections: what `householder_product` and `ormqr` take."""
    return GeQRF(*apply(records.geqrf, (input,), _NONE))


@pure
def ormqr(
    input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False, *, out: Any = None
) -> Tensor:
    """``Q @ other`` (or with `left` False ``other @ Q``), Q being the whole product of reflections; `transpose`: its adjoint."""
    if not left:
        return matched(turned(ormqr(input, tau, turned(other), True, not transpose)), out)  # type: ignore[no-any-return]
    m, k = input.shape[-2], int(tau.shape[-1])
    i, j = decompositions.places(input, m, input.shape[-1])
    vectors = where(g.eq(i, j), 1.0, where(i > j, input, 0.0))
    found = other
    for at in range(k) if transpose else range(k - 1, -1, -1):
        v, share = vectors[..., at : at + 1], tau[..., at, None, None]
        found = found - (conj(share) if transpose else share) * matmul(v, matmul(turned(v), found))
    return matched(found, out)  # type: ignore[no-any-return]


# -- of low rank


@pure
def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Any = None) -> Any:
    """(U, S, V) of the `q` largest singular values, near enough where the others fall off: Halko, Martinsson and Tropp (2009), by
    random directions and `niter` rounds of powers. Of ``A - M`` where M is given."""
    wide = A.shape[-2] < A.shape[-1]
    A = A if M is None else A - expand(M, A.shape)
    A = turned(A) if wide else A
    basis = qr(matmul(A, randn(A.shape[-1], 6 if q is None else q, dtype=A.dtype, device=A.device)))[0]
    for _ in range(2 if niter is None else niter):
        basis = qr(matmul(A, qr(matmul(turned(A), basis))[0]))[0]
    u, s, vh = svd(matmul(turned(basis), A), False)
    u, v = matmul(basis, u), turned(vh)
    return (v, s, u) if wide else (u, s, v)


@pure
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
    """`svd_lowrank` of the rows' distances from their mean: principal components as columns of V."""
    m, n = A.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    return svd_lowrank(A - g.mean(A, -2, True) if center else A, q, niter)


@pure
def lobpcg(
    A: Tensor, k: int | None = None, B: Any = None, X: Any = None, n: int | None = None, iK: Any = None, niter: int | None = None,
    tol: float | None = None, largest: bool | None = None, method: str | None = None, tracker: Any = None,
    ortho_iparams: Any = None, ortho_fparams: Any = None, ortho_bparams: Any = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(the `k` largest, or smallest, eigenvalues of ``A x = e B x``, eigenvectors as columns), A symmetric, B positive definite:
    of the whole decomposition, so no start X, preconditioner or limit of rounds matters."""
    count = k or n or (1 if X is None else X.shape[-1])
    if A.shape[-1] < 3 * count:
        raise ValueError(f"LPBPCG algorithm is not applicable when the number of A rows (={A.shape[-1]}) is smaller than 3 x the "
                         f"number of requested eigenpairs (={count})")  # fmt: skip
    low = None if B is None else cholesky(B)
    if low is not None:
        A = solve_triangular(low, A, upper=False)
        A = turned(solve_triangular(low, turned(A), upper=False))
    values, vectors = eigh(A)
    top = largest is None or largest
    start = A.shape[-1] - count if top else 0
    values, vectors = narrow(values, -1, start, count), narrow(vectors, -1, start, count)
    values, vectors = (flip(values, -1), flip(vectors, -1)) if top else (values, vectors)
    return values, vectors if low is None else solve_triangular(turned(low), vectors, upper=True)


__all__ = [
    "householder_product", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lu", "lu_factor", "lu_factor_ex", "lu_solve",
]  # fmt: skip
