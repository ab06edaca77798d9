"""How often calls with ever new numbers and sizes compile: variants are counted, and every result compared with eager."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler, knobs
from fusewire.nn import functional as F

N = 100
STEP, LIMIT, SCALE = 0, 3, 1.0


class Box:
    def __init__(self) -> None:
        self.step, self.scale, self.table, self.list = 0, 1.0, {"n": 0, "lr": 0.5}, [0, 1.5]


def plain(x: Any) -> Any:
    if isinstance(x, fw.Tensor):
        return np.array(x.numpy())
    return type(x)(map(plain, x)) if isinstance(x, (tuple, list)) else x


def same(a: Any, b: Any) -> None:
    np.testing.assert_equal(*(jsonish(x) for x in (a, b)))


def jsonish(x: Any) -> Any:
    return [jsonish(y) for y in x] if isinstance(x, (tuple, list)) else x


def compiles(fn: Callable[..., Any], calls: list[tuple[Any, ...]], **options: Any) -> int:
    """Variants of `fn` after these calls, each of which gives what `fn` gives."""
    compiled = compiler.compile(fn, backend="interpret", **options)
    for args in calls:
        same(plain(compiled(*args)), plain(fn(*args)))
    return len(compiler.variants_of(compiled))


def x(n: int = 6) -> Any:
    return fw.arange(float(n)) + 0.5


def turned(a: Any, n: int) -> Any:
    for _ in range(n):
        a = a * 2
    return a + 1


WHOLE = [(x(), n) for n in range(N)]
FROM_ONE = [(x(), n) for n in range(1, N + 1)]
REAL = [(x(), n * 0.37 + 0.01) for n in range(N)]

ONE = {
    "operand": (lambda a, n: a * n, WHOLE),
    "sum of numbers": (lambda a, n: a + (n - 1) * 2, WHOLE),
    "quotient": (lambda a, n: a * (1 / n), FROM_ONE),
    "float()": (lambda a, n: a * float(n), WHOLE),
    "negative": (lambda a, r: a * -r, REAL),
    "abs": (lambda a, r: a * abs(r), REAL),
    "round": (lambda a, r: a * round(r, 1), REAL),
    "int()": (lambda a, r: a + int(r), REAL),
    "math": (lambda a, n: a / math.sqrt(n), FROM_ONE),
    "bias correction": (lambda a, n: a / (1 - 0.9**n), FROM_ONE),
    "cosine schedule": (lambda a, n: a * (0.5 * (1 + math.cos(math.pi * n / 100))), WHOLE),
    "floor and rest": (lambda a, n: a + n // 7 + n % 7, WHOLE),
    "returned": (lambda a, n: (a * 2, n, n + 1, n / 4), WHOLE),
    "a branch that holds": (lambda a, r: a * r if r > 0.001 else a, REAL),
    "a truth": (lambda a, r: a * r if r else a, REAL),
    "full": (lambda a, r: a + r * fw.ones(6), REAL),
    "mixed": (lambda a, n: a * (1.5 * n) + 0.5**2, WHOLE),
}


@pytest.mark.parametrize("name", ONE)
def test_a_number_that_is_an_operand_compiles_once(name: str) -> None:
    fn, calls = ONE[name]
    assert compiles(fn, calls) == 1


TWO = {
    "a branch": (lambda a, n: a * 2 if n > 3 else a, WHOLE, 2),
    "even and odd": (lambda a, n: a * 2 if n % 2 == 0 else a, WHOLE, 2),
    "max": (lambda a, n: a * max(n, 3), WHOLE, 2),
    "min": (lambda a, r: a * min(r, 0.5), REAL, 2),
    "warm-up": (lambda a, n: a * min(1.0, n / 10), WHOLE, 2),
    "turns of a loop": (lambda a, n: turned(a, n % 3), WHOLE, 5),
    "a slice": (lambda a, n: a[:n].sum(), [(x(120), n) for n in range(N)], 3),  # 0 and 1 are constants
    "an index": (lambda a, n: a[n] * 2, [(x(120), n) for n in range(N)], 3),
    "a shape": (lambda a, n: fw.zeros(n) + a.sum(), WHOLE, 3),
    "arange": (lambda a, n: fw.arange(n).sum() + a, WHOLE, 3),
}


@pytest.mark.parametrize("name", TWO)
def test_each_outcome_compiles_once(name: str) -> None:
    fn, calls, most = TWO[name]
    assert compiles(fn, calls) <= most


CONSTANT = {
    "exponent": (lambda a, n: a**n, [(x(), n) for n in range(30)]),
    "float exponent": (lambda a, r: a**r, REAL[:30]),
    "dimension": (lambda a, n: a.view(*[1] * 12, 6).sum(n), [(x(), n) for n in range(12)]),
    "fill value": (lambda a, r: fw.full_like(a, r) + a, REAL[:30]),
    "bound": (lambda a, r: a.clamp(-r, r) * 2, REAL[:30]),
    "epsilon": (lambda a, r: F.layer_norm(a.view(1, 6), (6,), eps=r) + 1, REAL[:30]),
    "slope": (lambda a, r: F.leaky_relu(a - 2, r) + 1, REAL[:30]),
    "topk": (lambda a, n: a.topk(n)[0] * 2, [(x(40), n) for n in range(1, 31)]),
    "key": (lambda a, n: {n: a}[n] * 2, WHOLE[:30]),
    "item of a list": (lambda a, n: [a, a + 1, a * 2][n % 3] * (list(range(40))[n]), WHOLE[:30]),
}


@pytest.mark.parametrize("name", CONSTANT)
def test_what_must_be_a_constant_stops_compiling_anew(name: str) -> None:
    fn, calls = CONSTANT[name]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert compiles(fn, calls) <= knobs.constant_limit + 3
    assert len(seen) <= 1


def test_state_of_objects_globals_and_closures() -> None:
    def run(compiled: bool) -> tuple[list[Any], int]:
        global STEP, SCALE
        STEP, SCALE, box, count = 0, 1.0, Box(), 0

        def f(a: Any) -> Any:
            global STEP
            nonlocal count
            box.step += 1
            STEP += 1
            count += 2
            box.table["n"] += 1
            box.list[0] += 3
            box.list[1] *= 1.01
            box.scale = box.scale * 0.99
            return a * box.step + STEP - count * box.table["lr"] + box.table["n"] + box.list[0] * box.list[1] + box.scale + SCALE

        called, out = (compiler.compile(f, backend="interpret") if compiled else f), []
        for i in range(N):
            SCALE = i * 0.3
            box.table["lr"] = 0.5 / (i + 1)
            out.append(plain(called(x())))
        assert (box.step, STEP, count, box.table["n"], box.list[0]) == (N, N, 2 * N, N, 3 * N)
        return out, len(compiler.variants_of(called)) if compiled else 1

    (eager, _), (got, variants) = run(False), run(True)
    same(got, eager)
    assert variants == 1


def test_sizes_of_zero_one_and_more() -> None:
    for fn in (lambda a: a * 2 + 1, lambda a: a.sum(), lambda a: (a * a).mean(0, keepdim=True) - a, lambda a: fw.cat([a, a])):
        assert compiles(fn, [(fw.ones(n, 3),) for n in (4, 0, 1, 5, 0, 1, 9, 2)]) <= 4


def test_a_size_that_must_be_a_constant_stops_compiling_anew() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert compiles(lambda a: a.topk(a.shape[0] - 1)[0] * a.shape[0], [(x(n),) for n in range(2, 30)]) <= 12
        assert compiles(lambda a: {a.shape[0]: a}[len(a)] * 2, [(x(n),) for n in range(2, 30)]) <= 12


def test_the_warning_names_the_number_its_values_and_the_line() -> None:
    @compiler.compile
    def f(a: Any, n: int) -> Any:
        return a.topk(n)[0] + 1

    with pytest.warns(RuntimeWarning) as seen:
        for n in range(1, 12):
            f(x(20), n)
    (one,) = seen
    text = str(one.message)
    assert "n = 1, 2, 3, 4, 5, 6, 7, 8 (knob constant_limit)" in text and "a.topk(n)" in text and "hint:" in text
    assert one.filename == __file__


def test_at_the_limit_variants_for_any_size_go_on_serving() -> None:
    def f(a: Any, kind: str) -> Any:
        return a.sum(0) + len(kind)

    with knobs.override(variant_limit=3):
        compiled = compiler.compile(f, backend="interpret")
        with pytest.warns(
            RuntimeWarning, match=r"those that follow serve any sizes.*kind == 'c': 'c' -> 'd'; kind decides"
        ) as seen:
            for n, kind in enumerate("abcde"):
                same(plain(compiled(fw.ones(n + 2, 3), kind)), plain(f(fw.ones(n + 2, 3), kind)))
    assert len(seen) == 1 and seen[0].filename == __file__
    assert len(compiler.variants_of(compiled)) == 5
    before = len(compiler.variants_of(compiled))
    for n in (7, 11, 40):
        compiled(fw.ones(n, 3), "e")
        compiled(fw.ones(3, n), "e")
    assert len(compiler.variants_of(compiled)) == before


def test_loops_that_break_are_captured_three_times() -> None:
    seen: list[int] = []

    @compiler.disable
    def opaque(i: int) -> int:
        seen.append(i)
        return i

    def over_a_range(a: Any) -> Any:
        for i in range(30):
            a = a * 1.5 + 1
            y = opaque(i)
            a = a - y
        return a

    def over_a_list(a: Any) -> Any:
        for t in [a + 2, a + 1, a * 2, a - 3]:
            opaque(0)
            a = a + t
        return a

    def numbered(a: Any) -> Any:
        for i, (u, v) in enumerate(zip([1, 2, 3], (a + 3, a + 1, a - 1), strict=False)):
            opaque(i)
            a = a * u + v
        return a

    def step(a: Any, i: int) -> Any:
        b = a * 1.5
        opaque(i)
        return b + i

    def over_calls(a: Any) -> Any:
        for i in range(30):
            a = step(a, i)
        return a

    def in_a_with(a: Any) -> Any:
        i = 0
        while i < 30:
            with fw.no_grad():
                a = a * 1.5
                opaque(i)
            i += 1
        return a

    for fn, most in ((over_calls, 4), (in_a_with, 4), (over_a_range, 3), (over_a_list, 4), (numbered, 4)):
        report = compiler.explain(fn, backend="interpret")(x())
        same(plain(report.result), plain(fn(x())))
        assert len(report.graphs) <= most, fn.__name__


def test_containers_that_grow() -> None:
    def run(compiled: bool) -> tuple[list[Any], list[int]]:
        held: dict[str, Any] = {"list": [1.0], "dict": {"a": 2.0}, "log": []}

        def kept(a: Any, n: int) -> Any:
            held["list"].append(n / 2)
            return a * held["list"][-1] + held["list"][0] + len(held["list"])

        def logged(a: Any, n: int) -> Any:
            held["log"].append(a * n)
            return a + (len(held["log"]) > 0)

        def table(a: Any, n: int) -> Any:
            held["dict"]["last"] = n
            held["dict"]["b"] = held["dict"]["last"] + 1
            return a * held["dict"]["a"] + held["dict"]["b"] + (1 if held["log"] else 0)

        out, counts = [], []
        for fn in (kept, logged, table):
            called = compiler.compile(fn, backend="interpret") if compiled else fn
            out += [plain(called(x(), n)) for n in range(N)]
            counts.append(len(compiler.variants_of(called)) if compiled else 0)
        return [out, plain(held["list"]), list(held["dict"].items()), plain(held["log"])], counts

    (eager, _), (got, counts) = run(False), run(True)
    same(got, eager)
    assert counts == [1, 1, 1]


TEXTS = {
    "f-string": lambda a, n: (a * 2, f"step {n}: {n / 7:.3f} {n + 1:>4} {n!r}"),
    "str": lambda a, n: (a * 2, str(n) + "!", repr(n * 0.5)),
    "percent": lambda a, n: (a * 2, "%d of %5.1f" % (n, n / 3), "%s" % n),  # noqa: UP031
    "a size": lambda a, n: (a * 2, f"{n} of {a.shape[0]}"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_of_numbers_is_made_at_every_call(name: str) -> None:
    assert compiles(TEXTS[name], WHOLE[:30]) == 1
    assert compiles(TEXTS[name], [(x(n), n) for n in range(2, 20)]) == 2


def test_text_that_the_program_needs_makes_the_number_a_constant() -> None:
    box = Box()
    box.w1, box.w2 = 3.0, 4.0  # type: ignore[attr-defined]
    for fn in (
        lambda a, n: a * getattr(box, f"w{n}"), lambda a, n: a if f"{n}" == "2" else a * 2, lambda a, n: {f"k{n}": a},
    ):  # fmt: skip
        compiled = compiler.compile(fn, backend="interpret", fullgraph=True)
        for n in (1, 2, 1, 2):
            got, wanted = compiled(x(), n), fn(x(), n)
            same(*[plain(list(r.items()) if isinstance(r, dict) else r) for r in (got, wanted)])
        assert len(compiler.variants_of(compiled)) == 2


def test_the_text_of_a_shape_is_of_its_call() -> None:
    def f(a: Any) -> Any:
        return a * 2, f"{a.shape}", str(a.shape), repr(a.size()), "%s" % (a.shape,)  # noqa: UP031

    compiled = compiler.compile(f, backend="interpret", dynamic=True)
    for n in (2, 3, 4):
        assert compiled(x(n))[1:] == f(x(n))[1:]
