"""Linear algebra that LAPACK does: inverses, solutions, determinants, factors, eigenvalues, singular values. NumPy steps.

Matrices are the last two dimensions, all before are a batch. 32 and 64 bits a part, complex too. Results are row-major. Loaded by
`eager/linalg.py` or `ops.load_rare`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, LinAlgError, ShapeError
from .. import dtypes, layout
from ..op import Effects, Extern, Op, Sample, register
from ..types import TensorType, tensor
from .compare import eq, ge, gt, where
from .creation import arange, made_by, zeros_like
from .declare import conjugated, floats, holomorphic
from .linalg import matmul, swapped
from .pointwise import add, mul, neg, sub
from .reductions import sum
from .shape import aligned, front, reshape

LAPACK = "LAPACK's routine through NumPy: kernel IR has no pivoting and no iteration until convergence"
#: Compiled runs the same NumPy routine.
SAME = {"f32": (1e-5, 1e-5), "f64": (1e-12, 1e-12)}
RAISES = Effects(raises=(LinAlgError,))


def checked(op: str, *types: TensorType, square: bool = True) -> None:
    """DTypeError or ShapeError unless all are matrices of one dtype of 32 or 64 bits a part."""
    for t in types:
        if t.dtype.short not in ("f32", "f64") and t.dtype.kind != "c":
            raise DTypeError(f"linalg.{op}: Expected a floating point tensor of 32 or 64 bits, got {layout.describe(*types)}")
        if t.dtype is not types[0].dtype:
            raise DTypeError(f"linalg.{op}: operands must share one dtype, got {layout.describe(*types)}")
        if t.ndim < 2:
            raise ShapeError(f"linalg.{op}: The input tensor must have at least 2 dimensions, got {layout.describe(*types)}")
    if square and not layout.same(types[0].shape[-1], types[0].shape[-2]):
        raise ShapeError(f"linalg.{op}: A must be batches of square matrices, but they are {layout.describe(*types)}")


def as_floats(*xs: Any) -> None:
    """TypeError where `checked` would refuse the arrays' dtypes."""
    if any(x.dtype.kind not in "fc" or x.dtype.itemsize < 4 or x.ndim < 2 for x in xs) or len({x.dtype for x in xs}) > 1:
        raise TypeError("matrices of one floating dtype expected")


def batched(name: str) -> Callable[..., Any]:
    """The batch rule of an op over matrices: one more leading dimension."""

    def batch(dims: Any, *xs: Any, **attrs: Any) -> Any:
        from ..op import lookup

        full = max([x.ndim - (d is not None) for x, d in zip(xs, dims, strict=True)]) + 1
        moved = [aligned(front(x, d), full) if d is not None else x for x, d in zip(xs, dims, strict=True)]
        return lookup(name)(*moved, **attrs)

    return batch


def spread(rng: np.random.Generator, *shape: int) -> Any:
    """Matrices with singular values well apart and away from 0."""
    x = rng.normal(size=shape)
    u, s, v = np.linalg.svd(x, full_matrices=False)
    return (u * (1 + np.arange(s.shape[-1]) * 0.7 + 0.2 * s)[..., None, :]) @ v


def square_samples(make: Callable[..., Any], **attrs: Any) -> Callable[..., Iterator[Sample]]:
    """Square matrices by ``make(rng, *shape)``: batches, empty, column-major, of both dtypes, and what is refused."""

    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        for shape in ((3, 3), (2, 4, 4), (1, 1)):
            yield Sample((make(rng, *shape),), attrs)
        yield Sample((make(rng, 2, 3, 3).astype(np.float32),), attrs)
        x = make(rng, 4, 4)
        yield Sample((np.asfortranarray(x),), attrs, note="column-major")
        yield Sample((np.zeros((2, 0, 0)),), attrs, note="empty")
        yield Sample((np.zeros((0, 3, 3)),), attrs, note="empty")
        yield Sample((floats(rng, (3, 4), dtypes.float64),), attrs, raises=ShapeError)
        yield Sample((np.eye(3, dtype=np.int64),), attrs, raises=DTypeError)

    return sample


def places(x: Any, rows: Any, columns: Any) -> tuple[Any, Any]:
    """The row and the column of each element of a matrix, to be compared: (rows, 1) and (columns,), int64 beside `x`."""
    made = [made_by(x, arange, start=0, step=1, length=n, dtype=dtypes.int64) for n in (rows, columns)]
    return reshape(made[0], (rows, 1)), made[1]


