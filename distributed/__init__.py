"""``torch.distributed`` over TCP sockets, for tensors in the CPU's memory: process groups, collectives, sending and receiving.

Who takes part trusts the others: objects travel as pickles. Collectives are made through the group's first rank, which adds in
the order of ranks, so all ranks hold the same bits. What a collective's `async_op` gives is done already; `isend` and `irecv`
run in threads, and messages between two ranks keep the order of the calls, whatever their `tag`.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlparse

import numpy as np

from .. import knobs
from ..eager.creation import from_numpy
from ..eager.modes import no_grad
from .links import Links
from .reduction import COMBINE, ReduceOp

__all__ = [
    "P2POp", "ProcessGroup", "ReduceOp", "Work", "all_gather", "all_gather_into_tensor", "all_gather_object", "all_reduce",
    "all_to_all", "barrier", "broadcast", "broadcast_object_list", "destroy_process_group", "gather", "get_backend", "get_rank",
    "get_world_size", "group", "init_process_group", "irecv", "is_available", "is_gloo_available", "is_initialized",
    "is_nccl_available", "is_torchelastic_launched", "isend", "monitored_barrier", "new_group", "recv", "reduce",
    "reduce_scatter", "reduce_scatter_tensor", "scatter", "send",
]  # fmt: skip


class ProcessGroup:
    """The ranks that take part; `rank` is this process's place among them, -1 where it is none."""

    def __init__(self, links: Links, ranks: Sequence[int]) -> None:
        self.links, self.ranks = links, list(ranks)
        self._rank = self.ranks.index(links.rank) if links.rank in self.ranks else -1

    def rank(self) -> int:
        """This process's place in the group."""
        return self._rank

    def size(self) -> int:
        """How many processes the group has."""
        return len(self.ranks)


class Work:
    """A call that is done, or runs in `thread`."""

    def __init__(self, thread: Any = None) -> None:
        self._thread = thread

    def wait(self, timeout: Any = None) -> bool:
        """True, when the call is done."""
        if self._thread is not None:
            self._thread.join(timeout.total_seconds() if isinstance(timeout, timedelta) else timeout)
            if self._thread.error is not None:
                raise self._thread.error
        return True

    def is_completed(self) -> bool:
        """Whether it is done."""
        return self._thread is None or not self._thread.is_alive()

    is_success = is_completed


class group:
    """``group.WORLD``: all processes."""

    class _World:
        def __get__(self, instance: Any, owner: Any) -> ProcessGroup | None:
            return _world[0] if _world else None

    WORLD = _World()


class P2POp:
    """One call of `isend` or `irecv` for `batch_isend_irecv`."""

    def __init__(self, op: Any, tensor: Any, peer: int, group: Any = None, tag: int = 0) -> None:
        self.op, self.tensor, self.peer, self.group = op, tensor, peer, group


_world: list[ProcessGroup] = []
_backend: list[str] = []


def is_available() -> bool:
    """True."""
    return True


is_gloo_available = is_available


def is_nccl_available() -> bool:
    """False: there is one back end, "gloo"."""
    return False


is_mpi_available = is_ucc_available = is_nccl_available


def is_torchelastic_launched() -> bool:
    """Whether a launcher of PyTorch's has started this process."""
    return knobs.outside("TORCHELASTIC_RUN_ID") is not None


def is_initialized() -> bool:
    """Whether `init_process_group` was called."""
    return bool(_world)


