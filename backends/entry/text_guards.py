"""Bodies of the instructions that come before a hit: loads, guards and weak scalars. A failed one goes to `miss`.

References are borrowed; the rows that may run Python (`callback`, `version`) come first in every program, and nothing loaded
before them is used after them; where `remembered` ran Python, all is loaded again.
"""

from __future__ import annotations

from collections.abc import Callable

from ...runtime import layout as at
from . import words as w
from .text import EntryWriter


def _type(b: EntryWriter, obj: str) -> str:
    return b.load(obj, at.TYPE)


def _need_flag(b: EntryWriter, obj: str, bit: int) -> None:
    flags = b.load(_type(b, obj), at.TP_FLAGS)
    b.need(b.ne(b.binary("and", flags, str(bit)), "0"), "miss")


def load(b: EntryWriter) -> None:
    value = b.load(b.v(b.a), b.b)
    b.need(b.ne(value, "0"), "miss")
    b.set(b.dest, value)


def field(b: EntryWriter) -> None:
    b.set(b.dest, b.load(b.v(b.a), b.b))


def instance_dict(b: EntryWriter) -> None:
    """V[dest] = the dict of V[a], to which the word at offset b points (0: unknown). Where it has to be made first, all is looked
    at again from c rows before: on 3.11 making it may run Python code."""
    obj = b.v(b.a)
    look, ready, make, restart = b.label("look"), b.label("ready"), b.label("make"), b.label("restart")
    known = b.ne(b.b, "0")
    b.branch(known, look, make)
    b.block(look)
    there = b.load(obj, b.b)
    tagged = b.ne(b.binary("and", there, "1"), "0")  # 3.12: fields in place of a dict
    b.branch(b.let(f"or i1 {b.eq(there, '0')}, {tagged}"), make, ready)
    b.block(ready)
    b.set(b.dest, there)
    b.goto("next")
    b.block(make)
    found = b.fn(w.A_GET_DICT, obj, "0")
    b.need(b.ne(found, "0"), "clear")
    b.decref(found)  # the instance holds it
    b.set(b.dest, found)
    b.branch(known, restart, "next")
    b.block(restart)
    b.write(b.pc, b.binary("sub", b.read(b.pc), b.shl(b.c, "5")))


def _dict_get(b: EntryWriter, obj: str) -> None:
    found = b.fn(w.A_DICT_GET, obj, b.b)
    b.need(b.ne(found, "0"), "clear")
    b.set(b.dest, found)


def dict_get(b: EntryWriter) -> None:
    obj = b.v(b.a)
    _need_flag(b, obj, at.DICT)
    _dict_get(b, obj)


def strings(b: EntryWriter) -> None:
    _need_flag(b, b.v(b.a), at.DICT)
    keys = b.load(b.v(b.a), at.DICT_KEYS)
    b.need(b.ne(b.load(keys, at.KEYS_KIND, "i8"), "0"), "miss")


def _template(b: EntryWriter) -> tuple[str, str, str, str, str, str]:
    """Template: numbers of words, fills, inline dicts; (frame index, offset) of each word; frame index of each fill; triples.
    Memory: the object, (address, value) of each word, value of each fill. Gives the counts, and where words and fills lie."""
    words, fills, inline = (b.get(b.b, i) for i in range(3))
    size = b.shl(words, "4")
    return words, fills, inline, b.add(b.b, "24"), b.add(b.add(b.b, "24"), size), b.add(b.add(b.a, "8"), size)


def memo(b: EntryWriter) -> None:
    b.need(b.eq(b.get(b.a, 0), b.v(b.dest)), "next")
    words, fills, _, _, places, values = _template(b)
    end, here = b.add(b.a, b.shl(words, "4")), b.var("0")
    b.write(here, b.a)
    head, body, same = b.label("head"), b.label("body"), b.label("same")
    b.goto(head)
    b.block(head)
    p = b.read(here)
    b.branch(b.eq(p, end), same, body)
    b.block(body)
    b.write(here, b.add(p, "16"))
    b.branch(b.eq(b.load(b.load(p, 8)), b.load(p, 16)), head, "next")
    b.block(same)
    for k in b.loop(fills):
        b.set(b.get(places, k), b.get(values, k))
    b.write(b.pc, b.add(b.read(b.pc), b.shl(b.c, "5")))


