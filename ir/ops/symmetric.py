"""LDL factors of symmetric and Hermitian matrices that need not be definite: Bunch's and Kaufman's diagonal pivoting (1977), as
LAPACK's sytf2 and hetf2 go about it, on lower triangles. NumPy steps, one matrix at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Extern, Op, Sample, register
from ..types import TensorType, tensor
from .decompositions import LAPACK, SAME, batched, checked
from .factors import magnitude
from .shape import aligned, expand, front

_ALPHA = (1 + math.sqrt(17)) / 8


def _factor_infer(x: TensorType, *, hermitian: bool) -> tuple[TensorType, TensorType]:
    checked("ldl_factor", x)
    return tensor(x.shape, x.dtype), tensor(x.shape[:-1], dtypes.int32)


def _pivot(a: Any, k: int) -> tuple[int, int]:
    """(which row and column to bring to place, how many rows the pivot takes)."""
    n = a.shape[0]
    size = magnitude(a)
    own = size[k, k]
    if k == n - 1:
        return k, 1
    low = k + 1 + int(np.argmax(size[k + 1 :, k]))
    most = size[low, k]
    if max(own, most) == 0 or own >= _ALPHA * most:
        return k, 1
    across = max(size[low, k:low].max(), size[low + 1 :, low].max(initial=0))
    if own >= _ALPHA * most * (most / across):
        return k, 1
    return (low, 1) if size[low, low] >= _ALPHA * across else (low, 2)


def _exchange(a: Any, k: int, at: int, other: int, step: int, turn: Callable[[Any], Any]) -> None:
    """Rows and columns `at` and `other` of what is left, in the lower triangle."""
    a[other + 1 :, [at, other]] = a[other + 1 :, [other, at]]
    middle = slice(at + 1, other)
    a[middle, at], a[other, middle] = turn(a[other, middle]).copy(), turn(a[middle, at]).copy()
    a[other, at] = turn(a[other, at])
    a[at, at], a[other, other] = a[other, other], a[at, at]
    if step == 2:
        a[at, k], a[other, k] = a[other, k], a[at, k]


def _eliminate(a: Any, k: int, step: int, turn: Callable[[Any], Any]) -> None:
    """Take the pivot block's part out of what is left; its columns become those of L."""
    left = slice(k + step, None)
    x = a[left, k : k + step].copy()
    if not x.size or not np.any(a[k : k + step, k : k + step]):
        return
    block = np.tril(a[k : k + step, k : k + step])
    block = block + turn(np.tril(block, -1)).T
    made = np.linalg.solve(block.T, x.T).T
    a[left, left] -= np.tril(made @ turn(x).T)
    a[left, k : k + step] = made


def _factored(a: Any, hermitian: bool) -> tuple[Any, Any]:
    n, k = a.shape[0], 0
    pivots = np.zeros(n, np.int32)
    turn = np.conj if hermitian and a.dtype.kind == "c" else np.asarray
    while k < n:
        other, step = _pivot(a, k)
        at = k + step - 1
        if other != at:
            _exchange(a, k, at, other, step, turn)
        if hermitian and a.dtype.kind == "c":
            a[range(k, k + step), range(k, k + step)] = a[range(k, k + step), range(k, k + step)].real
        _eliminate(a, k, step, turn)
        pivots[k : k + step] = other + 1 if step == 1 else -(other + 1)
        k += step
    return a, pivots


def _factor(x: Any, *, hermitian: bool) -> tuple[Any, Any]:
    if x.dtype.kind not in "fc" or x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise TypeError("square floating matrices expected")
    flat = np.array(np.tril(x), order="C").reshape(math.prod(x.shape[:-2]), *x.shape[-2:])
    pivots = np.zeros(flat.shape[:2], np.int32)
    for i, matrix in enumerate(flat):
        flat[i], pivots[i] = _factored(matrix, hermitian)
    return flat.reshape(x.shape), pivots.reshape(x.shape[:-1])


def _symmetric(rng: np.random.Generator, *shape: int) -> Any:
    x = rng.normal(size=shape)
    return x + x.swapaxes(-1, -2)


def _factor_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((4, 4), (2, 3, 3), (1, 1)):
        yield Sample((_symmetric(rng, *shape),), {"hermitian": False})
    yield Sample((_symmetric(rng, 5, 5).astype(np.float32).T,), {"hermitian": True}, note="strided")
    yield Sample((np.zeros((2, 0, 0)),), {"hermitian": False}, note="empty")
    yield Sample((np.zeros((2, 3)),), {"hermitian": False}, raises=ShapeError)


#: (L below the pivot blocks and these, rows exchanged: LAPACK's numbers). Public: linalg.ldl_factor.
ldl_factor: Op = register(Op(
    "ldl_factor", (), _factor_infer, _factor, None, Extern(LAPACK), _factor_samples, batch=batched("ldl_factor"), tolerance=SAME,
    constant="as PyTorch: solve with the matrix itself where a gradient is wanted",
))  # fmt: skip


