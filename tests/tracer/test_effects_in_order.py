"""Printing, logging, files and warnings inside of the region: one graph, and on every call what eager does, in its order."""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import re
import sys
import tempfile
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire import compiler

LOG = logging.getLogger("fusewire.tests.effects")
LOG.setLevel(logging.INFO)
LOG.propagate = False
X = fw.arange(4.0)
CALLS = [(X,), (X + 1.5,), (X - 7,)]
FILE = os.path.join(tempfile.gettempdir(), f"fusewire-effects-{os.getpid()}.txt")


class Kept(logging.Handler):
    """What was logged, with the line that it names."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        where = record.funcName, record.lineno, record.filename
        self.records.append((record.levelname, record.getMessage(), *where))


KEPT = Kept()
LOG.addHandler(KEPT)


class Tee:
    """A stream of the user's own."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def write(self, text: str) -> None:
        self.pieces.append(text)


def observed(fn: Callable[..., Any], args: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, ...]:
    """Result or exception with its lines, output, log records, warnings with their lines, arguments behind the call."""
    KEPT.records = []
    out, given = io.StringIO(), [x.clone() if isinstance(x, fw.Tensor) else x for x in args]
    with monkeypatch.context() as patch, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        patch.setattr(sys, "stdout", out)
        try:
            result = repr(fn(*given))
        except Exception as error:
            lines = [(e.name, e.lineno) for e in traceback.extract_tb(error.__traceback__) if e.filename == __file__]
            result = repr((error, error.__context__, lines[1:]))
    told = [(str(w.message), w.category, w.filename, w.lineno) for w in warned]
    return result, out.getvalue(), KEPT.records, told, repr(given)


def same(
    fn: Callable[..., Any], calls: list[Any], monkeypatch: pytest.MonkeyPatch, backend: str = "interpret", fullgraph: bool = True
) -> Any:
    compiled = compiler.compile(fn, fullgraph=fullgraph, backend=backend)
    for args in calls:
        assert observed(compiled, args, monkeypatch) == observed(fn, args, monkeypatch)
    made = compiler.dispatcher_of(compiled).variants
    assert not fullgraph or all(v.capture.break_ is None for v in made)
    return made[0].capture if made else None


def prints(x):
    y = x * 2
    print("sum", y.sum().item(), y.shape, sep=" | ", end="!\n")
    print(f"mean {y.mean():.3f} of {y}, first {y[0]!r}")
    y.add_(1)
    for i in range(3):
        print(i, y[i], [y, {"i": i}])
    print()
    return y


def prints_containers(x):
    items = [1, x]
    print(items, (x.sum(), "a"), {"k": x[0]})
    items.append(2.5)
    print(items, len(items))
    x.mul_(2)
    print(items)
    return items


def writes(x):
    sys.stdout.write(f"{x.max().item()}\n")
    print("a", file=sys.stdout, flush=True)
    sys.stdout.writelines(["b\n", "c\n"])
    return x + 1


def _inner(x):
    LOG.warning("inner %s", x.sum().item())
    warnings.warn("careful", stacklevel=2)
    return x + 1


def logs(x):
    y = x * 2
    LOG.info("mean %.3f", y.mean().item())
    LOG.debug("never %s", y)
    warnings.warn(f"bad {y.max():.1f}", RuntimeWarning)  # noqa: B028
    z = _inner(y)
    logging.getLogger("fusewire.tests.effects").error("e %d %r", 3, z)
    LOG.log(logging.INFO, {"loss": z.sum().item()})
    return z


def files(x):
    with open(FILE, "w") as file:
        file.write(f"{x.sum().item()}\n")
        print("line", x[0], file=file)
    with open(FILE) as file:
        text = file.read()
    buffer = io.StringIO()
    buffer.write("abc")
    print("z", file=buffer)
    with threading.Lock():
        y = x * 2
    time.sleep(0.0)
    return y, text.upper(), buffer.getvalue(), os.getpid()


def shared_state(x):
    state = {"n": 0, "log": []}
    for i in range(3):
        print("turn", i, state)
        state["n"] += 1
        state["log"].append(x.sum().item() * i)
    return state


