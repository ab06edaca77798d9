"""Runs one random program from equal beginnings, eagerly and compiled, and compares everything that can be seen.

How far results may differ is found by eager runs in which every inexact op's result is moved a little (`slack.py`).

    python tests/fuzz/run.py SEED [SEED ...]        the programs of these seeds, in full, and what differs
    python tests/fuzz/run.py --graph SEED ...       the same for the graphs of `graph_level.py`
"""

from __future__ import annotations

import contextlib
import io
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from program import Input, Program, make, shrink
from slack import Wanted, differs, noisy, wanted_of
from surroundings import PRELUDE

import fusewire as fw
from fusewire.eager import executor
from fusewire.ir.op import lookup

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def build(program: Program) -> dict[str, Any]:
    """The globals of one run: the surroundings and, under "program", the function."""
    body = textwrap.indent(program.source, "    ") + "    return program, set_offset, set_total\n"
    scope: dict[str, Any] = {"fw": fw, "F": fw.nn.functional, "__name__": "fuzzed"}
    scope["written_outside"] = fw.compiler.disable(written_outside)
    exec(compile(PRELUDE + body, f"<program {program.seed}>", "exec"), scope)
    scope["program"], scope["set_offset"], scope["set_total"] = scope["make"](0.25)
    return scope


def written_outside(x: Any) -> None:
    """A write that no tracer sees."""
    with fw.no_grad():
        x.data.mul_(0.5)


# -- inputs ----------------------------------------------------------------------------------------------------------------


def fresh(spec: Input, rng: np.random.Generator) -> Any:
    """A Tensor of new values."""
    if spec.dtype == "bool":
        array = rng.integers(0, 2, spec.shape).astype(bool)
    elif "int" in spec.dtype:
        array = rng.integers(0 if spec.dtype == "uint8" else -3, 4, spec.shape).astype(spec.dtype)
    else:
        array = rng.integers(-8, 9, spec.shape) / 4.0
    made = fw.tensor(array.T.copy() if spec.strided else array, dtype=getattr(fw, spec.dtype))
    made = made.t() if spec.strided else made
    return made.requires_grad_(True) if spec.grad else made


def toggle(args: list[Any]) -> None:
    """Other inputs require gradients."""
    for x in args:
        if x.is_floating_point():
            x.requires_grad_(not x.requires_grad)


def resized(args: list[Any]) -> list[Any]:
    """The first dimension of every input twice as long."""
    return [fw.cat([x.detach(), x.detach()]).requires_grad_(x.requires_grad) if x.dim() else x for x in args]


def recast(args: list[Any]) -> list[Any]:
    """float32 for float64 and the other way round."""
    other = {fw.float32: fw.float64, fw.float64: fw.float32}
    return [x.detach().to(other[x.dtype]).requires_grad_(x.requires_grad) if x.dtype in other else x for x in args]


def restrided(args: list[Any]) -> list[Any]:
    """The same values with the dimensions in reverse order in memory."""
    def turned(x: Any) -> Any:
        return x.permute(*reversed(range(x.dim())))

    return [turned(turned(x.detach()).contiguous()).requires_grad_(x.requires_grad) if x.dim() > 1 else x for x in args]


# -- one run ---------------------------------------------------------------------------------------------------------------


