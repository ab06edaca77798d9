"""Suite `gpu` from a checkout that nobody has installed: ``python bench/bare.py [as fusewire.bench.gpu takes]``.

A script, not a part of the package: it lets Python find the checkout's root under the package's name, also in child processes.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory(prefix="fusewire-link-") as folder:
        (Path(folder) / "fusewire").symlink_to(root)
        sys.path[0] = folder  # not this file's folder, whose names are others' too
        runpy.run_module("fusewire.bench.gpu", run_name="__main__", alter_sys=True)
