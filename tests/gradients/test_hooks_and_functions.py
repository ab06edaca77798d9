"""Hooks of all kinds, autograd.Function, autograd.graph, checkpoints and anomaly mode, beside PyTorch."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw

sys.path.insert(0, str(Path(__file__).parent))
from gradient_programs import Table, caught, differences, outcome

torch = pytest.importorskip("torch", reason="the oracle, PyTorch, is not installed")

program = Table()

# -- hooks -----------------------------------------------------------------------------------------------------------------


@program
def order_of_tensor_hooks(t: Any, n: Any) -> Any:
    x, seen = n(3).requires_grad_(), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("y1", g.sum().item())))
    y.retain_grad()
    y.register_hook(lambda g: (seen.append(("y2", g.sum().item())), g * 3)[1])
    x.register_hook(lambda g: seen.append(("x", g.sum().item())))
    x.register_hook(lambda g: g + 1)
    x.register_post_accumulate_grad_hook(lambda p: seen.append(("post", p.grad.sum().item())))
    y.grad_fn.register_prehook(lambda gs: seen.append(("pre", gs[0].sum().item())))
    y.grad_fn.register_hook(lambda gi, go: seen.append(("node", go[0].sum().item())))
    (y * y).sum().backward()
    return seen, y.grad, x.grad


@program
def hooks_removed(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    h = x.register_hook(lambda g: g * 10)
    x.sum().backward(retain_graph=True)
    h.remove()
    h.remove()
    x.sum().backward()
    with x.register_hook(lambda g: g * 7):
        x.sum().backward()
    x.sum().backward()
    return x.grad


@program
def hooks_that_err(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    made = [caught(lambda: n(3).register_hook(lambda g: g))]
    for bad in (lambda g: 3, lambda g: g[:2], lambda g: g.float(), lambda g: 1 / 0):
        h = x.register_hook(bad)
        made.append(caught(lambda: (x * 2).sum().backward()))
        h.remove()
    return made


@program
def hook_registered_before_an_in_place_write(t: Any, n: Any) -> Any:
    x, seen = n(3).requires_grad_(), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("before", g.clone())))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("after", g.clone())))
    y.sum().backward()
    return seen, x.grad


@program
def hook_sees_the_sum(t: Any, n: Any) -> Any:
    x, seen = n(3).requires_grad_(), []
    x.register_hook(lambda g: seen.append(g.clone()))
    (x * 2 + x * 3).sum().backward()
    return seen


@program
def hooks_of_a_leaf_under_grad(t: Any, n: Any) -> Any:
    x, seen = n(3).requires_grad_(), []
    x.register_hook(lambda g: (seen.append("hook"), g * 2)[1])
    x.register_post_accumulate_grad_hook(lambda p: seen.append("post"))
    g = t.autograd.grad((x * x).sum(), x)
    (x * x).sum().backward(inputs=[x])
    return g, x.grad, seen


@program
def optimiser_in_backward(t: Any, n: Any) -> Any:
    w = n(3).requires_grad_()
    opt = t.optim.SGD([w], lr=0.1)

    def step(p: Any) -> None:
        opt.step()
        opt.zero_grad()

    w.register_post_accumulate_grad_hook(step)
    (w * w).sum().backward()
    return w, w.grad, caught(lambda: (w * 2).register_post_accumulate_grad_hook(step))


@program
def module_hooks(t: Any, n: Any) -> Any:
    m, seen = t.nn.Linear(2, 2).double(), []
    with t.no_grad():
        m.weight.copy_(n(2, 2))
        m.bias.zero_()
    m.register_forward_pre_hook(lambda m, a: seen.append("pre"))
    m.register_forward_hook(lambda m, a, o: (seen.append("forward"), o * 2)[1])
    m.register_full_backward_pre_hook(lambda m, go: seen.append(("bpre", go[0].clone())))
    m.register_full_backward_hook(lambda m, gi, go: (seen.append(("back", gi[0].clone(), go[0].clone())), (gi[0] * 3,))[1])
    x = n(3, 2).requires_grad_()
    m(x).sum().backward()
    return seen, x.grad, m.weight.grad


@program
def module_hooks_of_an_input_without_gradient(t: Any, n: Any) -> Any:
    m, seen = t.nn.Linear(2, 2).double(), []
    with t.no_grad():
        m.weight.copy_(n(2, 2))
    m.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].clone())))
    m(n(3, 2)).sum().backward()
    return seen


@program
def nodes(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y = (x * 2).sum()
    node = y.grad_fn
    below = node.next_functions[0][0]
    node.metadata["a"] = 1
    end = below.next_functions[0][0]
    return (
        node.name(),
        below.name(),
        end.name(),
        end.variable is x,
        node.metadata,
        isinstance(node, t.autograd.graph.Node),
        [i for _, i in below.next_functions],
        below.next_functions[1:] and below.next_functions[1][0],
        type(end).__name__,
        issubclass(type(end), t.autograd.graph.Node),
        x.grad_fn,
        y.grad_fn is node,
    )


@program
def hooks_of_nodes(t: Any, n: Any) -> Any:
    x, seen = n(3).requires_grad_(), []
    y = x.exp()
    y.grad_fn.register_prehook(lambda gs: (seen.append("pre"), (gs[0] * 2,))[1])
    h = y.grad_fn.register_hook(lambda gi, go: (seen.append(go[0].clone()), (gi[0] + 1,))[1])
    end = y.grad_fn.next_functions[0][0]
    end.register_prehook(lambda gs: seen.append(gs[0].clone()))
    end.register_hook(lambda gi, go: seen.append((len(gi), len(go))))
    y.sum().backward(retain_graph=True)
    h.remove()
    y.sum().backward()
    return seen, x.grad


@program
def multi_grad_hooks(t: Any, n: Any) -> Any:
    graph = t.autograd.graph
    a, b, c, d = (n(3).requires_grad_() for _ in range(4))
    seen: list[Any] = []
    h = graph.register_multi_grad_hook((a, b, c, d), lambda gs: seen.append([None if g is None else g.clone() for g in gs]))
    first = graph.register_multi_grad_hook((a, b), lambda g: seen.append(("any", g.clone())), mode="any")
    (a * b * c).sum().backward()
    (a * 2).sum().backward()
    first.remove()
    (a * b * c * d).sum().backward(inputs=[a, b])
    h.remove()
    (a * b * c).sum().backward()
    return seen


@program
def gradient_edges(t: Any, n: Any) -> Any:
    graph = t.autograd.graph
    x = n(3).requires_grad_()
    y = x * 2
    z = y.exp()
    edge = graph.get_gradient_edge(y)
    g = t.autograd.grad(z.sum(), edge, retain_graph=True)
    h = t.autograd.grad(z.sum(), [x, graph.get_gradient_edge(x)], retain_graph=True)
    z.sum().backward(inputs=[graph.get_gradient_edge(x)], retain_graph=True)
    top = graph.get_gradient_edge(z)
    k = t.autograd.grad(top, x, n(3), retain_graph=True)
    t.autograd.backward(top, n(3))
    return (
        g,
        h,
        k,
        x.grad,
        edge.output_nr,
        edge.node is y.grad_fn,
        isinstance(edge, graph.GradientEdge),
        edge._fields[:2],
        caught(lambda: graph.get_gradient_edge(n(3))),
    )


@program
def saved_values_packed(t: Any, n: Any) -> Any:
    x, seen = n(3).requires_grad_(), []
    with t.autograd.graph.saved_tensors_hooks(
        lambda v: (seen.append("pack"), (v.clone(), "kept"))[1], lambda v: (seen.append(v[1]), v[0])[1]
    ):
        y = x.exp() * x
    y.sum().backward()
    return seen, x.grad


@program
def saved_values_doubled(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    with t.autograd.graph.saved_tensors_hooks(lambda v: v * 4, lambda v: v / 2):
        y = (x**2).sum()
    (g,) = t.autograd.grad(y, x, create_graph=True)
    return g, caught(lambda: t.autograd.grad(g.sum(), x))


@program
def saved_on_cpu(t: Any, n: Any) -> Any:
    a, b = n(3).requires_grad_(), n(3).requires_grad_()
    c = n(3).requires_grad_()

    def f(a: Any, b: Any, c: Any) -> Any:
        prod_1 = a * b
        with t.autograd.graph.save_on_cpu():
            prod_2 = prod_1 * c
        return prod_2 * a

    y = f(a, b, c)
    y.sum().backward()
    return a.grad, b.grad, c.grad


@program
def packing_disabled(t: Any, n: Any) -> Any:
    graph = t.autograd.graph
    x = n(3).requires_grad_()

    def run() -> Any:
        with graph.saved_tensors_hooks(lambda v: v, lambda v: v):
            return x * x

    with graph.disable_saved_tensors_hooks("not now"):
        inside = caught(run)
    return inside, caught(run)


@program
def hooks_that_pack_wrongly(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()

    def run(pack: Any, unpack: Any) -> Any:
        with t.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = x * x
        return t.autograd.grad(y.sum(), x)

    return (
        caught(lambda: run(lambda v: v, lambda v: 3)),
        caught(lambda: run(lambda v: 1 / 0, lambda v: v)),
        caught(lambda: run(lambda v: v.mul_(2), lambda v: v)),
        caught(lambda: run(lambda: 3, lambda v: v)),
    )


@program
def one_saved_value_at_a_time(t: Any, n: Any) -> Any:
    x, seen = n(3).requires_grad_(), []
    y = x.exp()
    y.grad_fn._raw_saved_result.register_hooks(lambda v: (seen.append("pack"), v)[1], lambda v: (seen.append("unpack"), v)[1])
    y.sum().backward()
    return seen, x.grad


@program
def mutation_allowed(t: Any, n: Any) -> Any:
    x, w = n(3).requires_grad_(), n(3)
    with t.autograd.graph.allow_mutation_on_saved_tensors():
        y = x * w
        w.zero_()
        z = y.exp()
        z.mul_(2)
        z.sum().backward()
    return x.grad, w


@program
def versions_counted_up(t: Any, n: Any) -> Any:
    x, w = n(3).requires_grad_(), n(3)
    y = x * w
    t.autograd.graph.increment_version(w)
    t.autograd.graph.increment_version([w])
    return w._version, caught(lambda: y.sum().backward())


# -- Function --------------------------------------------------------------------------------------------------------------


def cube(t: Any) -> Any:
    class Cube(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(x: Any) -> Any:
            dx = 3 * x**2
            return x**3, dx

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            (x,) = inputs
            _, dx = output
            ctx.save_for_backward(x, dx)

        @staticmethod
        def backward(ctx: Any, g: Any, gdx: Any) -> Any:
            x, dx = ctx.saved_tensors
            return g * dx + gdx * 6 * x

    return Cube


@program
def double_backward_of_a_function(t: Any, n: Any) -> Any:
    x = n(3).requires_grad_()
    y, dx = cube(t).apply(x)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), x, create_graph=True)
    return y, dx, g, h, t.autograd.gradcheck(cube(t).apply, (x,)), t.autograd.gradgradcheck(cube(t).apply, (x,))


@program
def sinh_of_the_tutorial(t: Any, n: Any) -> Any:
    class Sinh(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            expx, expnegx = t.exp(x), t.exp(-x)
            ctx.save_for_backward(expx, expnegx)
            return (expx - expnegx) / 2, expx, expnegx

        @staticmethod
        def backward(ctx: Any, g: Any, g_exp: Any, g_neg: Any) -> Any:
            expx, expnegx = ctx.saved_tensors
            return g * (expx + expnegx) / 2 + g_exp * expx - g_neg * expnegx

    x = n(3).requires_grad_()
    out = Sinh.apply(x)[0]
    (g,) = t.autograd.grad(out.sum(), x, create_graph=True)
    return g, t.autograd.grad(g.sum(), x)


@program
def function_of_much(t: Any, n: Any) -> Any:
    seen: list[Any] = []

    class Mix(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, k: Any, y: Any, flag: Any = True) -> Any:
            ctx.save_for_backward(x, None, y)
            ctx.k = k
            a, b = x * k, y.argmax()
            ctx.mark_non_differentiable(b)
            ctx.set_materialize_grads(False)
            seen.append(ctx.needs_input_grad)
            return a, b, x + y

        @staticmethod
        def backward(ctx: Any, ga: Any, gb: Any, gc: Any) -> Any:
            seen.append([g is None for g in (ga, gb, gc)])
            _x, _nothing, _y = ctx.saved_tensors
            return (ga * ctx.k if ga is not None else None), None, gc, None

    x, y = n(3).requires_grad_(), n(3).requires_grad_()
    a, b, c = Mix.apply(x, 3.0, y)
    a.sum().backward(retain_graph=True)
    c.sum().backward()
    return a, b, c, x.grad, y.grad, seen, a.grad_fn.name(), caught(lambda: Mix.apply(x, 3.0, y)[0].sum().backward(n(2)))


@program
def function_gives_its_input_or_a_view(t: Any, n: Any) -> Any:
    class Same(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 5

    class View(Same):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.view(-1)

    x = n(3).requires_grad_()
    a, b = Same.apply(x), View.apply(x)
    return (
        a is x,
        a.data_ptr() == x.data_ptr(),
        t.autograd.grad(a.sum(), x),
        t.autograd.grad(b.sum(), x),
        Same.apply(n(2)).requires_grad,
    )


@program
def functions_that_err(t: Any, n: Any) -> Any:
    def made(backward: Any, forward: Any = lambda ctx, x: x * 2) -> Any:
        cls = type("Bad", (t.autograd.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})
        x = n(3).requires_grad_()
        return caught(lambda: t.autograd.grad(cls.apply(x).sum(), x))

    return (
        made(lambda ctx, g: (g, g)),
        made(lambda ctx, g: g[:2]),
        made(lambda ctx, g: 3),
        made(lambda ctx, g: None),
        made(lambda ctx, g: (g, None)),
        made(lambda ctx: 1),
        made(lambda ctx, g: g, lambda ctx, x: 3),
        made(lambda ctx, g: g.float()),
        made(lambda ctx, g: g.sum()),
        made(lambda ctx, g: ctx.saved_tensors),
        made(lambda ctx, g: g, lambda ctx, x: ctx.save_for_backward(3)),
        made(lambda ctx, g: 1 / 0),
        caught(lambda: t.autograd.Function()()),
        caught(lambda: t.autograd.Function.apply(n(2))),
    )


@program
def once_differentiable(t: Any, n: Any) -> Any:
    function = importlib.import_module("torch.autograd.function") if t is torch else t.autograd.function

    class Square(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = n(3).requires_grad_()
    (g,) = t.autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    return g, caught(lambda: t.autograd.grad(g.sum(), x))


@program
def function_with_jvp(t: Any, n: Any) -> Any:
    ad, factor = t.autograd.forward_ad, 1

    class Exp(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(x: Any) -> Any:
            return x.exp()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(output)
            ctx.save_for_forward(output)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0]

        @staticmethod
        def jvp(ctx: Any, tangent: Any) -> Any:
            return tangent * ctx.saved_tensors[0] * factor

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any) -> Any:
            return Exp.apply(x), in_dims[0]

    x, v = n(3), n(3)
    by_function = t.func.jvp(Exp.apply, (x,), (v,))
    factor = 10  # wrong, so that it shows
    with ad.dual_level():
        by_hand = ad.unpack_dual(Exp.apply(ad.make_dual(x, v))).tangent
    return (
        by_function,
        by_hand,
        t.func.grad(lambda y: Exp.apply(y).sum())(x),
        t.func.vmap(Exp.apply)(n(4, 3)),
        t.func.vmap(t.func.grad(lambda y: Exp.apply(y).sum()))(n(4, 3)),
    )


@program
def function_with_generated_vmap(t: Any, n: Any) -> Any:
    class Mul(t.autograd.Function):  # type: ignore[name-defined]
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Any, y: Any) -> Any:
            return x * y

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, y = ctx.saved_tensors
            return g * y, g * x

    x, y = n(4, 3), n(3)
    return t.func.vmap(Mul.apply, in_dims=(0, None))(x, y), t.func.vmap(
        t.func.grad(lambda a, b: Mul.apply(a, b).sum(), argnums=(0, 1)), in_dims=(0, None)
    )(x, y)


# -- checkpoints -----------------------------------------------------------------------------------------------------------


def _checkpoint(t: Any) -> Any:
    return importlib.import_module("torch.utils.checkpoint") if t is torch else t.utils.checkpoint


@program
def checkpoint_both_ways(t: Any, n: Any) -> Any:
    ck = _checkpoint(t).checkpoint
    made = []
    for reentrant in (True, False):
        w, x = n(3, 3).requires_grad_(), n(2, 3).requires_grad_()

        def part(x: Any, w: Any) -> Any:
            return (x @ w).tanh(), x + 1

        a, b = ck(part, x, w, use_reentrant=reentrant)
        (a.sum() * 2 + b.prod()).backward()
        made.append((a, b, x.grad, w.grad))
    return made


@program
def checkpoint_without_gradients(t: Any, n: Any) -> Any:
    ck = _checkpoint(t).checkpoint
    with t.no_grad():
        a = ck(lambda x: x * 2, n(3).requires_grad_(), use_reentrant=False)
    return (
        a.requires_grad,
        ck(lambda x: x * 2, n(3), use_reentrant=False).requires_grad,
        ck(lambda x: x * 2, n(3), use_reentrant=True),
    )


@program
def checkpoint_reentrant_ways_differ(t: Any, n: Any) -> Any:
    ck = _checkpoint(t).checkpoint
    w = n(3).requires_grad_()
    made = []
    for reentrant in (True, False):
        y = ck(lambda x: x * w, n(3), use_reentrant=reentrant)
        made.append(y.requires_grad)
    x = n(3).requires_grad_()
    y = ck(lambda x: x * x, x, use_reentrant=False)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    made.append(t.autograd.grad(g.sum(), x))
    made.append(caught(lambda: ck(lambda x, k=1: x * k, x, k=2, use_reentrant=True)))
    made.append(ck(lambda x, k=1: x * k, x, k=2, use_reentrant=False))
    made.append(caught(lambda: ck(lambda x: x, x)))
    return made


@program
def checkpoint_keeps_random_numbers(t: Any, n: Any) -> Any:
    ck = _checkpoint(t).checkpoint
    made = []
    for reentrant in (True, False):
        x = t.ones(64, requires_grad=True)
        y = ck(lambda x: t.nn.functional.dropout(x, 0.5), x, use_reentrant=reentrant)
        y.sum().backward()
        made.append(bool(((y != 0) == (x.grad != 0)).all()))
    return made


@program
def checkpoint_nested_and_in_a_module(t: Any, n: Any) -> Any:
    ck = _checkpoint(t).checkpoint
    w = n(3).requires_grad_()
    inner = lambda x: (x * w).sin()  # noqa: E731
    outer = lambda x: ck(inner, x.exp(), use_reentrant=False) * x  # noqa: E731
    x = n(3).requires_grad_()
    ck(outer, x, use_reentrant=False).sum().backward()
    return x.grad, w.grad


@program
def checkpoint_sequential(t: Any, n: Any) -> Any:
    ck = _checkpoint(t).checkpoint_sequential
    m = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 4), t.nn.ReLU(), t.nn.Linear(4, 1)).double()
    with t.no_grad():
        for p in m.parameters():
            p.copy_(n(*p.shape))
    made = []
    for reentrant in (True, False):
        x = n(2, 3).requires_grad_()
        m.zero_grad()
        ck(m, 2, x, use_reentrant=reentrant).sum().backward()
        made.append((x.grad, [p.grad.clone() for p in m.parameters()]))
        y = n(2, 3).requires_grad_()
        ck([m[0], m[1], m[2]], 3, y, use_reentrant=reentrant).sum().backward()
        made.append(y.grad)
    return made


@program
def checkpoint_contexts(t: Any, n: Any) -> Any:
    seen: list[str] = []

    class Says:
        def __init__(self, text: str) -> None:
            self.text = text

        def __enter__(self) -> None:
            seen.append(f"+{self.text}")

        def __exit__(self, *exc: object) -> None:
            seen.append(f"-{self.text}")

    x = n(3).requires_grad_()
    y = _checkpoint(t).checkpoint(lambda x: x.exp(), x, use_reentrant=False, context_fn=lambda: (Says("a"), Says("b")))
    y.sum().backward()
    return seen, x.grad


@program
def checkpoint_early_stop(t: Any, n: Any) -> Any:
    ck, x, seen = _checkpoint(t), n(3).requires_grad_(), []

    def part(x: Any) -> Any:
        y = x.exp()
        seen.append("a")
        z = y + 1
        seen.append("b")
        return z

    with ck.set_checkpoint_early_stop(False):
        ck.checkpoint(part, x, use_reentrant=False).sum().backward()
    return seen, x.grad


# -- anomalies ---------------------------------------------------------------------------------------------------------------


@program
def anomalies(t: Any, n: Any) -> Any:
    a = t.autograd
    x = t.zeros(2, dtype=t.float64, requires_grad=True)
    made = []
    with a.detect_anomaly():
        made.append(t.is_anomaly_enabled())
        made.append(caught(lambda: (x.sqrt() * 0).sum().backward()))
        made.append(caught(lambda: (x.exp() * 2).sum().backward()))
    with a.set_detect_anomaly(True, check_nan=False):
        made.append(caught(lambda: (x.sqrt() * 0).sum().backward()))
        made.append((t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()))
    a.set_detect_anomaly(True)
    a.set_detect_anomaly(False)
    return made, t.is_anomaly_enabled(), x.grad


@pytest.mark.parametrize("name", program)
def test_as_pytorch(name: str) -> None:
    assert differences(outcome(program[name], fw), outcome(program[name], torch)) == []
