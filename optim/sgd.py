"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Any

from ..eager.tensor import Tensor
from .optimizer import Optimizer, Params, check_not_negative


class SGD(Optimizer):
    """``p -= lr * v`` with ``v = momentum * v + (1 - dampening) * g`` (Sutskever et al. 2013, as PyTorch writes it)."""

    def __init__(
        self, params: Params, lr: float = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float = 0,
        nesterov: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
                    "maximize": maximize}  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"] != 0:
            grad = grad + p * group["weight_decay"]
        momentum = group["momentum"]
        if momentum != 0:
            if p not in self.state:
                self.state[p] = {"momentum_buffer": grad.clone()}
                velocity = self.state[p]["momentum_buffer"]
            else:
                velocity = self.state[p]["momentum_buffer"]
                velocity.mul_(momentum).add_(grad, alpha=1 - group["dampening"])
            grad = grad + velocity * momentum if group["nesterov"] else velocity
        p.add_(grad, alpha=-group["lr"])
