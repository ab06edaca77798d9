"""Bodies of the instructions of a hit: sizes, memory, plan steps, results. What a call owns lies in its owned words.

No Python code runs from the last guard to the end of the steps, but for `python` steps; what they need is held before.
"""

from __future__ import annotations

from collections.abc import Callable

from ...runtime import blocks, pool
from ...runtime import layout as at
from . import words as w
from .text import EntryWriter


def begin(b: EntryWriter) -> None:
    b.put(b.T, w.T_HITS, b.add(b.get(b.T, w.T_HITS), "1"))


def threads(b: EntryWriter) -> None:
    """V[dest] = how many threads the jobs of this call may use."""
    b.set(b.dest, b.load(b.get(b.api, w.A_POOL), pool.THREADS))


def hold(b: EntryWriter) -> None:
    obj = b.v(b.a)
    b.incref(obj)
    b.set(b.dest, obj)


def add(b: EntryWriter) -> None:
    b.set(b.dest, b.add(b.v(b.a), b.v(b.b)))


def mul(b: EntryWriter) -> None:
    b.set(b.dest, b.binary("mul", b.v(b.a), b.v(b.b)))


def _divisor(b: EntryWriter) -> str:
    """A size that divides is positive in every graph; 0 would end the process, so it divides as 1."""
    y = b.v(b.b)
    return b.select(b.eq(y, "0"), "1", y)


def floordiv(b: EntryWriter) -> None:
    x, y = b.v(b.a), _divisor(b)
    rest = b.binary("srem", x, y)
    b.set(b.dest, b.add(b.binary("sdiv", x, y), b.binary("ashr", rest, "63")))


def mod(b: EntryWriter) -> None:
    x, y = b.v(b.a), _divisor(b)
    rest = b.binary("srem", x, y)
    b.set(b.dest, b.add(rest, b.binary("and", b.binary("ashr", rest, "63"), y)))


def min_(b: EntryWriter) -> None:
    x, y = b.v(b.a), b.v(b.b)
    b.set(b.dest, b.select(b.compare("slt", x, y), x, y))


def max_(b: EntryWriter) -> None:
    x, y = b.v(b.a), b.v(b.b)
    b.set(b.dest, b.select(b.compare("sgt", x, y), x, y))


def _new_array(b: EntryWriter, descr: str, nd: str, dims: str, strides: str, data: str, flags: str) -> str:
    b.incref(descr)  # NewFromDescr takes it over
    nd32, flags32 = b.let(f"trunc i64 {nd} to i32"), b.let(f"trunc i64 {flags} to i32")
    cls = b.get(b.api, w.A_NDARRAY)
    made = b.fn(w.A_NEW_ARRAY, cls, descr, f"i32 {nd32}", dims, strides, data, f"i32 {flags32}", "0")
    b.need(b.ne(made, "0"), "fail")
    return made


def _address(b: EntryWriter, index: str) -> str:
    return b.add(b.V, b.shl(index, "3"))


def alloc(b: EntryWriter) -> None:
    """V[dest] = new array of dtype a; b = rank | strides at << 8 (0: contiguous); c = dims at; V[dest + 1] = its data."""
    at_strides = b.binary("lshr", b.b, "8")
    strides = b.select(b.eq(at_strides, "0"), "0", _address(b, at_strides))
    made = _new_array(b, b.a, b.binary("and", b.b, "255"), _address(b, b.c), strides, "0", "0")
    b.set(b.dest, made)
    b.set(b.after(b.dest), b.load(made, at.DATA))


def _block_array(b: EntryWriter, descr: str, nd: str, dims: str, strides: str, count: str) -> str:
    """A new array of `count` bytes, from the cache of blocks where it is large."""
    data = b.var("0")
    large = b.compare("sge", count, str(blocks.LARGE))
    for _ in b.when(b.let(f"and i1 {large}, {b.ne(b.get(b.api, w.A_BLOCK_NEW), '0')}")):
        b.write(data, b.fn(w.A_BLOCK_NEW, b.get(b.api, w.A_BLOCKS), count))
    at_data = b.read(data)
    b.incref(descr)  # NewFromDescr takes it over
    nd32, ours = b.let(f"trunc i64 {nd} to i32"), b.ne(at_data, "0")
    flags = b.let(f"trunc i64 {b.select(ours, str(at.WRITEABLE | at.CONTIGUOUS), '0')} to i32")
    made = b.fn(w.A_NEW_ARRAY, b.get(b.api, w.A_NDARRAY), descr, f"i32 {nd32}", dims, strides, at_data, f"i32 {flags}", "0")
    fine, own, failed, done = b.label("fine"), b.label("own"), b.label("failed"), b.label("done")
    b.branch(b.ne(made, "0"), fine, failed)
    b.block(failed)
    for _ in b.when(ours):
        b.fn(w.A_BLOCK_DROP, b.get(b.api, w.A_BLOCKS), at_data, count, ret="void")
    b.goto("fail")
    b.block(fine)
    b.branch(ours, own, done)
    b.block(own)  # as NumPy marks what it has allocated itself by a handler
    handler, word = b.get(b.api, w.A_HANDLER), b.add(made, str(at.FLAGS))
    b.incref(handler)
    b.store(handler, made, blocks.HANDLER)
    flags = b.binary("or", b.load(word, 0, "i32"), str(blocks.OWNDATA))
    b.do(f"store i32 {b.let(f'trunc i64 {flags} to i32')}, ptr {b.pointer(word)}")
    b.goto(done)
    b.block(done)
    return made


