"""scatter_reduce and index_reduce beside PyTorch: random shapes, kinds, with and without what is there; gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
def test_scatter_reduce(reduce: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(25):
        shape = tuple(rng.integers(1, 5, rng.integers(1, 4)))
        dim = int(rng.integers(0, len(shape)))
        places = [int(rng.integers(1, 6)) if d == dim else int(rng.integers(1, n + 1)) for d, n in enumerate(shape)]
        index, include = rng.integers(0, shape[dim], places), bool(rng.integers(2))
        whole = rng.random() < 0.3
        x, source = ((rng.integers(-5, 5, s) if whole else rng.standard_normal(s)) for s in (shape, places))
        found: list[Any] = []
        for lib in (torch, fusewire):
            a, b = lib.tensor(x, requires_grad=not whole), lib.tensor(source, requires_grad=not whole)
            out = a.scatter_reduce(dim, lib.tensor(index), b, reduce, include_self=include)
            if not whole:
                (out * out).sum().backward()
            found.append((out.detach(), *(() if whole else (a.grad, b.grad))))
        for want, got in zip(*found, strict=True):
            np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-9, 1e-12)


@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning")
@pytest.mark.parametrize("reduce", ["prod", "mean", "amax", "amin"])
def test_index_reduce(reduce: str) -> None:
    results = [
        lib.ones(3, 2).index_reduce(0, lib.tensor([2, 0, 2]), lib.arange(6.0).reshape(3, 2) + 1, reduce, include_self=False)
        for lib in (torch, fusewire)
    ]
    np.testing.assert_allclose(results[1].numpy(), results[0].numpy())


def test_copysign_and_errors() -> None:
    x = fusewire.tensor([1.0, -2.0])
    assert fusewire.copysign(x, -0.0).tolist() == [-1.0, -2.0]
    assert x.copysign(fusewire.tensor([-3.0, 3.0])).tolist() == [-1.0, 2.0]
    with pytest.raises(RuntimeError, match="reduce"):
        x.scatter_reduce(0, fusewire.tensor([0]), x, "median")
