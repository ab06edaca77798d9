"""Kernel IR -> Triton source. One program covers a block of grid points (dimension 0); a kernel with loops has a second
dimension for the outermost loop, and deeper loops are plain ``for`` loops. Text only: the triton package is not imported.

Arguments of the kernel: one pointer per buffer, one per scratch area (with room for all grid points), the sizes (i64), the
scalars (fp64 or i64), `status` (one i32, written where a check fails), then XBLOCK and RBLOCK.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ...ir import dtypes, sizes
from ...ir.dtypes import DType
from ...ir.loops import (
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
    walk,
)  # fmt: skip
from ...ir.sizes import Call, Expr, Size, Symbol
from . import scalar

_HEAD = "import triton\nimport triton.language as tl\nfrom triton.language.extra import libdevice\n"
_RESERVED = {"tl", "triton", "libdevice", "status", "x", "r", "rmask", "xmask", "xnumel", "XBLOCK", "RBLOCK", "range", "float"}
_POINTER = {
    "bool": "*i8", "uint8": "*u8", "int8": "*i8", "int16": "*i16", "int32": "*i32", "int64": "*i64", "float16": "*fp16",
    "bfloat16": "*bf16", "float32": "*fp32", "float64": "*fp64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A printed kernel. `signature`: argument -> Triton type, in order; `blocks`: the constexpr arguments after them."""

    name: str
    text: str
    signature: dict[str, str]
    blocks: tuple[str, ...]


@dataclass(slots=True)
class _Value:
    text: str
    dtype: DType


