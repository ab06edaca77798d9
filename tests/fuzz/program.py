"""Random programs over Tensors: readable Python functions with side effects, made from a seed.

A program is a list of statements over variables of known shape and dtype. Values computed by ops that every back end rounds
alike are `exact`; only these feed discontinuous ops (comparisons, floor, rounding casts) and branches: a difference is a defect
and not a rounded bit on the other side of a step.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from surroundings import DEPENDENCIES

SHAPES = [(), (1,), (5,), (4, 5), (4, 1), (1, 5), (3, 4, 5), (0, 5), (17,), (2, 33)]
FLOATS = ["float32", "float64", "float16", "bfloat16"]
INTS = ["int64", "int32", "int16", "int8", "uint8"]
DTYPES = {"float": FLOATS, "int": INTS, "bool": ["bool"], "any": FLOATS + INTS + ["bool"], "number": FLOATS + INTS}
SMOOTH = ["exp", "log1p", "sin", "cos", "tanh", "sigmoid", "erf", "sqrt", "expm1", "rsqrt", "log", "silu", "reciprocal"]
EXACT_UNARY = ["neg", "abs", "relu", "clone", "sign"]
STEPPED = ["floor", "ceil", "round", "trunc", "sign"]
EXACT_BINARY = ["add", "sub", "mul", "maximum", "minimum"]
COMPARES = ["eq", "ne", "lt", "le", "gt", "ge"]


@dataclass
class Var:
    """A variable of the program under construction."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    exact: bool = True
    owned: bool = False  # made inside, with memory of its own: may be written without touching an input
    small: bool = True  # bounded so that exp does not overflow
    grad: bool = False  # may require a gradient


@dataclass(frozen=True)
class Input:
    """A Tensor argument: `strided` ones have their dimensions in reverse order in memory."""

    shape: tuple[int, ...]
    dtype: str
    grad: bool = False
    strided: bool = False


@dataclass
class Program:
    """`statements` are the body of ``program(x0, x1, ..., *, n, way)``; `changes`: statements run before the later calls."""

    seed: int
    inputs: list[Input]
    statements: list[str]
    result: str
    changes: list[list[str]]
    coverage: Counter[str] = field(default_factory=Counter)

    @property
    def source(self) -> str:
        """Text of a function nested in `make`, for its closure cells."""
        head = "def program(" + ", ".join(f"x{k}" for k in range(len(self.inputs))) + ", *, n=2.0, way='up'):"
        body = "\n".join([*self.statements, f"return {self.result}"])
        declared = "nonlocal total\n" if "total" in body else ""
        return f"{head}\n" + textwrap.indent(declared + body, "    ") + "\n"

    def __str__(self) -> str:
        steps = "\n".join(f"# before call {i + 1}: {'; '.join(c) or 'new values'}" for i, c in enumerate(self.changes))
        inputs = ", ".join(f"x{k}: {i}" for k, i in enumerate(self.inputs))
        return f"# seed {self.seed}\n# {inputs}\n{steps}\n{self.source}"


def broadcastable(*shapes: tuple[int, ...]) -> bool:
    """Whether shapes go together."""
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


