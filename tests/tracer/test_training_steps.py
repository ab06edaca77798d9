"""Whole training steps as one graph: backward(), autograd.grad, hooks, optimisers and user Functions inside of the region.

Each program runs several steps with different inputs, plainly and compiled under ``fullgraph=True``, on equal state of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler, nn, optim
from fusewire.errors import GraphBreakError
from fusewire.nn import functional as F

#: a world: the step, a function of a number to its arguments, and what is compared beside its results
World = tuple[Callable[..., Any], Callable[[int], tuple[Any, ...]], Callable[[], Any]]


def values(x: Any) -> Any:
    """Tensors as arrays with what else of them is seen, however deep."""
    if isinstance(x, fw.Tensor):
        return [x.detach().numpy().astype(np.float64), x.requires_grad, None if x._grad is None else values(x.grad)]
    if isinstance(x, dict):
        return [values(v) for v in x.values()]
    return [values(v) for v in x] if isinstance(x, (list, tuple)) else x


def close(a: Any, b: Any, rtol: float) -> None:
    """The same to rounding."""
    if isinstance(b, list):
        assert isinstance(a, list) and len(a) == len(b), (a, b)
        for left, right in zip(a, b, strict=True):
            close(left, right, rtol)
    elif isinstance(b, np.ndarray):
        assert isinstance(a, np.ndarray), (a, b)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    else:
        assert a == b if not isinstance(b, float) else a == pytest.approx(b, rel=rtol), (a, b)


def trained(make: Callable[[], World], steps: int = 4, variants: int | None = 1, rtol: float = 1e-5, **options: Any) -> Any:
    """Run `steps` steps of two equal worlds, one compiled, and compare all after each; the compiled step."""
    seen: list[list[Any]] = []
    compiled = None
    for again in (False, True):
        fw.manual_seed(3)
        step, batch, state = make()
        run = step
        if again:
            run = compiled = compiler.compile(step, **{"fullgraph": True, **options})
        seen.append([])
        for i in range(steps):
            out = run(*batch(i))
            seen[-1].append([values(out), values(state())])
    for i, (a, b) in enumerate(zip(seen[1], seen[0], strict=True)):
        try:
            close(a, b, rtol)
        except AssertionError as error:
            raise AssertionError(f"step {i}: {error}") from None
    if variants is not None:
        dispatcher = compiler.dispatcher_of(compiled)
        assert len(dispatcher.variants) == variants, [m.guard for m in dispatcher.misses]
    return compiled


def numbers(*shape: int, seed: int = 0, dtype: str = "f4") -> Any:
    """Normal numbers."""
    return fw.tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def leaf(*shape: int, seed: int = 0) -> Any:
    """A float32 leaf that requires grad."""
    return numbers(*shape, seed=seed).requires_grad_()


def mlp() -> Any:
    """A small classifier."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))


def labelled(i: int) -> tuple[Any, Any]:
    """A batch for `mlp`."""
    return numbers(5, 6, seed=i), fw.tensor(np.random.default_rng(i).integers(0, 3, 5))


OPTIMISERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "sgd-momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "sgd-nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "adam-amsgrad": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("order", ["zero first", "zero last", "filled with zero"])
def test_a_step_is_one_graph(name: str, order: str) -> None:
    def make() -> World:
        model = mlp()
        optimiser = OPTIMISERS[name](model.parameters())

        def step(x: Any, y: Any) -> Any:
            if order != "zero last":
                optimiser.zero_grad(set_to_none=order == "zero first")
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            if order == "zero last":
                optimiser.zero_grad()
            return loss

        return step, labelled, lambda: [list(model.parameters()), [dict(s) for s in optimiser.state.values()]]

    keeps = name == "sgd" and order == "zero last"
    trained(make, 5, variants=1 if keeps else 2)


