"""The reference interpreter: what a graph means, node by node, on NumPy arrays. Mutates nothing and compiles nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import VerifyError
from . import sizes, solve
from .graph import Graph, Value
from .produced import attributes, bind_produced
from .produced import concrete as concrete
from .run_op import run_op
from .types import TensorType


def interpret(graph: Graph, inputs: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """(values of the outputs, values of the write-backs in order) for arrays and Python numbers as inputs."""
    if len(inputs) != len(graph.inputs):
        raise TypeError(f"graph {graph.name} has {len(graph.inputs)} inputs, not {len(inputs)}")
    bound = bind_symbols(graph, inputs)
    env: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            args = [env[a] if isinstance(a, Value) else a for a in node.args]
            results = run_op(node.op, args, attributes(node, bound), [r.dtype for r in node.results])
            bind_produced(node, results, bound)
            for value, array in zip(node.results, results, strict=True):
                _check(value, array, bound)
                env[value] = array
    return tuple(env[o.value] for o in graph.outputs), tuple(env[w.value] for w in graph.writes)


def bind_symbols(graph: Graph, inputs: Sequence[Any]) -> dict[str, int]:
    """The number that each of the graph's symbols is, from the shapes and strides of arrays and from int inputs."""
    bound: dict[str, int] = {}
    pairs: list[tuple[sizes.Size, int]] = []
    for value, x in zip(graph.inputs, inputs, strict=True):
        if isinstance(value.type, TensorType):
            pairs += zip(value.type.shape, x.shape, strict=True)
            pairs += zip(value.type.strides, [s // x.itemsize for s in x.strides], strict=True) if x.size else []
        elif value.name in graph.symbols:
            bound[value.name] = x
    return solve.solve(pairs, bound)


def _check(value: Value, array: Any, bound: dict[str, int]) -> None:
    shape = concrete(value.shape, bound)
    if array.shape != shape or array.dtype != value.dtype.np:
        raise VerifyError(f"%{value.name} is {value.type} by its op's infer, but eager gave {array.dtype}{list(array.shape)}")
