"""What `fusewire.linalg` holds: decompositions, solutions, norms under PyTorch's names there, and the older names of the top
namespace. Matrices are the last two dimensions, all before are a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ShapeError
from ..ir import dtypes
from ..ir.ops import decompositions as records
from ..ir.ops import factors, spectra
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import casting
from . import generated as g
from .arguments import wrap_dim
from .executor import apply
from .folding import untouched
from .functional import expand, matmul, narrow, permute, reshape, squeeze, to, transpose, unsqueeze
from .outputs import fills, matched
from .products import cross as _cross
from .products import multiplied
from .products import vander as _vander
from .pure import pure
from .reducing import tril
from .return_types import shown
from .served import served
from .shaping import adjoint
from .shaping import diagonal as _diagonal

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}


class QR(NamedTuple):
    """A = Q R."""

    Q: Any
    R: Any

    def __repr__(self) -> str:
        return shown("linalg_qr")(self)


class SVD(NamedTuple):
    """A = U diag(S) Vh."""

    U: Any
    S: Any
    Vh: Any

    def __repr__(self) -> str:
        return shown("linalg_svd")(self)


class SVDWithV(NamedTuple):
    """A = U diag(S) V^T."""

    U: Any
    S: Any
    V: Any

    def __repr__(self) -> str:
        return shown("svd")(self)


class Eigh(NamedTuple):
    """Eigenvalues, and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any

    def __repr__(self) -> str:
        return shown("linalg_eigh")(self)


class SlogDet(NamedTuple):
    """Sign of a determinant and logarithm of its magnitude."""

    sign: Any
    logabsdet: Any

    def __repr__(self) -> str:
        return shown("linalg_slogdet")(self)


class WithInfo(NamedTuple):
    """A result and, for each matrix, 0."""

    result: Any
    info: Any


