"""Draws of distributions: their moments, shapes, gradients through rsample, the same numbers from the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import distributions as D

N = 20000
A, B = fw.tensor([0.7, 2.0, 5.0]), fw.tensor([1.5, 0.4, 3.0])
MADE = {
    "Normal": lambda: D.Normal(A, B), "LogNormal": lambda: D.LogNormal(A * 0.1, B * 0.2), "Uniform": lambda: D.Uniform(A, A + B),
    "Exponential": lambda: D.Exponential(A), "Laplace": lambda: D.Laplace(A, B), "Gumbel": lambda: D.Gumbel(A, B),
    "HalfNormal": lambda: D.HalfNormal(B), "StudentT": lambda: D.StudentT(A + 6, B, A), "Bernoulli": lambda: D.Bernoulli(A / 6),
    "Geometric": lambda: D.Geometric(A / 6), "Binomial": lambda: D.Binomial(7, A / 6), "Poisson": lambda: D.Poisson(A),
    "OneHotCategorical": lambda: D.OneHotCategorical(A), "Gamma": lambda: D.Gamma(A, B), "Chi2": lambda: D.Chi2(A),
    "Beta": lambda: D.Beta(A, B), "Dirichlet": lambda: D.Dirichlet(A), "Independent": lambda: D.Independent(D.Normal(A, B), 1),
    "MultivariateNormal": lambda: D.MultivariateNormal(A, fw.tensor([[2.0, 0.5, 0], [0.5, 1.0, 0.2], [0, 0.2, 3.0]])),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_moments_and_shapes(name: str) -> None:
    fw.manual_seed(3)
    d = MADE[name]()
    draws = d.sample((N,))
    assert tuple(draws.shape) == (N, *d.batch_shape, *d.event_shape) and not draws.requires_grad
    spread = d.variance.numpy()
    np.testing.assert_allclose(draws.mean(0).numpy(), d.mean.numpy(), atol=5 * float(np.sqrt(spread.max() / N)))
    np.testing.assert_allclose(draws.var(0).numpy(), spread, rtol=0.25, atol=0.02)
    assert np.isfinite(d.log_prob(draws).numpy()).all()


def test_categorical_frequencies_and_shapes() -> None:
    fw.manual_seed(1)
    d = D.Categorical(fw.tensor([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]]))
    draws = d.sample((4, 3000))
    assert tuple(draws.shape) == (4, 3000, 2) and draws.dtype is fw.int64
    share = fw.nn.functional.one_hot(draws, 3).float().mean((0, 1)).numpy()
    np.testing.assert_allclose(share, [[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]], atol=0.02)


@pytest.mark.parametrize("name", [n for n, m in MADE.items() if m().has_rsample])
def test_gradients_pass_rsample(name: str) -> None:
    loc, scale = A.clone().requires_grad_(), B.clone().requires_grad_()
    made: Any = {
        "Normal": D.Normal, "LogNormal": D.LogNormal, "Uniform": lambda a, b: D.Uniform(a, a + b), "Laplace": D.Laplace,
        "Gumbel": D.Gumbel, "Exponential": lambda a, b: D.Exponential(a * b), "HalfNormal": lambda a, b: D.HalfNormal(a * b),
        "Independent": lambda a, b: D.Independent(D.Normal(a, b), 1),
        "MultivariateNormal": lambda a, b: D.MultivariateNormal(a, scale_tril=fw.diag(b)),
        "StudentT": lambda a, b: D.StudentT(a, a, b), "Gamma": D.Gamma, "Beta": D.Beta, "Chi2": lambda a, b: D.Chi2(a * b),
        "Dirichlet": lambda a, b: D.Dirichlet(a * b),
    }[name](loc, scale)  # fmt: skip
    made.rsample((5,)).sum().backward()
    assert all(x.grad is not None and np.isfinite(x.grad.numpy()).all() for x in (loc, scale))


def test_a_seed_gives_the_same_draws_eager_and_compiled() -> None:
    def step(x: Any) -> Any:
        d = D.Normal(x, 0.5)
        y = d.rsample((3,))
        return y, d.log_prob(y).sum(), D.Categorical(logits=x).entropy()

    fw.manual_seed(11)
    want = step(A)
    fw.manual_seed(11)
    for a, b in zip(fw.compile(step)(A), want, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def test_random_functions_take_a_generator() -> None:
    def drawn(seed: int) -> list[Any]:
        g = fw.Generator().manual_seed(seed)
        return [
            fw.rand(3, generator=g), fw.randn(2, generator=g), fw.randint(0, 9, (4,), generator=g), fw.randperm(5, generator=g),
            fw.bernoulli(fw.full((4,), 0.5), generator=g), fw.multinomial(fw.ones(6), 3, generator=g),
        ]  # fmt: skip

    for a, b in zip(drawn(5), drawn(5), strict=True):
        assert a.tolist() == b.tolist()
    assert drawn(5)[0].tolist() != drawn(6)[0].tolist()
    g = fw.Generator()
    state = g.manual_seed(9).get_state()
    first = fw.rand(4, generator=g).tolist()
    assert fw.rand(4, generator=g.set_state(state)).tolist() == first and g.initial_seed() == 9 and g.seed() == g.initial_seed()


def test_bernoulli_draws_by_its_operand_or_by_p() -> None:
    fw.manual_seed(2)
    assert abs(float(fw.full((4000,), 0.3).bernoulli().mean()) - 0.3) < 0.05
    assert abs(float(fw.bernoulli(fw.zeros(4000), 0.7).mean()) - 0.7) < 0.05
    with pytest.raises(RuntimeError, match="must be floating"):
        fw.bernoulli(fw.tensor([0, 1]))
    assert fw.seed() == fw.initial_seed()


def test_dropping_keeps_means_and_whole_channels() -> None:
    F = fw.nn.functional
    fw.manual_seed(0)
    x = fw.ones(200, 50)
    assert abs(float(F.alpha_dropout(fw.randn(400, 100), 0.3, True).mean())) < 0.02
    out = F.dropout1d(fw.ones(40, 30, 7), 0.4, True)
    assert ((out == 0).all(2) | (out != 0).all(2)).all() and abs(float(out.mean()) - 1) < 0.15
    assert set(F.feature_alpha_dropout(fw.ones(9, 8, 5), 0.5, True).std(2).flatten().tolist()) == {0.0}
    slopes = -F.rrelu(-x, training=True)
    assert float(slopes.min()) >= 0.125 - 1e-6 and float(slopes.max()) <= 1 / 3 + 1e-6
    soft = F.gumbel_softmax(fw.zeros(500, 4, requires_grad=True), hard=True)
    assert (soft.sum(1) - 1).abs().max() < 1e-5 and set(soft.detach().round().unique().tolist()) == {0.0, 1.0}
    soft[:, 0].sum().backward()
