"""The ways to run attention: blocks of queries and keys by a model of registers and shared memory, and others to measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...ir import sizes
from ...ir.plan import RoutineStep
from ...ir.sizes import Size
from . import attention, flex, stages
from .attention_text import Attention
from .config import PROCESSORS, power
from .flex_text import Flex, zero_text
from .flex_text import names_of as flex_names
from .kernel import SM90, Aligned, Assumption, Parameter, Target
from .templates import divided, names_of
from .ways import Job, Way

#: float32 numbers that a thread may hold, of its 255 registers
_REGISTERS = 168
#: scores are scaled and shifted by one operation, and a weight below 2^-126 is 0: a third of what is done for each score less
_FAST = {"enable_fp_fusion": True, "enable_reflect_ftz": True}
#: elements of a program that clears memory
_ZERO = 1024
#: queries up to which keys are shared out, keys from which on they are, parts at most, batch of unknown size
_FEW, _MANY, _PARTS, _GUESS = 16, 512, 64, 16
_KNOWN: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "forward": ((128, 64, 8, 3), (128, 128, 8, 2), (128, 64, 8, 2)), "keys": ((64, 64, 4, 3), (64, 128, 8, 2), (32, 64, 8, 2)),
    "queries": ((64, 64, 4, 3), (128, 64, 8, 3), (64, 32, 4, 2)),
}  # fmt: skip
_DROPPED: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "forward": ((128, 64, 8, 2), (64, 64, 8, 2), (64, 32, 8, 2)), "keys": ((32, 64, 8, 2), (32, 64, 8, 2), (32, 32, 8, 2)),
    "queries": ((64, 64, 4, 3), (64, 32, 4, 2), (32, 32, 8, 2)),
}  # fmt: skip
#: which argument of a backward call the mask is
_MASK = 4


@dataclass(frozen=True, slots=True)
class Blocks:
    """Queries and keys of a block, warps of a program, blocks under way at once."""

    down: int
    across: int
    warps: int
    stages: int


def ways(step: RoutineStep, target: Target = SM90, chosen: tuple[Blocks, ...] | None = None) -> tuple[Way, ...]:
    """The ways to run a step, best first. `chosen`: the blocks of its launches."""
    aligned = tuple(Aligned(n) for n, v in enumerate(step.views) if v is not None)
    return _way(step, target, chosen, aligned), _way(step, target, chosen, ())


def candidates(step: RoutineStep, target: Target = SM90) -> Mapping[str, Callable[[], tuple[Way, ...]]]:
    """Ways worth a measurement by a readable name, the model's choice first."""
    lists = [ranked(step, part, target) for part in parts_of(step)]
    found: dict[str, Callable[[], tuple[Way, ...]]] = {}
    for n in range(max(map(len, lists))):
        chosen = tuple(blocks[min(n, len(blocks) - 1)] for blocks in lists)
        found[" ".join(map(repr, chosen))] = partial(ways, step, target, chosen)
    return found


def parts_of(step: RoutineStep) -> tuple[str, ...]:
    """The launches of a step."""
    return ("forward",) if step.routine.split()[1] == "forward" else ("keys", "queries")


def ranked(step: RoutineStep, part: str, target: Target = SM90) -> list[Blocks]:
    """Blocks for a launch, the model's choice first."""
    first = choose(step, part, target)
    half = step.routine.split()[2] != "f32"
    more = [Blocks(d, a, w, s) for d in (128, 64, 32) for a in (128, 64, 32) for w in (4, 8) for s in ((2, 3) if half else (1,))]
    limit = max(16, power(n)) if isinstance(n := step.sizes[attention.ROWS], int) else 128
    fitting = [b for b in more if b != first and b.down <= max(first.down, limit) and _fits(step, part, b, target)]
    fitting.sort(key=lambda b: (-_worth(b), b.warps != first.warps, -b.stages))
    return [first, *fitting[:5]]