class Run:
    """Calls the program four times and keeps what each call shows. `spoil`: in some programs an input is written to between the
    call and the backward pass, which must be refused or make no difference."""

    def __init__(self, program: Program, wrap: Wrap, spoil: bool = False) -> None:
        self.program, self.scope = program, build(program)
        self.spoil = spoil and program.seed % 4 == 0
        self.call = wrap(self.scope["program"])
        self.keywords: dict[str, Any] = {}
        self.flags = {"no_grad": False}
        self.seen: list[Any] = []
        fw.manual_seed(program.seed)
        for turn in range(len(program.changes) + 1):
            self.seen.append(self.turn(turn))

    def arguments(self, turn: int) -> list[Any]:
        rng = np.random.default_rng([self.program.seed, turn])
        args = [fresh(spec, rng) for spec in self.program.inputs]
        near = {"args": args, "keywords": self.keywords, "scope": self.scope, "flags": self.flags, "toggle": toggle}
        near |= {"resized": resized, "recast": recast, "restrided": restrided}
        for change in self.program.changes[turn - 1] if turn else ():
            with contextlib.suppress(AttributeError, LookupError, TypeError):  # an earlier change left nothing to be changed so
                exec(change, self.scope, near)
        return args

    def turn(self, number: int) -> dict[str, Any]:
        args = self.arguments(number)
        watch = [Watch(x) for x in args]
        text = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(text), fw.set_grad_enabled(not self.flags["no_grad"]):
            warnings.simplefilter("error")  # a graph that a back end cannot build is a defect too
            try:
                result: Any = self.call(*args, **self.keywords)
            except Exception as error:
                result = type(error).__name__, str(error)
            mode = fw.is_grad_enabled()
        tensors = [x for x in flat(result) if isinstance(x, fw.Tensor)]
        before = frozen([result, args])
        return {
            "result": before[1][0],
            "inputs afterwards": before[1][1],
            "aliases": aliases(tensors, args),
            "grad mode": mode,
            "state": frozen(vars(self.scope["state"])),
            "class": type(self.scope["state"]).__name__,
            "item": frozen(self.scope["state"].item),
            "net": frozen(
                {**dict(self.scope["net"].named_parameters()), "mean": self.scope["net"].mean, "steps": self.scope["net"].steps}
            ),
            "globals": frozen({k: self.scope[k] for k in ("LEVEL", "COUNTS", "log")}),
            "printed": text.getvalue(),
            "nonlocal": frozen(self.cell("total")),
            "random numbers": frozen(fw.default_generator.state),
            "saved values": [w.spoilt() for w in watch],
            "gradients": self.gradients(tensors, args),
        }

    def gradients(self, results: list[Any], args: list[Any]) -> Any:
        """Gradients of a weighted sum of the results for inputs, parameters and attributes. (Their strides may differ: a backward
        graph takes row-major gradients.)"""
        scope = self.scope
        losses = [(r.float() * (0.5 + k)).sum() for k, r in enumerate(results) if r.requires_grad and r.is_floating_point()]
        leaves = [x for x in (*args, *scope["net"].parameters(), scope["state"].bias) if isinstance(x, fw.Tensor) and x.is_leaf]
        before = args[0].detach().clone()
        if self.spoil:
            args[0].detach().add_(1.0)
        try:
            if losses:
                sum(losses).backward()  # type: ignore[union-attr]
        except RuntimeError as error:
            return type(error).__name__, self.spoil
        finally:
            if self.spoil:
                args[0].detach().copy_(before)
        found = [None if x.grad is None else (repeats(x.grad), apart_from_strides(x.grad)) for x in leaves]
        for x in leaves:
            x.grad = None
        return found

    def cell(self, name: str) -> Any:
        function = self.scope["set_total"]
        return function.__closure__[function.__code__.co_freevars.index(name)].cell_contents


class Watch:
    """An op outside that saved an input for its gradient: was the input written to since?"""

    def __init__(self, x: Any) -> None:
        self.result = None
        if x.is_floating_point():
            with fw.enable_grad():
                weight = fw.ones(1, dtype=x.dtype).requires_grad_(True)
                self.result = (x.detach() * weight).sum()

    def spoilt(self) -> bool:
        if self.result is None:
            return False
        try:
            self.result.backward()
        except RuntimeError:
            return True
        return False


def repeats(x: Any) -> bool:
    """Whether several elements lie in one place, so that nothing can be written to them."""
    return any(n > 1 and step == 0 for n, step in zip(x.shape, x.stride(), strict=True))


def apart_from_strides(x: Any) -> Any:
    """A Tensor as `frozen` gives it, without its strides."""
    kind, about, array = frozen(x)
    return kind, (*about[:3], *about[4:]), array


def aliases(results: list[Any], args: list[Any]) -> list[Any]:
    """Which results are an input or share memory with one or with each other, and where they begin in it."""
    every = [*results, *args]
    same = [[a is b for b in every] for a in results]
    shared = [[a.storage is b.storage for b in every] for a in results]
    return [same, shared, [a.storage_offset() for a, row in zip(results, shared, strict=True) if any(row[len(results) :])]]


REFUSED = "AutogradError", False
NORMAL = lookup("randn")  # uniform numbers are the same bits everywhere, normal ones nearly
WAYS = (1, -1, 0, 0, 0)  # of the noise, one run each


def flat(value: Any) -> list[Any]:
    """The items of nested containers."""
    if isinstance(value, (list, tuple)):
        return [x for v in value for x in flat(v)]
    if isinstance(value, dict):
        return [x for v in value.values() for x in flat(v)]
    return [value]


