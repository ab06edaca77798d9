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


def with_a_break(x: "f32[64]"):
    """A file cannot be captured: the graph breaks at each use of it, Python runs that, and capture goes on behind it."""
    y = torch.sin(x) + 1.0
    with open(__file__) as file:
        lines = len(file.readlines())
    return y * lines
