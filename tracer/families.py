"""Detached aliases that leave a region: behind it, too, they and their views are no views of what they were detached from.

Knows the text of tails and the offsets of Tensors; records nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..eager.factory import Detached

if TYPE_CHECKING:
    from .tail_values import ValueWriter


def told(writer: ValueWriter, x: Any, text: str) -> str:
    """`text` of a traced Tensor, which from then on belongs to the alias that it is, or is a view of."""
    step = writer.session.recorder.family(x)
    if step is None:
        return text
    known = writer.memo.get(id(step))
    if known is None:
        known = writer.memo[id(step)] = step, writer.assign("detached_family()")
    return writer.assign(f"belongs({text}, {known[1]})")


def belongs(x: Any, family: Detached) -> Any:
    """`x`, a fresh Tensor, as a view of the alias that `family` stands for."""
    x._offset = family.at(x._offset or 0)
    return x
