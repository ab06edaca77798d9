"""Graphs that the GPU's claims run by templates, by Triton's interpreter beside the graph's own interpreter.

    python interpreted_templates.py        prints what differs, and as the last line the counts as JSON
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import triton_interpreter  # isort: skip  (decides how triton is imported)

import numpy as np
import random_graphs

from fusewire import pipeline
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.gemm import Tile
from fusewire.backends.gpu.templates import mapped_way, routine_ways
from fusewire.ir import dtypes, interpret, layout, sizes
from fusewire.ir.graph import Builder, Graph
from fusewire.ir.op import lookup
from fusewire.ir.plan import RoutineStep
from fusewire.ir.types import tensor

_RNG = np.random.default_rng(0)
_TOLERANCE = {2: 3e-2, 4: 1e-4, 8: 1e-9}


def normal(*shape: int, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """Random numbers around 0."""
    return _RNG.standard_normal(shape).astype(dtype)


def graph_of(call: Callable[..., Any], arrays: list[Any]) -> Graph:
    """`call` on values for the arrays, as a graph."""
    builder = Builder("g")
    made = call(*(builder.input(layout.type_of_array(a)) for a in arrays))
    return builder.finish(list(made) if isinstance(made, tuple) else [made])


def products() -> Iterator[tuple[str, Callable[..., Any], list[Any]]]:
    """Products of each dtype, turned, batched, with epilogues."""
    mm, permute, add, relu = (lookup(name) for name in ("matmul", "permute", "add", "relu"))

    def turned(x: Any) -> Any:
        return permute(x, dims=(1, 0))

    for dtype in (dtypes.float32, dtypes.bfloat16, dtypes.float16, dtypes.float64, dtypes.int32):
        d = dtype.np
        yield f"product {dtype}", lambda a, b: mm(a, turned(b)), [normal(33, 70, dtype=d), normal(45, 70, dtype=d)]
        yield f"batch {dtype}", mm, [normal(2, 3, 17, 20, dtype=d), normal(3, 20, 19, dtype=d)]
        operands = [normal(33, 64, dtype=d), normal(64, 45, dtype=d), normal(45, dtype=d), normal(33, 45, dtype=d)]
        yield f"epilogue {dtype}", lambda a, b, c, e: add(relu(add(mm(a, b), c)), e), operands
        deep = [normal(33, 2100, dtype=d), normal(2100, 45, dtype=d), normal(45, dtype=d)]
        yield f"shared depth {dtype}", lambda a, b, c: relu(add(mm(a, b), c)), deep
    both = [normal(33, 64), normal(64, 45), normal(45)]
    yield "two readers", lambda a, b, c: (lambda p: (p, relu(add(p, c))))(mm(a, b)), both
    yield "left turned", lambda a, b: mm(turned(a), b), [normal(40, 33), normal(40, 20)]


def batched() -> Iterator[tuple[str, Callable[..., Any], list[Any]]]:
    """Batches with epilogues: biases by product, row and column, residuals, several batch dimensions, repeated operands."""
    mm, permute, add, relu, mul = (lookup(name) for name in ("matmul", "permute", "add", "relu", "mul"))
    for dtype in (dtypes.float32, dtypes.bfloat16, dtypes.float64):
        d = dtype.np
        x, y = normal(3, 33, 20, dtype=d), normal(3, 20, 45, dtype=d)
        for shape in ((45,), (3, 1, 1), (3, 33, 1), (3, 1, 45), (33, 45)):
            yield f"batch and bias {shape} {dtype}", lambda a, b, c: relu(add(mm(a, b), c)), [x, y, normal(*shape, dtype=d)]
        more = [normal(*shape, dtype=d) for shape in ((2, 3, 17, 20), (3, 20, 19), (2, 1, 17, 1), (2, 3, 17, 19))]
        yield f"two batch dimensions {dtype}", lambda a, b, c, e: add(relu(mul(mm(a, b), c)), e), more
        thin = [normal(3, 1, 70, dtype=d), normal(3, 70, 19, dtype=d), normal(3, 1, 19, dtype=d)]
        yield f"batch of rows {dtype}", lambda a, b, c: relu(add(mm(a, b), c)), thin
        thin = [normal(3, 19, 70, dtype=d), normal(3, 70, 2, dtype=d)]
        yield f"batch of narrow ones {dtype}", lambda a, b: mul(mm(a, b), 0.5), thin
        deep = [normal(2, 33, 2100, dtype=d), normal(2, 2100, 45, dtype=d), normal(2, 1, 45, dtype=d)]
        yield f"batch, shared depth {dtype}", lambda a, b, c: relu(add(mm(a, b), c)), deep
    both = [normal(4, 33, 20, dtype=dtypes.bfloat16.np), normal(4, 20, 45, dtype=dtypes.bfloat16.np)]
    yield "batch, two readers", lambda a, b: (lambda p: (p, relu(p)))(mm(a, b)), both
    turned = [normal(2, 5, 17, 20), normal(2, 5, 20, 19), normal(2, 17, 5, 19)]
    yield "heads", lambda a, b, c: add(permute(mm(a, b), dims=(0, 2, 1, 3)), c), turned


def prologues() -> Iterator[tuple[str, Callable[..., Any], list[Any]]]:
    """Operands that are computed where they are read: weights of 8 bits with scales, activations, norms' scales, masks."""
    mm, permute, add, relu, mul, cast, gelu, reshape = (
        lookup(name) for name in ("matmul", "permute", "add", "relu", "mul", "cast", "gelu", "view")
    )  # fmt: skip
    for half in (dtypes.bfloat16, dtypes.float16, dtypes.float32):
        d = half.np
        codes = _RNG.integers(-128, 127, (70, 45), dtype=np.int8)

        def weights(x: Any, w: Any, s: Any, half: Any = half) -> Any:
            return mm(x, mul(cast(w, dtype=half), s))

        yield f"scale of columns {half}", weights, [normal(33, 70, dtype=d), codes, normal(45, dtype=d)]
        yield f"scale of rows {half}", weights, [normal(17, 70, dtype=d), codes, normal(70, 1, dtype=d)]

        def turned(x: Any, w: Any, s: Any, b: Any, half: Any = half) -> Any:
            return relu(add(mm(x, permute(mul(cast(w, dtype=half), s), dims=(1, 0))), b))

        rows = [normal(33, 45, dtype=d), codes, normal(70, 1, dtype=d), normal(70, dtype=d)]
        yield f"turned, with an epilogue {half}", turned, rows

        def groups(x: Any, w: Any, s: Any, half: Any = half) -> Any:
            return mm(x, reshape(mul(cast(w, dtype=half), s), shape=(96, 45)))

        grouped = [normal(5, 96, dtype=d), _RNG.integers(-8, 7, (6, 16, 45), dtype=np.int8), normal(6, 1, 45, dtype=d)]
        yield f"scale of groups {half}", groups, grouped
        yield f"activations {half}", lambda x, w: mm(gelu(x), w), [normal(65, 130, dtype=d), normal(130, 17, dtype=d)]
        both = [normal(65, 40, dtype=d), normal(40, dtype=d), normal(40, 129, dtype=d)]
        yield f"both {half}", lambda x, s, w: mm(relu(mul(x, s)), mul(w, 0.5)), both
        deep = [normal(33, 2100, dtype=d), normal(2100, dtype=d), normal(2100, 45, dtype=d)]
        yield f"shared depth {half}", lambda x, s, w: relu(mm(add(mul(x, s), 1.0), w)), deep
        experts = [normal(3, 17, 40, dtype=d), _RNG.integers(-9, 9, (3, 40, 45), dtype=np.int8), normal(3, 1, 45, dtype=d)]
        yield f"batch of weights {half}", weights, experts
        heads = [normal(2, 17, 3, 40, dtype=d), normal(2, 3, 40, 33, dtype=d), normal(3, 1, 33, dtype=d)]
        yield f"batch of activations {half}", lambda x, w, c: add(mm(permute(relu(x), dims=(0, 2, 1, 3)), w), c), heads
        same = [normal(2, 3, 17, 40, dtype=d), normal(3, 40, 33, dtype=d), normal(40, 1, dtype=d)]
        yield f"batch with repeated weights {half}", lambda x, w, c: mm(gelu(x), mul(w, c)), same
        parts = [normal(2, 33, 2100, dtype=d), normal(2, 1, 1, dtype=d), normal(2, 2100, 45, dtype=d)]
        yield f"batch, computed, shared depth {half}", lambda x, s, w: relu(mm(mul(x, s), w)), parts


