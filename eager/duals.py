"""Tensors with a change: what forward mode (`forward_ad`) runs a function on.

Such a Tensor has no array; its storage holds two Tensors, the value and its change, and every op call on it goes to its Level,
which applies the op to the values and what `ir.forward` makes of the op's gradient rule to the changes. Knows no op by name.
"""

from __future__ import annotations

import threading
from typing import Any

from ..errors import ShapeError
from ..ir import forward
from ..ir.op import Op
from ..ir.ops.casts import clone, contiguous
from ..ir.ops.shape import as_strided
from ..ir.promote import promoted
from ..runtime import gradmode
from ..runtime.meta import Meta
from ..runtime.storage import Storage
from . import executor, tape
from .creation import full
from .factory import alias, storage_of, tensors_in
from .tensor import Tensor


class DualStorage(Storage):
    """The storage of a Tensor with a change."""

    __slots__ = ("level", "primal", "recorder", "tangent")

    def __init__(self, level: Level, primal: Any, tangent: Any) -> None:
        self.level = self.recorder = level
        self.primal, self.tangent = primal, tangent
        self.version = 0

    def read(self, tensor: Any) -> Any:
        return storage_of(self.primal).read(self.primal)

    def write(self, tensor: Any, source: Any) -> None:
        self.level.write(tensor, source)

    def write_at(self, tensor: Any, window: Any, key: Any, source: Any) -> None:
        self.level.write(window, source)

    def becomes_leaf(self, tensor: Any) -> None:
        raise RuntimeError("requires_grad of a tensor with a tangent cannot be set: set it before make_dual")

    @property
    def base(self) -> Any:  # type: ignore[override]
        return storage_of(self.primal).base

    @property
    def flat(self) -> Any:
        return storage_of(self.primal).flat

    @property
    def address(self) -> int:
        return storage_of(self.primal).address


class _Active(threading.local):
    level: Level | None = None


active = _Active()


def is_dual(x: Any) -> bool:
    """Whether `x` is a Tensor with a change of the level that is entered now."""
    storage = getattr(x, "_storage", None)
    return type(storage) is DualStorage and storage.level is active.level


def value_of(x: Any) -> Any:
    """`x` without its change."""
    storage = getattr(x, "_storage", None)
    return storage.primal if type(storage) is DualStorage else x


