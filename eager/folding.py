"""Writes that combine what meets in one place (scatter_reduce, index_reduce), and rare functions of two tensors. Over ops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir import dtypes
from ..ir.ops import indexing
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import functional as f
from . import generated as g
from .arguments import wrap_dim
from .elements import signbit
from .executor import apply
from .limits import iinfo
from .outputs import into
from .pure import pure
from .scattering import scatter_add

if TYPE_CHECKING:
    from .tensor import Tensor

_KINDS = ("sum", "prod", "mean", "amax", "amin")


@pure
def copysign(input: Tensor, other: Any, *, out: Any = None) -> Tensor:
    """The magnitude of `input` with the sign of `other`."""
    x = input if input.dtype.is_floating_point else f.to(input, dtypes.default())
    other = other if hasattr(other, "meta") else filled(x, (), float(other))
    size = g.abs(x)
    result = untouched(where(signbit(other), g.neg(size), size), other)
    return result if out is None else into(out, result)  # type: ignore[no-any-return]


def untouched(result: Any, other: Any) -> Any:
    """`result`, with gradients of zeros for a Tensor that had a part in it without changing it differentiably."""
    if not other.requires_grad:
        return result
    return where(filled(result, (), True, dtypes.bool_), result, f.to(other, result.dtype))


@pure
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True, out: Any = None
) -> Tensor:
    """A copy of `input` in which the elements of `src` that `index` sends to one place along `dim` are combined: "sum", "prod",
    "mean", "amax" or "amin"; with what is there, or without (`include_self`)."""
    if reduce not in _KINDS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}.")
    if not input.ndim:
        one = scatter_reduce(f.reshape(input, 1), 0, f.reshape(index, -1), f.reshape(src, -1), reduce, include_self=include_self)
        return f.reshape(one, ())
    at = wrap_dim(dim, input.ndim)
    for d, n in enumerate(index.shape):
        src = src if src.shape[d] == n else f.narrow(src, d, 0, n)
    start = input if include_self else _neutral(input, at, index, reduce)
    if reduce in ("sum", "mean"):
        result = scatter_add(start, at, index, src)
        if reduce == "mean":
            result = _divided(result, at, index, include_self)
    else:
        result = _combined(start, at, index, src, reduce)
    return result if out is None else into(out, result, False)  # type: ignore[no-any-return]


def _neutral(x: Any, dim: int, index: Any, reduce: str) -> Any:
    """`x` with what changes nothing wherever something arrives."""
    if reduce in ("sum", "mean", "prod"):
        value: Any = 1 if reduce == "prod" else 0
    elif x.dtype.is_floating_point:
        value = float("-inf") if reduce == "amax" else float("inf")
    elif x.dtype.kind == "b":
        value = reduce == "amin"
    else:
        value = iinfo(x.dtype).min if reduce == "amax" else iinfo(x.dtype).max
    value = float(value) if x.dtype.is_floating_point else value
    return apply(indexing.scatter, (x, index, filled(x, index.shape, value)), {"dim": dim})


def _divided(total: Any, dim: int, index: Any, include_self: bool) -> Any:
    ones = filled(total, index.shape, 1)
    count = scatter_add(filled(total, total.shape, 1 if include_self else 0), dim, index, ones)
    count = g.maximum(count, filled(count, (), 1))
    return g.floor_divide(total, count) if total.dtype.kind in "ui" else f.div(total, count)


def _combined(start: Any, dim: int, index: Any, src: Any, reduce: str) -> Any:
    """By rounds: in each, every place takes at most one element, the k-th of those that are sent to it."""
    turn = _turns(index, dim)
    most = int(g.amax(turn).item()) + 1 if turn.numel() else 0
    pick = {"prod": g.mul, "amax": g.maximum, "amin": g.minimum}[reduce]
    if reduce == "prod" and start.dtype.kind == "b":
        pick = g.logical_and
    for k in range(most):
        now = g.eq(turn, k)
        quiet = _quiet(src, reduce)
        spread_out = filled(src, start.shape, quiet)
        hit = where(now, src, quiet)
        arrived = _placed(spread_out, dim, index, hit, now)
        start = pick(start, f.to(arrived, start.dtype))
    return start


def _quiet(x: Any, reduce: str) -> Any:
    """What changes nothing."""
    if reduce == "prod":
        return True if x.dtype.kind == "b" else 1.0 if x.dtype.is_floating_point else 1
    if x.dtype.is_floating_point:
        return float("-inf") if reduce == "amax" else float("inf")
    if x.dtype.kind == "b":
        return reduce == "amin"
    return iinfo(x.dtype).min if reduce == "amax" else iinfo(x.dtype).max


def _turns(index: Any, dim: int) -> Any:
    """How many elements before each one, along `dim`, go to the same place."""
    n = index.shape[dim]
    a, b = f.unsqueeze(index, dim), f.unsqueeze(index, dim + 1)
    from .reducing import index_along

    order = index_along(index, dim)
    ones = (1,) * (index.ndim - 1)
    across, down = (f.reshape(order, (*ones[:dim], *pair, *ones[dim:])) for pair in ((1, n), (n, 1)))
    earlier = g.lt(across, down)
    return g.sum(f.to(g.logical_and(g.eq(a, b), earlier), dtypes.int64), dim + 1)


def _placed(start: Any, dim: int, index: Any, values: Any, now: Any) -> Any:
    """`values` of this turn at their places; those of others go to a row that is cut off."""
    wide = (*start.shape[:dim], start.shape[dim] + 1, *start.shape[dim + 1 :])
    room = g.cat([start, f.narrow(filled(start, wide, 0), dim, 0, 1)], dim)
    where_to = where(now, index, start.shape[dim])
    out = apply(indexing.scatter, (room, where_to, values), {"dim": dim})
    return f.narrow(out, dim, 0, start.shape[dim])


@pure
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True, out: Any = None
) -> Tensor:
    """`scatter_reduce` of whole slices: those of `source` along `dim` go to the positions in the vector `index`."""
    at = wrap_dim(dim, input.ndim)
    if not source.ndim:
        return scatter_reduce(input, 0, index, f.expand(source, index.shape), reduce, include_self=include_self, out=out)
    shape = [1] * source.ndim
    shape[at] = index.shape[0]
    wide = f.expand(f.reshape(index, shape), source.shape)
    return scatter_reduce(input, at, wide, source, reduce, include_self=include_self, out=out)
