"""``distributions.transforms``: invertible functions that know how they stretch volumes, for `TransformedDistribution`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..eager import linalg
from ..eager.creation import arange
from ..eager.functional import stack
from ..eager.generated import cat, softplus
from ..eager.neural import softmax
from ..eager.shaping import diag_embed
from . import constraints
from .constraints import Constraint

__all__ = [
    "AbsTransform", "AffineTransform", "CatTransform", "ComposeTransform", "ExpTransform", "IndependentTransform",
    "LowerCholeskyTransform", "PowerTransform", "ReshapeTransform", "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform",
    "StackTransform", "StickBreakingTransform", "TanhTransform", "Transform", "identity_transform",
]  # fmt: skip


class Transform:
    """``t(x)``, ``t.inv(y)`` and ``t.log_abs_det_jacobian(x, y)``. A subclass gives `_call`, `_inverse`, and that."""

    bijective = False
    domain: Constraint = constraints.real
    codomain: Constraint = constraints.real

    def __init__(self, cache_size: int = 0) -> None:
        self._cache_size, self._inv = cache_size, None
        self._cached: tuple[Any, Any] = (None, None)

    @property
    def inv(self) -> Any:
        """The inverse transform."""
        if self._inv is None:
            self._inv = _Inverse(self)  # type: ignore[assignment]
        return self._inv

    @property
    def sign(self) -> Any:
        """1 where it rises, -1 where it falls."""
        raise NotImplementedError(f"{type(self).__name__} has no sign")

    def with_cache(self, cache_size: int = 1) -> Transform:
        """Self: caching changes no value."""
        self._cache_size = cache_size
        return self

    def __call__(self, x: Any) -> Any:
        if self._cache_size and self._cached[0] is x:
            return self._cached[1]
        y = self._call(x)
        if self._cache_size:
            self._cached = x, y
        return y

    def _inv_call(self, y: Any) -> Any:
        if self._cache_size and self._cached[1] is y:
            return self._cached[0]
        x = self._inverse(y)
        if self._cache_size:
            self._cached = x, y
        return x

    def _call(self, x: Any) -> Any:
        raise NotImplementedError

    def _inverse(self, y: Any) -> Any:
        raise NotImplementedError

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        """Logarithm of the factor by which volumes grow at `x`, whose image is `y`."""
        raise NotImplementedError

    def forward_shape(self, shape: Any) -> Any:
        """The shape of the image of a batch of this shape."""
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        """The shape of what has an image of this shape."""
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """Another transform backwards."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self._inv = transform  # type: ignore[assignment]
        self.bijective, self.domain, self.codomain = transform.bijective, transform.codomain, transform.domain

    @property
    def sign(self) -> Any:
        return self._inv.sign  # type: ignore[attr-defined]

    def __call__(self, x: Any) -> Any:
        return self._inv._inv_call(x)  # type: ignore[attr-defined]

    def _inv_call(self, y: Any) -> Any:
        return self._inv(y)  # type: ignore[misc]

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -self._inv.log_abs_det_jacobian(y, x)  # type: ignore[attr-defined]

    def forward_shape(self, shape: Any) -> Any:
        return self._inv.inverse_shape(shape)  # type: ignore[attr-defined]

    def inverse_shape(self, shape: Any) -> Any:
        return self._inv.forward_shape(shape)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"_InverseTransform({self._inv!r})"


class ComposeTransform(Transform):
    """Transforms one after the other."""

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = list(parts)
        self.bijective = all(p.bijective for p in self.parts)
        if self.parts:
            self.domain, self.codomain = _outer(self.parts, True), _outer(self.parts, False)

    @property
    def sign(self) -> Any:
        found: Any = 1
        for p in self.parts:
            found = found * p.sign
        return found

    def _call(self, x: Any) -> Any:
        for p in self.parts:
            x = p(x)
        return x

    def _inverse(self, y: Any) -> Any:
        for p in reversed(self.parts):
            y = p.inv(y)
        return y

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        if not self.parts:
            return x * 0
        total: Any = 0
        most = self.domain.event_dim
        for p in self.parts:
            image = p(x)
            most += p.codomain.event_dim - p.domain.event_dim if p.domain.event_dim > most else 0
            total = total + summed(p.log_abs_det_jacobian(x, image), max(most - p.domain.event_dim, 0))
            most += p.codomain.event_dim - p.domain.event_dim
            x = image
        return total

    def forward_shape(self, shape: Any) -> Any:
        for p in self.parts:
            shape = p.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        for p in reversed(self.parts):
            shape = p.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        return "ComposeTransform([\n    " + ",\n    ".join(map(repr, self.parts)) + "\n])"


