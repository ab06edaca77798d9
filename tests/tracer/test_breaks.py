"""Graph breaks: right on every call, at each place of a program, and what follows is captured again."""

from __future__ import annotations

import json as standard
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agree import agree, t

from fusewire import compiler
from fusewire.errors import GraphBreakError
from fusewire.tracer import kinds


class json:
    """What the tracer does not follow."""

    loads = staticmethod(compiler.disable(standard.loads))
    dumps = staticmethod(compiler.disable(standard.dumps))


def opaque(x):
    """Something the tracer does not follow."""
    return json.loads(json.dumps(x))


LOG = []


@compiler.disable
def note(what):
    LOG.append(what)
    return len(LOG)


def parts(fn, *args):
    return compiler.explain(fn, backend="interpret")(*args)


def test_in_a_function_body() -> None:
    def f(x, n):
        y = x * 2
        k = json.loads("[1, 2]")
        z = y + n
        return z * k[1], y

    agree(f, *[(t(1, 2), n) for n in (1, 2.5, 3)], breaks=["disabled"])
    report = parts(f, t(1, 2), 3)
    assert len(report.graphs) == 2 and len(report.breaks) == 1
    assert [str(n.op) for g in report.graphs for n in g.nodes] == ["mul", "add", "mul"]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_in_a_loop(n: int) -> None:
    def f(x, n):
        total = x
        for i in range(n):
            total = total + json.loads(str(i)) * i
            total = total * 2
        return total

    agree(f, (t(1, 2), n), (t(3, 4), n), (t(1, 2), n + 2), breaks="any")


def test_loops_over_containers() -> None:
    def f(x, items, d):
        out = []
        for i, v in enumerate(items):
            out.append(x * json.loads(str(v)) + i)
        for k, v in d.items():
            out.append((k, x + json.loads(str(v))))
        for a, b in zip(items, d, strict=False):
            out.append((json.loads(str(a)), b))
        return out, [json.loads(str(v)) for v in items]

    agree(f, *[(t(1, 2), [1, 2, 3], {"a": 1, "b": 2})] * 3, breaks="any")


def test_compiles_a_bounded_number_of_times() -> None:
    def f(x, n):
        for _ in range(n):
            x = x + 1
            json.loads("1")
        return x

    seen: list = []
    fn = compiler._compiled(f, compiler._options(backend="interpret", seen=seen))
    for _ in range(3):
        assert fn(t(1), 20).tolist() == [21.0]
    assert sum(len(d.variants) for d in seen) <= 8


def test_in_an_inlined_callee() -> None:
    def inner(x, k):
        y = x + k
        z = json.loads("3")
        return y * z

    def middle(x):
        return inner(x, 1) + inner(x, k=2)

    def f(x):
        a = x * 2
        return middle(a) - x

    agree(f, (t(1, 2),), (t(3, 4),), breaks=["disabled"])


def test_under_with_and_try() -> None:
    lock = threading.Lock()

    def f(x, bad):
        log = []
        with lock:
            y = x * 2
            try:
                y = y + json.loads("{" if bad else "1")
            except ValueError:
                log.append("caught")
                y = y - json.loads("5")
            finally:
                log.append(lock.locked())
                y = y * 3
        return y, log, lock.locked()

    agree(f, (t(1, 2), False), (t(1, 2), True), (t(1, 2), False), breaks="any")


def test_symbolically_entered_handler() -> None:
    def f(x, n):
        try:
            if n:
                raise KeyError(n)
            y = x
        except KeyError as e:
            y = x * json.loads("2") + e.args[0]
        return y + 1

    agree(f, (t(1, 2), 0), (t(1, 2), 3), (t(1, 2), 4), breaks="any")


class Prop:
    def __init__(self, v):
        self.v = json.loads(v)

    @property
    def value(self):
        return json.loads("4") + self.v

    def __add__(self, other):
        return json.loads("5") + other

    def __iter__(self):
        yield json.loads("6")
        yield 7

    def __bool__(self):
        return bool(json.loads("1"))


def test_inside_of_special_methods() -> None:
    def f(x):
        p = Prop("1")
        y = x * p.value
        z = p + 3
        out = [v for v in p if v]
        return (y + z if p else x), out, list(p)

    agree(f, (t(1, 2),), (t(3, 4),), breaks="any")


