"""What code of the user's may change that runs inside of a deferred call: handlers, filters and formatters of `logging`.

The tracer does not follow such code. Objects that it reaches may be read before the call, but not behind it in the same graph;
code that stores to a global or a closure is not deferred at all.
"""

from __future__ import annotations

import collections
import dis
import functools
import logging
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .breaks import Break, describe

if TYPE_CHECKING:
    from .session import Session

_TRUSTED = ("logging", "_pytest", "warnings", "pytest")
_STORES = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "DELETE_DEREF")
_STILL = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, str, bytes, int, float, bool, type(None), tuple)


def loggers(start: Any) -> Iterator[Any]:
    """Everything that a record of this logger passes and that is the user's."""
    logger = start
    while logger is not None:
        for each in (logger, *logger.handlers):
            found = [each, *each.filters, getattr(each, "formatter", None)]
            yield from (x for x in found if x is not None and not _is_trusted(x))
        logger = logger.parent if logger.propagate else None
    factory = logging.getLogRecordFactory()
    if not _is_trusted(factory):
        yield factory


def _is_trusted(x: Any) -> bool:
    module = x.__module__ if isinstance(x, (types.FunctionType, type)) else type(x).__module__
    return str(module).split(".")[0] in _TRUSTED


def spread(s: Session, x: Any) -> None:
    """Note what code of `x`, an object or function of the user's, may change; break where that is more than what it reaches."""
    functions = [x] if isinstance(x, types.FunctionType) else [
        f
        for cls in type(x).__mro__
        if str(cls.__module__).split(".")[0] not in (*_TRUSTED, "builtins")
        for f in vars(cls).values()
        if isinstance(f, types.FunctionType)
    ]  # fmt: skip
    reached: list[Any] = [x]
    for fn in functions:
        if _stores(fn.__code__):
            raise Break("c-function", f"a logger, because {describe(fn)} stores to a global or to a closure")
        reached += [fn.__globals__[name] for name in fn.__code__.co_names if name in fn.__globals__]
        reached += [cell.cell_contents for cell in fn.__closure__ or () if not _is_empty(cell)]
    for each in [y for root in reached for y in (root, *_held(root))]:
        if isinstance(each, _STILL):
            continue
        if id(each) in s.outside.memo and each is not logging.root:
            raise Break("c-function", f"a logger, because {describe(type(x))} may change what was read before")
        s.outside.tainted[id(each)] = each


@functools.lru_cache(maxsize=256)
def _stores(code: types.CodeType) -> bool:
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return any(i.opname in _STORES for i in dis.get_instructions(code)) or any(map(_stores, inner))


def _is_empty(cell: Any) -> bool:
    try:
        return cell.cell_contents is cell
    except ValueError:
        return True


def _held(x: Any) -> list[Any]:
    if isinstance(x, (*_STILL, logging.Logger)):
        return []
    if isinstance(x, (list, set, collections.deque)):
        return list(x)[:1000]
    return list((x if isinstance(x, dict) else getattr(x, "__dict__", {})).values())
