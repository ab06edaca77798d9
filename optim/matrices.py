"""Optimisers that treat matrices as one: Adafactor (Shazeer and Stern 2018), which keeps moments by row and column, and Muon
(Jordan 2024), which steps along the nearest orthogonal matrix."""

from __future__ import annotations

import math
from typing import Any

from ..eager.creation import tensor, zeros_like
from ..eager.limits import finfo
from ..eager.products import addmm
from ..eager.reducing import norm
from ..eager.tensor import Tensor
from .optimizer import Optimizer, Params


class Adafactor(Optimizer):
    """`lr` bounds the step, which is relative to the size of the parameter (`eps[1]` at least) and of the update (`d`)."""

    def __init__(
        self, params: Params, lr: float = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        _need(lr >= 0.0, f"Learning rate should be >= 0 but is: {lr}")
        _need(beta2_decay <= 0.0, f"beta2_decay should be <= 0 but is: {beta2_decay}")
        _need(eps[0] is None or eps[0] >= 0.0, f"epsilon1 should be >= 0 but is: {eps[0]}")
        _need(eps[1] >= 0.0, f"epsilon2 should be >= 0 but is: {eps[1]}")
        _need(d >= 1.0, f"Clipping threshold d should be >= 1 but is: {d}")
        _need(weight_decay >= 0.0, f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "foreach": foreach,
                    "maximize": maximize}  # fmt: skip
        super().__init__(params, defaults)

    def _make_state(self, grad: Tensor) -> dict[str, Any]:
        if grad.ndim > 1:
            rows, columns = (*grad.shape[:-1], 1), (*grad.shape[:-2], 1, grad.shape[-1])
            return {"step": tensor(0.0, device="cpu"), "row_var": grad.new_zeros(rows), "col_var": grad.new_zeros(columns)}
        return {"step": tensor(0.0, device="cpu"), "variance": zeros_like(grad)}

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state.get(p)
        if not state:
            state = self.state[p] = self._make_state(grad)
        least, smallest = group["eps"]
        least = finfo(p.dtype).eps if least is None else least
        grad = -grad if group["maximize"] else grad
        step = state["step"]
        step.add_(1)
        share = (step.double() ** group["beta2_decay"]).to(p.dtype)
        rate = (step.double() ** -0.5).clamp(max=group["lr"])
        size = (norm(p).double() / math.sqrt(p.numel())).clamp(min=smallest)
        if group["weight_decay"] != 0:
            p.mul_(1 - group["lr"] * group["weight_decay"])
        if grad.ndim > 1:
            rows, columns = state["row_var"], state["col_var"]
            rows.lerp_((grad * grad).mean(-1, keepdim=True), share)
            columns.lerp_((grad * grad).mean(-2, keepdim=True), share)
            moments = (rows @ columns) / rows.mean(-2, keepdim=True).clamp(min=least)
        else:
            moments = state["variance"].lerp_(grad * grad, share)
        update = moments.clamp(min=least * least).rsqrt() * grad
        shrunk = (norm(update).double() / (math.sqrt(update.numel()) * group["d"])).clamp(min=1.0)
        p.sub_(update * (size * rate / shrunk).to(p.dtype))


class Muon(Optimizer):
    """Momentum whose matrix is made orthogonal by `ns_steps` of a Newton-Schulz iteration in bfloat16; for matrices only.
    `adjust_lr_fn`: "original" or "match_rms_adamw", how the rate hangs on the matrix's sizes."""

    def __init__(
        self, params: Params, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        _need(lr >= 0.0, f"Learning rate should be >= 0 but is: {lr}")
        _need(momentum >= 0.0, f"momentum should be >= 0 but is: {momentum}")
        _need(weight_decay >= 0.0, f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                    "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
                    "adjust_lr_fn": adjust_lr_fn}  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                _need(p.ndim == 2, f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}")

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state, momentum, lr = self.state.get(p), group["momentum"], group["lr"]
        if not state:
            state = self.state[p] = {"momentum_buffer": zeros_like(grad)}
        buffer = state["momentum_buffer"]
        buffer.lerp_(grad, 1 - momentum)
        update = grad.lerp(buffer, momentum) if group["nesterov"] else buffer
        update = orthogonalised(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        p.mul_(1 - lr * group["weight_decay"])
        p.sub_(update.to(p.dtype) * (lr * _ratio(group["adjust_lr_fn"], int(p.shape[0]), int(p.shape[1]))))


def orthogonalised(grad: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """The matrix of `grad`'s singular vectors, nearly: its singular values are brought near 1; in bfloat16."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = bool(grad.shape[0] > grad.shape[1])
    x = grad.bfloat16().T if tall else grad.bfloat16()
    x = x / norm(x).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = addmm(x, addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    result: Tensor = x.T if tall else x
    return result


def _ratio(kind: str | None, rows: int, columns: int) -> float:
    if kind == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1.0, rows / columns))


def _need(holds: bool, text: str) -> None:
    if not holds:
        raise ValueError(text)
