"""Tensors on a GPU in eager programs, on a driver that runs kernels by their interpreter: at once, and as late as it may."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.backends.gpu import compile as compiling
from fusewire.errors import DeviceError

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture(params=["at once", "late"])
def fake(request: pytest.FixtureRequest) -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=request.param == "late") as driver:
        yield driver


def same(x: Any, wanted: Any) -> None:
    """Values, dtype, shape and strides of a tensor on the GPU and one of the CPU."""
    assert x.device == fw.device("cuda:0")
    assert (x.shape, x.dtype, x.stride()) == (wanted.shape, wanted.dtype, wanted.stride())
    np.testing.assert_allclose(x.detach().cpu().numpy(), wanted.detach().numpy(), rtol=1e-6)


def test_the_first_step(fake: fake_cuda.Fake) -> None:
    y = fw.ones(3, device="cuda") + 1
    same(y, fw.full((3,), 2.0))
    assert y.is_cuda and [name for name, _, _ in fake.launches] == ["k0_full", "k0_add"]


def test_gradients_are_the_cpus(fake: fake_cuda.Fake) -> None:
    def step(device: str) -> tuple[Any, ...]:
        fw.manual_seed(0)
        x, w = fw.randn(4, 8, device=device), fw.randn(8, 3, device=device, requires_grad=True)
        loss = (x @ w).relu().sum()
        loss.backward()
        return loss, w.grad

    for found, wanted in zip(step("cuda"), step("cpu"), strict=True):
        same(found, wanted)


def test_views_share_memory_and_run_no_kernel(fake: fake_cuda.Fake) -> None:
    x, y = fw.arange(12, device="cuda").reshape(3, 4), fw.arange(12).reshape(3, 4)
    before = len(fake.launches)
    views = [x[1:, ::2], x.t(), x[..., None].expand(3, 4, 2), x.view(2, 6)]
    assert len(fake.launches) == before
    views[0].add_(10)
    y[1:, ::2] += 10
    same(x, y)
    same(views[1], y.t())
    assert x._version == views[3]._version == 1


def test_another_device_is_refused_by_name(fake: fake_cuda.Fake) -> None:
    with pytest.raises(DeviceError, match=r"found at least two devices, cuda:0 and cpu! \(add: operand 0 f32\[3\] on cuda:0"):
        fw.ones(3, device="cuda") + fw.ones(3)
    same(fw.ones(3, device="cuda") * fw.tensor(2.0), fw.full((3,), 2.0))  # a 0-d tensor of the CPU comes along
    with pytest.raises(TypeError, match=r"can't convert cuda:0 device type tensor to numpy"):
        fw.ones(3, device="cuda").numpy()


def test_without_a_driver() -> None:
    with pytest.raises(DeviceError, match="there is no CUDA device: no CUDA driver"), fw.knobs.override(libcuda="libnone.so.1"):
        from fusewire.runtime.gpu import device

        device.forget()
        fw.ones(3, device="cuda")


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is not installed")
def test_templates_serve_eager_calls_with_as_many_sizes_open_as_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(build: Any, target: Any) -> tuple[bytes, dict[str, Any]]:
        return b"\x7fELF", {"name": build.name, "shared": 0, "num_warps": 4, "maps": []}

    monkeypatch.setattr(compiling, "machine_code", made)
    attend = fw.nn.functional.scaled_dot_product_attention
    with fake_cuda.installed(triton=True, run=False) as fake:
        for length in (100, 130):
            q, k, v = (fw.empty(2, 3, length, 16, device="cuda", dtype=fw.bfloat16, requires_grad=True) for _ in range(3))
            attend(q, k, v, is_causal=True).backward(fw.empty(2, 3, length, 16, device="cuda", dtype=fw.bfloat16))
        x, w = fw.empty(2, 4, 8, 8, device="cuda"), fw.empty(4, 4, 3, 3, device="cuda")
        fw.nn.functional.conv2d(x, w, padding=1)
        names = [name for name, _, _ in fake.launches]
        plans = [key[1][0].name for key, found in x._storage.recorder.generic.items() if found is not None]
    assert names[-1] == "product" and "attention" in names and not any(name.endswith("convolution") for name in names)
    assert plans.count("attention") == plans.count("attention_backward") == 1


def test_writes_with_a_history_into_a_detached_tensor_leave_the_others_without() -> None:
    with fake_cuda.installed():
        for device in ("cpu", "cuda"):
            x, w = fw.ones(4, 3, device=device), fw.ones(2, 3, device=device, requires_grad=True)
            apart = x.detach()
            part = apart[:2]
            part.mul_(w * 3)
            assert [t.requires_grad for t in (x, apart, part)] == [False, True, True] and x._version == 1
            apart.sum().backward()
            assert w.grad is not None and w.grad.tolist() == [[3.0] * 3] * 2 and x.tolist()[0] == [3.0] * 3
