"""Steps that put rows in order, or look for places in them, on the fake driver: one launch, which the op's record stands for."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.kernel import CompiledKernel, Parameter, Target, Variant
from fusewire.backends.gpu.sorting import FROM, LENGTH, OUTER, TO, WANTED
from fusewire.ir import dtypes
from fusewire.ir.layout import windowed
from fusewire.ir.op import lookup

#: what the fake runs as steps of a back end
TAKEN = {op: CLAIMS[op] for op in (lookup("argsort"), lookup("topk_index"), lookup("searchsorted"))}


def variants(new: Callable[[Any], int], known: dict[bytes, Any], step: Any, target: Target) -> tuple[Variant, ...]:
    """The only way to run a step. `new`: a number for its code; `known`: where the driver finds it."""
    names = tuple(f"s{i}" for i in range(len(step.sizes)))
    params = tuple(Parameter("buffer", i) for i in range(len(step.views)))
    params += (*(Parameter("size", i, "i64") for i in range(len(names))), Parameter("null"), Parameter("null"))
    loaded: list[CompiledKernel] = []

    def load() -> tuple[CompiledKernel, ...]:
        if not loaded:
            image = f"order {new(step)}".encode()
            name = "ranked" if step.routine.startswith("order") else "searched"
            loaded.append(CompiledKernel(name, image + b"\0", target, 0, 4, params, (1, 1, 1), names))
            known[image] = step, loaded[0]
        return tuple(loaded)

    return (Variant((), names, (), load),)


def execute(holds: Callable[[int, int], bool], step: Any, words: Any) -> None:
    """Write the places. `words`: the arguments; `holds`: whether there is memory."""
    what, name, direction, _ = step.routine.split()
    first = len(step.views)
    numbers = words[first : first + len(step.sizes)]
    if what == "search":
        _search(holds, dtypes.lookup(name), direction, words, numbers)
        return
    outer, length, wanted = tuple(numbers[:OUTER]), numbers[LENGTH], numbers[WANTED]
    if 0 in (*outer, wanted):
        return
    x = _array(holds, words[0], dtypes.lookup(name), (*outer, length), numbers[FROM:TO])
    out = _array(holds, words[1], dtypes.int64, (*outer, wanted), numbers[TO:])
    x = x.astype(np.float32) if x.dtype.itemsize < 4 and dtypes.lookup(name).kind == "f" else x
    out[:] = lookup("topk_index").eager(x, k=wanted, dim=OUTER, largest=direction == "down")


def _search(holds: Callable[[int, int], bool], dtype: dtypes.DType, side: str, words: Any, numbers: Any) -> None:
    outer, count, length = tuple(numbers[:OUTER]), numbers[LENGTH], numbers[WANTED]
    if 0 in (*outer, count):
        return
    shapes, each = ((*outer, length), (*outer, count), (*outer, count)), OUTER + 1
    kinds = (dtype, dtype, dtypes.int64)
    table, x, out = (
        _array(holds, words[i], kinds[i], shapes[i], numbers[FROM + each * i : FROM + each * (i + 1)]) for i in range(3)
    )
    given = [a.astype(np.float32) if dtype.is_half else a for a in (table, x)]
    out[:] = lookup("searchsorted").eager(*given, right=side == "right")


def _array(holds: Callable[[int, int], bool], address: int, dtype: dtypes.DType, shape: Any, steps: Any) -> Any:
    if 0 in shape:
        return np.zeros(shape, dtype.np)
    nbytes = dtype.itemsize * (1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)))
    assert holds(address, nbytes), f"order: {nbytes} bytes at {address:#x}"
    memory = np.frombuffer((ctypes.c_ubyte * nbytes).from_address(address), dtype.np)
    return windowed(memory, shape, [s * dtype.itemsize for s in steps])
