"""Long reductions in two stages: equal to one, whatever the sizes leave over; the same bits on any number of threads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import pipeline
from fusewire.ir import staged, work
from fusewire.ir.loops_text import parse_kernel
from fusewire.ir.loops_verify import verify_kernel
from fusewire.runtime import pool

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from run_kernel import run

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


ROWS = """
kernel rows(x: r f32[10240], w: r i64[256], g: r f32[1], out: w f32[10240], last: w f32[1]) scalars(lr: float):
  error 0: gather IndexError "out of range"
  grid:
    reduce i0 < 256 -> v2 : f32 = add v1:
      v0 = load w[i0]
      v1 : f32 = cast v0
    v3 = load g[0]
    v4 : f32 = div v3 v2
    v5 : f32 = param lr
    for i0 < 256:
      v6 = load w[i0]
      v7 : i64 = const 5
      v8 : bool = lt v6 v7
      check v8 else 0
      reduce i1 < 40 -> v10 : f32 = maximum v9:
        v9 = load x[40*i0 + i1]
      for i1 < 40:
        v11 = load x[40*i0 + i1]
        v12 : f32 = sub v11 v10
        v13 : f32 = exp v12
        v14 : f32 = mul v13 v4
        v15 : f32 = mul v14 v5
        store out[40*i0 + i1] = v15
    v16 : f32 = add v4 v5
    store last[0] = v16
"""


def test_loops_behind_a_full_reduction(monkeypatch: pytest.MonkeyPatch, golden: Any) -> None:
    monkeypatch.setattr(work, "WORTH", 100_000)
    kernel = parse_kernel(ROWS)
    split = staged._split(kernel)
    golden("staged_loop.txt", "\n\n".join(map(str, split.kernels)))
    rng = np.random.default_rng(1)
    for top in (5, 6):  # one row in six fails its check
        given: dict[str, Any] = {
            "x": rng.standard_normal(10240).astype(np.float32), "w": rng.integers(0, top, 256), "g": np.float32([2.0]),
            "out": np.zeros(10240, np.float32), "last": np.zeros(1, np.float32),
        }  # fmt: skip
        status = run(kernel, [given[b.name] for b in kernel.buffers], scalars=[0.5])
        again = {**given, "out": np.zeros(10240, np.float32), "last": np.zeros(1, np.float32)}
        again |= {b.name: np.zeros(b.size, b.dtype.np) for b in split.temporaries}
        found = 0
        for k in split.kernels:
            verify_kernel(k)
            found = found or run(k, [again[b.name] for b in k.buffers], scalars=[0.5] * len(k.scalars), threads=3)
        assert found == status == top - 5
        if not status:
            np.testing.assert_allclose(again["out"], given["out"], rtol=1e-6)
            np.testing.assert_allclose(again["last"], given["last"], rtol=1e-6)
