"""Factors of matrices beyond those of `decompositions`: LU of any shape, Householder's reflections; exponentials. NumPy steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError
from .. import dtypes, layout
from ..op import Extern, Op, Sample, register
from ..sizes import Size
from ..types import TensorType, tensor
from .compare import eq, where
from .decompositions import (
    LAPACK,
    SAME,
    SINGULAR,
    adjoint,
    batched,
    checked,
    least,
    lower,
    places,
    refused,
    same_infer,
    solve_triangular,
    spread,
    square_samples,
    tall_samples,
    upper,
)
from .linalg import matmul
from .pointwise import add, mul, sub
from .reductions import converted
from .shape import cat, front, slice_


def _lu_infer(x: TensorType) -> tuple[TensorType, TensorType]:
    checked("lu_factor", x, square=False)
    return tensor(x.shape, x.dtype), tensor((*x.shape[:-2], least("lu_factor", x)), dtypes.int32)


def _lu(x: Any) -> Any:
    """Doolittle's elimination with row exchanges, all matrices of the batch at once."""
    m, n = x.shape[-2:]
    out = np.array(x, order="C").reshape(math.prod(x.shape[:-2]), m, n)
    pivots = np.zeros((out.shape[0], min(m, n)), np.int32)
    each = np.arange(out.shape[0])
    for k in range(min(m, n)):
        at = k + np.argmax(magnitude(out[:, k:, k]), 1) if out.shape[0] else each
        pivots[:, k] = at + 1
        taken = out[each, at].copy()
        out[each, at] = out[:, k]
        out[:, k] = taken
        top = out[:, k, k, None]
        out[:, k + 1 :, k] /= np.where(top == 0, 1, top)
        out[:, k + 1 :, k + 1 :] -= out[:, k + 1 :, k, None] * out[:, k, None, k + 1 :]
    return out.reshape(x.shape), pivots.reshape(*x.shape[:-2], min(m, n))


def magnitude(x: Any) -> Any:
    """What LAPACK compares to choose a pivot: of complex numbers the sum of both parts' magnitudes."""
    return np.abs(x.real) + np.abs(x.imag) if x.dtype.kind == "c" else np.abs(x)


def part(x: Any, dim: int, start: Size, stop: Size) -> Any:
    """Rows (`dim` -2) or columns (-1) from `start` up to `stop` of matrices."""
    return slice_(x, dim=x.ndim + dim, start=start, stop=stop, step=1)


def unit_lower(packed: Any) -> Any:
    """L of matrices that hold it below the diagonal: as high, as wide as the shorter side."""
    m, n = packed.shape[-2:]
    low = packed if layout.at_most(n, m) else part(packed, -1, 0, m)
    i, j = places(low, low.shape[-2], low.shape[-1])
    return where(eq(i, j), 1.0, lower(low))


def packed_upper(packed: Any) -> Any:
    """U of matrices that hold it on and above the diagonal."""
    m, n = packed.shape[-2:]
    return upper(packed if layout.at_most(m, n) else part(packed, -2, 0, n))


def _lu_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    packed, pivots = out
    m, n = packed.shape[-2:]
    low, up, gp = unit_lower(packed), packed_upper(packed), g[0]
    if layout.at_most(n, m):  # the square one among them
        gl, gu = lower(gp, True), upper(gp if layout.same(m, n) else part(gp, -2, 0, n))
        inner = upper(sub(matmul(gu, adjoint(up)), matmul(adjoint(low), gl)))
        whole = solve_triangular(adjoint(part(low, -2, 0, n)), inner, up=True, unit=True)
        whole = add(whole, part(gl, -2, 0, n))
        whole = whole if layout.same(m, n) else cat(whole, part(gl, -2, n, m), dim=gp.ndim - 2)
        whole = adjoint(solve_triangular(up, adjoint(whole), up=True))
    else:
        gl, gu = lower(part(gp, -1, 0, m), True), upper(gp)
        inner = lower(sub(matmul(adjoint(low), gl), matmul(gu, adjoint(up))), True)
        whole = adjoint(solve_triangular(part(up, -1, 0, m), adjoint(inner), up=True))
        whole = cat(add(whole, part(gu, -1, 0, m)), part(gu, -1, m, n), dim=gp.ndim - 1)
        whole = solve_triangular(adjoint(low), whole, up=True, unit=True)
    return (matmul(permutation(pivots, gp, m), whole),)


def _any_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in square_samples(spread)(rng):
        if sample.raises is None:
            yield sample
    for shape in ((5, 3), (2, 3, 5)):
        yield Sample((spread(rng, *shape),))
    yield Sample((np.eye(3, dtype=np.int64),), raises=DTypeError)


#: (L below the diagonal and U on and above it, exchanged rows counted from 1). Public: linalg.lu_factor, lu.
lu_factor: Op = register(Op(
    "lu_factor", (), _lu_infer, refused("lu_factor", _lu, SINGULAR), _lu_grad, Extern(LAPACK), _any_samples,
    batch=batched("lu_factor"), tolerance=SAME,
))  # fmt: skip


