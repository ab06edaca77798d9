"""Functions and classes of the standard library's C modules, done by following their Python forms in `equivalents`."""

from __future__ import annotations

import _bisect
import _collections  # type: ignore[import-not-found]
import _heapq
import functools
import heapq
import inspect
import itertools
import operator
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import equivalents
from .breaks import Break
from .bytecode import NULL
from .natives import CLASSES
from .special import SPECIAL

if TYPE_CHECKING:
    from .session import Session

_OF_CLASSES: dict[type, str] = {
    cls: cls.__name__
    for cls in (
        itertools.chain, itertools.accumulate, itertools.starmap, itertools.takewhile, itertools.dropwhile, itertools.filterfalse,
        itertools.compress, itertools.pairwise, itertools.repeat, itertools.count, itertools.cycle, itertools.islice,
        itertools.zip_longest, itertools.product, itertools.permutations, itertools.combinations,
        itertools.combinations_with_replacement, itertools.groupby, operator.itemgetter, operator.attrgetter,
        operator.methodcaller,
    )
}  # fmt: skip
if hasattr(itertools, "batched"):
    _OF_CLASSES[itertools.batched] = "batched"
_OF_FUNCTIONS: dict[Any, str] = {
    itertools.tee: "tee", _collections._count_elements: "count_elements",
    operator.contains: "contains", operator.concat: "concat", operator.countOf: "count_of",
    operator.indexOf: "index_of", operator.call: "call", functools.cmp_to_key: "cmp_to_key",
    functools.cached_property.__get__: "cached_property_get",
    heapq.nsmallest: "nsmallest", heapq.nlargest: "nlargest",
    **{getattr(_heapq, name): name for name in ("heappush", "heappop", "heapify", "heapreplace", "heappushpop")},
    **{getattr(_bisect, name): name for name in ("bisect_left", "bisect_right", "insort_left", "insort_right")},
}  # fmt: skip


def follow(session: Session, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of `equivalents.<name>` followed as Python."""
    return session.inline(getattr(equivalents, name), list(args), kwargs)


def _model(name: str) -> Callable[..., Any]:
    def model(session: Session, *args: Any, **kwargs: Any) -> Any:
        return follow(session, name, args, kwargs)

    return model


def _class_model(name: str) -> Callable[..., Any]:
    def model(session: Session, cls: type, *args: Any, **kwargs: Any) -> Any:
        return follow(session, name, args, kwargs)

    return model


def _from_iterable(session: Session, iterables: Any) -> Any:
    return follow(session, "chain_from_iterable", (iterables,), {})


def _frame_object(session: Session, *args: Any) -> Any:
    raise Break("frame-object", "a call of sys._getframe")


def _exc_info(session: Session) -> Any:
    exc = session.handled
    return (None, None, None) if exc is None else (type(exc), exc, session.traceback_of(exc))


def _fspath(session: Session, path: Any) -> Any:
    if isinstance(path, (str, bytes)):
        return path
    if session.attributes.of_class(path, "__fspath__") is NULL:
        text = f"expected str, bytes or os.PathLike object, not {type(path).__name__}"
        raise session.thrown(TypeError(text))
    return session.operators.special(path, "__fspath__")


def enter() -> None:
    """Fill the tables of `natives`."""
    for cls, name in _OF_CLASSES.items():
        CLASSES[cls] = _class_model(name)
    for function, name in _OF_FUNCTIONS.items():
        SPECIAL[function] = _model(name)
    SPECIAL[itertools.chain.from_iterable] = _from_iterable
    SPECIAL[sys.exc_info], SPECIAL[os.fspath] = _exc_info, _fspath
    SPECIAL[sys.exception] = lambda session: session.handled
    for function in (sys._getframe, inspect.currentframe, inspect.stack):
        SPECIAL[function] = _frame_object


enter()
