"""The machine code of `runtime.pool` as LLVM text: hiring, claiming chunks, sleeping, waking. Offsets are the pool's own.

A claim is a compare-and-swap on a cell that holds the number of its job: it succeeds only while that job is under way, so that
what was read of the job before it belongs to the same one, and a late or sleeping worker never delays the caller.
"""

from __future__ import annotations

from ..runtime import pool as p
from .atomics import HEAD, Native

_LOW = str((1 << 32) - 1)
_WAIT, _WAKE, _FUTEX = 128, 129, 202
_SET_MASK = 2
#: rounds of waiting for the last chunks after which the caller sleeps: a worker that another process has driven away can then
#: go on in its place
_PATIENCE = 2000


def text() -> str:
    """The module of ``pool_run`` and ``pool_take``."""
    head = ["declare i32 @pthread_create(ptr, ptr, ptr, ptr)", "declare i32 @pthread_sigmask(i32, ptr, ptr)"]
    return "\n".join([HEAD, *head, _drain(), _worker(), _hire(), _take(), _run()])


def _drain() -> str:
    """Run chunks of job `%job` as worker `%k`: those of its own part first, then those left over in the others'."""
    b = Native("define internal void @drain(i64 %C, i64 %k, i64 %job)")
    limit = b.plain(p.LIMIT)
    for i in b.loop(limit):
        at = b.binary("urem", b.add("%k", i), limit)
        cell = b.add(b.shl(at, "6"), str(p.CELLS))
        again, mine, won, done = b.label("again"), b.label("mine"), b.label("won"), b.label("done")
        b.goto(again)
        b.block(again)
        word = b.atomic(cell)
        left = b.binary("and", word, _LOW)
        ours = b.eq(b.binary("lshr", word, "32"), b.binary("and", "%job", _LOW))
        b.branch(b.both(ours, b.ne(left, "0")), mine, done)
        b.block(mine)
        job = [b.plain(w) for w in (p.FN, p.ARGS, p.SIZES, p.SCALARS, p.SCRATCH, p.STRIDE, p.CHUNKS)]
        b.branch(b.swap(cell, word, b.binary("sub", word, "1")), won, again)
        b.block(won)
        _chunk(b, job, at, limit, left)
        b.goto(again)
        b.block(done)
    b.do("ret void")
    return b.text()


def _chunk(b: Native, job: list[str], part: str, limit: str, left: str) -> None:
    """Run the chunk that leaves `left` - 1 of this part."""
    fn, args, sizes, scalars, scratch, stride, chunks = job
    end = b.binary("udiv", b.binary("mul", chunks, b.add(part, "1")), limit)
    chunk = b.binary("sub", end, left)
    own = b.add(scratch, b.binary("mul", stride, "%k"))
    status = b.call(fn, args, sizes, scalars, own, chunk, chunks, ret="i32")
    for _ in b.when(b.ne(status, "0")):
        b.rmw("umin", p.STATUS, b.binary("or", b.shl(chunk, "32"), b.binary("and", status, _LOW)))
    last = b.eq(b.rmw("sub", p.LEFT, "1"), "1")
    for _ in b.when(last):
        for _ in b.when(b.ne(b.atomic(p.WAITING), "0")):
            b.syscall(_FUTEX, b.at(p.LEFT), _WAKE, 1)


def _worker() -> str:
    b = Native("define internal i64 @worker(i64 %row)")
    b.do(f"%C = load i64, ptr {b.pointer('%row')}")
    k, seen, rounds = b.load("%row", 8), b.var("0"), b.var("0")
    b.write(seen, b.load("%row", 24))
    b.goto("wait")
    b.block("wait")
    b.write(rounds, "0")
    b.goto("spin")
    b.block("spin")
    job = b.atomic(p.JOB)
    b.branch(b.ne(job, b.read(seen)), "work", "idle")
    b.block("idle")
    b.pause()
    b.write(rounds, b.add(b.read(rounds), "1"))
    tired = b.compare("sge", b.read(rounds), b.plain(p.SPIN))
    b.branch(b.let(f"or i1 {tired}, {b.ne(b.plain(p.QUIET), '0')}"), "sleep", "spin")
    b.block("sleep")
    b.rmw("add", p.SLEEPERS, "1")
    for _ in b.when(b.eq(b.atomic(p.JOB), b.read(seen))):
        b.syscall(_FUTEX, b.at(p.JOB), _WAIT, b.binary("and", b.read(seen), _LOW), 0)
    b.rmw("sub", p.SLEEPERS, "1")
    b.goto("wait")
    b.block("work")
    b.need(b.eq(b.atomic(p.STOP), "0"), "out")
    b.write(seen, job)
    for _ in b.when(b.compare("slt", k, b.plain(p.LIMIT))):
        b.do(f"call void @drain(i64 %C, i64 {k}, i64 {job})")
    b.goto("wait")
    b.block("out")
    b.do("ret i64 0")
    return b.text()