def records() -> Iterator[tuple[str, Callable[..., Any], list[Any]]]:
    """The samples of the composites that are claimed, in types that the templates take."""
    for name in ("attention", "attention_backward", "convolution", "conv_input", "conv_weight"):
        op = lookup(name)
        for n, sample in enumerate(random_graphs.samples(op)):
            operands = [x.astype(np.float32) if getattr(x, "dtype", None) == np.float64 else x for x in sample.operands]

            def call(*values: Any, operands: Any = operands, op: Any = op, attrs: Any = sample.attrs) -> Any:
                given = iter(values)
                return op(*(next(given) if isinstance(x, np.ndarray) else x for x in operands), **attrs)

            yield f"{name}#{n}", call, [x for x in operands if isinstance(x, np.ndarray)]


def wide_attention() -> Iterator[tuple[str, Callable[..., Any], list[Any]]]:
    """Several blocks of queries and keys."""
    op = lookup("attention")
    q, k, v = normal(2, 2, 70, 16), normal(2, 2, 90, 16), normal(2, 2, 90, 24)
    state, mask = np.array([77, 3], np.int64), _RNG.random((70, 90)) < 0.7
    yield "causal", lambda q, k, v: op(q, k, v, None, None, scale=0.25, is_causal=True), [q, k, v]
    yield "dropout", lambda q, k, v, m, s: op(q, k, v, m, s, scale=0.25, p=0.3), [q, k, v, mask, state]


