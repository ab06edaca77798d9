"""Constants: pointwise calls and views whose tensors are all `full` become a `full` of the value, computed as eager does.

Only calls whose result cannot depend on the position are folded: the record's scalar lowering is asked whether it reads one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Builder, Graph, Node, Value, rewrite
from ..op import Scalar, lookup
from ..run_op import run_op
from ..sizes import Expr
from ..types import TensorType


def fold(graph: Graph) -> Graph:
    """`graph` with constants computed; `graph` itself where there are none."""
    fills: dict[Value, Any] = {}
    changed = False

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        nonlocal changed
        number = _folded(node, args, fills)
        if number is not None:
            type = node.results[0].tensor_type
            made = builder.emit(lookup("full"), (number,), {"shape": type.shape, "dtype": type.dtype}, node.where)
            changed = True
        elif node.op is lookup("full"):
            made, number = builder.emit(node.op, args, node.attrs, node.where), _value(node)
        else:
            return None
        if number is not None:
            fills[made] = number
        return made

    with np.errstate(all="ignore"):
        made = rewrite(graph, visit)
    return made if changed else graph


def _value(node: Node) -> Any:
    """The Python number that a call of `full` fills with, as its dtype holds it; None where it is a graph scalar."""
    single = {"shape": (), "dtype": node.attrs["dtype"]}
    return None if isinstance(node.args[0], Value) else run_op(node.op, node.args, single)[0].item()


def _folded(node: Node, args: tuple[Any, ...], fills: dict[Value, Any]) -> Any:
    """The number that every element of the call's result is; None where that is not known or the layout is not `full`'s."""
    tensors = [a for a in args if isinstance(a, Value)]
    if not tensors or not all(a in fills for a in tensors) or len(node.results) != 1 or node.op.effects.raises:
        return None
    type = node.results[0].type
    if not isinstance(type, TensorType) or not type.is_contiguous:
        return None
    if node.op.effects.aliases is not None:
        return fills[tensors[0]] if len(tensors) == 1 else None
    if not isinstance(node.op.lowering, Scalar) or _has_sizes(tuple(node.attrs.values())) or _reads_position(node, len(args)):
        return None
    arrays = [np.asarray(fills[a]).astype(a.dtype.np) if isinstance(a, Value) else a for a in args]
    return run_op(node.op, arrays, node.attrs, (type.dtype,))[0].item()


def _has_sizes(attr: Any) -> bool:
    return isinstance(attr, Expr) or (isinstance(attr, tuple) and any(map(_has_sizes, attr)))


class _Position(Exception):
    """The lowering asked where the element stands."""


class _Recorder:
    """Stands for the builder of scalar primitives, and for every operand and result."""

    def __getattr__(self, name: str) -> Any:
        if name in ("index", "number"):
            raise _Position
        return self

    def __call__(self, *_args: Any, **_attrs: Any) -> _Recorder:
        return self


def _reads_position(node: Node, count: int) -> bool:
    """Whether the scalar lowering reads an index. One that cannot be run on stand-ins counts as one that does."""
    assert isinstance(node.op.lowering, Scalar)
    stand_in = _Recorder()
    try:
        node.op.lowering.fn(stand_in, *[stand_in] * count, **node.attrs)
    except Exception:
        return True
    return False
