"""A pytest plugin: keeps pytest from importing the repository root, which is the package itself, under the clone's name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest import Collector, Dir

_ROOT = Path(__file__).resolve().parent


def pytest_collect_directory(path: Path, parent: Collector) -> Dir | None:
    """The root is a plain folder to pytest, not a package."""
    return pytest.Dir.from_parent(parent, path=path) if path == _ROOT else None