@dataclass(slots=True)
class Printer:
    """Prints one kernel."""

    kernel: Kernel
    lines: list[str] = field(default_factory=list)
    indent: int = 1
    taken: set[str] = field(default_factory=lambda: set(_RESERVED))
    values: dict[str, _Value] = field(default_factory=dict)
    symbols: dict[str, str] = field(default_factory=dict)
    pointers: dict[str, str] = field(default_factory=dict)
    masks: list[str] = field(default_factory=lambda: ["xmask"])
    block: str = ""
    stored_scratch: bool = False
    running: dict[str, str] = field(default_factory=dict)
    dims: dict[str, str] = field(default_factory=dict)
    wide: set[str] = field(default_factory=set)

    # ---- the source -----------------------------------------------------------------------------------------------
    def source(self) -> Source:
        """The kernel's source."""
        k = self.kernel
        signature = {self._pointer(b.name): _POINTER[b.dtype.name] for b in k.buffers}
        signature |= {self._pointer(s.name): _POINTER[s.dtype.name] for s in k.scratch}
        signature |= {self._symbol(name): "i64" for name in k.sizes}
        for p in k.scalars:
            self.symbols[f"param {p.name}"] = self.fresh(p.name)
            signature[self.symbols[f"param {p.name}"]] = "fp64" if p.kind == "float" else "i64"
        signature |= {"status": "*i32"} if k.errors else {}
        looped = any(isinstance(s, Reduce) or (isinstance(s, Loop) and not s.serial) for s in walk(k.body))
        self.block = "[:, None]" if looped else ""
        self._grid()
        for s in k.scratch:
            name = self.pointers[s.name]
            self.say(f"{name} = {name} + x * {self._wrap(s.size)}")
            self.wide.add(s.name)
        self.body(k.body)
        blocks = ("XBLOCK", "RBLOCK") if looped else ("XBLOCK",)
        arguments = ", ".join([*signature, *(f"{b}: tl.constexpr" for b in blocks)])
        text = "\n".join([f"@triton.jit\ndef {k.name}({arguments}):", *self.lines])
        helpers = [scalar.HELPERS[name] for name in scalar.helpers_in(text)]
        return Source(k.name, "\n\n".join([_HEAD, *(h + "\n" for h in helpers), text]) + "\n", signature, blocks)

    def _pointer(self, name: str) -> str:
        self.pointers[name] = self.fresh(f"{name}_ptr")
        return self.pointers[name]

    def _symbol(self, name: str) -> str:
        self.symbols[name] = self.fresh(name)
        return self.symbols[name]

    def _grid(self) -> None:
        """One flat index, taken apart into the grid's axes, innermost last."""
        numel: Size = 1
        for a in self.kernel.grid:
            numel = numel * a.extent
        self.say(f"xnumel = {self.size(numel)}")
        self.say(f"x = tl.program_id(0).to(tl.int64) * XBLOCK + tl.arange(0, XBLOCK){self.block}")
        self.say("xmask = x < xnumel")
        self._unravel("x", self.kernel.grid)

    def _unravel(self, flat: str, axes: Sequence[Axis]) -> None:
        step: Size = 1
        for at in reversed(range(len(axes))):
            name = self._symbol(axes[at].name)
            self.dims[axes[at].name] = flat
            quotient = flat if step == 1 else f"{flat} // {self._wrap(step)}"
            whole = at == 0
            self.say(f"{name} = {quotient}" if whole else f"{name} = {quotient} % {self._wrap(axes[at].extent)}")
            step = step * axes[at].extent

    # ---- text -----------------------------------------------------------------------------------------------------
    def say(self, text: str) -> None:
        """One line."""
        self.lines.append("    " * self.indent + text)

    def fresh(self, name: str) -> str:
        """`name`, or a variant of it that is not taken."""
        stem = (
            name
            if name.isidentifier() and not keyword.iskeyword(name)
            else "v" + "".join(c if c.isalnum() else "_" for c in name)
        )
        out, n = stem, 1
        while out in self.taken:
            out, n = f"{stem}_{n}", n + 1
        self.taken.add(out)
        return out

    def size(self, size: Size) -> str:
        """A size as an expression; names are those of this source."""
        if not isinstance(size, Expr):
            return str(size)
        out = ""
        for mono, k in size.terms:
            factors = [self._atom(atom) for atom, p in mono for _ in range(p)]
            if abs(k) != 1 or not factors:
                factors.append(str(abs(k)))
            sign = (" - " if k < 0 else " + ") if out else ("-" if k < 0 else "")
            out += sign + " * ".join(factors)
        return out

    def _atom(self, atom: Symbol | Call) -> str:
        if isinstance(atom, Symbol):
            return self.symbols[atom.name]
        a, b = self.size(atom.a), self.size(atom.b)
        if atom.fn in ("min", "max"):
            return f"tl.{atom.fn}imum({a}, {b})"
        low, _ = sizes.bounds(atom.a)
        if low is not None and low >= 0:
            return f"(({a}) {'//' if atom.fn == 'floordiv' else '%'} ({b}))"
        return f"_{atom.fn}({a}, {b})"

    def _wrap(self, size: Size) -> str:
        text = self.size(size)
        return f"({text})" if isinstance(size, Expr) and (" " in text or text.startswith("-")) else text

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Lines inside are one level deeper; masks added inside end with it."""
        masks = list(self.masks)
        self.indent += 1
        yield
        self.indent -= 1
        self.masks = masks

    # ---- statements -----------------------------------------------------------------------------------------------
    def body(self, body: Sequence[Stmt]) -> None:
        """All statements in order."""
        for s in body:
            if isinstance(s, Compute):
                self._compute(s)
            elif isinstance(s, (Load, LoadAt)):
                self._load(s)
            elif isinstance(s, (Store, StoreAt)):
                self._store(s)
            elif isinstance(s, Loop) and s.serial:
                self._plain((s.axis,), s.body, ())
            elif isinstance(s, (Loop, Reduce)):
                self._loops((s.axis,) if isinstance(s, Loop) else s.axes, s.body, s.accs if isinstance(s, Reduce) else ())
            elif isinstance(s, Running):
                total = self.running[s.dest]
                self.say(f"{total} = {self._step(s, total)}")
                self.define(s.dest, s.dtype, f"({total} != 0)" if s.dtype is dtypes.bool_ else total)
            elif isinstance(s, Check):
                self._check(s)
            else:
                self._leaf(s)

    def define(self, dest: str, dtype: DType, text: str, note: object = None) -> str:
        """A new value."""
        name = self.fresh(dest)
        self.values[dest] = _Value(name, dtype)
        self.say(f"{name} = {text}" + (f"  # {note}" if note is not None else ""))
        return name

    def _compute(self, s: Compute) -> None:
        operand = self.values[s.args[-1]].dtype
        args = tuple(self.values[a].text for a in s.args)
        self.define(s.dest, s.dtype, scalar.compute(s.prim, s.dtype, operand, args), s.where)

    def _leaf(self, s: Index | Const | Param) -> None:
        if isinstance(s, Const):
            self.define(s.dest, s.dtype, scalar.literal(s.value, s.dtype))
        elif isinstance(s, Param):
            kind = next(p.kind for p in self.kernel.scalars if p.name == s.param)
            source = dtypes.float64 if kind == "float" else dtypes.int64
            self.define(s.dest, s.dtype, scalar.cast(source, s.dtype, self.symbols[f"param {s.param}"]))
        else:
            self.define(s.dest, dtypes.int64, f"tl.full((), 0, tl.int64) + {self.size(s.value)}")

    def _check(self, s: Check) -> None:
        ok = self.values[s.ok].text
        everywhere = " + ".join(f"0 * {d}" for d in self._open())
        self.say(f"# {self.kernel.errors[s.error].message}")
        self.say(f"tl.store(status + {everywhere}, {s.error + 1}, mask={self.mask()} & ~{ok})")
        self.masks.append(ok)

    def _open(self) -> list[str]:
        """The flat indices that make up a block here."""
        return ["x", "r"] if "rmask" in self.masks else ["x"]

    def mask(self, more: str | None = None) -> str:
        """The lanes in range for which all checks so far held."""
        return " & ".join([*self.masks, *([more] if more else [])])

    # ---- memory ---------------------------------------------------------------------------------------------------
    def _dtype(self, name: str) -> DType:
        return next(b.dtype for b in self.kernel.memory if b.name == name)

    def _load(self, s: Load | LoadAt) -> None:
        dtype = self._dtype(s.buffer)
        mask = self.mask(self.values[s.mask].text if s.mask else None)
        text = f"tl.load({self._address(s)}, mask={mask}, other=0)"
        self.define(s.dest, dtype, f"({text} != 0)" if dtype is dtypes.bool_ else text)

    def _address(self, s: Load | LoadAt | Store | StoreAt) -> str:
        """A block of pointers; where the index misses a dimension of the block it is stretched to it."""
        index = self.size(s.index)
        found = {self.dims[name] for name in sizes.symbols_of(s.index) if name in self.dims}
        found |= {"x"} if s.buffer in self.wide else set()
        if isinstance(s, (LoadAt, StoreAt)):
            index = f"{index} + {self.values[s.at].text} * {self._wrap(s.stride)}"
        missing = "".join(f" + 0 * {d}" for d in self._open() if d not in found)
        return f"{self.pointers[s.buffer]} + {index}{missing}"

    def _store(self, s: Store | StoreAt) -> None:
        """(Points of the grid never share an element, and what may comes one after the other: nothing need be atomic.)"""
        value = self.values[s.value]
        text = f"{value.text}.to(tl.int8)" if value.dtype is dtypes.bool_ else value.text
        if isinstance(s, StoreAt) and s.combine:
            text = self._combined(s, value)
        self.say(f"tl.store({self._address(s)}, {text}, mask={self.mask()})")
        self.stored_scratch = self.stored_scratch or s.buffer in self.wide

    def _combined(self, s: StoreAt, value: _Value) -> str:
        """What the element holds afterwards."""
        old = f"tl.load({self._address(s)}, mask={self.mask()}, other=0)"
        acc = Acc("", s.combine or "", s.value, value.dtype)
        if value.dtype is dtypes.bool_:
            return f"{self._helper(acc)}({old}.to(tl.int32), {value.text}.to(tl.int32)).to(tl.int8)"
        return f"{self._helper(acc)}({old}, {value.text})"

    # ---- loops ----------------------------------------------------------------------------------------------------
    def _loops(self, axes: Sequence[Axis], body: Sequence[Stmt], accs: Sequence[Acc]) -> None:
        if "rmask" in self.masks:
            self._plain(axes, body, accs)
            return
        numel: Size = 1
        for a in axes:
            numel = numel * a.extent
        names = [self._begin(acc) for acc in accs]
        count, start = self.fresh("rnumel"), self.fresh("rstart")
        self.say(f"{count} = {self.size(numel)}")
        self.say(f"for {start} in range(0, {count}, RBLOCK):")
        with self.nested():
            self.say(f"r = {start} + tl.arange(0, RBLOCK)[None, :].to(tl.int64)")
            self.say(f"rmask = r < {count}")
            self.masks.append("rmask")
            self._unravel("r", axes)
            self.body(body)
            for acc, name in zip(accs, names, strict=True):
                self.say(f"{name} = tl.where({self.mask()}, {self._step(acc, name)}, {name})")
        if self.stored_scratch:
            self.say("tl.debug_barrier()")
            self.stored_scratch = False
        for acc, name in zip(accs, names, strict=True):
            whole = f"tl.reduce({name}, 1, {self._helper(acc)})[:, None]"
            self.define(acc.dest, acc.dtype, f"({whole} != 0)" if acc.dtype is dtypes.bool_ else whole)

    def _plain(self, axes: Sequence[Axis], body: Sequence[Stmt], accs: Sequence[Acc]) -> None:
        """Loops inside the vector loop: one round at a time."""
        names = [self._begin(acc) for acc in accs]
        self.running.update({s.dest: self._begin(s, "x") for s in body if isinstance(s, Running)})
        depth = self.indent
        for a in axes:
            self.say(f"for {self._symbol(a.name)} in range(0, {self.size(a.extent)}):")
            self.indent += 1
        masks = list(self.masks)
        self.body(body)
        for acc, name in zip(accs, names, strict=True):
            self.say(f"{name} = {self._step(acc, name)} + tl.zeros([XBLOCK, RBLOCK], {self._kept(acc)})")
        self.masks, self.indent = masks, depth
        for acc, name in zip(accs, names, strict=True):
            self.define(acc.dest, acc.dtype, f"({name} != 0)" if acc.dtype is dtypes.bool_ else name)

    @staticmethod
    def _kept(acc: Acc | Running) -> str:
        return "tl.int32" if acc.dtype is dtypes.bool_ else scalar.TYPES[acc.dtype]

    def _begin(self, acc: Acc | Running, like: str = "") -> str:
        name = self.fresh(f"{acc.dest}_acc")
        value = beginning(acc)
        value = int(value) if isinstance(value, bool) else value
        text = f'float("{value}")' if value in (float("inf"), float("-inf")) else repr(value)
        shape = f"{like}.shape" if like else "[XBLOCK, RBLOCK]"
        self.say(f"{name} = tl.full({shape}, {text}, {self._kept(acc)})")
        return name

    def _step(self, acc: Acc | Running, name: str) -> str:
        value = self.values[acc.value].text
        return (
            f"{self._helper(acc)}({name}, {value}.to(tl.int32))"
            if acc.dtype is dtypes.bool_
            else f"{self._helper(acc)}({name}, {value})"
        )

    @staticmethod
    def _helper(acc: Acc | Running) -> str:
        integral = acc.dtype.kind != "f" and acc.combine in ("maximum", "minimum")
        return f"_{acc.combine}{'_int' if integral else ''}"


def triton_source(kernel: Kernel) -> Source:
    """The Triton source of one kernel."""
    return Printer(kernel).source()


def triton_text(kernels: Sequence[Kernel]) -> str:
    """The sources of `kernels`, one after the other, to read."""
    return "\n\n".join(f"# ---- {k.name}\n{triton_source(k).text}" for k in kernels)
