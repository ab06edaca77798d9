"""The allocator beside a model that knows when each stream's work is done: 30,000 random steps in four streams, little memory."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import fusewire as torch
from fusewire.runtime.gpu.allocator import ALLOCATED, RESERVED, Memory, Pool, give_back
from fusewire.runtime.gpu.device import device

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

STEPS, WHOLE = 8_000, 30_000
SIZES = (1, 300, 512, 5000, 70_000, 1 << 20, (1 << 20) + 1, 3 << 20, 12 << 20)


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True, memory=192 << 20) as driver:
        yield driver


class Model:
    """What may be in use: blocks that are held, and blocks that were given back while streams had work on them left."""

    def __init__(self, fake: fake_cuda.Fake, streams: list[int]) -> None:
        self.fake, self.streams = fake, streams
        self.held: dict[int, tuple[Memory, int, int, set[int]]] = {}  # address -> memory, bytes, home stream, other streams
        self.late: list[tuple[int, int, int, dict[int, int]]] = []  # address, end, home stream, stream -> work that must be done

    def take(self, memory: Memory, nbytes: int, stream: int) -> None:
        first, end = memory.address, memory.address + nbytes
        assert self.fake.holds(first, nbytes), "outside of the device's memory"
        self.late = [x for x in self.late if not self.done(x)]
        for low, high, home, places in self.late:
            apart = end <= low or high <= first
            in_order = home == stream and all(self.fake.stream(s).done >= p for s, p in places.items() if s != home)
            assert apart or in_order, "used by another stream still"
        self.held[first] = memory, nbytes, stream, set()

    def done(self, late: Any) -> bool:
        return all(self.fake.stream(s).done >= place for s, place in late[3].items())

    def give(self, address: int) -> Memory:
        memory, nbytes, home, users = self.held.pop(address)
        places = {s: len(self.fake.stream(s).work) for s in {home, *users}}
        self.late.append((address, address + nbytes, home, places))
        return memory

    def check(self, free: list[tuple[int, int, int]]) -> None:
        spans = sorted([(a, a + m.block.size) for a, (m, *_) in self.held.items()] + [(a, a + n) for a, n, _ in free])
        assert all(a[1] <= b[0] for a, b in pairwise(spans)), "blocks overlap"


def test_thousands_of_steps(fake: fake_cuda.Fake, request: pytest.FixtureRequest) -> None:
    draw, gpu = random.Random(7), device()
    memory = gpu.memory
    streams = [0, *(torch.cuda.Stream().cuda_stream for _ in range(3))]
    model = Model(fake, streams)
    refused = 0
    for step in range(WHOLE if request.config.getoption("--whole") else STEPS):
        kind = draw.random()
        if kind < 0.45:
            nbytes, stream = draw.choice(SIZES) * draw.randint(1, 3), draw.choice(streams)
            try:
                model.take(memory.allocate(nbytes, stream), nbytes, stream)
            except torch.cuda.OutOfMemoryError:
                refused += 1
                for address in draw.sample(list(model.held), len(model.held) // 2):
                    model.give(address)
        elif kind < 0.8 and model.held:
            model.give(draw.choice(list(model.held)))
        elif kind < 0.88 and model.held:
            address, stream = draw.choice(list(model.held)), draw.choice(streams)
            memory.record_stream(model.held[address][0], stream)
            model.held[address][3].add(stream)
        elif kind < 0.98:
            fake.do(draw.choice(streams), lambda: None)
        elif kind < 0.998:
            gpu.activate()
            gpu.driver.stream_synchronize(draw.choice(streams))
        else:
            memory.empty()
        if step % 500 == 0:
            model.check(memory.blocks())
            assert memory.words[ALLOCATED] == sum(m.block.size for m, *_ in model.held.values())
            assert memory.words[RESERVED] == sum(n for _, n, _ in fake.blocks.values())
            assert sum(s["total_size"] for s in memory.snapshot()) == memory.words[RESERVED]
    assert refused > 10
    model.held.clear()
    gpu.synchronize()
    memory.empty()
    assert memory.words[RESERVED] == 0 and not fake.blocks


def test_pieces_join_again(fake: fake_cuda.Fake) -> None:
    memory = device().memory
    pieces = [memory.allocate(4 << 20) for _ in range(5)]
    assert memory.words[RESERVED] == 20 << 20
    del pieces[1::2]
    with_holes = memory.allocate(6 << 20)  # no hole is large enough
    assert memory.words[RESERVED] == 40 << 20
    del with_holes
    pieces.clear()
    whole = memory.allocate(20 << 20)
    assert memory.words[RESERVED] == 40 << 20 and len(memory.snapshot()) == 2
    del whole
    memory.empty()
    assert memory.words[RESERVED] == 0


def test_the_last_memory_is_taken_in_the_size_that_is_needed(fake: fake_cuda.Fake) -> None:
    memory = device().memory
    most = memory.allocate(182 << 20)
    small = memory.allocate(6 << 20)  # a segment of 20 MiB is not to be had any more
    assert memory.words[RESERVED] == 188 << 20
    with pytest.raises(torch.cuda.OutOfMemoryError, match=r"Tried to allocate 9\.00 MiB .* hold 188\.00 MiB \(2 blocks\)"):
        memory.allocate(9 << 20)
    del most, small


def test_blocks_in_bins_are_found_when_memory_is_short(fake: fake_cuda.Fake) -> None:
    memory = device().memory
    waits = memory.bin(30 << 20, 0)
    blocks = [memory.block(30 << 20, 0) for _ in range(6)]
    for block in blocks:
        give_back(block)
    memory.settle()
    assert len(waits.blocks) == 6 and memory.words[ALLOCATED] == 0
    big = memory.allocate(170 << 20)
    assert not waits.blocks and memory.words[RESERVED] == 170 << 20
    del big


def test_a_pool_is_for_its_thread_while_it_records(fake: fake_cuda.Fake) -> None:
    memory, pool = device().memory, Pool()
    plain = memory.allocate(5000)
    address = plain.address
    memory.record(pool)
    del plain
    inside = memory.allocate(5000)
    assert inside.address != address
    memory.empty()  # nothing happens: a graph is recorded
    memory.recorded()
    outside = memory.allocate(5000)
    assert outside.address == address
    del inside
    assert memory.allocate(5000).address != address
    assert memory.words[RESERVED] == 4 << 20
    memory.empty()
    assert memory.words[RESERVED] == 4 << 20
    memory.leave(pool)
    memory.empty()
    assert memory.words[RESERVED] == 2 << 20
