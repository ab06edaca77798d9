"""The text of attention with functions of scores: the blocks of `attention_text` with the functions' lines in their inner loops.

Where a mask by blocks is at hand, programs walk over its lists: blocks without an open key are not touched, those without a
closed one skip the mask's function. Heads of queries that share keys follow one another in the program that owns these keys.
Gradients of tensors that the function of scores reads are added atomically, hence in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...ir import dtypes
from ...ir.plan import RoutineStep
from . import flex, scalar
from .attention import KEYS, OUT, ROWS, WIDTH
from .attention_text import LN2, LOG2E, Attention
from .flex_body import BOTH, COLUMNS, LINES, NONE, Function, Lines, Read
from .kernel import Parameter
from .names import Text
from .triton import HEAD, POINTER

#: the views of a mask by blocks: counts and numbers of blocks of keys with closed keys, without; then those of queries
BLOCKS = ("some_count", "some", "full_count", "full", "some_count_q", "some_q", "full_count_q", "full_q")
_WRITTEN = {"forward": ("out", "lse", "top"), "join": ("out", "lse", "top"), "keys": ("dk", "dv"), "queries": ("dq",)}
_GROUP, _BATCH = 2, 0


def names_of(step: RoutineStep) -> tuple[str, ...]:
    """What a step's views are called."""
    known = flex.functions(step.routine)
    outside = tuple(f"c{i}" for i in range(len(known.kinds)))
    if step.routine.split()[1] == "forward":
        return ("q", "k", "v", *BLOCKS, *outside, "out", "lse", "top")
    return ("g", "delta", "lse", "q", "k", "v", *BLOCKS, *outside, "dq", "dk", "dv", *(f"d{i}" for i in known.wanted))


