"""What only a GPU can show: every record, training steps and graphs, beside the CPU. ``pytest -m gpu``; skipped elsewhere."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.ir.op import OPS, lookup

sys.path.insert(0, str(Path(__file__).parent))
from test_compiled_on_gpu import training
from test_ops_on_gpu import outcome, values

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not fw.cuda.is_available(), reason="there is no GPU")]


@pytest.mark.parametrize("name", sorted(OPS) if fw.cuda.is_available() else ["every record"])
def test_as_on_the_cpu(name: str) -> None:
    op = lookup(name)
    for sample in op.sample(np.random.default_rng(0)):
        if not any(isinstance(x, np.ndarray) for x in sample.operands):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted, found = (outcome(op, sample.operands, sample.attrs, device) for device in ("cpu", "cuda"))
        if isinstance(wanted, Exception):
            assert isinstance(found, Exception), sample
            continue
        if sample.raises is not None and isinstance(found, sample.raises):
            continue  # NumPy's kernel alone would have taken it
        assert not isinstance(found, Exception), (sample, found)
        for x, y in zip(found, wanted, strict=True):
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
            tolerance = 2e-2 if x.dtype.is_half else 1e-4
            np.testing.assert_allclose(values(x), values(y), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("compiled", [False, True])
def test_training_steps_have_the_cpus_losses(compiled: bool) -> None:
    assert training("cuda", compiled) == pytest.approx(training("cpu", False), rel=1e-3)


def test_recorded_launches() -> None:
    f: Any = fw.compile(lambda x: (x - x.sum(0)).exp(), mode="reduce-overhead", fullgraph=True)
    x = fw.randn(64, 64, device="cuda")
    held = [f(x) for _ in range(5)]
    for y in held:
        fw.testing.assert_close(y.cpu(), (x.cpu() - x.cpu().sum(0)).exp(), rtol=1e-4, atol=1e-4)


def test_streams_and_pinned_memory() -> None:
    host, side = fw.arange(1 << 20).pin_memory(), fw.cuda.Stream()
    with fw.cuda.stream(side):
        x = host.to("cuda", non_blocking=True) * 2
    fw.cuda.current_stream().wait_stream(side)
    x.record_stream(fw.cuda.current_stream())
    assert fw.equal((x + 1).cpu(), host * 2 + 1)
