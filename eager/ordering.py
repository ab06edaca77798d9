"""Sorting, the largest elements, sampling by weight: over the records of `ir.ops.ordering`, values by `gather`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes
from ..ir.ops import ordering
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import generated as g
from . import return_types as results
from .arguments import wrap_dim
from .device import beside
from .executor import apply, is_plain
from .factory import make
from .functional import contiguous, narrow, squeeze, to, unsqueeze
from .outputs import fills
from .pure import pure
from .random import Generator, rand
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

#: elements of the largest tensors whose different elements NumPy finds
_SMALL = 1 << 12


@fills
@pure
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Positions along `dim` that put the elements in order; equal elements always keep theirs."""
    at = wrap_dim(dim, input.ndim)
    if not input.ndim:
        return filled(input, (), 0, dtypes.int64)  # type: ignore[no-any-return]
    return apply(ordering.argsort, (input,), {"dim": at, "descending": bool(descending)})  # type: ignore[no-any-return]


@served
@fills
@pure
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """(the elements in order along `dim`, where they were); equal elements always keep their order."""
    at = wrap_dim(dim, input.ndim)
    if not input.ndim:
        return results.sort(input.clone(), filled(input, (), 0, dtypes.int64))
    index = argsort(input, at, descending)
    return results.sort(g.gather(input, at, index), index)


@served
@fills
@pure
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(the k largest, or smallest, elements along `dim`, where they are), the most extreme first."""
    at = wrap_dim(dim, input.ndim)
    x = input if input.ndim else unsqueeze(input, 0)
    index = apply(ordering.topk_index, (x,), {"k": k, "dim": at, "largest": bool(largest)})
    values = g.gather(x, at, index)
    return results.topk(values, index) if input.ndim else results.topk(squeeze(values), squeeze(index))


@served
@fills
@pure
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(the k-th smallest element along `dim`, where it is); k counts from 1."""
    at = wrap_dim(dim, input.ndim)
    values, index = topk(input, k, at, False)
    if not input.ndim:
        return results.kthvalue(values, index)
    values, index = contiguous(narrow(values, at, k - 1, 1)), contiguous(narrow(index, at, k - 1, 1))
    return results.kthvalue(values, index) if keepdim else results.kthvalue(squeeze(values, at), squeeze(index, at))


@served
@fills
@pure
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower middle element; with `dim` also where it is."""
    if dim is None:
        flat = input.reshape(-1)
        if not flat.shape[0] and input.dtype.is_floating_point:
            return g.mean(flat)  # NaN
        middle = kthvalue(flat, (flat.shape[0] + 1) // 2, 0)[0]
        return where(g.any(g.isnan(flat)), float("nan"), middle) if input.dtype.is_floating_point else middle
    n = input.shape[wrap_dim(dim, input.ndim)] if input.ndim else 1
    values, index = kthvalue(input, (n + 1) // 2, dim, keepdim)
    if not input.ndim or not input.dtype.is_floating_point:
        return results.median(contiguous(values), contiguous(index))
    odd = g.isnan(input)  # what is no number is the median, where the first one stands
    none, first = g.any(odd, dim, keepdim), g.argmax(to(odd, dtypes.uint8), dim, keepdim)
    return results.median(where(none, float("nan"), values), where(none, first, index))


@fills
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Tensor:
    """`num_samples` positions in each row of the weights `input`, chosen with probability in proportion to them."""
    wide = num_samples if ordering.by_sum(num_samples, replacement) else input.shape[-1] if input.ndim else 1
    numbers = rand((*input.shape[:-1], wide), generator=generator, dtype=dtypes.float64, device=beside(input))
    attrs = {"count": num_samples, "replacement": bool(replacement)}
    return apply(ordering.choose, (input, numbers), attrs)  # type: ignore[no-any-return]


def distinct(x: Tensor) -> Any:
    """The different elements of a small tensor of NumPy's own numbers at hand; None for others."""
    dtype = x.meta.dtype
    if not is_plain(x) or x.meta.requires_grad or dtype.kind not in "biuf" or dtype.compute is not dtype.np:
        return None
    array: Any = x._array
    if not 0 < array.size <= _SMALL:
        return None
    ranked = np.sort(array, axis=None, kind="stable")
    fresh = np.ones(ranked.size, np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=fresh[1:])
    return make(ranked[fresh])
