"""Batch rules, the records' own and derived ones: one call on stacked operands equals a loop over the batch."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire.errors import ShapeError
from fusewire.ir import sizes
from fusewire.ir.batch import Batched, batch_rule
from fusewire.ir.graph import Builder
from fusewire.ir.op import Op, lookup
from fusewire.ir.types import tensor

sys.path.insert(0, str(Path(__file__).parent))
from op_cases import ALL, Toy, call, close, samples

batched = [op for op in ALL if any(isinstance(x, np.ndarray) for s in samples(op) for x in s.operands)]
LOOSE = {"f16": (1e-2, 1e-2), "bf16": (5e-2, 5e-2), "f32": (1e-5, 1e-5), "f64": (1e-12, 1e-12)}


def variants(op: Op, x: np.ndarray, n: int) -> list[np.ndarray]:
    """`n` arrays like `x` that differ."""
    if op.name == "cholesky":  # it stays positive definite
        return [x * (k + 1) for k in range(n)]
    if x.dtype == np.int32:  # pivots, of which few orders are any
        return [x] * n
    return [np.roll(x, k).reshape(x.shape) for k in range(n)]


@pytest.mark.parametrize("op", batched, ids=[op.name for op in batched])
def test_batch_rule_is_a_loop(op: Op) -> None:
    for sample in samples(op):
        tensors = [k for k, x in enumerate(sample.operands) if isinstance(x, np.ndarray)]
        masks = [m for m in itertools.product((False, True), repeat=len(tensors)) if any(m)]
        masks = masks[:: 1 + len(masks) // (4 if len(masks) > 32 else 10)]  # of many operands some of the ways
        for mask, place in itertools.product(masks, (0, 1, -1)):
            chosen = [k for k, m in zip(tensors, mask, strict=True) if m]
            check(op, sample, chosen, place)


def check(op: Op, sample: Any, chosen: list[int], place: int) -> None:
    """Compare with the operands `chosen` stacked along their first, second or last dimension."""
    stacks = {k: variants(op, sample.operands[k], 3) for k in chosen}
    dims = tuple(min(place % (x.ndim + 1), x.ndim) if k in stacks else None for k, x in enumerate(sample.operands))
    operands = [Toy(np.stack(stacks[k], dims[k])) if k in stacks else Toy(x) if isinstance(x, np.ndarray) else x
                for k, x in enumerate(sample.operands)]  # fmt: skip
    got = batch_rule(op)(dims, *operands, **sample.attrs)
    gots = got if isinstance(got, tuple) else (got,)
    assert all(g.shape[0] == 3 for g in gots)
    for i in range(3):
        each = tuple(stacks[k][i] if k in stacks else x for k, x in enumerate(sample.operands))
        for g, want in zip(gots, call(op, Toy, type(sample)(each, sample.attrs)), strict=True):
            close(g.array[i], want.array, LOOSE)


def test_ops_without_a_tensor_operand_have_nothing_to_batch() -> None:
    assert [op.name for op in ALL if op not in batched] == ["arange", "full", "size_of"]


@pytest.mark.parametrize("op", batched, ids=[op.name for op in batched])
def test_a_batch_of_nothing(op: Op) -> None:
    sample = next(iter(samples(op)))
    tensors = [k for k, x in enumerate(sample.operands) if isinstance(x, np.ndarray)]
    dims = tuple(0 if k in tensors else None for k in range(len(sample.operands)))
    operands = [Toy(np.empty((0, *x.shape), x.dtype)) if isinstance(x, np.ndarray) else x for x in sample.operands]
    got = batch_rule(op)(dims, *operands, **sample.attrs)
    for g, one in zip(got if isinstance(got, tuple) else (got,), call(op, Toy, sample), strict=True):
        assert g.shape == (0, *one.shape) and g.dtype is one.dtype


def test_code_for_one_member_runs_on_a_batch() -> None:
    """Also where a stack of 0-d tensors meets a tensor that is stronger than each of them."""
    mul, total = lookup("mul"), lookup("sum")
    x, scale = np.arange(12, dtype=np.float32).reshape(3, 4), np.array([1.5, 2.5, -1.0])
    one = Batched(Toy(x))
    out = total(mul(one, Batched(Toy(scale))), dim=(0,), keepdim=False)
    assert out.shape == () and out.dtype.short == "f32"
    np.testing.assert_allclose(out.value.array, (x * scale[:, None]).sum(1), rtol=1e-6)


def test_derived_rules_take_a_symbolic_batch_and_a_loop_says_that_it_cannot() -> None:
    from fusewire.ir import dtypes

    n = sizes.symbol("n", 1)
    builder = Builder("f")
    x, y = (builder.input(tensor((n, 4), dtypes.float32)), builder.input(tensor((4,), dtypes.float32)))
    assert batch_rule(lookup("add"))((0, None), x, y).shape == (n, 4)
    assert batch_rule(lookup("sum"))((0,), x, dim=(0,), keepdim=False).shape == (n,)
    state = builder.input(tensor((n, 2), dtypes.int64))
    with pytest.raises(ShapeError, match="its batch rule is a loop, and the batch has n members"):
        batch_rule(lookup("rand"))((0,), state, shape=(3,), dtype=dtypes.float32)
