"""Eager against compiled: the same calls on equal state must give equal results, exceptions and effects."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from fusewire import compiler
from fusewire.eager.tensor import Tensor


def plain(x: Any, seen: dict[int, int] | None = None) -> Any:
    """A value as something that compares: tensors by dtype, shape and values, objects by class and content."""
    seen = {} if seen is None else seen
    if isinstance(x, Tensor):
        grad = None if x._grad is None else x._grad.numpy().tolist()
        return type(x).__name__, x.dtype.name, tuple(x.shape), x.requires_grad, x.detach().numpy().tolist(), grad
    if isinstance(x, (type(None), bool, int, float, str, bytes, type, types.FunctionType, types.ModuleType, range, slice)):
        return type(x).__name__, getattr(x, "__qualname__", x)
    if type(x) is tuple:  # CPython itself merges equal constant tuples
        return "tuple", [plain(v, seen) for v in x]
    if id(x) in seen:
        return "again", seen[id(x)]
    seen[id(x)] = len(seen)
    if isinstance(x, BaseException):
        return type(x).__name__, plain(x.args, seen), plain(x.__cause__, seen)
    if isinstance(x, dict):
        return type(x).__name__, [(plain(k, seen), plain(v, seen)) for k, v in x.items()]
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [plain(v, seen) for v in x]
    if isinstance(x, (set, frozenset)):
        return type(x).__name__, sorted(map(repr, x))
    if isinstance(x, types.MethodType):
        return "method", x.__func__.__qualname__, plain(x.__self__, seen)
    slots = {n: getattr(x, n) for c in type(x).__mro__ for n in getattr(c, "__slots__", ()) if hasattr(x, n)}
    return type(x).__name__, [(k, plain(v, seen)) for k, v in {**slots, **getattr(x, "__dict__", {})}.items()]


def outcome(fn: Callable[..., Any], calls: list[Any]) -> list[Any]:
    """What each call gives; a call without arguments that is no tuple is a step between calls."""
    out = []
    for call in calls:
        if callable(call):
            call()
            continue
        try:
            out.append(("gives", plain(fn(*call))))
        except Exception as error:
            out.append(("raises", plain(error)))
    return out


def agree(
    fn: Callable[..., Any], *calls: Any, variants: int | None = None, breaks: Any = (), backend: str = "interpret", **options: Any
) -> Any:
    """Run `calls` (tuples of arguments, or functions to call in between) eagerly and compiled, each on its own copies.

    `variants`: how many captures of the function itself are made. `breaks`: codes of its graph breaks, or "any".
    """
    steps = [c for c in calls if callable(c)]
    memo = {id(s): s for s in steps}
    ours, theirs = (copy.deepcopy(list(calls), dict(memo)) for _ in range(2))
    compiled = compiler.compile(fn, backend=backend, **options)
    expected = outcome(fn, theirs)
    _same("results", outcome(compiled, ours), expected)
    left, right = ([plain(c) for c in calls if not callable(c)] for calls in (ours, theirs))
    _same("arguments afterwards", left, right)
    dispatcher = compiler.dispatcher_of(compiled)
    made = dispatcher.variants
    found = [v.capture.break_.code for v in made if v.capture.break_ is not None]
    found += [dispatcher.refused.code] if dispatcher.refused is not None else []
    if breaks != "any":
        assert sorted(set(found)) == sorted(set(breaks)), [str(v.capture.break_) for v in made] + [str(dispatcher.refused)]
    if variants is not None:
        assert len(made) == variants, [m.guard for m in dispatcher.misses]
    return compiled


def _same(what: str, ours: list[Any], theirs: list[Any]) -> None:
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a != b:
            raise AssertionError(f"{what} of call {i}:\n  compiled {a}\n  eager    {b}")


def t(*values: Any, grad: bool = False) -> Tensor:
    """A float32 tensor."""
    x = Tensor(np.array(values, np.float32).tolist())
    x.requires_grad = grad
    return x
