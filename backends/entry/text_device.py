"""Bodies of the instructions for plans of a GPU: where tensors lie, memory from the bins of its allocator, launches, results.

What cannot be done at once (no block waits in a bin, sizes never met, no frame is free) is asked of Python, before anything is
launched and with the inputs held; blocks that a call has taken go back to their bins on every way out.
"""

from __future__ import annotations

from collections.abc import Callable

from ...runtime import layout as at
from ...runtime.gpu import allocator as counts
from . import words as w
from .text import EntryWriter
from .writer import Writer

_ALIGNED = 256  # bytes: what addresses are looked at for


def _or(b: Writer, x: str, y: str) -> str:
    return b.let(f"or i1 {x}, {y}")


# ---- before the hit ----
def place(b: EntryWriter) -> None:
    """V[dest] = storage of tensor V[a], which lies on a device; V[dest + 1] = address of its first element; c: bytes of one."""
    obj = b.v(b.a)
    none = b.get(b.api, w.A_NONE)
    b.need(b.eq(b.load(obj, b.get(b.api, w.A_S_ARRAY)), none), "miss")
    storage = b.load(obj, b.get(b.api, w.A_S_STORAGE))
    b.need(b.ne(storage, "0"), "miss")
    kind = b.load(storage, at.TYPE)
    known = _or(b, b.eq(kind, b.get(b.api, w.A_DEVICE)), b.eq(kind, b.get(b.api, w.A_WATCHED)))
    b.need(known, "miss")
    address = b.fn(w.A_LONG_AS, b.load(storage, b.get(b.api, w.A_D_ADDRESS)), b.gather)
    offset, first = b.load(obj, b.get(b.api, w.A_S_OFFSET)), b.var("0")
    for _ in b.when(b.ne(offset, none)):
        b.write(first, b.binary("mul", b.fn(w.A_LONG_AS, offset, b.gather), b.c))
    b.set(b.dest, storage)
    b.set(b.after(b.dest), b.add(address, b.read(first)))


def context(b: EntryWriter) -> None:
    """V[dest] = this thread's stream on device a, whose context is its current one, or is made that by function c where there are
    several devices; list b: address of the word that says that machine code may use it, argument of c."""
    b.need(b.ne(b.load(b.get(b.b, 0)), "0"), "miss")
    words = b.fn(w.A_TSS_GET, b.get(b.api, w.A_THREAD_KEY))
    b.need(b.ne(words, "0"), "miss")
    alone, several, ready = b.label("alone"), b.label("several"), b.label("ready")
    b.branch(b.eq(b.c, "0"), alone, several)
    b.block(alone)
    b.need(b.eq(b.get(words, 0), b.add(b.a, "1")), "miss")
    b.goto(ready)
    b.block(several)
    b.need(b.eq(b.call(b.c, b.get(b.b, 1), ret="i32"), "0"), "miss")
    b.goto(ready)
    b.block(ready)
    b.set(b.dest, b.get(b.add(words, "8"), b.a))


def _hold_inputs(b: EntryWriter) -> None:
    """Own what Python code, which runs next, could drop."""
    held = b.get(b.T, w.T_HOLD)
    for i in b.loop(b.get(held, 0)):
        pair = b.add(b.add(held, "8"), b.shl(i, "4"))
        own = b.get(pair, 1)
        for _ in b.when(b.eq(b.v(own), "0")):
            obj = b.v(b.get(pair, 0))
            b.incref(obj)
            b.set(own, obj)


def _ask(b: EntryWriter, callee: str, *numbers: str, failed: str) -> str:
    """What Python answers to numbers (at most three); to block `failed` where it raises."""
    _hold_inputs(b)
    made = [b.fn(w.A_LONG_FROM, n) for n in numbers]
    fine, answer = b.var("1"), b.var("0")
    for k, obj in enumerate(made):
        b.write(fine, b.select(b.eq(obj, "0"), "0", b.read(fine)))
        b.put(b.gather, k, obj)
    for _ in b.when(b.ne(b.read(fine), "0")):
        b.write(answer, b.vectorcall(callee, b.gather, str(len(made))))
    for obj in made:
        for _ in b.when(b.ne(obj, "0")):
            b.decref(obj)
    b.need(b.ne(b.read(answer), "0"), failed)
    return b.read(answer)


