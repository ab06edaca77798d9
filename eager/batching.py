"""Tensors that stand for one member of a batch: what `transforms.vmap` runs a function on.

Such a Tensor has no array; its storage holds the whole batch, and every op call on it goes to its Level, which applies the
op's batch rule to the whole. Levels nest: the whole may itself be a member of an outer batch. Knows no op by name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..ir.batch import batch_rule
from ..ir.op import Op
from ..ir.ops.casts import clone
from ..runtime.meta import Meta
from ..runtime.storage import Storage
from . import executor, random
from .arranging import movedim
from .functional import expand, stack, unsqueeze
from .tensor import Tensor


class NeedsLoop(Exception):
    """A value of a member was asked for: the function has to run on each member of `level` by itself."""

    def __init__(self, level: Level) -> None:
        super().__init__("the values of a tensor inside of vmap")
        self.level = level


class BatchStorage(Storage):
    """The storage of one member: `value` has all members along dimension 0."""

    __slots__ = ("level", "recorder", "value")

    def __init__(self, level: Level, value: Any) -> None:
        self.level = self.recorder = level
        self.value = value
        self.version = 0

    def read(self, tensor: Any) -> Any:
        raise NeedsLoop(self.level)

    def shared(self, tensor: Any) -> Any:
        raise self.refused(".numpy()")

    def write(self, tensor: Any, source: Any) -> None:
        self.level.write(tensor, source)

    def write_at(self, tensor: Any, window: Any, key: Any, source: Any) -> None:
        raise NeedsLoop(self.level)

    def refused(self, what: str) -> RuntimeError:
        """The error where a program asks for the values of one member."""
        return RuntimeError(
            f"vmap: It looks like you're calling {what} on a Tensor. We don't support vmap over calling {what} on a Tensor, "
            "please try to rewrite what you're doing with other operations (a branch on values is where)."
        )

    def like(self, made: Any) -> Any:
        """A fresh tensor beside a member, which differs from member to member from its first write on."""
        return self.level.wrap(executor.apply(clone, (expand(unsqueeze(made, 0), (self.level.size, *made.shape)),), {}))

    def becomes_leaf(self, tensor: Any) -> None:
        raise RuntimeError("requires_grad of a tensor inside of vmap cannot be set: use func.grad inside, or set it outside")

    @property
    def base(self) -> Any:  # type: ignore[override]
        raise NeedsLoop(self.level)

    flat = address = base


class _Active(threading.local):
    levels: tuple[Level, ...] = ()


_active = _Active()
_rules: dict[Op, Callable[..., Any]] = {}


def active() -> tuple[Level, ...]:
    """The levels inside of which this thread runs, outermost first."""
    return _active.levels


class Level:
    """One running `vmap` over `size` members; an executor of the ops on its Tensors."""

    def __init__(self, size: int, randomness: str = "error") -> None:
        self.size, self.randomness = size, randomness
        self.depth = len(_active.levels)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Code runs inside of this level."""
        before, _active.levels = _active.levels, (*_active.levels, self)
        random.default_generator.__class__ = BatchGenerator
        try:
            yield
        finally:
            _active.levels = before
            if not before:
                random.default_generator.__class__ = random.Generator

    def wrap(self, value: Any) -> Any:
        """The member of a batch whose dimension 0 are the members."""
        meta = value.meta
        made = object.__new__(Tensor)
        made.meta = Meta.of(tuple(meta.shape[1:]), tuple(meta.strides[1:]), meta.dtype, meta.requires_grad, meta.device)
        made._array, made._offset, made._grad = None, None, None
        made._storage = BatchStorage(self, value)
        made._node = value._node
        return made

    def apply(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """The op on every member at once."""
        for x in operands:
            level = level_of(x)
            if level is not None and level.depth > self.depth:
                return level.apply(op, operands, attrs)
            if hasattr(getattr(x, "_storage", None), "tangent"):  # a member with a change (`duals`), which is outermost
                return x._storage.level.apply(op, operands, attrs)
        dims = [0 if level_of(x) is self else None for x in operands]
        ins = [x if d is None else x._storage.value for x, d in zip(operands, dims, strict=True)]
        rule = _rules.get(op)
        if rule is None:
            rule = _rules[op] = batch_rule(op)
        out = rule(dims, *ins, **attrs)
        return tuple([self.wrap(r) for r in out]) if isinstance(out, tuple) else self.wrap(out)

    def write(self, target: Any, source: Any) -> None:
        """An in-place write to every member."""
        from . import inplace

        level = level_of(target)
        deeper = level_of(source)
        if level is not self or (deeper is not None and deeper.depth > self.depth):
            raise RuntimeError(
                "vmap: an in-place write of a tensor that differs from member to member into one that is shared by all of them. "
                "Write out of place."
            )
        value = target._storage.value
        if hasattr(source, "meta"):
            if source.shape != target.shape:
                source = expand(source, target.shape)
            inplace.store_checked(value, physical(self, source))
        else:
            inplace.store_broadcast(value, source)
        target.meta = target.meta.with_grad(value.meta.requires_grad)
        target._node = value._node
        target._storage.version += 1

    def draw(self, generator: Any, blocks: int) -> Any:
        """Where a random op takes its numbers from: one place for all members, or one for each."""
        if self.randomness == "error":
            raise RuntimeError(
                "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
                "randomness flags on vmap or perform the randomness operation out of vmap"
            )
        if self.randomness == "same":
            return random.Generator.draw(generator, blocks)
        return self.wrap(stack([random.Generator.draw(generator, blocks) for _ in range(self.size)]))


class BatchGenerator(random.Generator):
    """The default generator while a batch runs."""

    __slots__ = ()

    def draw(self, blocks: int) -> Any:
        levels = _active.levels
        return levels[-1].draw(self, blocks) if levels else random.Generator.draw(self, blocks)


def level_of(x: Any) -> Level | None:
    """The innermost level that a Tensor is a member of; None for a plain one."""
    storage = getattr(x, "_storage", None)
    return storage.level if type(storage) is BatchStorage else None


def innermost(xs: Any) -> Level | None:
    """The innermost level among Tensors."""
    levels = [level for level in map(level_of, xs) if level is not None]
    return max(levels, key=lambda level: level.depth) if levels else None


def contains(level: Level, x: Any) -> bool:
    """Whether `x` differs from member to member of `level`."""
    at = level_of(x)
    while at is not None:
        if at is level:
            return True
        x = x._storage.value
        at = level_of(x)
    return False


def physical(level: Level, x: Any) -> Any:
    """`x` with the members of `level` along dimension 0, repeated where it is the same for all."""
    at = level_of(x)
    if at is level:
        return x._storage.value
    if at is None or at.depth < level.depth:
        return expand(unsqueeze(x, 0), (level.size, *x.shape))
    return at.wrap(movedim(physical(level, x._storage.value), 1, 0))


def member(level: Level, value: Any) -> Any:
    """The inverse of `physical`."""
    at = level_of(value)
    if at is None or at.depth < level.depth:
        return level.wrap(value)
    return at.wrap(member(level, movedim(value._storage.value, 1, 0)))
