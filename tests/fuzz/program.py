"""Random programs over Tensors: readable Python functions with side effects, made from a seed.

A program is a list of statements over variables of known shape and dtype. Values computed by ops that every back end rounds
alike are `exact`; only these feed discontinuous ops (comparisons, floor, rounding casts), so a difference is a defect and not
a rounded bit on the other side of a step.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SHAPES = [(), (1,), (5,), (4, 5), (4, 1), (1, 5), (3, 4, 5), (0, 5), (17,), (2, 33)]
FLOATS = ["float32", "float64", "float16", "bfloat16"]
INTS = ["int64", "int32", "int16", "int8", "uint8"]
SMOOTH = ["exp", "log1p", "sin", "cos", "tanh", "sigmoid", "erf", "sqrt", "expm1", "rsqrt", "log"]
EXACT_UNARY = ["neg", "abs", "relu"]
STEPPED = ["floor", "ceil", "round", "trunc", "sign"]
EXACT_BINARY = ["add", "sub", "mul", "maximum", "minimum"]
COMPARES = ["eq", "ne", "lt", "le", "gt", "ge"]
MAKES_FRESH = ["tensor"]


@dataclass
class Var:
    """A variable of the program under construction."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    exact: bool = True
    owned: bool = False  # made inside, with memory of its own: may be written without touching an input
    small: bool = True  # bounded so that exp does not overflow


@dataclass
class Program:
    """`source` defines ``program(state, *tensors)``; `inputs` are (shape, dtype, requires_grad) of the tensors."""

    seed: int
    source: str
    inputs: list[tuple[tuple[int, ...], str]]
    effects: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return f"# seed {self.seed}, inputs {self.inputs}\n{self.source}"


