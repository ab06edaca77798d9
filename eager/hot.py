"""Heavy ops of eager programs as compiled graphs of one node, from the third call of a kind on. Knows no op by name.

A record says that it is `heavy`; the NumPy kernel remains its meaning, and runs where nothing can be compiled.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import knobs
from ..errors import CompileError

#: elements of operands and results below which NumPy serves
SMALL = 1 << 13
#: calls of one kind before it is compiled
COLD = 2
#: kinds remembered
MOST = 1024

_found: dict[Any, Any] = {}


def run(op: Any, operands: tuple[Any, ...], arrays: list[Any], attrs: dict[str, Any]) -> Any:
    """The op's result by compiled code; None where the NumPy kernel is to run."""
    if not knobs.hot_ops or sum([a.size for a in arrays if type(a) is np.ndarray]) < max(SMALL, op.heavy):
        return None
    key = (op, *[x.meta if hasattr(x, "meta") else x for x in operands], *attrs.items())
    known = _found.get(key, 0)
    if type(known) is int:
        known = _warmed(key, known, op, arrays, attrs)
    return None if known is None else _ran(known, arrays)


def _ran(executable: Any, arrays: list[Any]) -> Any:
    made = executable.run([a for a in arrays if type(a) is np.ndarray])
    return tuple(made) if len(made) > 1 else made[0]


def _warmed(key: Any, calls: int, op: Any, arrays: list[Any], attrs: dict[str, Any]) -> Any:
    """One call more of a kind: its executable, or None while it is cold or where it cannot be built."""
    if len(_found) >= MOST:
        _found.clear()
    if calls < COLD:
        _found[key] = calls + 1
        return None
    _found[key] = None
    _found[key] = built = _built(op, arrays, attrs)
    return built


def _built(op: Any, arrays: list[Any], attrs: dict[str, Any]) -> Any:
    from ..ir.graph import Builder
    from ..ir.layout import type_of_array
    from ..pipeline import compile_graph

    if any(type(a) is np.ndarray and (a.dtype.itemsize < 4 or 0 in a.strides or math.prod(a.shape) == 0) for a in arrays):
        return None
    builder = Builder(f"eager_{op.name}")
    made = op(*[builder.input(type_of_array(a)) if type(a) is np.ndarray else a for a in arrays], **attrs)
    try:
        return compile_graph(builder.finish(list(made) if isinstance(made, tuple) else [made]))
    except (CompileError, ImportError):
        return None
