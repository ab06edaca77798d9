"""Samplers: in which order, and how often, a data set's items are asked for. They draw from our generators only."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...eager.creation import as_tensor
from ...eager.ordering import multinomial
from ...eager.random import Generator, randint, randperm
from ...ir import dtypes

#: seeds drawn from a generator lie below this
SEEDS = 1 << 53


def _home(generator: Generator | None) -> Any:
    """Where orders are drawn: on the generator's device, else on the CPU, whatever the default device."""
    return "cpu" if generator is None else generator.device



def draw_seed(generator: Generator | None = None) -> int:
    """A seed from `generator` (None: the default one), which moves on by one draw."""
    return int(randint(SEEDS, (1,), generator=generator, device=_home(generator)).item())


class Sampler:
    """Yields indices (or whatever a data set takes as such). Subclasses define ``__iter__``, and ``__len__`` if it is known."""

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__, which gives the indices")

    def __class_getitem__(cls, item: Any) -> type[Sampler]:
        return cls


class SequentialSampler(Sampler):
    """0, 1, 2, ..."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {value!r}")
    return value


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} is a positive whole number, not {value!r}")
    return value


class RandomSampler(Sampler):
    """A new random order at each iteration, of `num_samples` indices (default: all); with `replacement` independent draws.

    Without `generator` the order comes from a seed drawn from the default one. Orders differ from PyTorch's at equal seeds, as
    our random numbers are another stream.
    """

    def __init__(
        self, data_source: Any, replacement: bool = False, num_samples: int | None = None, generator: Generator | None = None
    ) -> None:
        self.data_source, self.replacement, self.generator = data_source, _flag("replacement", replacement), generator
        self._num_samples = num_samples
        _count("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """Indices an iteration gives."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, generator = len(self.data_source), self.generator
        if generator is None:
            generator = Generator().manual_seed(draw_seed())
        if self.replacement:
            for start in range(0, self.num_samples, 1 << 16):
                count = min(1 << 16, self.num_samples - start)
                yield from randint(n, (count,), generator=generator, device=_home(generator)).tolist()
        else:
            for start in range(0, self.num_samples, n):
                yield from randperm(n, generator=generator, device=_home(generator)).tolist()[: self.num_samples - start]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in a new random order at each iteration."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for i in randperm(len(self.indices), generator=self.generator, device=_home(self.generator)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """`num_samples` indices drawn with probabilities in proportion to `weights`; without `replacement` each at most once."""

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        self.num_samples, self.replacement = _count("num_samples", num_samples), replacement
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement is True or False, not {replacement!r}")
        self.weights = as_tensor(weights, dtype=dtypes.float64)  # anywhere
        if self.weights.ndim != 1:
            raise ValueError(f"weights are one number an item, not of shape {list(self.weights.shape)}")
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator)
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of `batch_size` indices of another sampler; the last one may be shorter, unless `drop_last`."""

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        self.sampler, self.batch_size = sampler, _count("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last is True or False, not {drop_last!r}")
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


class DistributedSampler(Sampler):
    """This process's share of a data set: every `num_replicas`-th index from `rank` on, shuffled alike in all processes by
    ``seed + epoch``. Shares are of one length: the first indices come again, or with `drop_last` the last are left out.

    `num_replicas` and `rank` come from `distributed` where they are not given (RuntimeError where no group was made there).
    """

    def __init__(
        self, dataset: Any, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True, seed: int = 0,
        drop_last: bool = False,
    ) -> None:  # fmt: skip
        if num_replicas is None or rank is None:
            group = _process_group()
            num_replicas = group.get_world_size() if num_replicas is None else num_replicas
            rank = group.get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(f"rank {rank} is none of 0 to {num_replicas - 1}")
        self.dataset, self.num_replicas, self.rank, self.epoch = dataset, num_replicas, rank, 0
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        n = len(dataset)
        self.num_samples = n // num_replicas if drop_last and n % num_replicas else math.ceil(n / num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        indices = list(range(n))
        if self.shuffle:
            indices = randperm(n, generator=Generator().manual_seed(self.seed + self.epoch), device="cpu").tolist()
        if indices and len(indices) < self.total_size:
            indices = (indices * math.ceil(self.total_size / n))[: self.total_size]
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Take another order from now on; call it before each epoch, alike in all processes."""
        self.epoch = epoch


def _process_group() -> Any:
    package = (__package__ or "").split(".")[0]
    try:
        return importlib.import_module(f"{package}.distributed")
    except ModuleNotFoundError:
        raise RuntimeError("DistributedSampler needs num_replicas and rank: there is no group of processes to ask") from None
