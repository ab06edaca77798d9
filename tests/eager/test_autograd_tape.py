"""The tape beside PyTorch: hooks of tensors, nodes and modules, nodes as users see them, user Functions, errors.

Each program runs on both libraries by one text; where PyTorch is absent it is only run, and what it gives must be stated here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler

torch = pytest.importorskip("torch", reason="the oracle, PyTorch, is not installed")

PROGRAMS: dict[str, Callable[[Any], Any]] = {}


def program(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    PROGRAMS[fn.__name__] = fn
    return fn


def plain(x: Any) -> Any:
    """Tensors as (dtype, lists), whatever library they are of."""
    if hasattr(x, "detach"):
        return [str(x.dtype).rpartition(".")[2], np.round(np.asarray(x.detach().tolist(), "f8"), 5).tolist(), x.requires_grad]
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    return [plain(v) for v in x] if isinstance(x, (list, tuple)) else x


def outcome(fn: Callable[[Any], Any], library: Any) -> Any:
    try:
        return plain(fn(library))
    except Exception as error:
        kinds = [k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins"]
        return ["raises", kinds[0]]


def leaf(t: Any, *values: float) -> Any:
    return t.tensor(list(values) or [1.0, 2.0], requires_grad=True)


@program
def names(t: Any) -> Any:
    x = leaf(t)
    return [(x * 2).grad_fn.name(), (x * x).sum().grad_fn.name(), x.grad_fn, (x.exp() / 2).grad_fn.name()]


@program
def next_functions(t: Any) -> Any:
    x = leaf(t)
    y = (x * 2).exp()
    (mul, n), = y.grad_fn.next_functions
    found = [(a if a is None else a.name(), b) for a, b in mul.next_functions]
    return [mul.name(), n, found, mul.next_functions[0][0].variable is x, mul.next_functions[0][0].next_functions]


@program
def metadata(t: Any) -> Any:
    y = leaf(t) * 2
    y.grad_fn.metadata["a"] = 3
    return y.grad_fn.metadata


@program
def prehook_of_a_node(t: Any) -> Any:
    x = leaf(t)
    y = x * 2
    handle = y.grad_fn.register_prehook(lambda g: tuple(a * 10 for a in g))
    first = t.autograd.grad(y.sum(), x, retain_graph=True)
    handle.remove()
    return first, t.autograd.grad(y.sum(), x)


@program
def hook_of_a_node(t: Any) -> Any:
    x = leaf(t)
    y = x * 2
    seen: list[Any] = []
    y.grad_fn.register_hook(lambda gi, go: seen.append((gi, go)))
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * 5, *gi[1:]))
    return t.autograd.grad(y.sum(), x), seen


@program
def hook_of_accumulation(t: Any) -> Any:
    x = leaf(t)
    node = (x * 2).grad_fn.next_functions[0][0]
    node.register_prehook(lambda g: (g[0] * 3,))
    (x * 2).sum().backward()
    return x.grad, node.name()


@program
def post_accumulation(t: Any) -> Any:
    w = leaf(t)
    seen: list[Any] = []
    handle = w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    (w * 3).sum().backward()
    (w * 3).sum().backward(inputs=[w])
    handle.remove()
    (w * 3).sum().backward()
    return seen, w.grad


@program
def post_accumulation_takes_the_gradient(t: Any) -> Any:
    w = leaf(t)

    def step(p: Any) -> None:
        with t.no_grad():
            p -= 0.5 * p.grad
        p.grad = None

    w.register_post_accumulate_grad_hook(step)
    (w * 3).sum().backward()
    return w, w.grad


@program
def post_accumulation_on_what_is_no_leaf(t: Any) -> Any:
    return (leaf(t) * 2).register_post_accumulate_grad_hook(print)


@program
def tensor_hooks_in_order(t: Any) -> Any:
    x = leaf(t)
    y = x * 3
    seen: list[Any] = []
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    with y.register_hook(lambda g: seen.append(g)):
        y.sum().backward(retain_graph=True)
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    return seen, y.grad, x.grad, y.retains_grad, x.retains_grad


@program
def hook_of_wrong_shape(t: Any) -> Any:
    y = leaf(t) * 2
    y.register_hook(lambda g: t.ones(3))
    return y.sum().backward()


@program
def hook_of_no_tensor(t: Any) -> Any:
    y = leaf(t) * 2
    y.register_hook(lambda g: 3)
    return y.sum().backward()


@program
def a_walk_ends_at_what_was_asked_for(t: Any) -> Any:
    x = leaf(t)
    seen: list[Any] = []
    y = x * x
    y.grad_fn.register_hook(lambda gi, go: seen.append(1))
    z = y.exp().sum()
    t.autograd.grad(z, y)
    return seen, t.autograd.grad(y.sum(), x)


@program
def unused(t: Any) -> Any:
    x = leaf(t)
    other = leaf(t)
    return t.autograd.grad((x * 2).sum(), [x, other], materialize_grads=True)


@program
def unused_refused(t: Any) -> Any:
    return t.autograd.grad((leaf(t) * 2).sum(), [leaf(t)])


@program
def materialize_and_refuse(t: Any) -> Any:
    x = leaf(t)
    return t.autograd.grad((x * 2).sum(), [x], materialize_grads=True, allow_unused=False)


@program
def second_backward(t: Any) -> Any:
    y = (leaf(t) * leaf(t)).sum()
    y.backward()
    y.backward()


@program
def no_scalar(t: Any) -> Any:
    (leaf(t) * 2).backward()


@program
def wrong_gradient(t: Any) -> Any:
    (leaf(t) * 2).backward(t.ones(3))


@program
def leaf_in_place(t: Any) -> Any:
    leaf(t).add_(1)


@program
def saved_and_changed(t: Any) -> Any:
    a = leaf(t) * 2
    b = a * a
    a.add_(1)
    b.sum().backward()


@program
def nothing_recorded(t: Any) -> Any:
    t.ones(2).sum().backward()


@program
def hook_without_gradient(t: Any) -> Any:
    t.ones(2).register_hook(print)


@program
def third_order(t: Any) -> Any:
    x = leaf(t)
    g = x.pow(4).sum()
    out = []
    for _ in range(3):
        (g,) = t.autograd.grad(g.sum(), x, create_graph=True)
        out.append(g)
    return out


@program
def modes(t: Any) -> Any:
    x = leaf(t)

    @t.no_grad()
    def off() -> Any:
        with t.enable_grad():
            inner = (x * 2).requires_grad
        return inner, (x * 2).requires_grad, t.is_grad_enabled()

    @t.inference_mode()
    def inference() -> Any:
        return (x * 2).requires_grad

    with t.set_grad_enabled(False):
        a = (x * 2).requires_grad
    t.set_grad_enabled(False)
    b = (x * 2).requires_grad
    t.set_grad_enabled(True)
    with t.inference_mode(False):
        c = (x * 2).requires_grad
    return off(), inference(), a, b, c


# -- modules ---------------------------------------------------------------------------------------------------------------


def linear(t: Any) -> Any:
    m = t.nn.Linear(2, 2)
    with t.no_grad():
        m.weight.copy_(t.tensor([[1.0, 2.0], [3.0, 4.0]]))
        m.bias.zero_()
    return m


@program
def module_backward_hook(t: Any) -> Any:
    m, x = linear(t), leaf(t)
    seen: list[Any] = []
    handle = m.register_full_backward_hook(lambda mod, gi, go: seen.append((mod is m, gi, go)))
    m(x).sum().backward()
    handle.remove()
    m(x).sum().backward()
    return seen, x.grad, m.weight.grad


@program
def module_backward_hook_changes(t: Any) -> Any:
    m, x = linear(t), leaf(t)
    m.register_full_backward_pre_hook(lambda mod, go: (go[0] * 10,))
    m.register_full_backward_hook(lambda mod, gi, go: (gi[0] + 1,))
    m(x).sum().backward()
    return x.grad, m.weight.grad


@program
def module_backward_hook_without_an_input(t: Any) -> Any:
    m = linear(t)
    seen: list[Any] = []
    m.register_full_backward_hook(lambda mod, gi, go: seen.append((gi, go)))
    m(t.tensor([1.0, 2.0])).sum().backward()
    return seen, m.weight.grad


@program
def module_backward_hooks_nested(t: Any) -> Any:
    a, b, x = linear(t), linear(t), leaf(t)
    model = t.nn.Sequential(a, t.nn.ReLU(), b)
    seen: list[Any] = []
    for m in model.modules():
        m.register_full_backward_hook(lambda mod, gi, go: seen.append((type(mod).__name__, gi[0].sum(), go[0].sum())))
    model(x).sum().backward()
    return seen, x.grad


# -- Functions -------------------------------------------------------------------------------------------------------------


@program
def function_setup_context(t: Any) -> Any:
    class Both(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(a: Any, b: Any) -> Any:
            return a * b, a + b

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.count = len(output)

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            a, b = ctx.saved_tensors
            return (g * b + h) * ctx.count, (g * a + h) if ctx.needs_input_grad[1] else None

    x = leaf(t)
    p, q = Both.apply(x, t.ones(2) * 3)
    y, _ = Both.apply(x, x.exp())
    return t.autograd.grad(p.sum(), x), q.requires_grad, t.autograd.grad(y.sum(), x), p.grad_fn.name()


@program
def function_mark_dirty(t: Any) -> Any:
    class Triple(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            a.mul_(3)
            ctx.mark_dirty(a)
            return a

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3

    x = leaf(t)
    a = x * 1
    b = Triple.apply(a)
    return a is b, a, t.autograd.grad(b.sum(), x, retain_graph=True), t.autograd.grad(a.sum(), x), outcome(
        lambda _: Triple.apply(x), t
    )


@program
def function_once(t: Any) -> Any:
    class Square(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(a)
            return a * a

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g * ctx.saved_tensors[0]

    x = leaf(t)
    (g,) = t.autograd.grad(Square.apply(x * 2).exp().sum(), x, create_graph=True)
    return g, outcome(lambda _: t.autograd.grad(g.sum(), x), t)


@program
def function_materialize(t: Any) -> Any:
    seen: list[Any] = []

    class Two(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any, wanted: bool) -> Any:
            ctx.set_materialize_grads(wanted)
            return a * 1, a * 2, 5

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            seen.append(grads)
            return grads[1], None

    x = leaf(t)
    return [t.autograd.grad(Two.apply(x, w)[1].sum(), x) for w in (True, False)], seen


@program
def function_constant_output(t: Any) -> Any:
    class Split(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            b = a * 2
            ctx.mark_non_differentiable(b)
            return a * 1, b

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            return g + h

    x = leaf(t)
    a, b = Split.apply(x)
    return b.requires_grad, t.autograd.grad(a.sum(), x)


def function_of(t: Any, backward: Callable[..., Any]) -> Any:
    class Made(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(a)
            return a * 1

    Made.backward = staticmethod(backward)
    return Made


@program
def function_bad_shape(t: Any) -> Any:
    x = leaf(t)
    return t.autograd.grad(function_of(t, lambda ctx, g: t.ones(3)).apply(x).sum(), x)


@program
def function_bad_count(t: Any) -> Any:
    x = leaf(t)
    return t.autograd.grad(function_of(t, lambda ctx, g: (g, g)).apply(x).sum(), x)


@program
def function_freed(t: Any) -> Any:
    x = leaf(t)
    y = function_of(t, lambda ctx, g: g * ctx.saved_tensors[0]).apply(x).sum()
    first = t.autograd.grad(y, x)
    return first, outcome(lambda _: t.autograd.grad(y, x), t)


@program
def function_saves_no_tensor(t: Any) -> Any:
    class Bad(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(3)
            return a * 1

    return Bad.apply(leaf(t))


@program
def function_without_backward(t: Any) -> Any:
    class Bad(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            return a * 1

    x = leaf(t)
    return t.autograd.grad(Bad.apply(x).sum(), x)


@program
def function_is_not_called(t: Any) -> Any:
    return function_of(t, lambda ctx, g: g).forward.__name__, outcome(lambda _: t.autograd.Function.forward(None), t)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_as_pytorch(name: str) -> None:
    assert outcome(PROGRAMS[name], fw) == outcome(PROGRAMS[name], torch)


# -- compiled --------------------------------------------------------------------------------------------------------------


def test_setup_context_and_module_hooks_inside_of_a_region() -> None:
    class Scale(fw.autograd.Function):
        @staticmethod
        def forward(a: Any, b: Any) -> Any:
            return a * b, 7

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any, _: Any) -> Any:
            a, b = ctx.saved_tensors
            return g * b, g * a

    m = linear(fw)
    m.register_full_backward_hook(lambda mod, gi, go: (gi[0] * 2,))

    def step(x: Any) -> Any:
        x = x.detach().requires_grad_()
        y, seven = Scale.apply(m(x), x)
        return fw.autograd.grad((y * seven).sum(), x)

    x = fw.tensor([1.0, 2.0])
    assert plain(compiler.compile(step, fullgraph=True)(x)) == plain(step(x))


def test_a_hook_behind_accumulation_inside_of_a_region() -> None:
    results = []
    for again in (False, True):
        w = fw.tensor([1.0, 2.0], requires_grad=True)

        def update(p: Any) -> None:
            with fw.no_grad():
                p.sub_(p.grad * 0.5)
            p.grad = None

        w.register_post_accumulate_grad_hook(update)

        def step(x: Any, w: Any = w) -> Any:
            (w * w * x).sum().backward()
            return x + 1

        run = compiler.compile(step) if again else step
        for i in range(3):
            run(fw.tensor([1.0, float(i)]))
        results.append(plain(w))
    assert results[0] == results[1]
