"""Writing into a Tensor: the checks PyTorch makes, the write through the Storage, and the tensor's new history."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..errors import AutogradError, ShapeError
from ..ir import dtypes
from ..ir.layout import extent_of, windowed
from ..ir.op import Op
from ..ir.ops.casts import cast, clone, contiguous
from ..ir.ops.compare import where
from ..ir.ops.complexes import view_as_complex, view_as_real
from ..ir.ops.creation import filled
from ..ir.ops.shape import as_strided, expand
from ..runtime import gradmode
from ..runtime.meta import Meta
from . import direct, executor, overlaps, tape
from .factory import alias, blank, family, make, place, storage_of, tensors_in


def inplace(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """Apply `op`, whose first operand is the target, and store the result in the target, which is returned."""
    target = operands[0]
    if target._storage is not None and len(operands) > 1:
        overlaps.refuse(target, operands)
    if direct.into(op, operands, attrs, target) or (not attrs and executor.written_through(op, operands)):
        return target
    recorded = gradmode.get()
    if recorded and _is_eager(target):
        check_writable(target)
    if recorded and (_is_eager(target) or _is_member(target)) and any(getattr(x, "requires_grad", False) for x in operands):
        before = _before(target)
        operands = tuple([before if x is target else x for x in operands])
    out = executor.apply(op, operands, attrs)
    return store(target, out)


def store(target: Any, out: Any) -> Any:
    """Let `target` hold the values (and, while gradients are recorded, the history) of `out`; returns `target`."""
    if out.shape != target.shape:
        raise ShapeError(f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(out.shape)}")
    wanted = target.dtype
    if out.dtype is not wanted:
        if dtypes.RANK[out.dtype.kind] > dtypes.RANK[wanted.kind]:
            raise RuntimeError(f"result type {out.dtype.name} can't be cast to the desired output type {wanted.name}")
        out = cast(out, dtype=wanted)
    if gradmode.get() and target.requires_grad and not out.requires_grad:
        out = _over(target, out)
    executor.write(target, out)
    if _is_eager(target) and gradmode.get() and (out.requires_grad or target.requires_grad):
        rebase(target, out)
    return target


def _over(target: Any, out: Any) -> Any:
    """`out`, a constant, with a history in which `target` had a part: its former values get gradients of zeros, not none."""
    return where(filled(target, (), True, dtypes.bool_), out, target)


def store_checked(target: Any, out: Any) -> Any:
    """`store` after the checks of an in-place write."""
    if gradmode.get() and _is_eager(target):
        check_writable(target)
    return store(target, out)


def store_broadcast(target: Any, value: Any) -> Any:
    """Write `value`, a Tensor or number that broadcasts, into `target`, without history; returns `target`."""
    if hasattr(value, "meta"):
        lead = value.ndim - target.ndim
        if lead > 0 and all(n == 1 for n in value.shape[:lead]):
            value = value.reshape(value.shape[lead:])
        if value.dtype is not target.dtype:
            value = cast(value, dtype=target.dtype)
        if value.shape != target.shape:
            value = expand(value, shape=target.shape)
    executor.write(target, value)
    return target


def check_writable(target: Any) -> None:
    """RuntimeError where an in-place write would lose a gradient: a leaf that requires grad, or a view of one."""
    if not target.meta.requires_grad:
        return
    if target._node is None:
        raise AutogradError(
            "a leaf Variable that requires grad is being used in an in-place operation. Write under no_grad(), or to a clone."
        )
    root = view_root(target)
    if root is not target and root._node is None and root.meta.requires_grad:
        raise AutogradError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation. "
            "Write under no_grad(), or to a view of a clone."
        )


def view_root(x: Any) -> Any:
    """The tensor that `x` is a recorded view of, through any number of views; `x` itself where it is none."""
    while isinstance(x._node, tape.OpNode) and x._node.base is not None:
        x = x._node.base
    return x


def _is_eager(x: Any) -> bool:
    return x._array is not None or x._storage.recorder is None or x._storage.on_device


def _is_member(x: Any) -> bool:
    """Whether a tensor stands for one member of a batch (`batching`)."""
    return x._array is None and hasattr(x._storage, "level")


def _before(target: Any) -> Any:
    """The target's present values with its history, in memory of its own: what a gradient rule may read after the write."""
    if target._array is None and not _is_eager(target):
        storage = target._storage
        return storage.level.wrap(_before(storage.value)) if _is_member(target) else target
    if target._array is not None:
        old = make(target._array.copy(), target.meta.requires_grad)
    else:
        gradmode.set(False)
        try:
            old = executor.apply(clone, (target,), {})
        finally:
            gradmode.set(True)
        old.meta = old.meta.with_grad(target.meta.requires_grad)
    old._node = target._node
    return old


def rebase(target: Any, out: Any) -> None:
    """Give `target`, whose memory already holds the values of `out`, the history of `out`; a view passes it on to its root."""
    if out.meta.requires_grad and not target.meta.requires_grad and _is_shared(target):
        _tie(target)
    root = view_root(target)
    if root is not target:
        _rebase_view(target, root, out)
        return
    if out._node is None or view_root(out) is not out:  # a leaf keeps its gradient, a view its base: the target has neither
        out = executor.apply(clone, (out,), {})
    target.meta = target.meta.with_grad(True)
    before, target._node = target._node, out._node
    _keep_retained(target, before)


