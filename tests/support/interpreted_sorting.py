"""Rows in order by the GPU's template, by Triton's interpreter beside the records.

    python interpreted_sorting.py [EACH]        prints what differs, and as the last line the counts as JSON
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import triton_interpreter  # isort: skip  (decides how triton is imported)

import numpy as np

from fusewire import pipeline
from fusewire.backends.gpu import sorting
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.ir import dtypes, layout, sizes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.plan import RoutineStep
from fusewire.ir.types import TensorType, tensor

_RNG = np.random.default_rng(0)
_SPECIAL = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, -1e-42, 1.0, 1.0]


def row(n: int, name: str) -> Any:
    """Numbers of a type with ties and all that has an order of its own."""
    dtype = dtypes.lookup(name)
    if dtype.kind == "f":
        made = np.round(_RNG.standard_normal(n) * 8) / 4
        places = _RNG.integers(0, n, min(n, len(_SPECIAL)))
        made[places] = _SPECIAL[: len(places)]
        return made.astype(dtype.np)
    if dtype.kind == "b":
        return _RNG.random(n) < 0.5
    info = np.iinfo(dtype.np)
    return np.where(_RNG.random(n) < 0.2, _RNG.choice([info.min, info.max], n), _RNG.integers(0, 20, n)).astype(dtype.np)


def calls() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """(record, operand, attributes)"""
    for name in sorting.KEYS:
        yield "argsort", row(3 * 37, name).reshape(3, 37), {"dim": 1, "descending": False}
        yield "argsort", row(2 * 600, name).reshape(2, 600), {"dim": 1, "descending": True}
        yield "topk_index", row(2 * 700, name).reshape(2, 700), {"dim": 1, "k": 5, "largest": name != "int64"}
    x = row(2 * 5 * 3 * 4, "float32").reshape(2, 5, 3, 4)
    for dim in range(4):
        yield "argsort", x.transpose(2, 0, 3, 1), {"dim": dim, "descending": dim % 2 == 1}
    yield "topk_index", np.ascontiguousarray(row(1400, "float16").reshape(2, 700).T), {"dim": 0, "k": 3, "largest": True}
    yield "topk_index", row(40, "float32")[::3], {"dim": 0, "k": 14, "largest": False}
    yield "topk_index", row(9000, "bfloat16"), {"dim": 0, "k": 70, "largest": True}
    yield "topk_index", row(20000, "float32"), {"dim": 0, "k": 2, "largest": True}
    yield "topk_index", row(3000, "float32"), {"dim": 0, "k": 2500, "largest": True}
    yield "argsort", row(18000, "int16"), {"dim": 0}
    yield "argsort", row(1, "float32"), {"dim": 0}
    yield "topk_index", row(60 * 8, "float32").reshape(60, 8), {"dim": 1, "k": 2, "largest": True}


def searches() -> Iterator[tuple[Any, Any, bool]]:
    """(table, what is looked for, whether behind equal ones)"""
    for n, name in enumerate(sorting.KEYS):
        yield np.sort(row(100 + n, name)), row(60, name).reshape(4, 15).T, n % 2 == 0
    rows = np.sort(row(2 * 3 * 33, "float32").reshape(2, 3, 33), -1)
    yield rows, row(2 * 3 * 5, "float32").reshape(2, 3, 5), True
    yield rows.transpose(1, 0, 2)[:, ::2], row(3, "float32").reshape(3, 1, 1), False
    yield rows[0, 0], np.array(0.25, np.float32), False
    yield rows[0, 0, :0], row(5, "float32"), True


def search(table: Any, x: Any, right: bool) -> bool:
    """Whether the template finds what the record finds."""
    builder = Builder("g")
    op = lookup("searchsorted")
    graph = builder.finish([op(*(builder.input(layout.type_of_array(a)) for a in (table, x)), right=right)])
    (got,) = triton_interpreter.run_plan(pipeline.stages(graph, CLAIMS).plan, [table, x])
    given = [a.astype(np.float32) if a.dtype.itemsize < 4 and a.dtype.kind in "fV" else a for a in (table, x)]
    return bool((got == op.eager(*given, right=right)).all())


def wanted(op: str, x: Any, attrs: dict[str, Any]) -> Any:
    """The record's positions."""
    wide = x.astype(np.float32) if x.dtype.kind in "fV" and x.dtype.itemsize < 4 else x
    return lookup(op).eager(wide, **attrs)


def step_of(op: str, kind: TensorType, attrs: dict[str, Any]) -> RoutineStep:
    """The only step of a call's plan."""
    builder = Builder("g")
    graph = builder.finish([lookup(op)(builder.input(kind), **attrs)])
    (step,) = pipeline.stages(graph, CLAIMS).plan.steps
    assert isinstance(step, RoutineStep), step
    return step


def open_call(op: str, x: Any, attrs: dict[str, Any]) -> bool:
    """A call compiled for any sizes."""
    names = [sizes.symbol(f"n{d}", 2) for d in range(x.ndim)]
    step = step_of(op, tensor(tuple(names), layout.type_of_array(x).dtype), attrs)
    right = wanted(op, x, attrs)
    out = np.full(right.size, -1, np.int64)
    known = {f"n{d}": n for d, n in enumerate(x.shape)}
    numbers = [int(sizes.evaluate(n, known)) for n in step.sizes]
    triton_interpreter.run_way(sorting.ways(step)[0], [x.reshape(-1), out], numbers, ())
    return bool((out.reshape(right.shape) == right).all())


def main(each: int = 1) -> None:
    """Run all, or one of `each`, and print what was found."""
    different, count = [], 0
    for op, x, attrs in [*calls()][::each]:
        graph = Builder("g")
        plan = pipeline.stages(graph.finish([lookup(op)(graph.input(layout.type_of_array(x)), **attrs)]), CLAIMS).plan
        (got,) = triton_interpreter.run_plan(plan, [x])
        count += all(isinstance(s, RoutineStep) for s in plan.steps)
        if not (got == wanted(op, x, attrs)).all():
            different.append(f"{op} {x.dtype}{list(x.shape)} {attrs}")
    for table, x, right in [*searches()][::each]:
        count += 1
        if not search(table, x, right):
            different.append(f"searchsorted {table.dtype}{list(table.shape)} {x.shape} {right}")
    for op, shape, attrs in (
        ("argsort", (2, 40), {"dim": 1}), ("argsort", (2, 9000), {"dim": 1, "descending": True}),
        ("topk_index", (1500, 2), {"dim": 0, "k": 20}),
    )[::each]:  # fmt: skip
        count += 1
        if not open_call(op, row(shape[0] * shape[1], "float32").reshape(shape), attrs):
            different.append(f"open {op} {shape}")
    raced = {name: sorted(kinds) for name, kinds in triton_interpreter.found.items()}
    print(json.dumps({"templates": count, "different": different, "raced": raced}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
