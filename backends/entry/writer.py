"""Writes one LLVM function as text in which every value is an i64; an address is an i64 as well."""

from __future__ import annotations

from collections.abc import Iterator


class Writer:
    """One function. Values are strings ("%v7", "12"); `here` is the label of the block being written."""

    def __init__(self, head: str) -> None:
        self.head, self.lines, self.slots, self.count = head, ["body:"], [], 0  # type: ignore[var-annotated]

    def text(self) -> str:
        return "\n".join([self.head + " {", "start:", *self.slots, "  br label %body", *self.lines, "}"])

    def do(self, text: str) -> None:
        self.lines.append("  " + text)

    def let(self, text: str) -> str:
        self.count += 1
        self.do(f"%v{self.count} = {text}")
        return f"%v{self.count}"

    def label(self, stem: str) -> str:
        self.count += 1
        return f"{stem}.{self.count}"

    def block(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def goto(self, label: str) -> None:
        self.do(f"br label %{label}")

    def branch(self, cond: str, yes: str, no: str) -> None:
        self.do(f"br i1 {cond}, label %{yes}, label %{no}")

    def need(self, cond: str, other: str) -> None:
        """Go on where `cond` holds, else to `other`."""
        ok = self.label("ok")
        self.do(f"br i1 {cond}, label %{ok}, label %{other}, !prof !0")
        self.block(ok)

    def when(self, cond: str) -> Iterator[None]:
        """``for _ in w.when(cond):`` the body runs where `cond` holds."""
        then, end = self.label("then"), self.label("end")
        self.branch(cond, then, end)
        self.block(then)
        yield
        self.goto(end)
        self.block(end)

    def loop(self, count: str) -> Iterator[str]:
        """``for i in w.loop(n):`` the body is written once and runs for i in range(n)."""
        at = self.var("0")
        head, body, end = self.label("head"), self.label("body"), self.label("end")
        self.goto(head)
        self.block(head)
        i = self.read(at)
        self.branch(self.compare("slt", i, count), body, end)
        self.block(body)
        yield i
        self.write(at, self.add(i, "1"))
        self.goto(head)
        self.block(end)

    # variables live in allocas of the first block
    def var(self, value: str) -> str:
        self.count += 1
        name = f"%m{self.count}"
        self.slots.append(f"  {name} = alloca i64")
        self.write(name, value)
        return name

    def read(self, var: str) -> str:
        return self.let(f"load i64, ptr {var}")

    def write(self, var: str, value: str) -> None:
        self.do(f"store i64 {value}, ptr {var}")

    # memory
    def pointer(self, base: str, offset: str | int = 0) -> str:
        p = self.let(f"inttoptr i64 {base} to ptr")
        return p if offset == 0 else self.let(f"getelementptr i8, ptr {p}, i64 {offset}")

    def load(self, base: str, offset: str | int = 0, ty: str = "i64") -> str:
        value = self.let(f"load {ty}, ptr {self.pointer(base, offset)}")
        return value if ty == "i64" else self.let(f"zext {ty} {value} to i64")

    def store(self, value: str, base: str, offset: str | int = 0) -> None:
        self.do(f"store i64 {value}, ptr {self.pointer(base, offset)}")

    def get(self, table: str, index: str | int) -> str:
        """Word number `index` of a table."""
        return self.load(table, 8 * index if isinstance(index, int) else self.shl(index, "3"))

    def put(self, table: str, index: str | int, value: str) -> None:
        self.store(value, table, 8 * index if isinstance(index, int) else self.shl(index, "3"))

    # arithmetic
    def binary(self, name: str, a: str, b: str) -> str:
        return self.let(f"{name} i64 {a}, {b}")

    def add(self, a: str, b: str) -> str:
        return self.binary("add", a, b)

    def shl(self, a: str, b: str) -> str:
        return self.binary("shl", a, b)

    def compare(self, how: str, a: str, b: str) -> str:
        return self.let(f"icmp {how} i64 {a}, {b}")

    def eq(self, a: str, b: str) -> str:
        return self.compare("eq", a, b)

    def ne(self, a: str, b: str) -> str:
        return self.compare("ne", a, b)

    def select(self, cond: str, a: str, b: str) -> str:
        return self.let(f"select i1 {cond}, i64 {a}, i64 {b}")

    def call(self, function: str, *args: str, ret: str = "i64") -> str:
        """Call the function at address `function`; an argument without a type is an i64."""
        typed = ", ".join(a if " " in a else f"i64 {a}" for a in args)
        text = f"call {ret} {self.pointer(function)}({typed})"
        if ret == "void":
            self.do(text)
            return ""
        value = self.let(text)
        return self.let(f"sext {ret} {value} to i64") if ret == "i32" else value
