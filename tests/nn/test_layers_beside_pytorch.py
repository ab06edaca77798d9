"""Every layer and loss beside PyTorch: values, gradients of inputs and parameters, state_dict keys and shapes, the printed
form; then inside of @compile, forward and backward as one graph. Rows are in `layer_rows.py`."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw

sys.path.insert(0, str(Path(__file__).parent))
from layer_rows import ROWS, inputs

pytestmark = [pytest.mark.filterwarnings(f"ignore:{text}") for text in (
    "Implicit dimension choice", "size_average and reduce", "reduction. 'mean' divides", "Note that order of the arguments",
    "dropout option adds", "Initializing zero-element", "LSTM with projections",
)]  # fmt: skip


def tensors(lib: Any) -> dict[str, Any]:
    make = lib.from_numpy
    return {k: make(v.copy()).requires_grad_(not k.endswith("_")) for k, v in inputs().items()}


def built(lib: Any, text: str) -> Any:
    lib.manual_seed(0)
    given = {k: v.detach() for k, v in tensors(lib).items()}
    return eval(f"nn.{text}", {"nn": lib.nn, "t": lib}, given)  # rows of this folder


def flat(out: Any) -> list[Any]:
    """The tensors of a result, however deep."""
    if isinstance(out, (tuple, list)):
        return [x for part in out for x in flat(part)]
    return [out] if hasattr(out, "shape") else []


def results(lib: Any, layer: Any, args: str, run: Any = None) -> list[np.ndarray[Any, Any]]:
    """Outputs, then gradients of the inputs and of the parameters, for the sum of squares of all outputs."""
    given = tensors(lib)
    out = flat((run or layer)(*eval(f"({args},)", {"nn": lib.nn, "t": lib}, given)))
    real = [o for o in out if o.requires_grad]
    if real:
        sum((o * o * 0.5 + o).sum() for o in real).backward()
    found = [o.detach().numpy() for o in out]
    for t in [*given.values(), *layer.parameters()]:
        if t.grad is not None:
            found.append(t.grad.numpy())
    return found


def close(ours: list[Any], theirs: list[Any], rtol: float = 2e-5) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with")
@pytest.mark.parametrize("text, args", ROWS, ids=[t for t, _ in ROWS])
def test_layer_is_pytorch_s(text: str, args: str) -> None:
    import torch

    ours, theirs = built(fw, text), built(torch, text)
    assert repr(ours) == re.sub(r"torch\.", "fusewire.", repr(theirs))
    state = theirs.state_dict()
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {k: tuple(v.shape) for k, v in state.items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict({k: fw.from_numpy(v.numpy().copy()) for k, v in state.items()})
    if args:
        close(results(fw, ours, args), results(torch, theirs, args))


#: rows that are more than one graph, and the code of the break; or whose backward graph has no machine code yet
APART = {
    "AdaptiveLogSoftmaxWithLoss(6, 8, [2, 5], 2.0, head_bias=True)": "data-size: how many targets lie in a cluster",
    "MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True)": "a view of what a pass laid otherwise",
}
APART |= {text: "new-leaf: rows are scaled in place first" for text, _ in ROWS if "max_norm" in text}
COMPILED = [(text, args) for text, args in ROWS if args and text not in APART]
#: a third of them on each Python
MINE = COMPILED[sys.version_info.minor % 3 :: 3]


@pytest.mark.parametrize("text, args", MINE, ids=[t for t, _ in MINE])
def test_layer_is_one_graph(text: str, args: str) -> None:
    layer = built(fw, text)
    plain = results(fw, layer, args)
    layer.zero_grad()
    close(results(fw, layer, args, fw.compile(layer, fullgraph=True)), plain, 1e-4)
