"""Warnings that PyTorch gives and programs rely on: the same category and first words, at the user's line, eager and compiled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire

ROWS: dict[str, Callable[[Any], Any]] = {
    "scheduler first": lambda t: scheduled(t, "sos"),
    "scheduler only": lambda t: scheduled(t, "ss"),
    "optimiser first": lambda t: scheduled(t, "osos"),
    "optimiser without gradients first": lambda t: scheduled(t, "osos", False),
    "epoch given": lambda t: scheduled(t, "oe"),
    "softmax": lambda t: t.nn.functional.softmax(t.ones(2, 3)),
    "log_softmax": lambda t: t.nn.functional.log_softmax(t.ones(2, 3)),
    "softmin": lambda t: t.nn.functional.softmin(t.ones(2, 3)),
    "softmax with dim": lambda t: t.nn.functional.softmax(t.ones(2, 3), 1),
    "mse_loss of other sizes": lambda t: t.nn.functional.mse_loss(t.ones(2, 1), t.ones(2)),
    "tensor of a tensor": lambda t: t.tensor(t.ones(2)),
    "dropout of one layer": lambda t: t.nn.LSTM(2, 2, dropout=0.5),
    "var of one": lambda t: t.ones(1, 2).var(0),
    "var of one, corrected": lambda t: t.ones(1, 2).var(0, correction=0),
    "size_average": lambda t: t.nn.MSELoss(size_average=False),
    "reduce": lambda t: t.nn.functional.mse_loss(t.ones(2), t.ones(2), reduce=False),
    "kl_div by mean": lambda t: t.nn.functional.kl_div(t.zeros(2, 2), t.ones(2, 2)),
    "nothing to initialise": lambda t: t.nn.init.kaiming_uniform_(t.ones(0, 3)),
    "grid_sample": lambda t: t.nn.functional.grid_sample(t.ones(1, 1, 4, 4), t.zeros(1, 2, 2, 2)),
    "affine_grid": lambda t: t.nn.functional.affine_grid(t.ones(1, 2, 3), [1, 1, 2, 2]),
    "dropout2d of a matrix": lambda t: t.nn.functional.dropout2d(t.ones(2, 3)),
    "a read-only array": lambda t: t.from_numpy(np.broadcast_to(np.ones(1), 3)),
}


def scheduled(t: Any, order: str, graded: bool = True) -> None:
    """Calls of an optimiser (o) and a scheduler (s; e: with an epoch) in this order."""
    w = t.nn.Parameter(t.ones(2))
    optimizer = t.optim.SGD([w], lr=0.1)
    scheduler = t.optim.lr_scheduler.StepLR(optimizer, 1)
    w.grad = t.ones(2) if graded else None
    for call in order:
        if call == "o":
            optimizer.step()
        else:
            scheduler.step(*([3] if call == "e" else []))


def heard(t: Any, name: str) -> list[tuple[str, str, str]]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        ROWS[name](t)
    return [(w.category.__name__, str(w.message)[:40], w.filename) for w in found]


@pytest.mark.parametrize("name", ROWS)
def test_as_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    mine, its = heard(fusewire, name), heard(torch, name)
    assert [m[:2] for m in mine] == [i[:2] for i in its]
    assert all(m[2] == __file__ for m in mine)


def test_a_compiled_step_counts_as_one() -> None:
    w = fusewire.nn.Parameter(fusewire.ones(2))
    optimizer = fusewire.optim.SGD([w], lr=0.1)
    scheduler = fusewire.optim.lr_scheduler.StepLR(optimizer, 1)

    @fusewire.compile
    def step() -> None:
        (w * w).sum().backward()
        optimizer.step()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step()
        scheduler.step()


def refusal(t: Any, call: Callable[[Any, Any, Any], Any]) -> tuple[str, str]:
    w = t.nn.Parameter(t.ones(2))
    w.grad = t.ones(2)
    with pytest.raises((AssertionError, RuntimeError)) as caught:
        call(t, t.amp.GradScaler("cpu"), w)
    return type(caught.value).__name__, str(caught.value)[:30]


REFUSED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a step of a scaler that has scaled nothing": lambda t, s, w: s.step(t.optim.SGD([w], 0.1)),
    "unscale_ before scale": lambda t, s, w: s.unscale_(t.optim.SGD([w], 0.1)),
    "update before scale": lambda t, s, w: s.update(),
    "fused and foreach": lambda t, s, w: t.optim.AdamW([w], fused=True, foreach=True),
    "fused and differentiable": lambda t, s, w: t.optim.SGD([w], 0.1, fused=True, differentiable=True),
    "a file in no folder": lambda t, s, w: t.save({}, "no such folder/x.pt"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    assert refusal(fusewire, REFUSED[name]) == refusal(torch, REFUSED[name])
