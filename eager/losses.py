"""Losses and similarities of `nn.functional` that are plain functions over ops. `reduction` is "mean", "sum" or "none"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ShapeError
from ..ir.layout import broadcast_shapes
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import casting, notices
from . import generated as g
from .activations import logsigmoid
from .arranging import pad
from .constraints import within
from .functional import expand, narrow, reshape, unsqueeze
from .neural import _reduced, cross_entropy, linear, warn_of_shapes
from .pure import pure
from .reducing import index_along, norm
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor


def _by(reduction: str, size_average: Any, reduce: Any) -> str:
    """The reduction that the older arguments name, if given."""
    if size_average is None and reduce is None:
        return reduction
    average, total = size_average is not False, reduce is not False
    named = ("mean" if average else "sum") if total else "none"
    notices.old_reduction(named)
    return named


def _same(op: str, input: Tensor, target: Tensor) -> None:
    broadcast_shapes(op, (input.shape, target.shape), (input.meta.type, target.meta.type))


@served
@pure
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """Half the squared difference over `beta` where that is below it, else the difference minus half of `beta`."""
    if casting.on:
        input, target = casting.wide(input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    warn_of_shapes(input, target)
    size = g.abs(input - target)
    loss = size if beta == 0 else where(size < beta, size * size * (0.5 / beta), size - 0.5 * beta)
    return _reduced(loss, _by(reduction, size_average, reduce))


@served
@pure
def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Tensor:
    """Half the squared difference where the difference is at most `delta`, else linear."""
    if casting.on:
        input, target = casting.wide(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    warn_of_shapes(input, target)
    size = g.abs(input - target)
    loss = where(size <= delta, size * size * 0.5, (size - 0.5 * delta) * delta)
    return _reduced(loss if weight is None else loss * weight, reduction)


@served
@pure
def kl_div(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """``target * (log(target) - input)``, `input` being logarithms; `log_target`: `target` too. "batchmean": the sum over the
    first dimension's size."""
    if casting.on:
        input, target = casting.wide(input, target)
    loss = g.exp(target) * (target - input) if log_target else g.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return g.sum(loss) / (input.shape[0] if input.ndim else 1)  # type: ignore[return-value]
    if reduction == "mean":
        notices.mean_of_divergence()
    return _reduced(loss, _by(reduction, size_average, reduce))


@served
@pure
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: Any = None, eps: float = 1e-8,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Negative log likelihood of counts `target` at rates exp(`input`) (or `input`); `full` adds Stirling's term."""
    if casting.on:
        input, target = casting.wide(input, target)
    loss = g.exp(input) - target * input if log_input else input - target * g.log(input + eps)
    if full:
        many = target > 1
        kept = where(many, target, 2.0)
        stirling = kept * g.log(kept) - kept + g.log(kept * (2 * math.pi)) * 0.5
        loss = loss + where(many, stirling, 0.0)
    return _reduced(loss, _by(reduction, size_average, reduce))


@served
@pure
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """Negative log likelihood of `target` under normal distributions of mean `input` and variance `var`, `eps` at least."""
    if not hasattr(var, "meta"):
        var = filled(input, input.shape, var)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    if tuple(var.shape) != tuple(input.shape):
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = unsqueeze(var, -1)
        elif tuple(input.shape[:-1]) != tuple(var.shape[:-1]) or var.shape[-1] != 1:
            raise ValueError("var is of incorrect size")
    var = within(var, low=0.0, nan=True, kind="ValueError", message="var has negative entry/entries")
    held = var + (var.clamp(min=eps) - var).detach()  # the bound is no part of the gradient
    away = input - target
    loss = (g.log(held) + away * away / held) * 0.5
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduced(loss, reduction)


# -- margins