def _keep_retained(x: Any, before: Any) -> None:
    """`x`, which has another history now, still gets its gradient into `grad` if it asked for that."""
    if before is not None and any(ref() is x for ref in before.retained or ()):
        before.retained = [ref for ref in before.retained if ref() is not x]
        x.retain_grad()


def _is_shared(target: Any) -> bool:
    """Whether a tensor may be a view of others, or others views of it."""
    apart = family(target)
    if apart is not None:
        return apart.seen
    storage = storage_of(target)
    own = 3  # the target's slot, the variable here, and the argument of getrefcount
    return storage.base is not target._array or sys.getrefcount(storage) > own


def _tie(target: Any) -> None:
    """Make all that lie in the memory of `target`, which gets a history, views of one root: views that were made while there was
    nothing to record do not know each other. Those with a history of their own keep it."""
    storage, own = storage_of(target), family(target)
    root = make(storage.flat) if target._array is not None else blank(_whole(storage, target.meta))
    root._storage, root._offset = storage, place(target, 0)
    for x in tensors_in(storage):
        if x is root or x.meta.requires_grad or family(x) is not own:
            continue
        meta = x.meta
        window = {"shape": meta.shape, "strides": meta.strides, "offset": x._offset or 0}
        x._node = tape.OpNode(as_strided, window, 1)
        x._node.base, x._node.version = root, -1  # recorded when it is asked for
        x.meta = meta.with_grad(True)


def _whole(storage: Any, meta: Meta) -> Meta:
    """The Meta of all elements of a storage on a GPU, as a tensor with this `meta` counts them."""
    return Meta.of((storage.nbytes // meta.dtype.itemsize,), (1,), meta.dtype, False, meta.device)


def _laid_as(meta: Meta) -> Any:
    """An array on the host, laid out as a tensor with this Meta."""
    dtype = meta.dtype.np
    return windowed(np.empty(extent_of(meta.shape, meta.strides), dtype), meta.shape, [s * dtype.itemsize for s in meta.strides])


def _rebase_view(view: Any, root: Any, out: Any) -> None:
    """The root's history becomes "root with this window replaced"; the view's, that window of the new root."""
    chain = []
    x = view
    while x is not root:
        chain.append(x._node)
        x = x._node.base
    chain.reverse()
    old = alias(root, root.meta.requires_grad)
    old._node = root._node
    edges = (tape.edge_of(old), tape.edge_of(out))
    node = WindowWrite(chain, root, view)
    node.edges = edges
    node.results = (root.meta.type,)
    root.meta = root.meta.with_grad(True)
    before, root._node = root._node, node
    _keep_retained(root, before)
    refresh_view(view)


def refresh_view(x: Any) -> None:
    """Record a view again whose memory was written to since: its history is a window of what the base is now."""
    node = x._node
    was = gradmode.get()
    gradmode.set(True)
    try:
        again = executor.apply(node.op, (node.base,), node.attrs)  # recording asks for the base's edge, which refreshes the base
    finally:
        gradmode.set(was)
    x._node = again._node
    _keep_retained(x, node)
    if x.meta.requires_grad is not again.meta.requires_grad:
        x.meta = x.meta.with_grad(again.meta.requires_grad)


class WindowWrite(tape.Node):
    """History of a tensor part of which was overwritten through views: `apply` sends each part of the gradient home."""

    __slots__ = ("chain", "dense", "mask")

    def __init__(self, chain: list[tape.OpNode], root: Any, view: Any) -> None:
        super().__init__()
        self.chain, self.dense = chain, root.meta.type.is_contiguous
        seen = {node.base.meta.dtype for node in chain if node.base is not None} | {view.meta.dtype}
        halves = len(seen) > 1  # a view in other elements: the window may be one half of complex ones
        array = root._array if root._array is not None else _laid_as(root.meta)
        dtype = array.dtype if halves else np.dtype(np.bool_)
        ones = np.full_like(array, 1 + 1j if dtype.kind == "c" else 1, dtype, subok=False)
        self.mask = make(ones)
        executor.write(self._window(self.mask), 0 if halves else False)
        if halves:
            self.mask = make((np.stack((ones.real, ones.imag), -1) if dtype.kind == "c" else ones) != 0)
        if root._array is None:
            self.mask = self.mask.to(root.device)

    def _window(self, x: Any) -> Any:
        for node in self.chain:
            x = executor.apply(node.op, (x,), node.attrs)
        return x

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        (g,) = grads
        if self.dense and g is not None and not g.meta.type.is_contiguous:
            g = contiguous(g)  # the views that lead to the window may be none of other strides
        kept = self._kept(g) if self.edges[0] is not None else None
        return kept, self._window(g) if self.edges[1] is not None else None

    def _kept(self, g: Any) -> Any:
        """The gradient where the window is not."""
        if self.mask.shape == g.shape:
            return where(self.mask, g, 0.0)
        return view_as_complex(contiguous(where(self.mask, view_as_real(g), 0.0)))
