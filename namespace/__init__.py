"""Packages of PyTorch's namespace beside the tensor core: ``fusewire.testing``, ``fusewire.multiprocessing`` and so on.

They lie here, not at the root, because files called multiprocessing.py or signal.py there would stand before Python's own for who
works in a clone. `import fusewire.testing` finds them through `Finder`, attributes of `fusewire` through `find`.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any

#: public name -> the module that has its content
MODULES = {name: f"{__name__}.{name}" for name in (
    "_dynamo", "ao", "classes", "export", "functional", "fx", "hub", "jit", "library", "multiprocessing", "nested", "onnx", "ops",
    "overrides",
    "profiler", "signal", "sparse", "testing", "types",
)}  # fmt: skip
MODULES |= {name: __name__.replace("namespace", f"eager.{name}") for name in ("autograd", "random")}
MODULES |= {"quantization": f"{__name__}.ao"}


def find(name: str) -> types.ModuleType | None:
    """The module that ``fusewire.name`` is; None where it is none of these."""
    return importlib.import_module(MODULES[name]) if name in MODULES else None


class Loader:
    """Gives a module that is there already, and leaves it as it is."""

    def __init__(self, module: types.ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """The module itself."""
        return self.module

    def exec_module(self, module: types.ModuleType) -> None:
        """Put the module's own spec back: the import system has put the alias's there."""
        module.__spec__ = self.spec


class Finder:
    """Answers ``import fusewire.name``; stands last, so a file of that name would come first."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """The spec of one of `MODULES`; None for any other name."""
        package, _, name = fullname.partition(".")
        if package != _PACKAGE or name not in MODULES:
            return None
        module = find(name)
        loader: Any = Loader(module)  # type: ignore[arg-type]
        return ModuleSpec(fullname, loader, is_package=hasattr(module, "__path__"))


_PACKAGE = __name__.rpartition(".")[0]
