"""`assert_kernels`: how many kernels a call of a user's function runs, with the reasons where it is another number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fusewire import compiler


def assert_kernels(fn: Callable[..., Any], args: Sequence[Any], count: int) -> None:
    """``fn(*args)``, compiled, is one graph and runs `count` kernels (matrix products and extern steps not counted)."""
    parts = compiler.explain(fn)(*args).parts
    assert len(parts) == 1, f"{len(parts)} graphs: " + "; ".join(str(p.capture.break_) for p in parts)
    (part,) = parts
    why = "\n".join(f"{r.producer} -> {r.consumer}: {r.reason} {r.where}" for r in part.refusals)
    assert part.kernels == count, f"{part.kernels} kernels, not {count}\n{why}\n{part.capture.graph}"
