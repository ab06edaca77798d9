"""`func`, `vmap`, `autograd.functional` and checkpoints inside of compiled functions: one graph, with eager's results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler, func
from fusewire.nn import functional as F
from fusewire.utils.checkpoint import checkpoint

fw.manual_seed(0)
MLP = fw.nn.Sequential(fw.nn.Linear(3, 4), fw.nn.Tanh(), fw.nn.Linear(4, 2))
CONV = fw.nn.Sequential(fw.nn.Conv2d(1, 2, 3), fw.nn.ReLU(), fw.nn.MaxPool2d(2), fw.nn.Flatten(), fw.nn.Linear(8, 3))
PARAMS = dict(MLP.named_parameters())
STACKED = func.stack_module_state([fw.nn.Linear(3, 2) for _ in range(3)])
BASE = fw.nn.Linear(3, 2)
W = fw.randn(3, requires_grad=True)
FIVE, FOUR, IMAGES = fw.randn(5, 3), fw.randn(4, 3), fw.randn(4, 1, 6, 6)
LABELS = fw.tensor([0, 1, 1, 0, 1])


def g(x: Any) -> Any:
    return (x.sin() * x.exp()).sum()


def loss(p: Any, x: Any, y: Any) -> Any:
    return F.cross_entropy(func.functional_call(MLP, p, (x.unsqueeze(0),)), y.unsqueeze(0))


def image_loss(p: Any, x: Any) -> Any:
    return (func.functional_call(CONV, p, (x.unsqueeze(0),)) ** 2).sum()


def net(p: Any, x: Any) -> Any:
    return func.functional_call(MLP, p, (x.unsqueeze(0),)).squeeze(0)


def clipped(x: Any) -> Any:
    """Gradients of each sample, clipped and added up."""
    each, value = func.vmap(func.grad_and_value(loss), in_dims=(None, 0, 0))(PARAMS, x, LABELS[: len(x)])
    norms = sum((v.flatten(1) ** 2).sum(1) for v in each.values()).sqrt()
    scale = 1 / norms.clamp(min=1)
    return {k: fw.einsum("b...,b->...", v, scale) for k, v in each.items()}, value.mean()


def learned_step(x: Any) -> Any:
    def task(p: Any, x: Any, y: Any) -> Any:
        made = func.grad(loss)(p, x, y)
        return loss({k: v - 0.1 * made[k] for k, v in p.items()}, x, y)

    return func.grad(lambda p: func.vmap(task, in_dims=(None, 0, 0))(p, x, LABELS[: len(x)]).mean())(PARAMS)


def tangent_kernel(x: Any) -> Any:
    def pair(a: Any, b: Any) -> Any:
        _, pull = func.vjp(lambda p: net(p, a), PARAMS)
        return func.vmap(lambda v: func.jvp(lambda p: net(p, b), (PARAMS,), pull(v))[1])(fw.eye(2))

    return func.vmap(func.vmap(pair, (None, 0)), (0, None))(x, x)


def written(x: Any) -> Any:
    y = x * 1
    y += 2
    y[0] = 7.0
    y[1:].mul_(3)
    return y


ONE_GRAPH: dict[str, Callable[[Any], Any]] = {
    "grad": lambda x: func.grad(g)(x),
    "grad_and_value": lambda x: func.grad_and_value(g)(x),
    "grad of grad": lambda x: func.grad(lambda y: func.grad(g)(y).sum())(x),
    "grad with aux": lambda x: func.grad(lambda r: (g(r), {"z": r * 2}), has_aux=True)(x),
    "grad of a history": lambda x: func.grad(lambda r: (r * W).sum())(x),
    "vjp": lambda x: func.vjp(lambda y: (y.sin(), y.sum()), x)[1]((x, x.sum())),
    "jvp": lambda x: func.jvp(MLP, (x,), (x * 2,)),
    "linearize": lambda x: func.linearize(fw.tanh, x)[1](x),
    "jacrev": lambda x: func.jacrev(lambda y: y.sin() * y.sum())(x[0]),
    "jacfwd": lambda x: func.jacfwd(lambda y: y.sin() * y.sum())(x[0]),
    "hessian": lambda x: func.vmap(func.hessian(g))(x),
    "jacfwd of jacrev": lambda x: func.jacfwd(func.jacrev(g))(x[0]),
    "vmap": lambda x: func.vmap(lambda r, s: r * s.sum(), in_dims=(1, None), out_dims=1)(x, x),
    "vmap of vmap": lambda x: func.vmap(lambda r: func.vmap(lambda q: q * r.sum())(x))(x),
    "vmap in chunks": lambda x: func.vmap(lambda r: r.softmax(0), chunk_size=2)(x),
    "vmap in place": lambda x: func.vmap(written)(x),
    "vmap of an index": lambda x: func.vmap(lambda r, i: r[i])(x, LABELS[: len(x)]),
    "vmap of an extern": lambda x: func.vmap(lambda r: fw.linalg.inv(fw.outer(r, r) + fw.eye(3)))(x),
    "vmap of dropout": lambda x: func.vmap(lambda r: F.dropout(r, 0.5), randomness="different")(x),
    "vmap of random numbers": lambda x: (
        func.vmap(lambda r: r + fw.rand(3), randomness="same")(x) + func.vmap(lambda r: r * fw.rand(3), randomness="different")(x)
    ),
    "gradients of each sample": clipped,
    "gradients of each image": lambda x: func.vmap(func.grad(image_loss), (None, 0))(dict(CONV.named_parameters()), IMAGES),
    "each with a history": lambda x: func.vmap(func.grad(lambda r: (r.sin() * W).sum()))(x),
    "ensemble": lambda x: func.vmap(lambda p, b: func.functional_call(BASE, (p, b), (x,)))(*STACKED),
    "a step inside": learned_step,
    "tangent kernel": tangent_kernel,
    "functional.jacobian": lambda x: fw.autograd.functional.jacobian(fw.sin, x[0]),
    "functional.hessian": lambda x: fw.autograd.functional.hessian(lambda a, b: (a * b.sin()).sum(), (x[0], x[1])),
    "functional.vhp": lambda x: fw.autograd.functional.vhp(lambda r: (r**3).sum(), x, x),
    "batch of gradients": lambda x: fw.autograd.grad(
        (lambda w: w * w.sum())(W * 1), W, x, is_grads_batched=True
    ),
    "checkpoint": lambda x: checkpoint(lambda y: (y * W).tanh().exp(), x, use_reentrant=False),
}  # fmt: skip
BROKEN: dict[str, Callable[[Any], Any]] = {
    "a value of a member": lambda x: func.vmap(lambda r: r * r[0].item())(x),
    "a branch on a member": lambda x: func.vmap(lambda r: r if r.sum() > 0 else -r)(x),
    "random numbers refused": lambda x: func.vmap(lambda r: r + fw.rand(3))(x),
    "no scalar": lambda x: func.grad(lambda r: r * 2)(x),
}


class Close:
    """A tensor's values, equal to those that are close."""

    def __init__(self, values: Any, requires_grad: bool) -> None:
        self.values, self.requires_grad = values, requires_grad

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Close)
            and self.requires_grad is other.requires_grad
            and self.values.shape == other.values.shape
            and (np.allclose(self.values, other.values, 1e-4, 1e-5))
        )

    def __repr__(self) -> str:
        return f"{self.values.tolist()}, {self.requires_grad}"


