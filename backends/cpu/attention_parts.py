"""What attention does to blocks of scores between its products: softmax by columns, its gradient, transposes, dropped weights.

Scores lie with one query a lane and one key a row, so that nothing is summed across lanes. Each function below is LLVM text for
one vector of queries; `ld` is the distance of rows, in elements. Writes text; knows no order of blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import math, philox
from .gemm_tile import Tile, above, add, at, branch, mul, splat, store, when
from .lanes import Lanes
from .real import Real
from .writer import Writer

#: What no score is below, but for those of closed keys.
LOWEST = -3.4e38
UNROLLED = 4


def function(name: str, head: str, scalef: bool = False) -> Writer:
    """An internal function without a result."""
    return Writer(f"define internal void @{name}({head}) noinline", [x.split()[-1] for x in head.split(",")], scalef)


def finished(w: Writer) -> Writer:
    """`w` with its last instruction."""
    w.do("ret void")
    return w


class _Column:
    """Operations on one vector of queries."""

    def __init__(self, w: Writer, t: Tile) -> None:
        self.w, self.t, self.lanes = w, t, Lanes(w, t.lanes)
        self.f = Real(self.lanes, "float")

    def load(self, base: str, index: str = "0") -> str:
        where = at(self.w, self.t, base, index) if index != "0" else base
        return self.w.here(f"load {self.t.vector}, ptr {where}, align 4")

    def store(self, value: str, base: str, index: str = "0") -> None:
        where = at(self.w, self.t, base, index) if index != "0" else base
        self.w.do(f"store {self.t.vector} {value}, ptr {where}, align 4")

    def row(self, index: str) -> str:
        return mul(self.w, index, "%ld")

    def larger(self, a: str, b: str) -> str:
        """The larger one; `b` where one is NaN."""
        return self.f.select(self.f.is_("ogt", a, b), a, b)

    def open(self, row: str) -> str:
        """Lanes whose query sees the key of row `row`: lane >= row + %ahead."""
        n = self.t.lanes
        first = self.lanes.splat(self.w.let(f"trunc i64 {add(self.w, row, '%ahead')} to i32"), "i32")
        return self.w.let(f"icmp sge <{n} x i32> {self.lanes.iota('i32')}, {first}")


# ---- the softmax ---------------------------------------------------------------------------------------------------------
WEIGH = "ptr %s, i64 %ld, i64 %count, i64 %lo, i64 %hi, i64 %ahead, ptr %max, ptr %sum, ptr %alpha, ptr %drop"


def weigh(t: Tile, dropped: bool, scalef: bool) -> Writer:
    """``weigh(s, ld, count, lo, hi, ahead, max, sum, alpha, drop)``: the rows of scores become weights exp(score - max).

    Rows before `lo` are open to all lanes, those from `hi` on to none, between them lane l sees row j where l >= j + ahead.
    `max`, `sum`: of all rows so far, brought up to date; `alpha`: what earlier weights are to be multiplied by. With dropout the
    weights are then multiplied by the rows of `drop`; the sum is of all of them."""
    w = function("weigh", WEIGH, scalef)
    c = _Column(w, t)
    f = c.f
    _closed(c)
    before = c.load("%max")
    whole = w.let(f"and i64 %hi, {-UNROLLED}")
    many = w.open_loop("0", whole, UNROLLED, [(t.vector, before)] * UNROLLED)
    rows = [c.load("%s", c.row(add(w, many.index, str(i)))) for i in range(UNROLLED)]
    tops = w.close_loop(many, [c.larger(x, top) for x, top in zip(rows, many.carried, strict=True)])
    top = c.larger(c.larger(tops[0], tops[1]), c.larger(tops[2], tops[3]))
    one = w.open_loop(whole, "%hi", 1, [(t.vector, top)])
    (top,) = w.close_loop(one, [c.larger(c.load("%s", c.row(one.index)), one.carried[0])])
    alpha = math.exp(f, f.sub(before, top))
    c.store(top, "%max")
    c.store(alpha, "%alpha")
    start = f.mul(c.load("%sum"), alpha)
    each = w.open_loop("0", "%hi", 1, [(t.vector, start)])
    at_row = c.row(each.index)
    weight = math.exp(f, f.sub(c.load("%s", at_row), top))
    kept = f.mul(weight, c.load("%drop", at_row)) if dropped else weight
    c.store(kept, "%s", at_row)
    (total,) = w.close_loop(each, [f.add(each.carried[0], weight)])
    c.store(total, "%sum")
    rest = w.open_loop("%hi", "%count", 1)
    c.store("zeroinitializer", "%s", c.row(rest.index))
    w.close_loop(rest)
    return finished(w)


def _closed(c: _Column) -> None:
    """Scores of keys that a query does not see become -infinity."""
    w = c.w
    j = w.open_loop("%lo", "%hi", 1)
    place = c.row(j.index)
    c.store(c.f.select(c.open(j.index), c.load("%s", place), c.f.c(-float("inf"))), "%s", place)
    w.close_loop(j)


FINISH = "ptr %o, i64 %ld, i64 %count, ptr %max, ptr %sum, ptr %lse"


def finish(t: Tile, scalef: bool) -> Writer:
    """``finish(o, ld, count, max, sum, lse)``: rows of `o` over the sums, zero where no key was open; `lse`: log of the sums of
    exponentials, infinite there."""
    w = function("finish", FINISH, scalef)
    c = _Column(w, t)
    f, total = c.f, c.load("%sum")
    none = f.is_("oeq", total, f.c(0.0))
    c.store(f.select(none, f.c(float("inf")), f.add(c.load("%max"), math.log(f, total))), "%lse")
    factor = f.select(none, f.c(0.0), f.div(f.c(1.0), total))
    _times(c, factor)
    return finished(w)


TIMES = "ptr %o, i64 %ld, i64 %count, ptr %factor"


def times(t: Tile) -> Writer:
    """``times(o, ld, count, factor)``: rows of `o` times `factor`."""
    w = function("times", TIMES)
    c = _Column(w, t)
    _times(c, c.load("%factor"))
    return finished(w)


def _times(c: _Column, factor: str) -> None:
    d = c.w.open_loop("0", "%count", 1)
    c.store(c.f.mul(c.load("%o", c.row(d.index)), factor), "%o", c.row(d.index))
    c.w.close_loop(d)


# ---- its gradient --------------------------------------------------------------------------------------------------------
SLOPE = (
    "ptr %s, ptr %g, i64 %ld, i64 %count, i64 %lo, i64 %hi, i64 %ahead, ptr %lse, ptr %delta, float %scale, ptr %drop"
)  # fmt: skip


def slope(t: Tile, dropped: bool, scalef: bool) -> Writer:
    """``slope(s, g, ld, count, lo, hi, ahead, lse, delta, scale, drop)``: scores become weights (times the rows of `drop`), and
    `g`, what reaches these, the gradient of scores before they are scaled. Rows are open as in `weigh`."""
    w = function("slope", SLOPE, scalef)
    c = _Column(w, t)
    f = c.f
    _closed(c)
    lse, delta, scale = c.load("%lse"), c.load("%delta"), c.lanes.splat("%scale", "float")
    j = w.open_loop("0", "%hi", 1)
    place = c.row(j.index)
    weight = math.exp(f, f.sub(c.load("%s", place), lse))
    reached, kept = c.load("%g", place), weight
    if dropped:
        factor = c.load("%drop", place)
        reached, kept = f.mul(reached, factor), f.mul(weight, factor)
    c.store(kept, "%s", place)
    c.store(f.mul(f.mul(weight, f.sub(reached, delta)), scale), "%g", place)
    w.close_loop(j)
    rest = w.open_loop("%hi", "%count", 1)
    for base in ("%s", "%g"):
        c.store("zeroinitializer", base, c.row(rest.index))
    w.close_loop(rest)
    return finished(w)


# ---- transposes ----------------------------------------------------------------------------------------------------------
TURN = "ptr %s, i64 %si, i64 %sj, i64 %m, i64 %n, ptr %d, i64 %di, i64 %dj, i64 %pad, float %factor"


def turn(t: Tile) -> Writer:
    """``turn(s, si, sj, m, n, d, di, dj, pad, factor)``: d[i * di + j * dj] = factor * s[i * si + j * sj] for i < m, j < n, and
    zero for i from m to `pad`. Whole vectors are turned in registers where sj = di = 1."""
    return _turn(t, "turn", "float")


def turn_bools(t: Tile) -> Writer:
    """``turn_bools``: as `turn`, of bools: 0 where true, -infinity where false; `factor` means nothing."""
    return _turn(t, "turn_bools", "i8")


def _turn(t: Tile, name: str, element: str) -> Writer:
    w = function(name, TURN)
    join = w.fresh("join")
    with branch(w, _both_one(w, "%sj", "%di"), join):
        _turned(w, t, element)
    with w.sometimes():
        _one_by_one(w, t, element)
    w.do(f"br label %{join}")
    w.label(join)
    return finished(w)


def _both_one(w: Writer, a: str, b: str) -> str:
    return w.let(f"and i1 {w.let(f'icmp eq i64 {a}, 1')}, {w.let(f'icmp eq i64 {b}, 1')}")


def _one_by_one(w: Writer, t: Tile, element: str) -> None:
    i = w.open_loop("0", "%m", 1)
    j = w.open_loop("0", "%n", 1)
    place = w.let(f"add i64 {mul(w, i.index, '%si')}, {mul(w, j.index, '%sj')}")
    value = w.here(f"load {element}, ptr {w.let(f'getelementptr {element}, ptr %s, i64 {place}')}")
    if element == "i8":
        opened = w.let(f"icmp ne i8 {value}, 0")
        value = w.let(f"select i1 {opened}, float 0.0, float 0xFFF0000000000000")
    else:
        value = w.let(f"fmul float {value}, %factor")
    to = at(w, t, "%d", w.let(f"add i64 {mul(w, i.index, '%di')}, {mul(w, j.index, '%dj')}"))
    w.do(f"store float {value}, ptr {to}")
    w.close_loop(j)
    w.close_loop(i)
    i = w.open_loop("%m", "%pad", 1)
    j = w.open_loop("0", "%n", 1)
    to = at(w, t, "%d", w.let(f"add i64 {mul(w, i.index, '%di')}, {mul(w, j.index, '%dj')}"))
    w.do(f"store float 0.0, ptr {to}")
    w.close_loop(j)
    w.close_loop(i)


def _turned(w: Writer, t: Tile, element: str) -> None:
    """Squares of as many rows as lanes; rows that are not there are zero and are stored up to `pad` only."""
    n = t.lanes
    end = w.call("i64", "llvm.smax.i64", "i64 %m", "i64 %pad")
    i = w.open_loop("0", end, n)
    rows_left = w.let(f"sub nsw i64 %m, {i.index}")
    there, kept = above(w, t, 0, rows_left), above(w, t, 0, w.let(f"sub nsw i64 {end}, {i.index}"))
    j = w.open_loop("0", "%n", n)
    columns = above(w, t, 0, w.let(f"sub nsw i64 %n, {j.index}"))
    rows = [_row(w, t, element, (i.index, j.index, r), there, columns) for r in range(n)]
    for k, row in enumerate(square(w, t, rows)):
        column = add(w, j.index, str(k))
        with when(w, w.let(f"icmp slt i64 {column}, %n")):
            to = at(w, t, "%d", w.let(f"add i64 {i.index}, {mul(w, column, '%dj')}"))
            store(w, t, row, to, kept)
    w.close_loop(j)
    w.close_loop(i)


def _row(w: Writer, t: Tile, element: str, place: tuple[str, str, int], there: str, columns: str) -> str:
    i, j, r = place
    n = t.lanes
    one = w.let(f"extractelement <{n} x i1> {there}, i64 {r}")
    spread = w.let(f"insertelement <{n} x i1> poison, i1 {one}, i64 0")
    spread = w.let(f"shufflevector <{n} x i1> {spread}, <{n} x i1> poison, <{n} x i32> zeroinitializer")
    mask = w.let(f"and <{n} x i1> {spread}, {columns}")
    index = w.let(f"add i64 {mul(w, add(w, i, str(r)), '%si')}, {j}")
    address = w.let(f"getelementptr {element}, ptr %s, i64 {index}")
    if element == "float":
        value = w.here(_masked(w, t.vector, f"v{n}f32", address, mask))
        return w.let(f"fmul {t.vector} {value}, {splat(w, t, '%factor')}")
    raw = w.here(_masked(w, f"<{n} x i8>", f"v{n}i8", address, mask))
    lanes = Lanes(w, n)
    opened = w.let(f"icmp ne <{n} x i8> {raw}, zeroinitializer")
    return lanes.select(opened, "float", lanes.const(0.0, "float"), lanes.const(-float("inf"), "float"))


def _masked(w: Writer, type_: str, short: str, address: str, mask: str) -> str:
    name = f"llvm.masked.load.{short}.p0"
    lanes, align = type_[1:].split()[0], 1 if "i8" in short else 4
    arguments = f"ptr {address}", f"i32 {align}", f"<{lanes} x i1> {mask}", f"{type_} zeroinitializer"
    w.declare(type_, name, *arguments)
    return f"call {type_} @{name}({', '.join(arguments)})"


def square(w: Writer, t: Tile, rows: Sequence[str]) -> list[str]:
    """As many vectors as lanes, with rows and columns exchanged: blocks of 1, 2, 4 ... lanes change places."""
    n, out, step = t.lanes, list(rows), 1
    while step < n:
        for i in range(n):
            if not i & step:
                a, b = out[i], out[i | step]
                out[i] = _mixed(w, t, a, b, [k if not k & step else n + (k ^ step) for k in range(n)])
                out[i | step] = _mixed(w, t, a, b, [(k ^ step) if not k & step else n + k for k in range(n)])
        step *= 2
    return out


def _mixed(w: Writer, t: Tile, a: str, b: str, order: Sequence[int]) -> str:
    places = ", ".join(f"i32 {k}" for k in order)
    return w.let(f"shufflevector {t.vector} {a}, {t.vector} {b}, <{t.lanes} x i32> <{places}>")


# ---- dropped weights -----------------------------------------------------------------------------------------------------
DROP = "ptr %d, i64 %ld, i64 %count, i64 %first, i64 %keys, ptr %state, float %p, float %factor"


def drop(t: Tile) -> Writer:
    """``drop(d, ld, count, first, keys, state, p, factor)``: rows of 0 or `factor`, for one vector of queries.

    Lane l of row j belongs to element first + l * keys + j of the scores, whose random number decides: it is kept where that
    is not below p. Where rows of scores begin with a block of the stream, its four numbers serve four keys."""
    w = function("drop", DROP)
    lanes = Lanes(w, t.lanes)
    places = [w.let(f"getelementptr i64, ptr %state, i64 {i}") for i in (0, 1)]
    key, counter = (lanes.splat(w.here(f"load i64, ptr {place}"), "i64") for place in places)
    offsets = lanes.op("mul", "i64", lanes.iota(), lanes.splat("%keys", "i64"))
    start = lanes.op("add", "i64", lanes.splat("%first", "i64"), offsets)
    together = w.let(f"or i64 {w.let('or i64 %first, %keys')}, %count")
    join = w.fresh("join")
    with branch(w, w.let(f"icmp eq i64 {w.let(f'and i64 {together}, 3')}, 0"), join):
        j = w.open_loop("0", "%count", 4)
        block = lanes.op("lshr", "i64", lanes.op("add", "i64", start, lanes.splat(j.index, "i64")), lanes.const(2, "i64"))
        (words,) = philox.blocks(lanes, key, [lanes.op("add", "i64", counter, block)])
        for i, word in enumerate(words):
            _keep(w, t, word, add(w, j.index, str(i)))
        w.close_loop(j)
    with w.sometimes():
        _each_drawn(w, t, lanes, key, counter, start)
    w.do(f"br label %{join}")
    w.label(join)
    return finished(w)


def _each_drawn(w: Writer, t: Tile, lanes: Lanes, key: str, counter: str, start: str) -> None:
    j = w.open_loop("0", "%count", 1)
    index = lanes.op("add", "i64", start, lanes.splat(j.index, "i64"))
    block = lanes.op("add", "i64", counter, lanes.op("lshr", "i64", index, lanes.const(2, "i64")))
    (word,) = philox.words(lanes, [(key, block, lanes.op("and", "i64", index, lanes.const(3, "i64")))])
    _keep(w, t, word, j.index)
    w.close_loop(j)


def _keep(w: Writer, t: Tile, word: str, row: str) -> None:
    c = _Column(w, t)
    lanes = c.lanes
    top = lanes.convert("trunc", "i64", "i32", lanes.op("lshr", "i64", word, lanes.const(40, "i64")))
    number = lanes.op("fmul", "float", lanes.convert("uitofp", "i32", "float", top), lanes.const(2.0**-24, "float"))
    kept = lanes.op("fcmp oge", "float", number, lanes.splat("%p", "float"))
    c.store(lanes.select(kept, "float", lanes.splat("%factor", "float"), lanes.const(0.0, "float")), "%d", c.row(row))


