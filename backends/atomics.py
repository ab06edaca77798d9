"""Writes LLVM functions that several threads run at once: atomic words of a control block, pausing, system calls."""

from __future__ import annotations

from .entry.writer import Writer

#: what modules of such functions begin with
HEAD = "\n".join([
    "declare i64 @syscall(i64, ...)",
    "declare void @llvm.x86.sse2.pause()",
    '!0 = !{!"branch_weights", i32 2000, i32 1}',
])  # fmt: skip
_YIELD = 24


class Native(Writer):
    """Writes a function over the control block at address `%C`; words of it are read and written by offset in bytes."""

    def at(self, offset: int | str) -> str:
        return self.add("%C", str(offset))

    def atomic(self, offset: int | str) -> str:
        return self.let(f"load atomic i64, ptr {self.pointer(self.at(offset))} seq_cst, align 8")

    def publish(self, value: str, offset: int | str) -> None:
        self.do(f"store atomic i64 {value}, ptr {self.pointer(self.at(offset))} seq_cst, align 8")

    def rmw(self, how: str, offset: int, value: str) -> str:
        return self.let(f"atomicrmw {how} ptr {self.pointer(self.at(offset))}, i64 {value} seq_cst")

    def swap(self, offset: int | str, old: str, new: str) -> str:
        """Whether the word was `old` and is `new` now."""
        pair = self.let(f"cmpxchg ptr {self.pointer(self.at(offset))}, i64 {old}, i64 {new} seq_cst seq_cst, align 8")
        return self.let(f"extractvalue {{i64, i1}} {pair}, 1")

    def plain(self, offset: int) -> str:
        return self.let(f"load volatile i64, ptr {self.pointer(self.at(offset))}")

    def syscall(self, *args: str | int) -> None:
        self.do(f"call i64 (i64, ...) @syscall({', '.join(f'i64 {a}' for a in args)})")

    def both(self, a: str, b: str) -> str:
        return self.let(f"and i1 {a}, {b}")

    def pause(self) -> None:
        """Tell the processor that this is a loop of waiting."""
        self.do("call void @llvm.x86.sse2.pause()")

    def give_way(self) -> None:
        """Let another thread run on this core."""
        self.syscall(_YIELD)

    def lock(self, offset: int) -> None:
        """Wait until the word is 0, and make it 1."""
        again, wait, held = self.label("again"), self.label("wait"), self.label("held")
        self.goto(again)
        self.block(again)
        self.branch(self.swap(offset, "0", "1"), held, wait)
        self.block(wait)
        self.give_way()
        self.goto(again)
        self.block(held)

    def unlock(self, offset: int) -> None:
        """Let others take the lock."""
        self.publish("0", offset)
