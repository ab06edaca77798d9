"""``torch.nn.modules``: PyTorch's own file names for its layers. Each is a module that gives the layers of `nn` (and a few
names that lie nowhere else); which file a layer comes from is not told apart."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

_PARTS = (
    "activation", "adaptive", "batchnorm", "channelshuffle", "container", "conv", "distance", "dropout", "flatten", "fold",
    "instancenorm", "lazy", "linear", "loss", "module", "normalization", "padding", "pixelshuffle", "pooling", "rnn", "sparse",
    "transformer", "upsampling", "utils",
)  # fmt: skip
_NN = __package__


class _Part(types.ModuleType):
    """One of PyTorch's files."""

    def __getattr__(self, name: str) -> Any:
        return _named(name, self.__name__)


def _named(name: str, asked: str) -> Any:
    if not name.startswith("__"):
        nn = importlib.import_module(_NN)
        found = getattr(nn, name, None)
        if found is None and name in _BASES:
            found = getattr(nn, _BASES[name]) if _BASES[name] else _special(name)
        if found is not None:
            return found
    raise AttributeError(f"module {asked!r} has no attribute {name!r}")


#: PyTorch's inner names: the class of `nn` that is the same, or "" for those made below
_BASES = {
    "NonDynamicallyQuantizableLinear": "Linear", "_BatchNorm": "", "_NormBase": "", "_InstanceNorm": "", "_ConvNd": "",
    "_Loss": "", "_WeightedLoss": "", "_DropoutNd": "", "_get_activation_fn": "", "_get_clones": "", "_pair": "", "_single": "",
    "_triple": "", "_quadruple": "",
}  # fmt: skip
#: base classes: the first common class of these, made by `_special`
_COMMON = {
    "_BatchNorm": ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"),
    "_NormBase": ("BatchNorm1d", "BatchNorm2d", "InstanceNorm2d"),
    "_InstanceNorm": ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"),
    "_ConvNd": ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
    "_Loss": ("MSELoss", "CrossEntropyLoss", "L1Loss"), "_WeightedLoss": ("CrossEntropyLoss", "NLLLoss"),
    "_DropoutNd": ("Dropout", "Dropout2d"),
}  # fmt: skip


class _AnyOf(type):
    """A class of which the instances of several classes are instances."""

    members: tuple[type, ...]

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, cls.members)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, cls.members)


def _special(name: str) -> Any:
    nn = importlib.import_module(_NN)
    if name in _COMMON:
        members = tuple(getattr(nn, n) for n in _COMMON[name])
        shared = [c for c in members[0].__mro__ if all(issubclass(m, c) for m in members)]
        own = shared[0]
        made = own if own is not nn.Module and own not in members else _AnyOf(name, (), {"members": members})
        return globals().setdefault(name, made)
    if name == "_get_activation_fn":
        return activation_function
    if name == "_get_clones":
        return clones
    counts = {"_single": 1, "_pair": 2, "_triple": 3, "_quadruple": 4}
    return repeated(counts[name], name) if name in counts else None


def activation_function(activation: str) -> Any:
    """The function called "relu" or "gelu"; RuntimeError for another name."""
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return getattr(importlib.import_module(f"{_NN}.functional"), activation)


def clones(module: Any, N: int) -> Any:
    """A ModuleList of `N` copies."""
    import copy

    return importlib.import_module(_NN).ModuleList([copy.deepcopy(module) for _ in range(N)])


def repeated(count: int, name: str) -> Any:
    """A function that gives a tuple as it is and one number `count` times."""

    def tuple_of(x: Any) -> tuple[Any, ...]:
        return tuple(x) if hasattr(x, "__iter__") else (x,) * count

    tuple_of.__name__ = name
    return tuple_of


def __getattr__(name: str) -> Any:
    return _named(name, __name__)


def _enter() -> None:
    for name in _PARTS:
        part = _Part(f"{__name__}.{name}", f"`torch.nn.modules.{name}`: layers of `nn`.")
        part.__package__ = __name__
        sys.modules[part.__name__] = part
        globals()[name] = part


__path__: list[str] = []
_enter()
