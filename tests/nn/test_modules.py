"""Modules, optimisers and data loading: structure, state, hooks, and values against PyTorch."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import nn, optim
from fusewire.utils.data import DataLoader, Dataset, Subset, TensorDataset, random_split


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.tail = nn.Sequential(nn.ReLU(), nn.Linear(8, 2, bias=False))
        self.scale = nn.Parameter(fw.ones(2))
        self.register_buffer("count", fw.zeros(1, dtype=fw.int64))
        self.register_buffer("scratch", fw.zeros(3), persistent=False)
        self.extra = None

    def forward(self, x: fw.Tensor) -> fw.Tensor:
        return self.tail(self.first(x)) * self.scale


def test_tree_and_names() -> None:
    m = Block()
    assert [n for n, _ in m.named_parameters()] == ["scale", "first.weight", "first.bias", "tail.1.weight"]
    assert [n for n, _ in m.named_modules()] == ["", "first", "tail", "tail.0", "tail.1"]
    assert [n for n, _ in m.named_children()] == ["first", "tail"] and [n for n, _ in m.named_buffers()] == ["count", "scratch"]
    assert list(m.state_dict()) == ["scale", "count", "first.weight", "first.bias", "tail.1.weight"]
    assert m.get_submodule("tail.1") is m.tail[1] and m.get_parameter("first.bias") is m.first.bias
    m.tied = m.first
    assert len(list(m.parameters())) == 4 and "tied.weight" in m.state_dict()
    del m.tied
    assert not hasattr(m, "tied")


def test_attribute_rules() -> None:
    m = Block()
    m.scale = None
    assert m.scale is None and "scale" not in dict(m.named_parameters())
    m.scale = nn.Parameter(fw.zeros(2))
    with pytest.raises(TypeError, match="cannot assign 'Tensor' as parameter 'scale'"):
        m.scale = fw.ones(2)
    m.first = nn.Identity()
    m.first = None
    with pytest.raises(TypeError, match="as child module"):
        m.first = 3
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'nothing'"):
        m.nothing  # noqa: B018
    m.count = fw.ones(1, dtype=fw.int64)
    assert m.state_dict()["count"].item() == 1
    m.plain = 3
    m.plain = nn.Linear(1, 1)
    assert "plain" in m._modules and "plain" not in vars(m)

    class Late(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call"):
        Late()


def test_state_dict_round_trip_and_errors() -> None:
    a, b = Block(), Block()
    state = {k: v.clone() for k, v in a.state_dict().items()}
    assert repr(b.load_state_dict(state)) == "<All keys matched successfully>"
    x = fw.randn(3, 4)
    assert a(x).tolist() == b(x).tolist()
    state["odd"] = state.pop("scale")
    state["first.bias"] = fw.zeros(3)
    with pytest.raises(RuntimeError) as e:
        b.load_state_dict(state)
    text = str(e.value)
    assert text.startswith("Error(s) in loading state_dict for Block:\n\tMissing key(s) in state_dict: \"scale\". ")
    assert '\n\tUnexpected key(s) in state_dict: "odd". ' in text
    assert "size mismatch for first.bias: copying a param with shape" in text
    del state["first.bias"]
    result = b.load_state_dict(state, strict=False)
    assert result.missing_keys == ["scale", "first.bias"] and result.unexpected_keys == ["odd"]


def test_hooks() -> None:
    m, seen = nn.Linear(2, 2), []
    h1 = m.register_forward_pre_hook(lambda mod, args: (args[0] * 2,))
    h2 = m.register_forward_hook(lambda mod, args, out: seen.append(args[0].tolist()) or out + 1)
    x = fw.ones(1, 2)
    expected = nn.functional.linear(x * 2, m.weight, m.bias) + 1
    assert m(x).tolist() == expected.tolist() and seen == [[[2, 2]]]
    h1.remove()
    h2.remove()
    assert m(x).tolist() == nn.functional.linear(x, m.weight, m.bias).tolist()


def test_modes_conversion_and_copies() -> None:
    m = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    assert m.training and not m.eval()[1].training and m.train()[1].training
    x = fw.ones(200, 2)
    out = m[1](x)
    assert set(np.unique(out.numpy())) == {0.0, 2.0} and m.eval()[1](x) is x
    kept = m[0].weight
    m.double()
    assert m[0].weight is kept and kept.dtype is fw.float64 and m(x.double()).dtype is fw.float64
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert other[0].weight is not kept and other[0].weight.tolist() == kept.tolist()
        assert type(other[0].weight) is nn.Parameter and other[0].weight.requires_grad
    m.requires_grad_(False)
    assert not any(p.requires_grad for p in m.parameters())
    names = []
    m.apply(lambda mod: names.append(type(mod).__name__))
    assert names == ["Linear", "Dropout", "Sequential"]


def test_text() -> None:
    assert repr(Block()) == (
        "Block(\n  (first): Linear(in_features=4, out_features=8, bias=True)\n  (tail): Sequential(\n    (0): ReLU()\n"
        "    (1): Linear(in_features=8, out_features=2, bias=False)\n  )\n)"
    )


def test_containers() -> None:
    s = nn.Sequential({"a": nn.Linear(1, 2), "b": nn.ReLU()})
    assert len(s) == 2 and s.a is s[0] and s[-1] is s.b and [type(m).__name__ for m in s[1:]] == ["ReLU"]
    items = nn.ModuleList([nn.Linear(1, 1) for _ in range(3)])
    items.append(nn.Identity())
    items.insert(0, nn.ReLU())
    assert len(items) == 5 and isinstance(items[0], nn.ReLU) and isinstance(items[-1], nn.Identity) and len(items[1:3]) == 2
    table = nn.ModuleDict({"x": nn.ReLU()})
    assert "x" in table and isinstance(table["x"], nn.ReLU) and list(table.keys()) == ["x"]


def test_loader() -> None:
    data = TensorDataset(fw.arange(10).float(), fw.arange(10))
    batches = list(DataLoader(data, batch_size=4))
    assert [b[0].shape for b in batches] == [(4,), (4,), (2,)] and len(DataLoader(data, 4, drop_last=True)) == 2
    order = [x for _, y in DataLoader(data, 3, shuffle=True, generator=fw.Generator().manual_seed(1)) for x in y.tolist()]
    again = [x for _, y in DataLoader(data, 3, shuffle=True, generator=fw.Generator().manual_seed(1)) for x in y.tolist()]
    assert order == again and sorted(order) == list(range(10)) and order != sorted(order)
    a, b = random_split(data, [0.7, 0.3], fw.Generator().manual_seed(0))
    assert sorted(a.indices + b.indices) == list(range(10)) and len(a) == 7
    assert Subset(data, [3, 1])[0][1].item() == 3

    class Words(Dataset):
        def __getitem__(self, i: int) -> dict[str, Any]:
            return {"n": i, "f": i / 2, "a": np.full(2, i, np.float32), "s": str(i), "p": (i, [i])}

        def __len__(self) -> int:
            return 3

    (batch,) = DataLoader(Words(), batch_size=3)
    assert batch["n"].tolist() == [0, 1, 2] and batch["f"].dtype is fw.float64 and batch["a"].shape == (3, 2)
    assert batch["s"] == ["0", "1", "2"] and batch["p"][1][0].tolist() == [0, 1, 2]


OPTIMISERS = [
    ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}), ("SGD", {"lr": 0.1, "momentum": 0.5, "dampening": 0.2}),
    ("Adam", {"lr": 0.05}), ("Adam", {"lr": 0.05, "weight_decay": 0.1, "betas": (0.8, 0.9), "amsgrad": True}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1}), ("Adam", {"lr": 0.05, "maximize": True}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), OPTIMISERS)
def test_trajectories(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")
    rng = np.random.default_rng(0)
    weights, x, y = rng.normal(size=(3, 2)), rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    results = []
    for m in (fw, torch):
        w = m.nn.Parameter(m.tensor(weights))
        unused = m.nn.Parameter(m.tensor(weights))
        opt = getattr(m.optim, name)([{"params": [w]}, {"params": [unused], "lr": 1.0}], **options)
        losses = []
        for step in range(6):
            opt.zero_grad()
            loss = ((m.tensor(x) @ w - m.tensor(y)) ** 2).mean()
            loss.backward()
            opt.step()
            losses.append(loss.item())
            if step == 3:
                fresh = getattr(m.optim, name)([{"params": [w]}, {"params": [unused]}], **options)
                fresh.load_state_dict(opt.state_dict())
                opt = fresh
        results.append((losses, w.detach().numpy(), unused.detach().numpy(), opt.state_dict()))
    mine, theirs = results
    np.testing.assert_allclose(mine[0], theirs[0], 1e-6)
    np.testing.assert_allclose(mine[1], theirs[1], 1e-6)
    np.testing.assert_array_equal(mine[2], theirs[2])
    assert set(mine[3]["state"]) == set(theirs[3]["state"])
    for key, state in theirs[3]["state"].items():
        assert set(state) == set(mine[3]["state"][key])


def test_layers_and_state_keys_against_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")

    def build(m: Any) -> Any:
        n = m.nn
        return n.Sequential(n.Flatten(), n.Linear(6, 8), n.LayerNorm(8), n.GELU(), n.Dropout(0.2), n.Linear(8, 5), n.Tanh(),
                            n.Sigmoid(), n.Softmax(dim=1), n.Identity(), n.ReLU(), n.SiLU())  # fmt: skip

    mine, theirs = build(fw).eval(), build(torch).eval()
    assert repr(mine) == repr(theirs) and list(mine.state_dict()) == list(theirs.state_dict())
    mine.load_state_dict({k: fw.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(mine(fw.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), 1e-5, 1e-6)
    target = np.array([0, 1, 2, 4])
    losses = [m.nn.CrossEntropyLoss()(net(m.tensor(x)), m.tensor(target)) for m, net in ((fw, mine), (torch, theirs))]
    for loss in losses:
        loss.backward()
    np.testing.assert_allclose(losses[0].item(), losses[1].item(), 1e-5)
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-4, 1e-6)


def test_initial_values_have_pytorchs_spread() -> None:
    fw.manual_seed(0)
    layer = nn.Linear(256, 300)
    bound = 1 / 16
    for p in (layer.weight, layer.bias):
        a = p.detach().numpy()
        assert abs(a).max() <= bound and abs(a).max() > 0.95 * bound and abs(a.std() - bound / 3**0.5) < 0.06 * bound
    w = nn.init.kaiming_normal_(fw.empty(200, 300), nonlinearity="relu").numpy()
    assert abs(w.std() - (2 / 300) ** 0.5) < 0.002
    assert nn.init.trunc_normal_(fw.empty(500), std=2.0).abs().max().item() <= 2


def test_mlp_learns() -> None:
    fw.manual_seed(3)
    net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    x = fw.randn(128, 2)
    y = (x[:, 0] * x[:, 1] > 0).long()
    opt = optim.Adam(net.parameters(), lr=0.02)
    for _ in range(150):
        opt.zero_grad()
        loss = nn.CrossEntropyLoss()(net(x), y)
        loss.backward()
        opt.step()
    assert (net(x).argmax(1) == y).float().mean().item() > 0.95


SCHEDULES = [("StepLR", (2, 0.5)), ("CosineAnnealingLR", (5, 0.01)), ("LambdaLR", (lambda epoch: 1 / (epoch + 1),))]


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES)
def test_learning_rates(name: str, arguments: tuple[Any, ...]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")
    rates = []
    for m in (fw, torch):
        opt = m.optim.SGD([m.nn.Parameter(m.ones(1))], lr=0.3)
        schedule = getattr(m.optim.lr_scheduler, name)(opt, *arguments)
        seen = []
        for _ in range(6):
            opt.step()
            schedule.step()
            seen.append(schedule.get_last_lr()[0])
        rates.append(seen)
    np.testing.assert_allclose(rates[0], rates[1], 1e-12)


def test_clipping() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")
    results = []
    for m in (fw, torch):
        a, b, idle = (m.nn.Parameter(m.ones(n)) for n in (2, 3, 1))
        ((a * 3).sum() + (b * b * 2).sum()).backward()
        total = m.nn.utils.clip_grad_norm_([a, b, idle], 1.5)
        first = a.grad.tolist() + b.grad.tolist() + [total.item()]
        m.nn.utils.clip_grad_value_([a, b, idle], 0.6)
        results.append(first + b.grad.tolist())
    np.testing.assert_allclose(results[0], results[1], 1e-6)
