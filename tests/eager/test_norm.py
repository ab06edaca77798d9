"""`norm`: every order, half types and what is refused, against PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import fusewire as fw

torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("p", [0, 1, 2, 3, 9, "fro", math.inf, -math.inf])
@pytest.mark.parametrize("dim", [None, 0, -1])
def test_norm_equals_pytorch(dtype: str, p: Any, dim: int | None) -> None:
    values = np.array([[300.0, -0.0, 2.0], [-150.0, 7.0, 200.0]])  # squares leave the range of float16
    ours = fw.tensor(values).to(getattr(fw, dtype)).norm(p, dim)
    theirs = torch.tensor(values).to(getattr(torch, dtype)).norm(p, dim)
    assert ours.dtype.name == dtype
    np.testing.assert_allclose(ours.double().numpy(), theirs.double().numpy(), rtol=1e-2 if "16" in dtype else 1e-5)


def test_norm_refuses_integers() -> None:
    with pytest.raises(RuntimeError, match=r"floating point.*int64\[2\]"):
        fw.tensor([1, 2]).norm()
