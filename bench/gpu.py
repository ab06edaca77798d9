"""Suite `gpu`: everything the GPU back end is judged by, in one run of under eight minutes on a machine with nothing but Python.

    python -m fusewire.bench.gpu [FOLDER]     or `fusewire bench --device cuda`; from a checkout alone: python bench/bare.py
      --seconds N    all of it (450); what comes too late is left out, and said
      --only NAME    these sections
      --fake         rehearse on the tests' driver: the flow is real, numbers mean nothing; --tiny: small sizes
      --device cpu   rehearse the peers, where they have no GPU

The driver's layer and every record are checked, while other processes compile what will be measured; then sections are measured,
each in a process of its own, started again behind an item that crashed or hung. Rows go to FOLDER (bench/results) as JSON lines
at once, a table and the verdict on each measure at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .row import Row, package

#: section -> (seconds it may take, seconds an item may take)
PLAN: dict[str, tuple[float, float]] = {
    "machine": (30, 30), "check": (40, 25), "records": (80, 40), "peaks": (30, 30), "launches": (30, 20), "flat": (55, 25),
    "products": (60, 25), "attention": (50, 25), "models": (180, 75),
}  # fmt: skip
#: what is compiled ahead, the longest first: (section, items; none: all)
AHEAD: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("models", ("GPT-2 small training step",)), ("models", ("GPT-2 small inference",)), ("flat", ()),
    ("models", ("ResNet-18 training step",)), ("attention", ()), ("models", ("GPT, 4 layers training step",)), ("products", ()),
    ("launches", ()), ("models", ("GPT, 4 layers inference", "MLP inference")), ("models", ("MLP training step",)),
    ("models", ("ResNet-18 inference",)),
)  # fmt: skip
SECONDS, RESTARTS = 450.0, 12
#: seconds after which nothing is compiled ahead any more, as a share of all
_COMPILED = 0.33


@dataclass
class Run:
    """One run: rows as they come."""

    options: argparse.Namespace
    lines: Path
    settings: list[str]  # of the environment of children
    start: float = field(default_factory=time.perf_counter)
    rows: list[Row] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def left(self) -> float:
        """Seconds."""
        return float(self.start + self.options.seconds - time.perf_counter())

    def keep(self, row: Row, quiet: bool = False) -> None:
        """Write a row down."""
        with self.lock:
            self.rows.append(row)
            with self.lines.open("a", encoding="utf-8") as out:
                out.write(row.json() + "\n")
            if not quiet:
                print(f"{time.perf_counter() - self.start:5.0f} s  {brief(row)}", flush=True)


def brief(row: Row) -> str:
    """A row on a line."""
    values = ", ".join(f"{name} {t:.4g}" for name, t in row.values.items())
    facts = {name: v for name, v in row.facts.items() if name not in ("first_call_s", "tflops")}
    return f"{row.name}: {values}{' ' + row.unit if values else ''} {facts if facts else ''}".rstrip()


def main(argv: Sequence[str] = ()) -> int:
    """Everything; 0 where all items went through, whatever was measured."""
    options = _options(argv)
    name = f"gpu-{'rehearsal-' if options.fake or options.device == 'cpu' else ''}{time.strftime('%Y-%m-%d-%H%M%S')}"
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fusewire-gpu-") as cache:
        run = Run(options, options.folder / f"{name}.jsonl", _settings(cache))
        try:
            _all(run)
        except KeyboardInterrupt:
            print("interrupted: what there is is written", flush=True)
    text = page(run.rows, options.fake or options.device == "cpu")
    (options.folder / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"{time.perf_counter() - run.start:.0f} s; {options.folder / name}.md and .jsonl")
    return int(any("error" in row.facts for row in run.rows))


def _options(argv: Sequence[str]) -> argparse.Namespace:
    found = argparse.ArgumentParser(prog="python -m fusewire.bench.gpu", allow_abbrev=False)
    found.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent / "results")
    found.add_argument("--seconds", type=float, default=SECONDS, help="all of it")
    found.add_argument("--only", nargs="*", default=list(PLAN), choices=list(PLAN), metavar="SECTION", help=", ".join(PLAN))
    found.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 1) // 3), help="at a time, before measuring")
    found.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu: a rehearsal")
    found.add_argument("--no-peers", action="store_true", help="without PyTorch and JAX")
    found.add_argument("--no-ahead", action="store_true", help="compile nothing ahead")
    found.add_argument("--tiny", action="store_true", help="sizes of a rehearsal")
    found.add_argument("--fake", action="store_true", help="a driver without a GPU")
    return found.parse_args(list(argv))


def _settings(cache: str) -> list[str]:
    """Caches of the run's own, so that first calls are first ones; JAX leaves memory to others."""
    folders = [f"{name}={Path(cache) / name}" for name in ("FUSEWIRE_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")]
    return ["env", *folders, "FUSEWIRE_DISK_CACHE=1", "XLA_PYTHON_CLIENT_PREALLOCATE=false", "TF_CPP_MIN_LOG_LEVEL=3"]


