"""Runs a generated Python program under plain CPython and compiled, from equal beginnings, and compares all that can be seen.

    python tests/fuzz/python_run.py SEED [SEED ...]      the programs of these seeds, cut down where they differ
    python tests/fuzz/python_run.py --from A --to B      a range of seeds; prints those that differ, and a count
"""

from __future__ import annotations

import collections
import contextlib
import enum
import functools
import gc
import io
import itertools
import logging
import random
import re
import signal
import sys
import time
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from python_level import CALLS, PythonProgram, make_python, shrink_python
from python_world import WORLD

import fusewire as fw

Wrap = Callable[[Any], Any]
FILE = "<generated {}>"
ADDRESS = re.compile(r"0x[0-9a-f]+")
_world = compile(WORLD, "<world>", "exec", dont_inherit=True)
GLOBALS = (
    *("LEVEL", "RATE", "WORD", "COUNT", "NAMES", "TABLE", "SEEN", "LOG", "WINDOW", "GROUPS", "ORDER", "base", "child", "slots"),
    *("point", "step", "Base", "Child", "Color", "EXTRA"),
)


class TooLong(BaseException):
    """A compiled program runs on and on."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """TooLong after so long, where that can be had (in the main thread)."""

    def stop(*about: object) -> None:
        raise TooLong(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Holder:
    """An argument with a Tensor and a count."""

    def __init__(self, value: Any) -> None:
        self.value, self.count = value, 0


class Run:
    """Calls a program three times; `seen`: what each call showed. `collect`: garbage goes behind each call."""

    def __init__(self, program: PythonProgram, wrap: Wrap, collect: bool = False) -> None:
        self.collect = collect
        self.program, self.file = program, FILE.format(program.seed)
        self.scope: dict[str, Any] = {"fw": fw, "np": np, "__name__": "generated", "opaque": fw.compiler.disable}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(_world, self.scope)
            exec(compile(program.source, self.file, "exec", dont_inherit=True), self.scope)
        function, self.total = self.scope["make"](5)
        self.function = wrap(function)
        random.seed(program.seed)
        np.random.seed(program.seed % 2**32)
        fw.manual_seed(program.seed)
        self.seen = [self.turn(k) for k in range(CALLS)]

    def arguments(self, turn: int) -> tuple[list[Any], dict[str, Any]]:
        """Equal ones in each run; the second call has the first one's numbers, the third other sizes."""
        rng = random.Random(f"{self.program.seed} {turn and 1} arguments")
        width = 4 if turn == 2 and self.program.seed % 3 == 0 else 3
        x, y = (fw.tensor([float(rng.randint(-3, 3)) for _ in range(width)]) for _ in range(2))
        m = fw.tensor([[float(rng.randint(-2, 2)) for _ in range(width)] for _ in range(2)])
        obj = self.scope[rng.choice(("Base", "Child"))](rng.randint(0, 5))
        n = rng.choice((0, 1, 2, 3, 5)) + (turn == 2)
        rate, name, flag = rng.choice((0.5, 1.5, -2.0)), rng.choice(("a", "b", "xyz")), rng.random() < 0.5
        items = [rng.randint(0, 9) for _ in range(rng.randint(0, 5))]
        table = {key: rng.randint(0, 9) for key in ("a", "b", "c")[: rng.randint(0, 3)]}
        if turn == 2:
            y = x if self.program.seed % 5 == 0 else y  # the same Tensor twice
            obj = self.scope["base"] if self.program.seed % 4 == 1 else obj
        if turn and self.program.seed % 4 == 2:
            obj.items = items if turn == 2 else [*items]  # one list in two places, where there were two equal ones
        args = [x, y, m, n, rate, name, flag, items, table, obj, Holder(y)]
        return args, {"k0": rng.randint(0, 9)} if rng.random() < 0.5 else {}

    def turn(self, number: int) -> dict[str, Any]:
        for change in self.program.changes[number]:
            with contextlib.suppress(Exception):
                exec(change, self.scope)
        args, named = self.arguments(number)
        text, logged = io.StringIO(), _Records()
        result = error = None
        with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(text), logged:
            warnings.simplefilter("always")
            try:
                result = self.function(*args, **named)
            except Exception as raised:
                error = raised
        mode = fw.is_grad_enabled()
        fw.set_grad_enabled(True)
        freeze = Frozen()
        raises = freeze.error(error, self.file)
        error = None  # with its traceback go the frames, and the generators in them, when they go in plain Python too
        if self.collect:
            gc.collect()
        return {
            "raises": raises,
            "result": freeze(result),
            "arguments": freeze([args, named]),
            "globals": {name: freeze(self.scope.get(name)) for name in GLOBALS},
            "total": freeze(self.total()),
            "prints": text.getvalue(),
            "logs": logged.seen,
            "warnings": [(str(w.message), w.category.__name__, w.filename, w.lineno) for w in warned if w.filename == self.file],
            "random": hash(random.getstate()),
            "NumPy random": hash(np.random.get_state()[1].tobytes()) ^ np.random.get_state()[2],  # type: ignore[index]
            "tensor random": freeze(fw.default_generator.state),
            "grad mode": mode,
        }


