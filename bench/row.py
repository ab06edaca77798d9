"""One measured row, and what every suite is: a function from (threads, quick) to rows. Measures nothing."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """`values`: what each contender took, in `unit` (smaller is better). `facts`: figures beside it, such as FLOPs, bytes, shares
    of the machine's limits, seconds of the first call."""

    suite: str
    name: str
    threads: int
    unit: str
    values: dict[str, float]
    facts: dict[str, Any] = field(default_factory=dict)

    def json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), default=float)

    @staticmethod
    def of_json(line: str) -> Row:
        """The row that `json` printed."""
        return Row(**json.loads(line))

    @property
    def against_peers(self) -> float | None:
        """How many times as long the best peer (no form of fusewire, no bare NumPy) took; None without one."""
        peers = [v for name, v in self.values.items() if not name.startswith(("fusewire", "numpy"))]
        return min(peers) / self.values["fusewire"] if peers and self.values.get("fusewire") else None


Suite = Callable[[int, bool], Iterator[Row]]


def package() -> Any:
    """fusewire itself, seen as its users see it."""
    return importlib.import_module((__package__ or "").rpartition(".")[0])
