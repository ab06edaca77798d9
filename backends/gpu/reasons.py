"""Why a template is run as it is, in words: what `fusewire dump --stage triton` says above its text."""

from __future__ import annotations

from ...ir.plan import RoutineStep
from . import cublas, gemm
from .config import PROCESSORS
from .kernel import SM90, Target


def reasons(step: RoutineStep, target: Target = SM90) -> list[str]:
    """Why a product or convolution has its tile, and who runs it; nothing for other templates."""
    if not step.routine.startswith(("product", "conv")):
        return []
    (tile, spent, count, rounds), *others = gemm.weighed(step, target)
    parts = gemm.shares(step, tile)
    room = gemm.shared_bytes(tile, gemm.dtype_of(step))
    shared_out = f" for each of {parts} parts of the depth" if parts > 1 else ""
    rounds_of = f"{rounds} round{'s' * (rounds != 1)} of {PROCESSORS} processors"
    said = [f"{_called(tile)}: {count} programs{shared_out}, {rounds_of}, {room} bytes of shared memory"]
    if others:
        longer = others[0][1] / spent
        said.append(f"before {_called(others[0][0])}, which the model expects to take {longer:.2f} times as long")
    if step.routine.startswith("product"):
        said.append(f"operands {'by tensor maps' if gemm.mapped(step, tile, target) else 'by pointers'}")
        library = target.kind == "cuda" and cublas.finish_of(step) is not None
        said.append("by cuBLASLt where it is found" if library else "not by cuBLASLt, which has no such product or epilogue")
    return said


def _called(tile: gemm.Tile) -> str:
    return f"tile {tile.rows} x {tile.columns} x {tile.depth}, {tile.warps} warps, {tile.stages} stages"