def largest(x: np.ndarray[Any, Any]) -> float:
    """The largest finite magnitude."""
    size = np.abs(x.astype(np.float64))
    return float(size[np.isfinite(size)].max(initial=0))


def mapped(each: int) -> bool:
    """Operands read by tensor maps, in each order of rows and columns, by small tiles; alone, in batches, with one repeated: all
    together, or so that each is there once."""
    tile, fine, half = Tile(32, 32, 16, 4, 2), True, dtypes.bfloat16.np
    mm, permute = lookup("matmul"), lookup("permute")
    for left, right, lead in [*itertools.product((False, True), (False, True), ((), (3,), (3, 1)))][:: min(each, 4)]:
        shapes = ((80, 40) if left else (40, 80)), ((72, 80) if right else (80, 72))
        arrays = [normal(*lead[: 1 - n if len(lead) == 2 else 1], *s, dtype=half) for n, s in enumerate(shapes)]

        def call(a: Any, b: Any, turns: Any = (left, right)) -> Any:
            last = [(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2) for x in (a.tensor_type, b.tensor_type)]
            made = mm(*(permute(x, dims=d) if t else x for x, d, t in zip((a, b), last, turns, strict=True)))
            return lookup("relu")(made) if turns[0] else made

        graph = graph_of(call, arrays)
        (step,) = pipeline.stages(graph, CLAIMS).plan.steps
        assert isinstance(step, RoutineStep)
        wanted = interpret.interpret(graph, arrays)[0][0].astype(np.float64)
        views = [triton_interpreter.flat(a) for a in arrays] + [np.zeros(wanted.size, half)]
        triton_interpreter.run_way(mapped_way(step, tile, ()), views, [int(str(n)) for n in step.sizes], ())
        found = views[-1].astype(np.float64).reshape(wanted.shape)
        fine &= bool(np.allclose(found, wanted, atol=3e-2, rtol=1e-2))  # an ulp of bfloat16: sums come in another order
    return fine


def points() -> Iterator[tuple[str, Callable[..., Any], list[Any]]]:
    """Convolutions by one point and their gradients: of one image, and of images whose channels lie together."""
    ahead, back, weights, relu = (lookup(name) for name in ("convolution", "conv_input", "conv_weight", "relu"))
    attrs: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    for count in (1, 3):
        x, w, g = normal(count, 20, 7, 5), normal(33, 20, 1, 1), normal(count, 33, 7, 5)
        if count > 1:
            x, g = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, g))
        yield f"point {count}", lambda x, w: relu(ahead(x, w, None, **attrs)), [x, w]
        yield f"point input {count}", lambda g, w: back(g, w, shape=(7, 5), **attrs), [g, w]
        yield f"point weight {count}", lambda x, g: weights(x, g, kernel=(1, 1), **attrs), [x, g]


