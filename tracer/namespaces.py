"""Methods of ``vars(obj)`` of an object from outside (`attributes.Namespace`): through the object, guarded and journalled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import subscripts
from .attributes import Namespace
from .bytecode import NULL
from .special import SPECIAL

if TYPE_CHECKING:
    from .session import Session


def _namespace_get(s: Session, names: Namespace, key: str, default: Any = None) -> Any:
    value = s.attributes.in_instance(names.owner, key)
    return default if value is NULL else value


def _namespace_pop(s: Session, names: Namespace, key: str, *default: Any) -> Any:
    value = s.attributes.in_instance(names.owner, key)
    if value is NULL and default:
        return default[0]
    subscripts.store(s, names, key, NULL)
    return value


def _namespace_setdefault(s: Session, names: Namespace, key: str, default: Any = None) -> Any:
    value = s.attributes.in_instance(names.owner, key)
    if value is NULL:
        subscripts.store(s, names, key, default)
        return default
    return value


SPECIAL[Namespace.get] = _namespace_get
SPECIAL[Namespace.pop] = _namespace_pop
SPECIAL[Namespace.setdefault] = _namespace_setdefault
