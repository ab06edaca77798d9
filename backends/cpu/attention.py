"""Attention forward and backward in blocks, as routines: scores of some queries against some keys at a time, never all of them.

Scores lie transposed, one query a lane, so that softmax runs down columns. Writes LLVM text (`text`); which calls become such
routines, and with which words, says `attention_claim`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from . import attention_parts as parts
from .attention_blocks import FUNCTIONS
from .attention_tile import Shape, shape
from .gemm_tile import add, at, least, mul, sub, when
from .lanes import float_text
from .module import host_target
from .writer import Writer

#: Words of sizes before the strides: three batch dimensions, queries, keys, width, width of values, causal, and how many queries
#: and keys a block has.
NUMBERS = ("n0", "n1", "n2", "rows", "keys", "width", "out", "causal", "bq", "bk")
#: Pointer arguments, each with five strides in elements: three of the batch, row, column.
FORWARD = ("q", "k", "v", "mask", "state", "o", "lse")
BACKWARD = ("g", "q", "k", "v", "mask", "state", "delta", "lse", "dq", "dk", "dv")
STRIDES = 5
_ARGUMENTS = "ptr noalias %args, ptr noalias %sizes, ptr noalias %scalars, ptr noalias %scratch, i64 %thread, i64 %threads"


def text(words: Sequence[str]) -> str:
    """The module of the routine "forward" or "backward", for a mask that is "none", "bool" or "float", perhaps with "dropout"."""
    s = shape(host_target())
    made = (_Forward if words[0] == "forward" else _Backward)(s, words[1], "dropout" in words)
    writers = [*made.parts(), made.write()]
    declared: dict[str, str] = {}
    helpers: dict[str, str] = {}
    for w in writers:
        declared |= w.declared
        helpers |= w.helpers
    return "\n".join([*sorted(declared.values()), *helpers.values(), *(w.text() for w in writers), ""])


class _Blocks:
    """What forward and backward have in common: arguments, blocks of queries and of keys, scores."""

    names: tuple[str, ...] = ()

    def __init__(self, s: Shape, mask: str, dropped: bool) -> None:
        self.s, self.t, self.mask, self.dropped = s, s.tile, mask, dropped
        self.scalef = s.tile.lanes == 16
        self.w = Writer(f"define i32 @routine({_ARGUMENTS})", [x.split()[-1] for x in _ARGUMENTS.split(",")])
        self.n: dict[str, str] = {}
        self.pointers: dict[str, str] = {}
        self.strides: dict[str, list[str]] = {}

    def parts(self) -> list[Writer]:
        """The functions that are called."""
        out = [parts.turn_bools(self.t)] if self.mask == "bool" else []
        return out + ([parts.drop(self.t)] if self.dropped else [])

    # ---- arguments ----
    def word(self, base: str, index: int, type_: str = "i64") -> str:
        """Argument number `index` of those at `base`."""
        return self.w.here(f"load {type_}, ptr {self.w.let(f'getelementptr {type_}, ptr {base}, i64 {index}')}")

    def arguments(self) -> None:
        """Reads all of them."""
        w = self.w
        self.n = {name: self.word("%sizes", i) for i, name in enumerate(NUMBERS)}
        for i, name in enumerate(self.names):
            self.pointers[name] = self.word("%args", i, "ptr")
            first = len(NUMBERS) + STRIDES * i
            self.strides[name] = [self.word("%sizes", first + k) for k in range(STRIDES)]
        scale, p = self.word("%scalars", 0, "double"), self.word("%scalars", 1, "double")
        self.scale = w.let(f"fptrunc double {scale} to float")
        self.p = w.let(f"fptrunc double {p} to float")
        rest = w.let(f"fsub double 1.0, {p}")
        none = w.let(f"fcmp ole double {rest}, 0.0")
        inverse = w.let(f"fdiv double 1.0, {w.let(f'select i1 {none}, double 1.0, double {rest}')}")
        self.factor = w.let(f"fptrunc double {w.let(f'select i1 {none}, double 0.0, double {inverse}')} to float")
        self.causal = w.let(f"icmp ne i64 {self.n['causal']}, 0")
        self.vectors = w.let(f"sdiv i64 {self.n['bq']}, {self.t.lanes}")

    def area(self, *lengths: str) -> list[str]:
        """Consecutive areas of scratch, of these numbers of floats (multiples of a vector)."""
        out, place = [], "0"
        for length in lengths:
            out.append(at(self.w, self.t, "%scratch", place))
            place = add(self.w, place, length)
        return out

    def share(self, total: str) -> tuple[str, str]:
        """First and last but one unit of this thread."""
        w = self.w
        lo = w.let(f"sdiv i64 {mul(w, total, '%thread')}, %threads")
        return lo, w.let(f"sdiv i64 {mul(w, total, w.let('add i64 %thread, 1'))}, %threads")

    def at_batch(self, number: str) -> None:
        """Has `self.base` be the first element of matrix `number` of the batch in every argument."""
        w, n = self.w, self.n
        last, rest = w.let(f"srem i64 {number}, {n['n2']}"), w.let(f"sdiv i64 {number}, {n['n2']}")
        index = w.let(f"sdiv i64 {rest}, {n['n1']}"), w.let(f"srem i64 {rest}, {n['n1']}"), last
        self.base = {}
        for name, pointer in self.pointers.items():
            offset = "0"
            for i, s in zip(index, self.strides[name], strict=False):
                offset = add(w, offset, mul(w, i, s))
            element = "i8" if name == "mask" and self.mask == "bool" else "float"
            self.base[name] = w.let(f"getelementptr {element}, ptr {pointer}, i64 {offset}")

    def rows_of(self, name: str, row: str) -> str:
        """The address of a row of an argument, of this matrix of the batch."""
        element = "i8" if name == "mask" and self.mask == "bool" else "float"
        return self.w.let(f"getelementptr {element}, ptr {self.base[name]}, i64 {mul(self.w, row, self.strides[name][3])}")

    @contextmanager
    def each(self, total: str, size: str) -> Iterator[tuple[str, str]]:
        """Blocks of `size` of `total`: where each begins, and how many it has."""
        w = self.w
        blocks = w.let(f"sdiv i64 {sub(w, add(w, total, size), '1')}, {size}")
        i = w.open_loop("0", blocks, 1)
        first = mul(w, i.index, size)
        yield first, least(w, size, sub(w, total, first))
        w.close_loop(i)

    # ---- calls ----
    def call(self, name: str, *arguments: str) -> None:
        """A call of a function without a result; arguments are i64 where they do not say."""
        given = [a if " " in a else f"i64 {a}" for a in arguments]
        if name in FUNCTIONS:
            self.w.declare("void", name, *given)
        self.w.do(f"call void @{name}({', '.join(given)})")

    def block(
        self, a: tuple[str, str, str], b: tuple[str, str], c: tuple[str, str], sizes: tuple[str, str, str], more: bool
    ) -> None:
        """The product of `attention_tile`: A with two strides, B and C with that of rows, (m, n, k)."""
        flag = str(more).lower()
        self.call("block", f"ptr {a[0]}", a[1], a[2], f"ptr {b[0]}", b[1], f"ptr {c[0]}", c[1], *sizes, f"i1 {flag}")

    def turned(self, name: str, row: str, count: str, columns: str, to: str, factor: str = "1.0") -> None:
        """`count` rows of an argument as columns in scratch, the remaining lanes zero."""
        s, source = self.strides[name], self.rows_of(name, row)
        bq = self.n["bq"]
        self.call("turn", f"ptr {source}", s[3], s[4], count, columns, f"ptr {to}", "1", bq, bq, f"float {factor}")

    def returned(self, source: str, count: str, columns: str, name: str, row: str) -> None:
        """Columns in scratch as `count` rows of an argument."""
        s = self.strides[name]
        to = self.rows_of(name, row)
        self.call("turn", f"ptr {source}", self.n["bq"], "1", columns, count, f"ptr {to}", s[4], s[3], "0", "float 1.0")

    def scores(self, queries: str, key: str, count: str, query: str, rows: str, to: str) -> None:
        """Scores, with their mask, of the block of `rows` queries from `query` on against `count` keys from `key` on."""
        n, bq, w = self.n, self.n["bq"], self.w
        if self.mask != "none":
            s = self.strides["mask"]
            element = "i8" if self.mask == "bool" else "float"
            first = w.let(f"getelementptr {element}, ptr {self.rows_of('mask', query)}, i64 {mul(w, key, s[4])}")
            name = "turn_bools" if self.mask == "bool" else "turn"
            self.call(name, f"ptr {first}", s[3], s[4], rows, count, f"ptr {to}", "1", bq, bq, "float 1.0")
        k = self.strides["k"]
        self.block((self.rows_of("k", key), k[3], k[4]), (queries, bq), (to, bq), (count, bq, n["width"]), self.mask != "none")

    def seen(self, query: str, rows: str) -> str:
        """How many keys some query of the block sees."""
        last = add(self.w, query, rows)
        return self.w.let(f"select i1 {self.causal}, i64 {least(self.w, last, self.n['keys'])}, i64 {self.n['keys']}")

    def opened(self, count: str, query: str, key: str, lane: str) -> tuple[str, str, str]:
        """(lo, hi, ahead) of `attention_parts.weigh` for the vector of queries at `lane` of the block."""
        w = self.w
        ahead = sub(w, key, add(w, query, lane))
        least_open = sub(w, "1", ahead)
        lo, hi = (w.call("i64", "llvm.smax.i64", "i64 0", f"i64 {least(w, x, count)}")
                  for x in (least_open, add(w, least_open, str(self.t.lanes - 1))))  # fmt: skip
        lo, hi = (w.let(f"select i1 {self.causal}, i64 {x}, i64 {count}") for x in (lo, hi))
        return lo, hi, ahead

    def draws(self, number: str, query: str, lane: str, key: str, count: str, to: str) -> None:
        """What the weights of one vector of queries are multiplied by."""
        w, n = self.w, self.n
        row = add(w, mul(w, number, n["rows"]), add(w, query, lane))
        first = add(w, mul(w, row, n["keys"]), key)
        drawn = f"ptr {self.pointers['state']}", f"float {self.p}", f"float {self.factor}"
        self.call("drop", f"ptr {to}", n["bq"], count, first, n["keys"], *drawn)

    def filled(self, base: str, vectors: str, value: str) -> None:
        """`vectors` vectors from `base` on, all of them `value`."""
        w, t = self.w, self.t
        i = w.open_loop("0", vectors, 1)
        w.do(f"store {t.vector} {value}, ptr {at(w, t, base, mul(w, i.index, str(t.lanes)))}, align 4")
        w.close_loop(i)


class _Forward(_Blocks):
    """Scratch: queries and result as columns, scores, dropped weights, and per query maximum, sum, factor, logarithm."""

    names = FORWARD

    def parts(self) -> list[Writer]:
        return [*super().parts(), parts.weigh(self.t, self.dropped, self.scalef), parts.finish(self.t, self.scalef)]

    def write(self) -> Writer:
        """The routine's own function."""
        w = self.w
        self.arguments()
        n = self.n
        bq = n["bq"]
        wide, long = mul(w, bq, n["width"]), mul(w, bq, n["bk"])
        areas = self.area(wide, mul(w, bq, n["out"]), long, *([long] if self.dropped else []), bq, bq, bq, bq)
        self.queries, self.result, self.weights, *rest = areas
        self.drop = rest.pop(0) if self.dropped else "null"
        self.max, self.sum, self.alpha, self.logs = rest
        blocks = w.let(f"sdiv i64 {sub(w, add(w, n['rows'], bq), '1')}, {bq}")
        total = mul(w, mul(w, n["n0"], mul(w, n["n1"], n["n2"])), blocks)
        unit = w.open_loop(*self.share(total), 1)
        number = w.let(f"sdiv i64 {unit.index}, {blocks}")
        self.at_batch(number)
        query = mul(w, w.let(f"srem i64 {unit.index}, {blocks}"), bq)
        self._queries(number, query, least(w, bq, sub(w, n["rows"], query)))
        w.close_loop(unit)
        w.do("ret i32 0")
        return w

    def _queries(self, number: str, query: str, rows: str) -> None:
        w, n, t = self.w, self.n, self.t
        bq = n["bq"]
        self.turned("q", query, rows, n["width"], self.queries, self.scale)
        self.filled(self.max, self.vectors, f"splat (float {float_text(parts.LOWEST, 'float')})")
        self.filled(self.sum, self.vectors, "zeroinitializer")
        self.filled(self.result, mul(w, self.vectors, n["out"]), "zeroinitializer")
        with self.each(self.seen(query, rows), n["bk"]) as (key, count):
            self._keys(number, (query, rows), key, count)
        lane = w.open_loop("0", bq, t.lanes)
        at_lane = {x: at(w, t, getattr(self, x), lane.index) for x in ("result", "max", "sum", "logs")}
        self.call("finish", f"ptr {at_lane['result']}", bq, n["out"], *(f"ptr {at_lane[x]}" for x in ("max", "sum", "logs")))
        w.close_loop(lane)
        self.returned(self.result, rows, n["out"], "o", query)
        self._logs(query, rows)

    def _keys(self, number: str, block: tuple[str, str], key: str, count: str) -> None:
        w, n, t = self.w, self.n, self.t
        bq, (query, rows) = n["bq"], block
        self.scores(self.queries, key, count, query, rows, self.weights)
        lane = w.open_loop("0", bq, t.lanes)
        at_lane = {x: at(w, t, getattr(self, x), lane.index) for x in ("weights", "max", "sum", "alpha", "result")}
        drop = "null"
        if self.dropped:
            drop = at(w, t, self.drop, lane.index)
            self.draws(number, query, lane.index, key, count, drop)
        lo, hi, ahead = self.opened(count, query, key, lane.index)
        state = (f"ptr {at_lane[x]}" for x in ("max", "sum", "alpha"))
        self.call("weigh", f"ptr {at_lane['weights']}", bq, count, lo, hi, ahead, *state, f"ptr {drop}")
        with when(w, w.let(f"icmp sgt i64 {key}, 0")):
            self.call("times", f"ptr {at_lane['result']}", bq, n["out"], f"ptr {at_lane['alpha']}")
        w.close_loop(lane)
        v = self.strides["v"]
        self.block((self.rows_of("v", key), v[4], v[3]), (self.weights, bq), (self.result, bq), (n["out"], bq, count), True)

    def _logs(self, query: str, rows: str) -> None:
        w = self.w
        i = w.open_loop("0", rows, 1)
        value = w.here(f"load float, ptr {at(w, self.t, self.logs, i.index)}")
        w.do(f"store float {value}, ptr {self.rows_of('lse', add(w, query, i.index))}")
        w.close_loop(i)


