"""The machine code of `runtime.blocks` as LLVM text: functions of a NumPy memory handler over rings of cached blocks."""

from __future__ import annotations

from ..runtime import blocks as k
from .atomics import HEAD, Native

_READ_WRITE, _PRIVATE_ANON, _HUGE_PAGES = 3, 0x22, 14
_DECLARED = (
    "declare i64 @aligned_alloc(i64, i64)", "declare void @free(i64)", "declare i64 @mmap(i64, i64, i32, i32, i32, i64)",
    "declare i32 @munmap(i64, i64)", "declare i32 @madvise(i64, i64, i32)", "declare i64 @memset(i64, i32, i64)",
    "declare i64 @memcpy(i64, i64, i64)", "declare i64 @llvm.ctlz.i64(i64, i1)",
)  # fmt: skip


def text() -> str:
    """The module of ``block_new``, ``block_zeros``, ``block_renew``, ``block_drop`` and ``block_release``."""
    return "\n".join([HEAD, *_DECLARED, _fresh(), _away(), _unlink(), _release(), _new(), _drop(), _zeros(), _renew()])


def _returns(b: Native, value: str) -> str:
    b.do(f"ret i64 {value}")
    return b.text()


def _fresh() -> str:
    """Memory of `%bytes` from the system with a header; 0 where there is none."""
    b = Native("define internal i64 @fresh(i64 %bytes)")
    found, zero = b.var("0"), b.var("0")
    mapped, small, made = b.label("mapped"), b.label("small"), b.label("made")
    b.branch(b.compare("sge", "%bytes", str(k.MAPPED)), mapped, small)
    b.block(mapped)
    at = b.let(f"call i64 @mmap(i64 0, i64 %bytes, i32 {_READ_WRITE}, i32 {_PRIVATE_ANON}, i32 -1, i64 0)")
    b.write(found, b.select(b.eq(at, "-1"), "0", at))
    b.write(zero, "1")
    for _ in b.when(b.both(b.ne(at, "-1"), b.compare("sge", "%bytes", str(k.HUGE)))):
        b.do(f"call i32 @madvise(i64 {at}, i64 %bytes, i32 {_HUGE_PAGES})")
    b.goto(made)
    b.block(small)
    b.write(found, b.let("call i64 @aligned_alloc(i64 64, i64 %bytes)"))
    b.goto(made)
    b.block(made)
    block = b.read(found)
    for _ in b.when(b.ne(block, "0")):
        b.store("%bytes", block, k.H_BYTES)
        b.store(b.read(zero), block, k.H_ZERO)
    return _returns(b, block)


def _away() -> str:
    """Give `%block` back to the system."""
    b = Native("define internal i64 @away(i64 %block)")
    size = b.load("%block", k.H_BYTES)
    mapped, small, done = b.label("mapped"), b.label("small"), b.label("done")
    b.branch(b.compare("sge", size, str(k.MAPPED)), mapped, small)
    b.block(mapped)
    b.do(f"call i32 @munmap(i64 %block, i64 {size})")
    b.goto(done)
    b.block(small)
    b.do("call void @free(i64 %block)")
    b.goto(done)
    b.block(done)
    return _returns(b, size)


def _unlink() -> str:
    """Take `%block` out of both rings. The lock is held."""
    b = Native("define internal i64 @unlink(i64 %C, i64 %block)")
    for first, last in ((k.H_CLASS_NEXT, k.H_CLASS_BACK), (k.H_NEXT, k.H_BACK)):
        following, former = b.load("%block", first), b.load("%block", last)
        b.store(following, former)
        b.store(former, following, 8)
    size = b.load("%block", k.H_BYTES)
    _count(b, k.HELD, b.binary("sub", "0", size))
    return _returns(b, size)


def _count(b: Native, offset: int, more: str) -> None:
    at = b.at(offset)
    b.store(b.add(b.load(at), more), at)


def _link(b: Native, ring: str, links: str) -> None:
    """Put the pair of links (next, back) behind the head of a ring."""
    following = b.load(ring)
    b.store(following, links)
    b.store(ring, links, 8)
    b.store(links, ring)
    b.store(links, following, 8)


def _oldest(b: Native) -> str:
    """The block that was cached longest ago, by its place in the ring of all."""
    return b.binary("sub", b.load(b.at(k.RECENT + 8)), str(k.H_NEXT))


def _release() -> str:
    """Give all cached blocks back; their bytes."""
    b = Native("define i64 @block_release(i64 %C)")
    total = b.var("0")
    more, some, done = b.label("more"), b.label("some"), b.label("done")
    b.goto(more)
    b.block(more)
    b.lock(k.LOCK)
    b.branch(b.ne(b.load(b.at(k.HELD)), "0"), some, done)
    b.block(some)
    block = _oldest(b)
    b.do(f"call i64 @unlink(i64 %C, i64 {block})")
    b.unlock(k.LOCK)
    b.write(total, b.add(b.read(total), b.let(f"call i64 @away(i64 {block})")))
    b.goto(more)
    b.block(done)
    b.unlock(k.LOCK)
    return _returns(b, b.read(total))


def _class(b: Native, count: str) -> tuple[str, str]:
    """(class, bytes of its blocks) for data of `count` bytes: OCTAVE classes from one power of two to the next."""
    need = b.add(count, str(k.HEADER - 1))
    high = b.binary("sub", "63", b.let(f"call i64 @llvm.ctlz.i64(i64 {need}, i1 false)"))
    shift = b.binary("sub", high, "3")
    steps = b.add(b.binary("lshr", need, shift), "1")
    number = b.add(b.shl(high, "3"), b.binary("sub", steps, str(k.OCTAVE + 1)))
    return number, b.binary("and", b.add(b.shl(steps, shift), "63"), "-64")