@dataclass(slots=True)
class Flex(Attention):
    """Prints one launch, as `Attention` does."""

    edge: str | None = ""  # where keys may be closed in the block at hand: everywhere, if this holds, or nowhere (None)
    moved: set[str] = field(default_factory=set)
    function: Function | None = None
    printed: Lines | None = None
    count: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """What the step's views are called."""
        return names_of(self.step)

    @property
    def known(self) -> flex.Functions:
        """The functions."""
        return flex.functions(self.step.routine)

    def source(self) -> str:
        """The text; `signature` and `params` are there behind it."""
        lists = [name for pair in self._lists() for name in pair[:2]]
        ends = {f"d{i}" for i in self.known.wanted}
        used = {*lists, *_WRITTEN[self.part], *(ends if self.part == "queries" else ())}
        unused = (({"dq", "dk", "dv", *BLOCKS} | ends) - used) | self._apart()
        for place, (name, view) in enumerate(zip(self.names, self.step.views, strict=True)):
            if view is not None and name not in unused:
                self.signature[f"{name}_ptr"] = POINTER[view.type.dtype.name]
                self.params.append(Parameter("buffer", place))
        for i, kind in enumerate(self.known.kinds):
            if isinstance(kind, str):
                self.signature[f"c{i}"] = "fp64" if kind == "float" else "i64"
                self.params.append(Parameter("float" if kind == "float" else "int", 1 + i, self.signature[f"c{i}"]))
        self._areas()
        {"forward": self._forward, "join": self._join, "keys": self._keys, "queries": self._queries}[self.part]()
        arguments = ", ".join([*self.signature, "BM: tl.constexpr", "BN: tl.constexpr"])
        whole = "\n".join([f"@triton.jit\ndef attention({arguments}):", *self.lines])
        helpers = [scalar.HELPERS[name] for name in scalar.helpers_in(whole)]
        return "\n\n".join([HEAD, *(h + "\n" for h in helpers), whole]) + "\n"

    # ---- items ----------------------------------------------------------------------------------------------------
    def pointer(self, name: str) -> str:
        """What points to the first element of an argument that belongs to the item."""
        return f"{name}_at" if name in self.moved else f"{name}_ptr"

    def _move(self, *names: str) -> None:
        """Point to the item ``at0, at1, at2``."""
        for name in names:
            if f"{name}_ptr" not in self.signature:
                continue
            terms = [f"at{d} * {self.stride(name, d)}" for d in range(3) if self.stride(name, d) != "0"]
            if terms:
                self.say(f"{name}_at = {name}_ptr + {' + '.join(terms)}")
                self.moved.add(name)

    def _item(self) -> None:
        """Where a program of queries works."""
        group, heads = self.word(_GROUP, "group"), self.word(1, "heads")
        rows = self.word(ROWS, "rows")
        self._which()
        self.say(f"blocks = tl.cdiv({rows}, BM)", "item = (program // blocks).to(tl.int64)")
        self.say("first = (program % blocks) * BM")
        self.say(f"at2 = item % {group}", f"at1 = item // {group} % {heads}", f"at0 = item // {group} // {heads}")
        self._numbers()
        self._move("q", "k", "v", *BLOCKS, "out", "lse", "top", "g", "delta", "dq")
        self._columns()
        self._rows("first")

    def _numbers(self) -> None:
        self.say("b32 = at0.to(tl.int32)", f"h32 = (at1 * {self.word(_GROUP, 'group')} + at2).to(tl.int32)")

    def _columns(self) -> None:
        self.say(f"e = tl.arange(0, {self._wide(WIDTH)})", f"w = tl.arange(0, {self._wide(OUT)})")

    def _rows(self, start: str) -> None:
        self.say(f"row = ({start} + tl.arange(0, BM)).to(tl.int64)", "row32 = row.to(tl.int32)")

    def _columns_of_keys(self, start: str) -> None:
        self.say(f"key = ({start} + tl.arange(0, BN)).to(tl.int64)", "key32 = key.to(tl.int32)")

    # ---- blocks ---------------------------------------------------------------------------------------------------
    def _lists(self) -> list[tuple[str, str]]:
        """(counts, numbers) of the lists of blocks to walk over, first those where keys may be closed; none: all blocks."""
        at = flex.tail(self.step)
        fits = all(isinstance(n, int) and n and n % b == 0
                   for n, b in zip(self.step.sizes[at : at + 2], (self.down, self.across), strict=True))  # fmt: skip
        if self.known.mask.result is None or not fits:
            return []
        end = "_q" if self.part == "keys" else ""
        found = [(f"some_count{end}", f"some{end}"), (f"full_count{end}", f"full{end}")]
        return [pair for pair in found if self.has(pair[0])] if self.has(found[0][0]) else []

    def _walk(self, inner: Callable[[], None]) -> None:
        """`inner` for each block of keys, or of queries where the program owns keys; it begins at ``start``. Forward in one loop
        for both lists (with two, operands of the second wait until the first is done, and registers hold more); gradients in two
        (the assembler lets no product run beside another where one of several is behind a condition: its note C7515)."""
        turned = self.part == "keys"
        count, block = (self.word(ROWS, "rows"), "BM") if turned else (self.word(KEYS, "keys"), "BN")
        lists, self.edge = self._lists(), ""
        if not lists:
            low, high = self._span(count, block)
            self._loop(f"for start in range({low}, {high}, {block}):", [], inner)
        elif self.part == "forward" and len(lists) > 1:
            self._both(lists, inner)
        else:
            for one in lists:
                turns, place = self._list(one, "many", "turn")
                low, high = self._span(turns, "1")
                self._loop(f"for turn in range({low}, {high}):", [self._start(f"tl.load({place})", "turn")], inner)
                self.edge = None

    def _both(self, lists: Sequence[tuple[str, str]], inner: Callable[[], None]) -> None:
        """`inner` for the blocks of two lists, one behind the other."""
        (some, first), (full, second) = (self._list(one, f"{one[0]}ed", "turn") for one in lists)
        self.say(f"edges = {some}")
        low, high = self._span(f"edges + {full}", "1")
        second = second.replace("turn", "(turn - edges)")
        self.edge = "turn < edges"
        start = self._start(f"tl.load(tl.where(turn < edges, {first}, {second}))", "tl.where(turn < edges, turn, turn - edges)")
        self._loop(f"for turn in range({low}, {high}):", [start], inner)

    def _list(self, one: tuple[str, str], many: str, turn: str) -> tuple[str, str]:
        """(turns that a list takes, where the number of a turn's block lies)."""
        own, _, per = self._blocks()
        line = f"(first // {own})"
        self.say(f"{many} = tl.load({self.pointer(one[0])} + {self._times(line, self.stride(one[0], 3))})")
        turn = turn if per == 1 else f"({turn} // {per})"
        place = f"{self._times(line, self.stride(one[1], 3))} + {self._times(turn, self.stride(one[1], 4))}"
        return many if per == 1 else f"{many} * {per}", f"{self.pointer(one[1])} + {place}"

    def _start(self, number: str, turn: str) -> str:
        """The line that says where a turn's block begins."""
        _, other, per = self._blocks()
        block = "BM" if self.part == "keys" else "BN"
        return f"start = {number} * {other}" + (f" + {turn} % {per} * {block}" if per > 1 else "")

    def _blocks(self) -> tuple[int, int, int]:
        """What a block of the mask has on the side that a program owns and on the other, and turns for each of them."""
        at = flex.tail(self.step)
        sizes = [int(str(n)) for n in self.step.sizes[at : at + 2]]
        own, other = sizes[::-1] if self.part == "keys" else sizes
        return own, other, other // (self.down if self.part == "keys" else self.across)

    def _loop(self, head: str, lines: list[str], inner: Callable[[], None]) -> None:
        self.say(head)
        self.indent += 1
        self.say(*lines)
        inner()
        self.indent -= 1

    # ---- functions ------------------------------------------------------------------------------------------------
    def _lines(self, function: Function) -> Lines:
        self.count += 1
        return Lines(function, self.say, self._read, f"f{self.count}_")

    def _place(self, name: str, table: int, positions: list[Text]) -> tuple[str, str, frozenset[str]]:
        """(offset of an element, where it is within bounds, over which dimensions it varies)."""
        first = flex.tail(self.step) + flex.TAIL + flex.TABLE * table
        terms, bounds, dims = [], [], NONE
        total = self.step.sizes[first + flex.TABLE - 1]
        small = isinstance(total, int) and total < 2**31
        for d, p in enumerate(positions):
            size = self.word(first + d, f"c{table}_size{d}")
            text, plain = p.text, p.text in LINES
            if not plain:
                self.count += 1
                text = f"p{self.count}"
                self.say(f"{text} = {p.text}" if p.constant is None else f"{text} = tl.full((), {p.constant}, tl.int32)")
                self.say(f"{text} = tl.where({text} < 0, {text} + {size}, {text})")
            bounds.append(f"({text} < {size})" if plain else f"({text} >= 0) & ({text} < {size})")
            terms.append(self._times(text if small else f"{text}.to(tl.int64)", self.stride(name, d)))
            dims |= p.dims
        return " + ".join(terms), " & ".join(bounds), dims

    def _read(self, read: Read, positions: list[Text]) -> Text:
        """An element of a tensor from outside."""
        dtype: Any = self.known.kinds[read.table]
        if not positions:
            text, dims = f"tl.load(c{read.table}_ptr)", NONE
        else:
            place, bounds, dims = self._place(f"c{read.table}", read.table, positions)
            text = f"tl.load(c{read.table}_ptr + {place}, mask={bounds}, other=0)"
        if dtype is dtypes.bool_:
            return Text(f"{text} != 0", dtype, dims)
        return Text(f"{text}.to(tl.float32)", dtypes.float32, dims) if dtype.is_half else Text(text, dtype, dims)

    @property
    def _unscaled(self) -> bool:
        """Whether scores are scaled where they are shifted, both by one operation."""
        return self.known.score.result is None and self.scale > 0

    def _scores(self, left: str, right: str) -> None:
        """``s``: scores (times log2(e), where `_unscaled` does not hold), minus infinity where a key is closed."""
        known, made = self.known, f'tl.dot({left}, {right}, input_precision="ieee")'
        if known.score.result is None:
            self.say(f"s = {made}" + ("" if self._unscaled else f" * {self.scale * LOG2E!r}"))
        else:
            self.say(f"raw = {made} * {self.scale!r}")
            self._changed()
        if self.edge is not None:
            self.say(*([f"if {self.edge}:"] if self.edge else []))
            self.indent += bool(self.edge)
            self._closed()
            self.indent -= bool(self.edge)

    def _changed(self) -> None:
        """``s`` by the function of scores."""
        self.function = Function(self.known.score, self.known.kinds)
        self.printed = self._lines(self.function)
        made = self.printed.text(self.function.run())
        s = made.text if made.dtype is dtypes.float32 else scalar.cast(made.dtype, dtypes.float32, made.text)
        s = s if made.dims == BOTH else f"({s} + tl.zeros([BM, BN], tl.float32))"
        self.say(f"s = {s} * {LOG2E!r}")

    def _closed(self) -> None:
        """``opened``, and scores of closed keys minus infinity."""
        self.say(f"opened = (key[None, :] < {self.word(KEYS, 'keys')}) & (row[:, None] < {self.word(ROWS, 'rows')})")
        if self.known.mask.result is not None:
            function = Function(self.known.mask, self.known.kinds)
            made = self._lines(function).text(function.run())
            self.say(f"opened = opened & {f'({made.text})' if made.dtype.kind == 'b' else f'({made.text} != 0)'}")
        self.say('s = tl.where(opened, s, float("-inf"))')

    def _towards(self, value: str) -> None:
        """``weight``, and the gradient of products of queries and keys (``away``)."""
        self.say(f"weight = tl.exp2({self._scaled} - (sums * {LOG2E!r})[:, None])")
        self.say(f'away = weight * (tl.dot(g, {value}, input_precision="ieee") - delta[:, None])')
        if self.function is not None and self.printed is not None:
            wanted = self.known.wanted if self.part == "queries" else ()
            towards, reads = self.function.pulled(wanted)
            for read, gradient in reads:
                self._scatter(read, self.printed.text(gradient))
            made = Text("away * 0.0", dtypes.float32, BOTH) if towards is None else self.printed.text(towards)
            text = made.text if made.dims == BOTH else f"{made.text} + tl.zeros([BM, BN], tl.float32)"
            self.say(f"away = tl.where(opened, {text}, 0.0)" if self.edge is not None else f"away = {text}")
        self.say(f"away = away * {self.scale!r}")

    def _scatter(self, read: Read, gradient: Text) -> None:
        """Add the gradient of an element of a tensor from outside to that tensor's."""
        assert self.printed is not None
        name = f"d{read.table}"
        positions = [self.printed.text(p) for p in read.positions]
        place, bounds, dims = self._place(name, read.table, positions) if positions else ("0", "", NONE)
        full = f"{gradient.text} + tl.zeros([BM, BN], tl.float32)"
        self.say(f"more = tl.where(opened, {full}, 0.0)" if self.edge is not None else f"more = {full}")
        if not dims:
            self.say("total_more = tl.sum(tl.sum(more, 1), 0)")
        elif dims != BOTH:
            self.say(f"total_more = tl.sum(more, {0 if dims == COLUMNS else 1}, keep_dims=True)")
        mask = f", mask={bounds}" if bounds else ""
        self.say(f'tl.atomic_add({name}_ptr + {place}, {"more" if dims == BOTH else "total_more"}{mask}, sem="relaxed")')

    # ---- launches -------------------------------------------------------------------------------------------------
    def _forward(self) -> None:
        self._item()
        self._load("q", "q", "row", "e")
        self.say('top = tl.full([BM], float("-inf"), tl.float32)', "total = tl.zeros([BM], tl.float32)")
        self.say(f"acc = tl.zeros([BM, {self._wide(OUT)}], tl.float32)")
        self._walk(self._onward)
        if self.splits > 1:
            self._keep_part()
        else:
            self._end()

    def _join(self) -> None:
        self._item()
        self._joined()
        self._end()

    def _end(self) -> None:
        """The results of a block of queries."""
        rows = self.word(ROWS, "rows")
        self.say("made = acc / tl.where(total == 0.0, 1.0, total)[:, None]")
        self._store("out", "made", "row", "w")
        self.say(f'sums = tl.where(total == 0.0, float("-inf"), (top + tl.log2(total)) * {LN2!r})')
        for name, text in (("lse", "sums"), ("top", f"top * {LN2!r}")):
            self.say(f"tl.store({self.pointer(name)} + {self._times('row', self.stride(name, 3))}, {text}, mask=row < {rows})")

    def _onward(self) -> None:
        self._columns_of_keys("start")
        self._load("k", "k", "key", "e", turned=True)
        self._scores("q", "k")
        self.say(
            f"higher = tl.maximum(top, tl.max(s, 1){self._scaled[1:]})", 'shift = tl.where(higher == float("-inf"), 0.0, higher)',
            f"weight = tl.exp2({self._scaled} - shift[:, None])", "less = tl.exp2(top - shift)",
            "total = total * less + tl.sum(weight, 1)", "top = higher",
        )  # fmt: skip
        self._load("v", "v", "key", "w")
        self.say('acc = tl.dot(weight.to(v.dtype), v, acc * less[:, None], input_precision="ieee")')

    def _row_numbers(self) -> None:
        rows = self.word(ROWS, "rows")
        for dest, name, other in (("sums", "lse", 'float("inf")'), ("delta", "delta", "0.0")):
            place = self._times("row", self.stride(name, 3))
            self.say(f"{dest} = tl.load({self.pointer(name)} + {place}, mask=row < {rows}, other={other})")
        self.say('sums = tl.where(sums == float("-inf"), float("inf"), sums)')

    def _keys(self) -> None:
        group, heads, batch = self.word(_GROUP, "group"), self.word(1, "heads"), self.word(_BATCH, "batch")
        keys = self.word(KEYS, "keys")
        self.say(f"blocks = tl.cdiv({keys}, BN)", "program = tl.program_id(0)", "item = (program // blocks).to(tl.int64)")
        self.say("first = (program % blocks) * BN", f"at1 = item % {heads}", f"at0 = item // {heads}", "at2 = 0 * item")
        self._move("k", "v", "dk", "dv")
        self._columns()
        self._columns_of_keys("first")
        self._load("k", "k", "key", "e", turned=True)
        self._load("v", "v", "key", "w", turned=True)
        self.say(f"dk = tl.zeros([BN, {self._wide(WIDTH)}], tl.float32)", f"dv = tl.zeros([BN, {self._wide(OUT)}], tl.float32)")
        shared = self.step.sizes[flex.tail(self.step) + 2]
        turns = f"{batch} * {group}" if isinstance(shared, int) and shared == 1 else group
        self.say("kept = at0")
        self._loop(f"for share in range(0, {turns}):", [f"at2 = share % {group} + 0 * item", f"at0 = kept + share // {group}"],
                   self._share)  # fmt: skip
        self._store("dk", "dk", "key", "e")
        self._store("dv", "dv", "key", "w")

    def _share(self) -> None:
        """What one head of queries adds to the gradients of its keys."""
        self._numbers()
        self._move("q", "g", "delta", "lse", *BLOCKS)
        self._walk(self._of_rows)

    def _of_rows(self) -> None:
        self._rows("start")
        self._load("q", "q", "row", "e")
        self._load("g", "g", "row", "w")
        self._row_numbers()
        self._scores("q", "k")
        self._towards("v")
        self.say('dv = tl.dot(tl.trans(weight).to(g.dtype), g, dv, input_precision="ieee")')
        self.say('dk = tl.dot(tl.trans(away).to(q.dtype), q, dk, input_precision="ieee")')

    def _queries(self) -> None:
        self._item()
        self._load("q", "q", "row", "e")
        self._load("g", "g", "row", "w")
        self._row_numbers()
        self.say(f"dq = tl.zeros([BM, {self._wide(WIDTH)}], tl.float32)")
        self._walk(self._of_keys)
        self._store("dq", "dq", "row", "e")

    def _of_keys(self) -> None:
        self._columns_of_keys("start")
        self._load("k", "k", "key", "e", turned=True)
        self._load("v", "v", "key", "w", turned=True)
        self._scores("q", "k")
        self._towards("v")
        self.say('dq = tl.dot(away.to(k.dtype), tl.trans(k), dq, input_precision="ieee")')


def zero_text() -> str:
    """Zeros in a tensor that is added to later."""
    lines = ["@triton.jit", "def zero(d_ptr, count, XBLOCK: tl.constexpr):",
             "    place = tl.program_id(0).to(tl.int64) * XBLOCK + tl.arange(0, XBLOCK)",
             "    tl.store(d_ptr + place, 0.0, mask=place < count)"]  # fmt: skip
    return HEAD + "\n\n" + "\n".join(lines) + "\n"

