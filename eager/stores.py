"""Writes into tensors of a GPU as one kernel each: what a pointwise op gives, a tensor or a number goes straight to its place.

A kind of write is remembered as a kind of call is (`launches`), and after some writes served by machine code, which runs a kernel
for all sizes of a pattern. What shares memory with the target without lying where that lies is left to the executor, as is what
records a history.
"""

from __future__ import annotations

import math
from typing import Any

from .. import knobs
from ..errors import FusewireError
from ..ir import dtypes
from ..ir.dtypes import DType
from ..ir.layout import extent_of
from ..ir.op import Op
from ..ir.ops.casts import cast
from ..ir.ops.creation import full
from ..ir.ops.shape import expand
from ..ir.types import ScalarType, TensorType
from ..runtime import gradmode
from ..runtime.meta import Meta
from . import launches
from .factory import Detached
from .launches import NUMBERS, Served
from .patterns import fits, may_be_any, of_write

#: largest size that patterns keep, those tried first in front
_FIXED = (1, 1 << 62)


def into(op: Op, operands: tuple[Any, ...]) -> bool:
    """Whether the result of `op` has been stored in its first operand, a tensor on a GPU; a history is never recorded."""
    try:
        if gradmode.get() and any(x.meta.requires_grad for x in operands if type(x) not in NUMBERS):
            return False
        return _served(("into", *launches.kinds_of(op, operands, {})), op, operands)
    except AttributeError:  # no Tensor yet
        return False


def store(target: Any, source: Any) -> bool:
    """Whether `source`, a tensor on the same GPU or a number, has been stored in `target`."""
    operands = target, source
    kind = type(source) if type(source) in NUMBERS else source.meta
    return _served(("into", None, target.meta, kind), None, operands)


def _served(kinds: Any, op: Op | None, operands: tuple[Any, ...]) -> bool:
    target = operands[0]
    storage = target._storage
    if not storage.on_device or _overlaps(target, storage, operands):
        return False
    table = launches.table()
    found = table.get(kinds)
    if type(found) is tuple:
        kinds = kinds, *launches.values_of(operands, found)
        found = table.get(kinds)
    if type(found) is not Served:
        if found is not False:
            _met(table, kinds, op, operands)
        return False
    while type(found) is Served:
        if launches.serve(found, operands) is not None:
            offset = target._offset
            if type(offset) is Detached and offset.count is not None:
                storage.counted_apart(offset.count)
            return True
        found = found.other
    _met(table, kinds, op, operands)
    return False


def _overlaps(target: Any, storage: Any, operands: tuple[Any, ...]) -> bool:
    """Whether an operand may share memory with the target but for lying exactly where it lies."""
    for x in operands[1:]:
        if type(x) in NUMBERS:
            continue
        other = x._storage
        if other is None or not other.on_device:
            return True
        shared = other is storage or other.memory is storage.memory
        if shared and (x.meta.type != target.meta.type or (x._offset or 0) != (target._offset or 0)):
            return True
    return False


def _met(table: dict[Any, Any], kinds: Any, op: Op | None, operands: tuple[Any, ...]) -> None:
    """A write of a kind that no machine code serves yet; the executor does it."""
    if not knobs.native_entry:
        return
    if kinds not in table:
        places = tuple([i for i, x in enumerate(operands) if _is_fixed(op, i, x, operands[0].meta.dtype)])
        if places and type(kinds[0]) is str:
            table[kinds] = places
            kinds = kinds, *launches.values_of(operands, places)
    if launches.due(table, kinds, operands):
        launches.enter(table, kinds, _kind(op, operands))


def _kind(op: Op | None, operands: tuple[Any, ...]) -> Served | None:
    """What serves writes like this one; None where no kernel does."""
    run = runner(op, operands)
    native = None if run is None else launches.routine(run, operands)
    if native is None:
        return None
    inputs = None if len(run.inputs) == len(operands) else tuple(run.inputs)
    return Served(native, inputs, run.half, False, None, tuple(map(type, operands)), launches.takes_ints(run, operands))


