"""``torch.classes``: classes made in C++, of which there are none here: asking for one is an error that says so."""

from __future__ import annotations

from typing import Any, NoReturn


def load_library(path: Any) -> NoReturn:
    """OSError: libraries of PyTorch operators hold code for PyTorch's own runtime."""
    raise OSError(f"cannot load {path!r}: it is built for PyTorch's C++ runtime; write the function in Python and compile it")


class _Namespace:
    """``classes.name``: any attribute of it would be a class made in C++."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(f"Class {self._name}.{name} not registered! fusewire has no classes made in C++")


loaded_libraries: set[str] = set()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _Namespace(name)
