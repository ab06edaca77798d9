"""The packing of a convolution's B: windows of an image are read where they lie, no matrix of columns is made. LLVM text.

Element (k, j) of B is ``x[row(k) + lane(j)]``: the sum of an offset by row and one by column, both of which count through four
dimensions of which the last runs fastest. For a convolution rows are (channel, *tap) and columns (example, *pixel); for the
gradient in the weight it is the other way round. Knows nothing of plans; `conv.words` says how the words are made.
"""

from __future__ import annotations

from collections.abc import Iterator

from .gemm_pack import PACK_B_HEAD
from .gemm_tile import Tile
from .lanes import suffix

#: the first word of the packing behind those of the product, its one batch dimension, and of how A is read (`gemm.LINE`)
FIRST = 18
#: for columns and for rows: the sizes of the last three dimensions, the strides of all four (elements of x)
LANE_SIZES, LANE_STRIDES, ROW_SIZES, ROW_STRIDES = FIRST, FIRST + 3, FIRST + 7, FIRST + 10
#: number of these words
COUNT = 14
#: steps of k that the table of offsets has room for
MOST_ROWS = 512
#: runs of columns that are read by code of their own; for more there is a loop
UNROLLED = 2
NAME = "conv_pack"


def text(t: Tile) -> str:
    """The function `NAME` for tile `t`, with the declarations of what it calls."""
    return "\n".join([*_declared(t), *_body(t)])


def _declared(t: Tile) -> Iterator[str]:
    v, n = t.vector, t.lanes
    yield f"declare {v} @llvm.masked.load.{suffix(v)}.p0(ptr, i32, <{n} x i1>, {v})"
    yield f"declare {v} @llvm.masked.gather.{suffix(v)}.v{n}p0(<{n} x ptr>, i32, <{n} x i1>, {v})"
    yield "declare i64 @llvm.smin.i64(i64, i64)"


def _body(t: Tile) -> Iterator[str]:
    n = t.lanes
    yield f"define internal void @{NAME}({PACK_B_HEAD}) {{"
    yield "entry:"
    yield f"  %table = alloca [{MOST_ROWS} x i64], align 64"
    yield f"  %runs = alloca [{n} x i64], align 64"
    yield f"  %masks = alloca [{n} x i64], align 64"
    yield from _words()
    yield from _table()
    yield f"  %padded = add i64 %nc, {t.columns - 1}"
    yield f"  %all = and i64 %padded, {-t.columns}"
    yield "  br label %vectors"
    yield "vectors:"
    yield "  %j = phi i64 [ 0, %table_done ], [ %j_next, %vector_done ]"
    yield f"  %panel = and i64 %j, {-t.columns}"
    yield "  %panel_at = mul i64 %panel, %kc"
    yield f"  %in_panel = and i64 %j, {t.columns - 1}"
    yield "  %to_at = add i64 %panel_at, %in_panel"
    yield f"  %to = getelementptr {t.element}, ptr %dst, i64 %to_at"
    yield from _find_runs(t)
    yield from _switch()
    for step in ("one", "two"):
        for count in range(1, UNROLLED + 1):
            yield from _few_runs(t, step, count)
        yield from _many_runs(t, step)
    yield from _many_runs(t, "any")
    yield "vector_done:"
    yield f"  %j_next = add i64 %j, {n}"
    yield "  %j_more = icmp slt i64 %j_next, %all"
    yield "  br i1 %j_more, label %vectors, label %done"
    yield "done:"
    yield "  ret void"
    yield "}"


def _words() -> Iterator[str]:
    names = [f"{who}{what}{d}" for who in ("lane", "row") for what, ds in (("_n", (1, 2, 3)), ("_s", (0, 1, 2, 3))) for d in ds]
    for i, name in enumerate(names):
        yield f"  %{name}_at = getelementptr i64, ptr %sizes, i64 {FIRST + i}"
        yield f"  %{name} = load i64, ptr %{name}_at, align 8"


