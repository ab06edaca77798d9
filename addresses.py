"""Modules that exist for their dotted names alone: PyTorch's addresses of what lies elsewhere here."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

_PACKAGE = __name__.rpartition(".")[0]


class _Address(types.ModuleType):
    """Gives what another module of the package has, which is imported at the first question."""

    __path__: list[str] = []

    def __init__(self, name: str, home: str) -> None:
        super().__init__(name, f"What `{home}` has, at PyTorch's address.")
        self._home = home

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(self._home), name)


def address(name: str, home: str) -> types.ModuleType:
    """The module called `name`, a dotted name in this package, that has what the module `home` of it has."""
    made = _Address(f"{_PACKAGE}.{name}", f"{_PACKAGE}.{home}")
    return sys.modules.setdefault(made.__name__, made)
