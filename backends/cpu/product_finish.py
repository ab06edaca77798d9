"""The epilogue of a matrix product: a kernel over the result's elements becomes one over a block of them, which the routine
calls behind each block it has made, while that is still in cache. Decides what fits; writes no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...ir import sizes as z
from ...ir.loops import Axis, Buffer, Compute, Const, Index, Kernel, Load, Param, Stmt, Store
from ...ir.plan import BufferView, KernelStep, RoutineStep
from ...ir.schedule_index import affine
from ...ir.sizes import Size
from ...ir.types import TensorType

#: what the routine tells the kernel: the product of the batch, the first row and their number, the first column and their number
BLOCK = ("batch_item", "row_from", "row_count", "column_from", "column_count")
#: sizes of its own that an epilogue may have
MAX_SIZES = 48
#: words of the routine that are read here, see `gemm.WORDS`
_M, _N, _C_ROW, _TOTAL, _FINISH, _GIVEN = 0, 1, 7, 9, 10, 11


#: statements that compute each element by itself
_PLAIN = (Load, Compute, Const, Param, Index, Store)


def finish(step: RoutineStep, reader: KernelStep, lone: bool) -> RoutineStep | str:
    """`step` with `reader` run block by block, or why that cannot be. See `ir.schedule_finish.Finish`."""
    kernel, made = reader.kernel, step.results[0]
    name = kernel.buffers[reader.buffers.index(made.buffer)].name
    reason = _refused(step, kernel, name)
    if reason:
        return reason
    place = next(s.index for s in kernel.body if isinstance(s, Load) and s.buffer == name)
    axes = _axes(step, kernel, place)
    if axes is None:
        return "it does not walk the product's rows and columns as they lie"
    if any(k not in (0, 1) for k in _steps_along(kernel.body, axes)):
        return "it walks memory in steps along the product's columns"
    block = _block_kernel(kernel, axes, step.sizes[_N])
    result = _in_place(kernel, name, place) if lone else None
    return _joined(step, reader, block, name, result)


def _refused(step: RoutineStep, kernel: Kernel, name: str) -> str:
    if step.finish is not None:
        return "the product has an epilogue already"
    if not (isinstance(step.sizes[_TOTAL], int) and step.sizes[_TOTAL] == 1):
        return "the product is a batch of several"
    if kernel.scratch or kernel.errors or not all(isinstance(s, _PLAIN) for s in kernel.body):
        return "it does more than compute each element by itself"
    if len(kernel.sizes) > MAX_SIZES:
        return "it has too many sizes"
    indices = {s.index for s in kernel.body if isinstance(s, (Load, Store)) and s.buffer == name}
    stored = any(isinstance(s, Store) and s.buffer == name for s in kernel.body)
    return "it reads the product's elements in several places" if len(indices) != 1 or stored else ""


def _axes(step: RoutineStep, kernel: Kernel, place: Size) -> tuple[str, ...] | None:
    """The kernel's axes along rows and columns, or the one along both, where they walk the whole product, each element once."""
    m, n, row = (step.sizes[i] for i in (_M, _N, _C_ROW))
    offset = step.results[0].offset
    if len(kernel.grid) == 1:
        (axis,) = kernel.grid
        whole = axis.extent == m * n and (row == n or m == 1) and affine(place, [axis.name]) == (offset, (1,))
        return (axis.name,) if whole else None
    for rows, columns in (kernel.grid, kernel.grid[::-1]) if len(kernel.grid) == 2 else ():
        names = rows.name, columns.name
        if (rows.extent, columns.extent) == (m, n) and affine(place, names) == (offset, (row, 1)):
            return names
    return None


def _steps_along(body: Sequence[Stmt], axes: Sequence[str]) -> list[Size | None]:
    """How far each access moves from one column to the next; None where nobody can say."""
    found = [affine(s.index, axes) for s in body if isinstance(s, (Load, Store))]
    return [None if form is None else form[1][-1] for form in found]


def _block_kernel(kernel: Kernel, axes: Sequence[str], n: Size) -> Kernel:
    """The kernel over a block of rows and columns, which its sizes say."""
    rows, columns = axes[0] + "r" if len(axes) == 1 else axes[0], axes[-1]
    row = z.symbol(rows) + z.symbol("row_from")
    column = z.symbol(columns) + z.symbol("column_from")
    values: dict[str, Size] = {axes[0]: row * n + column} if len(axes) == 1 else {rows: row, columns: column}
    body = tuple(_moved(s, values) for s in kernel.body)
    grid = Axis(rows, z.symbol("row_count")), Axis(columns, z.symbol("column_count"))
    return replace(kernel, name=f"{kernel.name}_blocks", grid=grid, sizes=(*BLOCK, *kernel.sizes), body=body)


def _moved(s: Stmt, values: dict[str, Size]) -> Stmt:
    if isinstance(s, (Load, Store)):
        return replace(s, index=z.substitute(s.index, values))
    return replace(s, value=z.substitute(s.value, values)) if isinstance(s, Index) else s


def _in_place(kernel: Kernel, name: str, place: Size) -> str | None:
    """A buffer that the kernel fills in the product's own places, and could hold the product before."""
    own = next(b for b in kernel.buffers if b.name == name)
    last = max(i for i, s in enumerate(kernel.body) if isinstance(s, Load) and s.buffer == name)
    for b in kernel.buffers:
        if b.access == "w" and b.dtype is own.dtype:
            stores = [i for i, s in enumerate(kernel.body) if isinstance(s, Store) and s.buffer == b.name]
            if len(stores) == 1 and stores[0] > last and place == getattr(kernel.body[stores[0]], "index", None):
                return b.name
    return None


def _joined(step: RoutineStep, reader: KernelStep, block: Kernel, name: str, result: str | None) -> RoutineStep:
    """The routine that calls `block`; where `result` is given, the product is made there."""
    numbers = {b.name: n for b, n in zip(reader.kernel.buffers, reader.buffers, strict=True)}
    if result is not None:
        block = replace(block, buffers=tuple(b for b in block.buffers if b.name != name), body=_renamed(block.body, name, result))
    home = result or name
    own = next(b for b in block.buffers if b.name == home)
    inputs = [b for b in block.buffers if b.access == "r" and b is not own]
    outputs = [b for b in block.buffers if b.access != "r" and b is not own]
    own = replace(own, access="rw" if result is not None else own.access)
    block = replace(block, buffers=(*inputs, own, *outputs))
    words = [*step.sizes, *(z.symbol(s) for s in reader.kernel.sizes), len(reader.kernel.sizes)]
    words[_FINISH], words[_GIVEN] = len(words), len(inputs)

    def view(b: Buffer) -> BufferView:
        return BufferView(numbers[b.name], TensorType((b.size,), b.dtype, (1,)))

    made = replace(step.results[0], buffer=numbers[home])
    return replace(
        step, args=(*step.args, *map(view, inputs)), results=(made, *map(view, outputs)), sizes=tuple(words),
        scalars=(*step.scalars, *reader.scalars), finish=block,
    )  # fmt: skip


def _renamed(body: Sequence[Stmt], old: str, new: str) -> tuple[Stmt, ...]:
    return tuple(replace(s, buffer=new) if isinstance(s, Load) and s.buffer == old else s for s in body)
