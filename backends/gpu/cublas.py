"""Products by cuBLASLt: row-major steps as the library's column-major problems, with the few epilogues it has. Prints no text.

A row-major ``c = a @ b`` is the column-major ``c' = b' @ a'``, so the library's first operand is b; a bias along the columns of c
then lies where the library wants it. What it cannot do, by its own word or because strides are neither of its two orders, is None
here, and a template runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ctypes import addressof, c_double, c_float, create_string_buffer
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product
from typing import Any

from ... import knobs
from ...ir import dtypes, sizes
from ...ir.dtypes import DType
from ...ir.loops import Compute, Const, Kernel, Load, Store
from ...ir.plan import RoutineStep
from ...ir.schedule_index import affine
from ...runtime.gpu import cublaslt
from ...runtime.gpu.cublaslt import TYPES, Lt, Matrix, Problem
from . import gemm
from .gemm import A_DEEP, A_ROW, B_COLUMN, B_DEEP, BATCH, C_COLUMN, C_ROW, COLUMNS, DEPTH, EACH, ROWS
from .kernel import Calls, LibraryCall, Offered, Variant, Word
from .walks import COLUMN, PRODUCT, ROW

#: products of a batch that the library cannot take as one are so many calls at most
CALLS = 16
#: algorithms that a measurement may choose from
ALGORITHMS = 4
_AXES = (ROW, COLUMN, PRODUCT)


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done with the product: `epilogue` of `cublaslt.EPILOGUES`; the strides and the first element of the result and
    of the bias (by the sizes of the step's kernel); `bias`: the pointer argument."""

    epilogue: str = ""
    bias: int = -1
    bias_at: Any = 0
    at: Any = 0
    strides: tuple[Any, Any] | None = None


def variants(step: RoutineStep, algorithm: int = 0) -> tuple[Variant, ...]:
    """The way by the library's algorithm number `algorithm`; () where the step is none of its products, or its epilogue more
    than the library has."""
    finish = finish_of(step)
    if finish is None:
        return ()
    call = LibraryCall("cublasLtMatmul", partial(_find, step, finish, algorithm))
    names = tuple(f"s{i}" for i in range(len(step.sizes)))
    return (Variant((Offered(call),), names, (), lambda: (call,)),)


def finish_of(step: RoutineStep) -> Finish | None:
    """What the library does with the product; None where the step is none of its products. Low precision is rounded once behind
    an epilogue, where single ops round each (as a `linear` called by itself does)."""
    own = step.args[0]
    if not step.routine.startswith("product") or step.begins or own is None or own.type.dtype not in TYPES:
        return None
    if any(v is not None and v.type.dtype is not own.type.dtype for v in step.views):
        return None
    return Finish() if step.finish is None else _recognised(step, step.finish, own.type.dtype)


def _recognised(step: RoutineStep, kernel: Kernel, dtype: DType) -> Finish | None:
    *others, made = kernel.buffers
    inputs = [b for b in others if b.access == "r"]
    stores = [s for s in kernel.body if isinstance(s, Store)]
    if len(others) != len(inputs) + 1 or len(step.results) != 1 or len(inputs) > 1 or len(stores) != 1 or kernel.scalars:
        return None
    tree = _tree(kernel, stores[0].value)
    name = inputs[0].name if inputs else None
    epilogue = _EPILOGUES(dtype.is_half).get(_renamed(tree, {made.name: "product", name: "bias"}))
    place, at_bias = affine(stores[0].index, _AXES), _place(kernel, name)
    if epilogue is None or place is None or (name is not None) != ("bias" in epilogue):
        return None
    if [(d.stride, d.value) for d in gemm.batch_digits(step, 3)] not in ([], [(place[1][2], sizes.symbol(PRODUCT))]):
        return None  # (the result's products lie as those without an epilogue would)
    if name is None:
        return Finish(epilogue, -1, 0, place[0], (place[1][0], place[1][1]))
    if at_bias is None or at_bias[1] != (0, 1, 0):
        return None
    return Finish(epilogue, len(step.args) - 1, at_bias[0], place[0], (place[1][0], place[1][1]))


def _place(kernel: Kernel, name: str | None) -> Any:
    """Where a buffer is read, along rows, columns and products of a batch."""
    found = {s.index for s in kernel.body if isinstance(s, Load) and s.buffer == name}
    return affine(found.pop(), _AXES) if len(found) == 1 else None


# -- epilogues: the expression that a kernel stores, beside those that the library knows

Tree = Any  # (name of an op, its operands ...), a number, or the name of a buffer


def _tree(kernel: Kernel, name: str) -> Tree:
    """The expression of a value, without its roundings; None for what is none of arithmetic alone."""
    known: dict[str, Tree] = {}
    for s in kernel.body:
        if isinstance(s, Load):
            known[s.dest] = s.buffer if s.mask is None else None
        elif isinstance(s, Const):
            known[s.dest] = float(s.value) if s.dtype.is_inexact else None
        elif isinstance(s, Compute):
            parts = [known.get(a) for a in s.args]
            known[s.dest] = None if None in parts else parts[0] if s.prim == "cast" else (s.prim, *parts)
            if not s.dtype.is_inexact:
                known[s.dest] = None
    return known.get(name)


