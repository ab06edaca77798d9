"""The parameters of compiled functions: their names in the order of bound arguments, and the binding itself."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any


def parameters(code: types.CodeType) -> tuple[str, ...]:
    """Names of the parameters in the order of the bound arguments, ``*args`` and ``**kwargs`` last."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    return code.co_varnames[:count]


def call_bound(function: types.FunctionType, args: Sequence[Any]) -> Any:
    """Call `function` with bound arguments, one per name of `parameters`."""
    code = function.__code__
    count, only = code.co_argcount, code.co_kwonlyargcount
    rest = list(args[count + only :])
    extra = rest.pop(0) if code.co_flags & 0x04 else ()
    named = dict(zip(code.co_varnames[count : count + only], args[count : count + only], strict=True))
    return function(*args[:count], *extra, **named, **(rest[0] if rest else {}))


def binder(function: types.FunctionType) -> Callable[..., tuple[Any, ...]]:
    """A function of the same signature (and TypeErrors) that returns the bound arguments, one per name of `parameters`."""
    code = function.__code__
    names = parameters(code)
    count, only = code.co_argcount, code.co_posonlyargcount
    kinds = list(names[:count])
    if only:
        kinds.insert(only, "/")
    rest = list(names[count + code.co_kwonlyargcount :])
    if code.co_flags & 0x04:
        kinds.append("*" + rest.pop(0))
    elif code.co_kwonlyargcount:
        kinds.append("*")
    kinds += names[count : count + code.co_kwonlyargcount]
    if rest:
        kinds.append("**" + rest[0])
    if not all(n.isidentifier() for n in names):  # a comprehension's or resume function's ".0"
        return lambda *args: args
    space: dict[str, Any] = {}
    exec(f"def bind({', '.join(kinds)}): return ({''.join(n + ', ' for n in names)})", space)
    bind: types.FunctionType = space["bind"]
    bind.__name__, bind.__qualname__ = function.__name__, function.__qualname__
    bind.__defaults__, bind.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return bind
