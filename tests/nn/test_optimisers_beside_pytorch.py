"""Every optimiser beside PyTorch over several steps: parameters, state_dict, the printed form; then inside of @compile."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import pickle
import sys
from typing import Any

import numpy as np
import pytest

import fusewire as fw

ROWS = [
    "SGD(p, 0.1)", "SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01)", "SGD(p, 0.1, momentum=0.5, dampening=0.2)",
    "Adam(p, 0.05)", "Adam(p, 0.05, weight_decay=0.1, amsgrad=True)", "AdamW(p, 0.05, maximize=True)", "AdamW(p, foreach=True)",
    "Adagrad(p)", "Adagrad(p, 0.1, lr_decay=0.2, weight_decay=0.1, initial_accumulator_value=0.3)", "Adadelta(p)",
    "Adadelta(p, 0.5, 0.8, weight_decay=0.1, maximize=True)", "RMSprop(p)", "RMSprop(p, 0.02, momentum=0.8, centered=True)",
    "RMSprop(p, weight_decay=0.1, momentum=0.5)", "NAdam(p)", "NAdam(p, 0.02, weight_decay=0.1, decoupled_weight_decay=True)",
    "RAdam(p)", "RAdam(p, 0.1, betas=(0.8, 0.9), weight_decay=0.1)", "Adamax(p)", "Adamax(p, 0.1, weight_decay=0.1)", "ASGD(p)",
    "ASGD(p, 0.1, lambd=0.1, t0=2, weight_decay=0.1)", "Rprop(p)", "Rprop(p, 0.1, etas=(0.4, 1.3), step_sizes=(0.001, 0.5))",
    "Adafactor(p)", "Adafactor(p, 0.3, beta2_decay=-0.5, eps=(1e-6, 0.01), d=1.5, weight_decay=0.1, maximize=True)",
    "Muon(p[:1], 0.05)", "Muon(p[:1], 0.1, nesterov=False, weight_decay=0.0, adjust_lr_fn='match_rms_adamw', ns_steps=3)",
    "Adam([{'params': p[:1], 'lr': 0.3}, {'params': p[1:], 'betas': (0.5, 0.6)}], 0.01, decoupled_weight_decay=True)",
    "AdamW([('a', p[0]), ('b', p[1]), ('c', p[2])], 0.05, fused=True, amsgrad=True)", "Adam(p, lib.tensor(0.05))",
    "SGD(p, 0.1, momentum=0.9, maximize=True, weight_decay=0.1, foreach=True)", "SGD(p, lib.tensor(0.1))",
    "RMSprop(p, 0.01, maximize=True, foreach=True)", "NAdam(p, maximize=True, foreach=True)", "RAdam(p, maximize=True)",
    "RAdam(p, 0.1, weight_decay=0.1, decoupled_weight_decay=True)", "Adamax(p, maximize=True)", "ASGD(p, maximize=True)",
    "Rprop(p, maximize=True)", "Adagrad(p, maximize=True, foreach=True)",
]
CLOSURES = ["LBFGS(p, max_iter=5)", "LBFGS(p, 0.5, max_iter=4, history_size=3, line_search_fn='strong_wolfe')"]


def world(lib: Any, text: str) -> tuple[list[Any], Any, Any]:
    rng = np.random.default_rng(3)
    p = [lib.nn.Parameter(lib.from_numpy(rng.standard_normal(s).astype(np.float32))) for s in ((4, 3), (3,), ())]
    x = lib.from_numpy(rng.standard_normal((8, 4)).astype(np.float32))

    def loss() -> Any:
        return (((x @ p[0]).tanh() + p[1]) ** 2).mean() + (p[2] - 0.3) ** 2

    return p, eval(f"lib.optim.{text}", {"lib": lib, "p": p}), loss


def steps(optimiser: Any, loss: Any, count: int, compiled: bool = False) -> None:
    def one() -> None:
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()

    run = fw.compile(one, fullgraph=True) if compiled else one
    for _ in range(count):
        run()


def arrays(x: Any) -> Any:
    if isinstance(x, dict):
        return {k: arrays(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [arrays(v) for v in x]
    return x.detach().numpy() if hasattr(x, "detach") else x


def same(a: Any, b: Any, rtol: float = 2e-5) -> None:
    if isinstance(b, dict):
        assert list(a) == list(b)
        for k in b:
            same(a[k], b[k], rtol)
    elif isinstance(b, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y, rtol)
    elif isinstance(b, (np.ndarray, float)):
        assert np.shape(a) == np.shape(b) and getattr(a, "dtype", None) == getattr(b, "dtype", None)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)
    else:
        assert a == b


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with")
@pytest.mark.parametrize("text", ROWS, ids=str)
def test_optimiser_is_pytorch_s(text: str) -> None:
    import torch

    (ours, a, loss), (theirs, b, their_loss) = world(fw, text), world(torch, text)
    steps(a, loss, 6)
    steps(b, their_loss, 6)
    rtol = 0.2 if "Muon" in text else 2e-4 if "Adafactor" in text else 2e-5  # Muon's products are in bfloat16
    same(arrays(ours), arrays(theirs), rtol)
    same(arrays(a.state_dict()), arrays(b.state_dict()), rtol)
    assert repr(a) == repr(b)
    b.load_state_dict(translated(a.state_dict(), torch))
    steps(a, loss, 2)
    steps(b, their_loss, 2)
    same(arrays(ours), arrays(theirs), rtol)
    (again, c, other), kept = world(fw, text), b.state_dict()
    steps(c, other, 1)
    for p, q in zip(again, theirs, strict=True):
        p.data = fw.from_numpy(q.detach().numpy().copy())
    c.load_state_dict(translated(kept, fw))
    steps(c, other, 2)
    steps(b, their_loss, 2)
    same(arrays(again), arrays(theirs), rtol)
    same(arrays(c.state_dict()), arrays(b.state_dict()), rtol)


def translated(x: Any, lib: Any) -> Any:
    """A state as the other library would have it."""
    if isinstance(x, (dict, list, tuple)):
        return {k: translated(v, lib) for k, v in x.items()} if isinstance(x, dict) else type(x)(translated(v, lib) for v in x)
    return lib.from_numpy(x.detach().numpy().copy()) if hasattr(x, "detach") else x


ASKED = [
    "o.SGD(x, 0.1)", "o.SGD([], 0.1)", "o.SGD([3], 0.1)", "o.SGD([x * 2], 0.1)", "o.SGD({x}, 0.1)", "o.SGD([x, x], 0.1)",
    "o.SGD([{'params': [x]}, {'params': [x]}], 0.1)", "o.SGD([('a', x), x], 0.1)", "o.SGD([x], -1)",
    "o.SGD([x], 0.1, momentum=-1)", "o.SGD([x], 0.1, nesterov=True)", "o.Adam([x], betas=(1.0, 0.9))", "o.Adam([x], eps=-1)",
    "o.Adafactor([x], d=0.5)", "o.Muon([x])", "o.LBFGS([{'params': [x]}, {'params': [y]}])", "o.SGD([x], 0.1).add_param_group(3)",
    "o.SGD([('a', x)], 0.1).add_param_group({'params': [y]})", "o.SGD([('a', x)], 0.1).state_dict()",
    "o.SGD([x], 0.1).load_state_dict(o.SGD([x, y], 0.1).state_dict())", "o.Optimizer([x], {'lr': 3, 'z': 4})",
    "o.SGD([x], 0.1).load_state_dict({'state': {}, 'param_groups': []})", "o.Adam([x]).state_dict()",
    "copy.deepcopy(o.Adam([x])).param_groups[0]['lr']", "pickle.loads(pickle.dumps(o.Adam([x], 0.5))).defaults['lr']",
]  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with")
@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
@pytest.mark.parametrize("text", ASKED)
def test_optimisers_say_what_pytorch_s_say(text: str) -> None:
    import torch

    told = []
    for lib in (fw, torch):
        x, y = lib.nn.Parameter(lib.ones(2)), lib.nn.Parameter(lib.ones(3))
        try:
            told.append(repr(eval(text, {"o": lib.optim, "x": x, "y": y, "copy": copy, "pickle": pickle})))
        except Exception as e:
            told.append(f"{type(e).__name__}: {e}".replace("torch.FloatTensor", "Parameter"))
    assert told[0] == told[1]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with")
@pytest.mark.parametrize("text", CLOSURES)
def test_closure_optimiser_is_pytorch_s(text: str) -> None:
    import torch

    found = []
    for lib in (fw, torch):
        p, optimiser, loss = world(lib, text)

        def closure(optimiser: Any = optimiser, loss: Any = loss) -> Any:
            optimiser.zero_grad()
            value = loss()
            value.backward()
            return value

        losses = [float(optimiser.step(closure).detach()) for _ in range(3)]
        state = optimiser.state_dict()
        found.append((arrays(p), losses, sorted(state["state"][0]), repr(optimiser)))
    same(found[0][0], found[1][0], 1e-3)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)  # losses; a line search adds up
    assert found[0][2:] == found[1][2:]


def own_optimiser(lib: Any) -> list[Any]:
    """An optimiser as programs write them, with all hooks."""

    class Signs(lib.optim.Optimizer):  # type: ignore[name-defined, misc]
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        def step(self, closure: Any = None) -> Any:
            loss = None if closure is None else closure()
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    if len(state) == 0:
                        state["count"] = 0
                    state["count"] += 1
                    with lib.no_grad():
                        p.add_(p.grad.sign(), alpha=-group["lr"] / state["count"])
            return loss

    p, _, loss = world(lib, "SGD(p)")
    optimiser, seen = Signs(p, 0.5), []
    module = importlib.import_module(f"{lib.__name__}.optim.optimizer")
    handles = [
        module.register_optimizer_step_pre_hook(lambda o, args, kwargs: seen.append("every")),
        module.register_optimizer_step_post_hook(lambda o, args, kwargs: seen.append("every after")),
        optimiser.register_step_pre_hook(lambda o, args, kwargs: seen.append(len(args))),
        optimiser.register_step_post_hook(lambda o, args, kwargs: seen.append(o.state[p[0]]["count"])),
        optimiser.register_state_dict_pre_hook(lambda o: seen.append("state")),
        optimiser.register_state_dict_post_hook(lambda o, state: {**state, "more": 1}),
        optimiser.register_load_state_dict_pre_hook(lambda o, state: seen.append(state.pop("more"))),
        optimiser.register_load_state_dict_post_hook(lambda o: seen.append("loaded")),
    ]

    def closure() -> Any:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    for _ in range(3):
        seen.append(round(float(optimiser.step(closure).detach()), 4))
    optimiser.load_state_dict(optimiser.state_dict())
    for handle in handles:
        handle.remove()
    optimiser.step(closure)
    seen.append(sorted(optimiser.state_dict()))
    return seen


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with")
def test_an_optimiser_of_the_user() -> None:
    import torch

    assert own_optimiser(fw) == own_optimiser(torch)


def test_differentiable_steps() -> None:
    rate = fw.tensor(0.1, requires_grad=True)
    start = fw.ones(3, requires_grad=True)
    p = start.clone()
    optimiser = fw.optim.SGD([p], rate, differentiable=True)
    p.grad = fw.tensor([1.0, 2.0, 3.0])
    optimiser.step()
    p.sum().backward()
    assert rate.grad.item() == -6.0 and start.grad.tolist() == [1, 1, 1]


def test_hooks_around_a_step() -> None:
    p, optimiser, loss = world(fw, "SGD(p, 0.5)")
    seen = []
    first = optimiser.register_step_pre_hook(lambda o, args, kwargs: seen.append(p[2].item()))
    optimiser.register_step_post_hook(lambda o, args, kwargs: seen.append(p[2].item()))
    steps(optimiser, loss, 1)
    first.remove()
    steps(optimiser, loss, 1)
    assert len(seen) == 3 and seen[0] != seen[1] != seen[2]


@pytest.mark.parametrize("text", ROWS[sys.version_info.minor % 3 :: 3])
def test_optimiser_step_is_one_graph(text: str) -> None:
    (plain, a, loss), (compiled, b, other) = world(fw, text), world(fw, text)
    steps(a, loss, 4)
    steps(b, other, 4, compiled=True)
    same(arrays(compiled), arrays(plain), 1e-4)


@pytest.mark.parametrize("text", ["SGD(p, 0.1, momentum=0.9)", "Adam(p, 0.1)", "RMSprop(p, 0.1)", "Adagrad(p, 0.1)"])
def test_complex_parameters_are_pairs_of_numbers(text: str) -> None:
    torch = pytest.importorskip("torch")
    ends = []
    for lib in (torch, fw):
        p = [lib.nn.Parameter(lib.tensor([1 + 2j, -0.3 + 0.1j]))]
        optimiser = eval(f"lib.optim.{text}", {"lib": lib, "p": p})
        steps(optimiser, lambda p=p: ((p[0] - 1).abs() ** 2).sum(), 4)
        ends.append(p[0].detach().numpy())
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-5, atol=1e-6)
