"""Kernel IR -> the text of one LLVM function: loops, addresses, loads, stores, reductions.

One value is uniform (one scalar for all lanes) or varying (one vector per copy of the unrolled body). Relies on the law of
kernels that a buffer not marked "rw" overlaps no buffer that is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field

from ...errors import CompileError
from ...ir import dtypes, sizes, work
from ...ir.dtypes import DType
from ...ir.lazyclass import dataclass
from ...ir.loops import (
    ALIGN,
    Acc,
    Axis,
    Check,
    Compute,
    Const,
    Index,
    Kernel,
    Load,
    LoadAt,
    Loop,
    Param,
    Reduce,
    Running,
    Stmt,
    Store,
    StoreAt,
    beginning,
)
from ...ir.sizes import Call, Expr, Size, Symbol
from . import memory, nest, philox, scalar
from .kinds import Target, Value, Vector
from .lanes import ELEMENT, Lanes
from .nest import Access, Shape
from .writer import Writer


@dataclass(slots=True)
class Emitter:
    """Writes one kernel."""

    kernel: Kernel
    target: Target
    w: Writer = field(init=False)
    one: Lanes = field(init=False)
    names: dict[str, Value] = field(default_factory=dict)
    symbols: dict[str, str] = field(default_factory=dict)
    pointers: dict[str, str] = field(default_factory=dict)
    tiles: dict[str, tuple[str, str]] = field(default_factory=dict)
    tops: dict[str, int] = field(default_factory=dict)
    carried: dict[str, list[str]] = field(default_factory=dict)
    vector: Vector | None = None
    floor: int = 0
    said: object = None

    def __post_init__(self) -> None:
        arguments = ("%args", "%sizes", "%scalars", "%scratch", "%thread", "%threads")
        head = f"define i32 @{self.kernel.name}(ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %thread, i64 %threads)"
        self.w = Writer(head, arguments, self.target.masked)
        self.one = Lanes(self.w, 1)

    # ---- the whole function ---------------------------------------------------------------------------------------
    def text(self) -> str:
        """The function's text."""
        self._arguments()
        if self.kernel.grid:
            self.nest(self.kernel.grid, self.kernel.body, (), split=True)
        else:
            self._first_thread_only()
            self.block(self.kernel.body)
        self.w.do("ret i32 0")
        return self.w.text()

    def _arguments(self) -> None:
        for i, b in enumerate(self.kernel.buffers):
            self.pointers[b.name] = self.w.let(f"load ptr, ptr {self._at('%args', 8 * i)}, !invariant.load !0")
        for i, name in enumerate(self.kernel.sizes):
            self.symbols[name] = self.w.let(f"load i64, ptr {self._at('%sizes', 8 * i)}, !invariant.load !0")
        offset: Size = 0
        for s in self.kernel.scratch:
            self.pointers[s.name] = self.w.let(f"getelementptr i8, ptr %scratch, i64 {self.size(offset)}")
            offset = sizes.floordiv(offset + s.size * s.dtype.itemsize + ALIGN - 1, ALIGN) * ALIGN

    def _at(self, base: str, offset: int) -> str:
        return self.w.let(f"getelementptr i8, ptr {base}, i64 {offset}") if offset else base

    def _share(self, extent: Size, unit: int) -> tuple[str, str]:
        """This thread's part of an axis, in steps of `unit`, so that every element is computed by the same instructions however
        many threads there are."""
        n = self.size(sizes.floordiv(extent + unit - 1, unit))
        parts = "%thread", self.w.let("add i64 %thread, 1")
        lo, hi = (self.w.let(f"udiv i64 {self.mul(n, part)}, %threads") for part in parts)
        lo, hi = self.mul(lo, str(unit)), self.mul(hi, str(unit))
        if isinstance(extent, int) and extent % unit == 0:
            return lo, hi
        end = self.size(extent)
        return tuple(self.one.call("llvm.smin", "i64", at, end) for at in (lo, hi))  # type: ignore[return-value]

    def _first_thread_only(self) -> None:
        other, go = self.w.fresh("other"), self.w.fresh("go")
        self.w.do(f"br i1 {self.w.let('icmp ne i64 %thread, 0')}, label %{other}, label %{go}")
        self.w.tail += [f"{other}:", "  ret i32 0"]
        self.w.label(go)

    # ---- sizes ----------------------------------------------------------------------------------------------------
    def add(self, a: str, b: str) -> str:
        """a + b on i64, literals folded."""
        if _literal(a) and _literal(b):
            return str(int(a) + int(b))
        return b if a == "0" else a if b == "0" else self.w.let(f"add i64 {a}, {b}")

    def mul(self, a: str, b: str) -> str:
        """a * b on i64, literals folded."""
        if _literal(a) and _literal(b):
            return str(int(a) * int(b))
        if "0" in (a, b):
            return "0"
        return b if a == "1" else a if b == "1" else self.w.let(f"mul i64 {a}, {b}")

    def size(self, size: Size) -> str:
        """A size as i64; the vector axis stands for its first lane. Sums start with what changes least."""
        if not isinstance(size, Expr):
            return str(size)
        terms = [self._term(mono, k) for mono, k in size.terms]
        terms.sort(key=lambda t: self.w.level_of.get(t, -1))
        total = "0"
        for t in terms:
            total = self.add(total, t)
        return total

    def _term(self, mono: sizes.Monomial, k: int) -> str:
        factors = [self._atom(atom) for atom, p in mono for _ in range(p)]
        factors.sort(key=lambda t: self.w.level_of.get(t, -1))
        out = str(k)
        for f in factors:
            out = self.mul(out, f)
        return out

    def _atom(self, atom: Symbol | Call) -> str:
        if isinstance(atom, Symbol):
            return self.symbols[atom.name]
        a, b = self.size(atom.a), self.size(atom.b)
        return self._call(self.one, atom, a, b)

    def _call(self, lanes: Lanes, atom: Call, a: str, b: str) -> str:
        if atom.fn in ("min", "max"):
            return lanes.call(f"llvm.s{atom.fn}", "i64", a, b)
        limits = {name: sizes.symbol(name, 0, top) for name, top in self.tops.items()}
        low, high = sizes.bounds(sizes.substitute(atom.a, limits))
        nonnegative = low is not None and low >= 0
        if nonnegative and high is not None and high < 2**30 and lanes.n > 1:
            return memory.short_quotient(lanes, atom, a, b)
        return memory.quotient(lanes, atom, a, b, nonnegative)

    def lane_size(self, size: Size, copy: int) -> str:
        """A size that depends on the vector axis, as a vector of i64."""
        v = self._open()
        parts = nest.linear(size, v.axis)
        if parts is not None:
            first = self.add(self.size(parts[1]), self.mul(self.size(parts[0]), v.bases[copy]))
            if parts[0] == 0:
                return v.lanes.splat(first, "i64")
            steps = (
                v.lanes.iota()
                if parts[0] == 1
                else v.lanes.op("mul", "i64", v.lanes.iota(), v.lanes.splat(self.size(parts[0]), "i64"))
            )
            return v.lanes.op("add", "i64", v.lanes.splat(first, "i64"), steps)
        total = None
        for mono, k in size.terms if isinstance(size, Expr) else ():
            term = v.lanes.const(k, "i64") if k != 1 else None
            for atom in (atom for atom, p in mono for _ in range(p)):
                factor = self._lane_atom(atom, copy)
                term = factor if term is None else v.lanes.op("mul", "i64", term, factor)
            term = term or v.lanes.const(k, "i64")
            total = term if total is None else v.lanes.op("add", "i64", total, term)
        return total or v.lanes.const(0, "i64")

    def _lane_atom(self, atom: Symbol | Call, copy: int) -> str:
        v = self._open()
        whole = Expr(((((atom, 1),), 1),))
        if v.axis not in sizes.symbols_of(whole):
            return v.lanes.splat(self.size(whole), "i64")
        if isinstance(atom, Symbol):
            return self.lane_size(whole, copy)
        return self._call(v.lanes, atom, self.lane_size(atom.a, copy), self.lane_size(atom.b, copy))

    def _open(self) -> Vector:
        if self.vector is None:
            raise CompileError(f"kernel {self.kernel.name}: a varying value outside a vector loop")
        return self.vector

    # ---- loops ----------------------------------------------------------------------------------------------------
    def nest(
        self, axes: Sequence[Axis], body: Sequence[Stmt], accs: Sequence[Acc | Running], split: bool = False, serial: bool = False
    ) -> None:
        """Loops over `axes` around `body`; `split`: one axis is shared by the threads; `serial`: one round after the
        other. `accs` are defined afterwards."""
        shape = None
        if self.vector is None and not serial:
            shape = nest.choose(axes, body, self.kernel, self.target.vector_bytes, not accs)
        self.tops.update({a.name: a.extent - 1 for a in axes if isinstance(a.extent, int)})
        ranges = {a.name: self.tiles.get(a.name) or ("0", self.size(a.extent)) for a in axes}
        even = shape is not None and isinstance(shape.axis.extent, int) and shape.axis.extent % (shape.lanes * shape.copies) == 0
        if split:
            shared = axes[work.split_axis(axes) or 0]
            ranges[shared.name] = self._share(shared.extent, shape.lanes * shape.copies if shape and shape.axis is shared else 1)
        outer = [a for a in axes if shape is None or (a is not shape.axis and a is not shape.tile)]
        lanes = Lanes(self.w, shape.lanes) if shape else self._open().lanes if self.vector else self.one
        copies = shape.copies if shape else len(self.vector.bases) if self.vector else 1
        kinds = [(lanes.type(ELEMENT[a.dtype]), lanes.const(beginning(a), ELEMENT[a.dtype])) for a in accs]
        carried = [kind for kind in kinds for _ in range(copies)]

        def leaf(values: list[str]) -> list[str]:
            if shape is None:
                return self._round(body, accs, values, lanes, copies)
            if shape.tile is not None:
                return self._tiled(shape, shape.tile, ranges, even, body)
            if nest.in_blocks(shape.axis, accs):
                return self._blocks(shape, ranges[shape.axis.name], even, body, accs, list(zip(carried, values, strict=True)))
            return self._vector_loop(shape, ranges[shape.axis.name], even, body, accs, values)

        def join(parts: list[str], values: list[str]) -> list[str]:
            return [scalar.combine(lanes, accs[i // copies].combine, accs[i // copies].dtype, part, value)
                    for i, (part, value) in enumerate(zip(parts, values, strict=True))]  # fmt: skip

        long = set() if serial else {a.name for a in outer if nest.in_stretches(a, accs)}
        totals = self._loops(outer, ranges, carried, [v for _, v in carried], leaf, join, long)
        for k, acc in enumerate(accs):
            texts = totals[k * copies : (k + 1) * copies]
            if shape is not None:
                self.names[acc.dest] = Value(acc.dtype, [self._across(lanes, acc, texts)], False)
            else:
                self.names[acc.dest] = Value(acc.dtype, texts, self.vector is not None)

    def _tiled(
        self, shape: Shape, tile: Axis, ranges: dict[str, tuple[str, str]], even: bool, body: Sequence[Stmt]
    ) -> list[str]:
        """The vector loop with a few rounds of axis `tile` inside it, so that gathered cache lines are used up in time."""
        lo, hi = ranges[tile.name]
        start = Axis(f"{tile.name}.tile", tile.extent)

        def run(_: list[str]) -> list[str]:
            first = self.symbols[start.name]
            end = self.one.call("llvm.smin", "i64", self.add(first, str(nest.TILE)), hi)
            self.tiles[tile.name] = first, end
            self._vector_loop(shape, ranges[shape.axis.name], even, (Loop(tile, tuple(body)),), (), [])
            del self.tiles[tile.name]
            return []

        return self._loop(start, lo, hi, nest.TILE, [], run)

    def _blocks(
        self, shape: Shape, bounds: tuple[str, str], even: bool, body: Sequence[Stmt], accs: Sequence[Acc | Running],
        carried: list[tuple[tuple[str, str], str]],
    ) -> list[str]:  # fmt: skip
        """The vector loop block by block, each summed up by itself: rounding errors grow with the root of the length."""
        start = Axis(f"{shape.axis.name}.block", shape.axis.extent)
        lanes = Lanes(self.w, shape.lanes)
        lo, hi = bounds

        def run(values: list[str]) -> list[str]:
            first = self.symbols[start.name]
            end = self.one.call("llvm.smin", "i64", self.add(first, str(nest.BLOCK)), hi)
            parts = self._vector_loop(shape, (first, end), even, body, accs, [neutral for (_, neutral), _ in carried])
            return [scalar.combine(lanes, accs[i // shape.copies].combine, accs[i // shape.copies].dtype, part, value)
                    for i, (part, value) in enumerate(zip(parts, values, strict=True))]  # fmt: skip

        return self._loop(start, lo, hi, nest.BLOCK, [(t, v) for (t, _), v in carried], run)

    def _loops(
        self,
        axes: Sequence[Axis],
        ranges: dict[str, tuple[str, str]],
        carried: list[tuple[str, str]],
        values: list[str],
        leaf: Callable[[list[str]], list[str]],
        join: Callable[[list[str], list[str]], list[str]],
        long: set[str],
    ) -> list[str]:
        """Nested loops over `axes`, `leaf` innermost; those that are `long` in stretches, each summed up by itself."""
        if not axes:
            return leaf(values)
        axis, (lo, hi) = axes[0], ranges[axes[0].name]
        types = [t for t, _ in carried]

        def inside(v: list[str]) -> list[str]:
            return self._loops(axes[1:], ranges, carried, v, leaf, join, long)

        if axis.name not in long:
            return self._loop(axis, lo, hi, 1, list(zip(types, values, strict=True)), inside)
        start = Axis(f"{axis.name}.block", axis.extent)

        def stretch(v: list[str]) -> list[str]:
            first = self.symbols[start.name]
            end = self.one.call("llvm.smin", "i64", self.add(first, str(nest.STRETCH)), hi)
            return join(self._loop(axis, first, end, 1, carried, inside), v)

        return self._loop(start, lo, hi, nest.STRETCH, list(zip(types, values, strict=True)), stretch)

    def _loop(
        self, axis: Axis, lo: str, hi: str, step: int, carried: list[tuple[str, str]], body: Callable[[list[str]], list[str]]
    ) -> list[str]:
        """One loop with `axis` as its counter; keeps track of how far loads may move outward."""
        low, _ = sizes.bounds(axis.extent)
        loop = self.w.open_loop(lo, hi, step, carried)
        saved = self.floor
        if not loop.once and not (low is not None and low >= 1):
            self.floor = self.w.depth - 1
        self.symbols[axis.name] = loop.index
        following = body(loop.carried if not loop.once else loop.init)
        self.floor = saved
        return self.w.close_loop(loop, following)

    def _vector_loop(
        self, shape: Shape, bounds: tuple[str, str], even: bool, body: Sequence[Stmt], accs: Sequence[Acc | Running],
        values: list[str],
    ) -> list[str]:  # fmt: skip
        """The loop over the vector axis: whole groups of `copies` vectors, then what is left under a mask (or one by one).
        `even`: nothing is left."""
        lo, hi = bounds
        n, group = shape.lanes, shape.lanes * shape.copies
        middle = hi if even else self._whole(lo, hi, group)
        lanes = Lanes(self.w, n)
        types = [lanes.type(ELEMENT[a.dtype]) for a in accs for _ in range(shape.copies)]
        if middle != lo:
            values = self._part(
                shape.axis, lanes, shape.copies, (lo, middle), False, body, accs, list(zip(types, values, strict=True))
            )
        if middle == hi:
            return values
        firsts = list(zip(types, values, strict=True))[:: shape.copies]
        if self.target.masked:
            rest = self._part(shape.axis, lanes, 1, (middle, hi), True, body, accs, firsts)
        else:
            ones = [
                (ELEMENT[a.dtype], self.w.let(f"extractelement {t} {v}, i64 0")) for a, (t, v) in zip(accs, firsts, strict=True)
            ]
            rest = self._part(shape.axis, self.one, 1, (middle, hi), False, body, accs, ones)
            into = zip(firsts, ones, rest, strict=True)
            rest = [self.w.let(f"insertelement {t} {v}, {e} {new}, i64 0") for (t, v), (e, _), new in into]
        return [rest[i // shape.copies] if i % shape.copies == 0 else v for i, v in enumerate(values)]

    def _whole(self, lo: str, hi: str, group: int) -> str:
        """The end of the part of [lo, hi) that whole groups fill."""
        span = self.add(hi, self.mul(lo, "-1"))
        if _literal(span):
            return self.add(lo, str(int(span) // group * group))
        return self.add(lo, self.w.let(f"and i64 {span}, {-group}"))

    def _part(
        self, axis: Axis, lanes: Lanes, copies: int, bounds: tuple[str, str], masked: bool, body: Sequence[Stmt],
        accs: Sequence[Acc | Running], carried: list[tuple[str, str]],
    ) -> list[str]:  # fmt: skip
        lo, hi = bounds

        def run(values: list[str]) -> list[str]:
            first = self.symbols[axis.name]
            bases = [self.add(first, str(k * lanes.n)) for k in range(copies)]
            mask = memory.in_range(lanes, first, hi, self.add) if masked else None
            self.vector = Vector(axis.name, bases, lanes, mask)
            out = self._round(body, accs, values, lanes, copies)
            self.vector = None
            return out

        return self._loop(axis, lo, hi, lanes.n * copies, carried, run)

    def _round(
        self, body: Sequence[Stmt], accs: Sequence[Acc | Running], values: list[str], lanes: Lanes, copies: int
    ) -> list[str]:
        """One round of a loop body; the running values after it."""
        for k, acc in enumerate(accs):
            if isinstance(acc, Running):
                self.carried[acc.dest] = values[k * copies : (k + 1) * copies]
        self.block(body)
        out = list(values)
        mask = self.vector.mask if self.vector else None
        for k, acc in enumerate(accs):
            if isinstance(acc, Running):
                out[k * copies : (k + 1) * copies] = self.names[acc.dest].texts
                continue
            for c in range(copies):
                old = values[k * copies + c]
                new = scalar.combine(lanes, acc.combine, acc.dtype, self.lane(acc.value, c, lanes), old)
                out[k * copies + c] = lanes.select(mask, ELEMENT[acc.dtype], new, old) if mask else new
        return out

    def _across(self, lanes: Lanes, acc: Acc | Running, texts: list[str]) -> str:
        """One scalar from all copies and lanes, by halves."""
        while len(texts) > 1:
            half = len(texts) // 2
            texts = [scalar.combine(lanes, acc.combine, acc.dtype, texts[i], texts[i + half]) for i in range(half)]
        total, element = texts[0], ELEMENT[acc.dtype]
        while lanes.n > 1:
            whole, lanes = lanes, Lanes(self.w, lanes.n // 2)
            low, high = memory.halves(whole, element, total)
            total = scalar.combine(lanes, acc.combine, acc.dtype, low, high)
        return total

    # ---- statements -----------------------------------------------------------------------------------------------
    def block(self, body: Sequence[Stmt]) -> None:
        """All statements in order; stores that fill memory together at the last of them."""
        v = self.vector
        runs = nest.interleaved(body, v.axis, self.kernel.buffers) if v and v.mask is None and v.lanes.n > 1 else []
        together = {id(s): run for run in runs for s in run}
        for s in body:
            if isinstance(s, Compute):
                self._compute(s)
            elif isinstance(s, (Load, LoadAt)):
                self._load(s)
            elif isinstance(s, Store):
                run = together.get(id(s))
                if run is None:
                    self._store(s)
                elif s is run[-1]:
                    self._store_run(run)
            elif isinstance(s, (Loop, Reduce)):
                accs = s.accs if isinstance(s, Reduce) else nest.running(s)
                self.nest(nest.axes_of(s), s.body, accs, serial=nest.in_order(s))
            elif isinstance(s, Running):
                self._run_on(s)
            elif isinstance(s, StoreAt):
                self._store_at(s)
            elif isinstance(s, Check):
                self._check(s)
            else:
                self._leaf(s)

    def _leaf(self, s: Index | Const | Param) -> None:
        if isinstance(s, Const):
            self.names[s.dest] = Value(s.dtype, [_literal_of(self.one, s)], False)
        elif isinstance(s, Param):
            at = next(i for i, p in enumerate(self.kernel.scalars) if p.name == s.param)
            source = dtypes.float64 if self.kernel.scalars[at].kind == "float" else dtypes.int64
            raw = self.w.let(f"load {ELEMENT[source]}, ptr {self._at('%scalars', 8 * at)}, !invariant.load !0")
            self.names[s.dest] = Value(s.dtype, [scalar.cast(self.one, source, s.dtype, raw)], False)
        elif self.vector is not None and self.vector.axis in sizes.symbols_of(s.value):
            copies = range(len(self.vector.bases))
            self.names[s.dest] = Value(dtypes.int64, [self.lane_size(s.value, c) for c in copies], True)
        else:
            self.names[s.dest] = Value(dtypes.int64, [self.size(s.value)], False)

    def lane(self, name: str, copy: int, lanes: Lanes) -> str:
        """The value of `name` in copy number `copy`, as wide as `lanes`."""
        value = self.names[name]
        return value.texts[copy] if value.varying else lanes.splat(value.texts[0], ELEMENT[value.dtype])

    def _compute(self, s: Compute) -> None:
        if s.where is not None and s.where != self.said:
            self.said = s.where
            self.w.do(f"; {s.where}")
        operand = self.names[s.args[-1]].dtype
        if self.vector is None or not any(self.names[a].varying for a in s.args):
            texts = [scalar.compute(self.one, s.prim, s.dtype, operand, tuple(self.names[a].texts[0] for a in s.args))]
            self.names[s.dest] = Value(s.dtype, texts, False)
            return
        lanes = self.vector.lanes
        copies = range(len(self.vector.bases))
        args = [tuple(self.lane(a, c, lanes) for a in s.args) for c in copies]
        if s.prim == "philox":
            texts = philox.words(lanes, [(a, b, c) for a, b, c in args])
        else:
            texts = [scalar.compute(lanes, s.prim, s.dtype, operand, a) for a in args]
        self.names[s.dest] = Value(s.dtype, texts, True)

    def _run_on(self, s: Running) -> None:
        """The next running total."""
        lanes = self.vector.lanes if self.vector else self.one
        texts = [scalar.combine(lanes, s.combine, s.dtype, old, self.lane(s.value, c, lanes))
                 for c, old in enumerate(self.carried[s.dest])]  # fmt: skip
        self.names[s.dest] = Value(s.dtype, texts, self.vector is not None)

    def _check(self, s: Check) -> None:
        value = self.names[s.ok]
        if not value.varying:
            self.w.return_if(self.one.op("xor", "i1", value.texts[0], "true"), s.error + 1)
            return
        v = self._open()
        for text in value.texts:
            bad = v.lanes.op("xor", "i1", text, v.lanes.const(True, "i1"))
            bad = v.lanes.op("and", "i1", bad, v.mask) if v.mask else bad
            self.w.return_if(memory.any_lane(v.lanes, bad), s.error + 1)

    # ---- memory ---------------------------------------------------------------------------------------------------
    def _buffer(self, name: str) -> tuple[DType, bool]:
        """(dtype, whether it only is read) of a buffer or scratch area."""
        for b in self.kernel.buffers:
            if b.name == name:
                return b.dtype, b.access == "r"
        return next(s.dtype for s in self.kernel.scratch if s.name == name), False

    def _load(self, s: Load | LoadAt) -> None:
        dtype, pure = self._buffer(s.buffer)
        at = self.names[s.at] if isinstance(s, LoadAt) else None
        mask = self.names[s.mask] if s.mask else None
        access = memory.Access(self.w, dtype, self.pointers[s.buffer], pure and at is None, self.floor)
        v = self.vector
        varying = v is not None and (v.axis in sizes.symbols_of(s.index) or any(x is not None and x.varying for x in (at, mask)))
        if not varying or v is None:
            index = self.size(s.index)
            if at is not None and isinstance(s, LoadAt):
                index = self.add(index, self.mul(at.texts[0], self.size(s.stride)))
            self.names[s.dest] = Value(dtype, [access.load_one(index, mask.texts[0] if mask else None)], False)
            return
        texts = []
        for c in range(len(v.bases)):
            wanted = self.lane(s.mask, c, v.lanes) if s.mask else None
            active = v.lanes.op("and", "i1", v.mask, wanted) if v.mask and wanted else v.mask or wanted
            step = nest.strided(s, v.axis) if (active is None or self.target.masked) and v.lanes.n > 1 else None
            if step is None:
                texts.append(access.load(v.lanes, self._place(s, v, c), active))
            else:
                texts.append(access.load_every(v.lanes, self._first(s.index, v), step * c * v.lanes.n, step, active))
        self.names[s.dest] = Value(dtype, texts, True)

    def _place(self, s: Access, v: Vector, copy: int) -> memory.Place:
        """Where copy number `copy` reads or writes: a run of memory, or one index per lane."""
        moved = s if isinstance(s, (LoadAt, StoreAt)) else None
        if moved is None or not self.names[moved.at].varying:
            parts = nest.linear(s.index, v.axis)
            if parts is not None and parts[0] in (1, -1):
                sign = int(str(parts[0]))
                first = self.add(self.size(parts[1]), self.mul(str(sign), v.bases[0]))
                if moved is not None:
                    first = self.add(self.mul(self.names[moved.at].texts[0], self.size(moved.stride)), first)
                return memory.Place(first, sign * copy * v.lanes.n, sign)
        index = self.lane_size(s.index, copy)
        if moved is not None:
            at = self.lane(moved.at, copy, v.lanes)
            index = v.lanes.op("add", "i64", index, v.lanes.op("mul", "i64", at, v.lanes.splat(self.size(moved.stride), "i64")))
        return memory.Place(index, 0, 0)

    def _first(self, index: Size, v: Vector) -> str:
        """The element that lane 0 of the first copy reads or writes."""
        parts = nest.linear(index, v.axis)
        assert parts is not None
        return self.add(self.size(parts[1]), self.mul(self.size(parts[0]), v.bases[0]))

    def _store(self, s: Store) -> None:
        dtype, _ = self._buffer(s.buffer)
        access = memory.Access(self.w, dtype, self.pointers[s.buffer], False, self.floor)
        v = self.vector
        if v is None:
            access.store_one(self.size(s.index), self.names[s.value].texts[0])
            return
        if v.axis not in sizes.symbols_of(s.index):
            raise CompileError(f"kernel {self.kernel.name}: all rounds of axis {v.axis} store to {s.buffer}[{s.index}]")
        for c in range(len(v.bases)):
            access.store(v.lanes, self._place(s, v, c), self.lane(s.value, c, v.lanes), v.mask)

    def _store_at(self, s: StoreAt) -> None:
        dtype, _ = self._buffer(s.buffer)
        access = memory.Access(self.w, dtype, self.pointers[s.buffer], False, self.floor)
        v, at = self.vector, self.names[s.at]
        if v is None:
            index = self.add(self.size(s.index), self.mul(at.texts[0], self.size(s.stride)))
            value = self.names[s.value].texts[0]
            if s.combine:
                value = scalar.combine(self.one, s.combine, dtype, access.load_one(index, None), value)
            access.store_one(index, value)
            return
        if v.axis not in sizes.symbols_of(s.index) and not at.varying:
            raise CompileError(f"kernel {self.kernel.name}: all rounds of axis {v.axis} store to one place in {s.buffer}")
        for c in range(len(v.bases)):
            place, value = self._place(s, v, c), self.lane(s.value, c, v.lanes)
            if s.combine:
                value = scalar.combine(v.lanes, s.combine, dtype, access.load(v.lanes, place, v.mask), value)
            access.store(v.lanes, place, value, v.mask)

    def _store_run(self, run: list[Store]) -> None:
        """Stores whose lanes alternate in memory."""
        v, (dtype, _) = self._open(), self._buffer(run[0].buffer)
        access = memory.Access(self.w, dtype, self.pointers[run[0].buffer], False, self.floor)
        first = self._first(run[0].index, v)
        for c in range(len(v.bases)):
            values = [self.lane(s.value, c, v.lanes) for s in run]
            access.store_interleaved(v.lanes, first, c * v.lanes.n * len(run), values)


def _literal(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _literal_of(one: Lanes, s: Const) -> str:
    if s.dtype is dtypes.bfloat16:
        return scalar.literal_bits(s.value)
    return one.const(s.value, ELEMENT[s.dtype])
