"""What is said about a choice: the tile, what came next, who runs it."""

from __future__ import annotations

from typing import Any

import pytest

from fusewire import pipeline
from fusewire.backends.gpu import compile as compiling
from fusewire.backends.gpu import gemm, stages
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.kernel import SM90, Target
from fusewire.backends.gpu.reasons import reasons
from fusewire.errors import CompileError
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
        "tile 128 x 256 x 64, 8 warps, 4 stages: 512 programs, 4 rounds of 132 processors, 196608 bytes of shared memory",
        "before tile 128 x 128 x 64, 4 warps, 4 stages, which the model expects to take 1.34 times as long",
        "operands by tensor maps", "by cuBLASLt where it is found",
    ]  # fmt: skip
    few = reasons(product(64))
    assert "parts of the depth" in few[0] and few[2] == "operands by pointers"
    assert reasons(product(16))[0].startswith("tile 16 x 32 x 256, 4 warps, 4 stages: 128 programs, 1 round of 132 processors")
    assert reasons(product(64, dtypes.int32))[-1] == "not by cuBLASLt, which has no such product or epilogue"


def test_tiles_fit_shared_memory() -> None:
    for dtype in (dtypes.bfloat16, dtypes.float32, dtypes.float64):
        tiles = [t for t, _ in gemm.tiles(dtype)]
        assert all(gemm.shared_bytes(t, dtype) <= SM90.shared for t in tiles)
        assert len(gemm.ranked(product(512, dtype))) == len(tiles)


def test_tiles_fit_smaller_devices() -> None:
    """An RTX 4090's program has 99 KiB, of which 128 x 256 tiles four deep would take 144."""
    small, middle, large = (
        next(t for t in gemm.ranked(product(4096), Target("cuda", arch, 32)) if (t.rows, t.columns) == (128, 256))
        for arch in (89, 80, 90)
    )
    assert (small.stages, middle.stages, large.stages) == (3, 4, 4)
    assert "3 stages" in reasons(product(4096), Target("cuda", 89, 32))[0]
    assert Target("cuda", 89, 32).shared == Target("cuda", 999, 32).shared == 99 << 10 and SM90.shared == 227 << 10


def test_fewer_stages_where_shared_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Triton says counts, not what the model thought."""
    tried: list[int] = []

    def run(build: stages.Build, target: Target) -> stages.Built:
        tried.append(build.options["num_stages"])
        return stages.Built({"cubin": b"code"}, {"name": "k", "num_warps": 4, "shared": 40_000 * tried[-1]})

    monkeypatch.setattr(stages, "run", run)
    monkeypatch.setattr(compiling, "_version", lambda: "test")
    monkeypatch.setattr(compiling.store, "get", lambda kind, name: None)
    monkeypatch.setattr(compiling.store, "put", lambda kind, name, data: None)
    build = stages.Build("k", "text", {}, {"BM": 64}, (), {"num_warps": 4, "num_stages": 4})
    _, about = compiling.machine_code(build, Target("cuda", 89, 32))
    assert tried == [4, 3, 2] and about["shared"] == 80_000
    with pytest.raises(CompileError, match=r"needs 160000 bytes .* cuda:89 has 101376: its blocks \{'BM': 64\}"):
        tried.clear()
        large = stages.Built({}, {"name": "k", "num_warps": 4, "shared": 160_000})
        monkeypatch.setattr(stages, "run", lambda build, target: large)
        compiling.machine_code(build, Target("cuda", 89, 32))
