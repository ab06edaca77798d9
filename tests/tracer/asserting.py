"""A program with ``assert``: in a file of its own, because pytest rewrites those of test files."""

from __future__ import annotations

from typing import Any


def asserts(x: Any, log: list[Any]) -> Any:
    log.append(1)
    x.add_(1)
    assert x.min() > 0, f"bad {x.min().item()}"
    x.mul_(2)
    log.append(2)
    if (x > 100).any():
        raise ValueError("too big", x.max().item())
    x.add_(1)
    log.append(3)
    return x * 2
