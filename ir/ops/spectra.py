"""Eigenvalues and singular values, and what is made of them: pseudo-inverses. NumPy steps, as in `decompositions`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, LinAlgError
from ..op import Extern, Op, Sample, register
from ..types import TensorType, tensor
from .compare import eq, where
from .declare import conjugated
from .decompositions import (
    LAPACK,
    RAISES,
    SAME,
    adjoint,
    all_given,
    batched,
    checked,
    column,
    diagonal,
    least,
    on_diagonal,
    places,
    refused,
    row,
    solve,
    spread,
    square_samples,
)
from .linalg import matmul
from .pointwise import add, div, mul, sub


def _eigh_infer(x: TensorType) -> tuple[TensorType, TensorType]:
    checked("eigh", x)
    return tensor(x.shape[:-1], x.dtype.to_real()), tensor(x.shape, x.dtype)


def _eigh_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    """V (diag(gw) + (V^H gV) / (w_j - w_i)) V^H."""
    g, (w, v) = all_given(g, out), out
    away = sub(row(w), column(w))
    same = eq(away, 0)
    inner = where(same, 0.0, div(matmul(adjoint(v), g[1]), where(same, 1.0, away)))
    return (matmul(v, matmul(add(on_diagonal(g[0]), inner), adjoint(v))),)


def _symmetric(rng: np.random.Generator, *shape: int) -> Any:
    x = rng.normal(size=shape)
    q, _ = np.linalg.qr(x)
    return (q * (1.0 + np.arange(shape[-1]))) @ q.swapaxes(-1, -2)


#: (eigenvalues, ascending; eigenvectors as columns) of symmetric matrices, whose lower triangle counts. Public: linalg.eigh.
eigh: Op = register(Op(
    "eigh", (), _eigh_infer, refused("eigh", lambda x: tuple(np.linalg.eigh(x)), "it did not converge"), _eigh_grad,
    Extern(LAPACK), square_samples(_symmetric), batch=batched("eigh"), autocast="f32", tolerance=SAME, effects=RAISES,
))  # fmt: skip


def _values_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    _, v = eigh(x)
    return (matmul(mul(v, row(g)), adjoint(v)),)


#: The eigenvalues of `eigh` alone. Public: linalg.eigvalsh.
eigvalsh: Op = register(Op(
    "eigvalsh", (), lambda x: (_eigh_infer(x)[0],), refused("eigvalsh", np.linalg.eigvalsh, "it did not converge"), _values_grad,
    Extern(LAPACK), square_samples(_symmetric), batch=batched("eigvalsh"), autocast="f32", tolerance=SAME, effects=RAISES,
))  # fmt: skip


def _svd_infer(x: TensorType) -> tuple[TensorType, ...]:
    checked("svd", x, square=False)
    m, n = x.shape[-2:]
    k = least("svd", x)
    lead = x.shape[:-2]
    return tensor((*lead, m, k), x.dtype), tensor((*lead, k), x.dtype.to_real()), tensor((*lead, k, n), x.dtype)


def _svd_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    (u, s, vh), (gu, gs, gvh) = out, all_given(g, out)
    square = mul(s, s)
    away = sub(row(square), column(square))
    same = eq(away, 0)
    away = where(same, 1.0, away)
    left, right = matmul(adjoint(u), gu), matmul(vh, adjoint(gvh))
    turn_u = where(same, 0.0, div(sub(left, adjoint(left)), away))
    turn_v = where(same, 0.0, div(sub(right, adjoint(right)), away))
    inner = add(add(mul(turn_u, row(s)), mul(column(s), turn_v)), on_diagonal(gs))
    if x.dtype.is_complex:
        inner = add(inner, on_diagonal(div(diagonal(sub(left, adjoint(left))), mul(s, 2))))
    total = matmul(u, matmul(inner, vh))
    over_u = div(sub(gu, matmul(u, left)), row(s))
    over_v = div(sub(gvh, matmul(adjoint(right), vh)), column(s))
    return (add(total, add(matmul(over_u, vh), matmul(u, over_v))),)


def _svd_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((4, 3), (2, 3, 3), (2, 4), (1, 1)):
        yield Sample((spread(rng, *shape),))
    yield Sample((spread(rng, 2, 5, 2).astype(np.float32),))
    yield Sample((np.asfortranarray(spread(rng, 4, 3)),), note="column-major")
    yield Sample((np.zeros((0, 3, 2)),), note="empty")
    yield Sample((np.eye(3, dtype=np.int64),), raises=DTypeError)


#: (U, singular values falling, V transposed), A = U diag(S) Vh, as narrow as can be. Public: linalg.svd.
svd: Op = register(Op(
    "svd", (), _svd_infer, refused("svd", lambda x: tuple(np.linalg.svd(x, full_matrices=False)), "it did not converge"),
    _svd_grad, Extern(LAPACK), _svd_samples, batch=batched("svd"), autocast="f32", tolerance=SAME, effects=RAISES,
))  # fmt: skip


def _svdvals_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    u, _, vh = svd(x)
    return (matmul(mul(u, row(g)), vh),)


#: The singular values alone. Public: linalg.svdvals.
svdvals: Op = register(Op(
    "svdvals", (), lambda x: (_svd_infer(x)[1],),
    refused("svdvals", lambda x: np.linalg.svd(x, compute_uv=False), "it did not converge"), _svdvals_grad, Extern(LAPACK),
    _svd_samples, batch=batched("svdvals"), autocast="f32", tolerance=SAME, effects=RAISES,
))  # fmt: skip


def _pinv_infer(x: TensorType, *, rtol: float, hermitian: bool) -> tuple[TensorType]:
    checked("pinv", x, square=hermitian)
    return (tensor((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype),)


def _pinv(x: Any, *, rtol: float, hermitian: bool) -> Any:
    if not x.size:
        return np.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
    return np.linalg.pinv(x, rcond=rtol, hermitian=hermitian)


def _pinv_grad(g: Any, need: Any, out: Any, x: Any, *, rtol: float, hermitian: bool) -> tuple[Any, ...]:
    """Golub's and Pereyra's formula."""
    turned, gh = adjoint(out), adjoint(g)
    k = matmul(gh, out)
    kt = matmul(k, turned)
    first = sub(kt, adjoint(matmul(out, k)))
    second = sub(matmul(matmul(turned, out), sub(gh, matmul(k, x))), matmul(matmul(x, out), kt))
    return (add(first, second),)


def _pinv_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _svd_samples(rng):
        yield Sample(sample.operands, {"rtol": 1e-10, "hermitian": False}, sample.raises, sample.note)


#: Pseudo-inverses; singular values below `rtol` times the largest count as 0. `hermitian`: one triangle is read.
pinv: Op = register(Op(
    "pinv", (), _pinv_infer, refused("pinv", _pinv, "it did not converge"), _pinv_grad, Extern(LAPACK), _pinv_samples,
    batch=batched("pinv"), autocast="f32", tolerance=SAME, effects=RAISES,
))  # fmt: skip

# -- eigenvalues of any square matrix, which are complex


def _eig_infer(x: TensorType) -> tuple[TensorType, TensorType]:
    checked("eig", x)
    return tensor(x.shape[:-1], x.dtype.to_complex()), tensor(x.shape, x.dtype.to_complex())


def _eig(x: Any) -> Any:
    if x.dtype.kind not in "fc" or x.ndim < 2:
        raise TypeError("floating matrices expected")
    try:
        made = np.linalg.eig(x)
    except np.linalg.LinAlgError as e:
        raise LinAlgError(f"linalg.eig: it did not converge ({e})") from None
    wide = np.complex64 if x.dtype in (np.float32, np.complex64) else np.complex128
    return tuple([np.ascontiguousarray(v.astype(wide)).reshape(v.shape) for v in made])


def _eig_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    """V^-H (diag(gw) + (V^H gV - V^H V diag(Re(V^H gV))) / conj(w_j - w_i)) V^H."""
    from .casts import cast

    g, (w, v) = all_given(g, out), out
    vh = adjoint(v)
    away = conjugated(sub(row(w), column(w)))
    i, j = places(v, v.shape[-1], v.shape[-1])
    same = eq(i, j)
    turned = matmul(vh, g[1])
    real = cast(cast(turned, dtype=w.dtype.to_real()), dtype=w.dtype)
    inner = div(sub(turned, mul(matmul(vh, v), row(diagonal(real)))), where(same, 1.0, away))
    inner = where(same, row(g[0]), inner)
    whole = solve(vh, matmul(inner, vh))
    return (whole if x.dtype.kind == "c" else cast(whole, dtype=x.dtype),)


#: (eigenvalues, eigenvectors as columns of length 1), complex. Eager only. Public: linalg.eig.
eig: Op = register(Op(
    "eig", (), _eig_infer, _eig, _eig_grad, Extern(LAPACK), square_samples(spread), batch=batched("eig"), autocast="f32",
    tolerance=SAME,
    effects=RAISES, eager_only=True,
))  # fmt: skip
