"""What programs use of ``torch.cuda`` beside devices and streams: memory figures and limits, peers, marks, pinning loaders."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fusewire as torch
from fusewire.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True, count=2, memory=64 << 20) as driver:
        yield driver


def test_properties(fake: fake_cuda.Fake) -> None:
    p = torch.cuda.get_device_properties("cuda:1")
    assert (p.name, p.major, p.warp_size, p.max_threads_per_block, p.regs_per_multiprocessor) == ("Fake GPU", 9, 32, 1024, 65536)
    assert p.shared_memory_per_block == 49152 and p.shared_memory_per_block_optin == 232448 and p.total_memory == 64 << 20
    assert torch.cuda.is_bf16_supported() and torch.cuda.is_tf32_supported() and torch.cuda.get_arch_list() == ["sm_90"]
    assert torch.cuda.can_device_access_peer(0, 1) and not torch.cuda.can_device_access_peer(0, 0)
    assert torch.version.cuda == "13.0" and torch.version.hip is None


def test_memory_figures(fake: fake_cuda.Fake) -> None:
    x = torch.ones(3 << 20, dtype=torch.uint8, device="cuda")
    found, nested = torch.cuda.memory_stats(), torch.cuda.memory_stats_as_nested_dict()
    assert found["active_bytes.all.current"] == nested["active_bytes"]["all"]["current"] == 3 << 20
    assert found["allocation.all.current"] == 1 and found["inactive_split_bytes.all.current"] == 17 << 20
    (segment,) = torch.cuda.memory_snapshot()
    assert segment["total_size"] == 20 << 20 and [b["state"] for b in segment["blocks"]] == ["active_allocated", "inactive"]
    assert segment["blocks"][0]["address"] == x.data_ptr() and torch.cuda.memory.memory_allocated(1) == 0
    torch.cuda.reset_accumulated_memory_stats()
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == 0
    address = torch.cuda.caching_allocator_alloc(1000)
    assert torch.cuda.memory_allocated() == (3 << 20) + 1024
    torch.cuda.caching_allocator_delete(address)
    assert torch.cuda.memory_allocated() == 3 << 20 and torch.accelerator.memory_allocated() == 3 << 20
    torch.ones(100).pin_memory()
    assert torch.cuda.host_memory_stats()["allocated_bytes.current"] >= 512


def test_a_share_of_the_memory(fake: fake_cuda.Fake) -> None:
    torch.cuda.set_per_process_memory_fraction(0.5)
    assert torch.cuda.get_per_process_memory_fraction() == 0.5
    x = torch.empty(20 << 20, dtype=torch.uint8, device="cuda")
    with pytest.raises(torch.cuda.OutOfMemoryError, match=r"32\.00 MiB are what set_per_process_memory_fraction"):
        torch.empty(20 << 20, dtype=torch.uint8, device="cuda")
    del x
    torch.empty(30 << 20, dtype=torch.uint8, device="cuda")
    with pytest.raises(ValueError, match="Allowed range"):
        torch.cuda.set_per_process_memory_fraction(1.5)


def test_reading_values_may_be_an_error(fake: fake_cuda.Fake) -> None:
    x = torch.ones(2, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError, match="synchronizing CUDA operation"):
            x.sum().item()
        torch.cuda.synchronize()
    finally:
        torch.cuda.set_sync_debug_mode(0)
    assert x.sum().item() == 2.0 and torch.cuda.get_sync_debug_mode() == 0


def test_streams_have_priorities(fake: fake_cuda.Fake) -> None:
    assert torch.cuda.Stream.priority_range() == (0, -5)
    urgent = torch.cuda.Stream(priority=-1)
    other = torch.cuda.ExternalStream(urgent.cuda_stream)
    assert urgent.priority == -1 and other == urgent and torch.cuda.Event(blocking=True).query()


def test_between_devices(fake: fake_cuda.Fake) -> None:
    from fusewire.cuda import comm

    x = torch.arange(6.0, device="cuda:0").reshape(3, 2)
    copies = comm.broadcast(x, (0, 1))
    assert [str(c.device) for c in copies] == ["cuda:0", "cuda:1"] and torch.equal(copies[1].cpu(), x.cpu())
    assert comm.reduce_add(copies, 1).tolist() == (x.cpu() * 2).tolist()
    parts = comm.scatter(x, (0, 1), (1, 2))
    assert parts[1].device.index == 1 and parts[1].tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert torch.equal(comm.gather(parts, destination=-1), x.cpu())


def test_marks_and_profilers(fake: fake_cuda.Fake) -> None:
    with torch.cuda.nvtx.range("step {}", 3), torch.cuda.profiler.profile():
        torch.cuda.nvtx.mark("here")
    torch.cuda.nvtx.range_push("a")
    torch.cuda.nvtx.range_pop()
    with pytest.raises(ModuleNotFoundError, match="nvidia-smi"):
        torch.cuda.utilization()


def test_a_loader_that_pins(fake: fake_cuda.Fake) -> None:
    data = TensorDataset(torch.arange(12.0).reshape(6, 2), torch.arange(6))
    seen = []
    for x, y in DataLoader(data, batch_size=2, pin_memory=True):
        assert x.is_pinned() and y.is_pinned()
        seen.append((x.to("cuda", non_blocking=True) * 2, y.cuda(non_blocking=True)))
    assert torch.cat([x for x, _ in seen]).tolist() == (data.tensors[0] * 2).tolist()
    assert torch.cat([y for _, y in seen]).tolist() == list(range(6))


def test_tensors_take_other_memory(fake: fake_cuda.Fake) -> None:
    x = torch.arange(4.0, device="cuda")
    x.resize_(2, 3)
    assert x.shape == (2, 3) and x.is_cuda and x.flatten()[:4].tolist() == [0.0, 1.0, 2.0, 3.0]
    x.resize_(2)
    assert x.tolist() == [0.0, 1.0]
    y, z = torch.zeros(3, device="cuda"), torch.arange(5.0, device="cuda")
    y.set_(z)
    y.mul_(2)
    assert z.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0] and y.data_ptr() == z.data_ptr()
    w = torch.empty(0, device="cuda")
    w.set_(z.untyped_storage(), 1, (2,), (2,))
    assert w.tolist() == [2.0, 6.0]
    z.data = torch.ones(2, device="cuda")
    assert z.tolist() == [1.0, 1.0]


def test_graphed_callables(fake: fake_cuda.Fake) -> None:
    layer = torch.nn.Linear(3, 2, device="cuda")
    x = torch.ones(4, 3, device="cuda")
    wanted = layer(x)
    made = torch.cuda.make_graphed_callables(layer, (x,))
    for _ in range(4):
        assert torch.allclose(made(x).cpu(), wanted.cpu(), atol=1e-6)
