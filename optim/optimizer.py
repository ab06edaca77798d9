"""Base of the optimisers: parameter groups, state by parameter, hooks, state_dict. Steps are in `sgd.py`, `adam.py`, ...

A subclass gives `_update` for one parameter, or a `step` of its own, as optimisers written for PyTorch do.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

from ..eager.complexes import view_as_real
from ..eager.creation import full
from ..eager.factory import version_of
from ..eager.modes import capturing, enable_grad, no_grad
from ..eager.tensor import Tensor
from ..ir.dtypes import float32
from ..nn.hooks import RemovableHandle, add_hook
from . import fused

#: in `defaults`: an option that each group must give
required: Any = object()
_every_pre: dict[int, Callable[..., Any]] = {}
_every_post: dict[int, Callable[..., Any]] = {}


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before each step of every optimiser."""
    return add_hook(_every_pre, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after each step of every optimiser."""
    return add_hook(_every_post, hook)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """A subclass's own step with the hooks around it."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = self._before_step((self, *args), kwargs)
        out = step(*args, **kwargs)
        self._after_step(args, kwargs)
        return out

    return hooked


class States(dict[Any, dict[str, Any]]):
    """State by parameter; a parameter asked for first has an empty one."""

    def __missing__(self, p: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        self[p] = made
        return made


class Optimizer:
    """`params`: Tensors, (name, Tensor) pairs, or dicts with "params" and options of their own; `defaults`: the other options."""

    _step_pre_hooks: dict[int, Callable[..., Any]]  # these are there from the first hook on
    _step_post_hooks: dict[int, Callable[..., Any]]
    #: of optimisers with a step of their own `States`, as they may expect; others ask, and a compiled step looks into plain dicts
    _states: type[dict[Any, dict[str, Any]]] = dict

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.step)  # type: ignore[method-assign]
            cls._states = States

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if defaults.get("fused"):
            if defaults.get("foreach"):
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
            if defaults.get("differentiable"):
                raise RuntimeError("`fused` does not support `differentiable`")
        self.defaults = defaults
        self.state: dict[Any, dict[str, Any]] = self._states()
        self.param_groups: list[dict[str, Any]] = []
        if isinstance(params, Tensor):
            raise TypeError("params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                            f"{params.type()}")  # fmt: skip
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = {**_named(param_group["params"]), **{k: v for k, v in param_group.items() if k != "params"}}
        params = group["params"]
        for p in params:
            if not isinstance(p, Tensor):
                kind = p.__class__.__name__
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {kind}")
            if not (self.defaults.get("differentiable") or p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
        if len(params) != len(set(params)):
            warnings.warn("optimizer contains a parameter group with duplicate parameters; in future, this will cause an error",
                          stacklevel=3)  # fmt: skip
        known: set[Tensor] = set()  # Tensors hash by identity
        for other in self.param_groups:
            known.update(other["params"])
            if ("param_names" in group) != ("param_names" in other):
                how = "with names" if "param_names" in group else "without names"
                raise ValueError("all optimizer param groups should be with/without names. cannot add param group "
                                 f"{how} to the optimizer")  # fmt: skip
        if any(p in known for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append({**group, **{k: v for k, v in self.defaults.items() if k not in group}})

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
        args, kwargs = self._before_step((self,) if closure is None else (self, closure), {})
        if closure is not None:
            loss = closure()
        if capturing() and self._lies_apart():
            _bring(self)
        recorded = self.defaults.get("differentiable", False)
        with enable_grad() if recorded else no_grad():
            if recorded or capturing():
                self._update_all()
            else:
                self._opt_called = True  # for schedulers
                self._check_recorded()
                self._update_together()
        self._after_step(args, kwargs)
        return loss

    def _check_recorded(self) -> None:
        """RuntimeError where a CUDA graph would record a step that is the same at each replay: what it counts is on the host."""
        for group in self.param_groups:
            for p in group["params"]:
                if p._array is not None or not p.is_cuda or not p._storage.gpu.recording:
                    return
                state = self.state.get(p, {})
                apart = any(isinstance(x, Tensor) and x.device != p.device for x in state.values())
                if p._grad is not None and (apart or not group.get("capturable", True)):
                    raise RuntimeError(
                        f"Attempting CUDA graph capture of step() for an instance of {type(self).__name__} but param_groups' "
                        f"capturable is {group.get('capturable', False)}"
                        f"{' and its counts were made on the CPU' if group.get('capturable') else ''}"
                        ": give capturable=True to its constructor, and make a step before the capture"
                    )

    def _placed(self, state: dict[str, Any], p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """New state of `p`, its counts beside the parameter where a CUDA graph is to change them, or one kernel asks for it."""
        if p.is_cuda and (group.get("capturable") or group.get("fused")):
            for name, x in state.items():
                if isinstance(x, Tensor) and not x.ndim and x.device != p.device:
                    state[name] = full((), x.item(), dtype=x.dtype, device=p.device)
        return state

    def _lies_apart(self) -> bool:
        """Whether some state is on another device than its parameter: counts of steps made eagerly are on the CPU."""
        for group in self.param_groups:
            for p in group["params"]:
                if any(isinstance(x, Tensor) and x.device != p.device for x in self.state.get(p, {}).values()):
                    return True
        return False

    def await_step(self) -> None:
        """Remember, for `has_stepped`, how the parameters are now."""
        self.__dict__["_awaited"] = self._writes()

    def has_stepped(self) -> bool:
        """Whether a step was made, or the parameters were written to (a compiled step), since `await_step`."""
        return self.__dict__.get("_opt_called", False) or self.__dict__.get("_awaited") != self._writes()

    def _writes(self) -> int:
        return sum(version_of(p) for group in self.param_groups for p in group["params"])

    def _before_step(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Run the hooks before a step; its arguments, the optimiser among them, as they leave them."""
        if not _every_pre and "_step_pre_hooks" not in self.__dict__:
            return args, kwargs
        for hook in [*_every_pre.values(), *self.__dict__.get("_step_pre_hooks", {}).values()]:
            changed = hook(self, args, kwargs)
            if changed is None:
                continue
            if not isinstance(changed, tuple) or len(changed) != 2:
                raise RuntimeError(f"{type(self).step} must return None or a tuple of (new_args, new_kwargs), but got {changed}.")
            args, kwargs = changed
        return args, kwargs

    def _after_step(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if _every_post or "_step_post_hooks" in self.__dict__:
            for hook in [*self.__dict__.get("_step_post_hooks", {}).values(), *_every_post.values()]:
                hook(self, args, kwargs)

    def _hooks(self, kind: str) -> dict[int, Any]:
        return self.__dict__.setdefault(kind, {})  # type: ignore[no-any-return]

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; an (args, kwargs) that it returns takes their place."""
        return add_hook(self._hooks("_step_pre_hooks"), hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return add_hook(self._hooks("_step_post_hooks"), hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before `state_dict` is made."""
        return add_hook(self._hooks("_state_pre_hooks"), hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)``; what it returns, if anything, is the `state_dict`."""
        return add_hook(self._hooks("_state_post_hooks"), hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before loading; what it returns, if anything, is loaded."""
        return add_hook(self._hooks("_load_pre_hooks"), hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after loading."""
        return add_hook(self._hooks("_load_post_hooks"), hook, prepend)

    def _with_gradients(self) -> list[tuple[Tensor, Tensor, dict[str, Any]]]:
        """Each parameter that has a gradient, the gradient, and the parameter's group."""
        return [(p, p._grad, group) for group in self.param_groups for p in group["params"] if p._grad is not None]

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
        if x["p"].dtype.is_complex:  # pairs of numbers, each updated for itself
            x = {k: view_as_real(v) if v.dtype.is_complex else v for k, v in x.items()}
        if capturing() or is_new or self.defaults.get("differentiable") or not fused.run(rule, form, x, n):
            fused.store(rule, form, x, n)

    def state_dict(self) -> dict[str, Any]:
        """State by parameter number, and the groups with numbers in place of parameters."""
        for hook in list(self.__dict__.get("_state_pre_hooks", {}).values()):
            hook(self)
        numbers: dict[Tensor, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(p, len(numbers))
            rest = {k: v for k, v in group.items() if k != "params"}
            groups.append({**rest, "params": [numbers[p] for p in group["params"]]})
        state = {numbers[k] if isinstance(k, Tensor) else k: s for k, s in self.state.items()}
        made: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self.__dict__.get("_state_post_hooks", {}).values()):
            changed = hook(self, made)
            made = made if changed is None else changed
        return made

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state and options of a `state_dict` of an optimiser with the same groups."""
        given = dict(state_dict)
        for hook in list(self.__dict__.get("_load_pre_hooks", {}).values()):
            changed = hook(self, given)
            given = given if changed is None else changed
        groups = given["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(groups, self.param_groups, strict=True)):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
        owners: dict[int, tuple[Tensor, Mapping[str, Any]]] = {}
        for saved, own in zip(groups, self.param_groups, strict=True):
            owners.update((n, (p, saved)) for n, p in zip(saved["params"], own["params"], strict=True))
            own.update({k: deepcopy(v) for k, v in saved.items() if k != "params"})
        self.state = self._states()
        for n, state in given["state"].items():
            if n in owners:
                p, group = owners[n]
                self.state[p] = _fitted(state, p, bool(group.get("capturable") or group.get("fused")))
            else:
                self.state[n] = state
        for hook in list(self.__dict__.get("_load_post_hooks", {}).values()):
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {i}"] if i else [f"Parameter Group {i}"]
            lines += [f"    {k}: {group[k]}" for k in sorted(group) if k != "params"]
        return "\n".join([*lines, ")"])


def _bring(optimizer: Optimizer) -> None:
    """Have all state on the devices of its parameters, so that a compiled step is one graph from then on."""
    for p, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(p, Tensor) and isinstance(value, Tensor) and value.device != p.device:
                state[name] = value.to(p.device)


_bring.__fusewire_disabled__ = True  # type: ignore[attr-defined]


def _named(given: Any) -> dict[str, Any]:
    """ "params", and "param_names" where they are (name, Tensor) pairs."""
    if isinstance(given, Tensor):
        return {"params": [given]}
    if isinstance(given, set):
        raise TypeError("optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                        "will change between runs. Please use a list instead.")  # fmt: skip
    pairs = list(given)
    names = [x[0] for x in pairs if isinstance(x, tuple)]
    params = [x[1] if isinstance(x, tuple) else x for x in pairs]
    if names and len(names) != len(params):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return {"params": params, "param_names": names} if names else {"params": params}


def _fitted(value: Any, p: Tensor, exact: bool, key: Any = None) -> Any:
    """Saved state for the parameter `p`: tensors of its dtype and device, but for "step" (float32 where `exact`)."""
    if isinstance(value, Tensor):
        value = value.detach().clone()
        if key == "step":
            return value.to(p.device, float32) if exact else value
        return value.to(p.device, p.dtype if p.is_floating_point() else value.dtype)
    if isinstance(value, dict):
        return {k: _fitted(v, p, exact, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_fitted(v, p, exact) for v in value])
    return deepcopy(value)


def check_not_negative(**values: float) -> None:
    """ValueError naming the first negative option."""
    for name, value in values.items():
        if value < 0.0:
            what = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            raise ValueError(f"Invalid {what}: {value}")


def check_betas(betas: tuple[float, float]) -> None:
    """ValueError naming a factor outside of [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


Params = Iterable[Any]
