"""Layers, losses and optimisers on a GPU beside the CPU: results, gradients, buffers, state; with --whole all rows of tests/nn."""

# ruff: noqa: E501
from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw

for _folder in ("support", "nn"):
    sys.path.insert(0, str(Path(__file__).parent.parent / _folder))
import fake_cuda  # noqa: E402
import layer_rows  # noqa: E402
import test_layers_beside_pytorch as layers  # noqa: E402
import test_optimisers_beside_pytorch as optimisers  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True) as driver:
        yield driver


def some(rows: list[Any], every: int, request: pytest.FixtureRequest) -> list[Any]:
    """A part of the rows; with --whole all."""
    return rows[:: 1 if request.config.getoption("--whole") else every]


def alike(found: list[Any], wanted: list[Any], what: str, strides: bool = True) -> None:
    assert len(found) == len(wanted), what
    for a, b in zip(found, wanted, strict=True):
        assert a.is_cuda and (a.shape, a.dtype) == (b.shape, b.dtype), what
        steps = [[s for s, n in zip(x.stride(), x.shape, strict=True) if n > 1] for x in (a, b)]
        assert not strides or steps[0] == steps[1], what
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-5, err_msg=what)


def of_layer(layer: Any, args: str, device: str, run: Any = None) -> list[Any]:
    """Outputs, gradients of inputs and parameters, and buffers."""
    given = {k: v.detach().to(device, copy=True).requires_grad_(v.requires_grad) for k, v in layers.tensors(fw).items()}
    fw.manual_seed(7)
    out = layers.flat((run or layer)(*eval(f"({args},)", {"nn": fw.nn, "t": fw}, given)))
    real = [o for o in out if o.requires_grad]
    if real:
        sum((o * o * 0.5 + o).sum() for o in real).backward()
    return [*out, *[t.grad for t in [*given.values(), *layer.parameters()] if t.grad is not None], *layer.buffers()]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_layers(compiled: bool, request: pytest.FixtureRequest) -> None:
    wrong = []
    for text, args in some([r for r in layer_rows.ROWS if r[1]], 29 if compiled else 17, request):
        layer = layers.built(fw, text)
        there = copy.deepcopy(layer).to("cuda")
        assert all(t.is_cuda for t in there.state_dict().values()) and repr(there) == repr(layer)
        try:
            alike(of_layer(there, args, "cuda", fw.compile(there) if compiled else None), of_layer(layer, args, "cpu"), text, not compiled)
        except Exception as error:
            if not request.config.getoption("--whole"):
                raise
            wrong.append(f"{text}: {type(error).__name__}: {str(error)[:300]}")
    assert not wrong, "\n".join([str(len(wrong)), *wrong])


def trained(text: str, device: str, steps: int = 3, compiled: bool = False) -> tuple[list[Any], Any]:
    rng = np.random.default_rng(3)
    p = [fw.nn.Parameter(fw.from_numpy(rng.standard_normal(s).astype(np.float32)).to(device)) for s in ((4, 3), (3,), ())]
    x = fw.from_numpy(rng.standard_normal((8, 4)).astype(np.float32)).to(device)
    optimiser = eval(f"lib.optim.{text}", {"lib": fw, "p": p})

    def loss() -> Any:
        optimiser.zero_grad()
        out = (((x @ p[0]).tanh() + p[1]) ** 2).mean() + (p[2] - 0.3) ** 2
        out.backward()
        return out

    def step() -> None:
        if text in optimisers.CLOSURES:
            optimiser.step(loss)
        else:
            loss()
            optimiser.step()

    run = fw.compile(step) if compiled else step
    for _ in range(steps):
        run()
    return p, optimiser


def flat(state: Any) -> list[Any]:
    if isinstance(state, dict):
        return [t for v in state.values() for t in flat(v)]
    return [t for v in state for t in flat(v)] if isinstance(state, (list, tuple)) else [state] if isinstance(state, fw.Tensor) else []


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_optimisers(compiled: bool, request: pytest.FixtureRequest) -> None:
    wrong = []
    rows = optimisers.ROWS if compiled else [*optimisers.ROWS, *optimisers.CLOSURES]
    for text in some(rows, 19 if compiled else 13, request):
        try:
            (there, one), (here, other) = trained(text, "cuda", compiled=compiled), trained(text, "cpu")
            alike([p.detach() for p in there], [p.detach() for p in here], text)
            for a, b in zip(flat(one.state_dict()), flat(other.state_dict()), strict=True):
                assert a.dtype is b.dtype and (a.is_cuda or not a.ndim), (text, a.device)
                np.testing.assert_allclose(a.cpu().numpy(), b.numpy(), rtol=1e-4, atol=1e-5, err_msg=text)
        except Exception as error:
            if not request.config.getoption("--whole"):
                raise
            wrong.append(f"{text}: {type(error).__name__}: {str(error)[:300]}")
    assert not wrong, "\n".join([str(len(wrong)), *wrong])