def _is_fixed(op: Op | None, i: int, x: Any, written: DType) -> bool:
    """Whether an operand is a number that kernels which write this dtype hold."""
    if type(x) is float:
        return op is not None and i in op.fixed
    return type(x) in NUMBERS and not (op is None and may_be_any(x, (written,)))


def runner(op: Op | None, operands: tuple[Any, ...]) -> Any:
    """What runs the write (`gpu.Runner`); None where no kernel does."""
    from .gpu import Runner

    meta = operands[0].meta
    types = [x if type(x) in NUMBERS else x.meta.type for x in operands]
    tensors = [x.meta for x in operands if type(x) not in NUMBERS]
    apart = extent_of(meta.shape, meta.strides) >= math.prod(meta.shape)
    if any(type(x) is int and not fits(x) for x in operands):  # the op says what does not fit the target
        return None
    if not apart or repeats(meta) or any(m.device != meta.device or m.dtype.is_complex or 0 in m.shape for m in tensors):
        return None
    executor = operands[0]._storage.gpu.executor
    try:
        out = meta.type if op is None else _result(op, types)
        if out.shape != meta.shape or dtypes.RANK[out.dtype.kind] > dtypes.RANK[meta.dtype.kind]:
            return None
        for fixed in _FIXED:
            found = _built(executor, op, types, fixed)
            if found is not None:
                break
        else:
            return None
    except FusewireError:
        return None
    executable, pattern = found
    inputs = [i for i, t in enumerate(pattern.types) if isinstance(t, (TensorType, ScalarType))]
    places = [i for i, t in enumerate(pattern.types) if isinstance(t, TensorType)]
    half = out.dtype if op is not None and op.promote is not None and not op.promote.wide and out.dtype.is_half else None
    return Runner(executor.gpu, executable, pattern.values, inputs, places, [], [], half, False)


def repeats(meta: Meta) -> bool:
    """Whether several elements lie in one place."""
    return any(s == 0 and n > 1 for n, s in zip(meta.shape, meta.strides, strict=True))


def _result(op: Op, types: list[Any]) -> TensorType:
    """The type of the op's result, operands promoted."""
    from ..ir.graph import Builder

    builder = Builder(op.name)
    return builder.emit(op, [builder.input(t) if isinstance(t, TensorType) else t for t in types], {}).tensor_type  # type: ignore


def _built(executor: Any, op: Op | None, types: list[Any], fixed: int) -> Any:
    """(executable, pattern) of writes of these types; None where there is none."""
    from ..ir.graph import Builder, WriteBack
    from ..pipeline import compile_graph

    pattern = of_write(op, types, {}, fixed)
    if pattern is None:
        return None
    key = "into", knobs.state, pattern.key
    if key in executor.generic:
        made = executor.generic[key]
        return None if made is None else (made, pattern)
    executor.generic[key] = None
    builder = Builder(f"eager_{op.name}_" if op is not None else "eager_write")
    given = [builder.input(t) if isinstance(t, (TensorType, ScalarType)) else t for t in pattern.types]
    try:
        write = WriteBack(given[0], _value(builder, op, given), len(builder.nodes))
        graph = builder.finish([], [write], symbols=tuple(pattern.values))
        made = executor.generic[key] = compile_graph(graph, backend=executor.gpu.driver.kind)
    except Exception as error:  # rules that must decide what open sizes leave undecided
        knobs.say(2, f"{builder.name} is left to the op and a copy: {type(error).__name__}: {error}")
        return None
    return made, pattern


def _value(builder: Any, op: Op | None, given: list[Any]) -> Any:
    """What is written into the first of the given graph values."""
    target = given[0].type
    if op is not None:
        made = builder.emit(op, given, {})
    elif isinstance(given[1].type if hasattr(given[1], "type") else None, TensorType):
        made = given[1]
    else:
        return builder.emit(full, (given[1],), {"shape": target.shape, "dtype": target.dtype})
    made = made if made.type.dtype is target.dtype else cast(made, dtype=target.dtype)
    return made if made.type.shape == target.shape else expand(made, shape=target.shape)
