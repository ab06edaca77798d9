"""Typical graphs for the schedule's tests: each case makes a Graph; `arrays` makes inputs for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fusewire.ir import dtypes, sizes
from fusewire.ir.graph import Builder, Graph, Output, Value, View, Where, WriteBack
from fusewire.ir.op import Op, lookup
from fusewire.ir.types import ScalarType, TensorType, tensor

lookup("add")
F32, F64, BF16, I64 = dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.int64
S0 = sizes.symbol("s0", 2)
SYMBOLS = {"s0": 5}


def op(name: str) -> Op:
    """The record called `name`."""
    return lookup(name)


def graph(make: Callable[..., Any], *shapes: Any, name: str = "graph") -> Graph:
    """The graph that `make` builds from inputs a, b, c ... of these shapes (float32) or types."""
    builder = Builder(name)
    types = [s if isinstance(s, (TensorType, ScalarType)) else tensor(s, F32) for s in shapes]
    inputs = [builder.input(t, "abcdefgh"[i] if i < 8 else None) for i, t in enumerate(types)]
    builder.where = Where("model.py", 12)
    made = make(*inputs)
    if isinstance(made, Graph):
        return made
    return builder.finish(made if isinstance(made, (tuple, list)) else [made])


def arrays(made: Graph, seed: int = 0) -> list[Any]:
    """Random inputs of the graph's types."""
    rng = np.random.default_rng(seed)
    return [0.25 if isinstance(v.type, ScalarType) else _array(v.type, rng) for v in made.inputs]


def _array(kind: TensorType, rng: np.random.Generator) -> Any:
    shape = [sizes.evaluate(n, SYMBOLS) for n in kind.shape]
    steps = [sizes.evaluate(s, SYMBOLS) * kind.dtype.itemsize for s in kind.strides]
    values = rng.integers(0, 3, shape) if kind.dtype.kind in "iu" else rng.standard_normal(shape)
    reach = 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) // kind.dtype.itemsize if 0 not in shape else 0
    out = np.lib.stride_tricks.as_strided(np.zeros(reach, kind.dtype.np), shape, steps)
    out[...] = values.astype(kind.dtype.np)
    return out


def layer_norm(x: Value, w: Value, b: Value) -> Value:
    """Over the last dimension."""
    return op("layer_norm")(x, w, b, normalized_shape=(w.shape[0],), eps=1e-5)  # type: ignore[no-any-return]


def pointwise() -> Graph:
    return graph(lambda a, b: op("add")(op("mul")(op("sin")(a), op("exp")(b)), a), (64, 32), (64, 32))


def broadcast() -> Graph:
    return graph(lambda a, b: op("relu")(op("add")(a, b)), (64, 32), (32,))


def softmax() -> Graph:
    return graph(lambda a: op("softmax")(a, dim=1), (64, 32))


def log_softmax() -> Graph:
    return graph(lambda a: op("log_softmax")(a, dim=1), (64, 32))


def norm() -> Graph:
    return graph(layer_norm, (64, 32), (32,), (32,))


def gelu_norm() -> Graph:
    return graph(lambda a, b, c: layer_norm(op("gelu")(a), b, c), (64, 32), (32,), (32,))


def bias_gradient() -> Graph:
    return graph(lambda a: op("sum")(op("mul")(a, 2.0), dim=(0,)), (64, 32))


def transposed() -> Graph:
    return graph(lambda a, b: op("add")(op("permute")(a, dims=(1, 0)), b), (64, 32), (32, 64))


def joined() -> Graph:
    return graph(lambda a, b: op("cat")(a, op("mul")(b, 2.0), dim=1), (8, 3), (8, 5))


def cross_entropy() -> Graph:
    return graph(lambda a, b: op("cross_entropy")(a, b), (64, 10), tensor((64,), I64))


def update() -> Graph:
    def make(p: Value, g: Value, lr: Value) -> Graph:
        assert p.builder is not None
        return p.builder.finish([], [WriteBack(p, op("sub")(p, op("mul")(g, lr)), 2)])

    return graph(make, (64, 32), (64, 32), ScalarType("float"))


def symbolic() -> Graph:
    return graph(lambda a, b: op("softmax")(op("add")(a, b), dim=1), (S0, 32), (32,))


def symbolic_chain() -> Graph:
    return graph(lambda a, b: op("add")(op("view")(op("exp")(a), shape=(S0 * 6,)), b), (S0, 6), (S0 * 6,))


def half() -> Graph:
    return graph(lambda a, b: op("softmax")(op("add")(a, b), dim=1), tensor((8, 16), BF16), tensor((16,), BF16))


def two_sums() -> Graph:
    return graph(lambda a: (op("sum")(a, dim=(1,)), op("sum")(op("mul")(a, a), dim=(1,))), (64, 32))


def mlp() -> Graph:
    def make(x: Value, w: Value, b: Value, v: Value) -> Any:
        hidden = op("relu")(op("add")(op("matmul")(x, op("permute")(w, dims=(1, 0))), b))
        return op("matmul")(hidden, op("permute")(v, dims=(1, 0)))

    return graph(make, (64, 32), (16, 32), (16,), (8, 16))


def attention() -> Graph:
    def make(q: Value, k: Value, v: Value) -> Any:
        weights = op("softmax")(op("matmul")(q, op("permute")(k, dims=(0, 1, 3, 2))), dim=3)
        return op("matmul")(weights, v)

    return graph(make, (2, 4, 16, 8), (2, 4, 16, 8), (2, 4, 16, 8))


def variance() -> Graph:
    return graph(lambda a: op("var")(a, dim=(1,), keepdim=False, correction=1), (64, 32))


def column_norm() -> Graph:
    return graph(lambda a: op("sub")(a, op("mean")(a, dim=(0,), keepdim=True)), (64, 32))


def shared_exp() -> Graph:
    """A dear value that two kernels with different loops read."""

    def make(x: Value) -> Any:
        e = op("exp")(x)
        return op("sum")(e, dim=(0,)), op("sum")(e, dim=(1,))

    return graph(make, (64, 32))


#: name -> (case, kernels, all steps)
CASES: dict[str, tuple[Callable[[], Graph], int, int]] = {
    "pointwise": (pointwise, 1, 1), "broadcast": (broadcast, 1, 1), "softmax": (softmax, 1, 1),
    "log_softmax": (log_softmax, 1, 1),
    "layer_norm": (norm, 1, 1), "gelu_layer_norm": (gelu_norm, 1, 1), "bias_gradient": (bias_gradient, 1, 1),
    "transposed": (transposed, 1, 1), "cat": (joined, 1, 1), "cross_entropy": (cross_entropy, 1, 1), "update": (update, 1, 1),
    "symbolic": (symbolic, 1, 1), "symbolic_chain": (symbolic_chain, 1, 1), "half": (half, 1, 1), "two_sums": (two_sums, 1, 1),
    "mlp": (mlp, 1, 3), "attention": (attention, 1, 3), "variance": (variance, 1, 1), "column_norm": (column_norm, 2, 2),
    "shared_exp": (shared_exp, 2, 2),
}  # fmt: skip

__all__ = ["CASES", "Output", "View", "arrays", "graph", "op"]
