"""What was handled when an exception was raised is its context, and tells ``except*`` what a handler raised from what it left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fusewire as fw


def _inner() -> Any:
    return {}["q"]


def in_a_second_handler(x: Any) -> Any:
    try:
        raise ExceptionGroup("g", [ValueError(1), KeyError(1)])
    except* ValueError:
        pass
    except* KeyError:
        x = undefined  # noqa: F821
    return x


def in_two_handlers(x: Any) -> Any:
    try:
        raise ExceptionGroup("g", [ValueError(1), KeyError(1), OSError()])
    except* ValueError:
        x = undefined  # noqa: F821
    except* KeyError:
        raise KeyError(4)
    return x


def in_a_callee(x: Any) -> Any:
    try:
        raise ValueError(1)
    except ValueError:
        return _inner()


def the_first_again(x: Any) -> Any:
    try:
        raise ValueError(1)
    except ValueError as first:
        try:
            raise KeyError(2)
        except KeyError:
            raise first


def of_an_op(x: Any) -> Any:
    try:
        raise ValueError(1)
    except ValueError:
        return x @ fw.ones(7, 7)


def described(exc: BaseException | None) -> Any:
    if exc is None:
        return None
    parts = [described(e) for e in exc.exceptions] if isinstance(exc, BaseExceptionGroup) else []
    return type(exc).__name__, parts or exc.args[:1], described(exc.__context__)


@pytest.mark.parametrize("fn", [in_a_second_handler, in_two_handlers, in_a_callee, the_first_again, of_an_op])
def test_contexts_are_pythons(fn: Callable[[Any], Any]) -> None:
    seen = []
    for call in (fn, fw.compile(fn)):
        with pytest.raises(BaseException) as caught:
            call(fw.ones(2, 3))
        seen.append(described(caught.value))
    assert seen[0] == seen[1]
