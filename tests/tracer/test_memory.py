"""In-place writes, views and aliases of traced tensors against eager."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agree import agree, t

from fusewire import compiler
from fusewire.eager import modes


def m(grad: bool = False) -> Any:
    x = t([1, 2, 3], [4, 5, 6])
    x.requires_grad = grad
    return x


@pytest.mark.parametrize("backend", ["interpret", "cpu"])
def test_views_of_a_fresh_tensor(backend: str) -> None:
    def f(x):
        y = x * 2
        row, col, flat = y[0], y[:, 1], y.reshape(-1)
        before = row + 1
        row.add_(10)
        col *= 3
        flat[5] = -1.0
        y[0:1, 2] = 100.0
        return y, row, col, flat, before

    agree(f, (m(),), (m(),), variants=1, backend=backend)


@pytest.mark.parametrize("backend", ["interpret", "cpu"])
def test_views_of_an_input(backend: str) -> None:
    def f(x):
        x[0].add_(10)
        x.t()[1, 1] = -5.0
        z = x.sum()
        x[:, 0:2] *= 2
        return z, x[1], x.t()

    agree(f, (m(),), (m(),), variants=1, backend=backend)


@pytest.mark.parametrize("backend", ["interpret", "cpu"])
def test_results_alias_their_inputs(backend: str) -> None:
    compiled = compiler.compile(lambda x: (x.t(), x[1:], x.reshape(3, 2), x * 1), backend=backend)
    for _ in range(2):
        x = m()
        views = compiled(x)
        x.add_(1)
        assert [v.tolist() for v in views[:3]] == [x.t().tolist(), x[1:].tolist(), x.reshape(3, 2).tolist()]
        assert views[3].tolist() == [[1, 2, 3], [4, 5, 6]]
        assert views[0]._version == x._version


def test_inputs_that_share_memory() -> None:
    def f(x, y):
        x.add_(1)
        return x + y

    a, b = m(), m()
    agree(f, (a, b), (a, a), (a, a.t().t()), (a, b), breaks="any")
    agree(lambda x, y: x[0].add_(1) + y[0], (a, b), (a, a), breaks="any")


def test_copy_into_and_fill() -> None:
    def f(x, y):
        x.copy_(y * 2)
        x.zero_() if x.shape[0] == 1 else x.fill_(3)
        y.copy_(x)
        return x, y

    agree(f, (m(), m()), (m(), m()), breaks="any")


def test_gradient_through_writes_of_fresh_tensors() -> None:
    def f(x, w):
        y = x * w
        y[0] = w[0] * 3
        y.add_(w)
        z = y * 1
        z[:, 1].mul_(2)
        return (z * z).sum()

    def run(fn):
        x, w = m(True), m(True)
        fn(x, w).backward()
        return x.grad.tolist(), w.grad.tolist()

    assert run(compiler.compile(f, backend="interpret")) == run(f)


def test_zeros_filled_row_by_row() -> None:
    import fusewire

    def f(x):
        out = fusewire.zeros(2, 3)
        for i in range(2):
            out[i] = x[i] * (i + 1)
        return out

    agree(f, (m(),), (m(True),), variants=2)


def test_write_to_a_leaf_is_eagers_error() -> None:
    agree(lambda x: x.add_(1), (m(True),), (m(),), breaks="any")


def test_update_of_a_parameter_under_no_grad() -> None:
    def f(p, g):
        with modes.no_grad():
            p.sub_(g * 0.5)
        return p * 2

    agree(f, (m(True), m()), (m(True), m()), breaks="any")

    def g(p, g):
        with modes.no_grad():
            p.sub_(g, alpha=0.5)

    agree(g, (m(True), m()), (m(True), m()), variants=1)


def test_write_past_a_history() -> None:
    def f(x):
        y = x * 2
        with modes.no_grad():
            y.add_(1)
        d = y.detach()
        d.mul_(3)
        return y * 1, d

    agree(f, (m(True),), (m(),), breaks="any")


def test_saved_input_changed_before_backward() -> None:
    compiled = compiler.compile(lambda x, w: (x * w).sum(), backend="interpret")
    x, w = m(), m(True)
    loss = compiled(x, w)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        loss.backward()


def test_alias_of_a_detached_tensor() -> None:
    agree(lambda x: (x.detach(), x.detach() * 2, x.data * 3), (m(True),), (m(),), breaks="any")
