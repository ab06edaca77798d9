"""Random programs: every kernel is cut into chunks for two threads, and every block of memory comes from the cache of blocks.

    python tests/fuzz/crowded.py SEED [SEED ...]   the programs that differ; how many, kernels cut, blocks reused
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fusewire import knobs
from fusewire.ir import work
from fusewire.runtime import blocks

work.WORTH = work.CHUNK = 1
blocks.LARGE = 64  # before the native entry is printed, which holds the number

import program  # noqa: E402
import run  # noqa: E402


def main(words: list[str]) -> int:
    """The command line above."""
    failed, pieces, cut = 0, work.pieces, []

    def counted(*args: Any) -> Any:
        found = pieces(*args)
        cut.append(found != 1)
        return found

    work.pieces = counted
    with knobs.override(threads=2, disk_cache=False):
        for seed in map(int, words):
            made = program.make(seed)
            wrong = run.attempt(made)
            failed += wrong is not None
            print(f"{seed}: {wrong}\n{made}\n" if wrong else "", end="")
    used = blocks.current()
    reused = 0 if used is None else used.counts()["reused"]
    print(failed, sum(cut), reused)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
