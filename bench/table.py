"""Rows as text: a table for reading, in Markdown, so that the README can hold it. Measures nothing."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .peers import installed
from .row import Row


def heading() -> str:
    """Date, machine and versions: what belongs beside any figure."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "llvmlite", "torch", "jax") if installed(name)]
    return f"{datetime.date.today()}, {processor()}, CPython {platform.python_version()}, {', '.join(versions)}"


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(rows: Sequence[Row]) -> str:
    """One Markdown table; a column a contender, then how the best peer compares, then the facts."""
    if not rows:
        return "(no rows)"
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    lines = [["row", "threads", *names, "best peer", "besides"]]
    for row in rows:
        ratio = row.against_peers
        cells = [f"{_number(row.values[name])} {row.unit}" if name in row.values else "" for name in names]
        facts = "; ".join(f"{name} {_fact(value)}" for name, value in row.facts.items())
        lines.append([row.name, str(row.threads), *cells, f"{ratio:.2f} x" if ratio else "", facts])
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_fact(part)}" for name, part in value.items())
    return _number(value) if isinstance(value, float) else str(value)
