"""Names of arguments: PyTorch's second names for some, and TypeError where something else stands in a Tensor's place.

Both are for functions that load late (`later`); what programs call all the time names its arguments itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .pure import is_pure, pure


def spelled(fn: Callable[..., Any], names: dict[str, str]) -> Callable[..., Any]:
    """`fn`, whose arguments have second names: `names` says of each what `fn` calls it."""

    @functools.wraps(fn)
    def function(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **{names.get(k, k): v for k, v in kwargs.items()})

    return pure(function) if is_pure(fn) else function


def checked(fn: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`fn`, where an error that comes of something else in a Tensor's place says so. Costs nothing but a call where all is
    well."""
    if not inspect.isfunction(fn):
        return fn

    @functools.wraps(fn)
    def function(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except (AttributeError, StopIteration) as error:
            wrong = misplaced(fn, name, args, kwargs)
            raise (error if wrong is None else wrong) from None

    return pure(function) if is_pure(fn) else function


def misplaced(fn: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TypeError | None:
    """The error of an argument that should be a Tensor, by the annotations of `fn`; None where all are."""
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs)
    except TypeError:
        return None
    for place, (word, value) in enumerate(bound.arguments.items(), 1):
        wanted = str(inspect.signature(fn).parameters[word].annotation)
        optional = value is None and "None" in wanted
        if wanted.startswith("Tensor") and not optional and not hasattr(value, "meta"):
            return TypeError(f"{name}(): argument '{word}' (position {place}) must be Tensor, not {type(value).__name__}")
    return None
