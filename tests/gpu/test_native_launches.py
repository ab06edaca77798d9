"""The native entry for GPU plans: guards, memory from bins, launches and results by machine code; what it leaves to Python."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire.backends.gpu import native
from fusewire.runtime.gpu.device import device

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda
from at_once import at_once


@pytest.fixture(params=[pytest.param("at once", marks=pytest.mark.whole), "late"])
def fake(request: pytest.FixtureRequest) -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=request.param == "late", count=2, memory=64 << 20) as driver:
        yield driver


def hits(compiled: Any) -> list[int]:
    """Calls of each variant that machine code has launched, newest first."""
    entry = compiled.__fusewire_dispatcher__.native.entry
    return [v.hits for v in entry.variants if v.launcher is not None]


def chain(x: Any) -> Any:
    for _ in range(3):
        x = x - x.sum(0, keepdim=True)
    return x


def test_calls_are_native_and_memory_is_used_again(fake: fake_cuda.Fake) -> None:
    f = fw.compile(chain, fullgraph=True)
    x = fw.randn(8, 5, device="cuda")
    wanted, places = chain(x.cpu()), set()
    for _ in range(10):
        out = f(x)
        assert out.device == x.device and out.stride() == wanted.stride()
        fw.testing.assert_close(out.cpu(), wanted)
        places.add(out.data_ptr())
        del out
    assert hits(f) == [9] and len(places) <= 2


def test_statistics_count_what_machine_code_takes(fake: fake_cuda.Fake) -> None:
    f = fw.compile(chain)
    x = fw.randn(8, 5, device="cuda")
    f(x)
    gc.collect()
    before, found = fw.cuda.memory_allocated(), []
    fw.cuda.reset_peak_memory_stats()
    for n in range(1, 5):
        found.append(f(x))
        assert fw.cuda.memory_allocated() == before + 512 * n
    assert fw.cuda.max_memory_allocated() == before + 512 * 5  # what is made on the way is there for a moment
    found.clear()
    assert fw.cuda.memory_allocated() == before and device().memory.statistics()["active.all.current"] >= 1


def test_sizes_numbers_and_alignments(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x, rate, n: (x * rate + n).exp().sum(1), fullgraph=True)
    base = fw.randn(400, device="cuda")
    for turn in range(3):
        for rows, first in ((2, 0), (3, 1), (7, 2), (5, 64), (40, 3)):
            x = base[first : first + 5 * rows].view(rows, 5)
            for rate, n in ((0.5, 3), (0.25, -1)):
                out = f(x, rate, n + turn)
                fw.testing.assert_close(out.cpu(), (x.cpu() * rate + (n + turn)).exp().sum(1))
    assert sum(hits(f)) > 20


def test_writes_views_and_inputs_as_results(fake: fake_cuda.Fake) -> None:
    def f(x: Any, memory: Any) -> Any:
        memory.add_(x.sum())
        return x, memory[1:3], x * 2, x.t()

    compiled = fw.compile(f, fullgraph=True)
    for dev in ("cuda", "cpu"):
        x, memory = fw.arange(6.0, device=dev).view(2, 3), fw.zeros(4, device=dev)
        for turn in range(4):
            before = memory._version
            same, part, twice, turned = compiled(x, memory)
            assert same is x and part.data_ptr() == memory.data_ptr() + 4 and memory._version == before + 1
            assert part.tolist() == [15.0 * (turn + 1)] * 2 and twice.tolist() == (x.cpu() * 2).tolist()
            assert turned.shape == (3, 2) and turned.tolist() == x.cpu().t().tolist()
    assert 3 in hits(compiled)


def test_gradients(fake: fake_cuda.Fake) -> None:
    def f(x: Any, w: Any) -> Any:
        return ((x * w).tanh() * w).sum(1)

    def run(dev: str) -> list[Any]:
        fw.manual_seed(1)
        compiled, found = fw.compile(f), []
        w = fw.randn(4, device=dev, requires_grad=True)
        for n in (3, 3, 5, 6, 3, 5):
            y = compiled(fw.randn(n, 4, device=dev), w)
            y.sum().backward()
            found.append(w.grad.cpu().clone())
        return found

    for a, b in zip(run("cuda"), run("cpu"), strict=True):
        fw.testing.assert_close(a, b)


def test_streams_and_threads(fake: fake_cuda.Fake) -> None:
    f = fw.compile(chain)

    def work(seed: int) -> None:
        side = fw.cuda.Stream()
        with fw.cuda.stream(side):
            for turn in range(15):
                x = fw.full((8, 5), float(seed), device="cuda")
                x[turn % 8] = 2.0 * seed
                y = f(x)
                del x
                z = f(y)
                want = chain(chain(fw.full((8, 5), float(seed)).index_fill_(0, fw.tensor([turn % 8]), 2.0 * seed)))
                fw.testing.assert_close(z.cpu(), want)

    work(1)
    at_once(work, range(2, 6))
    assert len({stream for _, _, stream in fake.launches}) == 5
    assert hits(f)[0] > 60


def test_another_device_and_another_context(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x: x * 2.0 + 1.0)
    for turn in range(4):
        for dev in ("cuda:0", "cuda:1"):
            x = fw.full((4,), float(turn), device=dev)
            for _ in range(3):
                out = f(x)
                assert str(out.device) == dev and out.tolist() == [2.0 * turn + 1.0] * 4
    assert len(hits(f)) == 2 and min(hits(f)) >= 7


def test_errors_of_the_driver_are_the_designed_ones(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    f = fw.compile(chain)
    x = fw.ones(8, 5, device="cuda")
    f(x), f(x)
    before = fw.cuda.memory_allocated()
    status = [700]
    monkeypatch.setattr(fake, "cuLaunchKernel", lambda *args: status[0])
    fake._entries.pop("cuLaunchKernel")
    address = fake.address("cuLaunchKernel")
    entry = f.__fusewire_dispatcher__.native.entry
    (table,) = [t for v in entry.variants if v.launcher is not None for t in bound_of(v).tables.values()]
    table.words[native.w.P_DRIVER] = address
    for code, kind, text in ((700, fw.errors.DeviceError, "could not be launched"), (2, fw.errors.DeviceError, r"\(2\)")):
        status[0] = code
        with pytest.raises(kind, match=text):
            f(x)
        assert fw.cuda.memory_allocated() == before
    status[0] = 0
    f(x)


def bound_of(variant: Any) -> Any:
    return next(k for k in variant._alive[0] if isinstance(k, native.Bound))


def test_no_memory_is_said_and_nothing_is_lost(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x: x * 2.0)
    x = fw.ones(3 << 20, device="cuda")  # 12 MiB of 64
    f(x), f(x)
    held: list[Any] = []
    before = fw.cuda.memory_allocated()
    with pytest.raises(fw.cuda.OutOfMemoryError, match=r"Tried to allocate 12\.00 MiB on cuda:0"):
        for _ in range(9):
            held.append(f(x))
    assert 2 <= len(held) <= 4
    held.clear()
    assert fw.cuda.memory_allocated() == before and f(x)[0].item() == 2.0


def test_a_stream_that_reads_a_result_keeps_its_memory(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x: x * 2.0)
    x, side = fw.ones(4, device="cuda"), fw.cuda.Stream()
    f(x), f(x)
    for turn in range(5):
        x.fill_(float(turn))
        out = f(x)
        side.wait_stream(fw.cuda.current_stream())
        with fw.cuda.stream(side):
            kept = out + 1.0
        out.record_stream(side)
        del out
        again = f(x * 100.0)
        fw.cuda.synchronize()
        assert kept.tolist() == [2.0 * turn + 1.0] * 4 and again.tolist() == [200.0 * turn] * 4


def test_a_recorded_call_is_left_to_python(fake: fake_cuda.Fake) -> None:
    f = fw.compile(lambda x: x * 2.0)
    x = fw.ones(4, device="cuda")
    f(x), f(x)
    before = hits(f)
    graph = fw.cuda.CUDAGraph()
    with fw.cuda.graph(graph):
        out = f(x)
    assert hits(f) == before
    x.fill_(4.0)
    graph.replay()
    assert out.tolist() == [8.0] * 4 and f(x).tolist() == [8.0] * 4 and hits(f) == [before[0] + 1]
