"""Rarer continuous distributions: of heavy tails, of ratios, of angles, of matrices."""

from __future__ import annotations

import math
from typing import Any

from ..eager import linalg
from ..eager.functional import matmul
from ..eager.generated import where
from ..eager.mathematics import digamma, lgamma, mvlgamma
from ..eager.modes import no_grad
from ..eager.random import rand, randn
from ..eager.shaping import diag_embed
from . import constraints
from .base import Distribution, broadcast
from .continuous import Cauchy, Located, OneParameter, factor_of
from .gammas import Gamma, Shaped, standard_gamma


class HalfCauchy(OneParameter):
    """Magnitudes of Cauchy variables."""

    constraints = {"scale": "positive"}
    scale: Any

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        self._made_of("scale", scale, validate_args)

    def _whole(self) -> Cauchy:
        return Cauchy(self.scale * 0, self.scale, validate_args=False)

    @property
    def mean(self) -> Any:
        return self.scale * 0 + math.inf

    @property
    def mode(self) -> Any:
        return self.scale * 0

    @property
    def variance(self) -> Any:
        return self.scale * 0 + math.inf

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._whole().rsample(sample_shape).abs()

    def log_prob(self, value: Any) -> Any:
        found = self._whole().log_prob(self._checked(value)) + math.log(2)
        return where(value >= 0, found, -math.inf)

    def cdf(self, value: Any) -> Any:
        return self._whole().cdf(value) * 2 - 1

    def icdf(self, value: Any) -> Any:
        return self._whole().icdf((value + 1) / 2)

    def entropy(self) -> Any:
        return self._whole().entropy() - math.log(2)


class InverseGamma(Shaped):
    """1 over a gamma variable."""

    of_values = "positive"

    def _inverse(self) -> Gamma:
        return Gamma(self.concentration, self.rate, validate_args=False)

    @property
    def mean(self) -> Any:
        a = self.concentration
        return where(a > 1, self.rate / (a - 1), math.inf)

    @property
    def mode(self) -> Any:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Any:
        a = self.concentration
        return where(a > 2, self.rate**2 / ((a - 1) ** 2 * (a - 2)), math.inf)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._inverse().rsample(sample_shape).reciprocal()

    def log_prob(self, value: Any) -> Any:
        y = self._checked(value)
        return self._inverse().log_prob(y.reciprocal()) - y.log() * 2

    def cdf(self, value: Any) -> Any:
        return 1 - self._inverse().cdf(self._checked(value).reciprocal())

    def entropy(self) -> Any:
        a = self.concentration
        return a + self.rate.log() + lgamma(a) - (1 + a) * digamma(a)


