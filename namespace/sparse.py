"""``torch.sparse``: functions of sparse tensors in coordinate form (`eager.sparse`)."""

from __future__ import annotations

from typing import Any

from ..eager.creation import full, zeros
from ..eager.kinds import sparse_coo
from ..eager.sparse import SparseTensor, to_sparse
from ..eager.sparse import mm as _product

__all__ = ["SparseTensor", "addmm", "log_softmax", "mm", "softmax", "spdiags", "spmm", "sum"]


def mm(mat1: Any, mat2: Any, reduce: str = "sum") -> Any:
    """Matrix product of which the first factor is sparse."""
    if reduce != "sum":
        raise NotImplementedError(f"sparse.mm(reduce={reduce!r}) is not built; there is 'sum'")
    return _product(mat1, mat2)


spmm = mm


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """``beta * mat + alpha * (mat1 @ mat2)``, `mat1` sparse."""
    return mat * beta + _product(mat1, mat2) * alpha


def sum(input: SparseTensor, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of all elements, or over some dimensions."""
    return input.sum(dim, dtype)


def softmax(input: SparseTensor, dim: int, *, dtype: Any = None) -> SparseTensor:
    """Softmax over the elements that are kept; the others count as minus infinity."""
    return _normalised(input, dim, dtype, "softmax")


def log_softmax(input: SparseTensor, dim: int, *, dtype: Any = None) -> SparseTensor:
    """Logarithm of `softmax`."""
    return _normalised(input, dim, dtype, "log_softmax")


def _normalised(input: SparseTensor, dim: int, dtype: Any, name: str) -> SparseTensor:
    c = (input if dtype is None else input.to(dtype)).coalesce()
    places = tuple(c._indices.unbind(0))
    low = full(tuple(c.shape), float("-inf"), dtype=c.dtype).index_put(places, c._values)
    return c._with(getattr(low, name)(dim)[places])


def spdiags(diagonals: Any, offsets: Any, shape: Any, layout: Any = None) -> SparseTensor:
    """A sparse matrix with the rows of `diagonals` on its diagonals `offsets`. RuntimeError for a `layout` but sparse_coo."""
    if layout not in (None, sparse_coo):
        raise RuntimeError(f"spdiags(layout={layout!r}) is not built: there are sparse tensors in coordinate form")
    out = zeros(tuple(shape), dtype=diagonals.dtype)
    rows = diagonals if diagonals.ndim == 2 else diagonals.unsqueeze(0)
    for row, k in zip(rows, offsets.reshape(-1).tolist(), strict=True):
        held = out.diagonal(k)
        start = max(k, 0)
        held.copy_(row[start : start + held.shape[0]])
    return to_sparse(out)
