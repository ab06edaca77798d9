"""Outputs that gradients read must not be written to before the backward pass: compiled functions refuse where eager does, though
what they saved is a copy of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fusewire as fw
from fusewire import knobs


@pytest.fixture(params=[True, False], ids=["native", "python"])
def native(request: pytest.FixtureRequest) -> Iterator[bool]:
    with knobs.override(native_entry=request.param):
        yield request.param


def _product_and_factor(x: Any) -> Any:
    z = x * 2
    return z * z, z


def _read_but_by_another(x: Any) -> Any:
    return x * 2, x.exp()


def _view_and_more(x: Any) -> Any:
    y = x.exp()
    return y.reshape(-1, 1), y * 2


def _copied(x: Any) -> Any:
    return x.exp().expand(2, 3).t().reshape(-1), x * 2


def _mask(x: Any) -> Any:
    m = x > 1
    return fw.where(m, x, 0.0), m


REFUSED: list[tuple[Callable[[Any], Any], int]] = [
    (lambda x: (x.exp(),), 0), (lambda x: (x.tanh(), x * 2), 0), (lambda x: ((x * 3).relu(),), 0),
    (lambda x: (x.softmax(0),), 0), (_product_and_factor, 1), (_mask, 1),
]  # fmt: skip
ACCEPTED: list[tuple[Callable[[Any], Any], int]] = [
    (lambda x: (x.sin(),), 0), (lambda x: (x.sigmoid() * 2,), 0), (_product_and_factor, 0),
    (_read_but_by_another, 1), (_copied, 0),
]  # fmt: skip


def _gradient(f: Callable[[Any], Any], written: int, drop: bool) -> list[float]:
    x = fw.tensor([1.0, 2.0, 3.0], requires_grad=True)
    outputs = f(x)
    with fw.no_grad():
        outputs[written].zero_()
    loss = outputs[0].sum()
    if drop:
        del outputs  # what was written to counts though it is gone
    loss.backward()
    return x.grad.tolist()


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("f, written", REFUSED)
def test_refused(f: Callable[[Any], Any], written: int, drop: bool, native: bool) -> None:
    compiled = fw.compile(f, fullgraph=True)
    for g in (f, compiled, compiled):
        with pytest.raises(fw.errors.AutogradError, match="modified by an inplace operation"):
            _gradient(g, written, drop)
    x = fw.tensor([1.0, 2.0], requires_grad=True)
    compiled(x)[0].sum().backward()  # nothing was written to
    assert x.grad is not None


@pytest.mark.parametrize("f, written", ACCEPTED)
def test_accepted(f: Callable[[Any], Any], written: int, native: bool) -> None:
    compiled = fw.compile(f, fullgraph=True)
    expected = _gradient(f, written, True)
    for _ in range(2):
        assert _gradient(compiled, written, True) == pytest.approx(expected, rel=1e-6)


def test_a_view_counts(native: bool) -> None:
    for f in (_view_and_more, fw.compile(_view_and_more)):
        with pytest.raises(fw.errors.AutogradError, match="modified by an inplace operation"):
            _gradient(f, 0, False)
