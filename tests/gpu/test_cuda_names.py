"""``torch.cuda`` and what tensors on a GPU answer: devices, streams, events, graphs, copies, random numbers, other libraries."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import fusewire as torch
from fusewire import nn
from fusewire.eager import gpu

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True, count=2) as driver:
        yield driver


def test_devices(fake: fake_cuda.Fake) -> None:
    assert torch.cuda.is_available() and torch.cuda.device_count() == 2 and torch.cuda.current_device() == 0
    assert torch.cuda.get_device_name() == "Fake GPU" and torch.cuda.get_device_capability(1) == (9, 0)
    assert torch.cuda.get_device_properties().multi_processor_count == 132
    with torch.cuda.device(1):
        x = torch.ones(2, device="cuda")
        assert torch.cuda.current_device() == 1 and x.get_device() == 1
    assert torch.cuda.current_device() == 0
    with pytest.raises(torch.errors.DeviceError, match=r"no device cuda:2: this machine has 2 \(cuda:0 to cuda:1\)"):
        torch.ones(2, device="cuda:2")
    with pytest.raises(torch.errors.DeviceError, match="cuda:1 and cuda:0"):
        x + torch.ones(2, device="cuda")
    y = x.to("cuda:0")
    assert y.device == torch.device("cuda", 0) and y.cpu().tolist() == [1.0, 1.0] and y.to(x).device == x.device
    assert repr(y) == "tensor([1., 1.], device='cuda:0')" and y.type() == "torch.cuda.FloatTensor"


def test_where_tensors_are_made(fake: fake_cuda.Fake) -> None:
    with torch.device("cuda"):
        made = [torch.zeros(2), torch.arange(3), torch.tensor([1, 2]), torch.randn(2), torch.eye(2), torch.linspace(0, 1, 3),
                torch.randint(0, 3, (2,)), torch.as_tensor([1.0]), nn.Linear(2, 3).weight]  # fmt: skip
    assert {str(x.device) for x in made} == {"cuda:0"} and torch.zeros(2).device.type == "cpu"
    torch.set_default_device("cuda:1")
    assert torch.empty(2).device == torch.get_default_device() == torch.device("cuda:1")
    torch.set_default_device(None)
    x = torch.ones(2, device="cuda")
    like = [torch.zeros_like(x), torch.rand_like(x), x.new_zeros(3), x.new_tensor([1]), torch.full_like(x, 2), x.clone()]
    assert {str(t.device) for t in like} == {"cuda:0"} and torch.zeros_like(x, device="cpu").device.type == "cpu"


def test_streams_and_events(fake: fake_cuda.Fake) -> None:
    x = torch.randn(100, device="cuda")
    side, start, end = torch.cuda.Stream(), torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        assert torch.cuda.current_stream() == side
        start.record()
        y = x + 1
        end.record()
    assert not side.query() and not end.query()
    torch.cuda.current_stream().wait_event(end)
    y.record_stream(torch.cuda.current_stream())
    z = (y * 2).cpu()
    assert torch.equal(z, (x.cpu() + 1) * 2) and side.query()
    assert start.elapsed_time(end) >= 0 and torch.cuda.current_stream() == torch.cuda.default_stream()


def test_the_cpus_random_numbers(fake: fake_cuda.Fake) -> None:
    for draw in (torch.rand, torch.randn):
        torch.manual_seed(7)
        there, before = draw(5, device="cuda"), torch.cuda.get_rng_state()
        again = draw(5, device="cuda")
        torch.manual_seed(7)
        assert torch.equal(there.cpu(), draw(5)) and torch.equal(again.cpu(), draw(5))
        torch.cuda.set_rng_state(before)
        assert torch.equal(draw(5, device="cuda"), again)
    torch.cuda.manual_seed(3)
    x = torch.empty(4, device="cuda").uniform_()
    assert torch.equal(x.cpu(), torch.rand(4, generator=torch.Generator().manual_seed(3)))


def test_copies_share_as_the_originals_do(fake: fake_cuda.Fake) -> None:
    x = torch.arange(6.0, device="cuda")
    a, b = copy.deepcopy([x, x[2:]])
    a[3] = 9.0
    assert b[1].item() == 9.0 and x[3].item() == 3.0
    back = pickle.loads(pickle.dumps(nn.Parameter(x)))
    assert type(back) is nn.Parameter and back.is_cuda and torch.equal(back, x)


def test_pinned_memory(fake: fake_cuda.Fake) -> None:
    host = torch.arange(4.0).pin_memory()
    assert host.is_pinned() and host.pin_memory() is host and not torch.ones(2).is_pinned()
    x = host.to("cuda", non_blocking=True)
    back = (x + 1).to("cpu", non_blocking=True)
    torch.cuda.synchronize()
    assert back.is_pinned() and back.tolist() == [1.0, 2.0, 3.0, 4.0]
    address = host.data_ptr()
    host.to("cuda", non_blocking=True)  # under way when the memory is given back
    del host
    assert torch.ones(4).pin_memory().data_ptr() != address
    torch.cuda.synchronize()


def test_other_libraries_share_the_memory(fake: fake_cuda.Fake) -> None:
    x = torch.arange(12.0, device="cuda").reshape(3, 4)
    for other in (torch.from_dlpack(x.t()), torch.from_dlpack(torch.utils.dlpack.to_dlpack(x.t()))):
        assert other.data_ptr() == x.data_ptr() and other.stride() == (1, 4) and torch.equal(other, x.t())
    kept = torch.from_dlpack(Foreign(x))
    assert kept.data_ptr() == x.data_ptr()
    interface = x.__cuda_array_interface__
    assert interface["shape"] == (3, 4) and interface["typestr"] == "<f4" and interface["data"] == (x.data_ptr(), False)
    again = torch.asarray(Interface(x[:, 1:]))
    assert again.data_ptr() == x.data_ptr() + 4 and torch.equal(again, x[:, 1:])
    assert not hasattr(torch.ones(2), "__cuda_array_interface__") and x.__dlpack_device__() == (2, 0)


class Foreign:
    """Another library's array: it knows DLPack without versions only."""

    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def __dlpack__(self, stream: int | None = None) -> object:
        return self.x.__dlpack__(stream=stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)