@pytest.mark.parametrize("name", ["sgd-momentum", "adamw"])
def test_numbers_of_the_optimiser_are_inputs(name: str) -> None:
    def make() -> World:
        model = mlp()
        optimiser = OPTIMISERS[name](model.parameters())

        def step(x: Any, y: Any) -> Any:
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            return loss

        def batch(i: int) -> Any:
            group = optimiser.param_groups[0]
            group["lr"] *= 0.7
            group["weight_decay"] = 0.01 + 0.001 * i
            if "betas" in group:
                group["betas"] = (0.9 - 0.01 * i, 0.99 - 0.01 * i)
                group["eps"] = 1e-8 * (i + 1)
            else:
                group["momentum"] = 0.9 - 0.1 * i
            return labelled(i)

        return step, batch, lambda: list(model.parameters())

    trained(make, 6, variants=2)


class Block(nn.Module):
    """Convolution, batch norm, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4 * 4 * 4, 3)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
        return self.head(x.flatten(1))


def test_a_cnn_with_batch_norm() -> None:
    def make() -> World:
        model = Block()
        optimiser = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

        def step(x: Any, y: Any) -> Any:
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            return loss

        def batch(i: int) -> Any:
            return numbers(5, 1, 8, 8, seed=i), fw.tensor(np.random.default_rng(i).integers(0, 3, 5))

        return step, batch, lambda: [model.state_dict(), [p.grad for p in model.parameters()]]

    trained(make, 4, variants=2, rtol=1e-4)


class Attention(nn.Module):
    """One block of a GPT over embedded tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24, bias=False)  # of the keys it would have no gradient but noise
        self.out = nn.Linear(8, 11)

    def forward(self, x: Any) -> Any:
        h = self.embed(x)
        q, k, v = self.qkv(self.norm(h)).chunk(3, dim=-1)
        h = h + F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(F.dropout(h, 0.1, self.training))


def test_a_gpt_with_dropout_clipping_and_a_schedule() -> None:
    def make() -> World:
        model = Attention()
        optimiser = optim.AdamW(model.parameters(), lr=0.01)
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimiser, 10)

        def step(x: Any) -> Any:
            optimiser.zero_grad()
            logits = model(x[:, :-1])
            loss = F.cross_entropy(logits.reshape(-1, 11), x[:, 1:].reshape(-1))
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimiser.step()
            return loss.detach(), norm

        def batch(i: int) -> Any:
            if i:
                schedule.step()
            return (fw.tensor(np.random.default_rng(i).integers(0, 11, (2, 7))),)

        return step, batch, lambda: list(model.parameters())

    trained(make, 5, variants=2, rtol=1e-4)


def test_a_scheduler_inside_of_the_region() -> None:
    def make() -> World:
        w = leaf(3)
        optimiser = optim.SGD([w], lr=0.5)
        schedule = optim.lr_scheduler.LambdaLR(optimiser, lambda epoch: 1 / (1 + epoch))

        def step(x: Any) -> Any:
            optimiser.zero_grad()
            (w * x).sum().backward()
            optimiser.step()
            schedule.step()
            return schedule.get_last_lr()

        return step, lambda i: (numbers(3, seed=i),), lambda: w

    trained(make, 5, variants=None)


def test_gradients_accumulate_over_micro_batches_in_the_region_and_between_calls() -> None:
    def make() -> World:
        model = mlp()
        optimiser = optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any, y: Any, update: bool) -> Any:
            total = 0.0
            for k in range(2):
                loss = F.cross_entropy(model(x * (k + 1)), y) / 2
                loss.backward()
                total = total + loss.detach()
            if update:
                optimiser.step()
                optimiser.zero_grad()
            return total

        return step, lambda i: (*labelled(i), i % 2 == 1), lambda: list(model.parameters())

    trained(make, 6, variants=2)


def test_two_steps_in_one_region() -> None:
    def make() -> World:
        model = mlp()
        optimiser = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)

        def step(x: Any, y: Any) -> list[Any]:
            losses = []
            for _ in range(2):
                optimiser.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimiser.step()
                losses.append(loss)
            return losses

        return step, labelled, lambda: list(model.parameters())

    trained(make, 4, variants=2)