def block(b: EntryWriter) -> None:
    """V[dest] = new array, V[dest + 1] = its data; a: dtype, rank, dims at, strides at (0: contiguous), bytes (index)."""
    descr, rank, dims, at_strides = (b.get(b.a, i) for i in range(4))
    strides = b.select(b.eq(at_strides, "0"), "0", _address(b, at_strides))
    made = _block_array(b, descr, rank, _address(b, dims), strides, b.v(b.get(b.a, 4)))
    b.set(b.dest, made)
    b.set(b.after(b.dest), b.load(made, at.DATA))


def arena(b: EntryWriter) -> None:
    """V[dest] = array of at least V[a] + 64 bytes, the variant's own where that is free; V[dest + 1] = aligned address in it."""
    wanted = b.add(b.v(b.a), "64")
    ready, fresh, done = b.label("ready"), b.label("fresh"), b.label("done")
    kept = b.get(b.T, w.T_ARENA)
    fits = b.compare("sle", wanted, b.get(b.T, w.T_ARENA_BYTES))
    b.branch(b.let(f"and i1 {b.ne(kept, '0')}, {fits}"), ready, fresh)
    b.block(ready)
    b.put(b.T, w.T_ARENA, "0")
    b.set(b.dest, kept)
    b.goto(done)
    b.block(fresh)
    b.put(b.gather, 0, wanted)
    made = _block_array(b, b.get(b.api, w.A_U8), "1", b.gather, "0", wanted)
    b.set(b.dest, made)
    for _ in b.when(b.ne(kept, "0")):  # too small: the new one takes its place
        b.put(b.T, w.T_ARENA, "0")
        b.decref(kept)
    b.goto(done)
    b.block(done)
    data = b.load(b.v(b.dest), at.DATA)
    b.set(b.after(b.dest), b.binary("and", b.add(data, "63"), "-64"))


def view(b: EntryWriter) -> None:
    """V[dest] = array over memory at V[b] that holds object V[c]; a: dtype, rank, flags, dims at, strides at (bytes)."""
    descr, nd, flags = (b.get(b.a, i) for i in range(3))
    dims, strides = _address(b, b.get(b.a, 3)), _address(b, b.get(b.a, 4))
    made = _new_array(b, descr, nd, dims, strides, b.v(b.b), flags)
    b.set(b.dest, made)
    base = b.v(b.c)
    b.incref(base)  # SetBaseObject takes it over, also where it fails
    b.need(b.eq(b.fn(w.A_SET_BASE, made, base, ret="i32"), "0"), "fail")


def kernel(b: EntryWriter) -> None:
    """Run kernel a with words gathered from dest on. b: step, pointers, sizes, words in all, then frame indices: of scratch,
    chunks, scratch of one thread, threads, and of the words."""
    step, pointers, sizes, count, scratch, chunks, stride, limit = (b.get(b.b, i) for i in range(8))
    indices = b.add(b.b, "64")
    for i in b.loop(count):
        b.set(b.add(b.dest, i), b.v(b.get(indices, i)))
    args = _address(b, b.dest)
    sizes_at = b.add(args, b.shl(pointers, "3"))
    scalars_at = b.add(sizes_at, b.shl(sizes, "3"))
    given, one, several, done = (args, sizes_at, scalars_at, b.v(scratch)), b.label("one"), b.label("several"), b.label("done")
    parts = b.v(chunks)
    b.branch(b.compare("sgt", parts, "1"), several, one)
    b.block(one)
    b.write(b.status, b.call(b.a, *given, "0", "1", ret="i32"))
    b.goto(done)
    b.block(several)
    b.write(b.status, b.fn(w.A_POOL_RUN, b.get(b.api, w.A_POOL), b.a, *given, b.v(stride), parts, b.v(limit), ret="i32"))
    b.goto(done)
    b.block(done)
    status = b.read(b.status)
    b.write(b.step, step)
    b.need(b.eq(status, "0"), "status")


