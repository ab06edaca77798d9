"""Order along one dimension as a step that runs a template: which calls it takes, its words, and its launches. Writes no text.

Rows are cut into tiles in which each element counts those before it; then runs are merged, each element counting by bisection
those before it in the other runs. So equal elements keep their order, whatever threads do, and nothing waits for the host.

The words: four dimensions of rows (missing ones are 1), the elements of a row, how many of them are wanted; then strides
(elements) of the operand and of the result: of the four dimensions, and along the row.
"""

from __future__ import annotations

from typing import Any

from ...ir import sizes
from ...ir.graph import Node, Value
from ...ir.ops.ordering import argsort
from ...ir.plan import BufferView, RoutineStep
from ...ir.sizes import Size
from ...ir.types import TensorType
from . import stages
from .config import power
from .kernel import SM90, Parameter, Target
from .sorting_text import KEYS, merge_text, tile_text
from .triton import POINTER
from .ways import Job, Way

#: dimensions of rows; places of words
OUTER, LENGTH, WANTED, FROM, TO = 4, 4, 5, 6, 11
#: elements of a tile at most: of those who want all, or few; how many few are
_TILE, _SMALL, _FEW = 512, 256, 64
#: numbers that count in a program of four warps; runs that are merged at once, and at the end; elements of a program that merges,
#: and runs that it looks at together
_COUNTS, _RUNS, _LAST, _MERGED, _BESIDE = 4096, 16, 32, 128, 8