class _Records(logging.Handler):
    """What is logged while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((record.levelname, record.getMessage(), record.lineno, record.funcName))

    def __enter__(self) -> None:
        logger = logging.getLogger("generated")
        logger.propagate = False
        logger.addHandler(self)

    def __exit__(self, *about: object) -> None:
        logging.getLogger("generated").removeHandler(self)


class Frozen:
    """Values as plain data that compare: types, contents, and which mutable objects are one and the same."""

    def __init__(self) -> None:
        self.known: dict[int, int] = {}
        self.memory: dict[int, tuple[int, int]] = {}  # of a storage: its number, the offset of the first Tensor met in it
        self.kept: list[Any] = []

    def __call__(self, x: Any) -> Any:
        kind = type(x).__name__
        if isinstance(x, (type(None), int, float, str, bytes, enum.Enum, range, slice)):
            return kind, repr(x)
        if type(x) is tuple:  # CPython itself merges equal constant tuples
            return kind, [self(v) for v in x]
        if isinstance(x, (types.ModuleType, types.BuiltinFunctionType)):
            return kind, x.__name__
        if id(x) in self.known:
            return "again", self.known[id(x)]
        self.known[id(x)] = len(self.known)
        self.kept.append(x)
        return kind, self.content(x)

    def content(self, x: Any) -> Any:
        if isinstance(x, fw.Tensor):
            memory, first = self.memory.setdefault(id(x.storage), (len(self.memory), x.storage_offset()))
            self.kept.append(x.storage)
            array = x.detach().numpy()
            layout = tuple(x.shape), tuple(x.stride()), x.storage_offset() - first  # fresh memory may begin where the result does
            return str(x.dtype), layout, x.requires_grad, memory, array.tobytes(), array.tolist()
        if isinstance(x, (dict, list, tuple, collections.deque)):
            own = [(self(k), self(v)) for k, v in x.items()] if isinstance(x, dict) else [self(v) for v in x]
            return own, self(getattr(x, "default_factory", None)), getattr(x, "maxlen", None)
        if isinstance(x, (set, frozenset)):
            return sorted([self(v) for v in x], key=repr)  # their order depends on how they grew
        if isinstance(x, BaseException):
            return self(x.args), self(vars(x))
        if isinstance(x, types.FunctionType):
            cells = [self(c.cell_contents) if _full(c) else None for c in x.__closure__ or ()]
            return x.__qualname__, self(x.__defaults__), self(x.__kwdefaults__), cells, self(vars(x).get("__wrapped__"))
        if isinstance(x, types.MethodType):
            return self(x.__func__), self(x.__self__)
        if isinstance(x, functools.partial):
            return self(x.func), self(x.args), self(x.keywords)
        if isinstance(x, type):
            own = [(k, v) for k, v in vars(x).items() if not k.startswith("__")]  # copyreg notes __slotnames__, say
            return x.__qualname__, [(k, self(v)) for k, v in own if isinstance(v, (int, str, float, list, dict))]
        if isinstance(x, (types.GeneratorType, type(iter([])))):
            return [self(v) for v in itertools.islice(x, 8)]
        slots = [(n, self(getattr(x, n, "unset"))) for c in type(x).__mro__ for n in getattr(c, "__slots__", ())]
        return slots, [(k, self(v)) for k, v in getattr(x, "__dict__", {}).items()]

    def error(self, x: BaseException | None, file: str, depth: int = 5) -> Any:
        """An exception: type, arguments, the user's lines, and what it came from."""
        if x is None or depth == 0:
            return None
        lines = [(f.name, f.lineno) for f in traceback.extract_tb(x.__traceback__) if f.filename in (file, "<world>")]
        lines = lines[:3] if isinstance(x, RecursionError) else lines  # how deep that is depends on who calls
        more = [self.error(e, file, depth - 1) for e in (x.__cause__, x.__context__)]
        return type(x).__name__, ADDRESS.sub("0x", str(x)), lines, more, x.__suppress_context__


