"""Deferred calls that write or read: logging, warnings, files, locks that the region makes, the operating system."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

from . import deferred_draws, late_ops
from .breaks import Break, describe, opaque
from .deferred import defer, is_stream, must_be_open, shown, when_loaded
from .effects import Call
from .late import LATE, Late, LateMethod
from .natives import CLASSES
from .special import SPECIAL, models
from .traces import is_own

if TYPE_CHECKING:
    from .session import Session

_NONE = type(None)
_LOCKS: tuple[type, ...] = (type(threading.Lock()), type(threading.RLock()))


def slots_of(args: list[Any], kwargs: dict[str, Any], first: int) -> str:
    texts = [f"${first + i}" for i in range(len(args))]
    texts += [f"{name}=${first + len(args) + i}" for i, name in enumerate(kwargs)]
    return "".join(f", {x}" for x in texts)


# -- warnings ----------------------------------------------------------------------------------------------------------------


_WARNING = "a warning, which may be an error"


@models(warnings.warn)
def _warn(s: Session, message: Any, category: Any = None, stacklevel: Any = 1, source: Any = None, **kwargs: Any) -> None:
    stacklevel = s.operators.settle(stacklevel)
    if kwargs or source is not None or type(stacklevel) is not int:
        raise Break("unusual-arguments", "a warning of an unusual form")
    message = message if isinstance(message, Warning) else shown(s, message)
    if not isinstance(message, (str, Late, Warning)) or s.outside.is_opaque(message):
        raise Break("unusual-arguments", "a warning that is no text")
    above = stacklevel - len(s.frames)
    parts: tuple[Any, ...] = (s.place(), warnings.warn, message, category)
    if above > 0:
        parts = (warnings.warn_explicit, _of_caller, message, category, above)
        defer(s, "$0(*$1($2, $3, $4))", parts, _NONE, sure=False, owner=warnings, code="c-function", what=_WARNING)
        return
    form = "$0($1, $2, $3" if category is not None else "$0($1, $2"
    form += f", stacklevel={stacklevel})" if stacklevel > 1 else ")"
    defer(s, form, parts, _NONE, sure=False, owner=warnings, code="c-function", what=_WARNING)


def _of_caller(message: Any, category: Any, above: int) -> tuple[Any, ...]:
    """What `warn_explicit` takes for the line that called the compiled function, or that `above` - 1 calls further out."""
    frame: Any = sys._getframe()
    while frame is not None and (is_own(frame) or above > 1):
        above -= not is_own(frame)
        frame = frame.f_back
    space = sys.__dict__ if frame is None else frame.f_globals
    file, line = ("sys", 1) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
    registry, module = space.setdefault("__warningregistry__", {}), space.get("__name__") or "<string>"
    return message, UserWarning if category is None else category, file, line, module, registry


# -- files -------------------------------------------------------------------------------------------------------------------

_WRITES: dict[str, Any] = {"write": int, "writelines": _NONE, "flush": _NONE}
_READS: dict[str, Any] = {"read": "text", "readline": "text", "readlines": list, "getvalue": "text", "tell": int, "seek": int,
                          "truncate": int, "close": _NONE}  # fmt: skip
_SURE = {"write", "writelines", "flush", "getvalue", "close", "tell"}


def file_method(s: Session, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a file; NotImplemented where it is none that can wait."""
    if name == "__exit__" and is_stream(owner) and len(args) == 3 and all(x is None for x in args):
        return defer(s, "$0.__exit__(None, None, None)", (owner,), _NONE, owner=owner)
    known = {**_WRITES, **_READS}.get(name)
    if known is None or kwargs or not is_stream(owner):
        return NotImplemented
    must_be_open(s, owner)
    cls: Any = owner.cls if type(owner) is Late else type(owner)
    text = str if issubclass(cls, io.TextIOBase) else bytes
    given = [list(s.operators.items(x)) if name == "writelines" else x for x in args]
    if any(isinstance(x, LateMethod) for x in given) or not all(_is_content(s, x) for x in given):
        return NotImplemented
    result = text if known == "text" else known
    given = [late_ops.frozen(s, x) for x in given]
    slots = ", ".join(f"${1 + i}" for i in range(len(given)))
    return defer(
        s, f"$0.{name}({slots})", (owner, *given), result, sure=name in _SURE, owner=owner,
        what=f"{name}() of a file that may fail inside of a try or with", code="input-output",
    )  # fmt: skip


def _is_content(s: Session, x: Any) -> bool:
    if type(x) is list:
        return all(_is_content(s, y) for y in x)
    return type(x) in (str, bytes, int, type(None)) or (type(x) is Late and x.cls in (str, bytes))


