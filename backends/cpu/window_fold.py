"""Routine "fold": adds columns up where their windows lie. LLVM text and the step; scalar code, since few pixels are folded.

``fold(args = [columns, out], sizes, ...)``: for each plane (example, channel) the parts of this thread are zeroed, then every
tap of every pixel is added where it lies inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir import dtypes
from ...ir.graph import Node, Value
from ...ir.ops.convolution import result_sizes
from ...ir.plan import BufferView, RoutineStep
from ...ir.sizes import Size
from ...ir.types import numel
from .gemm_pack import word
from .gemm_tile import add, mul, sub, when
from .lanes import ELEMENT
from .writer import Loop, Writer

#: words: planes, channels, strides of an example, a pixel and a channel in the columns; then for each of three dimensions
#: what `DIM` names
PLANES, CHANNELS, EXAMPLE, PIXEL, CHANNEL, FIRST = 0, 1, 2, 3, 4, 5
DIM = ("size", "out", "kernel", "stride", "padding", "dilation")
HEAD = "define i32 @routine(ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %thread, i64 %threads)"


def text(words: Sequence[str]) -> str:
    """The module of the routine for words such as ("f32",)."""
    element = ELEMENT[dtypes.BY_NAME[words[0]]]
    w = Writer(HEAD, ["%args", "%sizes", "%scalars", "%scratch", "%thread", "%threads"])
    dims = [{name: word(w, FIRST + len(DIM) * d + i) for i, name in enumerate(DIM)} for d in range(3)]
    planes, channels = word(w, PLANES), word(w, CHANNELS)
    columns, out = (w.let(f"load ptr, ptr {w.let(f'getelementptr ptr, ptr %args, i64 {i}')}, align 8") for i in (0, 1))
    first = w.let(f"udiv i64 {mul(w, planes, '%thread')}, %threads")
    last = w.let(f"udiv i64 {mul(w, planes, add(w, '%thread', '1'))}, %threads")
    area = mul(w, mul(w, dims[0]["size"], dims[1]["size"]), dims[2]["size"])
    plane = w.open_loop(first, last, 1)
    to = w.let(f"getelementptr {element}, ptr {out}, i64 {mul(w, plane.index, area)}")
    zero = w.open_loop("0", area, 1)
    w.do(f"store {element} 0.0, ptr {w.let(f'getelementptr {element}, ptr {to}, i64 {zero.index}')}, align 4")
    w.close_loop(zero)
    example, channel = (w.let(f"{op} i64 {plane.index}, {channels}") for op in ("udiv", "urem"))
    start = add(w, mul(w, example, word(w, EXAMPLE)), mul(w, channel, word(w, CHANNEL)))
    _pixels(w, element, dims, w.let(f"getelementptr {element}, ptr {columns}, i64 {start}"), to)
    w.close_loop(plane)
    w.do("ret i32 0")
    return "\n".join([*(text for _, text in sorted(w.declared.items())), "", w.text(), ""])


def _pixels(w: Writer, element: str, dims: list[dict[str, str]], source: str, to: str) -> None:
    loops: list[Loop] = []
    number, corners = "0", []
    for d in dims:
        loop = w.open_loop("0", d["out"], 1)
        loops.append(loop)
        number = add(w, mul(w, number, d["out"]), loop.index)
        corners.append(sub(w, mul(w, loop.index, d["stride"]), d["padding"]))
    pixel = w.let(f"getelementptr {element}, ptr {source}, i64 {mul(w, number, word(w, PIXEL))}")
    _taps(w, element, dims, corners, pixel, to)
    for loop in reversed(loops):
        w.close_loop(loop)


def _taps(w: Writer, element: str, dims: list[dict[str, str]], corners: list[str], pixel: str, to: str, depth: int = 0,
          tap: str = "0", place: str = "0") -> None:  # fmt: skip
    """Loops over taps, each dimension's inside of the test that the one above lies in the plane."""
    if depth == len(dims):
        source, target = (w.let(f"getelementptr {element}, ptr {p}, i64 {i}") for p, i in ((pixel, tap), (to, place)))
        value, old = (w.here(f"load {element}, ptr {p}, align 4") for p in (source, target))
        w.do(f"store {element} {w.here(f'fadd {element} {old}, {value}')}, ptr {target}, align 4")
        return
    d = dims[depth]
    loop = w.open_loop("0", d["kernel"], 1)
    at = add(w, corners[depth], mul(w, loop.index, d["dilation"]))
    with when(w, w.let(f"icmp ult i64 {at}, {d['size']}")):
        _taps(w, element, dims, corners, pixel, to, depth + 1, add(w, mul(w, tap, d["kernel"]), loop.index),
              add(w, mul(w, place, d["size"]), at))  # fmt: skip
    w.close_loop(loop)


def accepts(node: Node) -> bool:
    """f32 and f64 columns, side by side, of at most three dimensions."""
    columns = node.args[0]
    beside = isinstance(columns, Value) and columns.tensor_type.strides[-1] == 1
    return beside and node.results[0].dtype in (dtypes.float32, dtypes.float64) and len(node.attrs["kernel"]) <= 3


def step(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a `conv_fold`."""
    columns, attrs = args[0].type, node.attrs
    kernel, shape = attrs["kernel"], attrs["shape"]
    out = result_sizes(shape, kernel, attrs["stride"], attrs["padding"], attrs["dilation"])
    n, c = results[0].type.shape[:2]
    example, pixel, each = columns.strides
    words: list[Size] = [n * c, c, example, pixel, each * numel(kernel)]
    missing = 3 - len(kernel)
    words += [1, 1, 1, 1, 0, 1] * missing
    for d in zip(shape, out, kernel, attrs["stride"], attrs["padding"], attrs["dilation"], strict=True):
        words += d
    work = 8 * numel(columns.shape)
    return RoutineStep(f"fold {results[0].type.dtype.short}", (args[0],), results, tuple(words), parts=n * c, work=work)
