"""``fusewire bench``: the suites, each in a process of its own pinned to that many processors; JSON lines, a table, a chart.

Contenders of a row take turns in one process; figures are medians. Peers that are not installed are left out.
"""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import FusewireError
from . import OTHERS, SUITES, peers
from .row import Row, Suite, package
from .table import heading, table


def main(
    names: Sequence[str] = (), threads: Sequence[int] = (1,), quick: bool = False, json: Path | None = None,
    chart: Path | None = None, say: Callable[[str], None] = print, beside: bool = True,
) -> int:  # fmt: skip
    """Run the suites of these names (all without names) at each number of threads, PyTorch `beside` them where it is installed.
    Rows go to file `json` as they are measured, a picture of them to file `chart` (matplotlib, the extra `bench`). 0 when every
    suite went through, else 1. ValueError for unknown names."""
    unknown = [n for n in names if n not in (*SUITES, *OTHERS)]
    if unknown:
        raise ValueError(f"no suite {unknown[0]!r}; there are {', '.join((*SUITES, *OTHERS))}")
    if chart is not None and not peers.installed("matplotlib"):
        raise FusewireError('the chart needs matplotlib: pip install "fusewire[bench]"')
    started, rows, failed = time.perf_counter(), list[Row](), 0
    say(heading())
    for name, count in itertools.product(names or SUITES, threads):
        found, status = _run(name, count, ["quick"] * quick + ["no-torch"] * (not beside), say)
        failed |= status
        rows += found
        if json is not None:
            with json.open("a") as file:
                file.writelines(row.json() + "\n" for row in found)
        say(table(found))
    if chart is not None:
        from .chart import draw

        draw(rows, chart)
    say(f"{time.perf_counter() - started:.0f} s")
    return failed


def _run(name: str, threads: int, options: list[str], say: Callable[[str], None]) -> tuple[list[Row], int]:
    """The rows of one suite, measured in a fresh process, and whether that failed."""
    command = [sys.executable, "-m", f"{__package__}.suites", name, str(threads), *options]
    rows = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                rows.append(Row.of_json(line))
            else:
                say(line.rstrip("\n"))
    if process.returncode:
        say(f"suite {name} at {threads} thread(s) ended with status {process.returncode}")
    return rows, int(process.returncode != 0)


def worker(name: str, threads: int, options: Sequence[str]) -> int:
    """Measure one suite in this process, a JSON line a row. `options`: any of "quick", "no-torch"."""
    peers.pin(threads)
    peers.LEFT_OUT.update({"torch"} & {o.removeprefix("no-") for o in options})
    importlib.import_module(f"{package().__name__}.backends.entry").warm()
    suite: Suite = importlib.import_module(f"{__package__}.{name.replace('-', '_')}").rows
    for row in suite(threads, "quick" in options):
        print(row.json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(worker(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