def frozen(value: Any) -> Any:
    """A value as plain data that nothing changes any more: Tensors as ("tensor", what they are, array)."""
    if isinstance(value, fw.Tensor):
        about = (
            type(value).__name__,
            value.dtype.name,
            tuple(value.shape),
            tuple(value.stride()),
            value.requires_grad,
            value.is_leaf,
        )
        return "tensor", about, np.array(value.detach().array, copy=True)
    if isinstance(value, dict):
        return type(value).__name__, [(frozen(k), frozen(v)) for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [frozen(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return type(value).__name__, sorted(map(repr, value))
    if isinstance(value, (int, float, str, type(None))):
        return type(value).__name__, repr(value)
    if hasattr(value, "size"):
        return type(value).__name__, frozen(value.size)
    return (type(value).__name__,)


# -- noise -----------------------------------------------------------------------------------------------------------------


class Noise:
    """Runs ops eagerly and moves every inexact result: up, down, or each element at random."""

    def __init__(self, seed: int, way: int) -> None:
        self.rng, self.way = np.random.default_rng(seed), way

    def apply(self, op: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        executor.on_recording.recorder = None
        try:
            made = executor.apply(op, operands, attrs)
        finally:
            executor.on_recording.recorder = self
        if op.effects.aliases is None and (op.effects.draws is None or op is NORMAL):
            for t in made if isinstance(made, tuple) else (made,):
                if t.dtype.is_floating_point and t.array.flags.writeable:
                    with np.errstate(all="ignore"):
                        t._array[...] = noisy(t.array, op, len(operands), attrs, self.rng, self.way)
        return made

    def write(self, target: Any, source: Any) -> None:
        """In place, as eager does it."""
        executor.on_recording.recorder = None
        try:
            executor.write(target, source)
        finally:
            executor.on_recording.recorder = self


@contextlib.contextmanager
def noise(seed: int, way: int) -> Iterator[None]:
    """All eager ops of this thread are noisy."""
    with executor.recording(Noise(seed, way)):
        yield


# -- comparison ------------------------------------------------------------------------------------------------------------


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Not compiled."""
    return function


def difference(want: Any, others: list[Any], got: Any, path: str = "") -> str | None:
    """Where `got` differs from `want` by more than the noisy runs do, in words; None where they agree.

    One difference is by design: a captured graph is functional, so it has gradients also where eager refuses because a value that
    it saved inside of the program was written to in place; and which inputs it reads again is its own choice."""
    if path.endswith("gradients") and (want == REFUSED or got == ("AutogradError", True)):
        return None
    if isinstance(want, tuple) and len(want) == 3 and want[0] == "tensor":
        return _tensor(want, others, got, path)
    if type(want) is not type(got) or (isinstance(want, (list, tuple, dict)) and len(want) != len(got)):
        return f"{path}: {got!r}, not {want!r}"
    if isinstance(want, dict):
        keys: Any = [(k, f"{path} {k}".strip()) for k in want]
    elif isinstance(want, (list, tuple)):
        keys = [(i, f"{path}[{i}]") for i in range(len(want))]
    else:
        return None if want == got or any(o != want for o in others) else f"{path}: {got!r}, not {want!r}"
    if any(type(o) is not type(want) or len(o) != len(want) for o in others):
        return None
    for key, name in keys:
        wrong = difference(want[key], [o[key] for o in others], got[key], name)
        if wrong:
            return wrong
    return None


def _tensor(want: Any, others: list[Any], got: Any, path: str) -> str | None:
    if not isinstance(got, tuple) or got[:2] != want[:2]:
        return f"{path}: {got[:2] if isinstance(got, tuple) else got!r}, not {want[:2]}"
    if any(o[:2] != want[:2] for o in others):
        return None
    with np.errstate(all="ignore"):
        held: Wanted = wanted_of(want[2], [o[2] for o in others])
    wrong = differs(held, got[2])
    return f"{path}: {wrong}" if wrong else None


def check(program: Program, compile: Wrap | None = None) -> str | None:
    """Run eagerly, with noise and compiled; the first difference in words, None where all agrees."""
    want = Run(program, plain).seen
    got = Run(program, compile or fw.compile, spoil=True).seen
    shared = program.coverage["effect depends on shared memory"]  # written by CPython, after a graph break
    for turn in got if shared else ():
        if turn["gradients"] == ("AutogradError", False):  # known: the region before the break reads its input again
            turn["gradients"] = "AutogradError", True
    others = []
    for k, way in enumerate(WAYS):
        with noise(program.seed + k, way):
            others.append(Run(program, plain).seen)
    return difference(want, others, got)


def attempt(program: Program, compile: Wrap | None = None) -> str | None:
    """`check`, with an exception outside of the program's calls as a difference."""
    try:
        return check(program, compile)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def report(seed: int) -> str:
    """What is wrong with the program of a seed, in full and cut down; empty where nothing is."""
    program = make(seed)
    wrong = attempt(program)
    if wrong is None:
        return ""
    small = shrink(program, lambda p: "NameError" not in (attempt(p) or "NameError"))
    again = f"rerun it alone: python tests/fuzz/run.py {seed}"
    return f"{wrong}\n{again}\n\n{program}\ncut down to\n\n{small}\nwhere {attempt(small)}\n"


def report_graph(seed: int) -> str:
    """The same for a random graph."""
    import graph_level

    case = graph_level.grow(seed)
    wrong = graph_level.attempt(case)
    if wrong is None:
        return ""
    small = graph_level.shrink(case)
    again = f"rerun it alone: python tests/fuzz/run.py --graph {seed}"
    return f"{wrong}\n{again}\n\n{case}\n\ncut down to\n\n{small}\nwhere {graph_level.attempt(small)}\n"


def main(words: list[str]) -> int:
    """The command line above."""
    graphs = "--graph" in words
    failed = 0
    for word in words:
        if not word.isdigit():
            continue
        text = (report_graph if graphs else report)(int(word))
        print(text or f"{word}: all agree")
        failed += bool(text)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
