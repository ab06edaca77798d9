"""Elements at small constant distances: whole vectors and shuffles read them, up to the last element and no further."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fusewire.backends.cpu.kinds import Target
from fusewire.ir import dtypes, sizes
from fusewire.ir.loops import Axis, Buffer, Kernel, Load, Store

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from run_kernel import TARGETS, run

I, N = sizes.symbol("i"), sizes.symbol("n")


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool_", "float16"])
def test_every_few_elements(target: Target, step: int, dtype: str) -> None:
    kind = getattr(dtypes, dtype)
    buffers = Buffer("x", kind, N * step, "r"), Buffer("o", kind, N, "w")
    kernel = Kernel("k", buffers, ("n",), (), (Axis("i", N),), (Load("a", "x", I * step + 1), Store("o", I, "a")))
    for n in (1, 16, 33, 128, 301):
        x = np.random.default_rng(n).integers(0, 2 if kind.kind == "b" else 100, n * step).astype(kind.np)
        o = np.zeros(n, kind.np)
        assert run(kernel, [x, o], {"n": n}, target=target) == 0
        np.testing.assert_array_equal(o, x[1::step])
