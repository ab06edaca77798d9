"""What compiled functions do at present, in the whole process: compile as needed, run eagerly, or refuse to compile again.

Changed by `compiler.set_stance` and `compiler.disable`; read by every dispatcher. Never compiles anything itself.
"""

from __future__ import annotations

import threading

from ..runtime import dispatchers, forks

STANCES = {
    "default": "compile what a call needs",
    "force_eager": "run every function under CPython, as if none was compiled",
    "eager_on_recompile": "run calls that would compile under CPython; what is compiled serves on",
    "fail_on_recompile": "raise RecompileError in calls that would compile; what is compiled serves on",
}
_lock = forks.hold(forks.SHORT, threading.RLock())
_chosen = "default"
_disabling = 0  # `disable` blocks that are open, in all threads
_now = "default"
_local = threading.local()


def now() -> str:
    """The stance that calls follow."""
    return _now


def chosen() -> str:
    """The stance that was set last."""
    return _chosen


def choose(name: str) -> None:
    """Set the stance. ValueError for one that is not in `STANCES`."""
    global _chosen
    if name not in STANCES:
        raise ValueError(f"no stance {name!r}; there are {', '.join(STANCES)}")
    with _lock:
        _chosen = name
        _follow()


def disable(by: int) -> None:
    """Open (1) or close (-1) a block in which nothing compiled runs."""
    global _disabling
    with _lock:
        _disabling += by
        _follow()


def _follow() -> None:
    """Put the stance into force: machine code serves calls without asking, so its variants are taken out and put back."""
    global _now
    before, _now = _now, "force_eager" if _disabling else _chosen
    if (before == "force_eager") != (_now == "force_eager"):
        for dispatcher in dispatchers.living():
            dispatcher.serve_natively(_now != "force_eager")


def strictly() -> bool | None:
    """What `compiler.error_on_graph_break` says on this thread: None where it does not."""
    found: list[bool] = getattr(_local, "strict", [])
    return found[-1] if found else None


def push_strictly(on: bool) -> None:
    """Enter a block of `compiler.error_on_graph_break`."""
    if not hasattr(_local, "strict"):
        _local.strict = []
    _local.strict.append(on)


def pop_strictly() -> None:
    """Leave the innermost such block."""
    _local.strict.pop()
