"""Every op record on a GPU beside the CPU, by its own samples; and how few kernels serve calls of many sizes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.eager.executor import apply
from fusewire.eager.factory import make
from fusewire.eager.patterns import of_call
from fusewire.ir import dtypes
from fusewire.ir.op import OPS, Op, lookup
from fusewire.ir.types import TensorType

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

SAMPLES, WHOLE = 2, 8


@pytest.fixture(scope="module")
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True) as driver:
        yield driver


def outcome(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], device: str) -> Any:
    """The results on the CPU, or the exception."""
    try:
        given = [make(x.copy(order="K")).to(device) if isinstance(x, np.ndarray) else x for x in operands]
        out = apply(op, tuple(given), dict(attrs))
        back = [x.cpu() for x in (out if isinstance(out, tuple) else (out,))]
        if device != "cpu":
            fw.cuda.synchronize()
        return back
    except Exception as error:
        return error


def values(x: Any) -> Any:
    return x.array.astype(np.complex128 if x.dtype.is_complex else np.float64)


@pytest.mark.parametrize("name", sorted(OPS))
def test_as_on_the_cpu(fake: fake_cuda.Fake, name: str, request: pytest.FixtureRequest) -> None:
    op = lookup(name)
    for sample in islice(op.sample(np.random.default_rng(0)), WHOLE if request.config.getoption("--whole") else SAMPLES):
        if not any(isinstance(x, np.ndarray) for x in sample.operands):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it runs on the host
            wanted, found = (outcome(op, sample.operands, sample.attrs, device) for device in ("cpu", "cuda"))
        if isinstance(wanted, Exception):
            assert type(found) is type(wanted), (sample, found)
            continue
        if sample.raises is not None and isinstance(found, sample.raises):
            continue  # NumPy's kernel alone would have taken it
        assert not isinstance(found, Exception), (sample, found)
        for x, y in zip(found, wanted, strict=True):
            assert (x.shape, x.dtype) == (y.shape, y.dtype) and (x.stride() == y.stride() or x.numel() < 2)
            tolerance = 1e-2 if x.dtype.is_half else 1e-5
            np.testing.assert_allclose(values(x), values(y), rtol=tolerance, atol=tolerance)


def built(work: Any) -> int:
    """How many kernels a piece of work compiles."""
    from fusewire.backends.gpu import builder

    before = builder.current.built  # type: ignore[attr-defined]
    work()
    return int(builder.current.built - before)  # type: ignore[attr-defined]


def test_one_kernel_serves_all_sizes(fake: fake_cuda.Fake) -> None:
    def pointwise() -> None:
        for shape in ((64,), (3, 5), (2, 3, 4), (7, 1, 9)):
            x = fw.ones(shape, device="cuda")
            for number in (1.5, 2.5, -3.0):
                assert (x * number + x).cpu().tolist() == fw.full(shape, 1 + number).tolist()

    def whole() -> None:
        for rows, inner in ((3, 17), (40, 41), (100, 60)):
            x = fw.ones(rows, inner, device="cuda")
            assert x.sum(1).tolist() == [inner] * rows and (x * x.sum(1, keepdim=True)).sum().item() == rows * inner * inner

    assert built(pointwise) == 3  # full, mul by a number, add
    assert built(whole) == 4  # sum of rows, the same kept as a dimension; mul along rows; sum of all


def test_operands_that_are_all_repeated(fake: fake_cuda.Fake) -> None:
    x = fw.arange(12, dtype=fw.float64).view(3, 4)
    e, on = x.expand(2, 3, 4), x.to("cuda").expand(2, 3, 4)
    for f in (lambda y: y + 0.0, lambda y: y.clone(), lambda y: y[:, :, :1].expand(2, 3, 4) * y[:1].expand(2, 3, 4)):
        assert f(on).cpu().tolist() == f(e).tolist()
    given = x.to("cuda").requires_grad_()
    given.sum(0).backward(fw.ones(4, dtype=fw.float64, device="cuda"))
    assert given.grad.cpu().tolist() == fw.ones(3, 4).tolist()


def test_patterns_join_dimensions_that_lie_as_one() -> None:
    def pattern(*types: TensorType, out: tuple[int, ...]) -> tuple[str, ...]:
        strides = tuple(int(s) for s in np.cumprod([1, *reversed(out)])[-2::-1])
        return tuple(map(str, of_call(lookup("add"), types, {}, [TensorType(out, dtypes.float32, strides)]).types))

    def of(shape: tuple[int, ...], strides: tuple[int, ...]) -> TensorType:
        return TensorType(shape, dtypes.float32, strides)

    whole, row, column = of((4, 5, 6), (30, 6, 1)), of((6,), (1,)), of((4, 1, 1), (1, 1, 1))
    assert pattern(whole, whole, out=(4, 5, 6)) == ("f32[s0]", "f32[s0]")
    assert pattern(whole, row, out=(4, 5, 6)) == ("f32[s0,s1]", "f32[1,s1]")
    assert pattern(whole, column, out=(4, 5, 6)) == ("f32[s0,s1]", "f32[s0,1]")
    assert pattern(whole, of((), ()), out=(4, 5, 6)) == ("f32[s0]", "f32[]")
    assert pattern(of((4, 6), (12, 1)), of((4, 6), (6, 1)), out=(4, 6)) == ("f32[s0,s1]@(s1*t0,1)", "f32[s0,s1]")
