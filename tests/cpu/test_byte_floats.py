"""Floats of 8 bits in compiled code: casts bit for bit as eager's, and eager's as PyTorch's."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import pipeline
from fusewire.ir import dtypes
from fusewire.ir.dtypes import DType
from fusewire.ir.graph import Builder, Graph
from fusewire.ir.ops.casts import cast
from fusewire.ir.types import tensor

KINDS = tuple(dtypes.BYTES)


def hard() -> np.ndarray[Any, Any]:
    """Numbers of all magnitudes, ties, limits, infinities, NaN."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 20_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    every = np.concatenate([np.arange(256, dtype=np.uint8).view(k.np).astype(np.float32) for k in KINDS])
    every = every[np.isfinite(every)]
    ties = (every[:, None] + every[None, :]).ravel() / 2
    special = np.array([np.nan, -np.nan, np.inf, -np.inf, 464, 464.1, 480, -500, 61439, 61440, -0.0, 2**-10, 2**-17], np.float32)
    return np.concatenate([bits, every, ties, special, rng.standard_normal(999).astype(np.float32)])


def casting(count: int, *kinds: DType) -> Graph:
    """A chain of casts over `count` elements of the first kind."""
    builder = Builder("casts")
    value: Any = builder.input(tensor((count,), kinds[0]))
    for kind in kinds[1:]:
        value = builder.emit(cast, (value,), {"dtype": kind})
    return builder.finish([value])


def same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> None:
    """Equal bits, but for those of a NaN."""
    nan = np.isnan(b.astype(np.float32))
    np.testing.assert_array_equal(nan, np.isnan(a.astype(np.float32)))
    bits = np.dtype(f"u{a.itemsize}")
    np.testing.assert_array_equal(a.view(bits)[~nan], b.view(bits)[~nan])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("wide", [dtypes.float32, dtypes.bfloat16, dtypes.float16], ids=str)
def test_compiled_casts_are_eagers(kind: DType, wide: DType) -> None:
    x = hard().astype(wide.np)
    made = pipeline.compile_graph(casting(x.size, wide, kind)).run([x])[0]
    same(made, cast.eager(x, dtype=kind))
    same(pipeline.compile_graph(casting(x.size, wide, kind), backend="reference").run([x])[0], made)
    every = np.arange(256, dtype=np.uint8).view(kind.np)
    same(pipeline.compile_graph(casting(256, kind, wide)).run([every])[0], every.astype(wide.np))


def test_a_compiled_function_rounds_as_the_eager_one() -> None:
    def scaled(x: Any, scale: Any) -> Any:
        return (x / scale).to(fw.float8_e4m3fn).to(fw.float32) * scale

    x = fw.randn(300, 7)
    assert fw.equal(fw.compile(scaled, fullgraph=True)(x, x.abs().max() / 448), scaled(x, x.abs().max() / 448))


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_eager_casts_are_pytorchs(kind: DType) -> None:
    import torch

    x = hard()
    wanted = torch.from_numpy(x).to(getattr(torch, kind.name)).view(torch.uint8).numpy().view(kind.np)
    same(fw.from_numpy(x).to(kind).numpy(), wanted)
