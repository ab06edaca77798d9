"""A stream-ordered caching allocator: device memory is asked for in segments, cut into blocks, and kept for the next tensors.

A block belongs to the stream it was made for: what is freed may be handed out again to the same stream at once, since the stream
runs in order. Another stream that reads a block says so (`record_stream`); the block then waits for that stream. Blocks are
given back through a queue without a lock, because a collector may do so at any moment.

A size that compiled calls ask for again and again has a bin of its own for each stream: what is given back waits there whole, for
machine code to take (`Bin`), until a segment would have to be asked for. All numbers are int64 words, which machine code counts
in, too; every change of them is one step of the interpreter.
"""

from __future__ import annotations

import ctypes
import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from typing import Any

from .driver import Driver, OutOfMemory

#: bytes: multiple of all blocks; most of a small block; segments for small blocks, for large ones; blocks from which on a segment
#: is for one of them alone
ROUND, SMALL, SMALL_SEGMENT, LARGE_SEGMENT, ALONE = 512, 1 << 20, 2 << 20, 20 << 20, 10 << 20
#: what is counted: held now; behind that, PEAKS words on, the most so far of the same; then totals
ALLOCATED, REQUESTED, ACTIVE, RESERVED, SEGMENTS = range(5)
PEAKS = 5
ALLOCATIONS, FREES, MADE, RETRIES, FAILURES = range(10, 15)
COUNTS = 15


class Bin:
    """Blocks of one size that wait whole for the next call in one stream. `words`: address of the allocator's counts."""

    __slots__ = ("blocks", "words")

    def __init__(self, words: int) -> None:
        self.blocks: list[Block] = []
        self.words = words


class Block:
    """`size` bytes from `address` on, part of a segment. `before`, `after`: its neighbours in the segment. `bin`: where it waits
    once it is given back, for what it was asked for."""

    __slots__ = ("address", "after", "asked", "before", "bin", "free", "home", "size", "small", "stream", "users")

    def __init__(self, home: Allocator, address: int, size: int, stream: int, small: bool) -> None:
        self.home, self.address, self.size, self.stream, self.small = home, address, size, stream, small
        self.asked = 0
        self.free = False
        self.before: Block | None = None
        self.after: Block | None = None
        self.users: set[int] | None = None
        self.bin: Bin | None = None

    def __lt__(self, other: Block) -> bool:
        return (self.size, self.address) < (other.size, other.address)


class Pool:
    """Memory that belongs to recorded graphs alone: while one is recorded, what its thread asks for comes from segments apart, so
    that a replay writes into nobody else's. `streams`: what the allocator calls each stream inside; `graphs`: how many live."""

    __slots__ = ("graphs", "streams")

    def __init__(self) -> None:
        self.streams: dict[int, int] = {}
        self.graphs = 0


class Memory:
    """Device memory that somebody holds: its block goes back when the last reference does."""

    __slots__ = ("__weakref__", "address", "block")

    def __init__(self, block: Block) -> None:
        self.block, self.address = block, block.address

    def __del__(self) -> None:
        block = self.block
        block.home.returned.append(block)


def give_back(block: Block) -> None:
    """Nobody holds the block any more."""
    block.home.returned.append(block)


