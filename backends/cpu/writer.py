"""Writes one LLVM function as text: values, structured loops, and each computation at the outermost loop where it is valid.

Knows LLVM's syntax and nothing of kernels. A pure instruction is written once per loop level, at the level of its deepest
operand, so the text needs neither common subexpression elimination nor loop-invariant code motion afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field

from ...ir.lazyclass import dataclass

_NAME = re.compile(r"%[\w.]+")


@dataclass(slots=True)
class _Level:
    """A run of text that later text may still append to: the entry, a loop's preheader, or a loop's body."""

    start: str
    label: str
    lines: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Loop:
    """An open loop: `index` is its counter, `carried` the values that go round. `once`: one round, no loop is written."""

    index: str
    carried: list[str]
    once: bool
    types: list[str]
    init: list[str]
    lo: str
    hi: str
    step: int
    guarded: bool


class Writer:
    """One function. Values are texts: ``%v7`` or a literal. `head` is its ``define`` line without the brace. `scalef`: scaling
    vectors by powers of two is an instruction. `helpers`: texts of further functions that this one calls, by name."""

    def __init__(self, head: str, arguments: Sequence[str], scalef: bool = False) -> None:
        self.head, self.scalef = head, scalef
        self.helpers: dict[str, str] = {}
        self.levels = [_Level("entry", "entry")]
        self.level_of: dict[str, int] = dict.fromkeys(arguments, 0)
        self.known: dict[str, str] = {}
        self.declared: dict[str, str] = {}
        self.tail: list[str] = []
        self.count = 0

    # ---- instructions ---------------------------------------------------------------------------------------------
    def fresh(self, stem: str = "v") -> str:
        """A name that is not taken yet, without its sigil."""
        self.count += 1
        return f"{stem}{self.count}"

    def let(self, text: str, least: int = 0) -> str:
        """The value of a pure instruction, written at the level of its deepest operand, but not above level `least`."""
        found = self.known.get(text)
        if found is not None:
            return found
        depth = max((self.level_of[n] for n in _NAME.findall(text) if n in self.level_of), default=0)
        return self._put(text, max(depth, least), keep=True)

    def here(self, text: str) -> str:
        """The value of an instruction that must stay where it is (it reads memory that changes, or depends on a check)."""
        return self._put(text, len(self.levels) - 1, keep=False)

    def _put(self, text: str, depth: int, keep: bool) -> str:
        name = f"%{self.fresh()}"
        level = self.levels[depth]
        level.lines.append(f"  {name} = {text}")
        self.level_of[name] = depth
        if keep:
            self.known[text] = name
            level.keys.append(text)
        return name

    def do(self, text: str) -> None:
        """An instruction without a value, here."""
        self.levels[-1].lines.append(f"  {text}")

    def call(self, result: str, name: str, *arguments: str, flags: str = "") -> str:
        """A call of a pure intrinsic; each argument is written ``type value``."""
        self.declare(result, name, *arguments)
        return self.let(f"call {flags}{result} @{name}({', '.join(arguments)})")

    def declare(self, result: str, name: str, *arguments: str) -> None:
        """Notes that function `name` is used."""
        self.declared[name] = f"declare {result} @{name}({', '.join(type_of(a) for a in arguments)})"

    def slot(self, text: str) -> str:
        """Memory on the stack (an ``alloca``), taken once, at the entry."""
        name = f"%{self.fresh()}"
        self.levels[0].lines.insert(0, f"  {name} = alloca {text}")
        self.level_of[name] = 0
        return name

    # ---- control --------------------------------------------------------------------------------------------------
    @property
    def depth(self) -> int:
        """Number of the innermost level."""
        return len(self.levels) - 1

    def label(self, name: str) -> None:
        """Begins basic block `name` here; the block before must have ended."""
        level = self.levels[-1]
        level.lines.append(f"{name}:")
        level.label = name

    @contextmanager
    def sometimes(self) -> Iterator[None]:
        """What is written here inside runs on some paths only: later text may not take its values for known."""
        level = self.levels[-1]
        mark = len(level.keys)
        yield
        for key in level.keys[mark:]:
            del self.known[key]
        del level.keys[mark:]

    def return_if(self, condition: str, status: int) -> None:
        """Returns `status` here where the i1 `condition` holds."""
        bad, good = self.fresh("bad"), self.fresh("good")
        self.do(f"br i1 {condition}, label %{bad}, label %{good}")
        self.tail += [f"{bad}:", f"  ret i32 {status}"]
        self.label(good)

    def open_loop(self, lo: str, hi: str, step: int, carried: Sequence[tuple[str, str]] = (), nonempty: bool = False) -> Loop:
        """Begins ``for index in range(lo, hi, step)`` with (type, initial value) pairs that go round. `nonempty`: lo < hi."""
        types, init = [t for t, _ in carried], [v for _, v in carried]
        span = int(hi) - int(lo) if _number(lo) and _number(hi) else None
        if span is not None and 0 < span <= step:
            return Loop(lo, init, True, types, init, lo, hi, step, False)
        loop = Loop(f"%{self.fresh('i')}", [f"%{self.fresh('c')}" for _ in init], False, types, init, lo, hi, step, True)
        loop.guarded = not (nonempty or (span is not None and span > 0))
        for stem in ("pre", "loop"):
            name = self.fresh(stem)
            self.levels.append(_Level(name, name))
        for name in (loop.index, *loop.carried):
            self.level_of[name] = self.depth
        return loop

    def close_loop(self, loop: Loop, following: Sequence[str] = ()) -> list[str]:
        """Ends the loop; `following` are the carried values of the next round. Returns their values after the loop."""
        if loop.once:
            return list(following)
        body, pre = self._pop(), self._pop()
        outer, before, exit_ = self.levels[-1], self.levels[-1].label, self.fresh("exit")
        if loop.guarded:
            enter = self.here(f"icmp slt i64 {loop.lo}, {loop.hi}")
            self.do(f"br i1 {enter}, label %{pre.start}, label %{exit_}")
        else:
            self.do(f"br label %{pre.start}")
        step, again = f"%{self.fresh()}", f"%{self.fresh()}"
        outer.lines += [f"{pre.start}:", *pre.lines, f"  br label %{body.start}", f"{body.start}:"]
        outer.lines.append(f"  {loop.index} = phi i64 [ {loop.lo}, %{pre.label} ], [ {step}, %{body.label} ]")
        for name, type_, first, later in zip(loop.carried, loop.types, loop.init, following, strict=True):
            outer.lines.append(f"  {name} = phi {type_} [ {first}, %{pre.label} ], [ {later}, %{body.label} ]")
        outer.lines += [
            *body.lines,
            f"  {step} = add nsw i64 {loop.index}, {loop.step}",
            f"  {again} = icmp slt i64 {step}, {loop.hi}",
        ]
        outer.lines.append(f"  br i1 {again}, label %{body.start}, label %{exit_}")
        self.label(exit_)
        return [self._leave(loop, k, value, before, body.label) for k, value in enumerate(following)]

    def _leave(self, loop: Loop, k: int, value: str, before: str, last: str) -> str:
        skipped = f"[ {loop.init[k]}, %{before} ], " if loop.guarded else ""
        return self.here(f"phi {loop.types[k]} {skipped}[ {value}, %{last} ]")

    def _pop(self) -> _Level:
        level = self.levels.pop()
        for key in level.keys:
            del self.known[key]
        return level

    def text(self) -> str:
        """The whole function. All loops must be closed and the last block must have ended."""
        return "\n".join([self.head + " {", "entry:", *self.levels[0].lines, *self.tail, "}"])


def _number(text: str) -> bool:
    return text.lstrip("-").isdigit()


def type_of(argument: str) -> str:
    """``"<4 x float> %v3"`` -> ``"<4 x float>"``; also for ``splat (...)`` literals."""
    if argument.startswith("<"):
        return argument[: argument.index(">") + 1]
    return argument.split(" ", 1)[0]
