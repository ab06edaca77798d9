"""Adagrad, Adadelta, RMSprop, NAdam, RAdam, Adamax, ASGD and Rprop: each an update rule written in op calls, and its state.

Numbers that depend on the step are tensors of no dimensions, so that a compiled step is the same graph at every step. The flags
`foreach`, `capturable`, `differentiable` and `fused` are kept in the groups and change nothing: there is one way of updating.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..eager.creation import full_like, tensor, zeros_like
from ..eager.pure import rule
from ..eager.tensor import Tensor
from ..ir.dtypes import float32, float64
from ..ir.ops.compare import gt, lt, ne, where
from ..ir.ops.pointwise import abs as absolute
from ..ir.ops.pointwise import add, div, maximum, minimum, mul, neg, sign, sqrt, sub
from .optimizer import Optimizer, Params, check_betas, check_not_negative

Tensors: TypeAlias = Mapping[str, Any]
Numbers: TypeAlias = Mapping[str, Any]
New: TypeAlias = dict[str, Any]


def _in_parts(p: Tensor, value: Any) -> Any:
    """`value` as state of a complex parameter has it, whose parts are two numbers: in both."""
    return complex(value, value) if p.is_complex() else value


@dataclass(frozen=True, slots=True)
class Form:
    """Which parts the update has. `adds`: weight decay on the gradient; `shrinks`: on the parameter; `momentum` and `centered`:
    RMSprop's."""

    maximize: bool
    adds: bool = False
    shrinks: bool = False
    momentum: bool = False
    centered: bool = False