class Lstsq(NamedTuple):
    """Solutions of least squares, their squared residuals, ranks and singular values."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any

    def __repr__(self) -> str:
        return shown("linalg_lstsq")(self)


def no_info(x: Any, shape: Any) -> Any:
    """For each matrix 0: no step failed."""
    return filled(x, shape, 0, dtypes.int32)


# -- determinants, inverses, solutions


@pure
def det(A: Tensor, *, out: Any = None) -> Tensor:
    """Determinants."""
    return matched(apply(records.det, (A,), _NONE), out)  # type: ignore[no-any-return]


@fills
@pure
def slogdet(A: Tensor) -> SlogDet:
    """(sign of the determinant, logarithm of its magnitude)."""
    return SlogDet(*apply(records.slogdet, (A,), _NONE))


@pure
def logdet(input: Tensor) -> Tensor:
    """Logarithms of determinants; NaN of negative ones."""
    sign, low = slogdet(input)
    if input.dtype.is_complex:
        return g.log(sign) + low  # type: ignore[no-any-return]
    return where(sign < 0, math.nan, low)  # type: ignore[no-any-return]


@pure
def inv(A: Tensor, *, out: Any = None) -> Tensor:
    """Inverse matrices; LinAlgError where one is singular."""
    return matched(apply(records.inv, (A,), _NONE), out)  # type: ignore[no-any-return]


@fills
@pure
def inv_ex(A: Tensor, *, check_errors: bool = False) -> WithInfo:
    """(`inv`, zeros); a singular matrix is an error here too."""
    return WithInfo(inv(A), no_info(A, A.shape[:-2]))


@pure
def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Any = None) -> Tensor:
    """Pseudo-inverses; singular values below ``max(atol, rtol * the largest)`` count as 0."""
    share = rtol if rtol is not None else rcond
    if share is None:
        share = max(A.shape[-2:]) * _epsilon(A) if atol is None else 0.0
    if atol:
        sizes = g.abs(eigvalsh(A)) if hermitian else svdvals(A)
        largest = float(g.amax(sizes)) if A.numel() else 0.0
        share = max(share, float(atol) / largest if largest else 0.0)
    attrs = {"rtol": float(share), "hermitian": bool(hermitian)}
    return matched(apply(spectra.pinv, (A,), attrs), out)  # type: ignore[no-any-return]


def _epsilon(x: Any) -> float:
    return 2.0**-52 if x.dtype.to_real() is dtypes.float64 else 2.0**-23


def _is_vector(A: Any, B: Any) -> bool:
    """Whether B holds vectors, one a matrix of A."""
    return B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))


@pure
def solve(A: Tensor, B: Tensor, *, left: bool = True, out: Any = None) -> Tensor:
    """X of ``A X = B`` (or with `left` False of ``X A = B``); LinAlgError where A is singular."""
    if _is_vector(A, B):
        found = squeeze(apply(records.solve, (A, unsqueeze(B, -1)), _NONE), -1)
    elif left:
        found = apply(records.solve, (A, B), _NONE)
    else:
        found = transpose(apply(records.solve, (transpose(A, -2, -1), transpose(B, -2, -1)), _NONE), -2, -1)
    return matched(found, out)  # type: ignore[no-any-return]


@fills
@pure
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> WithInfo:
    """(`solve`, zeros); a singular matrix is an error here too."""
    return WithInfo(solve(A, B, left=left), no_info(A, A.shape[:-2]))


@pure
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False, out: Any = None
) -> Tensor:
    """`solve` where only one triangle of A counts; `unitriangular`: its diagonal counts as 1."""
    if left:
        found = apply(records.solve_triangular, (A, B), {"up": bool(upper), "unit": bool(unitriangular)})
    else:
        pair = (transpose(A, -2, -1), transpose(B, -2, -1))
        attrs = {"up": not upper, "unit": bool(unitriangular)}
        found = transpose(apply(records.solve_triangular, pair, attrs), -2, -1)
    return matched(found, out)  # type: ignore[no-any-return]


@fills
@pure
def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: str | None = None) -> Lstsq:
    """X of the least ``|A X - B|``; of those the shortest."""
    vectors = _is_vector(A, B) and B.ndim < A.ndim
    b = unsqueeze(B, -1) if vectors else B
    share = max(A.shape[-2:]) * _epsilon(A) if rcond is None else rcond
    solution = matmul(pinv(A, rtol=share), b)
    m, n = A.shape[-2:]
    away = matmul(A, solution) - b
    full = m > n and driver in ("gels", "gelss", "gelsd")
    size = g.abs(away) if away.dtype.is_complex else away
    residuals = g.sum(size * size, -2) if full else narrow(reshape(records.real(solution), (-1,)), 0, 0, 0)
    rank = to(matrix_rank(A), dtypes.int64)
    empty = filled(A, (0,), 0, A.dtype.to_real())
    return Lstsq(squeeze(solution, -1) if vectors else solution, residuals, rank, empty)


@pure
def tensorinv(A: Tensor, ind: int = 2, *, out: Any = None) -> Tensor:
    """The inverse of `tensordot` with A over its last dimensions, `ind` of them being the result's last."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    n = math.prod(A.shape[ind:])
    if math.prod(A.shape[:ind]) != n:
        raise RuntimeError(f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
                           f"{n} != {math.prod(A.shape[:ind])}")  # fmt: skip
    found = reshape(inv(reshape(A, (n, n))), (*A.shape[ind:], *A.shape[:ind]))
    return matched(found, out)  # type: ignore[no-any-return]


@pure
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None, *, out: Any = None) -> Tensor:
    """X of ``tensordot(A, X, X.ndim) = B``; `dims` of A are moved to its end first."""
    if dims is not None:
        moved = [wrap_dim(d, A.ndim) for d in dims]
        A = permute(A, [*(d for d in range(A.ndim) if d not in moved), *moved])
    shape = A.shape[B.ndim :]
    n = math.prod(shape)
    found = reshape(solve(reshape(A, (n, n)), reshape(B, (n,))), tuple(shape))
    return matched(found, out)  # type: ignore[no-any-return]


# -- factors


@pure
def cholesky(A: Tensor, *, upper: bool = False, out: Any = None) -> Tensor:
    """Lower (or upper) triangles L, A = L L^H; LinAlgError where A is not positive definite."""
    low = apply(records.cholesky, (adjoint(A) if upper else A,), _NONE)
    return matched(adjoint(low) if upper else low, out)  # type: ignore[no-any-return]


@fills
@pure
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> WithInfo:
    """(`cholesky`, zeros); a matrix that is not positive definite is an error here too."""
    return WithInfo(cholesky(A, upper=upper), no_info(A, A.shape[:-2]))


@pure
def old_cholesky(input: Tensor, upper: bool = False, *, out: Any = None) -> Tensor:
    """`linalg.cholesky`."""
    return cholesky(input, upper=upper, out=out)


