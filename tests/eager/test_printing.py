"""Printed tensors beside PyTorch's, character by character: generated shapes, dtypes, magnitudes and options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire
from fusewire.eager.display import set_printoptions

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")

SHAPES: list[tuple[int, ...]] = [
    (), (1,), (3,), (0,), (0, 3), (2, 0), (2, 3), (1, 1), (5, 4), (2, 3, 4), (1, 2, 1, 3), (40,), (23,), (30, 30), (1001,),
    (10, 11, 12), (3, 400), (4, 5, 7, 9), (1000,), (7, 2, 80), (2, 2, 2, 2, 2), (1, 1, 1500),
]  # fmt: skip
DTYPES = ["float32"] * 4 + [
    "float64", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "int16", "bool", "complex64", "complex128",
]  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {"precision": 2}, {"sci_mode": True}, {"sci_mode": False}, {"threshold": 10, "edgeitems": 2}, {"linewidth": 40},
    {"profile": "full"}, {"profile": "short"}, {"precision": 8, "linewidth": 120},
]  # fmt: skip


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Random elements whose magnitudes, signs of zero and specials ask for every style."""
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype:
        top = 10**12 if dtype == "int64" and rng.random() < 0.3 else int(rng.choice([5, 100, 120]))
        return rng.integers(0 if dtype == "uint8" else -top, top, shape).astype(dtype)
    a = np.asarray(floats(rng, shape))
    if rng.random() < 0.35 and a.size:
        a = a.copy()
        for _ in range(rng.integers(1, 4)):
            a.reshape(-1)[rng.integers(0, a.size)] = rng.choice([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0])
    if "complex" in dtype:
        b = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4)
        return np.asarray(a + 1j * (b if rng.random() < 0.7 else np.round(b))).astype(dtype)
    return a


def floats(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    a = rng.standard_normal(shape)
    forms = [
        a, np.round(a * 10), a * 1e6, a * 1e-6, a * 10.0 ** rng.integers(-5, 6, shape), np.round(a * 1e5), a * 0, -a * 0.0,
        a * 1e10, np.round(a) * 1e9, a * 100,
    ]  # fmt: skip
    return forms[rng.integers(len(forms))]


@pytest.fixture(autouse=True)
def default_options() -> Any:
    yield
    torch.set_printoptions(profile="default")
    set_printoptions(profile="default")


@pytest.mark.parametrize("seed", range(6))
def test_text_is_pytorchs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(80):
        shape, dtype = SHAPES[rng.integers(len(SHAPES))], DTYPES[rng.integers(len(DTYPES))]
        a = values(rng, shape, dtype)
        with np.errstate(all="ignore"):
            want, got = torch.tensor(a).to(getattr(torch, dtype)), fusewire.tensor(a).to(getattr(fusewire, dtype))
        form = rng.integers(0, 6)
        if form < 2 and ("float" in dtype or "complex" in dtype):
            want, got = (x.requires_grad_() if form == 0 else x.requires_grad_() + 0 for x in (want, got))
        if form == 2 and want.ndim > 1:
            want, got = want.transpose(0, -1), got.transpose(0, -1)
        options = OPTIONS[rng.integers(len(OPTIONS))] if rng.random() < 0.25 else {}
        for setter in (torch.set_printoptions, set_printoptions):
            setter(profile="default")
            setter(**options)
        assert repr(got) == repr(want), (shape, dtype, options)


def test_the_objects_around_a_tensor_print_as_pytorchs() -> None:
    for lib in (torch, fusewire):
        x = lib.zeros(2, 3)
        assert repr(x.shape) == repr(x.size()) == "torch.Size([2, 3])" and str(x.shape[:1]) == "torch.Size([2])"
        assert repr(x.shape + (1,)) == "torch.Size([2, 3, 1])" and repr((1,) + x.shape) == "torch.Size([1, 2, 3])"
        assert repr(x.dtype) == "torch.float32" and x.type() == "torch.FloatTensor" and repr(x.layout) == "torch.strided"
        assert x.shape.numel() == 6 and x.shape == (2, 3) and isinstance(x.shape, tuple)
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        assert repr(fusewire.finfo(getattr(fusewire, dtype))) == repr(torch.finfo(getattr(torch, dtype)))
    for dtype in ("uint8", "int8", "int16", "int32", "int64"):
        assert repr(fusewire.iinfo(getattr(fusewire, dtype))) == repr(torch.iinfo(getattr(torch, dtype)))
