"""``sorted`` and ``list.sort`` on what the interpreter holds: natively where weights are built-in values, else followed."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from ..eager.tensor import Tensor
from . import equivalents
from .breaks import Break
from .special import SPECIAL

if TYPE_CHECKING:
    from .session import Session

_SHORT = 63  # longer lists are merged, in an order of comparisons of its own


def _sorted(s: Session, items: Any, /, *, key: Any = None, reverse: Any = False) -> list[Any]:
    values = list(s.operators.items(items))
    _sort_now(s, values, key, reverse)
    return values


def sort(s: Session, owner: list[Any], *, key: Any = None, reverse: Any = False) -> None:
    """``list.sort``; on a list from outside the tail stores the new order."""
    _sort_now(s, owner, key, reverse)
    s.effects.item(owner, slice(None), list(owner))


def _sort_now(s: Session, values: list[Any], key: Any, reverse: Any) -> None:
    weights = values[:] if key is None else [s.call(key, (x,)) for x in values]
    weights = [s.operators.settle(w) for w in weights]
    down = s.operators.truth(reverse)
    if all(s.operators.is_plain(w) and not isinstance(w, Tensor) for w in weights):
        order = s.native(sorted, range(len(values)), key=weights.__getitem__, reverse=down)
        values[:] = [values[i] for i in order]
    elif len(values) > _SHORT or any(isinstance(w, Tensor) for w in weights):
        raise Break("own-comparison", "sorting objects that compare in their own way")
    else:
        values[:] = s.call(equivalents.sort_short, (values[:], weights, down))


SPECIAL[builtins.sorted] = _sorted
