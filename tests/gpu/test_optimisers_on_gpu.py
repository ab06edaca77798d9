"""Optimisers on parameters of a GPU: the CPU's numbers, one kernel a parameter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

OPTIMISERS = {
    "AdamW": {}, "Adam": {"amsgrad": True, "weight_decay": 0.1}, "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "RMSprop": {"momentum": 0.5, "centered": True}, "Adagrad": {"lr_decay": 0.1}, "NAdam": {}, "RAdam": {}, "Adamax": {},
    "Adadelta": {"maximize": True}, "ASGD": {}, "Rprop": {},
}  # fmt: skip


def parameters(device: str) -> list[fw.Tensor]:
    fw.manual_seed(0)
    made = [fw.randn(3, 5), fw.randn(7), fw.randn(()), fw.randn(2, 3, 4).transpose(0, 2), fw.randn(4, 4, dtype=fw.float64)]
    made.append(fw.zeros(0, 3))
    return [x.to(device).requires_grad_() for x in made]


def trained(name: str, device: str, steps: int = 4) -> tuple[list[fw.Tensor], list[Any]]:
    held = parameters(device)
    optimiser = getattr(fw.optim, name)(held, **OPTIMISERS[name])
    seen = []
    for turn in range(steps):
        for p in held:
            p.grad = fw.sin(p.detach() * (turn + 1.5))
        before = [p._version for p in held]
        optimiser.step()
        seen.append([p._version > b for p, b in zip(held, before, strict=True)])
    return held, seen


@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_are_the_cpus(name: str) -> None:
    wanted, counted = trained(name, "cpu")
    with fake_cuda.installed() as fake:
        trained(name, "cuda", 2)
        before = len(fake.launches)
        found, seen = trained(name, "cuda")
        for a, b in zip(found, wanted, strict=True):
            assert a.stride() == b.stride()
            fw.testing.assert_close(a.detach().cpu(), b.detach(), rtol=2e-6, atol=1e-7)
        assert seen == counted and len(fake.launches) > before


def test_one_launch_a_parameter() -> None:
    with fake_cuda.installed() as fake:
        held = parameters("cuda")
        optimiser = fw.optim.AdamW(held)
        counts = []
        for _ in range(5):
            for p in held:
                p.grad = fw.ones_like(p)
            before = len(fake.launches)
            optimiser.step()
            counts.append(len(fake.launches) - before)
        assert counts[1:] == [len(held) - 1] * 4  # the empty one has nothing to do


def test_a_step_that_fails_changes_nothing() -> None:
    with fake_cuda.installed():
        held = [fw.ones(3, device="cuda", requires_grad=True) for _ in range(2)]
        optimiser = fw.optim.SGD(held, lr=0.1)
        for p in held:
            p.grad = fw.ones_like(p)
        optimiser.step()
        optimiser.param_groups[0]["lr"] = "fast"
        with pytest.raises((TypeError, ValueError)):
            optimiser.step()
        assert [p.tolist() for p in held] == [[pytest.approx(0.9)] * 3] * 2


def test_gradients_of_another_layout_and_half_parameters_go_op_by_op() -> None:
    def run(device: str) -> list[Any]:
        fw.manual_seed(0)
        p, h = fw.randn(3, 4, device=device).requires_grad_(), fw.randn(5, device=device).half().requires_grad_()
        optimiser = fw.optim.SGD([p, h], lr=0.1, momentum=0.9)
        for _ in range(3):
            p.grad = fw.ones(4, 3, device=device).t() * p.detach()
            h.grad = h.detach() * 2
            optimiser.step()
        return [p.detach().cpu(), h.detach().cpu()]

    with fake_cuda.installed():
        for a, b in zip(run("cuda"), run("cpu"), strict=True):
            fw.testing.assert_close(a, b)


@pytest.mark.parametrize("make", [fw.optim.AdamW, fw.optim.NAdam, fw.optim.RMSprop])
def test_a_recorded_step_counts_at_each_replay(make: Any) -> None:
    with fake_cuda.installed():
        mine, other = (fw.ones(4, device="cuda", requires_grad=True) for _ in range(2))
        one, two = make([mine], 0.1, capturable=True), make([other], 0.1)
        for x, optimizer in ((mine, one), (other, two)):
            for k in range(3):
                x.grad = fw.full((4,), 1.0 + k, device="cuda")
                optimizer.step()
        graph = fw.cuda.CUDAGraph()
        with fw.cuda.graph(graph):
            one.step()
        for k in range(5):
            mine.grad.fill_(k - 2.0)
            other.grad.fill_(k - 2.0)
            graph.replay()
            two.step()
        np.testing.assert_allclose(mine.detach().cpu().numpy(), other.detach().cpu().numpy(), rtol=1e-6)
        assert float(one.state[mine]["step"]) == 8 == float(two.state[other]["step"])
        with pytest.raises(RuntimeError, match="capturable is False"), fw.cuda.graph(fw.cuda.CUDAGraph()):
            two.step()
