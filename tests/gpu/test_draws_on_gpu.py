"""What draws random numbers on a GPU beside the CPU from the same seed: functions, layers, inits, distributions; eager and
compiled. What is made beside an operand lies where the operand lies, whatever the default device."""

# ruff: noqa: E501
from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
sys.path.insert(0, str(Path(__file__).parent.parent / "names"))
import distribution_rows as rows
import fake_cuda

pytestmark = pytest.mark.filterwarnings("ignore:.* runs on the host")

#: calls of `t` (fusewire, with data on the device at hand) and `x`, floats from 0.1 to 0.9 in (2, 3, 4, 6)
FUNCTIONS = [
    "t.rand(3, 5, device=x.device)", "t.rand((2, 0), device=x.device, dtype=t.float64)", "t.randn(3, 5, device=x.device, dtype=t.float16)",
    "t.randint(3, 9, (7,), device=x.device)", "t.randperm(11, device=x.device)", "t.rand_like(x)", "t.randn_like(x, dtype=t.float64)",
    "t.randint_like(x, 2, 9)", "t.randn(4, dtype=t.complex64, device=x.device)", "t.bernoulli(x)", "t.bernoulli(x, 0.3)", "t.poisson(x * 9)",
    "t.binomial(t.full((3,), 6.0), x[0, 0, 0, :3])", "t.multinomial(x[0, 0], 3)", "t.multinomial(x[0, 0], 9, replacement=True)",
    "t.normal(x, 0.5)", "t.normal(0.5, x)", "t.normal(x, x)", "t.normal(1.0, 2.0, (3, 4), device=x.device)",
    "x.clone().uniform_(-1, 2)", "x.clone().normal_(1, 2)", "x.clone().exponential_(2)", "x.clone().log_normal_()",
    "x.clone().geometric_(0.3)", "x.clone().cauchy_()", "x.clone().bernoulli_(0.4)", "x.clone().bernoulli_(x)", "x.clone().random_(2, 50)", "x.long().random_()",
    "x.mT.uniform_()", "x[:, ::2].normal_()", "F.dropout(x, 0.4)", "F.alpha_dropout(x, 0.4, True)", "F.feature_alpha_dropout(x, 0.4, True)",
    "F.dropout1d(x[0], 0.4)", "F.dropout2d(x, 0.4)", "F.dropout3d(x.unsqueeze(-1), 0.4)", "F.rrelu(x - 0.5, training=True)",
    "F.gumbel_softmax(x)", "F.gumbel_softmax(x, hard=True)", "F.fractional_max_pool2d(x, 2, output_ratio=0.6)",
    "F.fractional_max_pool3d(x, 2, output_size=(2, 2, 3))", "F.scaled_dot_product_attention(x, x, x, dropout_p=0.3)", "t.svd_lowrank(x[0, 0], 3)",
    "t.pca_lowrank(x[0, 0], 3)", "nn.Dropout(0.3)(x)", "nn.RReLU()(x - 0.5)",
    "nn.utils.prune.random_unstructured(nn.Linear(6, 4, device=x.device), 'weight', amount=0.4).weight",
    "nn.utils.prune.random_structured(nn.Linear(6, 4, device=x.device), 'weight', amount=2, dim=0).weight",
    *(f"nn.init.{call}" for call in (
        "uniform_(x)", "normal_(x)", "trunc_normal_(x, 0.5, 0.5, 0.1, 0.9)", "xavier_uniform_(x)", "xavier_normal_(x)", "kaiming_uniform_(x)",
        "kaiming_normal_(x)", "orthogonal_(x[0, 0])", "sparse_(x[0, 0], 0.5)", "dirac_(x)", "eye_(x[0, 0])", "constant_(x, 2.0)", "ones_(x)", "zeros_(x)")),
    "nn.Linear(3, 4, device=x.device).weight", "nn.Embedding(3, 4, device=x.device).weight", "nn.LSTM(3, 4, device=x.device).weight_ih_l0",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True) as driver:
        yield driver


class Beside:
    """fusewire, whose functions of data make tensors on `device`."""

    def __init__(self, device: str) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        found = getattr(fw, name)
        if name in ("tensor", "eye", "full"):
            return lambda *args, **options: found(*args, **options, device=self._device)
        return found


def scope_of(device: str) -> dict[str, Any]:
    x = fw.linspace(0.1, 0.9, 144).reshape(2, 3, 4, 6).to(device)
    return {"t": Beside(device), "D": fw.distributions, "nn": fw.nn, "F": fw.nn.functional, "x": x}