@pure
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False, *, out: Any = None) -> Tensor:
    """X of ``L L^H X = input`` (`upper`: ``L^H L``)."""
    low = adjoint(L) if upper else L
    if L.requires_grad:  # PyTorch's gradient is that of the product, in the triangle that is not read too
        low = tril(low).detach() + (low - low.detach())
        return matched(solve(matmul(low, adjoint(low)), input), out)  # type: ignore[no-any-return]
    half = solve_triangular(low, input, upper=False)
    return matched(solve_triangular(adjoint(low), half, upper=True), out)  # type: ignore[no-any-return]


@pure
def cholesky_inverse(input: Tensor, upper: bool = False, *, out: Any = None) -> Tensor:
    """The inverse of ``L L^H`` (`upper`: ``L^H L``)."""
    return matched(cholesky_solve(eye_like(input), input, upper), out)  # type: ignore[no-any-return]


def eye_like(x: Any, n: Any = None) -> Any:
    """The identity of `n` rows (as many as `x` has columns) beside `x`."""
    return records.on_diagonal(filled(x, (x.shape[-1] if n is None else n,), 1))


@fills
@pure
def qr(A: Tensor, mode: str = "reduced") -> QR:
    """(Q with orthonormal columns, upper triangle R): "reduced", "complete" (Q square; no gradient through what is added), or "r"
    (Q empty)."""
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'")
    m, n = A.shape[-2:]
    if m < n:
        q, r = apply(records.qr, (narrow(A, -1, 0, m),), _NONE)
        r = g.cat([r, matmul(adjoint(q), narrow(A, -1, m, n - m))], -1)
    else:
        q, r = apply(records.qr, (A,), _NONE)
    if mode == "complete" and m > n:
        lead = A.shape[:-2]
        q = g.cat([q, _completed(q)], -1)
        r = g.cat([r, filled(A, (*lead, m - n, n), 0)], -2)
    return QR(filled(A, (0,), 0) if mode == "r" else q, r)


def _completed(q: Any) -> Any:
    """Orthonormal columns that complete those of `q`: left singular vectors of the projection away from them."""
    m, n = q.shape[-2:]
    away = eye_like(q, m) - matmul(q, adjoint(q))
    u, _, _ = apply(spectra.svd, (away.detach(),), _NONE)
    return narrow(u, -1, 0, m - n)


@fills
@pure
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[Tensor, Tensor]:
    """(X of ``A X = b`` for a triangle A, A)."""
    turned = A.mT if transpose else A
    return solve_triangular(turned, b, upper=upper != transpose, unitriangular=unitriangular), A


# -- eigenvalues, singular values


def _triangle(A: Tensor, UPLO: str) -> Any:
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return A if UPLO.upper() == "L" else adjoint(A)


@fills
@pure
def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """(eigenvalues, ascending; eigenvectors as columns) of symmetric matrices, of which one triangle is read."""
    return Eigh(*apply(spectra.eigh, (_triangle(A, UPLO),), _NONE))


@pure
def eigvalsh(A: Tensor, UPLO: str = "L", *, out: Any = None) -> Tensor:
    """The eigenvalues of `eigh`."""
    return matched(apply(spectra.eigvalsh, (_triangle(A, UPLO),), _NONE), out)  # type: ignore[no-any-return]


@fills
@pure
def eig(A: Tensor) -> Eigh:
    """(eigenvalues, eigenvectors as columns) of square matrices, both complex."""
    return Eigh(*apply(spectra.eig, (A,), _NONE))


@pure
def eigvals(A: Tensor, *, out: Any = None) -> Tensor:
    """The eigenvalues of `eig`."""
    return matched(eig(A)[0], out)  # type: ignore[no-any-return]


@fills
@pure
def svd(A: Tensor, full_matrices: bool = True, *, driver: Any = None) -> SVD:
    """(U, singular values falling, V transposed); `full_matrices`: U and V square (no gradient through what is added)."""
    u, s, vh = apply(spectra.svd, (A,), _NONE)
    m, n = A.shape[-2:]
    if full_matrices and m > n:
        u = g.cat([u, _completed(u)], -1)
    elif full_matrices and n > m:
        rest = _completed(adjoint(vh))
        vh = g.cat([vh, adjoint(rest)], -2)
    return SVD(u, s, vh)