def _outer(parts: list[Transform], first: bool) -> Constraint:
    """The domain of a chain (or its codomain), as a vector of as many dimensions as the widest of its parts asks for."""
    steps = [(p.domain, p.codomain) if first else (p.codomain, p.domain) for p in (parts if first else parts[::-1])]
    found, need = steps[0][0], steps[-1][1].event_dim
    for near, far in reversed(steps):
        need = max(need + near.event_dim - far.event_dim, near.event_dim)
    return constraints.independent(found, need - found.event_dim) if need > found.event_dim else found


def summed(x: Any, count: int) -> Any:
    """`x` summed over its last `count` dimensions."""
    return x.sum(tuple(range(-count, 0))) if count > 0 else x


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """Another transform, whose last batch dimensions count as one thing."""

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.base_transform, self.reinterpreted_batch_ndims = base_transform, reinterpreted_batch_ndims
        self.bijective = base_transform.bijective
        self.domain = constraints.independent(base_transform.domain, reinterpreted_batch_ndims)
        self.codomain = constraints.independent(base_transform.codomain, reinterpreted_batch_ndims)

    @property
    def sign(self) -> Any:
        return self.base_transform.sign

    def _call(self, x: Any) -> Any:
        return self.base_transform(x)

    def _inverse(self, y: Any) -> Any:
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return summed(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"IndependentTransform({self.base_transform!r}, {self.reinterpreted_batch_ndims})"


class ReshapeTransform(Transform):
    """The last dimensions in another shape."""

    bijective = True

    def __init__(self, in_shape: Any, out_shape: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise ValueError("in_shape, out_shape have different numbers of elements")
        self.domain = constraints.independent(constraints.real, len(self.in_shape))
        self.codomain = constraints.independent(constraints.real, len(self.out_shape))

    def _call(self, x: Any) -> Any:
        return x.reshape((*x.shape[: x.ndim - len(self.in_shape)], *self.out_shape))

    def _inverse(self, y: Any) -> Any:
        return y.reshape((*y.shape[: y.ndim - len(self.out_shape)], *self.in_shape))

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return summed(x * 0, len(self.in_shape))

    def forward_shape(self, shape: Any) -> Any:
        return (*tuple(shape)[: len(shape) - len(self.in_shape)], *self.out_shape)

    def inverse_shape(self, shape: Any) -> Any:
        return (*tuple(shape)[: len(shape) - len(self.out_shape)], *self.in_shape)


class ExpTransform(Transform):
    """exp(x)."""

    codomain = constraints.positive
    bijective, sign = True, 1  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExpTransform)

    def __hash__(self) -> int:
        return hash(ExpTransform)

    def _call(self, x: Any) -> Any:
        return x.exp()

    def _inverse(self, y: Any) -> Any:
        return y.log()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return x


class PowerTransform(Transform):
    """x ** exponent of positive numbers."""

    domain = codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.exponent = exponent

    @property
    def sign(self) -> Any:
        return self.exponent.sign() if hasattr(self.exponent, "meta") else math.copysign(1, self.exponent)

    def _call(self, x: Any) -> Any:
        return x**self.exponent

    def _inverse(self, y: Any) -> Any:
        return y ** (1 / self.exponent)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return (self.exponent * y / x).abs().log()


class SigmoidTransform(Transform):
    """1 / (1 + exp(-x))."""

    codomain = constraints.unit_interval
    bijective, sign = True, 1  # type: ignore[assignment]

    def _call(self, x: Any) -> Any:
        least = 2.0**-1022 if x.dtype.short == "f64" else 2.0**-126
        return x.sigmoid().clamp(least, 1 - (2.0**-52 if x.dtype.short == "f64" else 2.0**-23))

    def _inverse(self, y: Any) -> Any:
        least = 2.0**-1022 if y.dtype.short == "f64" else 2.0**-126
        y = y.clamp(least, 1 - (2.0**-52 if y.dtype.short == "f64" else 2.0**-23))
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -softplus(-x) - softplus(x)


class SoftplusTransform(Transform):
    """log(1 + exp(x))."""

    codomain = constraints.positive
    bijective, sign = True, 1  # type: ignore[assignment]

    def _call(self, x: Any) -> Any:
        return softplus(x)

    def _inverse(self, y: Any) -> Any:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -softplus(-x)


class TanhTransform(Transform):
    """tanh(x)."""

    codomain = constraints.interval(-1.0, 1.0)
    bijective, sign = True, 1  # type: ignore[assignment]

    def _call(self, x: Any) -> Any:
        return x.tanh()

    def _inverse(self, y: Any) -> Any:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return (math.log(2.0) - x - softplus(x * -2.0)) * 2.0


class AbsTransform(Transform):
    """|x|; the inverse takes the positive branch."""

    codomain = constraints.positive

    def _call(self, x: Any) -> Any:
        return x.abs()

    def _inverse(self, y: Any) -> Any:
        return y


class AffineTransform(Transform):
    """loc + scale * x."""

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim
        if event_dim:
            self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    @property
    def sign(self) -> Any:
        return self.scale.sign() if hasattr(self.scale, "meta") else (self.scale > 0) - (self.scale < 0)

    def _call(self, x: Any) -> Any:
        return self.loc + self.scale * x

    def _inverse(self, y: Any) -> Any:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        size = self.scale.abs().log() if hasattr(self.scale, "meta") else math.log(abs(self.scale))
        return summed(x * 0 + size, self.event_dim)

    def __repr__(self) -> str:
        return "AffineTransform()"


class SoftmaxTransform(Transform):
    """exp(x) over its sum; not invertible: the inverse takes logarithms."""

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x: Any) -> Any:
        return softmax(x, -1)

    def _inverse(self, y: Any) -> Any:
        return y.log()


