"""A Tensor of the right slots, and functions whose native entry has one variant with given guards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from fusewire.backends import build
from fusewire.backends.entry import process, table
from fusewire.ir import dtypes, loops
from fusewire.ir import plan as p
from fusewire.ir.types import tensor
from fusewire.runtime import guard as g
from fusewire.runtime import source as s
from fusewire.runtime.meta import Meta


class Storage:
    __slots__ = ("base", "version")

    def __init__(self, base: Any) -> None:
        self.base, self.version = base, 0


class Tensor:
    __slots__ = ("__weakref__", "_array", "_grad", "_node", "_offset", "_storage", "meta")

    def __init__(self, array: Any, requires_grad: bool = False) -> None:
        self._array = np.asarray(array)
        self.meta = Meta.of_array(self._array, requires_grad)
        self._storage = self._offset = self._grad = self._node = None

    @property
    def storage(self) -> Storage:
        if self._storage is None:
            self._storage = Storage(self._array)
        return self._storage


class Parameter(Tensor):
    __slots__ = ()


def view_of(tensor: Tensor, meta: Meta, offset: int) -> Tensor:
    made = Tensor(np.lib.stride_tricks.as_strided(tensor._array.reshape(-1)[offset:], meta.shape, [s * 4 for s in meta.strides]))
    made._storage, made._offset = tensor.storage, offset
    return made


def written(tensor: Tensor) -> None:
    tensor.storage.version += 1


@pytest.fixture(autouse=True, scope="module")
def small_classes() -> Iterator[None]:
    """The entry builds this file's Tensor while a module of tests runs."""
    before = process._api.copy(), list(process._keep), process.Classes.tensor, process.Classes.view
    process.configure(Tensor, Storage, make_view=view_of, make_meta=Meta.of_array, count_write=written)
    yield
    process._api[:], process._keep[:] = before[0], before[1]
    process.Classes.tensor, process.Classes.view = before[2:]


def args_of(function: FunctionType) -> list[s.Arg]:
    return [s.Arg(i, n) for i, n in enumerate(table.parameters(function))]


def floats(count: int, seed: int = 0) -> Tensor:
    return Tensor(np.random.default_rng(seed).standard_normal(count).astype(np.float32))


NOTHING = p.Plan("nothing", (), (), (), (), ())


def guarded(function: FunctionType, *guards: g.Guard) -> tuple[Any, table.Variant]:
    """(compiled function, variant): the call gives () where the guards hold, else what `function` gives."""
    entry = table.Entry(function, function)
    variant = table.Variant(NOTHING, {}, guards, [], function, output_metas=[])
    entry.add(variant)
    return entry.function, variant


MULADD = """
define i32 @muladd(ptr %A, ptr %S, ptr %C, ptr %X, i64 %t, i64 %T) {
  %x = load ptr, ptr %A
  %A1 = getelementptr ptr, ptr %A, i64 1
  %y = load ptr, ptr %A1
  %A2 = getelementptr ptr, ptr %A, i64 2
  %o = load ptr, ptr %A2
  %n = load i64, ptr %S
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %loop, label %end
loop:
  %i = phi i64 [0, %0], [%j, %loop]
  %px = getelementptr float, ptr %x, i64 %i
  %py = getelementptr float, ptr %y, i64 %i
  %po = getelementptr float, ptr %o, i64 %i
  %a = load float, ptr %px
  %b = load float, ptr %py
  %c = fmul float %a, %b
  %d = fadd float %c, %a
  store float %d, ptr %po
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %loop, label %end
end:
  ret i32 0
}
define i32 @refuse(ptr %A, ptr %S, ptr %C, ptr %X, i64 %t, i64 %T) {
  ret i32 1
}
define i32 @scale(ptr %A, ptr %S, ptr %C, ptr %X, i64 %t, i64 %T) {
  %x = load ptr, ptr %A
  %A1 = getelementptr ptr, ptr %A, i64 1
  %o = load ptr, ptr %A1
  %f = load double, ptr %C
  %C1 = getelementptr i64, ptr %C, i64 1
  %n = load i64, ptr %C1
  %m = sitofp i64 %n to double
  %v = load float, ptr %x
  %w = fpext float %v to double
  %a = fmul double %w, %f
  %b = fadd double %a, %m
  %r = fptrunc double %b to float
  store float %r, ptr %o
  ret i32 0
}
"""
F32 = dtypes.float32
_code: list[Any] = []


def code() -> Any:
    if not _code:
        _code.append(build.load(build.build(MULADD)))
    return _code[0]


def buffer(name: str, size: int, place: p.Place) -> p.PlanBuffer:
    return p.PlanBuffer(name, F32, size, place)


def muladd_plan(n: int, kernel: str = "muladd") -> p.Plan:
    """``out = x * y + x`` over n floats."""
    typ = tensor((n,), F32)
    errors = (loops.KernelError("test", ValueError, "refused"),)
    made = loops.Kernel(kernel, tuple(loops.Buffer(b, F32, n, a) for b, a in ("xr", "yr", "ow")), ("n",), (), (), (), errors)
    buffers = (buffer("x", n, p.FromInput(0)), buffer("y", n, p.FromInput(1)), buffer("o", n, p.FromOutput(0)))
    return p.Plan(
        "muladd",
        (typ, typ),
        (p.SymbolSource("n", 0, "shape", 0),),
        buffers,
        (p.KernelStep(made, (0, 1, 2)),),
        (p.PlanOutput(typ),),
    )


def muladd(function: FunctionType, x: Tensor, y: Tensor, **more: Any) -> tuple[Any, table.Variant, table.Entry]:
    """(compiled function, variant, entry) for ``x * y + x`` on the first two arguments; misses run `function`."""
    first, second = args_of(function)[:2]
    guards = [g.TensorIs(first, type(x), x.meta), g.TensorIs(second, type(y), y.meta), *more.pop("guards", ())]
    entry = table.Entry(function, more.pop("dispatcher", function))
    plan = more.pop("plan", None) or muladd_plan(x.meta.shape[0])
    metas = more.pop("output_metas", [x.meta])
    variant = table.Variant(plan, code(), guards, [first, second], function, output_metas=metas, **more)
    entry.add(variant)
    return entry.function, variant, entry


def check_all(call: Callable[..., Any], guards: Sequence[g.Guard], cases: Sequence[tuple[Any, ...]]) -> None:
    """The native answer is the oracle's for every case."""
    for case in cases:
        expected = all(g.holds(x, case) for x in guards)
        assert (call(*case) == ()) is expected, (case, [x.expr() for x in guards])
