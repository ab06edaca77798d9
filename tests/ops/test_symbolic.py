"""`infer` and index pieces with symbolic sizes: replacing the symbols by their values gives what constants give."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire.errors import ShapeError
from fusewire.ir import sizes
from fusewire.ir.graph import Builder, Value
from fusewire.ir.interpret import interpret
from fusewire.ir.op import Decompose, Move, Op
from fusewire.ir.promote import target_dtype
from fusewire.ir.types import TensorType, contiguous_strides, tensor

sys.path.insert(0, str(Path(__file__).parent))
from op_cases import ALL, Toy, close, read_pieces, samples

each_op = pytest.mark.parametrize("op", ALL, ids=[op.name for op in ALL])
#: One size is four times another; the decomposition has a step for each step.
RECURRENT = tuple(f"{cell}_steps{half}" for cell in ("lstm", "gru", "rnn") for half in ("", "_backward"))
#: Ops whose attributes fix the sizes, or which want a fixed operand.
CONSTANT = (
    "as_strided", "as_strided_scatter", "rng_advance", "size_of", "philox_rand", "philox_randn", "rand", "randn", "dropout",
    "arange", "full", "true_places", *RECURRENT,
)  # fmt: skip


def symbolic(n: int) -> Any:
    """A symbol for every size above 1; equal sizes get one symbol."""
    return sizes.symbol(f"s{n}", 2) if n > 1 else n


def abstract(x: Any) -> Any:
    """The symbolic type of a row-major operand."""
    return tensor([symbolic(n) for n in x.shape], x.type.dtype) if isinstance(x, Toy) else x


def abstract_attrs(attrs: dict[str, Any]) -> dict[str, Any]:
    sized = ("shape", "normalized_shape")
    return {k: tuple(map(symbolic, v)) if k in sized else symbolic(v) if k == "stop" else v for k, v in attrs.items()}


def concrete(t: TensorType, values: dict[str, int]) -> TensorType:
    shape = tuple(sizes.evaluate(n, values) for n in t.shape)
    strides = tuple(sizes.evaluate(s, values) for s in t.strides)
    return TensorType(shape, t.dtype, contiguous_strides(shape) if 0 in shape else strides)


def typed_operands(op: Op, operands: tuple[Any, ...]) -> list[Any] | None:
    """Operands as promoted Toys; None where one is not row-major (its strides are no function of its shape)."""
    toys = [Toy(x) if isinstance(x, np.ndarray) else x for x in operands]
    target = target_dtype(op, tuple(t.type if isinstance(t, Toy) else t for t in toys))
    chosen = range(len(toys)) if op.promote is None or op.promote.operands is None else op.promote.operands
    toys = [Toy(t.array.astype(target.np)) if target and i in chosen and isinstance(t, Toy) else t for i, t in enumerate(toys)]
    return toys if all(not isinstance(t, Toy) or t.type.is_contiguous for t in toys) else None


@each_op
def test_symbolic_types_are_the_constant_ones(op: Op) -> None:
    tried = 0
    for sample in samples(op):
        toys = typed_operands(op, sample.operands)
        if toys is None:
            continue
        values = {f"s{n}": n for n in range(2, 400)}
        try:
            found = op.infer(*map(abstract, toys), **abstract_attrs(sample.attrs))
        except ShapeError:  # an equality that holds for these values only
            continue
        want = op.infer(*[t.type if isinstance(t, Toy) else t for t in toys], **sample.attrs)
        assert tuple(concrete(t, values) for t in found) == want
        tried += any(isinstance(n, sizes.Expr) for t in found for n in t.shape)
    assert tried or op.name in (*CONSTANT, "argmax", "argmin")


moves = [op for op in ALL if isinstance(op.lowering, Move) and op.name not in CONSTANT]


@pytest.mark.parametrize("op", moves, ids=[op.name for op in moves])
def test_symbolic_index_pieces_read_the_same_elements(op: Op) -> None:
    tried = 0
    for sample in samples(op):
        toys = typed_operands(op, sample.operands)
        if toys is None:
            continue
        values = {f"s{n}": n for n in range(2, 400)}
        attrs = abstract_attrs(sample.attrs)
        try:
            (t,) = op.infer(*map(abstract, toys), **attrs)
        except ShapeError:
            continue
        index = tuple(sizes.symbol(f"i{d}", 0, n - 1) for d, n in enumerate(t.shape))
        pieces = op.lowering.fn(index, [getattr(abstract(x), "shape", ()) for x in toys], **attrs)  # type: ignore[union-attr]
        arrays = [getattr(x, "array", x) for x in toys]
        want = op.eager(*arrays, **sample.attrs)
        if want.size:
            got = read_pieces(pieces, arrays, want.shape, want.dtype, values)
            np.testing.assert_array_equal(got, want)
            tried += 1
    assert tried


def emitted(op: Op, toys: list[Any], attrs: dict[str, Any], make: Any) -> tuple[Any, list[np.ndarray]] | None:
    """The graph that ``make(values, attrs)`` emits over symbolic inputs, and the arrays to run it on."""
    builder = Builder("symbolic")
    values = [builder.input(abstract(t)) if isinstance(t, Toy) else t for t in toys]
    try:
        outs = make(builder, values, abstract_attrs(attrs))
    except ShapeError:
        return None
    graph = builder.finish([o for o in outs if isinstance(o, Value)])
    given = (v if isinstance(v, tuple) else (v,) for v in abstract_attrs(attrs).values())
    used = [*(o.value.shape for o in graph.outputs), *given]
    sized = {name for group in used for n in group if isinstance(n, sizes.Expr) for name in sizes.symbols_of(n)}
    if not graph.symbols or not sized <= set(graph.symbols):  # a size that no input has
        return None
    return graph, [t.array for t in toys if isinstance(t, Toy)]


def several(results: Any) -> tuple[Any, ...]:
    """The results of a call as a tuple."""
    return results if isinstance(results, tuple) else (results,)


decompositions = [
    op for op in ALL if isinstance(op.lowering, Decompose) and op.name not in ("rand", "randn", "dropout", *RECURRENT)
]


@pytest.mark.parametrize("op", decompositions, ids=[op.name for op in decompositions])
def test_symbolic_decompositions_compute_what_the_kernel_does(op: Op) -> None:
    tried = 0
    for sample in samples(op):
        toys = typed_operands(op, sample.operands)
        low: Any = op.lowering
        found = toys and emitted(op, toys, sample.attrs, lambda b, xs, attrs, low=low: several(low.fn(*xs, **attrs)))
        if not found:
            continue
        want = several(Toy(np.zeros(())).__apply_op__(op, tuple(toys), sample.attrs))
        for got, one in zip(interpret(*found)[0], want, strict=True):
            close(got, one.array, op.tolerance)
        tried += 1
    assert tried


differentiable = [op for op in ALL if op.grad is not None and op.name not in CONSTANT]


@pytest.mark.parametrize("op", differentiable, ids=[op.name for op in differentiable])
def test_gradient_rules_work_on_symbolic_values(op: Op) -> None:
    """The same rule emits a graph over symbolic sizes, and that graph gives what the rule computes eagerly."""
    tried = 0
    for sample in samples(op):
        toys = typed_operands(op, sample.operands)
        if toys is None:
            continue
        need = tuple(isinstance(t, Toy) and t.dtype.is_floating_point for t in toys)
        out = Toy(np.zeros(())).__apply_op__(op, tuple(toys), sample.attrs)
        if not any(need) or not several(out)[0].array.size or not several(out)[0].dtype.is_floating_point:
            continue

        def pulled(b: Builder, xs: Any, attrs: Any, need: Any = need) -> Any:
            result = b.emit(op, xs, attrs)
            return op.grad(result, need, result, *xs, **attrs)  # type: ignore[misc]

        found = emitted(op, toys, sample.attrs, pulled)
        if not found:
            continue
        got, _ = interpret(*found)
        want = op.grad(out, need, out, *toys, **sample.attrs)  # type: ignore[misc]
        for g, w in zip(got, [w for w in want if w is not None], strict=True):
            close(g, w.array, {"f16": (1e-2, 1e-2), "bf16": (1e-1, 1e-1), "f32": (1e-5, 1e-5), "f64": (1e-12, 1e-12)})
        tried += 1
    assert tried