def _split(out: str, number: str, who: str) -> Iterator[str]:
    """`out`0 to `out`3: the places of element `number` in the four dimensions."""
    rest = number
    for d in (3, 2, 1):
        yield f"  %{out}{d} = urem i64 {rest}, %{who}_n{d}"
        yield f"  %{out}_rest{d} = udiv i64 {rest}, %{who}_n{d}"
        rest = f"%{out}_rest{d}"
    yield f"  %{out}0 = add i64 {rest}, 0"


def _sum(out: str, who: str, places: str) -> Iterator[str]:
    """`out`: the offset of those places."""
    for d in range(4):
        yield f"  %{out}_p{d} = mul i64 %{places}{d}, %{who}_s{d}"
    yield f"  %{out}_a = add i64 %{out}_p0, %{out}_p1"
    yield f"  %{out}_b = add i64 %{out}_p2, %{out}_p3"
    yield f"  %{out} = add i64 %{out}_a, %{out}_b"


def _step(out: str, who: str, old: str, by: str, first: int) -> Iterator[str]:
    """The places behind `old` when dimension `first` moves on by `by`, carried into the dimensions above."""
    carry = by
    for d in range(first, 0, -1):
        yield f"  %{out}_t{d} = add i64 %{old}{d}, {carry}"
        yield f"  %{out}_c{d} = icmp eq i64 %{out}_t{d}, %{who}_n{d}"
        yield f"  %{out}{d} = select i1 %{out}_c{d}, i64 0, i64 %{out}_t{d}"
        yield f"  %{out}_i{d} = zext i1 %{out}_c{d} to i64"
        carry = f"%{out}_i{d}"
    yield f"  %{out}0 = add i64 %{old}0, {carry}"


def _table() -> Iterator[str]:
    """Offsets of all rows of the block."""
    yield from _split("k_start", "%k0", "row")
    yield "  br label %table_loop"
    yield "table_loop:"
    yield "  %k = phi i64 [ 0, %entry ], [ %k_next, %table_loop ]"
    for d in range(4):
        yield f"  %kp{d} = phi i64 [ %k_start{d}, %entry ], [ %k_new{d}, %table_loop ]"
    yield from _sum("k_off", "row", "kp")
    yield "  %k_at = getelementptr i64, ptr %table, i64 %k"
    yield "  store i64 %k_off, ptr %k_at, align 8"
    yield from _step("k_new", "row", "kp", "1", 3)
    yield "  %k_next = add i64 %k, 1"
    yield "  %k_more = icmp slt i64 %k_next, %kc"
    yield "  br i1 %k_more, label %table_loop, label %table_done"
    yield "table_done:"


def _find_runs(t: Tile) -> Iterator[str]:
    """The columns of a vector as runs along the last dimension: for each where lane 0 would lie, and which lanes it fills."""
    yield "  %left_all = sub i64 %nc, %j"
    yield f"  %left = call i64 @llvm.smin.i64(i64 %left_all, i64 {t.lanes})"
    yield "  %first = add i64 %j0, %j"
    yield from _split("j_start", "%first", "lane")
    yield "  %some = icmp sgt i64 %left, 0"
    yield "  br i1 %some, label %runs_loop, label %runs_done"
    yield "runs_loop:"
    yield "  %r = phi i64 [ 0, %vectors ], [ %r_next, %runs_loop ]"
    yield "  %lane = phi i64 [ 0, %vectors ], [ %lane_next, %runs_loop ]"
    for d in range(4):
        yield f"  %jp{d} = phi i64 [ %j_start{d}, %vectors ], [ %j_new{d}, %runs_loop ]"
    yield "  %room = sub i64 %lane_n3, %jp3"
    yield "  %want = sub i64 %left, %lane"
    yield "  %length = call i64 @llvm.smin.i64(i64 %room, i64 %want)"
    yield from _sum("j_off", "lane", "jp")
    yield "  %back = mul i64 %lane, %lane_s3"
    yield "  %run = sub i64 %j_off, %back"
    yield "  %ones_at = shl i64 1, %length"
    yield "  %ones = sub i64 %ones_at, 1"
    yield "  %mask = shl i64 %ones, %lane"
    yield "  %run_at = getelementptr i64, ptr %runs, i64 %r"
    yield "  store i64 %run, ptr %run_at, align 8"
    yield "  %mask_at = getelementptr i64, ptr %masks, i64 %r"
    yield "  store i64 %mask, ptr %mask_at, align 8"
    yield from _step("j_new", "lane", "jp", "%length", 3)
    yield "  %lane_next = add i64 %lane, %length"
    yield "  %r_next = add i64 %r, 1"
    yield "  %runs_more = icmp slt i64 %lane_next, %left"
    yield "  br i1 %runs_more, label %runs_loop, label %runs_done"
    yield "runs_done:"
    yield "  %count = phi i64 [ 0, %vectors ], [ %r_next, %runs_loop ]"


