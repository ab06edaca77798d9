"""Sequences of different lengths: padded to one tensor, or packed step by step, longest sequence first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ...eager.creation import arange, full, tensor
from ...eager.functional import stack
from ...eager.generated import cat
from ...eager.ordering import sort
from ...eager.tensor import Tensor
from ...ir.dtypes import int64


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """`data`: the elements of all first steps, then of all second ones, and so on; `batch_sizes` (int64): how many sequences
    have each step; `sorted_indices`, `unsorted_indices`: from the order given to that by length, and back (None: the same)."""

    __slots__ = ()

    def __new__(
        cls, data: Tensor, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:  # fmt: skip
        if batch_sizes is None:
            raise ValueError("PackedSequence: batch_sizes must be given beside the data")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With the data as another dtype."""
        return PackedSequence(self.data.to(*args, **kwargs), *self[1:])

    def double(self) -> PackedSequence:
        """With the data as float64."""
        return PackedSequence(self.data.double(), *self[1:])

    def float(self) -> PackedSequence:
        """With the data as float32."""
        return PackedSequence(self.data.float(), *self[1:])

    def cpu(self) -> PackedSequence:
        """On the CPU: self."""
        return self

    @property
    def is_cuda(self) -> bool:
        """Whether the data lie on a CUDA device."""
        return bool(self.data.is_cuda)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes `permutation`."""
    if permutation is None:
        return None
    places = full((permutation.numel(),), 0, dtype=int64, device=permutation.device)
    places[permutation] = arange(permutation.numel(), device=permutation.device)
    return places


def pack_padded_sequence(input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """Pack (steps, batch, ...) without what lies beyond `lengths`; with `enforce_sorted` these must fall."""
    if isinstance(lengths, Tensor) and lengths.device.type != "cpu":
        kind = f"{lengths.ndim}D {lengths.device} {lengths.type().rpartition('.')[2].removesuffix('Tensor')} tensor"
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got {kind}")
    given = lengths.tolist() if isinstance(lengths, Tensor) else [int(n) for n in lengths]
    order = None
    if not enforce_sorted:
        order = sort(tensor(given, device="cpu"), descending=True)[1].to(input.device)
        input = input.index_select(0 if batch_first else 1, order)
        given = [given[i] for i in order.tolist()]
    if batch_first:
        input = input.transpose(0, 1)
    if len(given) != input.shape[1]:
        raise RuntimeError(f"Expected `len(lengths)` to be equal to batch_size, but got {len(given)} "
                           f"(batch_size={input.shape[1]})")  # fmt: skip
    if not given or min(given) <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    if any(a < b for a, b in pairwise(given)):
        raise RuntimeError("`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
                           "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this "
                           "requirement")  # fmt: skip
    sizes = [sum(n > step for n in given) for step in range(given[0])]
    data = cat([input[step, :size] for step, size in enumerate(sizes)], 0)
    return PackedSequence(data, tensor(sizes, device="cpu"), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """(the sequences padded to one length, their lengths), in the order in which they were packed."""
    sizes = sequence.batch_sizes.tolist()
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ValueError(f"Expected total_length to be at least the length of the longest sequence in input, but got "
                         f"total_length={total_length} and max sequence length being {len(sizes)}")  # fmt: skip
    rest = sequence.data.shape[1:]
    rows = []
    for part in sequence.data.split(sizes, 0):
        missing = sizes[0] - part.shape[0]
        rows.append(cat([part, part.new_full((missing, *rest), padding_value)], 0) if missing else part)
    rows += [sequence.data.new_full((sizes[0], *rest), padding_value)] * (steps - len(sizes))
    padded = stack(rows, 1 if batch_first else 0)
    lengths = tensor([sum(size > i for size in sizes) for i in range(sizes[0])], device="cpu")
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(0 if batch_first else 1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices]
    return padded, lengths


def pad_sequence(
    sequences: Sequence[Tensor] | Tensor, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences (length, ...) as one tensor (steps, batch, ...), filled up at the end, or at the start ("left")."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right but got {padding_side}.")
    each = list(sequences)
    if not each:
        raise RuntimeError("received an empty list of sequences")
    longest = max(s.shape[0] for s in each)
    filled = []
    for s in each:
        missing = longest - s.shape[0]
        fill = [s.new_full((missing, *s.shape[1:]), padding_value)] if missing else []
        filled.append(cat([*fill, s] if padding_side == "left" else [s, *fill], 0))
    return stack(filled, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences without what lies beyond their lengths."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [row[:n] for row, n in zip(padded_sequences, lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (length, ...), which must fall in length with `enforce_sorted`."""
    return pack_padded_sequence(pad_sequence(sequences), [s.shape[0] for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)