def test_clipping_by_value_and_gradients_read_and_replaced() -> None:
    def make() -> World:
        w, b = leaf(4, seed=1), leaf(4, seed=2)

        def step(x: Any) -> Any:
            w.grad = b.grad = None
            ((w * x + b) ** 2).sum().backward()
            nn.utils.clip_grad_value_([w, b], 0.7)
            b.grad = b.grad * 2
            with fw.no_grad():
                for p in (w, b):
                    p -= 0.1 * p.grad
            return w.grad + b.grad

        return step, lambda i: (numbers(4, seed=i),), lambda: [w, b]

    trained(make, 4)


def test_a_closure() -> None:
    def make() -> World:
        w = leaf(4)
        optimiser = optim.SGD([w], lr=0.1)

        def step(x: Any) -> Any:
            def closure() -> Any:
                optimiser.zero_grad()
                loss = ((w - x) ** 2).sum()
                loss.backward()
                return loss

            return optimiser.step(closure)

        return step, lambda i: (numbers(4, seed=i),), lambda: w

    trained(make, 4, variants=2)


# -- backward and grad with their options ----------------------------------------------------------------------------------


def test_backward_from_a_gradient_to_chosen_inputs() -> None:
    def make() -> World:
        a, b = leaf(3, seed=1), leaf(3, seed=2)

        def step(x: Any) -> Any:
            y = a * b * x
            y.backward(gradient=x, inputs=[b])
            fw.autograd.backward([y.exp() if False else (a * 2)], [x])
            return y.detach()

        return step, lambda i: (numbers(3, seed=i),), lambda: [a, b]

    trained(make, 4, variants=2)


def test_a_retained_graph_serves_inside_and_outside() -> None:
    def make() -> World:
        w = leaf(3)

        def step(x: Any) -> Any:
            y = (w * w * x).sum()
            y.backward(retain_graph=True)
            y.backward(retain_graph=True)
            return y

        return step, lambda i: (numbers(3, seed=i),), lambda: w

    compiled = trained(make, 4, variants=2)
    y = compiled(numbers(3))
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_a_used_up_history_raises_outside_as_inside() -> None:
    w = leaf(3)

    def step(x: Any) -> Any:
        y = (w * w * x).sum()
        z = y * 2
        y.backward()
        return y, z

    for run in (step, compiler.compile(step, fullgraph=True)):
        for out in run(numbers(3)):
            assert out.requires_grad and not out.is_leaf
            with pytest.raises(RuntimeError, match="second time"):
                out.backward()


def test_a_second_backward_in_the_region_raises() -> None:
    def make() -> World:
        w = leaf(3)

        def step(x: Any) -> Any:
            y = (w * w * x).sum()
            y.backward()
            try:
                y.backward()
            except RuntimeError as error:
                return "second time" in str(error)
            return None

        return step, lambda i: (numbers(3, seed=i),), lambda: w

    trained(make, 3, variants=2)


def test_errors_of_backward() -> None:
    w = leaf(3)

    def not_scalar(x: Any) -> Any:
        (w * x).backward()

    def not_tracked(x: Any) -> Any:
        x.sum().backward()

    def unused(x: Any) -> Any:
        return fw.autograd.grad((w * 2).sum(), leaf(3) if False else x.requires_grad_() if False else other)

    other = leaf(3, seed=4)
    for step in (not_scalar, not_tracked, unused):
        found = []
        for run in (step, compiler.compile(step)):
            with pytest.raises(RuntimeError) as caught:
                run(numbers(3))
            found.append(str(caught.value))
        assert found[0] == found[1]