@served
@pure
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, -target * (input1 - input2) + margin)``."""
    if casting.on:
        input1, input2, target = casting.wide(input1, input2, target)
    if not (input1.ndim == input2.ndim == target.ndim):
        raise RuntimeError(f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
                           f"{list(input1.shape)}, input2: {list(input2.shape)}, target: {list(target.shape)} ")  # fmt: skip
    loss = (-target * (input1 - input2) + margin).clamp(min=0.0)
    return _reduced(loss, _by(reduction, size_average, reduce))


@served
@pure
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """x where the target is 1, ``max(0, margin - x)`` where it is -1."""
    if casting.on:
        input, target = casting.wide(input, target)
    loss = where(target != 1, (margin - input).clamp(min=0.0), 0.0) + where(target != -1, input, 0.0)
    return _reduced(loss, _by(reduction, size_average, reduce))


@served
@pure
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """``log(1 + exp(-target * x))``."""
    if casting.on:
        input, target = casting.wide(input, target)
    return _reduced(g.log1p(g.exp(-target * input)), _by(reduction, size_average, reduce))


@served
@pure
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """The mean over the last dimension of the logistic losses of each label."""
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    loss = loss if weight is None else loss * weight
    return _reduced(g.mean(loss, -1), _by(reduction, size_average, reduce))


def _rows(name: str, input: Tensor, target: Tensor) -> tuple[Any, Any]:
    if not input.ndim and not target.ndim:
        return reshape(input, (1, 1)), reshape(target, (1, 1))
    if input.ndim > 2 or not input.ndim:
        raise RuntimeError(f"{name}: a vector or a matrix expected, got input of shape {list(input.shape)} and target of shape "
                           f"{list(target.shape)}")  # fmt: skip
    return (input, target) if input.ndim == 2 else (unsqueeze(input, 0), reshape(target, (1, *target.shape)))


@served
@pure
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over classes of ``max(0, margin - x[target] + x[class]) ** p``, the target's own left out."""
    if casting.on:
        input, weight = casting.wide(input, weight)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    x, t = _rows("multi_margin_loss", input, target)
    t = reshape(t, (-1, 1))
    over = (margin - g.gather(x, 1, t) + x).clamp(min=0.0)
    over = over if p == 1 else over * over
    over = over if weight is None else over * weight[t]
    loss = g.sum(where(index_along(x, 1) == t, 0.0, over), 1) / x.shape[1]
    return _reduced(loss if input.ndim == 2 else reshape(loss, ()), _by(reduction, size_average, reduce))


@served
@pure
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """The mean over classes of the hinges between each target class and each other class; targets of a row end at a -1."""
    if casting.on:
        (input,) = casting.wide(input)
    if input.shape != target.shape:
        raise ShapeError(f"multilabel_margin_loss: inconsistent target size: {list(target.shape)} for input of size: "
                         f"{list(input.shape)}")  # fmt: skip
    x, t = _rows("multilabel_margin_loss", input, target)
    ended = g.lt(t, 0).to(t.dtype).cumsum(1) > 0
    valid = g.logical_not(ended)
    place = where(valid, t, 0)
    classes = index_along(x, 1)
    is_target = g.any(g.logical_and(unsqueeze(place, 2) == classes, unsqueeze(valid, 2)), 1)
    hinge = (1 - unsqueeze(g.gather(x, 1, place), 2) + unsqueeze(x, 1)).clamp(min=0.0)
    open_ = g.logical_and(unsqueeze(valid, 2), g.logical_not(unsqueeze(is_target, 1)))
    loss = g.sum(where(open_, hinge, 0.0), (1, 2)) / x.shape[1]
    return _reduced(loss if input.ndim == 2 else reshape(loss, ()), _by(reduction, size_average, reduce))


# -- similarities


@served
@pure
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Products of vectors along `dim` over both lengths, each at least `eps`."""
    _same("cosine_similarity", x1, x2)
    shape = broadcast_shapes("cosine_similarity", (x1.shape, x2.shape), (x1.meta.type, x2.meta.type))
    x1, x2 = expand(x1, shape), expand(x2, shape)
    lengths = [_length(x, dim) for x in (x1, x2)]
    a, b = (x / (n + (n.clamp(min=eps) - n).detach()) for x, n in zip((x1, x2), lengths, strict=True))
    return g.sum(a * b, dim)


def _length(x: Tensor, dim: int) -> Any:
    return norm(x, 2, dim, True)


@served
@pure
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """p-norms of ``x1 - x2 + eps`` along the last dimension."""
    return norm(x1 - x2 + eps, p, -1, keepdim)


@served
@pure
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 - the cosine where the target is 1, ``max(0, cosine - margin)`` where it is -1."""
    if casting.on:
        input1, input2, target = casting.wide(input1, input2, target)
    dim, eps = target.ndim, 1e-12
    squares = [g.sum(x * x, dim) + eps for x in (input1, input2)]
    cosine = g.sum(input1 * input2, dim) / g.sqrt(squares[0] * squares[1])
    loss = where(target == 1, 1 - cosine, 0.0) + where(target == -1, (cosine - margin).clamp(min=0.0), 0.0)
    return _reduced(loss, _by(reduction, size_average, reduce))


