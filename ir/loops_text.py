"""The text form of kernels: `print_kernel` and `parse_kernel`.

    kernel k0_add(x: r f32[4096], out0: w f32[4096]) sizes(s0) scalars(lr: float):
      scratch row0: f32[1024]
      error 0: add IndexError "index out of bounds"  # model.py:12
      grid i0 < 4096:
        v0 = load x[i0]
        v1 = load x[i0 + 1] if v7
        v2 = load x[i0 + v9 * 1024]
        v3 = index 4*i0
        v4 : f32 = const 2.5
        v5 : f32 = param lr
        v6 : f32 = mul v0 v4  # model.py:12
        check v7 else 0
        store out0[i1 @ v9 by 1024] = v6
        add out0[i1 @ v9 by 1024] = v6
        for i1 < 1024:
          store out0[i1] = v6
        for i2 < 16 serial:
          v9 : f32 = running add v6
        reduce i2 < 16, i3 < 4 -> v8 : f32 = add v6:
          ...

The parts of a kernel that has them stand in place of its grid, two columns further in.
The text is the whole kernel but for the folders of the user's files. `parse_kernel` checks the grammar only.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

from .. import errors
from . import dtypes, size_text, sizes
from .graph import Where
from .loops import (
    COMBINES,
    Acc,
    Axis,
    Buffer,
    Check,
    Compute,
    Const,
    Index,
    Kernel,
    KernelError,
    Load,
    LoadAt,
    Loop,
    Param,
    Reduce,
    Running,
    ScalarParam,
    Scratch,
    Stmt,
    Store,
    StoreAt,
)  # fmt: skip
from .sizes import Expr, Size

ParseError = errors.ParseError


def print_kernel(kernel: Kernel) -> str:
    """The kernel as text that `parse_kernel` reads back."""
    buffers = ", ".join(f"{b.name}: {b.access} {b.dtype.short}[{b.size}]" for b in kernel.buffers)
    head = f"kernel {kernel.name}({buffers})"
    head += f" sizes({', '.join(kernel.sizes)})" if kernel.sizes else ""
    head += f" scalars({', '.join(f'{p.name}: {p.kind}' for p in kernel.scalars)})" if kernel.scalars else ""
    lines = [head + ":"]
    lines += [f"  scratch {s.name}: {s.dtype.short}[{s.size}]" for s in kernel.scratch]
    lines += [f'  error {i}: {e.op} {e.kind.__name__} {e.message!r}{_where(e.where)}' for i, e in enumerate(kernel.errors)]
    if kernel.parts:
        return "\n".join([*lines, *(f"  {line}" for part in kernel.parts for line in str(part).splitlines())]) + "\n"
    lines.append(f"  grid {_axes(kernel.grid)}:".replace(" :", ":"))
    lines += _body(kernel.body, "    ")
    return "\n".join(lines) + "\n"


def _where(where: Where | None) -> str:
    return "" if where is None else f"  # {where}"


def _axes(axes: tuple[Axis, ...]) -> str:
    return ", ".join(f"{a.name} < {a.extent}" for a in axes)


def _body(body: tuple[Stmt, ...], indent: str) -> list[str]:
    lines: list[str] = []
    for st in body:
        lines.append(indent + stmt_text(st))
        if isinstance(st, (Loop, Reduce)):
            lines += _body(st.body, indent + "  ")
    return lines


def stmt_text(st: Stmt) -> str:
    """One statement as its line of the text, without the body of a loop."""
    if isinstance(st, Load):
        return f"{st.dest} = load {st.buffer}[{st.index}]" + (f" if {st.mask}" if st.mask else "")
    if isinstance(st, LoadAt):
        return f"{st.dest} = load {st.buffer}[{st.index} @ {st.at} by {st.stride}]" + (f" if {st.mask}" if st.mask else "")
    if isinstance(st, Index):
        return f"{st.dest} = index {st.value}"
    if isinstance(st, Const):
        return f"{st.dest} : {st.dtype.short} = const {st.value!r}"
    if isinstance(st, Param):
        return f"{st.dest} : {st.dtype.short} = param {st.param}"
    if isinstance(st, Compute):
        return f"{st.dest} : {st.dtype.short} = {st.prim} {' '.join(st.args)}{_where(st.where)}"
    if isinstance(st, Running):
        return f"{st.dest} : {st.dtype.short} = running {st.combine} {st.value}"
    if isinstance(st, Store):
        return f"store {st.buffer}[{st.index}] = {st.value}"
    if isinstance(st, StoreAt):
        return f"{st.combine or 'store'} {st.buffer}[{st.index} @ {st.at} by {st.stride}] = {st.value}"
    if isinstance(st, Check):
        return f"check {st.ok} else {st.error}"
    if isinstance(st, Loop):
        return f"for {_axes((st.axis,))}{' serial' if st.serial else ''}:"
    accs = ", ".join(f"{a.dest} : {a.dtype.short} = {a.combine} {a.value}" for a in st.accs)
    return f"reduce {_axes(st.axes)} -> {accs}:"


_HEAD = re.compile(r"kernel (\w+)\((.*?)\)(?: sizes\((.*?)\))?(?: scalars\((.*?)\))?:$")
_EFFECT = re.compile(rf"(store|check|{'|'.join(COMBINES)}) \w")
_ACC = re.compile(r"(\w+) : (\w+) = (\w+) (\w+)$")


def parse_kernel(text: str) -> Kernel:
    """The kernel printed as `text`; ParseError with the line where it is not one."""
    return _Parser([line for line in text.splitlines() if line.strip()]).kernel()


class _Parser:
    """Reads lines by their indentation."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.at = lines, 0
        self.symbols: dict[str, Expr] = {}

    def fail(self) -> ParseError:
        line = self.lines[self.at] if self.at < len(self.lines) else "(end of text)"
        return ParseError(f"not a kernel, line {self.at + 1}: {line!r}")

    def match(self, pattern: str | re.Pattern[str], text: str) -> re.Match[str]:
        found = re.fullmatch(pattern, text)
        if found is None:
            raise self.fail()
        return found

    def size(self, text: str) -> Size:
        return size_text.parse(text, self.symbols)

    def kernel(self) -> Kernel:
        if not self.lines:
            raise self.fail()
        name, buffers, symbols, scalars = self.match(_HEAD, self.lines[0]).groups()
        self.at = 1
        known = tuple(s.strip() for s in symbols.split(",")) if symbols else ()
        args = tuple(self._buffer(t) for t in _split(buffers))
        params = tuple(ScalarParam(*self.match(r"(\w+): (\w+)", t).groups()) for t in _split(scalars or ""))
        if self.at < len(self.lines) and self.lines[self.at].startswith("  kernel "):
            return Kernel(name, args, known, params, (), (), parts=self._parts())
        scratch, errors_, grid = self._header()
        body = self._block(4)
        if self.at != len(self.lines):
            raise self.fail()
        return Kernel(name, args, known, params, grid, body, errors_, scratch)

    def _parts(self) -> tuple[Kernel, ...]:
        inner = [self.match("  (.*)", line)[1] for line in self.lines[self.at :]]
        starts = [i for i, line in enumerate(inner) if line.startswith("kernel ")]
        return tuple(_Parser(inner[i:j]).kernel() for i, j in zip(starts, [*starts[1:], len(inner)], strict=True))

    def _buffer(self, text: str) -> Buffer:
        name, access, dtype, size = self.match(r"(\w+): (\w+) (\w+)\[(.*)\]", text).groups()
        return Buffer(name, self.dtype(dtype), self.size(size), access)

    def _header(self) -> tuple[tuple[Scratch, ...], tuple[KernelError, ...], tuple[Axis, ...]]:
        scratch: list[Scratch] = []
        found: list[KernelError] = []
        while self.at < len(self.lines):
            line = self.lines[self.at].strip()
            if line.startswith("grid"):
                grid = self._axes(line[4:].rstrip(":").strip())
                self.at += 1
                return tuple(scratch), tuple(found), grid
            if line.startswith("scratch "):
                name, dtype, size = self.match(r"scratch (\w+): (\w+)\[(.*)\]", line).groups()
                scratch.append(Scratch(name, self.dtype(dtype), self.size(size)))
            else:
                found.append(self._error(line))
            self.at += 1
        raise self.fail()

    def _error(self, line: str) -> KernelError:
        line, where = self.comment(line)
        op, kind, message = self.match(r"error \d+: (\w+) (\w+) (.*)", line).groups()
        raised = getattr(errors, kind, None) or getattr(builtins, kind, None)
        if not (isinstance(raised, type) and issubclass(raised, BaseException)):
            raise self.fail()
        return KernelError(op, raised, ast.literal_eval(message), where)

    def comment(self, line: str) -> tuple[str, Where | None]:
        found = re.fullmatch(r"(.*)  # (\S+):(\d+)", line)
        return (found[1], Where(found[2], int(found[3]))) if found else (line, None)

    def dtype(self, name: str) -> dtypes.DType:
        if name not in dtypes.BY_NAME:
            raise self.fail()
        return dtypes.lookup(name)

    def _axes(self, text: str) -> tuple[Axis, ...]:
        out = []
        for part in _split(text):
            name, extent = self.match(r"(\w+) < (.*)", part).groups()
            axis = Axis(name, self.size(extent))
            self.symbols[name] = sizes.symbol(name, 0, axis.extent - 1)
            out.append(axis)
        return tuple(out)

    def _block(self, indent: int) -> tuple[Stmt, ...]:
        out: list[Stmt] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            depth = len(line) - len(line.lstrip())
            if depth < indent:
                break
            if depth > indent:
                raise self.fail()
            out.append(self._stmt(line.strip(), indent))
        return tuple(out)

    def _stmt(self, line: str, indent: int) -> Stmt:
        if line.startswith(("for ", "reduce ")) and line.endswith(":"):
            return self._nest(line[:-1], indent)
        line, where = self.comment(line)
        st = self._effect(line) if re.match(_EFFECT, line) else self._defining(line, where)
        self.at += 1
        return st

    def _nest(self, line: str, indent: int) -> Stmt:
        if line.startswith("for "):
            serial = line.endswith(" serial")
            (axis,) = self._axes(line[4:].removesuffix(" serial"))
            self.at += 1
            return Loop(axis, self._block(indent + 2), serial)
        head, accs = self.match(r"reduce (.*?) ?-> (.*)", line).groups()
        axes = self._axes(head)
        found = [self.match(_ACC, t).groups() for t in _split(accs)]
        made = tuple(Acc(dest, combine, value, self.dtype(dtype)) for dest, dtype, combine, value in found)
        self.at += 1
        return Reduce(axes, self._block(indent + 2), made)

    def _effect(self, line: str) -> Stmt:
        if line.startswith("check "):
            ok, error = self.match(r"check (\w+) else (\d+)", line).groups()
            return Check(ok, int(error))
        kind, buffer, index, value = self.match(r"(\w+) (\w+)\[(.*)\] = (\w+)", line).groups()
        if " @ " not in index and kind == "store":
            return Store(buffer, self.size(index), value)
        base, at, stride = self.match(r"(.*) @ (\w+) by (.*)", index).groups()
        return StoreAt(buffer, self.size(base), at, self.size(stride), value, None if kind == "store" else kind)

    def _defining(self, line: str, where: Where | None) -> Stmt:
        dest, dtype, kind, rest = self.match(r"(\w+)(?: : (\w+))? = (\w+) (.*)", line).groups()
        if kind == "load" and dtype is None:
            buffer, index, mask = self.match(r"(\w+)\[(.*)\](?: if (\w+))?", rest).groups()
            if " @ " not in index:
                return Load(dest, buffer, self.size(index), mask)
            base, at, stride = self.match(r"(.*) @ (\w+) by (.*)", index).groups()
            return LoadAt(dest, buffer, self.size(base), at, self.size(stride), mask)
        if kind == "index" and dtype is None:
            return Index(dest, self.size(rest))
        if dtype is None:
            raise self.fail()
        if kind == "const":
            return Const(dest, _literal(rest), self.dtype(dtype))
        if kind == "running":
            combine, value = rest.split()
            return Running(dest, combine, value, self.dtype(dtype))
        if kind == "param":
            return Param(dest, rest, self.dtype(dtype))
        return Compute(dest, kind, tuple(rest.split()), self.dtype(dtype), where)


def _literal(text: str) -> bool | int | float:
    return float(text) if text.lstrip("-") in ("inf", "nan") else ast.literal_eval(text)  # type: ignore[no-any-return]


def _split(text: str) -> Iterator[str]:
    """Parts between commas that stand in no bracket."""
    depth, start = 0, 0
    for i, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            yield text[start:i].strip()
            start = i + 1
    if text[start:].strip():
        yield text[start:].strip()
