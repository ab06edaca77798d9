"""Functions of Python's library whose result follows from their arguments alone: on constants they run while capturing, which
guards the arguments; on late values they run behind the graph.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from . import late_ops
from .breaks import Break, describe
from .deferred import when_loaded
from .late import Late
from .special import SPECIAL

if TYPE_CHECKING:
    from .session import Session

_ATOMS = (str, bytes, int, float, bool, type(None), re.Pattern, re.RegexFlag)
_PURE = (
    re.compile, re.match, re.search, re.fullmatch, re.sub, re.split, re.findall, re.escape,
    posixpath.join, posixpath.basename, posixpath.dirname, posixpath.splitext, posixpath.normpath, posixpath.split,
)  # fmt: skip
_METHODS = {
    re.Pattern: {"match", "search", "fullmatch", "sub", "split", "findall"},
    re.Match: {"group", "groups", "groupdict", "start", "end", "span", "expand", "__getitem__"},
}
_TEXT = {re.sub, re.escape, posixpath.join, posixpath.basename, posixpath.dirname, posixpath.normpath}


def is_data(x: Any, depth: int = 0) -> bool:
    """Whether `x` is made of built-in constants and containers of them only."""
    if type(x) in (list, tuple, dict) and depth < 20:
        return all(is_data(y, depth + 1) for y in ([*x.keys(), *x.values()] if type(x) is dict else x))
    return type(x) in _ATOMS


def _run(s: Session, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The result of a pure function."""
    values = [s.operators.settle(x) for x in args]
    named = {k: s.operators.settle(v) for k, v in kwargs.items()}
    if all(map(is_data, (*values, *named.values()))):
        return s.native(fn, *values, **named)
    if fn in _TEXT and not named and any(map(late_ops.holds, values)):
        slots = ", ".join(f"${1 + i}" for i in range(len(values)))
        made = Late(f"$0({slots})", (fn, *[late_ops.frozen(s, x) for x in values]), str, raises=True)
        return late_ops.made(s, made)
    raise Break("c-function", f"a call of {describe(fn)}")


def _model(fn: Any) -> Any:
    return lambda s, *args, **kwargs: _run(s, fn, list(args), kwargs)


for _fn in _PURE:
    SPECIAL[_fn] = _model(_fn)


def method(s: Session, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a pattern or match; NotImplemented for any other."""
    known = _METHODS.get(type(owner), ())
    values = [s.operators.settle(x) for x in args]
    if name not in known or kwargs or not all(map(is_data, values)) or s.outside.is_opaque(owner):
        return NotImplemented
    return s.native(getattr(owner, name), *values)


@when_loaded("json")
def _json() -> None:
    import json

    _TEXT.add(json.dumps)
    for fn in (json.loads, json.dumps):
        SPECIAL[fn] = _model(fn)


@when_loaded("logging")
def _logging() -> None:
    from . import deferred_logs  # noqa: F401  (enters its models)
