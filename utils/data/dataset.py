"""Data sets: what has a length and items, and ways to cut one up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ...eager.random import Generator, randperm
from ...eager.tensor import Tensor


class Dataset:
    """Subclasses define ``__getitem__`` and ``__len__``."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __class_getitem__(cls, item: Any) -> type[Dataset]:
        return cls


class IterableDataset(Dataset):
    """Subclasses define ``__iter__``."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")


class TensorDataset(Dataset):
    """Rows of several tensors with one first size."""

    def __init__(self, *tensors: Tensor) -> None:
        if len({t.size(0) for t in tensors}) > 1:
            raise ValueError(f"Size mismatch between tensors: {[t.size(0) for t in tensors]}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([t[index] for t in self.tensors])

    def __len__(self) -> int:
        return int(self.tensors[0].size(0))


class Subset(Dataset):
    """The items of `dataset` at `indices`."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """`dataset` cut at random into subsets of `lengths`, which are counts or fractions that sum to 1."""
    n = len(dataset)
    counts = list(lengths)
    if math.isclose(sum(counts), 1) and sum(counts) <= 1 and n != 1:
        counts = [math.floor(n * f) for f in lengths]
        for i in range(n - int(sum(counts))):
            counts[i % len(counts)] += 1
    if sum(counts) != n:
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order = randperm(n, generator=generator).tolist()
    out, start = [], 0
    for count in counts:
        out.append(Subset(dataset, order[start : start + int(count)]))
        start += int(count)
    return out
