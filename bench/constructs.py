"""``fusewire bench constructs``: the construct table of tests/constructs beside torch.compile, where that is installed.

A row is three calls with different inputs. `equal`: results, exceptions and all effects are those of plain Python. Needs the
repository: the rows are not installed. torch.compile runs with its null back end, which is capture alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FusewireError, GraphBreakError

_ROWS = Path(__file__).resolve().parents[1] / "tests" / "constructs"


@dataclass(frozen=True)
class Verdict:
    """How one system does a row. `equal`: "equal", "differs" (silently), "error" (only compiled raises), "no eager"."""

    equal: str
    code: str | None

    def __str__(self) -> str:
        if self.equal != "equal":
            return self.equal
        return "one graph" if self.code is None else f"break {self.code}"


def judge(row: Any, torch: Any, compile_: Callable[..., Any], refusal: type[BaseException]) -> Verdict:
    """A row on library `torch`, compiled by `compile_(function, fullgraph=...)`, which refuses with `refusal`."""
    observe = importlib.import_module("observe")
    try:
        case, again, strict = (row.case(torch) for _ in range(3))
    except Exception:
        return Verdict("no eager", None)
    expected = observe.run(case, case.function, torch)
    shown = observe.run(again, compile_(again.function), torch)
    keys = [k for k in expected if not observe.same(shown[k], expected[k])]
    equal = "equal"
    if keys:
        raises = any(type(shown[k]) is tuple and shown[k][0] == "raises" and expected[k][0] == "gives" for k in keys)
        equal = "error" if raises else "differs"
        print(f"{row.name}: {equal}\n" + "\n".join(f"  {line}" for line in observe.differences(shown, expected)), file=sys.stderr)
    error = observe.break_of(strict, compile_(strict.function, fullgraph=True), refusal)  # made only now: see `theirs`
    return Verdict(equal, None if error is None else _code(error))


def _code(error: Any) -> str:
    record = getattr(error, "record", None)
    if record is not None:
        return str(record.code)
    found = [line for line in str(error).splitlines() if "gb" in line and ".html" in line]
    return found[0].rpartition("/")[2].removesuffix(".html").upper() if found else type(error).__name__


def ours(row: Any) -> Verdict:
    """fusewire on a row."""
    fusewire = importlib.import_module(str(__package__).partition(".")[0])

    def compile_(fn: Any, **options: Any) -> Any:
        return fusewire.compile(fn, **options)

    return judge(row, fusewire, compile_, GraphBreakError)


def theirs(row: Any) -> Verdict | None:
    """torch.compile on a row; None where PyTorch is missing or cannot run the text."""
    if not row.torch:
        return None
    torch = importlib.import_module("torch")
    dynamo = importlib.import_module("torch._dynamo")

    def compile_(fn: Any, **options: Any) -> Any:
        dynamo.reset()  # it remembers per code object which frames it gave up
        return torch.compile(fn, backend="eager", **options)

    return judge(row, torch, compile_, dynamo.exc.TorchDynamoException)


def main(words: Sequence[str] = (), beside: bool = True) -> int:
    """Print the table (only rows whose name holds one of the `words`) and the counts, `beside` torch.compile. 1 where anything of
    ours differs from plain Python."""
    if not _ROWS.is_dir():
        raise FusewireError("the construct table lies in tests/constructs of the repository, which is not installed")
    sys.path.insert(0, str(_ROWS))
    warnings.simplefilter("ignore")
    rows = [r for r in importlib.import_module("rows").load() if not words or any(w in r.name for w in words)]
    compare = beside and importlib.util.find_spec("torch") is not None
    counts: list[Counter[str]] = [Counter(), Counter()]
    theme = ""
    for row in rows:
        if row.theme != theme:
            theme = row.theme
            print(f"\n{theme:96} {'fusewire':28} {'torch.compile' if compare else ''}")
        verdicts = [ours(row), theirs(row) if compare else None]
        for verdict, count in zip(verdicts, counts, strict=True):
            _count(verdict, count)
        print(f"  {row.name[:93]:94} {verdicts[0]!s:28} {verdicts[1] or ''}", flush=True)
    print(f"\n{len(rows)} rows, CPython {sys.version.split()[0]}")
    for name, count in zip(("fusewire", "torch.compile"), counts, strict=True):
        if count:
            print(f"  {name:14} " + ", ".join(f"{n} {what}" for what, n in count.items()))
    return int(counts[0]["equal"] < len(rows))


def _count(verdict: Verdict | None, count: Counter[str]) -> None:
    if verdict is not None:
        count["equal"] += verdict.equal == "equal"
        count["one graph and equal"] += verdict.equal == "equal" and verdict.code is None
        count["equal with breaks"] += verdict.equal == "equal" and verdict.code is not None
        count["differ silently"] += verdict.equal == "differs"
        count["raise where Python does not"] += verdict.equal == "error"
        count["not in eager"] += verdict.equal == "no eager"