def broadcastable(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(x == y or 1 in (x, y) for x, y in zip(a[::-1], b[::-1]))


class Maker:
    """Builds one program. Each statement maker returns False where the variables at hand do not allow it."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.seed, self.lines, self.vars, self.n = seed, [], [], 0
        self.inputs: list[Var] = []
        self.effects: Counter[str] = Counter()

    def pick(self, items: Any) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def var(self, **want: Any) -> Var | None:
        """A random variable; `kind` limits the dtypes, `exact` and `nonempty` what they say, `ndim` the least rank."""
        kinds = {"float": FLOATS, "int": INTS, "bool": ["bool"], "any": FLOATS + INTS + ["bool"], "number": FLOATS + INTS}
        found = [
            v for v in self.vars
            if v.dtype in kinds[want.get("kind", "any")] and (v.exact or not want.get("exact")) and len(v.shape) >= want.get("ndim", 0)
            and (0 not in v.shape or not want.get("nonempty")) and (v.small or not want.get("small"))
        ]  # fmt: skip
        return self.pick(found) if found else None

    def emit(self, text: str) -> bool:
        self.lines.append(text)
        return True

    def let(self, expr: str, shape: tuple[int, ...], dtype: str, **more: Any) -> bool:
        self.n += 1
        self.vars.append(Var(f"v{self.n}", shape, dtype, **more))
        return self.emit(f"v{self.n} = {expr}")

    # values

    def smooth(self) -> bool:
        v = self.var(kind="float", small=True)
        return v is not None and self.let(f"fw.{self.pick(SMOOTH)}({v.name} * 0.5)", v.shape, v.dtype, exact=False, owned=True)

    def squash(self) -> bool:
        v = self.var(kind="float")
        return v is not None and self.let(f"fw.tanh({v.name})", v.shape, v.dtype, exact=False, owned=True)

    def exact_unary(self) -> bool:
        v = self.var(kind="number")
        if v is None or (v.dtype == "uint8"):
            return False
        return self.let(f"fw.{self.pick(EXACT_UNARY)}({v.name})", v.shape, v.dtype, exact=v.exact, owned=True, small=v.small)

    def stepped(self) -> bool:
        v = self.var(kind="float", exact=True)
        return v is not None and self.let(f"fw.{self.pick(STEPPED)}({v.name})", v.shape, v.dtype, owned=True, small=v.small)

    def pair(self, **want: Any) -> tuple[Var, Var] | None:
        a = self.var(**want)
        others = [b for b in self.vars if a and b.dtype == a.dtype and broadcastable(a.shape, b.shape) and (b.exact or not want.get("exact"))]
        return (a, self.pick(others)) if a and others else None

    def binary(self) -> bool:
        pair = self.pair(kind="number")
        if pair is None:
            return False
        a, b = pair
        shape = np.broadcast_shapes(a.shape, b.shape)
        exact = a.exact and b.exact
        name = self.pick(EXACT_BINARY)
        return self.let(f"fw.{name}({a.name}, {b.name})", shape, a.dtype, exact=exact, owned=True, small=name in ("maximum", "minimum"))

    def mixed(self) -> bool:
        a, b = self.var(kind="number"), self.var(kind="any")
        if a is None or b is None or not broadcastable(a.shape, b.shape) or (a.dtype == b.dtype):
            return False
        self.effects["promotion"] += 1
        self.n += 1
        self.emit(f"v{self.n} = ({a.name} * {b.name}).float()")
        self.vars.append(Var(f"v{self.n}", np.broadcast_shapes(a.shape, b.shape), "float32", a.exact and b.exact, True, False))
        return True

    def scalar(self) -> bool:
        v = self.var(kind="float")
        if v is None:
            return False
        form = self.pick(["{0} * state.rate", "{0} + state.count", "2 - {0}", "{0} / 3", "{0} * -0.0 + {0}", "state.rate - {0}"])
        self.effects["python scalar"] += 1
        return self.let(form.format(v.name), v.shape, v.dtype, exact="/" not in form and v.exact, owned=True, small=False)

    def compare(self) -> bool:
        pair = self.pair(kind="any", exact=True)
        if pair is None:
            return False
        a, b = pair
        return self.let(f"fw.{self.pick(COMPARES)}({a.name}, {b.name})", np.broadcast_shapes(a.shape, b.shape), "bool", owned=True)

    def select(self) -> bool:
        pair, c = self.pair(kind="number"), self.var(kind="bool")
        if pair is None or c is None or not broadcastable(c.shape, np.broadcast_shapes(pair[0].shape, pair[1].shape)):
            return False
        a, b = pair
        shape = np.broadcast_shapes(a.shape, b.shape, c.shape)
        return self.let(f"fw.where({c.name}, {a.name}, {b.name})", shape, a.dtype, exact=a.exact and b.exact, owned=True, small=a.small and b.small)

    def cast(self) -> bool:
        v = self.var(kind="any", exact=True)
        if v is None:
            return False
        to = self.pick(FLOATS + (INTS + ["bool"] if v.dtype not in FLOATS else []))
        return self.let(f"{v.name}.to(fw.{to})", v.shape, to, owned=v.dtype != to, small=v.small)

    def reduce(self) -> bool:
        v = self.var(kind="float", ndim=1, nonempty=True)
        if v is None:
            return False
        d, keep, name = int(self.rng.integers(len(v.shape))), self.pick([True, False]), self.pick(["sum", "mean", "amax", "amin", "var"])
        if name == "var" and v.shape[d] < 2:
            name = "mean"
        shape = v.shape[:d] + ((1,) if keep else ()) + v.shape[d + 1 :]
        exact = v.exact and name in ("amax", "amin")
        return self.let(f"{v.name}.{name}(dim={d}, keepdim={keep})", shape, v.dtype, exact=exact, owned=True, small=False)

    def composite(self) -> bool:
        v = self.var(kind="float", ndim=1, nonempty=True)
        if v is None:
            return False
        n = v.shape[-1]
        form = self.pick(["F.softmax({0}, dim=-1)", "F.log_softmax({0}, dim=-1)", f"F.layer_norm({{0}}, ({n},))", "F.gelu({0})"])
        return self.let(form.format(v.name), v.shape, v.dtype, exact=False, owned=True, small=False)

    def matmul(self) -> bool:
        v = self.var(kind="float", ndim=2, nonempty=True, small=True)
        if v is None:
            return False
        shape = v.shape[:-1] + (v.shape[-2],)
        return self.let(f"fw.matmul({v.name}, {v.name}.transpose(-1, -2)) * 0.25", shape, v.dtype, exact=False, owned=True, small=False)

    def view(self) -> bool:
        v = self.var(ndim=1)
        if v is None:
            return False
        self.effects["view"] += 1
        kind = self.pick(["slice", "flip order", "unsqueeze", "expand", "reshape", "cat"])
        if kind == "slice":
            d = int(self.rng.integers(len(v.shape)))
            text = f"{v.name}[{':, ' * d}1:]"
            return self.let(text, v.shape[:d] + (max(0, v.shape[d] - 1),) + v.shape[d + 1 :], v.dtype, exact=v.exact, small=v.small)
        if kind == "unsqueeze":
            return self.let(f"{v.name}.unsqueeze(0)", (1, *v.shape), v.dtype, exact=v.exact, small=v.small)
        if kind == "expand":
            return self.let(f"{v.name}.unsqueeze(0).expand(2, {', '.join(map(str, v.shape))})", (2, *v.shape), v.dtype, exact=v.exact, small=v.small)
        if kind == "reshape":
            return self.let(f"{v.name}.reshape(-1)" if 0 not in v.shape else f"{v.name}.reshape(0)", (int(np.prod(v.shape)),), v.dtype, exact=v.exact, small=v.small)
        if kind == "cat":
            return self.let(f"fw.cat([{v.name}, {v.name}], dim=0)", (2 * v.shape[0], *v.shape[1:]), v.dtype, exact=v.exact, owned=True, small=v.small)
        order = tuple(reversed(range(len(v.shape))))
        return self.let(f"{v.name}.permute{order}" if len(order) > 1 else f"{v.name}.permute(0)", v.shape[::-1], v.dtype, exact=v.exact, small=v.small)

    def random(self) -> bool:
        shape = self.pick(SHAPES[1:6])
        self.effects["random"] += 1
        text = self.pick([f"fw.rand({', '.join(map(str, shape))})", f"F.dropout(fw.ones({', '.join(map(str, shape))}), 0.3)"])
        return self.let(text, shape, "float32", owned=True)

    # effects

    def write(self) -> bool:
        """In place: on an input, on a view of one, or on a tensor made here."""
        v = self.var(kind="float", nonempty=True)
        if v is None or v.name.startswith("v") and not v.owned:
            return False
        kind = self.pick(["add_", "mul_", "through a view", "whole"])
        self.effects[("in place on an input, " if v in self.inputs else "in place on a fresh tensor, ") + kind] += 1
        self.taint(v)
        if kind == "through a view" and v.shape:
            return self.emit(f"{v.name}[..., 0:1] += 1.0")
        if kind == "whole":
            return self.emit(f"{v.name}.copy_({v.name} * 0.5)")
        return self.emit(f"{v.name}.{'mul_' if kind == 'mul_' else 'add_'}(0.5)")

    def taint(self, written: Var) -> None:
        """Views of what was written change too; nothing known as small stays so."""
        for v in self.vars:
            v.small = False
            v.exact = v.exact and written.exact

    def state_change(self) -> bool:
        v = self.var(kind="float")
        forms = ["state.count += 1", "state.items.append(state.count)", "state.table['n'] = state.table.get('n', 0) + 1",
                 "state.items[0] = state.count", "bump()", "COUNTS['calls'] = COUNTS['calls'] + 1", "state.seen.add(state.count)",
                 "state.rate = state.rate * 0.5 + 0.25"]  # fmt: skip
        if v is not None:
            forms += [f"state.last = {v.name}", f"state.items.append({v.name})", f"state.table['t'] = {v.name}"]
        form = self.pick(forms)
        self.effects[f"python state: {form.split(' =')[0].split('(')[0].split('[')[0]}"] += 1
        return self.emit(form)

    def flow(self) -> bool:
        v = self.var(kind="float", nonempty=True)
        if v is None:
            return False
        self.n += 1
        name = f"v{self.n}"
        kind = self.pick(["branch on count", "loop", "inner function", "opaque call", "opaque call in a loop", "comprehension", "no_grad", "try"])
        self.effects[f"flow: {kind}"] += 1
        text = {
            "branch on count": f"if state.count % 2:\n    {name} = {v.name} + 1.0\nelse:\n    {name} = {v.name} - 1.0",
            "loop": f"{name} = {v.name}\nfor k in range(3):\n    {name} = {name} * 0.5 + k",
            "inner function": f"def inner(t, scale=0.5):\n    return t * scale + state.count\n{name} = inner({v.name}) + inner({v.name}, scale=2.0)",
            "opaque call": f"opaque('here')\n{name} = {v.name} + 1.0",
            "opaque call in a loop": f"{name} = {v.name}\nfor k in range(2):\n    opaque(k)\n    {name} = {name} + 1.0",
            "comprehension": f"{name} = sum([{v.name} * k for k in (1, 2)])",
            "no_grad": f"with fw.no_grad():\n    {name} = {v.name} * 2.0",
            "try": f"try:\n    state.table['absent']\n    {name} = {v.name}\nexcept KeyError:\n    {name} = {v.name} + 2.0",
        }[kind]
        self.vars.append(Var(name, v.shape, v.dtype, v.exact, kind != "try", False))
        return self.emit(text)

    STATEMENTS = ["smooth", "squash", "exact_unary", "stepped", "binary", "binary", "mixed", "scalar", "compare", "select", "cast",
                  "reduce", "composite", "matmul", "view", "view", "random", "write", "write", "state_change", "state_change", "flow"]  # fmt: skip

    def make(self, statements: int) -> Program:
        for k in range(int(self.rng.integers(2, 5))):
            dtype = self.pick(FLOATS[:2] * 4 + FLOATS + INTS + ["bool"]) if k else "float32"
            v = Var(f"x{k}", self.pick(SHAPES), dtype)
            self.inputs.append(v)
            self.vars.append(v)
        while len(self.lines) < statements:
            getattr(self, self.pick(self.STATEMENTS))()
        return self.finish()

    def finish(self) -> Program:
        results = [v.name for v in self.vars[-4:]]
        form = self.pick(["({0}, {1})", "[{0}, {1}]", "{{'a': {0}, 'b': {1}}}", "{1}", "({0}, [{1}, state.count])"])
        body = "\n".join([*self.lines, "return " + form.format(results[0], results[-1])])
        args = ", ".join(["state", *(v.name for v in self.inputs)])
        source = f"def program({args}):\n" + textwrap.indent(body, "    ") + "\n"
        return Program(self.seed, source, [(v.shape, v.dtype) for v in self.inputs], self.effects)


def make(seed: int, statements: int | None = None) -> Program:
    """The program of this seed."""
    maker = Maker(seed)
    return maker.make(int(maker.rng.integers(3, 14)) if statements is None else statements)
