"""``torch.nn.attention.flex_attention``: attention with functions of scores and positions, and masks by blocks.

A function is written on scalars (a score and the numbers of its batch, head, query and key) and may read tensors from outside;
`eager.scores` follows it once. Runs nothing by itself. Unlike PyTorch's, it has gradients on the CPU, too.
"""

from __future__ import annotations

import inspect
import math
import warnings
from typing import Any, NamedTuple, TypedDict

from ...accelerator import current_accelerator
from ...eager import scores
from ...eager.creation import arange, zeros
from ...eager.tensor import Tensor
from ...ir import dtypes
from .blocks import DEFAULT, BlockMask, Function, convert_mask, noop_mask, ordered, sliced_mask

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "FlexKernelOptions", "and_masks", "create_block_mask", "create_mask",
    "flex_attention", "noop_mask", "or_masks",
]  # fmt: skip

_LARGE = 1 << 30
_BACKENDS = ("AUTO", "TRITON", "FLASH", "TRITON_DECODE")


class FlexKernelOptions(TypedDict, total=False):
    """PyTorch's hints to its kernels. They are checked as there; the kernels here choose for themselves."""

    num_warps: int
    num_stages: int
    BLOCK_M: int
    BLOCK_N: int
    BLOCK_M1: int
    BLOCK_N1: int
    BLOCK_M2: int
    BLOCK_N2: int
    PRESCALE_QK: bool
    ROWS_GUARANTEED_SAFE: bool
    BLOCKS_ARE_CONTIGUOUS: bool
    WRITE_DQ: bool
    FORCE_USE_FLEX_ATTENTION: bool
    USE_TMA: bool
    kpack: int
    matrix_instr_nonkdim: int
    waves_per_eu: int
    BACKEND: str


