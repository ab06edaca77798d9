"""Places in ascending rows as a step that runs a template: each element bisects its row, all at once.

Elements are compared as `sorting_text` says. The words: four dimensions of rows (missing ones are 1), elements of a row that are
looked for, elements of a table; then strides (elements) of the table, of what is looked for and of the result: of the four
dimensions (0 where all rows have one table), and along the row.
"""

from __future__ import annotations

from typing import Any

from ...ir import sizes
from ...ir.graph import Node, Value
from ...ir.plan import BufferView, RoutineStep
from ...ir.sizes import Size
from ...ir.types import TensorType
from . import stages
from .kernel import SM90, Parameter, Target
from .sorting_text import HEAD, KEYS, key_text
from .triton import POINTER
from .ways import Job, Way

_OUTER, _COUNT, _BLOCK = 4, 4, 256
#: rounds of a bisection in a table of unknown length, which has less than 2^31 elements
_ROUNDS = 31
_NAMES = ("D0", "D1", "D2", "D3", "N", "T", *(f"{letter}{i}" for letter in "txo" for i in range(_OUTER + 1)))


def accepts(node: Node) -> bool:
    """Types whose order is that of integers, at most four dimensions of rows."""
    table, x = node.args[:2]
    if not isinstance(table, Value) or not isinstance(x, Value) or x.dtype.name not in KEYS:
        return False
    length = table.shape[-1]
    return x.tensor_type.ndim <= _OUTER + 1 and (not isinstance(length, int) or length < 1 << _ROUNDS)


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a call of `searchsorted`."""
    table, x = args[0].type, args[1].type
    shape = x.shape or (1,)
    words: list[Size] = [*(1,) * (_OUTER + 1 - len(shape)), *shape, table.shape[-1]]
    for kind in (table, x, results[0].type):
        words += _strides(kind, kind is table)
    length = table.shape[-1]
    rounds = length.bit_length() if isinstance(length, int) else _ROUNDS
    name = f"search {x.dtype.name} {'right' if node.attrs.get('right') else 'left'} {rounds}"
    return RoutineStep(name, tuple(args[:2]), results, tuple(words))


def _strides(kind: TensorType, table: bool) -> list[Size]:
    ones = [isinstance(n, int) and n == 1 for n in kind.shape]
    steps = [0 if one else s for one, s in zip(ones, kind.strides, strict=True)]
    if table and len(steps) == 1:
        return [*(0,) * _OUTER, *steps]
    return [*(0,) * (_OUTER + 1 - len(steps)), *steps]


def ways(step: RoutineStep, target: Target = SM90) -> tuple[Way, ...]:
    """The only way: a lane for each element."""
    _, dtype, side, rounds = step.routine.split()
    names = tuple(f"s{i}" for i in range(len(step.sizes)))
    words: list[Any] = [n if isinstance(n, int) else sizes.symbol(names[i]) for i, n in enumerate(step.sizes)]
    count: Any = 1
    for n in words[: _COUNT + 1]:
        count = count * n
    kinds = {"table_ptr": POINTER[dtype], "x_ptr": POINTER[dtype], "out_ptr": "*i64", **dict.fromkeys(_NAMES, "i64")}
    params = (*(Parameter("buffer", i) for i in range(3)), *(Parameter("size", i, "i64") for i in range(len(_NAMES))))
    blocks = {"X": _BLOCK, "ROUNDS": int(rounds), "TOP": 1 << max(int(rounds) - 1, 0)}
    build = stages.Build("searched", text(dtype, side), kinds, blocks, (), {"num_warps": 4})
    return (Way((), names, (Job(build, params, (sizes.floordiv(count + _BLOCK - 1, _BLOCK), 1, 1)),)),)


def text(dtype: str, side: str) -> str:
    """Triton's text: how many elements of a table are before each one looked for."""

    def place(letter: str) -> str:
        return " + ".join(f"d{i} * {letter}{i}" for i in range(_OUTER))

    return f"""{HEAD}

{key_text(dtype, False)}
@triton.jit
def searched({", ".join(("table_ptr", "x_ptr", "out_ptr", *_NAMES))}, X: tl.constexpr, ROUNDS: tl.constexpr, TOP: tl.constexpr):
    item = tl.program_id(0).to(tl.int64) * X + tl.arange(0, X)
    held = item < D0 * D1 * D2 * D3 * N
    at = item % N
    d3 = item // N % D3
    d2 = item // (N * D3) % D2
    d1 = item // (N * D3 * D2) % D1
    d0 = item // (N * D3 * D2 * D1)
    wanted = key_of(tl.load(x_ptr + {place("x")} + at * x4, mask=held, other=0))
    row = table_ptr + {place("t")}
    found = tl.zeros([X], tl.int64)
    for turn in range(ROUNDS):
        probe = found + (TOP >> turn)
        inside = held & (probe <= T)
        there = key_of(tl.load(row + (probe - 1) * t4, mask=inside, other=0))
        found = tl.where(inside & (there {"<=" if side == "right" else "<"} wanted), probe, found)
    tl.store(out_ptr + {place("o")} + at * o4, found, mask=held)
"""