class _Stepwise(Optimizer):
    """An optimiser whose state begins with "step" and whose update is `_rule` of what `_parts` gives."""

    @staticmethod
    def _rule(x: Tensors, n: Numbers, form: Form) -> New:
        raise NotImplementedError

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _scalars(self, step: Tensor, group: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        """Tensors of no dimensions that depend on the step, in float64."""
        return {}

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """The options that the rule reads."""
        raise NotImplementedError

    def _form(self, group: dict[str, Any]) -> Form:
        decay, decoupled = group.get("weight_decay", 0), group.get("decoupled_weight_decay", False)
        return Form(group["maximize"], decay != 0 and not decoupled, decay != 0 and decoupled)

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state.get(p)
        is_new = not state
        if not state:
            state = self.state[p] = self._placed(self._make_state(p, group), p, group)
        state["step"].add_(1)
        x = {"p": p, "grad": grad}
        exact = float64 if p.dtype is float64 else float32
        for name, value in self._scalars(state["step"].double(), group, state).items():
            x[name] = value.to(exact)
        x.update((k, v) for k, v in state.items() if v.ndim or (not p.ndim and k not in _SCALARS))
        n = self._numbers(group)
        if group.get("weight_decay", 0) != 0:
            n["decay"], n["keep"] = group["weight_decay"], 1 - group["lr"] * group["weight_decay"]
        self._write(self._rule, self._form(group), x, n, is_new)


_SCALARS = ("step", "mu_product", "eta", "mu")


@rule
def _begun(x: Tensors, n: Numbers, form: Form) -> tuple[Any, Any]:
    """The parameter and the gradient, after weight decay and sign."""
    p = mul(x["p"], n["keep"]) if form.shrinks else x["p"]
    grad = neg(x["grad"]) if form.maximize else x["grad"]
    return p, add(grad, mul(p, n["decay"])) if form.adds else grad


@rule
def _mixed(old: Any, new: Any, kept: Any, rest: Any) -> Any:
    return add(mul(old, kept), mul(new, rest))


@rule
def adagrad(x: Tensors, n: Numbers, form: Form) -> New:
    """One step of `Adagrad`."""
    p, grad = _begun(x, n, form)
    total = add(x["sum"], mul(grad, grad))
    return {"sum": total, "p": sub(p, mul(x["rate"], div(grad, add(sqrt(total), n["eps"]))))}


class Adagrad(_Stepwise):
    """``p -= lr * g / sqrt(sum of g * g)`` (Duchi et al. 2011); the rate falls by `lr_decay`."""

    _rule = staticmethod(adagrad)

    def __init__(
        self, params: Params, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps,
                           initial_accumulator_value=initial_accumulator_value)  # fmt: skip
        defaults = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                    "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
                    "differentiable": differentiable, "fused": fused}  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self._make_state(p, group)

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": tensor(0.0, device="cpu"), "sum": full_like(p.detach(), _in_parts(p, group["initial_accumulator_value"]))}

    def _scalars(self, step: Tensor, group: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        return {"rate": group["lr"] / ((step - 1) * group["lr_decay"] + 1)}

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        return {"eps": group["eps"]}


@rule
def adadelta(x: Tensors, n: Numbers, form: Form) -> New:
    """One step of `Adadelta`."""
    p, grad = _begun(x, n, form)
    square = _mixed(x["square_avg"], mul(grad, grad), n["rho"], n["rest"])
    delta = mul(div(sqrt(add(x["acc_delta"], n["eps"])), sqrt(add(square, n["eps"]))), grad)
    moved = _mixed(x["acc_delta"], mul(delta, delta), n["rho"], n["rest"])
    return {"square_avg": square, "acc_delta": moved, "p": sub(p, mul(delta, n["lr"]))}


class Adadelta(_Stepwise):
    """Steps in the size of the past steps (Zeiler 2012)."""

    _rule = staticmethod(adadelta)

    def __init__(
        self, params: Params, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                    "capturable": capturable, "foreach": foreach, "differentiable": differentiable}  # fmt: skip
        super().__init__(params, defaults)

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": tensor(0.0, device="cpu"), "square_avg": zeros_like(p), "acc_delta": zeros_like(p)}

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        return {"lr": group["lr"], "rho": group["rho"], "rest": 1 - group["rho"], "eps": group["eps"]}


@rule
def rmsprop(x: Tensors, n: Numbers, form: Form) -> New:
    """One step of `RMSprop`."""
    p, grad = _begun(x, n, form)
    square = _mixed(x["square_avg"], mul(grad, grad), n["alpha"], n["rest"])
    new, spread = {"square_avg": square}, square
    if form.centered:
        mean = new["grad_avg"] = _mixed(x["grad_avg"], grad, n["alpha"], n["rest"])
        spread = sub(square, mul(mean, mean))
    move = div(grad, add(sqrt(spread), n["eps"]))
    if form.momentum:
        move = new["momentum_buffer"] = add(mul(x["momentum_buffer"], n["momentum"]), move)
    new["p"] = sub(p, mul(move, n["lr"]))
    return new


class RMSprop(_Stepwise):
    """``p -= lr * g / sqrt(running mean of g * g)`` (Hinton 2012); `centered`: by the running variance."""

    _rule = staticmethod(rmsprop)

    def __init__(
        self, params: Params, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                    "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
                    "differentiable": differentiable}  # fmt: skip
        super().__init__(params, defaults)

    def _form(self, group: dict[str, Any]) -> Form:
        return Form(group["maximize"], group["weight_decay"] != 0, False, group["momentum"] > 0, group["centered"])

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": tensor(0.0, device="cpu"), "square_avg": zeros_like(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(p)
        if group["centered"]:
            state["grad_avg"] = zeros_like(p)
        return state

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        n = {"lr": group["lr"], "alpha": group["alpha"], "rest": 1 - group["alpha"], "eps": group["eps"]}
        return {**n, "momentum": group["momentum"]} if group["momentum"] > 0 else n


class _Betas(_Stepwise):
    """What the relatives of Adam share: two factors, a running mean and a second average."""

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": tensor(0.0, device="cpu"), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = group["betas"]
        return {"lr": group["lr"], "beta1": beta1, "rest1": 1 - beta1, "beta2": beta2, "rest2": 1 - beta2, "eps": group["eps"]}


@rule
def _moments(x: Tensors, n: Numbers, grad: Any) -> New:
    return {"exp_avg": _mixed(x["exp_avg"], grad, n["beta1"], n["rest1"]),
            "exp_avg_sq": _mixed(x["exp_avg_sq"], mul(grad, grad), n["beta2"], n["rest2"])}  # fmt: skip


@rule
def nadam(x: Tensors, n: Numbers, form: Form) -> New:
    """One step of `NAdam`."""
    p, grad = _begun(x, n, form)
    new = _moments(x, n, grad)
    scale = add(sqrt(div(new["exp_avg_sq"], x["correction"])), n["eps"])
    p = sub(p, mul(x["now"], div(grad, scale)))
    return {**new, "p": sub(p, mul(x["next"], div(new["exp_avg"], scale)))}


class NAdam(_Betas):
    """Adam with Nesterov's momentum (Dozat 2016)."""

    _rule = staticmethod(nadam)

    def __init__(
        self, params: Params, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_betas(betas)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
                    "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
                    "capturable": capturable, "differentiable": differentiable}  # fmt: skip
        super().__init__(params, defaults)

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        numbers = {"step": tensor(0.0, device="cpu"), "mu_product": tensor(1.0, device="cpu")}
        return {**numbers, "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def _scalars(self, step: Tensor, group: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["momentum_decay"]
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * decay))
        following = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * decay))
        product = state["mu_product"].mul_(mu.to(float32)).double()
        return {"correction": 1 - beta2**step, "now": lr * (1 - mu) / (1 - product),
                "next": lr * following / (1 - product * following)}  # fmt: skip


@rule
def radam(x: Tensors, n: Numbers, form: Form) -> New:
    """One step of `RAdam`; of "adaptive" and "plain" one is zero."""
    p, grad = _begun(x, n, form)
    new = _moments(x, n, grad)
    factor = add(div(x["adaptive"], add(sqrt(new["exp_avg_sq"]), n["eps"])), x["plain"])
    return {**new, "p": sub(p, mul(mul(div(new["exp_avg"], x["correction"]), n["lr"]), factor))}


