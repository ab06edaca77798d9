"""The text of the matrix product: tiles of the result, each with a loop over the depth, and an epilogue printed into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...ir import dtypes, sizes
from ...ir.dtypes import DType
from ...ir.plan import RoutineStep
from ...ir.sizes import Size
from . import gemm, scalar
from .epilogue import Epilogue
from .gemm import BATCH, COLUMNS, DEPTH, EACH, NAMES, ROWS, TOTAL, Tile
from .kernel import Parameter
from .triton import HEAD, POINTER

_ONE_BY_ONE = """\
    for k in range(0, K):
        left = tl.load(a_ptr + row_in * a_row + k * a_deep)
        right = tl.load(b_ptr + k * b_deep + column_in * b_column)
        acc += left * right"""
_TILES = """\
    deep = tl.arange(0, BK)
    a_at = a_ptr + row_in * a_row + deep[None, :] * a_deep
    b_at = b_ptr + deep[:, None] * b_deep + column_in * b_column
    for k in range(0, K, BK):
        if EVEN:
            left = tl.load(a_at)
            right = tl.load(b_at)
        else:
            left = tl.load(a_at, mask=deep[None, :] < K - k, other=0.0)
            right = tl.load(b_at, mask=deep[:, None] < K - k, other=0.0)
        acc = tl.dot(left, right, acc, input_precision="ieee")
        a_at += BK * a_deep
        b_at += BK * b_deep"""
_PLACE = """\
    program = tl.program_id(0)
    tiles_down = tl.cdiv(M, BM)
    tiles_across = tl.cdiv(N, BN)"""
_ORDER = """\
    band = GROUP * tiles_across
    first = program // band * GROUP
    height = tl.minimum(tiles_down - first, GROUP)
    down = first + program % band % height
    across = program % band // height
    row = (down * BM + tl.arange(0, BM))[:, None].to(tl.int64)
    column = (across * BN + tl.arange(0, BN))[None, :].to(tl.int64)
    row_mask = row < M
    column_mask = column < N
    row_in = row % M
    column_in = column % N"""


@dataclass(slots=True)
class Product:
    """Prints one product. `even`: the depth is a multiple of the tile's."""

    step: RoutineStep
    tile: Tile
    even: bool
    signature: dict[str, str] = field(default_factory=dict)
    params: list[Parameter] = field(default_factory=list)
    ones: list[str] = field(default_factory=list)

    @property
    def dtype(self) -> DType:
        """Of the operands and the result."""
        own = self.step.args[0]
        assert own is not None
        return own.type.dtype

    def source(self) -> str:
        """The text; `signature` and `params` are there behind it."""
        finish = Epilogue(self.step) if self.step.finish is not None else None
        plain = gemm.tiles(self.dtype)[0][0].depth == 1
        self._pointer("a_ptr", 0)
        self._pointer("b_ptr", 1)
        stored = finish is None or finish.stores_product
        if stored:
            self._pointer("c_ptr", len(self.step.args))
        self._words()
        lines = [_PLACE, *self._batch(stored), _ORDER, *self._start(plain), _ONE_BY_ONE if plain else _TILES]
        if self.dtype is not self._wide:
            lines.append(f"    made = acc.to({scalar.TYPES[self.dtype]})")
        made = "acc" if self.dtype is self._wide else "made"
        if stored:
            place = "c_ptr + row * c_row + column * c_column"
            lines.append(f"    tl.store({place}, {made}, mask=row_mask & column_mask)")
        text = "\n".join(lines)
        for name in self.ones:
            text = re.sub(rf" \* {name}\b", "", text)
        if finish is not None:
            text = "\n".join([text, *finish.lines(made, self.signature, self.params)])
        blocks = ["BM", "BN", "BK", "GROUP", "EVEN"]
        arguments = ", ".join([*self.signature, *(f"{b}: tl.constexpr" for b in blocks)])
        whole = f"@triton.jit\ndef product({arguments}):\n{text}"
        helpers = [scalar.HELPERS[name] for name in scalar.helpers_in(whole)]
        return "\n\n".join([HEAD, *(h + "\n" for h in helpers), whole]) + "\n"

    @property
    def _wide(self) -> DType:
        """What sums are kept in."""
        return dtypes.float32 if self.dtype.is_half else self.dtype

    def _pointer(self, name: str, view: int) -> None:
        self.signature[name] = POINTER[self.step.views[view].type.dtype.name]  # type: ignore[union-attr]
        self.params.append(Parameter("buffer", view))

    def _words(self) -> None:
        """The sizes as arguments; strides of 1 are left out of the text."""
        names = [*NAMES]
        for d in range(gemm.batch_dims(self.step)):
            names += [f"batch{d}", f"a_batch{d}", f"b_batch{d}", f"c_batch{d}"]
        for index, name in enumerate(names):
            word = self.step.sizes[index]
            if index > DEPTH and index < TOTAL and isinstance(word, int) and word == 1:
                self.ones.append(name)
                continue
            if index == TOTAL or name == "batch0":
                continue
            kind = "i64" if index > BATCH and (index - BATCH) % EACH else "i32"
            self.signature[name] = kind
            self.params.append(Parameter("size", index, kind))

    def _batch(self, stored: bool) -> list[str]:
        """Which product of the batch a program works on."""
        dims = gemm.batch_dims(self.step)
        if not dims:
            return []
        lines = ["    item = program // (tiles_down * tiles_across)", "    program = program % (tiles_down * tiles_across)"]
        for d in reversed(range(dims)):
            index = "item" if d == 0 else f"(item % batch{d})"
            for name in ("a", "b", "c") if stored else ("a", "b"):
                lines.append(f"    {name}_ptr += {index} * {name}_batch{d}")
            lines += [f"    item = item // batch{d}"] if d else []
        return lines

    def _start(self, plain: bool) -> list[str]:
        return [f"    acc = tl.zeros([BM, BN], {scalar.TYPES[self._wide]})"]


def programs(words: tuple[Size, ...], tile: Tile) -> Size:
    """How many programs a product needs."""
    down = sizes.floordiv(words[ROWS] + tile.rows - 1, tile.rows)
    return down * sizes.floordiv(words[COLUMNS] + tile.columns - 1, tile.columns) * words[TOTAL]
