"""Data sets that the tests' worker processes import, the spawned ones by name."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import fusewire as fw
from fusewire.utils.data import Dataset, IterableDataset, get_worker_info


class Rows(Dataset):
    """Item i: a row of 300 floats, i as a number and as text."""

    def __init__(self, count: int = 40) -> None:
        self.count = count

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"x": fw.full((300,), float(i)), "n": i, "text": f"item {i}", "both": (np.float32(i), [i, np.arange(3) + i])}

    def __len__(self) -> int:
        return self.count


class Draws(Dataset):
    """What each source of random numbers gives in the worker that is asked."""

    def __getitem__(self, i: int) -> tuple[Any, ...]:
        info = get_worker_info()
        return random.random(), float(np.random.random()), fw.rand(1), info.id if info else -1, info.seed if info else -1

    def __len__(self) -> int:
        return 4


class Counting(IterableDataset):
    """0 to count - 1, shared out between workers."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(first, self.count, step))

    def __len__(self) -> int:
        return self.count


class Odd(ValueError):
    """An exception of the user's own."""


class TwoWords(Exception):
    """One that a text alone does not make."""

    def __init__(self, a: str, b: str) -> None:
        super().__init__(a, b)


class Failing(Dataset):
    """Item 5 goes wrong in the way that `how` says."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int) -> Any:
        return self.go_wrong() if i == 5 else i

    def go_wrong(self) -> Any:
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "exit":
            os._exit(3)
        elif self.how == "sleep":
            time.sleep(60)
        elif self.how == "key":
            raise KeyError("no such key")
        elif self.how == "own":
            raise Odd("odd one")
        elif self.how == "two":
            raise TwoWords("a", "b")
        elif self.how == "local":
            raise type("Hidden", (LookupError,), {})("hidden")
        elif self.how == "unsendable":
            return lambda: None
        elif self.how == "history":
            return fw.ones(3, requires_grad=True) * 2
        raise RuntimeError(self.how)


def as_they_are(batch: list[Any]) -> list[Any]:
    return batch


def broken_init(number: int) -> None:
    raise OSError(f"worker {number} finds no disk")
