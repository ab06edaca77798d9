"""Calls that all ranks of a group make together, on tensors. They go through the group's first rank, which adds in the order of
ranks, so all ranks hold the same bits. What `async_op` gives is done already."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from .groups import ProcessGroup, current, member
from .links import Work
from .payloads import array_of, store
from .reduction import COMBINE, ReduceOp


def _collect(group: ProcessGroup, raw: bytes) -> list[bytes] | None:
    """What all ranks gave, in the group's order, at its first rank; None elsewhere."""
    links, ranks = group.links, group.ranks
    if group.rank():
        links.send(ranks[0], raw)
        return None
    return [raw, *[links.receive(r) for r in ranks[1:]]]


def spread(group: ProcessGroup, raw: bytes | None, src: int | None = None) -> bytes:
    """What rank `src` of the world (the group's first) gave, at all ranks."""
    source = group.ranks[0] if src is None else src
    if group.links.rank != source:
        return group.links.receive(source)
    for r in group.ranks:
        if r != source:
            group.links.send(r, raw or b"")
    return raw or b""


def gathered(raw: bytes, group: ProcessGroup) -> list[bytes]:
    """What all ranks gave, in the group's order, at all ranks."""
    parts = _collect(group, raw)
    whole: list[bytes] = pickle.loads(spread(group, None if parts is None else pickle.dumps(parts)))
    return whole


def broadcast(tensor: Any, src: int = 0, group: ProcessGroup | None = None, async_op: bool = False) -> Work | None:
    """`tensor` of rank `src` at all ranks, in place."""
    found = member(group)
    if found is not None and found.size() > 1:
        own = found.links.rank == src
        raw = spread(found, array_of(tensor).tobytes() if own else None, src)
        if not own:
            store(tensor, raw)
    return Work() if async_op else None


def all_reduce(tensor: Any, op: Any = ReduceOp.SUM, group: ProcessGroup | None = None, async_op: bool = False) -> Work | None:
    """The sum (or `op`) of all ranks' tensors at all ranks, in place."""
    found = member(group)
    if found is not None:
        own = array_of(tensor)
        parts = _collect(found, own.tobytes())
        total = None if parts is None else _combined(parts, own, op).tobytes()
        store(tensor, spread(found, total))
    return Work() if async_op else None


def _combined(parts: list[bytes], like: Any, op: Any) -> Any:
    out = np.frombuffer(parts[0], like.dtype)
    for part in parts[1:]:
        out = COMBINE[op](out, np.frombuffer(part, like.dtype)).astype(like.dtype)
    return (out / len(parts)).astype(like.dtype) if op is ReduceOp.AVG else out


def reduce(tensor: Any, dst: int = 0, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Work | None:
    """The sum (or `op`) at rank `dst`, in place."""
    total = tensor.detach().clone()
    all_reduce(total, op, group)
    if current(group).links.rank == dst:
        store(tensor, array_of(total).tobytes())
    return Work() if async_op else None


def all_gather(tensor_list: list[Any], tensor: Any, group: ProcessGroup | None = None, async_op: bool = False) -> Work | None:
    """All ranks' tensors into `tensor_list`, at all ranks."""
    found = member(group)
    if found is not None:
        for target, raw in zip(tensor_list, gathered(array_of(tensor).tobytes(), found), strict=True):
            store(target, raw)
    return Work() if async_op else None


def all_gather_into_tensor(output_tensor: Any, input_tensor: Any, group: Any = None, async_op: bool = False) -> Work | None:
    """All ranks' tensors one after the other in `output_tensor`."""
    found = member(group)
    if found is not None:
        store(output_tensor, b"".join(gathered(array_of(input_tensor).tobytes(), found)))
    return Work() if async_op else None


def gather(tensor: Any, gather_list: Any = None, dst: int = 0, group: Any = None, async_op: bool = False) -> Work | None:
    """All ranks' tensors into `gather_list` of rank `dst`."""
    found = member(group)
    if found is not None:
        parts = gathered(array_of(tensor).tobytes(), found)
        for target, raw in zip(gather_list or (), parts if found.links.rank == dst else (), strict=False):
            store(target, raw)
    return Work() if async_op else None


def scatter(tensor: Any, scatter_list: Any = None, src: int = 0, group: Any = None, async_op: bool = False) -> Work | None:
    """Into `tensor` this rank's place of `scatter_list` of rank `src`."""
    found = member(group)
    if found is not None:
        own = found.links.rank == src
        parts = pickle.dumps([array_of(t).tobytes() for t in scatter_list]) if own else None
        store(tensor, pickle.loads(spread(found, parts, src))[found.rank()])
    return Work() if async_op else None


def reduce_scatter_tensor(output: Any, input: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Any:
    """Into `output` this rank's share of the sum (or `op`) of all ranks' `input`."""
    total, found = input.detach().clone(), current(group)
    all_reduce(total, op, group)
    share = total.numel() // found.size()
    store(output, array_of(total).reshape(-1)[found.rank() * share : (found.rank() + 1) * share].tobytes())
    return Work() if async_op else None


def reduce_scatter(output: Any, input_list: list[Any], op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Any:
    """Into `output` the sum (or `op`) of all ranks' tensors at this rank's place of `input_list`."""
    for i, t in enumerate(input_list):
        total = t.detach().clone()
        all_reduce(total, op, group)
        if i == current(group).rank():
            store(output, array_of(total).tobytes())
    return Work() if async_op else None


def all_to_all(output_tensor_list: list[Any], input_tensor_list: list[Any], group: Any = None, async_op: bool = False) -> Any:
    """Place i of `input_tensor_list` to rank i; what comes from rank i at place i of `output_tensor_list`."""
    found = member(group)
    if found is not None:
        rows = gathered(pickle.dumps([array_of(t).tobytes() for t in input_tensor_list]), found)
        for target, row in zip(output_tensor_list, rows, strict=True):
            store(target, pickle.loads(row)[found.rank()])
    return Work() if async_op else None


def barrier(group: ProcessGroup | None = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Wait until all ranks are here."""
    found = member(group)
    if found is not None:
        _collect(found, b"")
        spread(found, b"")
    return Work() if async_op else None


monitored_barrier = barrier
