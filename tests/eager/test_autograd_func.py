"""`fusewire.func` beside PyTorch's: gradients, products with Jacobians, batches, all nested in one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw

torch = pytest.importorskip("torch", reason="the oracle, PyTorch, is not installed")

PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {}


def program(fn: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    PROGRAMS[fn.__name__] = fn
    return fn


def close(a: Any, b: Any, where: str = "") -> None:
    """The same structure, and numbers to rounding; `b` is PyTorch's."""
    if isinstance(b, torch.Tensor):
        assert isinstance(a, fw.Tensor), where
        assert (tuple(a.shape), str(a.dtype), a.requires_grad) == (tuple(b.shape), str(b.dtype), b.requires_grad), where
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=2e-4, atol=1e-5, err_msg=where)
    elif isinstance(b, dict):
        assert a.keys() == b.keys()
        for k in b:
            close(a[k], b[k], f"{where}[{k!r}]")
    elif isinstance(b, (tuple, list)):
        assert type(a).__name__ == type(b).__name__ and len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            close(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


def outcome(fn: Callable[[Any, Any], Any], library: Any) -> Any:
    rng = np.random.default_rng(0)

    def numbers(*shape: int) -> Any:
        return library.tensor(rng.normal(size=shape).astype("f4").tolist()).reshape(shape)

    try:
        return fn(library, numbers)
    except Exception as error:
        return ["raises", next(k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins"), str(error)][:2]


def f(t: Any) -> Callable[[Any], Any]:
    return lambda x: (x.sin() * x.exp()).sum()


# -- gradients -------------------------------------------------------------------------------------------------------------


@program
def grad(t: Any, n: Any) -> Any:
    x = n(3)
    return t.func.grad(f(t))(x), x.requires_grad


@program
def grad_of_several(t: Any, n: Any) -> Any:
    return t.func.grad(lambda a, b: (a["w"] * b * a["c"][0]).sum(), argnums=(0, 1))({"w": n(2), "c": [n(2)]}, n(2))


@program
def grad_with_aux(t: Any, n: Any) -> Any:
    return t.func.grad(lambda x: (f(t)(x), x * 2), has_aux=True)(n(3)), t.func.grad_and_value(f(t))(n(3))


@program
def grad_of_grad(t: Any, n: Any) -> Any:
    g = t.func.grad
    return g(g(g(lambda x: x.sin() * x**3)))(n())


@program
def no_confusion_of_perturbations(t: Any, n: Any) -> Any:
    return t.func.grad(lambda x: x * t.func.grad(lambda y: x + y)(t.tensor(1.0)))(t.tensor(1.0))


@program
def grad_of_a_history(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    g = t.func.grad(f(t))(x * 2)
    with t.no_grad():
        h = t.func.grad(f(t))(x)
    w = n(3).requires_grad_()
    return g, t.autograd.grad(g.sum(), x), h, t.func.grad(lambda y: (y * w).sum())(n(3))


@program
def grad_of_no_scalar(t: Any, n: Any) -> Any:
    return t.func.grad(lambda x: x * 2)(n(3))


@program
def grad_of_integers(t: Any, n: Any) -> Any:
    return t.func.grad(lambda x: (x * 2).sum())(t.tensor([1, 2]))


@program
def vjp(t: Any, n: Any) -> Any:
    out, pull = t.func.vjp(lambda x, y: (x * y, x.sum()), n(2), n(2))
    return out, pull((n(2), n())), pull((n(2), n()))


@program
def vjp_with_aux(t: Any, n: Any) -> Any:
    out, pull, aux = t.func.vjp(lambda x: (x.exp(), {"a": x + 1}), n(2), has_aux=True)
    return out, pull(n(2)), aux


@program
def jvp(t: Any, n: Any) -> Any:
    return t.func.jvp(lambda x, y: (x * y.exp(), x.sum()), (n(2), n(2)), (n(2), n(2))), t.func.jvp(f(t), (n(4),), (n(4),))


@program
def jvp_of_relu_and_softmax(t: Any, n: Any) -> Any:
    return t.func.jvp(lambda x: t.softmax(t.relu(x @ x.T), -1), (n(3, 3),), (n(3, 3),))


@program
def linearize(t: Any, n: Any) -> Any:
    out, push = t.func.linearize(lambda x: x.sin() * 2, n(3))
    return out, push(n(3)), push(n(3))


@program
def jacobians(t: Any, n: Any) -> Any:
    x, y = n(3), n(2, 3)

    def fn(x: Any, y: Any) -> Any:
        return {"a": (y @ x).tanh(), "b": (x**3).sum()}

    return t.func.jacrev(fn, argnums=(0, 1))(x, y), t.func.jacfwd(fn, argnums=(0, 1))(x, y), t.func.jacrev(fn)(x, y)


@program
def jacobian_in_chunks(t: Any, n: Any) -> Any:
    fn = lambda x: x.sin() * x.sum()  # noqa: E731
    return t.func.jacrev(fn, chunk_size=2)(n(5)), t.func.jacfwd(fn, has_aux=False)(n(5))


@program
def jacobian_with_aux(t: Any, n: Any) -> Any:
    return t.func.jacrev(lambda x: (x.sin(), x), has_aux=True)(n(3)), t.func.jacfwd(lambda x: (x.sin(), x), has_aux=True)(n(3))


@program
def hessians(t: Any, n: Any) -> Any:
    x = n(3)
    g = f(t)
    u = t.func
    return u.hessian(g)(x), u.jacfwd(u.jacrev(g))(x), u.jacrev(u.jacfwd(g))(x), u.jacrev(u.grad(g))(x)


@program
def forward_over_forward(t: Any, n: Any) -> Any:
    return t.func.jacfwd(t.func.jacfwd(f(t)))(n(3))


# -- batches ---------------------------------------------------------------------------------------------------------------


@program
def vmap(t: Any, n: Any) -> Any:
    return t.func.vmap(t.dot)(n(4, 3), n(4, 3)), t.vmap(lambda x, y: x @ y, in_dims=(1, None), out_dims=1)(n(3, 4), n(3, 5))


@program
def vmap_of_structures(t: Any, n: Any) -> Any:
    def fn(d: Any, k: Any) -> Any:
        return {"s": d["a"] + d["b"] * k}, d["b"].sum()

    return t.func.vmap(fn, in_dims=({"a": 0, "b": None}, None), out_dims=(1, 0))({"a": n(4, 3), "b": n(3)}, 3)


@program
def vmap_of_vmap(t: Any, n: Any) -> Any:
    inner = t.func.vmap(lambda a, b: (a * b).sum(), in_dims=(None, 0))
    return t.func.vmap(inner, in_dims=(0, None))(n(3, 2), n(5, 2)), t.func.vmap(t.func.vmap(lambda x: x - x.mean()))(n(2, 3, 4))


@program
def vmap_of_much(t: Any, n: Any) -> Any:
    def fn(x: Any) -> Any:
        y = t.nn.functional.layer_norm(x, (4,))
        z = t.cat([y, x], 0)[1:4].reshape(2, 6).softmax(-1)
        return (
            z.T, t.where(x > 0, x, 0).cumsum(0), t.sort(x, -1).values, x.max(0).values, x[:, None] - x[None],
            t.einsum("ij,kj->ik", x, x),
        )  # fmt: skip

    return t.func.vmap(fn, in_dims=1)(n(3, 5, 4))


@program
def vmap_in_place(t: Any, n: Any) -> Any:
    def fn(x: Any) -> Any:
        y = x * 1
        y += 2
        y[0] = 7.0
        y[1:].mul_(3)
        return y

    return t.func.vmap(fn)(n(3, 4))


@program
def vmap_gives_a_constant(t: Any, n: Any) -> Any:
    return t.func.vmap(lambda x: t.ones(2))(n(3))


@program
def vmap_in_chunks(t: Any, n: Any) -> Any:
    return t.func.vmap(lambda x, y: x * y, in_dims=(0, 1), chunk_size=2)(n(5, 2), n(2, 5))


@program
def vmap_sizes_differ(t: Any, n: Any) -> Any:
    return t.func.vmap(t.add)(n(3), n(4))


@program
def vmap_of_nothing(t: Any, n: Any) -> Any:
    return t.func.vmap(lambda: 1)()


@program
def vmap_of_a_number(t: Any, n: Any) -> Any:
    return t.func.vmap(lambda x, y: x * y)(n(3), 2)


@program
def vmap_gives_no_tensor(t: Any, n: Any) -> Any:
    return t.func.vmap(lambda x: 3)(n(3))


@program
def vmap_dim_out_of_range(t: Any, n: Any) -> Any:
    return t.func.vmap(lambda x: x, in_dims=2)(n(3))


@program
def vmap_all_none(t: Any, n: Any) -> Any:
    return t.func.vmap(lambda x: x, in_dims=None)(n(3)) if False else t.func.vmap(lambda x: x, in_dims=(None,))(n(3))


@program
def vmap_random_refused(t: Any, n: Any) -> Any:
    return t.func.vmap(lambda x: x + t.rand(2))(n(3, 2))


@program
def vmap_keeps_histories(t: Any, n: Any) -> Any:
    w = n(3).requires_grad_()
    out = t.func.vmap(lambda x: (x * w).sum())(n(4, 3))
    return out, t.autograd.grad(out.sum(), w)


# -- both ------------------------------------------------------------------------------------------------------------------


def net(p: Any, x: Any) -> Any:
    return ((x @ p["w"] + p["b"]).tanh() @ p["v"]).squeeze()


@program
def gradients_of_each_sample(t: Any, n: Any) -> Any:
    p = {"w": n(3, 4), "b": n(4), "v": n(4, 1)}
    loss = lambda p, x, y: (net(p, x) - y) ** 2  # noqa: E731
    return t.func.vmap(t.func.grad(loss), in_dims=(None, 0, 0))(p, n(5, 3), n(5))


@program
def gradients_of_each_sample_of_a_module(t: Any, n: Any) -> Any:
    m = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.ReLU(), t.nn.Linear(4, 2))
    p = {k: n(*v.shape) for k, v in m.named_parameters()}

    def loss(p: Any, x: Any, y: Any) -> Any:
        out = t.func.functional_call(m, p, (x.unsqueeze(0),))
        return t.nn.functional.cross_entropy(out, y.unsqueeze(0))

    grads, values = t.func.vmap(t.func.grad_and_value(loss), in_dims=(None, 0, 0))(p, n(5, 3), t.tensor([0, 1, 0, 1, 1]))
    return grads, values, m[0].weight is dict(m.named_parameters())["0.weight"]


@program
def gradient_of_a_batch(t: Any, n: Any) -> Any:
    return t.func.grad(lambda x: t.func.vmap(lambda r: (r * r).sum() * r[0])(x).sum())(n(4, 3))


@program
def all_three(t: Any, n: Any) -> Any:
    g = t.func.grad
    inner = lambda x: t.func.vmap(lambda r: r.sin() * x.sum())(x).sum()  # noqa: E731
    return g(lambda x: t.func.vmap(g(lambda r: (r**3).sum()))(x).sum())(n(4, 3)), t.func.vmap(g(inner))(n(2, 3))


@program
def hessian_of_each(t: Any, n: Any) -> Any:
    fn = lambda x: (x.sin() * x.sum()).sum()  # noqa: E731
    return t.func.vmap(t.func.hessian(fn))(n(4, 3)), t.func.vmap(t.func.jacfwd(t.func.jacrev(fn)))(n(4, 3))


@program
def jvp_of_each(t: Any, n: Any) -> Any:
    return t.func.vmap(lambda x, v: t.func.jvp(lambda y: y.exp() * y.sum(), (x,), (v,)))(n(4, 3), n(4, 3))


@program
def vjp_over_a_batch_of_cotangents(t: Any, n: Any) -> Any:
    _, pull = t.func.vjp(lambda x: x.sin() * x.sum(), n(3))
    return t.func.vmap(pull)(n(5, 3))


@program
def batched_gradients(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    return t.autograd.grad(x * x.sum(), x, n(4, 3), is_grads_batched=True)


@program
def ensemble(t: Any, n: Any) -> Any:
    models = [t.nn.Linear(3, 2) for _ in range(4)]
    for m in models:
        with t.no_grad():
            m.weight.copy_(n(2, 3))
            m.bias.copy_(n(2))
    params, buffers = t.func.stack_module_state(models)
    base = t.nn.Linear(3, 2)
    out = t.func.vmap(lambda p, b, x: t.func.functional_call(base, (p, b), (x,)), in_dims=(0, 0, None))(params, buffers, n(5, 3))
    return out, params["weight"].is_leaf, t.autograd.grad(out.sum(), params["weight"])


@program
def tied_weights(t: Any, n: Any) -> Any:
    m = t.nn.Sequential(t.nn.Linear(3, 3, bias=False), t.nn.Linear(3, 3, bias=False))
    m[1].weight = m[0].weight
    return t.func.functional_call(m, {"0.weight": n(3, 3)}, n(2, 3)), m[0].weight is m[1].weight


@program
def a_name_that_is_not_there(t: Any, n: Any) -> Any:
    return t.func.functional_call(t.nn.Linear(3, 3), {"w": n(3, 3)}, n(2, 3), strict=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_as_pytorch(name: str) -> None:
    close(outcome(PROGRAMS[name], fw), outcome(PROGRAMS[name], torch))


def test_what_the_library_asks_values_for_runs_on_each_member() -> None:
    x = fw.tensor([[1.0, 2.0, 2.0], [-3.0, 1.0, 1.0]])
    assert fw.func.vmap(fw.unique)(x).tolist() == [[1.0, 2.0], [-3.0, 1.0]]
    with pytest.raises(RuntimeError, match=r"vmap over calling \.item"):
        fw.func.vmap(lambda r: r * 2 if r.sum() > 0 else -r)(x)


def test_random_numbers_of_members() -> None:
    x = fw.zeros(4, 3)
    same = fw.func.vmap(lambda r: r + fw.rand(3), randomness="same")(x)
    different = fw.func.vmap(lambda r: r + fw.rand(3), randomness="different")(x)
    assert (same == same[0]).all() and len({tuple(r) for r in different.tolist()}) == 4
    kept = fw.func.vmap(lambda r: fw.nn.functional.dropout(r + 1), randomness="different")(fw.zeros(8, 16))
    assert len({tuple(r) for r in kept.tolist()}) == 8
    assert type(fw.default_generator) is fw.Generator
