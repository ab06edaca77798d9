"""The entry routine as LLVM text: binds arguments, then runs the rows of a variant. Compiled once for all functions.

No address and no layout of a Tensor is written into the code; both come from tables (`words`). Instruction bodies are in
`text_guards` (what may miss) and `text_steps` (what happens on a hit). An exit through `fail` has an exception set.
"""

from __future__ import annotations

from ...runtime import blocks
from ...runtime import layout as at
from . import words as w
from .writer import Writer

_MASK = str((1 << 63) - 1)


class EntryWriter(Writer):
    """The routine under construction. `E` function table, `T` variant table, `V` frame of `size` words, `api` process table."""

    def __init__(self) -> None:
        super().__init__("define internal i64 @entry(i64 %E, i64 %callee, i64 %args, i64 %nargsf, i64 %kw) #0")
        self.size = self.T = self.V = self.api = self.nparams = self.here = self.dest = self.a = self.b = self.c = ""
        self.rest, self.named = self.var("0"), self.var("0")
        self.held, self.tvar, self.pc, self.ts = self.var("0"), self.var("0"), self.var("0"), self.var("0")
        self.result, self.status, self.step = self.var("0"), self.var("0"), self.var("0")
        self.gather = self.gather_words()

    def gather_words(self) -> str:
        self.slots.append("  %gather = alloca [4 x i64]")
        return self.let("ptrtoint ptr %gather to i64")

    def v(self, index: str) -> str:
        return self.get(self.V, index)

    def set(self, index: str, value: str) -> None:
        self.put(self.V, index, value)

    def fn(self, which: int, *args: str, ret: str = "i64") -> str:
        return self.call(self.get(self.api, which), *args, ret=ret)

    def incref(self, obj: str) -> None:
        self.do(f"call void @incref(i64 {obj}, i32 1)")

    def decref(self, obj: str) -> None:
        self.fn(w.A_DECREF, obj, ret="void")

    def vectorcall(self, function: str, args: str, count: str, kw: str = "0") -> str:
        return self.fn(w.A_VECTORCALL, function, args, count, kw)

    def args_tuple(self, failed: str) -> str:
        """A new tuple of the bound arguments; to block `failed` where there is no memory."""
        made = self.fn(w.A_TUPLE_NEW, self.nparams)
        self.need(self.ne(made, "0"), failed)
        for i in self.loop(self.nparams):
            arg = self.v(i)
            self.incref(arg)
            self.put(self.add(made, "24"), i, arg)
        return made

    def after(self, slot: str) -> str:
        """Number of the frame word behind `slot`."""
        return self.add(slot, "1")


_INCREF = """
define internal void @incref(i64 %o, i32 %n) #0 {
  %p = inttoptr i64 %o to ptr
  %r = load i32, ptr %p
  %immortal = icmp slt i32 %r, 0
  br i1 %immortal, label %done, label %count
count:
  %s = add i32 %r, %n
  store i32 %s, ptr %p
  br label %done
done:
  ret void
}
"""


_INTRINSICS = "\n".join(
    [f"declare {{i64, i1}} @llvm.s{name}.with.overflow.i64(i64, i64)" for name in ("add", "sub", "mul")]
    + [f"declare double @llvm.{name}.f64(double)" for name in ("sqrt", "fabs")]
    + ["declare i64 @llvm.cttz.i64(i64, i1)"]
)


def module_text() -> str:
    """The whole module: `entry`, and `thunk0` ... which hand the table in ``slots[i]`` to it; `text_device.give_text`."""
    from .text_device import give_text

    thunks = "\n".join(
        f"define i64 @thunk{i}(i64 %callee, i64 %args, i64 %nargsf, i64 %kw) #0 {{\n"
        f"  %E = load i64, ptr getelementptr ([{w.THUNKS} x i64], ptr @slots, i64 0, i64 {i})\n"
        "  %r = tail call i64 @entry(i64 %E, i64 %callee, i64 %args, i64 %nargsf, i64 %kw)\n  ret i64 %r\n}"
        for i in range(w.THUNKS)
    )
    slots = f"@slots = hidden global [{w.THUNKS} x i64] zeroinitializer"  # internal ones would be folded to 0
    tail = 'attributes #0 = { nounwind "no-builtins" "probe-stack"="inline-asm" }\n!0 = !{!"branch_weights", i32 2000, i32 1}'
    return "\n".join([slots, _INTRINSICS, _INCREF, give_text(), _entry(), thunks, tail])


