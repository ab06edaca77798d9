"""What each op does to a batch of operands: one call in place of a loop. Derived from the lowering where the record has no rule.

A rule takes one dimension number per operand (None: the same operand for every member of the batch) and puts the batch first
in its result. Knows no op by name, and no Tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ShapeError
from .op import Decompose, Op, Reduce, Scalar
from .promote import fitted, target_dtype, type_of
from .sizes import Size
from .types import TensorType, tensor

Dims = Sequence["int | None"]


def batch_rule(op: Op) -> Callable[..., Any]:
    """``rule(dims, /, *ins, **attrs)``: `op` applied to each member of the batch. The record's own rule, or one derived: by
    broadcasting (Scalar), by shifting `dim` (Reduce), through the decomposition, else by a loop over a batch of constant size."""
    if op.batch is not None:
        derived = op.batch
    elif isinstance(op.lowering, Scalar):
        derived = _broadcasting(op)
    elif isinstance(op.lowering, Reduce):
        derived = _shifting(op)
    elif isinstance(op.lowering, Decompose):
        derived = _decomposing(op)
    else:
        derived = unrolled(op)

    def rule(dims: Dims, /, *ins: Any, **attrs: Any) -> Any:
        if all(d is None for d in dims):
            return op(*ins, **attrs)
        return derived(tuple(dims), *_promoted(op, dims, ins), **attrs)

    return rule


def loops(op: Op) -> bool:
    """Whether the rule that is derived for `op` calls it on each member."""
    return op.batch is None and not isinstance(op.lowering, (Scalar, Reduce, Decompose))


class Batched:
    """One member of a batch, for code written for one: `value` has the batch in front, or where `shared` is the same for all
    members; `shape` and `type` are the member's. Op calls on it apply the batch rules; all their tensors must be Batched."""

    __slots__ = ("dtype", "shape", "shared", "type", "value")

    def __init__(self, value: Any, shared: bool = False) -> None:
        self.value, self.shared, self.dtype = value, shared, value.dtype
        self.shape = tuple(value.shape if shared else value.shape[1:])
        self.type = _own_type(value) if shared else tensor(self.shape, value.dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __apply_op__(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        dims = [0 if isinstance(x, Batched) and not x.shared else None for x in operands]
        ins = tuple([x.value if isinstance(x, Batched) else x for x in operands])
        shared = all(d is None for d in dims)
        # A constant may have no operand at all (`ir.ops.creation.made_by`).
        out = type(self.value).__apply_op__(self.value, op, ins, attrs) if shared else batch_rule(op)(dims, *ins, **attrs)
        return tuple([Batched(r, shared) for r in out]) if isinstance(out, tuple) else Batched(out, shared)

    def stacked(self, size: Size) -> Any:
        """`value`, repeated `size` times where it is shared."""
        from .ops.shape import expand

        return expand(self.value, shape=(size, *self.shape)) if self.shared else self.value


def _own_type(x: Any) -> Any:
    """The type of a Value, Tensor or the like, with its strides."""
    found = type_of(x)
    return found if isinstance(found, TensorType) else x.meta.type


def _member(x: Any, dim: int | None) -> Any:
    """The type of an operand as one member of the batch sees it; strides do not matter."""
    if not hasattr(x, "shape"):
        return type_of(x)
    return tensor(tuple(n for d, n in enumerate(x.shape) if d != dim), x.dtype)


def _promoted(op: Op, dims: Dims, ins: tuple[Any, ...]) -> tuple[Any, ...]:
    """Operands cast as each member of the batch has them cast: a 0-d one counts less in promotion than its stack would."""
    from .ops.casts import cast

    target = target_dtype(op, tuple(_member(x, d) for x, d in zip(ins, dims, strict=True)))
    if target is None or op.promote is None:
        return ins
    chosen = range(len(ins)) if op.promote.operands is None else op.promote.operands
    out = list(fitted(op, ins, target))
    for i in chosen:
        if hasattr(out[i], "shape") and out[i].dtype is not target:
            out[i] = cast(out[i], dtype=target)
    return tuple(out)


def _broadcasting(op: Op) -> Callable[..., Any]:
    from .ops.shape import aligned, front

    def rule(dims: Dims, /, *ins: Any, **attrs: Any) -> Any:
        rank = max(len(_member(x, d).shape) for x, d in zip(ins, dims, strict=True) if hasattr(x, "shape"))
        moved = [x if d is None else aligned(front(x, d), rank + 1) for x, d in zip(ins, dims, strict=True)]
        return op(*moved, **attrs)

    return rule


def _shifting(op: Op) -> Callable[..., Any]:
    from .ops.shape import front

    def rule(dims: Dims, x: Any, /, *, dim: tuple[int, ...], **attrs: Any) -> Any:
        return op(front(x, dims[0]), dim=tuple(d + 1 for d in dim), **attrs)

    return rule


def _decomposing(op: Op) -> Callable[..., Any]:
    from .ops.shape import front

    def rule(dims: Dims, /, *ins: Any, **attrs: Any) -> Any:
        members = [Batched(front(x, d), d is None) if hasattr(x, "shape") else x for x, d in zip(ins, dims, strict=True)]
        n = _batch_size(dims, ins)
        out: Any = op.lowering.fn(*members, **attrs)  # type: ignore[union-attr]
        return tuple([r.stacked(n) for r in out]) if isinstance(out, tuple) else out.stacked(n)

    return rule


def _batch_size(dims: Dims, ins: Sequence[Any]) -> Size:
    size: Size = next(x.shape[d] for x, d in zip(ins, dims, strict=True) if d is not None)
    return size


def unrolled(op: Op) -> Callable[..., Any]:
    """The rule that calls `op` on each member and joins the results: for ops whose lowering has no room for a batch.
    ShapeError where the size of the batch is not a constant."""

    def rule(dims: Dims, /, *ins: Any, **attrs: Any) -> Any:
        n = _batch_size(dims, ins)
        if not isinstance(n, int):
            raise ShapeError(f"{op.name}: its batch rule is a loop, and the batch has {n} members, which is not a constant")
        types = op.infer(*[_member(x, d) for x, d in zip(ins, dims, strict=True)], **attrs)
        outs = [_call(op, [_taken(x, d, i) for x, d in zip(ins, dims, strict=True)], attrs) for i in range(n)]
        joined = tuple(_joined(ins, [o[k] for o in outs], t) for k, t in enumerate(types) if isinstance(t, TensorType))
        return joined if len(joined) > 1 else joined[0]

    return rule


def _call(op: Op, ins: list[Any], attrs: dict[str, Any]) -> tuple[Any, ...]:
    out = op(*ins, **attrs)
    return out if isinstance(out, tuple) else (out,)


def _taken(x: Any, dim: int | None, i: int) -> Any:
    """Member `i` of an operand, row-major as some ops want it."""
    from .ops.casts import contiguous
    from .ops.shape import reshape, slice_

    if dim is None:
        return x
    rest = tuple(n for d, n in enumerate(x.shape) if d != dim)
    return contiguous(reshape(slice_(x, dim=dim, start=i, stop=i + 1, step=1), rest))


def _joined(ins: Sequence[Any], members: list[Any], t: TensorType) -> Any:
    from .ops.creation import filled
    from .ops.shape import cat, reshape

    if not members:
        beside = next(x for x in ins if hasattr(x, "shape"))
        return filled(beside, (0, *t.shape), 0, t.dtype)
    return cat(*(reshape(m, (1, *t.shape)) for m in members), dim=0)
