"""Runs one random program twice from equal beginnings, eagerly and compiled, and compares everything that can be seen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from program import Program

import fusewire as fw

TOLERANCE = {"float64": 1e-9, "float32": 2e-4, "float16": 2e-2, "bfloat16": 1e-1}


def build(program: Program) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The program's function and its globals; `opaque` is something no tracer can look into."""
    log: list[Any] = []
    scope: dict[str, Any] = {"fw": fw, "F": fw.nn.functional, "COUNTS": {"calls": 0}, "log": log, "opaque": log.append, "level": 0}
    exec(compile(program.source, f"<program {program.seed}>", "exec"), scope)
    exec("def bump():\n    global level\n    level = level + 1\n", scope)
    return scope["program"], scope


def fresh_state() -> SimpleNamespace:
    return SimpleNamespace(count=1, rate=0.75, items=[0], table={}, seen=set(), last=None)


def inputs(program: Program, turn: int) -> list[Any]:
    """Tensors for call number `turn`; float32 inputs are sometimes strided."""
    rng = np.random.default_rng(1000 * program.seed + turn)
    out = []
    for shape, dtype in program.inputs:
        if dtype == "bool":
            array = rng.integers(0, 2, shape).astype(bool)
        elif "int" in dtype:
            array = rng.integers(0 if dtype == "uint8" else -3, 4, shape).astype(dtype)
        else:
            array = rng.integers(-8, 9, shape) / 4.0
        tensor = fw.tensor(array, dtype=getattr(fw, dtype))
        strided = len(shape) == 2 and rng.integers(3) == 0
        out.append(fw.tensor(array.T.copy(), dtype=getattr(fw, dtype)).t() if strided else tensor)
    return out


class Trace:
    """All that one way of running the program shows: results, inputs, state, globals, log, random stream."""

    def __init__(self, program: Program, wrap: Callable[[Callable[..., Any]], Callable[..., Any]], turns: int) -> None:
        function, scope = build(program)
        call, state, self.seen = wrap(function), fresh_state(), []
        fw.manual_seed(program.seed)
        args: list[Any] = []
        for turn in range(turns):
            args = inputs(program, turn) if turn != 1 else args  # the second call gets what the first one left
            if turn == 2 and len(args) > 1 and args[0].shape == args[1].shape and args[0].dtype is args[1].dtype:
                args[1] = args[0]  # aliased
            self.seen.append(copy.deepcopy(self.snapshot(call, state, args, scope)))

    def snapshot(self, call: Callable[..., Any], state: Any, args: list[Any], scope: dict[str, Any]) -> dict[str, Any]:
        try:
            result: Any = call(state, *args)
        except Exception as exc:
            result = (type(exc).__name__, str(exc))
        aliases = [i for i, a in enumerate(args) for r in flat(result) if r is a]
        shared = [[r.storage is a.storage for a in args] for r in flat(result) if isinstance(r, fw.Tensor)]
        return {
            "result": detached(result), "args": detached(args), "state": detached(vars(state)), "counts": dict(scope["COUNTS"]),
            "level": scope["level"], "log": list(scope["log"]), "aliases": aliases, "shared": shared,
            "rng": fw.default_generator.state.tolist(),
        }  # fmt: skip


def flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [x for v in value for x in flat(v)]
    if isinstance(value, dict):
        return [x for v in value.values() for x in flat(v)]
    return [value]


def detached(value: Any) -> Any:
    """Tensors as (dtype, strides, array); containers keep their type."""
    if isinstance(value, fw.Tensor):
        wide = value.float() if value.dtype in (fw.float16, fw.bfloat16) else value
        return "tensor", str(value.dtype), value.stride(), value.requires_grad, wide.detach().numpy().copy()
    if isinstance(value, dict):
        return {k: detached(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [detached(v) for v in value]
    return value


def difference(a: Any, b: Any, path: str = "") -> str | None:
    """Where two snapshots differ, in words; None where they agree."""
    if isinstance(a, tuple) and len(a) == 5 and a[0] == "tensor":
        return tensor_difference(a, b, path)
    if type(a) is not type(b):
        return f"{path}: {a!r} against {b!r}"
    if isinstance(a, dict):
        if list(a) != list(b):
            return f"{path}: keys {list(a)} against {list(b)}"
        return next((d for k in a if (d := difference(a[k], b[k], f"{path}.{k}"))), None)
    if isinstance(a, (list, tuple)):
        if len(a) != len(b):
            return f"{path}: {len(a)} items against {len(b)}"
        return next((d for i, (x, y) in enumerate(zip(a, b)) if (d := difference(x, y, f"{path}[{i}]"))), None)
    if isinstance(a, float) and a != a and b != b:
        return None
    return None if a == b else f"{path}: {a!r} against {b!r}"


def tensor_difference(a: Any, b: Any, path: str) -> str | None:
    if not isinstance(b, tuple) or a[:4] != b[:4] or a[4].shape != b[4].shape:
        return f"{path}: {a[:4]} against {b[:4] if isinstance(b, tuple) else b!r}"
    name = a[1].rsplit(".", 1)[-1]
    if name not in TOLERANCE:
        same = bool((a[4] == b[4]).all())
    else:
        x, y = a[4].astype(np.float64), b[4].astype(np.float64)
        scale = max(1.0, float(np.abs(x[np.isfinite(x)]).max(initial=0.0)))
        same = bool(np.allclose(x, y, rtol=TOLERANCE[name], atol=TOLERANCE[name] * min(scale, 1e6), equal_nan=True))
    return None if same else f"{path}: {a[4]!r} against {b[4]!r}"


def check(program: Program, turns: int = 3, compile: Callable[..., Any] | None = None) -> str | None:
    """Run eagerly and compiled; the first difference in words, None where all agrees."""
    want = Trace(program, lambda f: f, turns).seen
    got = Trace(program, compile or fw.compile, turns).seen
    return difference(want, got)