def lower(x: Any, strict: bool = False) -> Any:
    """The lower triangle, with the diagonal unless `strict`."""
    i, j = places(x, x.shape[-2], x.shape[-1])
    return where(gt(i, j) if strict else ge(i, j), x, 0.0)


def upper(x: Any, strict: bool = False) -> Any:
    """The upper triangle, with the diagonal unless `strict`."""
    i, j = places(x, x.shape[-2], x.shape[-1])
    return where(gt(j, i) if strict else ge(j, i), x, 0.0)


def on_diagonal(values: Any) -> Any:
    """Matrices with `values` on the diagonal."""
    n = values.shape[-1]
    i, j = places(values, n, n)
    return where(eq(i, j), reshape(values, (*values.shape, 1)), 0)


def column(x: Any) -> Any:
    """Vectors as matrices of one column."""
    return reshape(x, (*x.shape, 1))


def row(x: Any) -> Any:
    """Vectors as matrices of one row."""
    return reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def all_given(g: Any, out: Any) -> tuple[Any, ...]:
    """Gradients of all results, zeros where none arrived."""
    return tuple([zeros_like(o) if d is None else d for d, o in zip(g, out, strict=True)])


def adjoint(x: Any) -> Any:
    """Matrices transposed, and conjugated where complex."""
    return swapped(conjugated(x))


def real(x: Any) -> Any:
    """The real part of complex values; real ones as they are."""
    from .casts import cast

    return cast(x, dtype=x.dtype.to_real()) if x.dtype.is_complex else x


def least(op: str, x: TensorType) -> Any:
    """The shorter side of matrices."""
    m, n = x.shape[-2:]
    if not layout.at_most(m, n) and not layout.at_most(n, m):
        raise ShapeError(f"linalg.{op}: which of both sizes is the smaller one must be known, got {layout.describe(x)}")
    return m if layout.at_most(m, n) else n


def same_infer(op: str) -> Any:
    """`infer` of an op from square matrices to such."""

    def infer(x: TensorType, **_attrs: Any) -> tuple[TensorType]:
        checked(op, x)
        return (tensor(x.shape, x.dtype),)

    return infer


def refused(op: str, fn: Callable[..., Any], why: str) -> Callable[..., Any]:
    """`fn` with NumPy's LinAlgError as ours, its results row-major."""

    def eager(*xs: Any, **attrs: Any) -> Any:
        as_floats(*xs)
        try:
            out = fn(*xs, **attrs)
        except np.linalg.LinAlgError as e:
            raise LinAlgError(f"linalg.{op}: {why} ({e})") from None
        dtype = xs[0].dtype
        if isinstance(out, tuple):
            return tuple([np.ascontiguousarray(v) if v.dtype.kind == "i" else _plain(v, dtype) for v in out])
        return _plain(out, dtype)

    return eager


def _plain(x: Any, dtype: Any) -> Any:
    x = np.asarray(x)
    if dtype.kind == "c" and x.dtype.kind == "f":
        dtype = np.empty(0, dtype).real.dtype
    return np.array(x.astype(dtype, copy=False), order="C", copy=None).reshape(x.shape) if x.ndim else x.astype(dtype)


SINGULAR = "The diagonal element is zero, the input matrix is singular"

# -- inverse, solutions


def _inv_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    turned = swapped(out)
    return (neg(matmul(turned, matmul(g, turned))),)


#: Inverse matrices; LinAlgError where one is singular. Public: linalg.inv.
inv: Op = register(Op(
    "inv", (), same_infer("inv"), refused("inv", np.linalg.inv, SINGULAR), holomorphic(_inv_grad), Extern(LAPACK),
    square_samples(spread), batch=batched("inv"), autocast="f32", tolerance=SAME, effects=RAISES,
))  # fmt: skip


def _solve_infer(op: str) -> Any:
    def infer(a: TensorType, b: TensorType, **_attrs: Any) -> tuple[TensorType]:
        checked(op, a, b)
        if not layout.same(a.shape[-1], b.shape[-2]):
            raise ShapeError(f"linalg.{op}: Incompatible shapes of A and B for the equation AX = B: {layout.describe(a, b)}")
        batch = layout.broadcast_shapes(op, [a.shape[:-2], b.shape[:-2]], (a, b))
        return (tensor((*batch, b.shape[-2], b.shape[-1]), a.dtype),)

    return infer


