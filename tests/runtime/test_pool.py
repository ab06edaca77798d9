"""The thread pool by itself: every chunk runs once, errors, nesting, several callers, fork, the interpreter's end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fusewire.backends import build
from fusewire.runtime import loader, pool

pytestmark = pytest.mark.skipif(not loader.SUPPORTED, reason="the pool is written for x86-64 Linux")

WORK = """
define hidden i32 @mark(ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %t, i64 %n) {
  br label %head
head:
  %lo0 = mul i64 %t, 64
  %lo = udiv i64 %lo0, %n
  %t1 = add i64 %t, 1
  %hi0 = mul i64 %t1, 64
  %hi = udiv i64 %hi0, %n
  br label %loop
loop:
  %i = phi i64 [%lo, %head], [%i1, %body]
  %more = icmp slt i64 %i, %hi
  br i1 %more, label %body, label %done
body:
  %p = getelementptr i64, ptr %args, i64 %i
  %old = atomicrmw add ptr %p, i64 1 seq_cst
  %i1 = add i64 %i, 1
  br label %loop
done:
  ret i32 0
}
define i32 @refuse(ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %t, i64 %n) {
  %bad = icmp uge i64 %t, 3
  %s = trunc i64 %t to i32
  %status = select i1 %bad, i32 %s, i32 0
  ret i32 %status
}
define i32 @scratch(ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %t, i64 %n) {
  %old = atomicrmw add ptr %scratch, i64 1 seq_cst
  %p = ptrtoint ptr %scratch to i64
  ret i32 0
}
define i32 @nested(ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %t, i64 %n) {
  %run = load ptr, ptr %sizes
  %b1 = getelementptr i64, ptr %sizes, i64 1
  %block = load i64, ptr %b1
  %m = ptrtoint ptr @mark to i64
  %o = mul i64 %t, 512
  %a = ptrtoint ptr %args to i64
  %p = add i64 %a, %o
  %status = call i32 %run(i64 %block, i64 %m, i64 %p, i64 0, i64 0, i64 0, i64 0, i64 8, i64 4)
  ret i32 %status
}
"""
_code: list[Any] = []


def code() -> Any:
    if not _code:
        _code.append(build.load(build.build(WORK)))
    return _code[0]


def run(name: str, data: Any, chunks: int, limit: int = 4, sizes: Any = None, stride: int = 0) -> int:
    work = code()
    where = data.ctypes.data
    return pool.run(work[name], where, 0 if sizes is None else sizes.ctypes.data, 0, where, stride, chunks, limit)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_every_chunk_runs_once() -> None:
    for limit in (1, 2, 3, 8):
        for chunks in (1, 2, 3, 7, 16, 63, 64):
            counts = np.zeros(64, np.int64)
            for _ in range(200):
                assert run("mark", counts, chunks, limit) == 0
            assert (counts == 200).all(), (limit, chunks)


def test_status_of_the_first_chunk_that_fails() -> None:
    data = np.zeros(1, np.int64)
    assert [run("refuse", data, n) for n in (2, 3, 4, 9, 64)] == [0, 0, 3, 3, 3]


def test_scratch_of_each_worker_is_its_own() -> None:
    data = np.zeros((4, 8), np.int64)
    for _ in range(100):
        run("scratch", data, 32, 4, stride=64)
    assert data[:, 0].sum() == 3200 and (data[:, 1:] == 0).all()


def test_jobs_inside_jobs() -> None:
    data = np.zeros((16, 64), np.int64)
    assert run("nested", data, 16, sizes=np.array([pool.start(), pool.BLOCK])) == 0
    assert (data == 1).all()


def test_several_callers() -> None:
    wrong: list[Any] = []

    def caller() -> None:
        counts = np.zeros(64, np.int64)
        for _ in range(2000):
            run("mark", counts, 16)
        if not (counts == 2000).all():
            wrong.append(counts)

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_forked_child_has_a_pool_of_its_own() -> None:
    counts = np.zeros(64, np.int64)
    run("mark", counts, 16)
    assert pool.workers() > 0
    pid = os.fork()
    if pid == 0:
        before, fine = pool.workers(), True
        for _ in range(100):
            fine = fine and run("mark", counts, 16) == 0
        fine = fine and before == 0 and pool.workers() > 0 and bool((counts == 101).all())
        os._exit(0 if fine else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert run("mark", counts, 16) == 0 and (counts == 2).all()


def test_fork_while_another_thread_works() -> None:
    stop = threading.Event()

    def caller() -> None:
        counts = np.zeros(64, np.int64)
        while not stop.is_set():
            run("mark", counts, 16)

    thread = threading.Thread(target=caller)
    thread.start()
    try:
        for _ in range(10):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the thread is Python's own
                pid = os.fork()
            if pid == 0:
                counts = np.zeros(64, np.int64)
                os._exit(run("mark", counts, 16) + int(not (counts == 1).all()))
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


ENDING = """
import sys, threading, time
import numpy as np
import test_pool as t
counts = np.zeros(64, np.int64)
for _ in range(100):
    t.run("mark", counts, 16)
mode = sys.argv[1]
if mode == "raise":
    raise SystemExit(3)
if mode == "sleep":
    time.sleep(0.05)
if mode == "busy":
    def work():
        while True:
            t.run("mark", counts, 16)
    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.02)
if mode == "after":
    import atexit
    atexit.register(lambda: t.run("mark", counts, 16))
    atexit._run_exitfuncs()
    t.run("mark", counts, 16)
if mode == "fork":  # as an exit handler does that was registered before the pool's, and so runs after it
    import atexit, os, warnings
    atexit._run_exitfuncs()
    warnings.simplefilter("ignore")
    pid = os.fork()
    t.run("mark", counts, 16)
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.parametrize(("mode", "status"), [("plain", 0), ("raise", 3), ("sleep", 0), ("busy", 0), ("after", 0), ("fork", 0)])
def test_the_interpreter_ends_cleanly(mode: str, status: int) -> None:
    done = subprocess.run([sys.executable, "-c", ENDING, mode], cwd=os.path.dirname(__file__), capture_output=True, text=True,
                          timeout=60)  # fmt: skip
    assert (done.returncode, done.stderr) == (status, "")


def test_numbers_of_threads() -> None:
    before = pool.threads()
    try:
        pool.set_threads(3)
        assert pool.threads() == 3
        pool.set_threads(1000)
        assert pool.threads() == pool.MAX_THREADS
        with pytest.raises(ValueError, match="at least 1"):
            pool.set_threads(0)
    finally:
        pool.set_threads(before)


def test_signals_go_to_pythons_own_threads() -> None:
    counts = np.zeros(64, np.int64)
    run("mark", counts, 16)
    masks = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status") as f:
            fields = dict(line.split(":", 1) for line in f if ":" in line)
        masks.append(int(fields["SigBlk"].strip(), 16))
    assert sum(mask & 2 for mask in masks) == 2 * pool.workers()  # SIGINT is number 2
