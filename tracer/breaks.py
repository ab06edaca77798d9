"""Graph breaks as data: the registry of reasons, the record of one break, and the exceptions that carry them through the tracer.

Never decides how the program goes on; `resume` and `tail` do.
"""

from __future__ import annotations

import linecache
from dataclasses import field
from typing import Any

from ..errors import GraphBreakError
from ..ir.graph import Where
from ..ir.lazyclass import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One reason for a graph break. `why` explains it to a user, `hint` says what he can do."""

    code: str
    why: str
    hint: str


KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind(
            "opaque-call",
            "the called code is not Python that the tracer can follow, and it may have effects of its own",
            "move the call out of the compiled function, or leave it: what follows is compiled again",
        ),
        Kind(
            "disabled", "the function is marked with compiler.disable", "remove the mark where the function is pure tensor code"
        ),
        Kind(
            "tensor-to-python",
            "the value of a tensor is needed in Python, so the graph that computes it must run first",
            "keep the value in a tensor (where, masks, clamp) or read it after the compiled region",
        ),
        Kind("raise", "an exception leaves the compiled region", "none needed: CPython raises it, with your own traceback"),
        Kind(
            "instruction",
            "the tracer does not follow this instruction",
            "leave it: CPython runs it and what follows is compiled again",
        ),
        Kind(
            "object",
            "the tracer cannot look into such an object without running code that it cannot follow",
            "pass the needed values as plain attributes, containers or tensors",
        ),
        Kind(
            "outer-iterator",
            "the iterator was made outside of the region, and taking from it changes it",
            "none needed: CPython takes the next item and what follows is compiled again",
        ),
        Kind(
            "long",
            "capture unrolls loops, and this one would make a graph too large to compile",
            "keep the loop outside of the compiled function, or write it as tensor operations",
        ),
        Kind("depth", "calls are nested deeper than knob inline_limit", "raise knob inline_limit, or flatten the recursion"),
        Kind(
            "tensor-method",
            "this Tensor method changes or reads state outside of the graph",
            "call it outside of the compiled region",
        ),
        Kind(
            "state",
            "a live object on the frame cannot be made again outside of the tracer",
            "consume generators and iterators before the call that breaks the graph",
        ),
        Kind(
            "unknown-op",
            "the operation failed inside the tracer in a way that it does not model",
            "none needed: CPython runs it instead; please report it, it is a defect",
        ),
    )
}


def catalogue() -> str:
    """All codes with their reasons and hints, as Markdown."""
    lines = ["# Graph breaks", ""]
    lines += ["Printed by `fusewire breaks`. At a break CPython runs the piece named; capture goes on behind.", ""]
    lines += ["| code | why the graph ends | what to do |", "|---|---|---|"]
    lines += [f"| `{kind.code}` | {kind.why} | {kind.hint} |" for kind in KINDS.values()]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class BreakRecord:
    """One graph break: which kind, what exactly, and where in the user's file (innermost frame last)."""

    code: str
    what: str
    where: Where
    columns: tuple[int, int] | None = None
    stack: tuple[Where, ...] = field(default=())

    @property
    def why(self) -> str:
        return KINDS[self.code].why

    @property
    def hint(self) -> str:
        return KINDS[self.code].hint

    def __str__(self) -> str:
        lines = [f"graph break [{self.code}]: {self.what}"]
        for where in self.stack or (self.where,):
            lines.append(f'  File "{where.file}", line {where.line}, in {where.function}')
            text = linecache.getline(where.file, where.line).rstrip()
            if text:
                lines.append(f"    {text.lstrip()}")
        text = linecache.getline(self.where.file, self.where.line).rstrip()
        if text and self.columns is not None:
            margin = len(text) - len(text.lstrip())
            first, last = self.columns
            lines.append("    " + " " * max(first - margin, 0) + "^" * max(min(last, len(text)) - first, 1))
        lines += [f"  why:  {self.why}", f"  hint: {self.hint}"]
        return "\n".join(lines)


def refused(record: BreakRecord) -> GraphBreakError:
    """The error that stands in place of a graph break under ``fullgraph=True``."""
    error = GraphBreakError(str(record))
    error.record = record  # type: ignore[attr-defined]
    return error


class Break(BaseException):
    """Raised inside the tracer: the graph ends before the current instruction. No user code ever sees it."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(code, what)
        self.code, self.what = code, what


class UserRaise(BaseException):
    """Raised inside the tracer: the user's program raises `exc` at the current instruction."""

    def __init__(self, exc: BaseException) -> None:
        super().__init__(exc)
        self.exc = exc


class Restart(BaseException):
    """Raised inside the tracer: record again from the start and break the graph before step `step`, for the reason given."""

    def __init__(self, step: int, code: str, what: str) -> None:
        super().__init__(step, code, what)
        self.step, self.code, self.what = step, code, what


class ValueNeeded(BaseException):
    """A traced tensor's memory was asked for: it has none until the graph runs."""


def describe(x: Any) -> str:
    """A function, type or object as a reader knows it."""
    name = getattr(x, "__qualname__", None) or getattr(x, "__name__", None)
    module = getattr(x, "__module__", None)
    if name is None:
        return f"an object of type {type(x).__qualname__}"
    return f"{module}.{name}" if isinstance(module, str) and module not in ("builtins", "__main__") else str(name)
