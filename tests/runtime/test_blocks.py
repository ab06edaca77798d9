"""The cache of memory: what comes back is used again, never while anything refers to it; bounds; arrays like NumPy's own."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import knobs
from fusewire.runtime import blocks as b
from fusewire.runtime import loader

pytestmark = pytest.mark.skipif(not loader.SUPPORTED, reason="the cache is written for x86-64 Linux")
MB = 1 << 20


@pytest.fixture
def cache() -> Iterator[b.Blocks]:
    import fusewire.backends  # noqa: F401  (says who makes the code)

    found = b.start()
    assert found is not None
    found.release()
    yield found
    found.set_limit(b.limit())
    found.release()


def test_memory_is_used_again(cache: b.Blocks) -> None:
    first = b.empty(3 * MB)
    where = first.ctypes.data
    assert where % 64 == 0 and first.flags.owndata and first.flags.writeable and first.flags.aligned
    view = first[10:20]
    del first
    assert cache.counts()["cached"] == 0  # the view keeps it
    del view
    assert cache.counts()["cached"] >= 3 * MB
    assert b.empty(3 * MB - 5).ctypes.data == where


def test_sizes_of_blocks_waste_little(cache: b.Blocks) -> None:
    for count in (b.LARGE, 100_000, MB, 3 * MB + 7, 16 * MB, 40_000_000):
        before = cache.counts()["used"]
        kept = b.empty(count)
        taken = cache.counts()["used"] - before
        assert count + b.HEADER <= taken <= 1.13 * (count + b.HEADER)
        del kept
    assert np.empty(10).flags.owndata


def test_small_arrays_are_numpys_own() -> None:
    assert np._core.multiarray.get_handler_name(b.empty(100)) != "fusewire"
    assert np._core.multiarray.get_handler_name(b.empty(b.LARGE)) == "fusewire"


def test_the_cache_is_bounded_and_forgets_what_was_unused_for_longest(cache: b.Blocks) -> None:
    cache.set_limit(10 * MB)
    arrays = [b.empty(n * MB) for n in (2, 3, 4)]
    places = [a.ctypes.data for a in arrays]
    while arrays:
        del arrays[0]
    assert cache.counts()["cached"] <= 10 * MB
    five = b.empty(5 * MB)
    del five  # the first of the others goes
    assert cache.counts()["cached"] <= 10 * MB
    assert b.empty(4 * MB).ctypes.data == places[2]
    huge = b.empty(11 * MB)
    before = cache.counts()["cached"]
    del huge
    assert cache.counts()["cached"] == before
    assert cache.release() == before and cache.counts()["cached"] == 0


def test_numpys_own_results_while_it_is_used(cache: b.Blocks) -> None:
    with b.used():
        x = np.ones(MB)
        y = x + x
        zeros = np.zeros(MB)
        del x
        again = np.zeros(MB)
        small = np.arange(5)
    assert np._core.multiarray.get_handler_name(y) == "fusewire"
    assert np._core.multiarray.get_handler_name(np.ones(MB)) != "fusewire"
    assert (y == 2).all() and (zeros == 0).all() and (again == 0).all() and small.sum() == 10
    small.resize(3 * MB, refcheck=False)
    assert small[:5].tolist() == [0, 1, 2, 3, 4] and (small[5:] == 0).all()


def test_no_memory_is_an_error_of_python(cache: b.Blocks) -> None:
    kept = b.empty(2 * MB)
    del kept
    with pytest.raises(MemoryError):
        b.empty(1 << 46)
    assert cache.counts()["cached"] == 0  # what was cached went first
    assert cache.counts()["used"] >= 0


def test_many_threads(cache: b.Blocks) -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        rng, held = random.Random(seed), []
        for _ in range(300):
            if held and rng.random() < 0.5:
                array, mark = held.pop(rng.randrange(len(held)))
                if not (array == mark).all():
                    wrong.append(seed)
            else:
                array, mark = b.empty(rng.choice((b.LARGE, 100_000, 200_000, MB))), rng.randrange(256)
                array[:] = mark
                held.append((array, mark))

    threads = [threading.Thread(target=work, args=(s,)) for s in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and cache.counts()["cached"] <= cache.counts()["limit"]


def programs() -> list[Any]:
    return [
        fw.compile(lambda x, y: x * y + 1.0),
        fw.compile(lambda x, y: (x - y, x.t() + 1.0, x[1:] * 2.0)),
        fw.compile(lambda x, y: (x + y).reshape(-1)),
        fw.compile(lambda x, y: (fw.nn.functional.softmax(x, dim=-1) @ y.t(), y.exp())),
    ]


def test_live_results_never_change() -> None:
    """Results, views of them and their gradients kept and dropped at random: what is kept keeps its values."""
    rng, calls = random.Random(5), programs()
    held: list[tuple[Any, Any]] = []
    for n in range(400):
        grad = rng.random() < 0.3
        x, y = fw.full((128, 256), float(n % 7)), fw.full((128, 256), float(n % 3))
        x.requires_grad_(grad)
        found = rng.choice(calls)(x, y)
        outs = list(found) if isinstance(found, tuple) else [found]
        if grad:
            sum(o.sum() for o in outs).backward()
            outs.append(x.grad)
        for out in outs:
            kept = rng.choice((out, out[1:], out.t() if out.dim() == 2 else out, out.detach()))
            held.append((kept, kept.detach().numpy().copy()))
        rng.shuffle(held)
        del held[30:], found, outs, out, kept
        for tensor, value in held if n % 20 == 0 else ():
            assert np.array_equal(tensor.detach().numpy(), value)


def test_compiled_results_come_out_of_the_cache_and_leak_nothing(cache: b.Blocks) -> None:
    f, x = fw.compile(lambda x: x * 2.0 + 1.0), fw.ones(256, 256)
    for _ in range(3):
        f(x)
    assert np._core.multiarray.get_handler_name(f(x)._array) == "fusewire"
    before, refs = cache.counts(), sys.getrefcount(cache.capsule)
    for _ in range(10_000):
        f(x)
    after, refs = cache.counts(), sys.getrefcount(cache.capsule) - refs
    assert (after["used"], after["made"], refs) == (before["used"], before["made"], 0)


def test_a_result_is_like_numpys_own() -> None:
    f = fw.compile(lambda x: x * 2.0)
    for make in (lambda: fw.ones(256, 256), lambda: fw.ones(256, 256).t(), lambda: fw.ones(64, 4, 256).permute(1, 0, 2)):
        for _ in range(3):
            out = f(make())
        wanted = make().numpy() * np.float32(2.0)
        array = out._array
        assert (array.flags.num | 4, array.strides) == (wanted.flags.num | 4, wanted.strides)
        assert array.flags.owndata or array.base is not None
        copied = array.copy()
        array += 1
        assert np.array_equal(array, copied + 1)


def test_knob() -> None:
    with knobs.override(recycle=7):
        assert b.limit() == 7 * MB


def test_peak_of_a_call() -> None:
    f, x = fw.compile(lambda x: fw.nn.functional.softmax(x @ x, dim=-1) @ x), fw.ones(512, 512)
    for _ in range(3):
        f(x)
    with fw.memory.peak() as found:
        kept = f(x)
    assert 2 * MB <= found.bytes <= 6 * MB  # the result, and two temporaries of its size at most
    assert fw.memory.report().used >= MB and "MB" in str(fw.memory.report())
    del kept
    assert fw.memory.release() > 0 and fw.memory.report().cached == 0