def program(b: EntryWriter) -> None:
    """V[dest] = owner of the program for the key at hand, V[dest + 1] = its table; memory b has programs met, c makes one.
    List a: words of a key, first of them (the stream is there; alignments and sizes follow), inputs, words of alignments; then
    the word of each size and of each input."""
    count, first, inputs, powers = (b.get(b.a, i) for i in range(4))
    sizes_at = b.add(b.a, "32")
    aligned_at = b.add(first, "1")
    plain = b.binary("sub", b.binary("sub", count, powers), "1")
    places = b.add(sizes_at, b.shl(plain, "3"))
    low = b.var("0")
    for i in b.loop(inputs):
        b.write(low, b.binary("or", b.read(low), b.v(b.get(places, i))))
    for i in b.loop(powers):
        b.set(b.add(aligned_at, i), "0")
    for _ in b.when(b.ne(b.binary("and", b.read(low), str(_ALIGNED - 1)), "0")):
        _alignments(b, inputs, places, aligned_at)
    rest = b.add(aligned_at, powers)
    for i in b.loop(plain):
        b.set(b.add(rest, i), b.v(b.get(sizes_at, i)))
    mixed = b.var("0")
    for i in b.loop(count):
        b.write(mixed, b.binary("mul", b.binary("xor", b.read(mixed), b.v(b.add(first, i))), "-7046029254386353131"))
    number = b.binary("lshr", b.read(mixed), str(64 - (w.PROGRAMS - 1).bit_length()))
    entry = b.add(b.b, b.binary("mul", number, b.shl(b.add(count, "2"), "3")))
    words, compare, ask, found = b.add(entry, "16"), b.label("compare"), b.label("ask"), b.label("found")
    b.branch(b.eq(b.get(entry, 0), "0"), ask, compare)
    b.block(compare)
    for i in b.loop(count):
        b.need(b.eq(b.get(words, i), b.v(b.add(first, i))), ask)
    b.goto(found)
    b.block(ask)
    key = b.add(b.V, b.shl(first, "3"))
    b.decref(_ask(b, b.c, key, entry, failed="fail"))
    b.goto(found)
    b.block(found)
    owner = b.get(entry, 0)
    b.incref(owner)
    b.set(b.dest, owner)
    b.set(b.after(b.dest), b.get(entry, 1))


def _alignments(b: EntryWriter, inputs: str, places: str, first: str) -> None:
    """Four bits an input, sixteen inputs a word: 8 less the logarithm of the power of two that its address is a multiple of."""
    for i in b.loop(inputs):
        bits = b.binary("or", b.v(b.get(places, i)), str(_ALIGNED))
        power = b.let(f"call i64 @llvm.cttz.i64(i64 {bits}, i1 true)")
        kind = b.shl(b.binary("sub", "8", power), b.shl(b.binary("and", i, "15"), "2"))
        word = b.add(first, b.binary("lshr", i, "4"))
        b.set(word, b.binary("or", b.v(word), kind))


def replay(b: EntryWriter) -> None:
    """Run a recording of program V[a], made for the words of this call, nothing of which is in use, in stream V[b]: V[dest + 2 k]
    is the Memory of result k, with a reference."""
    table, here = b.v(b.a), b.var("0")
    count = b.get(table, w.P_OUTPUTS)
    b.write(here, b.get(table, w.P_RECORDINGS))
    look, check, other, fits = b.label("look"), b.label("check"), b.label("other"), b.label("fits")
    b.goto(look)
    b.block(look)
    now = b.read(here)
    b.need(b.ne(now, "0"), "miss")
    b.goto(check)
    b.block(other)
    b.write(here, b.get(now, w.R_NEXT))
    b.goto(look)
    b.block(check)
    pairs, memories = b.get(now, w.R_PAIRS), b.get(now, w.R_MEMORIES)
    for i in b.loop(b.get(now, w.R_COUNT)):
        pair = b.add(pairs, b.shl(i, "4"))
        b.need(b.eq(b.v(b.get(pair, 0)), b.get(pair, 1)), other)
    none = b.get(b.api, w.A_NONE)
    for k in b.loop(count):
        memory = b.get(memories, k)
        b.need(b.eq(b.load(memory, 0, "i32"), "1"), other)
        b.need(b.eq(b.load(b.load(memory, b.get(b.api, w.A_Y_BLOCK)), b.get(b.api, w.A_B_USERS)), none), other)
    b.goto(fits)
    b.block(fits)
    for k in b.loop(count):
        memory = b.get(memories, k)
        b.incref(memory)
        b.set(b.add(b.dest, b.shl(k, "1")), memory)
    status = b.call(b.get(table, w.P_GRAPH), b.get(now, w.R_GRAPH), b.v(b.b), ret="i32")
    for _ in b.when(b.ne(status, "0")):
        for k in b.loop(count):
            b.decref(b.v(b.add(b.dest, b.shl(k, "1"))))
        b.decref(_ask(b, b.get(table, w.P_REFUSED), status, failed="fail"))


