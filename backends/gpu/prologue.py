"""A kernel over the elements of an operand, printed into the product's loop: what is read is computed there, and never stored.

`join` decides what fits and pays (as `epilogue` does at the other end); `begun_loop` prints the loop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...ir import sizes
from ...ir.loops import Axis, Buffer, Compute, Const, Index, Kernel, Load, Param, Store
from ...ir.plan import Begin, BufferView, KernelStep, RoutineStep
from ...ir.schedule_index import affine
from ...ir.sizes import Size
from ...ir.types import TensorType, numel
from ..products import is_number
from . import gemm, scalar
from .config import Config
from .gemm import BATCH, COLUMNS, EACH, ROWS, TOTAL
from .kernel import Parameter
from .names import NONE, Flat, R, X
from .triton import POINTER, Printer
from .walks import COLUMN, PRODUCT, ROW, Digit, moved, walked

if TYPE_CHECKING:
    from .gemm_text import Product

_PLAIN = (Load, Compute, Const, Param, Index, Store)
#: rows or columns of the result up to which an operand is computed again for each tile of them rather than once for all
MOST = 256


def join(step: RoutineStep, operand: int, maker: KernelStep) -> RoutineStep | str:
    """`step` computing its operand by `maker`, or why not. See `ir.schedule_begin.Begins`."""
    kernel, view = maker.kernel, step.args[operand]
    assert view is not None
    reason = _refused(step, operand, kernel)
    if reason:
        return reason
    store = next(s for s in kernel.body if isinstance(s, Store))
    whole = _by_places(step, operand, view, kernel, store)
    if whole is None:
        return "it does not walk the operand's rows and columns as they lie"
    names = {b.name: n for b, n in zip(kernel.buffers, maker.buffers, strict=True)}
    inputs = [b for b in kernel.buffers if b.name != store.buffer]
    own = next(b for b in kernel.buffers if b.name == store.buffer)
    views = tuple(_flat_view(b, names[b.name]) for b in inputs)
    places = tuple(range(len(step.args), len(step.args) + len(views)))
    begin = Begin(operand, replace(whole, buffers=(*inputs, own)), places, len(step.sizes), len(step.scalars))
    args = (*(None if n == operand else a for n, a in enumerate(step.args)), *views)
    words = (*step.sizes, *(sizes.symbol(s) for s in whole.sizes))
    return replace(
        step, args=args, sizes=words, scalars=(*step.scalars, *maker.scalars), begins=(*step.begins, begin)
    )  # fmt: skip


def _flat_view(b: Buffer, number: int) -> BufferView:
    return BufferView(number, TensorType((b.size,), b.dtype, (1,)))


def _refused(step: RoutineStep, operand: int, kernel: Kernel) -> str:
    if operand > 1:
        return "it makes no operand that is multiplied"
    if gemm.tiles(gemm.dtype_of(step))[0][0].depth == 1:
        return "the product is not made by tiles"
    stores = [s for s in kernel.body if isinstance(s, Store)]
    if kernel.scratch or kernel.errors or len(stores) != 1 or not all(isinstance(s, _PLAIN) for s in kernel.body):
        return "it does more than compute each element by itself"
    side, other, times = "rows" if operand else "columns", step.sizes[ROWS if operand else COLUMNS], _repeated(step, operand)
    often = other * times
    if not isinstance(often, int) or often > MOST:
        batch = "" if times == 1 else f" and {times} products of the batch"
        return f"each element would be computed again for every tile of the result's {other} {side}{batch}"
    return ""


def _repeated(step: RoutineStep, operand: int) -> Size:
    """How many products of a batch have the same matrix."""
    places = range(BATCH, BATCH + EACH * gemm.batch_dims(step), EACH)
    return numel([step.sizes[at] for at in places if is_number(step.sizes[at + 1 + operand], 0)])


def _by_places(step: RoutineStep, operand: int, view: BufferView, kernel: Kernel, store: Store) -> Kernel | None:
    """The kernel with the operand's axes "row" and "column", and "product" of a batch, where it stores every element of the
    operand once."""
    found = affine(store.index, [a.name for a in kernel.grid])
    if found is None or found[0] != view.offset or any(is_number(a.extent, 0) for a in kernel.grid):
        return None
    (m, n), (down, along) = view.type.shape[-2:], view.type.strides[-2:]
    digits = [d for d in gemm.batch_digits(step, 1 + operand) if not is_number(d.stride, 0)]
    digits += [Digit(down, m, sizes.symbol(ROW, 0, m - 1)), Digit(along, n, sizes.symbol(COLUMN, 0, n - 1))]
    values = walked(dict(zip(kernel.grid, found[1], strict=True)), digits)
    batch = (Axis(PRODUCT, step.sizes[TOTAL]),) if gemm.batch_dims(step) else ()
    return None if values is None else moved(kernel, values, (*batch, Axis(ROW, m), Axis(COLUMN, n)))


# -- text

_NAMES = (
    "row", "column", "row_in", "column_in", "row_mask", "column_mask", "acc", "k", "made", "left", "right", "deep", "begin",
    "end", "a_at", "b_at", "program", "part", "product", "item",
)  # fmt: skip
_PLAIN_LOADS = {
    0: ("a_at", "a_ptr + row_in * a_row + (begin + deep[None, :]) * a_deep", "deep[None, :]", "BK * a_deep"),
    1: ("b_at", "b_ptr + (begin + deep[:, None]) * b_deep + column_in * b_column", "deep[:, None]", "BK * b_deep"),
}


def begun_loop(product: Product) -> str:
    """The loop over the depth of a product with operands that are computed."""
    from .gemm_text import precision

    begins = {b.operand: b for b in product.step.begins}
    before, body, behind = ["    deep = tl.arange(0, BK)"], [], []
    taken: set[str] = set()
    for operand, name in enumerate(("left", "right")):
        if operand in begins:
            body += _computed(product, begins[operand], name, taken)
            continue
        at, start, across, step = _PLAIN_LOADS[operand]
        before.append(f"    {at} = {start}")
        body.append(f"        {name} = tl.load({at})" if product.even else
                    f"        {name} = tl.load({at}, mask={across} < K - k, other=0.0)")  # fmt: skip
        behind.append(f"        {at} += {step}")
    dot = f"        acc = tl.dot(left, right, acc, input_precision={precision(product.dtype)})"
    return "\n".join([*before, "    for k in range(begin, end, BK):", *body, dot, *behind])


def _computed(product: Product, begin: Begin, name: str, taken: set[str]) -> list[str]:
    """The statements that compute a tile of an operand."""
    kernel, first = begin.kernel, begin.operand == 0
    p = Printer(kernel, Config(0, wide=True), flat=False, height="BM" if first else "BK", width="BK" if first else "BN")
    at, mask = f"{name}_deep", f"{name}_mask"
    p.at.indent = 2
    p.at.taken |= {*product.signature, *taken, *_NAMES, at, mask}
    _arguments(product, begin, p)
    p.at.say(f"{at} = (k + deep){'[None, :]' if first else '[:, None]'}.to(tl.int64)")
    if not product.even:
        p.at.say(f"{mask} = {at} < K")
        p.ends = {"r" if first else "x": mask}
    *batch, m, n = (a.extent for a in kernel.grid)
    places = ("row_in", at) if first else (at, "column_in")
    row, column = sizes.symbol(places[0], 0, m - 1), sizes.symbol(places[1], 0, n - 1)
    p.at.flats = [Flat(places[0], X, m, {ROW: row}), Flat(places[1], R, n, {COLUMN: column})]
    p.at.flats += [Flat(PRODUCT, NONE, total, {PRODUCT: sizes.symbol(PRODUCT)}) for total in batch]
    lines = [str(s.where) for s in kernel.body if isinstance(s, Compute) and s.where] or [kernel.name]
    p.at.say(f"# {', '.join(dict.fromkeys(lines))}")
    store = next(s for s in kernel.body if isinstance(s, Store))
    p.body([s for s in kernel.body if s is not store])
    value, shape = p.values[store.value], "[BM, BK]" if first else "[BK, BN]"
    text = value.text if value.dims == X | R else f"{value.text} + tl.zeros({shape}, {scalar.TYPES[value.dtype]})"
    p.at.say(f"{name} = {text if product.even else f'tl.where({mask}, {text}, 0.0).to({scalar.TYPES[value.dtype]})'}")
    taken |= p.at.taken
    return p.at.lines


def _arguments(product: Product, begin: Begin, p: Printer) -> None:
    """The product's arguments for what the kernel reads."""
    *inputs, _ = begin.kernel.buffers
    for b, place in zip(inputs, begin.args, strict=True):
        p.pointers[b.name] = name = p.at.fresh(f"{b.name}_ptr")
        product.signature[name] = POINTER[b.dtype.name]
        product.params.append(Parameter("buffer", place))
    for n, size in enumerate(begin.kernel.sizes):
        p.at.symbols[size] = name = p.at.fresh(size)
        product.signature[name] = "i64"
        product.params.append(Parameter("size", begin.sizes + n, "i64"))
    for n, given in enumerate(begin.kernel.scalars):
        p.at.symbols[f"param {given.name}"] = name = p.at.fresh(given.name)
        kind = "float" if given.kind == "float" else "int"
        product.signature[name] = "fp64" if kind == "float" else "i64"
        product.params.append(Parameter(kind, begin.scalars + n, product.signature[name]))