def plain(x: Any) -> Any:
    if isinstance(x, fw.Tensor):
        return Close(x.detach().numpy(), x.requires_grad)
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    return [plain(v) for v in x] if isinstance(x, (tuple, list)) else x


def outcome(fn: Callable[[Any], Any], x: Any) -> Any:
    fw.manual_seed(3)
    try:
        return plain(fn(x))
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("name", ONE_GRAPH)
def test_one_graph_with_the_results_of_eager(name: str) -> None:
    compiler.reset()
    compiled = fw.compile(ONE_GRAPH[name], fullgraph=True)
    for x in (FIVE, FOUR):
        assert outcome(compiled, x) == outcome(ONE_GRAPH[name], x)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore")
def test_what_is_left_to_cpython(name: str) -> None:
    compiled = fw.compile(BROKEN[name])
    for _ in range(2):
        assert outcome(compiled, FIVE) == outcome(BROKEN[name], FIVE)


def test_the_caller_differentiates_through_what_a_transform_gives() -> None:
    def fn(x: Any) -> Any:
        return func.vmap(func.grad(lambda r: (r.sin() * W).sum()))(x).sum() + checkpoint(fw.exp, W, use_reentrant=False).sum()

    (want,) = fw.autograd.grad(fn(FIVE), W)
    (got,) = fw.autograd.grad(fw.compile(fn, fullgraph=True)(FIVE), W)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5)


def test_a_module_has_its_parameters_back_where_the_function_raises() -> None:
    def fn(x: Any) -> Any:
        def bad(p: Any, r: Any) -> Any:
            func.functional_call(MLP, p, (r,))
            raise KeyError("no")

        try:
            return func.vmap(bad, in_dims=(None, 0))({k: v * 2 for k, v in PARAMS.items()}, x)
        except KeyError:
            return MLP(x)

    assert plain(fw.compile(fn, fullgraph=True)(FIVE)) == plain(MLP(FIVE))
    assert dict(MLP.named_parameters())["0.weight"] is PARAMS["0.weight"]


def test_forward_mode_runs_eagerly() -> None:
    ad = fw.autograd.forward_ad

    def fn(x: Any) -> Any:
        with ad.dual_level():
            return ad.unpack_dual(F.softmax(ad.make_dual(x, x * 2) * 3, -1)).tangent

    compiled = fw.compile(fn)
    for x in (FIVE, FOUR, FIVE):
        assert plain(compiled(x)) == plain(fn(x))


def test_a_retained_gradient_is_that_of_what_the_tensor_holds_last() -> None:
    def fn(x: Any) -> Any:
        y = x * 2
        y.retain_grad()
        y.mul_(3)
        y.sum().backward()
        return y.grad

    x = fw.ones(3, requires_grad=True)
    assert fn(x).tolist() == fw.compile(fn, fullgraph=True)(x).tolist() == [1, 1, 1]


@fw.compiler.disable
def _opaque(x: Any) -> Any:
    return x * 2


AROUND_A_BREAK = {
    "grad": lambda w, x: fw.func.grad(lambda x: (w @ _opaque(x)).sin().sum())(x),
    "vmap": lambda w, x: fw.func.vmap(lambda row: _opaque(row) * w[0])(w),
    "given": lambda w, x: (fw.func.jacrev(lambda x: (w @ x).sin()), x)[0],
}


@pytest.mark.parametrize("name", AROUND_A_BREAK)
def test_what_a_transform_gave_holds_no_traced_values_behind_a_break(name: str) -> None:
    compiled = fw.compile(AROUND_A_BREAK[name])
    for k in range(3):
        w, x = fw.ones(3, 3) * (k + 1), fw.linspace(0.0, 1.0, 3)
        found, wanted = compiled(w, x), AROUND_A_BREAK[name](w, x)
        found, wanted = (f(x) if callable(f) and not hasattr(f, "meta") else f for f in (found, wanted))
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-5)
