"""A small matrix product for blocks that lie in cache: C (+)= A @ B, A read one element at a time wherever it lies, B in rows.

Writes LLVM text; knows nothing of attention. Attention is five such products with operands as they lie: of A any strides are
taken, because an element of it is spread over a vector anyway.
"""

from __future__ import annotations

from ...ir import dtypes
from ...ir.lazyclass import dataclass
from .gemm_tile import Tile, above, at, branch, fma, load, mul, splat, store, sub
from .kinds import Target
from .writer import Writer

HEAD = "ptr %a, i64 %ai, i64 %ak, ptr %b, i64 %bk, ptr %c, i64 %ldc, i64 %m, i64 %n, i64 %kc, i1 %more"


@dataclass(frozen=True, slots=True)
class Shape:
    """What the registers of a target hold: `tile`, and for each number of vectors a strip may have how many rows."""

    tile: Tile
    rows: dict[int, int]


def shape(target: Target) -> Shape:
    """16 sums hide the time a multiplication takes; powers of two leave few rows over. 16 registers hold 4 x 2 of them."""
    many = target.vector_bytes == 64
    tile = Tile(dtypes.float32, target.vector_bytes // 4, 0, 0)
    return Shape(tile, {4: 4, 2: 8} if many else {2: 4, 1: 8})


def product_text(s: Shape) -> list[Writer]:
    """``block(a, ai, ak, b, bk, c, ldc, m, n, kc, more)``: C[0:m, 0:n] = (C where `more`) + A @ B, sums in order of k.

    A: element (i, k) at a[i * ai + k * ak]; B: element (k, j) at b[k * bk + j]; C: element (i, j) at c[i * ldc + j]."""
    strips = [_strip(s.tile, v, rows) for v, rows in s.rows.items()]
    names = [x.split()[-1] for x in HEAD.split(",")]
    w = Writer(f"define internal void @block({HEAD})", names)
    widest = max(s.rows)
    j = w.open_loop("0", "%n", widest * s.tile.lanes)
    rest = sub(w, "%n", j.index)
    place, panel = at(w, s.tile, "%c", j.index), at(w, s.tile, "%b", j.index)
    join = w.fresh("join")
    for v in sorted(s.rows, reverse=True)[:-1]:
        fits = w.let(f"icmp sgt i64 {rest}, {s.tile.lanes * (v // 2)}")
        with branch(w, fits, join), w.sometimes():
            _call_strip(w, v, panel, place, rest)
    _call_strip(w, min(s.rows), panel, place, rest)
    w.do(f"br label %{join}")
    w.label(join)
    w.close_loop(j)
    w.do("ret void")
    return [*(x for pair in strips for x in pair), w]


def _call_strip(w: Writer, vectors: int, panel: str, place: str, rest: str) -> None:
    w.do(
        f"call void @strip{vectors}(ptr %a, i64 %ai, i64 %ak, ptr {panel}, i64 %bk, ptr {place}, i64 %ldc, i64 %m, i64 {rest},"
        " i64 %kc, i1 %more)"
    )


def _strip(t: Tile, vectors: int, rows: int) -> tuple[Writer, ...]:
    """The function for columns of one strip, and those for its tiles of `rows` rows and of one."""
    names = [x.split()[-1] for x in HEAD.split(",")]
    w = Writer(f"define internal void @strip{vectors}({HEAD})", names)
    sizes = sorted({r for r in (rows, 4, 1) if r <= rows}, reverse=True)
    whole = "0"
    for r in sizes:
        left = sub(w, "%m", whole)
        count = w.let(f"sdiv i64 {left}, {r}") if r > 1 else left
        end = w.let(f"add nsw i64 {whole}, {mul(w, count, str(r))}")
        i = w.open_loop(whole, end, r)
        a, c = at(w, t, "%a", mul(w, i.index, "%ai")), at(w, t, "%c", mul(w, i.index, "%ldc"))
        given = f"ptr {a}, i64 %ai, i64 %ak, ptr %b, i64 %bk, ptr {c}, i64 %ldc, i64 %n, i64 %kc, i1 %more"
        w.do(f"call void @tile{r}x{vectors}({given})")
        w.close_loop(i)
        whole = end
    w.do("ret void")
    return (*(_tile(t, vectors, r) for r in sizes), w)


def _tile(t: Tile, vectors: int, rows: int) -> Writer:
    """One tile in registers; its last vector is the only one that may have fewer than all columns."""
    head = "ptr %a, i64 %ai, i64 %ak, ptr %b, i64 %bk, ptr %c, i64 %ldc, i64 %n, i64 %kc, i1 %more"
    w = Writer(f"define internal void @tile{rows}x{vectors}({head})", [x.split()[-1] for x in head.split(",")])
    masks = [above(w, t, t.lanes * v, "%n") for v in range(vectors)]
    bases = [at(w, t, "%a", mul(w, "%ai", str(r))) for r in range(rows)]
    _sums(w, t, rows, vectors, bases, masks)
    w.do("ret void")
    return w


def _sums(w: Writer, t: Tile, rows: int, vectors: int, bases: list[str], masks: list[str]) -> None:
    zeros = [(t.vector, "zeroinitializer")] * (rows * vectors)
    k = w.open_loop("0", "%kc", 1, [("i64", "0"), ("ptr", "%b"), *zeros])
    step, pb, *sums = k.carried
    b = [_vector(w, t, pb, v, masks) for v in range(vectors)]
    following = []
    for r in range(rows):
        a = splat(w, t, w.here(f"load {t.element}, ptr {at(w, t, bases[r], step)}, align {t.align}"))
        following += [fma(w, t, a, b[v], sums[r * vectors + v]) for v in range(vectors)]
    sums = w.close_loop(k, [w.let(f"add nsw i64 {step}, %ak"), at(w, t, pb, "%bk"), *following])[2:]
    more, plain, done = w.fresh("more"), w.fresh("plain"), w.fresh("done")
    w.do(f"br i1 %more, label %{more}, label %{plain}")
    for label, adds in ((more, True), (plain, False)):
        w.label(label)
        with w.sometimes():
            for n, value in enumerate(sums):
                _put(w, t, value, divmod(n, vectors), masks, adds)
        w.do(f"br label %{done}")
    w.label(done)


def _vector(w: Writer, t: Tile, base: str, v: int, masks: list[str]) -> str:
    """Vector number `v` of a row."""
    return load(w, t, at(w, t, base, str(t.lanes * v)), masks[v])


def _put(w: Writer, t: Tile, value: str, place: tuple[int, int], masks: list[str], adds: bool) -> None:
    """Stores a sum at (row, vector) of C, or adds it to what is there."""
    r, v = place
    row = at(w, t, "%c", mul(w, "%ldc", str(r)))
    value = w.here(f"fadd {t.vector} {_vector(w, t, row, v, masks)}, {value}") if adds else value
    store(w, t, value, at(w, t, row, str(t.lanes * v)), masks[v])
