"""What holds still while this process forks, so that the child finds every lock free and nothing half made.

A child has only the thread that forked: a lock that another thread held stays locked there for good, and what that thread was
writing stays unfinished. So the locks of this library are taken before a fork, in the order in which they nest, and freed on
both sides of it; a fork waits until what is being compiled is done. `around` does the same for what is no lock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

#: the order in which locks nest: one is never waited for by a thread that holds a later one
COMPILE, HOT, START, ROUTINE, BUILD, SHORT, POOL = range(7)
#: seconds to wait for a lock: a signal handler may fork while its own thread holds one
PATIENCE = 30.0

_rows: list[tuple[int, Callable[[], Any], Callable[[], None], Callable[[], None]]] = []
_state = threading.local()  # of the thread that forks: what it has taken


def hold(rank: int, lock: Any) -> Any:
    """`lock`, from now on taken before each fork and free afterwards in the child."""
    _add(rank, lambda: lock.acquire(timeout=PATIENCE), lock.release, lock._at_fork_reinit)
    return lock


def around(rank: int, before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call `before` ahead of each fork, in its place among the locks, and `after` behind it, in parent and child."""

    def taken() -> bool:
        before()
        return True

    _add(rank, taken, after, after)


def _add(rank: int, before: Callable[[], Any], after: Callable[[], None], reset: Callable[[], None]) -> None:
    _rows.append((rank, before, after, reset))
    _rows.sort(key=lambda row: row[0])


def _before() -> None:
    taken: list[tuple[bool, Callable[[], None], Callable[[], None]]] = []
    done: list[Any] = []
    _state.taken = taken
    while True:  # what is waited for may bring further locks: the first compile of a process loads half of the library
        row = next((r for r in tuple(_rows) if not any(r is known for known in done)), None)
        if row is None:
            return
        done.append(row)
        taken.append((row[1](), row[2], row[3]))


def _in_parent() -> None:
    for held, after, _ in reversed(_state.taken):
        if held:
            after()


def _in_child() -> None:
    for held, after, reset in reversed(_state.taken):
        (after if held else reset)()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
