"""Functions whose text the tracer writes: tails, and what is called before a graph. Tracebacks and debuggers find the text."""

from __future__ import annotations

import itertools
import linecache
import weakref
from typing import Any

from .traces import TAIL_FILE

_numbers = itertools.count(1)


def file_name() -> str:
    """A file name that no other generated function has."""
    return f"{TAIL_FILE} {next(_numbers)}>"


def define(name: str, text: str, names: dict[str, Any], held: set[str]) -> Any:
    """The function `name` that `text` defines over the global `names`; `held` are those of the user's own objects."""
    file = file_name()
    space = dict(names)
    exec(compile(text, file, "exec"), space)
    made = with_source(space.pop(name), text)
    made.held = held
    return made


def with_source(made: Any, text: str) -> Any:
    """`made`, whose text (`made.source`) is found under its file name as long as it lives."""
    file = made.__code__.co_filename
    made.source = text
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    weakref.finalize(made, linecache.cache.pop, file, None)
    return made
