"""Which products are copied box by box by the hardware: also in batches, and where sizes are known at the call alone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from fusewire import pipeline
from fusewire.backends.gpu import stages
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.kernel import GFX942, SM90, Divisible
from fusewire.backends.gpu.templates import routine_ways
from fusewire.backends.gpu.ways import Way
from fusewire.ir import dtypes, sizes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.plan import RoutineStep
from fusewire.ir.types import tensor

sys.path.insert(0, str(Path(__file__).parent))
from test_templates import spilled

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is missing")
M, N, K = (sizes.symbol(name, 0) for name in ("m", "n", "k"))


def ways(left: Any, right: Any, dtype: Any = dtypes.bfloat16, target: Any = SM90) -> tuple[Way, ...]:
    """Of the product of two operands of these shapes."""
    b = Builder("product")
    out = lookup("matmul")(b.input(tensor(left, dtype)), b.input(tensor(right, dtype)))
    (step,) = pipeline.stages(b.finish([out]), CLAIMS).plan.steps
    assert isinstance(step, RoutineStep)
    return routine_ways(step, target)


def boxes(way: Way) -> list[int]:
    """Dimensions of the boxes of each tensor map."""
    return [len(m.box) for job in way.jobs for m in job.maps]


def test_matrices_and_batches() -> None:
    assert boxes(ways((4096, 4096), (4096, 4096))[0]) == [2, 2]
    assert boxes(ways((8, 2048, 1024), (8, 1024, 2048))[0]) == [3, 3]
    assert boxes(ways((8, 2, 2048, 1024), (8, 2, 1024, 2048))[0]) == [3, 3]  # dimensions that walk on evenly are one
    assert boxes(ways((4096, 4096), (4096, 4096), dtypes.float32)[0]) == boxes(ways((64, 64), (64, 64))[0]) == []
    assert boxes(ways((4096, 4097), (4097, 4096))[0]) == []  # rows that begin at no multiple of 16 bytes
    assert boxes(ways((4096, 4096), (4096, 4096), target=GFX942)[0]) == []


def test_sizes_of_a_call() -> None:
    open_, *others = ways((M, K), (K, N))
    assert boxes(open_) == [2, 2] and sum(isinstance(a, Divisible) for a in open_.assumes) == 2
    assert not any(map(boxes, others)) and others[-1].assumes == ()
    assert boxes(ways((M, 4096), (4096, 4096))[0]) == [2, 2]


@needs_triton
@pytest.mark.parametrize(("left", "right"), [((8, 2048, 1024), (8, 1024, 2048)), ((M, K), (K, N))])
def test_machine_code(left: Any, right: Any, tmp_path: Path) -> None:
    made = stages.run(ways(left, right)[0].jobs[0].build, SM90)
    assert "wgmma.mma_async" in made.asm["ptx"] and "cp.async.bulk.tensor" in made.asm["ptx"]
    assert spilled(made.asm["cubin"], tmp_path) == 0 and made.metadata["shared"] <= 232448
