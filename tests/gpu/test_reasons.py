"""What is said about a choice: the tile, what came next, who runs it."""

from __future__ import annotations

from typing import Any

from fusewire import pipeline
from fusewire.backends.gpu import gemm
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.reasons import reasons
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.plan import RoutineStep
from fusewire.ir.types import tensor


def product(rows: int, dtype: Any = dtypes.bfloat16) -> RoutineStep:
    b = Builder("product")
    out = lookup("matmul")(b.input(tensor((rows, 4096), dtype)), b.input(tensor((4096, 4096), dtype)))
    (step,) = pipeline.stages(b.finish([out]), CLAIMS).plan.steps
    assert isinstance(step, RoutineStep)
    return step


def test_reasons_of_products() -> None:
    assert reasons(product(4096)) == [
        "tile 128 x 256 x 64, 8 warps, 3 stages: 512 programs, 4 rounds of 132 processors, 147456 bytes of shared memory",
        "before tile 128 x 128 x 64, 4 warps, 4 stages, which the model expects to take 1.09 times as long",
        "operands by tensor maps", "by cuBLASLt where it is found",
    ]  # fmt: skip
    few = reasons(product(64))
    assert "parts of the depth" in few[0] and few[2] == "operands by pointers"
    assert reasons(product(64, dtypes.int32))[-1] == "not by cuBLASLt, which has no such product or epilogue"


def test_tiles_fit_shared_memory() -> None:
    for dtype in (dtypes.bfloat16, dtypes.float32, dtypes.float64):
        tiles = [t for t, _ in gemm.tiles(dtype)]
        assert all(gemm.shared_bytes(t, dtype) <= gemm.SHARED for t in tiles)
        assert len(gemm.ranked(product(512, dtype))) == len(tiles)
