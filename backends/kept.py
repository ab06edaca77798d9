"""Machine code that is kept on disk: what was built once is mapped by later processes without importing llvmlite.

    machine_code(text)        the blob of an LLVM module, named by its text
    routine(name, make)       a routine of ours, named by `name` and our sources: its text is not even written again
    host_features()           what LLVM calls this processor's features
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from ..errors import LoadError
from ..runtime import forks, loader, store
from . import build

_KIND = "code"
_lock = forks.hold(forks.ROUTINE, threading.Lock())
_routines: dict[str, build.Loaded] = {}


def key(text: str, level: int = 2, passes: Sequence[str] | None = build.PASSES) -> str:
    """The name of the machine code of an LLVM module: text, way of building, llvmlite, processor."""
    way = f"{level} {'default' if passes is None else ' '.join(passes)} {loader.MAGIC!r}"
    return store.digest(text, way, store.toolchain(), loader.cpu_key())


def machine_code(text: str, *, level: int = 2, passes: Sequence[str] | None = build.PASSES) -> bytes:
    """The blob of an LLVM module, from disk where it was built before. Arguments as `build.build` takes them."""
    name = key(text, level, passes)
    found = store.get(_KIND, name)
    if found is None:
        found = build.build(text, level=level, passes=passes)
        store.put(_KIND, name, found)
    return found


def load(name: str, imports: Mapping[str, int] | None = None) -> build.Loaded | None:
    """The machine code kept under a `key`, mapped; None where there is none that fits this process."""
    found = store.get(_KIND, name)
    if found is None:
        return None
    try:
        return build.load(found, imports)
    except LoadError:
        return None


def routine(
    name: str, make: Callable[[], str], *, level: int = 2, passes: Sequence[str] | None = build.PASSES,
    imports: Mapping[str, int] | None = None,
) -> build.Loaded:  # fmt: skip
    """The machine code of the LLVM text that `make` writes, mapped once in a process. `name` says all that the text follows
    from beside our own sources and the processor. `imports`: addresses of external functions that libc does not have."""
    with _lock:
        loaded = _routines.get(name)
        if loaded is None:
            entry = store.digest("routine", name, str(level), repr(passes), store.stamp())
            loaded = load(entry, imports)
            if loaded is None:
                blob = build.build(make(), level=level, passes=passes)
                loaded = build.load(blob, imports)
                store.put(_KIND, entry, blob)
            _routines[name] = loaded
        return loaded


class Kernels:
    """Machine code of kernels that an earlier process has built, as `cpu.module.Code`: ``code[name]`` is an address. LoadError
    where it is no longer kept. `names`: kernel name -> the function that is its code; `key`: what `key` gave for the module."""

    def __init__(self, names: Mapping[str, str], key: str) -> None:
        self.names, self.key = dict(names), key
        self.loaded = load(key) if key else None
        if key and self.loaded is None:
            raise LoadError("the machine code of a stored capture is no longer kept")

    def __getitem__(self, name: str) -> int:
        if self.loaded is None or name not in self.names:
            from .cpu import routines

            return routines.address(name)
        return self.loaded[self.names[name]]


@lru_cache(maxsize=1)
def host_features() -> str:
    """As `build.host_features`, without llvmlite where an earlier process has asked it."""
    name = store.digest("features", store.toolchain(), loader.cpu_key())
    found = store.get("host", name)
    if found is None:
        found = build.host_features().encode()
        store.put("host", name, found)
    return found.decode()
