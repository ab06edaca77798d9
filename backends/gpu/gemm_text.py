"""The text of the matrix product: tiles of the result, each with a loop over the depth, and an epilogue printed into it.

`Product`: one program for each tile, operands read by pointers. `Mapped`: as many programs as there are processors, each walking
over tiles, operands copied box by box by the hardware (TMA), which fills with zeros what lies outside.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field

from ... import knobs
from ...ir import dtypes, sizes
from ...ir.dtypes import DType
from ...ir.plan import RoutineStep
from ...ir.sizes import Size
from ..products import is_number
from . import gemm, scalar
from .epilogue import Epilogue
from .gemm import (
    A_DEEP,
    A_ROW,
    B_COLUMN,
    B_DEEP,
    BATCH,
    C_COLUMN,
    C_ROW,
    COLUMNS,
    DEPTH,
    EACH,
    NAMES,
    ROWS,
    TOTAL,
    Tile,
)  # fmt: skip
from .kernel import Parameter, TensorMap
from .prologue import begun_loop
from .triton import HEAD, POINTER

SHAPE = (ROWS, COLUMNS, DEPTH)
_WHOLE = {"(begin + deep[None, :])": "deep[None, :]", "(begin + deep[:, None])": "deep[:, None]", "(begin, end": "(0, K"}
_PART = """\
    part = program % PARTS
    program = program // PARTS
    begin = part * SHARE
    end = tl.minimum(K, begin + SHARE)"""
_SUM = """\
    for part in range(0, PARTS):
        acc += tl.load(part_ptr + {place}, mask=row_mask & column_mask, other=0)"""
_ONE_BY_ONE = """\
    for k in range(begin, end):
        left = tl.load(a_ptr + row_in * a_row + k * a_deep)
        right = tl.load(b_ptr + k * b_deep + column_in * b_column)
        acc += left * right"""
_TILES = """\
    deep = tl.arange(0, BK)
    a_at = a_ptr + row_in * a_row + (begin + deep[None, :]) * a_deep
    b_at = b_ptr + (begin + deep[:, None]) * b_deep + column_in * b_column
    for k in range(begin, end, BK):
        if EVEN:
            left = tl.load(a_at)
            right = tl.load(b_at)
        else:
            left = tl.load(a_at, mask=deep[None, :] < K - k, other=0.0)
            right = tl.load(b_at, mask=deep[:, None] < K - k, other=0.0)
        acc = tl.dot(left, right, acc, input_precision={precision})
        a_at += BK * a_deep
        b_at += BK * b_deep"""
_MAPPED = """\
    for k in range(0, K, BK):
        acc = tl.dot({left}, {right}, acc)"""
_TILE_BY_TILE = """\
    tiles_down = tl.cdiv(M, BM)
    tiles_across = tl.cdiv(N, BN)
    for program in tl.range(tl.program_id(0), tiles_down * tiles_across{times}, PROGRAMS, flatten=True):"""
_ITEM = """\
    item = program // (tiles_down * tiles_across)
    inside = program % (tiles_down * tiles_across)"""
_PLACE = """\
    program = tl.program_id(0)
    tiles_down = tl.cdiv(M, BM)
    tiles_across = tl.cdiv(N, BN)"""
_NUMBER = "    product = item.to(tl.int64)"
_ORDER = """\
    band = GROUP * tiles_across
    first = program // band * GROUP
    height = tl.minimum(tiles_down - first, GROUP)
    down = first + program % band % height
    across = program % band // height
    row = (down * BM + tl.arange(0, BM))[:, None].to(tl.int64)
    column = (across * BN + tl.arange(0, BN))[None, :].to(tl.int64)
    row_mask = row < M
    column_mask = column < N"""
_HALVES = """\
    lower, upper = acc.reshape(BM, 2, BN // 2).permute(0, 2, 1).split()
    for half in tl.static_range(2):
        if half == 0:
            part = lower
        else:
            part = upper
        column = (across * BN + half * (BN // 2) + tl.arange(0, BN // 2))[None, :].to(tl.int64)
        column_mask = column < N"""
#: sums that a thread holds from which on an epilogue is run on half of them at a time: both together do not fit its registers
_FULL = 128
_INSIDE = """\
    row_in = row % M
    column_in = column % N"""


def precision(dtype: DType) -> str:
    """How Triton may multiply: float32 with all its bits, unless the user allowed 10 (knob tf32); and what it sums up in, where
    that is not float32."""
    if dtype is dtypes.float64:
        return '"ieee", out_dtype=tl.float64'
    return '"tf32"' if knobs.tf32 and dtype is dtypes.float32 else '"ieee"'


@dataclass
class Product:
    """Prints one product. `even`: the depth is a multiple of the tile's. `stage`: "whole"; or "parts", programs that each do a
    share of the depth and leave their sums in scratch memory, and "total", which adds those up and goes on with the result."""

    step: RoutineStep
    tile: Tile
    even: bool
    signature: dict[str, str] = field(default_factory=dict)
    params: list[Parameter] = field(default_factory=list)
    ones: list[str] = field(default_factory=list)
    skipped: frozenset[str] = frozenset()
    stage: str = "whole"

    @property
    def dtype(self) -> DType:
        """Of the operands and the result."""
        return gemm.dtype_of(self.step)

    def source(self) -> str:
        """The text; `signature` and `params` are there behind it."""
        if self.stage != "total":
            for view, name in enumerate(("a_ptr", "b_ptr")):
                if self.step.args[view] is not None:
                    self._pointer(name, view)
        if self.stage != "whole":
            self.signature["part_ptr"] = POINTER[self._wide.name]
            self.params.append(Parameter("scratch", 0))
        if self.stage != "parts":
            self._result()
        self._words()
        lines = [_PLACE, *([_PART] if self.stage == "parts" else []), *self._batch(), _ORDER, _INSIDE, self._start()]
        blocks = ["BM", "BN", "BK", "GROUP", "EVEN", *([] if self.stage == "whole" else ["PARTS", "SHARE"])]
        if self.stage == "parts":
            store = f"    tl.store(part_ptr + {self._slot()}, acc, mask=row_mask & column_mask)"
            return self._whole([*lines, self.loop(), store], blocks)
        lines.append(self.loop() if self.stage == "whole" else _SUM.format(place=self._slot()))
        return self._whole([*lines, *self.after()], blocks)

    def after(self) -> list[str]:
        """What is done with the sums before they are rounded."""
        return []

    def _slot(self) -> str:
        """Where a part's sum lies."""
        total = self.step.sizes[TOTAL]
        index = f"part * {total} + product" if gemm.batch_dims(self.step) else "part"
        return f"(({index}) * M + row) * N + column"

    def loop(self) -> str:
        """The loop over the depth."""
        if self.step.begins:
            return begun_loop(self)
        return _ONE_BY_ONE if gemm.tiles(self.dtype)[0][0].depth == 1 else _TILES.format(precision=precision(self.dtype))

    @property
    def finish(self) -> Epilogue | None:
        """What is done with each tile."""
        return Epilogue(self.step) if self.step.finish is not None else None

    @property
    def stored(self) -> bool:
        """Whether the product itself is a result."""
        return self.finish is None or self.finish.stores_product

    def _result(self) -> None:
        if self.stored:
            self._pointer("c_ptr", len(self.step.args))

    def _made(self) -> list[str]:
        """The tile rounded to its type, and stored."""
        lines = [] if self.dtype is self._wide else [f"    made = {self._sums}.to({scalar.TYPES[self.dtype]})"]
        if self.stored:
            lines.append(f"    tl.store({self._at()}, {self._name}, mask=row_mask & column_mask)")
        return lines

    def _at(self) -> str:
        """Where the tile lies."""
        return "c_ptr + row * c_row + column * c_column"

    @property
    def epilogue_inputs(self) -> int:
        """How many pointers only the epilogue reads."""
        finish = self.step.finish
        return 0 if finish is None else sum(b.access == "r" for b in finish.buffers[:-1])

    @property
    def halved(self) -> bool:
        """Whether the epilogue is run on half of the columns at a time."""
        return self.finish is not None and self.tile.rows * self.tile.columns >= 32 * self.tile.warps * _FULL

    @property
    def _sums(self) -> str:
        return "part" if self.halved else "acc"

    @property
    def _name(self) -> str:
        return self._sums if self.dtype is self._wide else "made"

    def _end(self) -> list[str]:
        """What is done with the sums: rounded, stored, the epilogue."""
        lines = [self._plain(line) for line in self._made()]
        if self.finish is not None:
            lines += self.finish.lines(self._name, self.signature, self.params, "BN // 2" if self.halved else "BN")
        return [_HALVES, *(textwrap.indent(line, "    ") for line in lines)] if self.halved else lines

    def _whole(self, lines: list[str], blocks: list[str], deeper: int = 0) -> str:
        """The source: what comes behind the first `deeper` lines is inside of a loop."""
        text = "\n".join(lines)
        for some, whole in _WHOLE.items() if self.stage == "whole" else ():
            text = text.replace(some, whole)
        text = self._plain(text)
        if self.stage != "parts":
            text = "\n".join([text, *self._end()])
        if deeper:
            head, body = text.split("flatten=True):")
            text = f"{head}flatten=True):{textwrap.indent(body, '    ')}"
        arguments = ", ".join([*self.signature, *(f"{b}: tl.constexpr" for b in blocks)])
        whole = f"@triton.jit\ndef product({arguments}):\n{text}"
        helpers = [scalar.HELPERS[name] for name in scalar.helpers_in(whole)]
        return "\n\n".join([HEAD, *(h + "\n" for h in helpers), whole]) + "\n"

    def _plain(self, text: str) -> str:
        """Text without multiplications by strides of 1."""
        for name in self.ones:
            text = re.sub(rf" \* {name}\b", "", text)
        return text

    @property
    def _wide(self) -> DType:
        """What sums are kept in."""
        return dtypes.float32 if self.dtype.is_half else self.dtype

    def _pointer(self, name: str, view: int) -> None:
        self.signature[name] = POINTER[self.step.views[view].type.dtype.name]  # type: ignore[union-attr]
        self.params.append(Parameter("buffer", view))

    def _words(self, wanted: tuple[int, ...] | None = None) -> None:
        """The sizes as arguments, or those `wanted`; strides of 1 are left out of the text."""
        names = [*NAMES]
        for d in range(gemm.batch_dims(self.step)):
            names += [f"batch{d}", f"a_batch{d}", f"b_batch{d}", f"c_batch{d}"]
        for index, name in enumerate(names):
            word = self.step.sizes[index]
            if index > DEPTH and index < TOTAL and isinstance(word, int) and word == 1:
                self.ones.append(name)
                continue
            if index == TOTAL or name in self.skipped or (wanted is not None and index not in wanted):
                continue
            if name == "batch0" and wanted is None:
                continue
            kind = "i64" if index > BATCH and (index - BATCH) % EACH else "i32"
            self.signature[name] = kind
            self.params.append(Parameter("size", index, kind))

    def _batch(self) -> list[str]:
        """Which product of the batch a program works on."""
        dims = gemm.batch_dims(self.step)
        if not dims:
            return []
        lines = ["    item = program // (tiles_down * tiles_across)", "    program = program % (tiles_down * tiles_across)"]
        lines += [_NUMBER] if self.stage != "whole" or self.finish is not None or self.step.begins else []
        for d in reversed(range(dims)):
            index = "item" if d == 0 else f"(item % batch{d})"
            moved = [name for name in "abc" if f"{name}_ptr" in self.signature]
            for name in moved:
                lines.append(f"    {name}_ptr += {index} * {name}_batch{d}")
            lines += [f"    item = item // batch{d}"] if d else []
        return lines

    def _start(self) -> str:
        return f"    acc = tl.zeros([BM, BN], {scalar.TYPES[self._wide]})"


class Mapped(Product):
    """A product of two matrices of a half type whose rows or columns lie in one piece."""

    maps: tuple[TensorMap, ...] = ()

    def source(self) -> str:
        """The text; `signature`, `params` and `maps` are there behind it."""
        m, n, k = (self._size(i) for i in (ROWS, COLUMNS, DEPTH))
        t = self.tile
        left = self._map("a", 0, (m, k), (A_ROW, A_DEEP), (t.rows, t.depth), "down * BM")
        right = self._map("b", 1, (n, k), (B_COLUMN, B_DEEP), (t.columns, t.depth), "across * BN")
        right = right[:-2] if right.endswith(".T") else f"{right}.T"
        self._result()
        batch = (BATCH, BATCH + 3) if gemm.batch_dims(self.step) else ()
        self._words((*SHAPE, *batch[:1]) if not self.stored else (*SHAPE, C_ROW, C_COLUMN, *batch))
        order = [_ORDER]
        if gemm.batch_dims(self.step):
            order = [_ITEM, *([_NUMBER] if self.finish is not None else []), _ORDER.replace("program", "inside")]
        lines = [_TILE_BY_TILE.format(times=" * batch0" if len(order) > 1 else ""), *order, self._start()]
        lines.append(_MAPPED.format(left=left, right=right))
        return self._whole(lines, ["BM", "BN", "BK", "GROUP", "PROGRAMS"], 1)

    def _at(self) -> str:
        """Where the tile lies."""
        return super()._at().replace("c_ptr", "c_ptr + item * c_batch0" if gemm.batch_dims(self.step) else "c_ptr")

    def _size(self, index: int) -> Size:
        word = self.step.sizes[index]
        return word if isinstance(word, int) else sizes.symbol(f"s{index}")

    def _map(
        self, name: str, view: int, shape: tuple[Size, Size], words: tuple[int, int], box: tuple[int, int], first: str
    ) -> str:
        """The argument for an operand, and the expression of its next box; transposed where columns lie in one piece."""
        row, deep = (self._size(w) for w in words)
        turned = not (isinstance(deep, int) and deep == 1)
        if turned:
            shape, box, row = shape[::-1], box[::-1], deep
        own = self.step.args[view]
        assert own is not None
        kind = POINTER[own.type.dtype.name][1:]
        index, places = len(self.maps), ["k", first] if turned else [first, "k"]
        strides: tuple[Size, ...] = (row, 1)
        whole: tuple[Size, ...] = shape
        blocks: tuple[int, ...] = box
        if gemm.batch_dims(self.step) and not is_number(self.step.sizes[BATCH + 1 + view], 0):
            whole, strides, blocks = (self._size(BATCH), *shape), (self._size(BATCH + 1 + view), row, 1), (1, *box)
            places = ["item", *places]
        self.signature[f"{name}_map"] = f"tensordesc<{kind}[{', '.join(map(str, blocks))}]>"
        self.maps += (TensorMap(view, whole, strides, blocks, 0, 0, own.type.dtype.itemsize),)
        self.params.append(Parameter("map", index))
        self.params += [Parameter("map size", index, "i32", n) for n in whole]
        self.params += [Parameter("map size", index, "i64", n) for n in strides]
        tile = f"{name}_map.load([{', '.join(places)}])"
        tile += f".reshape({box[0]}, {box[1]})" if len(blocks) > len(box) else ""
        return f"{tile}.T" if turned else tile


def programs(words: tuple[Size, ...], tile: Tile) -> Size:
    """How many programs a product needs."""
    down = sizes.floordiv(words[ROWS] + tile.rows - 1, tile.rows)
    return down * sizes.floordiv(words[COLUMNS] + tile.columns - 1, tile.columns) * words[TOTAL]
