"""What a program may depend on besides its tensors' values: a statement that reads it, and a change between two calls.

Each entry is one kind of thing that a guard must watch. Statements are templates: {v} is a floating variable, {o} the variable
to make, of the shape and dtype of {v} unless `reshapes`. Changes are Python statements run between calls, with the program's own
names (`state`, `args`, `keywords`, and its globals through `scope`) in reach.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Defined in front of every program: the surroundings in their first form. Each run has its own copy of all of it.
PRELUDE = """
import types

LEVEL = 2
COUNTS = {"calls": 0}
LIMITS = (0.5, [1.0, 2.0])
log = []

def helper(t, scale=0.5, *, shift=0.25):
    return t * scale + shift

def other_helper(t, scale=0.5, *, shift=0.25):
    return t - scale * shift

def bump():
    global LEVEL
    LEVEL = LEVEL + 1

@fw.compiler.disable
def opaque(what):
    log.append(what)
    return len(log)

class Item:
    __slots__ = ("size",)

    def __init__(self, size):
        self.size = size

class State:
    factor = 1.5

    def __init__(self):
        self.count, self.rate, self.items, self.table = 1, 0.75, [0, 1.5], {"a": 1, "b": 2.0}
        self.more, self.seen, self.last, self.item, self.mode = [], set(), None, Item(3), "plain"
        self.bias = fw.full((1,), 0.5)
        self.other_bias = fw.full((1,), 0.25)

    def scale(self, t):
        self.count += 1
        return t * self.factor

    @property
    def double(self):
        return self.rate * 2

