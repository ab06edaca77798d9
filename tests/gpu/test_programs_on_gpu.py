"""A program as users write it, on the CPU and on a GPU: layers, optimiser, indexing, writes, sorting, compiled functions."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import fusewire as torch
import fusewire.nn.functional as F
from fusewire import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


def program(device: str) -> list[float]:
    torch.manual_seed(0)
    net = nn.Sequential(  # no bias before the normalisation: its gradient is rounding errors, of which Adam makes whole steps
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
    ).to(device)
    embed, lstm = nn.Embedding(10, 8).to(device), nn.LSTM(8, 6, batch_first=True).to(device)
    attend = nn.MultiheadAttention(8, 2, batch_first=True).to(device)
    parameters = [p for m in (net, embed, lstm, attend) for p in m.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    found: list[float] = []
    for turn in range(2):
        torch.manual_seed(10 + turn)
        x, t = torch.randn(4, 1, 8, 8).to(device), torch.randint(0, 10, (4,)).to(device)
        e = embed(t.view(2, 2))
        loss = F.cross_entropy(net(x), t) + lstm(e)[0].pow(2).mean() + attend(e, e, e)[0].abs().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        found += [loss.item(), (net(x).argmax(1) == t).float().mean().item(), *functions(x, t, device)]
    compiled = torch.compile(lambda x, t: F.cross_entropy(net(x), t) + attend(embed(t), embed(t), embed(t))[0].sum())
    loss = compiled(x, t)
    loss.backward()
    found += [loss.item(), net[0].weight.grad.sum().item()]
    net.eval()
    with torch.inference_mode():
        found.append(net(x).sum().item())
    return found


def functions(x: Any, t: Any, device: str) -> list[float]:
    mask = x > 0.5
    y = torch.where(mask, x, torch.zeros_like(x))
    y[0] = 1.0
    y.masked_fill_(mask, 2.0)
    z = torch.einsum("bchw,bchw->b", x, y)
    counts = torch.zeros(10, device=device).scatter_add_(0, t, torch.ones(4, device=device))
    parts = [x[mask].sum(), x[:, :, ::2].max(), torch.cat([x, x], 0).mean(), torch.stack([x.mean(), x.std()]).sum(), z.sum(),
             z.topk(2)[0].sum(), F.one_hot(t, 10).sum(0).max(), counts.max(), torch.linalg.norm(x),
             x.cumsum(-1)[..., -1].sum()]  # fmt: skip
    return [p.item() for p in parts]


def test_a_whole_program() -> None:
    wanted = program("cpu")
    with warnings.catch_warnings(), fake_cuda.installed(lazy=True):
        warnings.simplefilter("ignore")  # sorting runs on the host
        found = program("cuda")
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