def _permutation_infer(pivots: TensorType, *, rows: Size) -> tuple[TensorType]:
    if pivots.dtype is not dtypes.int32 or not pivots.ndim:
        raise DTypeError(f"lu: pivots must be int32, got {layout.describe(pivots)}")
    return (tensor((*pivots.shape[:-1], rows, rows), dtypes.float64),)


def _permutation(pivots: Any, *, rows: int) -> Any:
    if pivots.dtype != np.int32 or not pivots.ndim:
        raise TypeError("int32 expected")
    flat = pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    out = np.zeros((flat.shape[0], rows, rows))
    for matrix, row in zip(out, flat, strict=True):
        order = np.arange(rows)
        for k, p in enumerate(row):
            order[[k, p - 1]] = order[[p - 1, k]]
        matrix[order, np.arange(rows)] = 1
    return out.reshape(*pivots.shape[:-1], rows, rows)


def _permutation_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((np.array([2, 3, 3], np.int32),), {"rows": 3})
    yield Sample((np.array([[2, 2], [1, 2], [2, 2]], np.int32),), {"rows": 2})
    yield Sample((np.array([3, 2], np.int32),), {"rows": 4}, note="tall")
    yield Sample((np.array([[2, 2], [1, 2], [2, 2], [1, 2]], np.int32)[::2],), {"rows": 2}, note="strided")
    yield Sample((np.zeros((0, 3), np.int32),), {"rows": 3}, note="empty")
    yield Sample((np.array([1, 2]),), {"rows": 2}, raises=DTypeError)


#: The matrix P of exchanged rows, A = P L U, in float64.
lu_permutation: Op = register(Op(
    "lu_permutation", (), _permutation_infer, _permutation, None, Extern("it follows exchanges one after the other"),
    _permutation_samples, batch=lambda dims, x, *, rows: lu_permutation(front(x, dims[0]), rows=rows), constant="positions",
))  # fmt: skip


def permutation(pivots: Any, g: Any, rows: Size) -> Any:
    """`lu_permutation` in the dtype of `g`."""
    return converted(lu_permutation(pivots, rows=rows), g.dtype)


# -- Householder's reflections


def _raw_infer(x: TensorType) -> tuple[TensorType, TensorType]:
    checked("geqrf", x, square=False)
    return tensor(x.shape, x.dtype), tensor((*x.shape[:-2], least("geqrf", x)), x.dtype)


def _raw(x: Any) -> Any:
    h, tau = np.linalg.qr(x, "raw")
    return np.swapaxes(h, -1, -2), tau


#: (R on and above the diagonal, the reflections' vectors below it; their factors), as LAPACK leaves them. Public: geqrf.
geqrf: Op = register(Op(
    "geqrf", (), _raw_infer, refused("geqrf", _raw, "it did not converge"), None, Extern(LAPACK), tall_samples,
    batch=batched("geqrf"), tolerance=SAME, constant="as PyTorch: differentiate linalg.qr",
))  # fmt: skip

# -- the exponential

#: Numerator coefficients of the Pade approximant of exp of degree 13.
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0, 10559470521600.0,
    670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip


def _exponential(x: Any) -> Any:
    """Scaling, Pade's approximant of degree 13, squaring."""
    n = x.shape[-1]
    if x.shape[-2] != n:
        raise ValueError("square matrices expected")
    if not x.size:
        return x
    columns: Any = np.sum(np.abs(x), -2)
    size: Any = columns.max(-1)
    times = np.where(size > 4.25, np.ceil(np.log2(np.where(size > 0, size, 1) / 4.25)), 0).astype(np.int64)
    a = (x.astype(np.complex128 if x.dtype.kind == "c" else np.float64).T / (2.0**times).T).T
    b, eye = _PADE, np.eye(n)
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a2 @ a4
    odd = a @ (a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye)
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
    out = np.linalg.solve(even - odd, even + odd)
    for k in range(int(max(times.ravel().tolist(), default=0))):
        out = np.where((times > k)[..., None, None], out @ out, out)
    return out


def _exponential_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    """The upper right block of exp([[A^H, g], [0, A^H]])."""
    n, turned = x.shape[-1], adjoint(x)
    last = x.ndim - 1
    top = cat(turned, g, dim=last)
    bottom = cat(mul(turned, 0.0), turned, dim=last)
    whole = matrix_exp(cat(top, bottom, dim=last - 1))
    rows = slice_(whole, dim=last - 1, start=0, stop=n, step=1)
    return (slice_(rows, dim=last, start=n, stop=2 * n, step=1),)


#: Exponentials of matrices. Public: matrix_exp.
matrix_exp: Op = register(Op(
    "matrix_exp", (), same_infer("matrix_exp"), refused("matrix_exp", _exponential, "it did not converge"), _exponential_grad,
    Extern(LAPACK), square_samples(spread), batch=batched("matrix_exp"), tolerance={"f32": (1e-4, 1e-4), "f64": (1e-9, 1e-9)},
))  # fmt: skip
