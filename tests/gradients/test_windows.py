"""as_strided of views that require grad, and as_strided_scatter: values and gradients of PyTorch, or of finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire

VIEWS = {
    "leaf": lambda x: x, "slice": lambda x: x[3:9], "turned": lambda x: x.view(3, 4).t(), "first": lambda x: x[:6],
    "slice made": lambda x: (x * 1)[3:9], "columns made": lambda x: (x * 1).view(3, 4)[:, :2],
}  # fmt: skip


def gradient(lib: Any, view: Any, offset: int | None, wrap: Any) -> Any:
    """Values of a window and the gradient of a leaf; NotImplementedError's name where it is refused."""
    x = lib.arange(12.0, dtype=lib.float64).requires_grad_()
    weights = lib.arange(1.0, 5.0, dtype=lib.float64).reshape(2, 2)
    try:
        out = wrap(lambda x: lib.as_strided(view(x), (2, 2), (1, 2), offset))(x)
    except NotImplementedError as e:
        return type(e).__name__
    (out * out * weights).sum().backward()
    return out.tolist(), x.grad.tolist()


@pytest.mark.parametrize("offset", [None, 0, 5])
@pytest.mark.parametrize("name", VIEWS)
def test_windows_of_views(name: str, offset: int | None) -> None:
    """Eager refuses a window that leaves a view with a history; a compiled function does as eager, or as PyTorch."""
    torch = pytest.importorskip("torch")
    if (name, offset) == ("first", 5):
        pytest.skip("a window that leaves the tensor is refused by name")
    want = gradient(torch, VIEWS[name], offset, lambda f: f)
    eager = gradient(fusewire, VIEWS[name], offset, lambda f: f)
    compiled = gradient(fusewire, VIEWS[name], offset, fusewire.compile)
    leaves = (name, offset) in {("slice", 0), ("slice made", 0)} or name == "columns made"
    assert eager == ("NotImplementedError" if leaves else want)
    assert compiled in (eager, want)


def test_compiled_windows_count_from_the_start_of_the_memory() -> None:
    def f(x: Any) -> Any:
        return fusewire.as_strided((x * 1)[3:9], (2, 2), (1, 2), 0)

    x = fusewire.arange(12.0)
    assert fusewire.compile(f)(x).tolist() == f(x).tolist() == [[0, 2], [1, 3]]


@pytest.mark.parametrize("strides, offset", [((1, 2), 0), ((2, 1), 1), ((3, 1), 4)])
def test_scattered_windows(strides: tuple[int, int], offset: int) -> None:
    """By finite differences: PyTorch's own rule gives the operand the window's gradients in place of the others."""

    def loss(x: Any, y: Any) -> Any:
        return (fusewire.as_strided_scatter(x, y, (2, 2), strides, offset) ** 2).sum()

    x = fusewire.arange(9.0, dtype=fusewire.float64).reshape(3, 3).requires_grad_()
    y = (fusewire.arange(4.0, dtype=fusewire.float64) + 0.5).reshape(2, 2).requires_grad_()
    assert fusewire.autograd.gradcheck(loss, (x, y))
    loss(x, y).backward()
    window = np.lib.stride_tricks.as_strided(np.arange(9)[offset:], (2, 2), [8 * s for s in strides]).ravel()
    want = 2 * np.arange(9.0)
    want[window] = 0
    assert x.grad.flatten().tolist() == want.tolist() and y.grad.tolist() == (2 * y).tolist()
