"""Triton's text of the launches that put rows in order (`sorting`): tiles in which elements count those before them, and merges.

Elements are compared by integers whose order is theirs: NaN is the largest, -0 is 0; where the largest come first, all bits are
the other way round. Equal ones keep their places.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = "import triton\nimport triton.language as tl\n"


@dataclass(frozen=True, slots=True)
class Key:
    """The integers by which elements of a type are compared."""

    type: str
    itemsize: int
    floating: bool = False

    @property
    def pointer(self) -> str:
        """Triton's type of a pointer to one."""
        return f"*i{8 * self.itemsize}"

    @property
    def most(self) -> str:
        """The largest."""
        return hex((1 << 8 * self.itemsize - 1) - 1)


_SHORT, _LONG = Key("tl.int32", 4), Key("tl.int64", 8)
KEYS = {
    "bool": _SHORT, "uint8": _SHORT, "int8": _SHORT, "int16": _SHORT, "int32": _SHORT, "int64": _LONG,
    "float16": Key("tl.int32", 4, True), "bfloat16": Key("tl.int32", 4, True), "float32": Key("tl.int32", 4, True),
    "float64": Key("tl.int64", 8, True),
}  # fmt: skip


def key_text(dtype: str, down: bool) -> str:
    """The function `key_of` of a text: from elements to what they are compared by. `down`: the largest come first."""
    key = KEYS[dtype]
    lines = ["@triton.jit", "def key_of(x):"]
    if key.floating:
        wide, quiet = ("tl.float32", "0x7F800000") if key.itemsize == 4 else ("tl.float64", "0x7FF0000000000000")
        lines += [
            f"    bits = x.to({wide}).to({key.type}, bitcast=True)",
            "    bits = tl.where(bits << 1 == 0, 0, bits)  # -0 is 0",
            f"    nan = bits & {key.most} > {quiet}",
            f"    key = tl.where(nan, {key.most}, bits ^ (bits >> {8 * key.itemsize - 1} & {key.most}))",
        ]
    else:
        lines.append(f"    key = x.to({key.type})")
    return "\n".join([*lines, f"    return {'~key' if down else 'key'}", "", ""])


_ROW = """
    d3 = row % D3
    d2 = row // D3 % D2
    d1 = row // (D3 * D2) % D1
    d0 = row // (D3 * D2 * D1)
"""
_TO_ROW = "out_ptr + d0 * o0 + d1 * o1 + d2 * o2 + d3 * o3 + rank.to(tl.int64) * o4"


def tile_text(dtype: str, down: bool, more: bool) -> str:
    """Each element of a tile counts those before it. `more`: the first of each tile become a run, not the result."""
    key = KEYS[dtype]
    steps = ", ".join(f"x{i}" for i in range(5))
    words = f"D0, D1, D2, D3, N, K, {steps}" + ("" if more else ", o0, o1, o2, o3, o4")
    to = "to_key_ptr, to_place_ptr" if more else "out_ptr"
    if more:
        end = """    there = item * KEEP + rank
    wanted = held & (rank < KEEP)
    tl.store(to_key_ptr + there, own, mask=wanted)
    tl.store(to_place_ptr + there, (first + at).to(tl.int32), mask=wanted)
"""
    else:
        end = f"    tl.store({_TO_ROW}, first + at, mask=held & (rank < K))\n"
    return f"""{HEAD}

{key_text(dtype, down)}
@triton.jit
def ranked(x_ptr, {to}, {words}, B: tl.constexpr, J: tl.constexpr, R: tl.constexpr, KEEP: tl.constexpr):
    item = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R)[:, None]
    tiles = (N + B - 1) // B
    row = item // tiles
    first = item % tiles * B
{_ROW.strip(chr(10))}
    x_row = x_ptr + d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3
    real = row < D0 * D1 * D2 * D3
    at = tl.arange(0, B)[None, :]
    held = real & (first + at < N)
    own = tl.where(held, key_of(tl.load(x_row + (first + at) * x4, mask=held, other=0)), {key.most})
    before = tl.zeros([R, B, J], tl.int32)
    for start in range(0, B, J):
        near = start + tl.arange(0, J)[None, :]
        there = real & (first + near < N)
        other = tl.where(there, key_of(tl.load(x_row + (first + near) * x4, mask=there, other=0)), {key.most})
        theirs, mine = other[:, None, :], own[:, :, None]
        before += ((theirs < mine) | ((theirs == mine) & (near[:, None, :] < at[:, :, None]))).to(tl.int32)
    rank = tl.sum(before, 2)
{end}"""


def merge_text(last: bool, every: bool) -> str:
    """Each element of a run counts those before it in the other runs of its group (`every`: in all of the row); of equal ones
    those of earlier runs are before it. `last`: the places are the result."""
    words = "D0, D1, D2, D3, N, K" + (", o0, o1, o2, o3, o4" if last else "")
    to = "out_ptr" if last else "to_key_ptr, to_place_ptr"
    if last:
        end = f"{_ROW.strip(chr(10))}\n    tl.store({_TO_ROW}, place.to(tl.int64), mask=held & (rank < K))\n"
    else:
        end = """    after = (runs + GROUP - 1) // GROUP
    there = (row * after + run // GROUP) * AFTER + rank
    tl.store(to_key_ptr + there, own, mask=held & (rank < AFTER))
    tl.store(to_place_ptr + there, place, mask=held & (rank < AFTER))
"""
    begin, stop = ("run * 0", "runs") if every else ("run // GROUP * GROUP", "GROUP")
    within = "" if every else " & (turn < GROUP)"
    constants = ", ".join(f"{n}: tl.constexpr" for n in ("X", "P", "KEEP", "TOP", "STEPS", "WIDTH", "GROUP", "AFTER"))
    return f"""{HEAD}

@triton.jit
def merged(key_ptr, place_ptr, {to}, {words}, {constants}):
    item = tl.program_id(0).to(tl.int64) * X + tl.arange(0, X)
    runs = (N + WIDTH - 1) // WIDTH
    row = item // (runs * KEEP)
    run = item // KEEP % runs
    within = item % KEEP
    held = (row < D0 * D1 * D2 * D3) & (within < N - run * WIDTH)
    own = tl.load(key_ptr + item, mask=held, other=0)
    place = tl.load(place_ptr + item, mask=held, other=0)
    begin = {begin}
    rank = within
    for start in range(0, {stop}, P):
        turn = start + tl.arange(0, P)[None, :]
        other = begin[:, None] + turn
        length = tl.minimum(N - other * WIDTH, KEEP)
        length = tl.where(held[:, None] & (other != run[:, None]){within}, length, 0)
        first = (row[:, None] * runs + other) * KEEP
        found = tl.zeros([X, P], tl.int64)
        for step in range(STEPS):
            probe = found + (TOP >> step)
            inside = probe <= length
            there = tl.load(key_ptr + first + probe - 1, mask=inside, other=0)
            goes = (there < own[:, None]) | ((there == own[:, None]) & (other < run[:, None]))
            found = tl.where(inside & goes, probe, found)
        rank += tl.sum(found, 1)
{end}"""
