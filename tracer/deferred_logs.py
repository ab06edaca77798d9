"""Deferred calls of `logging`: from the user's line, with the arguments as they are then. Loaded once a program loads that."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from . import late_ops, taint
from .breaks import Break, describe, opaque
from .deferred import defer
from .deferred_io import slots_of
from .special import SPECIAL, models
from .values import concrete

if TYPE_CHECKING:
    from .session import Session

_NONE = type(None)
_LEVELS = ("debug", "info", "warning", "warn", "error", "critical", "fatal", "log")


def _logs(s: Session, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A call of a logger's method, or of a function of `logging`, from the user's line."""
    level = kwargs.get("stacklevel", 1)
    if kwargs.get("stack_info") or kwargs.get("exc_info") or type(level) is not int or not 1 <= level <= len(s.frames):
        raise Break("c-function", "a call of a logger that looks at the stack")
    for each in taint.loggers(target if isinstance(target, logging.Logger) else logging.root):
        taint.spread(s, each)
    given, named = [late_ops.frozen(s, x) for x in args], {k: late_ops.frozen(s, v) for k, v in kwargs.items() if k != "extra"}
    if "extra" in kwargs:
        named["extra"] = late_ops.frozen(s, kwargs["extra"])
    defer(s, f"$0($1.{name}{slots_of(given, named, 2)})", (s.place(), target, *given, *named.values()), _NONE, owner=logging)


def _logger_method(name: str) -> Any:
    def call(s: Session, logger: Any, *args: Any, **kwargs: Any) -> None:
        _logs(s, logger, name, args, kwargs)

    return call


def _logging_function(name: str) -> Any:
    def call(s: Session, *args: Any, **kwargs: Any) -> None:
        _logs(s, logging, name, args, kwargs)

    return call


for _name in _LEVELS:
    SPECIAL[getattr(logging.Logger, _name)] = _logger_method(_name)
    if hasattr(logging, _name):
        SPECIAL[getattr(logging, _name)] = _logging_function(_name)


@models(logging.getLogger)
def _get_logger(s: Session, name: Any = None) -> Any:
    """A logger, once made, is the one of its name for good."""
    known = logging.root if name in (None, "", "root") else logging.root.manager.loggerDict.get(name)
    if not isinstance(known, logging.Logger):
        if type(name) is not str or logging.getLoggerClass() is not logging.Logger:
            raise Break("c-function", f"a call of {describe(logging.getLogger)}")
        known = logging.getLogger(name)  # nothing tells whether it is there already
    return s.outside.constant(known, f"logging.getLogger({name!r})")


@models(logging.Logger.isEnabledFor)
def _is_enabled(s: Session, logger: Any, level: Any) -> bool:
    """As the method decides, by levels that are guarded; its cache is left out."""
    level, load = s.operators.settle(level), s.attributes.load
    if type(level) is not int or type(logger) not in (logging.Logger, logging.RootLogger):
        raise opaque(logging.Logger.isEnabledFor)
    if s.operators.truth(load(logger, "disabled")) or concrete(load(load(logger, "manager"), "disable")) >= level:
        return False
    while logger is not None:
        own = concrete(load(logger, "level"))
        if own:
            return bool(level >= own)
        logger = load(logger, "parent")
    return level >= logging.NOTSET
