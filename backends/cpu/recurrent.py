"""What the routines of recurrent layers have in common: step after step on some sequences, the weight packed once for all steps.

The product of a step is `attention_tile`'s block on panels of the weight; what follows it runs along rows. Writes LLVM text
(`text`); which calls become such routines, and with which words, says `recurrent_claim`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from . import math
from .attention_parts import TURN
from .attention_tile import HEAD, shape
from .gemm_tile import Tile, above, add, at, least, load, mul, store, sub
from .lanes import Lanes
from .module import host_target
from .real import Real
from .recurrent_claim import NUMBERS, PANEL, STRIDES
from .writer import Writer

_ARGUMENTS = "ptr noalias %args, ptr noalias %sizes, ptr noalias %scalars, ptr noalias %scratch, i64 %thread, i64 %threads"


def text(words: Sequence[str]) -> str:
    """The module of the routine "forward" or "backward" of an "lstm", a "gru" or an "rnn", of this perhaps "clipped"."""
    cell = importlib.import_module(f".recurrent_{words[0]}", __package__)
    kind: type[Steps] = {"forward": cell.Forward, "backward": cell.Backward}[words[1]]
    w = kind(shape(host_target()).tile, "clipped" in words).write()
    w.declare("void", "block", *HEAD.split(", "))
    w.declare("void", "turn", *TURN.split(", "))
    return "\n".join([*sorted(w.declared.values()), *w.helpers.values(), w.text(), ""])


class Steps:
    """What forward and backward have in common: arguments, the share of a thread, panels of the weight, rows."""

    names: tuple[str, ...] = ()
    parts = 4

    def __init__(self, t: Tile, clipped: bool = False) -> None:
        self.t, self.clipped = t, clipped
        self.w = Writer(f"define i32 @routine({_ARGUMENTS})", [x.split()[-1] for x in _ARGUMENTS.split(",")], t.lanes == 16)
        self.f = Real(Lanes(self.w, t.lanes), "float")

    def write(self) -> Writer:
        """The routine's own function. Scratch begins with the panels of the weight."""
        self.arguments()
        self.pack()
        self.run()
        self.w.do("ret i32 0")
        return self.w

    def run(self) -> None:
        """All steps, behind the packed weight."""
        raise NotImplementedError

    def pack(self) -> None:
        """Packs the weight."""
        raise NotImplementedError

    def word(self, base: str, index: int, type_: str = "i64") -> str:
        """Argument number `index` of those at `base`."""
        return self.w.let(f"load {type_}, ptr {self.w.let(f'getelementptr {type_}, ptr {base}, i64 {index}')}")

    def arguments(self) -> None:
        """Reads all of them; those of the sequences of this thread."""
        w = self.w
        self.steps, batch, self.width = (self.word("%sizes", i) for i in range(len(NUMBERS)))
        self.gates = mul(w, self.width, str(self.parts))
        self.first = w.let(f"sdiv i64 {mul(w, batch, '%thread')}, %threads")
        self.rows = sub(w, w.let(f"sdiv i64 {mul(w, batch, add(w, '%thread', '1'))}, %threads"), self.first)
        self.base, self.strides = {}, {}
        for i, name in enumerate(self.names):
            step, row = (self.word("%sizes", len(NUMBERS) + STRIDES * i + k) for k in range(STRIDES))
            self.strides[name] = step, row
            pointer = self.word("%args", i, "ptr")
            self.base[name] = pointer if name == "w" else at(w, self.t, pointer, mul(w, self.first, row))

    def of_step(self, name: str, step: str) -> tuple[str, str]:
        """Where an argument's rows of a step begin, and how far apart they lie."""
        return at(self.w, self.t, self.base[name], mul(self.w, step, self.strides[name][0])), self.strides[name][1]

    @contextmanager
    def panels(self, columns: str, depth: str) -> Iterator[tuple[str, str, str]]:
        """Panels of the weight: (first column, number of columns, where it is packed: `depth` rows of `PANEL`)."""
        w = self.w
        j = w.open_loop("0", columns, PANEL)
        yield j.index, least(w, sub(w, columns, j.index), str(PANEL)), at(w, self.t, "%scratch", mul(w, j.index, depth))
        w.close_loop(j)

    def block(
        self, a: tuple[str, str], panel: str, c: tuple[str, str], columns: str, depth: str, more: bool = False
    ) -> None:
        """C (+)= A @ panel for the rows of this thread; A and C with the distance of their rows."""
        self.w.do(
            f"call void @block(ptr {a[0]}, i64 {a[1]}, i64 1, ptr {panel}, i64 {PANEL}, ptr {c[0]}, i64 {c[1]}, "
            f"i64 {self.rows}, i64 {columns}, i64 {depth}, i1 {str(more).lower()})"
        )

    @contextmanager
    def vectors(self) -> Iterator[tuple[str, str, str]]:
        """Vectors of the rows of a step: (row, first column, mask)."""
        w = self.w
        row = w.open_loop("0", self.rows, 1)
        j = w.open_loop("0", self.width, self.t.lanes)
        yield row.index, j.index, above(w, self.t, 0, sub(w, self.width, j.index))
        w.close_loop(j)
        w.close_loop(row)

    def place(self, rows: tuple[str, str], row: str, column: str, part: int = 0) -> str:
        """The address of an element of `rows`, in part number `part` of the gates."""
        w = self.w
        return at(w, self.t, rows[0], add(w, add(w, mul(w, row, rows[1]), mul(w, self.width, str(part))), column))

    def sigmoid(self, x: str) -> str:
        f = self.f
        return f.div(f.c(1.0), f.add(f.c(1.0), math.exp(f, f.neg(x))))

    def bend(self, y: str) -> str:
        """The slope of a sigmoid whose value is `y`."""
        return self.f.mul(y, self.f.sub(self.f.c(1.0), y))

    def copied(self, source: tuple[str, str], to: tuple[str, str]) -> None:
        """The rows of a state."""
        with self.vectors() as (row, column, mask):
            store(self.w, self.t, load(self.w, self.t, self.place(source, row, column), mask), self.place(to, row, column), mask)