def _solve_grad(g: Any, need: Any, out: Any, a: Any, b: Any) -> tuple[Any, ...]:
    gb = solve(swapped(a), g)
    return neg(matmul(gb, swapped(out))) if need[0] else None, gb if need[1] else None


def _solve_samples(make: Callable[..., Any], **attrs: Any) -> Callable[..., Iterator[Sample]]:
    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        for a, b in (((3, 3), (3, 2)), ((2, 3, 3), (3, 1)), ((3, 3), (2, 3, 2)), ((2, 1, 3, 3), (4, 3, 2))):
            yield Sample((make(rng, *a), rng.normal(size=b)), attrs)
        yield Sample((make(rng, 3, 3).astype(np.float32), rng.normal(size=(3, 2)).astype(np.float32)), attrs)
        yield Sample((make(rng, 3, 3), rng.normal(size=(2, 3)).T), attrs, note="transposed")
        yield Sample((make(rng, 3, 3), np.zeros((3, 0))), attrs, note="empty")
        yield Sample((make(rng, 3, 3), np.zeros((4, 2))), attrs, raises=ShapeError)

    return sample


#: X of A X = B for square A; LinAlgError where one is singular. Public: linalg.solve.
solve: Op = register(Op(
    "solve", (), _solve_infer("solve"), refused("solve", np.linalg.solve, SINGULAR), holomorphic(_solve_grad),
    Extern(LAPACK), _solve_samples(spread), batch=batched("solve"), autocast="f32", tolerance=SAME, effects=RAISES,
))  # fmt: skip


def _triangular(a: Any, b: Any, *, up: bool, unit: bool = False) -> Any:
    """By substitution, a row at a time; a zero on the diagonal gives infinities as LAPACK's routine does."""
    n = a.shape[-1]
    if b.shape[-2] != n or a.shape[-2] != n:
        raise ValueError("shapes")
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = np.array(np.broadcast_to(b, (*lead, *b.shape[-2:])))
    for i in range(n - 1, -1, -1) if up else range(n):
        known = slice(i + 1, n) if up else slice(0, i)
        rest = x[..., i, :] - np.matmul(a[..., i : i + 1, known], x[..., known, :])[..., 0, :]
        x[..., i, :] = rest if unit else rest / a[..., i, i, None]
    return x


def _triangular_grad(g: Any, need: Any, out: Any, a: Any, b: Any, *, up: bool, unit: bool = False) -> tuple[Any, ...]:
    gb = solve_triangular(swapped(a), g, up=not up, unit=unit)
    ga = (upper if up else lower)(neg(matmul(gb, swapped(out))), unit) if need[0] else None
    return ga, gb if need[1] else None


def _triangular_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from _solve_samples(_strong, up=False)(rng)
    for sample in _solve_samples(_strong, up=True, unit=True)(rng):
        if sample.raises is None:
            yield sample


def _strong(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(size=shape) + 3 * np.eye(shape[-1])


#: X of A X = B, where only the lower (`up`: upper) triangle of A counts; `unit`: its diagonal is 1. Public: solve_triangular.
solve_triangular: Op = register(Op(
    "solve_triangular", (), _solve_infer("solve_triangular"), refused("solve_triangular", _triangular, SINGULAR),
    holomorphic(_triangular_grad), Extern(LAPACK), _triangular_samples, batch=batched("solve_triangular"), autocast="f32",
    tolerance=SAME,
))  # fmt: skip

# -- determinants


def _det_infer(x: TensorType) -> tuple[TensorType]:
    checked("det", x)
    return (tensor(x.shape[:-2], x.dtype),)


def _det_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    return (mul(reshape(mul(g, out), (*g.shape, 1, 1)), swapped(inv(x))),)


#: Determinants. The gradient wants matrices that can be inverted. Public: linalg.det.
det: Op = register(Op(
    "det", (), _det_infer, refused("det", np.linalg.det, SINGULAR), holomorphic(_det_grad), Extern(LAPACK),
    square_samples(spread), batch=batched("det"), tolerance=SAME, effects=RAISES,
))  # fmt: skip


def _slogdet_infer(x: TensorType) -> tuple[TensorType, TensorType]:
    checked("slogdet", x)
    return tensor(x.shape[:-2], x.dtype), tensor(x.shape[:-2], x.dtype.to_real())


def _slogdet_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    weight = g[1]
    if x.dtype.is_complex and g[0] is not None:  # d sign = i sign Im(tr(A^-1 dA))
        turn = real(mul(mul(conjugated(g[0]), out[0]), -1j))
        weight = sub(0 if weight is None else weight, mul(turn, 1j))
    return (None if weight is None else mul(reshape(weight, (*weight.shape, 1, 1)), adjoint(inv(x))),)


#: (signs of determinants, logarithms of their magnitudes). Public: linalg.slogdet, logdet.
slogdet: Op = register(Op(
    "slogdet", (), _slogdet_infer, refused("slogdet", lambda x: tuple(np.linalg.slogdet(x)), SINGULAR),
    _slogdet_grad, Extern(LAPACK),
    square_samples(spread), batch=batched("slogdet"), tolerance=SAME, effects=RAISES,
))  # fmt: skip

# -- factors


def _positive(rng: np.random.Generator, *shape: int) -> Any:
    x = rng.normal(size=shape)
    return x @ x.swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1])


