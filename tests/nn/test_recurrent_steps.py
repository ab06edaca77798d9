"""Recurrent layers, whose steps are one record: beside PyTorch, eager and compiled, gradients of gradients, lengths left open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.compiler import dispatcher_of

torch: Any = pytest.importorskip("torch", reason="PyTorch is the oracle")
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {"batch_first": True}), "lstm, both ways, two layers": ("LSTM", {"bidirectional": True, "num_layers": 2}),
    "lstm, no bias": ("LSTM", {"bias": False}), "gru": ("GRU", {"batch_first": True}),
    "gru, both ways, no bias": ("GRU", {"bidirectional": True, "bias": False}), "rnn": ("RNN", {}),
    "rnn, relu": ("RNN", {"nonlinearity": "relu", "batch_first": True}),
}  # fmt: skip


def made(name: str, library: Any, weights: Any = None) -> Any:
    kind, options = LAYERS[name]
    layer = getattr(library.nn, kind)(5, 7, **options)
    if weights is not None:
        layer.load_state_dict({k: fw.from_numpy(v.numpy().copy()) for k, v in weights.items()})
    return layer


def results(library: Any, layer: Any, run: Any, x: np.ndarray[Any, Any], second: bool) -> list[Any]:
    """Output, last states, gradients of all; with `second` those of the gradients' squares, too."""
    t = library.from_numpy(x.copy()).requires_grad_()
    out, last = run(t)
    states = list(last) if isinstance(last, tuple) else [last]
    wrt = [t, *layer.parameters()]
    loss = (out * out).sum() + sum((s * 2).sin().sum() for s in states)
    grads = library.autograd.grad(loss, wrt, create_graph=second)
    found = [out, *states, *grads]
    if second:
        found += library.autograd.grad(sum((g * g).sum() for g in grads), wrt)
    return [v.detach().numpy() for v in found]


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", LAYERS)
def test_beside_pytorch(name: str, compiled: bool, second: bool) -> None:
    torch.manual_seed(0)
    theirs = made(name, torch)
    ours = made(name, fw, {k: v.detach() for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)
    want = results(torch, theirs, theirs, x, second)
    got = results(fw, ours, fw.compile(ours) if compiled else ours, x, second)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_lengths_share_a_graph_which_does_not_grow_with_them(kind: str) -> None:
    layer = getattr(fw.nn, kind)(3, 4, batch_first=True)
    run = fw.compile(lambda x: layer(x)[0], fullgraph=True)
    for steps in (300, 7, 5, 11):
        x = fw.randn(2, steps, 3)
        assert fw.allclose(run(x), layer(x)[0], atol=1e-5)
    assert len(dispatcher_of(run).variants) == 2


def test_many_sequences_on_several_threads_are_the_same_bits() -> None:
    layer = fw.nn.LSTM(8, 16)
    run = fw.compile(lambda x: layer(x)[0])
    x, found, before = fw.randn(9, 70, 8), [], fw.get_num_threads()
    for threads in (1, 2):
        fw.set_num_threads(threads)
        found.append(run(x).detach().numpy())
    fw.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_a_state_of_the_callers_and_no_steps() -> None:
    layer = fw.nn.GRU(3, 4)
    h = fw.randn(1, 2, 4)
    out, last = layer(fw.randn(5, 2, 3), h)
    assert out.shape == (5, 2, 4) and fw.equal(out[-1:], last)
    with pytest.raises(RuntimeError, match="hidden size"):
        layer(fw.randn(5, 2, 3), fw.randn(1, 3, 4))