def _new() -> str:
    b = Native("define hidden i64 @block_new(i64 %C, i64 %n)")
    number, size = _class(b, "%n")
    block = b.var("0")
    cached, fresh, have, done = b.label("cached"), b.label("fresh"), b.label("have"), b.label("done")
    b.need(b.compare("ult", "%n", str(1 << 47)), "none")
    b.lock(k.LOCK)
    _count(b, k.USED, size)
    used = b.load(b.at(k.USED))
    peak = b.load(b.at(k.PEAK))
    b.store(b.select(b.compare("sgt", used, peak), used, peak), b.at(k.PEAK))
    ring = b.at(b.add(b.shl(number, "4"), str(k.CLASSES)))
    first = b.load(ring)
    b.branch(b.ne(first, ring), cached, fresh)
    b.block(cached)
    found = b.binary("sub", first, str(k.H_CLASS_NEXT))
    b.do(f"call i64 @unlink(i64 %C, i64 {found})")
    _count(b, k.REUSED, "1")
    b.unlock(k.LOCK)
    b.store("0", found, k.H_ZERO)
    b.write(block, found)
    b.goto(done)
    b.block(fresh)
    _count(b, k.FRESH, "1")
    b.unlock(k.LOCK)
    b.write(block, b.let(f"call i64 @fresh(i64 {size})"))
    b.need(b.eq(b.read(block), "0"), have)
    b.do("call i64 @block_release(i64 %C)")  # memory is short: what is cached goes first
    b.write(block, b.let(f"call i64 @fresh(i64 {size})"))
    b.need(b.eq(b.read(block), "0"), have)
    b.lock(k.LOCK)
    _count(b, k.USED, b.binary("sub", "0", size))
    b.unlock(k.LOCK)
    b.goto("none")
    b.block("none")
    b.do("ret i64 0")
    b.block(have)
    b.store(number, b.read(block), k.H_CLASS)
    b.goto(done)
    b.block(done)
    return _returns(b, b.add(b.read(block), str(k.HEADER)))


def _drop() -> str:
    b = Native("define hidden void @block_drop(i64 %C, i64 %data, i64 %n)")
    b.need(b.ne("%data", "0"), "nothing")
    block = b.binary("sub", "%data", str(k.HEADER))
    size = b.load(block, k.H_BYTES)
    keep, away, trim, evict, done = b.label("keep"), b.label("away"), b.label("trim"), b.label("evict"), b.label("done")
    b.lock(k.LOCK)
    _count(b, k.USED, b.binary("sub", "0", size))
    fits = b.compare("sle", size, b.load(b.at(k.LIMIT)))
    b.branch(b.both(fits, b.compare("sge", size, str(k.LARGE))), keep, away)
    b.block(away)
    b.unlock(k.LOCK)
    b.do(f"call i64 @away(i64 {block})")
    b.do("ret void")
    b.block(keep)
    ring = b.at(b.add(b.shl(b.load(block, k.H_CLASS), "4"), str(k.CLASSES)))
    _link(b, ring, b.add(block, str(k.H_CLASS_NEXT)))
    _link(b, b.at(k.RECENT), b.add(block, str(k.H_NEXT)))
    _count(b, k.HELD, size)
    b.goto(trim)
    b.block(trim)
    b.branch(b.compare("sgt", b.load(b.at(k.HELD)), b.load(b.at(k.LIMIT))), evict, done)
    b.block(evict)
    old = _oldest(b)
    b.do(f"call i64 @unlink(i64 %C, i64 {old})")
    b.unlock(k.LOCK)
    b.do(f"call i64 @away(i64 {old})")
    b.lock(k.LOCK)
    b.goto(trim)
    b.block(done)
    b.unlock(k.LOCK)
    b.goto("nothing")
    b.block("nothing")
    b.do("ret void")
    return b.text()


def _zeros() -> str:
    """NumPy has made sure that the product fits."""
    b = Native("define i64 @block_zeros(i64 %C, i64 %count, i64 %item)")
    size = b.binary("mul", "%count", "%item")
    data = b.let(f"call i64 @block_new(i64 %C, i64 {size})")
    b.need(b.ne(data, "0"), "none")
    for _ in b.when(b.eq(b.load(b.binary("sub", data, str(k.HEADER)), k.H_ZERO), "0")):
        b.do(f"call i64 @memset(i64 {data}, i32 0, i64 {size})")
    b.goto("none")
    b.block("none")
    return _returns(b, data)


def _renew() -> str:
    b = Native("define i64 @block_renew(i64 %C, i64 %data, i64 %n)")
    made = b.let("call i64 @block_new(i64 %C, i64 %n)")
    b.need(b.both(b.ne(made, "0"), b.ne("%data", "0")), "none")
    size = b.load(b.binary("sub", "%data", str(k.HEADER)), k.H_BYTES)
    old = b.binary("sub", size, str(k.HEADER))
    b.do(f"call i64 @memcpy(i64 {made}, i64 %data, i64 {b.select(b.compare('slt', old, '%n'), old, '%n')})")
    b.do("call void @block_drop(i64 %C, i64 %data, i64 0)")
    b.goto("none")
    b.block("none")
    return _returns(b, made)