class Maker:
    """Builds one program. Each statement maker returns False where the variables at hand do not allow it."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.seed = seed
        self.lines: list[str] = []
        self.vars: list[Var] = []
        self.inputs: list[Input] = []
        self.changes: list[list[str]] = [[], [], []]
        self.seen: Counter[str] = Counter()
        self.count = self.drawn = 0

    def pick(self, items: Any) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def next_of(self, items: Any) -> Any:
        """As `pick`, but over all seeds each item comes up equally often."""
        self.drawn += 1
        return items[(self.seed + self.drawn) % len(items)]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def var(
        self, kind: str = "any", *, exact: bool = False, ndim: int = 0, nonempty: bool = False, small: bool = False
    ) -> Var | None:
        """A random variable, a late one rather than an early one; `kind` limits the dtypes, `ndim` is the least rank."""
        found = [
            v
            for v in self.vars
            if v.dtype in DTYPES[kind]
            and (v.exact or not exact)
            and len(v.shape) >= ndim
            and (0 not in v.shape or not nonempty)
            and (v.small or not small)
        ]
        if not found:
            return None
        return self.pick(found[-4:]) if self.chance(0.6) else self.pick(found)

    def emit(self, text: str, *kinds: str) -> bool:
        self.lines.append(text)
        self.seen.update(f"effect {k}" for k in kinds)
        return True

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def let(self, expr: str, like: Var, kind: str = "", **more: Any) -> bool:
        """A variable of the shape, dtype and quality of `like`, but for `more`."""
        name = self.fresh()
        self.vars.append(replace(like, name=name, **{"owned": True, **more}))
        self.seen[f"dtype {self.vars[-1].dtype}"] += 1
        return self.emit(f"{name} = {expr}", *([kind] if kind else []))

    # -- values --------------------------------------------------------------------------------------------------------

    def smooth(self) -> bool:
        v = self.var("float", small=True)
        return v is not None and self.let(f"fw.{self.pick(SMOOTH)}({v.name} * 0.5)", v, exact=False)

    def squash(self) -> bool:
        v = self.var("float")
        return v is not None and self.let(f"fw.tanh({v.name})", v, exact=False, small=True)

    def exact_unary(self) -> bool:
        v = self.var("number", exact=True)
        if v is None or v.dtype == "uint8":
            return False
        return self.let(f"fw.{self.pick(EXACT_UNARY)}({v.name})", v)

    def stepped(self) -> bool:
        v = self.var("float", exact=True)
        return v is not None and self.let(f"fw.{self.pick(STEPPED)}({v.name})", v)

    def pair(self, kind: str, exact: bool = False) -> tuple[Var, Var] | None:
        a = self.var(kind, exact=exact)
        others = [b for b in self.vars if a and b.dtype == a.dtype and broadcastable(a.shape, b.shape) and (b.exact or not exact)]
        return (a, self.pick(others)) if a and others else None

    def binary(self) -> bool:
        pair = self.pair("number")
        if pair is None:
            return False
        a, b = pair
        name = self.pick(EXACT_BINARY)
        shape, exact = np.broadcast_shapes(a.shape, b.shape), a.exact and b.exact
        small = name in ("maximum", "minimum") and a.small and b.small
        return self.let(f"fw.{name}({a.name}, {b.name})", a, shape=shape, exact=exact, small=small, grad=a.grad or b.grad)

    def mixed(self) -> bool:
        a, b = self.var("number"), self.var("any")
        if a is None or b is None or not broadcastable(a.shape, b.shape) or a.dtype == b.dtype:
            return False
        shape, exact = np.broadcast_shapes(a.shape, b.shape), a.exact and b.exact
        text = f"({a.name} {self.pick('*+')} {b.name}).float()"
        return self.let(text, a, "promotion", shape=shape, dtype="float32", exact=exact, small=False, grad=a.grad or b.grad)

    def scalar(self) -> bool:
        v = self.var("float")
        if v is None:
            return False
        form = self.pick(
            ["{0} * state.rate", "{0} + state.count", "2 - {0}", "{0} / 3", "{0} * -0.0 + {0}", "state.double - {0}"]
        )
        return self.let(form.format(v.name), v, "python scalar", exact="/" not in form and v.exact, small=False)

    def compare(self) -> bool:
        pair = self.pair("any", exact=True)
        if pair is None:
            return False
        a, b = pair
        return self.let(
            f"fw.{self.pick(COMPARES)}({a.name}, {b.name})",
            a,
            shape=np.broadcast_shapes(a.shape, b.shape),
            dtype="bool",
            grad=False,
        )

    def select(self) -> bool:
        pair, c = self.pair("number"), self.var("bool")
        if pair is None or c is None or not broadcastable(c.shape, pair[0].shape, pair[1].shape):
            return False
        a, b = pair
        shape = np.broadcast_shapes(a.shape, b.shape, c.shape)
        more = {"exact": a.exact and b.exact, "small": a.small and b.small, "grad": a.grad or b.grad}
        return self.let(f"fw.where({c.name}, {a.name}, {b.name})", a, shape=shape, **more)

    def cast(self) -> bool:
        v = self.var("any", exact=True)
        if v is None:
            return False
        to = self.pick(FLOATS + (INTS + ["bool"] if v.dtype not in FLOATS else []))
        return self.let(f"{v.name}.to(fw.{to})", v, dtype=to, owned=v.dtype != to, grad=v.grad and to in FLOATS)

    def reduce(self) -> bool:
        v = self.var("float", ndim=1, nonempty=True)
        if v is None:
            return False
        d, keep, name = int(self.rng.integers(len(v.shape))), self.chance(0.5), self.pick(["sum", "mean", "amax", "amin", "var"])
        name = "mean" if name == "var" and v.shape[d] < 2 else name
        shape = v.shape[:d] + ((1,) if keep else ()) + v.shape[d + 1 :]
        exact = v.exact and name in ("amax", "amin")
        return self.let(f"{v.name}.{name}(dim={d}, keepdim={keep})", v, shape=shape, exact=exact, small=False)

    def composite(self) -> bool:
        v = self.var("float", ndim=1, nonempty=True)
        if v is None:
            return False
        form = self.pick(
            ["F.softmax({0}, dim=-1)", "F.log_softmax({0}, dim=-1)", f"F.layer_norm({{0}}, ({v.shape[-1]},))", "F.gelu({0})"]
        )
        return self.let(form.format(v.name), v, exact=False, small=False)

    #: what models are made of: (rank, 0 for any; expression; shape of the result from the operand's; exact)
    LAYERS: dict[str, tuple[int, str, Callable[[tuple[int, ...]], tuple[int, ...]], bool]] = {
        "embedding": (2, "F.embedding(fw.arange({0}.shape[0]) // 2, {0})", tuple, True),
        "rows by index": (0, "{0}[fw.arange({0}.shape[0]) // 2]", tuple, True),
        "rows by mask": (0, "{0}[fw.arange({0}.shape[0]) % 2 == 0]", lambda s: ((s[0] + 1) // 2, *s[1:]), True),
        "gather": (0, "{0}.gather(0, fw.zeros({0}.shape, dtype=fw.int64))", tuple, True),
        "scatter_add": (0, "({0} * 0).scatter_add(0, fw.zeros({0}.shape, dtype=fw.int64), {0})", tuple, False),
        "index_add": (0, "{0}.index_add(0, fw.arange({0}.shape[0]) // 2, {0})", tuple, False),
        "cumsum": (0, "{0}.cumsum(0)", tuple, False),
        "logsumexp": (0, "fw.logsumexp({0}, dim=0, keepdim=True)", lambda s: (1, *s[1:]), False),
        "roll": (0, "fw.roll({0}, 1, 0)", tuple, True),
        "pad": (0, "F.pad({0}, (1, 2), value=0.5)", lambda s: (*s[:-1], s[-1] + 3), True),
        "einsum": (2, "fw.einsum('ij,kj->ik', {0}, {0})", lambda s: (s[0], s[0]), False),
        "attention": (3, "F.scaled_dot_product_attention({0}, {0}, {0}, is_causal=True)", tuple, False),
        "conv": (3, "F.conv1d({0}, fw.ones({0}.shape[1], {0}.shape[1], 3, dtype={0}.dtype) * 0.25, padding=1)", tuple, False),
        "pool": (3, "F.avg_pool1d({0}, 3, stride=1, padding=1)", tuple, False),
        "batch_norm": (3, "F.batch_norm({0}, None, None, training=True)", tuple, False),
        "cross_entropy": (2, "F.cross_entropy({0}, fw.arange({0}.shape[0]) % {0}.shape[1])", lambda s: (), False),
    }

    def layer(self) -> bool:
        kind = self.next_of(list(self.LAYERS))
        rank, form, shaped, exact = self.LAYERS[kind]
        v = self.var("float", ndim=1, nonempty=True, small=True)
        if v is None or (rank and len(v.shape) > rank):
            return False
        missing = max(0, rank - len(v.shape))
        text = form.format(v.name + ".unsqueeze(0)" * missing)
        shape = shaped((1,) * missing + v.shape)
        return self.let(text, v, f"layer: {kind}", shape=shape, exact=exact and v.exact, small=exact)

    def matmul(self) -> bool:
        v = self.var("float", ndim=2, nonempty=True, small=True)
        if v is None:
            return False
        shape = v.shape[:-1] + (v.shape[-2],)
        return self.let(f"fw.matmul({v.name}, {v.name}.transpose(-1, -2)) * 0.25", v, shape=shape, exact=False, small=False)

    def view(self) -> bool:
        v = self.var(ndim=1)
        if v is None:
            return False
        kind = self.pick(["slice", "order", "unsqueeze", "expand", "reshape", "cat", "flat"])
        text, shape = self._view(kind, v)
        return self.let(text, v, f"view: {kind}", shape=shape, owned=kind == "cat")

    def _view(self, kind: str, v: Var) -> tuple[str, tuple[int, ...]]:
        name, shape = v.name, v.shape
        if kind == "slice":
            d = int(self.rng.integers(len(shape)))
            return f"{name}[{':, ' * d}1:]", shape[:d] + (max(0, shape[d] - 1),) + shape[d + 1 :]
        if kind == "unsqueeze":
            return f"{name}.unsqueeze(0)", (1, *shape)
        if kind == "expand":
            return f"{name}.unsqueeze(0).expand(2, {', '.join(map(str, shape))})", (2, *shape)
        if kind == "reshape" or kind == "flat":
            size = int(np.prod(shape))
            return f"{name}.{'reshape' if kind == 'reshape' else 'contiguous().view'}({-1 if size else 0})", (size,)
        if kind == "cat":
            return f"fw.cat([{name}, {name}], dim=0)", (2 * shape[0], *shape[1:])
        return f"{name}.permute({', '.join(map(str, reversed(range(len(shape)))))})", shape[::-1]

    def random(self) -> bool:
        shape = self.pick(SHAPES[1:6])
        size = ", ".join(map(str, shape))
        text, exact = self.pick(
            [(f"fw.rand({size})", True), (f"F.dropout(fw.ones({size}), 0.3)", False), (f"fw.randn({size})", False)]
        )
        return self.let(text, Var("", shape, "float32"), "random", exact=exact)

    def unused_draw(self) -> bool:
        return self.emit("fw.rand(3)", "random number not used")

    # -- effects -------------------------------------------------------------------------------------------------------

    def write(self) -> bool:
        """In place: on an input, on a view of one, or on a tensor made here."""
        v = self.var("float", nonempty=True)
        if v is None or (v.grad and self.chance(0.9)):
            return False
        kinds = ["in place", "whole"] + (
            ["through a view", "by index", "from a reduction", "from a part", "of a copy"] if v.shape else []
        )
        kind = self.pick(kinds)
        text = {
            "in place": f"{v.name}.{self.pick(['mul_', 'add_', 'sub_'])}(0.5)",
            "whole": f"{v.name}.copy_({v.name} * 0.5)",
            "from a reduction": f"{v.name}.sub_({v.name}.amax(dim=0, keepdim=True))",
            "from a part": f"{v.name}.mul_({v.name}[:1] * 0.5)",
            "of a copy": f"t = {v.name}.clone()\n{v.name}.add_(1.0)\n{v.name}.copy_(t * 0.5)",
            "through a view": f"{v.name}[..., 0:1] += 1.0",
            "by index": f"{v.name}[0] = {v.name}[-1] * 2.0",
        }[kind]
        where = "an input" if v.name[0] == "x" else "a fresh tensor" if v.owned else "a view"
        self.taint(v)
        return self.emit(text, f"write {kind}", f"write to {where}")

    def write_then_read(self) -> bool:
        """A view is taken, its base written, and the view read (and the other way round)."""
        v = self.var("float", ndim=1, nonempty=True)
        if v is None or v.grad:
            return False
        self.taint(v)
        name = self.fresh()
        if self.chance(0.5):
            self.emit(f"{name} = {v.name}[0]\n{v.name}.add_(1.0)\n{name} = {name} * 2.0", "view read after a write to its base")
        else:
            self.emit(
                f"{name} = {v.name}[0]\n{name}.mul_(0.25)\n{name} = {v.name}[0] + {name}", "base read after a write to its view"
            )
        self.vars.append(replace(v, name=name, shape=v.shape[1:], owned=True, small=False))
        return True

    def taint(self, written: Var) -> None:
        """Views of what was written change too; nothing known as small stays so."""
        for v in self.vars:
            v.small = False
            v.exact = v.exact and written.exact

    STATE = {
        "attribute": "state.count += 1",
        "attribute to a float": "state.rate = state.rate * 0.5 + 0.25",
        "list append": "state.items.append(state.count)",
        "list item": "state.more.append(0)\nstate.more[-1] = state.count",
        "dict item": "state.table['n'] = state.table.get('n', 0) + 1",
        "dict pop": "state.table['gone'] = 1\nstate.table.pop('gone')",
        "set add": "state.seen.add(state.count)",
        "slot": "state.item.size = state.item.size + 1",
        "new attribute": "state.fresh = state.count * 2",
        "deleted attribute": "state.gone = 1\ndel state.gone",
        "global": "bump()",
        "global dict": "COUNTS['calls'] = COUNTS['calls'] + 1",
        "nonlocal": "total = total + 1",
        "print": "print('count', state.count)",
        "opaque call": "opaque('here')",
        "opaque result": "state.last = opaque(state.count)",
        "new object": "state.item = Item(state.count)",
        "grad mode left": "fw.set_grad_enabled(state.count % 3 != 0)",
    }
    TENSOR_STATE = {
        "attribute to a tensor": "state.last = {0}",
        "list append of a tensor": "state.more.append({0})",
        "dict item to a tensor": "state.table['t'] = {0}",
        "buffer": "net.mean = net.mean * 0.5 + 0.25\nstate.last = {0}",
        "opaque call on a tensor": "opaque({0}.dtype is fw.float32)",
        "opaque write": "{0} = {0} + 0.0\nwritten_outside({0})",
        "print a tensor": "print({0}.shape, {0}.dtype)",
    }

    def state_change(self) -> bool:
        v = self.var("float")
        if v is not None and self.chance(0.4):
            kind = self.next_of(list(self.TENSOR_STATE))
            if kind == "opaque write":
                v.owned, v.small = True, False
            return self.emit(self.TENSOR_STATE[kind].format(v.name), kind)
        kind = self.next_of(list(self.STATE))
        return self.emit(self.STATE[kind], kind)

    FLOW = {
        "branch on count": "if state.count % 2:\n    {o} = {v} + 1.0\nelse:\n    {o} = {v} - 1.0",
        "loop": "{o} = {v}\nfor k in range(3):\n    {o} = {o} * 0.5 + k",
        "while": "{o} = {v}\nk = 0\nwhile k < 2:\n    k += 1\n    {o} = {o} - k",
        "inner function": "def inner(t, scale=0.5):\n    return t * scale + state.count\n"
        "{o} = inner({v}) + inner({v}, scale=2.0)",
        "opaque call in a loop": "{o} = {v}\nfor k in range(2):\n    opaque(k)\n    {o} = {o} + 1.0",
        "opaque call in an inner function": "def inner(t):\n    u = t * 2.0\n    opaque('inner')\n    return u - t\n"
        "{o} = inner({v}) + 1.0",
        "opaque call in try": "try:\n    {o} = {v} + 1.0\n    opaque('try')\n    {o} = {o} * 2.0\nfinally:\n    state.count += 1",
        "opaque call in with": "with fw.no_grad():\n    {o} = {v} * 2.0\n    opaque('with')\n    {o} = {o} + {v}",
        "comprehension": "{o} = sum([{v} * k for k in (1, 2)])",
        "generator": "{o} = sum({v} * k for k in (1, 2))",
        "no_grad": "with fw.no_grad():\n    {o} = {v} * 2.0\n{o} = {o} * {v}",
        "detach": "{o} = {v}.detach() * 2.0 + {v}",
        "try": "try:\n    state.table['absent']\n    {o} = {v}\nexcept KeyError:\n    {o} = {v} + 2.0",
        "caught after a write": "{o} = {v} + 1.0\ntry:\n    {o}.add_(1.0)\n    state.count += 1\n    raise ValueError('inside')\n"
        "except ValueError as error:\n    state.last = str(error)\n    {o} = {o} * 2.0",
        "raises on the second call": "if COUNTS['calls'] == 1:\n    COUNTS['calls'] = 2\n    raise RuntimeError('second call')\n"
        "COUNTS['calls'] += 1\n{o} = {v} * 1.0",
        "unpacking": "first, *rest = [{v}, {v} * 2.0, {v} * 3.0]\n{o} = first + rest[-1]",
        "dict of tensors": "d = {{'p': {v}, 'q': {v} + 1.0}}\nd['p'] = d['q'] * 2.0\n{o} = sum(d.values())",
        "lambda": "{o} = (lambda t, k=state.count: t + k)({v})",
    }

    def flow(self) -> bool:
        v = self.var("float", nonempty=True)
        if v is None:
            return False
        kind = self.next_of(list(self.FLOW))
        name = self.fresh()
        self.vars.append(replace(v, name=name, owned=kind != "try", small=False))
        return self.emit(self.FLOW[kind].format(o=name, v=v.name), f"flow: {kind}")

    def read_value(self) -> bool:
        """A branch on the value of a tensor."""
        v = self.var("float", exact=True, nonempty=True)
        if v is None:
            return False
        name = self.fresh()
        self.vars.append(replace(v, name=name, owned=True, small=False))
        test = self.pick([f"{v.name}.amax().item() > 1", f"({v.name} > 0).any()", f"bool(({v.name} == 0).all())"])
        return self.emit(f"if {test}:\n    {name} = {v.name} + 1.0\nelse:\n    {name} = {v.name} * 2.0", "branch on a tensor")

    def wrong(self) -> bool:
        """What raises: shapes that do not fit, an index out of range."""
        v = self.var("float", ndim=1, nonempty=True)
        if v is None:
            return False
        n = v.shape[0]
        if self.chance(0.5):
            return self.emit(
                f"if state.count > {int(self.rng.integers(1, 4))}:\n    state.last = {v.name} + fw.ones({v.shape[-1] + 2})",
                "shapes that do not fit",
            )
        name = self.pick(["state.last = ", ""])
        index = f"fw.full((1, 1), {n - 1} if state.count < {self.pick([2, 3])} else {n}, dtype=fw.int64)"
        return self.emit(f"{name}{v.name}.contiguous().view({n}, -1).gather(0, {index})", "index out of range")

    def depend(self) -> bool:
        """Something around the program is read, and changes before one of the later calls."""
        v = self.var("float", nonempty=True)
        if v is None:
            return False
        kind = "shared memory" if self.chance(0.04) else self.next_of(list(DEPENDENCIES))
        which = DEPENDENCIES[kind]
        if kind in ("same tensor", "shared memory") and (self.inputs[0].grad or self.inputs[0].dtype not in FLOATS):
            return False
        name = self.fresh()
        if kind == "shared memory":
            self.taint(self.vars[0])
        if kind == "shared memory":
            v = replace(v, exact=False)
        self.vars.append(replace(v, name=name, owned=False, small=False))
        idle = [c for c in self.changes if len(c) == min(map(len, self.changes))]  # one change at a time hides no other
        self.pick(idle).append(self.pick(which.changes).replace("{{", "{").replace("}}", "}"))
        return self.emit(which.read.format(o=name, v=v.name), f"depends on {kind}")

    STATEMENTS = {
        "smooth": 1,
        "squash": 1,
        "exact_unary": 1,
        "stepped": 1,
        "binary": 2,
        "mixed": 2,
        "scalar": 1,
        "compare": 1,
        "select": 1,
        "cast": 1,
        "reduce": 1,
        "composite": 1,
        "layer": 6,
        "matmul": 1,
        "view": 3,
        "random": 1,
        "unused_draw": 1,
        "write": 4,
        "write_then_read": 1,
        "state_change": 9,
        "flow": 7,
        "read_value": 1,
        "wrong": 2,
        "depend": 13,
    }

    def make(self, statements: int) -> Program:
        """A program of so many statements; a third of them have inputs with gradients."""
        graded = self.chance(0.35)
        for k in range(int(self.rng.integers(2, 5))):
            dtype = self.pick(FLOATS[:2] * 4 + FLOATS + INTS + ["bool"]) if k > 1 else "float32"
            shape = self.inputs[0].shape if k == 1 else self.pick(SHAPES)
            grad = graded and dtype in FLOATS and self.chance(0.6)
            self.inputs.append(Input(shape, dtype, grad, len(shape) == 2 and self.chance(0.3)))
            self.vars.append(Var(f"x{k}", shape, dtype, grad=grad))
            self.seen["effect gradient"] += grad
        while len(self.lines) < statements:
            getattr(self, self.pick([name for name, n in self.STATEMENTS.items() for _ in range(n)]))()
        return self.finish()

    FORMS = {
        "a tuple": "({0}, {1}, {2})",
        "a list": "[{0}, {1}]",
        "a dict": "{{'a': {0}, 'b': {1}}}",
        "one": "{1}",
        "nested": "({0}, [{1}, state.count], {{'c': {2}}})",
        "an input": "(x0, {1})",
        "a view of an input": "(x0.view(-1)[:1], {1}, {2})",
        "one twice": "({1}, {1})",
        "a result and a part of it": "({1}, {1}[..., :1] if {1}.dim() else {1}, {0})",
        "an object": "(Item({1}).size, {0}, state.mode)",
    }

    def finish(self) -> Program:
        names = [v.name for v in self.vars[-4:]]
        kind = self.next_of(list(self.FORMS))
        self.seen[f"effect returns {kind}"] += 1
        result = self.FORMS[kind].format(names[0], names[-1], names[len(names) // 2])
        return Program(self.seed, self.inputs, self.lines, result, self.changes, self.seen)


def make(seed: int, statements: int | None = None) -> Program:
    """The program of this seed."""
    maker = Maker(seed)
    return maker.make(int(maker.rng.integers(3, 13)) if statements is None else statements)


def kinds() -> list[str]:
    """Every kind of effect and dependency that programs are made of, as `Program.coverage` counts them."""
    found = [*Maker.STATE, *Maker.TENSOR_STATE, *(f"flow: {k}" for k in Maker.FLOW), *(f"depends on {k}" for k in DEPENDENCIES)]
    found += [f"returns {k}" for k in Maker.FORMS]
    found += [f"layer: {k}" for k in Maker.LAYERS]
    found += [f"view: {k}" for k in ("slice", "order", "unsqueeze", "expand", "reshape", "cat", "flat")]
    found += [
        f"write {k}" for k in ("in place", "whole", "through a view", "by index", "from a reduction", "from a part", "of a copy")
    ]
    found += [f"write to {k}" for k in ("an input", "a fresh tensor", "a view")]
    found += [
        "view read after a write to its base",
        "base read after a write to its view",
        "random",
        "random number not used",
        "promotion",
    ]
    found += ["python scalar", "branch on a tensor", "shapes that do not fit", "index out of range", "gradient"]
    return [f"effect {k}" for k in found]


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """The program with every statement and change dropped without which `fails` still holds."""
    best = program
    for k in reversed(range(len(program.statements))):
        cut = replace(best, statements=best.statements[:k] + best.statements[k + 1 :])
        best = cut if fails(cut) else best
    for call, steps in enumerate(best.changes):
        for k in reversed(range(len(steps))):
            changes = [list(c) for c in best.changes]
            del changes[call][k]
            cut = replace(best, changes=changes)
            best = cut if fails(cut) else best
    return best
