"""Suite `calls`: the commonest eager calls on small, middle and large tensors, beside PyTorch eager and beside their own
compiled form; contenders take turns in one process. ``python -m fusewire.bench.calls WORD ...`` runs the rows with these words
and sorts them, the slowest beside PyTorch first.

The goals (facts `goal`): at most PyTorch's time where the operands are small, at most 1.2 times it where they are large; a
compiled call never slower than the eager one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from . import peers
from .call_table import calls_of
from .row import Row, package
from .timing import interleaved

#: side of the square matrices -> goal
SIDES = {8: 1.0, 256: 1.0, 2048: 1.2}
#: calls before small operands are timed: past the call at which hot ops are compiled
WARM = 4200
COMPILED = "fusewire compiled"


def rows(threads: int, quick: bool, words: Sequence[str] = (), compiled: bool = True) -> Iterator[Row]:
    """Nanoseconds a call. Facts: the ratio to PyTorch's, and of the compiled call to the eager one. `words`: only rows whose
    names have one of them."""
    fw, torch = package(), peers.torch_at(threads)
    fw.set_num_threads(threads)
    for side, goal in SIDES.items():
        own, theirs = calls_of(fw, side), {} if torch is None else calls_of(torch, side)
        for name, call in own.items():
            title = f"{name} {side}"
            if not words or any(word in title.split() or word in title for word in words):
                yield _row(title, goal, call, theirs.get(name), threads, 5 if quick else 9, compiled)


def _row(
    title: str, goal: float, call: Callable[[], object], theirs: Callable[[], object] | None, threads: int, rounds: int,
    compiled: bool,
) -> Row:  # fmt: skip
    contenders = {"fusewire": call}
    if theirs is not None:
        contenders[peers.TORCH_EAGER] = theirs
    if compiled:
        contenders[COMPILED] = package().compile(call)
    warm = WARM if title.endswith(" 8") else 40 if title.endswith(" 256") else 3
    for entrant in contenders.values():
        for _ in range(warm):
            entrant()
    times = {who: 1e9 * t for who, t in interleaved(contenders, rounds, 0.01).items()}
    facts: dict[str, Any] = {"goal": goal}
    if theirs is not None:
        facts["of_torch"] = times["fusewire"] / times[peers.TORCH_EAGER]
    if compiled:
        facts["compiled_of_eager"] = times[COMPILED] / times["fusewire"]
    return Row("calls", title, threads, "ns", times, facts)


def main(words: Sequence[str]) -> None:
    """Print the rows with these words (``--compiled``: the compiled calls, too), the slowest beside PyTorch first."""
    peers.pin(1)
    compiled = "--compiled" in words
    found = list(rows(1, True, [w for w in words if not w.startswith("--")], compiled))
    for row in sorted(found, key=lambda row: -row.facts.get("of_torch", 0.0)):
        columns = [f"{row.facts.get(fact, np.nan):6.2f}" for fact in ("of_torch", "compiled_of_eager")]
        times = "".join(f"{row.values.get(who, np.nan) / 1e3:12.2f}" for who in ("fusewire", peers.TORCH_EAGER, COMPILED))
        print(f"{row.name:34s}{' '.join(columns)}{times}")


if __name__ == "__main__":
    main(sys.argv[1:])
