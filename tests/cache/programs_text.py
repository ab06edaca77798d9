"""The program of the second-process tests: scenarios whose compiled results are compared with eager ones in the same process.

`PROGRAM` and `HELPER` are the texts of two modules; `EDITS` are changes of one line each, after which an old capture of some
scenario would give a wrong result.
"""

from __future__ import annotations

HELPER = '''
import enum
import functools

OFFSET = 1.0
TABLE = {"a": 2.0, "b": 3.0}


class Mode(enum.Enum):
    PLUS = 1
    MINUS = 2


MODE = Mode.PLUS


def twice(x):
    return x * 2


def outer(x):
    return inner(x) + OFFSET


def inner(x):
    return x - 0.5


def with_default(x, factor=3.0, *, shift=0.25):
    return x * factor + shift


def decorated(fn):
    @functools.wraps(fn)
    def wrapper(*args):
        return fn(*args) + 1
    return wrapper


@decorated
def wrapped(x):
    return x * 5


class Base:
    power = 2

    def scaled(self, x):
        return x * self.power

    @property
    def size(self):
        return 4.0

    @staticmethod
    def fixed(x):
        return x + 10

    @classmethod
    def named(cls, x):
        return x * cls.power + 1

    def __call__(self, x):
        return self.scaled(x) + self.size


class Derived(Base):
    def __init__(self):
        self.bias = 0.5

    def scaled(self, x):
        return super().scaled(x) + self.bias


def made(n):
    def closure(x):
        return x * n
    return closure


closed = made(7.0)
THING = Derived()
'''

PROGRAM = '''
import json
import sys

import numpy as np

import fusewire as torch
import helper
from fusewire import nn
from fusewire.runtime import store

FACTOR = 1.5


def plain(x):
    return x * x + 1


def callee(x):
    return helper.twice(x) + helper.outer(x)


def module_global(x):
    return x * FACTOR + helper.TABLE["a"]


def defaults(x):
    return helper.with_default(x)


def wrapped(x):
    return helper.wrapped(x)


def closed(x):
    return helper.closed(x)


def an_object(x):
    return helper.THING(x) + helper.THING.fixed(x) + helper.THING.named(x)


def mode(x):
    return x + 1 if helper.MODE is helper.Mode.PLUS else x - 1


def containers(x):
    out = []
    for key, value in helper.TABLE.items():
        out.append((key, x * value))
    return {"all": out, "n": len(out)}


def breaks(x):
    y = x * 2
    print("a break", file=sys.stderr)
    return y + helper.OFFSET


def writes(x):
    x.add_(1)
    return x * 2


def random(x):
    return x + torch.rand(3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 2)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.second(torch.relu(self.first(x)))


def net():
    torch.manual_seed(3)
    return Net()


def training(compiled):
    model = net()
    fn = torch.compile(model) if compiled else model
    x = torch.arange(12.0).reshape(3, 4)
    for _ in range(2):
        fn(x).sum().backward()
    grads = [p.grad.tolist() for p in model.parameters()]
    return grads, model.calls


def inference(compiled):
    model = net()
    fn = torch.compile(model) if compiled else model
    with torch.no_grad():
        return [fn(torch.ones(n, 4)).tolist() for n in (2, 3, 5)]


def partly(compiled):
    a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    fn = lambda a, b: (a * b, (a * a).exp())
    fn = torch.compile(fn) if compiled else fn
    fn(a, b)[1].sum().backward()
    return a.grad.tolist(), b.grad is None


SIMPLE = (plain, callee, module_global, defaults, wrapped, closed, an_object, mode, containers, breaks, writes, random)
WHOLE = (training, inference, partly)


def plainly(x):
    if isinstance(x, torch.Tensor):
        return x.tolist()
    if isinstance(x, (list, tuple)):
        return [plainly(y) for y in x]
    return {k: plainly(v) for k, v in x.items()} if isinstance(x, dict) else x


def run(fn):
    torch.manual_seed(1)
    x = torch.arange(3.0)
    return [plainly(fn(x)), plainly(fn(x)), x.tolist()]


def same(a, b):
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return np.allclose(a, b, rtol=1e-5, atol=1e-6) if isinstance(a, float) else a == b


def main():
    captured = []
    if "--count" in sys.argv:
        from fusewire.tracer import dispatch
        real = dispatch.capture
        def counting(function, *args):
            captured.append(function.__name__)
            return real(function, *args)
        dispatch.capture = counting
    wrong = [fn.__name__ for fn in SIMPLE if not same(run(torch.compile(fn)), run(fn))]
    wrong += [fn.__name__ for fn in WHOLE if not same(fn(True), fn(False))]
    stats = {f"{kind} {what}": n for (kind, what), n in store.stats.items()}
    print(json.dumps({"wrong": wrong, "captured": captured, "llvmlite": "llvmlite" in sys.modules, "stats": stats}))


main()
'''

#: (module, old line, new line)
EDITS: tuple[tuple[str, str, str], ...] = (
    ("helper", "    return x * 2\n", "    return x * 4\n"),
    ("helper", "    return x - 0.5\n", "    return x - 0.75\n"),
    ("helper", "OFFSET = 1.0\n", "OFFSET = 2.0\n"),
    ("helper", '"a": 2.0,', '"a": 2.5,'),
    ("helper", '"b": 3.0}', '"c": 3.0}'),
    ("helper", "factor=3.0,", "factor=4.0,"),
    ("helper", "shift=0.25", "shift=0.5"),
    ("helper", "    return x * 5\n", "    return x * 6\n"),
    ("helper", "fn(*args) + 1\n", "fn(*args) + 2\n"),
    ("helper", "    power = 2\n", "    power = 3\n"),
    ("helper", "return x * self.power\n", "return x + self.power\n"),
    ("helper", "        return 4.0\n", "        return 5.0\n"),
    ("helper", "        return x + 10\n", "        return x + 11\n"),
    ("helper", "cls.power + 1\n", "cls.power + 2\n"),
    ("helper", "self.bias = 0.5\n", "self.bias = 0.75\n"),
    ("helper", "made(7.0)", "made(8.0)"),
    ("helper", "MODE = Mode.PLUS", "MODE = Mode.MINUS"),
    ("helper", "class Derived(Base):\n", "class Derived(type('Other', (Base,), {'size': 9.0})):\n"),
    ("program", "FACTOR = 1.5\n", "FACTOR = 2.5\n"),
    ("program", "    return x * x + 1\n", "    return x * x + 2\n"),
    ("program", "self.second(torch.relu(", "self.second(torch.tanh("),
    ("program", "        self.calls += 1\n", "        self.calls += 2\n"),
)
