"""L-BFGS (Nocedal 1980): steps along an estimate of the inverse Hessian, kept as the last `history_size` pairs of changes.

Its loop is steered by values of the loss, so inside of a compiled function the graph breaks there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ..eager.generated import cat
from ..eager.modes import enable_grad, no_grad
from ..eager.tensor import Tensor
from .optimizer import Optimizer, Params, check_not_negative

#: a number, or a tensor of no dimensions: lengths, slopes and curvatures are rounded as the parameters are, losses are floats
Number: TypeAlias = Any
Evaluate = Callable[[Number], tuple[float, Tensor]]


class LBFGS(Optimizer):
    """One group of parameters; `step` calls the closure up to `max_eval` times. `line_search_fn`: None or "strong_wolfe"."""

    def __init__(
        self, params: Params, lr: float = 1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr)
        defaults = {"lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                    "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
                    "line_search_fn": line_search_fn}  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        self._params: list[Tensor] = self.param_groups[0]["params"]

    def _gradient(self) -> Tensor:
        """All gradients in one line."""
        parts = [p.new_zeros((p.numel(),)) if p.grad is None else p.grad.reshape(-1) for p in self._params]
        return cat(parts, 0)  # type: ignore[no-any-return]

    def _add(self, length: Number, direction: Tensor) -> None:
        """Move the parameters along a direction."""
        at = 0
        for p in self._params:
            n = p.numel()
            p.add_(direction[at : at + n].reshape(tuple(p.shape)) * length)
            at += n

    def _evaluate(self, closure: Callable[[], Any], direction: Tensor) -> Evaluate:
        """Loss and gradient at a length along a direction from here; the parameters are as before afterwards."""
        start = [p.detach().clone() for p in self._params]

        def at(length: Number) -> tuple[float, Tensor]:
            self._add(length, direction)
            loss, gradient = self._here(closure)
            for p, before in zip(self._params, start, strict=True):
                p.copy_(before)
            return loss, gradient

        return at

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` iterations; the loss at the start."""
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
        with no_grad():
            return self._step(closure)

    def _step(self, closure: Callable[[], Any]) -> Any:
        group, state = self.param_groups[0], self.state.setdefault(self._params[0], {"func_evals": 0, "n_iter": 0})
        with enable_grad():
            first = closure()
        loss, gradient, evaluations = float(first), self._gradient(), 1
        state["func_evals"] += 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return first
        done, flat = 0, False
        while done < group["max_iter"]:
            done += 1
            state["n_iter"] += 1
            _turn(state, gradient, group["history_size"])
            before, state["prev_loss"] = loss, loss
            state["prev_flat_grad"] = gradient.clone()
            lr = group["lr"].item() if isinstance(group["lr"], Tensor) else group["lr"]
            length: Number = min(1.0, 1.0 / gradient.abs().sum()) * lr if state["n_iter"] == 1 else lr
            slope = gradient.dot(state["d"])
            state["t"] = length
            if slope > -group["tolerance_change"]:
                break
            used = 0
            if group["line_search_fn"] is None:
                self._add(length, state["d"])
                if done != group["max_iter"]:
                    loss, gradient = self._here(closure)
                    used, flat = 1, bool(_largest(gradient) <= group["tolerance_grad"])
            else:
                at, most = self._evaluate(closure, state["d"]), group["max_eval"] - evaluations
                loss, gradient, length, used = strong_wolfe(at, length, state["d"], loss, gradient, slope, most=most)
                self._add(length, state["d"])
                state["t"], flat = length, bool(_largest(gradient) <= group["tolerance_grad"])
            evaluations += used
            state["func_evals"] += used
            if flat or self._ends(group, state["d"] * length, loss - before, evaluations):
                break
        return first

    def _here(self, closure: Callable[[], Any]) -> tuple[float, Tensor]:
        """Loss and gradient at the present parameters."""
        with enable_grad():
            loss = float(closure())
        return loss, self._gradient()

    def _ends(self, group: dict[str, Any], moved: Tensor, change: float, evaluations: int) -> bool:
        small = group["tolerance_change"]
        return bool(evaluations >= group["max_eval"] or _largest(moved) <= small or abs(change) < small)

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        raise NotImplementedError("LBFGS updates all parameters together")


def _largest(x: Tensor) -> Tensor:
    return x.abs().max()  # type: ignore[no-any-return]


