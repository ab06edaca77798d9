"""`use_deterministic_algorithms`: eager calls give the same bits however often a program has made them before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fusewire as fw
from fusewire import knobs
from fusewire.eager import hot


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(hot, "WAIT", 2)
    before = knobs.hot_ops
    yield
    fw.use_deterministic_algorithms(False)
    assert knobs.hot_ops is before


@pytest.mark.parametrize("asked", [True, False])
def test_repeated_calls_give_the_same_bits(asked: bool) -> None:
    hot.forget()
    fw.use_deterministic_algorithms(asked)
    x = fw.randn(300, 300, generator=fw.Generator().manual_seed(0))
    w = fw.randn(300, 300, generator=fw.Generator().manual_seed(1))
    results = [fw.softmax(x @ w, -1).sum(0) for _ in range(6)]
    assert not asked or all(fw.equal(results[0], other) for other in results[1:])
    assert fw.are_deterministic_algorithms_enabled() is asked and bool(hot._found) is not asked
