"""DataLoader: what PyTorch's constructor takes, checked. Iteration itself lies in `iterating`."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ...eager.random import Generator
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .iterating import LoaderIter, OwnIter, WorkersIter
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

#: what an iterator has looked at and must not change under it
_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class _Forever(Sampler):
    """The order of what has no indices."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader:
    """Iterates over batches of `dataset`.

    batch_size, shuffle, sampler, batch_sampler, drop_last: which items make a batch; ``batch_size=None`` gives single items.
    collate_fn: makes a batch of a list of items (default: `default_collate`; `default_convert` of single items).
    num_workers: processes that fetch, each `prefetch_factor` (2) batches ahead; 0: the calling thread fetches.
    timeout: seconds to wait for a batch (0: for ever). worker_init_fn: called with its number in each worker.
    multiprocessing_context: "fork", "spawn", "forkserver" or a context; None: the platform's.
    persistent_workers: keep them between passes. in_order: give batches in the order of their indices, else as they come.
    generator: draws the order and the workers' seeds. pin_memory: where there is a GPU.

    A worker's exception is raised in its type with the worker's traceback; a worker that dies is a RuntimeError.
    ValueError or TypeError for arguments that do not go together.
    """

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None, sampler: Any = None,
        batch_sampler: Any = None, num_workers: int = 0, collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False, drop_last: bool = False, timeout: float = 0, worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None, generator: Generator | None = None, *, prefetch_factor: int | None = None,
        persistent_workers: bool = False, pin_memory_device: str = "", in_order: bool = True,
    ) -> None:  # fmt: skip
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset, self.num_workers, self.timeout, self.generator = dataset, num_workers, timeout, generator
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers else prefetch_factor
        self.pin_memory, self.pin_memory_device, self.in_order = pin_memory, pin_memory_device, in_order
        self.worker_init_fn, self.persistent_workers = worker_init_fn, persistent_workers
        self._streamed = isinstance(dataset, IterableDataset)
        self._promised: int | None = None
        self._iterator: WorkersIter | None = None
        self.multiprocessing_context = multiprocessing_context
        if self._streamed:
            _check_streamed(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("shuffle=True makes a sampler of its own: give either, not both")
        self._order(batch_size, bool(shuffle), sampler, batch_sampler, drop_last)
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self._pins = bool(pin_memory) and _gpu()
        vars(self)["_ready"] = True
        if num_workers > (cores := _cores()):
            warnings.warn(f"num_workers={num_workers} on {cores} processor(s): more workers than those are slower", stacklevel=2)

    def _order(self, batch_size: Any, shuffle: bool, sampler: Any, batch_sampler: Any, drop_last: bool) -> None:
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler decides what batch_size, shuffle, sampler and drop_last would: give it alone")
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError("drop_last=True drops a short batch: with batch_size=None there are no batches")
        if sampler is None and self._streamed:
            sampler = _Forever()
        elif sampler is None:
            sampler = RandomSampler(self.dataset, generator=self.generator) if shuffle else SequentialSampler(self.dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last, self.sampler, self.batch_sampler = batch_size, drop_last, sampler, batch_sampler

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and vars(self).get("_ready"):
            raise ValueError(f"{name} cannot be changed: make another DataLoader")
        super().__setattr__(name, value)

    def __class_getitem__(cls, item: Any) -> type[DataLoader]:
        return cls

    @property
    def multiprocessing_context(self) -> Any:
        """The context of the worker processes; None: the platform's."""
        return self._chosen

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None and not self.num_workers:
            raise ValueError(f"multiprocessing_context={context!r} is for worker processes, and num_workers is 0")
        if isinstance(context, str):
            known = multiprocessing.get_all_start_methods()
            if context not in known:
                raise ValueError(f"multiprocessing_context is one of {', '.join(known)}, not {context!r}")
            context = multiprocessing.get_context(context)
        elif context is not None and not isinstance(context, multiprocessing.context.BaseContext):
            raise TypeError(f"multiprocessing_context is a context or the name of a start method, not {context!r}")
        self._chosen = context

    def _context(self) -> Any:
        return self._chosen or multiprocessing.get_context()

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Iterable[Any]:
        return self.batch_sampler if self._auto_collation else self.sampler  # type: ignore[no-any-return]

    def __iter__(self) -> LoaderIter:
        if not self.num_workers:
            return OwnIter(self)
        if not self.persistent_workers:
            return WorkersIter(self)
        if self._iterator is None or not self._iterator.alive:
            self._iterator = WorkersIter(self)
        else:
            self._iterator.again()
        return self._iterator

    def __len__(self) -> int:
        if not self._streamed:
            return len(self._index_sampler)  # type: ignore[arg-type]
        n: int = len(self.dataset)
        if self.batch_size is not None:
            n = n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        self._promised = n
        return n

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_iterator": None}


def _check_workers(num_workers: Any, timeout: Any, prefetch_factor: Any, persistent_workers: Any) -> None:
    if num_workers < 0:
        raise ValueError(f"num_workers is 0 or more, not {num_workers}")
    if timeout < 0:
        raise ValueError(f"timeout is 0 or more seconds, not {timeout}")
    if not num_workers and prefetch_factor is not None:
        raise ValueError("prefetch_factor is for worker processes, and num_workers is 0")
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(f"prefetch_factor is 1 or more, not {prefetch_factor}")
    if not num_workers and persistent_workers:
        raise ValueError("persistent_workers is for worker processes, and num_workers is 0")


def _check_streamed(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    given = next((n for n, v in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)) if v), None)
    if given is not None or sampler is not None or batch_sampler is not None:
        raise ValueError(f"an IterableDataset decides its own order: no {given or 'sampler'} goes with it")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpu() -> bool:
    package = (__package__ or "").split(".")[0]
    return bool(importlib.import_module(f"{package}.cuda").is_available())
