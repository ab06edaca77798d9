"""Masks of attention by blocks: for each block of queries the numbers of the blocks of keys that have an open key. Runs nothing
but ops on small integer tensors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NoReturn

from ...eager import functional as F
from ...eager.arranging import pad
from ...eager.creation import arange
from ...eager.generated import where
from ...eager.indexing import get
from ...eager.tensor import Tensor
from ...ir import dtypes

DEFAULT = 128
Function = Callable[..., Any]


def noop_mask(batch: Any, head: Any, token_q: Any, token_kv: Any) -> Any:
    """Every key is open."""
    return token_q == token_q


def sliced_mask(batch: Any, head: Any, token_q: Any, token_kv: Any) -> NoReturn:
    """Stands in a part of a mask, whose function would be asked about other positions. RuntimeError says what to do."""
    raise RuntimeError(
        "Cannot use mask_mod from a sliced BlockMask. When you slice a BlockMask using [], the mask_mod attribute is reset: set "
        "the part's mask_mod from that of the whole, moved by the part's offset."
    )


# ---- lists of blocks -----------------------------------------------------------------------------------------------------
def ordered(blocks: Any) -> tuple[Any, Any]:
    """(number of blocks in each row, their numbers first and in order) of 0s and 1s."""
    ones = blocks.to(dtypes.int32)
    count, columns = ones.sum(-1), blocks.shape[-1]
    rank = where(ones != 0, ones.cumsum(-1) - 1, F.unsqueeze(count, -1) + (1 - ones).cumsum(-1) - 1)  # a sort that needs no sort
    numbers = F.expand(arange(columns, dtype=dtypes.int32, device=blocks.device), blocks.shape)
    return count.to(dtypes.int32), ones.scatter(-1, rank, numbers)


def dense(counts: Any, numbers: Any, columns: int) -> Any:
    """The inverse of `ordered`: int32 of 0s and 1s."""
    listed = arange(numbers.shape[-1], device=numbers.device) < F.unsqueeze(counts, -1)
    places = where(listed, numbers, columns).to(dtypes.int64)
    zeros = numbers.new_zeros((*numbers.shape[:-1], columns + 1), dtype=dtypes.int32)
    return zeros.scatter(-1, places, 1).narrow(-1, 0, columns).contiguous()


def turned(counts: Any, numbers: Any) -> tuple[Any, Any]:
    """For each block of keys the blocks of queries."""
    return ordered(dense(counts, numbers, int(numbers.shape[-1])).mT)


def convert_mask(mask: Any, rows: int, columns: int, apart: bool) -> tuple[Any, Any]:
    """(blocks that have an open key, None), or (those of them that have a closed one, those that have none) where `apart`."""
    mask = pad(mask, (0, -mask.shape[-1] % columns, 0, -mask.shape[-2] % rows))
    b, h, q, kv = mask.shape
    total = F.reshape(mask, (b, h, q // rows, rows, kv // columns, columns)).to(dtypes.int32).sum((3, 5))
    if not apart:
        return (total > 0).to(dtypes.int8), None
    full = total == rows * columns
    return ((total > 0) & ~full).to(dtypes.int8), full.to(dtypes.int8)


def _cropped(counts: Any, numbers: Any, rows: int, columns: int) -> tuple[Any, Any]:
    numbers, counts = numbers[:, :, :rows, :columns], counts[:, :, :rows]
    counts = where(counts < columns, counts, columns)
    return (numbers < counts[:, :, :, None]).sum(-1).to(dtypes.int32), numbers


_TENSORS = ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices", "q_num_blocks", "q_indices",
            "full_q_num_blocks", "full_q_indices")  # fmt: skip


class BlockMask:
    """A mask of attention by blocks of `BLOCK_SIZE` (queries, keys).

    For each block of queries `kv_num_blocks` and `kv_indices` (batch, heads, rows[, columns]) list the blocks of keys to which
    `mask_mod` is to be applied, `full_kv_num_blocks` and `full_kv_indices` those without a closed key; the four called `q` list
    the blocks of queries of each block of keys. A back end may skip all other blocks."""

    kv_num_blocks: Any
    kv_indices: Any
    full_kv_num_blocks: Any
    full_kv_indices: Any
    q_num_blocks: Any
    q_indices: Any
    full_q_num_blocks: Any
    full_q_indices: Any

    def __init__(
        self, seq_lengths: tuple[int, int], kv_num_blocks: Any, kv_indices: Any, full_kv_num_blocks: Any, full_kv_indices: Any,
        q_num_blocks: Any, q_indices: Any, full_q_num_blocks: Any, full_q_indices: Any,
        BLOCK_SIZE: tuple[int, int] = (DEFAULT, DEFAULT), mask_mod: Function = noop_mask,
    ) -> None:  # fmt: skip
        if kv_indices.ndim < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        for own, other, name in ((full_kv_num_blocks, full_kv_indices, "kv"), (full_q_num_blocks, full_q_indices, "q")):
            if (own is None) != (other is None):
                raise AssertionError(f"full_{name}_num_blocks and full_{name}_indices must be both provided or omitted")
        self.seq_lengths, self.BLOCK_SIZE, self.mask_mod = seq_lengths, BLOCK_SIZE, mask_mod
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices

    @classmethod
    def from_kv_blocks(
        cls, kv_num_blocks: Any, kv_indices: Any, full_kv_num_blocks: Any = None, full_kv_indices: Any = None,
        BLOCK_SIZE: int | tuple[int, int] = DEFAULT, mask_mod: Function | None = None, seq_lengths: Any = None,
        compute_q_blocks: bool = True,
    ) -> BlockMask:  # fmt: skip
        """The mask of which the blocks of keys of each block of queries are given; RuntimeError or AssertionError where they do
        not fit."""
        if kv_indices.ndim < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError("full_kv_num_blocks and full_kv_indices must be both provided or omitted")
        q: tuple[Any, Any] = (None, None)
        full_q: tuple[Any, Any] = (None, None)
        if compute_q_blocks:
            q = turned(kv_num_blocks, kv_indices)
            full_q = (None, None) if full_kv_num_blocks is None else turned(full_kv_num_blocks, full_kv_indices)
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        if seq_lengths is None:
            seq_lengths = (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, q[0], q[1], full_q[0], full_q[1], size,
            noop_mask if mask_mod is None else mask_mod,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch and heads (1: all), queries, keys."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def tensors(self) -> tuple[Any, ...]:
        """The eight tensors, None where there is none."""
        return (self.kv_num_blocks, self.kv_indices, self.full_kv_num_blocks, self.full_kv_indices, self.q_num_blocks,
                self.q_indices, self.full_q_num_blocks, self.full_q_indices)  # fmt: skip

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """Lengths, tensors, sizes of blocks and function in one tuple; the pairs open where `flatten`."""
        lengths: tuple[Any, ...] = tuple(self.seq_lengths) if flatten else (self.seq_lengths,)
        sizes: tuple[Any, ...] = tuple(self.BLOCK_SIZE) if flatten else (self.BLOCK_SIZE,)
        return (*lengths, *self.tensors(), *sizes, self.mask_mod)

    def _remade(self, index: Callable[[Any, Any], tuple[Any, Any]], mask_mod: Function, lengths: Any) -> BlockMask:
        own = index(self.kv_num_blocks, self.kv_indices)
        full: tuple[Any, Any] = (None, None)
        if self.full_kv_num_blocks is not None:
            full = index(self.full_kv_num_blocks, self.full_kv_indices)
        computed = self.q_indices is not None
        return BlockMask.from_kv_blocks(own[0], own[1], full[0], full[1], self.BLOCK_SIZE, mask_mod, lengths, computed)

    def __getitem__(self, index: Any) -> BlockMask:
        """The mask of some batches, heads or blocks of queries; its `mask_mod` has to be set before it is used."""
        index = index if isinstance(index, tuple) else (index,)
        whole = (*index, slice(None), slice(None), slice(None))[:3]
        at = tuple(
            (slice(i + n, i + n + 1) if -n <= i < 0 else slice(i, i + 1)) if isinstance(i, int) else i
            for i, n in zip(whole, self.kv_num_blocks.shape[:3], strict=True)
        )
        return self._remade(lambda counts, numbers: (counts[at], numbers[at]), sliced_mask, self.seq_lengths)

    def _adjust(self, new_q_len: int, new_kv_len: int) -> BlockMask:
        """The upper left part for other lengths."""
        rows, columns = -(-new_q_len // self.BLOCK_SIZE[0]), -(-new_kv_len // self.BLOCK_SIZE[1])
        lengths = (new_q_len, new_kv_len)
        return self._remade(lambda counts, numbers: _cropped(counts, numbers, rows, columns), self.mask_mod, lengths)

    def numel(self) -> int:
        """Scores of the whole mask, open or not."""
        return math.prod(self.shape)

    def sparsity(self) -> float:
        """Percent of scores that lie in blocks without an open key."""
        computed = self.kv_num_blocks.sum()
        if self.full_kv_num_blocks is not None:
            computed = computed + self.full_kv_num_blocks.sum()
        return 100 * (1 - float(computed.item()) * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1] / self.numel())

    def to_dense(self) -> Tensor:
        """1 for each block that has an open key, 0 for others."""
        columns = int(self.kv_indices.shape[-1])
        made = dense(self.kv_num_blocks, self.kv_indices, columns)
        if self.full_kv_num_blocks is not None:
            made = made | dense(self.full_kv_num_blocks, self.full_kv_indices, columns)
        return made  # type: ignore[no-any-return]

    def to(self, device: Any) -> BlockMask:
        """The same mask on a device."""
        moved = {name: None if x is None else x.to(device) for name, x in zip(_TENSORS, self.tensors(), strict=True)}
        return BlockMask(self.seq_lengths, **moved, BLOCK_SIZE=self.BLOCK_SIZE, mask_mod=self.mask_mod)

    def to_string(self, grid_size: int | tuple[int, int] = (20, 20), limit: int = 4) -> str:
        """A picture: full, half full and empty cells, of at most `limit` pairs of batch and head; `grid_size` -1: every block."""
        made = self.to_dense()
        *batch, rows, columns = made.shape
        size = (rows, columns) if grid_size == -1 else (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
        steps = max(1, -(-rows // size[0])), max(1, -(-columns // size[1]))
        pictures = []
        for n, at in enumerate(itertools.product(*map(range, batch))):
            if n == limit:
                pictures += ["...", "To print out more, set BlockMask.to_string(limit=N)",
                             "You can also index (BlockMask[batch, head]) to choose a specific batch or head"]  # fmt: skip
                break
            pictures.append(f"{at}\n" + _picture(get(made, at), steps))
        return "\n".join(pictures)

    def __repr__(self) -> str:
        def line(name: str) -> str:
            x = getattr(self, name)
            return f"    {name}={None if x is None else x.shape},\n"

        return (
            f"BlockMask(\n{''.join(map(line, _TENSORS))}    BLOCK_SIZE={self.BLOCK_SIZE},\n    shape={self.shape},\n"
            f"    sparsity={self.sparsity():.2f}%,\n    mask_mod={getattr(self.mask_mod, '__name__', self.mask_mod)}\n)"
        )

    def __str__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n{self.to_string().strip()}\n)"


def _picture(blocks: Any, steps: tuple[int, int]) -> str:
    lines = []
    for r in range(0, blocks.shape[0], steps[0]):
        line = ""
        for c in range(0, blocks.shape[1], steps[1]):
            share = blocks[r : r + steps[0], c : c + steps[1]].to(dtypes.float32).mean().item()
            line += ("█" if share == 1 else " " if share == 0 else "░") * 2
        lines.append(line + "\n")
    return "".join(lines)