def _renamed(tree: Tree, names: Mapping[Any, str]) -> Tree:
    return tuple(_renamed(t, names) for t in tree) if isinstance(tree, tuple) else names.get(tree, tree)


@lru_cache(maxsize=2)
def _EPILOGUES(half: bool) -> Mapping[Tree, str]:
    """What the library calls an expression of "product" and "bias". Its gelu is the one by tanh, of the hardware's precision:
    for half types only."""
    found: dict[Tree, str] = {}
    bare: list[tuple[Tree, str]] = [("product", ""), (("add", "product", "bias"), "bias "), (("add", "bias", "product"), "bias ")]
    for tree, name in bare:
        found[tree] = name.strip()
        found["maximum", tree, 0.0] = found["maximum", 0.0, tree] = name + "relu"
        if half:
            found[_renamed(_gelu(), {"x": tree})] = name + "gelu"
    return found


def _gelu() -> Tree:
    """The expression of gelu by tanh, of "x", as kernels compute it."""
    from ...ir.graph import Builder
    from ...ir.op import lookup
    from ...ir.plan import KernelStep
    from ...ir.schedule import schedule
    from ...ir.types import tensor

    b = Builder("gelu")
    graph = b.finish([lookup("gelu")(b.input(tensor((64,), dtypes.float32)), approximate="tanh")])
    (step,) = schedule(graph).steps
    assert isinstance(step, KernelStep)
    (store,) = (s for s in step.kernel.body if isinstance(s, Store))
    return _renamed(_tree(step.kernel, store.value), {b.name: "x" for b in step.kernel.buffers})


# -- sizes at hand -> the library's problem


@dataclass(frozen=True, slots=True)
class _Operand:
    """Element (i, j) of a matrix lies at ``at + i * down + j * along`` (elements); `align`: of its address, in bytes."""

    down: int
    along: int
    align: int
    at: int = 0

    def turned(self) -> _Operand:
        return _Operand(self.along, self.down, self.align, self.at)


def _find(
    step: RoutineStep, finish: Finish, algorithm: int, gpu: Any, alignments: tuple[int, ...], numbers: tuple[int, ...]
) -> Calls | None:
    """See `kernel.LibraryCall`."""
    lt = cublaslt.of(gpu)
    own = step.args[0]
    if lt is None or own is None or 0 in numbers[: BATCH]:
        return None
    named = dict(zip(step.finish.sizes if step.finish else (), numbers[BATCH + EACH * gemm.batch_dims(step) :], strict=False))
    made = _operands(step, finish, alignments, numbers, named)
    batch, loops = _batches(gemm.batch_dims(step), numbers)
    if made is None or sum(1 for _ in loops) > CALLS:
        return None
    size = own.type.dtype.itemsize
    aligns = [min([o.align, *(f[n] * size & -(f[n] * size) for f in loops if f[n])]) for n, o in enumerate(made)]
    made = tuple(replace(o, align=a) for o, a in zip(made, aligns, strict=True))
    bias = min(alignments[finish.bias], _low(int(sizes.evaluate(finish.bias_at, named)) * size)) if finish.bias >= 0 else 0
    problem = _problem(own.type.dtype, made, numbers, batch, finish.epilogue, bias)
    found = lt.algorithms(problem, ALGORITHMS) if problem is not None else ()
    if problem is None or len(found) <= algorithm:
        return None
    swapped = _swapped(made[2], numbers[ROWS], numbers[COLUMNS], bias)
    return _calls(lt, problem, found[algorithm], step, finish, made, loops, int(sizes.evaluate(finish.bias_at, named)), swapped)


def _low(n: int) -> int:
    """The largest power of two, at most 256, of which `n` is a multiple."""
    return min(256, n & -n) if n else 256


def _operands(
    step: RoutineStep, finish: Finish, alignments: Sequence[int], w: Sequence[int], named: Mapping[str, int]
) -> tuple[_Operand, ...] | None:
    """a, b and the result."""
    size = step.args[0].type.dtype.itemsize  # type: ignore[union-attr]
    down, along, at = w[C_ROW], w[C_COLUMN], 0
    if finish.strides is not None:
        down, along, at = (int(sizes.evaluate(x, named)) for x in (*finish.strides, finish.at))
    aligned = min(alignments[len(step.args)], _low(at * size))
    return (
        _Operand(w[A_ROW], w[A_DEEP], alignments[0]), _Operand(w[B_DEEP], w[B_COLUMN], alignments[1]),
        _Operand(down, along, aligned, at),
    )  # fmt: skip


_Batch = tuple[int, int, int, int]  # how many, and strides of a, b and the result


