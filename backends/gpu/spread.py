"""Kernel -> Kernel, in the shape a GPU wants: loops whose rounds may run at the same time become axes of the grid.

A serial loop that only adds to elements (or stores where the order is not told) needs no order on a GPU: atomic operations keep
sums whole. Of several stores to one element any may win, as in PyTorch.
"""

from __future__ import annotations

from dataclasses import replace

from ... import knobs
from ...ir.dtypes import DType, float32, float64, int32, int64
from ...ir.loops import (
    Check,
    Compute,
    Const,
    Index,
    Kernel,
    Load,
    LoadAt,
    Loop,
    Param,
    Reduce,
    Running,
    Stmt,
    Store,
    StoreAt,
    walk,
)  # fmt: skip
from .config import stride

_PURE = (Check, Compute, Const, Index, Load, LoadAt, Param)


def atomic(combine: str | None, dtype: DType) -> bool:
    """Whether many threads may combine into one element at a time. (With knob deterministic not where their order tells.)"""
    if combine is None:
        return not knobs.deterministic
    if combine == "add":
        return dtype in (int32, int64) or (dtype in (float32, float64) and not knobs.deterministic)
    return combine in ("maximum", "minimum") and dtype in (int32, int64)


def spread(kernel: Kernel) -> Kernel:
    """`kernel` with its loops in the grid where nothing keeps them from it."""
    found = _opened(kernel)
    while found is not None:
        kernel, found = found, _opened(found)
    return kernel


def _opened(kernel: Kernel) -> Kernel | None:
    """`kernel` with its last statement, a loop, taken into the grid; None where that would change what it does."""
    if not kernel.body or not isinstance(kernel.body[-1], Loop):
        return None
    loop, head = kernel.body[-1], kernel.body[:-1]
    written = {b.name for b in kernel.buffers if "w" in b.access}
    reads = {s.buffer for s in (*head, *walk(loop.body)) if isinstance(s, (Load, LoadAt))}
    if not all(isinstance(s, _PURE) for s in head) or any(isinstance(s, Running) for s in loop.body) or kernel.scratch:
        return None
    if loop.serial and not _unordered(kernel, loop.body):
        return None
    ahead = {s.buffer for s in head if isinstance(s, (Load, LoadAt))}
    into = {s.buffer for s in walk(loop.body) if isinstance(s, StoreAt)}
    if ahead & written or into & reads:
        return None
    body = (*head, *loop.body)
    grid = (loop.axis, *kernel.grid) if _inner(kernel, body, loop.axis.name) else (*kernel.grid, loop.axis)
    return replace(kernel, grid=grid, body=body)


def _inner(kernel: Kernel, body: tuple[Stmt, ...], axis: str) -> bool:
    """Whether neighbours along the grid's last axis lie closer in memory than those along `axis`."""
    last = kernel.grid[-1].name if kernel.grid else ""
    touched = [s.index for s in walk(body) if isinstance(s, (Load, LoadAt, Store, StoreAt))]
    return sum(stride(i, last) == 1 for i in touched) > sum(stride(i, axis) == 1 for i in touched)


def _unordered(kernel: Kernel, body: tuple[Stmt, ...]) -> bool:
    """Whether the rounds of a serial loop may run in any order, all at once."""
    types = {m.name: m.dtype for m in kernel.memory}
    stores = [s for s in walk(body) if isinstance(s, StoreAt)]
    kinds = {s.buffer: s.combine for s in stores}
    return all(atomic(s.combine, types[s.buffer]) and kinds[s.buffer] == s.combine for s in stores) and not any(
        isinstance(s, (Reduce, Loop)) and any(isinstance(x, Running) for x in s.body) for s in walk(body)
    )
