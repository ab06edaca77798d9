"""What the kernel IR says about its primitives and accumulators, for every back end."""

from __future__ import annotations

import numpy as np
import pytest

from fusewire.ir import dtypes, loops
from fusewire.ir.dtypes import DType
from fusewire.ir.scalar_numpy import MEANING

COMPUTED = [d for d in dtypes.ALL if not d.is_half]


@pytest.mark.parametrize("combine", loops.COMBINES)
@pytest.mark.parametrize("dtype", COMPUTED, ids=lambda d: d.short)
def test_the_neutral_value_changes_nothing(combine: str, dtype: DType) -> None:
    if combine in ("and", "or") and dtype.kind == "f":
        pytest.skip("no bits of floating numbers are combined")
    ends = {"f": [-np.inf, -1.5, 0.0, np.inf], "b": [False, True]}
    limits = None if dtype.kind in "fb" else np.iinfo(dtype.np)
    values = np.array(ends.get(dtype.kind) or [limits.min, 0, 3, limits.max], dtype.np)  # type: ignore[union-attr]
    start = np.asarray(loops.neutral(combine, dtype), dtype.np)
    meaning = {"add": np.logical_or, "mul": np.logical_and}.get(combine) if dtype.kind == "b" else None
    made = (meaning or MEANING[loops.method_of(combine)])(values, start)
    np.testing.assert_array_equal(made, values)


def test_every_primitive_has_a_meaning() -> None:
    assert {loops.method_of(p) for p in loops.PRIMITIVES} - {"cast"} == set(MEANING)
    assert set(loops.COMPARISONS) < set(loops.PRIMITIVES) and set(loops.COMBINES) < set(loops.PRIMITIVES)