def drawn(text: str, device: str, scope: dict[str, Any] | None = None) -> Any:
    """What `text` gives after seed 3; an exception's type where it raises one that says it is not there."""
    scope = scope_of(device) if scope is None else scope
    fw.manual_seed(3)
    try:
        return eval(text, scope)
    except (NotImplementedError, AttributeError) as error:
        return type(error)


def same(found: Any, wanted: Any, what: str, device: str = "cuda") -> None:
    if isinstance(wanted, (list, tuple)) and not isinstance(wanted, fw.Size):
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            same(a, b, what, device)
    elif isinstance(wanted, fw.Tensor):
        assert isinstance(found, fw.Tensor) and found.device.type == device, what
        kinds = [(x.shape, x.dtype, x.stride(), x.requires_grad) for x in (found, wanted)]
        assert kinds[0] == kinds[1], what
        values = [x.detach().cpu().numpy() for x in (found, wanted)]
        np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-6, err_msg=what)
    else:
        assert found == wanted or not isinstance(wanted, (type, bool, tuple)), what


@pytest.mark.parametrize("text", FUNCTIONS, ids=lambda text: text[:60])
def test_function(text: str) -> None:
    wanted = drawn(text, "cpu")
    assert not isinstance(wanted, type)
    same(drawn(text, "cuda"), wanted, text)
    with fw.device("cuda"):
        made = drawn(text, "cpu")
    if "device=" not in text:
        same(made, wanted, f"{text} with another default device", "cpu")


def of_distribution(made: str, value: str, texts: list[str], device: str) -> list[Any]:
    """Each of `texts` of the distribution or transform `d` at `v`, drawn from the same seed, and a gradient of it."""
    scope = scope_of(device)
    d, v = drawn(made, device, scope), drawn(value, device, scope)
    scope |= {"d": d, "v": v, "u": fw.tensor([0.3], dtype=fw.float64, device=device)}
    scope["v"] = scope["x"] = v.requires_grad_() if v.is_floating_point() else v
    out = []
    for text in texts:
        out.append(drawn(text, device, scope))
        if isinstance(out[-1], fw.Tensor) and out[-1].requires_grad:
            out += fw.autograd.grad(out[-1].sum(), v, allow_unused=True)
    return out


@pytest.mark.parametrize("default", ["cpu", "cuda"])
@pytest.mark.parametrize("kind", ["distributions", "transforms", "divergences"])
def test_distributions(kind: str, default: str, request: pytest.FixtureRequest) -> None:
    table = {
        "distributions": [(*row, [f"d.{look}" for look in (*rows.LOOKS, "sample((2,))", "rsample((2,))")]) for row in rows.ROWS],
        "transforms": [(*row, [f"d{look}" for look in rows.OF_TRANSFORM]) for row in rows.TRANSFORMS],
        "divergences": [(p, rows.P, [f"D.kl_divergence(d, {q})"]) for p, q in rows.DIVERGENCES],
    }[kind]
    for made, value, texts in table[:: 1 if request.config.getoption("--whole") else 3 if kind == "distributions" else 2]:
        wanted = of_distribution(made, value, texts, "cpu")
        with nullcontext() if default == "cpu" else fw.device(default):
            found = of_distribution(made, value, texts, "cuda" if default == "cpu" else "cpu")
        same(found, wanted, made, "cuda" if default == "cpu" else "cpu")


def test_compiled() -> None:
    def draws(x: Any) -> tuple[Any, ...]:
        D, F = fw.distributions, fw.nn.functional
        normal, gamma = D.Normal(x, 0.5), D.Gamma(x + 1, 2.0)
        return (
            fw.rand_like(x), fw.bernoulli(x), fw.multinomial(x, 2), F.dropout(x, 0.4), F.gumbel_softmax(x), fw.normal(x, 0.1), F.rrelu(x - 0.5, training=True),
            fw.randperm(5, device=x.device), x.clone().exponential_(), normal.rsample((2,)), normal.log_prob(x), gamma.rsample(), D.Categorical(x).sample((2,)),
            D.Binomial(4, x).sample(), D.MultivariateNormal(x[0], fw.diag(x[0])).rsample(),
        )  # fmt: skip

    x = fw.linspace(0.1, 0.9, 12).reshape(3, 4)
    fw.manual_seed(5)
    wanted = draws(x)
    fw.manual_seed(5)
    same(fw.compile(draws)(x.to("cuda")), wanted, "compiled")
