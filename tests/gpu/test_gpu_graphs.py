"""``mode="reduce-overhead"``: launches recorded once; results that somebody holds never change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture(params=["at once", "late"])
def fake(request: pytest.FixtureRequest) -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=request.param == "late") as driver:
        yield driver


def test_a_recording_serves_from_the_second_call_on(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x: (x - x.sum(0)).exp(), mode="reduce-overhead", fullgraph=True)
    x = fw.randn(4, 8, device="cuda")
    for turn in range(6):
        x.copy_(fw.randn(4, 8))
        before = len(fake.launches)
        out = f(x)
        assert len(fake.launches) - before == (2 if turn == 0 else 2 if turn == 1 else 0)  # plain, recorded, replayed
        fw.testing.assert_close(out.cpu(), (x.cpu() - x.cpu().sum(0)).exp())
        del out
    assert fake.calls["cuGraphLaunch"] == 5


def test_what_somebody_holds_never_changes(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x: x * 2.0, mode="reduce-overhead", fullgraph=True)
    x, held, wanted = fw.zeros(4, device="cuda"), [], []
    for turn in range(20):
        x.fill_(float(turn))
        held.append(f(x)[1:3] if turn % 2 else f(x))
        wanted.append([2.0 * turn] * (2 if turn % 2 else 4))
        if turn % 5 == 4:
            del held[1], wanted[1]
    assert [h.tolist() for h in held] == wanted and fake.calls["cuGraphLaunch"] >= 8


def test_numbers_and_addresses_are_part_of_a_recording(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x, rate: x * rate, mode="reduce-overhead", fullgraph=True)
    tensors = [fw.full((4,), float(i), device="cuda") for i in range(3)]
    for _ in range(4):
        for x in tensors:
            for rate in (0.5, 3.0):
                assert f(x, rate).tolist() == [x[0].item() * rate] * 4


def test_training_with_graphs(fake: fake_cuda.Fake) -> None:
    def losses(device: str, mode: str | None) -> list[float]:
        fw.manual_seed(0)
        model = nn.Sequential(nn.LayerNorm(4), nn.GELU(), nn.LayerNorm(4), nn.Softmax(-1)).to(device)
        optimizer = fw.optim.SGD(model.parameters(), lr=0.1)
        forward: Any = model if mode is None else fw.compile(model, mode=mode)
        fw.manual_seed(1)
        x, found = fw.randn(16, 4, device=device), []
        for _ in range(6):
            loss = (forward(x) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    assert losses("cuda", "reduce-overhead") == pytest.approx(losses("cpu", None), rel=1e-5)
    assert fake.calls["cuGraphLaunch"] > 4
