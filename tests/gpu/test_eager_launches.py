"""Kinds of eager calls on a GPU that machine code serves: what is part of a kind, and what it leaves to the executor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire import pipeline
from fusewire.eager import launches

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda
from at_once import at_once

TURNS = 4


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True, count=2, memory=64 << 20) as driver:
        yield driver


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind's second call makes machine code."""
    monkeypatch.setattr(launches, "AFTER", 1)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the ops that machine code has run."""
    found: list[str] = []
    run = launches.called

    def called(kinds: Any, op: Any, operands: Any, attrs: Any) -> Any:
        made = run(kinds, op, operands, attrs)
        if made is not None:
            found.append(op.name)
        return made

    monkeypatch.setattr(launches, "called", called)
    return found


def beside_the_cpu(f: Callable[..., Any], *given: Any) -> None:
    """`f` of tensors on both devices, and of numbers, as often as it takes to be served."""
    for _ in range(TURNS):
        wanted, found = f(*given), f(*(x.cuda() if hasattr(x, "cuda") else x for x in given))
        assert (found.shape, found.dtype, found.stride()) == (wanted.shape, wanted.dtype, wanted.stride())
        fw.testing.assert_close(found.cpu(), wanted, equal_nan=True)


def test_numbers_are_part_of_a_kind_where_kernels_hold_them(fake: fake_cuda.Fake, served: list[str]) -> None:
    x = fw.tensor([1.0, 4.0, 9.0])
    for number in (2, 3, True, 2.0, 3.0, 0.5, -0.5, 0.0, -0.0, float("nan"), float("inf")):
        beside_the_cpu(lambda x, n: x**n, x, number)
        beside_the_cpu(lambda x, n: x * n, x, number)
        beside_the_cpu(lambda x, n: fw.where(x > 2, x, n), x, number)
        beside_the_cpu(lambda x, n: n / x, x.double(), number)
    for negative in (0.0, -0.0, 0, 0.5):
        beside_the_cpu(lambda x, n: 1 / fw.nn.functional.leaky_relu(x, n), -x, negative)
    assert {"pow", "mul", "where", "div"} <= set(served)


def test_dtypes_of_numbers_and_of_0d_tensors(fake: fake_cuda.Fake, served: list[str]) -> None:
    for dtype in (fw.float16, fw.bfloat16, fw.int32, fw.bool, fw.float64):
        x = fw.tensor([1, 0, 3]).to(dtype)
        for number in (2, 2.5, True):
            beside_the_cpu(lambda x, n: x * n, x, number)
        beside_the_cpu(lambda x: x + fw.tensor(2.5), x)  # a 0-d tensor of the CPU comes along
        beside_the_cpu(lambda x, y: x + y, x, fw.tensor(2.5))
    fw.set_default_dtype(fw.float64)
    try:
        beside_the_cpu(lambda x, n: x * n, fw.tensor([1, 2]), 2.5)
    finally:
        fw.set_default_dtype(fw.float32)
    assert "mul" in served and "add" in served


def test_views_of_any_place(fake: fake_cuda.Fake, served: list[str]) -> None:
    base = fw.arange(64.0)
    for first in (0, 1, 2, 3, 4, 16, 5):
        beside_the_cpu(lambda x, i: x[i : i + 16] * 2.0 + x[i + 1 : i + 17], base, first)
        beside_the_cpu(lambda x, i: x[i : i + 16].view(4, 4).t().sum(1), base, first)
        beside_the_cpu(lambda x, i: x[i], base, first)
    on = base.cuda()
    for _ in range(TURNS):
        on.view(8, 8)[3:5, ::2].add_(1.0)
        base.view(8, 8)[3:5, ::2].add_(1.0)
        assert on.tolist() == base.tolist()
    assert "mul" in served and "permute" in served


def test_nothing_is_served_without_elements(fake: fake_cuda.Fake) -> None:
    for shape in ((0,), (0, 3), (3, 0)):
        beside_the_cpu(lambda x: x * 2.0, fw.ones(shape))
        beside_the_cpu(lambda x: x.sum(0), fw.ones(shape))
        beside_the_cpu(lambda x: x.t() if x.ndim == 2 else x[:0], fw.ones(shape))


def test_history(fake: fake_cuda.Fake, served: list[str]) -> None:
    def grads(device: str) -> list[Any]:
        fw.manual_seed(3)
        x, w, found = fw.randn(4, 6, device=device), fw.randn(6, 3, device=device, requires_grad=True), []
        for turn in range(2 * TURNS):
            w.requires_grad_(turn % 3 != 2)
            with fw.set_grad_enabled(turn % 4 != 3):
                out = ((x @ w).tanh()[1:].t() * 0.5).softmax(0).sum(1)
            assert out.requires_grad is (turn % 3 != 2 and turn % 4 != 3)
            if out.requires_grad:
                (first,) = fw.autograd.grad((out * out).sum(), w, create_graph=True)
                (second,) = fw.autograd.grad((first * first).sum(), w)
                found += [first.detach(), second]
        return found

    for found, wanted in zip(grads("cuda"), grads("cpu"), strict=True):
        fw.testing.assert_close(found.cpu(), wanted)
    assert {"tanh", "mul", "softmax", "sum"} <= set(served)


def test_what_was_saved_is_watched(fake: fake_cuda.Fake) -> None:
    w = fw.ones(3, device="cuda", requires_grad=True)
    for _ in range(TURNS):
        out = (w * 2.0).exp()
        out.detach().mul_(2.0)
        with pytest.raises(fw.errors.AutogradError, match="modified by an inplace operation"):
            out.sum().backward()


def test_modes_are_asked_at_every_call(fake: fake_cuda.Fake, served: list[str]) -> None:
    x, w = fw.ones(4, 4, device="cuda"), fw.nn.Parameter(fw.ones(4, 4, device="cuda"))
    for _ in range(TURNS):
        with fw.autocast("cuda", dtype=fw.bfloat16):
            assert (x @ w).dtype is fw.bfloat16 and (x + w).dtype is fw.float32
        assert (x @ w).dtype is fw.float32 and (x @ w).requires_grad and not (x @ x).requires_grad
        with fw.no_grad():
            assert not (x @ w).requires_grad
        with fw.knobs.override(tf32=True):
            assert (x @ w).tolist() == [[4.0] * 4] * 4
        assert fw.vmap(lambda row: row * 2.0 + 1.0)(x).tolist() == [[3.0] * 4] * 4
        f = fw.compile(lambda x: x * 2.0 + 1.0, fullgraph=True)
        assert f(x).tolist() == [[3.0] * 4] * 4  # a traced tensor has the Meta of a real one
    assert {"add", "mul"} <= set(served)


def test_streams_devices_and_threads(fake: fake_cuda.Fake) -> None:
    def work(seed: int) -> None:
        with fw.cuda.stream(fw.cuda.Stream(seed % 2)):
            x = fw.full((8, 5), float(seed), device=f"cuda:{seed % 2}")
            for turn in range(20):
                y = (x * 2.0 + turn)[1:].sum(0)
                assert y.tolist() == [7 * (2.0 * seed + turn)] * 5
                assert y.device == x.device

    at_once(work, range(5))
    assert len({stream for *_, stream in fake.launches}) == 5
    x, y = fw.ones(3, device="cuda:0"), fw.ones(3, device="cuda:1")
    with pytest.raises(fw.errors.DeviceError, match="at least two devices, cuda:0 and cuda:1"):
        x + y


def test_recordings_hold_every_launch(fake: fake_cuda.Fake) -> None:
    x = fw.ones(4, device="cuda")
    for _ in range(TURNS):
        y = x * 3.0 + 1.0
    graph = fw.cuda.CUDAGraph()
    with fw.cuda.graph(graph):
        y = x * 3.0 + 1.0
    x.fill_(2.0)
    graph.replay()
    assert y.tolist() == [7.0] * 4


def test_a_device_that_comes_anew_serves_anew() -> None:
    for _ in range(2):
        with fake_cuda.installed():
            x = fw.arange(6.0, device="cuda")
            for _ in range(TURNS):
                assert (x + 1.0)[2:].tolist() == [3.0, 4.0, 5.0, 6.0]


def test_tables_stay_small(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launches, "MOST", 8)
    monkeypatch.setattr(launches, "STATES", 2)
    x = fw.arange(40.0, device="cuda")
    for limit in range(5):
        with fw.knobs.override(inline_limit=20 + limit):
            for n in range(1, 30):
                for _ in range(TURNS):
                    assert (x[:n] * 2).shape == (n,)
    assert len(launches._tables) <= 2 and all(len(t) <= 9 for t in launches._tables.values())


def test_tensors_without_operands_are_made_where_they_belong(fake: fake_cuda.Fake, served: list[str]) -> None:
    for _ in range(TURNS):
        for device in ("cuda:0", "cuda:1"):
            made = [fw.zeros(1, device=device), fw.full((2, 3), 1.5, device=device), fw.ones((), device=device)]
            made += [fw.zeros_like(made[1]), fw.full((2, 3), 2.5, device=device)]
            assert [str(x.device) for x in made] == [device] * 5
            assert [x.sum().item() for x in made] == [0.0, 9.0, 1.0, 0.0, 15.0]
    assert served.count("full") > 10


def test_several_results(fake: fake_cuda.Fake) -> None:
    for shape in ((4, 6), (3, 5)):
        x = fw.arange(float(shape[0] * shape[1])).view(shape).sin()
        for _ in range(TURNS):
            for found, wanted in zip(x.cuda().max(1), x.max(1), strict=True):
                assert found.tolist() == wanted.tolist()
            w = x.cuda().requires_grad_()
            top = w.max(1)
            top.values.sum().backward()
            assert w.grad.sum().item() == shape[0] and not top.indices.requires_grad


def test_windows_are_remembered_by_their_index(fake: fake_cuda.Fake) -> None:
    base = fw.arange(60.0)
    x, on = base.view(3, 4, 5), base.cuda().view(3, 4, 5)
    indices: list[Any] = [
        0, 1, -1, True, None, ..., slice(1, None), slice(None, None, 2), (1, 2), (slice(1), 2), (..., 1), (None, 1),
        (slice(True, 3), 0), fw.tensor(1), [0, 1], (slice(None), [1, 0]), (1.0 > 0, 1),
    ]  # fmt: skip
    for _ in range(TURNS):
        for i in indices:
            for a, b in ((on, x), (on[1:], x[1:]), (on.detach(), x.detach())):
                found, wanted = a[i], b[i]
                assert found.tolist() == wanted.tolist() and found.storage_offset() == wanted.storage_offset()
        with pytest.raises(IndexError):
            on[3]
    w = on.clone().requires_grad_()
    for _ in range(TURNS):
        assert w[1].requires_grad and w[1].grad_fn is not None
        with fw.no_grad():
            assert not w[1].requires_grad
    data = on.data
    data[1].zero_()
    assert on._version == 0 and on[1].sum().item() == 0.0


def test_ints_are_inputs_of_one_kernel_after_two(fake: fake_cuda.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_graph = pipeline.compile_graph

    def counted(graph: Any, **how: Any) -> Any:
        compiled.append(graph.name)
        return compile_graph(graph, **how)

    monkeypatch.setattr(pipeline, "compile_graph", counted)
    x, n = fw.tensor([-3.0, 0.5, 7.0]), fw.tensor([-3, 5, 7])
    calls: dict[str, Callable[[Any, Any, int], Any]] = {
        "x * i": lambda x, n, i: x * i, "n + i": lambda x, n, i: n + i, "i - n": lambda x, n, i: i - n,
        "n // i": lambda x, n, i: n // i, "n % i": lambda x, n, i: n % i, "n == i": lambda x, n, i: n == i,
        "where": lambda x, n, i: fw.where(x > 0, x, i), "fill_": lambda x, n, i: n.clone().fill_(i),
        "add_": lambda x, n, i: n.clone().add_(i), "n[1] = i": lambda x, n, i: n.clone().index_fill_(0, n.abs()[:1] // 3, i),
        "arange": lambda x, n, i: fw.arange(i, i + 3, device=x.device),
    }  # fmt: skip
    for name, f in calls.items():
        compiled.clear()
        for i in (2, 3, 5, -7, 11, 1 << 30, -(1 << 31), 3, 40, 41, 42, 43):
            found, wanted = f(x.cuda(), n.cuda(), i), f(x, n, i)
            assert found.dtype == wanted.dtype and fw.equal(found.cpu(), wanted), (name, i)
        assert len(compiled) <= 6, (name, compiled)  # what goes with it included


@pytest.mark.parametrize("number", [0, 1 << 31, -(1 << 40)])
def test_ints_that_are_not_like_those_before(fake: fake_cuda.Fake, number: int) -> None:
    """Of more than 32 bits, or what nothing is divided by: as eager on the CPU, whatever machine code has served before."""
    calls: tuple[Callable[[Any, int], Any], ...] = (
        lambda n, i: n + i, lambda n, i: n // i, lambda n, i: n == i, lambda n, i: n.add_(i),
    )  # fmt: skip

    def outcome(f: Callable[[Any, int], Any], n: Any, i: int) -> Any:
        try:
            return f(n, i).cpu().tolist()
        except Exception as error:
            return type(error)

    for f in calls:
        for i in (2, 3, 5, 7, 9, 11):
            outcome(f, fw.arange(4).cuda(), i)
        wanted = outcome(f, fw.arange(4), number)
        assert [outcome(f, fw.arange(4).cuda(), number) for _ in range(TURNS)] == [wanted] * TURNS


def test_floats_beside_complex_numbers_count() -> None:
    with fake_cuda.installed():
        x = fw.tensor([1 + 2j, -3j], device="cuda")
        for number in (0.5, 1.5, 1.5, 1.5, -2.0):
            wanted = [x.cpu() * number, x.cpu() + number, fw.full((2,), number, dtype=fw.complex64)]
            found = [x * number, x + number, fw.full((2,), number, dtype=fw.complex64, device="cuda")]
            assert [t.tolist() for t in found] == [t.tolist() for t in wanted]
            assert fw.where(x.real > 0, 1j, number).tolist() == fw.where(x.cpu().real > 0, 1j, number).tolist()
