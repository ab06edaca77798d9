"""PyTorch's rarer names of the top namespace: functions of `nn.functional` with other arguments, copies of views, questions,
control flow. Nothing here is a record of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import functional as f
from .creation import full
from .factory import make
from .generated import cat
from .modes import no_grad
from .outputs import finished
from .pure import pure
from .random import rand
from .shaping import as_strided

if TYPE_CHECKING:
    from .tensor import Tensor

_REDUCTIONS = {0: "none", 1: "mean", 2: "sum"}


def _of_layers(name: str) -> Any:
    return getattr(importlib.import_module(f"{__package__.rpartition('.')[0]}.nn.functional"), name)


def _loss(name: str) -> Any:
    def loss(*args: Any, reduction: Any = 0, **kwargs: Any) -> Any:
        return _of_layers(name)(*args, reduction=_REDUCTIONS.get(reduction, reduction), **kwargs)

    loss.__name__ = loss.__qualname__ = name
    loss.__doc__ = f"`nn.functional.{name}`; `reduction` is also a number: 0 none, 1 mean, 2 sum."
    return loss


kl_div, binary_cross_entropy_with_logits, cosine_embedding_loss, margin_ranking_loss = (
    _loss("kl_div"), _loss("binary_cross_entropy_with_logits"), _loss("cosine_embedding_loss"), _loss("margin_ranking_loss"),
)  # fmt: skip
hinge_embedding_loss, triplet_margin_loss = _loss("hinge_embedding_loss"), _loss("triplet_margin_loss")


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int) -> Any:
    """`nn.functional.poisson_nll_loss`, `reduction` by number."""
    return _of_layers("poisson_nll_loss")(input, target, log_input, full, eps=eps, reduction=_REDUCTIONS[reduction])


def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    """Rows of `weight` by `indices`: `nn.functional.embedding`, weights first."""
    return _of_layers("embedding")(indices, weight, None if padding_idx < 0 else padding_idx)


def batch_norm(
    input: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, momentum: float, eps: float,
    cudnn_enabled: bool = True,
) -> Any:  # fmt: skip
    """`nn.functional.batch_norm`, weights first."""
    return _of_layers("batch_norm")(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool, momentum: float,
    eps: float, cudnn_enabled: bool = True,
) -> Any:  # fmt: skip
    """`nn.functional.instance_norm`, weights first."""
    return _of_layers("instance_norm")(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def rms_norm(input: Tensor, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """`nn.functional.rms_norm`."""
    return _of_layers("rms_norm")(input, tuple(normalized_shape), weight, eps)


def adaptive_max_pool1d(input: Tensor, output_size: Any) -> Any:
    """(values, places) of `nn.functional.adaptive_max_pool1d`."""
    return _of_layers("adaptive_max_pool1d")(input, output_size, return_indices=True)


def grid_sampler(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Any:
    """`nn.functional.grid_sample`, modes by number."""
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    return _of_layers("grid_sample")(input, grid, modes[interpolation_mode], paddings[padding_mode], align_corners)


grid_sampler_2d = grid_sampler


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Any = 0) -> Any:
    """`nn.functional.pad` by a constant."""
    return _of_layers("pad")(input, list(pad), value=value)


def dropout_(input: Tensor, p: float, train: bool) -> Any:
    """`dropout`, stored in `input`."""
    return _of_layers("dropout")(input, p, train, inplace=True)


def feature_dropout(input: Tensor, p: float, train: bool) -> Any:
    """Whole channels dropped: `nn.functional.dropout2d` for any rank from 3."""
    return _of_layers({3: "dropout1d", 5: "dropout3d"}.get(input.ndim, "dropout2d"))(input, p, train)


# -- elements


@pure
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input`, `value` everywhere."""
    return f.expand(value.to(input.dtype), input.shape).clone() if hasattr(value, "meta") else input.clone().fill_(value)


def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """How many of `count` draws of probability `prob` succeed, element by element."""
    with no_grad():
        shape = np.broadcast_shapes(count.shape, prob.shape)
        most = int(count.max().item()) if count.numel() else 0
        hits = rand((most, *shape), generator=generator, dtype=prob.dtype) < prob
        turn = make(np.arange(most).reshape(-1, *(1,) * len(shape)))
        return (hits & (turn < count)).sum(0).to(count.dtype)  # type: ignore[no-any-return]


def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """`nonzero` of `size` rows: cut, or filled up with `fill_value`."""
    found = input.nonzero()
    rows = min(int(found.shape[0]), size)
    return cat([found[:rows], full((size - rows, input.ndim), fill_value, dtype=found.dtype)], 0)


def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """`input` with the window that `as_strided` names replaced by `src`."""
    out = input.clone()
    as_strided(out, size, stride, storage_offset or 0).copy_(src)
    return out


