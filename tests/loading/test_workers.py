"""DataLoader with worker processes: order, seeds, errors, death, the end. Every test ends by itself: nothing waits for ever."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.utils.data import DataLoader, TensorDataset

_spec = importlib.util.spec_from_file_location("loading_items", Path(__file__).with_name("items.py"))
assert _spec is not None and _spec.loader is not None
items = importlib.util.module_from_spec(_spec)
sys.modules["loading_items"] = items
_spec.loader.exec_module(items)


def children() -> set[int]:
    """Processes of this one, zombies left out."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(words[1]) == os.getpid() and words[0] != "Z":
                found.add(int(name))
    return found


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No process, socket or shared memory stays behind."""
    before = left()
    yield
    assert left() == before


def left() -> tuple[set[int], int, int]:
    """Children, open sockets and segments of shared memory, mapped or open."""
    gc.collect()
    open_ = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{n}")]
    shared = Path("/proc/self/maps").read_text().count("memfd:batch")
    return children(), sum(name.startswith("socket:") for name in open_), shared + sum("memfd:batch" in name for name in open_)


def same(a: Any, b: Any) -> None:
    """Equal structures of equal tensors, types included."""
    assert type(a) is type(b)
    if isinstance(a, fw.Tensor):
        assert a.dtype is b.dtype and a.stride() == b.stride() and a.tolist() == b.tolist()
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for k in a:
            same(a[k], b[k])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert np.array_equal(a, b)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("more", [
    {"batch_size": 7}, {"batch_size": 7, "drop_last": True}, {"batch_size": None}, {"batch_size": 1, "prefetch_factor": 5},
    {"batch_size": 3, "collate_fn": items.as_they_are}, {"batch_sampler": [[3, 1], [0], [39, 38, 37]]},
    {"sampler": [5, 4, 3], "batch_size": 2},
], ids=lambda more: "-".join(more) if isinstance(more, dict) else str(more))  # fmt: skip
def test_batches_are_those_without_workers(workers: int, more: dict[str, Any]) -> None:
    expected = list(DataLoader(items.Rows(), **{k: v for k, v in more.items() if k != "prefetch_factor"}))
    loader = DataLoader(items.Rows(), num_workers=workers, **more)
    got = list(loader)
    assert len(got) == len(expected) == len(loader)
    for a, b in zip(got, expected, strict=True):
        same(a, b)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_ways_to_start(method: str) -> None:
    """The children find the data set by its module, which they can import: TensorDataset."""
    rows = TensorDataset(fw.arange(20.0).view(10, 2), fw.arange(10))
    got = list(DataLoader(rows, 4, num_workers=1, multiprocessing_context=method))
    assert [y.tolist() for _, y in got] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    if method == "forkserver":
        import multiprocessing.forkserver as server

        server._forkserver._stop()  # type: ignore[attr-defined]
    from multiprocessing import resource_tracker

    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def test_shuffled_order_is_the_seeds() -> None:
    def order(workers: int) -> list[int]:
        loader = DataLoader(items.Rows(), 7, True, num_workers=workers, generator=fw.Generator().manual_seed(3))
        return [n for batch in loader for n in batch["n"].tolist()]

    assert order(0) == order(1) == order(2) != list(range(40)) and sorted(order(0)) == list(range(40))


def test_as_they_come() -> None:
    loader = DataLoader(items.Rows(), 3, num_workers=2, in_order=False)
    assert sorted(n for batch in loader for n in batch["n"].tolist()) == list(range(40))


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("drop_last", [False, True])
def test_what_is_iterated_is_shared_out(workers: int, drop_last: bool) -> None:
    loader = DataLoader(items.Counting(37), 5, num_workers=workers, drop_last=drop_last)
    got = [batch.tolist() for batch in loader]
    flat = sorted(n for batch in got for n in batch)
    if drop_last:
        assert all(len(batch) == 5 for batch in got) and set(flat) <= set(range(37))
    else:
        assert flat == list(range(37))
    assert list(DataLoader(items.Counting(3), None, num_workers=workers)) == [0, 1, 2]


def test_too_long_a_pass_warns() -> None:
    class Twice(items.Counting):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[int]:
            return iter(range(self.count))

    loader = DataLoader(Twice(6), 2, num_workers=2)
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="number 4"):
        assert len(list(loader)) == 6


def test_workers_have_seeds_of_their_own() -> None:
    def drawn(seed: int) -> Any:
        loader = DataLoader(items.Draws(), 1, num_workers=2, generator=fw.Generator().manual_seed(seed))
        return [tuple(t.item() for t in batch) for batch in loader]

    first = drawn(1)
    assert first == drawn(1) != drawn(2)
    assert [row[3] for row in first] == [0, 1, 0, 1] and first[1][4] == first[0][4] + 1
    assert len({row[k] for row in first for k in range(3)}) == 12


def test_persistent_workers_stay_and_start_again() -> None:
    loader = DataLoader(items.Rows(), 4, num_workers=2, persistent_workers=True)
    with pytest.raises(StopIteration):
        it = iter(loader)
        while True:
            next(it)
    first = children()
    for i, _ in enumerate(loader):  # broken off: what was ordered is not given to the next pass
        if i == 2:
            break
    assert [n for batch in loader for n in batch["n"].tolist()] == list(range(40)) and children() == first
    streamed = DataLoader(items.Counting(9), 2, num_workers=2, persistent_workers=True)
    for _ in range(3):
        assert sorted(n for batch in streamed for n in batch.tolist()) == list(range(9))


# ---- memory --------------------------------------------------------------------------------------------------------------
def test_kept_batches_keep_their_values() -> None:
    """Shared memory is used again only when nothing lies in it any more: tensors, views, arrays."""
    kept = []
    for i, batch in enumerate(DataLoader(items.Rows(200), 10, num_workers=2)):
        kept.append([batch["x"], batch["x"][3:, 5], batch["x"].numpy()[2], batch["x"].view(-1)[-1]][i % 4])
        del batch
    for i, x in enumerate(kept):
        expected = [10 * i, 10 * i + 3, 10 * i + 2, 10 * i + 9][i % 4]
        assert float(np.asarray(x).reshape(-1)[0]) == expected, i


def test_batches_may_be_written_to() -> None:
    for batch in DataLoader(items.Rows(20), 5, num_workers=1):
        batch["x"].mul_(0)
        batch["n"].add_(1)
        assert batch["x"].sum() == 0


def test_big_and_growing_batches() -> None:
    class Growing(items.Rows):  # type: ignore[misc, name-defined]
        def __getitem__(self, i: int) -> Any:
            return fw.full((1 << i, 3), i).t(), "x" * (1 << i), fw.ones(2, 3, dtype=fw.bfloat16), fw.zeros(0, 2), fw.tensor(i)

    for i, item in enumerate(DataLoader(Growing(18), None, num_workers=2)):
        x, text, half, empty, number = item
        assert x.shape == (3, 1 << i) and (i == 0 or x.stride() == (1, 3)) and x.min() == x.max() == i and len(text) == 1 << i
        assert half.dtype is fw.bfloat16 and half.sum() == 6 and empty.shape == (0, 2) and number.item() == i


# ---- errors ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how, kind, words", [
    ("key", KeyError, "no such key"), ("own", items.Odd, "odd one"), ("two", RuntimeError, "TwoWords"),
    ("local", LookupError, "Hidden"), ("unsendable", (AttributeError, Exception), "lambda"),
    ("history", RuntimeError, r"shape \[3\] with a history"),
])  # fmt: skip
def test_an_error_comes_with_its_type_and_traceback(how: str, kind: Any, words: str) -> None:
    loader = DataLoader(items.Failing(how), None, num_workers=2)
    got, it = [], iter(loader)
    for _ in range(5):
        got.append(next(it))
    with pytest.raises(kind, match=words) as caught:
        next(it)
    assert "worker process 1 " in str(caught.value) and "Traceback" in str(caught.value)
    assert how in ("unsendable", "history") or "go_wrong" in str(caught.value)
    assert got + list(it) == [i for i in range(12) if i != 5]  # the others go on


def test_an_error_of_the_init_function() -> None:
    with pytest.raises(OSError, match="worker 0 finds no disk"):
        next(iter(DataLoader(items.Rows(), num_workers=1, worker_init_fn=items.broken_init)))


@pytest.mark.parametrize("how, words", [("kill", "SIGKILL"), ("exit", "status 3")])
@pytest.mark.parametrize("persistent", [False, True])
def test_a_dead_worker_is_an_error(how: str, words: str, persistent: bool) -> None:
    loader = DataLoader(items.Failing(how), 2, num_workers=2, persistent_workers=persistent)
    with pytest.raises(RuntimeError, match=words):
        list(loader)
    with pytest.raises(RuntimeError, match=words):  # and not a hang the second time
        list(loader)


def test_a_worker_killed_while_nobody_waits() -> None:
    loader = DataLoader(items.Rows(), 2, num_workers=1, prefetch_factor=1)
    it = iter(loader)
    next(it)
    (pid,) = children()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=f"pid {pid}.*SIGKILL"):
        list(it)


def test_a_worker_too_slow() -> None:
    loader = DataLoader(items.Failing("sleep"), 6, num_workers=1, timeout=0.2)
    start = time.monotonic()
    import fusewire.utils.data.iterating as iterating

    grace, iterating.GRACE = iterating.GRACE, 0.1
    try:
        with pytest.raises(RuntimeError, match=r"timeout=0\.2"):
            list(loader)
    finally:
        iterating.GRACE = grace
    assert time.monotonic() - start < 20


def test_an_interrupt_stops_the_workers() -> None:
    loader = DataLoader(items.Failing("sleep"), 6, num_workers=1)
    import fusewire.utils.data.iterating as iterating

    grace, iterating.GRACE = iterating.GRACE, 0.1
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(loader)
    finally:
        iterating.GRACE = grace
        timer.join()
    assert not children()


def test_a_parent_killed_leaves_no_worker() -> None:
    text = (
        "import fusewire as fw, multiprocessing as m, time\n"
        "from fusewire.utils.data import *\n"
        "it = iter(DataLoader(TensorDataset(fw.arange(100000)), 2, num_workers=2))\n"
        "next(it); print(*[p.pid for p in m.active_children()], flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stdout is not None
        pids = [int(p) for p in process.stdout.readline().split()]
        process.kill()
    assert len(pids) == 2
    limit = time.monotonic() + 30
    while any(Path(f"/proc/{p}").exists() and "Z" not in Path(f"/proc/{p}/stat").read_text().split()[2] for p in pids):
        assert time.monotonic() < limit
        time.sleep(0.02)


# ---- forks ---------------------------------------------------------------------------------------------------------------
def test_in_a_forked_child() -> None:
    """The parent's iterator is refused, its workers stay; a new pass works, of a persistent loader too."""
    loader = DataLoader(items.Rows(), 4, num_workers=1, persistent_workers=True)
    it = iter(loader)
    first = next(it)
    pid = os.fork()
    if not pid:
        try:
            with pytest.raises(RuntimeError, match="in this one"):
                next(it)
            good = [n for batch in loader for n in batch["n"].tolist()] == list(range(40))
            del it
            loader._iterator.close()  # type: ignore[union-attr]
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [first["n"].tolist(), *(batch["n"].tolist() for batch in it)][-1] == [36, 37, 38, 39]


def test_a_compiled_step_feeds_on_workers() -> None:
    """Workers are forked after the compiled code's threads have started."""
    before = fw.get_num_threads()
    fw.set_num_threads(2)
    try:
        fw.manual_seed(0)
        model = fw.nn.Sequential(fw.nn.Linear(300, 64), fw.nn.ReLU(), fw.nn.Linear(64, 1))
        optimiser = fw.optim.SGD(model.parameters(), lr=1e-6)

        @fw.compile
        def step(x: Any, y: Any) -> Any:
            loss = (model(x).squeeze(-1) - y).pow(2).mean()
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            return loss

        losses = []
        for _ in range(3):
            total = 0.0
            for batch in DataLoader(items.Rows(), 8, num_workers=2):
                total += float(step(batch["x"], batch["n"].float()))
            losses.append(total)
        assert losses[2] < losses[0]
    finally:
        fw.set_num_threads(before)
