"""The innermost part of a matrix product: a tile of C in registers, and the rows of tiles that share one packed panel of A.

Writes LLVM text; knows nothing of plans, of packing, or of how the loops around it are cut into blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...ir import dtypes
from ...ir.dtypes import DType
from ...ir.lazyclass import dataclass
from .kinds import Target
from .lanes import ELEMENT, suffix
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Tile:
    """At most `rows` x `columns` elements of C are held in registers; vectors have `lanes` elements of type `element`.

    A panel of A holds `height` elements for each k (rows, then nothing), a panel of B `columns`."""

    dtype: DType
    lanes: int
    rows: int
    vectors: int

    @property
    def element(self) -> str:
        """LLVM's name of an element's type."""
        return ELEMENT[self.dtype]

    @property
    def vector(self) -> str:
        """LLVM's name of a vector's type."""
        return f"<{self.lanes} x {self.element}>"

    @property
    def align(self) -> int:
        """Alignment in bytes that memory of elements has for certain."""
        return self.dtype.itemsize

    @property
    def columns(self) -> int:
        """Columns of a tile."""
        return self.lanes * self.vectors

    @property
    def height(self) -> int:
        """Elements of a packed panel of A for each k."""
        return -(-self.rows // self.lanes) * self.lanes


def tile(dtype: DType, target: Target) -> Tile | None:
    """The tile that fills the registers of `target`; None where there is none: other dtypes, vectors below 32 bytes.

    32 registers of AVX-512 hold 14 x 2 sums, two vectors of B and one element of A; 16 of AVX2 hold 6 x 2."""
    if dtype not in (dtypes.float32, dtypes.float64) or target.vector_bytes < 32:
        return None
    return Tile(dtype, target.vector_bytes // dtype.itemsize, 14 if target.vector_bytes == 64 else 6, 2)


def at(w: Writer, t: Tile, base: str, index: str) -> str:
    """The address of element `index` behind `base`."""
    return w.let(f"getelementptr {t.element}, ptr {base}, i64 {index}")


def mul(w: Writer, a: str, b: str) -> str:
    """a * b of i64."""
    return "0" if "0" in (a, b) else a if b == "1" else b if a == "1" else w.let(f"mul nsw i64 {a}, {b}")


def add(w: Writer, a: str, b: str) -> str:
    """a + b of i64."""
    return b if a == "0" else a if b == "0" else w.let(f"add nsw i64 {a}, {b}")


def sub(w: Writer, a: str, b: str) -> str:
    """a - b of i64."""
    return a if b == "0" else w.let(f"sub nsw i64 {a}, {b}")


def least(w: Writer, a: str, b: str) -> str:
    """The smaller of two i64."""
    return w.call("i64", "llvm.smin.i64", f"i64 {a}", f"i64 {b}")


def above(w: Writer, t: Tile, first: int, count: str) -> str:
    """Which lanes hold one of the first `count` elements, where lane 0 holds element `first`."""
    n = t.lanes
    numbers = ", ".join(f"i64 {first + i}" for i in range(n))
    one = w.let(f"insertelement <{n} x i64> poison, i64 {count}, i64 0")
    all_ = w.let(f"shufflevector <{n} x i64> {one}, <{n} x i64> poison, <{n} x i32> zeroinitializer")
    return w.let(f"icmp slt <{n} x i64> <{numbers}>, {all_}")


def load(w: Writer, t: Tile, address: str, mask: str) -> str:
    """A vector from memory, zero where `mask` is false (nothing is read there)."""
    return w.here(masked_load(w, t, f"ptr {address}", f"<{t.lanes} x i1> {mask}"))


def masked_load(w: Writer, t: Tile, address: str, mask: str) -> str:
    """The instruction that reads a vector; `address` and `mask` with their types."""
    name = f"llvm.masked.load.{suffix(t.vector)}.p0"
    arguments = address, f"i32 {t.align}", mask, f"{t.vector} zeroinitializer"
    w.declare(t.vector, name, *arguments)
    return f"call {t.vector} @{name}({', '.join(arguments)})"


def store(w: Writer, t: Tile, value: str, address: str, mask: str) -> None:
    """A vector to memory, where `mask` is true."""
    name = f"llvm.masked.store.{suffix(t.vector)}.p0"
    arguments = f"{t.vector} {value}", f"ptr {address}", f"i32 {t.align}", f"<{t.lanes} x i1> {mask}"
    w.declare("void", name, *arguments)
    w.do(f"call void @{name}({', '.join(arguments)})")


def prefetch(w: Writer, address: str, purpose: str) -> None:
    """Ask memory for what will soon be read or written there; any address will do."""
    arguments = f"ptr {address}", f"i32 {int(purpose == 'write')}", "i32 3", "i32 1"
    w.declare("void", "llvm.prefetch.p0", *arguments)
    w.do(f"call void @llvm.prefetch.p0({', '.join(arguments)})")


@contextmanager
def branch(w: Writer, condition: str, join: str) -> Iterator[str]:
    """What is written inside runs where the i1 `condition` holds and goes on at block `join`; the text that follows runs where
    it does not, and is to end by going there too."""
    yes, no = w.fresh("yes"), w.fresh("no")
    w.do(f"br i1 {condition}, label %{yes}, label %{no}")
    w.label(yes)
    with w.sometimes():
        yield yes
    w.do(f"br label %{join}")
    w.label(no)


@contextmanager
def when(w: Writer, condition: str) -> Iterator[None]:
    """What is written inside runs where the i1 `condition` holds."""
    join = w.fresh("join")
    with branch(w, condition, join):
        yield
    w.do(f"br label %{join}")
    w.label(join)


#: rows of a panel that there is code for: every other number, so that building it takes half the time
ROW_STEP = 2
ROWS_HEAD = "ptr %a, ptr %b, i64 %bk, i64 %bj, i64 %kc, ptr %c, i64 %ldc, i64 %mr, i64 %nc, i1 %more"


def rows_name(t: Tile, rows: int) -> str:
    """The function that multiplies a panel of A with `rows` rows."""
    return f"rows{rows}_{t.dtype.short}"


def rows_text(t: Tile, rows: int) -> Writer:
    """``rowsN(a, b, bk, bj, kc, c, ldc, mr, nc, more)``: C[0:mr, 0:nc] = (C where `more`) + A @ B over `kc` steps; `mr` is `rows`
    or one less, and then the last row is computed but not written.

    A: element (i, k) at a[k * height + i]. B: element (k, j) at b[(j / columns) * columns * bj + k * bk + j % columns], so that
    packed panels (bk = columns, bj = kc) and rows in memory (bk = their stride, bj = 1) are both walked. A block's sums are
    added up in order of k, and then to C: what C holds at the end hangs on the length of blocks, not on tiles or threads."""
    names = [x.split()[-1] for x in ROWS_HEAD.split(",")]
    w = Writer(f"define internal void @{rows_name(t, rows)}({ROWS_HEAD})", names)
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
    """One tile of `shape` (rows, vectors), of which `rest` columns count. Meanwhile memory is asked for its part of C, and for
    what the tile beside it reads of B."""
    rows, vectors = shape
    masks = [above(w, t, t.lanes * v, rest) for v in range(vectors)]
    zeros = [(t.vector, "zeroinitializer")] * (rows * vectors)
    for r in range(rows):
        row = at(w, t, place, mul(w, "%ldc", str(r)))
        for v in range(vectors):
            prefetch(w, at(w, t, row, str(t.lanes * v)), "write")
    k = w.open_loop("0", "%kc", 1, [("ptr", "%a"), ("ptr", panel), *zeros])
    pa, pb, *sums = k.carried
    beside = at(w, t, pb, mul(w, "%bj", str(t.columns)))
    for v in range(vectors):
        prefetch(w, at(w, t, beside, str(t.lanes * v)), "read")
    b = [load(w, t, at(w, t, pb, str(t.lanes * v)), masks[v]) for v in range(vectors)]
    following = []
    for r in range(rows):
        a = splat(w, t, w.here(f"load {t.element}, ptr {at(w, t, pa, str(r))}, align {t.align}"))
        following += [fma(w, t, a, b[v], sums[r * vectors + v]) for v in range(vectors)]
    sums = w.close_loop(k, [at(w, t, pa, str(t.height)), at(w, t, pb, "%bk"), *following])[2:]
    finish_tile(w, t, shape, place, masks, sums)


def finish_tile(w: Writer, t: Tile, shape: tuple[int, int], place: str, masks: Sequence[str], sums: Sequence[str]) -> None:
    """Writes the sums of a tile to C, or adds them to what it holds where `%more`; of the rows, `%mr` count."""
    rows, vectors = shape
    n = t.lanes
    old = [_where(w, t, "%more", m) for m in masks]
    whole = w.let(f"icmp eq i64 %mr, {rows}")
    for r in range(rows):
        row = at(w, t, place, mul(w, "%ldc", str(r)))
        if r == rows - 1:
            masks, old = ([_where(w, t, whole, m) for m in kept] for kept in (masks, old))
        for v in range(vectors):
            to = at(w, t, row, str(v * n))
            store(w, t, w.let(f"fadd {t.vector} {load(w, t, to, old[v])}, {sums[r * vectors + v]}"), to, masks[v])


def _where(w: Writer, t: Tile, condition: str, mask: str) -> str:
    """`mask` where the i1 `condition` holds, else nothing."""
    n = t.lanes
    one = w.let(f"insertelement <{n} x i1> poison, i1 {condition}, i64 0")
    all_ = w.let(f"shufflevector <{n} x i1> {one}, <{n} x i1> poison, <{n} x i32> zeroinitializer")
    return w.let(f"and <{n} x i1> {mask}, {all_}")


def splat(w: Writer, t: Tile, value: str) -> str:
    """`value` in every lane."""
    one = w.let(f"insertelement {t.vector} poison, {t.element} {value}, i64 0")
    return w.let(f"shufflevector {t.vector} {one}, {t.vector} poison, <{t.lanes} x i32> zeroinitializer")


def fma(w: Writer, t: Tile, a: str, b: str, c: str) -> str:
    """a * b + c, rounded once."""
    return w.call(t.vector, f"llvm.fma.{suffix(t.vector)}", *(f"{t.vector} {x}" for x in (a, b, c)))
