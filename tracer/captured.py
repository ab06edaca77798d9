"""The hand-over from the tracer to what builds and runs captures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..ir.graph import Graph
from ..ir.lazyclass import dataclass
from ..runtime.guard import Guard
from ..runtime.meta import Meta, MetaPattern
from ..runtime.source import Source

if TYPE_CHECKING:
    from .breaks import BreakRecord

Tail = Callable[[Sequence[Any], Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class Capture:
    """What one call of a function became. `sources`: one per graph input. `metas`: one per graph output, with `requires_grad`.

    `tail` is None where the graph's outputs are the result as they are: one Tensor, or (`flat`) a tuple of Tensors.
    `prologue` gives what is drawn before the graph; it stands behind the bound arguments, for `sources` and `tail`.
    `break_` is the graph break that ends the capture, None where the function returns.
    """

    graph: Graph
    sources: tuple[Source, ...]
    guards: tuple[Guard, ...]
    metas: tuple[Meta | MetaPattern, ...]
    tail: Tail | None
    flat: bool
    break_: BreakRecord | None
    prologue: Callable[[Sequence[Any]], tuple[Any, ...]] | None = None
    drawn: int = 0  # how many values `prologue` gives
    device: str = "cpu"  # where all tensors of the graph lie
