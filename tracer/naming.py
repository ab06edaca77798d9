"""How sources are called where a person reads them: ``m.net[0].weight`` for the entries of a Module's dicts, ``zlib.crc32`` for a
global of a module. Only names; guards and reloads go by the sources themselves.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_GLOBAL = re.compile(r"vars\(([\w.]+)\)\['(\w+)'\]")
_ENTRY = re.compile(r"\._(?:modules|parameters|buffers)\['([^']*)'\]")


def readable(expr: str, home: Collection[str] | None = ()) -> str:
    """The text of a source or guard for reading. Globals of the modules in `home` go by their bare names; None: all do."""
    text = _GLOBAL.sub(lambda m: m[2] if home is None or m[1] in home or m[1] in _PLAIN else f"{m[1]}.{m[2]}", expr)
    return _ENTRY.sub(lambda m: f".{m[1]}" if m[1].isidentifier() else f"[{m[1]}]", text)


_KEY = re.compile(r"\[['\"]?([^\]'\"]*)['\"]?\]")
_PLAIN = ("__main__", "builtins")


def word(expr: str) -> str | None:
    """A name for a graph input that comes from `expr`: ``m.net.0.weight``; None where that would be long."""
    name = _KEY.sub(r".\1", readable(expr, None))
    return name if len(name) <= 48 and name.replace(".", "").replace("_", "").isalnum() else None