def _all(run: Run) -> None:
    section(run, "machine")
    if not run.rows or "error" in run.rows[0].facts:
        return
    ahead = None if run.options.no_ahead else threading.Thread(target=_ahead, args=(run,))
    if ahead is not None:
        ahead.start()
    section(run, "check")
    _records(run)
    if ahead is not None:
        ahead.join()  # what is timed has the machine for itself
    for name in list(PLAN)[3:]:
        section(run, name)


def _ahead(run: Run) -> None:
    """Compile what will be measured, in processes."""
    wanted = [(name, items) for name, items in AHEAD if name in run.options.only]
    end = run.start + _COMPILED * run.options.seconds

    def work() -> None:
        while wanted and time.perf_counter() < end:
            name, items = wanted.pop(0)
            more = ["--ahead", *(["--only", *items] if items else [])]
            for row in child(run, name, end - time.perf_counter(), end - time.perf_counter(), more):
                run.keep(replace(row, name=f"ahead: {row.name}"), quiet=True)

    _threads([threading.Thread(target=work) for _ in range(run.options.processes)])


def _threads(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _records(run: Run) -> None:
    """Every record, in processes; one row for all."""
    if "records" not in run.options.only:
        return
    seconds, patience = PLAN["records"]
    shards, found = run.options.processes, list[Row]()

    def work(shard: int) -> None:
        more = ["--shard", str(shard), str(shards)]
        found.extend(child(run, "records", min(seconds, run.left()), patience, more))

    _threads([threading.Thread(target=work, args=(shard,)) for shard in range(shards)])
    done = [row for row in found if "samples" in row.facts]
    wrong = [f"{row.name.removeprefix('record: ')}: {w}" for row in found
             for w in row.facts.get("wrong", ()) or [row.facts[e] for e in ("error",) if e in row.facts]]  # fmt: skip
    facts: dict[str, Any] = {"records": len(done), "wrong": len(wrong)}
    for name in ("samples", "compiled", "gradients"):
        facts[name] = sum(row.facts[name] for row in done)
    run.keep(Row("gpu", "records", 1, "us", {}, facts))
    for text in wrong:
        run.keep(Row("gpu", f"differs: {text}", 1, "us", {}))


def section(run: Run, name: str) -> None:
    """Measure a section, unless it is not wanted or the time is over."""
    seconds, patience = PLAN[name]
    if name != "machine" and (name not in run.options.only or run.left() < 5):
        return
    limit = run.left() if name == "models" else min(seconds, run.left())
    for row in child(run, name, limit, patience, []):
        run.keep(row)


def child(run: Run, name: str, seconds: float, patience: float, more: list[str]) -> Iterator[Row]:
    """The rows of a section, measured in a child; another goes on behind an item in which one died or hung."""
    end, skip = time.perf_counter() + seconds, 0
    for _ in range(RESTARTS):
        state: dict[str, Any] = {"number": skip - 1, "item": name}
        yield from _one(run, name, ["--skip", str(skip), *more], end, patience, state)
        if state.get("status") == 0 or time.perf_counter() > end:
            return
        skip = max(state["number"], skip) + 1


def _one(run: Run, name: str, more: list[str], end: float, patience: float, state: dict[str, Any]) -> Iterator[Row]:
    why = ""
    with tempfile.TemporaryFile() as said:
        process, lines = _start(command(run, name, end - time.perf_counter(), more), said)
        try:
            while (line := lines.get(timeout=max(0.1, min(patience, end + 5.0 - time.perf_counter())))) is not None:
                yield from _heard(line, state)
        except queue.Empty:
            why = f"no answer within {patience:.0f} s" if time.perf_counter() < end else "the time of the section was over"
        finally:
            _stop(process, patience=0.0 if why else 3.0)
        state["status"] = 1 if why else process.returncode
        said.seek(0)
        tail = " ".join(said.read().decode(errors="replace").split())[-300:]
    if state["status"]:
        error = why or f"the process ended with status {process.returncode}: {tail}"
        yield Row("gpu", f"{name}: {state['item']}", 1, "us", {}, {"error": error})


def _heard(line: str, state: dict[str, Any]) -> Iterator[Row]:
    """The row of a line, if it is one."""
    if not line.startswith("{"):
        return
    found = json.loads(line)
    if "suite" in found:
        yield Row(**found)
    elif "begin" in found:
        state.update(number=found["number"], item=found["begin"])
    elif "failed" in found:
        yield Row("gpu", found["failed"], 1, "us", {}, {"error": found["error"]})
    else:
        yield Row("gpu", f"left out, no time: {found['left']}", 1, "us", {})


def _start(command: list[str], said: Any) -> tuple[Any, queue.Queue[str | None]]:
    """A child, and its lines; None behind the last."""
    lines: queue.Queue[str | None] = queue.Queue()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True)

    def read() -> None:
        with process.stdout or nullcontext(()) as out:
            for line in out:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return process, lines


