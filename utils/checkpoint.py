"""Checkpoints: a part of a program keeps nothing for its backward pass, which runs the part again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..eager import autograd, casting, tape
from ..eager.factory import alias
from ..eager.random import get_rng_state, set_rng_state
from ..eager.structures import flatten
from ..eager.tensor import Tensor
from ..runtime import gradmode

__all__ = [
    "CheckpointError", "checkpoint", "checkpoint_sequential", "noop_context_fn", "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]  # fmt: skip


class CheckpointError(RuntimeError):
    """The second run gave other results than the first."""


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing."""
    import contextlib

    return contextlib.nullcontext(), contextlib.nullcontext()


class set_checkpoint_early_stop:
    """A context manager for programs that say where the second run may stop: here it always runs to its end."""

    def __init__(self, enable: bool) -> None:
        self.enable = enable

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


class set_checkpoint_debug_enabled(set_checkpoint_early_stop):
    """A context manager for programs that ask for more text in errors; CheckpointError always says all."""

    def __init__(self, enabled: bool | None) -> None:
        super().__init__(bool(enabled))


class _Part(tape.Node):
    """The tape's record of one checkpoint: gradients go to the Tensors given and to the leaves that the first run read."""

    __slots__ = ("again", "inputs", "leaves", "spent")

    def __init__(self, again: Callable[[list[Any]], list[Any]], inputs: list[Any], leaves: list[Any]) -> None:
        super().__init__()
        self.again, self.inputs, self.leaves = again, [tape.keep(x) for x in inputs], leaves
        self.spent = False

    def name(self) -> str:
        return "CheckpointFunctionBackward"

    def release(self) -> None:
        self.spent = True
        self.inputs = []

    def apply(self, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        if self.spent:
            raise tape.freed(self.name())
        create = gradmode.get()
        given = [s.unpack(self) for s in self.inputs]
        with autograd.enable_grad():
            inner = [_variable(x, create) for x in given]
            outs = self.again(inner)
        if len(outs) != len(self.results) or any(o.meta.type != r for o, r in zip(outs, self.results, strict=True)):
            found = [(list(o.shape), o.dtype) for o in outs]
            raise CheckpointError(f"checkpoint: the second run of the part gave {found}, the first one {list(self.results)}")
        live = [(o, g) for o, g in zip(outs, grads, strict=True) if g is not None and o.requires_grad]
        wanted = [x for x in inner if x.requires_grad]
        targets, arriving = [*wanted, *self.leaves], [g for _, g in live]
        made = iter(autograd.grad([o for o, _ in live], targets, arriving, True, create, allow_unused=True))
        return (*[next(made) if x.requires_grad else None for x in inner], *made)


def _variable(x: Any, create: bool) -> Any:
    if not x.requires_grad:
        return x
    return x.clone() if create else alias(x).requires_grad_()


def _leaves(outs: list[Any], known: list[Any]) -> list[Any]:
    """The leaves that `outs` were made of, but for `known`."""
    stack = [tape.edge_of(o) for o in outs]
    seen, found = {id(x) for x in known}, []
    while stack:
        at = stack.pop()
        if at is None or id(at) in seen:
            continue
        seen.add(id(at))
        if isinstance(at, tape.Node):
            stack.extend(at.edges)
        else:
            found.append(at)
    return found


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn, determinism_check: str = "default", debug: bool = False,
    early_stop: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """``function(*args, **kwargs)``, of which the tape keeps the arguments only; its backward pass runs `function` again (with
    the random numbers of the first run, where `preserve_rng_state`). Gradients also reach tensors that the function reads without
    being given them, and may be differentiated again; with `use_reentrant` only where an argument requires grad."""
    if use_reentrant and kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if not gradmode.get():
        return function(*args, **kwargs)
    if use_reentrant and not any(isinstance(x, Tensor) and x.requires_grad for x in args):
        with autograd.no_grad():
            return function(*args)
    first, second = context_fn()
    state, casts = get_rng_state() if preserve_rng_state else None, casting.get()
    leaves, build = flatten((args, kwargs))
    places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]

    def run(tensors: list[Any]) -> Any:
        filled = list(leaves)
        for i, x in zip(places, tensors, strict=True):
            filled[i] = x
        given, named = build(filled)
        return function(*given, **named)

    def again(tensors: list[Any]) -> list[Any]:
        now = get_rng_state() if state is not None else None
        if state is not None:
            set_rng_state(state)
        mode = casting.get()
        casting.switch(casts)
        try:
            with second:
                return [x for x in flatten(run(tensors))[0] if isinstance(x, Tensor)]
        finally:
            casting.switch(mode)
            if now is not None:
                set_rng_state(now)

    inputs = [leaves[i] for i in places]
    inner = [alias(x).requires_grad_() if x.requires_grad else x for x in inputs]
    with first:
        made = run(inner)
    outs, rebuild = flatten(made)
    tied = [i for i, x in enumerate(outs) if isinstance(x, Tensor)]
    results = [alias(outs[i]) if outs[i].requires_grad or any(outs[i] is x for x in inner) else outs[i] for i in tied]
    if not any(outs[i].requires_grad for i in tied):
        return made
    beside = _leaves([outs[i] for i in tied], inner)
    for i in range(len(leaves)):
        if isinstance(leaves[i], Tensor):
            leaves[i] = None  # kept by the node alone
    node = _Part(again, inputs, beside)
    constant = [r for r, i in zip(results, tied, strict=True) if not outs[i].requires_grad]
    node.attach(results, [*inputs, *beside], constant=constant)
    for i, r in zip(tied, results, strict=True):
        outs[i] = r
    return rebuild(outs)


def checkpoint_sequential(functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any) -> Any:
    """A Sequential (or a list of functions) on `input`, cut into `segments`, each a checkpoint but for the last."""
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def part(start: int, stop: int) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for step in steps[start:stop]:
                x = step(x)
            return x

        return run

    size = len(steps) // segments
    for k in range(segments - 1):
        input = checkpoint(part(k * size, (k + 1) * size), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return part((segments - 1) * size, len(steps))(input)
