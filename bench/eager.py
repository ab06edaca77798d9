"""Suite `eager`: eager programs beside PyTorch eager, small and large operands, taking turns in one process.

The goals (facts `goal`): at most PyTorch's time where the operands are small, at most 1.2 times it where they are large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import peers
from .row import Row, package
from .timing import interleaved

Call = Callable[[], object]

SMALL, LARGE = 1.0, 1.2
#: calls before small operands are timed
WARM = 4200
#: links of the chain whose backward pass is timed
LINKS = 10


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Nanoseconds a call. Without PyTorch the rows have no ratio."""
    fw, torch = package(), peers.torch_at(threads)
    contenders = {"fusewire": _calls(fw)}
    if torch is not None:
        contenders[peers.TORCH_EAGER] = _calls(torch)
    for name, (goal, _) in contenders["fusewire"].items():
        calls = {who: found[name][1] for who, found in contenders.items()}
        for call in calls.values():  # past the call at which hot ops are compiled
            for _ in range(3 if goal == LARGE else WARM):
                call()
        rounds = 7 if quick else 15 if goal == SMALL else 11
        times = {who: 1e9 * t for who, t in interleaved(calls, rounds).items()}
        facts = {"goal": goal}
        if torch is not None:
            facts["of_torch"] = times["fusewire"] / times[peers.TORCH_EAGER]
        yield Row("eager", name, threads, "ns", times, facts)


def _calls(lib: Any) -> dict[str, tuple[float, Call]]:
    """Row name -> (goal, call), over one library; both libraries compute on the same numbers."""
    rng = np.random.default_rng(0)

    def made(*shape: int) -> Any:
        return lib.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    found: dict[str, tuple[float, Call]] = {}
    for goal, shape in ((SMALL, (8,)), (LARGE, (4096, 1024))):
        size = "x".join(map(str, shape))
        found |= {f"{name} {size}": (goal, call) for name, call in _pointwise(made(*shape), made(*shape)).items()}
    for goal, shape in ((SMALL, (8, 8)), (LARGE, (4096, 1024))):
        size = "x".join(map(str, shape))
        index = lib.from_numpy(rng.integers(0, shape[0], shape[0] // 2))
        found |= {f"{name} {size}": (goal, call) for name, call in _rows_of(lib, made(*shape), index).items()}
    found |= {f"matmul {n}": (goal, call) for n, goal, call in _products(made)}
    found |= {f"{name}": pair for name, pair in _convolutions(lib, made).items()}
    found |= {f"backward of {LINKS} ops, {n}": (goal, _chain(made(n))) for n, goal in ((8, SMALL), (1 << 20, LARGE))}
    return found


def _pointwise(x: Any, y: Any) -> dict[str, Call]:
    held = x * 1
    return {"add": lambda: x + y, "mul_": lambda: held.mul_(1.0), "sum": lambda: x.sum()}


def _rows_of(lib: Any, x: Any, index: Any) -> dict[str, Call]:
    mask, width = x > 0, (x.shape[1],)
    functional = lib.nn.functional
    return {
        "x[1]": lambda: x[1],
        "x[:, 2:5]": lambda: x[:, 2:5],
        "x[mask]": lambda: x[mask],
        "x[index]": lambda: x[index],
        "cat": lambda: lib.cat([x, x]),
        "layer_norm": lambda: functional.layer_norm(x, width),
        "softmax": lambda: functional.softmax(x, dim=-1),
    }


def _products(made: Callable[..., Any]) -> Iterator[tuple[int, float, Call]]:
    for n, goal in ((8, SMALL), (64, SMALL), (1024, LARGE)):
        a, b = made(n, n), made(n, n)
        yield n, goal, lambda a=a, b=b: a @ b  # type: ignore[misc]


def _convolutions(lib: Any, made: Callable[..., Any]) -> dict[str, tuple[float, Call]]:
    small, large = (made(1, 3, 8, 8), made(4, 3, 3, 3)), (made(8, 64, 56, 56), made(64, 64, 3, 3))
    conv = lib.nn.functional.conv2d
    return {
        "conv2d 3x3 1x3x8x8": (SMALL, lambda: conv(small[0], small[1], padding=1)),
        "conv2d 3x3 8x64x56x56": (LARGE, lambda: conv(large[0], large[1], padding=1)),
    }


def _chain(x: Any) -> Call:
    """Forward and backward of ten ops on one leaf."""
    x.requires_grad_()

    def step() -> Any:
        y = x
        for _ in range(LINKS // 2):
            y = (y * 0.5).tanh()
        x.grad = None
        y.sum().backward()
        return x.grad

    return step