@fills
@pure
def old_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> SVDWithV:
    """(U, singular values, V), V not transposed."""
    if not compute_uv:
        m, n = input.shape[-2:]
        lead = input.shape[:-2]
        return SVDWithV(filled(input, (*lead, m, m), 0), svdvals(input), filled(input, (*lead, n, n), 0))
    u, s, vh = svd(input, not some)
    return SVDWithV(u, s, adjoint(vh))


@fills
@pure
def old_qr(input: Tensor, some: bool = True) -> QR:
    """`linalg.qr`, reduced where `some`."""
    return qr(input, "reduced" if some else "complete")


@pure
def svdvals(A: Tensor, *, driver: Any = None, out: Any = None) -> Tensor:
    """Singular values, falling."""
    return matched(apply(spectra.svdvals, (A,), _NONE), out)  # type: ignore[no-any-return]


@pure
def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Any = None
) -> Tensor:
    """How many singular values are above ``max(atol, rtol * the largest)``."""
    s = g.abs(eigvalsh(A)) if hermitian else svdvals(A)
    if tol is not None:
        atol, rtol = tol, 0.0 if rtol is None else rtol
    share = rtol if rtol is not None else (max(A.shape[-2:]) * _epsilon(A) if atol is None else 0.0)
    if not s.shape[-1]:
        return matched(filled(A, A.shape[:-2], 0, dtypes.int64), out)  # type: ignore[no-any-return]
    bound = g.amax(s, -1, keepdim=True) * share
    if atol is not None:
        bound = g.maximum(bound, atol if hasattr(atol, "meta") else filled(s, (), atol))
    return matched(g.sum(s > bound, -1), out)  # type: ignore[no-any-return]


# -- powers, products


@pure
def matrix_exp(A: Tensor) -> Tensor:
    """Exponentials of matrices."""
    return apply(factors.matrix_exp, (A,), _NONE)  # type: ignore[no-any-return]


@served
@pure
def matrix_power(A: Tensor, n: int, *, out: Any = None) -> Tensor:
    """The n-th power; of the inverse where n is negative."""
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise ShapeError(f"linalg.matrix_power: A must be batches of square matrices, but they are {list(A.shape)}")
    if n == 0:
        return matched(untouched(g.clone(expand(eye_like(A), tuple(A.shape))), A), out)  # type: ignore[no-any-return]
    base, found, k = inv(A) if n < 0 else A, None, abs(n)
    while k:
        if k & 1:
            found = base if found is None else matmul(found, base)
        k >>= 1
        base = matmul(base, base) if k else base
    return matched(g.clone(A) if found is A else found, out)  # type: ignore[no-any-return]


@pure
def multi_dot(tensors: Sequence[Any], *, out: Any = None) -> Tensor:
    """The product of matrices in the cheapest order; a vector may stand at either end."""
    given = list(tensors)
    if len(given) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(given)}")
    first, last = given[0].ndim == 1, given[-1].ndim == 1
    given[0] = unsqueeze(given[0], 0) if first else given[0]
    given[-1] = unsqueeze(given[-1], 1) if last else given[-1]
    found = multiplied(given)
    found = squeeze(found, -1) if last else found
    return matched(squeeze(found, 0) if first else found, out)  # type: ignore[no-any-return]


@served
@pure
def cross(input: Tensor, other: Tensor, *, dim: int = -1, out: Any = None) -> Tensor:
    """The vector at right angles to both, along `dim`."""
    return _cross(input, other, dim, out=out)


@pure
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Diagonals of matrices, as views."""
    return _diagonal(A, offset, dim1, dim2)


@served
@pure
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Any = None) -> Tensor:
    """Sums of products along `dim`, x conjugated where complex."""
    if casting.on:
        x, y = casting.low(x, y)
    left = x.conj() if x.dtype.kind == "c" else x
    return matched(g.sum(left * y, dim), out)  # type: ignore[no-any-return]


@pure
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Rising powers of the elements as rows."""
    x = to(x, dtypes.int64) if not x.dtype.is_inexact else x
    return _vander(x if x.ndim else unsqueeze(x, 0), N, True)


inverse = inv

__all__ = [
    "cholesky", "cholesky_ex", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv",
    "inv_ex", "lstsq", "matmul", "matrix_exp", "matrix_power", "matrix_rank",
    "multi_dot", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve",
    "vander", "vecdot",
]  # fmt: skip
