"""An optimiser's rule as one compiled kernel, run on each parameter: the same ops in the same order as eager, in one pass.

Compiled once for each rule, its structure and dtype, for tensors of any size. Says False where it cannot serve; the caller
then runs the ops themselves. Never decides what an update is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from .. import knobs
from ..eager.factory import storage_of
from ..eager.pure import rule as tracked
from ..eager.tensor import Tensor
from ..errors import FusewireError
from ..ir.dtypes import DType, float32, float64

#: ``(tensors, numbers, flags) -> new values by name``, written in op calls; a name that is missing keeps its value
Rule = Callable[[Mapping[str, Any], Mapping[str, Any], Any], dict[str, Any]]


def run(rule: Rule, flags: Any, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> bool:
    """Do what ``rule(tensors, numbers, flags)`` says, in place, and count the writes. False, with nothing done, where the
    tensors are not float32 or float64 of one dense layout. Tensors of no dimensions beside "p" are read as they are."""
    p = tensors["p"]
    dtype, array = p.meta.dtype, p._array
    if not knobs.fused_optim or dtype not in (float32, float64) or array is None or not array.flags.writeable:
        return False
    if any(type(v) not in (float, int) for v in numbers.values()) or tensors["grad"]._storage is p._storage is not None:
        return False
    rows = array.flags.c_contiguous
    flat = {name: _flat(t, array.shape, dtype, rows, name == "grad") for name, t in tensors.items()}
    if any(a is None for a in flat.values()):
        return False
    found = _compiled(rule, flags, dtype, tuple((n, a.ndim) for n, a in flat.items()), tuple(numbers))  # type: ignore[union-attr]
    if found is None:
        return False
    executable, written = found
    executable.run([*flat.values(), *numbers.values()])
    for name in written:
        storage_of(tensors[name]).version += 1
    return True


@tracked
def store(rule: Rule, flags: Any, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
    """Do what ``rule(tensors, numbers, flags)`` says op by op."""
    for name, value in rule(tensors, numbers, flags).items():
        tensors[name].copy_(value)


def _flat(t: Tensor, shape: tuple[int, ...], dtype: DType, rows: bool, readable: bool) -> np.ndarray[Any, Any] | None:
    """The elements in the order of memory, row-major (`rows`) or column-major; a copy if it is only read and lies otherwise.
    None where that cannot be had."""
    array = t._array
    if array is None or t.meta.dtype is not dtype:
        return None
    if array.shape != shape:
        return array if array.ndim == 0 else None
    if not (array.flags.c_contiguous if rows else array.flags.f_contiguous):
        if not readable:
            return None
        array = np.array(array, order="C" if rows else "F")
    return array.reshape(-1) if rows else array.T.reshape(-1)


@lru_cache(maxsize=256)
def _compiled(
    rule: Rule, flags: Any, dtype: DType, tensors: tuple[tuple[str, int], ...], numbers: tuple[str, ...]
) -> tuple[Any, tuple[str, ...]] | None:
    """(what runs the rule, names of the tensors it writes); None where the back end cannot build it."""
    from ..ir import sizes
    from ..ir.graph import Builder, WriteBack
    from ..ir.types import ScalarType, tensor
    from ..pipeline import compile_graph

    builder = Builder(rule.__name__)
    n = sizes.symbol("n", 1)
    given = {name: builder.input(tensor((n,) if ndim else (), dtype), name) for name, ndim in tensors}
    scalars = {name: builder.input(ScalarType("float"), name) for name in numbers}
    new = rule(given, scalars, flags)
    writes = [WriteBack(given[name], value, len(builder.nodes)) for name, value in new.items()]
    try:
        return compile_graph(builder.finish([], writes)), tuple(new)
    except (FusewireError, OSError):
        return None
