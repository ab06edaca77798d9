"""``torch.ops``: operators by name. ``ops.aten.name`` is the function or method of that name; libraries cannot be loaded."""

from __future__ import annotations

import importlib
from typing import Any

from .classes import load_library, loaded_libraries
from .library import registered

__all__ = ["load_library", "loaded_libraries"]


class _Aten:
    """The functions of the top namespace and of `nn.functional`, and methods of Tensor, by their names."""

    def __getattr__(self, name: str) -> Any:
        package = __name__.rpartition(".namespace")[0]
        for place in (package, f"{package}.nn.functional", f"{package}.special", f"{package}.linalg"):
            found = getattr(importlib.import_module(place), name.removeprefix("linalg_").removeprefix("special_"), None)
            if found is not None:
                return found
        found = getattr(importlib.import_module(package).Tensor, name, None)
        if found is None:
            raise AttributeError(f"fusewire has no operator aten.{name}")
        return found


class _Library:
    """Operators that `library` was given under one namespace."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        found = registered.get(f"{self._name}::{name}")
        if found is None:
            raise AttributeError(f"'_OpNamespace' '{self._name}' object has no attribute '{name}'")
        return found


aten = _Aten()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _Library(name)
