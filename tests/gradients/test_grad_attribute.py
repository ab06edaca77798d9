"""What `x.grad = ...` takes, and what reading it of a tensor that is no leaf says: beside PyTorch, eager and compiled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import fusewire

ASSIGNED: dict[str, Callable[[Any, Any], Any]] = {
    "another size": lambda t, x: t.ones(4),
    "sizes that broadcast": lambda t, x: t.ones(1, 3),
    "another dtype": lambda t, x: t.ones(3, dtype=t.float64),
    "a half": lambda t, x: t.ones(3).to(t.bfloat16),
    "a number": lambda t, x: 3.0,
    "itself": lambda t, x: x,
    "None": lambda t, x: None,
    "a tensor": lambda t, x: t.ones(3),
    "a view": lambda t, x: t.ones(3, 3)[1],
    "a parameter": lambda t, x: t.nn.Parameter(t.ones(3)),
}


def assigned(t: Any, name: str, wrap: Callable[[Any], Any] = lambda f: f) -> Any:
    x = t.nn.Parameter(t.zeros(3))

    def store(x: Any, value: Any) -> Any:
        x.grad = value
        return x.grad

    try:
        found = wrap(store)(x, ASSIGNED[name](t, x))
    except Exception as error:
        return type(error).__mro__[-3].__name__, x.grad
    return None if found is None else (found.tolist(), found.requires_grad)


@pytest.mark.parametrize("name", ASSIGNED)
def test_assigned(name: str) -> None:
    torch = pytest.importorskip("torch")
    assert assigned(fusewire, name) == assigned(torch, name) == assigned(fusewire, name, fusewire.compile)


def test_deleted() -> None:
    x = fusewire.ones(3, requires_grad=True)
    x.sum().backward()
    del x.grad
    assert x.grad is None


def test_what_no_leaf_says() -> None:
    x = fusewire.ones(3, requires_grad=True)
    y = x * 2
    with pytest.warns(UserWarning, match="not a leaf Tensor is being accessed") as caught:
        assert y.grad is None
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert x.grad is None and y.detach().grad is None
        y.retain_grad()
        assert y.grad is None
        y.sum().backward()
        assert y.grad.tolist() == [1.0] * 3
