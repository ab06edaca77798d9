"""Every record states all that the design asks for, and rules made of its fields are right: forward mode, batches of complex."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.bench import completeness
from fusewire.eager.factory import make
from fusewire.ir.op import Op, Sample, lookup

sys.path.insert(0, str(Path(__file__).parent))
from op_cases import samples

RECORDS = completeness.records()
SMOOTH = [op for op in RECORDS if op.grad is not None]
COMPLEX = [op for op in RECORDS if op.eager_only and op.effects.aliases is None and op.name != "whole"]


@pytest.mark.parametrize("op", RECORDS, ids=[op.name for op in RECORDS])
def test_a_record_lacks_nothing(op: Op) -> None:
    assert list(completeness.missing(op)) == []


def test_the_table() -> None:
    text = completeness.table()
    assert f"records{len(RECORDS):31}" in text and "lacks" not in text
    assert "loops over members: choose: it refuses weights by their values" in text


def like(rng: np.random.Generator, x: Any) -> Any:
    """Random numbers in the shape and dtype of an array."""
    made = rng.normal(size=x.shape) + (1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else 0)
    return np.asarray(made).astype(x.dtype)


def dot(a: Any, b: Any) -> float:
    """The real inner product, in double precision."""
    return float(np.vdot(np.asarray(a, "c16"), np.asarray(b, "c16")).real)


def double(sample: Sample) -> Sample:
    """The sample with its real numbers in double precision."""
    wide = [x.astype("f8") if isinstance(x, np.ndarray) and x.dtype.kind in "fV" else x for x in sample.operands]
    return Sample(tuple(wide), sample.attrs)


@pytest.mark.parametrize("op", SMOOTH, ids=[op.name for op in SMOOTH])
def test_forward_mode_is_the_transpose_of_the_gradient(op: Op) -> None:
    """<u, J t> is <J* u, t> for random u and t."""
    ad, rng = fw.autograd.forward_ad, np.random.default_rng(3)
    for sample in [s for s in samples(op) if any(isinstance(x, np.ndarray) and x.size for x in s.operands)][:3]:
        arrays = double(sample).operands
        moved = [k for k, x in enumerate(arrays) if isinstance(x, np.ndarray) and x.dtype.kind in "fc"]
        xs = [make(np.array(x)) if isinstance(x, np.ndarray) else x for x in arrays]
        ts = {k: like(rng, arrays[k]) for k in moved}
        for k in moved:
            xs[k].requires_grad_()
        out = op(*xs, **sample.attrs)
        outs = [o for o in (out if isinstance(out, tuple) else (out,)) if o.requires_grad]
        us = [like(rng, o.detach().numpy()) for o in outs]
        leaves = [xs[k] for k in moved]
        if not outs:
            continue
        pulled = fw.autograd.grad(outs, leaves, [make(u) for u in us], allow_unused=True)
        with fw.no_grad(), ad.dual_level():
            duals = [ad.make_dual(x.detach(), make(ts[k])) if k in ts else x for k, x in enumerate(xs)]
            made = op(*duals, **sample.attrs)
            changes = [ad.unpack_dual(o).tangent for o in (made if isinstance(made, tuple) else (made,))]
        pushed = sum(dot(u, c.numpy()) for u, c in zip(us, [c for c in changes if c is not None], strict=False))
        wanted = sum(dot(g.numpy(), ts[k]) for k, g in zip(moved, pulled, strict=True) if g is not None)
        np.testing.assert_allclose(pushed, wanted, rtol=1e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("op", COMPLEX, ids=[op.name for op in COMPLEX])
def test_batches_of_complex_numbers(op: Op) -> None:
    for sample in samples(op):
        places = [k for k, x in enumerate(sample.operands) if isinstance(x, np.ndarray)]
        for at in (*[[k] for k in places], places):
            for dim in (0, -1):
                check(op, sample, at, dim)


def check(op: Op, sample: Sample, at: list[int], dim: int) -> None:
    """`vmap` over the operands `at`, stacked along `dim`, beside a loop."""
    members = {k: [np.roll(sample.operands[k], i).reshape(sample.operands[k].shape) for i in range(3)] for k in at}
    xs = [make(np.stack(members[k], dim)) if k in members else make(x.copy()) if isinstance(x, np.ndarray) else x
          for k, x in enumerate(sample.operands)]  # fmt: skip
    got = fw.vmap(lambda *ins: op(*ins, **sample.attrs), tuple([dim if k in members else None for k in range(len(xs))]))(*xs)
    for i in range(3):
        one = op(*[make(members[k][i].copy()) if k in members else x for k, x in enumerate(xs)], **sample.attrs)
        pairs = zip(got, one, strict=True) if isinstance(one, tuple) else ((got, one),)
        for g, want in pairs:
            np.testing.assert_allclose(g[i].numpy(), want.numpy(), rtol=1e-5, atol=1e-6)


def test_views_of_complex_numbers_in_batches() -> None:
    x = fw.view_as_complex(fw.randn(4, 3, 2))
    both = fw.vmap(lambda z: fw.view_as_complex(fw.view_as_real(z).flip(-1)), in_dims=1, out_dims=1)(x)
    assert (both.real == x.imag).all() and lookup("view_as_complex").effects.aliases == 0