class Net(fw.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = fw.nn.Parameter(fw.full((1,), 1.25))
        self.register_buffer("mean", fw.full((1,), 0.5))
        self.steps = 0
        self.act = fw.nn.ReLU()

    def forward(self, t):
        self.steps += 1
        out = self.act(t * self.gain) - self.mean
        return out * 2 if self.training else out

state, net = State(), Net()

def make(start):
    offset = start
    def set_offset(value):
        nonlocal offset
        offset = value
    def set_total(value):
        nonlocal total
        total = value
    total = 0
"""


@dataclass(frozen=True)
class Dependency:
    """`read`: a statement of the program; `changes`: what may happen between two calls, one of them is taken."""

    read: str
    changes: tuple[str, ...]


DEPENDENCIES: dict[str, Dependency] = {
    "attribute number": Dependency(
        "{o} = {v} * state.rate",
        ("state.rate = -0.5", "state.rate = 3", "state.rate = True", "state.rate = fw.full((1,), 2.0)", "state.rate = -0.0"),
    ),
    "attribute branch": Dependency(
        "{o} = {v} + 1.0 if state.mode == 'plain' else {v} - 1.0",
        ("state.mode = 'other'", "state.mode = None", "state.mode = ''.join(['pl', 'ain'])"),
    ),
    "number kind": Dependency(
        "{o} = {v} + 1.0 if isinstance(state.rate, float) else {v} * 3.0",
        ("state.rate = 1", "state.rate = True", "state.rate = None"),
    ),
    "property": Dependency(
        "{o} = {v} - state.double", ("state.rate = 0.125", "State.double = property(lambda self: self.rate * 3)")
    ),
    "method": Dependency(
        "{o} = state.scale({v})",
        (
            "State.factor = 2.5",
            "state.factor = -1.0",
            "State.scale = lambda self, t: t - self.factor",
            "state.scale = lambda t: t * 0.5",
            "state.__class__ = type('Sub', (State,), {{'factor': 4.0}})",
        ),
    ),
    "slot": Dependency("{o} = {v} * state.item.size", ("state.item.size = 5", "state.item = Item(2)", "state.item.size = 1.5")),
    "missing attribute": Dependency(
        "{o} = {v} + getattr(state, 'bonus', 1.0)",
        ("state.bonus = 2.0", "State.bonus = 3.0", "state.bonus = 2.0; del state.bonus"),
    ),
    "list": Dependency(
        "{o} = {v}\nfor k in state.items:\n    if isinstance(k, (int, float)):\n        {o} = {o} * 0.5 + k",
        ("state.items.append(3)", "state.items[0] = 7.5", "state.items = [2]", "state.items.reverse()", "state.items.clear()"),
    ),
    "list length": Dependency(
        "{o} = {v} * len(state.more)", ("state.more.append(None)", "state.more = [1, 2, 3]", "state.more = ()")
    ),
    "dict": Dependency(
        "{o} = {v}\nfor key, k in state.table.items():\n    if isinstance(k, (int, float)):\n"
        "        {o} = {o} + k if key < 'b' else {o} * 0.5",
        (
            "state.table['a'] = -3",
            "state.table['a'] = state.table.pop('a', 1.0)",
            "state.table['c'] = 0.5",
            "state.table.pop('b', None)",
        ),
    ),
    "missing key": Dependency(
        "{o} = {v} + state.table.get('extra', 1.0)",
        ("state.table['extra'] = 2.0", "state.table = {{}}", "state.table = {{'extra': -1.0}}"),
    ),
    "one object twice": Dependency(
        "state.more.append(1)\n{o} = {v} * len(state.items) if state.more is state.items else {v} - len(state.items)",
        ("state.more = state.items", "state.items = state.more"),
    ),
    "objects apart": Dependency(
        "state.more.append(2)\n{o} = {v} + len(state.items)", ("state.items = state.more", "state.more = state.items")
    ),
    "global number": Dependency(
        "{o} = {v} + LEVEL",
        ("scope['LEVEL'] = 5", "scope['LEVEL'] = 2**70", "scope['LEVEL'] = 1.5", "scope['LEVEL'] = fw.ones(1)"),
    ),
    "global branch": Dependency(
        "{o} = {v} * 2.0\nif LEVEL > 2:\n    {o} = {v} - 2.0", ("scope['LEVEL'] = 7", "scope['LEVEL'] = 1")
    ),
    "global container": Dependency(
        "{o} = {v} - LIMITS[0] * LIMITS[1][0]", ("scope['LIMITS'] = (1.5, [2.0])", "LIMITS[1][0] = 4.0")
    ),
    "global function": Dependency(
        "{o} = helper({v})",
        (
            "scope['helper'] = other_helper",
            "helper.__code__ = other_helper.__code__",
            "helper.__defaults__ = (2.0,)",
            "helper.__kwdefaults__ = {{'shift': -1.0}}",
        ),
    ),
    "shadowed builtin": Dependency("{o} = {v} * len('abc')", ("scope['len'] = lambda x: 5",)),
    "library attribute": Dependency(
        "{o} = fw.relu({v})", ("scope['fw'] = types.SimpleNamespace(**vars(fw)); scope['fw'].relu = fw.neg",)
    ),
    "closure": Dependency("{o} = {v} + offset", ("set_offset(2.5)", "set_offset(3)", "set_offset(fw.full((1,), 1.0))")),
    "number argument": Dependency(
        "{o} = {v} * n", ("keywords['n'] = -1.5", "keywords['n'] = 3", "keywords['n'] = True", "keywords['n'] = -0.0")
    ),
    "argument branch": Dependency(
        "{o} = {v} - 1.0 if n is None else {v} + n",
        ("keywords['n'] = None", "keywords['n'] = float('nan')", "keywords['n'] = fw.ones(1)"),
    ),
    "argument count": Dependency(
        "{o} = {v}\nfor k in range(int(n) if isinstance(n, (int, float)) and n == n else 1):\n    {o} = {o} * 0.5 + k",
        ("keywords['n'] = 4", "keywords['n'] = 0", "keywords['n'] = 1"),
    ),
    "text argument": Dependency(
        "{o} = {{'up': {v} + 1.0, 'down': {v} - 1.0}}[way]", ("keywords['way'] = 'down'", "keywords['way'] = 'none'")
    ),
    "module": Dependency(
        "{o} = net({v})",
        (
            "net.eval()",
            "net.gain = fw.nn.Parameter(fw.full((1,), -2.0))",
            "net.mean = fw.full((1,), 3.0)",
            "net.act = fw.nn.Identity()",
            "net.register_forward_hook(lambda m, a, out: out * 3)",
            "net.forward = lambda t: t - 1.0",
            "net.gain.requires_grad_(False)",
            "net.act.register_forward_pre_hook(lambda m, a: log.append('hook'))",
        ),
    ),
    "tensor attribute": Dependency(
        "{o} = {v} + state.bias",
        (
            "state.bias = fw.full((1,), -2.0)",
            "state.bias = fw.full((), 4.0)",
            "state.bias = 1.5",
            "state.bias = fw.full((1,), 2, dtype=fw.int64)",
            "state.bias.requires_grad_(True)",
        ),
    ),
    "written tensor attribute": Dependency(
        "state.bias.add_(1.0)\n{o} = {v} * state.other_bias", ("state.other_bias = state.bias", "state.bias = state.other_bias")
    ),
    "grad mode": Dependency(
        "{o} = {v} * 2.0 if fw.is_grad_enabled() else {v} * 3.0",
        ("flags['no_grad'] = True", "flags['no_grad'] = not flags['no_grad']"),
    ),
    "requires_grad": Dependency("{o} = {v} + 1.0 if {v}.requires_grad else {v} - 1.0", ("toggle(args)",)),
    "shape": Dependency("{o} = {v} * {v}.shape[0] if {v}.dim() else {v} + 1.0", ("args[:] = resized(args)",)),
    "dtype": Dependency("{o} = {v} + 1.0 if {v}.dtype is fw.float32 else {v} * 0.5", ("args[:] = recast(args)",)),
    "strides": Dependency("{o} = {v} + 1.0 if {v}.is_contiguous() else {v} * 0.5", ("args[:] = restrided(args)",)),
    "same tensor": Dependency("{o} = {v} + 1.0 if x0 is x1 else {v} * 0.5", ("args[1] = args[0]",)),
    "shared memory": Dependency(
        "x0.mul_(0.5)\n{o} = {v} + x1.sum().to({v}.dtype)", ("args[1] = args[0]", "args[1] = args[0].view(args[0].shape)")
    ),
}
