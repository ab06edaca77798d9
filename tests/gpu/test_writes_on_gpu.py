"""Writes into tensors of a GPU: values, histories and errors as on the CPU, through views and indices too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.eager import launches
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder, WriteBack
from fusewire.ir.types import TensorType
from fusewire.pipeline import compile_graph

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture(scope="module")
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True) as driver:
        yield driver


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind's second write makes machine code."""
    monkeypatch.setattr(launches, "AFTER", 1)


def whole(r: Any) -> tuple[Any, ...]:
    y = (r * 2).relu_().exp_().clamp_(max=4.0)
    y += r
    y[r > 2] = 0.0
    return (y,)


def by_itself(r: Any) -> tuple[Any, ...]:
    y = r * 2
    y.retain_grad()
    y.mul_(y)
    z = y.view(12)[3:7]
    z.add_(r.view(12)[:4])
    return y, z


def through_views(r: Any) -> tuple[Any, ...]:
    y = r.clone()
    z = y[1:, ::2]
    z.mul_(y[:2, ::2].detach() * 3.0)
    y.t()[1:3].sigmoid_()
    y.fill_diagonal_(2.0)
    return y, z


def into_plain_memory(r: Any) -> tuple[Any, ...]:
    x = r.new_zeros(5, 4)
    a, b = x[:3], x[1:2]
    v = x.t()
    a.copy_(r * r)
    b.mul_(2.0)
    x[4] = r[1] * 2
    v[0].add_(r.view(12)[:5])
    return x, a, b, v * x.t()


def of_a_view(r: Any) -> tuple[Any, ...]:
    x = r.new_zeros(2, 6)
    x.copy_((r * 3).view(2, 6))
    x[1, 1] = 2.0
    return (x,)


def by_index(r: Any) -> tuple[Any, ...]:
    x, i = r * 1.0, fw.tensor([2, 0], device=r.device)
    x[i] = r[:2] * 3
    x[:, i] = r[1, :2]
    x[1, i] = 7.0
    x[0, 1:3] = r[2, 0]
    x[..., None][1:, 2] = r[:2, 1:2] * 5
    return (x,)


def by_mask(r: Any) -> tuple[Any, ...]:
    x, m = r.new_zeros(3, 4), (r > 1).detach()
    x[m] = (r * r)[m]
    x[m[:, 0]] = r[:1]
    x[2, 2] = True
    x[x > 3] = x.detach().max()
    return (x,)


def scattered(r: Any) -> tuple[Any, ...]:
    x, one = r * 1.0, fw.tensor([1], device=r.device)
    x.masked_fill_(x < 0, 2.0)
    x.index_fill_(1, one, 4.0)
    x.scatter_(1, fw.tensor([[0], [1], [2]], device=r.device), r[:, :1])
    x.index_add_(0, one, r[:1])
    return (x,)


def layers(r: Any) -> tuple[Any, ...]:
    model = fw.nn.Sequential(
        fw.nn.Linear(4, 5), fw.nn.ReLU(inplace=True), fw.nn.Dropout(0.0, inplace=True), fw.nn.ELU(inplace=True)
    )
    with fw.no_grad():
        for p in model.parameters():
            p.copy_(fw.arange(float(p.numel())).view(p.shape) * 0.1 - 0.7)
    return (model.to(r.device)(r),)


PROGRAMS = (whole, by_itself, through_views, into_plain_memory, of_a_view, by_index, by_mask, scattered, layers)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_histories(fake: fake_cuda.Fake, program: Callable[[Any], tuple[Any, ...]]) -> None:
    def run(device: str) -> list[Any]:
        r = (fw.arange(12.0, device=device).view(3, 4) - 5).requires_grad_()
        made = program(r)
        sum([(x * x).sum() for x in made]).backward()
        return [r.grad, *(x.detach() for x in made)]

    wanted = run("cpu")
    for _ in range(3):
        for x, y in zip(run("cuda"), wanted, strict=True):
            fw.testing.assert_close(x.cpu(), y)


def test_errors(fake: fake_cuda.Fake) -> None:
    for device in ("cpu", "cuda"):
        w = fw.ones(3, 4, device=device, requires_grad=True)
        for part in (w, w.view(12), w[1]):
            with pytest.raises(fw.errors.AutogradError, match="leaf Variable that requires grad"):
                part.zero_()
        with pytest.raises(fw.errors.AutogradError, match="leaf Variable that requires grad"):
            w[0] = 1.0
        saved = w.exp()
        saved.detach().zero_()
        with pytest.raises(fw.errors.AutogradError, match="modified by an inplace operation"):
            saved.sum().backward()