class FisherSnedecor(Distribution):
    """The ratio of two chi-squared variables over their degrees of freedom."""

    has_rsample = True
    constraints = {"df1": "positive", "df2": "positive"}
    of_values = "positive"

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast(df1, df2)
        super().__init__(self.df1.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        b = where(self.df2 <= 2, math.nan, self.df2)
        return b / (b - 2)

    @property
    def mode(self) -> Any:
        found = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return where(self.df1 <= 2, math.nan, found)

    @property
    def variance(self) -> Any:
        b = where(self.df2 <= 4, math.nan, self.df2)
        return b**2 * 2 * (self.df1 + b - 2) / (self.df1 * (b - 2) ** 2 * (b - 4))

    def rsample(self, sample_shape: Any = ()) -> Any:
        one, two = (Gamma(d * 0.5, d).rsample(sample_shape) for d in (self.df1, self.df2))
        return one / two.clamp(min=1e-38)

    def log_prob(self, value: Any) -> Any:
        x, ratio = self._checked(value), self.df1 / self.df2
        a, b = self.df1 * 0.5, self.df2 * 0.5
        first = lgamma(a + b) - lgamma(a) - lgamma(b)
        return first + a * ratio.log() + (a - 1) * x.log() - (a + b) * (ratio * x).log1p()


class ContinuousBernoulli(OneParameter):
    """Numbers between 0 and 1 of density C ``probs**x (1 - probs)**(1 - x)`` (Loaiza-Ganem and Cunningham, 2019)."""

    constraints = {"probs": "unit interval"}
    of_values = "unit interval"
    probs: Any

    def __init__(
        self, probs: Any = None, logits: Any = None, lims: tuple[float, float] = (0.499, 0.501), validate_args: bool | None = None
    ) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        self.lims = lims
        self._made_of("probs", broadcast(logits)[0].sigmoid() if probs is None else probs, validate_args)

    @property
    def logits(self) -> Any:
        """log(p / (1 - p))."""
        p = self._inner()
        return p.log() - (-p).log1p()

    def _inner(self) -> Any:
        least = 2.0**-52 if self.probs.dtype.short == "f64" else 2.0**-23
        return self.probs.clamp(least, 1 - least)

    def _away(self) -> Any:
        """Where the probabilities are far enough from one half; and these, 0.499 elsewhere."""
        p = self._inner()
        far = (p <= self.lims[0]) | (p > self.lims[1])
        return far, where(far, p, self.lims[0])

    def _log_constant(self) -> Any:
        far, cut = self._away()
        exact = ((-cut).log1p() - cut.log()).abs().log() - where(cut <= 0.5, (cut * -2).log1p(), (cut * 2 - 1).abs().log())
        square = (self._inner() - 0.5) ** 2
        return where(far, exact, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * square) * square)

    @property
    def mean(self) -> Any:
        far, cut = self._away()
        exact = cut / (cut * 2 - 1) + 1 / ((-cut).log1p() - cut.log())
        x = self._inner() - 0.5
        return where(far, exact, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x**2) * x)

    @property
    def variance(self) -> Any:
        far, cut = self._away()
        exact = cut * (cut - 1) / (1 - cut * 2) ** 2 + 1 / ((-cut).log1p() - cut.log()) ** 2
        x = (self._inner() - 0.5) ** 2
        return where(far, exact, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended(sample_shape)
        return self.icdf(rand(shape, dtype=self.probs.dtype, device=self.probs.device))

    def icdf(self, value: Any) -> Any:
        far, cut = self._away()
        exact = ((-cut + value * (cut * 2 - 1)).log1p() - (-cut).log1p()) / (cut.log() - (-cut).log1p())
        return where(far, exact, value)

    def cdf(self, value: Any) -> Any:
        far, cut = self._away()
        exact = (cut**value * (1 - cut) ** (1 - value) + cut - 1) / (cut * 2 - 1)
        inside = where(far, exact, value)
        return where(value <= 0, 0.0, where(value >= 1, 1.0, inside))

    def log_prob(self, value: Any) -> Any:
        x, p = self._checked(value), self._inner()
        return x * p.log() + (1 - x) * (-p).log1p() + self._log_constant()

    def entropy(self) -> Any:
        p = self._inner()
        return self.mean * ((-p).log1p() - p.log()) - self._log_constant() - (-p).log1p()


class VonMises(Located):
    """Angles around `loc`, the closer the larger `concentration` is. Draws by rejection (Best and Fisher, 1979)."""

    constraints = {"loc": "real", "concentration": "positive"}

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast(loc, concentration)
        Distribution.__init__(self, self.loc.shape, (), validate_args)

    @property
    def variance(self) -> Any:
        from ..eager.special import i0e, i1e

        return 1 - i1e(self.concentration) / i0e(self.concentration)

    def log_prob(self, value: Any) -> Any:
        from ..eager.special import i0e

        k = self.concentration
        return k * ((self._checked(value) - self.loc).cos() - 1) - math.log(2 * math.pi) - i0e(k).log()

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            k = self.concentration.expand(self._extended(sample_shape)).double()
            tau = 1 + (k * k * 4 + 1).sqrt()
            rho = (tau - (tau * 2).sqrt()) / (k * 2)
            r = where(k < 1e-5, 1 / k + k, (rho * rho + 1) / (rho * 2))
            found, done = k * 0, k < 0
            while not bool(done.all()):
                u1, u2, u3 = (rand(k.shape, dtype=k.dtype, device=k.device) for _ in range(3))
                z = (u1 * math.pi).cos()
                f = (r * z + 1) / (r + z)
                c = k * (r - f)
                good = (c * (2 - c) - u2 > 0) | ((c / u2).log() + 1 - c >= 0)
                found = where(good & ~done, (u3 - 0.5).sign() * f.clamp(-1.0, 1.0).acos(), found)
                done = done | good
            return ((found + math.pi + self.loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)


class LowRankMultivariateNormal(Distribution):
    """Normal vectors whose covariance is ``cov_factor @ cov_factor.T + diag(cov_diag)``."""

    has_rsample = True

    def __init__(self, loc: Any, cov_factor: Any, cov_diag: Any, validate_args: bool | None = None) -> None:
        n = loc.shape[-1]
        if cov_factor.ndim < 2 or cov_factor.shape[-2] != n or cov_diag.shape[-1] != n:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {n} x m, cov_diag of vectors of {n}")
        batch = (loc[..., 0] + cov_factor[..., 0, 0] + cov_diag[..., 0]).shape
        self.loc, self.cov_diag = loc.expand((*batch, n)), cov_diag.expand((*batch, n))
        self.cov_factor = cov_factor.expand((*batch, n, cov_factor.shape[-1]))
        super().__init__(batch, (n,), validate_args)

    @property
    def mean(self) -> Any:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Any:
        return (self.cov_factor**2).sum(-1) + self.cov_diag

    @property
    def covariance_matrix(self) -> Any:
        """Covariances of the elements."""
        return matmul(self.cov_factor, self.cov_factor.mT) + diag_embed(self.cov_diag)

    @property
    def scale_tril(self) -> Any:
        """The Cholesky factor of the covariance matrix."""
        return linalg.cholesky(self.covariance_matrix)

    @property
    def precision_matrix(self) -> Any:
        """Inverse of the covariance matrix."""
        return linalg.inv(self.covariance_matrix)

    def _whole(self) -> Any:
        from .continuous import MultivariateNormal

        return MultivariateNormal(self.loc, scale_tril=self.scale_tril, validate_args=False)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended(sample_shape)
        wide = randn((*shape[:-1], self.cov_factor.shape[-1]), dtype=self.loc.dtype, device=self.loc.device)
        own = randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + matmul(self.cov_factor, wide.unsqueeze(-1)).squeeze(-1) + self.cov_diag.sqrt() * own

    def log_prob(self, value: Any) -> Any:
        return self._whole().log_prob(self._checked(value))

    def entropy(self) -> Any:
        return self._whole().entropy()


class Wishart(Distribution):
    """Sums of `df` outer products of normal vectors. Draws by Bartlett's decomposition."""

    has_rsample = True

    def __init__(
        self, df: Any, covariance_matrix: Any = None, precision_matrix: Any = None, scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        scale_tril = factor_of(covariance_matrix, precision_matrix, scale_tril)
        n = scale_tril.shape[-1]
        (held,) = broadcast(df) if hasattr(df, "meta") else (scale_tril[..., 0, 0] * 0 + df,)
        batch = (held + scale_tril[..., 0, 0]).shape
        self.df, self.scale_tril = held.expand(batch), scale_tril.expand((*batch, n, n))
        if bool((self.df <= n - 1).any()):
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        super().__init__(batch, (n, n), validate_args)

    @property
    def support(self) -> Any:
        """Positive definite matrices."""
        return constraints.positive_definite

    @property
    def covariance_matrix(self) -> Any:
        """Of the normal vectors."""
        return matmul(self.scale_tril, self.scale_tril.mT)

    @property
    def mean(self) -> Any:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Any:
        factor = self.df - self._event_shape[0] - 1
        return where(factor <= 0, math.nan, factor)[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Any:
        v = self.covariance_matrix
        d = linalg.diagonal(v)
        return self.df[..., None, None] * (v**2 + d.unsqueeze(-1) * d.unsqueeze(-2))

    def _low(self, value: Any) -> Any:
        n = self._event_shape[0]
        return mvlgamma(value / 2, n) if n > 1 else lgamma(value / 2)

    def rsample(self, sample_shape: Any = ()) -> Any:
        n, shape = self._event_shape[0], self._extended(sample_shape)
        steps = [self.df - i for i in range(n)]
        chi = [(Gamma(s * 0.5, 0.5).rsample(sample_shape)).sqrt() for s in steps]
        from ..eager.functional import stack

        lower = randn(shape, dtype=self.df.dtype, device=self.df.device).tril(-1) + diag_embed(stack(chi, -1))
        factor = matmul(self.scale_tril, lower)
        return matmul(factor, factor.mT)

    def log_prob(self, value: Any) -> Any:
        n = self._event_shape[0]
        half = linalg.diagonal(self.scale_tril).log().sum(-1)
        solved = linalg.diagonal(linalg.solve(self.covariance_matrix, value)).sum(-1)
        logdet = linalg.slogdet(value)[1]
        return (-self.df * (n * math.log(2.0) / 2 + half) - self._low(self.df) + (self.df - n - 1) / 2 * logdet - solved / 2)

    def entropy(self) -> Any:
        n = self._event_shape[0]
        half = linalg.diagonal(self.scale_tril).log().sum(-1)
        psi: Any = 0
        for i in range(n):
            psi = psi + digamma((self.df - i) / 2)
        size = (n + 1) * (n * math.log(2.0) / 2 + half) + self._low(self.df)
        return size - (self.df - n - 1) / 2 * psi + self.df * n / 2


class LKJCholesky(Distribution):
    """Cholesky factors of correlation matrices, of density proportional to the determinant to the power of `concentration` - 1.
    Draws by the onion method (Lewandowski, Kurowicka and Joe, 2009)."""

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    constraints = {"concentration": "positive"}

    @property
    def support(self) -> Any:
        """Cholesky factors of correlation matrices."""
        return constraints.corr_cholesky

    def sample(self, sample_shape: Any = ()) -> Any:
        from ..eager.functional import stack

        with no_grad():
            lead = self._extended(sample_shape)[:-2]
            c = self.concentration.expand(lead)
            rows = [stack([c * 0 + 1] + [c * 0] * (self.dim - 1), -1)]
            for i in range(1, self.dim):
                a, b = (standard_gamma(x) for x in (c * 0 + i / 2, c + (self.dim - 1 - i) / 2))
                y = a / (a + b)
                u = randn((*lead, i), dtype=c.dtype, device=c.device)
                u = u / (u * u).sum(-1, keepdim=True).sqrt()
                w = y.sqrt().unsqueeze(-1) * u
                rest = (1 - (w * w).sum(-1)).clamp(min=1e-38).sqrt()
                rows.append(stack([*w.unbind(-1), rest, *[c * 0] * (self.dim - 1 - i)], -1))
            return stack(rows, -2)

    def log_prob(self, value: Any) -> Any:
        from ..eager.creation import arange

        n = self.dim
        d = linalg.diagonal(value)[..., 1:]
        order = arange(2, n + 1, dtype=self.concentration.dtype, device=self.concentration.device)
        order = (self.concentration - 1).unsqueeze(-1) * 2 + n - order
        unnormalised = (order * d.log()).sum(-1)
        m = n - 1
        alpha = self.concentration + 0.5 * m
        below = lgamma(alpha) * m
        above = mvlgamma(alpha - 0.5, m) if m > 1 else lgamma(alpha - 0.5)
        return unnormalised - (0.5 * m * math.log(math.pi) + above - below)