def learn(b: EntryWriter) -> None:
    b.put(b.a, 0, "0")
    words, fills, inline, pairs, places, values = _template(b)
    triples = b.add(places, b.shl(fills, "3"))
    for k in b.loop(inline):  # a dict whose values are the fields of its owner
        three = b.add(triples, b.binary("mul", k, "24"))
        fields = b.load(b.v(b.get(three, 0)), at.DICT_VALUES)
        b.need(b.ne(fields, b.add(b.v(b.get(three, 1)), b.get(three, 2))), "next")
    for k in b.loop(words):
        offset = b.shl(k, "4")
        pair, place = b.add(pairs, offset), b.add(b.a, offset)
        address = b.add(b.v(b.get(pair, 0)), b.get(pair, 1))
        b.put(place, 1, address)
        b.put(place, 2, b.load(address))
    for k in b.loop(fills):
        b.put(values, k, b.v(b.get(places, k)))
    b.put(b.a, 0, b.v(b.dest))


def item(b: EntryWriter) -> None:
    obj = b.v(b.a)
    flags = b.load(_type(b, obj), at.TP_FLAGS)
    as_dict, no_dict, as_list, as_tuple = (b.label(n) for n in ("dict", "nodict", "list", "tuple"))
    b.branch(b.ne(b.binary("and", flags, str(at.DICT)), "0"), as_dict, no_dict)
    b.block(no_dict)
    sequence = b.ne(b.binary("and", flags, str(at.LIST | at.TUPLE)), "0")
    b.need(sequence, "miss")
    size = b.load(obj, at.SIZE)
    index = b.select(b.compare("slt", b.c, "0"), b.add(b.c, size), b.c)
    b.need(b.compare("ult", index, size), "miss")
    b.branch(b.ne(b.binary("and", flags, str(at.LIST)), "0"), as_list, as_tuple)
    b.block(as_list)
    b.set(b.dest, b.get(b.load(obj, at.LIST_ITEMS), index))
    b.goto("next")
    b.block(as_tuple)
    b.set(b.dest, b.get(b.add(obj, str(at.TUPLE_ITEMS)), index))
    b.goto("next")
    b.block(as_dict)
    _dict_get(b, obj)


def _array(b: EntryWriter, obj: str) -> None:
    array = b.load(obj, b.get(b.api, w.A_S_ARRAY))
    b.need(b.eq(_type(b, array), b.get(b.api, w.A_NDARRAY)), "miss")
    b.set(b.dest, array)
    b.set(b.after(b.dest), b.load(array, at.DATA))


def _meta(b: EntryWriter) -> str:
    obj = b.v(b.a)
    b.need(b.eq(_type(b, obj), b.b), "miss")
    b.need(b.eq(b.load(obj, b.get(b.api, w.A_S_META)), b.c), "miss")
    return obj


def meta(b: EntryWriter) -> None:
    _meta(b)


def tensor(b: EntryWriter) -> None:
    _array(b, _meta(b))


def array(b: EntryWriter) -> None:
    _array(b, b.v(b.a))


def like_meta(b: EntryWriter) -> None:
    """V[a] is of type b, its Meta of the kind in list c; its dims and strides go to V[dest + 2] on, and are those in the list
    where that names some."""
    obj = b.v(b.a)
    b.need(b.eq(_type(b, obj), b.b), "miss")
    meta = b.load(obj, b.get(b.api, w.A_S_META))
    b.need(b.eq(b.load(meta, b.get(b.api, w.A_M_KIND)), b.get(b.c, 0)), "miss")
    found = b.add(b.load(meta, b.get(b.api, w.A_M_RAW)), str(at.BYTES))
    wanted, first = b.add(b.c, "16"), b.add(b.dest, "2")
    for i in b.loop(b.get(b.c, 1)):
        n, expected = b.get(found, i), b.get(wanted, i)
        b.set(b.add(first, i), n)
        b.need(b.let(f"or i1 {b.eq(n, expected)}, {b.eq(expected, str(w.WILD))}"), "miss")


