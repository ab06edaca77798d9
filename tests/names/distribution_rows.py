"""Distributions that fusewire and PyTorch must answer alike: how one is made in `D` (either's), and values to look at."""

# ruff: noqa: E501
from __future__ import annotations

P = "t.tensor([0.7, 1.3, 2.5], dtype=t.float64)"
Q = "t.tensor([1.5, 0.4, 3.0], dtype=t.float64)"
U = "t.tensor([0.2, 0.55, 0.9], dtype=t.float64)"
R = "t.tensor([-0.3, 0.8, 1.7], dtype=t.float64)"
COV = "t.tensor([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 1.5]], dtype=t.float64)"
SHARES = "t.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]], dtype=t.float64)"
COUNTS = "t.tensor([0.0, 2.0, 5.0], dtype=t.float64)"

#: making, a value (None: only moments)
ROWS = [
    (f"D.Normal({R}, {P})", R), (f"D.LogNormal({R}, {P})", Q), (f"D.Uniform({R}, {R} + 2)", f"{R} + 0.5"),
    (f"D.Exponential({P})", Q), (f"D.Laplace({R}, {P})", Q), (f"D.Cauchy({R}, {P})", Q), (f"D.HalfNormal({P})", Q),
    (f"D.Gumbel({R}, {P})", Q), (f"D.StudentT({P} + 2, {R}, {Q})", Q), (f"D.Gamma({P}, {Q})", U), (f"D.Beta({P}, {Q})", U),
    (f"D.Chi2({P})", Q), (f"D.Dirichlet({SHARES} * 4)", SHARES), (f"D.HalfCauchy({P})", Q), (f"D.InverseGamma({P} + 2, {Q})", U),
    (f"D.FisherSnedecor({P} + 2, {Q} + 4)", U), (f"D.VonMises({R}, {P})", U), (f"D.ContinuousBernoulli({U})", "1 - " + U),
    ("D.ContinuousBernoulli(t.tensor([0.5, 0.4995], dtype=t.float64))", "t.tensor([0.3, 0.6], dtype=t.float64)"),
    (f"D.Pareto({P}, {Q} + 2)", f"{P} + 1"), (f"D.Weibull({P}, {Q})", U), (f"D.Kumaraswamy({P}, {Q})", U),
    (f"D.LogisticNormal({R}, {P})", "t.tensor([0.2, 0.3, 0.4, 0.1], dtype=t.float64)"),
    (f"D.LowRankMultivariateNormal({R}, {COV}[:, :2], {P})", Q), (f"D.MultivariateNormal({R}, {COV})", Q),
    (f"D.Wishart(t.tensor(5.0, dtype=t.float64), {COV})", f"{COV} * 2"), (f"D.Bernoulli({U})", "t.tensor([0., 1., 1.], dtype=t.float64)"),
    (f"D.Binomial(6, {U})", COUNTS), (f"D.Geometric({U})", COUNTS), (f"D.Poisson({P})", COUNTS),
    (f"D.NegativeBinomial({P} + 2, {U})", COUNTS), (f"D.NegativeBinomial(4.0, logits={R})", COUNTS),
    (f"D.Categorical({SHARES})", "t.tensor([2, 0])"), (f"D.OneHotCategorical({SHARES})", "t.eye(3, dtype=t.float64)[:2]"),
    (f"D.OneHotCategoricalStraightThrough({SHARES})", "t.eye(3, dtype=t.float64)[:2]"),
    (f"D.Multinomial(5, {SHARES})", "t.tensor([[1.0, 4, 0], [2, 2, 1]], dtype=t.float64)"),
    (f"D.RelaxedBernoulli({U}[0], {U})", "1 - " + U), (f"D.RelaxedOneHotCategorical({U}[0], {SHARES})", SHARES),
    (f"D.LKJCholesky(3, {P}[0])", "t.linalg.cholesky(t.tensor([[1, .3, .1], [.3, 1, -.2], [.1, -.2, 1]], dtype=t.float64))"),
    (f"D.MixtureSameFamily(D.Categorical({SHARES}), D.Normal(t.stack([{R}, {Q}]), t.stack([{P}, {Q}])))", "t.tensor([0.3, 1.2], dtype=t.float64)"),
    (f"D.MixtureSameFamily(D.Categorical({SHARES}[0]), D.Independent(D.Normal(t.stack([{R}, {Q}, {P}]), {P}), 1))", Q),
    (f"D.Independent(D.Normal({R}, {P}), 1)", Q),
    (f"D.TransformedDistribution(D.Normal({R}, {P}), [D.AffineTransform({P}, {Q}), D.SigmoidTransform()])", U),
    (f"D.TransformedDistribution(D.Normal({R}, {P}), D.TanhTransform())", f"{U} - 0.5"),
    (f"D.TransformedDistribution(D.Uniform({P} * 0, {P} * 0 + 1), [D.SigmoidTransform().inv, D.AffineTransform({R}, {Q})])", Q),
    (f"D.TransformedDistribution(D.Independent(D.Normal({R}, {P}), 1), D.StickBreakingTransform())", "t.tensor([0.2, 0.3, 0.4, 0.1], dtype=t.float64)"),
    (f"D.TransformedDistribution(D.Normal({R}, {P}), D.IndependentTransform(D.ExpTransform(), 1))", Q),
    (f"D.TransformedDistribution(D.Gamma({P}, {Q}), D.PowerTransform({Q}))", U),
]  # fmt: skip
LOOKS = ["mean", "variance", "stddev", "mode", "entropy()", "log_prob(v)", "cdf(v)", "icdf(u)", "batch_shape", "event_shape", "has_rsample",
         "expand((2, *d.batch_shape)).log_prob(v)", "support.check(v)", "support", "perplexity()", "enumerate_support()"]  # fmt: skip

