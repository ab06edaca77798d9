"""A backward graph without what comes of tangents that nothing arrived for."""

from __future__ import annotations

import numpy as np

import fusewire as fw
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.interpret import interpret
from fusewire.ir.op import lookup
from fusewire.ir.passes.absent import without
from fusewire.ir.types import tensor
from fusewire.ir.verify import verify


def test_absent_tangents_vanish_and_sums_keep_their_other_operand() -> None:
    b = Builder("back")
    x, g, h = (b.input(tensor((3,), dtypes.float32), n) for n in "xgh")
    through = b.emit(lookup("div"), (g, x), {})
    total = b.emit(lookup("add"), (through, h), {})
    graph = b.finish([through, total])
    left, outputs = without(graph, (1, 2), (1,))
    verify(left)
    assert outputs == (1,) and left.nodes == () and len(left.inputs) == 3
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    (got,), _ = interpret(left, [zero, zero, one])
    np.testing.assert_array_equal(got, one)
    both, outputs = without(graph, (1, 2), ())
    assert outputs == (0, 1) and [n.op.name for n in both.nodes] == ["div", "add"]


def test_a_sum_left_with_a_transposed_operand_keeps_its_layout() -> None:
    b = Builder("back")
    g, h = b.input(tensor((3, 2), dtypes.float32), "g"), b.input(tensor((2, 3), dtypes.float32), "h")
    total = b.emit(lookup("add"), (g, b.emit(lookup("permute"), (h,), {"dims": (1, 0)})), {})
    left, _ = without(b.finish([total]), (0, 1), (0,))
    verify(left)
    assert left.outputs[0].value.type == total.type


def test_an_unused_output_sends_no_zeros_into_an_infinite_slope() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        return fw.log(x), x * 2

    for mode in (f, fw.compile(f)):
        x = fw.tensor([0.0, -1.0, 2.0], requires_grad=True)
        mode(x)[1].sum().backward()
        assert x.grad is not None and x.grad.tolist() == [2.0, 2.0, 2.0]
