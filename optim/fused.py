"""An optimiser's rule as one compiled kernel, run on each parameter: the same ops in the same order as eager, in one pass.

Compiled once for each rule, its structure and dtype, for tensors of any size. Says False where it cannot serve; the caller
then runs the ops themselves. Between `begin` and `finish` updates are gathered, so that one call of machine code does them all.
Never decides what an update is.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any

import numpy as np

from .. import knobs
from ..backends.each import each
from ..eager.factory import storage_of
from ..eager.pure import rule as tracked
from ..eager.tensor import Tensor
from ..errors import FusewireError
from ..ir.dtypes import DType, float32, float64
from ..ir.plan import FromInput, KernelStep
from ..runtime import pool
from ..runtime.program import address

#: ``(tensors, numbers, flags) -> new values by name``, written in op calls; a name that is missing keeps its value
Rule = Callable[[Mapping[str, Any], Mapping[str, Any], Any], dict[str, Any]]


class _Gathered(threading.local):
    """The updates of the step under way, by kernel; None outside of one. `on_device`: those of parameters of GPUs."""

    by_kernel: dict[_Kernel, list[tuple[Any, ...]]] | None = None
    on_device: list[tuple[Callable[[Any], None], tuple[Any, ...]]]


_gathered = _Gathered()


def begin() -> None:
    """Gather the updates of this thread from here on."""
    _gathered.by_kernel, _gathered.on_device = {}, []


def finish(done: bool) -> None:
    """Do the updates gathered since `begin`, unless the step has failed: then none of them is `done`."""
    found, _gathered.by_kernel = _gathered.by_kernel, None
    updates, _gathered.on_device = _gathered.on_device, []
    if found and done:
        for kernel, calls in found.items():
            kernel.call(calls)
    for update, operands in updates if done else ():
        update(operands)


def run(rule: Rule, flags: Any, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> bool:
    """Do what ``rule(tensors, numbers, flags)`` says, in place, and count the writes. False, with nothing done, where the
    tensors are not float32 or float64 of one dense layout. Tensors of no dimensions beside "p" are read as they are."""
    p = tensors["p"]
    if not knobs.fused_optim or not _NUMBERS.issuperset(map(type, numbers.values())):
        return False
    if tensors["grad"]._storage is p._storage is not None:
        return False
    if p._array is None and p.is_cuda:
        return _on_device(rule, flags, tensors, numbers)
    if _gathered.by_kernel is not None and _gather(rule, flags, tensors, numbers):
        return True
    array, dtype = p._array, p.meta.dtype
    if dtype not in _DTYPES or array is None or not array.flags.writeable:
        return False
    rows = array.flags.c_contiguous
    flat = {name: _flat(t, array.shape, dtype, rows, name == "grad") for name, t in tensors.items()}
    if any(a is None for a in flat.values()):
        return False
    found = _compiled(rule, flags, dtype, tuple((n, a.ndim) for n, a in flat.items()), tuple(numbers))  # type: ignore[union-attr]
    if found is None:
        return False
    found.executable.run([*flat.values(), *numbers.values()])
    for name in found.written:
        storage_of(tensors[name]).version += 1
    return True


def _on_device(rule: Rule, flags: Any, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> bool:
    from .fused_device import update

    found = update(rule, flags, tensors, numbers)
    if found is None:
        return False
    if _gathered.by_kernel is None:
        found[0](found[1])
    else:
        _gathered.on_device.append(found)
    return True


def _gather(rule: Rule, flags: Any, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> bool:
    """Note an update for `finish`; False where it is one for threads, or the tensors do not lie in row-major order."""
    held = tensors.values()
    key = (rule, flags, *tensors, *numbers, *[t.meta for t in held])
    known = _kinds.get(key)
    if known is None:
        if len(_kinds) >= _MOST:
            _kinds.clear()
        known = _kinds[key] = _kind(rule, flags, tensors, numbers) or (None, 0)
    kernel, size = known
    if kernel is None or (size >= _MANY and pool.threads() > 1):
        return False
    arrays: list[Any] = []
    for t in held:
        if t._array is None:
            return False
        arrays.append(t._array)
    for i in kernel.places:
        if not arrays[i].flags.writeable:
            return False
    for name in kernel.written:
        storage_of(tensors[name]).version += 1
    gathered: Any = _gathered.by_kernel
    calls = gathered.get(kernel)
    if calls is None:
        calls = gathered[kernel] = []
    calls.append((arrays, size, numbers))
    return True


def _kind(
    rule: Rule, flags: Any, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> tuple[_Kernel, int] | None:  # fmt: skip
    """(what runs such an update, elements of the parameter); None where it is none to be gathered. It follows from the metas."""
    meta = tensors["p"].meta
    size = math.prod(meta.shape)
    if not meta.plain or not size or meta.dtype not in _DTYPES:
        return None
    ranks = []
    for name, t in tensors.items():
        own = t.meta
        if t._array is None or own.dtype is not meta.dtype or (own.shape and (own.shape != meta.shape or not own.plain)):
            return None
        ranks.append((name, 1 if own.shape else 0))
    kernel = _compiled(rule, flags, meta.dtype, tuple(ranks), tuple(numbers))
    return None if kernel is None or not kernel.alone else (kernel, size)


#: (rule, its flags, names, metas) -> what `_kind` has found
_kinds: dict[tuple[Any, ...], tuple[_Kernel | None, int]] = {}
_MOST = 4096
_DTYPES, _NUMBERS = frozenset((float32, float64)), frozenset((float, int))
#: elements from which on an update may be worth more than one thread
_MANY = 1 << 15


class _Kernel:
    """A compiled rule: `written` names the tensors it writes, `places` says which they are. `alone`: it is one kernel, which
    `call` can run on many parameters at once."""

    def __init__(self, executable: Any, names: Sequence[str], written: tuple[str, ...]) -> None:
        self.executable, self.written = executable, written
        self.places = [names.index(name) for name in written]
        plan = executable.plan
        step: Any = plan.steps[0] if len(plan.steps) == 1 else None
        self.alone = type(step) is KernelStep and not callable(executable.code) and not step.kernel.scratch and all(
            type(b.place) is FromInput for b in plan.buffers)  # fmt: skip
        if self.alone:
            self.buffers = [plan.buffers[b].place.index for b in step.buffers]
            self.sizes = len(step.kernel.sizes)
            self.scalars = [s.index - len(names) for s in step.scalars]
            self.packer = Struct("".join("d" if p.kind == "float" else "q" for p in step.kernel.scalars))
            self.code, self.each = executable.code[step.kernel.name], each()

    def call(self, calls: list[tuple[Any, ...]]) -> None:
        """Run the kernel for (arrays, elements, numbers) of each."""
        buffers, pack = self.buffers, self.packer.pack
        pointers = np.array([address(arrays[i]) for arrays, _, _ in calls for i in buffers], np.int64)
        counts = np.array([n for _, n, _ in calls for _ in range(self.sizes)], np.int64)
        words, last = [], None
        for _, _, numbers in calls:
            if numbers is not last:
                values = list(numbers.values())
                packed, last = pack(*[values[i] for i in self.scalars]), numbers
            words.append(packed)
        scalars = np.frombuffer(b"".join(words) or bytes(8), np.uint8)
        self.each(self.code, len(calls), address(pointers), len(buffers), address(counts), self.sizes, address(scalars),
                  len(self.scalars))  # fmt: skip


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
) -> _Kernel | None:
    """What runs the rule; None where the back end cannot build it."""
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
        return _Kernel(compile_graph(builder.finish([], writes)), [n for n, _ in tensors], tuple(new))
    except (FusewireError, OSError):
        return None
