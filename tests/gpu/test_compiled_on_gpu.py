"""Compiled functions on GPU tensors: one launch for what fuses, gradients, training steps with the CPU's numbers, guards."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
import fusewire.nn.functional as F
from fusewire import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture(params=[pytest.param("at once", marks=pytest.mark.whole), "late"])
def fake(request: pytest.FixtureRequest) -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=request.param == "late") as driver:
        yield driver


def names(fake: fake_cuda.Fake, work: Any) -> list[str]:
    """The kernels that a piece of work launches."""
    before = len(fake.launches)
    work()
    return [name for name, _, _ in fake.launches[before:]]


def test_what_fuses_is_one_launch(fake: fake_cuda.Fake) -> None:
    @fw.compile(fullgraph=True)
    def f(x: Any, y: Any) -> Any:
        return (x * y + x).relu().sum(1)

    x, y = fw.randn(4, 8, device="cuda"), fw.randn(4, 8, device="cuda")
    wanted = f(x, y)
    assert wanted.is_cuda and len(names(fake, lambda: f(x, y))) == 1
    assert fw.allclose(wanted.cpu(), (x.cpu() * y.cpu() + x.cpu()).relu().sum(1))


def training(device: str, compiled: bool) -> list[float]:
    """The losses of five steps."""
    fw.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Dropout(0.2), nn.Linear(16, 4)).to(device)
    fw.manual_seed(1)
    optimizer = fw.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = fw.optim.lr_scheduler.StepLR(optimizer, 2)

    def step(x: Any, t: Any) -> Any:
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        return loss

    if compiled:
        step = fw.compile(step)
    return [step(fw.randn(n, 8, device=device), fw.randint(0, 4, (n,), device=device)).item() for n in (6, 6, 9, 5, 6)]


def test_training_steps_have_the_cpus_losses(fake: fake_cuda.Fake) -> None:
    wanted = training("cpu", False)
    for compiled in (False, True):
        assert training("cuda", compiled) == pytest.approx(wanted, rel=1e-5)


def test_gradients_views_and_writes(fake: fake_cuda.Fake) -> None:
    @fw.compile
    def f(x: Any, w: Any, memory: Any) -> Any:
        memory[1:] += x.sum()
        y = (x @ w).tanh()
        return y.t(), y[0], memory

    def run(device: str) -> list[Any]:
        fw.manual_seed(3)
        x, w = fw.randn(3, 4, device=device), fw.randn(4, 5, device=device, requires_grad=True)
        memory = fw.zeros(6, device=device)
        outs = []
        for _ in range(3):
            a, b, m = f(x, w, memory)
            assert m is memory
            (a.sum() + (b * b).sum()).backward()
            outs += [t.detach().cpu().clone(memory_format=fw.preserve_format) for t in (a, b, memory, w.grad)]
        return outs

    for found, wanted in zip(run("cuda"), run("cpu"), strict=True):
        assert found.stride() == wanted.stride()
        fw.testing.assert_close(found, wanted)


def test_a_device_is_guarded_and_open_sizes_serve(fake: fake_cuda.Fake) -> None:
    compiled = fw.compile(lambda x: x * 2.0)

    def all_sizes() -> None:
        for device in ("cpu", "cuda", "cuda", "cpu"):
            for n in (3, 7, 12, 30):
                out = compiled(fw.arange(n, device=device))
                assert out.device.type == device and out.tolist() == [2.0 * i for i in range(n)]

    all_sizes()
    built = fake_cuda.builder.current.built  # type: ignore[attr-defined]
    all_sizes()
    assert fake_cuda.builder.current.built == built  # type: ignore[attr-defined]


def test_tensors_of_two_devices(fake: fake_cuda.Fake) -> None:
    @fw.compile
    def f(x: Any, y: Any) -> Any:
        return x + y.to(x.device)

    @fw.compile
    def wrong(x: Any) -> Any:
        return x + fw.ones(3)

    x = fw.ones(3, device="cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert f(x, fw.ones(3)).tolist() == [2.0] * 3 and f(x, x).tolist() == [2.0] * 3
        with pytest.raises(fw.errors.DeviceError, match="cuda:0 and cpu"):
            wrong(x)
        assert wrong(fw.ones(3)).tolist() == [2.0] * 3


def test_random_numbers_in_a_graph_are_eagers(fake: fake_cuda.Fake) -> None:
    def f(x: Any) -> Any:
        return F.dropout(x, 0.5) + fw.rand(4, 5, device=x.device)

    fw.manual_seed(5)
    x = fw.ones(4, 5, device="cuda")
    wanted = [f(x).tolist() for _ in range(2)]
    fw.manual_seed(5)
    compiled = fw.compile(f, fullgraph=True)
    assert [compiled(x).tolist() for _ in range(2)] == wanted


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the compiler of GPU kernels, triton, is not installed")
def test_real_kernels_are_loaded_and_launched() -> None:
    with fake_cuda.installed(triton=True) as fake:
        x, w, b = fw.randn(64, 128, device="cuda"), fw.randn(128, 64, device="cuda"), fw.zeros(64, device="cuda")
        f = fw.compile(lambda x, w, b: F.softmax(F.relu(x @ w + b), -1), fullgraph=True)
        assert names(fake, lambda: f(x, w, b)) == ["product", "k_add_relu_softmax_over0"]


def test_a_graph_whose_sizes_data_decide(fake: fake_cuda.Fake) -> None:
    def f(x: Any) -> Any:
        found = (x * 2)[x > 1]
        return found.sin().sum() + found, found.nonzero()

    x = fw.arange(6.0)
    compiled = fw.compile(f, fullgraph=True)
    for n in (6, 4):
        for a, b in zip(compiled(x[:n].cuda()), f(x[:n]), strict=True):
            assert a.is_cuda and a.stride() == b.stride()
            np.testing.assert_allclose(a.cpu().numpy(), b.numpy(), rtol=1e-6)


MADE_INSIDE = {
    "eye": lambda x: fw.eye(3, device=x.device) * x, "hessian": fw.func.hessian(lambda x: (x * x).sin().sum()),
    "jacfwd": fw.func.jacfwd(lambda x: x.sin()), "vmap": fw.func.vmap(lambda x: fw.ones_like(x, device=x.device) + x),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE_INSIDE)
def test_what_is_made_beside_operands_is_in_the_graph(name: str) -> None:
    x = fw.linspace(0.0, 1.0, 9).reshape(3, 3)
    with fake_cuda.installed():
        found = fw.compile(MADE_INSIDE[name], fullgraph=True)(x.cuda())
        np.testing.assert_allclose(found.cpu().numpy(), MADE_INSIDE[name](x).numpy(), atol=1e-6)
