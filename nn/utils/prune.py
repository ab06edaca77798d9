"""Pruning: a parameter times a mask, which a hook before each forward applies. ``name`` becomes a plain attribute beside the
parameter ``name_orig`` and the buffer ``name_mask``."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from ...eager.creation import ones_like, zeros_like
from ...eager.ordering import kthvalue, topk
from ...eager.random import rand, rand_like
from ...eager.reducing import norm
from ...eager.tensor import Tensor
from ..module import Module
from .vectors import parameters_to_vector

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured",
    "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


def _hooks(module: Module) -> list[tuple[int, BasePruningMethod]]:
    found = module.__dict__["_forward_pre_hooks"].items()
    return [(number, hook) for number, (hook, _) in found if isinstance(hook, BasePruningMethod)]


class BasePruningMethod(ABC):
    """A way to choose what is kept. Subclasses have `compute_mask` and `PRUNING_TYPE`: "unstructured", "structured" (then also
    `dim`) or "global"."""

    PRUNING_TYPE = ""
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """1 where an element of `t` is kept, 0 elsewhere, on top of `default_mask`."""

    def apply_mask(self, module: Module) -> Tensor:
        """The parameter times its mask."""
        orig = getattr(module, f"{self._tensor_name}_orig")
        return getattr(module, f"{self._tensor_name}_mask").to(orig.dtype) * orig  # type: ignore[no-any-return]

    @classmethod
    def apply(cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any) -> Any:
        """Prune ``module.name`` by a method with these options, on top of what was pruned before; the method at work."""
        method, orig = cls(*args, **kwargs), getattr(module, name)
        method._tensor_name = name
        if importance_scores is not None and importance_scores.shape != orig.shape:
            raise AssertionError(f"importance_scores should have the same shape as parameter {name} of {module}")
        scores = orig if importance_scores is None else importance_scores
        before = [(number, hook) for number, hook in _hooks(module) if hook._tensor_name == name]
        if not before:
            mask = method.compute_mask(scores, ones_like(orig))
            del module._parameters[name]
            module.register_parameter(f"{name}_orig", orig)
            return method._installed(module, mask)
        number, old = before[0]
        container = old if isinstance(old, PruningContainer) else PruningContainer(old)
        container.add_pruning_method(method)
        mask = container.compute_mask(scores, getattr(module, f"{name}_mask").detach().clone())
        del module.__dict__["_forward_pre_hooks"][number]
        return container._installed(module, mask)

    def _installed(self, module: Module, mask: Tensor) -> BasePruningMethod:
        module.register_buffer(f"{self._tensor_name}_mask", mask)
        setattr(module, self._tensor_name, self.apply_mask(module))
        module.register_forward_pre_hook(self)
        return self

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """`t` pruned; no module takes part."""
        if importance_scores is not None and importance_scores.shape != t.shape:
            raise AssertionError("importance_scores should have the same shape as tensor t")
        mask = ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(t if importance_scores is None else importance_scores, mask)

    def remove(self, module: Module) -> None:
        """Make the parameter what it is when pruned, for good."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        orig: Any = module._parameters[f"{name}_orig"]
        orig.data = weight.detach()
        for attribute in (name, f"{name}_orig", f"{name}_mask"):
            delattr(module, attribute)
        setattr(module, name, orig)


class PruningContainer(BasePruningMethod):
    """Several methods on one parameter: each works on what the ones before have kept."""

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Add a method for the same parameter."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError("Can only add pruning methods acting on the parameter named "
                             f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'")  # fmt: skip
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of the last method, on what `default_mask` keeps."""
        method, mask = self._pruning_methods[-1], default_mask.to(t.dtype)
        if method.PRUNING_TYPE == "unstructured":
            window: Any = default_mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = method.dim % t.ndim  # type: ignore[attr-defined]
            kept = default_mask.sum([d for d in range(t.ndim) if d != dim]) != 0
            window = tuple(kept if d == dim else slice(None) for d in range(t.ndim))
        elif method.PRUNING_TYPE == "global":
            window = (slice(None),) * t.ndim
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask = mask.clone()
        mask[window] = method.compute_mask(t[window], default_mask[window]).to(mask.dtype)
        return mask


class Identity(BasePruningMethod):
    """Keeps all."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask as it is."""
        return default_mask


