"""Random programs that write in place through views, views of views and detached aliases, as Python text, and what they give.

``python tests/gradients/write_programs.py FROM TO [--compiled]`` runs a range of them in both libraries (PyTorch is the oracle),
or compiled against eager. Asserts nothing itself.
"""

from __future__ import annotations

import collections
import functools
import random
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Shape = tuple[int, ...]

#: a view of `x`: its text and the shape it gives, for a tensor of that rank
_VIEWS: dict[int, tuple[Callable[[Shape, random.Random], tuple[str, Shape]], ...]] = {
    2: (
        lambda s, r: ("x.t()", s[::-1]),
        lambda s, r: (f"x[{r.randrange(s[0])}]", s[1:]),
        lambda s, r: (f"x[{(k := r.randrange(s[0]))}:]", (s[0] - k, s[1])),
        lambda s, r: (f"x[:, {(k := r.randrange(s[1]))}:]", (s[0], s[1] - k)),
        lambda s, r: (f"x.narrow(1, {r.randrange(s[1])}, 1)", (s[0], 1)),
        lambda s, r: (f"x.select(1, {r.randrange(s[1])})", s[:1]),
        lambda s, r: (f"x.unsqueeze({(k := r.randrange(3))}).squeeze({k})", s),
        lambda s, r: ("x[::2]", (-(-s[0] // 2), s[1])),
        lambda s, r: ("x.diagonal()", (min(s),)),
        lambda s, r: ("x.view_as(x)", s),
    ),
    1: (
        lambda s, r: (f"x[{(k := r.randrange(s[0]))}:]", (s[0] - k,)),
        lambda s, r: (f"x[{r.randrange(s[0])}]", ()),
        lambda s, r: ("x.unsqueeze(0)", (1, *s)),
        lambda s, r: (f"x.expand(2, {s[0]})[1]", s),
    ),
    0: (lambda s, r: ("x.unsqueeze(0)", (1,)), lambda s, r: ("x.view(1, 1)", (1, 1))),
}
_WRITES = (
    "x.add_({v})", "x.copy_({v})", "x.mul_({v} + 1)", "x[...] = {v} * 2", "x.sin_()", "x.fill_(w[{k}])", "x.mul_(0.5)",
    "x.exp_()", "x.addcmul_({v}, {v})", "x.masked_fill_(x > 0.1, 0.25)", "x.sub_(0.5)", "x.zero_()",
)  # fmt: skip
_READS = ("x", "x", "x * x", "x.exp()", "x.sin() * 0.5", "x * {v}")


def text(seed: int, apart: float = 0.2) -> str:
    """Program number `seed`: ``program(t, w, b)`` gives (a sum, all tensors it named). `apart`: share of detached aliases."""
    r = random.Random(seed)
    shapes: list[Shape] = [(3, 4)]
    lines = ["def program(t, w, b):", "    x0 = b", "    total = b.sum() * 0"]

    for _ in range(r.randint(3, 10)):
        k, kind = r.randrange(len(shapes)), r.random()
        if kind < 0.45:
            made, shape = r.choice(_VIEWS[len(shapes[k])])(shapes[k], r)
            if r.random() < apart:
                made, shape = r.choice(("x.data", "x.detach()")), shapes[k]
            lines.append(f"    x{len(shapes)} = {_named(made, k)}")
            shapes.append(shape)
            continue
        pattern = r.choice(_WRITES if kind < 0.85 else _READS)
        n, first = int(np.prod(shapes[k])), r.randrange(4)
        line = _named(pattern, k).format(v=f"w.repeat(2)[{first}:{first + n}].reshape({shapes[k]})", k=r.randrange(12))
        lines.append(f"    {line}" if kind < 0.85 else f"    total = total + ({line}).sum()")
    weight = "(t.arange(x.numel(), dtype=t.float64).reshape(x.shape) + 1)"
    lines += [f"    total = total + ({_named('x * ' + weight, k)}).sum()" for k in (0, len(shapes) - 1)]
    names = ", ".join(f"x{k}" for k in range(len(shapes)))
    return "\n".join([*lines, f"    return total, [{names}]", ""])


def _named(pattern: str, k: int) -> str:
    """`pattern` about tensor number `k`: its letter x alone, not those within words."""
    words = "".join(c if c.isalnum() or c == "_" else f"\0{c}\0" for c in pattern).split("\0")
    return "".join(f"x{k}" if word == "x" else word for word in words)


@functools.cache
def function(seed: int) -> Any:
    """Program number `seed` as a function, with lines that a traceback can show."""
    import linecache

    source, name = text(seed), f"<writes {seed}>"
    space: dict[str, Any] = {}
    exec(compile(source, name, "exec"), space)
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    return space["program"]


def outcome(library: Any, run: Any, graded: bool) -> Any:
    """(gradient of w or None, which tensors require grad, their values) of a program, or the type of what it raises. `graded`:
    whether the tensor it writes to has a history from the start."""
    w = library.tensor((np.arange(12.0) / 7 - 0.6).tolist(), dtype=library.float64, requires_grad=True)
    b = library.zeros(3, 4, dtype=library.float64)
    b = b + (w * 2).sum() if graded else b
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            total, named = run(library, w, b)
            flags = [x.requires_grad for x in named]
            g = library.autograd.grad(total, w, allow_unused=True)[0] if total.requires_grad else None
        except RuntimeError as error:
            return "RuntimeError", str(error)
    values = [np.array(x.detach().tolist()) for x in named]
    return None if g is None else np.array(g.tolist()), flags, values


def alike(a: Any, b: Any, flags: bool = True) -> bool:
    """Whether two outcomes are the same; of errors the type alone. `flags`: whether those of requires_grad count."""
    if a[0] == "RuntimeError" if isinstance(a[0], str) else isinstance(b[0], str):
        return isinstance(b[0], str) and isinstance(a[0], str)
    if (a[0] is None) is not (b[0] is None) or (flags and a[1] != b[1]):
        return False
    same = all(np.allclose(x, y, equal_nan=True) for x, y in zip(a[2], b[2], strict=True))
    return same and (a[0] is None or np.allclose(a[0], b[0], equal_nan=True))


def main() -> None:
    import fusewire

    first, last = int(sys.argv[1]), int(sys.argv[2])
    bad, kinds = 0, collections.Counter[str]()
    for seed in range(first, last):
        for graded in (False, True):
            fn = function(seed)
            mine = outcome(fusewire, fn, graded)
            if "--compiled" in sys.argv:
                its = outcome(fusewire, fusewire.compile(fn), graded)
            else:
                import torch

                its = outcome(torch, fn, graded)
            refuses = isinstance(its[0], str) and not isinstance(mine[0], str)
            if refuses and "--compiled" not in sys.argv:  # a result of exp_() written over, a leaf that is none: ours is right
                its = outcome(fusewire, fusewire.compile(fn), graded)
                kinds[its[0] if isinstance(its[0], str) else "given where PyTorch raises"] += 1
            if isinstance(mine[0], str) and not isinstance(its[0], str) and ".data" in text(seed):
                kinds["a saved x.data, x written: PyTorch goes on with other values"] += 1
            elif not alike(mine, its):
                bad += 1
                print(seed, graded, "\n" + text(seed), mine[0], its[0], "\n", mine[1], its[1])
    print(f"{2 * (last - first)} programs, {bad} differ; {dict(kinds)}")


if __name__ == "__main__":
    main()
