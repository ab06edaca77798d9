"""Philox4x64-10 words. Four vectors of consecutive elements share their blocks; elsewhere each lane computes its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from .lanes import Lanes, suffix
from .writer import Writer

_M = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_W = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)

#: number of vectors that share blocks: a block holds four words
GROUP = 4
#: groups at a time: each round waits for the multiplications of the one before, and two chains fill that time (100 -> 65 us
#: for 65,536 words on Zen 5)
CHAINS = 2


def words(lanes: Lanes, arguments: Sequence[tuple[str, str, str]]) -> list[str]:
    """For each copy's (key, counter, word): word number `word` of the block with counter (counter, 0, 0, 0), key (key, 0)."""
    if lanes.n == 1:
        return [_one(lanes, *a) for a in arguments]
    if len(arguments) % GROUP or lanes.n % 4:
        return _each(lanes, arguments)
    w = lanes.w
    fast, slow, join = (w.fresh(stem) for stem in ("fast", "slow", "join"))
    w.do(f"br i1 {_regular(lanes, arguments)}, label %{fast}, label %{slow}")
    w.label(fast)
    with w.sometimes():
        shared = _shared(lanes, arguments[0], len(arguments) // GROUP)
    w.do(f"br label %{join}")
    after_fast = w.levels[-1].label
    w.label(slow)
    with w.sometimes():
        each = _each(lanes, arguments)
    w.do(f"br label %{join}")
    after_slow = w.levels[-1].label
    w.label(join)
    t = lanes.type("i64")
    return [w.here(f"phi {t} [ {a}, %{after_fast} ], [ {b}, %{after_slow} ]") for a, b in zip(shared, each, strict=True)]


def _regular(lanes: Lanes, arguments: Sequence[tuple[str, str, str]]) -> str:
    """Whether the copies hold consecutive elements from the first word of a block on, under one key."""
    key, counter, _ = (_first(lanes, v) for v in arguments[0])
    total = None
    for k, values in enumerate(arguments):
        blocks = _vector([(k * lanes.n + lane) // 4 for lane in range(lanes.n)])
        keys, counters = lanes.splat(key, "i64"), lanes.op("add", "i64", lanes.splat(counter, "i64"), blocks)
        wanted = (keys, counters, _vector([lane % 4 for lane in range(lanes.n)]))
        for value, want in zip(values, wanted, strict=True):
            same = lanes.op("icmp eq", "i64", value, want)
            total = same if total is None else lanes.op("and", "i1", total, same)
    t = lanes.type("i1")
    return lanes.w.call("i1", f"llvm.vector.reduce.and.{suffix(t)}", f"{t} {total}")


def _first(lanes: Lanes, value: str) -> str:
    return lanes.w.let(f"extractelement {lanes.type('i64')} {value}, i64 0")


def _vector(values: Sequence[int], element: str = "i64") -> str:
    return "<" + ", ".join(f"{element} {v}" for v in values) + ">"


def _shared(lanes: Lanes, first: tuple[str, str, str], groups: int) -> list[str]:
    """The words of as many blocks as there are lanes in all groups, in the order of the elements."""
    key, counter, _ = (_first(lanes, v) for v in first)
    start = lanes.op("add", "i64", lanes.splat(counter, "i64"), lanes.iota())
    counters = [lanes.op("add", "i64", start, lanes.const(g * lanes.n, "i64")) if g else start for g in range(groups)]
    return [text for c in blocks(lanes, lanes.splat(key, "i64"), counters) for text in _in_order(lanes, c)]


def _in_order(lanes: Lanes, c: list[str]) -> list[str]:
    """Four vectors with one word of each block, turned into four with all words of a quarter of the blocks."""
    out = []
    for k in range(GROUP):
        pairs = []
        for low in (0, 2):  # lane l takes word l % 4 of block (k * n + l) // 4
            order = [((lane % 4 - low) % 2) * lanes.n + (k * lanes.n + lane) // 4 for lane in range(lanes.n)]
            pairs.append(_shuffle(lanes, c[low], c[low + 1], order))
        out.append(_shuffle(lanes, pairs[0], pairs[1], [lane + (lanes.n if lane % 4 >= 2 else 0) for lane in range(lanes.n)]))
    return out


def _shuffle(lanes: Lanes, a: str, b: str, order: Sequence[int]) -> str:
    t = lanes.type("i64")
    return lanes.w.let(f"shufflevector {t} {a}, {t} {b}, <{lanes.n} x i32> {_vector(order, 'i32')}")


def _one(lanes: Lanes, key: str, counter: str, word: str) -> str:
    (c,) = blocks(lanes, key, [counter])
    out = c[3]
    for number in (2, 1, 0):
        out = lanes.select(lanes.op("icmp eq", "i64", word, lanes.const(number, "i64")), "i64", c[number], out)
    return out


def blocks(lanes: Lanes, key: str, counters: Sequence[str]) -> list[list[str]]:
    """For each counter the four words of its block. The chains are written side by side, a round at a time."""
    zero = lanes.const(0, "i64")
    chains, k = [[c, zero, zero, zero] for c in counters], [key, zero]
    for step in range(10):
        for i, c in enumerate(chains):
            high0, low0 = _multiply(lanes, _M[0], c[0])
            high1, low1 = _multiply(lanes, _M[1], c[2])
            chains[i] = [_xor(lanes, _xor(lanes, high1, c[1]), k[0]), low1, _xor(lanes, _xor(lanes, high0, c[3]), k[1]), low0]
        if step < 9:
            k = [lanes.op("add", "i64", k[i], lanes.const(_W[i], "i64")) for i in (0, 1)]
    return chains


def _xor(lanes: Lanes, a: str, b: str) -> str:
    return lanes.op("xor", "i64", a, b)


def _multiply(lanes: Lanes, m: int, x: str) -> tuple[str, str]:
    """(high, low) 64 bits of the product, by 32-bit halves where there are lanes."""
    low = lanes.op("mul", "i64", x, lanes.const(m, "i64"))
    if lanes.n == 1:
        wide = lanes.op("mul", "i128", lanes.convert("zext", "i64", "i128", x), str(m))
        return lanes.convert("trunc", "i128", "i64", lanes.op("lshr", "i128", wide, "64")), low
    half = lanes.const(0xFFFFFFFF, "i64")
    x0, x1 = lanes.op("and", "i64", x, half), _high(lanes, x)
    m0, m1 = lanes.const(m & 0xFFFFFFFF, "i64"), lanes.const(m >> 32, "i64")
    p00, p01, p10, p11 = (lanes.op("mul", "i64", a, b) for a, b in ((x0, m0), (x0, m1), (x1, m0), (x1, m1)))
    middle = lanes.op("add", "i64", p10, _high(lanes, p00))
    carry = lanes.op("add", "i64", lanes.op("and", "i64", middle, half), p01)
    high = lanes.op("add", "i64", p11, _high(lanes, middle))
    return lanes.op("add", "i64", high, _high(lanes, carry)), low


def _high(lanes: Lanes, x: str) -> str:
    return lanes.op("lshr", "i64", x, lanes.const(32, "i64"))


# ---- words of any blocks ----------------------------------------------------------------------------------------------
def _each(lanes: Lanes, arguments: Sequence[tuple[str, str, str]]) -> list[str]:
    """Every lane computes a block of its own, by a function that all such places of a kernel share."""
    t, name = lanes.type("i64"), f"fw.philox.{lanes.n}"
    lanes.w.helpers[name] = _function(name, lanes.n)
    return [lanes.w.here(f"call {t} @{name}({', '.join(f'{t} {v}' for v in a)})") for a in arguments]


@lru_cache(maxsize=8)
def _function(name: str, n: int) -> str:
    t = f"<{n} x i64>"
    w = Writer(f"define internal {t} @{name}({t} %key, {t} %counter, {t} %word) noinline", ("%key", "%counter", "%word"))
    w.do(f"ret {t} {_one(Lanes(w, n), '%key', '%counter', '%word')}")
    return w.text()
