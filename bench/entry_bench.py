"""What a call through the native entry costs, in nanoseconds: plain, by keyword, as a method, with 150 parameters to guard.

Run as ``python -m fusewire.bench.entry_bench``. Prints one JSON line per row. Compiles nothing but one small kernel.
"""

from __future__ import annotations

import json
import sys
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backends.cpu.module import compile_kernels
from ..backends.entry import process, table
from ..ir.graph import Builder
from ..ir.op import lookup
from ..ir.types import tensor
from ..pipeline import stages
from ..runtime import guard as g
from ..runtime import source as s
from ..runtime.meta import Meta

COUNT = 1024


def _muladd() -> tuple[Any, Any]:
    """(plan, code) of ``x * y + x``."""
    builder = Builder("muladd")
    from ..ir import dtypes

    x, y = (builder.input(tensor((COUNT,), dtypes.float32)) for _ in "xy")
    made = stages(builder.finish([lookup("add")(lookup("mul")(x, y), x)]))
    return made.plan, compile_kernels(made.kernels)


def _best(call: Callable[..., Any], *args: Any, repeat: int = 7, number: int = 100_000, **kwargs: Any) -> float:
    scope = {"call": call, "args": args, "kwargs": kwargs} | {f"a{i}": x for i, x in enumerate(args)} | kwargs
    text = f"call({', '.join([f'a{i}' for i in range(len(args))] + [f'{k}={k}' for k in kwargs])})"
    return min(timeit.repeat(text, globals=scope, repeat=repeat, number=number)) / number * 1e9


class _Model:
    """25 modules of 6 parameters, laid out as nn.Module lays them out."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._modules = {f"m{i}": _Layer(make) for i in range(25)}


class _Layer:
    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._parameters = {f"p{i}": make(np.zeros((8, 8 + i), np.float32)) for i in range(6)}


def _module_guards(model: _Model, base: s.Source) -> list[g.Guard]:
    modules = s.Item(s.InstanceDict(base), "_modules")
    found: list[g.Guard] = [g.TypeIs(base, _Model), g.KeysAre(modules, tuple(model._modules))]
    for name, layer in model._modules.items():
        where = s.Item(modules, name)
        parameters = s.Item(s.InstanceDict(where), "_parameters")
        found.append(g.TypeIs(where, _Layer))
        found += [g.TensorIs(s.Item(parameters, k), type(p), p.meta) for k, p in layer._parameters.items()]
    return found


def rows(make: Callable[[Any], Any]) -> dict[str, float]:
    """Row name -> nanoseconds. `make(array)` is a Tensor of the class that `process.configure` was told."""
    plan, code = _muladd()
    x, y = (make(np.random.default_rng(i).standard_normal(COUNT).astype(np.float32)) for i in range(2))
    meta = Meta.of((COUNT,), (1,), x.meta.dtype)

    def install(function: Any, at: int, extra: Any = ()) -> Any:
        names = table.parameters(function)
        sources = [s.Arg(at + i, names[at + i]) for i in range(2)]
        guards = [g.TensorIs(src, type(x), meta) for src in sources]
        entry = table.Entry(function, function)
        entry.add(table.Variant(plan, code, [*guards, *extra], sources, function, output_metas=[meta]))
        return entry.function

    call = install(lambda a, b: None, 0)
    assert np.array_equal(call(x, y)._array, x._array * y._array + x._array)

    class Holder:
        run = install(lambda self, a, b: None, 1)
        default = install(lambda self, a, b=y: None, 1)

    holder, model = Holder(), _Model(make)
    guarded = install(lambda a, b, model: None, 0, _module_guards(model, s.Arg(2, "model")))
    parameters = [p for layer in model._modules.values() for p in layer._parameters.values()]
    flat = [g.TensorIs(s.Const(p, f"p{i}"), type(p), p.meta) for i, p in enumerate(parameters)]
    held = install(lambda a, b: None, 0, flat)
    xa, ya = x._array, y._array
    return {
        "x*y+x": _best(call, x, y),
        "by keyword": _best(call, x, b=y),
        "method, keyword": _best(holder.run, x, b=y),
        "method, default": _best(holder.default, x),
        "150 parameters held by the capture": _best(held, x, y),
        "150 parameters in 25 modules": _best(guarded, x, y, model),
        "builtin len(())": _best(len, ()),
        "numpy x*y+x": _best(lambda: xa * ya + xa, number=20_000),
    }


def main() -> None:
    """Print the rows for the eager Tensor."""
    from ..eager.tensor import Tensor
    from ..runtime.storage import Storage

    def view(tensor: Any, meta: Meta, offset: int) -> Any:
        raise NotImplementedError("no row returns a view")

    if process.Classes.tensor is None:
        process.configure(Tensor, Storage, make_view=view, make_meta=Meta.of_array, count_write=lambda tensor: None)
    for name, ns in rows(Tensor._from_array).items():
        print(json.dumps({"python": sys.version.split()[0], "row": name, "ns": round(ns)}))


if __name__ == "__main__":
    main()
