"""Parametrisation: an attribute of a module computed by other modules from a parameter of theirs, at every read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...eager.modes import no_grad
from ...eager.tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

_local = threading.local()


@contextmanager
def cached() -> Iterator[None]:
    """Inside, a parametrised attribute is computed once."""
    outer = getattr(_local, "cache", None)
    _local.cache = {} if outer is None else outer
    try:
        yield
    finally:
        _local.cache = outer


class ParametrizationList(ModuleList):
    """The chain of modules behind one attribute, and what it starts from: `original`, or `original0`, `original1` ..."""

    def __init__(self, modules: list[Module], original: Tensor) -> None:
        super().__init__(modules)
        start: Any = original
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    start = module.right_inverse(start)
        self.ntensors, self.is_tensor = (1, True) if isinstance(start, Tensor) else (len(start), False)
        if self.is_tensor:
            self._put("original", start, original)
        else:
            for i, part in enumerate(start):
                self._put(f"original{i}", part, original)

    def _put(self, name: str, value: Tensor, like: Tensor) -> None:
        if not isinstance(like, Parameter):
            self.register_buffer(name, value)
        elif value is like:
            self.register_parameter(name, like)
        else:
            self.register_parameter(name, Parameter(value, like.requires_grad))

    def forward(self) -> Any:
        first, *rest = list(self)
        x = first(self.original) if self.is_tensor else first(*[getattr(self, f"original{i}") for i in range(self.ntensors)])
        for module in rest:
            x = module(x)
        return x

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the attribute becomes `value`."""
        start: Any = value
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                start = module.right_inverse(start)
            for i, part in enumerate([start] if self.is_tensor else start):
                getattr(self, "original" if self.is_tensor else f"original{i}").copy_(part)


def _class_with_attributes(module: Module) -> None:
    """Give `module` a class of its own, on which attributes can be properties."""
    base = type(module)
    made = type(f"Parametrized{base.__name__}", (base,), {"__module__": base.__module__, "_parametrized_from": base})
    module.__class__ = made


def _attribute(name: str) -> property:
    def read(self: Any) -> Any:
        cache = getattr(_local, "cache", None)
        if cache is None:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in cache:
            cache[key] = self.parametrizations[name]()
        return cache[key]

    def write(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(read, write)


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """Let a parameter or buffer of `module` be `parametrization` of what it was; a second one comes after the first."""
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        chain = module.parametrizations[tensor_name]
        value = getattr(module, tensor_name)
        chain.append(parametrization)
        if hasattr(parametrization, "right_inverse"):
            chain.right_inverse(value)
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
                         f"'{tensor_name}'")  # fmt: skip
    original: Any = getattr(module, tensor_name)
    chain = ParametrizationList([parametrization], original)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _class_with_attributes(module)
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = chain
    setattr(type(module), tensor_name, _attribute(tensor_name))
    if not unsafe and getattr(module, tensor_name).shape != original.shape:
        raise ValueError("Registering a parametrization may not change the shape of the tensor, unless `unsafe` flag is "
                         f"enabled: from {tuple(original.shape)} to {tuple(getattr(module, tensor_name).shape)}")  # fmt: skip
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module (or this attribute of it) is parametrised."""
    chains = module._modules.get("parametrizations")
    if not isinstance(chains, ModuleDict):
        return False
    return len(chains) > 0 if tensor_name is None else tensor_name in chains


def type_before_parametrizations(module: Module) -> type:
    """The module's class, that of before where it is parametrised."""
    found: type = getattr(type(module), "_parametrized_from", type(module))
    return found


def transfer_parametrizations_and_params(from_module: Module, to_module: Module, tensor_name: str | None = None) -> Module:
    """Give `to_module` the parametrisations of `from_module` (or those of one attribute) and what they start from."""
    if not is_parametrized(from_module):
        return to_module
    for name in from_module.parametrizations if tensor_name is None else [tensor_name]:
        chain = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        for module in chain:
            register_parametrization(to_module, name, module)
        for part in ["original"] if chain.is_tensor else [f"original{i}" for i in range(chain.ntensors)]:
            setattr(to_module.parametrizations[name], part, getattr(chain, part))
    return to_module


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the attribute a plain parameter again: with its present value, or without `leave_parametrized` the original one."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    chain = module.parametrizations[tensor_name]
    if not chain.is_tensor and not leave_parametrized:
        raise ValueError("Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
                         "sequence of tensors.")  # fmt: skip
    value = getattr(module, tensor_name).detach() if leave_parametrized else chain.original
    learns = next(iter(chain.parameters()), None)
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if learns is None:
        module.register_buffer(tensor_name, value)
    else:
        kept = value if isinstance(value, Parameter) else Parameter(value, learns.requires_grad)
        module.register_parameter(tensor_name, kept)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module)._parametrized_from  # type: ignore[attr-defined]
    return module
