"""A batch of a data set, in whichever process: from indices, or the next items of what is iterated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from .collate import default_collate
from .dataset import TensorDataset, items_at


class MapFetcher:
    """Batches by index; with `auto` of lists of indices, else of single ones."""

    def __init__(self, dataset: Any, auto: bool, collate: Callable[[Any], Any], drop_last: bool) -> None:
        self.dataset, self.auto, self.collate = dataset, auto, collate
        rows = type(dataset) is TensorDataset and collate is default_collate and bool(dataset.tensors)
        self._rows = dataset.rows if rows else None

    def fetch(self, index: Any) -> Any:
        """The batch at `index`."""
        if not self.auto:
            return self.collate(self.dataset[index])
        if self._rows is not None and type(index) is list and all(type(i) is int for i in index):
            return self._rows(index)
        return self.collate(items_at(self.dataset, index))


class IterFetcher:
    """Batches of what is iterated; StopIteration at the end."""

    def __init__(self, dataset: Any, auto: bool, collate: Callable[[Any], Any], drop_last: bool) -> None:
        self.items, self.auto, self.collate, self.drop_last = iter(dataset), auto, collate, drop_last
        self.ended = False

    def fetch(self, index: Any) -> Any:
        """The next batch, of as many items as `index` has."""
        if self.ended:
            raise StopIteration
        if not self.auto:
            return self.collate(next(self.items))
        items = list(itertools.islice(self.items, len(index)))
        self.ended = len(items) < len(index)
        if not items or (self.ended and self.drop_last):
            raise StopIteration
        return self.collate(items)
