"""Eager calls on a GPU whose operands lie in memory in any way: other orders, gaps, parts of one tensor. Beside the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.errors import FusewireError
from fusewire.ir.op import Extern, Op

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda
from random_graphs import every_op, samples

#: as_strided and its kind want dense operands
OPS = [op for op in every_op() if type(op.lowering) is not Extern and not op.name.startswith("as_strided")]


def laid(x: np.ndarray[Any, Any], rng: np.random.Generator) -> tuple[fw.Tensor, fw.Tensor]:
    """The values of `x` on the CPU and on the GPU, in memory in some order with some room between them."""
    order = rng.permutation(x.ndim)
    room = [int(n + rng.integers(3)) for n in np.array(x.shape)[order]]
    room[-1] += int(rng.integers(2)) * x.shape[order[-1]]  # every second time a multiple
    at = tuple(slice(0, x.shape[d]) for d in order)
    back = tuple(int(d) for d in np.argsort(order))
    made = []
    for device in ("cpu", "cuda"):
        whole = fw.zeros(tuple(room), dtype=fw.from_numpy(x.copy()).dtype)
        whole[at] = fw.from_numpy(np.ascontiguousarray(x.transpose(order)))
        made.append(whole.to(device)[at].permute(back))
    return made[0], made[1]


def check(op: Op, sample: Any, rng: np.random.Generator) -> bool:
    """Whether the call could be tried; it must give the CPU's values and strides."""
    pairs = []
    for x in sample.operands:
        x = np.asarray(x) if isinstance(x, np.generic) else x
        if not isinstance(x, np.ndarray):
            pairs.append((x, x))
        elif x.ndim > 1 and x.dtype.kind in "fiub":
            pairs.append(laid(x, rng))
        else:
            pairs.append((fw.from_numpy(x.copy()), fw.from_numpy(x.copy()).to("cuda")))
    try:
        wanted = op(*(a for a, _ in pairs), **sample.attrs)
    except (FusewireError, ValueError, TypeError, RuntimeError):
        return False
    found = op(*(b for _, b in pairs), **sample.attrs)
    every = zip(wanted, found, strict=True) if isinstance(wanted, tuple) else [(wanted, found)]
    for a, b in every:
        assert (a.shape, a.dtype, a.stride()) == (b.shape, b.dtype, b.stride()), (op.name, sample)
        loose = 2e-2 if a.dtype.is_half else 1e-5
        np.testing.assert_allclose(b.cpu().double().numpy(), a.double().numpy(), rtol=loose, atol=1e-5, err_msg=op.name)
    return True


def test_every_record(request: pytest.FixtureRequest) -> None:
    every = 1 if request.config.getoption("--whole") else 12
    cases = [(op, s) for op in OPS for s in samples(op) if any(isinstance(x, np.ndarray) and x.ndim > 1 for x in s.operands)]
    tried = 0
    with fake_cuda.installed():
        for number, (op, sample) in enumerate(cases[::every]):
            tried += check(op, sample, np.random.default_rng(number))
    assert tried * 10 > 9 * len(cases[::every])


@pytest.mark.parametrize("is_causal", [False, True])
def test_heads_that_are_parts_of_one_projection(is_causal: bool) -> None:
    fw.manual_seed(0)
    x = fw.randn(2, 16, 96)
    with fake_cuda.installed():
        results = []
        for device in ("cpu", "cuda"):
            heads = [t.view(2, 16, 2, 16).transpose(1, 2) for t in x.to(device).split(32, dim=2)]
            results.append(fw.nn.functional.scaled_dot_product_attention(*heads, is_causal=is_causal))
        assert results[0].stride() == results[1].stride()
        fw.testing.assert_close(results[1].cpu(), results[0])
