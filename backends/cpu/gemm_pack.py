"""Packing: copies blocks of A and B, whatever their strides, into the order in which the tiles of `gemm_tile` read them.

Writes LLVM text. What packs is a parameter of the driver in `gemm`: these are the packings of a plain matrix.
"""

from __future__ import annotations

from .gemm_tile import Tile, above, add, at, branch, least, load, masked_load, mul, store, sub, when
from .lanes import suffix
from .writer import Writer

#: words of a product's sizes (see `gemm.WORDS`) that say how A and B lie
A_ROW, A_COL, B_ROW, B_COL = 3, 4, 5, 6
STRIP_HEAD = "ptr %src, i64 %line, i64 %step, i64 %count, i64 %kc, ptr %dst, i64 %to"
#: what the driver hands to the function that packs rows i0 to i0 + mr of A, whose matrix begins at `a`: element (i, k) goes to
#: dst[k * height + i]
PACK_A_HEAD = "ptr %a, ptr %args, ptr %sizes, i64 %batch, i64 %i0, i64 %mr, i64 %k0, i64 %kc, ptr %dst"
#: the same for columns j0 to j0 + nc of B: element (k, j) goes to dst[(j / columns) * columns * kc + k * columns + j % columns]
PACK_B_HEAD = "ptr %b, ptr %args, ptr %sizes, i64 %batch, i64 %k0, i64 %kc, i64 %j0, i64 %nc, ptr %dst"


def _names(head: str) -> list[str]:
    return [x.split()[-1] for x in head.split(",")]


def pack_texts(t: Tile) -> list[Writer]:
    """All functions of this file for one tile."""
    return [_copied(t), _turned(t), _gathered(t), _strip(t), _rows(t), _panel_a(t), _block_b(t)]


def _end(w: Writer) -> Writer:
    w.do("ret void")
    return w


def _copied(t: Tile) -> Writer:
    """A strip whose lines lie side by side: dst[k * to + i] = src[k * step + i]."""
    w = Writer(f"define internal void @copied_{t.dtype.short}({STRIP_HEAD})", _names(STRIP_HEAD))
    mask = above(w, t, 0, "%count")
    k = w.open_loop("0", "%kc", 1)
    value = load(w, t, at(w, t, "%src", mul(w, k.index, "%step")), mask)
    w.do(f"store {t.vector} {value}, ptr {at(w, t, '%dst', mul(w, k.index, '%to'))}, align {t.align}")
    w.close_loop(k)
    return _end(w)


def _gathered(t: Tile) -> Writer:
    """A strip of any strides."""
    w = Writer(f"define internal void @gathered_{t.dtype.short}({STRIP_HEAD})", _names(STRIP_HEAD))
    n, pointers = t.lanes, f"<{t.lanes} x ptr>"
    mask, numbers = above(w, t, 0, "%count"), ", ".join(f"i64 {i}" for i in range(n))
    one = w.let(f"insertelement <{n} x i64> poison, i64 %line, i64 0")
    lines = w.let(f"shufflevector <{n} x i64> {one}, <{n} x i64> poison, <{n} x i32> zeroinitializer")
    far = w.let(f"mul <{n} x i64> {lines}, <{numbers}>")
    k = w.open_loop("0", "%kc", 1)
    where = w.let(f"getelementptr {t.element}, ptr {at(w, t, '%src', mul(w, k.index, '%step'))}, <{n} x i64> {far}")
    name = f"llvm.masked.gather.{suffix(t.vector)}.v{n}p0"
    arguments = f"{pointers} {where}", f"i32 {t.align}", f"<{n} x i1> {mask}", f"{t.vector} zeroinitializer"
    w.declare(t.vector, name, *arguments)
    value = w.here(f"call {t.vector} @{name}({', '.join(arguments)})")
    w.do(f"store {t.vector} {value}, ptr {at(w, t, '%dst', mul(w, k.index, '%to'))}, align {t.align}")
    w.close_loop(k)
    return _end(w)


def _turned(t: Tile) -> Writer:
    """A strip whose lines have unit stride along k, as squares of `lanes` x `lanes` turned in registers. The last square is
    written whole: behind the strip there must be room for it, or what is packed later."""
    w = Writer(f"define internal void @turned_{t.dtype.short}({STRIP_HEAD})", _names(STRIP_HEAD))
    n = t.lanes
    last = sub(w, "%count", "1")
    lines = [at(w, t, "%src", mul(w, least(w, str(i), last), "%line")) for i in range(n)]
    k = w.open_loop("0", "%kc", n)
    mask = above(w, t, 0, sub(w, "%kc", k.index))
    values = [load(w, t, at(w, t, line, k.index), mask) for line in lines]
    for i, value in enumerate(_transposed(w, t, values)):
        place = at(w, t, "%dst", mul(w, add(w, k.index, str(i)), "%to"))
        w.do(f"store {t.vector} {value}, ptr {place}, align {t.align}")
    w.close_loop(k)
    return _end(w)


