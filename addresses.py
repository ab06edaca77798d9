"""Where what loads at first use lies: one table for names of `fusewire`, for modules at PyTorch's addresses, and their finder.

`import fusewire.testing` finds a module of `namespace/` through `Finder`; attributes of `fusewire` go through `find`. A module
that exists for its dotted name alone is made by `address`. Imports nothing itself.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any

_PACKAGE = __name__.rpartition(".")[0]

#: Folder -> modules in it that are ``fusewire.name``. Those of `namespace/` do not lie at the root, because files called
#: multiprocessing.py or signal.py there would stand before Python's own for who works in a clone.
_FOLDERS = {
    "": "accelerator amp backends compiler cuda distributed distributions fft func linalg mps nn optim special utils version "
        "vision",
    "eager": "autograd random return_types",
    "utils": "serialization",
    "namespace": "_dynamo ao classes export functional fx hub jit library multiprocessing nested onnx ops overrides profiler "
                 "signal sparse testing types ao:quantization",
}  # fmt: skip
#: Module (":class") -> what `fusewire` has of it.
_NAMES = {
    "compiler": "compile explain set_logs",
    "aliases": "install_as uninstall_as",
    "utils.serialization": "save load",
    "eager.transforms": "vmap",
    "eager.display": "set_printoptions",
    "eager.autograd": "set_detect_anomaly:set_anomaly_enabled",
    "eager.remaking": "UntypedStorage",
    "eager.legacy": "FloatTensor DoubleTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor CharTensor ByteTensor "
                    "BoolTensor",
    "eager.tensor:Tensor": "put resolve_conj resolve_neg is_conj is_neg is_signed is_inference unsafe_chunk unsafe_split "
                           "dequantize int_repr q_scale q_zero_point",
    "nn.functional": "embedding_bag",
    "cuda": "Stream Event",
    "errors": "DeviceError:AcceleratorError",
    "ir.dtypes": "uint16 uint32 uint64 float8_e4m3fn float8_e5m2",
    "amp": "GradScaler autocast clear_autocast_cache get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype "
           "is_autocast_available is_autocast_cache_enabled is_autocast_cpu_enabled is_autocast_enabled "
           "set_autocast_cache_enabled set_autocast_cpu_dtype set_autocast_cpu_enabled set_autocast_dtype set_autocast_enabled "
           "set_autocast_gpu_dtype",
}  # fmt: skip
#: PyTorch's modules whose content lies in another one here, for `aliases`; "*" stands for any further name.
PLACES = {
    "nn.modules": "nn", "nn.modules.*": "nn", "autograd.function": "autograd", "autograd.functional": "autograd",
    "utils.data.*": "utils.data", "utils.data._utils.*": "utils.data", "optim.*": "optim", "nn.utils.*": "nn.utils",
    "datasets": "", "datasets.*": "", "transforms": "",
    "_dynamo": "compiler", "cuda.amp": "amp", "cuda.amp.*": "amp", "amp.*": "amp",
}  # fmt: skip


def _rows(table: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Public name -> (key of its row, name there); "own:public" where these differ."""
    return {word.rpartition(":")[2]: (key, word.partition(":")[0]) for key, row in table.items() for word in row.split()}


#: public name -> the module, a dotted name in this package
MODULES = {name: f"{folder}.{own}".lstrip(".") for name, (folder, own) in _rows(_FOLDERS).items()}
NAMES = _rows(_NAMES)


def find(name: str) -> Any:
    """What ``fusewire.name`` is where a table has it, else None."""
    if name in MODULES:
        return importlib.import_module(f"{_PACKAGE}.{MODULES[name]}")
    if name not in NAMES:
        return None
    (place, _, inner), own = NAMES[name][0].partition(":"), NAMES[name][1]
    module = importlib.import_module(f"{_PACKAGE}.{place}")
    return getattr(getattr(module, inner) if inner else module, own)


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


def spec_of(fullname: str, module: types.ModuleType) -> ModuleSpec:
    """What a finder answers where `fullname` is a module that is there already."""
    loader: Any = Loader(module)
    return ModuleSpec(fullname, loader, is_package=hasattr(module, "__path__"))


class Finder:
    """Answers ``import fusewire.name`` by `MODULES`; stands last, so a file of that name comes first."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """The spec of one of `MODULES`; None for any other name."""
        package, _, name = fullname.partition(".")
        return spec_of(fullname, find(name)) if package == _PACKAGE and MODULES.get(name, name) != name else None


class _Address(types.ModuleType):
    """Gives what another module of the package has, which is imported at the first question."""

    __path__: list[str] = []

    def __init__(self, name: str, home: str) -> None:
        super().__init__(name, f"What `{home}` has, at PyTorch's address.")
        self._home = home
        self.__package__ = name.rpartition(".")[0]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        try:
            return getattr(importlib.import_module(self._home), name)
        except AttributeError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


def address(name: str, home: str) -> types.ModuleType:
    """The module called `name`, a dotted name in this package, that has what the module `home` of it has."""
    made = _Address(f"{_PACKAGE}.{name}", f"{_PACKAGE}.{home}")
    return sys.modules.setdefault(made.__name__, made)