def _entry() -> str:
    from . import text_device, text_guards, text_steps

    b = EntryWriter()
    _bind(b)
    _variants(b)
    bodies = {**text_guards.BODIES, **text_steps.BODIES, **text_device.BODIES}
    table = " ".join(f"i64 {i}, label %op.{name}" for i, name in enumerate(w.OPS))
    b.do(f"switch i64 {_fetch(b)}, label %miss [{table}]")
    for name in w.OPS:
        b.block(f"op.{name}")
        bodies[name](b)
        if not b.lines[-1].lstrip().startswith("br "):
            b.goto("next")
    b.block("undo")
    text_device.undo(b)
    _exits(b)
    return b.text()


def _bind(b: EntryWriter) -> None:
    """Arguments into V[0..nparams); anything that is not simply right goes to the Python miss handler."""
    nargs = b.binary("and", "%nargsf", _MASK)
    npos, b.nparams = b.get("%E", w.E_NPOS), b.get("%E", w.E_NPARAMS)
    b.api = b.get("%E", w.E_API)
    b.size = b.get("%E", w.E_NFRAME)
    frame = b.let(f"alloca i64, i64 {b.size}, align 16")
    b.V = b.let(f"ptrtoint ptr {frame} to i64")
    no_kw = b.eq("%kw", "0")
    b.branch(b.let(f"and i1 {no_kw}, {b.eq(nargs, b.get('%E', w.E_PLAIN))}"), "bind.plain", "bind.mixed")
    b.block("bind.plain")
    for i in b.loop(nargs):
        b.set(i, b.get("%args", i))
    b.goto("bound")
    b.block("bind.mixed")
    few = b.select(b.compare("slt", nargs, npos), nargs, npos)
    _rest(b, nargs, npos)
    named = b.get("%E", w.E_NNAMED)
    for i in b.loop(named):
        b.set(i, "0")
    for i in b.loop(few):
        b.set(i, b.get("%args", i))
    b.branch(no_kw, "bind.defaults", "bind.keywords")
    b.block("bind.keywords")
    _keywords(b, nargs, named)
    b.block("bind.defaults")
    defaults = b.get("%E", w.E_DEFAULTS)
    for i in b.loop(named):
        for _ in b.when(b.eq(b.v(i), "0")):
            default = b.get(defaults, i)
            b.need(b.ne(default, "0"), "misscall")
            b.set(i, default)
    b.goto("bound")
    b.block("bind.python")  # keywords for **kwargs
    python = b.get("%E", w.E_BIND)
    b.need(b.ne(python, "0"), "misscall")
    bound = b.vectorcall(python, "%args", "%nargsf", "%kw")
    b.write(b.held, bound)
    b.need(b.ne(bound, "0"), "leave")
    for i in b.loop(b.nparams):
        b.set(i, b.get(b.add(bound, "24"), i))
    b.goto("bound")


def _rest(b: EntryWriter, nargs: str, npos: str) -> None:
    """A new tuple for ``*args`` and an empty dict for ``**kwargs``. Both come first: on 3.11 making one may run Python code."""
    at = b.get("%E", w.E_VARARGS)
    tuple_, many, dict_, after = b.label("rest"), b.label("many"), b.label("named"), b.label("after")
    b.branch(b.compare("sge", at, "0"), tuple_, many)
    b.block(many)
    b.need(b.compare("sle", nargs, npos), "misscall")
    b.goto(dict_)
    b.block(tuple_)
    extra = b.binary("sub", nargs, npos)
    count = b.select(b.compare("slt", extra, "0"), "0", extra)
    made = b.fn(w.A_TUPLE_NEW, count)
    b.write(b.rest, made)
    b.need(b.ne(made, "0"), "leave")
    for i in b.loop(count):
        arg = b.get("%args", b.add(npos, i))
        b.incref(arg)
        b.put(b.add(made, "24"), i, arg)
    b.set(at, made)
    b.goto(dict_)
    b.block(dict_)
    at = b.get("%E", w.E_VARKW)
    kwargs, lend, fresh = b.label("kwargs"), b.label("lend"), b.label("fresh")
    b.branch(b.compare("sge", at, "0"), kwargs, after)
    b.block(kwargs)
    empty = b.get("%E", w.E_EMPTY)
    b.branch(b.ne(empty, "0"), lend, fresh)
    b.block(lend)
    b.put("%E", w.E_EMPTY, "0")
    b.write(b.named, empty)
    b.set(at, empty)
    b.goto(after)
    b.block(fresh)
    made = b.fn(w.A_DICT_NEW)
    b.need(b.ne(made, "0"), "leave")
    b.write(b.named, made)
    b.set(at, made)
    b.goto(after)
    b.block(after)


