"""Every optimiser beside PyTorch over several steps: parameters, state_dict, the printed form; then inside of @compile."""

from __future__ import annotations

import importlib.util
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
@pytest.mark.parametrize("text", ROWS)
def test_optimiser_is_pytorch_s(text: str) -> None:
    import torch

    (ours, a, loss), (theirs, b, their_loss) = world(fw, text), world(torch, text)
    steps(a, loss, 6)
    steps(b, their_loss, 6)
    same(arrays(ours), arrays(theirs))
    same(arrays(a.state_dict()), arrays(b.state_dict()))
    assert repr(a) == repr(b)
    b.load_state_dict(_torch(a.state_dict()))
    steps(a, loss, 2)
    steps(b, their_loss, 2)
    same(arrays(ours), arrays(theirs))


def _torch(x: Any) -> Any:
    import torch

    if isinstance(x, dict):
        return {k: _torch(v) for k, v in x.items()}
    return torch.from_numpy(x.detach().numpy().copy()) if isinstance(x, fw.Tensor) else x


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
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)
    assert found[0][2:] == found[1][2:]


def test_hooks_around_a_step() -> None:
    p, optimiser, loss = world(fw, "SGD(p, 0.5)")
    seen = []
    first = optimiser.register_step_pre_hook(lambda o, args, kwargs: seen.append(p[2].item()))
    optimiser.register_step_post_hook(lambda o, args, kwargs: seen.append(p[2].item()))
    steps(optimiser, loss, 1)
    first.remove()
    steps(optimiser, loss, 1)
    assert len(seen) == 3 and seen[0] != seen[1] != seen[2]


@pytest.mark.parametrize("text", ROWS)
def test_optimiser_step_is_one_graph(text: str) -> None:
    (plain, a, loss), (compiled, b, other) = world(fw, text), world(fw, text)
    steps(a, loss, 4)
    steps(b, other, 4, compiled=True)
    same(arrays(compiled), arrays(plain), 1e-4)
