"""``fusewire cache warm``: walks through common ops and launches none of them; without a GPU it says so."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

import fusewire as fw
from fusewire import cli
from fusewire.eager import warming

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


def test_common_kernels_are_built_and_not_launched(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def small(where: str) -> None:
        x = fw.empty(3, 4, device=where, requires_grad=True)
        ((x + 1.0).exp() * x).sum().backward()

    monkeypatch.setattr(warming, "WALKS", (small,))
    with fake_cuda.installed() as fake:
        x = fw.ones(3, 4, device="cuda")
        before = len(fake.launches)
        assert cli.main(["cache", "warm", "--processes", "1"]) == 0
        assert len(fake.launches) == before
        fw.testing.assert_close((x + 1.0).exp().cpu(), (x.cpu() + 1.0).exp())  # the executor of before serves again
    out = capsys.readouterr().out
    assert "kinds of calls" in out and int(out.splitlines()[-1].split()[0]) > 8


def test_the_walks_go_through(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(warming, "WALKS", (warming._products, warming._filling, warming._training))
    with warnings.catch_warnings(), fake_cuda.installed():
        warnings.simplefilter("ignore")
        assert warming.warm(said.append, 1) > 60
    assert len(said) == 1
