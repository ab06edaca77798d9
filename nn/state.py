"""Saving a module's tensors by name and loading them back, with PyTorch's key rules and error text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..eager import factory
from ..eager.modes import no_grad
from ..eager.tensor import Tensor
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it found no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def save(module: Module, prefix: str, keep_vars: bool) -> dict[str, Any]:
    """Parameters, then persistent buffers, of each module in tree order."""
    out: dict[str, Any] = {}
    _collect(module, prefix, out)
    return out if keep_vars else {k: factory.alias(v) for k, v in out.items()}


def _collect(module: Module, prefix: str, out: dict[str, Any]) -> None:
    for name, p in module._parameters.items():
        if p is not None:
            out[prefix + name] = p
    for name, b in module._buffers.items():
        if b is not None and name not in module._non_persistent:
            out[prefix + name] = b
    for name, child in module._modules.items():
        if child is not None:
            _collect(child, f"{prefix}{name}.", out)


def load(module: Module, state: Any, strict: bool, assign: bool) -> IncompatibleKeys:
    """Copy (or with `assign` put) the tensors of `state` in their places."""
    if not isinstance(state, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state)}.")
    own: dict[str, Any] = {}
    _collect(module, "", own)
    missing = [k for k in own if k not in state]
    unexpected = [k for k in state if k not in own]
    errors = []
    if strict and unexpected:
        errors.append("Unexpected key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in unexpected)))
    if strict and missing:
        errors.append("Missing key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in missing)))
    for key, target in own.items():
        if key in state:
            problem = _copy(module, key, target, state[key], assign)
            errors += [problem] if problem else []
    if errors:
        raise RuntimeError("Error(s) in loading state_dict for {}:\n\t{}".format(type(module).__name__, "\n\t".join(errors)))
    return IncompatibleKeys(missing, unexpected)


def _copy(module: Module, key: str, target: Tensor, source: Any, assign: bool) -> str | None:
    if not isinstance(source, Tensor):
        return f'While copying the parameter named "{key}", expected a Tensor, but got {type(source).__name__}.'
    if source.shape != target.shape:
        have, want = (f"[{', '.join(map(str, s))}]" for s in (source.shape, target.shape))
        return (
            f"size mismatch for {key}: copying a param with shape fusewire.Size({have}) from checkpoint, "
            f"the shape in current model is fusewire.Size({want})."
        )
    if assign:
        owner = module.get_submodule(key.rpartition(".")[0])
        name = key.rpartition(".")[2]
        setattr(owner, name, Parameter(source, target.requires_grad) if isinstance(target, Parameter) else source)
    else:
        with no_grad():
            target.copy_(source)
    return None