@served
@pure
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)``; `swap`: the negative nearest to either counts."""
    if casting.on:
        anchor, positive, negative = casting.wide(anchor, positive, negative)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda a, b: pairwise_distance(a, b, p, eps), margin=margin, swap=swap,
        reduction=_by(reduction, size_average, reduce),
    )  # fmt: skip


@pure
def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Callable[..., Any] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with a distance of one's own."""
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = g.minimum(far, distance(positive, negative))
    return _reduced((near - far + margin).clamp(min=0.0), reduction)


# -- sequences


@pure
def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """Minus the log-probability that steps of `log_probs` (time, batch, classes), blanks and repeats removed, spell `targets`
    (batch, length), or these in a row. "mean" divides by the targets' lengths first."""
    if casting.on:
        (log_probs,) = casting.wide(log_probs)
    single = log_probs.ndim == 2
    x = unsqueeze(log_probs, 1) if single else log_probs
    counts = _lengths(target_lengths)
    steps = _lengths(input_lengths)
    rows = _targets(targets, counts, single)
    loss = _ctc(x, rows, steps, counts, blank)
    if zero_infinity:
        loss = where(loss == math.inf, 0.0, loss)
    if reduction == "mean":
        each = loss / _vector(loss, [max(n, 1) for n in counts])
        return each.mean()  # type: ignore[no-any-return]
    return _reduced(loss[0] if single else loss, reduction)


def _lengths(x: Any) -> list[int]:
    found = x.tolist() if hasattr(x, "meta") else x
    return [int(n) for n in found] if isinstance(found, (list, tuple)) else [int(found)]


def _vector(like: Any, numbers: list[int]) -> Any:
    """Numbers as a vector of the dtype of `like`, beside it."""
    return g.cat([filled(like, (1,), n) for n in numbers], 0)


def _targets(targets: Tensor, counts: list[int], single: bool) -> Any:
    """(batch, longest target) classes; what is behind a target's end is not read."""
    wide = max(counts, default=0)
    if targets.ndim == 2:
        return narrow(targets, 1, 0, wide)
    if single:
        return reshape(targets, (1, -1))
    rows, start = [], 0
    for n in counts:
        rows.append(reshape(pad(narrow(targets, 0, start, n), (0, wide - n)), (1, wide)))
        start += n
    return g.cat(rows, 0)


def _ctc(x: Any, rows: Any, steps: list[int], counts: list[int], blank: int) -> Any:
    """Log-sums over paths, step by step: states are blank, first target, blank, second target ... blank."""
    n, wide = rows.shape
    rows = rows.to(index_along(x, 0).dtype)
    spelled = reshape(g.cat([filled(rows, (n, wide, 1), blank), unsqueeze(rows, 2)], 2), (n, 2 * wide))
    spelled = g.cat([spelled, filled(rows, (n, 1), blank)], 1)
    states = 2 * wide + 1
    number = index_along(spelled, 1)
    before = pad(spelled, (2, 0), value=blank)[:, :states]
    jump = g.logical_and(g.logical_and(spelled != blank, spelled != before), number >= 2)
    low = -math.inf
    alpha = where(number < 2, g.gather(x[0], 1, spelled), low)
    ends = []
    for t in range(max(steps, default=0)):
        if t:
            one = pad(alpha, (1, 0), value=low)[:, :states]
            two = where(jump, pad(alpha, (2, 0), value=low)[:, :states], low)
            alpha = _log_sum(alpha, one, two) + g.gather(x[t], 1, spelled)
        ends.append(alpha)
    found = []
    for b, (count, step) in enumerate(zip(counts, steps, strict=True)):
        row = ends[step - 1][b]
        last = row[2 * count]
        found.append(reshape(last if not count else _log_sum(last, row[2 * count - 1]), (1,)))
    return -g.cat(found, 0)


def _log_sum(*parts: Any) -> Any:
    """Logarithm of the sum of exponentials; no gradient, not NaN, passes where all are minus infinity."""
    top = parts[0]
    for part in parts[1:]:
        top = g.maximum(top, part)
    top = top.detach()
    nothing = top == -math.inf
    top = where(nothing, 0.0, top)
    total = sum([g.exp(part - top) for part in parts])
    return where(nothing, -math.inf, g.log(where(nothing, 1.0, total)) + top)


def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None, weight: Tensor | None = None,
    reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0, options: Any = None,
) -> Tensor:  # fmt: skip
    """`cross_entropy` of ``linear(input, linear_weight, linear_bias)``. `options` change nothing."""
    *sizes, features = linear_weight.shape
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(input, linear_weight.reshape((-1, features)), bias).reshape((*input.shape[:-1], *sizes))
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing)
