"""fusewire under another package's name: ``install_as("torch")`` lets ``import torch.nn`` and the like find fusewire.

A finder in front of all others answers for the name and what lies under it, with fusewire's own modules (the very objects, so
that classes are the same under both names). Never touches a package that is loaded, and `uninstall_as` leaves no trace.
"""

from __future__ import annotations

import importlib
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from typing import Any

from .addresses import PLACES, spec_of

_PACKAGE = __name__.rpartition(".")[0]
#: packages that come with one of that name, and the part of fusewire that stands for them
_BESIDE = {"torch": {"torchvision": "vision", "safetensors.torch": "utils.safetensors"}}
_lock = threading.RLock()
_finders: dict[str, _Finder] = {}


class _Finder:
    """Answers for `name` and everything under it by the modules under `target`, a dotted name."""

    def __init__(self, name: str, target: str) -> None:
        self.name, self.target = name, target

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if fullname != self.name and not fullname.startswith(f"{self.name}."):
            return None
        module = self._module(fullname[len(self.name) + 1 :])
        if module is None:
            raise ModuleNotFoundError(f"{self.target} has nothing for {fullname!r} (it stands for {self.name})", name=fullname)
        return spec_of(fullname, module)

    def _module(self, rest: str) -> types.ModuleType | None:
        for name in _ways(rest):
            found: Any = importlib.import_module(self.target)
            for part in name.split(".") if name else ():
                found = _under(found, part)
                if found is None:
                    break
            if isinstance(found, types.ModuleType):
                return found
        return None

    def names(self) -> list[str]:
        """What has been imported by the name."""
        return [name for name in list(sys.modules) if name == self.name or name.startswith(f"{self.name}.")]


def _under(module: types.ModuleType, part: str) -> Any:
    """The module `part` of a module: a file of its package, or a module that it holds; None where there is neither."""
    if hasattr(module, "__path__"):
        try:
            return importlib.import_module(f"{module.__name__}.{part}")
        except ModuleNotFoundError as error:
            if error.name != f"{module.__name__}.{part}":
                raise
    found = getattr(module, part, None)
    return found if isinstance(found, types.ModuleType) else None


def _ways(rest: str) -> Iterator[str]:
    """Names under which a module may be found here, its own first."""
    yield rest
    above = rest.rpartition(".")[0]
    for pattern in (rest, f"{above}.*" if above else ""):
        if pattern in PLACES:
            yield PLACES[pattern]


class _Again:
    """Unpickled in a spawned process, before its main module runs, it installs the names there."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __reduce__(self) -> tuple[Any, ...]:
        return _install_all, (self.names,)


def _install_all(names: tuple[str, ...]) -> None:
    for name in names:
        install_as(name)


def _hand_on(installed: bool) -> None:
    """Give processes that multiprocessing spawns the names installed here (what is forked has them), or no longer."""
    from multiprocessing import spawn

    plain: Any = getattr(spawn.get_preparation_data, "plain", spawn.get_preparation_data)

    def get_preparation_data(name: str) -> dict[str, Any]:
        beside = [other for others in _BESIDE.values() for other in others]
        return {**plain(name), "fusewire": _Again(tuple(n for n in _finders if n not in beside))}

    get_preparation_data.plain = plain  # type: ignore[attr-defined]
    spawn.get_preparation_data = get_preparation_data if installed else plain


class Installed:
    """What `install_as` gives: a context manager that uninstalls at its end."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> Installed:
        return self

    def __exit__(self, *exc: object) -> None:
        uninstall_as(self.name)


def install_as(name: str = "torch") -> Installed:
    """Let ``import name`` and ``import name.anything`` find fusewire from now on (for "torch", torchvision finds
    fusewire.vision), until `uninstall_as`, or for a ``with`` block. ImportError where a package of that name is loaded;
    ValueError for no name."""
    if not all(part.isidentifier() for part in name.split(".")) or name.partition(".")[0] == _PACKAGE:
        raise ValueError(f"{name!r} is no name for fusewire to go by")
    wanted = {name: _PACKAGE, **{other: f"{_PACKAGE}.{part}" for other, part in _BESIDE.get(name, {}).items()}}
    with _lock:
        loaded = [other for other in wanted if other in sys.modules and other not in _finders]
        if loaded:
            raise ImportError(f"{loaded[0]} is imported already: install fusewire under its name before anything imports it")
        for other, target in wanted.items():
            if other not in _finders:
                _finders[other] = _Finder(other, target)
                sys.meta_path.insert(0, _finders[other])
        _hand_on(True)
    return Installed(name)


def uninstall_as(name: str = "torch") -> None:
    """Undo `install_as`: the name is free again. Modules that imported it keep what they hold. Nothing where it was not there."""
    with _lock:
        found = [_finders.pop(other, None) for other in (name, *_BESIDE.get(name, {}))]
        for finder in filter(None, found):
            sys.meta_path.remove(finder)
            for imported in finder.names():
                del sys.modules[imported]
        _hand_on(bool(_finders))
