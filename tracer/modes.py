"""The switches of a thread's modes (gradients, autocast) inside of a region: really made, and repeated at its end.

Guards are on the modes at entry (`guards`); what is recorded behind a switch sees the mode as eager does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..eager import casting
from ..runtime import gradmode
from .effects import CastingSet, GradModeSet
from .special import models

if TYPE_CHECKING:
    from .session import Session


@models(gradmode.get)
def _get_gradmode(s: Session) -> bool:
    return gradmode.get()


@models(gradmode.set)
def _set_gradmode(s: Session, enabled: Any) -> None:
    """Really switched, so that ops recorded from here on see it; the caller of the capture gives the former mode back."""
    gradmode.set(s.operators.truth(enabled))
    s.effects.journal.append(GradModeSet(gradmode.get()))


@models(casting.get)
def _get_casting(s: Session) -> int:
    return casting.get()


@models(casting.switch)
def _switch_casting(s: Session, mode: Any) -> None:
    """Really switched, as the gradient mode is."""
    casting.switch(mode)
    s.effects.journal.append(CastingSet(mode))