# ---- a hit ----
def take(b: EntryWriter) -> None:
    """For each block that program V[a] needs: V[dest + 2 k] = the block, V[dest + 2 k + 1] = its address."""
    table = b.v(b.a)
    count, rows = b.get(table, w.P_BLOCKS), b.get(table, w.P_BINS)
    for k in b.loop(b.get(b.T, w.T_NBLOCKS)):
        b.set(b.add(b.dest, b.shl(k, "1")), "0")
    for k in b.loop(count):
        row, where = b.add(rows, b.shl(k, "4")), b.add(b.dest, b.shl(k, "1"))
        waits, block = b.get(row, 0), b.var("0")
        n = b.load(waits, at.SIZE)
        empty, some, have = b.label("empty"), b.label("some"), b.label("have")
        b.branch(b.eq(n, "0"), empty, some)
        b.block(some)
        last = b.binary("sub", n, "1")
        b.write(block, b.get(b.load(waits, at.LIST_ITEMS), last))
        b.store(last, waits, at.SIZE)
        _taken(b, b.read(block), b.get(row, 1), b.get(table, w.P_COUNTS))
        b.goto(have)
        b.block(empty)
        b.write(block, _ask(b, b.get(table, w.P_MORE), k, failed="undo"))
        b.goto(have)
        b.block(have)
        taken = b.read(block)
        b.set(where, taken)
        b.set(b.after(where), b.fn(w.A_LONG_AS, b.load(taken, b.get(b.api, w.A_B_ADDRESS)), b.gather))


def _taken(b: EntryWriter, block: str, asked: str, words: str) -> None:
    """Count a block that is in use now, for `asked` (an int object) bytes."""
    slot = b.get(b.api, w.A_B_ASKED)
    old = b.load(block, slot)
    b.incref(asked)
    b.store(asked, block, slot)
    b.decref(old)
    size = b.fn(w.A_LONG_AS, b.load(block, b.get(b.api, w.A_B_SIZE)), b.gather)
    for which, more in ((counts.ALLOCATED, size), (counts.REQUESTED, b.fn(w.A_LONG_AS, asked, b.gather)), (counts.ACTIVE, "1")):
        now, most = b.add(b.get(words, which), more), b.get(words, which + counts.PEAKS)
        b.put(words, which, now)
        b.put(words, which + counts.PEAKS, b.select(b.compare("sgt", now, most), now, most))
    b.put(words, counts.ALLOCATIONS, b.add(b.get(words, counts.ALLOCATIONS), "1"))


def launch(b: EntryWriter) -> None:
    """Fill a frame of program V[a] with words of this call and launch all of it in stream V[b]; blocks lie at V[dest]. Memory for
    what is made on the way goes back."""
    table, frame = b.v(b.a), b.var("0")
    again, ask, have = b.label("again"), b.label("ask"), b.label("have")
    b.goto(again)
    b.block(again)
    head = b.get(table, w.P_FRAMES)
    b.write(frame, head)
    b.branch(b.eq(head, "0"), ask, have)
    b.block(ask)
    b.decref(_ask(b, b.get(table, w.P_FRAME), failed="undo"))
    b.goto(again)
    b.block(have)
    now = b.read(frame)
    b.put(table, w.P_FRAMES, b.get(now, w.F_NEXT))
    slots, reads = b.get(now, w.F_SLOTS), b.get(table, w.P_READS)
    for i in b.loop(b.get(table, w.P_SLOTS)):
        pair = b.add(reads, b.shl(i, "4"))
        b.put(slots, i, b.add(b.v(b.get(pair, 0)), b.get(pair, 1)))
    singles = b.get(table, w.P_SINGLES)
    for i in b.loop(b.get(table, w.P_NSINGLES)):
        number = b.get(singles, i)
        wide = b.let(f"bitcast i64 {b.get(slots, number)} to double")
        bits = b.let(f"bitcast float {b.let(f'fptrunc double {wide} to float')} to i32")
        b.put(slots, number, b.let(f"zext i32 {bits} to i64"))
    _maps(b, table, now, slots)
    said = b.call(b.get(table, w.P_LAUNCH), b.get(table, w.P_DRIVER), b.get(now, w.F_ROWS), b.get(now, w.F_COUNT), b.v(b.b))
    b.put(now, w.F_NEXT, b.get(table, w.P_FRAMES))
    b.put(table, w.P_FRAMES, now)
    for _ in b.when(b.ne(said, "0")):
        b.decref(_ask(b, b.get(table, w.P_REFUSED), said, failed="undo"))
    outputs, count = b.get(table, w.P_OUTPUTS), b.get(table, w.P_BLOCKS)
    for k in b.loop(b.binary("sub", count, outputs)):
        where = b.add(b.dest, b.shl(b.add(outputs, k), "1"))
        block = b.v(where)
        b.set(where, "0")
        b.do(f"call void @give(i64 {block}, i64 {b.api})")
        b.decref(block)