def _keywords(b: EntryWriter, nargs: str, named: str) -> None:
    names = b.get("%E", w.E_NAMES)
    for k in b.loop(b.load("%kw", 16)):
        name, found = b.get(b.add("%kw", "24"), k), b.var("-1")
        for j in b.loop(named):
            b.write(found, b.select(b.eq(b.get(names, j), name), j, b.read(found)))
        for _ in b.when(b.compare("slt", b.read(found), "0")):  # a name that is not interned, or an unknown one
            _by_value(b, names, named, name, found)
        j = b.read(found)
        b.need(b.compare("sge", j, "0"), "bind.python")
        b.need(b.eq(b.v(j), "0"), "misscall")  # given twice: Python says it properly
        b.set(j, b.get("%args", b.add(nargs, k)))
    b.goto("bind.defaults")


def _by_value(b: EntryWriter, names: str, named: str, name: str, found: str) -> None:
    """Write into `found` the number of the parameter whose name equals `name`, if there is one."""
    for j in b.loop(named):
        other = b.get(names, j)
        for _ in b.when(b.ne(other, "0")):
            same = b.eq(b.fn(w.A_EQUAL, other, name, "i32 2", ret="i32"), "1")
            b.write(found, b.select(same, j, b.read(found)))


def _variants(b: EntryWriter) -> None:
    """The chain of variants. The running one is held, so that Python code may exchange the chain meanwhile."""
    b.block("bound")
    b.need(b.compare("sle", b.get("%E", w.E_NFRAME), b.size), "misscall")  # Python code has added a larger variant meanwhile
    first = b.get("%E", w.E_FIRST)
    b.write(b.tvar, first)
    b.need(b.ne(first, "0"), "misscall")
    b.incref(b.get(first, w.T_OWNER))
    b.goto("variant")
    b.block("variant")
    b.T = b.read(b.tvar)
    consts, at = b.get(b.T, w.T_CONSTS), b.get(b.T, w.T_CONST_AT)
    for i in b.loop(b.get(b.T, w.T_NCONSTS)):
        b.set(b.get(at, i), b.get(consts, i))
    owned = b.get(b.T, w.T_OWNED)
    for i in b.loop(b.get(b.T, w.T_NOWNED)):
        b.set(b.get(owned, i), "0")
    b.write(b.pc, b.get(b.T, w.T_PROGRAM))
    b.goto("next")
    b.block("next")


def _fetch(b: EntryWriter) -> str:
    b.here = b.read(b.pc)
    b.write(b.pc, b.add(b.here, "32"))
    head = b.load(b.here)
    b.dest = b.binary("lshr", head, "8")
    b.a, b.b, b.c = b.load(b.here, 8), b.load(b.here, 16), b.load(b.here, 24)
    return b.binary("and", head, "255")


