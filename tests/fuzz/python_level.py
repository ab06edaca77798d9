"""Random Python programs with tensors in them, from a seed: trees of statements that can be cut down while they fail.

What the pieces are is in `python_text.py`, what the programs may use in `python_world.py`. Any tree is a program: plain CPython
says what it means, so pieces that raise, or read names that were never assigned, are as good as any.
"""

from __future__ import annotations

import ast
import random
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from python_text import EXPRESSIONS, LITERALS, STATEMENTS
from python_world import CHANGES

CALLS = 3
PLACE = re.compile(r"\{(=|v:|w:)?([A-Z]+0?|f)\}")
BLOCKS = ("BLOCK", "LOOP", "RISKY", "BODY", "GBODY", "BLOCK0")
ARGUMENTS = {
    "x": "X", "y": "X", "m": "X", "n": "I", "rate": "F", "name": "S", "flag": "B", "items": "L", "table": "D", "obj": "O",
    "k0": "I",
}  # fmt: skip
HEAD = "def program(x, y, m, n, rate, name, flag, items, table, obj, holder, *extra, k0=1, **named):"


@dataclass
class Node:
    """A statement: lines and, indented among them, blocks of statements."""

    parts: list[str | tuple[str, list[Node]]]
    kind: str = ""

    def lines(self) -> Iterator[str]:
        for part in self.parts:
            if isinstance(part, str):
                yield part
                continue
            indent, block = part
            found = [line for node in block for line in node.lines()]
            yield from (indent + line for line in found or ["pass"])

    def blocks(self) -> list[list[Node]]:
        return [part[1] for part in self.parts if not isinstance(part, str)]


@dataclass
class PythonProgram:
    """`body` becomes the function `program`; `changes`: what is run in its module before each later call."""

    seed: int
    body: list[Node]
    changes: list[list[str]]
    coverage: Counter[str] = field(default_factory=Counter)

    @property
    def source(self) -> str:
        """The functions `program`, in a function that gives it a closure."""
        lines = ["global COUNT, WORD", "nonlocal total", *(line for node in self.body for line in node.lines())]
        inner = textwrap.indent("\n".join([HEAD, *("    " + line for line in lines)]), "    ")
        shift = "    def shift(t):\n        return t + total\n\n"
        return f"def make(total):\n{shift}{inner}\n    return program, lambda: total\n"

    def __str__(self) -> str:
        changes = "\n".join(f"# before call {k + 1}: {'; '.join(c)}" for k, c in enumerate(self.changes) if c)
        return f"# seed {self.seed}\n{changes}\n{self.source}"


class Unfit(Exception):
    """No variable of the kind that a piece asks for."""