def _solve_infer(factors: TensorType, pivots: TensorType, b: TensorType, *, hermitian: bool) -> tuple[TensorType]:
    checked("ldl_solve", factors, b)
    if pivots.dtype is not dtypes.int32:
        raise DTypeError(f"linalg.ldl_solve: pivots must be int32, got {layout.describe(pivots)}")
    if not layout.same(factors.shape[-1], b.shape[-2]):
        raise ShapeError(f"linalg.ldl_solve: {layout.describe(factors, pivots, b)} do not fit")
    lead = layout.broadcast_shapes("ldl_solve", [factors.shape[:-2], b.shape[:-2]], (factors, b))
    return (tensor((*lead, *b.shape[-2:]), b.dtype),)


def _solved(block: Any, b: Any, turn: Callable[[Any], Any]) -> Any:
    """By a pivot block of one row or two, of which the lower triangle counts; infinite where it is singular."""
    if len(block) == 1:
        return b / block[0, 0]
    low, high = block[1, 0], turn(block[1, 0])
    bottom = block[0, 0] * block[1, 1] - low * high
    return np.stack([(block[1, 1] * b[0] - high * b[1]) / bottom, (block[0, 0] * b[1] - low * b[0]) / bottom])


def _substituted(a: Any, pivots: Any, b: Any, turn: Callable[[Any], Any]) -> None:
    """L, the blocks, then L transposed; in `b`."""
    n, k, taken = len(a), 0, []
    while k < n:
        step = 1 if pivots[k] > 0 or k == n - 1 else 2
        at, other = k + step - 1, abs(int(pivots[k])) - 1
        taken.append((k, step, at, other))
        b[[at, other]] = b[[other, at]]
        b[k + step :] -= a[k + step :, k : k + step] @ b[k : k + step]
        b[k : k + step] = _solved(a[k : k + step, k : k + step], b[k : k + step], turn)
        k += step
    for k, step, at, other in reversed(taken):
        b[k : k + step] -= turn(a[k + step :, k : k + step]).T @ b[k + step :]
        b[[at, other]] = b[[other, at]]


def _solve(factors: Any, pivots: Any, b: Any, *, hermitian: bool) -> Any:
    n = factors.shape[-1]
    if b.ndim < 2 or b.shape[-2] != n or b.dtype != factors.dtype or pivots.dtype != np.int32:
        raise ValueError("shapes")
    turn = np.conj if hermitian and b.dtype.kind == "c" else np.asarray
    lead = np.broadcast_shapes(factors.shape[:-2], b.shape[:-2])
    out = np.array(np.broadcast_to(b, (*lead, *b.shape[-2:])), order="C")
    all_factors, all_pivots = np.broadcast_to(factors, (*lead, n, n)), np.broadcast_to(pivots, (*lead, n))
    for at in np.ndindex(*lead):
        _substituted(all_factors[at], all_pivots[at], out[at], turn)
    return out


def _solve_batch(dims: Any, factors: Any, pivots: Any, b: Any, *, hermitian: bool) -> Any:
    ranks = [x.ndim - (d is not None) + k for x, d, k in zip((factors, pivots, b), dims, (0, 1, 0), strict=True)]
    full = max(ranks) + 1
    if dims[0] is None and dims[2] is None:  # only factors and right sides say what the result's batch is
        b, dims = expand(b, shape=(pivots.shape[dims[1]], *b.shape)), (None, dims[1], 0)
    moved = [aligned(front(x, d), full - k) if d is not None else x
             for x, d, k in zip((factors, pivots, b), dims, (0, 1, 0), strict=True)]  # fmt: skip
    return ldl_solve(*moved, hermitian=hermitian)


def _solve_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for lead in ((), (2,)):
        for hermitian in (False, True):
            made = _factor(_symmetric(rng, *lead, 4, 4), hermitian=hermitian)
            yield Sample((*made, rng.normal(size=(4, 2))), {"hermitian": hermitian})
    yield Sample((*made, rng.normal(size=(2, 4)).T), {"hermitian": True}, note="strided")
    yield Sample((*made, rng.normal(size=(4, 0))), {"hermitian": True}, note="empty")
    yield Sample((*made, rng.normal(size=(3, 2))), {"hermitian": True}, raises=ShapeError)


#: X of A X = B by the factors of A. Public: linalg.ldl_solve.
ldl_solve: Op = register(Op(
    "ldl_solve", (), _solve_infer, _solve, None, Extern(LAPACK), _solve_samples, batch=_solve_batch, tolerance=SAME,
    constant="linear in the right side: the public function multiplies by what it makes of the identity",
))  # fmt: skip
