"""A kernel over the elements of a matrix that a template has just made, printed into the template: nothing goes through memory.

`join` decides what fits (as the CPU's `product_finish` does for its own routine); `Epilogue` prints it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...ir import sizes
from ...ir.loops import Axis, Buffer, Compute, Const, Index, Kernel, Load, Param, Stmt, Store
from ...ir.plan import BufferView, KernelStep, RoutineStep
from ...ir.schedule_index import affine
from ...ir.sizes import Size
from ...ir.types import TensorType
from .config import Config
from .gemm import BATCH, C_ROW, COLUMNS, EACH, ROWS, TOTAL, batch_dims, result_digits
from .kernel import Parameter
from .names import Flat, R, Text, X
from .triton import POINTER, Printer

_PLAIN = (Load, Compute, Const, Param, Index, Store)


def join(step: RoutineStep, reader: KernelStep, lone: bool) -> RoutineStep | str:
    """`step` with `reader` as its last part, or why that cannot be. See `ir.schedule_finish.Finish`."""
    kernel, made = reader.kernel, step.results[0]
    name = kernel.buffers[reader.buffers.index(made.buffer)].name
    reason = _refused(step, kernel, name)
    if reason:
        return reason
    place = next(s.index for s in kernel.body if isinstance(s, Load) and s.buffer == name)
    moved = _by_rows(step, kernel, place)
    if moved is None:
        return "it does not walk the product's rows and columns as they lie"
    numbers = {b.name: n for b, n in zip(kernel.buffers, reader.buffers, strict=True)}
    inputs = [b for b in kernel.buffers if b.access == "r" and b.name != name]
    outputs = [b for b in kernel.buffers if b.access != "r"]
    own = next(b for b in kernel.buffers if b.name == name)

    def view(b: Buffer) -> BufferView:
        return BufferView(numbers[b.name], TensorType((b.size,), b.dtype, (1,)))

    words = (*step.sizes, *(sizes.symbol(s) for s in kernel.sizes))
    finish = replace(moved, buffers=(*inputs, *outputs, own))
    results = (*(() if lone else (made,)), *map(view, outputs))
    return replace(
        step, args=(*step.args, *map(view, inputs)), results=results, sizes=words,
        scalars=(*step.scalars, *reader.scalars), finish=finish,
    )  # fmt: skip


def _refused(step: RoutineStep, kernel: Kernel, name: str) -> str:
    if step.finish is not None:
        return "the product has an epilogue already"
    if not (isinstance(step.sizes[TOTAL], int) and step.sizes[TOTAL] == 1):
        return "the product is a batch of several"
    if kernel.scratch or kernel.errors or not all(isinstance(s, _PLAIN) for s in kernel.body):
        return "it does more than compute each element by itself"
    if set(sizes.symbols_of(step.sizes[COLUMNS])) - set(kernel.sizes):
        return "its sizes do not tell the product's columns"
    if next(b for b in kernel.buffers if b.name == name).access != "r":
        return "it writes over the product"
    indices = {s.index for s in kernel.body if isinstance(s, Load) and s.buffer == name}
    return "it reads the product's elements in several places" if len(indices) != 1 else ""


def _by_rows(step: RoutineStep, kernel: Kernel, place: Size) -> Kernel | None:
    """The kernel with the axes "row" and "column", where it walks the whole product, each element once; `place`: where it reads
    the product."""
    m, n = step.sizes[ROWS], step.sizes[COLUMNS]
    found = affine(place, [a.name for a in kernel.grid])
    if found is None or found[0] != step.results[0].offset or any(_is_zero(a.extent) for a in kernel.grid):
        return None
    steps = dict(zip(kernel.grid, found[1], strict=True))
    values = _flat(step, steps) or _apart(step, steps)
    if values is None:
        return None
    body = tuple(_moved(s, values) for s in kernel.body)
    return replace(kernel, grid=(Axis("row", m), Axis("column", n)), body=body)


def _is_zero(size: Size) -> bool:
    return isinstance(size, int) and size == 0


def _flat(step: RoutineStep, steps: dict[Axis, Size]) -> dict[str, Size] | None:
    """The only axis, where it walks the whole product element by element."""
    if len(steps) != 1:
        return None
    ((axis, by),) = steps.items()
    m, n, down = (step.sizes[i] for i in (ROWS, COLUMNS, C_ROW))
    column, at = sizes.symbol("column", 0, n - 1), sizes.symbol("row") * down
    below: Size = 1
    digits = result_digits(step)
    for place, (count, stride) in enumerate(digits):
        part = sizes.floordiv(column, below)
        at = at + (part if place == len(digits) - 1 else sizes.mod(part, count)) * stride
        below = below * count
    dense = sorted([(stride, count) for count, stride in digits] + [(down, m)], key=str)
    return {axis.name: at} if by == 1 and axis.extent == m * n and _fills(dense) else None


def _fills(digits: list[tuple[Size, Size]]) -> bool:
    """Whether dimensions of these strides and counts leave no element of their memory out, in whatever order they lie."""
    below: Size = 1
    rest = list(digits)
    while rest:
        inner = next((d for d in rest if d[0] == below), None)
        if inner is None:
            return False
        rest.remove(inner)
        below = below * inner[1]
    return True


def _apart(step: RoutineStep, steps: dict[Axis, Size]) -> dict[str, Size] | None:
    """Each axis of the grid as an expression of row and column: one axis walks the rows, the others share the columns."""
    m, n, down = (step.sizes[i] for i in (ROWS, COLUMNS, C_ROW))
    values: dict[str, Size] = {}
    rest = dict(steps)
    rows = next((a for a, by in rest.items() if by == down and a.extent == m), None)
    if rows is not None:
        values[rows.name] = sizes.symbol("row")
        del rest[rows]
    elif m != 1:
        return None
    column = sizes.symbol("column", 0, n - 1)
    taken: Size = 1
    for count, stride in result_digits(step):
        inside: Size = 1
        while inside != count:
            inner = next((a for a, by in rest.items() if by == stride * inside), None)
            if inner is None:
                return None
            del rest[inner]
            part = sizes.floordiv(column, taken)
            taken, inside = taken * inner.extent, inside * inner.extent
            values[inner.name] = part if taken == n else sizes.mod(part, inner.extent)
    return None if rest else values


def _moved(s: Stmt, values: dict[str, Size]) -> Stmt:
    if isinstance(s, (Load, Store)):
        return replace(s, index=sizes.substitute(s.index, values))
    return replace(s, value=sizes.substitute(s.value, values)) if isinstance(s, Index) else s


@dataclass(slots=True)
class Epilogue:
    """The last part of `step`; the last buffer of its kernel is the product, which is at hand."""

    step: RoutineStep

    @property
    def kernel(self) -> Kernel:
        """The kernel with the axes "row" and "column"."""
        assert self.step.finish is not None
        return self.step.finish

    @property
    def stores_product(self) -> bool:
        """Whether others read the product too."""
        outputs = sum(b.access != "r" for b in self.kernel.buffers[:-1])
        return len(self.step.results) > outputs

    def lines(self, made: str, signature: dict[str, str], params: list[Parameter], width: str = "BN") -> list[str]:
        """The statements, on the block `made` of rows `row` and `width` columns `column`; arguments they need are added."""
        *others, own = self.kernel.buffers
        p = Printer(self.kernel, Config(0, wide=True), flat=False, height="BM", width=width)
        p.at.taken |= {*signature, "row", "column", "row_mask", "column_mask", made, "acc", "k", "left", "right", "deep"}
        p.at.taken |= {"part", "half", "lower", "upper"}
        first = len(self.step.views) - len(others)
        mine = len(self.step.args) - sum(len(b.args) for b in self.step.begins)
        for n, b in enumerate(others):
            inputs = sum(b.access == "r" for b in others)
            at = mine - inputs + n if n < inputs else first + n
            p.pointers[b.name] = name = p.at.fresh(f"{b.name}_ptr")
            signature[name] = POINTER[b.dtype.name]
            params.append(Parameter("buffer", at))
        self._numbers(p, signature, params)
        m, n_ = (a.extent for a in self.kernel.grid)
        row, column = sizes.symbol("row", 0, m - 1), sizes.symbol("column", 0, n_ - 1)
        p.at.flats = [Flat("row", X, m, {"row": row}), Flat("column", R, n_, {"column": column})]
        p.ends = {"x": "row_mask", "r": "column_mask"}
        load = next(s for s in self.kernel.body if isinstance(s, Load) and s.buffer == own.name)
        p.values["product"] = Text(made, own.dtype, X | R)
        p.at.scopes[-1][p.place(load)] = "product"
        p.at.say(f"# {', '.join(dict.fromkeys(self._lines()))}")
        p.body(self.kernel.body)
        return p.at.lines

    def _numbers(self, p: Printer, signature: dict[str, str], params: list[Parameter]) -> None:
        start = BATCH + EACH * batch_dims(self.step)
        for n, size in enumerate(self.kernel.sizes):
            p.at.symbols[size] = name = p.at.fresh(size)
            signature[name] = "i64"
            params.append(Parameter("size", start + n, "i64"))
        for n, scalar in enumerate(self.kernel.scalars):
            p.at.symbols[f"param {scalar.name}"] = name = p.at.fresh(scalar.name)
            kind = "float" if scalar.kind == "float" else "int"
            signature[name] = "fp64" if kind == "float" else "i64"
            params.append(Parameter(kind, n, signature[name]))

    def _lines(self) -> Sequence[str]:
        return [str(s.where) for s in self.kernel.body if isinstance(s, Compute) and s.where] or [self.kernel.name]
