"""Whether the native entry serves in this process: tried once, on a small function, in the ways that calls reach it.

A process where it does not keeps working behind a Python wrapper; nothing here raises.
"""

from __future__ import annotations

from functools import lru_cache
from types import FunctionType
from typing import Any, cast

from ...errors import FusewireError
from ...ir.plan import Plan
from ...runtime import guard as g
from ...runtime.source import Arg
from .table import Entry, Variant

_TURNS = 100  # more than it takes a call site to specialise


@lru_cache(maxsize=1)
def refusal() -> str | None:
    """None where the native entry works, else why not. Needs `configure` before it."""
    try:
        return _try()
    except (FusewireError, OSError, MemoryError) as e:
        return f"{type(e).__name__}: {e}"


def _try() -> str | None:
    mark, other = object(), object()

    def python(x: Any, y: Any = mark) -> Any:
        return "python"

    probe = cast("FunctionType", python)

    def tail(args: tuple[Any, ...], outputs: tuple[Any, ...]) -> Any:
        return args[0]

    def hot(f: Any) -> None:
        for _ in range(_TURNS):
            f(other, mark)

    hot(probe)
    entry = Entry(probe, probe)
    guards = [g.Is(Arg(1, "y"), mark)]
    plan = Plan("probe", (), (), (), (), ())
    variant = Variant(plan, {}, guards, [], probe, output_metas=[], tail=tail)
    entry.add(variant)
    f = entry.function
    hot(f)

    class Holder:
        method = f

    holder = Holder()
    for _ in range(_TURNS):
        found = f(other), f(y=mark, x=other), holder.method(), f(*(other, mark))
        if any(x is not y for x, y in zip(found, (other, other, holder, other), strict=True)):
            return "a compiled function returned something else than its plan says"
    if f(other, other) != "python":
        return "a failed guard did not lead to the dispatcher"
    if variant.hits != 5 * _TURNS:
        return f"{5 * _TURNS - variant.hits} of {5 * _TURNS} calls went past the native entry"
    return None
