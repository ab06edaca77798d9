"""Kernels that do not wait for one another are one launch: which are joined, and with the results of each alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
import fusewire.nn.functional as F
from fusewire import nn, pipeline
from fusewire.backends import reference
from fusewire.backends.gpu import together
from fusewire.backends.gpu.ways import kernel_ways
from fusewire.errors import VerifyError
from fusewire.ir import text
from fusewire.ir.loops import Kernel
from fusewire.ir.loops_text import parse_kernel
from fusewire.ir.loops_verify import verify_kernel
from fusewire.ir.plan import KernelStep

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed() as driver:
        yield driver


def part(name: str, n: int) -> str:
    return f"""  kernel k_{name}({name}: rw f32[{n}], g_{name}: r f32[{n}]) scalars(lr: float):
    grid i0 < {n}:
      v0 = load {name}[i0]
      v1 = load g_{name}[i0]
      v2 : f32 = param lr
      v3 : f32 = mul v1 v2
      v4 : f32 = sub v0 v3
      store {name}[i0] = v4
"""


def sgd(*sizes: int) -> Kernel:
    """One update each of vectors of these sizes, and a count."""
    names = [f"p{i}" for i in range(len(sizes))]
    buffers = ", ".join(f"{p}: rw f32[{n}], g_{p}: r f32[{n}]" for p, n in zip(names, sizes, strict=True))
    counted = "  kernel k_c(c: rw f32[1]):\n    grid:\n      v0 = load c[0]\n      v1 : f32 = const 1.0\n" \
              "      v2 : f32 = add v0 v1\n      store c[0] = v2\n"  # fmt: skip
    parts = "".join(map(part, names, sizes))
    return parse_kernel(f"kernel all_of_them({buffers}, c: rw f32[1]) scalars(lr: float):\n{parts}{counted}")


def test_text_verifier_and_meaning() -> None:
    kernel = sgd(5, 3)
    assert parse_kernel(str(kernel)) == kernel
    verify_kernel(kernel)
    rng = np.random.default_rng(0)
    memory = [rng.standard_normal(b.size).astype(np.float32) for b in kernel.buffers]  # type: ignore[arg-type]
    before = [m.copy() for m in memory]
    assert reference.run_kernel(kernel, memory, {}, [0.5]) == 0
    np.testing.assert_array_equal(memory[0], before[0] - before[1] * np.float32(0.5))
    np.testing.assert_array_equal(memory[2], before[2] - before[3] * np.float32(0.5))
    assert memory[4][0] == before[4][0] + 1
    wrong = str(kernel).replace("g_p1: r f32[3]) scalars", "g_p1: r f32[3], p0: r f32[5]) scalars")
    with pytest.raises(VerifyError, match="writes p0, which another part touches"):
        verify_kernel(parse_kernel(wrong))


def test_parts_of_one_text_are_printed_once() -> None:
    one, two = together.classes(sgd(4096, 768, 300, 16))
    assert len(one.points) == 4 and one.points == (4096, 768, 300, 16) and two.points == (1,)
    source = together.source(sgd(4096, 768, 300, 16))
    assert source.text.count("tl.load") == 3 and source.grid == 32 + 6 + 3 + 1 + 1
    assert "if (program >= 0) & (program < 42):" in source.text and "if (program >= 42) & (program < 43):" in source.text


def test_machine_code_moves_sixteen_bytes_at_a_time() -> None:
    pytest.importorskip("triton")
    from fusewire.backends.gpu.kernel import SM90
    from fusewire.backends.gpu.stages import run

    aligned, anyhow = kernel_ways(sgd(1 << 20, 768, 16, 4096, 64))
    ptx = run(aligned.jobs[0].build, SM90, "ptx").asm["ptx"]
    assert len(re.findall(r"ld\.global\.v4\.b32", ptx)) == 2 * 2  # 1,024 elements by 128 threads
    assert len(re.findall(r"st\.global\.v4\.b32", ptx)) == 2
    assert ".v4" not in run(anyhow.jobs[0].build, SM90, "ptx").asm["ptx"]


def joined(graph: Any) -> list[int]:
    """The parts of each kernel of a GPU's plan."""
    plan = pipeline.stages(graph, launches=pipeline.LAUNCHES).plan
    return [len(s.kernel.parts) for s in plan.steps if isinstance(s, KernelStep)]


def test_who_waits_for_another_is_not_joined() -> None:
    graph = text.parse_graph("""graph g(%a: f32[40], %b: f32[50], %c: f32[60]):
  %0 : f32[40] = exp(%a)
  %1 : f32[50] = neg(%b)
  %2 : f32[60] = neg(%c)
  %3 : f32[] = sum(%2) {dim=(0,), keepdim=False}
  %4 : f32[50] = mul(%1, %3)
  return %0, %1, %2, %4
""")
    assert joined(graph) == [2, 0]  # exp beside neg; sum and product behind


def steps_of(optimizer: Any, device: str) -> tuple[Any, list[Any]]:
    fw.manual_seed(0)
    layers = nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 12), nn.LayerNorm(12), nn.Linear(12, 4)
    model = nn.Sequential(*layers).to(device)
    chosen = optimizer(model.parameters())
    x, t = fw.randn(6, 8).to(device), fw.arange(6, device=device) % 4

    @fw.compile
    def step() -> Any:
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        chosen.step()
        chosen.zero_grad()
        return loss

    return step, [*model.parameters(), *model.buffers()]


OPTIMIZERS = {
    "AdamW": (lambda ps: fw.optim.AdamW(ps, lr=1e-2), 17), "SGD": (lambda ps: fw.optim.SGD(ps, lr=1e-2, momentum=0.9), 14),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_steps_take_few_launches(fake: fake_cuda.Fake, name: str) -> None:
    """And give the CPU's numbers."""
    make, most = OPTIMIZERS[name]
    (step, there), (other, here) = steps_of(make, "cuda"), steps_of(make, "cpu")
    for _ in range(4):
        before = len(fake.launches)
        assert step().item() == pytest.approx(other().item(), rel=1e-5)
        launched = len(fake.launches) - before
    assert launched <= most, [name for name, _, _ in fake.launches[before:]]
    for a, b in zip(there, here, strict=True):
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_counts_of_eager_steps_come_to_the_device(fake: fake_cuda.Fake) -> None:
    """A compiled step behind eager ones is one graph from its second call on."""
    kept = []
    for device in ("cuda", "cpu"):
        w = nn.Parameter(fw.arange(6, dtype=fw.float32).to(device))
        optimizer = fw.optim.AdamW([w], lr=0.1)

        def step(w: Any = w, optimizer: Any = optimizer) -> None:
            (w * w).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

        step()
        fw.compile(step)()
        for _ in range(2):
            fw.compile(step, fullgraph=True)()
        assert optimizer.state[w]["step"].device.type == device and optimizer.state[w]["step"].item() == 4
        kept.append(w.detach().cpu())
    fw.testing.assert_close(*kept)