class ForwardSteps(Steps):
    """Steps that take the transposed weight."""

    def pack(self) -> None:
        """Packs the transposed weight."""
        w = self.w
        with self.panels(self.gates, self.width) as (j, count, panel):
            source = at(w, self.t, self.base["w"], mul(w, j, self.strides["w"][1]))
            w.do(
                f"call void @turn(ptr {source}, i64 {self.strides['w'][1]}, i64 1, i64 {count}, i64 {self.width}, ptr {panel}, "
                f"i64 1, i64 {PANEL}, i64 {PANEL}, float 1.0)"
            )

    def product(self, before: tuple[str, str], to: tuple[str, str]) -> None:
        """Rows of gates: the state `before` a step times the transposed weight."""
        with self.panels(self.gates, self.width) as (j, count, panel):
            self.block(before, panel, (at(self.w, self.t, to[0], j), to[1]), count, self.width)


class BackwardSteps(Steps):
    """Steps from the last to the first, which take the weight as it is."""

    def pack(self) -> None:
        """Packs the weight."""
        w, t = self.w, self.t
        with self.panels(self.width, self.gates) as (j, count, panel):
            k = w.open_loop("0", self.gates, 1)
            source = at(w, t, at(w, t, self.base["w"], mul(w, k.index, self.strides["w"][1])), j)
            to = at(w, t, panel, mul(w, k.index, str(PANEL)))
            for v in range(PANEL // t.lanes):
                value = load(w, t, at(w, t, source, str(t.lanes * v)), above(w, t, t.lanes * v, count))
                w.do(f"store {t.vector} {value}, ptr {at(w, t, to, str(t.lanes * v))}, align 4")
            w.close_loop(k)

    def product(self, slopes: tuple[str, str], to: tuple[str, str]) -> None:
        """Rows of a state: the gradient of gates times the weight."""
        with self.panels(self.width, self.gates) as (j, count, panel):
            self.block(slopes, panel, (at(self.w, self.t, to[0], j), to[1]), count, self.gates)

    def cleared(self, to: tuple[str, str]) -> None:
        """Zero in the rows of a state."""
        with self.vectors() as (row, column, mask):
            store(self.w, self.t, "zeroinitializer", self.place(to, row, column), mask)

    def earlier(self, name: str, first: str, step: str) -> tuple[str, str]:
        """The rows of `name` before a step: those of the state `first` before step 0."""
        w = self.w
        is_first, before = w.let(f"icmp eq i64 {step}, 0"), self.of_step(name, sub(w, step, "1"))
        state = self.base[first], self.strides[first][1]
        where = w.let(f"select i1 {is_first}, ptr {state[0]}, ptr {before[0]}")
        return where, w.let(f"select i1 {is_first}, i64 {state[1]}, i64 {before[1]}")