class AuxRequest(NamedTuple):
    """Which further results are wanted."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """Further results (batch, heads, queries): logarithms of the sums of exponentials, largest scores; None where not wanted."""

    lse: Any = None
    max_scores: Any = None


# ---- masks ---------------------------------------------------------------------------------------------------------------
def _count(fn: Any) -> int:
    """The number of positional arguments without a default: 5 of a function of scores, 4 of one of positions."""
    code = getattr(fn, "__code__", None)
    if code is not None:
        count = int(code.co_argcount) - len(fn.__defaults__ or ())
    else:
        parameters = inspect.signature(fn).parameters.values()
        count = len([p for p in parameters if p.default is inspect.Parameter.empty])
    if count not in (4, 5):
        raise AssertionError(f"Expected 4 or 5 positional args, got {count}")
    return count


def or_masks(*mask_mods: Function) -> Function:
    """A mask that is open where any of `mask_mods` is."""
    if not all(callable(m) for m in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def or_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result = q_idx != q_idx
        for mask in mask_mods:
            result = result | mask(b, h, q_idx, kv_idx)
        return result

    return or_mask


def and_masks(*mask_mods: Function) -> Function:
    """A mask that is open where all of `mask_mods` are."""
    if not all(callable(m) for m in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def and_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result = q_idx == q_idx
        for mask in mask_mods:
            result = result & mask(b, h, q_idx, kv_idx)
        return result

    return and_mask


def create_mask(
    mod_fn: Function, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None
) -> Tensor:  # fmt: skip
    """What a function says of all positions, bool (B, H, Q_LEN, KV_LEN); of a function of scores where it does not give minus
    infinity."""
    device = device or current_accelerator(True) or "cpu"
    shape = (1 if B is None else B, 1 if H is None else H, Q_LEN, KV_LEN)
    positions = [arange(n, device=device) for n in shape]
    if _count(mod_fn) == 5:
        return scores.over_all(mod_fn, positions, zeros(shape, device=device)) != float("-inf")  # type: ignore[no-any-return]
    return scores.over_all(mod_fn, positions)  # type: ignore[no-any-return]


def create_block_mask(
    mask_mod: Function, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = DEFAULT, _compile: bool = False, separate_full_blocks: bool = True,
) -> BlockMask:  # fmt: skip
    """The mask by blocks of a function of positions; B or H None: the same for all batches or heads."""
    if _count(mask_mod) != 4:
        raise AssertionError(f"create-block_mask requires a mask_mod function! Got {mask_mod}")
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    if mask.dtype is not dtypes.bool_:
        raise AssertionError(f"mask.dtype must be torch.bool, got {mask.dtype}")
    partial, full = convert_mask(mask, *size, separate_full_blocks)
    own, whole = ordered(partial), (None, None) if full is None else ordered(full)
    return BlockMask.from_kv_blocks(own[0], own[1], whole[0], whole[1], size, mask_mod, (Q_LEN, KV_LEN))


# ---- attention -----------------------------------------------------------------------------------------------------------
def _check(query: Any, key: Any, value: Any, grouped: bool) -> None:
    if query.device != key.device or query.device != value.device:
        raise ValueError(
            f"Expected query, key, and value to have the same device type, but got query.device: {query.device}, key.device: "
            f"{key.device}, and value.device: {value.device} instead."
        )
    ranks = query.dim(), key.dim(), value.dim()
    if min(ranks) < 2:
        raise ValueError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {ranks[0]}, key.dim: "
            f"{ranks[1]} and value.dim: {ranks[2]} instead."
        )
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"Expect query and key/value to have the same embedding dimension but got E={query.shape[-1]} and E={key.shape[-1]}."
        )
    if ranks != (4, 4, 4):
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    many, heads = query.shape[1], key.shape[1]
    if not grouped and many != heads:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={many} and Hkv={heads}. Try setting "
            "enable_gqa=True for GQA."
        )
    if grouped and many % heads != 0:
        raise ValueError(
            f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={many} and Hkv={heads}."
        )


def _check_batch(query: Any, key: Any, mask: BlockMask | None) -> None:
    mine, theirs = query.shape[0], key.shape[0]
    if mine == theirs:
        return
    if mask is None:
        raise ValueError(
            "Expect query and key/value to have the same batch size, or non-none block_mask, but got block_mask=None, "
            f"Bq={mine}, and Bkv={theirs}."
        )
    if mask.kv_num_blocks.shape[0] != mine:
        raise ValueError(
            "Expect query and key/value to have the same batch size, or block_mask and query to have the same batch size, but "
            f"got Bq={mine}, Bkv={theirs}, B_block_mask={mask.kv_num_blocks.shape[0]}."
        )
    if theirs != 1:
        raise RuntimeError(f"Bq and Bkv must broadcast. Got Bq={mine} and Bkv={theirs}")


def _check_mask(query: Any, key: Any, mask: BlockMask) -> None:
    if mask.mask_mod is sliced_mask:
        raise RuntimeError("Cannot use mask_mod from a sliced BlockMask")
    if mask.BLOCK_SIZE[0] != _LARGE or mask.BLOCK_SIZE[1] != _LARGE:
        (rows, keys), (own, seen) = mask.shape[-2:], (query.shape[2], key.shape[2])
        found = f"block_mask was created for block_mask.shape={mask.shape} but got q_len={own} and kv_len={seen}. "
        if own > rows or seen > keys:
            raise ValueError(
                f"{found}As the block mask was created for a smaller length than you're using it for, you likely need to create "
                "a new block mask."
            )
        if own < rows or seen < keys:
            raise ValueError(
                f"{found}As the block mask was created for a larger length than you're using it for, you can either 1. create a "
                "new block mask with the correct length, or 2. 'adjust' the existing block mask to the correct length by calling "
                "block_mask._adjust(q_len, kv_len). This essentially 'crops' the block mask to the upper left corner, which does "
                "not work for all mask_mods!"
            )
    if query.device != mask.kv_num_blocks.device:
        raise RuntimeError(
            f"Expect q/k/v and block_mask to be on the same device but got {query.device} and {mask.kv_num_blocks.device}."
        )


def _check_options(query: Any, options: Any, return_lse: bool, aux: AuxRequest | None) -> None:
    options = options or {}
    if "BACKEND" in options and options.get("FORCE_USE_FLEX_ATTENTION", False):
        raise RuntimeError(
            "BACKEND cannot be combined with legacy FORCE_USE_FLEX_ATTENTION. BACKEND supersedes the legacy knob; please drop "
            "FORCE_USE_FLEX_ATTENTION and only specify the desired BACKEND."
        )
    if options.get("BACKEND", "AUTO") not in _BACKENDS:
        raise ValueError(f"Invalid BACKEND value '{options['BACKEND']}'. Must be one of {_BACKENDS}")
    for name in ("OUTPUT_LOGSUMEXP", "OUTPUT_MAX"):
        if name in options:
            raise AssertionError(f"{name} must not be in kernel_options")
    if return_lse and aux is not None:
        raise ValueError(
            "Cannot specify both return_lse and return_aux. return_lse is deprecated, please use return_aux=AuxRequest(lse=True) "
            "instead."
        )


def flex_attention(
    query: Tensor, key: Tensor, value: Tensor, score_mod: Function | None = None, block_mask: BlockMask | None = None,
    scale: float | None = None, enable_gqa: bool = False, return_lse: bool = False,
    kernel_options: FlexKernelOptions | None = None, *, return_aux: AuxRequest | None = None,
) -> Any:  # fmt: skip
    """``softmax(score_mod(query @ key.T * scale)) @ value`` (B, Hq, L, Ev), over the keys that `block_mask` opens; rows without
    one are 0.

    query (B, Hq, L, E), key (B, Hkv, S, E) and value (B, Hkv, S, Ev); with `enable_gqa` each head of keys serves Hq / Hkv heads
    of queries. ``score_mod(score, b, h, q_idx, kv_idx)`` gets 0-d tensors; tensors that it reads get gradients. `return_aux`:
    what is returned beside the result, as `AuxOutput`; `return_lse`: the logarithms of the sums of exponentials beside it.
    `kernel_options` are checked and else ignored."""
    _check(query, key, value, enable_gqa)
    _check_batch(query, key, block_mask)
    if block_mask is not None:
        _check_mask(query, key, block_mask)
    _check_options(query, kernel_options, return_lse, return_aux)
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    if key.dtype != query.dtype or value.dtype != query.dtype:
        key, value = key.to(query.dtype), value.to(query.dtype)
    mask_mod = None if block_mask is None or block_mask.mask_mod is noop_mask else block_mask.mask_mod
    aux = AuxRequest(lse=return_lse) if return_aux is None else return_aux
    if score_mod is None and mask_mod is None and not aux.max_scores and query.shape[:2] == key.shape[:2]:
        out, lse = scores.plain(query, key, value, scale)
        top = None
    else:
        blocks = (None,) * 8 if block_mask is None else block_mask.tensors()
        sizes = (0, 0) if block_mask is None else block_mask.BLOCK_SIZE
        out, lse, top = scores.flex(query, key, value, score_mod, mask_mod, blocks, sizes, scale)
    if return_aux is not None:
        return out, AuxOutput(lse if aux.lse else None, top if aux.max_scores else None)
    if return_lse:
        warnings.warn(
            "return_lse is deprecated and will be removed in v2.10. Please use return_aux=AuxRequest(lse=True) instead.",
            FutureWarning,
            stacklevel=2,
        )
        return out, lse
    return out