def like(b: EntryWriter) -> None:
    like_meta(b)
    _array(b, b.v(b.a))


def same(b: EntryWriter) -> None:
    b.need(b.eq(b.v(b.a), b.v(b.b)), "miss")


def differ(b: EntryWriter) -> None:
    b.need(b.ne(b.v(b.a), b.v(b.b)), "miss")


def at_most(b: EntryWriter) -> None:
    b.need(b.compare("sle", b.v(b.a), b.v(b.b)), "miss")


def less(b: EntryWriter) -> None:
    b.need(b.compare("slt", b.v(b.a), b.v(b.b)), "miss")


def _checked(name: str) -> Callable[[EntryWriter], None]:
    """Arithmetic on two ints, a miss where it overflows."""

    def body(b: EntryWriter) -> None:
        pair = b.let(f"call {{i64, i1}} @llvm.s{name}.with.overflow.i64(i64 {b.v(b.a)}, i64 {b.v(b.b)})")
        over = b.let(f"extractvalue {{i64, i1}} {pair}, 1")
        b.need(b.let(f"xor i1 {over}, true"), "miss")
        b.set(b.dest, b.let(f"extractvalue {{i64, i1}} {pair}, 0"))

    return body


def _double(b: EntryWriter, at: str) -> str:
    return b.let(f"bitcast i64 {b.v(at)} to double")


def _float(name: str) -> Callable[[EntryWriter], None]:
    def body(b: EntryWriter) -> None:
        x, y = _double(b, b.a), _double(b, b.b)
        if name == "fdiv":
            b.need(b.let(f"fcmp une double {y}, 0.0"), "miss")
        b.set(b.dest, b.let(f"bitcast double {b.let(f'{name} double {x}, {y}')} to i64"))

    return body


def to_float(b: EntryWriter) -> None:
    """V[dest] = bits of the int V[a] as a float, which it is exactly."""
    n = b.v(b.a)
    small = b.compare("ule", b.add(n, str(1 << 53)), str(1 << 54))
    b.need(small, "miss")
    b.set(b.dest, b.let(f"bitcast double {b.let(f'sitofp i64 {n} to double')} to i64"))


def sqrt_float(b: EntryWriter) -> None:
    x = _double(b, b.a)
    b.need(b.let(f"fcmp oge double {x}, 0.0"), "miss")
    b.set(b.dest, b.let(f"bitcast double {b.let(f'call double @llvm.sqrt.f64(double {x})')} to i64"))


def _finite(b: EntryWriter, x: str) -> None:
    size = b.let(f"call double @llvm.fabs.f64(double {x})")
    b.need(b.let(f"fcmp one double {size}, 0x7FF0000000000000"), "miss")


def _libm(count: int) -> Callable[[EntryWriter], None]:
    def body(b: EntryWriter) -> None:
        args = [_double(b, at) for at in (b.a, b.b)[:count]]
        for x in args:
            _finite(b, x)
        found = b.let(f"call double {b.pointer(b.c)}({', '.join([f'double {x}' for x in args])})")
        _finite(b, found)
        b.set(b.dest, b.let(f"bitcast double {found} to i64"))

    return body


def positive(b: EntryWriter) -> None:
    b.need(b.let(f"fcmp ogt double {_double(b, b.a)}, 0.0"), "miss")


def _comparing(how: str) -> Callable[[EntryWriter], None]:
    def body(b: EntryWriter) -> None:
        found = b.let(f"fcmp {how} double {_double(b, b.a)}, {_double(b, b.b)}")
        b.need(b.eq(b.let(f"zext i1 {found} to i64"), b.c), "miss")

    return body


def writable(b: EntryWriter) -> None:
    flags = b.load(b.v(b.a), at.FLAGS, "i32")
    b.need(b.ne(b.binary("and", flags, str(at.WRITEABLE)), "0"), "miss")


def type_(b: EntryWriter) -> None:
    b.need(b.eq(_type(b, b.v(b.a)), b.b), "miss")


