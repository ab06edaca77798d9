"""The arena: temporaries alive at once never overlap, dead ones are reused, of symbolic sizes too."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fusewire import pipeline
from fusewire.ir import memory, sizes
from fusewire.ir.memory import Lifetime, first_fit
from fusewire.ir.memory_slots import slots
from fusewire.ir.plan import FromArena

sys.path.insert(0, str(Path(__file__).parent))
from schedule_cases import CASES, S0, graph, op


def test_first_fit_never_overlaps_what_is_alive_together() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        starts = rng.integers(0, 20, 12)
        lives = [Lifetime(i, int(rng.integers(0, 500)), int(s), int(s + rng.integers(0, 6))) for i, s in enumerate(starts)]
        offsets, arena = first_fit(lives)
        for a in lives:
            assert offsets[a.buffer] % 64 == 0 and offsets[a.buffer] + a.nbytes <= arena
            for b in lives:
                together = a.first <= b.last and b.first <= a.last and a.buffer < b.buffer
                apart = offsets[a.buffer] + a.nbytes <= offsets[b.buffer] or offsets[b.buffer] + b.nbytes <= offsets[a.buffer]
                assert apart or not together


def test_memory_of_dead_values_is_used_again() -> None:
    def chain(x):  # each sum over columns ends a kernel
        for _ in range(6):
            x = op("matmul")(x, x)
        return x

    plan = pipeline.stages(graph(chain, (16, 16))).plan
    temporaries = [b for b in plan.buffers if isinstance(b.place, FromArena)]
    assert len(temporaries) == 5 and plan.arena == 2 * 16 * 16 * 4


def test_symbolic_arena_is_a_polynomial() -> None:
    plan = pipeline.stages(graph(lambda a: op("matmul")(op("matmul")(a, a), op("matmul")(a, op("exp")(a))), (S0, S0))).plan
    assert sizes.evaluate(plan.arena, {"s0": 5}) >= 2 * 5 * 5 * 4
    offsets = [sizes.evaluate(b.place.offset, {"s0": 5}) for b in plan.buffers if isinstance(b.place, FromArena)]
    assert len(set(offsets)) >= 2 and all(o % 64 == 0 for o in offsets)


def test_slots_of_symbolic_sizes_never_overlap_what_is_alive_together() -> None:
    rng = np.random.default_rng(4)
    s0, s1 = sizes.symbol("s0", 1), sizes.symbol("s1", 1)
    kinds = [4 * s0, 4 * s0 * s1, 64 * s1, 12 * s1 * s1 + 4, sizes.floordiv(4 * s0, 3) + 8]
    shared = 0
    for _ in range(40):
        starts = rng.integers(0, 15, 12)
        lives = [Lifetime(i, kinds[int(rng.integers(5))], int(s), int(s + rng.integers(0, 5))) for i, s in enumerate(starts)]
        offsets, end = slots(lives, memory.aligned, 128)
        shared += len(set(map(str, offsets.values()))) < len(lives)
        for values in ({"s0": 1, "s1": 1}, {"s0": 1, "s1": 90}, {"s0": 77, "s1": 3}):
            at = {b: sizes.evaluate(o, values) for b, o in offsets.items()}
            for a in lives:
                assert at[a.buffer] % 64 == 0 and at[a.buffer] >= 128
                assert at[a.buffer] + sizes.evaluate(a.nbytes, values) <= sizes.evaluate(end, values)
                for b in lives:
                    if a.buffer < b.buffer and a.first <= b.last and b.first <= a.last:
                        apart = at[a.buffer] + sizes.evaluate(a.nbytes, values) <= at[b.buffer]
                        assert apart or at[b.buffer] + sizes.evaluate(b.nbytes, values) <= at[a.buffer]
    assert shared == 40


def test_inputs_and_outputs_are_not_in_the_arena() -> None:
    for name in ("pointwise", "softmax", "update"):
        assert pipeline.stages(CASES[name][0]()).plan.arena == 0
    assert memory.aligned(1) == 64 and memory.aligned(64) == 64