def _switch() -> Iterator[str]:
    yield "  switch i64 %lane_s3, label %any_many [ i64 1, label %one i64 2, label %two ]"
    for step in ("one", "two"):
        yield f"{step}:"
        cases = " ".join(f"i64 {c}, label %{step}_{c}" for c in range(1, UNROLLED + 1))
        yield f"  switch i64 %count, label %{step}_many [ {cases} ]"


def _few_runs(t: Tile, step: str, count: int) -> Iterator[str]:
    """All rows of a vector of few runs."""
    me = f"{step}_{count}"
    yield f"{me}:"
    for s in range(count):
        yield from _run(f"{me}_{s}", str(s))
        yield from _masks(t, step, f"{me}_{s}")
    yield f"  br label %{me}_loop"
    yield f"{me}_loop:"
    yield f"  %{me}_k = phi i64 [ 0, %{me} ], [ %{me}_next, %{me}_loop ]"
    yield from _row(t, me)
    value = "zeroinitializer"
    for s in range(count):
        yield from _read(t, step, f"{me}_{s}", f"%{me}_from", value)
        value = f"%{me}_{s}_value"
    yield from _put(t, me, value, f"{me}_loop")


def _many_runs(t: Tile, step: str) -> Iterator[str]:
    """All rows of a vector of any number of runs, none included."""
    me = f"{step}_many"
    yield f"{me}:"
    yield f"  br label %{me}_loop"
    yield f"{me}_loop:"
    yield f"  %{me}_k = phi i64 [ 0, %{me} ], [ %{me}_next, %{me}_end ]"
    yield from _row(t, me)
    yield "  " + f"%{me}_none = icmp eq i64 %count, 0"
    yield f"  br i1 %{me}_none, label %{me}_end, label %{me}_run"
    yield f"{me}_run:"
    yield f"  %{me}_s = phi i64 [ 0, %{me}_loop ], [ %{me}_s_next, %{me}_run ]"
    yield f"  %{me}_v = phi {t.vector} [ zeroinitializer, %{me}_loop ], [ %{me}_x_value, %{me}_run ]"
    yield from _run(f"{me}_x", f"%{me}_s")
    yield from _masks(t, step, f"{me}_x")
    yield from _read(t, step, f"{me}_x", f"%{me}_from", f"%{me}_v")
    yield f"  %{me}_s_next = add i64 %{me}_s, 1"
    yield f"  %{me}_s_more = icmp slt i64 %{me}_s_next, %count"
    yield f"  br i1 %{me}_s_more, label %{me}_run, label %{me}_end"
    yield f"{me}_end:"
    yield f"  %{me}_value = phi {t.vector} [ zeroinitializer, %{me}_loop ], [ %{me}_x_value, %{me}_run ]"
    yield from _put(t, me, f"%{me}_value", f"{me}_loop")


def _row(t: Tile, me: str) -> Iterator[str]:
    yield f"  %{me}_off_at = getelementptr i64, ptr %table, i64 %{me}_k"
    yield f"  %{me}_off = load i64, ptr %{me}_off_at, align 8"
    yield f"  %{me}_from = getelementptr {t.element}, ptr %b, i64 %{me}_off"


