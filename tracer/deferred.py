"""Calls that the tail makes in place of the tracer: printing, logging, files, clocks and random numbers.

A deferred call is a line of the tail, in order among the effects, with what its arguments are then; what it gives is a late
value. Only calls that touch nothing the tracer follows are here; a writer of the user's own is followed as bytecode.
"""

from __future__ import annotations

import builtins
import io
import re
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..eager.tensor import Tensor
from . import late_ops
from .attributes import find
from .breaks import Break, describe
from .effects import Call, Risk
from .late import LATE, Late
from .operators import ATOMS
from .special import SPECIAL, models

if TYPE_CHECKING:
    from .session import Session


_WAITING: dict[str, Callable[[], None]] = {}


def when_loaded(module: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Decorator: this function enters models of what `module` has; it is called once the program has loaded that."""

    def enter(fn: Callable[[], None]) -> Callable[[], None]:
        _WAITING[module] = fn
        return fn

    return enter


def register_loaded() -> None:
    """Enter the models of modules loaded since: what no program of this process has loaded, none can call."""
    for name in [x for x in _WAITING if x in sys.modules]:
        _WAITING.pop(name)()


def defer(
    s: Session, text: str, parts: tuple[Any, ...], cls: Any = None, *, sure: bool = True, owner: Any = None,
    code: str = "input-output", what: str = "", draws: bool = False,
) -> Any:  # fmt: skip
    """Note a call; what it gives, a late value of class `cls` (type(None): none). Where it may raise (not `sure`) in a ``try``
    or ``with``, whose handlers the tail does not run, or before writes to an input, the graph breaks."""
    if not sure and s.is_covered():
        raise Break(code, what or "a call that may raise inside of a try or with")
    place = s.place()
    if owner is not None and not isinstance(owner, (types.ModuleType, *LATE)):
        s.effects.owned[id(owner)] = owner
    told = what.split(" inside of a try")[0].rstrip(",") or "a call that may raise"
    risk = None if sure else Risk(s.units, len(s.recorder.writes), code, told)
    call = Call(text, parts, place, owner=owner, draws=draws, risk=risk)
    if cls is type(None):
        s.effects.journal.append(call)
        return None
    call.result = Late("", (), cls, call=call, code=code, what=what or "the result of a deferred call")
    s.only_here(call.result)
    s.effects.journal.append(call)
    return call.result


# -- tensors ---------------------------------------------------------------------------------------------------------------

SPECIAL[Tensor.item] = late_ops.item
SPECIAL[Tensor.tolist] = late_ops.tolist
SPECIAL[Tensor.__float__] = lambda s, x: late_ops.number(s, float, x)
SPECIAL[Tensor.__int__] = lambda s, x: late_ops.number(s, int, x)
SPECIAL[Tensor.__repr__] = lambda s, x: late_ops.text(s, x, repr)


@models(Tensor.numpy)
def _numpy(s: Session, tensor: Any, *, force: bool = False) -> Any:
    return late_ops.numpy(s, tensor)


# -- printing --------------------------------------------------------------------------------------------------------------


def shown(s: Session, x: Any) -> Any:
    """What the tail prints in place of `x`: the same text, made without code of the user's."""
    if late_ops.holds(x) or s.operators.is_printable(x):
        return late_ops.frozen(s, x)
    if isinstance(x, (types.FunctionType, types.ModuleType, types.BuiltinFunctionType)):
        return x
    return s.operators.text(x, str)


@models(builtins.print)
def _print(s: Session, *args: Any, sep: Any = None, end: Any = None, file: Any = None, flush: Any = False) -> None:
    for x in (sep, end):
        if not (x is None or type(x) is str or (type(x) is Late and x.cls is str)):
            raise Break("unusual-arguments", "print with a separator that is no text")
    stream = s.attributes.load(sys, "stdout") if file is None and writes_itself(sys.stdout) else file
    if writes_itself(stream):
        _print_to(s, args, sep, end, stream, flush)
        return
    values = [shown(s, x) for x in args]
    if stream is not None and not is_stream(stream):
        raise Break("input-output", f"print to {describe(stream)}")
    must_be_open(s, stream)
    slots = [f"${i}" for i in range(1, 1 + len(values))]
    parts: list[Any] = [print, *values]
    for name, x in (("sep", sep), ("end", end), ("file", stream)):
        if x is not None:
            slots.append(f"{name}=${len(parts)}")
            parts.append(x)
    if s.operators.truth(flush):
        slots.append("flush=True")
    defer(s, f"$0({', '.join(slots)})", tuple(parts), type(None), owner=stream)


def _print_to(s: Session, values: tuple[Any, ...], sep: Any, end: Any, stream: Any, flush: Any) -> None:
    """As `print` writes to an object whose ``write`` is Python."""
    write = s.attributes.load(stream, "write")
    for i, x in enumerate(values):
        if i:
            s.call(write, (" " if sep is None else sep,))
        s.call(write, (s.operators.text(x, str),))
    s.call(write, ("\n" if end is None else end,))
    if s.operators.truth(flush):
        s.call(s.attributes.load(stream, "flush"))


def writes_itself(stream: Any) -> bool:
    """Whether a stream's ``write`` is Python code of the user's."""
    from .capture import of_standard_library

    write = find(type(stream), "write")
    if type(stream) in LATE or not isinstance(write, types.FunctionType):
        return False
    return not of_standard_library(write.__code__) and "site-packages" not in write.__code__.co_filename


def must_be_open(s: Session, stream: Any) -> None:
    """A file from outside is guarded to be open where it is first written to: the error of a closed one comes from CPython."""
    known = stream is None or type(stream) is Late or id(stream) in s.effects.owned or s.outside.source_of(stream) is None
    if not known and s.operators.truth(s.attributes.load(stream, "closed")):
        raise Break("input-output", "the use of a file that is closed")


def is_stream(x: Any) -> bool:
    """Whether `x` is a file that the tail may write to."""
    if type(x) is Late:
        return x.cls is not None and issubclass(x.cls, io.IOBase)
    return isinstance(x, (io.IOBase, *_standard_streams())) and not writes_itself(x)


def _standard_streams() -> tuple[type, ...]:
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return tuple({type(x) for x in streams if x is not None and not isinstance(x, ATOMS)})


def late_method(s: Session, late: Late, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a late object."""
    from . import deferred_io

    return deferred_io.late_method(s, late, name, args, kwargs)


def method(s: Session, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a built-in object from outside; NotImplemented where it is none that can wait."""
    from . import deferred_draws, deferred_io, pure_python

    if isinstance(owner, (re.Pattern, re.Match)):
        return pure_python.method(s, owner, name, args, kwargs)
    if isinstance(owner, io.IOBase):
        return deferred_io.file_method(s, owner, name, args, kwargs)
    return deferred_draws.method(s, owner, name, args, kwargs)
