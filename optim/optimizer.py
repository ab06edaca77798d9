"""Base of the optimisers: parameter groups, state by parameter, state_dict. Steps are in `sgd.py` and `adam.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

from ..eager.modes import capturing, no_grad
from ..eager.tensor import Tensor
from ..nn.hooks import RemovableHandle, add_hook
from . import fused


class Optimizer:
    """`params`: Tensors, (name, Tensor) pairs, or dicts with "params" and options of their own; `defaults`: the other options."""

    _step_pre_hooks: dict[int, Callable[..., Any]]  # there from the first hook on
    _step_post_hooks: dict[int, Callable[..., Any]]

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        if isinstance(params, Tensor):
            raise TypeError("params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor")
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own."""
        given = param_group["params"]
        params = [given] if isinstance(given, Tensor) else [p[1] if isinstance(p, tuple) else p for p in given]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        known = {p for group in self.param_groups for p in group["params"]}  # Tensors hash by identity
        if any(p in known for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append({**self.defaults, **param_group, "params": params})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zero."""
        for p, grad, _ in self._with_gradients():
            if set_to_none:
                p.grad = None
            else:
                grad.detach_().zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient. `closure` recomputes the loss, which is returned."""
        loss = None
        if "_step_pre_hooks" in self.__dict__:
            for hook in list(self._step_pre_hooks.values()):
                hook(self, (closure,) if closure is not None else (), {})
        if closure is not None:
            loss = closure()
        with no_grad():
            if capturing():
                self._update_all()
            else:
                self._update_together()
        if "_step_post_hooks" in self.__dict__:
            for hook in list(self._step_post_hooks.values()):
                hook(self, (closure,) if closure is not None else (), {})
        return loss

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step."""
        return add_hook(self.__dict__.setdefault("_step_pre_hooks", {}), hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return add_hook(self.__dict__.setdefault("_step_post_hooks", {}), hook)

    def _with_gradients(self) -> list[tuple[Tensor, Tensor, dict[str, Any]]]:
        """Each parameter that has a gradient, the gradient, and the parameter's group."""
        return [(p, p.grad, group) for group in self.param_groups for p in group["params"] if p.grad is not None]

    def _update_all(self) -> None:
        for p, grad, group in self._with_gradients():
            self._update(p, grad, group)

    def _update_together(self) -> None:
        """`_update_all`, by as few calls of machine code as there are kinds of updates."""
        done = False
        fused.begin()
        try:
            self._update_all()
            done = True
        finally:
            fused.finish(done)

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Change `p` in place by its gradient; runs with gradients off."""
        raise NotImplementedError

    def _write(self, rule: fused.Rule, form: Any, x: Mapping[str, Tensor], n: Mapping[str, Any], is_new: bool) -> None:
        """Store what ``rule(x, n, form)`` gives: by one kernel, or op by op while capturing and for parameters seen first (a
        program that takes one step compiles nothing)."""
        if capturing() or is_new or not fused.run(rule, form, x, n):
            fused.store(rule, form, x, n)

    def state_dict(self) -> dict[str, Any]:
        """State by parameter number, and the groups with numbers in place of parameters."""
        numbers: dict[Tensor, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(p, len(numbers))
            groups.append({**group, "params": [numbers[p] for p in group["params"]]})
        return {"state": {numbers[p]: dict(s) for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state and options of a `state_dict` of an optimiser with the same groups."""
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(groups, self.param_groups, strict=True)):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
        by_number: dict[int, Tensor] = {}
        for saved, own in zip(groups, self.param_groups, strict=True):
            by_number.update(zip(saved["params"], own["params"], strict=True))
            own.update({k: deepcopy(v) for k, v in saved.items() if k != "params"})
        self.state = {by_number[n]: _copied(s) for n, s in state_dict["state"].items()}

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {group[k]}" for k in sorted(group) if k != "params"]
        return "\n".join([*lines, ")"])


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v.detach().clone() if isinstance(v, Tensor) else deepcopy(v) for k, v in state.items()}


def check_not_negative(**values: float) -> None:
    """ValueError naming the first negative option."""
    for name, value in values.items():
        if value < 0.0:
            raise ValueError(f"Invalid {name}: {value}")


def check_betas(betas: tuple[float, float]) -> None:
    """ValueError naming a factor outside of [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


Params = Iterable[Any]
