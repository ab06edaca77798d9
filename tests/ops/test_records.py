"""Generated from the records: kernels against `infer`, lowerings against kernels, error samples, and the house rules."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire.ir import layout
from fusewire.ir.op import OPS, Extern, Gather, Gemm, Op, Promote, Scatter, register

sys.path.insert(0, str(Path(__file__).parent))
from op_cases import ALL, Lowered, Toy, call, close, error_samples, samples

each_op = pytest.mark.parametrize("op", ALL, ids=[op.name for op in ALL])


@each_op
def test_kernel_gives_what_infer_says(op: Op) -> None:
    for sample in samples(op):
        for result in call(op, Toy, sample):  # the call compares shape, dtype and strides
            assert type(result.array) is np.ndarray


@each_op
def test_lowering_computes_what_the_kernel_does(op: Op) -> None:
    if isinstance(op.lowering, Extern):
        assert len(op.lowering.reason) > 20
        return
    for sample in samples(op):
        for got, want in zip(call(op, Lowered, sample), call(op, Toy, sample), strict=True):
            close(got.array, want.array, op.tolerance)


@each_op
def test_error_samples_raise(op: Op) -> None:
    for sample in error_samples(op):
        with pytest.raises(sample.raises) as caught:  # type: ignore[arg-type]
            call(op, Toy, sample)
        message = str(caught.value)
        for x in sample.operands:
            if isinstance(x, np.ndarray) and sample.raises.__name__ in ("ShapeError", "DTypeError"):  # type: ignore[union-attr]
                assert layout.describe(layout.type_of_array(x)).split("[")[1] in message, message


@each_op
def test_kernels_refuse_what_infer_refuses(op: Op) -> None:
    """The executor asks `infer` only after a kernel has raised, or where dtypes differ or are not floating."""
    for sample in error_samples(op):
        arrays = [x for x in sample.operands if isinstance(x, np.ndarray)]
        if len({a.dtype for a in arrays}) == 1 and arrays[0].dtype.kind not in "biu":
            with pytest.raises(Exception), np.errstate(all="ignore"):  # noqa: B017
                op.eager(*sample.operands, **sample.attrs)


def test_samples_cover_the_shapes_that_matter() -> None:
    thin = []
    for op in ALL:
        arrays = [x for s in samples(op) for x in s.operands if isinstance(x, np.ndarray)]
        results = [r.array for s in samples(op) for r in call(op, Toy, s)]
        if not any(a.size == 0 for a in arrays + results) and op.name not in ("rng_advance", "size_of", "argmax", "argmin"):
            thin.append(f"{op.name}: nothing empty")
        if arrays and all(a.flags.c_contiguous for a in arrays) and "rand" not in op.name:
            thin.append(f"{op.name}: nothing strided")
    assert [t for t in thin if t.split(":")[0] not in ("rng_advance", "as_strided", "as_strided_scatter")] == []


def test_a_second_registration_is_refused() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        register(OPS["add"])
    fresh = Op("no_gradient_no_reason", (), OPS["add"].infer, np.add, None, OPS["add"].lowering, OPS["add"].sample, Promote())
    with pytest.raises(ValueError, match="neither a gradient nor a reason"):
        register(fresh)
    assert "no_gradient_no_reason" not in OPS


def test_no_other_table_is_keyed_by_op_names() -> None:
    root = Path(layout.__file__).parent / "ops"
    for path in root.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                keys = [k.value for k in node.keys if isinstance(k, ast.Constant)]
                assert sum(k in OPS for k in keys if isinstance(k, str)) < 2, f"{path.name}:{node.lineno}"


def test_records_are_found_by_their_names_in_their_modules() -> None:
    from fusewire.ir import ops

    modules = [getattr(ops, name) for name in (*ops.__all__, *ops.RARE)]
    for name, op in OPS.items():
        spelled = "slice_" if name == "slice" else name
        assert any(getattr(m, spelled, None) is op for m in modules), name


_SCATTERS = ["as_strided_scatter", "index_put", "scatter", "scatter_add"]


def test_templates_are_the_only_lowerings_without_an_expression() -> None:
    template: dict[Any, list[str]] = {Gather: [], Scatter: [], Gemm: []}
    for op in ALL:
        if type(op.lowering) in template:
            template[type(op.lowering)].append(op.name)
    assert template == {Gather: ["gather", "index"], Scatter: _SCATTERS, Gemm: ["matmul"]}
