"""What the steps of a compiled transformer are: attention whole, no op by NumPy, and few kernels beside the products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import fusewire as fw
from fusewire import knobs, pipeline
from fusewire.ir.plan import ExternStep, KernelStep, RoutineStep
from fusewire.nn import functional as F


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The plans of what is compiled meanwhile."""
    seen: list[Any] = []
    monkeypatch.setattr(pipeline, "OBSERVERS", [lambda stages: seen.append(stages.plan)])
    with knobs.override(hot_ops=False):
        yield seen


def kinds(plan: Any) -> Counter[str]:
    """How many steps there are of each kind; routines by family. The parts of one kernel count as one."""
    found: Counter[str] = Counter()
    for step in plan.steps:
        if isinstance(step, RoutineStep):
            found[step.routine.split()[0]] += 1
        elif isinstance(step, KernelStep):
            found["kernel"] += not step.kernel.name.endswith(("_total", "_first"))
        else:
            found["numpy" if isinstance(step, ExternStep) else "product"] += 1
    return found


class Block(fw.nn.Module):
    def __init__(self, width: int = 64, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = fw.nn.LayerNorm(width), fw.nn.LayerNorm(width)
        self.qkv, self.out = fw.nn.Linear(width, 3 * width), fw.nn.Linear(width, width)
        self.up, self.down = fw.nn.Linear(width, 4 * width), fw.nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        batch, time, width = x.shape
        q, k, v = (y.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
                   for y in self.qkv(self.first(x)).split(width, dim=2))  # fmt: skip
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).contiguous().view(batch, time, width))
        return x + self.down(F.gelu(self.up(self.second(x))))


def test_a_block_of_a_gpt(plans: list[Any]) -> None:
    block = Block()
    x = fw.randn(2, 32, 64).requires_grad_()
    fw.compile(block)(x).sum().backward()
    forward, backward = map(kinds, plans)
    assert forward["attention"] == backward["attention"] == 1
    assert forward["numpy"] == backward["numpy"] == 0
    assert forward["product"] == 4 and backward["product"] == 8
    assert forward["kernel"] <= 6 and backward["kernel"] <= 9, (forward, backward)


def test_normalisations_and_losses(plans: list[Any]) -> None:
    """Forward one kernel; backward one for the input and one for the sums over rows."""
    targets = fw.randint(0, 50, (40,))
    cases: list[tuple[Any, list[Any], int]] = [
        (lambda x, w, b: F.layer_norm(x, (32,), w, b), [fw.randn(40, 32), fw.randn(32), fw.randn(32)], 2),
        (lambda x, w: F.rms_norm(x, (32,), w), [fw.randn(40, 32), fw.randn(32)], 2),
        (lambda x: F.cross_entropy(x, targets), [fw.randn(40, 50)], 1),
        (lambda x: F.gelu(x), [fw.randn(40, 50)], 1),
    ]
    for function, inputs, most in cases:
        plans.clear()
        for x in inputs:
            x.requires_grad_()
        out = fw.compile(function)(*inputs)
        (out * 0.5).sum().backward()
        forward, backward = map(kinds, plans)
        assert forward["kernel"] <= 1 and backward["kernel"] <= most, (forward, backward)


def on_gpu(plans: list[Any]) -> list[Counter[str]]:
    """The steps of the same graphs as a GPU has them; what it runs by templates with its direction."""
    from fusewire.backends.gpu.claims import CLAIMS

    graphs = list(plans)
    plans.clear()
    found = []
    for graph in graphs:
        steps = pipeline.stages(graph, CLAIMS).plan.steps
        whole = (s.routine.split() for s in steps if isinstance(s, RoutineStep))
        found.append(Counter(" ".join(name[: 1 + (name[0] == "attention")]) for name in whole))
        assert all(isinstance(s, (RoutineStep, KernelStep)) for s in steps)
    return found


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The graphs of what is compiled meanwhile."""
    seen: list[Any] = []
    monkeypatch.setattr(pipeline, "OBSERVERS", [lambda stages: seen.append(stages.graph)])
    with knobs.override(hot_ops=False):
        yield seen


CLOSED = fw.triu(fw.ones(16, 16, dtype=fw.bool), 1)
PADDING = fw.arange(16).expand(3, 16) > 12
MASKS = {
    "plain": {}, "causal": {"attn_mask": CLOSED, "is_causal": True}, "bool": {"attn_mask": CLOSED},
    "float": {"attn_mask": fw.ones(16, 16)}, "padding": {"key_padding_mask": PADDING},
    "both": {"key_padding_mask": PADDING, "attn_mask": CLOSED, "is_causal": True},
}  # fmt: skip


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
def test_layers_reach_the_gpus_attention(graphs: list[Any], masks: dict[str, Any], batch_first: bool) -> None:
    """With dropout: forward and backward are one template each beside two and four products."""
    layer = fw.nn.MultiheadAttention(32, 2, dropout=0.1, batch_first=batch_first)
    x = fw.randn(*((3, 16, 32) if batch_first else (16, 3, 32))).requires_grad_()
    fw.compile(lambda x: layer(x, x, x, need_weights=False, **masks)[0])(x).sum().backward()
    forward, backward = on_gpu(graphs)
    assert forward == {"attention forward": 1, "product": 2} and backward == {"attention backward": 1, "product": 4}


def test_decoder_layers_reach_it_twice(graphs: list[Any]) -> None:
    layer = fw.nn.TransformerDecoderLayer(32, 2, 64, batch_first=True)
    x, memory = (fw.randn(3, 16, 32).requires_grad_() for _ in range(2))
    out = fw.compile(lambda x, m: layer(x, m, tgt_mask=CLOSED, tgt_is_causal=True, memory_key_padding_mask=PADDING))(x, memory)
    out.sum().backward()
    forward, backward = on_gpu(graphs)
    assert forward == {"attention forward": 2, "product": 7} and backward == {"attention backward": 2, "product": 14}