def _turn(state: dict[str, Any], gradient: Tensor, size: int) -> None:
    """Take the last step into the history and put the next direction at "d"."""
    if state["n_iter"] == 1:
        state.update(d=-gradient, old_dirs=[], old_stps=[], ro=[], H_diag=1)
        return
    change, moved = gradient - state["prev_flat_grad"], state["d"] * state["t"]
    curvature = change.dot(moved)
    if curvature > 1e-10:
        for name, value in (("old_dirs", change), ("old_stps", moved), ("ro", 1.0 / curvature)):
            state[name].append(value)
            del state[name][:-size]
        state["H_diag"] = curvature / change.dot(change)
    al = state.setdefault("al", [None] * size)
    direction = -gradient
    rows = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
    for i, (change, moved, ro) in reversed(list(enumerate(rows))):
        al[i] = moved.dot(direction) * ro
        direction = direction - change * al[i]
    direction = direction * state["H_diag"]
    for i, (change, moved, ro) in enumerate(rows):
        direction = direction + moved * (al[i] - change.dot(direction) * ro)
    state["d"] = direction


def _cubic(
    x1: Number, f1: float, g1: Tensor, x2: Number, f2: float, g2: Tensor, bounds: tuple[Number, Number] | None = None
) -> Number:
    """Where the cubic through two points with slopes has its minimum, within bounds."""
    low, high = bounds or (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    d2 = square.sqrt()
    found = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2)) if x1 <= x2 else (
        x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2)))  # fmt: skip
    return min(max(found, low), high)


def strong_wolfe(
    at: Evaluate, length: Number, direction: Tensor, loss: float, gradient: Tensor, slope: Tensor, c1: float = 1e-4,
    c2: float = 0.9, tolerance: float = 1e-9, most: int = 25,
) -> tuple[float, Tensor, Number, int]:  # fmt: skip
    """A length that satisfies the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5 and 3.6): (loss, gradient,
    length, evaluations)."""
    scale = _largest(direction)
    new = _Point(length, *at(length), direction)
    used, tries = 1, 0
    start = last = _Point(0, loss, gradient, direction, slope)
    bracket: list[_Point] = []
    done = False
    while tries < most:
        if new.loss > start.loss + c1 * new.length * start.slope or (tries > 1 and new.loss >= last.loss):
            bracket = [last, new]
            break
        if abs(new.slope) <= -c2 * start.slope:
            bracket, done = [new], True
            break
        if new.slope >= 0:
            bracket = [last, new]
            break
        bounds = (new.length + 0.01 * (new.length - last.length), new.length * 10)
        length = _cubic(*last.numbers(), *new.numbers(), bounds)
        last, new = new, _Point(length, *at(length), direction)
        used, tries = used + 1, tries + 1
    if tries == most:
        bracket = [start, new]
    if not done and len(bracket) == 2:
        used += _zoom(at, bracket, start, direction, scale, (c1, c2, tolerance), most - tries)
    best = min(bracket, key=lambda p: p.loss)
    return best.loss, best.gradient, best.length, used


class _Point:
    """A length along the direction with the loss, the gradient and the slope there."""

    def __init__(self, length: Number, loss: float, gradient: Tensor, direction: Tensor, slope: Tensor | None = None) -> None:
        self.length, self.loss, self.gradient = length, loss, gradient.clone()
        self.slope = gradient.dot(direction) if slope is None else slope

    def numbers(self) -> tuple[Number, float, Tensor]:
        """Length, loss, slope."""
        return self.length, self.loss, self.slope


def _zoom(
    at: Evaluate, bracket: list[_Point], start: _Point, direction: Tensor, scale: Tensor,
    limits: tuple[float, float, float], tries: int,
) -> int:  # fmt: skip
    """Narrow the bracket until one of its ends will do; how often the loss was evaluated."""
    c1, c2, tolerance = limits
    slow, used = False, 0
    bracket.sort(key=lambda p: p.loss)
    for _ in range(tries):
        low, high = bracket
        if abs(high.length - low.length) * scale < tolerance:
            break
        length = _cubic(*low.numbers(), *high.numbers())
        ends = sorted((low.length, high.length))
        edge = 0.1 * (ends[1] - ends[0])
        if min(ends[1] - length, length - ends[0]) < edge:
            if slow or length >= ends[1] or length <= ends[0]:
                near_top = abs(length - ends[1]) < abs(length - ends[0])
                length, slow = (ends[1] - edge if near_top else ends[0] + edge), False
            else:
                slow = True
        else:
            slow = False
        new = _Point(length, *at(length), direction)
        used += 1
        if new.loss > start.loss + c1 * length * start.slope or new.loss >= low.loss:
            bracket[:] = sorted([low, new], key=lambda p: p.loss)
            continue
        if abs(new.slope) <= -c2 * start.slope:
            bracket[0] = new
            break
        bracket[:] = [new, low if new.slope * (high.length - low.length) >= 0 else high]
    return used