class _Backward(_Blocks):
    """Scratch: queries and gradients as columns, gradient of queries as columns, weights, gradient of scores, dropped weights,
    sums of exponentials and `delta` of the block, and rows of queries and of gradients where theirs have no unit stride."""

    names = BACKWARD

    def parts(self) -> list[Writer]:
        return [*super().parts(), parts.slope(self.t, self.dropped, self.scalef)]

    def write(self) -> Writer:
        """The routine's own function."""
        w = self.w
        self.arguments()
        n = self.n
        bq = n["bq"]
        wide, out, long = mul(w, bq, n["width"]), mul(w, bq, n["out"]), mul(w, bq, n["bk"])
        areas = self.area(wide, out, wide, long, long, *([long] if self.dropped else []), bq, bq, wide, out)
        self.queries, self.reached, self.result, self.weights, self.slopes, *rest = areas
        self.drop = rest.pop(0) if self.dropped else "null"
        self.logs, self.deltas, self.query_rows, self.reached_rows = rest
        unit = w.open_loop(*self.share(mul(w, n["n0"], mul(w, n["n1"], n["n2"]))), 1)
        self.at_batch(unit.index)
        for name, columns in (("dk", n["width"]), ("dv", n["out"])):
            self._cleared(name, columns)
        with self.each(n["rows"], bq) as (query, rows):
            self._queries(unit.index, query, rows)
        w.close_loop(unit)
        w.do("ret i32 0")
        return w

    def _cleared(self, name: str, columns: str) -> None:
        w = self.w
        i = w.open_loop("0", self.n["keys"], 1)
        row = self.rows_of(name, i.index)
        w.declare("void", "llvm.memset.p0.i64", f"ptr {row}", "i8 0", "i64 0", "i1 false")
        w.do(f"call void @llvm.memset.p0.i64(ptr {row}, i8 0, i64 {mul(w, columns, '4')}, i1 false)")
        w.close_loop(i)

    def _in_rows(self, name: str, query: str, rows: str, columns: str, scratch: str) -> tuple[str, str]:
        """(address, stride) of rows whose elements lie side by side: those of the argument, or copies in scratch."""
        w, s = self.w, self.strides[name]
        there = self.rows_of(name, query)
        apart = w.let(f"icmp ne i64 {s[4]}, 1")
        with when(w, apart):
            self.call("turn", f"ptr {there}", s[3], s[4], rows, columns, f"ptr {scratch}", columns, "1", "0", "float 1.0")
        return w.let(f"select i1 {apart}, ptr {scratch}, ptr {there}"), w.let(f"select i1 {apart}, i64 {columns}, i64 {s[3]}")

    def _queries(self, number: str, query: str, rows: str) -> None:
        w, n, t = self.w, self.n, self.t
        self.turned("q", query, rows, n["width"], self.queries, self.scale)
        self.turned("g", query, rows, n["out"], self.reached)
        query_rows = self._in_rows("q", query, rows, n["width"], self.query_rows)
        reached_rows = self._in_rows("g", query, rows, n["out"], self.reached_rows)
        self.filled(self.logs, self.vectors, "splat (float 0x7FF0000000000000)")
        self.filled(self.deltas, self.vectors, "zeroinitializer")
        i = w.open_loop("0", rows, 1)
        for name, to in (("lse", self.logs), ("delta", self.deltas)):
            value = w.here(f"load float, ptr {self.rows_of(name, add(w, query, i.index))}")
            w.do(f"store float {value}, ptr {at(w, t, to, i.index)}")
        w.close_loop(i)
        self.filled(self.result, mul(w, self.vectors, n["width"]), "zeroinitializer")
        with self.each(self.seen(query, rows), n["bk"]) as (key, count):
            self._keys(number, (query, rows), key, count, query_rows, reached_rows)
        self.returned(self.result, rows, n["width"], "dq", query)

    def _keys(
        self, number: str, block: tuple[str, str], key: str, count: str, query_rows: tuple[str, str],
        reached_rows: tuple[str, str],
    ) -> None:  # fmt: skip
        w, n, t = self.w, self.n, self.t
        bq, (query, rows) = n["bq"], block
        self.scores(self.queries, key, count, query, rows, self.weights)
        v, k = self.strides["v"], self.strides["k"]
        self.block((self.rows_of("v", key), v[3], v[4]), (self.reached, bq), (self.slopes, bq), (count, bq, n["out"]), False)
        lane = w.open_loop("0", bq, t.lanes)
        at_lane = {x: at(w, t, getattr(self, x), lane.index) for x in ("weights", "slopes", "logs", "deltas")}
        drop = "null"
        if self.dropped:
            drop = at(w, t, self.drop, lane.index)
            self.draws(number, query, lane.index, key, count, drop)
        lo, hi, ahead = self.opened(count, query, key, lane.index)
        self.call(
            "slope", f"ptr {at_lane['weights']}", f"ptr {at_lane['slopes']}", bq, count, lo, hi, ahead,
            f"ptr {at_lane['logs']}", f"ptr {at_lane['deltas']}", f"float {self.scale}", f"ptr {drop}",
        )  # fmt: skip
        w.close_loop(lane)
        for name, scores, from_, columns in (
            ("dv", self.weights, reached_rows, n["out"]), ("dk", self.slopes, query_rows, n["width"]),
        ):  # fmt: skip
            to = self.rows_of(name, key), self.strides[name][3]
            self.block((scores, bq, "1"), from_, to, (count, columns, rows), True)
        self.block((self.rows_of("k", key), k[4], k[3]), (self.slopes, bq), (self.result, bq), (n["width"], bq, count), True)