def _batches(dims: int, w: Sequence[int]) -> tuple[_Batch, list[tuple[int, int, int]]]:
    """The batch that one call does, and for each call where its operands begin."""
    given: list[_Batch] = []
    for d in range(dims):
        size, *steps = w[BATCH + EACH * d : BATCH + EACH * (d + 1)]
        if size == 1:
            continue
        if given and all(far == size * near for far, near in zip(given[-1][1:], steps, strict=True)):
            given[-1] = given[-1][0] * size, steps[0], steps[1], steps[2]
        else:
            given.append((size, steps[0], steps[1], steps[2]))
    if not given:
        return (1, 0, 0, 0), [(0, 0, 0)]
    one = max(given)
    given.remove(one)
    if len(given) and numel(g[0] for g in given) > CALLS:
        return one, [(0, 0, 0)] * (CALLS + 1)
    starts = product(*[[(i * g[1], i * g[2], i * g[3]) for i in range(g[0])] for g in given])
    return one, [(sum(p[0] for p in at), sum(p[1] for p in at), sum(p[2] for p in at)) for at in starts]


def numel(counts: Iterator[int]) -> int:
    """The product of these."""
    total = 1
    for n in counts:
        total *= n
    return total


def _matrix(o: _Operand, rows: int, columns: int, far: int) -> tuple[Matrix, bool] | None:
    """An operand of `rows` by `columns` as the library stores matrices, and whether that is its transpose; None where no
    dimension lies in one piece."""
    if _one_piece(o.down, rows) and (columns == 1 or o.along >= rows) and not (rows == 1 and o.along == 1):
        return Matrix(rows, columns, o.along if columns > 1 else _room(rows), far, o.align), False
    if _one_piece(o.along, columns) and (rows == 1 or o.down >= columns):
        return Matrix(columns, rows, o.down if rows > 1 else _room(columns), far, o.align), True
    return None


def _one_piece(stride: int, count: int) -> bool:
    return stride == 1 or count == 1


def _room(count: int) -> int:
    """The distance to a next column that there is none of: such that it spoils no alignment."""
    return -(-count // 16) * 16


def _result(o: _Operand, rows: int, columns: int, far: int) -> Matrix | None:
    """As `_matrix`, of what is written: it has no transpose."""
    if _one_piece(o.down, rows) and (columns == 1 or o.along >= rows):
        return Matrix(rows, columns, o.along if columns > 1 else _room(rows), far, o.align)
    return None


def _swapped(c: _Operand, m: int, n: int, bias: int) -> bool:
    """Whether the library makes the transpose of the result."""
    return bool(bias) or not _one_piece(c.down, m) or (c.along == 1 and n > 1)


def _problem(
    dtype: DType, made: Sequence[_Operand], w: Sequence[int], batch: _Batch, epilogue: str, bias: int
) -> Problem | None:
    m, n, k = w[ROWS], w[COLUMNS], w[DEPTH]
    a, b, c = made
    if _swapped(c, m, n, bias):
        first, second = _matrix(b.turned(), n, k, batch[2]), _matrix(a.turned(), k, m, batch[1])
        out = _result(c.turned(), n, m, batch[3])
    else:
        first, second = _matrix(a, m, k, batch[1]), _matrix(b, k, n, batch[2])
        out = _result(c, m, n, batch[3])
    if first is None or second is None or out is None:
        return None
    tf32 = knobs.tf32 and dtype is dtypes.float32
    return Problem(dtype, first[0], second[0], out, (first[1], second[1]), batch[0], epilogue, tf32, bias)


# -- the calls


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the library reads at each call and nobody writes: numbers, layouts and the algorithm."""

    one: Any
    zero: Any
    layouts: tuple[Any, Any, Any]
    algorithm: Any


def _calls(
    lt: Lt, problem: Problem, algorithm: cublaslt.Algorithm, step: RoutineStep, finish: Finish, made: Sequence[_Operand],
    loops: Sequence[tuple[int, int, int]], bias_at: int, swapped: bool,
) -> Calls:  # fmt: skip
    number = c_double if problem.scale is dtypes.float64 else c_float
    layouts = lt.layout(problem, problem.a), lt.layout(problem, problem.b), lt.layout(problem, problem.d)
    kept = _Kept(number(1), number(0), layouts, create_string_buffer(algorithm.raw, len(algorithm.raw)))
    operation = Word("own", make=partial(lt.operation, problem))
    size = problem.dtype.itemsize
    calls: list[tuple[int, tuple[Word, ...]]] = []
    if problem.bias:
        bias = Word("at", finish.bias, bias_at * size)
        calls.append((lt.set_address, (operation, _number(cublaslt.DESC_BIAS_POINTER), bias, _number(8))))
    pointers = 0, 1, len(step.args)
    order = (1, 0) if swapped else (0, 1)
    one, zero, raw = (_number(addressof(x)) for x in (kept.one, kept.zero, kept.algorithm))
    a, b, d = (_number(addressof(x)) for x in layouts)
    for starts in loops:
        first, second, out = (
            Word("pointer", pointers[n], (made[n].at + starts[n]) * size) for n in (*order, 2)
        )  # fmt: skip
        work = Word("scratch"), _number(algorithm.workspace)
        given = _number(lt.handle), operation, one, first, a, second, b, zero, out, d, out, d, raw
        calls.append((lt.matmul_address, (*given, *work)))
    return Calls(tuple(calls), algorithm.workspace, kept)


def _number(value: int) -> Word:
    return Word("number", value=value)
