"""All steps of a GRU and their gradient as routines (see `recurrent`). Writes LLVM text."""

from __future__ import annotations

from . import math
from .gemm_tile import add, at, load, mul, store, sub
from .recurrent import BackwardSteps, ForwardSteps
from .recurrent_claim import PANEL

RESET, UPDATE, NEW, HIDDEN = range(4)
Rows = tuple[str, str]


class Forward(ForwardSteps):
    """Scratch: panels of the transposed weight, then the own part of a step."""

    names = ("gates", "h", "w", "b", "states", "acts")
    parts = 3

    def run(self) -> None:
        """All steps."""
        w = self.w
        bias = self.word("%args", self.names.index("b"), "ptr")
        self.biased = w.let(f"icmp ne ptr {bias}, null")
        self.bias = w.let(f"select i1 {self.biased}, ptr {bias}, ptr {self.base['w']}")  # masked off, but no address that faults
        panels = w.let(f"udiv i64 {add(w, self.gates, str(PANEL - 1))}, {PANEL}")
        own = at(w, self.t, "%scratch", mul(w, mul(w, panels, str(PANEL)), self.width)), self.gates
        t = w.open_loop("0", self.steps, 1, [("ptr", self.base["h"]), ("i64", self.strides["h"][1])])
        before = t.carried[0], t.carried[1]
        made = self.of_step("states", t.index)
        self.product(before, own)
        self._rows(self.of_step("gates", t.index), own, self.of_step("acts", t.index), before, made)
        w.close_loop(t, [*made])

    def _own(self, own: Rows, row: str, column: str, part: int, mask: str) -> str:
        """The own part of a gate, with its bias: masked off where there is none."""
        w, t = self.w, self.t
        given = w.let(f"insertelement <{t.lanes} x i1> poison, i1 {self.biased}, i64 0")
        every = w.let(f"shufflevector <{t.lanes} x i1> {given}, <{t.lanes} x i1> poison, <{t.lanes} x i32> zeroinitializer")
        both = w.let(f"and <{t.lanes} x i1> {every}, {mask}")
        bias = load(w, t, at(w, t, self.bias, add(w, mul(w, self.width, str(part)), column)), both)
        return self.f.add(load(w, t, self.place(own, row, column, part), mask), bias)

    def _rows(self, gates: Rows, own: Rows, acts: Rows, before: Rows, made: Rows) -> None:
        w, t, f = self.w, self.t, self.f
        with self.vectors() as (row, column, mask):
            g = [load(w, t, self.place(gates, row, column, part), mask) for part in range(3)]
            mine = [self._own(own, row, column, part, mask) for part in range(3)]
            reset, update = (self.sigmoid(f.add(g[k], mine[k])) for k in (RESET, UPDATE))
            new = math.tanh(f, f.fma(reset, mine[NEW], g[NEW]))
            old = load(w, t, self.place(before, row, column), mask)
            for part, value in enumerate((reset, update, new, mine[NEW])):
                store(w, t, value, self.place(acts, row, column, part), mask)
            store(w, t, f.fma(update, f.sub(old, new), new), self.place(made, row, column), mask)


class Backward(BackwardSteps):
    """Scratch: panels of the weight. The gradient of the state is kept where it ends."""

    names = ("g", "gacts", "h", "w", "states", "acts", "slopes", "own", "dh")
    parts = 3

    def run(self) -> None:
        """All steps."""
        w, t = self.w, self.t
        dh = self.base["dh"], self.strides["dh"][1]
        self.cleared(dh)
        step = w.open_loop("0", self.steps, 1)
        at_step = sub(w, sub(w, self.steps, step.index), "1")
        own = self.of_step("own", at_step)
        self._rows(at_step, self.earlier("states", "h", at_step), own, dh)
        with self.panels(self.width, self.gates) as (j, count, panel):
            self.block(own, panel, (at(w, t, dh[0], j), dh[1]), count, self.gates, more=True)
        w.close_loop(step)

    def _rows(self, step: str, before: Rows, own: Rows, dh: Rows) -> None:
        """The gradients of a step's gates; `dh` becomes what goes past them to the state before."""
        w, t, f = self.w, self.t, self.f
        acts, g, slopes = (self.of_step(x, step) for x in ("acts", "g", "slopes"))
        one = f.c(1.0)
        with self.vectors() as (row, column, mask):
            reset, update, new, hidden = (load(w, t, self.place(acts, row, column, part), mask) for part in range(4))
            reached = f.add(load(w, t, self.place(dh, row, column), mask), load(w, t, self.place(g, row, column), mask))
            old = load(w, t, self.place(before, row, column), mask)
            inner = f.mul(f.mul(reached, f.sub(one, update)), f.sub(one, f.mul(new, new)))
            towards = [
                f.mul(f.mul(inner, hidden), self.bend(reset)), f.mul(f.mul(reached, f.sub(old, new)), self.bend(update)), inner,
            ]  # fmt: skip
            for part, value in enumerate(towards):
                store(w, t, value, self.place(slopes, row, column, part), mask)
                store(w, t, f.mul(value, reset) if part == NEW else value, self.place(own, row, column, part), mask)
            store(w, t, f.mul(reached, update), self.place(dh, row, column), mask)