class RAdam(_Betas):
    """Adam whose adaptive rate waits until its variance is bounded (Liu et al. 2020)."""

    _rule = staticmethod(radam)

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "foreach": foreach,
                    "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
                    "differentiable": differentiable}  # fmt: skip
        super().__init__(params, defaults)

    def _scalars(self, step: Tensor, group: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = group["betas"]
        most, left = 2 / (1 - beta2) - 1, 1 - beta2**step
        length = most - 2 * step * beta2**step / left
        rectified = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
        large = (length > 5.0).double()
        return {"correction": 1 - beta1**step, "adaptive": large * (rectified * left).clamp(min=0.0).sqrt(), "plain": 1 - large}


@rule
def adamax(x: Tensors, n: Numbers, form: Form) -> New:
    """One step of `Adamax`."""
    p, grad = _begun(x, n, form)
    mean = _mixed(x["exp_avg"], grad, n["beta1"], n["rest1"])
    largest = maximum(mul(x["exp_inf"], n["beta2"]), add(absolute(grad), n["eps"]))
    return {"exp_avg": mean, "exp_inf": largest, "p": sub(p, mul(div(mean, largest), x["rate"]))}


class Adamax(_Betas):
    """Adam by the largest gradient instead of the mean square (Kingma and Ba 2015)."""

    _rule = staticmethod(adamax)

    def __init__(
        self, params: Params, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
                    "differentiable": differentiable, "capturable": capturable}  # fmt: skip
        super().__init__(params, defaults)

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": tensor(0.0, device="cpu"), "exp_avg": zeros_like(p), "exp_inf": zeros_like(p)}

    def _scalars(self, step: Tensor, group: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        return {"rate": group["lr"] / (1 - group["betas"][0] ** step)}

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = group["betas"]
        return {"beta1": beta1, "rest1": 1 - beta1, "beta2": beta2, "eps": group["eps"]}


@rule
def asgd(x: Tensors, n: Numbers, form: Form) -> New:
    """One step of `ASGD`; the mean follows by "share", all of it at first."""
    p, grad = _begun(x, n, form)
    p = sub(mul(p, x["keep_all"]), mul(grad, x["rate"]))
    mean = where(ne(x["share"], 1), add(x["ax"], mul(sub(p, x["ax"]), x["share"])), p)
    return {"p": p, "ax": mean}


class ASGD(_Stepwise):
    """Gradient descent whose mean parameters "ax" are kept from step `t0` on (Polyak and Juditsky 1992)."""

    _rule = staticmethod(asgd)

    def __init__(
        self, params: Params, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr, weight_decay=weight_decay)
        defaults = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
                    "maximize": maximize, "differentiable": differentiable, "capturable": capturable}  # fmt: skip
        super().__init__(params, defaults)

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        numbers = {"step": 0.0, "eta": float(group["lr"]), "mu": 1.0}
        return {**{name: tensor(x, device="cpu") for name, x in numbers.items()}, "ax": zeros_like(p)}

    def _scalars(self, step: Tensor, group: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        lambd, lr = group["lambd"], group["lr"]
        rate, share = state["eta"].double(), state["mu"].double()
        state["eta"].copy_((lr / (lambd * lr * step + 1) ** group["alpha"]).to(float32))
        state["mu"].copy_((1 / (step - group["t0"]).clamp(min=1.0)).to(float32))
        return {"rate": rate, "keep_all": 1 - lambd * rate, "share": share}

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        return {}


@rule
def rprop(x: Tensors, n: Numbers, form: Form) -> New:
    """One step of `Rprop`."""
    p, grad = _begun(x, n, form)
    turn = mul(grad, x["prev"])
    factor = where(gt(turn, 0), n["more"], where(lt(turn, 0), n["less"], 1.0))
    size = minimum(maximum(mul(x["step_size"], factor), n["least"]), n["most"])
    grad = where(lt(turn, 0), 0.0, grad)
    return {"p": sub(p, mul(sign(grad), size)), "step_size": size, "prev": grad}


class Rprop(_Stepwise):
    """Steps by the gradient's sign, longer while it stays, shorter when it turns (Riedmiller and Braun 1993)."""

    _rule = staticmethod(rprop)

    def __init__(
        self, params: Params, lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_not_negative(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
                    "differentiable": differentiable, "capturable": capturable}  # fmt: skip
        super().__init__(params, defaults)

    def _make_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        size = full_like(p.detach(), _in_parts(p, float(group["lr"])))
        return {"step": tensor(0.0, device="cpu"), "prev": zeros_like(p), "step_size": size}

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        (less, more), (least, most) = group["etas"], group["step_sizes"]
        return {"less": less, "more": more, "least": float(least), "most": float(most)}
