"""What Triton's interpreter cannot show: threads and programs that run at the same time. Watches what addresses a launch touches.

Found are elements that one program stores and another one loads or stores too, and, inside of a program, loads of what was
stored, and stores to what other lanes have loaded, without a barrier between; and addresses outside of all arguments. Imported
by `triton_interpreter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from triton.runtime.interpreter import InterpreterBuilder


@dataclass(slots=True)
class Watch:
    """The accesses of one launch. `found`: what is wrong, by kind. `spared`: addresses that any program may store to;
    `starts`, `ends`: of the memory that may be touched."""

    found: set[str] = field(default_factory=set)
    spared: frozenset[int] = frozenset()
    starts: Any = ()
    ends: Any = ()
    program: Any = None
    loaded: dict[int, Any] = field(default_factory=dict)  # address -> program, over the launch
    stored: dict[int, Any] = field(default_factory=dict)
    atomic: set[int] = field(default_factory=set)
    fresh: set[int] = field(default_factory=set)  # stored by this program since its last barrier
    lanes: dict[int, Any] = field(default_factory=dict)  # loaded since then -> lanes

    def at(self, program: Any) -> None:
        """Another program begins where `program` is new."""
        if program != self.program:
            self.program = program
            self.barrier()

    def barrier(self) -> None:
        """All threads of the program have met."""
        self.fresh.clear()
        self.lanes.clear()

    def inside(self, addresses: Any) -> None:
        """Whether all of these belong to the launch."""
        place = np.searchsorted(self.starts, addresses, "right") - 1
        if np.any((place < 0) | (addresses >= self.ends[place])):
            self.found.add("an address outside of memory")

    def load(self, addresses: list[int], shape: Any) -> None:
        """A load by the lanes of a block."""
        for lane, a in enumerate(addresses):
            if self.stored.get(a, self.program) != self.program or (a in self.atomic):
                self.found.add("a program loads what another stores")
            if a in self.fresh:
                self.found.add("a load behind a store without a barrier")
            if self.loaded.setdefault(a, self.program) != self.program:
                self.loaded[a] = None  # several programs
            self.lanes.setdefault(a, set()).add((shape, lane))

    def store(self, addresses: list[int], shape: Any, atomic: bool) -> None:
        """A store, or an atomic operation."""
        for lane, a in enumerate(addresses):
            if a in self.spared:
                continue
            if self.loaded.get(a, self.program) != self.program:
                self.found.add("a program stores what another loads")
            if not atomic and self.stored.get(a, self.program) != self.program:
                self.found.add("two programs store one element")
            if self.lanes.get(a, {(shape, lane)}) != {(shape, lane)}:
                self.found.add("a store behind another lane's load without a barrier")
            self.stored[a] = self.program
            if atomic:
                self.atomic.add(a)
            self.fresh.add(a)


_current: list[Watch | None] = [None]


@contextmanager
def watched(memory: Sequence[Any], spared: frozenset[int] = frozenset()) -> Iterator[Watch]:
    """Watch a launch that may touch these arrays."""
    spans = sorted((x.ctypes.data, x.ctypes.data + x.nbytes) for x in memory)
    starts, ends = (np.array(side, np.uint64) for side in zip(*spans, strict=True))
    _current[0] = made = Watch(spared=spared, starts=starts, ends=np.maximum.accumulate(ends))
    try:
        yield made
    finally:
        _current[0] = None


def _addresses(watch: Watch, ptrs: Any, mask: Any) -> list[int]:
    data = np.asarray(ptrs.data)
    kept = data[np.broadcast_to(np.asarray(mask.data, bool), data.shape)].ravel()
    watch.inside(kept)
    return kept.tolist()  # type: ignore[no-any-return]


def _install() -> None:
    load, store, atomic, barrier = (
        InterpreterBuilder.create_masked_load, InterpreterBuilder.create_masked_store, InterpreterBuilder.create_atomic_rmw,
        InterpreterBuilder.create_barrier,
    )  # fmt: skip

    def loading(self: Any, ptrs: Any, mask: Any, *rest: Any, **named: Any) -> Any:
        watch = _current[0]
        if watch is not None:
            watch.at(self.grid_idx)
            watch.load(_addresses(watch, ptrs, mask), np.shape(ptrs.data))
        return load(self, ptrs, mask, *rest, **named)

    def storing(self: Any, ptrs: Any, value: Any, mask: Any, *rest: Any, **named: Any) -> Any:
        watch = _current[0]
        if watch is not None:
            watch.at(self.grid_idx)
            watch.store(_addresses(watch, ptrs, mask), np.shape(ptrs.data), False)
        return store(self, ptrs, value, mask, *rest, **named)

    def adding(self: Any, op: Any, ptr: Any, value: Any, mask: Any, *rest: Any, **named: Any) -> Any:
        watch = _current[0]
        if watch is not None:
            watch.at(self.grid_idx)
            watch.store(_addresses(watch, ptr, mask), np.shape(ptr.data), True)
        return atomic(self, op, ptr, value, mask, *rest, **named)

    def meeting(self: Any) -> Any:
        if _current[0] is not None:
            _current[0].barrier()
        return barrier(self)

    InterpreterBuilder.create_masked_load = loading
    InterpreterBuilder.create_masked_store = storing
    InterpreterBuilder.create_atomic_rmw = adding
    InterpreterBuilder.create_barrier = meeting


_install()