def test_gradients_of_intermediates_and_unused_inputs() -> None:
    def make() -> World:
        w, unused = leaf(3, seed=1), leaf(2, seed=2)

        def step(x: Any) -> Any:
            h = w * x
            y = (h.exp() * w).sum()
            dh, dw = fw.autograd.grad(y, [h, w], retain_graph=True)
            du, dw2 = fw.autograd.grad([y, h], [unused, w], [fw.ones(()), x], allow_unused=True)
            return dh, dw, du, dw2, fw.autograd.grad(w.sum(), (unused,), materialize_grads=True)[0]

        return step, lambda i: (numbers(3, seed=i),), lambda: [w, unused]

    trained(make, 3)


def test_a_gradient_is_a_constant_for_later_gradients() -> None:
    def make() -> World:
        w = leaf(3)

        def step(x: Any) -> Any:
            (g,) = fw.autograd.grad((w**3 * x).sum(), w)
            loss = (g * w).sum()
            loss.backward()
            return g, loss.detach()

        return step, lambda i: (numbers(3, seed=i),), lambda: w

    trained(make, 3, variants=2)


def test_gradient_penalty() -> None:
    def make() -> World:
        model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
        optimiser = optim.Adam(model.parameters(), lr=0.01)

        def step(x: Any) -> Any:
            x = x.detach().requires_grad_()
            optimiser.zero_grad()
            y = model(x)
            (g,) = fw.autograd.grad(y.sum(), x, create_graph=True)
            loss = y.mean() + ((g.norm(dim=1) - 1) ** 2).mean()
            loss.backward()
            optimiser.step()
            return loss, g.detach()

        return step, lambda i: (numbers(5, 4, seed=i),), lambda: list(model.parameters())

    trained(make, 4, variants=2, rtol=1e-4)


def test_higher_orders_and_graphs_of_gradients_that_leave() -> None:
    def make() -> World:
        w = leaf(3)

        def step(x: Any) -> Any:
            y = (w**4 * x).sum()
            (g,) = fw.autograd.grad(y, w, create_graph=True)
            (h,) = fw.autograd.grad(g.sum(), w, create_graph=True)
            return g, h

        return step, lambda i: (numbers(3, seed=i),), lambda: w

    compiled = trained(make, 3)
    w = compiled.__closure__[0].cell_contents
    _, h = compiled(numbers(3, seed=9))
    h.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), (24 * w * numbers(3, seed=9)).detach().numpy(), rtol=1e-4)


def test_gradients_with_a_graph_stored_at_the_leaf() -> None:
    def make() -> World:
        w = leaf(3)

        def step(x: Any) -> Any:
            w.grad = None
            (w**3 * x).sum().backward(create_graph=True)
            penalty = (w.grad**2).sum()
            w.grad = None
            penalty.backward()
            return penalty.detach()

        return step, lambda i: (numbers(3, seed=i),), lambda: w

    trained(make, 3, rtol=1e-4)


def test_a_leaf_made_in_the_region() -> None:
    def make() -> World:
        w = leaf(3)

        def step(x: Any) -> Any:
            a = fw.zeros(3, requires_grad=True)
            b = x.clone().requires_grad_()
            ((a + b) * w * b).sum().backward()
            with fw.no_grad():
                b -= 0.1 * b.grad
            return a, b, a.grad + b.grad, a.is_leaf

        return step, lambda i: (numbers(3, seed=i),), lambda: w

    trained(make, 3, variants=2)


def test_leaves_on_the_memory_of_others() -> None:
    found = []

    def step(x: Any, w: Any) -> Any:
        a = x.detach().requires_grad_()
        fresh = x * 2
        b = fresh.detach().requires_grad_()
        ((a + b) * w).sum().backward()
        return a, fresh, b

    for run in (step, compiler.compile(step, fullgraph=True)):
        x, w = numbers(3), leaf(3, seed=1)
        a, fresh, b = run(x, w)
        x.add_(1)
        fresh.mul_(3)
        found.append([values(t) for t in (x, w, a, fresh, b)])
        assert a.is_leaf and b.is_leaf and not fresh.requires_grad
        a.grad = None
        (a * w).sum().backward()
        found[-1].append(values(a.grad))
    close(found[1], found[0], 1e-5)


