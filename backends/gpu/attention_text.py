"""The text of attention, forward and backward: blocks of queries against blocks of keys; scores are never stored.

Forward (Dao and others' flash attention): one program per block of queries walks over the keys with a running maximum and sum.
Backward: one launch whose programs each own a block of keys (gradients of keys and values), one whose programs each own a block
of queries; weights are computed again from the logarithm of the sums. Nothing is added atomically: results are always the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...ir.plan import RoutineStep
from . import scalar
from .attention import BATCH, EACH, FRONT, KEYS, OUT, ROWS, WIDTH
from .config import power
from .kernel import Parameter
from .triton import HEAD, POINTER

LOG2E, LN2 = 1.4426950408889634, 0.6931471805599453
_FORWARD = ("q", "k", "v", "mask", "state", "out", "lse")
_BACKWARD = ("g", "q", "k", "v", "mask", "state", "delta", "lse", "dq", "dk", "dv")


@dataclass(slots=True)
class Attention:
    """Prints one launch. `part`: "forward", "keys" (gradients of keys and values) or "queries"; `down`, `across`: queries and
    keys of a block."""

    step: RoutineStep
    part: str
    down: int
    across: int
    signature: dict[str, str] = field(default_factory=dict)
    params: list[Parameter] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    indent: int = 1
    splits: int = 1
    inside: str = ""  # "key" or "row" where all of the block at hand are there

    @property
    def names(self) -> tuple[str, ...]:
        """What the step's views are called."""
        return _FORWARD if self.step.routine.split()[1] == "forward" else _BACKWARD

    @property
    def causal(self) -> bool:
        """Whether a query sees the keys up to its own number only."""
        return self.step.routine.endswith("causal")

    def source(self) -> str:
        """The text; `signature` and `params` are there behind it."""
        written = {"forward": ("out", "lse"), "join": ("out", "lse"), "keys": ("dk", "dv"), "queries": ("dq",)}[self.part]
        unused = {"dq", "dk", "dv"} - set(written) | self._apart()
        for place, (name, view) in enumerate(zip(self.names, self.step.views, strict=True)):
            if view is not None and name not in unused:
                self.signature[f"{name}_ptr"] = POINTER[view.type.dtype.name]
                self.params.append(Parameter("buffer", place))
        self._areas()
        getattr(self, f"_{self.part}")()
        arguments = ", ".join([*self.signature, "BM: tl.constexpr", "BN: tl.constexpr"])
        whole = "\n".join([f"@triton.jit\ndef attention({arguments}):", *self.lines])
        helpers = [scalar.HELPERS[name] for name in scalar.helpers_in(whole)]
        return "\n\n".join([HEAD, *(h + "\n" for h in helpers), whole]) + "\n"

    # ---- numbers --------------------------------------------------------------------------------------------------
    def word(self, index: int, name: str) -> str:
        """Word `index` of the step: a literal, or an argument called `name`."""
        value = self.step.sizes[index]
        if isinstance(value, int):
            return str(value)
        if name not in self.signature:
            self.signature[name] = "i64"
            self.params.append(Parameter("size", index, "i64"))
        return name

    def stride(self, name: str, which: int) -> str:
        """Stride number `which` of an argument."""
        return self.word(FRONT + EACH * self.names.index(name) + which, f"{name}_stride{which}")

    def has(self, name: str) -> bool:
        """Whether the call has this operand."""
        return self.step.views[self.names.index(name)] is not None

    @property
    def scale(self) -> float:
        """What products of queries and keys are multiplied by."""
        return float(self.step.scalars[0])  # type: ignore[arg-type]

    @property
    def dropped(self) -> float:
        """The probability with which a weight is dropped."""
        return float(self.step.scalars[1])  # type: ignore[arg-type]

    def say(self, *texts: str) -> None:
        """Lines."""
        self.lines += ["    " * self.indent + text for text in texts]

    # ---- keys that several programs share ---------------------------------------------------------------------------
    def _apart(self) -> set[str]:
        """The arguments that one of the two launches does not need."""
        ends = {"out", "lse", "top"}
        return set() if self.splits == 1 else ends if self.part == "forward" else set(self.names) - ends

    def _areas(self) -> None:
        """The memory between the two launches: sums of values, largest scores and sums of weights of each part."""
        for n, name in enumerate(("accs", "tops", "totals") if self.splits > 1 else ()):
            self.signature[f"{name}_ptr"] = "*fp32"
            self.params.append(Parameter("scratch", n))

    def _which(self) -> None:
        """``program``: which block of queries; ``split``: which part of the keys."""
        shared = self.splits > 1 and self.part == "forward"
        text = f"tl.program_id(0) // {self.splits}" if shared else "tl.program_id(0)"
        self.say(f"program = {text}", *([f"split = tl.program_id(0) % {self.splits}"] if shared else []))

    def _span(self, count: str, unit: str) -> tuple[str, str]:
        """(first, end) of the keys or blocks that this program is to see, of `count`, whole units each."""
        if self.splits == 1:
            return "0", count
        self.say(f"share = tl.cdiv(tl.cdiv({count}, {unit}), {self.splits}) * {unit}", "low = split * share")
        self.say(f"high = tl.minimum({count}, low + share)")
        return "low", "high"

    def _keep_part(self) -> None:
        """What the second launch joins."""
        wide = self._wide(OUT)
        self.say("lane = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)", "tl.store(tops_ptr + lane, top)")
        self.say("tl.store(totals_ptr + lane, total)", f"tl.store(accs_ptr + lane[:, None] * {wide} + w[None, :], acc)")

    def _joined(self) -> None:
        """``top``, ``total`` and ``acc`` of all parts, one after the other: always in one order."""
        wide = self._wide(OUT)
        self.say('top = tl.full([BM], float("-inf"), tl.float32)', "total = tl.zeros([BM], tl.float32)")
        self.say(f"acc = tl.zeros([BM, {wide}], tl.float32)", f"for part in range(0, {self.splits}):")
        self.indent += 1
        self.say(
            f"lane = (program.to(tl.int64) * {self.splits} + part) * BM + tl.arange(0, BM)", "other = tl.load(tops_ptr + lane)",
            "higher = tl.maximum(top, other)", 'shift = tl.where(higher == float("-inf"), 0.0, higher)',
            "less = tl.exp2(top - shift)", "more = tl.exp2(other - shift)",
            "total = total * less + tl.load(totals_ptr + lane) * more",
            f"acc = acc * less[:, None] + tl.load(accs_ptr + lane[:, None] * {wide} + w[None, :]) * more[:, None]",
            "top = higher",
        )  # fmt: skip
        self.indent -= 1

    # ---- parts ----------------------------------------------------------------------------------------------------
    def _begin(self, block: str, count: str) -> None:
        """Which block of which item of the batch a program works on; pointers are moved to the item."""
        self._which()
        self.say(f"blocks = tl.cdiv({count}, {block})", "item = (program // blocks).to(tl.int64)")
        order = "blocks - 1 - program % blocks" if self.causal and block == "BM" else "program % blocks"
        self.say(f"first = ({order}) * {block}")
        b1, b2 = self.word(1, "batch1"), self.word(2, "batch2")
        self.say(f"at2 = item % {b2}", f"at1 = item // {b2} % {b1}", f"at0 = item // {b2} // {b1}")
        for name in self.names:
            if f"{name}_ptr" in self.signature and name != "state":
                terms = [f"at{d} * {self.stride(name, d)}" for d in range(BATCH) if self.stride(name, d) != "0"]
                if terms:
                    self.say(f"{name}_ptr += {' + '.join(terms)}")
        if self.dropped > 0 and self.part != "join":
            self.say("seed = tl.load(state_ptr)", "counter = tl.load(state_ptr + 1)")
        self.say(f"e = tl.arange(0, {self._wide(WIDTH)})", f"w = tl.arange(0, {self._wide(OUT)})")

    def _wide(self, which: int) -> int:
        """Columns of a block that holds rows of this width."""
        width = self.step.sizes[which]
        assert isinstance(width, int)
        return max(16, power(width))

    def _load(self, dest: str, name: str, row: str, column: str, turned: bool = False) -> None:
        """A block of rows, or of columns where `turned`."""
        count = self.word(ROWS, "rows") if row == "row" else self.word(KEYS, "keys")
        width = self.step.sizes[WIDTH if column == "e" else OUT]
        r, c = (f"{row}[None, :]", f"{column}[:, None]") if turned else (f"{row}[:, None]", f"{column}[None, :]")
        narrow = width != self._wide(WIDTH if column == "e" else OUT)
        bounds = [*([f"({r} < {count})"] if row != self.inside else []), *([f"({c} < {width})"] if narrow else [])]
        mask = f", mask={' & '.join(bounds)}, other=0.0" if bounds else ""
        place = f"{self.pointer(name)} + {self._times(r, self.stride(name, 3))} + {self._times(c, self.stride(name, 4))}"
        self.say(f"{dest} = tl.load({place}{mask})")

    def pointer(self, name: str) -> str:
        """What points to the first element of an argument that belongs to the program's item."""
        return f"{name}_ptr"

    @staticmethod
    def _times(index: str, stride: str) -> str:
        return index if stride == "1" else f"{index} * {stride}"

    def _store(self, name: str, value: str, row: str, column: str) -> None:
        count = self.word(ROWS, "rows") if row == "row" else self.word(KEYS, "keys")
        width = self.step.sizes[WIDTH if column == "e" else OUT]
        r, c = f"{row}[:, None]", f"{column}[None, :]"
        place = f"{self.pointer(name)} + {self._times(r, self.stride(name, 3))} + {self._times(c, self.stride(name, 4))}"
        view = self.step.views[self.names.index(name)]
        assert view is not None
        self.say(f"tl.store({place}, {value}.to({scalar.TYPES[view.type.dtype]}), mask=({r} < {count}) & ({c} < {width}))")

    @property
    def _places(self) -> tuple[str, str]:
        """Numbers of queries and keys, as blocks that scores at hand vary over: those for keys' gradients have keys as rows."""
        return ("row[None, :]", "key[:, None]") if self.part == "keys" else ("row[:, None]", "key[None, :]")

    @property
    def _unscaled(self) -> bool:
        """Whether scores are scaled where they are shifted, both by one operation. (What is added to them is scaled already.)"""
        return not self.has("mask") and self.scale > 0

    @property
    def _scaled(self) -> str:
        """The scores times log2(e)."""
        return f"s * {self.scale * LOG2E!r}" if self._unscaled else "s"

    def _scores(self, left: str, right: str) -> None:
        """``s``: scores (times log2(e), where `_unscaled` does not hold), minus infinity where a key is closed."""
        times = "" if self._unscaled else f" * {self.scale * LOG2E!r}"
        self.say(f's = tl.dot({left}, {right}, input_precision="ieee"){times}')
        row, key = self._places
        rows, keys = self.word(ROWS, "rows"), self.word(KEYS, "keys")
        if self.has("mask"):
            bounds = [f"({key} < {keys})", f"({row} < {rows})", *([f"({key} <= {row})"] if self.causal else [])]
            self.say(f"opened = {' & '.join(bounds)}")
            self._masked(row, key)
            self.say('s = tl.where(opened, s, float("-inf"))')
            return
        bounds, edges = [], []
        if self.part != "keys" and self.inside != "key":
            bounds.append(f"({key} < {keys})")  # (of keys' gradients those behind the last one are not stored)
            edges.append(f"(start + BN > {keys})")
        if self.causal:
            bounds.append(f"({key} <= {row})")
            edges.append("(start < first + BN)" if self.part == "keys" else "(start + BN > first)")
        if bounds:
            self.say(f"if {' | '.join(edges)}:", f'    s = tl.where({" & ".join(bounds)}, s, float("-inf"))')

    def _masked(self, row: str, key: str) -> None:
        """The mask taken into account."""
        r, c = self.stride("mask", 3), self.stride("mask", 4)
        self.say(f"m = tl.load(mask_ptr + {row} * {r} + {key} * {c}, mask=opened, other=0)")
        view = self.step.views[self.names.index("mask")]
        closed = view is not None and view.type.dtype.kind == "b"
        self.say("opened = opened & (m != 0)" if closed else f"s += m.to(tl.float32) * {LOG2E!r}")

    def _over(self, low: str, high: str, block: str, inner: Callable[[], None]) -> None:
        """`inner` for each block from ``start`` on."""
        self.say(f"for start in range({low}, {high}, {block}):")
        self.indent += 1
        inner()
        self.indent -= 1

    def _over_keys(self, inner: Callable[[], None]) -> None:
        """`inner` for the blocks of keys that queries see. One loop for all: of two, the assembler lets no product of the first
        run beside other work (its note C7515), as sums may come to the second from none."""
        keys = self.word(KEYS, "keys")
        low, high = self._span(keys, "BN")
        self.inside = "key" if keys.isdigit() and int(keys) % self.across == 0 else ""
        self._over(low, f"tl.minimum({high}, first + BM)" if self.causal else high, "BN", inner)
        self.inside = ""

    def _keep(self) -> None:
        """``kept``: which weights are not dropped."""
        rows, keys = self.word(ROWS, "rows"), self.word(KEYS, "keys")
        row, key = self._places
        self.say(
            f"number = (item * {rows} + {row}) * {keys} + {key}",
            "drawn = _philox(seed, counter + (number >> 2), number & 3)",
            "drawn = (drawn.to(tl.uint64, bitcast=True) >> 40).to(tl.float32) * 5.9604644775390625e-08",
            f"kept = drawn >= {self.dropped!r}",
        )

    @property
    def _factor(self) -> float:
        return 0.0 if self.dropped == 1 else 1 / (1 - self.dropped)

    # ---- forward --------------------------------------------------------------------------------------------------
    def _forward(self) -> None:
        self._begin("BM", self.word(ROWS, "rows"))
        self.say("row = (first + tl.arange(0, BM)).to(tl.int64)")
        self._load("q", "q", "row", "e")
        self.say('top = tl.full([BM], float("-inf"), tl.float32)', "total = tl.zeros([BM], tl.float32)")
        self.say(f"acc = tl.zeros([BM, {self._wide(OUT)}], tl.float32)")
        self._over_keys(self._onward)
        if self.splits > 1:
            self._keep_part()
        else:
            self._end()

    def _onward(self) -> None:
        """Take in a block of keys."""
        self.say("key = (start + tl.arange(0, BN)).to(tl.int64)")
        self._load("k", "k", "key", "e", turned=True)
        self._scores("q", "k")
        self.say(
            f"higher = tl.maximum(top, tl.max(s, 1){self._scaled[1:]})", 'shift = tl.where(higher == float("-inf"), 0.0, higher)',
            f"weight = tl.exp2({self._scaled} - shift[:, None])", "less = tl.exp2(top - shift)",
            "total = total * less + tl.sum(weight, 1)", "top = higher",
        )  # fmt: skip
        if self.dropped > 0:
            self._keep()
            self.say(f"weight = tl.where(kept, weight * {self._factor!r}, 0.0)")
        self._load("v", "v", "key", "w")
        self.say('acc = tl.dot(weight.to(v.dtype), v, acc * less[:, None], input_precision="ieee")')

    def _join(self) -> None:
        self._begin("BM", self.word(ROWS, "rows"))
        self.say("row = (first + tl.arange(0, BM)).to(tl.int64)")
        self._joined()
        self._end()

    def _end(self) -> None:
        """The results of a block of queries."""
        rows = self.word(ROWS, "rows")
        self.say("made = acc / tl.where(total == 0.0, 1.0, total)[:, None]")
        self._store("out", "made", "row", "w")
        self.say(f'sums = tl.where(total == 0.0, float("inf"), (top + tl.log2(total)) * {LN2!r})')
        self.say(f"tl.store(lse_ptr + {self._times('row', self.stride('lse', 3))}, sums, mask=row < {rows})")

    # ---- backward -------------------------------------------------------------------------------------------------
    def _row_numbers(self) -> None:
        bound = "" if self.inside == "row" else f", mask=row < {self.word(ROWS, 'rows')}, other="
        for dest, name, other in (("sums", "lse", 'float("inf")'), ("delta", "delta", "0.0")):
            place = self._times("row", self.stride(name, 3))
            self.say(f"{dest} = tl.load({name}_ptr + {place}{bound and bound + other})")

    def _away(self, left: str, right: str) -> None:
        """``weight``, what is left of it (``left``), and the gradient of the scores before they were scaled (``away``)."""
        each = "[None, :]" if self.part == "keys" else "[:, None]"
        self.say(f"weight = tl.exp2({self._scaled} - (sums * {LOG2E!r}){each})", "left = weight")
        self.say(f'away = tl.dot({left}, {right}, input_precision="ieee")')
        if self.dropped > 0:
            self._keep()
            self.say(f"left = tl.where(kept, weight * {self._factor!r}, 0.0)")
            self.say(f"away = tl.where(kept, away * {self._factor!r}, 0.0)")
        self.say(f"away = weight * (away - delta{each})")

    def _keys(self) -> None:
        rows, keys = self.word(ROWS, "rows"), self.word(KEYS, "keys")
        self._begin("BN", keys)
        self.say("key = (first + tl.arange(0, BN)).to(tl.int64)")
        self._load("k", "k", "key", "e")
        self._load("v", "v", "key", "w")
        self.say(f"dk = tl.zeros([BN, {self._wide(WIDTH)}], tl.float32)", f"dv = tl.zeros([BN, {self._wide(OUT)}], tl.float32)")
        self.inside = "row" if rows.isdigit() and int(rows) % self.down == 0 else ""
        self._over("first // BM * BM" if self.causal else "0", rows, "BM", self._of_rows)
        self.inside = ""
        self._store("dk", f"(dk * {self.scale!r})", "key", "e")
        self._store("dv", "dv", "key", "w")

    def _of_rows(self) -> None:
        """What a block of queries adds to the gradients of keys and values. Keys are the rows of its scores: weights then are
        multiplied from registers, as they come."""
        self.say("row = (start + tl.arange(0, BM)).to(tl.int64)")
        self._load("q", "q", "row", "e")
        self._load("g", "g", "row", "w")
        self._row_numbers()
        self._scores("k", "tl.trans(q)")
        self._away("v", "tl.trans(g)")
        self.say('dv = tl.dot(left.to(g.dtype), g, dv, input_precision="ieee")')
        self.say('dk = tl.dot(away.to(q.dtype), q, dk, input_precision="ieee")')

    def _queries(self) -> None:
        self._begin("BM", self.word(ROWS, "rows"))
        self.say("row = (first + tl.arange(0, BM)).to(tl.int64)")
        self._load("q", "q", "row", "e")
        self._load("g", "g", "row", "w")
        self._row_numbers()
        self.say(f"dq = tl.zeros([BM, {self._wide(WIDTH)}], tl.float32)")
        self._over_keys(self._of_keys)
        self._store("dq", f"(dq * {self.scale!r})", "row", "e")

    def _of_keys(self) -> None:
        """What a block of keys adds to the gradients of queries."""
        self.say("key = (start + tl.arange(0, BN)).to(tl.int64)")
        self._load("k", "k", "key", "e", turned=True)
        self._load("v", "v", "key", "w", turned=True)
        self._scores("q", "k")
        self._away("g", "v")
        self.say('dq = tl.dot(away.to(k.dtype), tl.trans(k), dq, input_precision="ieee")')
