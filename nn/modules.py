"""``torch.nn.modules``: PyTorch's own file names for its layers. Each is a module that gives the layers of `nn` (and a few
names that lie nowhere else); which file a layer comes from is not told apart."""

from __future__ import annotations

import importlib
from typing import Any

from ..addresses import address

_PARTS = (
    "activation", "adaptive", "batchnorm", "channelshuffle", "container", "conv", "distance", "dropout", "flatten", "fold",
    "instancenorm", "lazy", "linear", "loss", "module", "normalization", "padding", "pixelshuffle", "pooling", "rnn", "sparse",
    "transformer", "upsampling", "utils",
)  # fmt: skip
#: PyTorch's functions that make tuples of so many
_COUNTS = {"_single": 1, "_pair": 2, "_triple": 3, "_quadruple": 4}


def repeated(count: int, name: str) -> Any:
    """A function that gives a tuple as it is and one number `count` times."""

    def tuple_of(x: Any) -> tuple[Any, ...]:
        return tuple(x) if hasattr(x, "__iter__") else (x,) * count

    tuple_of.__name__ = name
    return tuple_of


def __getattr__(name: str) -> Any:
    if name in _COUNTS:
        return repeated(_COUNTS[name], name)
    found = None if name.startswith("__") else getattr(importlib.import_module(__package__), name, None)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found


__path__: list[str] = []
globals().update({_part: address(f"nn.modules.{_part}", "nn.modules") for _part in _PARTS})
