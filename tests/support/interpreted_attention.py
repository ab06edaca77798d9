"""Attention with functions of scores and in parts, by Triton's interpreter beside the graph's own interpreter.

    python interpreted_attention.py        prints what differs, and as the last line the counts as JSON
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))


import interpreted_templates as templates
import numpy as np
import random_graphs
import triton_interpreter
from interpreted_templates import graph_of, normal

import fusewire
from fusewire import pipeline
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.ir import dtypes, interpret
from fusewire.ir.op import lookup
from fusewire.ir.ops import flex
from fusewire.nn.attention.flex_attention import and_masks, create_block_mask

_RNG = np.random.default_rng(0)
_NONE = [None] * 8
RELATIVE = ((("sub", ("q", "kv"), ()), ("load", ("c0", "h", "0"), ()), ("add", ("score", "1"), ()), ("tanh", ("2",), ())), "3")
BOTH = ((("ge", ("q", "kv"), ()), ("load", ("c1", "q"), ()), ("load", ("c1", "kv"), ()), ("eq", ("1", "2"), ()),
         ("logical_and", ("0", "3"), ())), "4")  # fmt: skip
Case = tuple[str, Callable[..., Any], list[Any]]


def samples() -> Iterator[Case]:
    """Those of the records."""
    for name in ("flex_attention", "flex_attention_backward"):
        op = lookup(name)
        for n, sample in enumerate(random_graphs.samples(op)):
            operands = [x.astype(np.float32) if getattr(x, "dtype", None) == np.float64 else x for x in sample.operands]

            def call(*values: Any, operands: Any = operands, op: Any = op, attrs: Any = sample.attrs) -> Any:
                given = iter(values)
                return op(*(next(given) if isinstance(x, np.ndarray) else x for x in operands), **attrs)

            yield f"{name}#{n}", call, [x for x in operands if isinstance(x, np.ndarray)]


def wide_flex() -> Iterator[Case]:
    """Several blocks, masks by blocks, shared heads and batches of keys, elements at computed positions."""
    documents = np.sort(_RNG.integers(0, 3, 150))
    t = fusewire.tensor(documents)
    mask = create_block_mask(and_masks(lambda b, h, q, k: q >= k, lambda b, h, q, k: t[q] == t[k]), 1, 1, 150, 130, "cpu", 64)
    lists = [x.numpy() for x in mask.tensors()]
    relative, slopes = [normal(4, 300), documents], [normal(4)]
    for heads, batch in ((4, 2), (2, 2), (1, 1)):
        yield from both_ways(f"lists {heads}", heads, batch, lists, relative, score=RELATIVE, mask=BOTH, blocks=(64, 64))
        yield from both_ways(f"mask only {heads}", heads, batch, lists, [normal(1), documents], mask=BOTH, blocks=(64, 64))
        yield from both_ways(f"no lists {heads}", heads, batch, _NONE, relative, score=RELATIVE, mask=BOTH)
        yield from both_ways(f"scores only {heads}", heads, batch, _NONE, slopes, score=flex.ALIBI)


def far_positions() -> bool:
    """Functions that read outside of their tensors where a mask closes the keys, at numbers and at elements, also negative ones:
    nothing outside is touched, and what counts is right."""
    far = (("sub", ("q", "kv"), ()), ("load", ("c0", "h", "0"), ()), ("add", ("score", "1"), ()))  # c0[h, q - kv], of 40
    near = (("sub", ("q", "kv"), ()), ("lt", ("0", 40), ()), ("ge", ("q", "kv"), ()), ("logical_and", ("1", "2"), ()))
    ends = (("sub", ("q", "kv"), ()), ("minimum", ("0", 39), ()), ("maximum", ("1", 0), ()), ("load", ("c0", "h", "2"), ()))
    codes = _RNG.integers(-40, 40, 70).astype(np.int32)
    by_code = (("load", ("c1", "q"), ()), ("load", ("c2", "0"), ()), ("add", ("score", "1"), ()))
    right = True
    for score, twin, captured in (
        ((far, "2"), ((*ends, ("add", ("score", "3"), ())), "4"), [normal(2, 40)]),
        ((by_code, "2"), (by_code, "2"), [normal(1), codes, normal(300)]),
    ):  # fmt: skip
        arrays = [normal(1, 2, 70, 16), normal(1, 1, 50, 16), normal(1, 1, 50, 16), *captured]

        def call(*xs: Any, score: Any = score) -> Any:
            return lookup("flex_attention")(*xs[:3], *_NONE, *xs[3:], scale=0.3, score=score, mask=(near, "3"))

        def back(*xs: Any, score: Any = score) -> Any:
            rest = (*xs[3:6], *_NONE, *xs[6:])
            return lookup("flex_attention_backward")(*xs[:3], *rest, scale=0.3, wanted=(0,), score=score, mask=(near, "3"))

        wanted = interpret.interpret(graph_of(partial(call, score=twin), arrays), arrays)[0]
        plan = pipeline.stages(graph_of(call, arrays), CLAIMS).plan
        got = triton_interpreter.run_plan(plan, arrays)
        right &= all(np.allclose(g, w, atol=1e-4) for g, w in zip(got, wanted, strict=True))
        arrays = [normal(1, 2, 70, 16), normal(1, 2, 70), wanted[1], *arrays]
        expected = interpret.interpret(graph_of(partial(back, score=twin), arrays), arrays)[0]
        got = triton_interpreter.run_plan(pipeline.stages(graph_of(back, arrays), CLAIMS).plan, arrays)
        right &= all(np.allclose(g, w, atol=1e-3) for g, w in zip(got, expected, strict=True))
    return right


def both_ways(name: str, heads: int, batch: int, lists: list[Any], captured: list[Any], **attrs: Any) -> Iterator[Case]:
    """Forward and backward call."""
    fixed = [x is None for x in lists]
    arrays = [normal(2, 4, 150, 20), normal(batch, heads, 130, 20), normal(batch, heads, 130, 24)]
    arrays += [*(x for x in lists if x is not None), *captured]

    def spread(xs: tuple[Any, ...]) -> list[Any]:
        rest = iter(xs)
        return [*(next(rest) for _ in range(3)), *(None if f else next(rest) for f in fixed), *rest]

    def forward(*xs: Any) -> Any:
        return lookup("flex_attention")(*spread(xs), scale=0.3, **attrs)

    def backward(*xs: Any) -> Any:
        return lookup("flex_attention_backward")(*xs[:3], *spread(xs[3:]), scale=0.3, wanted=(0,), **attrs)

    yield name, forward, arrays
    lse = interpret.interpret(graph_of(forward, arrays), arrays)[0][1]
    yield f"{name} backward", backward, [normal(2, 4, 150, 24), normal(2, 4, 150), lse, *arrays]


def few_queries() -> Iterator[Case]:
    """Keys shared out between programs: plain, causal, masked, with dropout; heads of queries that share keys as rows."""
    op, expand, view, fx = (lookup(name) for name in ("attention", "expand", "view", "flex_attention"))
    q, k, v = normal(1, 2, 5, 16), normal(1, 2, 1100, 16), normal(1, 2, 1100, 24)
    state, mask = np.array([77, 3], np.int64), _RNG.random((2, 4, 1, 1100)) < 0.5

    def shared(q: Any, k: Any, v: Any, mask: Any, state: Any) -> Any:
        k, v = (expand(view(x, shape=(1, 2, 1, 1100, x.shape[3])), shape=(1, 2, 4, 1100, x.shape[3])) for x in (k, v))
        return op(q, k, v, mask, state, scale=0.3, p=0.0 if state is None else 0.4)

    def one(q: Any, k: Any, v: Any, s: Any) -> Any:
        return fx(q, k, v, *_NONE, s, scale=0.3, score=flex.ALIBI, mask=flex.CAUSAL)

    yield "few causal", lambda q, k, v: op(q, k, v, None, None, scale=0.3, is_causal=True), [q, k, v]
    yield "heads as rows", lambda q, k, v, m: shared(q, k, v, m, None), [normal(1, 2, 4, 1, 16), k, v, mask]
    yield "heads as rows, dropout", lambda q, k, v, s: shared(q, k, v, None, s), [normal(1, 2, 4, 1, 16), k, v, state]
    few = create_block_mask(lambda b, h, q, k: q * 400 >= k, None, None, 3, 1100, "cpu", 64)
    lists = [x.numpy() for x in few.tensors()]
    steps = ((("mul", ("q", 400), ()), ("ge", ("0", "kv"), ())), "1")

    def listed(q: Any, k: Any, v: Any, *blocks: Any) -> Any:
        return fx(q, k, v, *blocks, scale=0.3, mask=steps, blocks=(64, 64))

    yield "few of flex, lists", listed, [normal(1, 4, 3, 16), k, v, *lists]
    yield "few of flex", one, [normal(1, 4, 3, 16), k, v, normal(4)]


def apart() -> Iterator[Case]:
    """Half types, whose blocks without a closed key have loops of their own."""
    op, back = lookup("attention"), lookup("attention_backward")
    half = dtypes.bfloat16.np
    for rows, keys, causal in ((150, 150, True), (70, 130, True), (130, 70, False), (256, 256, True)):
        arrays = [normal(1, 2, n, w, dtype=half) for n, w in ((rows, 16), (keys, 16), (keys, 24))]

        def forward(q: Any, k: Any, v: Any, causal: bool = causal) -> Any:
            return op(q, k, v, None, None, scale=0.3, is_causal=causal)

        def backward(g: Any, d: Any, lse: Any, q: Any, k: Any, v: Any, causal: bool = causal) -> Any:
            return back(g, q, k, v, None, None, d, lse, scale=0.3, is_causal=causal)

        yield f"bf16 {rows} {keys}", forward, arrays
        lse = interpret.interpret(graph_of(forward, arrays), arrays)[0][1]
        g = normal(1, 2, rows, 24, dtype=half)
        yield f"bf16 {rows} {keys} backward", backward, [g, normal(1, 2, rows), lse, *arrays]


def main(each: int = 1) -> None:
    """Run all, or one of `each`, and print what was found."""
    different, count = [], 0
    for name, call, arrays in (*samples(), *wide_flex(), *few_queries(), *apart())[::each]:
        fine, steps = templates.agrees(name, graph_of(call, arrays), arrays)
        count += steps
        different += [] if fine else [name]
    different += [] if far_positions() else ["far positions"]
    raced = {name: sorted(kinds) for name, kinds in triton_interpreter.found.items()}
    print(json.dumps({"templates": count, "different": different, "raced": raced}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