def gemm(b: EntryWriter) -> None:
    """Matrix products by cblas. b: function, is f64, trans a, trans b, then frame indices of m, n, k, lda, ldb, ldc, a, b, c,
    then the number of batch dimensions, of products (index), and per dimension size and byte strides of a, b, c (indices)."""
    d = b.b
    for _ in b.when(b.ne(b.get(b.api, w.A_POOL_RUN), "0")):
        b.store("1", b.get(b.api, w.A_POOL), pool.QUIET)  # BLAS has threads of its own
    ta, tb = (b.let(f"trunc i64 {b.get(d, i)} to i32") for i in (2, 3))
    m, n, k, lda, ldb, ldc, pa, pb, pc = (b.v(b.get(d, i)) for i in range(4, 13))
    ndim, total = b.get(d, 13), b.v(b.get(d, 14))
    single, double, after = b.label("single"), b.label("double"), b.label("after")
    for i in b.loop(total):
        rest, at_a, at_b, at_c = b.var("0"), b.var("0"), b.var("0"), b.var("0")
        for var, value in ((rest, i), (at_a, pa), (at_b, pb), (at_c, pc)):
            b.write(var, value)
        _batch_offsets(b, d, ndim, rest, (at_a, at_b, at_c))
        a_, b_, c_ = b.read(at_a), b.read(at_b), b.read(at_c)
        head = ("i32 101", f"i32 {ta}", f"i32 {tb}", m, n, k)
        b.branch(b.eq(b.get(d, 1), "0"), single, double)
        b.block(single)
        b.call(b.get(d, 0), *head, "float 1.0", a_, lda, b_, ldb, "float 0.0", c_, ldc, ret="void")
        b.goto(after)
        b.block(double)
        b.call(b.get(d, 0), *head, "double 1.0", a_, lda, b_, ldb, "double 0.0", c_, ldc, ret="void")
        b.goto(after)
        b.block(after)


def _batch_offsets(b: EntryWriter, d: str, ndim: str, rest: str, places: tuple[str, str, str]) -> None:
    for j in b.loop(ndim):
        row = b.add(d, b.add("120", b.shl(j, "5")))
        size, left = b.v(b.get(row, 0)), b.read(rest)
        index = b.binary("urem", left, size)
        b.write(rest, b.binary("udiv", left, size))
        for which, place in enumerate(places):
            step = b.v(b.get(row, which + 1))
            b.write(place, b.add(b.read(place), b.binary("mul", index, step)))


def python(b: EntryWriter) -> None:
    """Call object a with the c objects in V from b on; its result is not used."""
    result = b.vectorcall(b.a, _address(b, b.b), b.c)
    b.need(b.ne(result, "0"), "fail")
    b.decref(result)


def save(b: EntryWriter) -> None:
    """Let the interpreter lock go where the work V[a] is at least b, and it is not gone already."""
    for _ in b.when(b.let(f"and i1 {b.compare('sge', b.v(b.a), b.b)}, {b.eq(b.read(b.ts), '0')}")):
        b.write(b.ts, b.fn(w.A_SAVE))


def restore(b: EntryWriter) -> None:
    for _ in b.when(b.ne(b.read(b.ts), "0")):
        b.fn(w.A_RESTORE, b.read(b.ts), ret="void")
        b.write(b.ts, "0")


def bump(b: EntryWriter) -> None:
    """One write more in the storage of tensor V[a]; where it has none, Python gives it one: what has saved the tensor for a
    gradient took its version to be 0 without asking for a storage."""
    owner = b.load(b.v(b.a), b.get(b.api, w.A_S_STORAGE))
    have, bare = b.label("have"), b.label("bare")
    b.branch(b.let(f"or i1 {b.eq(owner, '0')}, {b.eq(owner, b.get(b.api, w.A_NONE))}"), bare, have)
    b.block(bare)
    b.put(b.gather, 0, b.v(b.a))
    result = b.vectorcall(b.get(b.api, w.A_COUNT), b.gather, "1")
    b.need(b.ne(result, "0"), "fail")
    b.decref(result)
    b.goto("next")
    b.block(have)
    slot = b.get(b.api, w.A_S_VERSION)
    old = b.load(owner, slot)
    new = b.fn(w.A_LONG_FROM, b.add(b.fn(w.A_LONG_AS, old, b.gather), "1"))
    b.need(b.ne(new, "0"), "fail")
    b.store(new, owner, slot)
    b.decref(old)


