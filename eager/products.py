"""Products of vectors and matrices with additions, products over chosen dimensions, distances: plain functions over matmul."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError, ShapeError
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import casting
from . import generated as g
from .arguments import wrap_dim
from .arranging import einsum
from .functional import bmm, expand, matmul, mm, narrow, outer, permute, reshape, stack, transpose, unlowered, unsqueeze
from .outputs import matched
from .pure import pure
from .reducing import index_along, norm
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor


def _added(input: Any, product: Any, beta: Any, alpha: Any, out: Any) -> Any:
    """``beta * input + alpha * product``; an `input` times 0 is not read, so that its NaN do not matter. Whole numbers stay so:
    `beta` and `alpha` are cut to their kind."""
    kind = product.dtype.kind
    if kind in "biu":
        beta, alpha = (bool(n) if kind == "b" else int(n) for n in (beta, alpha))
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:
        return matched(scaled, out)
    return matched((input if beta == 1 else input * beta) + scaled, out)


@served
@pure
def addmm(input: Any, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Tensor:
    """``beta * input + alpha * mat1 @ mat2``."""
    if casting.on:
        (input,) = casting.low(input)
    return _added(input, mm(mat1, mat2), beta, alpha, out)  # type: ignore[no-any-return]


@served
@pure
def addmv(input: Any, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Tensor:
    """``beta * input + alpha * mat @ vec``."""
    return _added(input, mv(mat, vec), beta, alpha, out)  # type: ignore[no-any-return]


@pure
def addr(input: Any, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    return _added(input, outer(vec1, vec2), beta, alpha, out)  # type: ignore[no-any-return]


@served
@pure
def baddbmm(input: Any, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Tensor:
    """``beta * input + alpha * batch1 @ batch2`` for batches of matrices."""
    if casting.on:
        (input,) = casting.low(input)
    return _added(input, bmm(batch1, batch2), beta, alpha, out)  # type: ignore[no-any-return]


@served
@pure
def addbmm(input: Any, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Tensor:
    """``beta * input + alpha * (the sum of the batch's products)``."""
    if casting.on:
        input, batch1, batch2 = casting.low(input, batch1, batch2)
    return _added(input, g.sum(bmm(batch1, batch2), 0, dtype=batch1.dtype), beta, alpha, out)  # type: ignore[no-any-return]


@served
@pure
def mv(input: Tensor, vec: Tensor, *, out: Any = None) -> Tensor:
    """Product of a matrix and a vector."""
    if input.ndim != 2 or vec.ndim != 1:
        raise ShapeError(f"mv: a matrix and a vector expected, got shapes {list(input.shape)} and {list(vec.shape)}")
    return matched(unlowered(input, vec), out)  # type: ignore[no-any-return]


@served
@pure
def vdot(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Sum of the products of two vectors, the first one conjugated where complex."""
    if input.ndim != 1 or other.ndim != 1:
        raise ShapeError(f"vdot: 1D tensors expected, got shapes {list(input.shape)} and {list(other.shape)}")
    left = input.conj() if input.dtype.kind == "c" else input
    return matched(matmul(left, other), out)  # type: ignore[no-any-return]


@served
@pure
def inner(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Sums of products over the last dimensions of both."""
    if not input.ndim or not other.ndim:
        return matched(input * other, out)  # type: ignore[no-any-return]
    if input.shape[-1] != other.shape[-1]:
        raise ShapeError(f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
                         f"{list(other.shape)}")  # fmt: skip
    return matched(tensordot(input, other, ([-1], [-1])), out)  # type: ignore[no-any-return]


@pure
def ger(input: Tensor, vec2: Tensor, *, out: Any = None) -> Tensor:
    """`outer`."""
    return matched(outer(input, vec2), out)  # type: ignore[no-any-return]


@served
@pure
def kron(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Kronecker's product: a copy of `other` times each element of `input`, in its place."""
    n = max(input.ndim, other.ndim)
    a, b = (reshape(x, (1,) * (n - x.ndim) + tuple(x.shape)) for x in (input, other))
    wide = reshape(a, [s for d in range(n) for s in (a.shape[d], 1)]) * reshape(b, [s for d in range(n) for s in (1, b.shape[d])])
    return matched(reshape(wide, [p * q for p, q in zip(a.shape, b.shape, strict=True)]), out)  # type: ignore[no-any-return]


@served
@pure
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Any = None) -> Tensor:
    """Sums of products over dimensions of `a` paired with some of `b`: the last and the first `dims`, or two lists of them."""
    if hasattr(dims, "meta"):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        dims = (list(range(a.ndim - dims, a.ndim)), list(range(dims)))
    left, right = ([wrap_dim(d, x.ndim) for d in (p if isinstance(p, (tuple, list)) else (p,))]
                   for p, x in zip(dims, (a, b), strict=True))  # fmt: skip
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    for d, e in zip(left, right, strict=True):
        if a.shape[d] == 1 and b.shape[e] != 1:
            b = g.sum(b, e, keepdim=True, dtype=b.dtype)
        elif b.shape[e] == 1 and a.shape[d] != 1:
            a = g.sum(a, d, keepdim=True, dtype=a.dtype)
        if a.shape[d] != b.shape[e]:
            raise RuntimeError(f"contracted dimensions need to match, but first has size {a.shape[d]} in dim {d} and second has "
                               f"size {b.shape[e]} in dim {e}")  # fmt: skip
    rows, columns = [d for d in range(a.ndim) if d not in left], [d for d in range(b.ndim) if d not in right]
    count, high, wide = 1, 1, 1
    for d in left:
        count = count * a.shape[d]
    for d in rows:
        high = high * a.shape[d]
    for d in columns:
        wide = wide * b.shape[d]
    product = matmul(reshape(permute(a, (*rows, *left)), (high, count)), reshape(permute(b, (*right, *columns)), (count, wide)))
    shape = [*(a.shape[d] for d in rows), *(b.shape[d] for d in columns)]
    return matched(reshape(product, shape), out)  # type: ignore[no-any-return]


@pure
def chain_matmul(*matrices: Any, out: Any = None) -> Tensor:
    """The product of matrices, in the order that takes the fewest multiplications."""
    given = tuple(matrices[0]) if len(matrices) == 1 and isinstance(matrices[0], (tuple, list)) else matrices
    return matched(multiplied(given), out)  # type: ignore[no-any-return]


def multiplied(matrices: Sequence[Any]) -> Any:
    """The product of matrices; where to cut the chain is decided by dynamic programming over their sizes."""
    n = len(matrices)
    if n == 1:
        return matrices[0]
    sizes = [int(matrices[0].shape[0]), *(int(m.shape[1]) for m in matrices)]
    cost = {(i, i): 0 for i in range(n)}
    cut: dict[tuple[int, int], int] = {}
    for span, i in ((s, i) for s in range(1, n) for i in range(n - s)):
        j = i + span
        best = min((cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))
        cost[i, j], cut[i, j] = best

    def product(i: int, j: int) -> Any:
        return matrices[i] if i == j else mm(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    return product(0, n - 1)


@served
@pure
def cross(input: Tensor, other: Tensor, dim: int | None = None, *, out: Any = None) -> Tensor:
    """The vector at right angles to both, along `dim` (by default the first of size 3)."""
    shape = _joint(input, other)
    a, b = (expand(x, shape) for x in (input, other))
    at = wrap_dim(dim, a.ndim) if dim is not None else next((d for d, n in enumerate(shape) if n == 3), None)
    if at is None or shape[at] != 3:
        raise RuntimeError(f"cross: inputs dimension {dim} must have length 3. Got shapes {list(input.shape)} and "
                           f"{list(other.shape)}")  # fmt: skip
    one, two = ([narrow(x, at, k, 1) for k in range(3)] for x in (a, b))
    parts = [one[(k + 1) % 3] * two[(k + 2) % 3] - one[(k + 2) % 3] * two[(k + 1) % 3] for k in range(3)]
    return matched(g.cat(parts, at), out)  # type: ignore[no-any-return]


def _joint(a: Any, b: Any) -> Any:
    from ..ir.layout import broadcast_shapes

    return broadcast_shapes("cross", (a.shape, b.shape), (a.meta.type, b.meta.type))


@served
@pure
def trace(input: Tensor) -> Tensor:
    """Sum of a matrix's diagonal."""
    if casting.on:
        (input,) = casting.wide(input)
    if input.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    same = g.eq(unsqueeze(index_along(input, 0), 1), index_along(input, 1))
    return g.sum(where(same, input, filled(input, (), 0)))


# -- distances


def _lengths(away: Any, p: float) -> Any:
    """p-norms along the last dimension, of nothing 0."""
    return norm(away, p, -1) if away.shape[-1] else filled(away, away.shape[:-1], 0)


@served
@pure
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """p-norm distances of every row of `x1` to every row of `x2`, in batches."""
    if casting.on:
        x1, x2 = casting.wide(x1, x2)
    if x1.ndim < 2 or x2.ndim < 2:
        raise ShapeError(f"cdist only supports at least 2D tensors, got shapes {list(x1.shape)} and {list(x2.shape)}")
    if x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    if not x1.dtype.is_floating_point or not x2.dtype.is_floating_point:
        raise DTypeError(f"cdist only supports floating-point dtypes, got {x1.dtype.name} and {x2.dtype.name}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    many = x1.shape[-2] > 25 or x2.shape[-2] > 25  # as PyTorch: few rows exactly, many by a product
    if p == 2 and (compute_mode == "use_mm_for_euclid_dist" or (many and compute_mode == "use_mm_for_euclid_dist_if_necessary")):
        return _by_product(x1, x2)  # type: ignore[no-any-return]
    return _lengths(unsqueeze(x1, -2) - unsqueeze(x2, -3), float(p))  # type: ignore[no-any-return]


def _by_product(x: Any, y: Any) -> Any:
    """Euclidean distances from squares and one matrix product, in memory of the result's size."""
    squares = g.sum(x * x, -1, keepdim=True) + unsqueeze(g.sum(y * y, -1), -2)
    total = squares - unlowered(x, transpose(y, -2, -1)) * 2
    near = total <= 0
    return where(near, 0.0, g.sqrt(where(near, 1.0, total)))


def _pairs_of(n: int, like: Any) -> tuple[Any, Any]:
    """Positions (i, j), i < j < n, row by row."""
    at = index_along(like, 0)
    later = g.lt(unsqueeze(at, 1), at)
    rows, columns = later.nonzero(as_tuple=True)
    return rows, columns


@pure
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """p-norm distances of every two rows."""
    if input.ndim != 2:
        raise ShapeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    rows, columns = _pairs_of(input.shape[0], input)
    return _lengths(input[rows] - input[columns], float(p))  # type: ignore[no-any-return]


@served
@pure
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    """``input1 @ weight[k] @ input2`` for each output k, plus bias; `weight` is (outputs, size of input1, size of input2)."""
    if input1.shape[:-1] != input2.shape[:-1]:
        raise ShapeError(f"bilinear(): input batch dimensions do not match: got {list(input1.shape)} and {list(input2.shape)}")
    lead = input1.shape[:-1]
    a, b = (reshape(x, (-1, x.shape[-1])) for x in (input1, input2))
    equation = "bi,oij,bj->bo"
    found = casting.plainly(einsum, equation, a, weight, b) if casting.on else einsum(equation, a, weight, b)
    found = found if bias is None else found + bias
    return reshape(found, (*lead, weight.shape[0]))


# -- arrangements of several tensors


@pure
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of `r` elements of a vector, as rows."""
    if input.ndim != 1:
        raise ShapeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = list(choose(range(int(input.shape[0])), r))
    if not places or not r:
        return filled(input, (0,) if not r else (0, r), 0)  # type: ignore[no-any-return]
    columns = [g.cat([narrow(input, 0, i, 1) for i in column], 0) for column in zip(*places, strict=True)]
    return stack(columns, 1)


@pure
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of the elements as rows, falling unless `increasing`."""
    n = int(x.shape[-1]) if N is None else N
    powers = [filled(x, x.shape, 1)] if n else []
    while len(powers) < n:
        powers.append(powers[-1] * x)
    if not powers:
        return filled(x, (*x.shape, 0), 0)  # type: ignore[no-any-return]
    return stack(powers if increasing else powers[::-1], -1)
