"""Batch rules: one call on stacked operands equals a loop over the batch."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fusewire.ir.op import Decompose, Op, Reduce, Scalar

sys.path.insert(0, str(Path(__file__).parent))
from op_cases import ALL, Toy, call, close, samples

batched = [op for op in ALL if op.batch is not None]
LOOSE = {"f16": (1e-2, 1e-2), "bf16": (5e-2, 5e-2), "f32": (1e-5, 1e-5), "f64": (1e-12, 1e-12)}


def variants(x: np.ndarray, n: int) -> list[np.ndarray]:
    """`n` arrays like `x` that differ."""
    return [np.roll(x, k).reshape(x.shape) for k in range(n)]


@pytest.mark.parametrize("op", batched, ids=[op.name for op in batched])
def test_batch_rule_is_a_loop(op: Op) -> None:
    for sample in samples(op):
        tensors = [k for k, x in enumerate(sample.operands) if isinstance(x, np.ndarray)]
        masks = [m for m in itertools.product((False, True), repeat=len(tensors)) if any(m)]
        for mask, last in itertools.product(masks, (False, True)):
            chosen = [k for k, m in zip(tensors, mask, strict=True) if m]
            check(op, sample, chosen, last)


def check(op: Op, sample: Any, chosen: list[int], last: bool) -> None:
    """Compare with the operands `chosen` stacked along their first or last dimension."""
    stacks = {k: variants(sample.operands[k], 3) for k in chosen}
    dims = tuple((sample.operands[k].ndim if last else 0) if k in stacks else None for k in range(len(sample.operands)))
    operands = [Toy(np.stack(stacks[k], dims[k])) if k in stacks else Toy(x) if isinstance(x, np.ndarray) else x
                for k, x in enumerate(sample.operands)]  # fmt: skip
    got = op.batch(dims, *operands, **sample.attrs)  # type: ignore[misc]
    for i in range(3):
        each = tuple(stacks[k][i] if k in stacks else x for k, x in enumerate(sample.operands))
        (want,) = call(op, Toy, type(sample)(each, sample.attrs))
        close(got.array[i], want.array, LOOSE)


def test_ops_without_a_batch_rule_can_have_one_derived() -> None:
    """By broadcasting (Scalar), by shifting `dim` (Reduce), or through the decomposition."""
    for op in ALL:
        if op.batch is None:
            assert isinstance(op.lowering, (Scalar, Reduce, Decompose)), op.name