def init_process_group(
    backend: str | None = None, init_method: str | None = None, timeout: timedelta | None = None, world_size: int = -1,
    rank: int = -1, store: Any = None, group_name: str = "", pg_options: Any = None, device_id: Any = None,
) -> None:  # fmt: skip
    """Meet the other processes. `init_method`: "env://" (MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE in the environment) or
    "tcp://host:port", where rank 0 listens. `backend`: "gloo", also as "cpu:gloo" or None. ValueError for missing facts,
    RuntimeError where a group exists, another back end is asked for, or the others do not come within `timeout` (30 minutes)."""
    if _world:
        raise RuntimeError("trying to initialize the default process group twice!")
    asked = (backend or "gloo").lower()
    if "gloo" not in asked:
        raise RuntimeError(f"back end {backend!r} is not built in: processes exchange CPU tensors by backend='gloo'")
    rank, world_size, address = _facts(init_method or "env://", rank, world_size)
    limit = timeout.total_seconds() if timeout is not None else 1800.0
    _world.append(ProcessGroup(Links(rank, world_size, address, limit), range(world_size)))
    _backend[:] = ["gloo"]


def _facts(method: str, rank: int, world_size: int) -> tuple[int, int, tuple[str, int]]:
    """(rank, world size, where rank 0 listens)."""
    where = urlparse(method)
    if where.scheme not in ("env", "tcp"):
        raise ValueError(f"init_method {method!r}: there are env:// and tcp://host:port")

    def fact(name: str) -> str:
        found = knobs.outside(name)
        if found is None:
            raise ValueError("Error initializing torch.distributed using env:// rendezvous: environment variable "
                             f"{name} expected, but not set")  # fmt: skip
        return found

    if where.scheme == "tcp":
        if rank < 0 or world_size < 0:
            raise ValueError("tcp:// needs rank and world_size as arguments")
        return rank, world_size, (where.hostname or "127.0.0.1", where.port or 0)
    rank = int(fact("RANK")) if rank < 0 else rank
    world_size = int(fact("WORLD_SIZE")) if world_size < 0 else world_size
    return rank, world_size, (fact("MASTER_ADDR"), int(fact("MASTER_PORT")))


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Leave: connections are closed."""
    if group is None or (_world and group is _world[0]):
        _group(None).links.close()
        _world.clear()


def _group(given: ProcessGroup | None) -> ProcessGroup:
    if given is not None:
        return given
    if not _world:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return _world[0]


def new_group(ranks: Sequence[int] | None = None, *args: Any, **options: Any) -> ProcessGroup:
    """A group of some of the processes."""
    world = _group(None)
    return ProcessGroup(world.links, world.ranks if ranks is None else sorted(ranks))


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's number."""
    return _group(group).rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many processes there are."""
    return _group(group).size()


def get_backend(group: ProcessGroup | None = None) -> str:
    """ "gloo"."""
    return _backend[0] if _group(group) else ""


def get_process_group_ranks(group: ProcessGroup | None = None) -> list[int]:
    """The ranks in the world of those in the group."""
    return list(_group(group).ranks)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The rank in the world of place `group_rank` in the group."""
    return group.ranks[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The place in the group of a rank in the world; ValueError where it is not in it."""
    return group.ranks.index(global_rank)


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """LOCAL_RANK in the environment, else `fallback_rank`; RuntimeError where neither is there."""
    found = knobs.outside("LOCAL_RANK")
    if found is None and fallback_rank is None:
        raise RuntimeError("LOCAL_RANK is not in the environment: pass fallback_rank")
    return int(found) if found is not None else int(fallback_rank or 0)


# -- tensors as bytes


def _array(t: Any) -> Any:
    return np.ascontiguousarray(t.detach().cpu().numpy())


def _store(t: Any, raw: bytes) -> None:
    found = np.frombuffer(raw, t.dtype.np)
    if found.size != t.numel():
        raise RuntimeError(f"{found.size} elements of {t.dtype.name} came for a tensor of shape {list(t.shape)}")
    with no_grad():
        t.detach().copy_(from_numpy(found.reshape(t.shape).copy()))


# -- collectives


def _collect(group: ProcessGroup, raw: bytes) -> list[bytes] | None:
    """What all ranks gave, in the group's order, at its first rank; None elsewhere."""
    links, ranks = group.links, group.ranks
    if group.rank():
        links.send(ranks[0], raw)
        return None
    return [raw, *[links.receive(r) for r in ranks[1:]]]


def _spread(group: ProcessGroup, raw: bytes | None, src: int | None = None) -> bytes:
    """What rank `src` of the world (the group's first) gave, at all ranks."""
    source = group.ranks[0] if src is None else src
    if group.links.rank != source:
        return group.links.receive(source)
    for r in group.ranks:
        if r != source:
            group.links.send(r, raw or b"")
    return raw or b""


def _member(group: ProcessGroup | None) -> ProcessGroup | None:
    found = _group(group)
    return None if found.rank() < 0 else found


def broadcast(tensor: Any, src: int = 0, group: ProcessGroup | None = None, async_op: bool = False) -> Work | None:
    """`tensor` of rank `src` at all ranks, in place."""
    found = _member(group)
    if found is not None and found.size() > 1:
        own = found.links.rank == src
        raw = _spread(found, _array(tensor).tobytes() if own else None, src)
        if not own:
            _store(tensor, raw)
    return Work() if async_op else None


def all_reduce(tensor: Any, op: Any = ReduceOp.SUM, group: ProcessGroup | None = None, async_op: bool = False) -> Work | None:
    """The sum (or `op`) of all ranks' tensors at all ranks, in place."""
    found = _member(group)
    if found is not None:
        own = _array(tensor)
        parts = _collect(found, own.tobytes())
        total = None if parts is None else _combined(parts, own, op).tobytes()
        _store(tensor, _spread(found, total))
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
    if _group(group).links.rank == dst:
        _store(tensor, _array(total).tobytes())
    return Work() if async_op else None


def _gathered(raw: bytes, group: ProcessGroup) -> list[bytes]:
    parts = _collect(group, raw)
    whole: list[bytes] = pickle.loads(_spread(group, None if parts is None else pickle.dumps(parts)))
    return whole


def all_gather(tensor_list: list[Any], tensor: Any, group: ProcessGroup | None = None, async_op: bool = False) -> Work | None:
    """All ranks' tensors into `tensor_list`, at all ranks."""
    found = _member(group)
    if found is not None:
        for target, raw in zip(tensor_list, _gathered(_array(tensor).tobytes(), found), strict=True):
            _store(target, raw)
    return Work() if async_op else None


def all_gather_into_tensor(output_tensor: Any, input_tensor: Any, group: Any = None, async_op: bool = False) -> Work | None:
    """All ranks' tensors one after the other in `output_tensor`."""
    found = _member(group)
    if found is not None:
        _store(output_tensor, b"".join(_gathered(_array(input_tensor).tobytes(), found)))
    return Work() if async_op else None


def gather(tensor: Any, gather_list: Any = None, dst: int = 0, group: Any = None, async_op: bool = False) -> Work | None:
    """All ranks' tensors into `gather_list` of rank `dst`."""
    found = _member(group)
    if found is not None:
        parts = _gathered(_array(tensor).tobytes(), found)
        for target, raw in zip(gather_list or (), parts if found.links.rank == dst else (), strict=False):
            _store(target, raw)
    return Work() if async_op else None


def scatter(tensor: Any, scatter_list: Any = None, src: int = 0, group: Any = None, async_op: bool = False) -> Work | None:
    """Into `tensor` this rank's place of `scatter_list` of rank `src`."""
    found = _member(group)
    if found is not None:
        own = found.links.rank == src
        parts = pickle.dumps([_array(t).tobytes() for t in scatter_list]) if own else None
        _store(tensor, pickle.loads(_spread(found, parts, src))[found.rank()])
    return Work() if async_op else None


def reduce_scatter_tensor(output: Any, input: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Any:
    """Into `output` this rank's share of the sum (or `op`) of all ranks' `input`."""
    total, found = input.detach().clone(), _group(group)
    all_reduce(total, op, group)
    share = total.numel() // found.size()
    _store(output, _array(total).reshape(-1)[found.rank() * share : (found.rank() + 1) * share].tobytes())
    return Work() if async_op else None


def reduce_scatter(output: Any, input_list: list[Any], op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Any:
    """Into `output` the sum (or `op`) of all ranks' tensors at this rank's place of `input_list`."""
    for i, t in enumerate(input_list):
        total = t.detach().clone()
        all_reduce(total, op, group)
        if i == _group(group).rank():
            _store(output, _array(total).tobytes())
    return Work() if async_op else None


def all_to_all(output_tensor_list: list[Any], input_tensor_list: list[Any], group: Any = None, async_op: bool = False) -> Any:
    """Place i of `input_tensor_list` to rank i; what comes from rank i at place i of `output_tensor_list`."""
    found = _member(group)
    if found is not None:
        rows = _gathered(pickle.dumps([_array(t).tobytes() for t in input_tensor_list]), found)
        for target, row in zip(output_tensor_list, rows, strict=True):
            _store(target, pickle.loads(row)[found.rank()])
    return Work() if async_op else None


def barrier(group: ProcessGroup | None = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Wait until all ranks are here."""
    found = _member(group)
    if found is not None:
        _collect(found, b"")
        _spread(found, b"")
    return Work() if async_op else None


monitored_barrier = barrier


def all_gather_object(object_list: list[Any], obj: Any, group: ProcessGroup | None = None) -> None:
    """All ranks' objects into `object_list`."""
    found = _member(group)
    if found is not None:
        object_list[:] = [pickle.loads(raw) for raw in _gathered(pickle.dumps(obj), found)]


def broadcast_object_list(object_list: list[Any], src: int = 0, group: Any = None, device: Any = None) -> None:
    """The objects of rank `src` into `object_list`."""
    found = _member(group)
    if found is not None:
        object_list[:] = pickle.loads(_spread(found, pickle.dumps(object_list), src))


def gather_object(obj: Any, object_gather_list: Any = None, dst: int = 0, group: ProcessGroup | None = None) -> None:
    """All ranks' objects into `object_gather_list` of rank `dst`."""
    found: list[Any] = []
    all_gather_object(found, obj, group)
    if object_gather_list is not None and _group(group).links.rank == dst:
        object_gather_list[:] = found


def scatter_object_list(output: list[Any], objects: Any = None, src: int = 0, group: ProcessGroup | None = None) -> None:
    """Into ``output[0]`` this rank's place of `objects` of rank `src`."""
    found = _member(group)
    if found is not None:
        output[:1] = [pickle.loads(_spread(found, pickle.dumps(objects), src))[found.rank()]]


# -- one to one


def send(tensor: Any, dst: int, group: Any = None, tag: int = 0) -> None:
    """Give `tensor` to rank `dst`, which calls `recv`."""
    _group(group).links.send(dst, _array(tensor).tobytes())


def recv(tensor: Any, src: int, group: Any = None, tag: int = 0) -> int:
    """Into `tensor` what rank `src` sends; gives `src`."""
    _store(tensor, _group(group).links.receive(src))
    return src


def isend(tensor: Any, dst: int, group: Any = None, tag: int = 0) -> Work:
    """`send` in a thread: ``wait()`` before `tensor` is written to."""
    links, raw = _group(group).links, _array(tensor).tobytes()
    turn = links.turn("send", dst)
    return Work(links.later(lambda: links.send(dst, raw, turn)))


def irecv(tensor: Any, src: int, group: Any = None, tag: int = 0) -> Work:
    """`recv` in a thread: ``wait()`` before `tensor` is read."""
    links = _group(group).links
    turn = links.turn("receive", src)
    return Work(links.later(lambda: _store(tensor, links.receive(src, turn))))


def batch_isend_irecv(p2p_op_list: list[P2POp]) -> list[Work]:
    """All these calls at once."""
    return [p.op(p.tensor, p.peer, p.group) for p in p2p_op_list]


