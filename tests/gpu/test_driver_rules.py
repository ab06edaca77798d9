"""What a real driver demands, on one without a GPU that refuses the same: threads, captures, forks, the process's end, errors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire as torch
from fusewire import knobs
from fusewire.runtime.gpu import device as devices

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True, count=2) as driver:
        yield driver


def test_every_thread_has_the_context(fake: fake_cuda.Fake) -> None:
    x, event, found = torch.ones(4, device="cuda"), torch.cuda.Event(), []
    event.record()

    def work() -> None:
        found.append(event.query())
        event.synchronize()
        found.append((x + 1).tolist())
        found.append(torch.cuda.current_stream().query())
        torch.ones(2).pin_memory().to("cuda", non_blocking=True)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found.count([2.0] * 4) == 2 and len(found) == 6


def test_another_library_may_choose_another_device(fake: fake_cuda.Fake) -> None:
    x = torch.ones(2, device="cuda:0")
    fake.threads.device = 1  # as a library of the same thread that calls the driver itself
    assert (x + 1).tolist() == [2.0, 2.0]


@pytest.mark.parametrize(("status", "name", "hint"), [
    (100, "CUDA_ERROR_NO_DEVICE", "hidden by CUDA_VISIBLE_DEVICES"), (803, "unknown error", "different versions"),
    (34, "unknown error", "stub"),
])  # fmt: skip
def test_a_driver_that_does_not_start(status: int, name: str, hint: str) -> None:
    with fake_cuda.installed() as fake:
        fake.answers["cuInit"] = status
        assert not torch.cuda.is_available() and torch.cuda.device_count() == 0
        with pytest.raises(torch.errors.DeviceError, match=rf"there is no CUDA device: {name} \({status}\).*{hint}"):
            torch.ones(2, device="cuda")


@pytest.mark.parametrize("status", [200, 209, 218, 222])
def test_machine_code_that_does_not_fit(fake: fake_cuda.Fake, status: int) -> None:
    x = torch.ones(2, device="cuda")
    fake.answers["cuModuleLoadData"] = status
    with pytest.raises(torch.errors.DeviceError, match=rf"\({status}\).*does not fit this GPU or its driver"):
        (x - 3).sqrt()


def test_a_spoiled_context_is_said_to_be_dead(fake: fake_cuda.Fake) -> None:
    x = torch.ones(2, device="cuda")
    fake.do(0, lambda: (_ for _ in ()).throw(fake_cuda.Refused(700)))
    with pytest.raises(torch.errors.DeviceError, match=r"ILLEGAL_ADDRESS \(700\).*restart the process.*CUDA_LAUNCH_BLOCKING=1"):
        x.tolist()
    with pytest.raises(torch.errors.DeviceError, match="700"):
        x + 1


def test_waiting_behind_each_kernel_names_it(fake: fake_cuda.Fake) -> None:
    with knobs.override(cuda_launch_blocking=True):
        devices.forget()
        x = torch.ones(8, device="cuda")
        f: Any = torch.compile(lambda x: (x * 3).exp(), fullgraph=True)
        assert torch.allclose(f(x).cpu(), torch.full((8,), 20.085537), atol=1e-4)
        run = fake.execute
        fake.execute = lambda *args: (_ for _ in ()).throw(fake_cuda.Refused(719))  # type: ignore[method-assign]
        with pytest.raises(torch.errors.DeviceError, match=r"k\d+_mul_exp \(of test_driver_rules.py:\d+\): .*LAUNCH_FAILED"):
            f(x)
        fake.execute = run  # type: ignore[method-assign]


def test_other_threads_wait_while_launches_are_recorded(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    from fusewire.backends.gpu.graphs import GraphedExecutable

    ended: list[bool] = []
    launch = GraphedExecutable._launch

    def launched(self: Any, call: Any, frame: Any, stream: int | None = None) -> None:
        if stream is not None and not ended:  # this call is being recorded
            other = threading.Thread(target=lambda: (torch.cuda.synchronize(), torch.cuda.empty_cache()))
            other.start()
            other.join(0.2)
            ended.append(not other.is_alive())
        launch(self, call, frame, stream)

    monkeypatch.setattr(GraphedExecutable, "_launch", launched)
    f: Any = torch.compile(lambda x: (x * 3).exp(), mode="reduce-overhead", fullgraph=True)
    x = torch.zeros(4, device="cuda")
    assert [f(x).tolist() for _ in range(4)] == [[1.0] * 4] * 4
    assert ended == [False]


def test_what_is_not_allowed_while_a_graph_is_recorded(fake: fake_cuda.Fake) -> None:
    x, y = torch.ones(4, device="cuda"), torch.ones(4, device="cuda")
    x + y
    for spoil in (lambda: x.tolist(), lambda: x.add_(torch.ones(4).cuda()), lambda: torch.cuda.synchronize(),
                  lambda: torch.cuda.current_stream().synchronize()):  # fmt: skip
        graph = torch.cuda.CUDAGraph()
        with pytest.raises(RuntimeError, match=r"captur|recorded"), torch.cuda.graph(graph):
            x + y
            spoil()
        with pytest.raises(RuntimeError, match="once something was captured"):
            graph.replay()
    assert (x + y).tolist() == [2.0] * 4
    with pytest.raises(RuntimeError, match="non-default stream"):
        torch.cuda.CUDAGraph().capture_begin()


def test_a_graphs_memory_is_its_own(fake: fake_cuda.Fake) -> None:
    x = torch.arange(4.0, device="cuda")
    (x + 1) * 2
    side = torch.cuda.Stream()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        y = (x + 1) * 2 - 1
    inner = {b[0] for b in devices.device().memory.blocks() if b[2] < 0}
    with torch.cuda.stream(side):
        others = [torch.zeros(4, device="cuda") for _ in range(8)]
    torch.cuda.empty_cache()
    graph.replay()
    torch.cuda.synchronize()
    assert y.tolist() == [1.0, 3.0, 5.0, 7.0] and all(o.tolist() == [0.0] * 4 for o in others)
    assert inner and not inner & {o.data_ptr() for o in others}
    held = torch.cuda.memory_reserved()
    del graph, y
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() < held


def test_graphs_share_a_pool(fake: fake_cuda.Fake) -> None:
    x = torch.zeros(4, device="cuda")
    (x + 1) * 2
    first, second = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(first):
        y = x + 1
    before = torch.cuda.memory_reserved()
    with torch.cuda.graph(second, pool=first.pool()):
        z = (y + 1) * 2
    assert torch.cuda.memory_reserved() == before
    x.fill_(5.0)
    first.replay()
    second.replay()
    assert y.tolist() == [6.0] * 4 and z.tolist() == [14.0] * 4


def test_streams_join_a_capture(fake: fake_cuda.Fake) -> None:
    x, side = torch.ones(4, device="cuda"), torch.cuda.Stream()
    x + x
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        main = torch.cuda.current_stream()
        side.wait_stream(main)
        with torch.cuda.stream(side):
            y = x + x
        main.wait_stream(side)
        y.record_stream(main)
        z = y + x
    x.fill_(2.0)
    graph.replay()
    assert z.tolist() == [6.0] * 4


def test_pinned_memory_that_a_graph_reads(fake: fake_cuda.Fake) -> None:
    host, x = torch.ones(4).pin_memory(), torch.zeros(4, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x.copy_(host, non_blocking=True)
    host.fill_(7.0)
    address = host.data_ptr()
    del host
    assert torch.zeros(4).pin_memory().data_ptr() != address
    graph.replay()
    assert x.tolist() == [7.0] * 4


def test_writes_that_overlap_what_they_read(fake: fake_cuda.Fake) -> None:
    x = torch.arange(6.0, device="cuda")
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        x[1:] = x[:-1]
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    y = torch.arange(6.0, device="cuda")
    y[:4:2] = y[1:3]
    assert y.tolist() == [1.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    z = torch.arange(9.0, device="cuda").reshape(3, 3)
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        z.copy_(z.t())


def test_copies_between_devices_wait_for_both(fake: fake_cuda.Fake) -> None:
    x = torch.arange(6.0, device="cuda:0").reshape(2, 3)
    y = (x + 1).t().to("cuda:1", non_blocking=True)
    z = torch.zeros(3, 2, device="cuda:1")
    z.copy_(x.t())
    assert y.device.index == 1 and torch.equal(y.cpu(), (x.cpu() + 1).t()) and torch.equal(z.cpu(), x.cpu().t())
    assert torch.cuda.can_device_access_peer(0, 1)


PROLOGUE = f"""
import sys, os
sys.path.insert(0, {str(Path(fake_cuda.__file__).parent)!r})
import fake_cuda, fusewire as torch
keep = fake_cuda.installed(lazy=True)
fake = keep.__enter__()
x = torch.ones(4, device="cuda")
"""


def ran(text: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.run([sys.executable, "-c", PROLOGUE + text], capture_output=True, text=True, env=env, timeout=60)


def test_a_fork_does_not_use_the_gpu_of_its_parent() -> None:
    found = ran("""
child = os.fork()
if child == 0:
    assert not torch.cuda.is_available() and torch.cuda.device_count() == 0
    torch.manual_seed(3)
    for work in (lambda: torch.ones(2, device="cuda"), lambda: x + 1):
        try:
            work()
        except RuntimeError as error:
            assert "'spawn' start method" in str(error), error
        else:
            os._exit(3)
    del x
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert (x + 1).tolist() == [2.0] * 4
""")
    assert found.returncode == 0, found.stderr


def test_nothing_is_called_while_the_interpreter_ends() -> None:
    found = ran("""
event, graph = torch.cuda.Event(), torch.cuda.CUDAGraph()
event.record()
with torch.cuda.graph(graph):
    y = x + 1
f = torch.compile(lambda x: x * 2, mode="reduce-overhead")
kept = [f(x) for _ in range(4)], torch.ones(3).pin_memory(), x.to("cpu", non_blocking=True)
""")
    assert found.returncode == 0 and not found.stderr, found.stderr
