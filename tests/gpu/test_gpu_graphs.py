"""``mode="reduce-overhead"``: launches recorded once; results that somebody holds never change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire import knobs, nn
from fusewire.backends.gpu import executable

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda
from at_once import at_once


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


def replayed(compiled: Any) -> int:
    """Calls for which machine code ran a recording."""
    return sum(v.hits for v in compiled.__fusewire_dispatcher__.native.entry.variants if v.launcher is not None)


def test_machine_code_replays(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x, rate: (x - x.sum(0), x / rate), mode="reduce-overhead", fullgraph=True)
    x, side = fw.randn(4, 8, device="cuda"), fw.cuda.Stream()
    for _ in range(8):
        for rate in (0.0, -0.0, 2.0):
            a, b = f(x, rate)
            fw.testing.assert_close(a.cpu(), x.cpu() - x.cpu().sum(0))
            fw.testing.assert_close(b.cpu(), x.cpu() / rate)
            del a, b
    assert replayed(f) == 3 * 6  # after a plain call, and one that was recorded
    held = [f(x, 2.0) for _ in range(3)]
    wanted = [held[0][1].cpu()] * 3
    x.mul_(2.0)
    assert replayed(f) == 3 * 6 + 1  # the others found the recording's results in use
    again = [f(x, 2.0)[1] for _ in range(4)]
    fw.testing.assert_close([h[1].cpu() for h in held], wanted)
    fw.testing.assert_close([h.cpu() for h in again], [2 * w for w in (*wanted, wanted[0])])
    with fw.cuda.stream(side):
        used = f(x, 2.0)[1]
    del held, again
    used.record_stream(fw.cuda.current_stream())
    del used
    for _ in range(5):
        fw.testing.assert_close(f(x, 2.0)[1].cpu(), 2 * wanted[0])


def test_threads_that_record(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x: (x - x.sum(0)).exp().sum(1), mode="reduce-overhead", fullgraph=True)

    def work(seed: int) -> None:
        with fw.cuda.stream(fw.cuda.Stream()):
            x = fw.full((4, 8), float(seed), device="cuda")
            for turn in range(12):
                x.fill_(0.01 * seed * turn)
                fw.testing.assert_close(f(x).cpu(), (x.cpu() - x.cpu().sum(0)).exp().sum(1))

    at_once(work, range(1, 5))
    before = replayed(f)
    work(5)  # alone: what threads have recorded at once is no burden (how often they replay is a matter of time)
    assert replayed(f) - before >= 6


def test_what_the_driver_does_not_record_runs_plainly(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    end = fw.runtime.gpu.device.driver()
    monkeypatch.setattr(end, "capture_end", lambda stream, to=end.capture_end: to(stream) and 0)
    f = fw.compile(lambda x: x * 2.0, mode="reduce-overhead", fullgraph=True)
    x = fw.ones(4, device="cuda")
    assert [f(x).tolist() for _ in range(4)] == [[2.0] * 4] * 4


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


def test_a_recorded_graph_works_in_memory_of_its_own(fake: fake_cuda.Fake) -> None:
    """What calls before the capture have worked in is one day given to others: no recorded launch may write there."""
    with knobs.override(native_entry=False):
        f = fw.compile(lambda x: (x - x.sum(0)).exp(), fullgraph=True)
        x, side = fw.randn(4, 8, device="cuda"), fw.cuda.Stream()
        fw.cuda.synchronize()
        with fw.cuda.stream(side):
            f(x)
        graph = fw.cuda.CUDAGraph()
        with fw.cuda.graph(graph, stream=side):
            out = f(x)
        wanted = f(x).cpu()  # in another stream: the memory that the first call worked in is free now
        with fw.cuda.stream(side):
            others = [fw.full((128,), 7.0, device="cuda") for _ in range(8)]
        fw.cuda.synchronize()
        graph.replay()
        fw.cuda.synchronize()
        fw.testing.assert_close(out.cpu(), wanted)
        assert all((x == 7).all() for x in others)


def test_recordings_go_with_the_sizes_they_are_of(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new sizes: those of long ago make room, calls of the last one are still recorded."""
    monkeypatch.setattr(executable, "MAX_PROGRAMS", 12)
    f = fw.compile(lambda x: x * 2.0, mode="reduce-overhead", fullgraph=True, dynamic=True)
    with knobs.override(native_entry=False):
        for size in range(2, 32):
            x = fw.ones(size, device="cuda")
            before = fake.calls.get("cuGraphLaunch", 0)
            assert [f(x).sum().item() for _ in range(3)] == [2.0 * size] * 3
        assert fake.calls["cuGraphLaunch"] - before == 2
