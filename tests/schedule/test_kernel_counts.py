"""What a user's function costs in kernels: the promises of the README and of the benchmarks."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

import fusewire as torch
from fusewire.backends.cpu.gemm_tile import tile
from fusewire.backends.cpu.module import host_target
from fusewire.ir import dtypes
from fusewire.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from kernel_count import assert_kernels

X, ROW = torch.ones(16, 32), torch.ones(32)


def pointwise_chain(x: Any, b: Any) -> Any:
    return torch.tanh(x * 2.0 + b) / (1.0 + x * x)


def scaled_softmax(x: Any, b: Any) -> Any:
    return F.softmax(x * 0.125 + b, dim=-1)


def gelu_layer_norm(x: Any, b: Any) -> Any:
    return F.layer_norm(F.gelu(x), (32,), b, b)


def softmax_of_layer_norm(x: Any, b: Any) -> Any:
    return F.softmax(F.layer_norm(x, (32,), b, b), dim=-1) * 2.0


def two_results(x: Any, b: Any) -> Any:
    return torch.exp(x + b), torch.exp(x + b) * x


def two_layers(x: Any, b: Any) -> Any:
    weight = x.transpose(0, 1)
    return torch.relu(torch.relu(x @ weight) @ x + b)


def scores(x: Any, b: Any) -> Any:
    return F.softmax(x @ x.transpose(0, 1), dim=-1)


#: what only reads a product element by element is part of it, where this processor runs our own
OWN = tile(dtypes.float32, host_target()) is not None
COUNTS = {
    pointwise_chain: 1, scaled_softmax: 1, gelu_layer_norm: 1, softmax_of_layer_norm: 1, two_results: 1,
    two_layers: 0 if OWN else 2, scores: 1,
}  # fmt: skip


@pytest.mark.parametrize("fn", COUNTS, ids=lambda fn: fn.__name__)
def test_kernels(fn: Any) -> None:
    assert_kernels(fn, (X, ROW), COUNTS[fn])


def test_a_wrong_count_gives_the_reasons() -> None:
    with pytest.raises(AssertionError, match=r"1 kernels, not 2(.|\n)*matmul runs as a step of its own"):
        assert_kernels(scores, (X, ROW), 2)


def test_a_break_is_not_overlooked() -> None:
    def broken(x: Any, b: Any) -> Any:
        zlib.crc32(b"between")
        return x + b

    with pytest.raises(AssertionError, match=r"2 graphs: graph break \[c-function\]: a call of zlib.crc32"):
        assert_kernels(broken, (X, ROW), 1)
