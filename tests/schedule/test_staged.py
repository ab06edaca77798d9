"""Long reductions in two stages: equal to one, whatever the sizes leave over; the same bits on any number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import pipeline
from fusewire.ir import staged, work
from fusewire.runtime import pool

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: x.sum(),
    "sum0": lambda x: x.sum(0),
    "mean": lambda x: (x * 2).mean() + 1,
    "amax": lambda x: x.amax(0),
    "any": lambda x: (x > 2.5).any(),
    "two": lambda x: ((x * x).sum(0), x.sum(0)),
    "prod": lambda x: (1 + x * 1e-3).prod(0),
}


@pytest.fixture
def kernels() -> Iterator[list[Any]]:
    seen: list[Any] = []

    def see(stages: Any) -> None:
        seen.extend(stages.kernels)

    pipeline.OBSERVERS.append(see)
    yield seen
    pipeline.OBSERVERS.remove(see)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shape", [(1024, 8), (1025, 3), (1000, 2, 7), (4099,)])
def test_equal_to_eager(name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, kernels: list[Any]) -> None:
    monkeypatch.setattr(work, "WORTH", 100_000)
    monkeypatch.setattr(work, "CHUNK", 10_000)
    program = PROGRAMS[name]
    x = fw.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    wanted, compiled, before, bits = program(x), fw.compile(program), pool.threads(), set()
    try:
        for threads in (1, 2, 3, 8):
            pool.set_threads(threads)
            for _ in range(2):
                found = compiled(x)
            pairs = zip(found, wanted, strict=True) if isinstance(found, tuple) else [(found, wanted)]
            for a, b in pairs:
                np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-5, atol=2e-4)
            bits.add(b"".join(a.numpy().tobytes() for a in (found if isinstance(found, tuple) else (found,))))
    finally:
        pool.set_threads(before)
    assert len(bits) == 1
    assert any(k.name.endswith("_parts") for k in kernels)


def test_text(golden: Any, monkeypatch: pytest.MonkeyPatch, kernels: list[Any]) -> None:
    monkeypatch.setattr(work, "WORTH", 100_000)
    monkeypatch.setattr(work, "CHUNK", 10_000)
    fw.compile(lambda x: x.sum(0) * 2)(fw.ones(1000, 4))
    golden("staged.txt", "\n\n".join(map(str, kernels)))


def test_what_has_grid_enough_stays_whole(kernels: list[Any]) -> None:
    fw.compile(lambda x: x.sum(1))(fw.ones(4096, 512))
    fw.compile(lambda x: x.sum(0))(fw.ones(512, 4096))
    fw.compile(lambda x: x.sum())(fw.ones(100, 100))
    assert [k.name for k in kernels] == ["k0_sum"] * 3
    assert staged.PARTS == 16


def test_loops_behind_a_full_reduction(monkeypatch: pytest.MonkeyPatch, kernels: list[Any]) -> None:
    """The gradient of cross_entropy: the number of targets that count stands before the rows."""
    monkeypatch.setattr(work, "WORTH", 100_000)
    monkeypatch.setattr(work, "CHUNK", 10_000)
    rng = np.random.default_rng(1)
    targets = fw.tensor(np.where(rng.random(256) < 0.2, -100, rng.integers(0, 40, 256)))
    values = rng.standard_normal((256, 40)).astype(np.float32)

    def loss(x: Any) -> Any:
        return fw.nn.functional.cross_entropy(x, targets)

    compiled, found = fw.compile(loss), []
    for run in (loss, compiled, compiled):
        x = fw.tensor(values).requires_grad_()
        value = run(x)
        value.backward()
        found.append((value.item(), x.grad.numpy()))
    for value, grad in found[1:]:
        np.testing.assert_allclose(value, found[0][0], rtol=1e-6)
        np.testing.assert_allclose(grad, found[0][1], rtol=1e-5, atol=1e-7)
    ends = [k.name.rpartition("_")[2] for k in kernels]
    assert "each" in ends and "parts" in ends and max(kernels, key=work.work).grid  # type: ignore[arg-type]
    wrong = fw.tensor(np.full(256, 41))
    with pytest.raises(IndexError):
        fw.compile(lambda x: fw.nn.functional.cross_entropy(x, wrong))(fw.tensor(values))
