"""Random programs of views, in-place writes and arithmetic with gradients, step by step against PyTorch."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw

torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")

VIEWS: list[Callable[[Any], Any]] = [
    lambda x: x.t(), lambda x: x[0:2], lambda x: x[:, 1:], lambda x: x[..., :2], lambda x: x[1:, :1], lambda x: x.view(-1),
    lambda x: x.unsqueeze(0)[0], lambda x: x[0], lambda x: x.expand(3, 3), lambda x: x[None].squeeze(0), lambda x: x[::2],
    lambda x: x.detach(), lambda x: x.reshape(-1)[:3],
]  # fmt: skip
FRESH: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x * y, lambda x, y: x + y, lambda x, y: x.sin(), lambda x, y: x.exp() * 0.1, lambda x, y: x * x,
    lambda x, y: x.clone(), lambda x, y: x.tanh(),
]  # fmt: skip
WRITES: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x.mul_(y), lambda x, y: x.add_(y), lambda x, y: x.copy_(y), lambda x, y: x.mul_(2.0), lambda x, y: x.zero_(),
    lambda x, y: x.sin_(), lambda x, y: x.mul_(x), lambda x, y: x.__setitem__(0, 1.5), lambda x, y: x.__setitem__(0, y[0]),
    lambda x, y: x.__setitem__((slice(None), 0), 2.0), lambda x, y: x.sub_(y), lambda x, y: x.fill_(0.5), lambda x, y: x.exp_(),
]  # fmt: skip


def same(a: Any, b: Any, what: str) -> None:
    assert (a is None) == (b is None), what
    if a is not None:
        assert tuple(a.shape) == tuple(b.shape), what
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-9, 1e-12, err_msg=what)


def attempt(fn: Callable[..., Any], *args: Any) -> Any:
    try:
        return fn(*args)
    except (RuntimeError, IndexError, TypeError) as e:
        return e


@pytest.mark.parametrize("seed", range(400))
def test_program(seed: int) -> None:
    rng = random.Random(seed)
    values = np.random.default_rng(seed).normal(size=(3, 3, 3)) * 0.5
    ours = [fw.tensor(v, requires_grad=i < 2) for i, v in enumerate(values)]
    theirs = [torch.tensor(v, requires_grad=i < 2) for i, v in enumerate(values)]
    leaves = list(zip(ours, theirs, strict=True))
    text: list[str] = []
    for _ in range(rng.randint(3, 9)):
        kind = rng.choice(["view", "fresh", "fresh", "write", "write"])
        i, j = rng.randrange(len(ours)), rng.randrange(len(ours))
        table = {"view": VIEWS, "fresh": FRESH, "write": WRITES}[kind]
        k = rng.randrange(len(table))
        text.append(f"{kind}{k}({i},{j})")
        args = [(p[i],) if kind == "view" else (p[i], p[j]) for p in (ours, theirs)]
        a, b = attempt(table[k], *args[0]), attempt(table[k], *args[1])
        what = f"{' '.join(text)}: {a!r} {b!r}"
        if isinstance(a, Exception) and not isinstance(b, Exception) and "through a view" in str(a):
            return  # refused with words where PyTorch goes on: documented in eager/inplace.py
        if isinstance(b, Exception) and "refer to a single memory location" in str(b):
            return  # overlapping operands are in order here: the result is computed before it is stored
        assert isinstance(a, Exception) == isinstance(b, Exception), what
        if isinstance(a, Exception):
            return  # PyTorch may have changed half of its state by then
        if kind != "write":
            ours.append(a)
            theirs.append(b)
        for p, q in zip(ours, theirs, strict=True):
            same(p, q, what)
    total = [sum(((x * x).sum() if x.requires_grad else (x * 0.0).sum()) for x in xs) for xs in (ours, theirs)]
    if not total[1].requires_grad:
        return
    a, b = attempt(total[0].backward), attempt(total[1].backward)
    what = f"{' '.join(text)}: {a!r} {b!r}"
    if isinstance(b, Exception) and not isinstance(a, Exception):
        return  # x.mul_(x) is differentiable here
    assert isinstance(a, Exception) == isinstance(b, Exception), what
    for x, y in leaves[:2]:
        if a is None:
            same(x.grad, y.grad, what)
