"""Gradients of compiled graphs: cut, missing, repeated, of any order, with random numbers; each against eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.nn import functional as F

Function = Callable[..., Any]


def both(function: Function) -> list[Function]:
    """The function itself, and compiled."""
    return [function, fw.compile(function)]


def leaf(*shape: int, seed: int = 0) -> Any:
    """A float64 leaf that requires grad."""
    return fw.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def close(found: list[Any]) -> None:
    """The results of eager and compiled are the same to rounding."""
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_an_input_that_eager_does_not_save_may_be_written_to_before_backward() -> None:
    found = []
    for run in both(lambda x: fw.tanh(x * 2 + 1) * (x + 3)):
        x = leaf(5)
        y = x * 1
        out = run(y).sum()
        with fw.no_grad():
            y.add_(1)
        out.backward()
        found.append([x.grad])
    close(found)


def test_an_input_that_eager_saves_may_not() -> None:
    for run in both(lambda x: x * x):
        x = leaf(5)
        y = x * 1
        out = run(y).sum()
        with fw.no_grad():
            y.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.backward()


@pytest.mark.parametrize("used", [(0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2)])
def test_gradients_of_some_of_the_outputs(used: tuple[int, ...]) -> None:
    def f(x: Any, w: Any) -> Any:
        h = fw.tanh(x @ w)
        return h.sum(0), h * x[:, :3], (w * w).sum()

    found = []
    for run in both(f):
        x, w = leaf(4, 5), leaf(5, 3, seed=1)
        outputs = run(x, w)
        chosen = [outputs[i] for i in used]
        found.append(list(fw.autograd.grad(chosen, [x, w], [fw.ones_like(o) for o in chosen], allow_unused=True)))
    close(found)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_any_order(order: int) -> None:
    def f(x: Any, w: Any) -> Any:
        return (fw.tanh(x * w) * fw.exp(x * 0.3) + F.softmax(x * x, dim=0)).sum()

    found = []
    for run in both(f):
        x, w = leaf(4), leaf(4, seed=1)
        y = run(x, w)
        for _ in range(order):
            (g,) = fw.autograd.grad(y, x, create_graph=True)
            y = (g * g).sum()
        found.append([g, *fw.autograd.grad(y, [x, w])])
    close(found)


def test_a_compiled_gradient_penalty() -> None:
    def f(x: Any, w: Any) -> Any:
        return fw.tanh(x @ w)

    found = []
    for run in both(f):
        x, w = leaf(3, 4), leaf(4, 2, seed=1)
        (g,) = fw.autograd.grad(run(x, w).sum(), x, create_graph=True)
        ((g * g).sum() + run(x * 2, w).sum()).backward()
        found.append([x.grad, w.grad])
    close(found)


def test_dropout_draws_the_same_mask_forward_backward_and_again() -> None:
    def f(x: Any, w: Any) -> Any:
        return F.dropout(fw.tanh(F.dropout(x, 0.3) @ w), 0.5) * fw.rand(4, 3, dtype=fw.float64)

    found = []
    for run in both(f):
        fw.manual_seed(3)
        x, w = leaf(4, 5), leaf(5, 3, seed=1)
        out = run(x, w)
        between = fw.rand(3)
        (g,) = fw.autograd.grad(out.sum(), x, create_graph=True)
        (g * g).sum().backward()
        found.append([out, between, g, x.grad, w.grad, fw.rand(3)])
    close(found)


def test_the_gradient_mask_and_the_grad_mode_are_guards() -> None:
    f = fw.compile(lambda x, w: fw.tanh(x * w))
    for mask in [(True, True), (False, True), (True, False), (False, False), (True, True)]:
        x, w = leaf(4).detach().requires_grad_(mask[0]), leaf(4, seed=1).detach().requires_grad_(mask[1])
        y = f(x, w)
        assert y.requires_grad == any(mask)
        if any(mask):
            y.sum().backward()
        assert (x.grad is not None, w.grad is not None) == mask
        with fw.no_grad():
            assert not f(x, w).requires_grad


def test_backward_twice_with_and_without_leave() -> None:
    f = fw.compile(lambda x: fw.tanh(x) * x)
    x = leaf(4)
    y = f(x).sum()
    y.backward(retain_graph=True)
    first = x.grad.numpy().copy()
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * first)
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_what_is_kept_for_backward_dies_with_the_outputs() -> None:
    """A cut that keeps values must not keep them longer than eager does."""
    import gc
    import weakref

    f = fw.compile(lambda x, w: fw.tanh(fw.tanh(x @ w) @ w))
    x, w = leaf(8, 8), leaf(8, 8, seed=1)
    out = f(x, w)
    node = weakref.ref(out._node)
    assert node() is not None and node().saved
    del out
    gc.collect()
    assert node() is None


def test_second_order_where_one_input_is_made_of_another() -> None:
    product = fw.compile(lambda y, x: y * x)
    for first in (lambda x: x * 2, fw.compile(lambda x: x * 2)):
        x = fw.tensor([1.0, 2.0, 3.0]).requires_grad_(True)
        (g,) = fw.autograd.grad(product(first(x), x).sum(), [x], create_graph=True)
        (h,) = fw.autograd.grad((g * g).sum(), [x])
        assert g.tolist() == [4.0, 8.0, 12.0]
        assert h.tolist() == [32.0, 64.0, 96.0]


def test_an_input_whose_size_alone_matters_may_be_written_to() -> None:
    @fw.compiler.disable
    def pause() -> None:
        return None

    def f(x: Any) -> Any:
        y = x * x.shape[0]
        pause()
        y.mul_(y[:1] * 0.5)
        return (y + 1).sum()

    found = []
    for run in both(f):
        found.append([])
        for n in (3, 4, 5):
            x = leaf(n, 4)
            run(x).backward()
            found[-1].append(x.grad)
    close(found)