def command(run: Run, name: str, seconds: float, more: list[str]) -> list[str]:
    """What a child is started with."""
    o = run.options
    flags = [flag for flag, on in (("--tiny", o.tiny), ("--fake", o.fake), ("--no-peers", o.no_peers)) if on]
    root = package().__name__
    program = f"import sys; sys.path[:] = {sys.path!r}; from {root}.bench.gpu_child import main; sys.exit(main(sys.argv[1:]))"
    return [*run.settings, sys.executable, "-c", program, name, "--seconds", str(seconds), "--device", o.device, *flags, *more]


def _stop(process: Any, patience: float) -> None:
    """End the child and what it has started, if it has not ended."""
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def page(rows: Sequence[Row], rehearsal: bool = False) -> str:
    """The verdict, then all rows but those of compiling ahead, as Markdown; of a `rehearsal` no figure counts."""
    from . import gpu_verdict
    from .table import heading, table

    machine = next((row.facts for row in rows if row.name == "machine"), {})
    ahead = [row for row in rows if row.name.startswith("ahead: ") and row.facts.get("first_call_s")]
    shown = [row for row in rows if not row.name.startswith(("ahead: ", "machine"))]
    firsts = [f"- {row.name.removeprefix('ahead: ')}: {row.facts['first_call_s']}" for row in ahead]
    what = "rehearsal without a GPU (no figure and no verdict means anything)" if rehearsal else "GPU"
    title = f"# {what}, {time.strftime('%Y-%m-%d')}\n\n{heading()}; {machine}"
    parts = {"Verdict": gpu_verdict.table(rows), "Rows": table(shown),
             "Seconds of first calls, nothing on disk, beside other processes": "\n".join(firsts)}  # fmt: skip
    return "\n\n".join([title, *(f"## {name}\n\n{text}" for name, text in parts.items())]) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
