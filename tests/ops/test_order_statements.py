"""Kernels whose iterations run in order: their text, the verifier's laws, and that they compute the same everywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fusewire as fw
from fusewire.backends.gpu.triton import triton_text
from fusewire.errors import VerifyError
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder, Output
from fusewire.ir.loops import Kernel, Loop, Running, StoreAt, walk
from fusewire.ir.loops_text import parse_kernel
from fusewire.ir.loops_verify import verify_kernel
from fusewire.ir.ops.indexing import spread
from fusewire.ir.ops.scans import cumsum
from fusewire.ir.types import tensor
from fusewire.pipeline import stages


def kernels(fn: object, *types: object) -> tuple[Kernel, ...]:
    builder = Builder("g")
    out = fn(*[builder.input(t) for t in types])  # type: ignore[operator]
    return stages(builder.finish([Output(out)])).kernels


def rows() -> Kernel:
    """What adds rows of gradients to a table."""
    types = tensor((7, 16), dtypes.float32), tensor((7,), dtypes.int64)
    return kernels(lambda g, i: spread(g, i, shape=(50, 16), dims=(0,)), *types)[-1]


def totals() -> Kernel:
    return kernels(lambda x: cumsum(x, dim=1), tensor((3, 9), dtypes.float32))[-1]


@pytest.mark.parametrize("make", [rows, totals])
def test_text_is_read_back(make: object) -> None:
    kernel = make()  # type: ignore[operator]
    verify_kernel(kernel)
    assert str(parse_kernel(str(kernel))) == str(kernel)
    assert "serial" in str(kernel)


def test_rows_are_added_in_order_by_every_column_at_once() -> None:
    kernel = rows()
    assert [a.extent for a in kernel.grid] == [16]
    (loop,) = [st for st in kernel.body if isinstance(st, Loop)]
    assert loop.serial and loop.axis.extent == 7
    (store,) = [st for st in walk(kernel.body) if isinstance(st, StoreAt)]
    assert store.combine == "add" and store.stride == 16
    assert "tl.atomic_add(" in triton_text([kernel])


def test_iterations_that_may_meet_must_run_in_order() -> None:
    kernel = rows()
    (loop,) = [st for st in kernel.body if isinstance(st, Loop)]
    at = kernel.body.index(loop)
    body = (*kernel.body[:at], replace(loop, serial=False), *kernel.body[at + 1 :])
    with pytest.raises(VerifyError, match="every point of axis i1 stores to the same element"):
        verify_kernel(replace(kernel, body=body))


def test_a_running_total_needs_a_loop_in_order() -> None:
    kernel = totals()
    (loop,) = [st for st in kernel.body if isinstance(st, Loop)]
    assert any(isinstance(st, Running) for st in loop.body)
    with pytest.raises(VerifyError, match="outside of a serial loop"):
        verify_kernel(replace(kernel, body=(replace(loop, serial=False),)))


def test_a_position_out_of_range_raises_what_eager_raises() -> None:
    weight, wrong = fw.randn(5, 3), fw.tensor([0, 5])
    compiled = fw.compile(lambda w, i: fw.nn.functional.embedding(i, w) * 2)
    with pytest.raises(IndexError, match="index out of range in self") as eager:
        fw.nn.functional.embedding(wrong, weight)
    with pytest.raises(IndexError) as found:
        compiled(weight, wrong)
    assert str(found.value) == str(eager.value)


def test_repeated_positions_give_the_same_bits_every_time() -> None:
    fw.manual_seed(0)
    g, i = fw.randn(4000, 24), fw.randint(0, 7, (4000,))
    compiled = fw.compile(lambda g, i: fw.zeros(7, 24).index_add(0, i, g))
    first = compiled(g, i).numpy().copy()
    for _ in range(3):
        np.testing.assert_array_equal(compiled(g, i).numpy(), first)


def test_padding_row_of_an_embedding_gets_no_gradient() -> None:
    weight = fw.randn(6, 4, requires_grad=True)
    at = fw.tensor([[1, 2, 2], [0, 5, 2]])
    for run in (fw.nn.functional.embedding, fw.compile(fw.nn.functional.embedding)):
        weight.grad = None
        run(at, weight, padding_idx=2).sum().backward()
        assert weight.grad is not None
        assert weight.grad.sum(1).tolist() == [4.0, 4.0, 0.0, 0.0, 0.0, 4.0]