def _hire() -> str:
    """Make workers until there are `%want`, with all signals blocked: these are for Python's own threads."""
    b = Native("define internal void @hire(i64 %C, i64 %want)")
    b.slots += ["  %all = alloca [16 x i64]", "  %old = alloca [16 x i64]"]
    everything = b.let("ptrtoint ptr %all to i64")
    for i in b.loop("16"):
        b.put(everything, i, "-1")
    b.do(f"call i32 @pthread_sigmask(i32 {_SET_MASK}, ptr %all, ptr %old)")
    b.goto("more")
    b.block("more")
    alive = b.plain(p.ALIVE)
    b.need(b.compare("slt", alive, "%want"), "done")
    row = b.at(b.add(b.shl(alive, "5"), str(p.ROWS)))
    number = b.add(alive, "1")
    for offset, value in ((0, "%C"), (8, number), (24, b.plain(p.JOB))):
        b.store(value, row, offset)
    failed = b.let(f"call i32 @pthread_create(ptr {b.pointer(row, 16)}, ptr null, ptr @worker, ptr {b.pointer(row)})")
    b.need(b.let(f"icmp eq i32 {failed}, 0"), "done")
    b.publish(number, p.ALIVE)
    b.goto("more")
    b.block("done")
    b.do(f"call i32 @pthread_sigmask(i32 {_SET_MASK}, ptr %old, ptr null)")
    b.do("ret void")
    return b.text()


def _take() -> str:
    b = Native("define i32 @pool_take(i64 %C)")
    mine = b.swap(p.BUSY, "0", "1")
    b.do(f"ret i32 {b.let(f'zext i1 {mine} to i32')}")
    return b.text()


_ARGUMENTS = ("fn", "args", "sizes", "scalars", "scratch", "stride", "chunks", "limit")


def _run() -> str:
    b = Native(f"define i32 @pool_run(i64 %C, {', '.join(f'i64 %{name}' for name in _ARGUMENTS)})")
    several = b.both(b.compare("sgt", "%chunks", "1"), b.compare("sgt", "%limit", "1"))
    b.branch(several, "enter", "alone")
    b.block("enter")
    b.branch(b.swap(p.BUSY, "0", "1"), "own", "alone")
    b.block("own")
    few = b.select(b.compare("slt", "%chunks", "%limit"), "%chunks", "%limit")
    wanted = b.binary("sub", few, "1")
    for _ in b.when(b.compare("slt", b.plain(p.ALIVE), wanted)):
        b.do(f"call void @hire(i64 %C, i64 {wanted})")
    have = b.add(b.plain(p.ALIVE), "1")
    parts = b.select(b.compare("slt", few, have), few, have)
    b.branch(b.compare("sgt", parts, "1"), "post", "nobody")
    b.block("nobody")
    b.publish("0", p.BUSY)
    b.goto("alone")
    b.block("alone")
    status = b.call("%fn", "%args", "%sizes", "%scalars", "%scratch", "0", "1", ret="i32")
    b.do(f"ret i32 {b.let(f'trunc i64 {status} to i32')}")
    b.block("post")
    job = _post(b, parts)
    for _ in b.when(b.ne(b.atomic(p.SLEEPERS), "0")):
        b.syscall(_FUTEX, b.at(p.JOB), _WAKE, 2**31 - 1)
    b.do(f"call void @drain(i64 %C, i64 0, i64 {job})")
    _await(b)
    status = b.plain(p.STATUS)
    b.publish("0", p.BUSY)
    status = b.select(b.eq(status, "-1"), "0", status)
    b.do(f"ret i32 {b.let(f'trunc i64 {status} to i32')}")
    return b.text()


def _post(b: Native, parts: str) -> str:
    """Write the job down, its number last; the number."""
    words = dict(zip((p.FN, p.ARGS, p.SIZES, p.SCALARS, p.SCRATCH, p.STRIDE, p.CHUNKS), _ARGUMENTS, strict=False))
    for offset, name in words.items():
        b.publish(f"%{name}", offset)
    for offset, value in ((p.LIMIT, parts), (p.STATUS, "-1"), (p.LEFT, "%chunks"), (p.QUIET, "0")):
        b.publish(value, offset)
    job = b.add(b.plain(p.JOB), "1")
    lo = b.var("0")
    for i in b.loop(parts):
        hi = b.binary("udiv", b.binary("mul", "%chunks", b.add(i, "1")), parts)
        count = b.binary("sub", hi, b.read(lo))
        b.publish(b.binary("or", b.shl(job, "32"), count), b.add(b.shl(i, "6"), str(p.CELLS)))
        b.write(lo, hi)
    b.publish(job, p.JOB)
    return job


def _await(b: Native) -> None:
    """Wait until every chunk is finished."""
    rounds = b.var("0")
    b.goto("left")
    b.block("left")
    b.branch(b.eq(b.atomic(p.LEFT), "0"), "finished", "pause")
    b.block("pause")
    b.pause()
    b.write(rounds, b.add(b.read(rounds), "1"))
    b.branch(b.compare("slt", b.read(rounds), str(_PATIENCE)), "left", "doze")
    b.block("doze")
    b.publish("1", p.WAITING)
    left = b.atomic(p.LEFT)
    for _ in b.when(b.ne(left, "0")):
        b.syscall(_FUTEX, b.at(p.LEFT), _WAIT, left, 0)
    b.publish("0", p.WAITING)
    b.goto("left")
    b.block("finished")
