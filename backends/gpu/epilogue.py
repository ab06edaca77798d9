"""A kernel over the elements of a matrix that a template has just made, printed into the template: nothing goes through memory.

`join` decides what fits (as the CPU's `product_finish` does for its own routine); `Epilogue` prints it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...ir import sizes
from ...ir.loops import Axis, Buffer, Compute, Const, Index, Kernel, Load, Param, Store
from ...ir.plan import BufferView, KernelStep, RoutineStep
from ...ir.schedule_index import affine
from ...ir.sizes import Size
from ...ir.types import TensorType
from ..products import is_number
from .config import Config
from .gemm import BATCH, C_ROW, COLUMNS, EACH, ROWS, TOTAL, batch_digits, batch_dims, result_digits
from .kernel import Parameter
from .names import NONE, Flat, R, Text, X
from .triton import POINTER, Printer
from .walks import COLUMN, PRODUCT, ROW, Digit, digits_of, moved, walked

_PLAIN = (Load, Compute, Const, Param, Index, Store)


def join(step: RoutineStep, reader: KernelStep, lone: bool) -> RoutineStep | str:
    """`step` with `reader` as its last part, or why that cannot be. See `ir.schedule_finish.Finish`."""
    kernel, made = reader.kernel, step.results[0]
    name = kernel.buffers[reader.buffers.index(made.buffer)].name
    reason = _refused(step, kernel, name)
    if reason:
        return reason
    place = next(s.index for s in kernel.body if isinstance(s, Load) and s.buffer == name)
    whole = _by_rows(step, kernel, place)
    if whole is None:
        return "it does not walk the product's rows and columns as they lie"
    numbers = {b.name: n for b, n in zip(kernel.buffers, reader.buffers, strict=True)}
    inputs = [b for b in kernel.buffers if b.access == "r" and b.name != name]
    outputs = [b for b in kernel.buffers if b.access != "r"]
    own = next(b for b in kernel.buffers if b.name == name)

    def view(b: Buffer) -> BufferView:
        return BufferView(numbers[b.name], TensorType((b.size,), b.dtype, (1,)))

    words = (*step.sizes, *(sizes.symbol(s) for s in whole.sizes))
    finish = replace(whole, buffers=(*inputs, *outputs, own))
    results = (*(() if lone else (made,)), *map(view, outputs))
    return replace(
        step, args=(*step.args, *map(view, inputs)), results=results, sizes=words,
        scalars=(*step.scalars, *reader.scalars), finish=finish,
    )  # fmt: skip


def _refused(step: RoutineStep, kernel: Kernel, name: str) -> str:
    if step.finish is not None:
        return "the product has an epilogue already"
    if step.routine.startswith("conv") and step.sizes[TOTAL] != 1:
        return "the convolution has groups"
    if kernel.scratch or kernel.errors or not all(isinstance(s, _PLAIN) for s in kernel.body):
        return "it does more than compute each element by itself"
    if next(b for b in kernel.buffers if b.name == name).access != "r":
        return "it writes over the product"
    indices = {s.index for s in kernel.body if isinstance(s, Load) and s.buffer == name}
    return "it reads the product's elements in several places" if len(indices) != 1 else ""


def _by_rows(step: RoutineStep, kernel: Kernel, place: Size) -> Kernel | None:
    """The kernel with the axes "product" (of a batch), "row" and "column", where it walks the whole product, each element once;
    `place`: where it reads the product."""
    found = affine(place, [a.name for a in kernel.grid])
    if found is None or found[0] != step.results[0].offset or any(is_number(a.extent, 0) for a in kernel.grid):
        return None
    m, n, down = (step.sizes[i] for i in (ROWS, COLUMNS, C_ROW))
    columns = [*reversed(result_digits(step))]
    digits = [*batch_digits(step, 3), Digit(down, m, sizes.symbol(ROW)), *digits_of(COLUMN, columns)]
    values = walked(dict(zip(kernel.grid, found[1], strict=True)), digits)
    batch = (Axis(PRODUCT, step.sizes[TOTAL]),) if batch_dims(step) else ()
    return None if values is None else moved(kernel, values, (*batch, Axis(ROW, m), Axis(COLUMN, n)))


@dataclass(slots=True)
class Epilogue:
    """The last part of `step`; the last buffer of its kernel is the product, which is at hand."""

    step: RoutineStep

    @property
    def kernel(self) -> Kernel:
        """The kernel with the axes "row" and "column", and "product" of a batch."""
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
        p.at.taken |= {"product", "item", "part", "half", "lower", "upper"}
        first = len(self.step.views) - len(others)
        mine = len(self.step.args) - sum(len(b.args) for b in self.step.begins)
        for n, b in enumerate(others):
            inputs = sum(b.access == "r" for b in others)
            at = mine - inputs + n if n < inputs else first + n
            p.pointers[b.name] = name = p.at.fresh(f"{b.name}_ptr")
            signature[name] = POINTER[b.dtype.name]
            params.append(Parameter("buffer", at))
        self._numbers(p, signature, params)
        over = {PRODUCT: NONE, ROW: X, COLUMN: R}
        p.at.flats = [Flat(a.name, over[a.name], a.extent, {a.name: sizes.symbol(a.name)}) for a in self.kernel.grid]
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