def _put(t: Tile, me: str, value: str, again: str) -> Iterator[str]:
    yield f"  %{me}_at = mul i64 %{me}_k, {t.columns}"
    yield f"  %{me}_to = getelementptr {t.element}, ptr %to, i64 %{me}_at"
    yield f"  store {t.vector} {value}, ptr %{me}_to, align {t.align}"
    yield f"  %{me}_next = add i64 %{me}_k, 1"
    yield f"  %{me}_more = icmp slt i64 %{me}_next, %kc"
    yield f"  br i1 %{me}_more, label %{again}, label %vector_done"


def _run(name: str, number: str) -> Iterator[str]:
    """Offset and lanes of run `number`."""
    for what in ("run", "mask"):
        yield f"  %{name}_{what}_at = getelementptr i64, ptr %{what}s, i64 {number}"
        yield f"  %{name}_{what} = load i64, ptr %{name}_{what}_at, align 8"


def _lanes(t: Tile, name: str, bits: str) -> Iterator[str]:
    yield f"  %{name}_bits = trunc i64 {bits} to i{t.lanes}"
    yield f"  %{name} = bitcast i{t.lanes} %{name}_bits to <{t.lanes} x i1>"


def _masks(t: Tile, step: str, name: str) -> Iterator[str]:
    """The lanes of a run as vectors: its own, and with step two those of the two vectors that hold every second element."""
    yield from _lanes(t, f"{name}_lanes", f"%{name}_mask")
    if step == "any":
        n = t.lanes
        numbers = ", ".join(f"i64 {i}" for i in range(n))
        yield f"  %{name}_one = insertelement <{n} x i64> poison, i64 %lane_s3, i64 0"
        yield f"  %{name}_all = shufflevector <{n} x i64> %{name}_one, <{n} x i64> poison, <{n} x i32> zeroinitializer"
        yield f"  %{name}_far = mul <{n} x i64> %{name}_all, <{numbers}>"
    if step == "two":
        bits = f"%{name}_mask"
        for k, (by, keep) in enumerate(((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555))):
            yield f"  %{name}_sh{k} = shl i64 {bits}, {by}"
            yield f"  %{name}_or{k} = or i64 {bits}, %{name}_sh{k}"
            yield f"  %{name}_and{k} = and i64 %{name}_or{k}, {keep}"
            bits = f"%{name}_and{k}"
        yield from _lanes(t, f"{name}_low", bits)
        yield f"  %{name}_upper = lshr i64 {bits}, {t.lanes}"
        yield from _lanes(t, f"{name}_high", f"%{name}_upper")


def _read(t: Tile, step: str, name: str, base: str, old: str) -> Iterator[str]:
    """The vector `old` with the lanes of a run read from memory."""
    v, n = t.vector, t.lanes
    yield f"  %{name}_p = getelementptr {t.element}, ptr {base}, i64 %{name}_run"
    if step == "any":
        yield f"  %{name}_ps = getelementptr {t.element}, ptr %{name}_p, <{n} x i64> %{name}_far"
        arguments = f"<{n} x ptr> %{name}_ps, i32 {t.align}, <{n} x i1> %{name}_lanes, {v} {old}"
        yield f"  %{name}_value = call {v} @llvm.masked.gather.{suffix(v)}.v{n}p0({arguments})"
        return
    load = f"call {v} @llvm.masked.load.{suffix(v)}.p0(ptr %{name}_p, i32 {t.align}, <{n} x i1>"
    if step == "one":
        yield f"  %{name}_value = {load} %{name}_lanes, {v} {old})"
        return
    yield f"  %{name}_a = {load} %{name}_low, {v} zeroinitializer)"
    yield f"  %{name}_q = getelementptr {t.element}, ptr %{name}_p, i64 {n}"
    yield f"  %{name}_b = {load.replace(f'%{name}_p,', f'%{name}_q,')} %{name}_high, {v} zeroinitializer)"
    even = ", ".join(f"i32 {2 * i}" for i in range(n))
    yield f"  %{name}_both = shufflevector {v} %{name}_a, {v} %{name}_b, <{n} x i32> <{even}>"
    yield f"  %{name}_value = select <{n} x i1> %{name}_lanes, {v} %{name}_both, {v} {old}"