def accepts(node: Node) -> bool:
    """Rows that are not known to be empty, under at most four dimensions, of types whose order is that of integers."""
    x = node.args[0]
    if not isinstance(x, Value) or x.dtype.name not in KEYS or x.tensor_type.ndim > OUTER + 1:
        return False
    length, k = x.shape[node.attrs["dim"]], node.attrs.get("k", 1)
    return isinstance(k, int) and k > 0 and (not isinstance(length, int) or 0 < length < 1 << 31)


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a call of `argsort` or `topk_index`."""
    x, out, dim = args[0], results[0], node.attrs["dim"]
    length = x.type.shape[dim]
    outer = [n for d, n in enumerate(x.type.shape) if d != dim]
    words: list[Size] = [*(1,) * (OUTER - len(outer)), *outer, length, out.type.shape[dim]]
    for kind in (x.type, out.type):
        words += _strides(kind, dim)
    down = node.attrs.get("descending", False) if node.op is argsort else node.attrs.get("largest", True)
    wanted = length if node.op is argsort else node.attrs["k"]
    name = f"order {x.type.dtype.name} {'down' if down else 'up'} {wanted if isinstance(wanted, int) else 0}"
    return RoutineStep(name, (x,), (out,), tuple(words))


def _strides(kind: TensorType, dim: int) -> list[Size]:
    steps = [0 if isinstance(n, int) and n == 1 else s for n, s in zip(kind.shape, kind.strides, strict=True)]
    outer = [s for d, s in enumerate(steps) if d != dim]
    return [*(0,) * (OUTER - len(outer)), *outer, steps[dim]]


def ways(step: RoutineStep, target: Target = SM90) -> tuple[Way, ...]:
    """The way to run a step: a launch for rows of one tile; else one for the tiles and one for each time that runs are merged."""
    _, dtype, direction, kept = step.routine.split()
    names = tuple(f"s{i}" for i in range(len(step.sizes)))
    words: list[Any] = [n if isinstance(n, int) else sizes.symbol(names[i]) for i, n in enumerate(step.sizes)]
    length, rows = words[LENGTH], words[0] * words[1] * words[2] * words[3]
    few = 0 < int(kept) <= _FEW
    tile = _SMALL if few else _TILE
    tile = min(tile, max(4, power(length))) if isinstance(length, int) else tile
    keep = min(tile, int(kept) or tile)
    plan = merges(length, tile, keep, int(kept))
    item = KEYS[dtype].itemsize
    scratch: list[Size] = []
    for width, held, *_ in plan:
        runs = sizes.floordiv(length + width - 1, width)
        scratch += [rows * runs * held * item, rows * runs * held * 4]
    together = max(1, _SMALL // tile)
    blocks = {"B": tile, "J": min(tile, _COUNTS // (tile * together)), "R": together}
    count = rows * sizes.floordiv(length + tile - 1, tile)
    text = tile_text(dtype, direction == "down", bool(plan))
    jobs = [_job("ranked", text, step, dtype, blocks | {"KEEP": keep}, sizes.floordiv(count + together - 1, together),
                 [0] if plan else [], not plan)]  # fmt: skip
    for n, (width, held, group, after) in enumerate(plan):
        last = n == len(plan) - 1
        blocks = {"X": _MERGED, "P": _BESIDE, "KEEP": held, "TOP": 1 << held.bit_length() - 1, "STEPS": held.bit_length(),
                  "WIDTH": width, "GROUP": group, "AFTER": after}  # fmt: skip
        count = rows * sizes.floordiv(length + width - 1, width) * held
        text = merge_text(last, group == 0)
        programs, areas = sizes.floordiv(count + _MERGED - 1, _MERGED), [2 * n] if last else [2 * n, 2 * n + 2]
        jobs.append(_job("merged", text, step, dtype, blocks, programs, areas, last))
    return (Way((), names, tuple(jobs), tuple(scratch)),)


def merges(length: Size, tile: int, keep: int, wanted: int) -> list[tuple[int, int, int, int]]:
    """For each merge how many elements of a row a run stands for, how many of them it holds, how many runs become one (0: all of
    a row), and how many that then holds. `wanted`: the first of a row, 0 for all of unknown many."""
    found: list[tuple[int, int, int, int]] = []
    width = tile
    while not isinstance(length, int) or width < length:
        runs = -(-length // width) if isinstance(length, int) else _RUNS + int(not found)
        every = runs <= (_LAST if isinstance(length, int) else _RUNS)
        after = min(keep * _RUNS, wanted) if wanted else keep * _RUNS
        found.append((width, keep, 0 if every else _RUNS, after))
        if every:
            break
        width, keep = width * _RUNS, after
    return found


def _job(
    name: str, text: str, step: RoutineStep, dtype: str, blocks: dict[str, int], programs: Size, areas: list[int], last: bool
) -> Job:
    """A launch. `areas`: the first (keys; places are in the next one) of where runs are read, and of where they are written;
    `last`: whether it writes the result."""
    signature, params = {}, []

    def add(argument: str, kind: str, parameter: Parameter) -> None:
        signature[argument] = kind
        params.append(parameter)

    key = KEYS[dtype].pointer
    if name == "ranked":
        add("x_ptr", POINTER[dtype], Parameter("buffer", 0))
    for area, letter in zip(areas, ("to", "") if name == "ranked" else ("", "to"), strict=False):
        front = f"{letter}_" if letter else ""
        add(f"{front}key_ptr", key, Parameter("scratch", area))
        add(f"{front}place_ptr", "*i32", Parameter("scratch", area + 1))
    if last:
        add("out_ptr", "*i64", Parameter("buffer", 1))
    used = [*range(FROM)]
    used += range(FROM, TO) if name == "ranked" else ()
    used += range(TO, len(step.sizes)) if last else ()
    for i in used:
        add(_word(i), "i64", Parameter("size", i, "i64"))
    divisible = tuple(n for n, p in zip(signature, params, strict=True) if p.kind == "scratch")
    build = stages.Build(name, text, signature, blocks, divisible, {"num_warps": 4})
    return Job(build, tuple(params), (programs, 1, 1))


def _word(i: int) -> str:
    if i < FROM:
        return f"D{i}" if i < OUTER else ("N", "K")[i - OUTER]
    return f"{'x' if i < TO else 'o'}{(i - FROM) % (OUTER + 1)}"
