"""``fusewire cache warm``: compiles ahead, in processes, the one-op kernels that programs on a GPU commonly run; launches none.

The ops are those of small networks, their gradients and updates, walked through with tensors whose values nobody computes. What
is found is the same that a program would ask for: kernels are generic over sizes, so the sizes here do not matter.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from ..errors import CompileError, FusewireError
from ..ir.plan import RoutineStep
from ..ir.types import TensorType
from ..runtime.gpu.device import GPU, device
from ..runtime.meta import Meta
from . import gpu as on_gpu
from .gpu import Executor, Plan


class Walking(Executor):
    """Notes what calls would launch, and gives memory that nothing is written to."""

    def __init__(self, gpu: GPU) -> None:
        super().__init__(gpu)
        self.executables: list[Any] = []

    def _runner(self, op: Any, executable: Any, pattern: Any, out: list[TensorType], single: bool) -> Plan:
        self.executables.append(executable)
        metas = [Meta.of(t.shape, t.strides, t.dtype, False, self.gpu.name) for t in out]  # type: ignore[arg-type]

        def run(operands: tuple[Any, ...]) -> Any:
            made = tuple([on_gpu.fresh(self.gpu, m.shape, m.strides, m.dtype) for m in metas])
            return made[0] if single else made

        return run

    def variants(self) -> list[Any]:
        """What the noted calls would compile: of each kernel and routine the two ways that calls mostly take."""
        from ..backends.gpu import builder

        target, found = builder.target_of(self.gpu), {}
        for executable in self.executables:
            for name, ways in getattr(executable, "code", {}).items():
                found[id(executable), name] = ways[:2]
            for n, step in enumerate(executable.plan.steps if hasattr(executable, "plan") else ()):
                if isinstance(step, RoutineStep):
                    found[id(executable), n] = builder.current.routine(step, target)[:2]
        return [way for ways in found.values() for way in ways]


def warm(say: Callable[[str], None], processes: int | None = None) -> int:
    """Compile the common kernels for the current GPU that the cache does not have yet; how many kernels are kept now.
    DeviceError without a GPU, CompileError without triton."""
    from ..backends.gpu import workers

    gpu = device()
    before, walking = gpu.executor, Walking(gpu)
    gpu.executor = walking
    try:
        for walk in WALKS:
            try:
                walk(gpu.name)
            except FusewireError as error:
                say(f"{walk.__name__}: {error}")
    finally:
        gpu.executor = before
    ways = walking.variants()
    say(f"{len(ways)} kernels of {len(walking.executables)} kinds of calls, {len(workers.missing(ways))} of them to be compiled")
    workers.prepare(ways, processes or os.cpu_count() or 1)
    failed = 0
    for way in ways:
        try:
            way.load()
        except CompileError as error:
            failed += 1
            say(str(error).partition("\n")[0])
    return len(ways) - failed


def _package() -> Any:
    """The library as programs see it."""
    return importlib.import_module(__name__.partition(".")[0])


def _arithmetic(where: str) -> None:
    """Numbers, tensors, comparisons and reductions."""
    fw = _package()
    for dtype in (fw.float32, fw.bfloat16, fw.int64):
        x, y = (fw.empty(6, 34, dtype=dtype, device=where) for _ in range(2))
        for other in (y, y[0], 2):
            for name in ("add", "sub", "mul", "gt", "lt", "eq", "ge"):
                getattr(x, name)(other)
        (x.sum(), x.sum(-1), x.sum(0), x.amax(-1), x.t().contiguous(), -x, x.abs(), fw.where(x > y, x, y), fw.cat([x, y]))
        if dtype.is_floating_point:
            for name in ("exp", "log", "sqrt", "rsqrt", "tanh", "sigmoid", "sin", "cos", "reciprocal", "relu", "mean"):
                getattr(x, name)()
            (x / y, x / 2.0, 1.0 / x, x**2, x.mean(-1), x.var(-1), x.float(), x.to(fw.bfloat16), x.softmax(-1))


def _products(where: str) -> None:
    """Products of matrices and of batches of them."""
    fw = _package()
    for dtype in (fw.float32, fw.bfloat16):
        x, y = (fw.empty(64, 64, dtype=dtype, device=where) for _ in range(2))
        (x @ y, x @ y.t(), x.t() @ y, x.view(4, 16, 64) @ y.view(4, 64, 16))


def _filling(where: str) -> None:
    """Tensors made on the device."""
    fw = _package()
    for make in (fw.zeros, fw.ones, fw.rand, fw.randn):
        make(6, 34, device=where)
    (fw.arange(34, device=where), fw.full((6, 34), 2.0, device=where))


def _training(where: str) -> None:
    """A step of a small network with the usual layers."""
    fw = _package()
    nn = fw.nn
    model = nn.Sequential(nn.Linear(32, 48), nn.GELU(), nn.LayerNorm(48), nn.Dropout(0.1), nn.ReLU(), nn.Linear(48, 16)).to(where)
    for optimizer in (fw.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), fw.optim.AdamW(model.parameters())):
        loss = nn.functional.cross_entropy(model(fw.empty(6, 32, device=where)), fw.zeros(6, dtype=fw.int64, device=where))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


WALKS: tuple[Callable[[str], None], ...] = (_arithmetic, _products, _filling, _training)
