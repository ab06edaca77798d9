"""Results of pointwise calls straight into a tensor on the CPU that is there (in place, ``out=``): one call of machine code.

A kind of write is compiled after as many calls as `served` waits for. The op and a copy remain the meaning, and serve where a
history is recorded, where an operand may share memory with the target without being it, where a kernel may refuse part-way, and
where machine code would round otherwise than NumPy's own function does. Knows no op by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import knobs
from ..errors import FusewireError
from ..ir import dtypes
from ..ir.graph import Builder, Value, WriteBack
from ..ir.layout import extent_of
from ..ir.ops.casts import cast
from ..ir.plan import KernelStep
from ..ir.types import ScalarType
from ..runtime import gradmode
from . import executor, hot
from .hot import WAIT, WAIT_LARGE, WAIT_MIDDLE

#: kinds remembered
MOST = 2048

_CONSTANTS = frozenset((int, bool, type(None)))
_SELF = object()
_INPUTS = {float: ScalarType("float"), int: ScalarType("int")}
_table: dict[Any, Any] = {}
hot.tables.append(_table)


def into(fn: Callable[..., Any], args: tuple[Any, ...], attrs: Any, target: Any, convert: bool = True) -> bool:
    """Whether ``fn(*args, **attrs)``, an op or a pure function of op calls, has been stored in `target`, which may be among the
    `args` (Tensors, numbers, None). `convert`: the result may be of another dtype. `fn` raises a FusewireError where the call is
    to be refused or left to others."""
    if executor.recorders:
        return False
    try:
        array = target._array
        if array is None or not array.flags.writeable:
            return False
        key: list[Any] = [knobs.state, fn, convert, type(target), target.meta]
        given: list[Any] = [target]
        if _enter(args, target, key, given) and gradmode.get():
            return False
        for name, x in attrs.items():
            key += name, type(x), x or repr(x)  # 0.0 and -0.0
        kinds = tuple(key)
        native = _table.get(kinds)
    except (AttributeError, TypeError):  # no Tensor here, or what does not hash
        return False
    if type(native) is int or native is None:
        return _later(kinds, native, fn, target, args, attrs, convert)
    if native is False or native(*given) is None:
        return False
    offset = target._offset
    if offset is not None and type(offset) is not int and offset.count is not None:
        target._storage.counted_apart(offset.count)
    return True


def _enter(args: tuple[Any, ...], target: Any, key: list[Any], given: list[Any]) -> bool:
    """Enter what machine code takes for granted of the arguments, and those that it takes; whether one requires grad.
    AttributeError where one cannot be taken."""
    meta = target.meta
    graded: bool = meta.requires_grad
    for x in args:
        kind: Any = type(x)
        if x is target:
            key.append(_SELF)
        elif kind is float or (kind is int and meta.dtype.kind == "f"):
            key.append(kind)
            given.append(x)
        elif kind in _CONSTANTS:
            key += kind, x
        else:
            own, other = x.meta, x._array
            if other is None or _may_share(target._array, other):
                raise AttributeError
            graded = graded or own.requires_grad
            key += kind, own
            given.append(x)
    return graded


def _may_share(a: Any, b: Any) -> bool:
    """Whether two arrays may lie in one memory: not where both own theirs."""
    return a is b or ((a.base is not None or b.base is not None) and np.may_share_memory(a, b))


def _later(kinds: Any, known: int | None, fn: Any, target: Any, args: Any, attrs: Any, convert: bool) -> bool:
    """Count a write of a kind that is not compiled; compile it when there were enough. False."""
    if known is None:
        if len(_table) >= MOST:
            _table.clear()
        size = target._array.size
        _table[kinds] = WAIT if size < hot.SMALL else WAIT_MIDDLE if size < hot.LARGE else WAIT_LARGE
    elif known > 1:
        _table[kinds] = known - 1
    else:
        _table[kinds] = False  # what fails goes the way of all others
        if knobs.hot_ops and knobs.native_entry:
            with hot.lock:
                _table[kinds] = _native(fn, target, args, attrs, convert)
    return False


def _native(fn: Any, target: Any, args: Any, attrs: Any, convert: bool) -> Any:
    """The native function of the target and the other operands that are inputs, or False."""
    tensors = [target, *[x for x in args if hasattr(x, "meta")]]
    meta = target.meta
    if any(hot.unfit(x._array) for x in tensors) or extent_of(meta.shape, meta.strides) < math.prod(meta.shape):
        return False
    builder = Builder(f"eager_{getattr(fn, 'name', getattr(fn, '__name__', ''))}_into")
    whole = builder.input(meta.type)
    given, values = [target], []
    for i, x in enumerate(args):
        kind: Any = x.meta.type if hasattr(x, "meta") else _INPUTS.get(type(x))
        if x is target:
            values.append(whole)
        elif kind is None or (type(x) is int and meta.dtype.kind != "f"):
            values.append(x)
        elif i in getattr(fn, "fixed", ()):
            return False  # a constant of the kernel
        else:
            values.append(builder.input(kind))
            given.append(x)
    try:
        made = fn(*values, **attrs)
        if not _fits(builder, made, meta, convert):
            return False
        made = made if made.dtype is meta.dtype else cast(made, dtype=meta.dtype)
    except (FusewireError, AttributeError, TypeError, ValueError, RuntimeError):
        return False
    executable = hot.compiled(builder, [], [WriteBack(whole, made, len(builder.nodes))])
    plan = getattr(executable, "plan", None)
    if plan is None or any(type(s) is not KernelStep or s.kernel.errors for s in plan.steps):
        return False
    return hot.routine(executable, given)


def _fits(builder: Builder, made: Any, meta: Any, convert: bool) -> bool:
    """Whether a value may be stored as it is, and machine code computes it as NumPy does."""
    if not isinstance(made, Value) or made.shape != meta.shape:
        return False
    if made.dtype is not meta.dtype and (not convert or dtypes.RANK[made.dtype.kind] > dtypes.RANK[meta.dtype.kind]):
        return False
    return not any(type(n.op.eager) is np.ufunc and n.op.tolerance and not _large(n.op, meta) for n in builder.nodes)


def _large(op: Any, meta: Any) -> bool:
    """Whether calls of this size are machine code in any case (`hot.is_large`)."""
    return bool(op.heavy) and math.prod(meta.shape) >= max(hot.SMALL, op.heavy)
