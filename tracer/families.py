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
        known = writer.memo[id(step)] = step, writer.assign(f"detached_family({_count(writer, x, step)})")
    return writer.assign(f"belongs({text}, {known[1]})")


def _count(writer: ValueWriter, x: Any, step: Any) -> str:
    """The family that `step` shares its count of writes with: that of the ``x.data`` it was taken from; "": its memory's."""
    own = writer.session.recorder.count_of(x)
    if own is None:
        return ""
    known = writer.memo.get(id(own))
    if known is None and own is not step:
        known = writer.memo[id(own)] = own, writer.assign("detached_family(True)")
    return "True" if known is None else known[1]


def detached_family(of: Detached | bool = False) -> Detached:
    """What stands for a detached alias; it counts its writes with `of`, with True for itself."""
    made = Detached()
    made.count = object() if of is True else of.count if isinstance(of, Detached) else None
    return made


def belongs(x: Any, family: Detached) -> Any:
    """`x`, a fresh Tensor, as a view of the alias that `family` stands for."""
    offset = x._offset
    if family.count is None and type(offset) is Detached:
        family.count = offset.count
    x._offset = family.at(offset or 0)
    return x
