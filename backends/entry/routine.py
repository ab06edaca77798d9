"""A plan as a function of Tensors and numbers, through the machine code of compiled functions: no capture, no user function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from ...ir.plan import Plan
from ...ir.sizes import atoms_of, symbol
from ...runtime import guard as g
from ...runtime.meta import Meta, MetaPattern
from ...runtime.source import Arg, Source
from .devices import Launcher
from .table import Entry, Variant


def routine(
    plan: Plan, code: Any, inputs: Sequence[tuple[type, Meta | MetaPattern | None]],
    output_metas: Sequence[Meta | None],
    otherwise: Callable[..., Any], keep: Any = None, launcher: Launcher | None = None, single: bool = False,
) -> FunctionType:  # fmt: skip
    """A function of the plan's inputs, by position, that returns the tuple of its outputs, or the `single` one.

    `inputs`: the class and the Meta of each, or its pattern (a number: its class and None). A call with anything else is
    ``otherwise(*inputs)``, as is one where a kernel returns nonzero. `code` and `launcher` as for `Variant`. CompileError where
    the plan cannot be run natively.
    """
    names = [f"a{i}" for i in range(len(inputs))]
    space: dict[str, Any] = {}
    exec(f"def backward({', '.join(names)}): return ()", space)
    function: FunctionType = space["backward"]
    sources = [Arg(i, name) for i, name in enumerate(names)]
    guards = [_guard(source, cls, meta) for source, (cls, meta) in zip(sources, inputs, strict=True)]
    likes = [x for x in guards if isinstance(x, g.TensorLike)]
    if likes:
        atoms = {a.name: a for t in likes for n in (*t.shape, *t.strides) for a in atoms_of(n)}
        numbers = tuple((sources[s.index], symbol(s.name)) for s in plan.symbols if s.what == "value")
        guards.append(g.SizesFit(tuple(likes), numbers, tuple(g.Span(a.name, a.lo, None) for a in atoms.values())))
    entry = Entry(function, otherwise)
    variant = Variant(
        plan, code, guards, sources, entry.function, output_metas=output_metas, single=single,
        on_error=lambda variant, args, status, step: otherwise(*args), keep=keep, launcher=launcher,
    )  # fmt: skip
    entry.add(variant)
    made: FunctionType = entry.function
    return made


def _guard(source: Source, cls: type, meta: Meta | MetaPattern | None) -> g.Guard:
    if meta is None:
        return g.TypeIs(source, cls)
    if isinstance(meta, Meta):
        return g.TensorIs(source, cls, meta)
    return g.TensorLike(source, cls, meta.dtype, meta.requires_grad, meta.device, meta.type.shape, meta.type.strides)
