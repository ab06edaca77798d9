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
    if name in _COUNTS:
        return repeated(_COUNTS[name], name)
    found = None if name.startswith("__") else getattr(importlib.import_module(_NN), name, None)
    if found is None:
        raise AttributeError(f"module {asked!r} has no attribute {name!r}")
    return found


#: PyTorch's functions that make tuples of so many
_COUNTS = {"_single": 1, "_pair": 2, "_triple": 3, "_quadruple": 4}


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
