"""Functions over several ops that become one call of machine code once a program has called them often on operands of one kind.

The function itself, run op by op, remains the meaning: it is followed once on Tensors that record its ops into a graph, and
runs where anything else is asked of it: a gradient, a recording, a write, a draw, values of a tensor, memory shared with an
operand. What is compiled belongs to the values that the knobs had. Knows no function by name.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from .. import knobs
from ..errors import FusewireError
from ..ir.dtypes import DType
from ..ir.graph import Builder, Value
from ..ir.op import Op
from ..runtime import gradmode
from ..runtime.meta import Meta
from ..runtime.size import Size
from ..runtime.storage import Storage
from . import executor, factory, hot
from .executor import WEAK
from .hot import WAIT, WAIT_LARGE, WAIT_MIDDLE

F = TypeVar("F", bound=Callable[..., Any])

#: kinds remembered of each function
MOST = 256

_PLAIN = frozenset((bool, int, str, type(None), DType))
_SEQUENCES = frozenset((tuple, list, Size))


class _NotServed(Exception):
    """What cannot be part of a graph of ops."""


class _Memory(Storage):
    """The storage of a Tensor that is a graph value."""

    __slots__ = ("recorder", "value")

    def __init__(self, recorder: _Trace, value: Value) -> None:
        self.version, self._address = 0, None
        self.recorder, self.value = recorder, value

    def _refuse(self, *args: Any) -> NoReturn:
        raise _NotServed

    read = shared = write = write_at = true_places = becomes_leaf = refused = _refuse  # type: ignore[assignment]
    base = address = flat = property(_refuse)  # type: ignore[assignment]


class _Trace:
    """What records a function's ops (see `executor.Executor`)."""

    def __init__(self, name: str) -> None:
        self.builder = Builder(name)

    def wrap(self, value: Value) -> Any:
        """The Tensor of a value."""
        kind: Any = value.tensor_type
        made = factory.blank(Meta.of(kind.shape, kind.strides, kind.dtype))
        made._storage = _Memory(self, value)
        return made

    def value(self, x: Any) -> Any:
        """An operand as one of the graph."""
        if type(x) in WEAK or isinstance(x, Value):
            return x
        memory = getattr(x, "_storage", None)
        if type(memory) is _Memory and memory.recorder is self:
            return memory.value
        if hasattr(x, "meta"):
            raise _NotServed
        return executor.native_results(x)

    def apply(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Record a call."""
        out = self.builder.emit(op, tuple(map(self.value, operands)), attrs)
        return tuple([self.wrap(r) for r in out]) if isinstance(out, tuple) else self.wrap(out)

    def write(self, target: Any, source: Any) -> NoReturn:
        """Refused."""
        raise _NotServed

    def place(self, device: str, what: str = "") -> None:
        """Tensors made lie on the CPU."""
        if device != "cpu":
            raise _NotServed


def served(fn: F) -> F:
    """`fn`, a pure function of Tensors and plain values that returns fresh Tensors (one, or a tuple of them)."""
    table: dict[Any, Any] = {}
    hot.tables.append(table)

    @functools.wraps(fn)
    def function(*args: Any, **kwargs: Any) -> Any:
        if executor.recorders:
            return fn(*args, **kwargs)
        key: list[Any] = [knobs.state]
        tensors: list[Any] = []
        if not _kinds(args, key, tensors) or (kwargs and not _named(kwargs, key, tensors)):
            return fn(*args, **kwargs)
        kind = tuple(key)
        known = table.get(kind)
        if type(known) is not tuple:
            _later(table, kind, known, fn, args, kwargs, tensors)
            return fn(*args, **kwargs)
        native, made = known
        results = native(*tensors)
        if results is None:
            return fn(*args, **kwargs)
        return results[0] if made is None else made(results)

    return function  # type: ignore[return-value]


def _kinds(args: Any, key: list[Any], tensors: list[Any]) -> bool:
    """Enter what compiled code takes for granted of the arguments, and the Tensors among them; whether that can be."""
    for x in args:
        kind = type(x)
        if kind in _PLAIN:
            key.append(kind)
            key.append(x)
        elif kind is float:
            key.append(kind)
            key.append(x or repr(x))  # 0.0 and -0.0
        elif kind in _SEQUENCES:
            key.append(kind)
            key.append(len(x))
            if not _kinds(x, key, tensors):
                return False
        else:
            if getattr(x, "_array", None) is None or (x.meta.requires_grad and gradmode.get()):
                return False
            key.append(kind)
            key.append(x.meta)
            tensors.append(x)
    return True


def _named(kwargs: dict[str, Any], key: list[Any], tensors: list[Any]) -> bool:
    key.extend(kwargs)
    return _kinds(kwargs.values(), key, tensors)


def _later(
    table: dict[Any, Any], kind: tuple[Any, ...], known: int | bool | None, fn: Any, args: Any, kwargs: Any, tensors: list[Any]
) -> None:
    """Count a call of a kind that is not compiled; compile it when there were enough."""
    if known is None:
        if len(table) >= MOST:
            table.clear()
        elements = sum([x._array.size for x in tensors])
        table[kind] = WAIT if elements < hot.SMALL else WAIT_MIDDLE if elements < hot.LARGE else WAIT_LARGE
    elif known is not False:
        if known > 1:
            table[kind] = known - 1
            return
        table[kind] = False  # what calls itself, and what fails, runs op by op
        if knobs.hot_ops and knobs.native_entry:
            with hot.lock:
                table[kind] = _native(fn, args, kwargs, tensors)


def _native(fn: Any, args: Any, kwargs: Any, tensors: list[Any]) -> Any:
    """(native function of the Tensors, what makes the result of its results, state of the knobs), or False."""
    if not tensors or any(hot.unfit(x._array) for x in tensors):
        return False
    trace = _Trace(f"eager_{fn.__name__}")
    before, heard = gradmode.get(), knobs.heard[0]
    try:
        gradmode.set(False)
        with executor.recording(trace):
            twins = iter([trace.wrap(trace.builder.input(x.meta.type)) for x in tensors])
            out = fn(*_traced(args, twins), **dict(zip(kwargs, _traced(kwargs.values(), twins), strict=True)))
        made = None if hasattr(out, "meta") else tuple if type(out) is tuple else type(out)._make
        results = [trace.value(x) for x in ((out,) if made is None else out)]
    except (_NotServed, FusewireError, AttributeError, TypeError, ValueError, RuntimeError, IndexError):
        return False
    finally:
        gradmode.set(before)
    if heard != knobs.heard[0]:  # a warning is said at every call
        return False
    if not results or not all(isinstance(r, Value) for r in results) or not _fresh(trace.builder, results):
        return False
    executable = hot.compiled(trace.builder, results)
    native = False if executable is None else hot.routine(executable, tensors)
    return native and (native, made)


def _traced(args: Any, twins: Any) -> list[Any]:
    """The arguments with a traced Tensor for each Tensor."""
    return [
        type(x)(_traced(x, twins)) if type(x) in _SEQUENCES else next(twins) if hasattr(x, "_array") else x for x in args
    ]  # fmt: skip


def _fresh(builder: Builder, results: list[Value]) -> bool:
    """Whether each result lies in memory of its own, without gaps: it is no operand, no view of one, and shares none."""
    viewed = {r: n.args[n.op.effects.aliases] for n in builder.nodes if n.op.effects.aliases is not None for r in n.results}
    bases = []
    for value in results:
        base: Any = value
        while base in viewed:
            base = viewed[base]
        bases.append(base)
        count = _size(value)
        if base in builder.inputs or not count:
            return False
        if base is not value and (0 in value.tensor_type.strides or count != _size(base)):
            return False
    return len(set(bases)) == len(bases)


def _size(value: Value) -> int:
    return math.prod(value.tensor_type.shape)  # type: ignore[arg-type, return-value]
