"""Process groups: who takes part, and how the processes meet. Exchanges no tensors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlparse

from .. import knobs
from .links import Links


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


class group:
    """``group.WORLD``: all processes."""

    class _World:
        def __get__(self, instance: Any, owner: Any) -> ProcessGroup | None:
            return _world[0] if _world else None

    WORLD = _World()


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
        current(None).links.close()
        _world.clear()


def current(given: ProcessGroup | None) -> ProcessGroup:
    """The group given, else all processes; ValueError where these have not met."""
    if given is not None:
        return given
    if not _world:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return _world[0]


def member(group: ProcessGroup | None) -> ProcessGroup | None:
    """As `current`; None where this process takes no part in it."""
    found = current(group)
    return None if found.rank() < 0 else found


def new_group(ranks: Sequence[int] | None = None, *args: Any, **options: Any) -> ProcessGroup:
    """A group of some of the processes."""
    world = current(None)
    return ProcessGroup(world.links, world.ranks if ranks is None else sorted(ranks))


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's number."""
    return current(group).rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many processes there are."""
    return current(group).size()


def get_backend(group: ProcessGroup | None = None) -> str:
    """ "gloo"."""
    return _backend[0] if current(group) else ""


def get_process_group_ranks(group: ProcessGroup | None = None) -> list[int]:
    """The ranks in the world of those in the group."""
    return list(current(group).ranks)


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