#: transforms, and a value
TRANSFORMS = [
    ("D.ExpTransform()", R), (f"D.AffineTransform({R}, {Q})", R), ("D.SigmoidTransform()", R), ("D.TanhTransform()", R),
    ("D.SoftplusTransform()", R), (f"D.PowerTransform({Q})", P), ("D.StickBreakingTransform()", R),
    ("D.ComposeTransform([D.ExpTransform(), D.AffineTransform(1., -2.)])", R), ("D.ReshapeTransform((3,), (3, 1))", R),
    ("D.IndependentTransform(D.ExpTransform(), 1)", R), ("D.transform_to(D.constraints.positive)", R), ("D.biject_to(D.constraints.simplex)", R),
    ("D.biject_to(D.constraints.interval(-1., 3.))", R), ("D.biject_to(D.constraints.greater_than(2.))", R), ("D.biject_to(D.constraints.unit_interval)", R),
    ("D.CatTransform([D.ExpTransform(), D.TanhTransform()], 0, [1, 2])", R), ("D.StackTransform([D.ExpTransform(), D.TanhTransform(), D.SigmoidTransform()])", R),
]  # fmt: skip
OF_TRANSFORM = ["(x)", ".inv(d(x))", ".log_abs_det_jacobian(x, d(x))", ".inv.log_abs_det_jacobian(d(x), x)", ".forward_shape((3,))", ".bijective"]

#: pairs with a divergence
DIVERGENCES = [
    (f"D.Normal({R}, {P})", f"D.Normal({Q}, {P})"), (f"D.Gamma({P}, {Q})", f"D.Gamma({Q}, {P})"), (f"D.Beta({P}, {Q})", f"D.Beta({Q}, {P})"),
    (f"D.Cauchy({R}, {P})", f"D.Cauchy({Q}, {P})"), (f"D.HalfNormal({P})", f"D.HalfNormal({Q})"), (f"D.Gumbel({R}, {P})", f"D.Gumbel({Q}, {P})"),
    (f"D.LogNormal({R}, {P})", f"D.LogNormal({Q}, {P})"), (f"D.Pareto({P} + 1, {Q})", f"D.Pareto({P}, {Q} + 1)"), (f"D.Binomial(5, {U})", f"D.Binomial(5, 1 - {U})"),
    (f"D.Exponential({P})", f"D.Gamma({P}, {Q})"), (f"D.Exponential({P})", f"D.Normal({R}, {P})"), (f"D.Uniform({R}, {R} + 2)", f"D.Normal({R}, {P})"),
    (f"D.Normal({R}, {P})", f"D.Laplace({R}, {Q})"), (f"D.Laplace({R}, {P})", f"D.Normal({R}, {Q})"), (f"D.Gamma({P}, {Q})", f"D.Exponential({Q})"),
    (f"D.Normal({R}, {P})", f"D.Gumbel({R}, {Q})"), (f"D.Bernoulli({U})", f"D.Poisson({P})"), (f"D.Gamma({P}, {Q})", f"D.Normal({R}, {Q})"),
    (f"D.Uniform({P}, {P} + 1)", f"D.Exponential({Q})"), (f"D.Uniform({P}, {P} + 1)", f"D.Gamma({P}, {Q})"), (f"D.Beta({P}, {Q})", f"D.Normal({R}, {Q})"),
    (f"D.Beta({P}, {Q})", f"D.Uniform({P} * 0 - 1, {P} * 0 + 2)"), (f"D.Beta({P}, {Q})", f"D.Exponential({Q})"), (f"D.Beta({P}, {Q})", f"D.Gamma({P}, {Q})"),
    (f"D.Exponential({P})", f"D.Beta({P}, {Q})"), (f"D.LowRankMultivariateNormal({R}, {COV}[:, :2], {P})", f"D.MultivariateNormal({Q}, {COV})"),
    (f"D.MultivariateNormal({R}, {COV})", f"D.MultivariateNormal({Q}, {COV} * 2)"), (f"D.ContinuousBernoulli({U})", f"D.ContinuousBernoulli(1 - {U})"),
    (f"D.TransformedDistribution(D.Normal({R}, {P}), D.ExpTransform())", f"D.TransformedDistribution(D.Normal({Q}, {P}), D.ExpTransform())"),
    (f"D.Independent(D.Normal({R}, {P}), 1)", f"D.Independent(D.Normal({Q}, {P}), 1)"), (f"D.Dirichlet({SHARES} * 4)", f"D.Dirichlet({SHARES} + 1)"),
    (f"D.Chi2({P})", f"D.Gamma({P}, {Q})"), (f"D.Poisson({P})", f"D.Poisson({Q})"), (f"D.Geometric({U})", f"D.Geometric(1 - {U})"),
]  # fmt: skip
