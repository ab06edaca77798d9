"""Values that a function refuses: the record whose kernel looks at each element on its way, so that compiled code raises what
eager code does. Public functions that only run eagerly look at the array themselves (`refuse`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError
from .. import dtypes
from ..op import Effects, Sample
from .declare import floats, pointwise, unary_samples

#: What a refusal may raise, by name (attributes of a record are plain values).
_KINDS: dict[str, type[Exception]] = {"RuntimeError": RuntimeError, "ValueError": ValueError}


def refuse(
    x: np.ndarray, *, low: float = -math.inf, high: float = math.inf, nan: bool = False, kind: str = "RuntimeError",
    message: str = "a value is out of bounds",
) -> None:  # fmt: skip
    """Raise the error called `kind` where an element of `x` lies outside of `low` to `high`; NaN does unless `nan`. `message` may
    hold ``{}``, the first such element."""
    if not x.size or (x.min() >= low and x.max() <= high):
        return
    bad = (x < low) | (x > high) if nan else ~((x >= low) & (x <= high))
    if bad.any():
        raise _KINDS[kind](message.format(x[bad].flat[0].item()))


def _bounded_eager(x: Any, **attrs: Any) -> Any:
    if x.dtype.kind not in "uif":
        raise TypeError("real array expected")
    refuse(x, **attrs)
    return x.copy(order="K")


def _bounded_scalar(
    s: Any, x: Any, *, low: float = -math.inf, high: float = math.inf, nan: bool = False, kind: str = "RuntimeError",
    message: str = "a value is out of bounds",
) -> Any:  # fmt: skip
    checks = [s.le(s.const(low), x)] if low > -math.inf else []
    checks += [s.le(x, s.const(high))] if high < math.inf else []
    for inside in checks:
        s.require(s.or_(inside, s.not_(s.eq(x, x))) if nan else inside, message, _KINDS[kind])
    return x


def _bounded_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in unary_samples("uif", (0, 3), low=0, high=3)(rng):
        if sample.note != "special":
            yield sample
    refused = {"low": 0.0, "high": 1.0, "message": "got {}"}
    yield Sample((np.array([0.5, 1.5]),), refused, raises=RuntimeError, note="above")
    yield Sample((np.array([-0.5, 0.5]),), {**refused, "kind": "ValueError"}, raises=ValueError, note="below")
    yield Sample((np.array([0.5, np.nan]),), refused, raises=RuntimeError, note="NaN")
    yield Sample((np.array([0.5, np.nan, np.inf]),), {"low": 0.0, "nan": True}, note="NaN passes")
    yield Sample((floats(rng, (3,), dtypes.bool_),), {"low": 0.0}, raises=DTypeError)


#: `x`, where all elements lie between `low` and `high`; else an error with `message`. Used by losses and draws.
bounded = pointwise(
    "bounded", (), _bounded_eager, _bounded_scalar, lambda g, need, out, x, **attrs: (g,), _bounded_samples, kinds="uif",
    effects=Effects(raises=(RuntimeError, ValueError)),
)  # fmt: skip
