"""All steps of an LSTM and their gradient as routines (see `recurrent`). Writes LLVM text."""

from __future__ import annotations

from . import math
from .gemm_tile import branch, load, store, sub
from .recurrent import BackwardSteps, ForwardSteps

#: Parts of a row of gates.
INPUT, FORGET, NEW, OUTPUT = range(4)


class Forward(ForwardSteps):
    """Gates behind their functions, cells and states of all steps."""

    names = ("gates", "h", "c", "w", "states", "last", "cells", "acts")

    def run(self) -> None:
        """All steps."""
        w = self.w
        state = ("h", "c")
        h, c = ((self.base[x], self.strides[x][1]) for x in state)
        t = w.open_loop("0", self.steps, 1, [("ptr", h[0]), ("i64", h[1]), ("ptr", c[0]), ("i64", c[1])])
        acts, made, cells = (self.of_step(x, t.index) for x in ("acts", "states", "cells"))
        before = t.carried[0], t.carried[1]
        self.product(before, acts)
        self._rows(self.of_step("gates", t.index), acts, (t.carried[2], t.carried[3]), cells, made)
        end = w.close_loop(t, [*made, *cells])
        self.copied((end[2], end[3]), (self.base["last"], self.strides["last"][1]))

    def _rows(self, gates: tuple[str, str], acts: tuple[str, str], before: tuple[str, str], cells: tuple[str, str],
              made: tuple[str, str]) -> None:  # fmt: skip
        w, t, f = self.w, self.t, self.f
        with self.vectors() as (row, column, mask):
            values = []
            for part in (INPUT, FORGET, NEW, OUTPUT):
                place = self.place(acts, row, column, part)
                x = f.add(load(w, t, self.place(gates, row, column, part), mask), load(w, t, place, mask))
                values.append(math.tanh(f, x) if part == NEW else self.sigmoid(x))
                store(w, t, values[-1], place, mask)
            c = load(w, t, self.place(before, row, column), mask)
            c = f.fma(values[INPUT], values[NEW], f.mul(values[FORGET], c))
            store(w, t, c, self.place(cells, row, column), mask)
            store(w, t, f.mul(values[OUTPUT], math.tanh(f, c)), self.place(made, row, column), mask)


class Backward(BackwardSteps):
    """The gradients of the states are kept where they end."""

    names = ("g", "gc", "gcells", "gacts", "c", "w", "cells", "acts", "slopes", "dh", "dc")

    def run(self) -> None:
        """All steps."""
        w = self.w
        dh, dc = ((self.base[x], self.strides[x][1]) for x in ("dh", "dc"))
        zero = w.let(f"icmp eq ptr {self.word('%args', self.names.index('gc'), 'ptr')}, null")
        self.cleared(dh)
        self._begin(zero, dc)
        step = w.open_loop("0", self.steps, 1)
        at_step = sub(w, sub(w, self.steps, step.index), "1")
        slopes = self.of_step("slopes", at_step)
        self._rows(at_step, self.earlier("cells", "c", at_step), slopes, dh, dc)
        self.product(slopes, dh)
        w.close_loop(step)

    def _begin(self, zero: str, dc: tuple[str, str]) -> None:
        """`dc` as given, or zero."""
        w, join = self.w, self.w.fresh("join")
        with branch(w, zero, join):
            self.cleared(dc)
        self.copied((self.base["gc"], self.strides["gc"][1]), dc)
        w.do(f"br label %{join}")
        w.label(join)

    def _rows(self, step: str, before: tuple[str, str], slopes: tuple[str, str], dh: tuple[str, str],
              dc: tuple[str, str]) -> None:  # fmt: skip
        w, t, f = self.w, self.t, self.f
        acts, cells, g = (self.of_step(x, step) for x in ("acts", "cells", "g"))
        one = f.c(1.0)
        with self.vectors() as (row, column, mask):
            i, forget, new, o = (load(w, t, self.place(acts, row, column, part), mask) for part in range(4))
            top = math.tanh(f, load(w, t, self.place(cells, row, column), mask))
            h = f.add(load(w, t, self.place(dh, row, column), mask), load(w, t, self.place(g, row, column), mask))
            c = load(w, t, self.place(dc, row, column), mask)
            c = f.fma(f.mul(h, o), f.sub(one, f.mul(top, top)), c)
            old = load(w, t, self.place(before, row, column), mask)
            towards = {
                INPUT: f.mul(f.mul(c, new), self.bend(i)), FORGET: f.mul(f.mul(c, old), self.bend(forget)),
                NEW: f.mul(f.mul(c, i), f.sub(one, f.mul(new, new))), OUTPUT: f.mul(f.mul(h, top), self.bend(o)),
            }  # fmt: skip
            for part, value in towards.items():
                store(w, t, value, self.place(slopes, row, column, part), mask)
            store(w, t, f.mul(c, forget), self.place(dc, row, column), mask)
