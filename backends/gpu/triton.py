"""Kernel IR -> Triton source. One program covers a block of grid points (dimension 0 of a block); a kernel with loops has a
second dimension for its outermost loops, done in one round ("persistent") or in several; deeper loops are plain ``for`` loops.
Text only: the triton package is not imported.

Arguments of the kernel: one pointer per buffer, one per scratch area that is needed (with room for all grid points), the sizes,
the scalars (fp64 or i64), `status` (one i32, written where a check fails), then XBLOCK and RBLOCK.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ...ir import dtypes, sizes
from ...ir.dtypes import DType
from ...ir.loops import (
    Acc,
    Axis,
    Buffer,
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
    Scratch,
    Stmt,
    Store,
    StoreAt,
    beginning,
    neutral,
    walk,
)  # fmt: skip
from ...ir.sizes import Size
from ...ir.work import traffic
from . import scalar
from .config import Config, choose, is_scan, nest, numel, power, vector_loops
from .kernel import Parameter
from .names import NONE, Dims, Flat, Names, R, Text, X, unravelled
from .order import loads_first
from .spread import spread
from .tiles import tiled

#: what every source begins with
HEAD = "import triton\nimport triton.language as tl\nfrom triton.language.extra import libdevice\n"
#: dtype -> the Triton type of a pointer to it
POINTER = {
    "bool": "*i8", "uint8": "*u8", "int8": "*i8", "int16": "*i16", "int32": "*i32", "int64": "*i64", "float16": "*fp16",
    "bfloat16": "*bf16", "float32": "*fp32", "float64": "*fp64", "float8_e4m3fn": "*u8", "float8_e5m2": "*u8",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A printed kernel. `signature`: argument -> Triton type, in order; `blocks`: the constants after them; `params`: where each
    argument comes from; `grid`: programs; `scratch`: bytes of each area; `config`: as it was printed."""

    name: str
    text: str
    signature: dict[str, str]
    blocks: dict[str, int]
    params: tuple[Parameter, ...]
    grid: Size
    scratch: tuple[Size, ...]
    config: Config