def _tensor(b: EntryWriter) -> tuple[str, str]:
    """V[dest] = new Tensor without a meta that takes over array V[a]; the Tensor, the array."""
    made = b.fn(w.A_TP_ALLOC, b.get(b.api, w.A_TENSOR), "0")
    b.need(b.ne(made, "0"), "fail")
    b.set(b.dest, made)
    none = b.get(b.api, w.A_NONE)
    b.do(f"call void @incref(i64 {none}, i32 4)")
    for slot in (w.A_S_STORAGE, w.A_S_OFFSET, w.A_S_GRAD, w.A_S_NODE):
        b.store(none, made, b.get(b.api, slot))
    array = b.v(b.a)
    b.store(array, made, b.get(b.api, w.A_S_ARRAY))
    b.set(b.a, "0")
    return made, array


def make(b: EntryWriter) -> None:
    """V[dest] = new Tensor that takes over array V[a]; meta b, or where that is null what Python makes of the array and c."""
    made, array = _tensor(b)
    known, unknown = b.label("known"), b.label("unknown")
    b.branch(b.ne(b.b, "0"), known, unknown)
    b.block(known)
    b.incref(b.b)
    b.store(b.b, made, b.get(b.api, w.A_S_META))
    b.goto("next")
    b.block(unknown)
    b.store(_new_meta(b, array, b.c), made, b.get(b.api, w.A_S_META))


def _new_meta(b: EntryWriter, array: str, grad: str) -> str:
    b.put(b.gather, 0, array)
    b.put(b.gather, 1, grad)
    meta = b.vectorcall(b.get(b.api, w.A_NEW_META), b.gather, "2")
    b.need(b.ne(meta, "0"), "fail")
    return meta


def make_like(b: EntryWriter) -> None:
    """V[dest] = new Tensor that takes over array V[a]. Its meta is one that memory c remembers for its dims and strides, else
    what Python makes of the array. List b: requires_grad, count, number of the first word of dims and strides."""
    made, array = _tensor(b)
    grad, count, first = (b.get(b.b, i) for i in range(3))
    mixed = b.var("0")
    for i in b.loop(count):
        b.write(mixed, b.binary("mul", b.binary("xor", b.read(mixed), b.v(b.add(first, i))), "-7046029254386353131"))
    number = b.binary("lshr", b.read(mixed), str(64 - (w.METAS - 1).bit_length()))
    entry = b.add(b.c, b.binary("mul", number, b.shl(b.add(count, "1"), "3")))
    words = b.add(entry, "8")
    known = b.get(entry, 0)
    compare, hit, ask = b.label("compare"), b.label("hit"), b.label("ask")
    b.branch(b.eq(known, "0"), ask, compare)
    b.block(compare)
    for i in b.loop(count):
        b.need(b.eq(b.get(words, i), b.v(b.add(first, i))), ask)
    b.goto(hit)
    b.block(hit)
    b.incref(known)
    b.store(known, made, b.get(b.api, w.A_S_META))
    b.goto("next")
    b.block(ask)
    meta = _new_meta(b, array, grad)
    b.store(meta, made, b.get(b.api, w.A_S_META))
    b.incref(meta)
    old = b.get(entry, 0)
    b.put(entry, 0, meta)
    for i in b.loop(count):
        b.put(words, i, b.v(b.add(first, i)))
    for _ in b.when(b.ne(old, "0")):
        b.decref(old)


