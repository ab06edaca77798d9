"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..eager.pure import rule
from ..eager.tensor import Tensor
from ..ir.ops.pointwise import add, mul, neg
from .optimizer import Optimizer, Params, check_not_negative


@dataclass(frozen=True, slots=True)
class Form:
    """Which parts the update has."""

    maximize: bool
    decays: bool
    remembers: bool
    nesterov: bool


@rule
def sgd(x: Mapping[str, Any], n: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """One step: the new parameter, and the new velocity where there is one."""
    p, new = x["p"], {}
    grad = neg(x["grad"]) if form.maximize else x["grad"]
    grad = add(grad, mul(p, n["decay"])) if form.decays else grad
    if form.remembers:
        velocity = new["momentum_buffer"] = add(mul(x["momentum_buffer"], n["momentum"]), mul(grad, n["rest"]))
        grad = add(grad, mul(velocity, n["momentum"])) if form.nesterov else velocity
    new["p"] = add(p, mul(grad, n["rate"]))
    return new


class SGD(Optimizer):
    """``p -= lr * v`` with ``v = momentum * v + (1 - dampening) * g`` (Sutskever et al. 2013, as PyTorch writes it)."""

    def __init__(
        self, params: Params, lr: float = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float = 0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
                    "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused}  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        momentum, decay = group["momentum"], group["weight_decay"]
        is_new = momentum != 0 and self.state.get(p) is None
        form = Form(group["maximize"], decay != 0, momentum != 0 and not is_new, group["nesterov"])
        x = {"p": p, "grad": grad}
        n = {"decay": decay, "momentum": momentum, "rest": 1 - group["dampening"], "rate": -group["lr"]}
        if is_new:  # the buffer begins as the first gradient
            grad = -grad if group["maximize"] else grad
            grad = grad + p * decay if decay != 0 else grad.clone()
            self.state[p] = {"momentum_buffer": grad.detach()}
            x["grad"] = grad + grad * momentum if group["nesterov"] else grad
            form = Form(False, False, False, False)
        elif momentum != 0:
            x["momentum_buffer"] = self.state[p]["momentum_buffer"]
        self._write(sgd, form, x, n, is_new)