def test_sources_that_repeat(fake: fake_cuda.Fake) -> None:
    for device in ("cpu", "cuda"):
        x = fw.zeros(3, 4, device=device)
        x[0, 1:3] = fw.tensor(8.0, device=device)
        x[1:, :2].copy_(fw.arange(2.0, device=device)[:, None].expand(2, 2))
        assert x.tolist() == [[0, 8, 8, 0], [0, 0, 0, 0], [1, 1, 0, 0]]
    builder = Builder("write")
    to, repeated = (builder.input(TensorType((2, 3), dtypes.float32, strides)) for strides in ((3, 1), (1, 0)))
    made: Any = compile_graph(builder.finish([], [WriteBack(to, repeated, 0)]))
    target = np.zeros((2, 3), np.float32)
    made.run([target, np.broadcast_to(np.float32([[1], [2]]), (2, 3))])
    assert target.tolist() == [[1, 1, 1], [2, 2, 2]]


def test_writes_are_single_kernels(fake: fake_cuda.Fake) -> None:
    """From the third of a kind on, as values of any numbers, into memory of any strides."""
    def run(device: str) -> list[Any]:
        base, y = fw.arange(48.0, device=device), fw.arange(12.0, device=device).view(3, 4) + 1
        found = []
        for turn in range(4):
            x = base[turn : turn + 12].view(3, 4)
            before = x._version
            x.mul_(y).add_(0.5 * turn).sub_(2).clamp_(min=-5.0)
            x.t()[1:].mul_(y.t()[:3]).copy_(x.t()[:3].clone())
            x.mul_(x).sqrt_()
            base[1::2].fill_(0.25 * turn)
            base[3] = turn
            base[4:8] = y[0]
            fw.add(x, 1.0, out=x)
            x.add_(y.double()).mul_(y[:1])
            h = x.half().mul_(0.1).add_(y)
            n = x.int().mul_(turn - 1).bitwise_and_(7)
            found += [base.clone(), h, n, fw.tensor(x._version - before)]
        return found

    for x, y in zip(run("cuda"), run("cpu"), strict=True):
        fw.testing.assert_close(x.cpu(), y)
    x, y = fw.ones(7, device="cuda"), fw.ones(7, device="cuda")
    for turn in range(4):
        before = len(fake.launches)
        x.add_(y)
        x.copy_(y)
        x.fill_(0.5 * turn)
        if turn > 1:
            assert len(fake.launches) == before + 3


def test_what_overlaps_and_what_fits_not(fake: fake_cuda.Fake) -> None:
    for device in ("cpu", "cuda"):
        for _ in range(4):
            x = fw.arange(9.0, device=device).view(3, 3)
            x.mul_(x[0].clone()).add_(x)
            x.copy_(x.t().clone())
            assert x.tolist() == [[0, 0, 0], [2, 8, 14], [8, 20, 32]]
            with pytest.raises((RuntimeError, fw.errors.ShapeError)):
                x.int().mul_(0.5)
            with pytest.raises(fw.errors.ShapeError):
                x[0].add_(x.clone())
            d = x.data
            w = x.clone().requires_grad_()
            saved = w.exp()
            saved.data.mul_(1.0)  # counts for itself
            saved.sum().backward()
            d.mul_(2.0)
            assert x[1].tolist() == [4, 16, 28]


WRITES = {
    "add_": lambda x, y: x.add_(1), "copy_": lambda x, y: x.copy_(y), "relu_": lambda x, y: x.relu_(),
    "normal_": lambda x, y: x.normal_(), "masked_fill_": lambda x, y: x.masked_fill_(y > 0, 1.0),
    "out": lambda x, y: fw.add(y, 1, out=x), "fill_": lambda x, y: x.fill_(2.0),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_elements_that_share_a_place_are_not_written(fake: fake_cuda.Fake, name: str) -> None:
    for device in ("cpu", "cuda"):
        x, y = fw.ones(3, device=device), fw.ones(4, 3, device=device)
        with pytest.raises(RuntimeError, match="more than one of its elements refers to a single memory location"):
            WRITES[name](x.expand(4, 3), y)
        assert x.tolist() == [1.0] * 3


def test_floats_into_complex_tensors(fake: fake_cuda.Fake) -> None:
    kind = fw.complex64
    for _ in range(3):
        made = [fw.full((3,), 1.5, dtype=kind, device="cuda"), fw.ones(3, dtype=kind, device="cuda").fill_(1.5)]
        assert [x.tolist() for x in made] == [[1.5 + 0j] * 3] * 2
