"""More random numbers: fills by distributions, and functions. All draw through `random`, so that a tracer can follow them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes
from . import random
from .arguments import size_of, to_dtype
from .device import beside
from .factory import make
from .inplace import store_checked
from .modes import no_grad
from .outputs import makes

if TYPE_CHECKING:
    from .tensor import Tensor


def _positive(self: Any, generator: Any) -> Any:
    """Uniform numbers in (0, 1], in float32 at least."""
    wide = dtypes.float64 if self.dtype is dtypes.float64 else dtypes.float32
    return 1.0 - random.rand(self.shape, dtype=wide, generator=generator, device=beside(self))


def _check(name: str, ok: bool, why: str) -> None:
    if not ok:
        raise RuntimeError(f"{name} expects {why}")


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fill with numbers of the exponential distribution of rate `lambd`."""
    _check("exponential_", lambd > 0.0, f"lambda > 0.0, but found lambda={lambd}")
    return store_checked(self, (_positive(self, generator).log() / -lambd).to(self.dtype))  # type: ignore[no-any-return]


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Tensor:
    """Fill with e to the power of normal numbers."""
    _check("log_normal_", std > 0.0, f"std > 0.0, but found std={std}")
    values = random.randn(self.shape, dtype=self.dtype, generator=generator, device=beside(self))
    return store_checked(self, (values * std + mean).exp())  # type: ignore[no-any-return]


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fill with numbers of the Cauchy distribution."""
    _check("cauchy_", sigma > 0.0, f"sigma > 0.0, but found sigma={sigma}")
    angle = (_positive(self, generator) - 0.5) * math.pi
    return store_checked(self, (angle.sin() / angle.cos() * sigma + median).to(self.dtype))  # type: ignore[no-any-return]


def geometric_(self: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """Fill with the number of trials up to the first success, of probability `p`."""
    _check("geometric_", 0.0 < p < 1.0, f"p to be in (0, 1), but got p={p}")
    count = (_positive(self, generator).log() / math.log1p(-p)).ceil().clamp(min=1.0)
    return store_checked(self, count.to(self.dtype))  # type: ignore[no-any-return]


def random_(self: Tensor, low: Any = None, high: Any = None, *, generator: Any = None) -> Tensor:
    """Fill with whole numbers from `low` (default 0) up to, not including, `high` (default: what the dtype holds exactly)."""
    if high is None:
        low, high = 0, low
    if high is None:
        kind, bits = self.dtype.kind, 8 * self.dtype.itemsize
        digits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
        high = 2 if kind == "b" else 2 ** digits[self.dtype.name] + 1 if kind == "f" else 1 << min(bits - (kind == "i"), 53)
    values = random.randint(low, high, tuple(self.shape), generator=generator, device=beside(self))
    return store_checked(self, values.to(self.dtype))  # type: ignore[no-any-return]


@makes
def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers: of the size given, or of the shape of `mean` or `std` where these are tensors."""
    if not hasattr(std, "meta"):
        _check("normal", std >= 0.0, f"std >= 0.0, but found std {std}")
    if size is None:
        like = mean if hasattr(mean, "meta") else std
        shape = (mean + std).shape if hasattr(mean, "meta") and hasattr(std, "meta") else like.shape
        values = random.randn(shape, dtype=like.dtype, generator=generator, device=like.device)
        return values * std + mean  # type: ignore[no-any-return]
    values = random.randn(size_of((size,)), dtype=dtype, generator=generator, device=device) * std + mean
    return values.requires_grad_() if requires_grad else values  # type: ignore[no-any-return]


def randint_like(
    input: Tensor, low: int, high: Any = None, *, dtype: Any = None, device: Any = None, generator: Any = None
) -> Tensor:
    """`randint` of the shape and dtype of `input`."""
    low, high = (0, low) if high is None else (low, high)
    wanted = to_dtype(dtype) or input.dtype
    return random.randint(low, high, tuple(input.shape), dtype=wanted, device=device or beside(input), generator=generator)


def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson counts of the rates `input`: by the number of exponential steps that fit, so time grows with the largest rate."""
    rate = input.detach()
    left = rate.clone()
    count = rate * 0
    while bool((left > 0).any()):
        step = -_positive(rate, generator).log()
        left = left - step.to(rate.dtype)
        count = count + (left > 0).to(rate.dtype)
    return count  # type: ignore[no-any-return]


def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """How many of `count` draws of probability `prob` succeed, element by element."""
    with no_grad():
        shape = np.broadcast_shapes(count.shape, prob.shape)
        most = int(count.max().item()) if count.numel() else 0
        hits = random.rand((most, *shape), generator=generator, dtype=prob.dtype, device=prob.device) < prob
        turn = make(np.arange(most).reshape(-1, *(1,) * len(shape))).to(count.device)
        return (hits & (turn < count)).sum(0).to(count.dtype)  # type: ignore[no-any-return]
