"""Sparse tensors in coordinate form: where elements lie, and the elements. What is computed with them is dense ops on those two
Tensors, so gradients reach the elements and capture sees nothing special."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir import dtypes
from ..runtime.size import Size
from . import creation, functional, scattering
from .arguments import wrap_dim
from .device import made_beside
from .generated import cat
from .kinds import sparse_coo


class SparseTensor:
    """``indices`` (sparse dimensions, entries) int64 and ``values`` (entries, *dense dimensions); entries of one place add up."""

    __slots__ = ("__weakref__", "_coalesced", "_indices", "_values", "shape")
    __array_priority__ = 2000
    is_sparse, is_sparse_csr, is_nested, is_quantized, layout = True, False, False, False, sparse_coo

    def __init__(self, indices: Any, values: Any, shape: Sequence[int], coalesced: bool = False) -> None:
        self._indices, self._values, self.shape, self._coalesced = indices, values, Size(tuple(shape)), coalesced

    # -- description

    dtype = property(lambda self: self._values.dtype, doc="Element type.")
    device = property(lambda self: self._values.device, doc="Where the memory lies.")
    ndim = property(lambda self: len(self.shape), doc="Number of dimensions.")
    requires_grad = property(lambda self: self._values.requires_grad, doc="Whether operations on it are recorded.")
    grad_fn = property(lambda self: self._values.grad_fn, doc="The tape node that made the values.")
    is_leaf = property(lambda self: self._values.is_leaf, doc="Whether no recorded operation made it.")
    is_cuda = property(lambda self: self._values.is_cuda, doc="Whether the memory lies on a GPU.")

    @property
    def grad(self) -> SparseTensor | None:
        """The gradient, at the same places."""
        g = self._values._grad
        return None if g is None else SparseTensor(self._indices, g, self.shape, self._coalesced)

    def dim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[wrap_dim(dim, len(self.shape))]

    def numel(self) -> int:
        """Number of elements, those that are not kept counted too."""
        return int(np.prod(self.shape))

    def sparse_dim(self) -> int:
        """How many dimensions the indices have."""
        return int(self._indices.shape[0])

    def dense_dim(self) -> int:
        """How many dimensions each value has."""
        return int(self._values.ndim - 1)

    def is_coalesced(self) -> bool:
        """Whether places are in order and none comes twice."""
        return self._coalesced

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one."""
        return bool(self.dtype.is_floating_point)

    def _nnz(self) -> int:
        return int(self._indices.shape[1])

    def indices(self) -> Any:
        """(sparse dimensions, entries) int64; RuntimeError where it is not coalesced."""
        self._must_be_coalesced("indices")
        return self._indices

    def values(self) -> Any:
        """The elements; RuntimeError where it is not coalesced."""
        self._must_be_coalesced("values")
        return self._values

    def _must_be_coalesced(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    # -- other forms

    def coalesce(self) -> SparseTensor:
        """The same with places in order, each once."""
        if self._coalesced:
            return self
        d, n = self._indices.shape
        if d == 0 or n == 0:
            return SparseTensor(self._indices, self._values, self.shape, True)
        flat = np.ravel_multi_index(tuple(self._indices.cpu().numpy()), tuple(self.shape[:d]))
        places, inverse = np.unique(flat, return_inverse=True)
        zeros = functional.expand(self._values.detach()[:1] * 0, (len(places), *self._values.shape[1:])).clone()
        values = scattering.index_add(zeros, 0, made_beside(inverse.reshape(-1).astype(np.int64), zeros), self._values)
        where = np.stack(np.unravel_index(places, tuple(self.shape[:d]))).astype(np.int64)
        return SparseTensor(made_beside(where, values), values, self.shape, True)

    def to_dense(self, dtype: Any = None, *, masked_grad: Any = None) -> Any:
        """An ordinary Tensor of all elements."""
        zeros = creation.zeros(self.shape, dtype=self.dtype, device=self.device)
        if not self.sparse_dim():
            return self._values.sum(0)
        out = scattering.index_put(zeros, tuple(self._indices.unbind(0)), self._values, accumulate=True)
        return out if dtype is None else out.to(dtype)

    def to_sparse(self, *args: Any, **kwargs: Any) -> SparseTensor:
        """Self."""
        return self

    to_sparse_coo = to_sparse

    def _with(self, values: Any) -> SparseTensor:
        return SparseTensor(self._indices.to(values.device), values, self.shape, self._coalesced)

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        """The values by ``Tensor.to``, the indices beside them."""
        return self._with(self._values.to(*args, **kwargs))

    def detach(self) -> SparseTensor:
        """The same outside the tape."""
        return self._with(self._values.detach())

    def clone(self) -> SparseTensor:
        """The same in memory of its own."""
        return SparseTensor(self._indices.clone(), self._values.clone(), self.shape, self._coalesced)

    def requires_grad_(self, requires_grad: bool = True) -> SparseTensor:
        """Record, or do not record, operations on it."""
        self._values.requires_grad_(requires_grad)
        return self

    def cpu(self) -> SparseTensor:
        """The same on the CPU."""
        return self._with(self._values.cpu())

    def cuda(self, *args: Any, **kwargs: Any) -> Any:
        """The same on a GPU."""
        return self._with(self._values.cuda(*args, **kwargs))

    def float(self) -> SparseTensor:
        """Values of float32."""
        return self.to(dtypes.float32)

    def double(self) -> SparseTensor:
        """Values of float64."""
        return self.to(dtypes.float64)

    def transpose(self, dim0: int, dim1: int) -> SparseTensor:
        """Two sparse dimensions swapped."""
        a, b = (wrap_dim(d, self.ndim) for d in (dim0, dim1))
        if max(a, b) >= self.sparse_dim():
            raise RuntimeError("only sparse dimensions can be swapped: this one belongs to the values")
        order, shape = list(range(self.sparse_dim())), list(self.shape)
        order[a], order[b], shape[a], shape[b] = b, a, shape[b], shape[a]
        return SparseTensor(self._indices[order], self._values, shape)

    def t(self) -> SparseTensor:
        """A matrix transposed."""
        return self.transpose(0, 1)

    T = property(t, doc="A matrix transposed.")

    # -- arithmetic

    def __apply_op__(self, op: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """The records that make sense of places without values; NotImplementedError for others."""
        return computed(op.name, operands, attrs)

    def sum(self, dim: Any = None, dtype: Any = None) -> Any:
        """The sum of all elements, or over sparse dimensions (sparse)."""
        if dim is None:
            return self._values.sum(dtype=dtype)
        dims = {wrap_dim(d, self.ndim) for d in ([dim] if isinstance(dim, int) else dim)}
        kept = [d for d in range(self.sparse_dim()) if d not in dims]
        inner = [d - self.sparse_dim() + 1 for d in dims if d >= self.sparse_dim()]
        values = self._values.sum(inner) if inner else self._values
        if not kept:
            return values.sum(0)
        return SparseTensor(self._indices[kept], values, [n for d, n in enumerate(self.shape) if d not in dims]).coalesce()

    def __matmul__(self, other: Any) -> Any:
        return mm(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return mm(other, self)

    matmul = mm = __matmul__

    def __mul__(self, other: Any) -> SparseTensor:
        return computed("mul", (self, other), {})  # type: ignore[no-any-return]

    __rmul__ = mul = __mul__

    def __truediv__(self, other: Any) -> SparseTensor:
        return self._with(self._values / other)

    div = __truediv__

    def __neg__(self) -> SparseTensor:
        return self._with(-self._values)

    def __add__(self, other: Any) -> Any:
        return computed("add", (self, other), {})

    __radd__ = add = __add__

    def __sub__(self, other: Any) -> Any:
        return computed("add", (self, -other), {})

    def __getitem__(self, index: Any) -> Any:
        return to_sparse(self.to_dense()[index]) if self.ndim > 1 else self.to_dense()[index]

    def __len__(self) -> int:
        return int(self.shape[0])

    def __deepcopy__(self, memo: Any) -> SparseTensor:
        return self.detach().clone().requires_grad_(self.requires_grad)

    def __reduce__(self) -> Any:
        return SparseTensor, (self._indices, self._values, tuple(self.shape), self._coalesced)

    def __repr__(self) -> str:
        parts = [f"{n}={t!r}".replace("\n", "\n" + " " * (7 + len(n) + 1)) for n, t in (
            ("indices", self._indices), ("values", self._values.detach()))]  # fmt: skip
        last = f"size={tuple(self.shape)}, nnz={self._nnz()}, layout=torch.sparse_coo"
        if self.requires_grad:
            last += ", requires_grad=True" if self.grad_fn is None else f", grad_fn=<{self.grad_fn.name()}>"
        return f"tensor({parts[0]},\n       {parts[1]},\n       {last})"


#: elementwise records whose value at 0 is 0: they work on the values of a coalesced tensor alone
_OF_ZERO = frozenset((
    "abs", "neg", "relu", "sin", "sinh", "tan", "tanh", "asin", "asinh", "atan", "atanh", "sqrt", "expm1", "log1p", "floor",
    "ceil", "round", "trunc", "sign", "erf", "erfinv",
))  # fmt: skip


def computed(name: str, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """The record `name` of operands some of which are sparse."""
    x, y = (*operands, None)[:2]
    if name == "matmul":
        return mm(x, y)
    if name in _OF_ZERO:
        c = x.coalesce()
        from ..ir.op import OPS
        from .executor import apply

        return c._with(apply(OPS[name], (c._values,), attrs))
    if name == "cast":
        return x.to(attrs["dtype"])
    if name == "sum":
        return x.sum()
    if name in ("add", "sub") and isinstance(x, SparseTensor) and isinstance(y, SparseTensor):
        return _added(x, y if name == "add" else -y)
    if name in ("add", "sub") and hasattr(y if isinstance(x, SparseTensor) else x, "meta"):
        a, b = (v.to_dense() if isinstance(v, SparseTensor) else v for v in (x, y))
        return a + b if name == "add" else a - b
    if name in ("mul", "div"):
        return _scaled(name, x, y)
    raise NotImplementedError(f"{name} of a sparse tensor is not built: call to_dense() first")


def _added(x: SparseTensor, y: SparseTensor) -> SparseTensor:
    if x.shape != y.shape:
        raise RuntimeError(f"add: expected sizes of both to match, but {list(x.shape)} != {list(y.shape)}")
    return SparseTensor(cat([x._indices, y._indices], 1), cat([x._values, y._values], 0), x.shape).coalesce()


def _scaled(name: str, x: Any, y: Any) -> Any:
    if not isinstance(x, SparseTensor):
        x, y = y, x
    if isinstance(y, SparseTensor):
        return to_sparse(x.to_dense() * y.to_dense())
    if hasattr(y, "meta") and y.ndim:
        c = x.coalesce()
        picked = functional.expand(y, c.shape)[tuple(c._indices.unbind(0))]
        return c._with(c._values * picked if name == "mul" else c._values / picked)
    return x._with(x._values * y if name == "mul" else x._values / y)


def mm(x: Any, y: Any) -> Any:
    """Matrix product of which one or both are sparse; dense where one is. ShapeError as of dense matrices."""
    if not isinstance(x, SparseTensor):
        return mm(y.t(), x.t()).t()
    if isinstance(y, SparseTensor):
        return to_sparse(mm(x, y.to_dense()))
    if x.ndim != 2 or x.sparse_dim() != 2 or y.ndim not in (1, 2) or x.shape[1] != y.shape[0]:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({list(x.shape)} and {list(y.shape)})")
    rows, columns = x._indices.unbind(0)
    weights = x._values if y.ndim == 1 else x._values.unsqueeze(-1)
    terms = weights * y.index_select(0, columns)
    zeros = creation.zeros((x.shape[0], *y.shape[1:]), dtype=terms.dtype, device=terms.device)
    return scattering.index_add(zeros, 0, rows, terms)


def to_sparse(
    x: Any, sparse_dim: Any = None, *, layout: Any = None, blocksize: Any = None, dense_dim: Any = None
) -> SparseTensor:
    """The elements of a Tensor that are not zero; the last dimensions beyond `sparse_dim` stay together."""
    if layout is not None and layout is not sparse_coo:
        raise NotImplementedError(f"{layout} is not built: there are strided and sparse_coo tensors")
    count = x.ndim if sparse_dim is None else sparse_dim
    held = x.storage.read(x) != 0
    if count < x.ndim:
        held = held.any(tuple(range(count, x.ndim)))
    places = np.nonzero(held) if count else ()
    where = made_beside(np.stack(places).astype(np.int64) if count else np.zeros((0, 1), np.int64), x)
    return SparseTensor(where, x[tuple(where.unbind(0))] if count else x.unsqueeze(0), x.shape, True)


def sparse_coo_tensor(
    indices: Any = None, values: Any = None, size: Any = None, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, check_invariants: Any = None, is_coalesced: bool | None = None,
) -> SparseTensor:  # fmt: skip
    """A sparse tensor of `values` (entries, ...) at `indices` (dimensions, entries), both Tensors or lists; the smallest `size`
    that has room where none is given. RuntimeError for indices outside of it or of another count than values."""
    if values is None:
        shape = tuple(indices if size is None else size)
        made = creation.zeros((0,), dtype=dtype, device=device)
        return SparseTensor(made_beside(np.zeros((len(shape), 0), np.int64), made), made.requires_grad_(requires_grad), shape)
    held = creation.as_tensor(values, dtype=dtype, device=device)
    where = creation.as_tensor(indices, dtype=dtypes.int64, device=held.device)
    if where.ndim != 2 or (held.ndim and where.shape[1] != held.shape[0]):
        shapes = f"{list(where.shape)} beside {list(held.shape)}"
        raise RuntimeError(f"indices must be a matrix with a column for each value, not {shapes}")
    held = functional.expand(held, (where.shape[1],)) if not held.ndim else held
    found = where.cpu().numpy()
    shape = tuple(size) if size is not None else (*(int(r.max()) + 1 if r.size else 0 for r in found), *held.shape[1:])
    if len(shape) != where.shape[0] + held.ndim - 1:
        parts = f"sparse_dim ({where.shape[0]}) + dense_dim ({held.ndim - 1})"
        raise RuntimeError(f"number of dimensions must be {parts}, but got {len(shape)}")
    for d, row in enumerate(found):
        if row.size and (row.min() < 0 or row.max() >= shape[d]):
            bad = int(row.min() if row.min() < 0 else row.max())
            raise RuntimeError(f"size is inconsistent with indices: for dim {d}, size is {shape[d]} but found index {bad}")
    if requires_grad:
        held = held.detach().requires_grad_()
    return SparseTensor(where, held, shape, bool(is_coalesced))


def sparse_csr_tensor(*args: Any, **kwargs: Any) -> Any:
    """NotImplementedError: there are sparse tensors in coordinate form."""
    raise NotImplementedError("compressed sparse tensors are not built: sparse_coo_tensor(indices, values, size) is")


sparse_csc_tensor = sparse_bsr_tensor = sparse_bsc_tensor = sparse_compressed_tensor = sparse_csr_tensor
