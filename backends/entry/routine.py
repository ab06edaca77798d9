"""A plan as a function of Tensors and numbers, through the machine code of compiled functions: no capture, no user function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from ...ir.plan import Plan
from ...runtime import guard as g
from ...runtime.meta import Meta
from ...runtime.source import Arg
from .table import Entry, Variant


def routine(
    plan: Plan, code: Any, inputs: Sequence[tuple[type, Meta | None]], output_metas: Sequence[Meta | None],
    otherwise: Callable[..., Any], keep: Any = None,
) -> FunctionType:  # fmt: skip
    """A function of the plan's inputs, by position, that returns the tuple of its outputs.

    `inputs`: the class and the Meta of each (a number: its class and None). A call with anything else is ``otherwise(*inputs)``,
    as is one where a kernel returns nonzero. `code` as for `Variant`. CompileError where the plan cannot be run natively.
    """
    names = [f"a{i}" for i in range(len(inputs))]
    space: dict[str, Any] = {}
    exec(f"def backward({', '.join(names)}): return ()", space)
    function: FunctionType = space["backward"]
    sources = [Arg(i, name) for i, name in enumerate(names)]
    guards: list[g.Guard] = [
        g.TypeIs(source, cls) if meta is None else g.TensorIs(source, cls, meta)
        for source, (cls, meta) in zip(sources, inputs, strict=True)
    ]
    entry = Entry(function, otherwise)
    variant = Variant(
        plan, code, guards, sources, entry.function, output_metas=output_metas, single=False,
        on_error=lambda variant, args, status, step: otherwise(*args), keep=keep,
    )  # fmt: skip
    entry.add(variant)
    made: FunctionType = entry.function
    return made
