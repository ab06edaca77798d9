"""State of complex parameters, which starts with the value in both parts; a lazy layer whose parameters were loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw


def trained(t: Any, name: str, options: dict[str, Any]) -> list[complex]:
    p = t.nn.Parameter(t.tensor([1 + 2j, -0.5 + 0.25j], dtype=t.complex128))
    optimiser = getattr(t.optim, name)([p], lr=0.1, **options)
    for k in range(4):
        p.grad = t.tensor([0.5 * (k - 1) - 1j, 2 + 0.1j * k], dtype=t.complex128)
        optimiser.step()
    return p.detach().tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name,options", [("Adagrad", {"initial_accumulator_value": 0.5}), ("Rprop", {}), ("Adagrad", {})])
def test_as_pytorch(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(trained(fw, name, options), trained(torch, name, options), rtol=1e-6)


def test_lazy_layer_that_was_loaded() -> None:
    lazy = fw.nn.LazyLinear(3)
    lazy.load_state_dict(fw.nn.Linear(4, 3).state_dict())
    with pytest.raises(AssertionError, match=r"input: 5 is not equal to in_features from self\.weight: 4"):
        lazy(fw.ones(2, 5))
    assert lazy(fw.ones(2, 4)).shape == (2, 3)
    assert repr(lazy) == "Linear(in_features=4, out_features=3, bias=True)"
