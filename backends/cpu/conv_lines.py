"""The rows of tiles of `gemm_tile` for an A that is read where it lies: for few columns, which would not pay for packing it,
and for kernels that are read backwards. Writes LLVM text."""

from __future__ import annotations

from ...ir.lazyclass import dataclass
from .gemm_tile import Tile, above, add, at, branch, finish_tile, fma, load, mul, splat, sub
from .writer import Writer

_REST = "ptr %b, i64 %bk, i64 %bj, i64 %kc, ptr %c, i64 %ldc, i64 %mr, i64 %nc, i1 %more"
#: rows whose addresses share a register: it, it + line, it + 2 * line
_SHARED = 3
#: kernels ahead that are asked for: they lie far apart, where the processor does not look by itself
_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Lines:
    """How A is read. Element (i, k) lies at a[i * line + k]; with `turned` k = (channel, tap), and it lies at
    a[channel * whole + i * line + line - 1 - tap], where a kernel has `line` taps. `few`: columns of a block up to which that is
    better than packing; None: any number."""

    few: int | None
    turned: bool = False

    @property
    def head(self) -> str:
        """Arguments before those that the tiles of `gemm_tile` have, too. `k0`: the first step of k."""
        return "ptr %a, i64 %line, i64 %whole, i64 %k0, " + _REST

    def name(self, t: Tile, rows: int) -> str:
        """The function for `rows` rows."""
        return f"lines{rows}_{t.dtype.short}"

    def text(self, t: Tile, rows: int) -> Writer:
        """``linesN(a, line, whole, k0, b, ...)``: as `gemm_tile.rows_text`. No row behind the last of the `mr` is read."""
        w = Writer(f"define internal void @{self.name(t, rows)}({self.head})", [x.split()[-1] for x in self.head.split(",")])
        start = self._start(w, t)
        j = w.open_loop("0", "%nc", t.columns)
        rest, panel = sub(w, "%nc", j.index), at(w, t, "%b", mul(w, j.index, "%bj"))
        place, join = at(w, t, "%c", j.index), w.fresh("join")
        with branch(w, w.let(f"icmp sgt i64 {rest}, {t.lanes}"), join), w.sometimes():
            self._tile(w, t, (rows, 2), start, panel, (place, rest))
        with w.sometimes():
            self._tile(w, t, (rows, 1), start, panel, (place, rest))
        w.do(f"br label %{join}")
        w.label(join)
        w.close_loop(j)
        w.do("ret void")
        return w

    def _start(self, w: Writer, t: Tile) -> tuple[str, str]:
        """(address of the first row at step k0, taps of its kernel that follow)."""
        if not self.turned:
            return at(w, t, "%a", "%k0"), "0"
        channel, tap = (w.let(f"{op} i64 %k0, %line") for op in ("udiv", "urem"))
        left = sub(w, sub(w, "%line", "1"), tap)
        return at(w, t, "%a", add(w, mul(w, channel, "%whole"), left)), left

    def _tile(
        self, w: Writer, t: Tile, shape: tuple[int, int], start: tuple[str, str], panel: str, to: tuple[str, str]
    ) -> None:
        rows, vectors = shape
        masks = [above(w, t, t.lanes * v, to[1]) for v in range(vectors)]
        zeros = [(t.vector, "zeroinitializer")] * (rows * vectors)
        bases = [at(w, t, start[0], mul(w, "%line", str(r))) for r in range(0, rows - 1, _SHARED)]
        bases.append(at(w, t, start[0], mul(w, "%line", sub(w, "%mr", "1"))))
        first = [("ptr", panel), *(("ptr", x) for x in bases), *zeros]
        if self.turned:
            sums = self._kernels(w, t, shape, start[1], first, masks)
        else:
            sums = self._steps(w, t, shape, "%kc", first, masks)[1 + len(bases) :]
        finish_tile(w, t, shape, to[0], masks, sums)

    def _kernels(
        self, w: Writer, t: Tile, shape: tuple[int, int], left: str, first: list[tuple[str, str]], masks: list[str]
    ) -> list[str]:
        """Kernel by kernel, each backwards; `left`: taps of the first one that follow its first step."""
        walks = len(first) - 1 - shape[0] * shape[1]
        whole = add(w, "%kc", sub(w, sub(w, "%line", "1"), left))
        count = w.let(f"udiv i64 {add(w, whole, sub(w, '%line', '1'))}, %line")
        o = w.open_loop("0", count, 1, [("i64", add(w, left, "1")), ("i64", "%kc"), *first])
        taps, rest, *carried = o.carried
        self._ask(w, t, carried[1])
        steps = w.call("i64", "llvm.smin.i64", f"i64 {taps}", f"i64 {rest}")
        made = self._steps(w, t, shape, steps, list(zip([x for x, _ in first], carried, strict=True)), masks)
        far = add(w, "%whole", "%line")
        moved = [at(w, t, x, far) for x in made[1 : 1 + walks]]
        following = ["%line", sub(w, rest, steps), made[0], *moved, *made[1 + walks :]]
        return w.close_loop(o, following)[3 + walks :]

    def _steps(
        self, w: Writer, t: Tile, shape: tuple[int, int], count: str, first: list[tuple[str, str]], masks: list[str]
    ) -> list[str]:
        """`count` steps of k from (panel of B, walks along A, sums), which are returned as they stand then."""
        rows, vectors = shape
        k = w.open_loop("0", count, 1, first, nonempty=self.turned)
        cut = len(first) - rows * vectors
        pb, *walks = k.carried[:cut]
        sums, twice = k.carried[cut:], mul(w, "%line", "2")
        b = [load(w, t, at(w, t, pb, str(t.lanes * v)), masks[v]) for v in range(vectors)]
        following = []
        for r in range(rows):
            where = walks[-1] if r == rows - 1 else at(w, t, walks[r // _SHARED], ("0", "%line", twice)[r % _SHARED])
            a = splat(w, t, w.here(f"load {t.element}, ptr {where}, align {t.align}"))
            following += [fma(w, t, a, b[v], sums[r * vectors + v]) for v in range(vectors)]
        move = "-1" if self.turned else "1"
        return w.close_loop(k, [at(w, t, pb, "%bk"), *(at(w, t, x, move) for x in walks), *following])

    def _ask(self, w: Writer, t: Tile, walk: str) -> None:
        """Asks for the kernels of these rows some channels ahead."""
        ahead = at(w, t, at(w, t, walk, mul(w, "%whole", str(_AHEAD))), sub(w, "1", "%line"))
        line = w.open_loop("0", "%line", 1)
        w.declare("void", "llvm.prefetch.p0", "ptr x", "i32 0", "i32 3", "i32 1")
        w.do(f"call void @llvm.prefetch.p0(ptr {at(w, t, ahead, mul(w, line.index, str(t.lanes)))}, i32 0, i32 3, i32 1)")
        w.close_loop(line)
