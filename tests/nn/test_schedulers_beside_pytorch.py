"""Every scheduler beside PyTorch over twenty epochs: rates, momenta and what is saved."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

import fusewire as fw

ROWS = [
    "L.StepLR(o, 3, 0.5)", "L.MultiStepLR(o, [2, 5, 5, 9], 0.3)", "L.LambdaLR(o, lambda e: 0.9 ** e)",
    "L.LambdaLR(o, [lambda e: 0.9 ** e, lambda e: 1 / (e + 1)])", "L.MultiplicativeLR(o, lambda e: 0.95)",
    "L.ConstantLR(o, 0.5, 4)",
    "L.LinearLR(o, 0.25, 0.8, 6)", "L.ExponentialLR(o, 0.9)", "L.PolynomialLR(o, 7, 2.0)", "L.CosineAnnealingLR(o, 6, 0.01)",
    "L.CosineAnnealingWarmRestarts(o, 3, 2, 0.01)", "L.OneCycleLR(o, [0.5, 0.2], 25)",
    "L.OneCycleLR(o, 0.5, epochs=5, steps_per_epoch=5, three_phase=True, anneal_strategy='linear')",
    "L.CyclicLR(o, 0.01, 0.3, 3, 4)", "L.CyclicLR(o, 0.01, 0.3, 4, mode='triangular2')",
    "L.CyclicLR(o, 0.01, 0.3, 4, mode='exp_range', gamma=0.9, cycle_momentum=False)", "L.CosineAnnealingLR(o, 1)",
    "L.SequentialLR(o, [L.ConstantLR(o, 0.1, 2), L.ExponentialLR(o, 0.9), L.StepLR(o, 2)], [4, 9])",
    "L.ChainedScheduler([L.ConstantLR(o, 0.1, 3), L.ExponentialLR(o, 0.9)], o)",
    "L.ReduceLROnPlateau(o, patience=2, factor=0.5, cooldown=1)",
    "L.ReduceLROnPlateau(o, 'max', 0.2, 1, 0.1, 'abs', min_lr=0.01)",
]  # fmt: skip


def history(lib: Any, text: str, adam: bool) -> Any:
    p, q = (lib.nn.Parameter(lib.ones(2)) for _ in range(2))
    groups = [{"params": [p]}, {"params": [q], "lr": 0.05}]
    o = lib.optim.Adam(groups, 0.1) if adam else lib.optim.SGD(groups, 0.1, momentum=0.9)
    names = {"L": lib.optim.lr_scheduler, "o": o}
    scheduler = eval(text, names)
    rows = []
    for epoch in range(20):
        o.step()
        values = [1 / (epoch + 1) if epoch < 6 else 0.3] if "Plateau" in text else []
        rows.append([{k: v for k, v in g.items() if k != "params"} for g in o.param_groups])
        rows.append(list(scheduler.get_last_lr()))
        scheduler.step(*values)
        if epoch == 10:  # from here on by a fresh one of the same kind
            saved, kept = scheduler.state_dict(), [dict(g) for g in o.param_groups]
            rows.append(dict(saved))
            scheduler = eval(text, names)
            scheduler.load_state_dict(saved)
            for group, before in zip(o.param_groups, kept, strict=True):
                group.clear()
                group.update(before)
    return rows


def same(a: Any, b: Any) -> None:
    if isinstance(b, dict):
        assert list(a) == list(b)
        for k in b:
            same(a[k], b[k])
    elif isinstance(b, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == (pytest.approx(b, rel=1e-12, abs=1e-15) if isinstance(b, float) else b)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with")
@pytest.mark.parametrize("text", ROWS)
def test_scheduler_is_pytorch_s(text: str) -> None:
    import torch

    for adam in (False, True):
        same(history(fw, text, adam), history(torch, text, adam))
