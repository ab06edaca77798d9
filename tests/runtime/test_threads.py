"""Compiled programs on several threads: the same bits, the same errors, callers side by side, forked children, interrupts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.nn import functional as F
from fusewire.runtime import loader, pool

pytestmark = pytest.mark.skipif(not loader.SUPPORTED, reason="the pool is written for x86-64 Linux")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = pool.threads()
    yield
    fw.set_num_threads(before)


def rand(*shape: int, seed: int = 0) -> Any:
    return fw.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def chain(x: Any) -> Any:
    return fw.sin(x) * fw.exp(-x * x) + fw.tanh(x) / (1 + x * x)


def block(x: Any, w: Any, targets: Any) -> Any:
    h = F.layer_norm(F.gelu(x @ w, approximate="tanh"), (w.shape[1],))
    q = h.reshape(4, -1, 4, w.shape[1] // 4).permute(0, 2, 1, 3)
    a = F.scaled_dot_product_attention(q, q, q, is_causal=True).permute(0, 2, 1, 3).reshape(x.shape[0], w.shape[1])
    return F.cross_entropy(a @ w.t(), targets) + a.sum(0).std()


def test_the_same_bits_on_any_number_of_threads() -> None:
    x, w = rand(512, 256), rand(256, 256, seed=1).mul(0.1)
    targets = fw.tensor(np.random.default_rng(2).integers(0, 256, 512))
    run, simple, bits = fw.compile(block), fw.compile(chain), set()
    for count in (1, 2, 3, 8):
        fw.set_num_threads(count)
        for _ in range(3):
            a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
            loss = run(a, b, targets)
            loss.backward()
            found = (loss.detach(), a.grad, b.grad, simple(x), simple(x.t()), simple(x[:, 3:200]))
            bits.add(b"".join(np.ascontiguousarray(t.numpy()).tobytes() for t in found))
    assert len(bits) == 1
    np.testing.assert_allclose(simple(x).numpy(), chain(x).numpy(), rtol=1e-5, atol=1e-6)


def test_an_index_out_of_range_is_the_same_error_on_any_number_of_threads() -> None:
    run, table = fw.compile(lambda t, i: t[i].exp() * 2), rand(1000, 128)
    good = np.random.default_rng(0).integers(0, 1000, 4096)
    for count in (1, 2, 8):
        fw.set_num_threads(count)
        for bad in (0, 2000, 4095):
            wrong = good.copy()
            wrong[bad] = 1000
            np.testing.assert_allclose(run(table, fw.tensor(good)).numpy(), (table[fw.tensor(good)].exp() * 2).numpy(), rtol=1e-6)
            with pytest.raises(IndexError) as eager:
                table[fw.tensor(wrong)]
            with pytest.raises(IndexError) as compiled:
                run(table, fw.tensor(wrong))
            assert str(compiled.value) == str(eager.value)


def test_many_callers_while_the_number_of_threads_changes() -> None:
    x = rand(512, 512)
    run = fw.compile(lambda x, k: F.softmax(x * k, dim=-1) @ x + x.sum(0))
    wanted = {k: run(x, float(k)).numpy().copy() for k in range(4)}
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(60):
            if not np.array_equal(run(x, float(k)).numpy(), wanted[k]):
                wrong.append(k)

    callers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for c in callers:
        c.start()
    count = 0
    while any(c.is_alive() for c in callers):
        count = count % 8 + 1
        pool.set_threads(count)
        time.sleep(0.001)
    assert not wrong


def test_calls_inside_calls() -> None:
    inner = fw.compile(chain)

    @fw.compile
    def outer(x: Any, seen: Any) -> Any:
        y = x * 2
        seen.append(inner(y))
        print(end="")  # a graph break
        return inner(y + 1)

    x, seen = rand(512, 512), []
    for _ in range(3):
        found = outer(x, seen)
    np.testing.assert_allclose(found.numpy(), chain(x * 2 + 1).numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen[-1].numpy(), chain(x * 2).numpy(), rtol=1e-5, atol=1e-6)


def test_other_threads_of_python_run_meanwhile() -> None:
    """A kernel of some ten milliseconds lets the interpreter lock go: a thread gets much further than between two calls."""
    run, x = fw.compile(chain), rand(2048, 2048)
    fw.set_num_threads(1)
    run(x)
    run(x)
    seen: list[int] = [0]
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            seen[0] += 1
            time.sleep(0.0002)

    ticker = threading.Thread(target=tick)
    former = sys.getswitchinterval()
    sys.setswitchinterval(100.0)  # nobody is asked to let the lock go
    try:
        ticker.start()
        before = seen[0]
        for _ in range(20):
            run(x)
        assert seen[0] > before
    finally:
        stop.set()
        sys.setswitchinterval(former)
        ticker.join()


def _child(queue: Any, x: np.ndarray[Any, Any]) -> None:
    queue.put((COMPILED(fw.tensor(x)).numpy(), pool.workers()))


COMPILED = fw.compile(chain)


def test_children_of_multiprocessing() -> None:
    fw.set_num_threads(2)
    x = rand(512, 512)
    for _ in range(3):
        wanted = COMPILED(x).numpy().copy()
    assert pool.workers() >= 1
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        children = [context.Process(target=_child, args=(queue, x.numpy())) for _ in range(3)]
        for c in children:
            c.start()
    for _ in children:
        found, workers = queue.get(timeout=60)
        assert np.array_equal(found, wanted) and workers >= 1
    for c in children:
        c.join(60)
        assert c.exitcode == 0
    assert np.array_equal(COMPILED(x).numpy(), wanted)


INTERRUPTED = """
import signal
import numpy as np, time
import fusewire as fw
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with the signal ignored
fw.set_num_threads(2)
run, x = fw.compile(lambda x: fw.tanh(fw.sin(x)) + 1), fw.ones(1024, 1024)
wanted = run(x).numpy().copy()
interrupts = 0
print("ready", flush=True)
while interrupts < 5:
    try:
        for _ in range(100000):
            run(x)
    except KeyboardInterrupt:
        interrupts += 1
        print("caught", flush=True)
assert np.array_equal(run(x).numpy(), wanted)
print("done", flush=True)
"""


def test_interrupts() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stderr is not None and process.stdout.readline() == "ready\n"
            for _ in range(5):
                time.sleep(0.02)
                os.kill(process.pid, signal.SIGINT)
                assert process.stdout.readline() == "caught\n"
            # communicate() would miss what the last line's read took along
            assert (process.stdout.read(), process.stderr.read(), process.wait(60)) == ("done\n", "", 0)
        finally:
            process.kill()


def test_nothing_grows_over_many_calls() -> None:
    run, x, y = fw.compile(lambda x, y: (F.softmax(x, dim=-1), y.sum(0))), rand(128, 512), rand(4096, 64)

    def resident() -> int:
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(500):
        run(x, y)
    before = resident(), [sys.getrefcount(t) for t in (x, y, x._array, y._array)], fw.memory.report().made
    for _ in range(10_000):
        run(x, y)
    after = resident(), [sys.getrefcount(t) for t in (x, y, x._array, y._array)], fw.memory.report().made
    assert after[1:] == before[1:] and after[0] - before[0] < 1 << 20