class _Amount(BasePruningMethod):
    """A number of elements, or a share of them, that goes."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Any) -> None:
        if not isinstance(amount, numbers.Real):
            raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
        whole = isinstance(amount, numbers.Integral)
        if (whole and amount < 0) or (not whole and not 0.0 <= float(amount) <= 1.0):
            raise ValueError(f"{amount=} should either be a float in the range [0, 1] or a non-negative integer")
        self.amount: Any = amount

    def count(self, size: int) -> int:
        """How many of `size` go."""
        if not isinstance(self.amount, numbers.Integral):
            return round(float(self.amount) * size)
        if int(self.amount) > size:
            raise ValueError(f"amount={self.amount} should be smaller than the number of parameters to prune={size}")
        return int(self.amount)

    def _without(self, scores: Tensor, mask: Tensor, largest: bool) -> Tensor:
        """`mask` without the elements whose scores are first."""
        gone, left = self.count(scores.numel()), mask.clone().contiguous()
        if gone:
            left.view(-1)[topk(scores.reshape(-1), gone, largest=largest)[1]] = 0
        return left


class RandomUnstructured(_Amount):
    """Drops elements at random."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without elements drawn."""
        return self._without(rand_like(t.detach()), default_mask, True)


class L1Unstructured(_Amount):
    """Drops the smallest elements."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without the smallest elements."""
        return self._without(t.detach().abs(), default_mask, False)


class _Slices(_Amount):
    PRUNING_TYPE = "structured"

    def __init__(self, amount: Any, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def kept(self, t: Tensor, gone: int) -> Tensor:
        """The slices to keep, as positions or a mask, where `gone` of them go."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without whole slices along `dim`."""
        if t.ndim <= 1:
            raise ValueError(f"Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
                             f"{t.shape} with {t.ndim} dims")  # fmt: skip
        if self.dim >= t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        gone = self.count(int(t.shape[self.dim]))
        if not gone:
            return default_mask
        mask, dim = zeros_like(t.detach()), self.dim % t.ndim
        chosen = self.kept(t.detach(), gone)
        mask[tuple(chosen if d == dim else slice(None) for d in range(t.ndim))] = 1
        return mask * default_mask.to(mask.dtype)


class RandomStructured(_Slices):
    """Drops slices along `dim` at random."""

    def kept(self, t: Tensor, gone: int) -> Tensor:
        """All but `gone` drawn."""
        drawn = rand(int(t.shape[self.dim]), device=t.device)
        return drawn > kthvalue(drawn, gone)[0]  # type: ignore[no-any-return]


class LnStructured(_Slices):
    """Drops the slices along `dim` whose norm of order `n` is smallest."""

    def __init__(self, amount: Any, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def kept(self, t: Tensor, gone: int) -> Tensor:
        """All but the `gone` of the smallest norms."""
        lengths = norm(t, self.n, [d for d in range(t.ndim) if d != self.dim % t.ndim])
        return topk(lengths, int(t.shape[self.dim]) - gone)[1]  # type: ignore[no-any-return]


class CustomFromMask(BasePruningMethod):
    """Keeps what a mask keeps."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Both masks together."""
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"default_mask shape {default_mask.shape} must match self.mask shape {self.mask.shape}")
        return default_mask * self.mask.to(default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Make ``module.name`` a pruned parameter that keeps all; the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: Any) -> Module:
    """Drop `amount` (a number or a share) of elements at random; the module."""
    RandomUnstructured.apply(module, name, amount=amount)
    return module


def l1_unstructured(module: Module, name: str, amount: Any, importance_scores: Tensor | None = None) -> Module:
    """Drop the `amount` of elements whose absolute values (or scores) are smallest; the module."""
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: Any, dim: int) -> Module:
    """Drop `amount` of slices along `dim` at random; the module."""
    RandomStructured.apply(module, name, amount=amount, dim=dim)
    return module


def ln_structured(
    module: Module, name: str, amount: Any, n: Any, dim: int, importance_scores: Tensor | None = None
) -> Module:
    """Drop the `amount` of slices along `dim` whose norms of order `n` are smallest; the module."""
    LnStructured.apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Keep what `mask` keeps; the module."""
    CustomFromMask.apply(module, name, mask=mask)
    return module


def global_unstructured(
    parameters: Any, pruning_method: Any, importance_scores: dict[Any, Tensor] | None = None, **kwargs: Any
) -> None:
    """Prune (module, name) pairs as if they were one parameter."""
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    scores, pairs = {} if importance_scores is None else importance_scores, list(parameters)
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError('Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
                        f"{pruning_method} of type {method.PRUNING_TYPE}")  # fmt: skip
    method._tensor_name = "temp"
    every = parameters_to_vector([scores.get((m, name), getattr(m, name)) for m, name in pairs])
    masks = parameters_to_vector([getattr(m, f"{name}_mask", ones_like(getattr(m, name))) for m, name in pairs])
    mask, at = PruningContainer(method).compute_mask(every.detach(), masks), 0
    for module, name in pairs:
        value = getattr(module, name)
        custom_from_mask(module, name, mask[at : at + value.numel()].view(tuple(value.shape)))
        at += value.numel()


def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter what it is now, for good; the module."""
    for number, hook in _hooks(module):
        if hook._tensor_name == name:
            hook.remove(module)
            del module.__dict__["_forward_pre_hooks"][number]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module or of one below it is pruned."""
    return any(_hooks(m) for m in module.modules())