def frobenius_norm(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Tensor:
    """Root of the sum of squares."""
    return finished((input.abs() ** 2).sum(dim, keepdim).sqrt(), out)  # type: ignore[no-any-return]


def nuclear_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Sum of the singular values of a matrix, or of those that lie along two dimensions."""
    return f.to(input, input.dtype).norm("nuc", dim, keepdim)  # type: ignore[no-any-return]


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norm over all dimensions but `dim`; over all where `dim` is -1."""
    if dim == -1:
        return v.norm(pow)  # type: ignore[no-any-return]
    others = [d for d in range(v.ndim) if d != dim % v.ndim]
    return (v.abs() ** pow).sum(others, keepdim=True) ** (1 / pow)


def as_strided_(self: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """`as_strided`, in place: self becomes that window on its memory."""
    self.data = as_strided(self.detach(), size, stride, self.storage_offset() if storage_offset is None else storage_offset)
    return self


def swapaxes_(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose_`."""
    return self.transpose_(dim0, dim1)  # type: ignore[no-any-return]


swapdims_ = swapaxes_


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Each element replaced by what a Python function makes of it and those of `x` and `y` (slow)."""
    rows = zip(*[f.expand(t.detach(), self.shape).reshape(-1).tolist() for t in (self, x, y)], strict=True)
    values = np.array([callable(*row) for row in rows]).reshape(tuple(self.shape))
    return self.copy_(make(values.astype(self.dtype.np)))


# -- views as copies


def _copied(name: str) -> Any:
    def copy(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        found = getattr(input, name)(*args, **kwargs)
        return tuple(x.clone() for x in found) if isinstance(found, tuple) else found.clone()

    copy.__name__ = copy.__qualname__ = f"{name}_copy"
    copy.__doc__ = f"`{name}` in new memory."
    return copy


(view_copy, expand_copy, permute_copy, transpose_copy, t_copy, squeeze_copy, unsqueeze_copy, select_copy, diagonal_copy,
 as_strided_copy, unfold_copy, detach_copy, unbind_copy, split_copy, split_with_sizes_copy, narrow_copy) = (
    _copied(n) for n in ("view", "expand", "permute", "transpose", "t", "squeeze", "unsqueeze", "select", "diagonal",
                         "as_strided", "unfold", "detach", "unbind", "split", "split_with_sizes", "narrow")
)  # fmt: skip


# -- control flow: plain Python, which capture follows


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any = ()) -> Any:
    """``true_fn(*operands)`` where `pred` (a number, or a tensor of one element) holds, else ``false_fn(*operands)``."""
    return true_fn(*operands) if bool(pred) else false_fn(*operands)


def while_loop(cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any) -> Any:
    """``body_fn`` of what is carried, again and again while ``cond_fn`` of it holds."""
    carried = tuple(carried_inputs)
    while bool(cond_fn(*carried)):
        found = body_fn(*carried)
        carried = tuple(found) if isinstance(found, (tuple, list)) else (found,)
    return carried


def sym_int(a: Any) -> int:
    """`a` as an int."""
    return int(a)


def sym_float(a: Any) -> float:
    """`a` as a float."""
    return float(a)


def sym_not(a: Any) -> bool:
    """Whether `a` does not hold."""
    return not a


def sym_max(a: Any, b: Any) -> Any:
    """The greater number."""
    return max(a, b)


def sym_min(a: Any, b: Any) -> Any:
    """The smaller number."""
    return min(a, b)


def sym_sum(args: Any) -> Any:
    """The sum of numbers."""
    return sum(args)


def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """`t` where `b` holds, else `f`."""
    return t if b else f


# -- switches


def get_num_interop_threads() -> int:
    """1: ops run one after the other."""
    return 1


def set_num_interop_threads(num: int) -> None:
    """Accepted without effect: ops run one after the other."""


def set_warn_always(b: bool) -> None:
    """Accepted: warnings are Python's, whose filters say how often they are shown."""


def is_warn_always_enabled() -> bool:
    """False."""
    return False


def get_deterministic_debug_mode() -> int:
    """0, 1 (warn) or 2 (error): what `use_deterministic_algorithms` was given."""
    from . import switches

    if not switches.are_deterministic_algorithms_enabled():
        return 0
    return 1 if switches.is_deterministic_algorithms_warn_only_enabled() else 2


def set_deterministic_debug_mode(debug_mode: Any) -> None:
    """`use_deterministic_algorithms` by "default", "warn" or "error", or 0, 1, 2."""
    from . import switches

    mode = {"default": 0, "warn": 1, "error": 2}.get(debug_mode, debug_mode)
    if mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected `default`, `warn` or `error`, but got {debug_mode}")
    switches.use_deterministic_algorithms(mode > 0, warn_only=mode == 1)


def compiled_with_cxx11_abi() -> bool:
    """True."""
    return True


def is_vulkan_available() -> bool:
    """False."""
    return False


# -- sparse layouts that are not built


def sparse_csr_tensor(*args: Any, **kwargs: Any) -> Any:
    """NotImplementedError: there are sparse tensors in coordinate form."""
    raise NotImplementedError("compressed sparse tensors are not built: sparse_coo_tensor(indices, values, size) is")


sparse_csc_tensor = sparse_bsr_tensor = sparse_bsc_tensor = sparse_compressed_tensor = sparse_csr_tensor
