"""Models at 30 random sizes: two compiles, every result eager's, in inference and training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler
from fusewire.bench import zoo


def close(got: Any, want: Any) -> None:
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=2e-4, atol=2e-6)  # float32 sums of a few hundred products


def gradients(model: Any, loss: Any) -> list[Any]:
    loss.backward()
    found = [p.grad for p in model.parameters()]
    for p in model.parameters():
        p.grad = None
    return found


@pytest.mark.parametrize("training", [False, True])
def test_a_gpt_at_random_batches_and_lengths(training: bool) -> None:
    fw.manual_seed(1)
    model = zoo.gpt(fw, vocabulary=40, width=32, heads=4, layers=2, context=48)
    compiled, loss_of, rng = compiler.compile(model), zoo.token_loss(fw), np.random.default_rng(11)
    for _ in range(30):
        shape = int(rng.integers(1, 7)), int(rng.integers(1, 49))
        tokens, targets = (fw.from_numpy(rng.integers(0, 40, shape)) for _ in range(2))
        with fw.set_grad_enabled(training):
            got, want = loss_of(compiled, tokens, targets), loss_of(model, tokens, targets)
        close(got.detach(), want.detach())
        if training:
            for a, b in zip(gradients(model, got), gradients(model, want), strict=True):
                close(a, b)
    assert len(compiler.variants_of(compiled)) == 2


@pytest.mark.parametrize("training", [False, True])
def test_a_convolutional_model_at_random_batches(training: bool) -> None:
    fw.manual_seed(2)
    nn = fw.nn
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, stride=2), nn.Flatten(),
        nn.Linear(72, 10),
    ).train(training)  # fmt: skip
    compiled, rng = compiler.compile(model), np.random.default_rng(12)
    for _ in range(12):
        x = fw.from_numpy(rng.standard_normal((int(rng.integers(2, 20)), 1, 16, 16), np.float32))
        with fw.set_grad_enabled(training):
            got, want = compiled(x), model(x)
        close(got.detach(), want.detach())
        if training:
            for a, b in zip(gradients(model, (got * got).mean()), gradients(model, (want * want).mean()), strict=True):
                np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)
    assert len(compiler.variants_of(compiled)) == 2
