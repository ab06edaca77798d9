"""The linter and the strict type check are clean."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NO_MODULES = {"tests", "build", "examples", "docs"}


def product_files() -> list[Path]:
    paths = (p.relative_to(ROOT) for p in ROOT.rglob("*.py"))
    return [p for p in paths if p.parts[0] not in NO_MODULES and not p.parts[0].startswith(".")]


def tool(module: str, *args: str, **env: str) -> str:
    """What the tool prints; it must find nothing."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed (it is in the test extra)")
    command = [sys.executable, "-m", module, *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ruff() -> None:
    tool("ruff", "check", ".")


def test_mypy() -> None:
    link = ROOT / "build" / "types" / "fusewire"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(Path("..") / "..")
    said = tool("mypy", "-p", "fusewire", MYPYPATH=str(link.parent))
    count = re.search(r"in (\d+) source files", said)
    assert count is not None and int(count[1]) >= len(product_files()), f"not all files of the package were checked: {said}"
