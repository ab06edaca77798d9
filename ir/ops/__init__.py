"""All op records. Importing this registers them; nothing else is keyed by an op's name."""

from __future__ import annotations

from . import casts, compare, composites, creation, indexing, linalg, pointwise, random, reductions, shape

__all__ = ["casts", "compare", "composites", "creation", "indexing", "linalg", "pointwise", "random", "reductions", "shape"]
