"""Weight norm and spectral norm of the older kind: a hook before each forward computes the weight, which is a plain attribute.

The newer kind, without hooks, is in `parametrizations.py`; its states have other keys.
"""

from __future__ import annotations

import warnings
from typing import Any

from ...eager.linalg import multi_dot, pinv
from ...eager.modes import no_grad
from ...eager.tensor import Tensor
from .. import functional as F
from ..module import Module
from ..parameter import Parameter, UninitializedParameter
from .parametrizations import norm_except

__all__ = ["SpectralNorm", "WeightNorm", "remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


def _hook_of(module: Module, kind: type, name: str) -> int | None:
    """The number of the module's hook of this kind for this weight."""
    for number, (hook, _) in module.__dict__["_forward_pre_hooks"].items():
        if isinstance(hook, kind) and hook.name == name:  # type: ignore[attr-defined]
            return int(number)
    return None


def _taken(module: Module, kind: type, name: str, what: str) -> Any:
    """The hook, taken from the module."""
    number = _hook_of(module, kind, name)
    if number is None:
        raise ValueError(f"{what} of '{name}' not found in {module}")
    return module.__dict__["_forward_pre_hooks"].pop(number)[0]


class WeightNorm:
    """The hook of `weight_norm`."""

    def __init__(self, name: str, dim: int) -> None:
        self.name, self.dim = name, dim

    def compute_weight(self, module: Module) -> Tensor:
        """Length times direction."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except(v, self.dim))  # type: ignore[no-any-return]

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let a weight be length (parameter ``name_g``) times direction (``name_v``); `dim`: the dimension with lengths of its own,
    None for one length."""
    warnings.warn("`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`.",
                  FutureWarning, stacklevel=2)  # fmt: skip
    if _hook_of(module, WeightNorm, name) is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = WeightNorm(name, -1 if dim is None else dim)
    weight: Any = getattr(module, name)
    if isinstance(weight, UninitializedParameter):
        raise ValueError("The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the dummy "
                         "forward before applying weight normalization")  # fmt: skip
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(norm_except(weight.detach(), hook.dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a plain parameter of its present value again."""
    hook = _taken(module, WeightNorm, name, "weight_norm")
    weight = hook.compute_weight(module)
    for suffix in ("", "_g", "_v"):
        delattr(module, name + suffix)
    module.register_parameter(name, Parameter(weight.detach()))
    return module


class SpectralNorm:
    """The hook of `spectral_norm`."""

    _version = 1

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got {n_power_iterations=}")
        self.name, self.dim, self.n_power_iterations, self.eps = name, dim, n_power_iterations, eps

    def reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        """The weight with `dim` as its rows."""
        first = weight if self.dim == 0 else weight.permute(self.dim, *[d for d in range(weight.ndim) if d != self.dim])
        return first.reshape(first.shape[0], -1)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """The weight over its largest singular value, after steps of power iteration that are kept."""
        weight, u, v = (getattr(module, self.name + suffix) for suffix in ("_orig", "_u", "_v"))
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.t().mv(u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix.mv(v), dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()
        return weight / u.dot(matrix.mv(v))  # type: ignore[no-any-return]

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))

    def told(self, module: Module, state_dict: Any, prefix: str, local_metadata: dict[str, Any]) -> None:
        """The hook after a state was collected: its version."""
        local_metadata.setdefault("spectral_norm", {})[f"{self.name}.version"] = self._version

    def loading(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], strict: bool, missing_keys: list[str],
        *rest: Any,
    ) -> None:  # fmt: skip
        """The hook before a state is loaded: states of before there was a version have the weight and no ``name_v``."""
        key = prefix + self.name
        version = local_metadata.get("spectral_norm", {}).get(f"{self.name}.version")
        known = all(key + suffix in state_dict for suffix in ("_orig", "_u", "_v")) and key not in state_dict
        if version or (version is None and known):
            return
        absent = [key + suffix for suffix in ("_orig", "", "_u") if key + suffix not in state_dict]
        missing_keys += absent if strict else []
        if not absent:
            with no_grad():
                original, weight, u = state_dict[f"{key}_orig"], state_dict.pop(key), state_dict[f"{key}_u"]
                matrix = self.reshape_weight_to_matrix(original)
                v = multi_dot([pinv(matrix.t().mm(matrix)), matrix.t(), u.unsqueeze(1)]).squeeze(1)
                state_dict[f"{key}_v"] = v * ((original / weight).mean() / u.dot(matrix.mv(v)))


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value: parameter ``name_orig``, buffers ``name_u`` and ``name_v``."""
    if _hook_of(module, SpectralNorm, name) is not None:
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0
    hook, weight = SpectralNorm(name, n_power_iterations, dim, eps), module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    if isinstance(weight, UninitializedParameter):
        raise ValueError("The module passed to `SpectralNorm` can't have uninitialized parameters. Make sure to run the dummy "
                         "forward before applying spectral normalization")  # fmt: skip
    with no_grad():
        rows, columns = hook.reshape_weight_to_matrix(weight).shape
        u, v = (F.normalize(weight.new_empty((n,)).normal_(0, 1), dim=0, eps=eps) for n in (rows, columns))
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.data)
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    module._register_state_dict_hook(hook.told)
    module._register_load_state_dict_pre_hook(hook.loading)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a plain parameter of its present value again."""
    hook = _taken(module, SpectralNorm, name, "spectral_norm")
    with no_grad():
        weight = hook.compute_weight(module, False)
    for suffix in ("", "_u", "_v", "_orig"):
        delattr(module, name + suffix)
    module.register_parameter(name, Parameter(weight.detach()))
    for hooks, kept in ((module._state_hooks, hook.told), (module._load_pre_hooks, (hook.loading, False))):
        for number in [n for n, h in hooks.items() if h == kept]:
            del hooks[number]
    return module
