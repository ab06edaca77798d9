"""Every switch of fusewire: type, default, one-line doc. No other module reads the environment.

A knob `name` is set by the environment variable ``FUSEWIRE_NAME`` (the short forms ``VERIFY``, ``DEBUG`` and ``PASS_LIMIT`` serve
as well), by ``knobs.name = value`` or for a while by ``with knobs.override(name=value):``.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import Any


@dataclass(frozen=True, slots=True)
class Knob:
    """One switch. `read` turns the environment's text into a value."""

    default: Any
    read: Callable[[str], Any]
    doc: str
    short: bool = False


def _flag(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "false", "no", "off")


#: what can be logged (`logs` says what each tells)
LOGS = ("graph_breaks", "recompiles", "guards", "graphs", "kernels", "cache")


def _logs(text: str) -> str:
    unknown = [name for name in text.replace(" ", "").split(",") if name not in ("", "all", *LOGS)]
    if unknown:
        raise ValueError(unknown[0])
    return text


KNOBS: dict[str, Knob] = {
    "verify": Knob(False, _flag, "check every IR after every pass (always on under pytest)", short=True),
    "debug": Knob(0, int, "to stderr: 1 breaks, 2 recompiles, 3 graphs and passes, 4 kernels, 5 LLVM text, 6 assembly", True),
    "log": Knob("", _logs, f"what to log: any of {', '.join(LOGS)}; or all"),
    "pass_limit": Knob(-1, int, "run only the first n pass applications of each graph (-1: all), to bisect", short=True),
    "native_entry": Knob(True, _flag, "install compiled functions behind the machine-code entry (off: a Python wrapper)"),
    "cache_dir": Knob("", str, "folder of the disk cache; empty: fusewire in the user's cache folder"),
    "disk_cache": Knob(True, _flag, "keep captures, plans and machine code on disk for other processes"),
    "cache_limit": Knob(512, int, "megabytes that the disk cache may hold; what was unused for longest goes first"),
    "fused_optim": Knob(True, _flag, "optimisers update each parameter by one compiled kernel (off: op by op)"),
    "hot_ops": Knob(True, _flag, "eager programs compile heavy ops (convolutions, products) called again and again (off: NumPy)"),
    "variant_limit": Knob(64, int, "compiled variants of one function; 8 for any size and number may follow, then eager"),
    "constant_limit": Knob(8, int, "values of a number or size compiled as constants; then code that needs it breaks"),
    "threads": Knob(0, int, "threads that kernels and matrix products may use (0: the cores this process may use)"),
    "recycle": Knob(512, int, "megabytes of large results that may be kept for the next ones (0: the system allocates each)"),
    "spin": Knob(5000, int, "rounds a worker of the thread pool waits for the next job before it sleeps"),
    "libhip": Knob("", str, "file of AMD's HIP runtime, asked where there is no CUDA; empty: libamdhip64.so"),
    "cuda_launch_blocking": Knob(False, _flag, "wait behind every kernel on a GPU: errors name it and its line", True),
    "libcuda": Knob("", str, "file of the CUDA driver; empty: libcuda.so.1 as the system finds it"),
    "cublaslt": Knob("auto", str, "products on GPUs by cuBLASLt where it is found (auto), never (off), or by this file"),
    "tf32": Knob(False, _flag, "products of float32 on GPUs may be made with 10 bits (set_float32_matmul_precision sets it)"),
    "deterministic": Knob(False, _flag, "GPU kernels add floats in one order (use_deterministic_algorithms sets it): no atomics"),
    "inline_limit": Knob(64, int, "depth of inlined calls at which the graph breaks"),
}


def _initial(name: str, knob: Knob) -> Any:
    for key in (f"FUSEWIRE_{name.upper()}", name.upper() if knob.short else ""):
        text = os.environ.get(key)
        if text is not None:
            try:
                return knob.read(text)
            except ValueError:
                raise ValueError(f"{key}={text!r}: expected a value like {knob.default!r} ({knob.doc})") from None
    return knob.default


def say(level: int, text: str) -> None:
    """`text` to stderr where knob debug is at `level` or above."""
    if _values["debug"] >= level:
        print(text, file=sys.stderr)


#: how many warnings the library has said so far
heard: list[int] = [0]


def warn(text: str, category: type[Warning] = RuntimeWarning) -> None:
    """A warning at the line outside of the library that led here, as far as there is one."""
    heard[0] += 1
    frame = start = sys._getframe(1)
    while _of_library(frame) and frame.f_back is not None:
        frame = frame.f_back
    found = start if _of_library(frame) else frame
    registry = found.f_globals.setdefault("__warningregistry__", {})
    module = str(found.f_globals.get("__name__", "<unknown>"))
    warnings.warn_explicit(text, category, found.f_code.co_filename, found.f_lineno, module, registry)


def _of_library(frame: FrameType) -> bool:
    """Whether the library's own code runs in `frame`; what has no module is generated, as tails are."""
    library = __name__.rpartition(".")[0]
    return str(frame.f_globals.get("__name__", library)).split(".")[0] == library


def outside(name: str) -> str | None:
    """A variable of the environment that is no switch of ours, such as RANK or MASTER_ADDR; None where it is not set."""
    return os.environ.get(name)


def cache_folder() -> str:
    """The folder of the disk cache (it may not exist yet)."""
    if _values["cache_dir"]:
        return str(_values["cache_dir"])
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "fusewire")


_values: dict[str, Any] = {name: _initial(name, knob) for name, knob in KNOBS.items()}
_states: dict[tuple[Any, ...], object] = {}


def _state() -> object:
    """The one object for the present values of all knobs."""
    return _states.setdefault(tuple(_values.values()), object())


#: one object as long as no knob changes, and the same one when all have their former values again: names what was made under them
state: object = _state()


def __getattr__(name: str) -> Any:  # for type checkers; `_Knobs` answers at run time
    raise AttributeError(name)


class _Knobs(ModuleType):
    """The module's own type, so that an unknown knob or a misspelt assignment is an error."""

    def __getattr__(self, name: str) -> Any:
        try:
            return _values[name]
        except KeyError:
            raise AttributeError(f"no knob {name!r}; there are {', '.join(sorted(KNOBS))}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in KNOBS:
            if type(value) is not type(KNOBS[name].default):
                raise TypeError(f"knob {name} takes a {type(KNOBS[name].default).__name__}, not {value!r}")
            _values[name] = value
            vars(self)["state"] = _state()
        elif name.startswith("__"):
            super().__setattr__(name, value)
        else:
            raise AttributeError(f"no knob {name!r}; there are {', '.join(sorted(KNOBS))}")


@contextmanager
def override(**values: Any) -> Iterator[None]:
    """Set knobs for the length of a ``with`` block."""
    module = sys.modules[__name__]
    before = {name: getattr(module, name) for name in values}
    try:
        for name, value in values.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


sys.modules[__name__].__class__ = _Knobs