def open_batches() -> Iterator[tuple[str, bool]]:
    """Convolutions and their gradients compiled for any number of images, run on three."""
    attrs: dict[str, Any] = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 1}
    x, w, y = normal(3, 4, 7, 9), normal(6, 4, 3, 2), normal(3, 6, 4, 7)
    relu, count = lookup("relu"), sizes.symbol("n", 1)
    yield "open batch", open_products()
    for name, arrays, open_, more in (
        ("convolution", [x, w], (True, False), {}), ("conv_input", [y, w], (True, False), {"shape": (7, 9)}),
        ("conv_weight", [x, y], (True, True), {"kernel": (3, 2)}),
    ):  # fmt: skip
        builder = Builder("g")
        types = [tensor((count, *a.shape[1:]) if o else a.shape, dtypes.float32) for a, o in zip(arrays, open_, strict=True)]
        given = [builder.input(t) for t in types]
        made = lookup(name)(*given, *([None] if name == "convolution" else []), **attrs, **more)
        graph = builder.finish([relu(made)])
        (step,) = pipeline.stages(graph, CLAIMS).plan.steps
        assert isinstance(step, RoutineStep)

        def call(*v: Any, name: str = name, more: Any = more) -> Any:
            return relu(lookup(name)(*v, *([None] if name == "convolution" else []), **attrs, **more))

        fixed = graph_of(call, arrays)
        wanted = interpret.interpret(fixed, arrays)[0][0]
        out = np.zeros(wanted.size, np.float32)
        views = [triton_interpreter.flat(a) for a in (arrays[1], arrays[0])] + [out]
        numbers = [int(sizes.evaluate(n, {"n": 3})) for n in step.sizes]
        triton_interpreter.run_way(routine_ways(step)[-1], views, numbers, ())
        yield f"open {name}", bool(np.allclose(out.reshape(wanted.shape), wanted, atol=1e-3))


def open_products() -> bool:
    """Products of a batch of any number of rows and of products, with a bias of each row and one of each product, run on few."""
    arrays = [normal(3, 2, 21, 16), normal(2, 16, 33), normal(3, 1, 21, 1), normal(2, 1, 33)]
    mm, add, relu = (lookup(name) for name in ("matmul", "add", "relu"))
    n, m, builder = sizes.symbol("n", 1), sizes.symbol("m", 1), Builder("g")
    shapes: list[Any] = [(n, 2, m, 16), (2, 16, 33), (n, 1, m, 1), (2, 1, 33)]

    def call(x: Any, y: Any, c: Any, e: Any) -> Any:
        return add(relu(add(mm(x, y), c)), e)

    graph = builder.finish([call(*(builder.input(tensor(s, dtypes.float32)) for s in shapes))])
    (step,) = pipeline.stages(graph, CLAIMS).plan.steps
    assert isinstance(step, RoutineStep) and step.finish is not None
    wanted = interpret.interpret(graph_of(call, arrays), arrays)[0][0]
    out = np.zeros(wanted.size, np.float32)
    views = [*(triton_interpreter.flat(a) for a in arrays), out]
    numbers = [int(sizes.evaluate(s, {"n": 3, "m": 21})) for s in step.sizes]
    triton_interpreter.run_way(routine_ways(step)[-1], views, numbers, ())
    return bool(np.allclose(out.reshape(wanted.shape), wanted, atol=1e-3))


def agrees(name: str, graph: Graph, arrays: list[Any]) -> tuple[bool, int]:
    """Whether both give the same, and the number of templates that ran."""
    plan = pipeline.stages(graph, CLAIMS).plan
    templates = sum(isinstance(s, RoutineStep) for s in plan.steps)
    got = triton_interpreter.run_plan(plan, arrays)
    wanted = interpret.interpret(graph, list(arrays))[0]
    for g, w in zip(got, wanted, strict=True):
        tolerance = _TOLERANCE[w.dtype.itemsize] * max(1.0, largest(w))
        if not np.allclose(g.astype(np.float64), w.astype(np.float64), rtol=0, atol=tolerance, equal_nan=True):
            print(name, "differs by", np.nanmax(np.abs(g.astype(np.float64) - w.astype(np.float64))))
            return False, templates
    return True, templates


def main(each: int = 1) -> None:
    """Run all, or one of `each`, and print what was found."""
    different, graphs, templates = [], 0, 0
    for name, call, arrays in (*products(), *batched(), *prologues(), *points(), *records(), *wide_attention())[::each]:
        graph = graph_of(call, arrays)
        fine, count = agrees(name, graph, arrays)
        graphs, templates = graphs + 1, templates + count
        different += [] if fine else [name]
    different += [] if mapped(each) else ["tensor maps"]
    different += [name for name, fine in open_batches() if not fine]
    raced = {name: sorted(kinds) for name, kinds in triton_interpreter.found.items()}
    print(json.dumps({"graphs": graphs, "templates": templates, "different": different, "raced": raced}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