def _worth(b: Blocks) -> float:
    """Products for each number loaded."""
    return b.down * b.across / (b.down + b.across)


def _widths(step: RoutineStep) -> tuple[int, int]:
    wide, out = (power(max(16, int(str(n)))) for n in step.sizes[attention.WIDTH : attention.OUT + 1])
    return wide, out


def _fits(step: RoutineStep, part: str, b: Blocks, target: Target) -> bool:
    """Whether a block's operands lie in shared memory and its sums in registers."""
    wide, out = _widths(step)
    item = 4 if step.routine.split()[2] == "f32" else 2
    own, other = (b.down, b.across) if part != "keys" else (b.across, b.down)
    held = {"forward": own * wide, "keys": own * (wide + out), "queries": own * (wide + out)}[part]
    held += b.stages * other * (wide + out) + (0 if part == "forward" else 2 * b.down * b.across)
    sums = {"forward": own * out, "keys": own * (wide + out), "queries": own * wide}[part]
    scores = b.down * b.across * (1 if part == "forward" else 2)
    limit = _REGISTERS if part != "keys" or _is_flex(step) else _REGISTERS + 24  # (its weights are multiplied as they come)
    return item * held <= target.shared and (sums + scores) / (target.warp * b.warps) <= limit


def choose(step: RoutineStep, part: str, target: Target = SM90) -> Blocks:
    """The model's choice, so that what a program holds fits the registers."""
    widest = max(_widths(step))
    half = step.routine.split()[2] != "f32"
    rows = step.sizes[attention.ROWS]
    if half:
        down, across, warps, depth = 128 if part == "forward" else 64, 64, 4 if widest <= 64 else 8, 3 if widest <= 128 else 2
        if not _is_flex(step):
            down, across, warps, depth = _known(step, part, widest) or (down, across, warps, depth)
    else:
        down, across, warps, depth = 64 if part == "forward" and widest <= 64 else 32, 32, 8, 1
    if widest > 128 and (_is_flex(step) or not half or _known(step, part, widest) is None):
        down, across = max(16, down // 2), max(16, across // 2)
    if isinstance(rows, int):
        down = max(16, min(down, power(rows)))
        warps = 4 if down == 16 and part == "forward" else warps
    if _is_flex(step):
        down = down // 2 if part == "keys" and half and 64 < widest <= 128 else down  # the function holds registers, too
        across = 16 if not half and part != "forward" and widest > 64 else across
        at = flex.tail(step)
        down, across = (_dividing(b, n) for b, n in zip((down, across), step.sizes[at : at + 2], strict=True))
    blocks = Blocks(down, across, warps, depth)
    while blocks.stages > 1 and not _fits(step, part, blocks, target):
        blocks = Blocks(down, across, warps, blocks.stages - 1)
    return blocks


def _known(step: RoutineStep, part: str, widest: int) -> tuple[int, int, int, int] | None:
    """(queries, keys, warps, blocks under way) of half types by the machine code: the fewest instructions for each score that
    leave registers for what else is done, and for narrow rows two programs on a processor."""
    rows, keys = step.sizes[attention.ROWS], step.sizes[attention.KEYS]
    if any(isinstance(n, int) and n <= 64 for n in (rows, keys)):
        return None
    place = 0 if widest <= 64 else 1 if widest <= 128 else 2
    if float(step.scalars[1]) > 0:  # type: ignore[arg-type]
        return _DROPPED[part][place]  # (random numbers take most registers)
    if part == "keys" and place == 0 and not all(isinstance(n, int) for n in (rows, keys)):
        return (32, 64, 4, 3)  # (places in 64 bits take registers, too)
    if part == "keys" and place == 1:
        even = all(isinstance(n, int) and n % 128 == 0 for n in (rows, keys, *step.sizes[attention.WIDTH : attention.OUT + 1]))
        return (64 if even and step.args[_MASK] is None else 32, 128, 8, 2)
    return _KNOWN[part][place]


def _dividing(block: int, size: Size) -> int:
    """The largest block that divides that of a mask, if one does."""
    found = block
    while isinstance(size, int) and size and found > 16 and size % found:
        found //= 2
    return found if isinstance(size, int) and size and size % found == 0 else block


def _is_flex(step: RoutineStep) -> bool:
    return step.routine.startswith("flex")


def _way(step: RoutineStep, target: Target, chosen: tuple[Blocks, ...] | None, assumes: tuple[Assumption, ...]) -> Way:
    names = names_of(step)
    words = tuple(n if isinstance(n, int) else sizes.symbol(names[i]) for i, n in enumerate(step.sizes))
    jobs = _zeros(step, words) if _is_flex(step) else list[Job]()
    scratch: tuple[Size, ...] = ()
    for n, part in enumerate(parts_of(step)):
        blocks = choose(step, part, target) if chosen is None else chosen[n]
        parts = shares(step, blocks) if part == "forward" else 1
        programs = _programs(step, part, blocks, words)
        for launch in ("forward", "join") if parts > 1 else (part,):
            printed: Any = (Flex if _is_flex(step) else Attention)(step, launch, blocks.down, blocks.across, splits=parts)
            text = printed.source()
            options = {"num_warps": blocks.warps, "num_stages": blocks.stages, **_FAST}
            constants = {"BM": blocks.down, "BN": blocks.across}
            build = stages.Build("attention", text, printed.signature, constants, divided(step, printed, assumes), options)
            count = programs * parts if launch == "forward" else programs
            jobs.append(Job(build, tuple(printed.params), (count, 1, 1)))
        if parts > 1:
            lanes = 4 * programs * parts * blocks.down
            scratch = (lanes * _widths(step)[1], lanes, lanes)
    return Way(assumes, names, tuple(jobs), scratch)


def shares(step: RoutineStep, blocks: Blocks) -> int:
    """Into how many parts the keys of few queries are cut, so that all processors have work."""
    rows, keys = step.sizes[attention.ROWS], step.sizes[attention.KEYS]
    if not isinstance(rows, int) or rows > _FEW or (isinstance(keys, int) and keys < _MANY):
        return 1
    items = 1
    for n in step.sizes[: attention.BATCH]:
        items *= n if isinstance(n, int) else _GUESS
    most = min(_PARTS, keys // (2 * blocks.across)) if isinstance(keys, int) else _PARTS
    parts = 1
    while 2 * parts <= most and parts * items < 2 * PROCESSORS:
        parts *= 2
    return parts


def _programs(step: RoutineStep, part: str, blocks: Blocks, words: tuple[Any, ...]) -> Size:
    """How many programs there are: one for each block and item."""
    own, block = (words[attention.KEYS], blocks.across) if part == "keys" else (words[attention.ROWS], blocks.down)
    items: Size = words[0] * words[1] * words[2]
    if part == "keys" and _is_flex(step):
        items = words[flex.tail(step) + 2] * words[1]
    return sizes.floordiv(own + block - 1, block) * items


def _zeros(step: RoutineStep, words: tuple[Any, ...]) -> list[Job]:
    """The launches that clear the gradients of tensors from outside, which are added to."""
    known, jobs = flex.functions(step.routine), list[Job]()
    first = flex.tail(step) + flex.TAIL
    for i in known.wanted if step.routine.split()[1] == "backward" else ():
        place = first + flex.TABLE * i + flex.TABLE - 1
        build = stages.Build("zero", zero_text(), {"d_ptr": "*fp32", "count": "i64"}, {"XBLOCK": _ZERO}, (), {"num_warps": 4})
        params = (Parameter("buffer", flex_names(step).index(f"d{i}")), Parameter("size", place, "i64"))
        jobs.append(Job(build, params, (sizes.floordiv(words[place] + _ZERO - 1, _ZERO), 1, 1)))
    return jobs