def _full(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


# -- comparing -----------------------------------------------------------------------------------------------------------


def plain(function: Any) -> Any:
    """Not compiled."""
    return function


def compiled(function: Any) -> Any:
    """Compiled, run by the graph's interpreter: the tracer is what is looked at."""
    return fw.compile(function, backend="interpret")


def compare(want: Any, got: Any, path: str) -> str | None:
    """The first place where two frozen values differ, in words."""
    if type(want) is type(got) and isinstance(want, dict) and list(want) == list(got):
        return next((w for k in want if (w := compare(want[k], got[k], f"{path}.{k}"))), None)
    if type(want) is type(got) and isinstance(want, (list, tuple)) and len(want) == len(got):
        return next((w for k, (a, b) in enumerate(zip(want, got, strict=True)) if (w := compare(a, b, f"{path}[{k}]"))), None)
    return None if want == got else f"{path}: compiled {got!r}, plain {want!r}"


def check_python(program: PythonProgram, wrap: Wrap = compiled) -> str | None:
    """What differs between plain CPython and the compiled program; None where nothing does."""
    wrong = _difference(program, wrap)
    if wrong is not None and "LOG" in wrong and "closed" in program.source:
        return _difference(program, wrap, collect=True)  # when a generator in a cycle of frames is closed is nobody's word
    return wrong


def _difference(program: PythonProgram, wrap: Wrap, collect: bool = False) -> str | None:
    want = Run(program, plain, collect).seen
    try:
        with limited(20):
            got = Run(program, wrap, collect).seen
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"crash: {type(error).__name__}: {error} at {Path(where.filename).name}:{where.lineno}"
    except BaseException as error:
        return f"crash: {type(error).__name__}: {error}"
    return next((w for k, (a, b) in enumerate(zip(want, got, strict=True)) if (w := compare(a, b, f"call {k + 1}"))), None)


def report(seed: int, wrap: Wrap = compiled) -> str | None:
    """The failing program of a seed, cut down, and what differs; None where nothing does."""
    program = make_python(seed)
    wrong = check_python(program, wrap)
    if wrong is None:
        return None
    kind = _kind(wrong)
    small = shrink_python(program, lambda p: _kind(check_python(p, wrap)) == kind)
    return f"{small}\n{check_python(small, wrap)}"


def _kind(wrong: str | None) -> str | None:
    """What a difference is about, so that a program is not cut down to another defect."""
    return wrong if wrong is None else re.split(r"[\[:]", re.sub(r"^call \d", "", wrong))[0]


def main(words: list[str]) -> int:
    fw.knobs.disk_cache = False
    failed, started = [], time.perf_counter()
    if words[:1] == ["--from"]:
        seeds = range(int(words[1]), int(words[3]))
        for seed in seeds:
            wrong = check_python(make_python(seed))
            if wrong is not None:
                failed.append(seed)
                print(f"{seed}: {wrong[:300]}", flush=True)
        print(f"{len(seeds)} programs, {len(failed)} differ, {time.perf_counter() - started:.0f} s: {failed}")
        return bool(failed)
    for seed in map(int, words):
        found = report(seed)
        failed += [seed] if found else []
        print(found or f"{make_python(seed)}\n# nothing differs")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