class StickBreakingTransform(Transform):
    """Vectors of n numbers to n + 1 shares of 1, each a part of what the former ones have left."""

    domain, codomain = constraints.real_vector, constraints.simplex
    bijective = True

    def _offset(self, n: int, like: Any) -> Any:
        return n - arange(n, dtype=like.dtype, device=like.device)

    def _call(self, x: Any) -> Any:
        z = (x - self._offset(x.shape[-1], x).log()).sigmoid()
        left = (1 - z).cumprod(-1)
        one = left[..., :1] * 0 + 1
        return cat([z, one], -1) * cat([one, left], -1)

    def _inverse(self, y: Any) -> Any:
        short = y[..., :-1]
        n = short.shape[-1]
        rest = (1 - short.cumsum(-1)).clamp(min=2.0**-1022 if y.dtype.short == "f64" else 2.0**-126)
        return short.log() - rest.log() + self._offset(n, y).log()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        x = x - self._offset(x.shape[-1], x).log()
        return (-x + x.sigmoid().log() + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        return (*tuple(shape)[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Any) -> Any:
        return (*tuple(shape)[:-1], shape[-1] - 1)


class LowerCholeskyTransform(Transform):
    """Square matrices to lower triangular ones of positive diagonal."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def _call(self, x: Any) -> Any:
        return x.tril(-1) + diag_embed(linalg.diagonal(x).exp())

    def _inverse(self, y: Any) -> Any:
        return y.tril(-1) + diag_embed(linalg.diagonal(y).log())


class CatTransform(Transform):
    """Transforms of pieces along `dim`, which have `lengths`."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, lengths: Any = None, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.lengths = list(lengths) if lengths is not None else [1] * len(self.transforms)
        self.bijective = all(t.bijective for t in self.transforms)

    def _each(self, x: Any, call: Any) -> Any:
        pieces = x.split(self.lengths, self.dim)
        return cat([call(t, piece) for t, piece in zip(self.transforms, pieces, strict=True)], self.dim)

    def _call(self, x: Any) -> Any:
        return self._each(x, lambda t, piece: t(piece))

    def _inverse(self, y: Any) -> Any:
        return self._each(y, lambda t, piece: t.inv(piece))

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        pairs = zip(self.transforms, x.split(self.lengths, self.dim), y.split(self.lengths, self.dim), strict=True)
        return cat([t.log_abs_det_jacobian(a, b) for t, a, b in pairs], self.dim)


class StackTransform(CatTransform):
    """A transform for each slice along `dim`."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(tseq, dim, None, cache_size)

    def _each(self, x: Any, call: Any) -> Any:
        return stack([call(t, piece) for t, piece in zip(self.transforms, x.unbind(self.dim), strict=True)], self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        rows = zip(self.transforms, x.unbind(self.dim), y.unbind(self.dim), strict=True)
        return stack([t.log_abs_det_jacobian(a, b) for t, a, b in rows], self.dim)


