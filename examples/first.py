"""Ordinary tensor code to look into: ``fusewire dump examples/first.py:attention_weights --stage kernels``.

The annotations give example inputs to `fusewire dump` and `fusewire explain`; Python ignores them.
"""

import fusewire as torch
from fusewire import nn
from fusewire.nn import functional as F


def chain(x: "f32[64,128]", y: "f32[128]"):
    """Pointwise ops with broadcasting: one kernel."""
    return torch.tanh(x * y + 1.0) * torch.exp(-x * x)


def attention_weights(scores: "f32[64,128]", bias: "f32[128]"):
    """Pointwise fused into a softmax: one kernel, three passes over a row that stays in cache."""
    return F.softmax(scores * 0.125 + bias, dim=-1)


class MLP(nn.Module):
    """Two layers with a hook's worth of Python state."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 128), nn.Linear(128, 10)
        self.calls = 0

    def forward(self, x: "f32[32,64]"):
        self.calls += 1
        return self.second(F.relu(self.first(x)))


mlp = MLP()


def loss(x: "f32[32,64]", target: "i64[32]"):
    """A loss whose gradients flow into the module's parameters."""
    return F.cross_entropy(mlp(x), target)


def with_effects(x: "f32[64]", step: int = 3):
    """Text of a tensor's number, printed, and a check: one graph. ``--stage tail`` shows how each call prints."""
    total = torch.sin(x).sum()
    print(f"step {step}: {total.item():.3f}")
    assert total.isfinite()
    return x / total


def with_a_break(x: "f32[64]"):
    """What a file holds is needed at once, and reading may fail where handlers wait: Python does it, capture goes on behind."""
    y = torch.sin(x) + 1.0
    with open(__file__) as file:
        lines = len(file.readlines())
    return y * lines


optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)


def step(x: "f32[32,64]", target: "i64[32]"):
    """A whole training step: one graph with its gradients and the optimiser's update in it."""
    out = loss(x, target)
    out.backward()
    optimizer.step()
    optimizer.zero_grad()
    return out.detach()