def _exits(b: EntryWriter) -> None:
    b.block("clear")  # a load that set an exception is a miss as well
    b.fn(w.A_ERR_CLEAR, ret="void")
    b.goto("miss")
    b.block("miss")
    _release(b)
    owner, following = b.get(b.T, w.T_OWNER), b.get(b.T, w.T_NEXT)
    b.branch(b.eq(following, "0"), "miss.last", "miss.next")
    b.block("miss.next")  # this variant keeps the next one alive until the call holds it
    b.write(b.tvar, following)
    b.incref(b.get(following, w.T_OWNER))
    b.decref(owner)
    b.goto("variant")
    b.block("miss.last")  # where the variant kept the dispatcher alive, it need not outlive this
    miss = b.get("%E", w.E_MISS)
    for _ in b.when(b.ne(miss, "0")):
        b.incref(miss)
    b.decref(owner)
    b.branch(b.ne(miss, "0"), "miss.ask", "miss.original")
    b.block("miss.ask")
    b.write(b.result, b.vectorcall(miss, "%args", "%nargsf", "%kw"))
    b.decref(miss)
    b.goto("leave")
    b.block("misscall")
    miss = b.get("%E", w.E_MISS)
    b.branch(b.ne(miss, "0"), "misscall.ask", "miss.original")
    b.block("misscall.ask")
    b.write(b.result, b.vectorcall(miss, "%args", "%nargsf", "%kw"))
    b.goto("leave")
    b.block("miss.original")
    b.write(b.result, b.call(b.get("%E", w.E_ORIGINAL), "%callee", "%args", "%nargsf", "%kw"))
    b.goto("leave")
    b.block("fail")
    _restore(b)
    b.write(b.result, "0")
    b.goto("release")
    b.block("status")
    _restore(b)
    _call_on_error(b)
    b.block("release")
    _release(b)
    b.decref(b.get(b.T, w.T_OWNER))
    b.goto("leave")
    b.block("leave")
    for held in (b.read(b.held), b.read(b.rest)):
        for _ in b.when(b.ne(held, "0")):
            b.decref(held)
    named = b.read(b.named)
    for _ in b.when(b.ne(named, "0")):
        _give_back(b, named)
    b.do(f"ret i64 {b.read(b.result)}")


def _give_back(b: EntryWriter, named: str) -> None:
    """An empty dict that nobody else holds serves the next call too."""
    alone = b.eq(b.load(named, 0, "i32"), "1")
    empty = b.let(f"and i1 {b.eq(b.load(named, at.SIZE), '0')}, {b.eq(b.get('%E', w.E_EMPTY), '0')}")
    keep, drop, done = b.label("keep"), b.label("drop"), b.label("done")
    b.branch(b.let(f"and i1 {alone}, {empty}"), keep, drop)
    b.block(keep)
    b.put("%E", w.E_EMPTY, named)
    b.goto(done)
    b.block(drop)
    b.decref(named)
    b.goto(done)
    b.block(done)


def _restore(b: EntryWriter) -> None:
    """Take the interpreter lock back where a step had let it go."""
    state = b.read(b.ts)
    for _ in b.when(b.ne(state, "0")):
        b.fn(w.A_RESTORE, state, ret="void")
        b.write(b.ts, "0")


def _call_on_error(b: EntryWriter) -> None:
    """A kernel returned nonzero: the result of the call is ``on_error(variant, arguments, status, step)``."""
    b.write(b.result, "0")
    args = b.args_tuple("release")
    status, step = b.fn(w.A_LONG_FROM, b.read(b.status)), b.fn(w.A_LONG_FROM, b.read(b.step))
    for i, word in enumerate((b.get(b.T, w.T_OWNER), args, status, step)):
        b.put(b.gather, i, word)
    handler = b.get(b.T, w.T_ON_ERROR)
    for _ in b.when(b.let(f"and i1 {b.ne(status, '0')}, {b.ne(step, '0')}")):
        b.write(b.result, b.vectorcall(handler, b.gather, "4"))
    for obj in (args, status, step):
        for _ in b.when(b.ne(obj, "0")):
            b.decref(obj)
    b.goto("release")


def _release(b: EntryWriter) -> None:
    """Drop what the call owns; a small arena that nobody else holds goes back to the variant, a large one to the cache of all."""
    place, owned = b.get(b.T, w.T_ARENA_AT), b.get(b.T, w.T_OWNED)
    arena = b.v(place)
    keep = b.let(f"and i1 {b.ne(arena, '0')}, {b.eq(b.get(b.T, w.T_ARENA), '0')}")
    for _ in b.when(keep):
        alone = b.eq(b.load(arena, 0, "i32"), "1")
        size = b.load(b.load(arena, at.DIMS))  # its own: another thread's call may have made a larger one meanwhile
        small = b.compare("slt", size, str(blocks.LARGE))
        ours = b.let(f"or i1 {small}, {b.eq(b.get(b.api, w.A_BLOCK_NEW), '0')}")
        for _ in b.when(b.let(f"and i1 {alone}, {ours}")):
            b.put(b.T, w.T_ARENA, arena)
            b.put(b.T, w.T_ARENA_BYTES, size)
            b.set(place, "0")
    for i in b.loop(b.get(b.T, w.T_NOWNED)):
        obj = b.v(b.get(owned, i))
        for _ in b.when(b.ne(obj, "0")):
            b.decref(obj)