def test_values_of_tensors() -> None:
    def f(x):
        y = x * 2
        if y.sum() > 4:
            return y + y.sum().item()
        return y.tolist(), float(y[0]), int(y.max())

    agree(f, (t(1, 2),), (t(0, 1),), (t(5, 6),), breaks=["tensor-branch"])


def test_effects_before_and_behind_a_break() -> None:
    def f(x, box):
        box.append(1)
        y = x + len(box)
        note("break")
        box.append(2)
        return y * len(box), box[-1]

    LOG.clear()
    agree(f, *[(t(1, 2), box) for box in [[]] * 3], breaks=["disabled"])
    assert LOG == ["break"] * 6


def test_print(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x):
        print("shape", x.shape)
        y = x + 1
        print("sum", y.sum().item())
        return y

    compiled = compiler.compile(f, backend="interpret")
    for _ in range(2):
        compiled(t(1, 2))
        assert capsys.readouterr().out == "shape torch.Size([2])\nsum 5.0\n"


def test_generator_across_a_break() -> None:
    def f(x):
        def gen():
            for i in range(3):
                yield x * i

        out = []
        for v in gen():
            out.append(v + json.loads("1"))
        it = map(str, [1, 2, 3])
        out.append(json.loads("2"))
        return out, list(it)

    agree(f, (t(1, 2),), (t(3, 4),), breaks="any")


def test_closure_cells_across_a_break() -> None:
    def f(x):
        n = 1

        def bump(k):
            nonlocal n
            n += k
            return x * n

        a = bump(1)
        json.loads("1")
        b = bump(2)
        return a, b, n

    agree(f, (t(1, 2),), (t(3, 4),), breaks=["disabled"])


def test_unbound_locals_across_a_break() -> None:
    def f(x, flag):
        if flag:
            later = x
        json.loads("1")
        if not flag:
            later = x * 2
        del flag
        return later

    agree(f, (t(1, 2), True), (t(1, 2), False), (t(1, 2), True), breaks=["disabled"])


def test_gradients_through_a_break() -> None:
    def f(x):
        y = x * x
        json.loads("1")
        return (y * 3).sum()

    compiled = compiler.compile(f, backend="interpret")
    for _ in range(2):
        x = t(1, 2, grad=True)
        compiled(x).backward()
        assert x.grad.tolist() == [6.0, 12.0]


def test_no_grad_across_a_break() -> None:
    from fusewire.eager import modes
    from fusewire.runtime import gradmode

    def f(x):
        with modes.no_grad():
            y = x * 2
            json.loads("1")
            z = y * x
        return y, z, x * 1

    agree(f, (t(1, 2, grad=True),), (t(1, 2, grad=True),), breaks="any")
    assert gradmode.get()


def test_fullgraph_raises_the_record() -> None:
    @compiler.compile(fullgraph=True, backend="interpret")
    def f(x):
        return x * json.loads("2")

    with pytest.raises(GraphBreakError, match="disabled") as caught:
        f(t(1, 2))
    text = str(caught.value)
    assert "test_breaks.py" in text and 'return x * json.loads("2")' in text and "^^^" in text and "hint:" in text


def test_fullgraph_lets_exceptions_pass() -> None:
    @compiler.compile(fullgraph=True, backend="interpret")
    def f(x):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        f(t(1))


def test_tracebacks_are_the_users() -> None:
    import traceback

    def inner(x):
        x = x + 1
        raise ValueError("deep", x)

    def f(x):
        return inner(x) * 2

    compiled = compiler.compile(f, backend="interpret")
    for _ in range(2):
        try:
            compiled(t(1))
        except ValueError as e:
            names = [fr.name for fr in traceback.extract_tb(e.__traceback__)]
            assert names[-2:] == ["f", "inner"]


def test_every_kind_has_a_reason_and_a_hint() -> None:
    for kind in kinds.KINDS.values():
        assert kind.why and kind.hint


def test_a_loop_too_long_to_unroll_runs_under_cpython(monkeypatch: pytest.MonkeyPatch) -> None:
    from fusewire.tracer import frame

    monkeypatch.setattr(frame, "_LONGEST", 500)

    def f(x, n):
        total = 0
        for i in range(n):
            total += i
        return x * total

    agree(f, (t(1, 2), 1000), (t(1, 2), 5), breaks=["long-loop"])
