"""The rows of tiles of `gemm_tile` for an A that is read where it lies, each row of unit stride: for few columns, which would
not pay for packing it. Writes LLVM text."""

from __future__ import annotations

from .gemm_tile import Tile, above, at, branch, finish_tile, fma, load, mul, splat, sub
from .writer import Writer

HEAD = "ptr %a, i64 %lda, ptr %b, i64 %bk, i64 %bj, i64 %kc, ptr %c, i64 %ldc, i64 %mr, i64 %nc, i1 %more"
#: columns up to which A is not packed
FEW_COLUMNS = 64
#: rows whose addresses share a register: it, it + lda, it + 2 * lda
_SHARED = 3


def lines_name(t: Tile, rows: int) -> str:
    """The function for `rows` rows."""
    return f"lines{rows}_{t.dtype.short}"


def lines_text(t: Tile, rows: int) -> Writer:
    """``linesN(a, lda, b, ...)``: as `gemm_tile.rows_text`, with element (i, k) of A at a[i * lda + k]. No row behind the last
    of the `mr` is read."""
    w = Writer(f"define internal void @{lines_name(t, rows)}({HEAD})", [x.split()[-1] for x in HEAD.split(",")])
    j = w.open_loop("0", "%nc", t.columns)
    rest, panel = sub(w, "%nc", j.index), at(w, t, "%b", mul(w, j.index, "%bj"))
    place, join = at(w, t, "%c", j.index), w.fresh("join")
    with branch(w, w.let(f"icmp sgt i64 {rest}, {t.lanes}"), join), w.sometimes():
        _tile(w, t, (rows, 2), panel, place, rest)
    with w.sometimes():
        _tile(w, t, (rows, 1), panel, place, rest)
    w.do(f"br label %{join}")
    w.label(join)
    w.close_loop(j)
    w.do("ret void")
    return w


def _tile(w: Writer, t: Tile, shape: tuple[int, int], panel: str, place: str, rest: str) -> None:
    rows, vectors = shape
    masks = [above(w, t, t.lanes * v, rest) for v in range(vectors)]
    zeros = [(t.vector, "zeroinitializer")] * (rows * vectors)
    bases = [at(w, t, "%a", mul(w, "%lda", str(r))) for r in range(0, rows - 1, _SHARED)]
    bases.append(at(w, t, "%a", mul(w, "%lda", sub(w, "%mr", "1"))))
    twice = mul(w, "%lda", "2")
    k = w.open_loop("0", "%kc", 1, [("ptr", panel), *(("ptr", x) for x in bases), *zeros])
    pb, *rest_ = k.carried
    walks, sums = rest_[: len(bases)], rest_[len(bases) :]
    b = [load(w, t, at(w, t, pb, str(t.lanes * v)), masks[v]) for v in range(vectors)]
    following = []
    for r in range(rows):
        offset = ("0", "%lda", twice)[r % _SHARED]
        where = walks[-1] if r == rows - 1 else at(w, t, walks[r // _SHARED], offset)
        a = splat(w, t, w.here(f"load {t.element}, ptr {where}, align {t.align}"))
        following += [fma(w, t, a, b[v], sums[r * vectors + v]) for v in range(vectors)]
    moved = [at(w, t, x, "1") for x in walks]
    sums = w.close_loop(k, [at(w, t, pb, "%bk"), *moved, *following])[1 + len(bases) :]
    finish_tile(w, t, shape, place, masks, sums)


