"""Values that only the run knows: item(), float(t), tolist(), text of tensors; conditions on tensors that guard an error."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from asserting import asserts

import fusewire as fw
from fusewire import compiler

X = fw.arange(4.0)


class Box:
    pass


CALLS = [X, X + 1.5, X - 7.3]


def outcome(fn: Callable[..., Any], x: Any, log: list[Any]) -> tuple[str, str, str]:
    x = x.clone()
    try:
        result = repr(fn(x, log))
    except Exception as error:
        result = repr((error, error.__context__, error.__cause__))
    return result, repr(x), repr(log)


def same(fn: Callable[..., Any], calls: Any = CALLS, backend: str = "interpret", fullgraph: bool = True) -> Any:
    compiled = compiler.compile(fn, fullgraph=fullgraph, backend=backend)
    ours: list[Any] = []
    theirs: list[Any] = []
    for x in calls:
        assert outcome(compiled, x, ours) == outcome(fn, x, theirs)
    return [v.capture for v in compiler.dispatcher_of(compiled).variants]


def operands(x, log):
    s = x.sum().item()
    log.append(s)
    return x * s, s - x, x + (s * 2 - 1), x / (s + 0.5), x > s, fw.where(x > 1, x, s), s + s


def integers(x, log):
    n, m = (x > 1).sum().item(), int(x.max())
    return x * n, n + 1, n / 3, m**2, x.to(fw.int64) + n, m // 4, -n, abs(m), n == m, n < 2, m * 10**30


def signs(x, log):
    s, n = x.sum().item(), x.to(fw.int32).max().item()
    log.append(True + n)
    return x * (-s), x + abs(s), x - float(n), x * -n, x.add(-abs(n)), x.to(fw.int64) * (-n), 0.5 < n, True >= s  # noqa: SIM300


def exact(x, log):
    third = (x[:1] / 3).sum()
    return float(third), third.item() * 3, float(third) == third.item(), round(float(third), 3), (x * 2**24).sum().item()


def filled(x, log):
    y = x.clone()
    y[0] = x.sum().item()
    y[1:3] += x.max().item()
    y.mul_(x.mean().item())
    return y


def held(x, log):
    box = Box()
    box.total, box.seen = 0.5, {}
    for i in range(3):
        box.total += x.sum().item() * i
        box.seen[i] = box.total
    log.append(box.total)
    log.extend(x.tolist())
    return box.total, box.seen, (x.mean().item(), [x.max().item()])


def lists(x, log):
    values = x.tolist()
    first, *rest = values
    nested = x.reshape(2, 2).tolist()
    many = fw.ones(100).tolist()
    return values, sum(values), max(values), [v * 2 for v in values], first, rest, nested[1][0], len(values), many


def text(x, log):
    s = x.sum().item()
    line = "%.2f and %s" % (s, x) + "!" + repr(s)  # noqa: UP031
    log.append("{:>10.3f}|{}".format(x.mean().item(), x[0]))  # noqa: UP032
    several = ", ".join([f"{v:.1f}" for v in x.tolist()])
    return line, line.upper(), several, f"{x.sum():.3f} {s!r:>12} {x.shape}", str([s, x]), len(str(s))


def truths(x, log):
    s = x.sum().item()
    return bool(x.sum() > 3), not s, s is None, isinstance(s, float), type((x > 0).sum().item())


def functions(x, log):
    s = x.sum().item()
    return math.sqrt(s), math.floor(s), math.isnan(s), min(s, 2.0), max(1, 2)


def shared(x, log):
    y = x * 2
    a = y.numpy()
    y.add_(1)
    return y, a


ALL = [operands, integers, signs, exact, filled, held, lists, text, truths, functions, shared]


@pytest.mark.parametrize("backend", ["interpret", "cpu"])
@pytest.mark.parametrize("fn", ALL, ids=lambda f: f.__name__)
def test_one_graph(fn: Any, backend: str) -> None:
    made = same(fn, backend=backend)
    assert len(made) == 1


def test_what_raises_does_so_at_its_place() -> None:
    def divides(x, log):
        log.append("before")
        log.append(1 / x.sum().item())
        return x, int(x.max().item() / x.min().item())

    def handled(x, log):
        try:
            log.append("inside")
            v = 1 / x.sum().item()
        except ZeroDivisionError as error:
            log.append(str(error))
            v = -1
        return x + 1, v

    for fn in (divides, handled):
        assert len(same(fn, [X, X * 0, X + 1, X * float("inf")])) == 1


def test_a_write_beside_what_may_raise_breaks() -> None:
    def fn(x, log):
        x.add_(1)
        log.append(1 / x.sum().item())
        x.mul_(2)
        return x

    same(fn, [X, X * 0 - 1, X + 1], fullgraph=False)


@pytest.mark.parametrize("backend", ["interpret", "cpu", "reference"])
def test_conditions_that_guard_an_error(backend: str) -> None:
    def late(x, log):
        s = x.sum().item()
        log.append(s)
        if s < 0:
            raise ValueError(f"negative {s}")
        if not x.mean() < 50:
            raise RuntimeError("big")
        return x + s

    def caught(x, log):
        try:
            if x.sum() < 0:
                raise ValueError("negative")
            y = x * 2
        except ValueError as error:
            log.append(str(error))
            y = x * 3
        return y

    for fn in (asserts, late, caught):
        assert len(same(fn, [X, X - 3, X + 200, X + 1], backend)) == 1


def test_what_needs_the_value_breaks() -> None:
    def branch(x, log):
        log.append(x.sum().item())
        if x.sum().item() > 3:
            return x * 2
        return x + 1

    def sized(x, log):
        return x[: int(x.max()) // 2], fw.zeros(int(x.sum().item()) % 3 + 1)

    def key(x, log):
        return {x.max().item(): 1}, log.append(x.min().item()), x.max().item() in log

    for fn in (branch, sized, key):
        made = same(fn, fullgraph=False)
        assert all(v.break_ is None or v.break_.code.startswith("tensor-") for v in made)


def test_gradients_pass_by() -> None:
    def fn(x, log):
        y = (x * x).sum()
        log.append(y.item())
        return y * x.sum().item()

    log: list[Any] = []
    compiled = compiler.compile(fn, fullgraph=True)
    for x in CALLS:
        a, b = (x.clone().requires_grad_(True) for _ in range(2))
        compiled(a, log).backward()
        fn(b, log).backward()
        assert a.grad.tolist() == b.grad.tolist()
    assert log[::2] == log[1::2]


def test_numbers_from_outside_beside_bools_and_floats_are_guarded() -> None:
    compiled = compiler.compile(lambda x, k: (x * k, True + k, True >= k, 0.5 < k, 0.5 >= k), backend="interpret")  # noqa: SIM300
    for k in (2, 3, -1, 0, 1):
        assert repr(compiled(X, k)) == repr((X * k, True + k, True >= k, k > 0.5, k <= 0.5))  # noqa: SIM300
