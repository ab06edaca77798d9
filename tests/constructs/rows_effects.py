"""Effects on the world: output, log records, warnings, clocks, random numbers, files, locks; values of tensors in Python."""


from __future__ import annotations

import logging
import os
import random
import sys
import tempfile
import threading
import time
import uuid
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from rows import Case, construct

logger = logging.getLogger("constructs")


@construct("print of constants, shapes and several values")
def prints(torch: Any) -> Any:
    def f(x: Any) -> Any:
        print("before", tuple(x.shape), sep="|", end="!\n")
        y = x * 2
        print("after", file=sys.stderr)
        return y + 1

    return f


@construct("print of a tensor's values")
def print_values(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x * 2
        print("sum", (y.sum() * 0 + 3).item())
        return y + 1

    return f


@construct("print in a loop")
def print_loop(torch: Any) -> Any:
    def f(x: Any) -> Any:
        for k in range(4):
            x = x + k
            print("turn", k)
        return x

    return f


@construct("logging with arguments, levels, exc_info")
def logs(torch: Any) -> Any:
    def f(x: Any) -> Any:
        logger.info("shape %s", tuple(x.shape))
        y = x * 2
        logger.debug("never mind")
        if logger.isEnabledFor(logging.WARNING):
            logger.warning("done %d", 3)
        return y

    return f


@construct("warnings.warn")
def warns(torch: Any) -> Any:
    def f(x: Any) -> Any:
        warnings.warn("careful", UserWarning, stacklevel=1)
        return x * 2

    return f


@construct("time.time, perf_counter")
def clocks(torch: Any) -> Any:
    def f(x: Any) -> Any:
        start = time.perf_counter()
        y = x * 2
        elapsed = time.perf_counter() - start
        return y, elapsed >= 0, time.time() > 1e9

    return f


@construct("random: random, randint, choice, shuffle")
def randoms(torch: Any) -> Any:
    def f(x: Any) -> Any:
        order = [1, 2, 3, 4]
        random.shuffle(order)
        return x * random.random() + random.randint(0, 9), random.choice("abc"), order

    return f


@construct("np.random.rand, default_rng")
def np_random(torch: Any) -> Any:
    generator = np.random.default_rng(3)

    def f(x: Any) -> Any:
        return x * float(np.random.rand()) + float(generator.random())

    return f


@construct("tensor random numbers: rand, randn, dropout")
def tensor_random(torch: Any) -> Any:
    def f(x: Any) -> Any:
        noise = torch.rand(4)
        return x + noise, torch.nn.functional.dropout(x, 0.5).shape, torch.randn(2) * 0

    return f


@construct("file written inside")
def files(torch: Any) -> Any:
    path = os.path.join(tempfile.mkdtemp(), "log.txt")

    def f(x: Any) -> Any:
        y = x + 1
        with open(path, "a") as file:
            file.write(f"{tuple(x.shape)}\n")
        return y * 2

    def state() -> Any:
        return Path(path).read_text()

    return Case(f, state=state)


@construct("sys.stdout.write, flush")
def writes(torch: Any) -> Any:
    def f(x: Any) -> Any:
        sys.stdout.write("text\n")
        sys.stdout.flush()
        return x + 1

    return f


@construct("uuid, os.getpid, os.urandom")
def processes(torch: Any) -> Any:
    def f(x: Any) -> Any:
        return x + len(uuid.uuid4().hex) + (os.getpid() > 0), len(os.urandom(4))

    return f


@construct("with threading.Lock(), RLock")
def locks(torch: Any) -> Any:
    lock, again = threading.Lock(), threading.RLock()

    def f(x: Any) -> Any:
        with lock, again:
            y = x + 1
        return y * 2, lock.locked()

    return f


@construct("threading.local, thread name, Event")
def threads(torch: Any) -> Any:
    local, event = threading.local(), threading.Event()

    def f(x: Any) -> Any:
        local.k = x.shape[0]
        event.set()
        return x * local.k, threading.current_thread().name, event.is_set()

    return f


@construct(".item() used in arithmetic")
def item(torch: Any) -> Any:
    def f(x: Any) -> Any:
        s = x.sum().item()
        return x * s + float(x[0]), s + 1

    return f


@construct(".tolist() of a float tensor")
def tolist(torch: Any) -> Any:
    def f(x: Any) -> Any:
        return sum((x * 2).tolist()), x + 1

    return f


@construct("f-string of a tensor value")
def fstring(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x + 1
        text = f"{(y.sum() * 0 + 2).item():.1f}"
        return y, text

    return f


@construct("assert of a tensor condition")
def assert_tensor(torch: Any) -> Any:
    def f(x: Any) -> Any:
        assert (x < 100).all(), "too large"
        assert x.max() < 10, "over ten"
        return x * 2

    return f


@construct("bool, int and float of a tensor, index of a list by a tensor")
def conversions(torch: Any) -> Any:
    def f(x: Any) -> Any:
        k = torch.tensor(2)
        return [10, 20, 30][k] + int(k), bool(k), x * float(k)

    return f


@construct("boolean mask and nonzero")
def masks(torch: Any) -> Any:
    def f(x: Any) -> Any:
        return x[x > 0] * 2, torch.nonzero(x > 1), torch.where(x > 0, x, -x)

    return f