@pytest.mark.parametrize("backend", ["interpret", "cpu"])
@pytest.mark.parametrize("fn", [prints, prints_containers, writes, logs, files, shared_state], ids=lambda f: f.__name__)
def test_one_graph(fn: Any, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert same(fn, CALLS, monkeypatch, backend).break_ is None


def test_a_stream_of_the_users_own_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fn(x, tee):
        print("a", x.sum().item(), file=tee)
        tee.pieces.append("between")
        print(x, "b", sep="-", end="", file=tee)
        return len(tee.pieces), tee.pieces

    compiled = compiler.compile(fn, fullgraph=True, backend="interpret")
    for (x,) in CALLS:
        assert repr(compiled(x, Tee())) == repr(fn(x, Tee()))


def test_what_raises_among_the_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(x):
        print("before", x.sum().item())
        open(os.path.join(FILE, "none"))  # noqa: SIM115
        print("behind")
        return x

    def closed(x):
        file = io.StringIO()
        file.close()
        print("before")
        file.getvalue()
        print("behind")
        return x

    for fn in (missing, closed):
        capture = same(fn, CALLS, monkeypatch)
        assert capture.break_ is None


def test_a_handler_around_what_may_raise_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fn(x):
        y = x + 1
        try:
            open(os.path.join(FILE, "none"))  # noqa: SIM115
        except OSError as error:
            print("no", type(error).__name__)
        return y

    same(fn, CALLS, monkeypatch, fullgraph=False)


COUNT = 0


class Counting(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        global COUNT
        COUNT += 1


def test_what_a_handler_changes_is_not_read_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads(x):
        LOG.info("one")
        n = len(KEPT.records)
        LOG.info("two %d", n)
        return x + len(KEPT.records)

    def counts(x):
        LOG.info("one")
        return x + COUNT

    same(reads, CALLS, monkeypatch, fullgraph=False)
    counting = Counting()
    LOG.addHandler(counting)
    try:
        compiled = compiler.compile(counts, backend="interpret")
        for i in range(1, 4):
            assert compiled(X).tolist() == [COUNT + v for v in range(4)]
            assert i == COUNT
    finally:
        LOG.removeHandler(counting)


def test_what_a_deferred_call_changes_is_not_read_too_early() -> None:
    def fn(x, file):
        file.write("text")
        file.close()
        return x + file.closed

    compiled = compiler.compile(fn, backend="interpret")
    for (x,) in CALLS:
        assert compiled(x, io.StringIO()).tolist() == fn(x, io.StringIO()).tolist()


def test_nothing_of_the_users_is_kept() -> None:
    class Stream(io.StringIO):
        pass

    def fn(x, file):
        n = file.write(f"{x.sum().item()}")
        return x + 1, n, file.getvalue()

    compiled = compiler.compile(fn, backend="interpret")
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            file = Stream()
            gone = weakref.ref(file)
            compiled(X, file)
            del file
            assert gone() is None
    finally:
        gc.enable()


def test_pure_functions_of_the_library() -> None:
    pattern = re.compile(r"(\w+)=(\d+)")

    def fn(x, text):
        found = pattern.search(text)
        data = json.loads('{"a": [1, 2.5], "b": null}')
        name = os.path.basename(os.path.join("dir", re.sub(r"\d", "#", text)))
        return x * int(found.group(2)) + data["a"][1], name, json.dumps({"sum": x.sum().item(), "k": data})

    compiled = compiler.compile(fn, fullgraph=True, backend="interpret")
    for (x,) in CALLS:
        assert repr(compiled(x, "n=3")) == repr(fn(x, "n=3"))
    assert repr(compiled(X, "m=4")) == repr(fn(X, "m=4"))


def test_values_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    def fn(x, log):
        log.append(x.sum().item())
        print(x, log)
        x.add_(1)
        x[0] = x.sum().item()
        print(x[1:3], x, log)
        x.mul_(2)
        return x.tolist()

    for backend in ("interpret", "cpu"):
        compiled = compiler.compile(fn, fullgraph=True, backend=backend)
        left, right = [], []
        for (x,) in CALLS:
            assert observed(compiled, (x, left), monkeypatch) == observed(fn, (x, right), monkeypatch)


def test_a_gradient_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def fn(x):
        y = (x * 2).sum()
        print(y, [x], y.item())
        return y

    x = fw.arange(3.0).requires_grad_(True)
    compiled = compiler.compile(fn, fullgraph=True)
    fn(x)
    expected = capsys.readouterr().out
    for _ in range(3):
        compiled(x).backward()
        assert capsys.readouterr().out == expected
    assert x.grad.tolist() == [6.0, 6.0, 6.0]


def test_the_tail_reads_well() -> None:
    def fn(x, file):
        y = x * 2
        print(f"mean {y.mean():.3f}", file=file)
        return y

    compiled = compiler.compile(fn, backend="interpret")
    compiled(X, io.StringIO())
    source = compiler.dispatcher_of(compiled).variants[0].capture.tail.source
    assert source == (
        "def tail(args, outputs):\n"
        "    s0 = args[1]  # file\n"
        "    v0 = outputs[0].item()\n"
        "    v1 = f'mean {v0:.3f}'\n"
        "    try:\n"
        "        print(v1, file=s0)\n"
        "    except BaseException:\n"
        "        put_place(places)\n"
        "        raise\n"
        "    return outputs[1]\n"
    )


def test_a_print_in_a_loop_is_one_graph() -> None:
    def fn(x, file):
        for i in range(10):
            x = x + i
            print("turn", i, x.sum().item(), file=file)
        return x

    compiled = compiler.compile(fn, fullgraph=True)
    for (x,) in CALLS:
        ours, theirs = io.StringIO(), io.StringIO()
        assert compiled(x, ours).tolist() == fn(x, theirs).tolist()
        assert ours.getvalue() == theirs.getvalue()
    assert len(compiler.dispatcher_of(compiled).variants) == 1


def teardown_module() -> None:
    Path(FILE).unlink(missing_ok=True)


def test_the_level_of_a_logger_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fn(x):
        if LOG.isEnabledFor(logging.DEBUG):
            LOG.debug("sum %s", x.sum().item())
            return x + 1
        return x - 1

    compiled = compiler.compile(fn, fullgraph=True, backend="interpret")
    for level in (logging.INFO, logging.DEBUG, logging.INFO):
        LOG.setLevel(level)
        assert observed(compiled, (X,), monkeypatch) == observed(fn, (X,), monkeypatch)
    logging.disable(logging.CRITICAL)
    try:
        LOG.setLevel(logging.DEBUG)
        assert observed(compiled, (X,), monkeypatch) == observed(fn, (X,), monkeypatch)
    finally:
        logging.disable(logging.NOTSET)
        LOG.setLevel(logging.INFO)