def seen(b: EntryWriter) -> None:
    """V[dest] = new Tensor on a window of the memory of tensor V[a]. List c: dtype, rank, dims at, strides at (bytes), bytes from
    its first element on, meta, the same in elements, that as an object (0: None), and what makes it where the tensor has no
    storage yet, or is part of a family of its own. V[b] holds the array meanwhile."""
    source = b.v(b.a)
    descr, rank, dims, steps, moved, meta, count, offset, otherwise = (b.get(b.c, i) for i in range(9))
    none, owner = b.get(b.api, w.A_NONE), b.load(source, b.get(b.api, w.A_S_STORAGE))
    first = b.load(source, b.get(b.api, w.A_S_OFFSET))
    ours, shift, slow, go = b.label("ours"), b.label("shift"), b.label("slow"), b.label("go")
    own = b.var("0")
    b.branch(b.let(f"or i1 {b.eq(owner, '0')}, {b.eq(owner, none)}"), slow, ours)
    b.block(ours)
    whole, inner = b.label("whole"), b.label("inner")
    b.branch(b.let(f"or i1 {b.eq(first, '0')}, {b.eq(first, none)}"), whole, inner)
    b.block(whole)
    b.incref(offset)
    b.write(own, offset)
    b.goto(go)
    b.block(inner)
    b.branch(b.eq(b.load(first, at.TYPE), b.get(b.api, w.A_INT)), shift, slow)
    b.block(shift)
    number = b.fn(w.A_LONG_FROM, b.add(b.fn(w.A_LONG_AS, first, b.gather), count))
    b.need(b.ne(number, "0"), "fail")
    b.write(own, number)
    b.goto(go)
    b.block(slow)
    b.put(b.gather, 0, source)
    result = b.vectorcall(otherwise, b.gather, "1")
    b.need(b.ne(result, "0"), "fail")
    b.set(b.dest, result)
    b.goto("next")
    b.block(go)
    made = b.fn(w.A_TP_ALLOC, b.get(b.api, w.A_TENSOR), "0")
    b.need(b.ne(made, "0"), "fail")
    b.set(b.dest, made)
    b.store(b.read(own), made, b.get(b.api, w.A_S_OFFSET))
    array = b.load(source, b.get(b.api, w.A_S_ARRAY))
    flags = b.binary("and", b.load(array, at.FLAGS, "i32"), str(at.WRITEABLE))
    data = b.add(b.load(array, at.DATA), moved)
    b.set(b.b, _new_array(b, descr, rank, _address(b, dims), _address(b, steps), data, flags))
    b.incref(array)  # SetBaseObject takes it over, also where it fails
    b.need(b.eq(b.fn(w.A_SET_BASE, b.v(b.b), array, ret="i32"), "0"), "fail")
    b.do(f"call void @incref(i64 {none}, i32 2)")
    for slot in (w.A_S_GRAD, w.A_S_NODE):
        b.store(none, made, b.get(b.api, slot))
    b.incref(owner)
    b.store(owner, made, b.get(b.api, w.A_S_STORAGE))
    b.incref(meta)
    b.store(meta, made, b.get(b.api, w.A_S_META))
    b.store(b.v(b.b), made, b.get(b.api, w.A_S_ARRAY))
    b.set(b.b, "0")


def long(b: EntryWriter) -> None:
    """V[dest] = new int object of the number V[a]."""
    made = b.fn(w.A_LONG_FROM, b.v(b.a))
    b.need(b.ne(made, "0"), "fail")
    b.set(b.dest, made)


def call(b: EntryWriter) -> None:
    """V[dest] = result of calling object a with the c objects in V from b on."""
    result = b.vectorcall(b.a, _address(b, b.b), b.c)
    b.need(b.ne(result, "0"), "fail")
    b.set(b.dest, result)


def tuple_(b: EntryWriter) -> None:
    """V[dest] = tuple that takes over the b objects in V from a on."""
    made = b.fn(w.A_TUPLE_NEW, b.b)
    b.need(b.ne(made, "0"), "fail")
    b.set(b.dest, made)
    for i in b.loop(b.b):
        at_i = b.add(b.a, i)
        b.put(b.add(made, str(at.TUPLE_ITEMS)), i, b.v(at_i))
        b.set(at_i, "0")


def tail(b: EntryWriter) -> None:
    """The call returns ``tail(arguments, V[a])``."""
    args = b.args_tuple("fail")
    b.put(b.gather, 0, args)
    b.put(b.gather, 1, b.v(b.a))
    result = b.vectorcall(b.get(b.T, w.T_TAIL), b.gather, "2")
    b.decref(args)
    b.write(b.result, result)
    b.goto("release")


def ret(b: EntryWriter) -> None:
    b.write(b.result, b.v(b.a))
    b.set(b.a, "0")
    b.goto("release")


BODIES: dict[str, Callable[[EntryWriter], None]] = {
    "begin": begin, "threads": threads, "hold": hold, "add": add,
    "mul": mul, "floordiv": floordiv, "mod": mod, "min": min_, "max": max_,
    "alloc": alloc, "block": block, "arena": arena, "view": view, "kernel": kernel, "gemm": gemm, "python": python, "save": save,
    "restore": restore, "bump": bump, "make": make, "make_like": make_like, "seen": seen,
    "long": long, "call": call, "tuple": tuple_, "tail": tail, "ret": ret,
}  # fmt: skip
