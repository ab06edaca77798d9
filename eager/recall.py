"""Views that were taken before: the same function of a tensor with the same meta, and of the same numbers, asks nothing again.

What shapes follow from the meta is found out by the first call; later ones cut the array and record the one op that it was.
Decides nothing: a call that is not plain goes to the function itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from .. import knobs
from ..errors import CompileError
from ..ir.plan import Plan, PlanOutput
from ..runtime import gradmode
from ..runtime.size import Size
from ..runtime.storage import address_of
from . import executor, hot, plans
from .factory import view_of

F = TypeVar("F", bound=Callable[..., Any])

#: calls remembered of each function, and calls of a kind before machine code makes its views
MOST, WAIT = 1024, 300
#: what is known of the calls of each function
TABLES: list[dict[Any, Any]] = []
ITEMS, _TUPLES = frozenset((int, type(None), type(Ellipsis))), frozenset((tuple, Size))


def viewing(fn: F) -> F:
    """`fn(tensor, *numbers)`, pure, whose result is the tensor itself, a view of it, a tuple of views, or a copy: known calls
    give their views at once."""
    known: dict[Any, Any] = {}
    TABLES.append(known)

    @wraps(fn)
    def call(input: Any, *args: Any, **named: Any) -> Any:
        try:
            meta, array = input.meta, input._array
            key = (meta, *args)
            found = known.get(key)
        except (AttributeError, TypeError):  # no Tensor, a list of numbers
            return fn(input, *args, **named)
        if named or array is None or executor.recorders:
            return fn(input, *args, **named)
        if found is None:
            return _first(fn, input, args, known, key)
        if found.types != _types(args):
            return fn(input, *args)
        if found.itself:
            return input
        if found.taken is None or not gradmode.get():
            if found.native is None:
                _later(found, input)
            elif (made := found.native(input)) is not None:
                return made
        if found.cut is None:
            return fn(input, *args)
        t = view_of(found.cut(array, found.to), found.metas[0], input, found.offsets[0])
        if found.taken is None or not gradmode.get():
            return t
        plan, op, attrs = found.taken
        return plans.record(plan, op, (input,), attrs, t)

    return call  # type: ignore[return-value]


def _types(args: tuple[Any, ...]) -> tuple[type, ...]:
    """What tells 2 from 2.0 and True."""
    types = tuple(map(type, args))
    return types if not types or types[0] not in _TUPLES else types + tuple(map(type, args[0]))


def _first(fn: Any, input: Any, args: tuple[Any, ...], known: dict[Any, Any], key: Any) -> Any:
    """The call itself, and what is to be known of it from then on."""
    made = fn(input, *args)
    if not all(type(a) is int or a is None or (isinstance(a, tuple) and ITEMS.issuperset(map(type, a))) for a in args):
        return made
    if len(known) >= MOST:
        known.clear()
    found = _Known(_types(args))
    if made is input:
        found.itself = True
        known[key] = found
    elif type(made) is tuple:
        if all(_is_view(t, input) for t in made) and made and not input.meta.requires_grad:
            found.of(input, made)
            known[key] = found
    elif _is_view(made, input):
        found.of(input, (made,))
        found.single = True
        cut = _cut(input._array, made._array)
        if input.meta.requires_grad:
            found.taken = plans.VIEWS.get((input.meta, made.meta.with_grad(False), found.offsets[0]))
            cut = cut if found.taken is not None else None
        if cut is not None:
            found.cut, found.to = cut
            known[key] = found
    return made


def _is_view(made: Any, input: Any) -> bool:
    return made._storage is input._storage is not None and made._array is not None and bool(made._array.size)


class _Known:
    """What is known of a call: `metas` and `offsets` of its views behind the tensor's first element, `cut` and `to` that make the
    array of a `single` one, what is recorded where it is `taken` into a history, machine code after `wait` calls more."""

    __slots__ = ("cut", "itself", "metas", "native", "offsets", "single", "taken", "to", "types", "wait")

    metas: tuple[Any, ...]
    offsets: tuple[int, ...]
    cut: Any
    to: Any
    taken: Any
    native: Any

    def __init__(self, types: tuple[type, ...]) -> None:
        self.types, self.wait, self.itself, self.single = types, WAIT, False, False
        self.cut = self.to = self.taken = self.native = None

    def of(self, input: Any, made: tuple[Any, ...]) -> None:
        """Note the views."""
        self.metas = tuple([t.meta.with_grad(False) for t in made])
        self.offsets = tuple([(t._offset or 0) - (input._offset or 0) for t in made])


def _later(found: _Known, input: Any) -> None:
    """Count a call that no machine code serves; make it after so many."""
    if found.wait:
        found.wait -= 1
        if not found.wait:
            found.native = _native(found, input)


def _native(found: _Known, input: Any) -> Any:
    """The views as one native function of the tensor, which gives None where it cannot serve; None where there is none."""
    if not (knobs.native_entry and knobs.hot_ops) or hot.refused() is not None:
        return None
    from ..backends import entry

    outputs = [PlanOutput(m.type, 0, offset) for m, offset in zip(found.metas, found.offsets, strict=True)]
    plan = Plan("views", (input.meta.type,), (), (), (), tuple(outputs))
    try:
        inputs = [(type(input), input.meta)]
        return entry.routine(plan, {}, inputs, list(found.metas), lambda *_: None, single=found.single)
    except CompileError:
        return None


def _cut(array: Any, wanted: Any) -> tuple[Any, Any] | None:
    """(function, argument) that make `wanted` of `array`, a window of it, by one call; None where there is none."""
    start = address_of(wanted) - address_of(array)
    if array.size == wanted.size and start == 0:
        if (same := _reshaped(array, wanted.shape)) is not None and same.strides == wanted.strides:
            return np.ndarray.reshape, wanted.shape
        order = _order(array, wanted)
        if order is not None:
            return np.ndarray.transpose, order
    if array.flags.c_contiguous and start >= 0 and min(wanted.strides, default=0) >= 0:
        return _window, (wanted.shape, wanted.dtype, start, wanted.strides)
    return None


def _reshaped(array: Any, shape: tuple[int, ...]) -> Any:
    made = array.reshape(shape)
    return made if np.may_share_memory(made, array) else None


def _order(array: Any, wanted: Any) -> tuple[int, ...] | None:
    """The order of dimensions in which `array` is `wanted`."""
    left, order = list(range(array.ndim)), []
    for n, step in zip(wanted.shape, wanted.strides, strict=True):
        d = next((d for d in left if (array.shape[d], array.strides[d]) == (n, step)), None)
        if d is None:
            return None
        left.remove(d)
        order.append(d)
    return None if left else tuple(order)


def _window(array: Any, at: tuple[Any, ...]) -> Any:
    shape, dtype, start, strides = at
    return np.ndarray(shape, dtype, array, start, strides)
