"""Objects that every tail can name: what it calls to change attributes, move iterators, mend tracebacks and go on."""

from __future__ import annotations

import functools
import math
import sys
import types
from typing import Any

from ..eager import casting
from ..runtime import gradmode, peek
from ..runtime.source import listed
from . import late_text
from .bytecode import NULL
from .checks import require
from .deferred_draws import shuffled
from .families import belongs, detached_family
from .gradient import leaf, spent
from .liveness import GONE
from .parameters import call_bound
from .standins import put_place
from .traces import strip_own
from .turns import Turn, go_in, go_on


def _hide_tail() -> None:
    error = sys.exception()
    if error is not None:
        strip_own(error)


def _put(obj: Any, name: str, value: Any) -> None:
    object.__setattr__(obj, name, value)


def _drop(obj: Any, name: str) -> None:
    object.__delattr__(obj, name)


def _iterator(over: Any, state: Any) -> Any:
    it = iter(over)
    if state is not None:
        it.__setstate__(state)
    return it


def _backwards(over: Any, state: Any) -> Any:
    it = reversed(over)
    if state is not None:
        it.__setstate__(state)
    return it


def _moved(over: Any, count: int) -> Any:
    it = iter(over)
    for _ in range(count):
        next(it)
    return it


HELPERS: dict[str, Any] = {
    "put": _put, "drop": _drop, "iterator": _iterator, "backwards": _backwards, "moved": _moved, "MethodType": types.MethodType,
    "CellType": types.CellType, "FunctionType": types.FunctionType, "partial": functools.partial, "set_grad": gradmode.set,
    "set_casting": casting.switch,
    "call_bound": call_bound, "SimpleNamespace": types.SimpleNamespace, "listed": listed,
    "hide_tail": _hide_tail, "NULL": NULL, "spent": spent, "leaf": leaf, "belongs": belongs, "detached_family": detached_family,
    "require": require, "shuffled": shuffled, "with_history": late_text.with_history,
    "put_place": put_place,
    "Turn": Turn, "go_on": go_on, "go_in": go_in, "peek": peek.item, "GONE": GONE, "math": math,
}  # fmt: skip