@models(io.open)
def _open(s: Session, file: Any, mode: Any = "r", *args: Any, **kwargs: Any) -> Any:
    values = [s.operators.settle(x) for x in (file, mode, *args)]
    named = {k: s.operators.settle(v) for k, v in kwargs.items()}
    plain = all(type(x) in (str, bytes, int, bool, type(None)) or isinstance(x, os.PathLike) for x in (*values, *named.values()))
    if not plain or type(mode) is not str or "opener" in named or type(values[0]) not in (str, bytes):
        raise opaque(open)
    kinds: Any = io.TextIOWrapper if "b" not in mode else io.BufferedReader if mode.startswith("r") else io.BufferedWriter
    return defer(
        s, f"$0({slots_of(values, named, 1)[2:]})", (open, *values, *named.values()), kinds, sure=False, owner=io,
        what="a file that may be missing, inside of a try or with", code="input-output",
    )  # fmt: skip


def _string_io(s: Session, cls: type, *args: Any) -> Any:
    if args and not (type(args[0]) in (str, bytes) or (type(args[0]) is Late and args[0].cls in (str, bytes))):
        raise opaque(cls)
    return defer(s, f"$0({slots_of(list(args), {}, 1)[2:]})", (cls, *args), cls, code="input-output")


CLASSES[io.StringIO] = CLASSES[io.BytesIO] = _string_io


# -- locks that nobody else has ------------------------------------------------------------------------------------------------


def _lock(cls: Any, make: Any) -> Any:
    def call(s: Session, *args: Any) -> Any:
        return defer(s, "$0()", (make,), cls, code="context-manager", what="a lock that the region made")

    return call


SPECIAL[threading.Lock] = _lock(_LOCKS[0], threading.Lock)
if isinstance(threading.Lock, type):
    CLASSES[threading.Lock] = lambda s, cls, *args: SPECIAL[threading.Lock](s)
SPECIAL[threading.RLock] = _lock(_LOCKS[1], threading.RLock)


def late_method(s: Session, late: Late, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a late file or lock."""
    if name == "__exit__":
        if any(x is not None for x in args):
            raise late.needed()
        s.effects.journal.append(Call("", (late,), None, scope=-1))
        return None
    if late.cls in _LOCKS and name in ("acquire", "release") and not args and not kwargs:
        return defer(s, f"$0.{name}()", (late,), bool if name == "acquire" else _NONE, code="context-manager")
    found = file_method(s, late, name, args, kwargs)
    if found is NotImplemented:
        found = deferred_draws.method(s, late, name, args, kwargs)
    if found is NotImplemented:
        raise late.needed()
    return found


def enter_late(s: Session, late: Any) -> tuple[Any, Any]:
    """``with late``: the exit, and what ``as`` gets."""
    if type(late) is not Late or late.cls is None or not issubclass(late.cls, (io.IOBase, *_LOCKS)):
        raise late.needed()
    s.effects.journal.append(Call("$0", (late,), s.place(), scope=1))
    return LateMethod(late, "__exit__"), True if late.cls in _LOCKS else late


# -- the operating system ------------------------------------------------------------------------------------------------------


def _reads(fn: Any, cls: type) -> None:
    def read(s: Session) -> Any:
        made = defer(s, "$0()", (fn,), cls, owner=fn, code="late-value", what=f"the result of {describe(fn)}", draws=True)
        made.bounds = (0, 2**62) if cls is int else None
        return made

    SPECIAL[fn] = read


for _fn, _cls in ((os.getpid, int), (os.getppid, int), (os.getcwd, str), (threading.get_ident, int)):
    _reads(_fn, _cls)


@when_loaded("uuid")
def _uuids() -> None:
    import uuid

    _reads(uuid.uuid4, uuid.UUID)


@models(os.urandom)
def _urandom(s: Session, size: Any) -> Any:
    size = s.operators.settle(size)
    if type(size) is not int or size < 0:
        raise opaque(os.urandom)
    return defer(s, "$0($1)", (os.urandom, size), bytes, owner=os, code="late-value", what="random bytes", draws=True)


@models(time.sleep)
def _sleep(s: Session, seconds: Any) -> None:
    if isinstance(seconds, LATE):
        raise seconds.needed()
    seconds = s.operators.settle(seconds)
    if type(seconds) not in (int, float) or not seconds >= 0:
        raise opaque(time.sleep)
    defer(s, "$0($1)", (time.sleep, seconds), _NONE, owner=time)
