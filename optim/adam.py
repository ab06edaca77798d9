"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..eager.creation import tensor, zeros_like
from ..eager.modes import capturing
from ..eager.pure import rule
from ..eager.tensor import Tensor
from ..ir.dtypes import DType, float32, float64
from ..ir.ops.pointwise import add, div, maximum, mul, neg, sqrt, sub
from .optimizer import Optimizer, Params, check_betas, check_not_negative


@dataclass(frozen=True, slots=True)
class Form:
    """Which parts the update has. `shrinks`: weight decay on the parameter itself; `adds`: on the gradient."""

    maximize: bool
    shrinks: bool
    adds: bool
    amsgrad: bool


@rule
def adam(x: Mapping[str, Any], n: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """One step: new parameter and moments from the old ones, the gradient, and the bias corrections of this step."""
    p = mul(x["p"], n["keep"]) if form.shrinks else x["p"]
    grad = neg(x["grad"]) if form.maximize else x["grad"]
    grad = add(grad, mul(p, n["decay"])) if form.adds else grad
    mean = add(mul(x["exp_avg"], n["beta1"]), mul(grad, n["rest1"]))
    square = add(mul(x["exp_avg_sq"], n["beta2"]), mul(mul(grad, grad), n["rest2"]))
    new = {"exp_avg": mean, "exp_avg_sq": square}
    if form.amsgrad:
        square = new["max_exp_avg_sq"] = maximum(x["max_exp_avg_sq"], square)
    scale = add(div(sqrt(square), x["correction2"]), n["eps"])
    new["p"] = sub(p, mul(div(n["lr"], x["correction1"]), div(mean, scale)))
    return new


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); `weight_decay` is added to the gradient. The step counter is a 0-d float32 tensor."""

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
                    "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused,
                    "decoupled_weight_decay": decoupled_weight_decay}  # fmt: skip
        super().__init__(params, defaults)

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": tensor(0.0, device="cpu"), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(p)
        return state

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state.get(p)
        is_new = state is None
        if state is None:
            state = self.state[p] = self._placed(self._make_state(p, group), p, group)
        self._write(adam, *_parts(p, grad, state, group, group["decoupled_weight_decay"], capturing()), is_new)


@rule
def _parts(
    p: Tensor, grad: Tensor, state: Mapping[str, Any], group: Mapping[str, Any], decoupled: bool, captured: bool
) -> tuple[Form, dict[str, Any], dict[str, Any]]:
    """Counts the step; the form of the update, its tensors and its numbers."""
    beta1, beta2 = group["betas"]
    lr, decay, step = group["lr"], group["weight_decay"], state["step"]
    form = Form(group["maximize"], decay != 0 and decoupled, decay != 0 and not decoupled, group["amsgrad"])
    step.add_(1)
    exact = float64 if p.dtype is float64 else float32
    there = captured or step.is_cuda  # what lies on a GPU is not waited for
    found = _corrections(step, beta1, beta2, exact) if there else _remembered(step.item(), beta1, beta2, exact)
    x = {"p": p, "grad": grad, "correction1": found[0], "correction2": found[1]}
    x.update((k, v) for k, v in state.items() if k != "step")
    n = {"lr": lr, "beta1": beta1, "rest1": 1 - beta1, "beta2": beta2, "rest2": 1 - beta2, "eps": group["eps"]}
    if decay != 0:
        n.update(keep=1 - lr * decay, decay=decay)
    return form, x, n


@rule
def _corrections(step: Any, beta1: float, beta2: float, exact: DType) -> tuple[Any, Any]:
    step = step.double()  # 1 - beta**step loses its digits in float32
    return (1 - beta1**step).to(exact), (1 - beta2**step).sqrt().to(exact)


@lru_cache(maxsize=64)
def _remembered(step: float, beta1: float, beta2: float, exact: DType) -> tuple[Any, Any]:
    """The corrections of a step whose number is known: the same for most parameters."""
    return _corrections(tensor(step, device="cpu"), beta1, beta2, exact)


class AdamW(Adam):
    """Adam with weight decay applied to the parameters themselves (Loshchilov and Hutter 2019)."""

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, foreach=foreach, fused=fused,
                         capturable=capturable, differentiable=differentiable, decoupled_weight_decay=True)  # fmt: skip