def is_(b: EntryWriter) -> None:
    b.need(b.eq(b.v(b.a), b.b), "miss")


def _exact(b: EntryWriter, which: int) -> str:
    obj = b.v(b.a)
    b.need(b.eq(_type(b, obj), b.get(b.api, which)), "miss")
    return obj


def float_is(b: EntryWriter) -> None:
    b.need(b.eq(b.load(_exact(b, w.A_FLOAT), at.FLOAT), b.b), "miss")


def float_nan(b: EntryWriter) -> None:
    bits = b.binary("and", b.load(_exact(b, w.A_FLOAT), at.FLOAT), str((1 << 63) - 1))
    b.need(b.compare("ugt", bits, str(0x7FF << 52)), "miss")


def _int(b: EntryWriter) -> str:
    obj = _exact(b, w.A_INT)
    b.put(b.gather, 0, "0")
    value = b.fn(w.A_LONG_AS, obj, b.gather)
    b.need(b.eq(b.get(b.gather, 0), "0"), "miss")  # the overflow flag
    return value


def int_is(b: EntryWriter) -> None:
    b.need(b.eq(_int(b), b.b), "miss")


def equal(b: EntryWriter) -> None:
    """Exact type and ``==`` with object b, which is of a built-in type: no Python code runs."""
    obj = b.v(b.a)
    differs = b.label("differs")
    b.branch(b.eq(obj, b.b), "next", differs)
    b.block(differs)
    b.need(b.eq(_type(b, obj), _type(b, b.b)), "miss")
    b.need(b.eq(b.fn(w.A_EQUAL, obj, b.b, "i32 2", ret="i32"), "1"), "clear")


def length(b: EntryWriter) -> None:
    obj = b.v(b.a)
    flags = b.load(_type(b, obj), at.TP_FLAGS)
    sized, sets = b.label("sized"), b.label("sets")
    b.branch(b.ne(b.binary("and", flags, str(at.DICT | at.LIST | at.TUPLE)), "0"), sized, sets)
    b.block(sized)
    b.need(b.eq(b.load(obj, at.SIZE), b.b), "miss")
    b.goto("next")
    b.block(sets)
    b.need(b.eq(b.fn(w.A_SET_SIZE, obj), b.b), "clear")


def keys(b: EntryWriter) -> None:
    """The keys of dict V[a] are those of tuple b, all of built-in types, in order."""
    obj = b.v(b.a)
    _need_flag(b, obj, at.DICT)
    b.need(b.eq(b.load(obj, at.SIZE), b.load(b.b, at.SIZE)), "miss")
    b.put(b.gather, 0, "0")
    key_at = b.add(b.gather, "8")
    for i in b.loop(b.load(b.b, at.SIZE)):
        b.fn(w.A_DICT_NEXT, obj, b.gather, key_at, "0", ret="i32")
        key, expected = b.get(b.gather, 1), b.get(b.add(b.b, str(at.TUPLE_ITEMS)), i)
        for _ in b.when(b.ne(key, expected)):
            b.need(b.eq(_type(b, key), _type(b, expected)), "miss")
            b.need(b.eq(b.fn(w.A_EQUAL, key, expected, "i32 2", ret="i32"), "1"), "clear")


def lacks(b: EntryWriter) -> None:
    obj = b.v(b.a)
    _need_flag(b, obj, at.DICT)
    b.need(b.eq(b.fn(w.A_DICT_HAS, obj, b.b, ret="i32"), "0"), "clear")


def grad(b: EntryWriter) -> None:
    b.need(b.eq(b.fn(w.A_TSS_GET, b.get(b.api, w.A_GRAD_KEY)), b.b), "miss")


def callee(b: EntryWriter) -> None:
    b.need(b.eq(b.load("%callee", b.a), b.b), "miss")


def _ask(b: EntryWriter, function: str) -> None:
    """Go on where ``function(*arguments)`` is True; an exception of it is the call's."""
    answer = b.vectorcall(function, b.V, b.nparams)
    b.need(b.ne(answer, "0"), "fail")
    b.decref(answer)  # True and False outlive this
    b.need(b.eq(answer, b.get(b.api, w.A_TRUE)), "miss")


