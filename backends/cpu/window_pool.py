"""Routine "pool": the largest element of every window of a plane, or where it lies. LLVM text and the step.

``pool(args = [x, out], sizes, ...)``: a vector holds neighbouring windows of one row; lanes whose element lies in the padding
are not read. What a window holds is met in row-major order, as the record says of ties and NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir import dtypes
from ...ir.graph import Node, Value
from ...ir.ops.pooling import max_pool_index
from ...ir.plan import BufferView, RoutineStep
from ...ir.sizes import Size
from ...ir.types import numel
from .gemm_pack import masked_load, word
from .gemm_tile import Tile, add, mul, splat, store, sub, tile
from .kinds import Target
from .lanes import suffix
from .module import host_target
from .window_fold import HEAD
from .writer import Writer

#: words
NAMES = (
    "planes", "channels", "example", "channel", "row", "height", "width", "out_height", "out_width", "kernel_y", "kernel_x",
    "stride_y", "stride_x", "padding_y", "padding_x", "dilation_y", "dilation_x",
)  # fmt: skip
#: elements of a plane that the routine can tell apart: it counts them in 32 bits
_PLACES = 1 << 31


def text(words: Sequence[str]) -> str:
    """The module of the routine for words such as ("f32", "64", "value", "2"): dtype, bytes of a vector, whether the element
    or its place is wanted, and the step from window to window in a row (1, 2, or n for any)."""
    t = tile(dtypes.BY_NAME[words[0]], Target(int(words[1]), True))
    if t is None:
        raise ValueError(f"no vectors of {words[1]} bytes of {words[0]}")
    w = Writer(HEAD, ["%args", "%sizes", "%scalars", "%scratch", "%thread", "%threads"])
    s = {name: word(w, i) for i, name in enumerate(NAMES)}
    x, out = (w.let(f"load ptr, ptr {w.let(f'getelementptr ptr, ptr %args, i64 {i}')}, align 8") for i in (0, 1))
    first = w.let(f"udiv i64 {mul(w, s['planes'], '%thread')}, %threads")
    last = w.let(f"udiv i64 {mul(w, s['planes'], add(w, '%thread', '1'))}, %threads")
    plane = w.open_loop(first, last, 1)
    example, channel = (w.let(f"{op} i64 {plane.index}, {s['channels']}") for op in ("udiv", "urem"))
    start = add(w, mul(w, example, s["example"]), mul(w, channel, s["channel"]))
    source = w.let(f"getelementptr {t.element}, ptr {x}, i64 {start}")
    oy = w.open_loop("0", s["out_height"], 1)
    ox = w.open_loop("0", s["out_width"], t.lanes)
    best, place = _window(w, t, s, source, oy.index, ox.index, words[3])
    at = add(w, mul(w, add(w, mul(w, plane.index, s["out_height"]), oy.index), s["out_width"]), ox.index)
    _put(w, t, words[2] == "place", out, at, sub(w, s["out_width"], ox.index), (best, place))
    for loop in (ox, oy, plane):
        w.close_loop(loop)
    w.do("ret i32 0")
    return "\n".join([*(text for _, text in sorted(w.declared.items())), "", w.text(), ""])


def _i32(w: Writer, t: Tile, value: str, step: int = 1, first: int = 0) -> str:
    """Lanes ``value + first + step * lane`` as i32."""
    n = t.lanes
    numbers = ", ".join(f"i32 {first + step * i}" for i in range(n))
    one = w.let(f"insertelement <{n} x i32> poison, i32 {w.let(f'trunc i64 {value} to i32')}, i64 0")
    all_ = w.let(f"shufflevector <{n} x i32> {one}, <{n} x i32> poison, <{n} x i32> zeroinitializer")
    return w.let(f"add <{n} x i32> {all_}, <{numbers}>") if step or first else all_


def _bits(w: Writer, t: Tile, value: str) -> str:
    """An i1 in every lane."""
    n = t.lanes
    one = w.let(f"insertelement <{n} x i1> poison, i1 {value}, i64 0")
    return w.let(f"shufflevector <{n} x i1> {one}, <{n} x i1> poison, <{n} x i32> zeroinitializer")


def _window(w: Writer, t: Tile, s: dict[str, str], source: str, oy: str, ox: str, step: str) -> list[str]:
    """The largest element of each window and its place, over all taps."""
    n = t.lanes
    low = splat(w, t, "0xFFF0000000000000")
    ky = w.open_loop("0", s["kernel_y"], 1, [(t.vector, low), (f"<{n} x i32>", "splat (i32 -1)")], nonempty=True)
    iy = add(w, sub(w, mul(w, oy, s["stride_y"]), s["padding_y"]), mul(w, ky.index, s["dilation_y"]))
    row_ok = w.let(f"icmp ult i64 {iy}, {s['height']}")
    row = w.let(f"getelementptr {t.element}, ptr {source}, i64 {mul(w, iy, s['row'])}")
    carried = list(zip(ky.types, ky.carried, strict=True))
    kx = w.open_loop("0", s["kernel_x"], 1, carried, nonempty=True)
    best, place = kx.carried
    ix = add(w, sub(w, mul(w, ox, s["stride_x"]), s["padding_x"]), mul(w, kx.index, s["dilation_x"]))
    value, inside, column = _read(w, t, s, row, ix, (row_ok, step))
    there = w.let(f"add <{n} x i32> {_i32(w, t, mul(w, iy, s['width']), 0)}, {column}")
    more = w.let(f"fcmp ogt {t.vector} {value}, {best}")
    odd = w.let(f"fcmp uno {t.vector} {value}, {value}")
    fresh = w.let(f"icmp slt <{n} x i32> {place}, zeroinitializer")
    any_ = w.let(f"or <{n} x i1> {w.let(f'or <{n} x i1> {more}, {odd}')}, {fresh}")
    take = w.let(f"and <{n} x i1> {any_}, {inside}")
    best = w.let(f"select <{n} x i1> {take}, {t.vector} {value}, {t.vector} {best}")
    place = w.let(f"select <{n} x i1> {take}, <{n} x i32> {there}, <{n} x i32> {place}")
    return w.close_loop(ky, w.close_loop(kx, [best, place]))


def _read(w: Writer, t: Tile, s: dict[str, str], row: str, ix: str, how: tuple[str, str]) -> tuple[str, str, str]:
    """(elements, which lanes hold one, their columns) of one tap of the windows of a vector."""
    n, (row_ok, step) = t.lanes, how
    width = _i32(w, t, s["width"], 0)
    rows = _bits(w, t, row_ok)

    def within(columns: str) -> str:
        return w.let(f"and <{n} x i1> {w.let(f'icmp ult <{n} x i32> {columns}, {width}')}, {rows}")

    p = w.let(f"getelementptr {t.element}, ptr {row}, i64 {ix}")
    if step == "1":
        columns = _i32(w, t, ix)
        return w.here(masked_load(w, t, f"ptr {p}", f"<{n} x i1> {within(columns)}")), within(columns), columns
    if step == "2":
        columns = _i32(w, t, ix, 2)
        halves = []
        for half in (0, n):
            q = w.let(f"getelementptr {t.element}, ptr {p}, i64 {half}")
            halves.append(w.here(masked_load(w, t, f"ptr {q}", f"<{n} x i1> {within(_i32(w, t, ix, 1, half))}")))
        even = ", ".join(f"i32 {2 * i}" for i in range(n))
        value = w.let(f"shufflevector {t.vector} {halves[0]}, {t.vector} {halves[1]}, <{n} x i32> <{even}>")
        return value, within(columns), columns
    far = w.let(f"mul <{n} x i32> {_i32(w, t, s['stride_x'], 0)}, <{', '.join(f'i32 {i}' for i in range(n))}>")
    columns = w.let(f"add <{n} x i32> {_i32(w, t, ix, 0)}, {far}")
    where = w.let(f"getelementptr {t.element}, ptr {row}, <{n} x i32> {columns}")
    name = f"llvm.masked.gather.{suffix(t.vector)}.v{n}p0"
    arguments = f"<{n} x ptr> {where}", f"i32 {t.align}", f"<{n} x i1> {within(columns)}", f"{t.vector} zeroinitializer"
    w.declare(t.vector, name, *arguments)
    return w.here(f"call {t.vector} @{name}({', '.join(arguments)})"), within(columns), columns


def _put(w: Writer, t: Tile, place: bool, out: str, at: str, left: str, found: tuple[str, str]) -> None:
    n = t.lanes
    mask = w.let(f"icmp slt <{n} x i32> <{', '.join(f'i32 {i}' for i in range(n))}>, {_i32(w, t, left, 0)}")
    if not place:
        store(w, t, found[0], w.let(f"getelementptr {t.element}, ptr {out}, i64 {at}"), mask)
        return
    wide = w.let(f"sext <{n} x i32> {found[1]} to <{n} x i64>")
    name = f"llvm.masked.store.v{n}i64.p0"
    arguments = f"<{n} x i64> {wide}", f"ptr {w.let(f'getelementptr i64, ptr {out}, i64 {at}')}", "i32 8", f"<{n} x i1> {mask}"
    w.declare("void", name, *arguments)
    w.do(f"call void @{name}({', '.join(arguments)})")


def accepts(node: Node) -> bool:
    """f32 and f64 planes of one or two dimensions, fewer than 2^31 elements, whose rows have unit stride."""
    x = node.args[0]
    if not isinstance(x, Value) or len(node.attrs["kernel"]) > 2 or tile(x.dtype, host_target()) is None:
        return False
    plane = numel(x.shape[2:])
    return bool(x.tensor_type.strides[-1] == 1) and not (isinstance(plane, int) and plane >= _PLACES)


def step(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a `max_pool` or `max_pool_index`."""
    x, out, attrs = args[0].type, results[0].type, node.attrs
    flat = len(attrs["kernel"]) == 1

    def two(values: Sequence[Size], missing: int) -> list[Size]:
        return [missing, *values] if flat else list(values)

    lows = [low for low, _ in attrs["padding"]]
    words: list[Size] = [x.shape[0] * x.shape[1], x.shape[1], x.strides[0], x.strides[1], two(x.strides[2:], 0)[0]]
    words += [*two(x.shape[2:], 1), *two(out.shape[2:], 1), *two(attrs["kernel"], 1), *two(attrs["stride"], 1)]
    words += [*two(lows, 0), *two(attrs["dilation"], 1)]
    along = attrs["stride"][-1]
    what = "place" if node.op is max_pool_index else "value"
    name = f"pool {x.dtype.short} {host_target().vector_bytes} {what} {along if along in (1, 2) else 'n'}"
    work = 2 * numel(out.shape) * numel(attrs["kernel"])
    return RoutineStep(name, (args[0],), results, tuple(words), parts=words[0], work=work)
