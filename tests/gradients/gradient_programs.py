"""What the tests of gradients share: programs of both libraries, run with each, and their outcomes as plain data."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Program = Callable[..., Any]


class Table(dict[str, Program]):
    """Programs by name; used as a decorator."""

    def __call__(self, fn: Program) -> Program:
        if fn.__name__ in self:
            raise ValueError(f"two programs are called {fn.__name__}")
        self[fn.__name__] = fn
        return fn


def plain(x: Any) -> Any:
    """Tensors as (dtype, shape, requires_grad, array), in any structure, whatever library they are of."""
    if hasattr(x, "detach"):
        found = x.detach()
        short = str(x.dtype).rpartition(".")[2]
        values = np.array(found.tolist(), "c16" if "complex" in short else "f8")
        return (short, tuple(x.shape), bool(x.requires_grad), values)
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, Exception):
        return refusal(x)
    return x


def refusal(error: BaseException) -> tuple[str, str]:
    """The built-in type of an error."""
    return "raises", next(k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins")


def outcome(fn: Program, library: Any) -> Any:
    """What a program gives, or the type of what it raises; `n(*shape)` gives it the same numbers in each library."""
    rng = np.random.default_rng(0)

    def n(*shape: int, dtype: str = "float64") -> Any:
        return library.tensor(rng.normal(size=shape).tolist(), dtype=getattr(library, dtype)).reshape(shape)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(fn(library, n))
        except Exception as error:
            return refusal(error)


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Where two outcomes differ; [] where they are alike."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        alike = a.shape == b.shape and np.allclose(a, b, 1e-5, 1e-7, equal_nan=True)
        return [] if alike else [f"{where}: {a.tolist()} and {b.tolist()}"]
    if type(a) is type(b) and isinstance(a, (list, tuple)) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{where}[{i}]")]
    if type(a) is type(b) and isinstance(a, dict) and a.keys() == b.keys():
        return [d for k in a for d in differences(a[k], b[k], f"{where}[{k!r}]")]
    return [] if type(a) is type(b) and not isinstance(a, (list, tuple, dict)) and a == b else [f"{where}: {a} and {b}"]


def caught(fn: Callable[[], Any]) -> Any:
    """The type of what `fn` raises, or what it gives."""
    try:
        return plain(fn())
    except Exception as error:
        return refusal(error)