def version(b: EntryWriter) -> None:
    """Class a still has version c; else b decides, and writes the new version into this row."""
    changed = b.label("changed")
    b.branch(b.eq(b.load(b.a, at.TP_VERSION, "i32"), b.c), "next", changed)
    b.block(changed)
    _ask(b, b.b)


def callback(b: EntryWriter) -> None:
    _ask(b, b.b)


def remembered(b: EntryWriter) -> None:
    """The things in list a are those for which c agreed the last time and which it wrote down at b; see `_key`. Where Python
    had to be asked everything is looked at again, from so many rows before as the word behind list a says."""
    count, ask = b.get(b.a, 0), b.label("ask")
    for i in b.loop(count):
        b.need(b.eq(_key(b, i), b.get(b.b, i)), ask)
    b.goto("next")
    b.block(ask)
    _ask(b, b.c)
    back = b.get(b.add(b.a, "8"), count)
    b.write(b.pc, b.binary("sub", b.read(b.pc), b.shl(back, "5")))


def pattern(b: EntryWriter) -> None:
    """Two things in list a are the same where their numbers in list b are, and else different."""
    count = b.get(b.a, 0)
    for i in b.loop(count):
        mine, group = _key(b, i), b.get(b.b, i)
        for j in b.loop(i):
            same, wanted = b.eq(_key(b, j), mine), b.eq(b.get(b.b, j), group)
            b.need(b.let(f"icmp eq i1 {same}, {wanted}"), "miss")


def _key(b: EntryWriter, i: str) -> str:
    """What stands for entry i: object V[a[i + 1]], or where dest is 1 its storage; a tensor without one stands for itself."""
    obj = b.v(b.get(b.add(b.a, "8"), i))
    found = b.var("0")
    b.write(found, obj)
    for _ in b.when(b.ne(b.dest, "0")):
        owner = b.load(obj, b.get(b.api, w.A_S_STORAGE))
        none = b.let(f"or i1 {b.eq(owner, '0')}, {b.eq(owner, b.get(b.api, w.A_NONE))}")
        b.write(found, b.select(none, obj, owner))
    return b.read(found)


def float_(b: EntryWriter) -> None:
    b.set(b.dest, b.load(_exact(b, w.A_FLOAT), at.FLOAT))


def int_(b: EntryWriter) -> None:
    b.set(b.dest, _int(b))


def bool_(b: EntryWriter) -> None:
    obj = b.v(b.a)
    yes, no = b.eq(obj, b.get(b.api, w.A_TRUE)), b.eq(obj, b.get(b.api, w.A_FALSE))
    b.need(b.let(f"or i1 {yes}, {no}"), "miss")
    b.set(b.dest, b.let(f"zext i1 {yes} to i64"))


BODIES: dict[str, Callable[[EntryWriter], None]] = {
    "load": load, "field": field, "instance_dict": instance_dict, "dict_get": dict_get,
    "strings": strings, "memo": memo, "learn": learn, "meta": meta, "item": item, "tensor": tensor, "array": array,
    "writable": writable, "like": like, "like_meta": like_meta, "same": same, "differ": differ, "at_most": at_most, "less": less,
    "add_int": _checked("add"), "sub_int": _checked("sub"), "mul_int": _checked("mul"), "to_float": to_float,
    "add_float": _float("fadd"), "sub_float": _float("fsub"), "mul_float": _float("fmul"), "div_float": _float("fdiv"),
    "sqrt_float": sqrt_float, "libm1": _libm(1), "libm2": _libm(2), "positive": positive,
    "less_float": _comparing("olt"), "at_most_float": _comparing("ole"), "same_float": _comparing("oeq"),
    "type": type_, "is": is_, "float_is": float_is, "float_nan": float_nan, "int_is": int_is, "equal": equal,
    "length": length, "keys": keys, "lacks": lacks, "grad": grad, "callee": callee, "version": version,
    "callback": callback, "remembered": remembered, "pattern": pattern, "float": float_, "int": int_, "bool": bool_,
}  # fmt: skip