class Allocator:
    """The memory of one device. `activate` makes the device the calling thread's; `describe` names it in errors."""

    def __init__(self, driver: Driver, activate: Callable[[], None], describe: Callable[[], str]) -> None:
        self.driver, self.activate, self.describe = driver, activate, describe
        self.returned: deque[Block] = deque()
        self.words = (ctypes.c_int64 * COUNTS)()
        self._bins: dict[tuple[int, int], Bin] = {}
        self._lock = threading.Lock()
        self.limit: int | None = None  # bytes that segments may take in all
        self.recording: dict[int, Pool] = {}  # threads that record a graph
        self._apart: dict[int, tuple[int, Pool]] = {}  # what a pool's stream is called -> the stream, the pool
        self._later: list[Block] = []  # given back while a graph is recorded, and used by other streams
        self._pools: dict[tuple[int, bool], list[Block]] = {}
        self._waiting: list[tuple[list[int], Block]] = []
        self._segments: dict[int, Block] = {}  # address -> the first block

    def allocate(self, nbytes: int, stream: int = 0) -> Memory:
        """Memory for work in the order of `stream`; OutOfMemory that says what was asked for, is held and is free."""
        return Memory(self.block(nbytes, stream))

    def block(self, nbytes: int, stream: int) -> Block:
        """As `allocate`, for a caller who gives the block back himself (`give_back`)."""
        size = rounded(nbytes)
        with self._lock:
            if self.recording:
                stream = self._inside(stream)
            if self.returned or self._waiting:
                self._settle()
            waits = self._bins.get((stream, size))
            block = _popped(waits) or self._cut_for(size, stream, nbytes)
            block.bin, block.free, block.asked = waits, False, nbytes
            self.words[ALLOCATIONS] += 1
            self._count(1, block, nbytes)
        return block

    def _inside(self, stream: int) -> int:
        """What a stream is called in the pool that this thread records for; itself where it records nothing."""
        pool = self.recording.get(threading.get_ident())
        if pool is None:
            return stream
        if stream not in pool.streams:
            name = pool.streams[stream] = -1 - len(self._apart)
            self._apart[name] = stream, pool
        return pool.streams[stream]

    def _cut_for(self, size: int, stream: int, nbytes: int) -> Block:
        """A block of this size, of the pool or of a new segment."""
        small = size <= SMALL
        block = self._take(size, stream, small)
        if block is None and self._unbin(stream):
            block = self._take(size, stream, small)
        if block is None:
            block = self._segment(size, stream, small, nbytes)
        if block.size - size >= (ROUND if small else SMALL):
            self._cut(block, size)
        return block

    def bin(self, nbytes: int, stream: int) -> Bin:
        """Where blocks for so many bytes wait from now on."""
        key = stream, rounded(nbytes)
        found = self._bins.get(key)
        return found if found is not None else self._bins.setdefault(key, Bin(ctypes.addressof(self.words)))

    def _unbin(self, stream: int | None = None) -> bool:
        """Let the blocks that wait in bins (of one stream) join their neighbours; whether there were any."""
        some = False
        for (at, _), waits in list(self._bins.items()):
            while stream in (None, at) and (block := _popped(waits)) is not None:
                self._release(block)
                some = True
        return some

    def _count(self, sign: int, block: Block, asked: int) -> None:
        words = self.words
        words[ALLOCATED] += sign * block.size
        words[REQUESTED] += sign * asked
        words[ACTIVE] += sign
        if sign > 0:
            for which in (ALLOCATED, REQUESTED, ACTIVE):
                if words[which] > words[PEAKS + which]:
                    words[PEAKS + which] = words[which]

    def _take(self, size: int, stream: int, small: bool) -> Block | None:
        """The smallest free block that is large enough."""
        pool = self._pools.get((stream, small))
        if not pool:
            return None
        at = bisect_left(pool, size, key=_size)
        return pool.pop(at) if at < len(pool) else None

    def _cut(self, block: Block, size: int) -> None:
        rest = Block(self, block.address + size, block.size - size, block.stream, block.small)
        rest.before, rest.after, rest.free = block, block.after, True
        if block.after is not None:
            block.after.before = rest
        block.after, block.size = rest, size
        self._keep(rest)

    def _keep(self, block: Block) -> None:
        insort(self._pools.setdefault((block.stream, block.small), []), block)

    def _drop(self, block: Block) -> None:
        pool = self._pools[block.stream, block.small]
        del pool[bisect_left(pool, block)]

    def _segment(self, size: int, stream: int, small: bool, asked: int) -> Block:
        """A new segment as one block; tried again once the cache is empty."""
        whole = SMALL_SEGMENT if small else LARGE_SEGMENT if size < ALONE else -(-size // SMALL_SEGMENT) * SMALL_SEGMENT
        self.activate()
        try:
            address = self._asked(whole)
        except OutOfMemory:
            self.words[RETRIES] += 1
            self._empty()
            whole = -(-size // SMALL_SEGMENT) * SMALL_SEGMENT  # no more than is needed
            try:
                address = self._asked(whole)
            except OutOfMemory as error:
                self.words[FAILURES] += 1
                raise self._refused(asked, error) from None
        self._reserve(whole)
        made = self._segments[address] = Block(self, address, whole, stream, small)
        return made

    def _asked(self, nbytes: int) -> int:
        """Memory from the driver, as long as the limit lasts."""
        if self.limit is not None and self.words[RESERVED] + nbytes > self.limit:
            raise OutOfMemory(f"nothing: {text(self.limit)} are what set_per_process_memory_fraction() lets this process have")
        return self.driver.allocate(nbytes)

    def _reserve(self, size: int) -> None:
        words, sign = self.words, 1 if size > 0 else -1
        words[RESERVED] += size
        words[SEGMENTS] += sign
        words[MADE] += size > 0
        for which in (RESERVED, SEGMENTS):
            words[PEAKS + which] = max(words[PEAKS + which], words[which])

    def _refused(self, asked: int, error: OutOfMemory) -> OutOfMemory:
        free, total = self.driver.memory_info()
        held, cached = self.words[ALLOCATED], self.words[RESERVED] - self.words[ALLOCATED]
        return OutOfMemory(
            f"CUDA out of memory. Tried to allocate {text(asked)} on {self.describe()}, which has {text(total)}, "
            f"{text(free)} of it free. Tensors of this process hold {text(held)} ({self.words[ACTIVE]} blocks), its cache "
            f"{text(cached)} more, in pieces that are too small or belong to other streams. The driver said: {error}"
        )

    # -- giving back

    def record_stream(self, memory: Memory, stream: int) -> None:
        """Work in `stream` uses the memory, too: once given back it waits for what that stream has to do by then."""
        block = memory.block
        if stream != (block.stream if block.stream >= 0 else self._apart[block.stream][0]):
            with self._lock:
                block.users = (block.users or set()) | {stream}

    def settle(self) -> None:
        """Take in all that was given back."""
        with self._lock:
            self._settle()

    def _settle(self) -> None:
        returned = self.returned
        while returned:
            block = returned.popleft()
            self.words[FREES] += 1
            self._count(-1, block, block.asked)
            if block.users and self.recording:
                self._later.append(block)
            elif block.users:
                self._waiting.append(([self._mark(s) for s in block.users], block))
                block.users = None
            elif block.bin is not None:
                block.bin.blocks.append(block)
            else:
                self._release(block)
        if self._waiting:
            self._poll()

    def _mark(self, stream: int) -> int:
        self.activate()
        event = self.driver.event_create(False)
        self.driver.event_record(event, stream)
        return event

    def _poll(self) -> None:
        if self.recording:
            return
        waiting, self._waiting = self._waiting, []
        self.activate()
        for events, block in waiting:
            if all(map(self.driver.event_query, events)):
                for event in events:
                    self.driver.event_destroy(event)
                self._release(block)
            else:
                self._waiting.append((events, block))

    def _release(self, block: Block) -> None:
        """Join a block with its free neighbours, and keep it."""
        after, before = block.after, block.before
        if after is not None and after.free:
            self._drop(after)
            self._join(block, after)
        if before is not None and before.free:
            self._drop(before)
            self._join(before, block)
            block = before
        block.free = True
        self._keep(block)

    @staticmethod
    def _join(low: Block, high: Block) -> None:
        low.size += high.size
        low.after = high.after
        if high.after is not None:
            high.after.before = low

    def empty(self) -> None:
        """Give back to the driver every segment of which nothing is in use."""
        with self._lock:
            self._settle()
            self._empty()

    def _empty(self) -> None:
        if self.recording:
            return  # while a graph is recorded nothing may wait for the device
        self.activate()
        self.driver.synchronize()
        self._settle()
        self._unbin()
        for key, pool in self._pools.items():
            if key[0] < 0 and self._apart[key[0]][1].graphs:
                continue
            whole = [b for b in pool if b.before is None and b.after is None]
            self._pools[key] = [b for b in pool if b.before is not None or b.after is not None]
            for block in whole:
                self.driver.free(block.address)
                del self._segments[block.address]
                self._reserve(-block.size)

    # -- memory of recorded graphs

    def record(self, pool: Pool) -> None:
        """From now on this thread asks for memory of a graph; `recorded` ends it."""
        with self._lock:
            pool.graphs += 1
            self.recording[threading.get_ident()] = pool

    def recorded(self, thread: int | None = None) -> None:
        """The graph of this thread (or of `thread`) is recorded."""
        with self._lock:
            self.recording.pop(threading.get_ident() if thread is None else thread, None)
            if not self.recording:
                self._waiting += [([self._mark(s) for s in block.users or ()], block) for block in self._later]
                for block in self._later:
                    block.users = None
                self._later.clear()

    def leave(self, pool: Pool) -> None:
        """A graph of the pool is gone: once it was the last, the pool's memory goes back to the driver with the cache."""
        pool.graphs -= 1

    # -- statistics

    def statistics(self) -> dict[str, Any]:
        """Bytes and numbers of blocks: now, at most, and in all."""
        self.settle()
        words = self.words
        names = {
            "allocated_bytes.all": ALLOCATED, "reserved_bytes.all": RESERVED, "requested_bytes.all": REQUESTED,
            "active_bytes.all": ALLOCATED, "active.all": ACTIVE, "allocation.all": ACTIVE, "segment.all": SEGMENTS,
        }  # fmt: skip
        found: dict[str, Any] = {}
        for shown, which in names.items():
            found[f"{shown}.current"], found[f"{shown}.peak"] = words[which], words[PEAKS + which]
        split = [b for pool in self._pools.values() for b in pool if b.before is not None or b.after is not None]
        return found | {
            "inactive_split.all.current": len(split), "inactive_split_bytes.all.current": sum(b.size for b in split),
            "num_device_free": words[MADE] - words[SEGMENTS], "num_sync_all_streams": 0, "max_split_size": -1,
            "allocation.all.allocated": words[ALLOCATIONS], "allocation.all.freed": words[FREES],
            "num_alloc_retries": words[RETRIES], "num_ooms": words[FAILURES], "num_device_alloc": words[MADE],
        }  # fmt: skip

    def snapshot(self) -> list[dict[str, Any]]:
        """Every segment with its blocks. (What waits in a bin counts as inactive.)"""
        self.settle()
        with self._lock:
            binned = {b.address for waits in self._bins.values() for b in waits.blocks}
            return [self._described(first, binned) for first in self._segments.values()]

    def _described(self, first: Block, binned: set[int]) -> dict[str, Any]:
        blocks: list[dict[str, Any]] = []
        block: Block | None = first
        while block is not None:
            idle = block.free or block.address in binned
            asked, state = (0, "inactive") if idle else (block.asked, "active_allocated")
            blocks.append({"address": block.address, "size": block.size, "requested_size": asked, "state": state})
            block = block.after
        held = sum(b["size"] for b in blocks if b["state"] != "inactive")
        stream = first.stream if first.stream >= 0 else self._apart[first.stream][0]
        return {
            "address": first.address, "total_size": sum(b["size"] for b in blocks), "allocated_size": held, "active_size": held,
            "stream": stream, "segment_type": "small" if first.small else "large", "blocks": blocks,
        }  # fmt: skip

    def reset_totals(self) -> None:
        """What is counted in all starts at 0 again."""
        for which in range(ALLOCATIONS, COUNTS):
            self.words[which] = 0

    def reset_peaks(self) -> None:
        """The most so far is what is held now."""
        self.settle()
        for which in range(PEAKS):
            self.words[PEAKS + which] = self.words[which]

    def blocks(self) -> list[tuple[int, int, int]]:
        """(address, bytes, stream) of every free block."""
        self.settle()
        binned = [b for waits in self._bins.values() for b in waits.blocks]
        return [(b.address, b.size, b.stream) for pool in (*self._pools.values(), binned) for b in pool]


def rounded(nbytes: int) -> int:
    """Bytes of the block that serves so many."""
    return max(ROUND, -(-nbytes // ROUND) * ROUND)


def _popped(waits: Bin | None) -> Block | None:
    """A block that waits; machine code may have been faster."""
    try:
        return waits.blocks.pop() if waits is not None else None
    except IndexError:
        return None


def _size(block: Block) -> int:
    return block.size


def text(nbytes: int) -> str:
    """``1.50 GiB``."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if nbytes >= size:
            return f"{nbytes / size:.2f} {unit}"
    return f"{nbytes} bytes"