class Grower:
    """Grows one program."""

    def __init__(self, seed: int, turn: int = 0) -> None:
        self.rng = random.Random(f"{seed} {turn}")
        self.seen: Counter[str] = Counter()
        self.vars = list(ARGUMENTS.items())
        self.writable = set(ARGUMENTS)
        self.count = 0
        self.loops = self.risk = self.inner = self.yields = False
        self.depth = 0

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    # -- expressions -----------------------------------------------------------------------------------------------------

    def expression(self, kind: str, depth: int) -> str:
        if kind == "A":
            kind = self.rng.choice("IFBSLTOXDN")
        if kind == "N":
            return "None"
        if depth <= 0 or self.rng.random() < 0.3:
            return self.leaf(kind, depth)
        for _ in range(20):
            tag, text = self.rng.choice(EXPRESSIONS[kind])
            if tag.startswith("!") and not self.risk and self.rng.random() > 0.01:
                continue
            try:
                made = self.fill(text, depth - 1)
            except Unfit:
                continue
            self.seen[tag.lstrip("!")] += 1
            self.seen[f"piece {text}"] += 1
            return made
        return self.leaf(kind, depth)

    def leaf(self, kind: str, depth: int) -> str:
        known = [name for name, k in self.vars if k == kind]
        if known and self.rng.random() < 0.7:
            return self.rng.choice(known)
        return self.fill(self.rng.choice(LITERALS[kind]), min(depth, 1) - 1)

    def fill(self, text: str, depth: int) -> str:
        """The expression that a piece without blocks makes."""
        return PLACE.sub(lambda found: self.place(found[1] or "", found[2], depth, {}), text)

    def place(self, how: str, kind: str, depth: int, fresh: dict[str, str]) -> str:
        if kind == "f":
            return fresh.setdefault("f", self.name())
        if kind == "I0":
            return str(self.rng.randrange(5))
        if how == "=":
            fresh[name := self.name()] = kind
            return name
        if how == "":
            return self.expression(kind, depth)
        known = [name for name, k in self.vars if k == kind and (how == "v:" or name in self.writable)]
        if not known:
            raise Unfit
        return self.rng.choice(known[-4:] if self.rng.random() < 0.5 else known)

    # -- statements ------------------------------------------------------------------------------------------------------

    def statement(self) -> Node:
        for _ in range(50):
            tag, text = self.rng.choice(STATEMENTS)
            blocks = sum(f"{{{b}}}" in text for b in BLOCKS)
            if (blocks and (self.depth >= 3 or self.rng.random() < 0.25 * self.depth)) or (
                tag.startswith("!") and not self.risk and self.rng.random() > 0.01
            ):
                continue
            if self.inner and ("total" in text.split() or "COUNT +=" in text or "WORD =" in text or "return {A}" in text):
                continue
            if self.yields and "return" in tag:
                continue
            before = list(self.vars), set(self.writable)
            try:
                node = self.grown(text, tag.lstrip("!"))
            except Unfit:
                self.vars, self.writable = before
                continue
            self.seen[node.kind] += 1
            self.seen[f"piece {text}"] += 1
            return node
        return Node(["pass"])

    def grown(self, text: str, kind: str) -> Node:
        fresh: dict[str, str] = {}
        parts: list[str | tuple[str, list[Node]]] = []
        visible = list(self.vars)
        depth = self.rng.choice((1, 2, 2, 3))
        compound = any(f"{{{b}}}" in text for b in BLOCKS)
        parameters = "a b key" if "def {f}(a, b=" in text else ""
        for line in text.split("\n"):
            indent = line[: len(line) - len(line.lstrip())]
            block = line.strip()[1:-1]
            if block in BLOCKS:
                parts.append((indent, self.block(block, parameters)))
                continue
            parts.append(PLACE.sub(lambda found: self.place(found[1] or "", found[2], depth, fresh), line))
            self.enter(fresh)
        if compound and not (kind.startswith(("inner", "generator", "iterator")) or self.rng.random() < 0.1):
            self.vars = visible
        return Node(parts, kind)

    def enter(self, fresh: dict[str, str]) -> None:
        for name, kind in fresh.items():
            if name != "f" and kind != "A" and (name, kind) not in self.vars:
                self.vars.append((name, kind))
                self.writable.add(name)

    def block(self, kind: str, parameters: str) -> list[Node]:
        before = self.loops, self.risk, self.inner, self.yields, self.depth, self.writable, list(self.vars)
        self.depth += 1
        if kind == "LOOP":
            self.loops = True
        elif kind == "RISKY":
            self.risk = True
        elif kind in ("BODY", "GBODY"):
            self.loops, self.inner, self.yields = False, True, kind == "GBODY"
            self.writable = set()
            self.vars += [(name, "I") for name in parameters.split()]
        if kind == "BLOCK0":
            self.depth = 3
        count = 1 if kind == "BLOCK0" else self.rng.choice((1, 1, 2, 2, 3))
        made = [self.statement() for _ in range(count)]
        if self.loops and kind not in ("BODY", "GBODY", "BLOCK0") and self.rng.random() < 0.25:
            word = self.rng.choice(("break", "continue"))
            steer = Node([f"if {self.expression('B', 1)}:", ("    ", [Node([word])])], word)
            made.insert(self.rng.randrange(len(made) + 1), steer)
            self.seen[word] += 1
        self.loops, self.risk, self.inner, self.yields, self.depth, self.writable, self.vars = before
        return made

    def body(self) -> list[Node]:
        made = [self.statement() for _ in range(self.rng.choice((3, 4, 5, 6, 8)))]
        kept = [name for name, kind in self.vars if name not in ARGUMENTS and kind != "C"]
        return [*made, Node([f"return [{', '.join([*kept, 'x', 'items', 'obj', 'total'])}]"], "return")]


