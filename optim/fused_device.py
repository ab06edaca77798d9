"""An optimiser's rule on parameters of a GPU: one kernel for tensors of any size, launched once for each parameter.

The same ops in the same order as one by one, in one pass over memory. Never decides what an update is, nor when one is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .. import knobs
from ..eager.launches import routine
from ..eager.tensor import Tensor
from ..errors import FusewireError
from ..ir.dtypes import DType, float32, float64
from ..ir.layout import is_dense

_DTYPES = frozenset((float32, float64))


def update(rule: Any, flags: Any, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Any:
    """What does ``rule(tensors, numbers, flags)`` in place, when it is called with what comes with it: ``(function, operands)``.
    None where the tensors are not float32 or float64 of one dense layout on one GPU; those of no dimensions may lie on the CPU,
    and are read at once."""
    held = list(tensors.values())
    gpu = tensors["p"]._storage.gpu  # type: ignore[union-attr]
    key = (rule, flags, *tensors, *numbers, *[t.meta for t in held], knobs.state)
    found = gpu.executor.plans.get(key, gpu)
    if found is gpu:
        found = gpu.executor.plans[key] = _kind(gpu, rule, flags, tensors, numbers)
    if found is None:
        return None
    operands = [t.item() if t.meta.device == "cpu" else t for t in held]
    return found, (*operands, *map(float, numbers.values()))


class _Update:
    """One update of a parameter of one shape: called with its operands. `written`: numbers of those that it writes."""

    def __init__(self, executable: Any, gpu: Any, tensors: Mapping[str, Tensor], written: tuple[str, ...]) -> None:
        self.executable, self.gpu = executable, gpu
        self.size = {"n": math.prod(tensors["p"].shape)}
        self.written = tuple([i for i, name in enumerate(tensors) if name in written])
        self.native: Any = self

    def __call__(self, operands: tuple[Any, ...]) -> None:
        if self.native is self:
            self.native = routine(self._runner(operands), operands)
        if self.native is None or self.native(*operands) is None:
            self._runner(operands)(operands)
        for i in self.written:
            operands[i]._storage.version += 1

    def _runner(self, operands: tuple[Any, ...]) -> Any:
        """What runs it by Python (`gpu.Runner`)."""
        from ..eager.gpu import Runner

        inputs = list(range(len(operands)))
        places = [i for i, x in enumerate(operands) if type(x) is not float]
        return Runner(self.gpu, self.executable, self.size, inputs, places, [], [], None, False)


def _kind(gpu: Any, rule: Any, flags: Any, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> _Update | None:
    meta = tensors["p"].meta
    if meta.dtype not in _DTYPES or not math.prod(meta.shape) or not is_dense(meta.type):
        return None
    kinds = []
    for name, t in tensors.items():
        own = t.meta
        same = own.shape == meta.shape and own.strides == meta.strides and own.device == meta.device
        if own.dtype is not meta.dtype or not (same or (not own.shape and own.device in (meta.device, "cpu"))):
            return None
        kinds.append((name, None if own.device == "cpu" else len(own.shape[:1])))
    key = (rule, flags, meta.dtype, tuple(kinds), tuple(numbers), knobs.state)
    made = gpu.executor.plans.get(key, gpu)
    if made is gpu:
        made = gpu.executor.plans[key] = _compiled(*key[:-1], gpu.driver.kind)
    return None if made is None else _Update(made[0], gpu, tensors, made[1])


def _compiled(
    rule: Any, flags: Any, dtype: DType, tensors: tuple[tuple[str, int | None], ...], numbers: tuple[str, ...], backend: str
) -> tuple[Any, tuple[str, ...]] | None:
    """(what runs the rule, names that it writes); None where the back end cannot build it. `tensors`: name -> dimensions; None
    for a number that is a tensor to the rule."""
    from ..ir import sizes
    from ..ir.graph import Builder, WriteBack
    from ..ir.ops.creation import full
    from ..ir.types import ScalarType, tensor
    from ..pipeline import compile_graph

    builder = Builder(rule.__name__)
    n = sizes.symbol("n", 1)
    held = {
        name: builder.input(ScalarType("float") if ndim is None else tensor((n,) if ndim else (), dtype), name)
        for name, ndim in tensors
    }
    scalars = {name: builder.input(ScalarType("float"), name) for name in numbers}
    given = {
        name: builder.emit(full, (x,), {"shape": (), "dtype": dtype}) if isinstance(x.type, ScalarType) else x
        for name, x in held.items()
    }
    new = rule(given, scalars, flags)
    writes = [WriteBack(held[name], value, len(builder.nodes)) for name, value in new.items()]
    try:
        return compile_graph(builder.finish([], writes), backend=backend), tuple(new)
    except (FusewireError, OSError) as error:
        knobs.say(2, f"{rule.__name__} on a GPU runs op by op: {error}")
        return None
