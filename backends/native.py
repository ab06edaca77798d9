"""The machine code that `runtime.pool` runs: compiled once for a processor, kept on disk, mapped when first asked for."""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from importlib.util import source_hash
from typing import Any

from .. import knobs
from ..errors import LoadError
from ..runtime import loader, pool
from . import build, pool_text

#: the files that the text follows from
SOURCES = (pool.__file__, pool_text.__file__, build.__file__)


@lru_cache(maxsize=1)
def _path() -> str:
    digest = b""
    for name in SOURCES:
        with open(name, "rb") as f:
            digest += source_hash(f.read())
    return os.path.join(knobs.cache_folder(), f"native-{source_hash(digest + loader.cpu_key()).hex()}.blob")


def _from_disk() -> Any:
    try:
        with open(_path(), "rb") as f:
            return build.load(f.read())
    except (OSError, LoadError):
        return None  # none there, damaged, or another processor's


def _to_disk(blob: bytes) -> None:
    """Whole or not at all; a folder that cannot be written is no error."""
    try:
        os.makedirs(knobs.cache_folder(), mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=knobs.cache_folder())
        with os.fdopen(handle, "wb") as f:
            f.write(blob)
        os.replace(temporary, _path())
    except OSError:
        pass


@lru_cache(maxsize=1)
def code() -> Any:
    """The mapped code. LoadError where this system is none that it is written for."""
    if not loader.SUPPORTED:
        raise LoadError("the thread pool is written for x86-64 Linux")
    found = _from_disk() if knobs.disk_cache else None
    if found is None:
        blob = build.build(pool_text.text(), level=2, passes=("sroa", "simplify_cfg"))
        if knobs.disk_cache:
            _to_disk(blob)
        found = build.load(blob)
    return found
