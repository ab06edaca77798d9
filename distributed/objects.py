"""Collectives of Python objects, which travel as pickles: who takes part trusts the others."""

from __future__ import annotations

import pickle
from typing import Any

from .collectives import gathered, spread
from .groups import ProcessGroup, current, member


def all_gather_object(object_list: list[Any], obj: Any, group: ProcessGroup | None = None) -> None:
    """All ranks' objects into `object_list`."""
    found = member(group)
    if found is not None:
        object_list[:] = [pickle.loads(raw) for raw in gathered(pickle.dumps(obj), found)]


def broadcast_object_list(object_list: list[Any], src: int = 0, group: Any = None, device: Any = None) -> None:
    """The objects of rank `src` into `object_list`."""
    found = member(group)
    if found is not None:
        object_list[:] = pickle.loads(spread(found, pickle.dumps(object_list), src))


def gather_object(obj: Any, object_gather_list: Any = None, dst: int = 0, group: ProcessGroup | None = None) -> None:
    """All ranks' objects into `object_gather_list` of rank `dst`."""
    found: list[Any] = []
    all_gather_object(found, obj, group)
    if object_gather_list is not None and current(group).links.rank == dst:
        object_gather_list[:] = found


def scatter_object_list(output: list[Any], objects: Any = None, src: int = 0, group: ProcessGroup | None = None) -> None:
    """Into ``output[0]`` this rank's place of `objects` of rank `src`."""
    found = member(group)
    if found is not None:
        output[:1] = [pickle.loads(spread(found, pickle.dumps(objects), src))[found.rank()]]
