"""Graphs whose sizes data decide, called natively part by part, beside eager: values, layouts, sizes refused, errors, writes."""

from __future__ import annotations

import numpy as np
import pytest

import fusewire as fw
from fusewire import in_parts

X = fw.tensor(np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32))

FUNCTIONS = {
    "x[mask]": lambda x, m: x[m], "sum": lambda x, m: (x[m] * 2 + 1).sum(), "nonzero": lambda x, m: m.nonzero(),
    "two": lambda x, m: (x[m], x[x < 0]), "one after the other": lambda x, m: x[m][x[m] > 0.5].sum(0),
    "size": lambda x, m: x[m].numel() + x[m], "rows": lambda x, m: x[x[:, 0] > -9].t() * 2,
    "where": lambda x, m: fw.where(m)[1] + 1,
    "size of an input": lambda x, m: x[m] / x.shape[1], "unique": lambda x, m: fw.unique(m.long()),
    "list": lambda x, m: [x[m], x + 1],
}


@pytest.fixture
def thin(monkeypatch):
    """How many variants have such a call path."""
    made = []
    own = in_parts._Writer.function

    def function(self):
        run = own(self)
        made.append(run)
        return run

    monkeypatch.setattr(in_parts._Writer, "function", function)
    return made


def _flat(x):
    return [x] if isinstance(x, fw.Tensor) else list(x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_layouts_are_those_of_eager(name, thin):
    fn = FUNCTIONS[name]
    compiled = fw.compile(fn)
    for low in (0.0, 0.3, -0.5, 9.0, 0.0, 1.2):
        mask = low < X
        want, got = fn(X, mask), compiled(X, mask)
        assert type(want) is type(got)
        for a, b in zip(_flat(want), _flat(got), strict=True):
            assert (a.shape, a.stride(), a.dtype, a.requires_grad) == (b.shape, b.stride(), b.dtype, b.requires_grad)
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
            b.add_(1)  # memory of its own
    assert thin or name in ("size of an input",)


def test_symbols_of_inputs_and_parameters(thin):
    weight = fw.nn.Parameter(X.clone())

    @fw.compile
    def chosen(x):
        with fw.no_grad():
            return (x[x > 0] * weight[weight > 0].sum()).sum()

    for rows in (6, 5, 4, 3):
        part = X[:rows]
        want = (part[part > 0] * weight[weight > 0].sum()).sum()
        np.testing.assert_allclose(chosen(part).item(), want.item(), rtol=1e-5)
    assert thin


def test_what_a_part_refuses_raises_as_eager(thin):
    @fw.compile
    def picked(x, m, at):
        return x[m][at]

    mask = X > 0
    at = fw.tensor([0, 2, 1])
    for _ in range(3):
        assert picked(X, mask, at).tolist() == X[mask][at].tolist()
        with pytest.raises(IndexError):
            picked(X, mask, at * 1000)
    assert thin


def test_gradients_and_writes_go_their_own_way():
    w = X.clone().requires_grad_()
    fn = fw.compile(lambda w: (w[w > 0] ** 2).sum())
    for _ in range(3):
        w.grad = None
        fn(w).backward()
        np.testing.assert_allclose(w.grad.numpy(), np.where(X.numpy() > 0, 2 * X.numpy(), 0), rtol=1e-6)

    @fw.compile
    def writes(x, total):
        total.add_(x[x > 0].sum())
        return total

    total = fw.zeros(())
    for _ in range(3):
        writes(X, total)
    np.testing.assert_allclose(total.item(), 3 * X[X > 0].sum().item(), rtol=1e-5)
