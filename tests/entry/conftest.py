"""The native entry builds the small Tensor of `entry_kit` while a module of these tests runs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from entry_kit import small_classes

__all__ = ["small_classes"]
