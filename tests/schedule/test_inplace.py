"""Results in the memory of operands that die: where that is right, where it is not, and what it saves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import pipeline
from fusewire.ir import inplace
from fusewire.ir.loops_text import parse_kernel
from fusewire.ir.loops_verify import verify_kernel
from fusewire.ir.plan import FromOutput, KernelStep

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from run_kernel import TARGETS, run

HEAD = "kernel k(x: r f32[{n}], y: r f32[{n}], o: w f32[{n}]):\n  grid i0 < 8:\n"
#: body, elements, whether o may lie in x
CASES = {
    "pointwise": ("    v0 = load x[i0]\n    v1 = load y[i0]\n    v2 : f32 = add v0 v1\n    store o[i0] = v2\n", 8, True),
    "read twice": ("    v0 = load x[i0]\n    v1 = load x[i0]\n    v2 : f32 = add v0 v1\n    store o[i0] = v2\n", 8, True),
    "another element": ("    v0 = load x[7 - i0]\n    store o[i0] = v0\n", 8, False),
    "read afterwards": ("    v0 = load y[i0]\n    store o[i0] = v0\n    v1 = load x[i0]\n", 8, False),
    "row before": (
        "    reduce i1 < 50 -> v1 : f32 = maximum v0:\n      v0 = load x[50*i0 + i1]\n"
        "    for i2 < 50:\n      v2 = load x[50*i0 + i2]\n      v3 : f32 = sub v2 v1\n      store o[50*i0 + i2] = v3\n",
        400, True),
    "row behind": (
        "    for i2 < 50:\n      v2 = load x[50*i0 + i2]\n      store o[50*i0 + i2] = v2\n"
        "    reduce i1 < 50 -> v1 : f32 = maximum v0:\n      v0 = load x[50*i0 + i1]\n", 400, False),
    "row inside": (
        "    for i2 < 50:\n      reduce i1 < 50 -> v1 : f32 = maximum v0:\n        v0 = load x[50*i0 + i1]\n"
        "      store o[50*i0 + i2] = v1\n", 400, False),
    "all rows": (
        "    reduce i1 < 8, i2 < 50 -> v1 : f32 = maximum v0:\n      v0 = load x[50*i1 + i2]\n"
        "    for i3 < 50:\n      store o[50*i0 + i3] = v1\n", 400, False),
    "turned rows": (
        "    reduce i1 < 7, i2 < 7 -> v1 : f32 = maximum v0:\n      v0 = load x[49*i0 + 7*i2 + i1]\n"
        "    for i3 < 7:\n      for i4 < 7:\n"
        "        v2 = load x[49*i0 + 7*i4 + i3]\n        store o[49*i0 + 7*i3 + i4] = v2\n",
        392, False),
    "position": ("    v0 = index i0\n    v1 = load x[0 @ v0 by 1]\n    store o[i0] = v1\n", 8, False),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_over(name: str) -> None:
    body, n, fine = CASES[name]
    kernel = parse_kernel(HEAD.format(n=n) + body)
    verify_kernel(kernel)
    found = inplace.over(kernel, 0, 2)
    assert (found is not None) is fine
    if found is None:
        return
    verify_kernel(found)
    assert [(b.name, b.access) for b in found.buffers] == [("y", "r"), ("o", "rw")]
    rng = np.random.default_rng(0)
    x, y, o = rng.standard_normal(n).astype(np.float32), rng.standard_normal(n).astype(np.float32), np.zeros(n, np.float32)
    run(kernel, [x, y, o])
    for target in TARGETS:
        again = x.copy()
        run(found, [y, again], threads=3, target=target)
        np.testing.assert_array_equal(again, o)


def test_an_operand_in_other_hands_stays() -> None:
    body, n, _ = CASES["pointwise"]
    kernel = parse_kernel(HEAD.format(n=n).replace("x: r", "x: rw") + body)
    assert inplace.over(kernel, 0, 2) is None
    assert inplace.over(kernel, 1, 0) is None


def plan_of(fn: Any, *args: Any) -> Any:
    seen: list[Any] = []

    def see(stages: Any) -> None:
        seen.append(stages.plan)

    pipeline.OBSERVERS.append(see)
    try:
        fw.compile(fn)(*args)
    finally:
        pipeline.OBSERVERS.remove(see)
    return seen[0]


def test_a_chain_of_products_needs_no_more_memory_than_one_step() -> None:
    def chain(x: Any, w: Any) -> Any:
        for _ in range(4):
            x = fw.nn.functional.softmax(x @ w, dim=-1)
        return x

    x, w = fw.ones(64, 128), fw.ones(128, 128)
    plan = plan_of(chain, x, w)
    assert plan.arena <= 2 * 64 * 128 * 4
    over = [s.kernel for s in plan.steps if isinstance(s, KernelStep) and "_over" in s.kernel.name]
    assert len(over) == 4
    outputs = [i for i, b in enumerate(plan.buffers) if isinstance(b.place, FromOutput)]
    assert sum(outputs[0] in (s.buffers if isinstance(s, KernelStep) else [v.buffer for v in s.results]) for s in plan.steps) == 2
    np.testing.assert_allclose(fw.compile(chain)(x, w).numpy(), chain(x, w).numpy(), rtol=1e-6)


def test_what_is_needed_later_is_not_written_over() -> None:
    def kept(x: Any, w: Any) -> Any:
        y = x @ w
        return fw.nn.functional.softmax(y, dim=-1) @ w + y.sum(0)

    x, w = (fw.tensor(np.random.default_rng(i).standard_normal((128, 128)).astype(np.float32)) for i in range(2))
    np.testing.assert_allclose(fw.compile(kept)(x, w).numpy(), kept(x, w).numpy(), rtol=2e-4, atol=2e-4)