class Level:
    """One ``with dual_level()``; an executor of the ops on its Tensors. After its end they are their values alone."""

    def wrap(self, primal: Any, tangent: Any) -> Any:
        """The Tensor of a value and its change."""
        meta = primal.meta
        made = object.__new__(Tensor)
        made.meta = Meta.of(tuple(meta.shape), tuple(meta.strides), meta.dtype, meta.requires_grad, meta.device)
        made._array, made._offset, made._grad, made._node = None, None, None, None
        made._storage = DualStorage(self, primal, tangent)
        return made

    def apply(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """The op on values and changes."""
        operands = promoted(op, operands)
        values = tuple([value_of(x) for x in operands])
        out = executor.apply(op, values, attrs)
        if active.level is None or op.grad is None or not any(is_dual(x) for x in operands):
            return out
        outs = out if isinstance(out, tuple) else (out,)
        changes = self._changes(op, operands, values, attrs, outs)
        made = tuple([o if c is None else active.level.wrap(o, c) for o, c in zip(outs, changes, strict=True)])
        if gradmode.get() and any(o.meta.requires_grad for o in outs):
            found = [m for m, c in zip(made, changes, strict=True) if c is not None]
            if len(found) == len(made):  # rules then meet the changes, too: gradients have them
                tape.record(op, operands, attrs, made)
            else:
                for m, o in zip(made, outs, strict=True):
                    m._node = o._node
        return made if isinstance(out, tuple) else made[0]

    def _changes(
        self, op: Op, operands: tuple[Any, ...], values: tuple[Any, ...], attrs: dict[str, Any], outs: tuple[Any, ...]
    ) -> list[Any]:
        tangents = [x._storage.tangent if is_dual(x) and x.meta.dtype.is_inexact else None for x in operands]
        if op.effects.aliases is not None and tangents[op.effects.aliases] is not None:
            try:
                return [executor.apply(op, tuple([x if t is None else t for t, x in zip(tangents, values, strict=True)]), attrs)]
            except ShapeError:  # laid out so that the op copies there
                pass
        given = [t is not None for t in tangents]
        types = [x.meta.type if hasattr(x, "meta") else x for x in values]
        program = forward.program(op, attrs, types, [o.meta.type for o in outs], given)
        if program is None:
            return [None] * len(outs)
        tensors = [x for x in values if hasattr(x, "meta")]
        dense = [t if t.meta.type.is_contiguous else contiguous(t) for t in tangents if t is not None]
        taken = [storage_of(x) for x in (*tensors, *(t for t in tangents if t is not None), *dense, *outs)]
        ones = [full(t.shape, 1, dtype=t.dtype, device=tensors[0].device) for t in program.arriving]
        found = program.run(executor.apply, [*ones, *tensors, *outs, *dense])
        return [c if c is None or all(storage_of(c) is not s for s in taken) else executor.apply(clone, (c,), {}) for c in found]

    def write(self, target: Any, source: Any) -> None:
        """An in-place write to a value and its change."""
        from . import inplace

        if not is_dual(target):
            if not is_dual(source):
                inplace.store_broadcast(value_of(target), value_of(source))
                return
            self._admit(target)
        storage = target._storage
        tangent = source._storage.tangent if is_dual(source) else None
        with_history = hasattr(source, "meta") and tuple(source.shape) == tuple(target.shape)
        store = inplace.store_checked if with_history else inplace.store_broadcast
        store(storage.primal, value_of(source))
        if tangent is None:
            inplace.store_broadcast(storage.tangent, 0)
        else:
            (inplace.store_checked if with_history else inplace.store_broadcast)(storage.tangent, tangent)
        storage.version += 1
        target.meta = target.meta.with_grad(storage.primal.meta.requires_grad)
        target._node = storage.primal._node

    def _admit(self, target: Any) -> None:
        """Give `target` and all that lie in its memory a change of zeros, in one memory as well."""
        memory: Any = storage_of(target)
        count = memory.nbytes // target.dtype.itemsize if memory.on_device else int(memory.flat.size)
        flat = full((count,), 0, dtype=target.dtype, device=target.device)
        for x in tensors_in(memory):
            window = {"shape": x.meta.shape, "strides": x.meta.strides, "offset": int(x._offset or 0)}
            primal = alias(x, x.meta.requires_grad)
            primal._node = x._node
            x._storage = DualStorage(self, primal, executor.apply(as_strided, (flat,), window))
            x._array = None


def function(cls: Any, args: tuple[Any, ...]) -> Any:
    """A user's autograd.Function on Tensors with changes, by its own `jvp`."""
    from .custom import Context, run_forward

    values = [value_of(x) for x in args]
    if active.level is None or not any(is_dual(x) for x in args):
        return cls.apply(*values)
    ctx = Context()
    ctx.needs_input_grad = (False,) * len(args)
    before = gradmode.get()
    gradmode.set(False)
    try:
        out = run_forward(cls, ctx, tuple(values))
        ctx._saved = ctx._forward or ctx._saved
        changes = cls.jvp(ctx, *[x._storage.tangent if is_dual(x) else None for x in args])
    finally:
        gradmode.set(before)
    several = isinstance(out, (tuple, list))
    pairs = zip(out if several else (out,), changes if isinstance(changes, tuple) else (changes,), strict=True)
    made = tuple([o if c is None else active.level.wrap(o, c) for o, c in pairs])
    return made if several else made[0]


class _Begun(tape.Node):
    """Where a Tensor with a change came from: its gradient goes on to the Tensor that `make_dual` got."""

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        return grads


def made(primal: Any, tangent: Any) -> Any:
    """The Tensor with that value and that change."""
    level: Any = active.level
    found = level.wrap(primal, tangent)
    if primal.meta.requires_grad and gradmode.get():
        _Begun().attach([found], [primal])
    return found