def make_python(seed: int) -> PythonProgram:
    """The program of a seed. (Few pieces go together to what is no Python; then others are taken.)"""
    for turn in range(100):
        grower = Grower(seed, turn)
        made = PythonProgram(seed, grower.body(), [[] for _ in range(CALLS)], grower.seen)
        for k in range(1, CALLS):
            made.changes[k] = [grower.rng.choice(CHANGES) for _ in range(grower.rng.choice((0, 0, 1, 1, 2)))]
        try:
            compile(made.source, "<generated>", "exec", dont_inherit=True)
        except SyntaxError:
            continue
        return made
    raise AssertionError(f"seed {seed} gives no program")


def constructs() -> list[str]:
    """All pieces that a program can be made of."""
    texts = [text for pieces in EXPRESSIONS.values() for _, text in pieces] + [text for _, text in STATEMENTS]
    return [f"piece {text}" for text in dict.fromkeys(texts)] + ["break", "continue"]


# -- cutting down --------------------------------------------------------------------------------------------------------


def smaller(body: list[Node]) -> Iterator[list[Node]]:
    """The same statements with one of them left out, taken apart, or smaller in one of its blocks."""
    for k, node in enumerate(body):
        yield body[:k] + body[k + 1 :]
        for block in node.blocks():
            yield body[:k] + block + body[k + 1 :]
        for i, part in enumerate(node.parts):
            found = simpler(part) if isinstance(part, str) else ((part[0], less) for less in smaller(part[1]))
            for less in found:
                yield body[:k] + [Node([*node.parts[:i], less, *node.parts[i + 1 :]], node.kind)] + body[k + 1 :]


def simpler(line: str) -> Iterator[str]:
    """The line with an expression in it replaced by a part of itself, or by 1."""
    indent = len(line) - len(line.lstrip())
    text = line[indent:]
    try:
        tree = ast.parse(text + " pass" if text.endswith(":") else text)
    except SyntaxError:
        return
    if not text.isascii():
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
            continue
        first, last = node.col_offset, node.end_col_offset or 0
        if node.lineno != node.end_lineno or last - first < 4 or isinstance(node, ast.JoinedStr):
            continue
        parts = [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr) and c.lineno == c.end_lineno]
        for less in [*(text[c.col_offset : c.end_col_offset] for c in parts), "1"]:
            if len(less) < last - first:
                yield line[:indent] + text[:first] + less + text[last:]


def shrink_python(program: PythonProgram, fails: Callable[[PythonProgram], bool], most: int = 900) -> PythonProgram:
    """The smallest program found of those that still fail."""
    tried = 0

    def candidates(p: PythonProgram) -> Iterator[PythonProgram]:
        for k, changes in enumerate(p.changes):
            for i in range(len(changes)):
                less = [*p.changes[:k], changes[:i] + changes[i + 1 :], *p.changes[k + 1 :]]
                yield PythonProgram(p.seed, p.body, less)
        for body in smaller(p.body):
            yield PythonProgram(p.seed, body, p.changes)

    again = True
    while again and tried < most:
        again = False
        for candidate in candidates(program):
            tried += 1
            if tried >= most:
                break
            try:
                compile(candidate.source, "<generated>", "exec", dont_inherit=True)
            except SyntaxError:
                continue
            if fails(candidate):
                program, again = candidate, True
                break
    return program
