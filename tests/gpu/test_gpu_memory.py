"""The allocator of device memory: blocks never overlap, streams keep theirs, statistics add up, errors say what is held."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire.runtime.gpu.allocator import ROUND, Memory
from fusewire.runtime.gpu.device import device

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True, memory=64 << 20) as driver:
        yield driver


def overlapping(held: list[tuple[Memory, int]], free: list[tuple[int, int, int]]) -> list[Any]:
    spans = sorted([(m.address, m.address + m.block.size) for m, _ in held] + [(a, a + n) for a, n, _ in free])
    return [(a, b) for a, b in pairwise(spans) if a[1] > b[0]]


@pytest.mark.parametrize("seed", range(4))
def test_blocks_never_overlap(fake: fake_cuda.Fake, seed: int) -> None:
    draw, gpu = random.Random(seed), device()
    streams = [0, *(fw.cuda.Stream().cuda_stream for _ in range(2))]
    held: list[tuple[Memory, int]] = []
    for turn in range(3000):
        if held and draw.random() < 0.5:
            held.pop(draw.randrange(len(held)))
        else:
            nbytes = draw.choice((1, 700, 5000, 200_000, 1_500_000)) * draw.randint(1, 3)
            try:
                held.append((gpu.memory.allocate(nbytes, draw.choice(streams)), nbytes))
            except fw.cuda.OutOfMemoryError:
                held.clear()
        if held and draw.random() < 0.1:
            gpu.memory.record_stream(held[-1][0], draw.choice(streams))
        if draw.random() < 0.01:
            draw.choice((gpu.synchronize, gpu.memory.empty))()
        if turn % 100 == 0:
            free = gpu.memory.blocks()
            assert not overlapping(held, free)
            found = gpu.memory.statistics()
            assert found["allocated_bytes.all.current"] == sum(m.block.size for m, _ in held)
            assert found["requested_bytes.all.current"] == sum(n for _, n in held)
    held.clear()
    gpu.synchronize()
    gpu.memory.empty()
    assert gpu.memory.statistics()["reserved_bytes.all.current"] == 0 and not fake.blocks


def test_memory_comes_back_to_its_own_stream(fake: fake_cuda.Fake) -> None:
    memory, other = device().memory, fw.cuda.Stream().cuda_stream
    first = memory.allocate(1000)
    address = first.address
    del first
    away = memory.allocate(1000, other)
    again = memory.allocate(1000)
    assert again.address == address != away.address
    memory.record_stream(again, other)
    fake.do(other, lambda: None)  # the other stream is busy
    del again
    assert memory.allocate(1000).address != address
    device().synchronize()
    assert memory.allocate(1000).address == address


def test_what_is_out_of_memory_says_so(fake: fake_cuda.Fake) -> None:
    x = fw.zeros(1 << 20, device="cuda")
    said = r"Tried to allocate 80\.00 MiB on cuda:0 \(Fake GPU\), which has 64\.00 MiB"
    with pytest.raises(fw.cuda.OutOfMemoryError, match=said):
        fw.zeros(20 << 20, device="cuda")
    assert fw.cuda.memory_allocated() == x.numel() * 4 and fw.cuda.memory_stats()["num_ooms"] == 1
    del x
    fw.zeros(15 << 20, device="cuda")  # the cache gives back what is in its way
    assert fw.cuda.memory_stats()["num_ooms"] == 1


def test_statistics(fake: fake_cuda.Fake) -> None:
    assert fw.cuda.memory_allocated() == fw.cuda.memory_reserved() == 0
    x = [fw.empty(1000, device="cuda") for _ in range(3)]
    size = -(-4000 // ROUND) * ROUND
    assert fw.cuda.memory_allocated() == 3 * size and fw.cuda.memory_reserved() == 2 << 20
    del x[1:]
    assert fw.cuda.memory_allocated() == size and fw.cuda.max_memory_allocated() == 3 * size
    fw.cuda.reset_peak_memory_stats()
    assert fw.cuda.max_memory_allocated() == size
    assert fw.cuda.mem_get_info() == (62 << 20, 64 << 20)
    assert "held by tensors" in fw.cuda.memory_summary()
    x.clear()
    fw.cuda.empty_cache()
    assert fw.cuda.memory_reserved() == 0 and fw.cuda.mem_get_info()[0] == 64 << 20
