"""Half tensors meet Python numbers: PyTorch rounds the number to the tensor's dtype first, but for products and quotients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire

Fn = Callable[[Any, Any], Any]
OPS: dict[str, Fn] = {
    "add": lambda x, s: x + s, "sub": lambda x, s: x - s, "rsub": lambda x, s: s - x, "mul": lambda x, s: x * s,
    "div": lambda x, s: x / s,
    "remainder": lambda x, s: x % s, "floordiv": lambda x, s: x // s, "pow": lambda x, s: x.abs() ** s,
    "rpow": lambda x, s: abs(s) ** x,
    "eq": lambda x, s: x == s, "ne": lambda x, s: x != s, "lt": lambda x, s: x < s, "le": lambda x, s: x <= s,
    "gt": lambda x, s: x > s,
    "ge": lambda x, s: x >= s, "clamp": lambda x, s: x.clamp(min=s), "add_": lambda x, s: x.clone().add_(s),
}  # fmt: skip
X = np.random.default_rng(0).standard_normal(2000).astype(np.float32) * 2
X[:40] = 0.3
NUMBERS = (0.3, 3, -0.7, 1e-3)


def same(a: Any, b: Any) -> None:
    assert str(a.dtype) == str(b.dtype)
    a, b = (x if "bool" in str(x.dtype) else x.float() for x in (a, b))
    np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", OPS)
def test_values_are_pytorchs(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    want, got = (lib.tensor(X).to(getattr(lib, dtype)) for lib in (torch, fusewire))
    for number in NUMBERS:
        if name == "pow" and number == 3 and dtype == "bfloat16":
            continue  # PyTorch rounds x * x before it multiplies again
        same(OPS[name](got, number), OPS[name](want, number))


@pytest.mark.parametrize("dtype", [fusewire.float16, fusewire.bfloat16])
def test_the_same_compiled_with_numbers_known_only_at_the_call(dtype: Any) -> None:
    x = fusewire.tensor(X).to(dtype)

    def every(x: Any, s: float) -> Any:
        return tuple([fn(x, s) for name, fn in OPS.items() if "pow" not in name])

    compiled = fusewire.compile(every)
    for number in (0.3, -0.7, 1e-3):
        for a, b in zip(compiled(x, number), every(x, number), strict=True):
            same(a, b)


def test_a_number_equals_itself() -> None:
    assert (fusewire.tensor([0.3]).to(fusewire.bfloat16) == 0.3).all()
    assert (fusewire.tensor([0.3], dtype=fusewire.float16) - 0.3).item() == 0


def test_doubles_are_rounded_by_way_of_floats() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    a = np.random.default_rng(1).standard_normal(20000) * 1000
    a[0] = 1904.5000000001
    for dtype in ("float16", "bfloat16"):
        want, got = (lib.tensor(a).to(getattr(lib, dtype)) for lib in (torch, fusewire))
        same(got, want)


@pytest.mark.parametrize("dtype", [fusewire.float16, fusewire.bfloat16])
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_complex_numbers_keep_their_imaginary_part(dtype: Any, op: str) -> None:
    x = fusewire.arange(1, 4).to(dtype)
    found = getattr(fusewire, op)(x, 1 + 2j)
    fusewire.testing.assert_close(found, getattr(fusewire, op)(x.float(), 1 + 2j), rtol=1e-3, atol=1e-3)
    assert found.dtype is fusewire.complex64