@dataclass(slots=True)
class Printer:
    """Prints one kernel by one configuration. `kept`: scratch areas that are values in registers."""

    kernel: Kernel
    config: Config
    kept: frozenset[str] = frozenset()
    at: Names = field(default_factory=Names)
    values: dict[str, Text] = field(default_factory=dict)
    pointers: dict[str, str] = field(default_factory=dict)
    masks: list[Text] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)  # dimension -> its mask, where not every lane is in range
    flat: bool = True  # blocks have one dimension
    inside: bool = False  # of a loop that has the second dimension
    height: str = "XBLOCK"
    width: str = "RBLOCK"
    written: dict[str, int] = field(default_factory=dict)  # buffer -> stores so far
    dirty: set[str] = field(default_factory=set)  # buffers stored to since the last barrier
    read: set[str] = field(default_factory=set)  # buffers that a load has reached
    lent: dict[str, set[str]] = field(default_factory=dict)  # buffer -> what was loaded since the last barrier, by whose lanes
    serial: int = 0
    whole: set[str] = field(default_factory=set)  # float32 values made from integers

    # ---- the source -----------------------------------------------------------------------------------------------
    def source(self) -> Source:
        """The kernel's source."""
        k, at = self.kernel, self.at
        at.wide = self.config.wide
        self.flat = not vector_loops(k)
        areas = [s for s in k.scratch if s.name not in self.kept]
        signature, params = self.arguments(areas)
        self._grid()
        for s in areas:
            at.say(f"{self.pointers[s.name]} += x * {at.wrapped(s.size)}")
        self.body(k.body)
        blocks = {"XBLOCK": self.config.xblock} | ({} if self.flat else {"RBLOCK": self.config.rblock})
        arguments = ", ".join([*signature, *(f"{b}: tl.constexpr" for b in blocks)])
        text = "\n".join([f"@triton.jit\ndef {k.name}({arguments}):", *at.lines])
        helpers = [scalar.HELPERS[name] for name in scalar.helpers_in(text)]
        points = numel(k.grid)
        grid = sizes.floordiv(points + self.config.xblock - 1, self.config.xblock)
        room = tuple(s.size * s.dtype.itemsize * grid * self.config.xblock for s in areas)
        whole = "\n\n".join([HEAD, *(h + "\n" for h in helpers), text]) + "\n"
        return Source(k.name, whole, signature, blocks, params, grid, room, self.config)

    def arguments(self, areas: Sequence[Scratch]) -> tuple[dict[str, str], tuple[Parameter, ...]]:
        """(argument -> Triton type, where each comes from), with their names noted."""
        k, at = self.kernel, self.at
        found: list[tuple[str, str, Parameter]] = []
        memory: list[tuple[str, Sequence[Buffer | Scratch]]] = [("buffer", k.buffers), ("scratch", areas)]
        for kind, group in memory:
            for n, b in enumerate(group):
                self.pointers[b.name] = at.fresh(f"{b.name}_ptr")
                found.append((self.pointers[b.name], POINTER[b.dtype.name], Parameter(kind, n)))
        kind = "i64" if self.config.wide else "i32"
        for n, name in enumerate(k.sizes):
            at.symbols[name] = at.fresh(name)
            found.append((at.symbols[name], kind, Parameter("size", n, kind)))
        for n, p in enumerate(k.scalars):
            at.symbols[f"param {p.name}"] = name = at.fresh(p.name)
            real = p.kind == "float"
            found.append((name, "fp64" if real else "i64", Parameter("float" if real else "int", n, "fp64" if real else "i64")))
        if k.errors:
            found.append(("status", "*i32", Parameter("status")))
        return {name: kind for name, kind, _ in found}, tuple(p for _, _, p in found)

    def _grid(self) -> None:
        """One flat index over the axes of the grid, innermost last."""
        at, points, block = self.at, numel(self.kernel.grid), self.config.xblock
        column = "" if self.flat else "[:, None]"
        program = "tl.program_id(0).to(tl.int64)" if self.config.wide else "tl.program_id(0)"
        at.say(f"x = {program} * XBLOCK + tl.arange(0, XBLOCK){column}")
        if not isinstance(points, int) or points % block:
            at.say(f"xmask = x < {at.size(points)}")
            self.ends["x"] = "xmask"
        at.flats.append(Flat("x", X, points, unravelled("x", [(a.name, a.extent) for a in self.kernel.grid])))

    # ---- blocks ---------------------------------------------------------------------------------------------------
    def shape(self, dims: Dims) -> str:
        """The shape of a block that varies over `dims`."""
        if not dims:
            return "()"
        if self.flat:
            return f"[{self.height}]"
        return f"[{self.height if 'x' in dims else '1'}, {self.width if 'r' in dims else '1'}]"

    def mask(self, dims: Dims, more: Sequence[Text] = ()) -> tuple[str, Dims]:
        """The lanes in range for which `more` holds, with the dimensions of the block it needs."""
        for m in more:
            dims |= m.dims
        parts = [self.ends[d] for d in sorted(dims, reverse=True) if d in self.ends]
        return " & ".join([*parts, *(m.text for m in more)]), dims

    def define(self, dest: str, dtype: DType, text: str, dims: Dims, note: object = None) -> Text:
        """A new value, or the one that is there already."""
        made = Text(self.at.named(dest, text, note), dtype, dims)
        self.values[dest] = made
        return made

    # ---- statements -----------------------------------------------------------------------------------------------
    def body(self, body: Sequence[Stmt]) -> None:
        """All statements in order, loads first."""
        for s in loads_first(body, self.kernel):
            if isinstance(s, Compute):
                self._compute(s)
            elif isinstance(s, (Load, LoadAt)):
                self._load(s)
            elif isinstance(s, (Store, StoreAt)):
                self._store(s)
            elif isinstance(s, (Loop, Reduce)):
                self._loop(s)
            elif isinstance(s, Running):
                self._running(s)
            elif isinstance(s, Check):
                self._check(s)
            else:
                self._leaf(s)

    def _compute(self, s: Compute) -> None:
        values = [self.values[a] for a in s.args]
        if all(v.constant is not None and not v.dtype.is_half for v in values) and not s.dtype.is_half:
            self._constant(s.dest, scalar.folded(s.prim, s.dtype, values), s.dtype)
            return
        dims = frozenset[str]().union(*(v.dims for v in values))
        plain = s.prim in scalar.INLINE and any(v.constant is None for v in values[s.prim == "select" :])
        operand = values[-1].dtype
        args = tuple(scalar.inline(v.constant, v.dtype) if plain and v.constant is not None else v.text for v in values)
        if s.prim == "cast" and s.dtype.is_half and args[0] in self.whole:
            args = (f"({args[0]} + 0.0)",)  # else Triton rounds once, from the integer
        made = self.define(s.dest, s.dtype, scalar.compute(s.prim, s.dtype, operand, args), dims, s.where)
        if s.prim == "cast" and s.dtype is dtypes.float32 and operand.kind == "i":
            self.whole.add(made.text)

    def _constant(self, dest: str, value: bool | int | float, dtype: DType) -> None:
        self.values[dest] = Text(scalar.literal(value, dtype), dtype, NONE, value)

    def _leaf(self, s: Index | Const | Param) -> None:
        if isinstance(s, Const):
            self._constant(s.dest, s.value, s.dtype)
        elif isinstance(s, Param):
            kind = next(p.kind for p in self.kernel.scalars if p.name == s.param)
            source = dtypes.float64 if kind == "float" else dtypes.int64
            self.define(s.dest, s.dtype, scalar.cast(source, s.dtype, self.at.symbols[f"param {s.param}"]), NONE)
        else:
            self.define(s.dest, dtypes.int64, self._wide(s.value), self.at.dims_of(s.value))

    def _wide(self, size: Size) -> str:
        """A size as data, in 64 bits."""
        if isinstance(size, int):
            return f"tl.full((), {size}, tl.int64)"
        if self.config.wide or self.at.fits(size) or size in map(sizes.symbol, self.kernel.sizes):
            return f"tl.full((), 0, tl.int64) + {self.at.index(size)}"
        widened = {n: self.at.named(f"{n}_wide", f"tl.full((), 0, tl.int64) + {self.at.wrapped(sizes.symbol(n))}")
                   for n in sizes.symbols_of(size)}  # fmt: skip
        before = dict(self.at.symbols)
        self.at.symbols |= widened
        text = self.at.size(size)
        self.at.symbols = before
        return text

    def _check(self, s: Check) -> None:
        ok = self.values[s.ok]
        if any(ok.text == m.text for m in self.masks) or ok.constant:
            return
        self.at.say(f"# {self.kernel.errors[s.error].message}")
        mask, dims = self.mask(NONE, [*self.masks, replace(ok, text=f"~{ok.text}")])
        where = f"status + tl.zeros({self.shape(dims)}, tl.int32)" if dims else "status"
        self.at.say(f"tl.store({where}, {s.error + 1}, mask={mask})")
        self.masks.append(ok)

    # ---- memory ---------------------------------------------------------------------------------------------------
    def _dtype(self, name: str) -> DType:
        return next(b.dtype for b in self.kernel.memory if b.name == name)

    def _address(self, s: Load | LoadAt | Store | StoreAt, least: Dims, masks: Sequence[Text]) -> tuple[str, str]:
        """(block of pointers, mask) for lanes that vary over `least` at least."""
        text, dims = self.at.index(s.index), self.at.dims_of(s.index)
        if isinstance(s, (LoadAt, StoreAt)):
            at = self.values[s.at]
            step = self.at.wrapped(s.stride)
            offset = at.text if step == "1" else f"{at.text} * {step}"
            text, dims = offset if text == "0" else f"{text} + {offset}", dims | at.dims
        dims |= X if self._private(s.buffer) else NONE
        mask, need = self.mask(dims | least, masks)
        text += "".join(f" + 0 * {self._vector(d)}" for d in sorted(need - dims, reverse=True))
        return f"{self.pointers[s.buffer]} + {text}", mask

    def _private(self, buffer: str) -> bool:
        return any(s.name == buffer for s in self.kernel.scratch)

    def _vector(self, dim: str) -> str:
        return next(f.name for f in reversed(self.at.flats) if dim in f.dims)

    def place(self, s: Load | LoadAt | Store | StoreAt) -> str:
        """What an element of memory is called, kept or not."""
        at = f" + {self.values[s.at].text} * {self.at.size(s.stride)}" if isinstance(s, (LoadAt, StoreAt)) else ""
        version = self.written.get(s.buffer, 0)
        return f"{s.buffer}.{version}[{self.at.index(s.index)}{at}]"

    def _load(self, s: Load | LoadAt) -> None:
        dtype = self._dtype(s.buffer)
        more = [self.values[s.mask]] if s.mask else []
        place = self.place(s) + (f" if {more[0].text}" if more else "")
        there = self.at.scopes[-1] if s.buffer in self.written else {k: v for d in self.at.scopes for k, v in d.items()}
        if place in there and not self.serial:
            self.values[s.dest] = self.values[there[place]]
            return
        self.read.add(s.buffer)
        if s.buffer in self.dirty and (self.config.persistent or not self.inside):
            self._barrier()
        pointer, mask = self._address(s, NONE, [*(self.masks if isinstance(s, LoadAt) else ()), *more])
        dims = self.at.dims_of(s.index) | (self.values[s.at].dims if isinstance(s, LoadAt) else NONE)
        dims |= X if self._private(s.buffer) else NONE
        dims = self.mask(dims, [*(self.masks if isinstance(s, LoadAt) else ()), *more])[1]
        text = f"tl.load({pointer}, mask={mask}, other=0)" if mask else f"tl.load({pointer})"
        name = self.at.fresh(s.dest)
        self.lent.setdefault(s.buffer, set()).add(f"{pointer} {sorted(dims)}")
        self.at.say(f"{name} = {f'({text} != 0)' if dtype is dtypes.bool_ else text}")
        self.values[s.dest] = Text(name, dtype, dims)
        self._remember(place, s.dest)

    def _remember(self, place: str, dest: str) -> None:
        """What lies at `place` is the value `dest`."""
        key = f"{dest}@{len(self.values)}"
        self.values[key] = self.values[dest]
        self.at.scopes[-1][place] = key

    def _store(self, s: Store | StoreAt) -> None:
        value = self.values[s.value]
        if s.buffer not in self.kept:
            self._write(s, value)
        self.written[s.buffer] = self.written.get(s.buffer, 0) + 1
        self.dirty.add(s.buffer)
        if isinstance(s, Store):
            self._remember(self.place(s), s.value)

    def _write(self, s: Store | StoreAt, value: Text) -> None:
        pointer, mask = self._address(s, value.dims, self.masks)
        if not self.flat and self.lent.get(s.buffer, set()) - {f"{pointer} {sorted(X | R)}"}:
            self._barrier()  # another thread of the program may not have read yet what is written over here
        tail = f", mask={mask}" if mask else ""
        text = f"{value.text}.to(tl.int8)" if value.dtype is dtypes.bool_ else value.text
        if isinstance(s, StoreAt) and s.combine and not self.serial:
            dims = self.mask(value.dims, self.masks)[1]
            if value.constant is not None or not value.dims:
                text = f"{text} + tl.zeros({self.shape(dims)}, {scalar.TYPES[value.dtype]})"
            self.at.say(f'tl.atomic_{scalar.ATOMIC[s.combine]}({pointer}, {text}{tail}, sem="relaxed")')
            return
        if isinstance(s, StoreAt) and s.combine:
            text = self._combined(s, value, pointer, tail)
        self.at.say(f"tl.store({pointer}, {text}{tail})")
        if isinstance(s, StoreAt) and self.serial:
            self._barrier()

    def _combined(self, s: StoreAt, value: Text, pointer: str, tail: str) -> str:
        """What the element holds afterwards, where iterations come one after the other."""
        old = f"tl.load({pointer}{tail}{', other=0' if tail else ''})"
        acc = Acc("", s.combine or "", s.value, value.dtype)
        if value.dtype is dtypes.bool_:
            return f"{self._helper(acc)}({old}.to(tl.int32), {value.text}.to(tl.int32)).to(tl.int8)"
        return f"{self._helper(acc)}({old}, {value.text})"

    def _barrier(self) -> None:
        """What a program's threads have written before is seen by all of them behind it."""
        self.at.say("tl.debug_barrier()")
        self.dirty.clear()
        self.lent.clear()

    # ---- loops ----------------------------------------------------------------------------------------------------
    def _loop(self, s: Loop | Reduce) -> None:
        accs = s.accs if isinstance(s, Reduce) else ()
        vector = not self.inside and not self.flat and (isinstance(s, Reduce) or not s.serial or is_scan(s))
        again = {x.buffer for x in walk(s.body) if isinstance(x, (Load, LoadAt))} - self.kept
        if not self.inside and not self.config.persistent and self.dirty & again:
            self._barrier()
        if vector:
            axes, body = nest(s) if isinstance(s, Loop) else (s.axes, s.body)
            (self._once if self.config.persistent else self._rounds)(axes, body, accs)
        elif isinstance(s, Loop):
            self._plain((s.axis,), s.body, (), s.serial)
        else:
            self._plain(s.axes, s.body, accs, False)

    @contextmanager
    def _vectors(self, name: str, total: Size, axes: Sequence[Axis], mask: str | None) -> Iterator[None]:
        """Statements inside vary over the index vector `name` too."""
        masks, ends = list(self.masks), dict(self.ends)
        if mask is None:
            self.ends.pop("r", None)
        else:
            self.ends["r"] = mask
        self.at.flats.append(Flat(name, R, total, unravelled(name, [(a.name, a.extent) for a in axes])))
        self.inside = True
        yield
        self.inside = False
        self.masks, self.ends = masks, ends

    def _once(self, axes: Sequence[Axis], body: Sequence[Stmt], accs: Sequence[Acc]) -> None:
        """All rounds at once: what earlier loops have loaded or stored is at hand."""
        total = numel(axes)
        assert isinstance(total, int)
        width = power(total)
        self.width = "RBLOCK" if width == self.config.rblock else str(width)
        name = self.at.named("r", f"tl.arange(0, {self.width})[None, :]")
        mask = None if width == total else self.at.named("rmask", f"{name} < {total}")
        before = list(self.at.flats)
        with self._vectors(name, total, axes, mask):
            self.body(body)
            for acc in accs:
                value, text = self.values[acc.value], self._full(acc)
                if mask is not None:
                    text = f"tl.where({mask}, {text}, {self._neutral(acc)})"
                elif value.dims != X | R:
                    text = f"tl.broadcast_to({text}, {self.shape(X | R)})"
                self._total(acc, text, value.dims)
        self.at.flats = before
        self.width = "RBLOCK"

    def _rounds(self, axes: Sequence[Axis], body: Sequence[Stmt], accs: Sequence[Acc]) -> None:
        """RBLOCK rounds at a time."""
        at, total = self.at, numel(axes)
        names = [self._begin(acc, X | R) for acc in accs]
        carried = {s.dest: self._begin(s, X) for s in body if isinstance(s, Running)}
        self.values |= {f"carry {dest}": Text(name, dtypes.float32) for dest, name in carried.items()}
        start, r, mask = at.fresh("start"), at.fresh("r"), None
        at.say(f"for {start} in range(0, {at.size(total)}, RBLOCK):")
        with at.scope():
            wide = ".to(tl.int64)" if self.config.wide else ""
            at.say(f"{r} = {start} + tl.arange(0, RBLOCK)[None, :]{wide}")
            if not isinstance(total, int) or total % self.config.rblock:
                mask = at.fresh("rmask")
                at.say(f"{mask} = {r} < {at.size(total)}")
            with self._vectors(r, total, axes, mask):
                self.body(body)
                for acc, name in zip(accs, names, strict=True):
                    step = self._step(acc, name)
                    at.say(f"{name} = " + (step if mask is None else f"tl.where({mask}, {step}, {name})"))
        for acc, name in zip(accs, names, strict=True):
            self._total(acc, name, X | R)

    def _total(self, acc: Acc, text: str, dims: Dims) -> None:
        """The accumulator's value over all rounds."""
        plain = acc.combine == "add" and acc.dtype.itemsize >= 4
        whole = f"tl.sum({text}, 1)[:, None]" if plain else f"tl.reduce({text}, 1, {self._helper(acc)})[:, None]"
        name = self.at.fresh(acc.dest)
        self.at.say(f"{name} = " + (f"({whole} != 0)" if acc.dtype is dtypes.bool_ else whole))
        self.values[acc.dest] = Text(name, acc.dtype, X)

    def _plain(self, axes: Sequence[Axis], body: Sequence[Stmt], accs: Sequence[Acc], serial: bool) -> None:
        """One round at a time."""
        at = self.at
        names = [at.fresh(f"{acc.dest}_acc") for acc in accs]
        running = {s.dest: at.fresh(f"{s.dest}_run") for s in body if isinstance(s, Running)}
        self.values |= {f"run {dest}": Text(name, dtypes.float32) for dest, name in running.items()}
        place, symbols, masks = len(at.lines), dict(at.symbols), list(self.masks)
        self.serial += serial
        for a in axes:
            at.symbols[a.name] = at.fresh(a.name)
            at.say(f"for {at.symbols[a.name]} in range(0, {at.size(a.extent)}):")
            at.indent += 1
        with at.scope(0):
            self.body(body)
            for acc, name in zip(accs, names, strict=True):
                at.say(f"{name} = {self._step(acc, name)}")
        at.indent -= len(axes)
        self.serial -= serial
        self.masks, at.symbols = masks, symbols
        begins: list[tuple[Acc | Running, str]] = list(zip(accs, names, strict=True))
        begins += [(s, running[s.dest]) for s in body if isinstance(s, Running)]
        for total, name in begins:
            line = f"{name} = {self._start(total, self.values[total.value].dims)}"
            at.lines.insert(place, "    " * at.indent + line)
        for acc, name in zip(accs, names, strict=True):
            text = f"({name} != 0)" if acc.dtype is dtypes.bool_ else name
            self.values[acc.dest] = Text(text, acc.dtype, self.values[acc.value].dims)

    def _running(self, s: Running) -> None:
        """The total so far: of a plain loop, or of a whole block of rounds with what came before carried along."""
        value, helper = self.values[s.value], self._helper(s)
        if f"run {s.dest}" in self.values:
            total = self.values[f"run {s.dest}"].text
            self.at.say(f"{total} = {self._step(s, total)}")
            self.define(s.dest, s.dtype, f"({total} != 0)" if s.dtype is dtypes.bool_ else f"{total} + 0", value.dims)
            return
        text = self._full(s)
        if "r" in self.ends:
            text = f"tl.where({self.ends['r']}, {text}, {self._neutral(s)})"
        elif value.dims != X | R:
            text = f"tl.broadcast_to({text}, {self.shape(X | R)})"
        part = self.at.named("part", text)
        text = f"tl.associative_scan({part}, 1, {helper})"
        if f"carry {s.dest}" in self.values:
            carry = self.values[f"carry {s.dest}"].text
            text = f"{helper}({carry}, {text})"
        name = self.at.fresh(s.dest)
        self.at.say(f"{name} = " + (f"({text} != 0)" if s.dtype is dtypes.bool_ else text))
        self.values[s.dest] = Text(name, s.dtype, X | R)
        if f"carry {s.dest}" in self.values:
            self.at.say(f"{carry} = {helper}({carry}, tl.reduce({part}, 1, {helper})[:, None])")

    # ---- accumulators ---------------------------------------------------------------------------------------------
    @staticmethod
    def _kept(acc: Acc | Running) -> str:
        return "tl.int32" if acc.dtype is dtypes.bool_ else scalar.TYPES[acc.dtype]

    def _neutral(self, acc: Acc | Running) -> str:
        value = neutral(acc.combine, acc.dtype)
        return scalar.literal(value, dtypes.int32 if acc.dtype is dtypes.bool_ else acc.dtype)

    def _start(self, acc: Acc | Running, dims: Dims) -> str:
        value = beginning(acc)
        return f"tl.full({self.shape(dims)}, {scalar.number(value)}, {self._kept(acc)})"

    def _begin(self, acc: Acc | Running, dims: Dims) -> str:
        name = self.at.fresh(f"{acc.dest}_acc")
        self.at.say(f"{name} = {self._start(acc, dims)}")
        return name

    def _full(self, acc: Acc | Running) -> str:
        value = self.values[acc.value]
        return f"{value.text}.to(tl.int32)" if acc.dtype is dtypes.bool_ else value.text

    def _step(self, acc: Acc | Running, name: str) -> str:
        if acc.combine in ("add", "mul") and acc.dtype is not dtypes.bool_ and acc.dtype.itemsize >= 4:
            return f"{name} {'+' if acc.combine == 'add' else '*'} {self._full(acc)}"
        return f"{self._helper(acc)}({name}, {self._full(acc)})"

    @staticmethod
    def _helper(acc: Acc | Running) -> str:
        integral = acc.dtype.kind != "f" and acc.combine in ("maximum", "minimum")
        return f"_{acc.combine}{'_int' if integral else ''}"


def triton_source(kernel: Kernel, config: Config | None = None) -> Source:
    """The Triton source of one kernel, by `config` or what the model takes."""
    if kernel.parts:
        from . import together

        return together.source(kernel, config)
    kernel = spread(kernel)
    config = config or choose(kernel)
    kernel = tiled(kernel, config.tile) if config.tile else kernel
    first = Printer(kernel, config)
    made = first.source()
    kept = frozenset(s.name for s in kernel.scratch) - first.read
    return Printer(kernel, config, kept).source() if kept else made


def triton_text(kernels: Sequence[Kernel]) -> str:
    """The sources of `kernels`, one after the other, to read."""
    def head(k: Kernel) -> str:
        read, written = traffic(k)
        return f"# ---- {k.name}: reads {read} bytes, writes {written}"

    return "\n\n".join(f"{head(k)}\n{triton_source(k).text}" for k in kernels)
