"""Distributions, transforms and divergences beside PyTorch: values, gradients of values, errors; draws by their moments."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire

sys.path.insert(0, str(Path(__file__).parent))
import distribution_rows as rows


def look(lib: Any, made: str, value: str, text: str) -> Any:
    """`text` of the distribution `d`; an exception's type where it raises."""
    scope = {"t": lib, "D": lib.distributions}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scope["d"] = eval(made, scope)
        scope["v"] = scope["x"] = eval(value, scope).requires_grad_() if "tensor([2, 0])" not in value else eval(value, scope)
        scope["u"] = lib.tensor([0.3], dtype=lib.float64)
        try:
            return scope["v"], eval(text, scope)
        except (NotImplementedError, AttributeError, ValueError, TypeError) as error:
            return scope["v"], type(error)


def same(ours: Any, theirs: Any, what: str, torch: Any) -> None:
    (x, a), (y, b) = ours, theirs
    if isinstance(b, torch.Tensor):
        assert isinstance(a, fusewire.Tensor), f"{what}: {a}"
        assert tuple(a.shape) == tuple(b.shape), f"{what}: {tuple(a.shape)}, not {tuple(b.shape)}"
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6, atol=1e-8, err_msg=what)
        if b.requires_grad and x.requires_grad and not what.endswith("support.check(v)"):
            theirs_grad = torch.autograd.grad(b.sum(), y, allow_unused=True)[0]
            if theirs_grad is not None and a.requires_grad:
                mine = fusewire.autograd.grad(a.sum(), x, allow_unused=True)[0]
                np.testing.assert_allclose(mine.numpy(), theirs_grad.numpy(), rtol=1e-5, atol=1e-7, err_msg=f"gradient of {what}")
    elif isinstance(b, type):
        assert isinstance(a, type) or what.rpartition(" ")[2] in MORE, f"{what}: {a}, not {b}"
    elif isinstance(b, (bool, tuple, torch.Size)):
        assert a == b, f"{what}: {a}, not {b}"


#: what ours answer where PyTorch's raise NotImplementedError
MORE = ("mode", "entropy()", "perplexity()", "stddev", "variance", "mean", "cdf(v)", "icdf(u)", "support.check(v)")


@pytest.mark.parametrize("made,value", rows.ROWS, ids=[r[0][:50] for r in rows.ROWS])
def test_distribution(made: str, value: str) -> None:
    torch = pytest.importorskip("torch")
    for text in rows.LOOKS:
        theirs = look(torch, made, value, f"d.{text}")
        same(look(fusewire, made, value, f"d.{text}"), theirs, f"{made} .{text}", torch)


@pytest.mark.parametrize("made,value", rows.TRANSFORMS, ids=[r[0][:50] for r in rows.TRANSFORMS])
def test_transform(made: str, value: str) -> None:
    torch = pytest.importorskip("torch")
    for text in rows.OF_TRANSFORM:
        same(look(fusewire, made, value, f"d{text}"), look(torch, made, value, f"d{text}"), f"{made} {text}", torch)


@pytest.mark.parametrize("p,q", rows.DIVERGENCES, ids=[f"{p[:16]} {q[:16]}" for p, q in rows.DIVERGENCES])
def test_divergence(p: str, q: str) -> None:
    torch = pytest.importorskip("torch")
    text = f"D.kl_divergence({p}, {q})"
    same(look(fusewire, p, rows.P, text), look(torch, p, rows.P, text), text, torch)


@pytest.mark.parametrize("made,value", rows.ROWS, ids=[r[0][:50] for r in rows.ROWS])
def test_draws_have_the_moments(made: str, value: str) -> None:
    fusewire.manual_seed(0)
    scope = {"t": fusewire, "D": fusewire.distributions}
    d = eval(made, scope)
    drawn = d.sample((4000,))
    assert tuple(drawn.shape) == (4000, *d.batch_shape, *d.event_shape) and not drawn.requires_grad
    if "Cauchy" in made or "LKJ" in made or "VonMises" in made:
        return
    try:
        mean, variance = d.mean, d.variance
    except NotImplementedError:
        return
    wide = (variance / 4000).sqrt() * 6 + 1e-6
    right = ((drawn.double().mean(0) - mean).abs() <= wide) | ~(mean.isfinite() & variance.isfinite())
    assert bool(right.all()), (drawn.double().mean(0), mean)


def test_gradients_of_gamma_draws() -> None:
    torch = pytest.importorskip("torch")
    from fusewire.distributions.gammas import gamma_gradient

    a, z = np.array([0.05, 0.4, 1.0, 2.5, 30.0, 200.0]), np.array([1e-4, 0.2, 1.3, 2.0, 33.0, 190.0])
    want = torch._standard_gamma_grad(torch.tensor(a), torch.tensor(z)).numpy()
    got = gamma_gradient(fusewire.tensor(a), fusewire.tensor(z)).numpy()
    np.testing.assert_allclose(got, want, rtol=2e-3)


def test_draws_carry_gradients() -> None:
    D = fusewire.distributions
    a = fusewire.tensor([1.5, 3.0], requires_grad=True)
    for d in (D.Gamma(a, 2.0), D.Beta(a, 2.0), D.Dirichlet(a), D.StudentT(a), D.InverseGamma(a, 1.0), D.FisherSnedecor(a, 4.0),
              D.Weibull(a, 1.0), D.Pareto(a, 2.0), D.RelaxedBernoulli(fusewire.tensor(0.5), logits=a)):  # fmt: skip
        (g,) = fusewire.autograd.grad(d.rsample((3,)).sum(), a)
        assert bool(g.isfinite().all()) and bool((g != 0).any()), d


def test_a_distribution_of_the_users_own() -> None:
    D = fusewire.distributions

    class Shifted(D.Distribution):
        arg_constraints = {"scale": D.constraints.positive}
        support = D.constraints.real

        def __init__(self, scale: Any) -> None:
            self.scale = scale
            super().__init__(scale.shape)

    assert tuple(Shifted(fusewire.ones(2)).batch_shape) == (2,)
    with pytest.raises(ValueError, match="scale"):
        Shifted(-fusewire.ones(2))