def test_a_gradient_that_flows_out_of_the_region_is_a_break() -> None:
    def step(y: Any) -> Any:
        loss = (y * y).sum()
        loss.backward()
        return loss.detach()

    x = leaf(3)
    with pytest.raises(GraphBreakError, match="gradient-outside"):
        compiler.compile(step, fullgraph=True)(x * 2)
    found = []
    for run in (step, compiler.compile(step)):
        x = leaf(3)
        found.append([run(x * 2).item(), x.grad.numpy().tolist()])
    assert found[0] == found[1]


def test_a_leaf_that_is_none_any_more_compiles_anew() -> None:
    def step(y: Any) -> Any:
        (y * y).sum().backward()

    found = []
    for run in (step, compiler.compile(step)):
        x, z = leaf(3), leaf(3, seed=1)
        run(x)
        run(x)
        run(z * 3)
        found.append([x.grad.numpy().tolist(), z.grad.numpy().tolist()])
    assert found[0] == found[1]


# -- hooks -----------------------------------------------------------------------------------------------------------------


def test_hooks_of_intermediates() -> None:
    def make() -> World:
        w = leaf(3)
        log: list[Any] = []

        def step(x: Any) -> Any:
            h = w * x
            h.register_hook(lambda g: log.append(("first", g)))
            h.register_hook(lambda g: g * 2)
            removed = h.register_hook(lambda g: g * 100)
            removed.remove()
            h.retain_grad()
            y = (h * h).sum()
            y.register_hook(lambda g: log.append(("loss", g)))
            y.backward()
            return h.grad, h.detach()

        return step, lambda i: (numbers(3, seed=i),), lambda: [w, list(log)]

    trained(make, 4, variants=2)


def test_hooks_of_leaves() -> None:
    def make() -> World:
        w, v = leaf(3, seed=1), leaf(3, seed=2)
        log: list[Any] = []
        w.register_hook(lambda g: g * 3)

        def step(x: Any) -> Any:
            handle = v.register_hook(lambda g: log.append(g.sum()))
            (w * v * x).sum().backward()
            handle.remove()

        return step, lambda i: (numbers(3, seed=i),), lambda: [w, v, list(log)]

    trained(make, 4, variants=2)


def test_a_leaf_hook_that_comes_later_is_noticed() -> None:
    def step(w: Any, x: Any) -> Any:
        w.grad = None
        (w * x).sum().backward()

    found = []
    for run in (step, compiler.compile(step, fullgraph=True)):
        w, seen = leaf(3), []
        for i in range(2):
            run(w, numbers(3, seed=i))
            seen.append(w.grad.numpy().tolist())
        handle = w.register_hook(lambda g: -g)
        run(w, numbers(3))
        seen.append(w.grad.numpy().tolist())
        handle.remove()
        run(w, numbers(3))
        seen.append(w.grad.numpy().tolist())
        found.append(seen)
    assert found[0] == found[1]


def test_a_hook_on_what_leaves_the_region_breaks_there() -> None:
    def step(w: Any, x: Any) -> Any:
        h = w * x
        h.register_hook(lambda g: g * 5)
        return h * h

    found = []
    for run in (step, compiler.compile(step)):
        w = leaf(3)
        for i in range(3):
            run(w, numbers(3, seed=i)).sum().backward()
        found.append(w.grad.numpy().tolist())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_module_hooks() -> None:
    def make() -> World:
        model = mlp()
        log: list[Any] = []
        model[0].register_forward_hook(lambda module, args, out: out * 1.5)
        model[2].register_forward_pre_hook(lambda module, args: log.append(args[0].shape))

        def step(x: Any, y: Any) -> Any:
            model.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        return step, labelled, lambda: [list(model.parameters()), list(map(tuple, log))]

    trained(make, 4, variants=2)


# -- user autograd Functions -----------------------------------------------------------------------------------------------