def _maps(b: EntryWriter, table: str, frame: str, slots: str) -> None:
    """Where a tensor that a map describes lies elsewhere than at the frame's last call, Python writes the maps anew."""
    maps, moved = b.get(frame, w.F_MAPS), b.var("0")
    for i in b.loop(b.get(frame, w.F_NMAPS)):
        pair = b.add(maps, b.shl(i, "4"))
        same = b.eq(b.get(pair, 1), b.get(slots, b.get(pair, 0)))
        b.write(moved, b.select(same, b.read(moved), "1"))
    for _ in b.when(b.ne(b.read(moved), "0")):
        b.decref(_ask(b, b.get(table, w.P_REMAP), frame, failed="undo"))


def undo(b: EntryWriter) -> None:
    """Block ``undo``: what the call has taken from bins goes back; then the call fails."""
    first, count = b.get(b.T, w.T_BLOCKS), b.get(b.T, w.T_NBLOCKS)
    for k in b.loop(count):
        where = b.add(first, b.shl(k, "1"))
        block = b.v(where)
        for _ in b.when(b.ne(block, "0")):
            b.set(where, "0")
            b.do(f"call void @give(i64 {block}, i64 {b.api})")
            b.decref(block)
    b.goto("fail")


def make_device(b: EntryWriter) -> None:
    """V[dest] = new Tensor in block V[a], which it takes over; its Meta is number c of program V[b]."""
    table, block = b.v(b.b), b.v(b.a)
    address = b.load(block, b.get(b.api, w.A_B_ADDRESS))
    memory = b.fn(w.A_TP_ALLOC, b.get(b.api, w.A_MEMORY), "0")
    b.need(b.ne(memory, "0"), "undo")
    b.store(block, memory, b.get(b.api, w.A_Y_BLOCK))
    b.set(b.a, "0")
    b.set(b.dest, memory)
    _shared(b, address, memory, w.A_Y_ADDRESS)
    _tensor(b, table, memory, address, b.load(block, b.get(b.api, w.A_B_ASKED)))


def make_loan(b: EntryWriter) -> None:
    """V[dest] = new Tensor in the Memory V[a], which a recording keeps; number c of the results of program V[b]."""
    table, memory = b.v(b.b), b.v(b.a)
    b.set(b.dest, memory)
    nbytes = b.get(b.add(b.get(table, w.P_BINS), b.shl(b.c, "4")), 1)
    _tensor(b, table, memory, b.load(memory, b.get(b.api, w.A_Y_ADDRESS)), nbytes)


def _tensor(b: EntryWriter, table: str, memory: str, address: str, nbytes: str) -> None:
    """V[dest], which holds `memory` before, = a new Tensor in it; Meta number c of the program."""
    storage = b.fn(w.A_TP_ALLOC, b.get(b.api, w.A_DEVICE), "0")
    b.need(b.ne(storage, "0"), "undo")
    b.store(memory, storage, b.get(b.api, w.A_D_MEMORY))
    b.set(b.dest, storage)
    _shared(b, address, storage, w.A_D_ADDRESS)
    _shared(b, b.get(b.api, w.A_NONE), storage, w.A_D_BASE)
    _shared(b, b.get(b.api, w.A_ZERO), storage, w.A_S_VERSION)
    _shared(b, b.get(table, w.P_GPU), storage, w.A_D_GPU)
    _shared(b, nbytes, storage, w.A_D_NBYTES)
    made = b.fn(w.A_TP_ALLOC, b.get(b.api, w.A_TENSOR), "0")
    b.need(b.ne(made, "0"), "undo")
    b.store(storage, made, b.get(b.api, w.A_S_STORAGE))
    b.set(b.dest, made)
    for slot in (w.A_S_ARRAY, w.A_S_OFFSET, w.A_S_GRAD, w.A_S_NODE):
        _shared(b, b.get(b.api, w.A_NONE), made, slot)
    _shared(b, b.get(b.get(table, w.P_METAS), b.c), made, w.A_S_META)


