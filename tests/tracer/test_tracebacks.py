"""Exceptions that leave compiled functions have the tracebacks they have in eager: the user's frames and lines, no others."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fusewire as fw
from fusewire import knobs


def missing_key(x: Any, i: Any) -> Any:
    return x * {}["k"]


def out_of_range(x: Any, i: Any) -> Any:
    y = x * 2
    z = y[i]
    return z.sum()


def behind_a_break(x: Any, i: Any) -> Any:
    y = x * 2
    id(x)
    z = y + 1
    raise ValueError(float(z.sum()))


def _depth(x: Any, n: int) -> Any:
    if n == 0:
        raise LookupError(n)
    return _depth(x + 1, n - 1)


def nested(x: Any, i: Any) -> Any:
    return _depth(x, 3) * 2


def _breaks_below(x: Any) -> Any:
    y = x + 1
    id(x)
    raise LookupError(tuple(y.shape))


def nested_break(x: Any, i: Any) -> Any:
    y = _breaks_below(x * 2)
    return y * 3


def in_a_loop(x: Any, i: Any) -> Any:
    for n in range(4):
        x = x + 1
        print(end="")
        if n == 2:
            x = x / [1][n]
    return x


def by_the_value(x: Any, i: Any) -> Any:
    if (x * x).sum() >= 0:
        raise KeyError("positive")
    return x


def with_a_context(x: Any, i: Any) -> Any:
    try:
        return x * [][0]
    except IndexError:
        raise TypeError("second")


def with_a_cause(x: Any, i: Any) -> Any:
    try:
        return x * [][0]
    except IndexError as first:
        print(end="")
        raise TypeError("second") from first


def through_finally(x: Any, i: Any) -> Any:
    try:
        y = x + 1
        print(end="")
        return y.nothing
    finally:
        x = x * 2


class _Manager:
    def __enter__(self) -> None: ...

    def __exit__(self, *args: object) -> None: ...


def through_with(x: Any, i: Any) -> Any:
    with _Manager():
        y = x * 2
        return y[i]


def wrong_shapes(x: Any, i: Any) -> Any:
    return x + fw.ones(3)


def wrong_arguments(x: Any, i: Any, j: Any) -> Any:
    return x


def in_a_comprehension(x: Any, i: Any) -> Any:
    return [x / n if n else x.nothing for n in (2, 1, 0)]


def in_a_callback(x: Any, i: Any) -> Any:
    return max([1, 2], key=lambda n: x.nothing if n == 2 else n)


PROGRAMS = [
    missing_key, out_of_range, behind_a_break, nested, nested_break, in_a_loop, by_the_value, with_a_context, with_a_cause,
    through_finally, through_with, wrong_shapes, wrong_arguments, in_a_comprehension, in_a_callback,
]  # fmt: skip


def _told(error: BaseException | None) -> Any:
    """What a reader sees of an exception and of those it hangs on."""
    if error is None:
        return None
    entries = [(e.filename, e.lineno, e.name, e.line) for e in traceback.extract_tb(error.__traceback__)]
    return type(error), str(error), entries, _told(error.__cause__), _told(error.__context__), error.__suppress_context__


def _raised(f: Callable[..., Any], *args: Any) -> Any:
    try:
        f(*args)
    except Exception as error:
        return _told(error)
    raise AssertionError("nothing was raised")


@pytest.fixture(params=[True, False], ids=["native", "python"])
def native(request: pytest.FixtureRequest) -> Iterator[bool]:
    with knobs.override(native_entry=request.param):
        yield request.param


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_traceback(program: Any, grad: bool, native: bool) -> None:
    x, i = fw.ones(5, requires_grad=grad), fw.tensor([1, 7])
    compiled = fw.compile(program)
    expected = _raised(program, x, i)
    for _ in range(3):
        assert _raised(compiled, x, i) == expected
    assert sys.exception() is None


def test_fullgraph_refuses_at_the_call(native: bool) -> None:
    compiled = fw.compile(behind_a_break, fullgraph=True)
    with pytest.raises(fw.errors.GraphBreakError, match="graph break") as info:
        compiled(fw.ones(5), None)
    assert [e.name for e in traceback.extract_tb(info.value.__traceback__)] == ["test_fullgraph_refuses_at_the_call"]


def test_defaults_can_be_assigned_to(native: bool) -> None:
    def f(x: Any, n: int = 2, *, k: int = 3) -> Any:
        return x * n + k

    compiled: Any = fw.compile(f)
    assert compiled(fw.ones(1)).item() == 5
    compiled.__defaults__ = (5,)
    compiled.__kwdefaults__ = {"k": 1}
    assert compiled(fw.ones(1)).item() == 6
    compiled.__defaults__ = None
    with pytest.raises(TypeError, match="'n'"):
        compiled(fw.ones(1))
    assert f(fw.ones(1)).item() == 5