def _transposed(w: Writer, t: Tile, values: list[str]) -> list[str]:
    """Lanes and vectors exchanged: at each turn, blocks of half the size off the diagonal change places."""
    n, half = t.lanes, t.lanes // 2
    values = list(values)
    while half:
        upper = [i if not i & half else n + i - half for i in range(n)]
        lower = [i + half if not i & half else n + i for i in range(n)]
        for i in [i for i in range(n) if not i & half]:
            a, b = values[i], values[i + half]
            for to, order in ((i, upper), (i + half, lower)):
                places = ", ".join(f"i32 {x}" for x in order)
                values[to] = w.let(f"shufflevector {t.vector} {a}, {t.vector} {b}, <{n} x i32> <{places}>")
        half //= 2
    return values


def _strip(t: Tile) -> Writer:
    """One strip of `lanes` lines, of which `count` are there: element (k, i) at src[i * line + k * step] -> dst[k * to + i]."""
    w = Writer(f"define internal void @strip_{t.dtype.short}({STRIP_HEAD})", _names(STRIP_HEAD))
    for condition, how in (("%line, 1", "copied"), ("%step, 1", "turned"), ("", "gathered")):
        call = f"call void @{how}_{t.dtype.short}({STRIP_HEAD})"
        if not condition:
            w.do(call)
            continue
        with when(w, w.here(f"icmp eq i64 {condition}")):
            w.do(call)
            w.do("ret void")
            w.label(w.fresh("dead"))
    return _end(w)


def _rows(t: Tile) -> Writer:
    """A block of B whose rows have unit stride, walked in the order of memory."""
    head = "ptr %src, i64 %step, i64 %kc, i64 %nc, ptr %dst"
    w = Writer(f"define internal void @block_{t.dtype.short}({head})", _names(head))
    panel = mul(w, "%kc", str(t.columns))
    k = w.open_loop("0", "%kc", 1)
    line = at(w, t, "%src", mul(w, k.index, "%step"))
    to = at(w, t, "%dst", mul(w, k.index, str(t.columns)))
    j = w.open_loop("0", "%nc", t.columns, [("ptr", to)])
    rest = sub(w, "%nc", j.index)
    for v in range(t.vectors):
        value = load(w, t, at(w, t, at(w, t, line, j.index), str(v * t.lanes)), above(w, t, v * t.lanes, rest))
        w.do(f"store {t.vector} {value}, ptr {at(w, t, j.carried[0], str(v * t.lanes))}, align {t.align}")
    w.close_loop(j, [at(w, t, j.carried[0], panel)])
    w.close_loop(k)
    return _end(w)


def word(w: Writer, index: int, table: str = "%sizes") -> str:
    """Word `index` of a table of i64 that does not change."""
    place = w.let(f"getelementptr i64, ptr {table}, i64 {index}")
    return w.let(f"load i64, ptr {place}, align 8")


def _panel_a(t: Tile) -> Writer:
    """The packing of a plain A."""
    w = Writer(f"define internal void @pack_a_{t.dtype.short}({PACK_A_HEAD})", _names(PACK_A_HEAD))
    row, col = word(w, A_ROW), word(w, A_COL)
    src = at(w, t, at(w, t, "%a", mul(w, "%i0", row)), mul(w, "%k0", col))
    s = w.open_loop("0", "%mr", t.lanes)
    from_, to = at(w, t, src, mul(w, s.index, row)), at(w, t, "%dst", s.index)
    count = least(w, sub(w, "%mr", s.index), str(t.lanes))
    w.do(
        f"call void @strip_{t.dtype.short}(ptr {from_}, i64 {row}, i64 {col}, i64 {count}, i64 %kc, ptr {to}, i64 {t.height})"
    )
    w.close_loop(s)
    return _end(w)


def _block_b(t: Tile) -> Writer:
    """The packing of a plain B."""
    w = Writer(f"define internal void @pack_b_{t.dtype.short}({PACK_B_HEAD})", _names(PACK_B_HEAD))
    row, col = word(w, B_ROW), word(w, B_COL)
    src = at(w, t, at(w, t, "%b", mul(w, "%k0", row)), mul(w, "%j0", col))
    join = w.fresh("join")
    with branch(w, w.here(f"icmp eq i64 {col}, 1"), join):
        w.do(f"call void @block_{t.dtype.short}(ptr {src}, i64 {row}, i64 %kc, i64 %nc, ptr %dst)")
    j = w.open_loop("0", "%nc", t.lanes)
    from_ = at(w, t, src, mul(w, j.index, col))
    panel = w.let(f"and i64 {j.index}, {-t.columns}")
    to = at(w, t, at(w, t, "%dst", mul(w, panel, "%kc")), w.let(f"and i64 {j.index}, {t.columns - 1}"))
    count = least(w, sub(w, "%nc", j.index), str(t.lanes))
    w.do(f"call void @strip_{t.dtype.short}(ptr {from_}, i64 {col}, i64 {row}, i64 {count}, i64 %kc, ptr {to}, i64 {t.columns})")
    w.close_loop(j)
    w.do(f"br label %{join}")
    w.label(join)
    return _end(w)


__all__ = ["PACK_A_HEAD", "PACK_B_HEAD", "masked_load", "pack_texts", "store", "word"]
