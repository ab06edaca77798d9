"""A GPT in ordinary PyTorch style: the same text runs in PyTorch, eagerly, and compiled, and computes the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw

VOCABULARY, WIDTH, HEADS, CONTEXT, LAYERS = 61, 32, 4, 24, 2


def gpt(lib: Any, dropout: float = 0.0) -> Any:
    """The model of `lib` (fusewire or PyTorch), its output tied to its token embedding."""
    nn, F = lib.nn, lib.nn.functional

    class Attention(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.dropout = nn.Dropout(dropout)

        def forward(self, x: Any) -> Any:
            batch, time, width = x.size()
            q, k, v = self.qkv(x).split(WIDTH, dim=2)
            q, k, v = (y.view(batch, time, HEADS, width // HEADS).transpose(1, 2) for y in (q, k, v))
            p = dropout if self.training else 0.0
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=p, is_causal=True)
            return self.dropout(self.out(y.transpose(1, 2).contiguous().view(batch, time, width)))

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.ln_1, self.ln_2, self.attention = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH), Attention()
            self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(approximate="tanh"), nn.Linear(4 * WIDTH, WIDTH),
                                     nn.Dropout(dropout))  # fmt: skip

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class GPT(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.transformer = nn.ModuleDict({
                "wte": nn.Embedding(VOCABULARY, WIDTH), "wpe": nn.Embedding(CONTEXT, WIDTH), "drop": nn.Dropout(dropout),
                "h": nn.ModuleList([Block() for _ in range(LAYERS)]), "ln_f": nn.LayerNorm(WIDTH),
            })  # fmt: skip
            self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
            self.transformer["wte"].weight = self.head.weight
            self.apply(self._init_weights)

        def _init_weights(self, module: Any) -> None:
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

        def forward(self, index: Any, targets: Any = None) -> Any:
            time = index.shape[1]
            t = self.transformer
            x = t["drop"](t["wte"](index) + t["wpe"](lib.arange(time)))
            for block in t["h"]:
                x = block(x)
            logits = self.head(t["ln_f"](x))
            if targets is None:
                return logits, None
            return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)

        @lib.no_grad()  # type: ignore[untyped-decorator]
        def generate(self, index: Any, count: int, temperature: float = 1.0, top_k: int | None = None) -> Any:
            for _ in range(count):
                logits, _ = self(index[:, -CONTEXT:])
                logits = logits[:, -1, :] / temperature
                if top_k is not None:
                    best, _ = lib.topk(logits, top_k)
                    logits[logits < best[:, [-1]]] = -float("inf")
                index = lib.cat((index, lib.multinomial(F.softmax(logits, dim=-1), num_samples=1)), dim=1)
            return index

        def optimiser(self, rate: float) -> Any:
            parameters = [p for p in self.parameters() if p.requires_grad]
            groups = [{"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
                      {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}]  # fmt: skip
            return lib.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95))

    return GPT()


def drawn(model: Any, lib: Any) -> Any:
    """`model` with weights that are the same in every library."""
    rng = np.random.default_rng(3)
    with lib.no_grad():
        for p in model.parameters():
            p.copy_(lib.tensor((0.2 * rng.standard_normal(tuple(p.shape)) + (p.dim() == 1)).astype(np.float32)))
    return model


def batch(seed: int, time: int = CONTEXT) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, VOCABULARY, (3, time + 1))
    targets = tokens[:, 1:].copy()
    targets[0, :4] = -1
    return tokens[:, :-1], targets


def train(lib: Any, run: Any, steps: int, dropout: float = 0.0) -> tuple[list[float], list[float], Any]:
    """(losses, norms of gradients, model) of a few steps."""
    model = drawn(gpt(lib, dropout), lib)
    optimiser = model.optimiser(1e-2)
    forward = run(lambda x, y: model(x, y)[1])
    losses, norms = [], []
    for i in range(steps):
        x, y = batch(i)
        optimiser.zero_grad(set_to_none=True)
        loss = forward(lib.tensor(x), lib.tensor(y))
        loss.backward()
        norms.append(float(lib.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
        optimiser.step()
        losses.append(loss.item())
    return losses, norms, model


def plain(f: Any) -> Any:
    return f


RUNS = {"eager": plain, "compiled": fw.compile}
each_run = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


@each_run
def test_training_is_pytorch_s(run: Any) -> None:
    torch = pytest.importorskip("torch")
    losses, norms, model = train(fw, run, 4)
    wanted, wanted_norms, other = train(torch, plain, 4)
    np.testing.assert_allclose(losses, wanted, rtol=2e-5)
    np.testing.assert_allclose(norms, wanted_norms, rtol=2e-4)
    for (name, a), (_, b) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        got, want = a.detach().numpy(), b.detach().numpy()
        if name.endswith("qkv.bias"):  # no softmax feels the bias of keys: its gradient is rounding, which AdamW blows up
            got, want = (np.delete(x, slice(WIDTH, 2 * WIDTH)) for x in (got, want))
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4, err_msg=name)  # steps of 1e-3 whose signs rounding may turn


@each_run
def test_gradients_are_pytorch_s(run: Any) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = drawn(gpt(fw), fw), drawn(gpt(torch), torch)
    x, y = batch(5, 17)
    logits, loss = run(lambda x, y: ours(x, y))(fw.tensor(x), fw.tensor(y))
    its_logits, its_loss = theirs(torch.tensor(x), torch.tensor(y))
    np.testing.assert_allclose(logits.detach().numpy(), its_logits.detach().numpy(), rtol=1e-4, atol=1e-4)
    loss.backward()
    its_loss.backward()
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)


def test_dropout_trains_alike_eager_and_compiled() -> None:
    """One stream of random numbers: the same weights are dropped, forward and backward."""
    results = []
    for run in RUNS.values():
        fw.manual_seed(17)
        results.append(train(fw, run, 3, dropout=0.1)[:2])
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=2e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=2e-4)


def test_generation_draws_the_same_tokens_eager_and_compiled() -> None:
    found = []
    for run in RUNS.values():
        model = drawn(gpt(fw), fw).eval()
        model.forward = run(model.forward)
        fw.manual_seed(23)
        found.append(model.generate(fw.zeros(2, 1, dtype=fw.int64), 12, top_k=9).numpy())
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0].shape == (2, 13) and len(set(found[0].flat)) > 3


def test_the_tied_weight_is_one_parameter() -> None:
    model = gpt(fw)
    assert model.transformer["wte"].weight is model.head.weight
    names = [n for n, _ in model.named_parameters()]
    assert "transformer.wte.weight" in names and "head.weight" not in names
    assert "head.weight" in model.state_dict()