def _cholesky_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    """L^-H phi(L^H g) L^-1; phi: half of the sum of the lower triangle and its adjoint, the diagonal once."""
    turned = adjoint(out)
    product = lower(matmul(turned, lower(g)))
    other = adjoint(product)
    phi = mul(sub(add(product, other), on_diagonal(diagonal(other))), 0.5)
    left = solve_triangular(turned, phi, up=True)
    return (adjoint(solve_triangular(turned, adjoint(left), up=True)),)


def diagonal(x: Any) -> Any:
    """The diagonal of square matrices."""
    i, j = places(x, x.shape[-2], x.shape[-1])
    return sum(where(eq(i, j), x, 0.0), dim=(x.ndim - 1,), keepdim=False)


def _cholesky_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from square_samples(_positive)(rng)
    yield Sample((-np.eye(3),), raises=LinAlgError)


#: The lower triangle L of A = L L^T; LinAlgError where A is not positive definite. Public: linalg.cholesky.
cholesky: Op = register(Op(
    "cholesky", (), same_infer("cholesky"),
    refused("cholesky", np.linalg.cholesky, "the factorization could not be completed: the input is not positive-definite"),
    _cholesky_grad, Extern(LAPACK), _cholesky_samples, batch=batched("cholesky"), autocast="f32", tolerance=SAME, effects=RAISES,
))  # fmt: skip


def _qr_infer(x: TensorType) -> tuple[TensorType, TensorType]:
    checked("qr", x, square=False)
    m, n = x.shape[-2:]
    if not layout.at_most(n, m):
        raise ShapeError(f"linalg.qr: as many rows as columns at least are wanted here, got {layout.describe(x)}")
    return tensor(x.shape, x.dtype), tensor((*x.shape[:-2], n, n), x.dtype)


def _qr(x: Any) -> Any:
    if x.shape[-2] < x.shape[-1]:
        raise ValueError("more columns than rows")
    return tuple(np.linalg.qr(x))


def _qr_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    g, (q, r) = all_given(g, out), out
    mixed = sub(matmul(r, adjoint(g[1])), matmul(adjoint(g[0]), q))
    below = lower(mixed, True)
    both = add(add(below, adjoint(below)), on_diagonal(real(diagonal(mixed))))
    right = add(g[0], matmul(q, both))
    return (adjoint(solve_triangular(r, adjoint(right), up=True)),)


def tall_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((4, 3), (2, 3, 3), (1, 1)):
        yield Sample((spread(rng, *shape),))
    yield Sample((spread(rng, 2, 5, 2).astype(np.float32),))
    yield Sample((np.asfortranarray(spread(rng, 4, 3)),), note="column-major")
    yield Sample((np.zeros((0, 3, 2)),), note="empty")
    yield Sample((np.eye(3, dtype=np.int64),), raises=DTypeError)


#: (Q with orthonormal columns, upper triangle R), A = Q R, of matrices not wider than high. Public: linalg.qr.
qr: Op = register(Op(
    "qr", (), _qr_infer, refused("qr", _qr, "it did not converge"), _qr_grad, Extern(LAPACK), tall_samples, batch=batched("qr"),
    autocast="f32", tolerance=SAME,
))  # fmt: skip