class Cube(fw.autograd.Function):
    """x ** 3 * k, with a wrong factor in its gradient, so that the rule is known to have been used."""

    @staticmethod
    def forward(ctx: Any, x: Any, k: float) -> Any:
        ctx.save_for_backward(x)
        ctx.k = k
        return x**3 * k

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 5 * x * x * ctx.k, None


class Halves(fw.autograd.Function):
    """Two results and an index without a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        low, high = x[:2] * y[:2], fw.exp(x[2:])
        ctx.save_for_backward(x, y, high)
        index = x.argmax()
        ctx.mark_non_differentiable(index)
        return low, high, index

    @staticmethod
    def backward(ctx: Any, low: Any, high: Any, _: Any) -> Any:
        x, y, grown = ctx.saved_tensors
        dx = fw.cat([low * y[:2], high * grown * 2]) if ctx.needs_input_grad[0] else None
        dy = fw.cat([low * x[:2], fw.zeros_like(high)]) if ctx.needs_input_grad[1] else None
        return dx, dy


class Reversed(fw.autograd.Function):
    """The identity whose gradient changes sign."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return -g


def functions(x: Any, w: Any) -> Any:
    """A value that hangs on all three."""
    low, high, index = Halves.apply(Cube.apply(w, 0.5), x)
    return (low * 2 + Reversed.apply(high)).sum() + index


def test_user_functions_inside() -> None:
    def make() -> World:
        w = leaf(4)
        log: list[Any] = []

        class Logged(fw.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                log.append("forward")
                return x * 2

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                log.append(g)
                return g * 3

        def step(x: Any) -> Any:
            w.grad = None
            loss = functions(x, Logged.apply(w))
            loss.backward()
            return loss

        return step, lambda i: (numbers(4, seed=i),), lambda: [w, list(log)]

    trained(make, 4)


def test_user_functions_whose_gradient_is_taken_outside() -> None:
    found = []
    for run in (functions, compiler.compile(functions, fullgraph=True)):
        seen: list[Any] = []
        for i in range(3):
            w, x = leaf(4, seed=i), leaf(4, seed=i + 9)
            loss = run(x, w)
            loss.backward()
            seen += [values(loss), values(w.grad), values(x.grad)]
            again, over = leaf(4, seed=i), leaf(4, seed=i + 9)
            (g,) = fw.autograd.grad(run(over, again), again, create_graph=True)
            g.sum().backward()
            seen += [values(again.grad), values(over.grad)]
        found.append(seen)
    close(found[1], found[0], 1e-5)


def test_second_order_through_a_user_function_inside() -> None:
    def make() -> World:
        w = leaf(4)

        def step(x: Any) -> Any:
            w.grad = None
            (g,) = fw.autograd.grad((Cube.apply(w, 2.0) * x).sum(), w, create_graph=True)
            (g * g).sum().backward()
            return g.detach()

        return step, lambda i: (numbers(4, seed=i),), lambda: w

    trained(make, 3, rtol=1e-4)


def test_functions_are_followed_at_sizes_that_change() -> None:
    def step(w: Any) -> Any:
        return (Cube.apply(w, 2.0) * w.shape[0]).mean()

    compiled = compiler.compile(step, fullgraph=True)
    for n in (3, 5, 7, 11):
        ours, theirs = leaf(n), leaf(n)
        compiled(ours).backward()
        step(theirs).backward()
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-5)
    assert len(compiler.dispatcher_of(compiled).variants) == 2


def test_training_at_sizes_that_change() -> None:
    def make() -> World:
        model = mlp()
        optimiser = optim.AdamW(model.parameters(), lr=0.01)

        def step(x: Any, y: Any) -> Any:
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            return loss

        def batch(i: int) -> Any:
            n = (5, 5, 7, 3, 9, 4)[i]
            return numbers(n, 6, seed=i), fw.tensor(np.random.default_rng(i).integers(0, 3, n))

        return step, batch, lambda: list(model.parameters())

    trained(make, 6, variants=3, rtol=1e-4)
