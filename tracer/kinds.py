"""The registry of graph breaks: for each code what happened, what to do, a program that breaks and what to write instead.

docs/graph-breaks.md is printed from it (`fusewire breaks`). Never imported by a call that compiles without a break.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Kind(NamedTuple):
    """One reason for a graph break. `why` explains it to a user, `hint` says what he can do.

    `example` defines ``f``; the line that breaks ends in ``#! expression``, the text over the caret (``||`` between those
    of several versions of Python). `call` are the arguments.
    `instead` is another ``f`` that does the same in one graph, with `instead_call` (the same arguments where empty); "" where
    nothing need be changed.
    """

    code: str
    why: str
    hint: str
    example: str
    call: str = "torch.ones(2)"
    instead: str = ""
    instead_call: str = ""


def registry() -> dict[str, Kind]:
    """All kinds by code, in the order of the page."""
    from . import kinds_calls, kinds_language, kinds_objects, kinds_tensors

    groups = (kinds_tensors.KINDS, kinds_calls.KINDS, kinds_objects.KINDS, kinds_language.KINDS)
    return {kind.code: kind for group in groups for kind in group}


KINDS = registry()
_TITLES = {
    "kinds_tensors": "Values and memory of tensors", "kinds_calls": "Calls", "kinds_objects": "Objects",
    "kinds_language": "The language",
}  # fmt: skip
_MARK = re.compile(r" *#! ?(.*)$", re.M)
_HEAD = """# Graph breaks

Printed by `fusewire breaks`. A graph break ends the graph before the expression named; CPython runs that expression, and capture
goes on behind it, so a program with breaks is right, but its graphs are smaller. `fusewire explain FILE:FUNC` and
`fusewire run --log graph_breaks script.py` show the breaks of a program, with its lines; `fullgraph=True` raises them.

Each entry: why the graph ends, what to do, a program that breaks at the marked line, and what to write instead. In all of them
`import fusewire as torch` stands at the top.
"""


def catalogue() -> str:
    """The page of all codes, as Markdown."""
    from . import kinds_calls, kinds_language, kinds_objects, kinds_tensors

    modules = (kinds_tensors, kinds_calls, kinds_objects, kinds_language)
    lines = [_HEAD, "| code | why the graph ends |", "|---|---|"]
    lines += [f"| [`{kind.code}`](#{kind.code}) | {kind.why} |" for kind in KINDS.values()]
    for module in modules:
        lines += ["", f"## {_TITLES[module.__name__.rpartition('.')[2]]}"]
        for kind in module.KINDS:
            lines += ["", *_entry(kind)]
    return "\n".join(lines) + "\n"


def _entry(kind: Kind) -> list[str]:
    lines = [f"### {kind.code}", "", f"Why: {kind.why}.", "", f"What to do: {kind.hint}.", ""]
    lines += ["```python", _MARK.sub("  # <- the graph breaks here", kind.example.strip("\n")), "", f"f({kind.call})", "```"]
    if kind.instead:
        other = f"f({kind.instead_call or kind.call})"
        lines += ["", "Instead:", "", "```python", kind.instead.strip("\n"), "", other, "```"]
    return lines


def marked(kind: Kind) -> tuple[str, int, tuple[str, ...]]:
    """The example as a program, the line that breaks, the expressions of which one stands over the caret ("" for no caret)."""
    text = kind.example.strip("\n")
    for number, line in enumerate(text.splitlines(), 1):
        mark = _MARK.search(line)
        if mark is not None:
            return _MARK.sub("", text), number, tuple(mark[1].split(" || "))
    raise ValueError(f"the example of {kind.code} marks no line")
