"""``torch._dynamo``: the names of its front end, as far as `compiler` has what stands behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import knobs
from ..compiler import (
    allow_in_graph,
    compile,
    disable,
    explain,
    is_compiling,
    list_backends,
    register_backend,
    reset,
    set_stance,
)
from ..compiler import mark_dynamic as mark_dynamic
from ..compiler import mark_static as mark_static
from ..errors import FusewireError

__all__ = [
    "OptimizedModule", "allow_in_graph", "config", "disable", "disallow_in_graph", "exc", "explain", "graph_break",
    "is_compiling", "list_backends", "mark_dynamic", "mark_static", "maybe_mark_dynamic", "optimize", "register_backend",
    "reset", "run", "set_stance", "utils",
]  # fmt: skip

maybe_mark_dynamic = mark_dynamic
disallow_in_graph = disable


class _Config:
    """``_dynamo.config``: any switch may be set and read back; those named in `KNOBS` set the knob that means the same."""

    KNOBS = {"cache_size_limit": "variant_limit", "recompile_limit": "variant_limit"}

    def __init__(self) -> None:
        self.__dict__.update(suppress_errors=False, verbose=False, assume_static_by_default=True, automatic_dynamic_shapes=True)

    def __getattr__(self, name: str) -> Any:
        if name in self.KNOBS:
            return getattr(knobs, self.KNOBS[name])
        raise AttributeError(f"torch._dynamo.config.{name} does not exist")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.KNOBS:
            setattr(knobs, self.KNOBS[name], value)
        else:
            self.__dict__[name] = value


class _Errors:
    """``_dynamo.exc``: what capture raises."""

    TorchDynamoException = Unsupported = UserError = FusewireError


class _Utils:
    """``_dynamo.utils``: counters that programs print."""

    counters: dict[str, dict[str, int]] = {}


config, exc, utils = _Config(), _Errors(), _Utils()


def graph_break(msg: str = "") -> None:
    """Nothing where it runs: capture breaks here, for it does not follow this function."""


graph_break = disable(graph_break)


def optimize(
    backend: Any = "inductor", *, nopython: bool = False, dynamic: bool | None = None, **kwargs: Any
) -> Callable[..., Any]:
    """A decorator: ``compile(backend=..., fullgraph=nopython, dynamic=dynamic)``."""
    return lambda fn: compile(fn, backend=backend, fullgraph=nopython, dynamic=dynamic)


def run(fn: Any = None) -> Any:
    """The function as it is."""
    return fn


class OptimizedModule:
    """No object is of this class: a compiled Module is of a class derived from its own."""
