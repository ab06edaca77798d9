"""Data sets: what has a length and items or is iterated, and ways to join and cut them. Loads nothing by itself."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ...eager import factory
from ...eager.random import Generator, randperm
from ...eager.tensor import Tensor


class Dataset:
    """Items by index. Subclasses define ``__getitem__`` and ``__len__``; one that has ``__getitems__`` (a list of indices to the
    list of their items) is asked for a whole batch at once."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__, which gives item number {index}")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])

    def __class_getitem__(cls, item: Any) -> type[Dataset]:
        return cls


class IterableDataset(Dataset):
    """Items as they come. Subclasses define ``__iter__``; in a worker process `get_worker_info` says which share is whose."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__, which gives its items")

    def __add__(self, other: Any) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset):
    """Rows of several tensors with one first size. AssertionError where those differ."""

    def __init__(self, *tensors: Tensor) -> None:
        if len({t.size(0) for t in tensors}) > 1:
            raise AssertionError(f"tensors of one data set have one first size, these are of {[list(t.shape) for t in tensors]}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([t[index] for t in self.tensors])

    def __len__(self) -> int:
        return int(self.tensors[0].size(0))

    def rows(self, indices: list[int]) -> list[Tensor]:
        """What `default_collate` makes of the items at `indices`: one tensor a column."""
        at = np.array(indices, np.int64)
        if any(t.meta.requires_grad or t.meta.device != "cpu" for t in self.tensors):
            return [t[factory.make(at)] for t in self.tensors]
        return [factory.make(t.array[at]) for t in self.tensors]


class StackDataset(Dataset):
    """Items of several data sets of one length side by side: a tuple for positional ones, a dict for named ones. ValueError for
    none, for both kinds or for lengths that differ."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset takes data sets either all by position or all by name, and at least one")
        self.datasets: Any = args or kwargs
        lengths = [len(d) for d in self._parts()]
        if len(set(lengths)) > 1:
            raise ValueError(f"data sets side by side have one length, these have {lengths}")
        self._length = lengths[0]

    def _parts(self) -> list[Any]:
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def _joined(self, items: Sequence[Any]) -> Any:
        return dict(zip(self.datasets, items, strict=True)) if isinstance(self.datasets, dict) else tuple(items)

    def __getitem__(self, index: Any) -> Any:
        return self._joined([d[index] for d in self._parts()])

    def __getitems__(self, indices: list[int]) -> list[Any]:
        columns = [items_at(d, indices) for d in self._parts()]
        short = [len(c) for c in columns if len(c) != len(indices)]
        if short:
            raise ValueError(f"a data set's __getitems__ gave {short[0]} items for {len(indices)} indices")
        return [self._joined(row) for row in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset):
    """Several data sets one behind another. AssertionError for none or for an `IterableDataset` among them."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset joins at least one data set")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise AssertionError("ConcatDataset joins data sets with indices; ChainDataset joins those that are iterated")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if index < -len(self):
            raise ValueError(f"index {index} lies in front of the first of {len(self)} items")
        at = index + len(self) if index < 0 else index
        part = bisect.bisect_right(self.cumulative_sizes, at)
        return self.datasets[part][at - (self.cumulative_sizes[part - 1] if part else 0)]


class ChainDataset(IterableDataset):
    """Several iterable data sets one behind another."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        for dataset in self.datasets:
            self._check(dataset)
            yield from dataset

    def __len__(self) -> int:
        return sum(len(self._check(d)) for d in self.datasets)

    @staticmethod
    def _check(dataset: Any) -> Any:
        if not isinstance(dataset, IterableDataset):
            raise AssertionError(f"ChainDataset joins IterableDatasets, not a {type(dataset).__name__}")
        return dataset


class Subset(Dataset):
    """The items of `dataset` at `indices`."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        return items_at(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


def items_at(dataset: Any, indices: list[Any]) -> list[Any]:
    """The items at `indices`, at once where the data set can."""
    many = getattr(dataset, "__getitems__", None)
    return many(indices) if many else [dataset[i] for i in indices]  # type: ignore[no-any-return]


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """`dataset` cut at random into subsets of `lengths`: counts that add up to its length, or fractions that add up to 1 (items
    left over by rounding go to the first subsets, one each). ValueError for other lengths."""
    n = len(dataset)
    counts = list(lengths)
    if math.isclose(sum(counts), 1) and sum(counts) <= 1:
        wrong = next((f for f in counts if not 0 <= f <= 1), None)
        if wrong is not None:
            raise ValueError(f"fractions lie between 0 and 1, {wrong} does not")
        counts = [math.floor(n * f) for f in lengths]
        for i in range(n - int(sum(counts))):
            counts[i % len(counts)] += 1
    if sum(counts) != n:
        raise ValueError(f"lengths {list(lengths)} add up to {sum(counts)}, the data set has {n} items")
    order = randperm(n, generator=generator, device="cpu" if generator is None else generator.device).tolist()
    ends = itertools.accumulate(int(c) for c in counts)
    return [Subset(dataset, order[end - int(c) : end]) for end, c in zip(ends, counts, strict=True)]
