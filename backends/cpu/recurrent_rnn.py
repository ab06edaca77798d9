"""All steps of a plain recurrent layer and their gradient as routines (see `recurrent`). Writes LLVM text."""

from __future__ import annotations

from . import math
from .gemm_tile import load, store, sub
from .recurrent import BackwardSteps, ForwardSteps


class Forward(ForwardSteps):
    """Scratch: panels of the transposed weight."""

    names = ("gates", "h", "w", "states")
    parts = 1

    def run(self) -> None:
        """All steps."""
        w, t, f = self.w, self.t, self.f
        step = w.open_loop("0", self.steps, 1, [("ptr", self.base["h"]), ("i64", self.strides["h"][1])])
        made, gates = self.of_step("states", step.index), self.of_step("gates", step.index)
        self.product((step.carried[0], step.carried[1]), made)
        with self.vectors() as (row, column, mask):
            place = self.place(made, row, column)
            x = f.add(load(w, t, self.place(gates, row, column), mask), load(w, t, place, mask))
            below = f.is_("olt", x, f.c(0.0))
            store(w, t, f.select(below, f.c(0.0), x) if self.clipped else math.tanh(f, x), place, mask)
        w.close_loop(step, [*made])


class Backward(BackwardSteps):
    """Scratch: panels of the weight. The gradient of the state is kept where it ends."""

    names = ("g", "h", "w", "states", "slopes", "dh")
    parts = 1

    def run(self) -> None:
        """All steps."""
        w, t, f = self.w, self.t, self.f
        dh = self.base["dh"], self.strides["dh"][1]
        self.cleared(dh)
        step = w.open_loop("0", self.steps, 1)
        at_step = sub(w, sub(w, self.steps, step.index), "1")
        states, g, slopes = (self.of_step(x, at_step) for x in ("states", "g", "slopes"))
        with self.vectors() as (row, column, mask):
            y = load(w, t, self.place(states, row, column), mask)
            reached = f.add(load(w, t, self.place(dh, row, column), mask), load(w, t, self.place(g, row, column), mask))
            slope = f.mul(reached, f.sub(f.c(1.0), f.mul(y, y)))
            slope = f.select(f.is_("ogt", y, f.c(0.0)), reached, f.c(0.0)) if self.clipped else slope
            store(w, t, slope, self.place(slopes, row, column), mask)
        self.product(slopes, dh)
        w.close_loop(step)
