"""What forward and backward attention of every kind share, as a module of its own: built once in a process, called by address."""

from __future__ import annotations

from collections.abc import Sequence

from . import attention_parts as parts
from .attention_tile import product_text, shape
from .module import host_target


def text(_words: Sequence[str] = ()) -> str:
    """The module of `attention_tile.product_text`'s function ``block``, and of ``turn`` and ``times`` of `attention_parts`."""
    s = shape(host_target())
    writers = [*product_text(s), parts.turn(s.tile), parts.times(s.tile)]
    declared: dict[str, str] = {}
    for w in writers:
        declared |= w.declared
        w.head = w.head.replace("define internal", "define") if w.head.split("@")[1].split("(")[0] in FUNCTIONS else w.head
    return "\n".join([*sorted(declared.values()), *(w.text() for w in writers), ""])


#: What other modules call.
FUNCTIONS = ("block", "turn", "times")