def _shared(b: EntryWriter, value: str, obj: str, slot: int) -> None:
    """Slot number `slot` of the process table in `obj` = `value`, with a reference of its own."""
    b.incref(value)
    b.store(value, obj, b.get(b.api, slot))


# ---- functions beside the entry ----
def give_text() -> str:
    """``give(block, api)``: the block waits in its bin, or Python takes it back. ``finalize(memory)`` does so for the block of a
    Memory that nobody holds any more (the type's tp_finalize). `home` is the process table."""
    return "\n".join(["@home = hidden global i64 0", _give(), _finalize()])


def _give() -> str:
    b = Writer("define internal void @give(i64 %block, i64 %api) #0")
    none = b.get("%api", w.A_NONE)

    def fn(which: int, *args: str, ret: str = "i64") -> str:
        return b.call(b.get("%api", which), *args, ret=ret)

    def slot(which: int, obj: str) -> str:
        return b.load(obj, b.get("%api", which))

    waits = slot(w.A_B_BIN, "%block")
    b.need(b.ne(waits, none), "ask")
    b.need(b.eq(slot(w.A_B_USERS, "%block"), none), "ask")
    blocks, words = slot(w.A_N_BLOCKS, waits), fn(w.A_INT_AS, slot(w.A_N_WORDS, waits))
    n, room = b.load(blocks, at.SIZE), b.load(blocks, at.LIST_ROOM)
    b.branch(b.compare("slt", n, room), "store", "append")
    b.block("store")
    b.do("call void @incref(i64 %block, i32 1)")
    b.put(b.load(blocks, at.LIST_ITEMS), n, "%block")
    b.store(b.add(n, "1"), blocks, at.SIZE)
    b.goto("count")
    b.block("append")
    b.need(b.eq(fn(w.A_LIST_APPEND, blocks, "%block", ret="i32"), "0"), "clear")
    b.goto("count")
    b.block("count")
    for which, less in ((counts.ALLOCATED, w.A_B_SIZE), (counts.REQUESTED, w.A_B_ASKED)):
        b.put(words, which, b.binary("sub", b.get(words, which), fn(w.A_INT_AS, slot(less, "%block"))))
    b.put(words, counts.ACTIVE, b.binary("sub", b.get(words, counts.ACTIVE), "1"))
    b.put(words, counts.FREES, b.add(b.get(words, counts.FREES), "1"))
    b.goto("done")
    b.block("clear")
    fn(w.A_ERR_CLEAR, ret="void")
    b.goto("ask")
    b.block("ask")  # an exception that is on its way stays
    b.slots.append("  %held = alloca [4 x i64]")
    held = b.let("ptrtoint ptr %held to i64")
    fn(w.A_ERR_FETCH, held, b.add(held, "8"), b.add(held, "16"), ret="void")
    b.put(held, 3, "%block")
    answer = fn(w.A_VECTORCALL, b.get("%api", w.A_GIVE_BACK), b.add(held, "24"), "1", "0")
    b.branch(b.eq(answer, "0"), "lost", "well")
    b.block("lost")
    fn(w.A_ERR_CLEAR, ret="void")
    b.goto("put")
    b.block("well")
    fn(w.A_DECREF, answer, ret="void")
    b.goto("put")
    b.block("put")
    fn(w.A_ERR_RESTORE, b.get(held, 0), b.get(held, 1), b.get(held, 2), ret="void")
    b.goto("done")
    b.block("done")
    b.do("ret void")
    return b.text()


def _finalize() -> str:
    b = Writer("define void @finalize(i64 %memory) #0")
    api = b.let("load i64, ptr @home")
    block = b.load("%memory", b.get(api, w.A_Y_BLOCK))
    for _ in b.when(b.ne(block, "0")):
        b.do(f"call void @give(i64 {block}, i64 {api})")
    b.do("ret void")
    return b.text()


BODIES: dict[str, Callable[[EntryWriter], None]] = {
    "place": place, "context": context, "program": program, "replay": replay, "take": take,
    "launch": launch, "make_device": make_device, "make_loan": make_loan,
}  # fmt: skip
