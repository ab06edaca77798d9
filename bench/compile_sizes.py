"""What compiling costs as graphs grow: programs of 100 to 20,000 ops with their gradients, split into the stages of the compiler.

Each size is measured in a fresh process by `compile_time.measure`; an exponent of 1 is linear. Compares with nobody.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

SIZES = (100, 300, 1000, 3000, 10_000, 20_000)

#: source of one statement of a mixed program, and the number of ops that it makes
_FORMS = (
    ("fw.tanh({a})", 1), ("{a} * {b}", 1), ("{a} + {b} * {c}", 2), ("{a} - {a}.mean(-1, keepdim=True)", 2),
    ("fw.matmul({a}, w)", 1), ("fw.softmax({a}, dim=-1)", 1), ("fw.sigmoid({a}) * {a}", 2), ("fw.where({a} > {b}, {a}, {b})", 2),
    ("{a}.transpose(0, 1).reshape(16, 32)", 2), ("fw.exp(-{a} * {a})", 3),
)  # fmt: skip

Program = tuple[Callable[..., Any], tuple[Any, ...]]


def chain(fw: Any, ops: int) -> Program:
    """Pointwise ops, each on the result of the last."""

    def run(x: Any) -> Any:
        y = x
        for i in range(ops // 4):
            y = fw.tanh(y * (i + 1.5) + x) - 0.25
        return y

    return run, (fw.randn(1024, requires_grad=True),)


def layers(fw: Any, ops: int) -> Program:
    """A network of Linear and ReLU: the same kernels over and over, two parameters a layer."""
    nn = fw.nn
    model = nn.Sequential(*(layer for _ in range(ops // 3) for layer in (nn.Linear(32, 32), nn.ReLU())))
    return model, (fw.randn(8, 32),)


def mixed(fw: Any, ops: int) -> Program:
    """Products, reductions, softmax, views and pointwise ops on results drawn from the last few. No two parts are alike."""
    rng = random.Random(7)
    lines, count, n = ["def run(x, w):", "    v0 = x"], 0, 1
    while count < ops:
        form, made = rng.choice(_FORMS)
        near, far = n - 1 - min(n - 1, int(rng.random() ** 2 * 6)), n - 1 - rng.randrange(min(8, n))
        lines.append(f"    v{n % 16} = " + form.format(a=f"v{near % 16}", b=f"v{far % 16}", c=round(rng.random(), 3)))
        count, n = count + made, n + 1
    lines.append(f"    return v{(n - 1) % 16} + v{(n - 2) % 16} + v{(n - 3) % 16}")
    scope = {"fw": fw}
    exec(compile("\n".join(lines), "mixed.py", "exec"), scope)
    run: Any = scope["run"]
    return run, (fw.randn(16, 32, requires_grad=True), fw.randn(32, 32, requires_grad=True))


FAMILIES: dict[str, Callable[[Any, int], Program]] = {"chain": chain, "layers": layers, "mixed": mixed}


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of the straight line through log(seconds) over log(size) that fits best."""
    xs, ys = [math.log(n) for n in sizes], [math.log(s) for s in seconds]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
