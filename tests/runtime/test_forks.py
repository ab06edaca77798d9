"""A process that forks while another of its threads compiles: the child can compile, too. And what attributes outside lack."""

from __future__ import annotations

import subprocess
import sys
import types

import fusewire as fw

_FORKS = """
import os, signal, threading, fusewire as fw
going, ones = True, fw.ones(4)
fw.compile(lambda x: (x * 2.5).sin())(ones)  # imports are done: their locks are Python's
def compile_all():
    i = 0
    while going:
        i += 1
        space = {}
        exec(f"def h(x): return (x * {i} + {i}.5).sin()", space)
        fw.compile(space["h"])(ones)
other = threading.Thread(target=compile_all)
other.start()
states = []
for k in range(6):
    child = os.fork()
    if not child:
        signal.alarm(30)
        os._exit(float(fw.compile(lambda x: x * k + 0.25)(ones)[0]) != k + 0.25)
    states.append(os.waitpid(child, 0)[1])
going = False
other.join()
assert states == [0] * 6, states
"""


def test_a_fork_waits_for_what_another_thread_compiles() -> None:
    command = [sys.executable, "-W", "ignore", "-c", _FORKS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_attribute_that_a_module_lacks_is_guarded() -> None:
    module = types.ModuleType("settings")

    def f(x: fw.Tensor) -> fw.Tensor:
        return x * (2 if hasattr(module, "fast") else 3) + getattr(module, "extra", 0)

    compiled, x = fw.compile(f), fw.ones(2)
    assert compiled(x).tolist() == [3, 3]
    module.fast = True  # type: ignore[attr-defined]
    assert compiled(x).tolist() == [2, 2]
    module.extra = 5  # type: ignore[attr-defined]
    assert compiled(x).tolist() == [7, 7]


def test_annotations_of_a_function_are_guarded() -> None:
    def g(x: fw.Tensor) -> None: ...

    g.__annotations__ = {"x": 2}

    def f(x: fw.Tensor) -> fw.Tensor:
        return x * g.__annotations__["x"]

    compiled, x = fw.compile(f), fw.ones(2)
    assert compiled(x).tolist() == [2, 2]
    g.__annotations__["x"] = 3
    assert compiled(x).tolist() == [3, 3]


def test_locks_that_come_while_a_fork_waits_are_taken_too() -> None:
    text = (
        "import os, threading, time\n"
        "from fusewire.runtime import forks\n"
        "first, late = threading.Lock(), threading.Lock()\n"
        "forks.hold(forks.COMPILE, first)\n"
        "first.acquire()\n"
        "def work():\n"
        "    time.sleep(0.2)\n"
        "    forks.hold(forks.POOL, late)\n"
        "    late.acquire()\n"
        "    first.release()\n"
        "    time.sleep(0.2)\n"
        "    late.release()\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(0 if late.acquire(timeout=5) else 1)\n"
        "thread.join()\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", text], capture_output=True, text=True, timeout=60)
    assert done.stdout == "0\n", done.stderr
