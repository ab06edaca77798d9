"""Rows as a picture: speed beside the best of each row's peers (matplotlib, the extra `bench`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .row import Row


def draw(rows: Sequence[Row], path: Path) -> None:
    """A bar a contender for every row that has peers, as a multiple of fusewire's time, in the format of `path`'s suffix.
    ImportError without matplotlib."""
    from matplotlib.figure import Figure

    shown = [row for row in rows if len(row.values) > 1 and "fusewire" in row.values]
    names = list(dict.fromkeys(name for row in shown for name in row.values))
    figure = Figure(figsize=(9, 1.2 + 0.16 * len(names) * max(1, len(shown))), layout="constrained")
    axes = figure.subplots()
    step = len(names) + 1
    for k, name in enumerate(names):
        having = [(i, row) for i, row in enumerate(shown) if name in row.values]
        axes.barh([i * step + k for i, _ in having], [r.values[name] / r.values["fusewire"] for _, r in having], 0.9, label=name)
    axes.set_yticks([i * step + (len(names) - 1) / 2 for i in range(len(shown))], [f"{r.name} ({r.threads}t)" for r in shown])
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("time as a multiple of fusewire's (longer is slower)")
    axes.invert_yaxis()
    axes.legend(fontsize="small")
    figure.savefig(path)
