"""Activations at their edges, values and slopes beside PyTorch's, eager and compiled: NaN, infinities, bends, far out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.nn import functional as F

torch = pytest.importorskip("torch")

INF = float("inf")
EDGES = [INF, -INF, -20.0, -0.0, 0.0, -800.0, 800.0, -90.0, 100.0, -3.0, 3.0, -1.0, 1.0, 0.5, -0.5, 1e-6, -1e-6, 6.0, -17.0, 20.5]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("relu", {}), ("relu6", {}), ("elu", {}), ("elu", {"alpha": 2.0}), ("elu", {"alpha": -1.5}), ("celu", {"alpha": 2.0}),
    ("celu", {"alpha": -0.5}), ("selu", {}), ("hardtanh", {}), ("hardtanh", {"min_val": -0.3, "max_val": 2.0}),
    ("hardsigmoid", {}), ("hardswish", {}), ("softshrink", {}), ("softshrink", {"lambd": 1.0}), ("hardshrink", {}),
    ("leaky_relu", {}), ("threshold", {"threshold": 0.5, "value": 2.0}), ("silu", {}), ("softplus", {"beta": 2.0}),
    ("gelu", {"approximate": "tanh"}), ("gelu", {}), ("tanh", {}), ("sigmoid", {}),
]  # fmt: skip
#: Relative: one rounding of the dtype, and what float32's own functions differ by.
TOLERANCE = {"float64": 1e-7, "float32": 1e-5, "float16": 2e-3, "bfloat16": 1.6e-2}
#: PyTorch's kernel of vectors gives NaN at an infinity, where its kernel of single numbers does not.
SPOILT = {("gelu", "value"), ("gelu", "slope"), ("silu", "value"), ("silu", "slope")}


def both(module: Any, fn: Any, values: list[float], dtype: str) -> tuple[Any, Any]:
    """The values and slopes (of 1.5 times the function) as float64."""
    x = module.tensor(values, dtype=getattr(module, dtype), requires_grad=True)
    y = fn(x)
    y.backward(module.full_like(y, 1.5))
    return y.detach().double().numpy(), x.grad.double().numpy()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_edges(name: str, options: dict[str, Any], dtype: str) -> None:
    expected = both(torch, lambda x: getattr(torch.nn.functional, name)(x, **options), EDGES, dtype)

    def plain(x: Any) -> Any:
        return getattr(F, name)(x, **options)

    for fn in (plain, fw.compile(plain)):
        for what, want, got in zip(("value", "slope"), expected, both(fw, fn, EDGES, dtype), strict=True):
            places = np.isfinite(EDGES) if (name, what) in SPOILT else slice(None)
            least = {"float16": 1e-7, "float32": 1e-9}.get(dtype, 1e-12)
            relative = 2e-4 if name == "gelu" and dtype == "float32" else TOLERANCE[dtype]  # PyTorch's own error at -3
            np.testing.assert_allclose(got[places], want[places], relative, least, err_msg=f"{what} at {EDGES}")


@pytest.mark.parametrize("name", ["relu", "relu6", "elu", "celu", "selu", "hardtanh", "hardsigmoid", "hardswish", "softshrink"])
def test_slope_at_nan(name: str) -> None:
    """PyTorch's kernels of vectors and of single numbers differ at NaN; ours is that of single numbers at every length."""
    _, (want,) = both(torch, getattr(torch.nn.functional, name), [float("nan")], "float32")
    for fn in (getattr(F, name), fw.compile(getattr(F, name))):
        for length in (1, 50):
            value, slope = both(fw, fn, [float("nan")] * length, "float32")
            assert np.isnan(value).all()
            np.testing.assert_allclose(slope, want)


def test_refused() -> None:
    for name in ("elu", "selu", "hardsigmoid", "hardswish", "softshrink", "hardshrink"):
        with pytest.raises(fw.errors.DTypeError, match="not defined for int64"):
            getattr(F, name)(fw.arange(3))
    with pytest.raises(RuntimeError, match="unsigned type with negative limits"):
        F.hardtanh(fw.arange(3).to(fw.uint8))
    assert F.relu6(fw.arange(9)).tolist() == [0, 1, 2, 3, 4, 5, 6, 6, 6]
