"""Replay: what was emitted for every graph that a run compiled, to show that a refactor changes nothing.

    pytest --replay before.gz ...        then change the code, then        pytest --replay after.gz ...
    python -m fusewire.bench.replay before.gz after.gz

A record is keyed by the graph's text and the knobs that have a say, without the user's lines. Kernels are written for one
fixed processor, so that records of different machines agree. Compiles and times nothing.
"""

from __future__ import annotations

import argparse
import difflib
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import knobs, pipeline
from ..backends.cpu.kinds import Target
from ..backends.cpu.module import llvm_text
from ..backends.gpu.triton import triton_text
from ..ir.text import print_graph

_TARGET = Target(64, True)
_LINES = re.compile(r"  # \S+:\d+$|^ +; \S+:\d+\n", re.MULTILINE)

#: key -> stage -> text
Records = dict[str, dict[str, str]]


def record(made: pipeline.Stages) -> dict[str, str]:
    """The texts of all stages after the graph's own, without the user's lines."""
    plan = made.plan
    parts = (plan.symbols, plan.buffers, plan.outputs, plan.writes)
    stages = {
        "passes": print_graph(made.optimised, where=False),
        "schedule": str(made.schedule),
        "plan": "\n".join([*(str(x) for part in parts for x in part), f"arena {plan.arena}"]),
        "llvm": llvm_text(made.kernels, _TARGET),
        "triton": triton_text(made.kernels),
    }
    return {stage: _LINES.sub("", text) for stage, text in stages.items()}


def key_of(made: pipeline.Stages) -> str:
    """A hash of the graph and of the knobs that change what is emitted for it."""
    text = f"{print_graph(made.graph, where=False)}\npass_limit {knobs.pass_limit}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def recording(path: Path) -> Iterator[Records]:
    """Record every graph compiled inside the block, and write the records to `path` at its end."""
    records: Records = {}

    def see(made: pipeline.Stages) -> None:
        key = key_of(made)
        new = record(made)
        known = records.setdefault(key, new)
        if any(known[stage] != text for stage, text in new.items()):
            records[key] = {**known, "unstable": "\n".join(text for _, _, text in differences({key: known}, {key: new}))}

    pipeline.OBSERVERS.append(see)
    try:
        yield records
    finally:
        pipeline.OBSERVERS.remove(see)
        with gzip.open(path, "wt", compresslevel=1) as file:
            json.dump(records, file)


def load(path: Path) -> Records:
    """The records that `recording` wrote."""
    with gzip.open(path, "rt") as file:
        found: Records = json.load(file)
    return found


def differences(before: Records, after: Records) -> list[tuple[str, str, str]]:
    """(key, stage, unified diff) for each text that differs among the graphs in both, the earliest stage of a graph only."""
    out = []
    for key in before.keys() & after.keys():
        a, b = before[key], after[key]
        stage = next((s for s in (*a, *b) if a.get(s) != b.get(s)), None)
        if stage is not None:
            lines = difflib.unified_diff(a.get(stage, "").splitlines(), b.get(stage, "").splitlines(), lineterm="", n=2)
            out.append((key, stage, "\n".join(lines)))
    return sorted(out, key=lambda d: len(d[2]))


def main(argv: list[str] | None = None) -> int:
    """Compare two files of records; status 1 where a text differs or nothing is comparable."""
    parser = argparse.ArgumentParser(prog="python -m fusewire.bench.replay", description="Compare what two runs emitted.")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--show", type=int, default=3, help="diffs to print, the shortest first (default 3)")
    options: Any = parser.parse_args(argv)
    before, after = load(options.before), load(options.after)
    found = differences(before, after)
    for key, stage, text in found[: options.show]:
        print(f"==== graph {key}, {stage}\n{text}")
    both = len(before.keys() & after.keys())
    print(f"{both} graphs in both runs, {len(found)} differ; {len(before) - both} only before, {len(after) - both} only after")
    return 1 if found or not both else 0


if __name__ == "__main__":
    raise SystemExit(main())