class Interface:
    def __init__(self, x: torch.Tensor) -> None:
        self.__cuda_array_interface__ = x.__cuda_array_interface__


def test_a_graph_reads_its_memory_anew(fake: fake_cuda.Fake) -> None:
    x = torch.zeros(4, device="cuda")
    (x + 1).mul_(2)  # what a graph launches must be there
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        assert torch.cuda.is_current_stream_capturing()
        y = (x + 1) * 2
    x.fill_(3.0)
    launched = len(fake.launches)
    graph.replay()
    assert y.tolist() == [8.0] * 4 and len(fake.launches) == launched
    torch.cuda.empty_cache()
    x.fill_(4.0)
    graph.replay()
    assert y.tolist() == [10.0] * 4


def test_a_wrong_index_is_raised_where_the_host_waits(fake: fake_cuda.Fake) -> None:
    x = torch.arange(5, device="cuda")
    found = x[torch.tensor([5], device="cuda")]
    with pytest.raises(IndexError, match="index is out of bounds for dimension 0 with size 5"):
        found.cpu()
    assert x[torch.tensor([4], device="cuda")].tolist() == [4]


def test_what_has_no_kernel_runs_on_the_host_and_says_so_once(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_noted", set())
    x = torch.tensor([[3.0, 1.0], [1.0, 2.0]], device="cuda", requires_grad=True)
    with pytest.warns(RuntimeWarning, match="inv runs on the host, between copies from and to cuda:0"):
        found = torch.linalg.inv(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.linalg.inv(x.detach())
    found.sum().backward()
    wanted = torch.tensor([[3.0, 1.0], [1.0, 2.0]], requires_grad=True)
    torch.linalg.inv(wanted).sum().backward()
    torch.testing.assert_close(x.grad.cpu(), wanted.grad)
    assert found.is_cuda
