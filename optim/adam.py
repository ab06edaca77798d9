"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from ..eager.creation import tensor, zeros_like
from ..eager.tensor import Tensor
from ..ir.dtypes import float32, float64
from .optimizer import Optimizer, Params, check_not_negative


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); `weight_decay` is added to the gradient. The step counter is a 0-d float32 tensor."""

    decoupled = False

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, defaults)

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": tensor(0.0), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(p)
        return state

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        if p not in self.state:
            self.state[p] = self._make_state(p, group)
        state = self.state[p]
        beta1, beta2 = group["betas"]
        lr, decay = group["lr"], group["weight_decay"]
        if group["maximize"]:
            grad = -grad
        if decay != 0:
            if self.decoupled:
                p.mul_(1 - lr * decay)
            else:
                grad = grad + p * decay
        step, mean, square = state["step"], state["exp_avg"], state["exp_avg_sq"]
        step.add_(1)
        mean.mul_(beta1).add_(grad, alpha=1 - beta1)
        square.mul_(beta2).add_(grad * grad, alpha=1 - beta2)
        if group["amsgrad"]:
            square = state["max_exp_avg_sq"].copy_(state["max_exp_avg_sq"].maximum(square))
        step = step.double()  # 1 - beta**step loses its digits in float32
        exact = float64 if p.dtype is float64 else float32
        correction1 = (1 - beta1**step).to(exact)
        correction2 = (1 - beta2**step).sqrt().to(exact)
        p.sub_(lr / correction1 * (mean / (square.sqrt() / correction2 + group["eps"])))


class AdamW(Adam):
    """Adam with weight decay applied to the parameters themselves (Loshchilov and Hutter 2019)."""

    decoupled = True

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
