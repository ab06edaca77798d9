"""Layers of transformers against PyTorch's with the same weights: values and gradients, eager and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw

torch = pytest.importorskip("torch")

RUNS = {"eager": lambda f: f, "compiled": fw.compile}
each_run = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def pair(make: Any) -> tuple[Any, Any]:
    """The module in both libraries with the weights PyTorch drew."""
    torch.manual_seed(0)
    ours, theirs = make(fw.nn), make(torch.nn)
    ours.load_state_dict({k: fw.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return ours.eval(), theirs.eval()


def numbers(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def agree(run: Any, ours: Any, theirs: Any, arrays: list[Any], **masks: Any) -> Any:
    """Compares results and the gradients of inputs and parameters."""
    a, b = [fw.tensor(x).requires_grad_() for x in arrays], [torch.tensor(x).requires_grad_() for x in arrays]
    got = run(lambda *xs: ours(*xs, **{k: fw.tensor(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()}))(*a)
    want = theirs(*b, **{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()})
    first, its_first = (got[0], want[0]) if isinstance(got, tuple) else (got, want)
    np.testing.assert_allclose(first.detach().numpy(), its_first.detach().numpy(), rtol=1e-4, atol=1e-5)
    if isinstance(got, tuple):
        assert (got[1] is None) == (want[1] is None)
        if got[1] is not None:
            np.testing.assert_allclose(got[1].detach().numpy(), want[1].detach().numpy(), rtol=1e-4, atol=1e-5)
    (first * first).sum().backward()
    (its_first * its_first).sum().backward()
    for x, y in [*zip(a, b, strict=True), *zip(ours.parameters(), theirs.parameters(), strict=True)]:
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=2e-4, atol=4e-5)  # sums over all positions in float32


@each_run
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_multihead_attention(run: Any, need_weights: bool, batch_first: bool) -> None:
    ours, theirs = pair(lambda nn: nn.MultiheadAttention(24, 3, batch_first=batch_first))
    agree(run, ours, theirs, [numbers(i, 5, 5, 24) for i in range(3)], need_weights=need_weights)


@each_run
@pytest.mark.parametrize("kind", ["bool", "float", "heads"])
def test_masks(run: Any, kind: str) -> None:
    ours, theirs = pair(lambda nn: nn.MultiheadAttention(24, 3, batch_first=True))
    closed = np.triu(np.ones((6, 7), bool), 2)
    mask = {"bool": closed, "float": np.where(closed, -np.inf, 0.25).astype(np.float32), "heads": np.stack([closed] * 6)}[kind]
    padding = np.zeros((2, 7), bool)
    padding[1, 5:] = True
    given: dict[str, Any] = {"attn_mask": mask, "need_weights": False}
    if kind == "bool":
        given["key_padding_mask"] = padding
    agree(run, ours, theirs, [numbers(1, 2, 6, 24), numbers(2, 2, 7, 24), numbers(3, 2, 7, 24)], **given)


@each_run
def test_other_widths_of_key_and_value_and_no_batch(run: Any) -> None:
    ours, theirs = pair(lambda nn: nn.MultiheadAttention(24, 4, kdim=10, vdim=14, bias=False))
    agree(run, ours, theirs, [numbers(1, 5, 24), numbers(2, 7, 10), numbers(3, 7, 14)], average_attn_weights=False)


@each_run
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_layer(run: Any, norm_first: bool, activation: str) -> None:
    ours, theirs = pair(lambda nn: nn.TransformerEncoderLayer(24, 3, 48, activation=activation, norm_first=norm_first))
    theirs.train()  # PyTorch's other path for inference has no gradients
    for m in theirs.modules():
        if isinstance(m, torch.nn.Dropout):
            m.p = 0.0
    theirs.self_attn.dropout = 0.0
    causal = np.triu(np.ones((5, 5), bool), 1)
    agree(run, ours, theirs, [numbers(1, 5, 2, 24)], src_mask=causal, is_causal=True)


@each_run
def test_stacks(run: Any) -> None:
    def encoder(nn: Any) -> Any:
        return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True), 2, nn.LayerNorm(16),
                                     enable_nested_tensor=False)  # fmt: skip

    ours, theirs = pair(encoder)
    agree(run, ours, theirs.train(), [numbers(1, 2, 5, 16)])
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]

    def decoder(nn: Any) -> Any:
        return nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, 32, 0.0, batch_first=True), 2)

    ours, theirs = pair(decoder)
    mask = np.triu(np.full((5, 5), -np.inf, np.float32), 1)
    agree(run, ours, theirs.train(), [numbers(1, 2, 5, 16), numbers(2, 2, 7, 16)], tgt_mask=mask)


@each_run
def test_rms_norm(run: Any) -> None:
    ours, theirs = pair(lambda nn: nn.RMSNorm(20))
    agree(run, ours, theirs, [numbers(1, 3, 4, 20)])
    ours, theirs = pair(lambda nn: nn.RMSNorm((4, 20), eps=1e-3, elementwise_affine=False))
    agree(run, ours, theirs, [numbers(1, 3, 4, 20)])


@each_run
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_the_epsilon_of_rms_norm_is_that_of_the_dtype_computed_with(run: Any, name: str) -> None:
    """Small numbers tell: by default f32's epsilon serves the half types."""
    x = torch.full((4, 3), 1e-3, dtype=getattr(torch, name))
    want = torch.nn.functional.rms_norm(x, (3,)).double().numpy()
    ours = fw.tensor(x.double().numpy()).to(getattr(fw, name))
    got = run(lambda t: fw.nn.functional.rms_norm(t, (3,)))(ours)
    np.testing.assert_allclose(got.double().numpy(), want, rtol=1e-2)


@each_run
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy(run: Any, reduction: str, smoothing: float, weighted: bool, soft: bool) -> None:
    """Indices with ignored ones or probabilities, class weights, label smoothing: (N, C) and (N, C, d)."""
    for shape in ((9, 7), (4, 7, 3), (7,)):
        x = numbers(1, *shape)
        dim = 0 if len(shape) == 1 else 1
        index = np.random.default_rng(2).integers(0, 7, (*shape[:dim], *shape[dim + 1 :]))
        if len(shape) > 1:
            index[1] = -100
        target = np.exp(numbers(3, *shape)) / np.exp(numbers(3, *shape)).sum(dim, keepdims=True) if soft else index
        weight = np.linspace(0.5, 2, 7).astype(np.float32) if weighted else None
        a, b = fw.tensor(x).requires_grad_(), torch.tensor(x).requires_grad_()
        given = {"reduction": reduction, "label_smoothing": smoothing}
        got = run(lambda x, t, w, given=given: fw.nn.functional.cross_entropy(x, t, w, **given))(
            a, fw.tensor(target), None if weight is None else fw.tensor(weight))  # fmt: skip
        want = torch.nn.functional.cross_entropy(
            b, torch.tensor(target), None if weight is None else torch.tensor(weight), **given)  # fmt: skip
        np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-5, atol=1e-5)
        (got * 1.5).sum().backward()
        (want * 1.5).sum().backward()
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-5)
