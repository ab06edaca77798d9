"""Models and optimisers saved by PyTorch go on training here as they do there, and the other way round."""

from __future__ import annotations

import importlib
import importlib.util
import io
from typing import Any

import numpy as np
import pytest

import fusewire as fw

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with"
)


def normed(lib: Any) -> Any:
    return importlib.import_module(f"{lib.__name__}.nn.utils.parametrizations").weight_norm(lib.nn.Linear(6, 4))


MODELS: dict[str, Any] = {
    "batch norm": lambda nn, lib: nn.Sequential(
        nn.Conv2d(2, 3, 2, bias=False), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 2)
    ),
    "instance norm": lambda nn, lib: nn.Sequential(
        nn.Conv2d(2, 3, 2), nn.InstanceNorm2d(3, affine=True, track_running_stats=True)
    ),
    "lstm": lambda nn, lib: nn.LSTM(4, 3, 2, bidirectional=True),
    "gru": lambda nn, lib: nn.GRU(4, 3, 2, batch_first=True),
    "attention": lambda nn, lib: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0), 2, enable_nested_tensor=False),
    "weight norm": lambda nn, lib: nn.Sequential(normed(lib), nn.Tanh(), nn.Linear(4, 2)),
    "lists": lambda nn, lib: nn.Sequential(nn.Bilinear(6, 6, 3), nn.PReLU(3), nn.LayerNorm(3)),
}
OPTIMISERS = {
    "batch norm": "AdamW(p, 0.01, amsgrad=True)", "instance norm": "SGD(p, 0.05, momentum=0.9, nesterov=True)",
    "lstm": "RMSprop(p, 0.01, momentum=0.5, centered=True)", "gru": "Adam(p, 0.01)", "attention": "SGD(p, 0.1, momentum=0.9)",
    "weight norm": "Adagrad(p, 0.1)", "lists": "Adadelta(p, 1.0)",
}  # fmt: skip
INPUTS = {"batch norm": (4, 2, 4, 4), "instance norm": (4, 2, 4, 4), "lstm": (5, 3, 4), "gru": (3, 5, 4), "attention": (5, 3, 4),
          "weight norm": (5, 6), "lists": (5, 6)}  # fmt: skip


def made(lib: Any, kind: str) -> tuple[Any, Any]:
    lib.manual_seed(3)
    model = MODELS[kind](lib.nn, lib)
    return model, eval(f"o.{OPTIMISERS[kind]}", {"o": lib.optim, "p": model.parameters()})


def steps(lib: Any, kind: str, model: Any, optimiser: Any, start: int, count: int) -> None:
    for i in range(start, start + count):
        x = lib.from_numpy(np.random.default_rng(i).standard_normal(INPUTS[kind]).astype(np.float32))
        optimiser.zero_grad()
        out = model[0](x, x * 2) if kind == "lists" else model(x)
        out = model[1:](out) if kind == "lists" else out[0] if isinstance(out, tuple) else out
        (out * out).mean().backward()
        optimiser.step()


def tensors(model: Any, optimiser: Any) -> dict[str, Any]:
    state = {f"{n}.{k}": v for n, s in optimiser.state_dict()["state"].items() for k, v in s.items()}
    return {k: v.detach().numpy() for k, v in {**model.state_dict(), **state}.items() if hasattr(v, "detach")}


@pytest.mark.filterwarnings("ignore:RNN module weights are not part")
@pytest.mark.parametrize("first, second", [("torch", "fusewire"), ("fusewire", "torch")])
@pytest.mark.parametrize("kind", MODELS)
def test_training_goes_on_in_the_other_library(kind: str, first: str, second: str) -> None:
    a, b = importlib.import_module(first), importlib.import_module(second)
    model, optimiser = made(a, kind)
    steps(a, kind, model, optimiser, 0, 3)
    file = io.BytesIO()
    a.save({"model": model.state_dict(), "optimiser": optimiser.state_dict()}, file)
    file.seek(0)
    saved = b.load(file)
    other, follower = made(b, kind)
    assert str(other.load_state_dict(saved["model"])) == "<All keys matched successfully>"
    follower.load_state_dict(saved["optimiser"])
    steps(a, kind, model, optimiser, 3, 3)
    steps(b, kind, other, follower, 3, 3)
    ours, theirs = tensors(model, optimiser), tensors(other, follower)
    assert list(ours) == list(theirs)
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-4, atol=2e-5, err_msg=name)
    assert model.state_dict()._metadata == other.state_dict()._metadata


def test_versions_survive_files() -> None:
    import torch

    file = io.BytesIO()
    fw.save(fw.nn.BatchNorm1d(2).state_dict(), file)
    file.seek(0)
    assert torch.load(file)._metadata[""] == {"version": 2}
    file = io.BytesIO()
    torch.save(torch.nn.BatchNorm1d(2).state_dict(), file)
    file.seek(0)
    assert fw.load(file)._metadata[""] == {"version": 2}
