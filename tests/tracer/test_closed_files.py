"""A file from outside that is closed between calls: its error, and the writes to inputs around it, come as in eager."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

import fusewire as torch


def raises(x: Any, file: Any) -> Any:
    x.add_(1)
    print("a", file=file)
    file.write("b")
    x.add_(1)
    return x * 1


def handles(x: Any, file: Any) -> Any:
    try:
        x.add_(1)
        print("a", file=file)
        x.add_(1)
    except ValueError:
        return x * 2
    return x * 3


def seen(function: Callable[..., Any]) -> list[Any]:
    x, file, found = torch.ones(3), io.StringIO(), []
    for turn in range(4):
        if turn == 2:
            found.append(file.getvalue())
            file.close()
        try:
            found.append(function(x, file).tolist())
        except ValueError as error:
            found.append(str(error))
        found.append(x.tolist())
    return found


@pytest.mark.parametrize("function", [raises, handles])
def test_a_file_closed_between_calls(function: Callable[..., Any]) -> None:
    compiled = torch.compile(function)
    assert seen(compiled) == seen(function)


def test_an_open_file_breaks_nothing() -> None:
    file = io.StringIO()
    torch.compile(raises, fullgraph=True)(torch.ones(3), file)
    assert file.getvalue() == "a\nb"
