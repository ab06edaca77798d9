"""The reference interpreter: symbols, scalars, half types, writes, and agreement with calling each kernel by hand."""

# ruff: noqa: E501  (graphs are written as they print)

from __future__ import annotations

import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from fusewire.errors import VerifyError
from fusewire.ir import dtypes
from fusewire.ir import interpret as module
from fusewire.ir.interpret import bind_symbols, interpret
from fusewire.ir.op import Op, lookup
from fusewire.ir.run_op import run_op
from fusewire.ir.text import parse_graph

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from random_graphs import every_op, same_bits, samples

SYMBOLIC = parse_graph("""\
graph g(%x: f32[s0,s1], %lr: float, %n: int) where s0 >= 1, s1 >= 1, n >= 1:
  %0 : f32[s0*s1] = view(%x) {shape=(s0*s1,)}
  %1 : f32[s0*s1] = mul(%0, %lr)
  %2 : f32[n] = full(%lr) {dtype=f32, shape=(n,)}
  %3 : f32[s1,s0]@(1,s1) = permute(%x) {dims=(1,0)}
  return %1, %2, %3
  write view(%x, offset=0, shape=(s0*s1,), strides=(1,)) = %1 at 2""")


@pytest.mark.parametrize("shape", [(2, 3), (1, 5), (4, 1)])
def test_symbols_come_from_shapes_and_ints(shape: tuple[int, int]) -> None:
    x = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    (scaled, filled, turned), (written,) = interpret(SYMBOLIC, [x, 0.5, 4])
    assert bind_symbols(SYMBOLIC, [x, 0.5, 4]) == {"s0": shape[0], "s1": shape[1], "n": 4}
    assert same_bits([scaled, filled, turned, written], [x.ravel() * np.float32(0.5), np.full(4, 0.5, np.float32), x.T, scaled])


def test_inputs_are_not_changed() -> None:
    x = np.ones((2, 3), np.float32)
    interpret(SYMBOLIC, [x, 0.0, 1])
    assert (x == 1).all()


def test_symbols_come_from_strides_too() -> None:
    graph = parse_graph("graph g(%x: f32[3]@(s0)) where s0 >= 1:\n  %0 : f32[s0] = full(1.0) {dtype=f32, shape=(s0,)}\n  return %0")
    assert interpret(graph, [np.zeros(9, np.float32)[::4]])[0][0].shape == (4,)


def test_half_types_round_once_per_op() -> None:
    x = np.array([1.0, 256.0], ml_dtypes.bfloat16)
    graph = parse_graph("graph g(%x: bf16[2]):\n  %0 : bf16[2] = add(%x, 1.0)\n  %1 : bf16[] = sum(%0) {dim=(0,), dtype=None, keepdim=False}\n  return %0, %1")
    (plus, total), _ = interpret(graph, [x])
    assert plus.dtype == ml_dtypes.bfloat16 and plus.tolist() == [2.0, 256.0]
    assert total.dtype == ml_dtypes.bfloat16 and float(total) == 258.0


def test_a_sum_of_many_halves_accumulates_in_float32() -> None:
    many = np.ones(4096, ml_dtypes.bfloat16)
    assert float(run_op(lookup("sum"), (many,), {"dim": (0,), "keepdim": False})[0]) == 4096.0


@pytest.mark.parametrize("op", every_op(), ids=lambda op: op.name)
def test_run_op_gives_the_dtype_and_shape_that_infer_says(op: Op) -> None:
    from fusewire.ir.graph import Builder, Value, scalar_type
    from fusewire.ir.layout import type_of_array

    for sample in samples(op):
        b = Builder()
        arrays = [np.asarray(x) if isinstance(x, np.generic) else x for x in sample.operands]
        values = [b.input(type_of_array(x)) if isinstance(x, np.ndarray) else x for x in arrays]
        made = b.emit(op, values, sample.attrs)
        graph = b.finish(made if isinstance(made, tuple) else (made,))
        out, _ = interpret(graph, [x for x in arrays if isinstance(x, np.ndarray)])  # checks every result against its type
        numbers = [x for x in arrays if type(x) in (bool, int, float)]
        if numbers and not op.effects.raises:
            _scalars_as_inputs(op, arrays, sample.attrs, out, Builder, Value, scalar_type, type_of_array)


def _scalars_as_inputs(op, arrays, attrs, want, builder, value, scalar_type, type_of_array) -> None:  # type: ignore[no-untyped-def]
    b = builder()
    values = [x if x is None else b.input(type_of_array(x) if isinstance(x, np.ndarray) else scalar_type(x)) for x in arrays]
    made = b.emit(op, values, attrs)
    graph = b.finish(made if isinstance(made, tuple) else (made,))
    assert same_bits(interpret(graph, [x for x in arrays if x is not None])[0], want)


def test_warnings_of_numpy_stay_off() -> None:
    graph = parse_graph("graph g(%x: f64[2]):\n  %0 : f64[2] = div(%x, 0.0)\n  %1 : f64[2] = log(%0)\n  return %1")
    assert np.isnan(interpret(graph, [np.array([-1.0, 0.0])])[0][0]).all()


def test_a_kernel_that_does_not_do_what_infer_says_is_found() -> None:
    wrong = parse_graph("graph g(%x: f32[2]):\n  %0 : f64[2] = neg(%x)\n  return %0")
    with pytest.raises(VerifyError, match=r"%0 is f64\[2\] by its op's infer, but eager gave float32"):
        interpret(wrong, [np.zeros(2, np.float32)])


def test_number_of_inputs() -> None:
    with pytest.raises(TypeError, match="has 3 inputs, not 1"):
        interpret(SYMBOLIC, [np.zeros((1, 1), np.float32)])


def test_it_stays_small() -> None:
    assert module.__file__ is not None and len(Path(module.__file__).read_text().splitlines()) <= 60
    assert dtypes.bfloat16.is_half
