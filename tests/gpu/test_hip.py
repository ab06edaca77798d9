"""AMD's GPUs: programs on a driver without one, HIP's names instead of CUDA's; kernels compiled by Triton for gfx942."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire as torch

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "pointwise": lambda x: (x * 2 + 1).relu().exp(),
    "reduction": lambda x: x.sum(0) + x.amax(),
    "softmax": lambda x: x.softmax(-1),
    "product": lambda x: (x @ x.t()).tanh(),
    "views": lambda x: x.t()[1:].contiguous() - x[:, 1:].t(),
}


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(hip_runtime=True, lazy=True, count=2) as driver:
        yield driver


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(fake: fake_cuda.Fake, name: str) -> None:
    work = PROGRAMS[name]
    x = torch.randn(6, 6)
    wanted = work(x)
    assert torch.allclose(work(x.cuda()).cpu(), wanted, atol=1e-5)
    compiled: Any = torch.compile(work, fullgraph=True)
    assert torch.allclose(compiled(x.to("cuda:0")).cpu(), wanted, atol=1e-5)
    assert fake.launches and all(call.startswith("hip") for call in fake.calls)


def test_training_graphs_and_names(fake: fake_cuda.Fake) -> None:
    assert torch.version.hip and torch.version.cuda is None
    assert torch.cuda.get_device_properties(1).gcnArchName == "gfx942" and torch.cuda.get_device_properties().warp_size == 64
    assert torch.cuda.get_arch_list() == ["gfx942"] and not torch.cuda.is_tf32_supported()
    layer = torch.nn.Linear(4, 2, device="cuda")
    layer(torch.ones(3, 4, device="cuda")).square().sum().backward()
    assert layer.weight.grad.is_cuda and layer.weight.grad.device == torch.device("cuda", 0)
    x = torch.zeros(4, device="cuda")
    (x + 1).mul_(2)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = (x + 1) * 2
    x.fill_(3.0)
    graph.replay()
    assert y.tolist() == [8.0] * 4 and "hipGraphLaunch" in fake.calls
    assert x.to("cuda:1").cpu().tolist() == [3.0] * 4 and x.__dlpack_device__() == (10, 0)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_machine_code() -> None:
    with fake_cuda.installed(hip_runtime=True, triton=True) as fake:
        x = torch.randn(64, 64, device="cuda")
        for name in ("pointwise", "softmax", "product"):
            torch.compile(PROGRAMS[name], fullgraph=True)(x)
        torch.cuda.synchronize()
        assert {"product", "k_softmax"} <= {name for name, _, _ in fake.launches} and len(fake.launches) >= 3
