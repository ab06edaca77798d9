"""Batches of products with what stands before and behind them: one launch each, and what is printed; machine code."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from fusewire import pipeline
from fusewire.backends.gpu import cublas, stages
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.kernel import SM90
from fusewire.backends.gpu.templates import routine_ways
from fusewire.backends.gpu.walks import Digit, digits_of, walked
from fusewire.ir import dtypes, sizes
from fusewire.ir.graph import Builder
from fusewire.ir.loops import Axis
from fusewire.ir.op import lookup
from fusewire.ir.plan import Plan, RoutineStep
from fusewire.ir.types import tensor

sys.path.insert(0, str(Path(__file__).parent))
from test_templates import spilled

_FOUND = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not _FOUND, reason="the optional package triton is not installed")
mm, mul, add, relu, cast = (lookup(name) for name in ("matmul", "mul", "add", "relu", "cast"))
BF16 = dtypes.bfloat16


def plan_of(call: Any, *types: Any) -> Plan:
    """`call` on inputs of (shape, dtype)."""
    b = Builder("g")
    return pipeline.stages(b.finish([call(*(b.input(tensor(*t)) for t in types))]), CLAIMS).plan


def only(plan: Plan) -> RoutineStep:
    """The only step of a plan."""
    (step,) = plan.steps
    assert isinstance(step, RoutineStep)
    return step


def square(products: Any = 64) -> RoutineStep:
    """relu(x @ y + bias of rows) + other."""
    whole = ((products, 1024, 1024), BF16)
    return only(plan_of(lambda x, y, c, e: add(relu(add(mm(x, y), c)), e), whole, whole, ((products, 1024, 1), BF16), whole))


def test_what_stands_behind_a_batch_is_part_of_it() -> None:
    step = square()
    assert step.finish is not None and [a.name for a in step.finish.grid] == ["product", "row", "column"]
    boxed, pointers, _ = (way.jobs[0] for way in routine_ways(step))
    for job in (boxed, pointers):
        text = job.build.text
        assert text.count("tl.store(") == 1 and "product = item.to(tl.int64)" in text
        assert "in2_ptr + product * 1024 + row, mask=row_mask" in text
        assert "out0_ptr + column + product * 1048576 + row * 1024" in text
    assert boxed.maps and not pointers.maps


@pytest.mark.parametrize("products", [5, sizes.symbol("s0", 1)])
@pytest.mark.parametrize("bias", [(40,), (1, 1, 40), (1, 50, 1), (2, 1, 1), (2, 50, 40), ()])
def test_one_launch_whatever_is_repeated(products: Any, bias: Any) -> None:
    step = only(plan_of(
        lambda x, y, c: cast(mul(mm(x, y), c), dtype=dtypes.float32),
        ((products, 2, 50, 64), BF16), ((2, 64, 40), BF16), (bias, BF16),
    ))  # fmt: skip
    assert step.finish is not None and len(step.results) == 1 and step.routine == "product bf16 2"


def test_the_library_has_batches_with_its_own_epilogues() -> None:
    whole = ((64, 128, 128), BF16)
    found = cublas.finish_of(only(plan_of(lambda x, y: relu(mm(x, y)), whole, whole)))
    assert found is not None and found.epilogue == "relu"
    found = cublas.finish_of(only(plan_of(lambda x, y, b: relu(add(mm(x, y), b)), whole, whole, ((128,), BF16))))
    assert found is not None and found.epilogue == "bias relu" and found.bias_at == 0
    for other in ((64, 1, 128), (64, 128, 1), (128, 1)):
        assert cublas.finish_of(only(plan_of(lambda x, y, b: add(mm(x, y), b), whole, whole, (other, BF16)))) is None


def test_dimensions_that_walk_on_evenly_are_one() -> None:
    n = sizes.symbol("s0", 1)
    whole = ((n, 4, 512, 512), BF16)
    step = only(plan_of(lambda x, y: relu(mm(x, y)), whole, whole))
    assert step.routine == "product bf16 1" and step.sizes[10:14] == (4 * n, 512 * 512, 512 * 512, 512 * 512)
    assert routine_ways(step)[0].jobs[0].maps  # the hardware copies boxes of one batch dimension
    one = only(plan_of(lambda x, y: mm(x, y), ((1, 512, 512), BF16), ((1, 512, 512), BF16)))
    assert one.routine == "product bf16 0"


def experts(rows: int = 16) -> RoutineStep:
    """x @ (w * scale) of each expert, the weights of 8 bits."""
    types = (((8, rows, 512), BF16), ((8, 512, 1024), dtypes.int8), ((8, 1, 1024), BF16))
    return only(plan_of(lambda x, w, s: mm(x, mul(cast(w, dtype=BF16), s)), *types))


def test_what_makes_the_matrices_of_a_batch_is_part_of_it() -> None:
    step = experts()
    assert [b.operand for b in step.begins] == [1] and step.args[1] is None
    assert [a.name for a in step.begins[0].kernel.grid] == ["product", "row", "column"]
    text = routine_ways(step)[0].jobs[0].build.text
    assert "in1_ptr + column_in + product * 524288 + right_deep * 1024" in text and "in2_ptr + column_in + product * 1024" in text


def test_a_matrix_that_many_products_repeat_is_made_once() -> None:
    types = (((64, 3, 16, 512), BF16), ((3, 512, 1024), BF16))
    plan = plan_of(lambda x, w: mm(x, relu(w)), *types)
    assert len(plan.steps) == 2
    assert any("for every tile of the result's 16 rows and 64 products of the batch" in r.reason for r in plan.refusals)


def test_axes_by_digits() -> None:
    n = sizes.symbol("n", 1)
    row, column = sizes.symbol("row"), sizes.symbol("column")
    digits = [*digits_of("product", [(n, 240), (6, 40)]), Digit(8, 5, row), Digit(1, 8, column)]
    assert walked({Axis("x", n * 240): 1}, digits) == {"x": sizes.symbol("product") * 40 + row * 8 + column}
    split = walked({Axis("a", n): 240, Axis("b", 2): 120, Axis("c", 15): 8, Axis("d", 4): 2, Axis("e", 2): 1}, digits)
    product = sizes.symbol("product", 0, n * 6 - 1)
    assert split is not None and str(split["e"]) == "(column % 2)" and str(split["d"]) == "(column // 2)"
    assert str(split["a"]) == str(sizes.floordiv(product, 6))
    whole = [
        sum(int(sizes.evaluate(v, {"n": 2, "product": p, "row": r, "column": c})) * by
            for v, by in zip((split[a] for a in "abcde"), (240, 120, 8, 2, 1), strict=True))
        for p in range(12) for r in range(5) for c in range(8)
    ]  # fmt: skip
    assert whole == list(range(480))
    assert walked({Axis("x", n * 120): 2}, digits) is None and walked({Axis("x", n): 240}, digits) is None


@needs_triton
@pytest.mark.parametrize(("make", "way"), [(square, 0), pytest.param(square, 1, marks=pytest.mark.whole), (experts, 0)])
def test_machine_code_without_spills(make: Any, way: int, tmp_path: Path) -> None:
    made = stages.run(routine_ways(make())[way].jobs[0].build, SM90)
    assert re.search(r"wgmma\.mma_async|mma\.sync", made.asm["ptx"]) and made.metadata["shared"] <= 232448
    assert spilled(made.asm["cubin"], tmp_path) == 0
