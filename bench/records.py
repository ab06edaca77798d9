"""Every record compiled against eager, by size, layout and dtype: a compiled call should never be the slower one.

Run as ``python -m fusewire.bench.records [--elements=N] [record ...]``. One JSON line per call, then the worst ratios (compiled
over eager, one thread).
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FusewireError
from ..ir import dtypes
from ..ir.op import OPS, Op, Reduce, Scalar, lookup
from .timing import interleaved

ELEMENTS = (1_000, 100_000, 4_000_000)
COLUMNS = 100
WORST = 25
#: Times a call that looks slower is measured once more: a busy machine is no defect.
AGAIN = 2
#: Attrs of the records that work on rows.
_ROWS: dict[str, dict[str, Any]] = {
    "softmax": {"dim": 1}, "log_softmax": {"dim": 1}, "mean": {"dim": (1,)}, "var": {"dim": (1,)}, "argmax": {"dim": 1},
    "argmin": {"dim": 1},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a record: arrays and numbers, and what it is called in the table."""

    op: Op
    operands: tuple[Any, ...]
    attrs: dict[str, Any]
    layout: str


def calls(count: int) -> Iterator[Call]:
    """Calls on about `count` elements of every record that reads tensors."""
    rng = np.random.default_rng(0)
    lookup("add")
    for op in [op for op in OPS.values() if not op.eager_only]:
        if isinstance(op.lowering, Scalar):
            yield from _pointwise(op, count, rng)
        elif isinstance(op.lowering, Reduce):
            x = _array(rng, count, dtypes.float32)
            for dim in ((0,), (1,), (0, 1)):
                yield from (Call(op, (y,), {"dim": dim}, f"{name} dim={dim}") for name, y in _layouts(x))
            for kind in (dtypes.bfloat16, dtypes.int8, dtypes.bool_):
                y = _array(rng, count, kind)
                yield from (Call(op, (y,), {"dim": dim}, f"{kind.name} dim={dim}") for dim in ((0,), (1,), (0, 1)))
        elif op.name in _ROWS:
            x, dims = _array(rng, count, dtypes.float32), _ROWS[op.name]
            yield from (Call(op, (y,), dims, name) for name, y in _layouts(x))
            first = {"dim": (0,) if isinstance(dims["dim"], tuple) else 0}
            yield Call(op, (x,), first, "dim 0")
    yield from _moves(count, rng)
    yield from _positions(count, rng)


def _array(rng: np.random.Generator, count: int, kind: dtypes.DType) -> np.ndarray[Any, Any]:
    shape = count // COLUMNS, COLUMNS
    if kind.kind == "f":
        return (rng.random(shape, np.float32) * 0.9 + 0.05).astype(kind.np)
    return rng.integers(0, 2 if kind.kind == "b" else 50, shape).astype(kind.np)


def _layouts(x: np.ndarray[Any, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    yield "contiguous", x
    yield "transposed", np.ascontiguousarray(x.T).T
    yield "strided", np.repeat(x, 2, 1)[:, ::2]


def _pointwise(op: Op, count: int, rng: np.random.Generator) -> Iterator[Call]:
    """The record's first fitting sample, with larger arrays."""
    for kind in (dtypes.float32, dtypes.bfloat16, dtypes.int64):
        samples = (s for s in op.sample(np.random.default_rng(0)) if s.raises is None)
        fitting = (s for s in samples if any(isinstance(x, np.ndarray) and x.ndim and x.dtype == kind.np for x in s.operands))
        sample = next(fitting, None)
        if sample is None:
            continue
        kinds = [dtypes.from_numpy(x.dtype) if isinstance(x, np.ndarray) and x.ndim else None for x in sample.operands]
        arrays = [x if k is None else _array(rng, count, k) for x, k in zip(sample.operands, kinds, strict=True)]
        named = kind.name if kind is not dtypes.float32 else "contiguous"
        yield Call(op, tuple(arrays), sample.attrs, named)
        if kind is dtypes.float32:
            for i, layout in enumerate(("transposed", "strided"), 1):
                changed = (list(_layouts(x))[i][1] if isinstance(x, np.ndarray) and x.ndim else x for x in arrays)
                yield Call(op, tuple(changed), sample.attrs, layout)
            if sum(k is not None for k in kinds) > 1:
                yield Call(op, (*arrays[:-1], arrays[-1][:1] if kinds[-1] else arrays[-1]), sample.attrs, "row")
                yield Call(op, (*arrays[:-1], arrays[-1][:, :1] if kinds[-1] else arrays[-1]), sample.attrs, "column")


def _moves(count: int, rng: np.random.Generator) -> Iterator[Call]:
    for kind in (dtypes.float32, dtypes.uint8):
        x = _array(rng, count // 2, kind)
        for dim in (0, 1):
            yield Call(lookup("cat"), (x, x), {"dim": dim}, f"{kind.name} dim={dim}")
        wide = x[:, :, None]
        yield Call(lookup("cat"), (wide, wide), {"dim": 2}, f"{kind.name} stack")
    x = _array(rng, count, dtypes.float32)
    yield from (Call(lookup("contiguous"), (y,), {}, name) for name, y in list(_layouts(x))[1:])
    for b in (x[:1].T, np.ones((COLUMNS, COLUMNS), np.float32)):
        yield Call(lookup("matmul"), (x, np.ascontiguousarray(b)), {}, f"{b.shape[1]} columns")
    yield Call(lookup("matmul"), (np.ascontiguousarray(x[:, :1].T), x), {}, "1 row")
    yield Call(lookup("matmul"), (x.reshape(-1, 5, 5), x.reshape(-1, 5, 5)), {}, "batch of small ones")
    at = rng.integers(0, x.shape[0], x.shape)
    yield Call(lookup("gather"), (x, at), {"dim": 0}, "dim 0")
    classes = rng.integers(0, COLUMNS, x.shape[0])
    sample = next(s for s in lookup("cross_entropy").sample(rng) if s.raises is None)
    yield Call(lookup("cross_entropy"), (x, classes, *sample.operands[2:]), sample.attrs, "rows")


def _positions(count: int, rng: np.random.Generator) -> Iterator[Call]:
    """Reads and writes at positions, and what runs in order."""
    x = _array(rng, count, dtypes.float32)
    rows, columns = rng.integers(0, x.shape[0], x.shape[0]), rng.integers(0, COLUMNS, x.shape[0])
    flat, every = np.ascontiguousarray(x.reshape(-1)), rng.integers(0, x.size, x.size)
    within = rng.integers(0, COLUMNS, x.shape)
    for name in ("scatter", "scatter_add"):
        yield Call(lookup(name), (x, rng.integers(0, x.shape[0], x.shape), x), {"dim": 0}, "dim 0")
        yield Call(lookup(name), (x, within, x), {"dim": 1}, "dim 1")
        yield Call(lookup(name), (x, columns[:, None], x[:, :1]), {"dim": 1}, "one a row")
    yield Call(lookup("gather"), (x, within), {"dim": 1}, "dim 1")
    yield Call(lookup("embedding"), (x, rows), {}, "rows")
    yield Call(lookup("index"), (x, rng.integers(0, COLUMNS, COLUMNS)), {"dims": (1,)}, "columns")
    yield Call(lookup("index"), (x, np.arange(x.shape[0]), columns), {"dims": (0, 1)}, "pairs")
    yield Call(lookup("index"), (flat, every), {"dims": (0,)}, "flat")
    for accumulate in (False, True):
        attrs = {"dims": (0,), "accumulate": accumulate}
        yield Call(lookup("index_put"), (x, rows, x), attrs, f"rows{' added' * accumulate}")
        yield Call(lookup("index_put"), (flat, every, flat), attrs, f"flat{' added' * accumulate}")
    yield Call(lookup("spread"), (x, rows), {"dims": (0,), "shape": x.shape}, "rows")
    yield Call(lookup("spread"), (x, rows % 50), {"dims": (0,), "shape": (50, COLUMNS)}, "few rows")
    for name in ("cumsum", "cumprod"):
        for dim in (0, 1):
            yield Call(lookup(name), (x,), {"dim": dim}, f"dim {dim}")
        yield Call(lookup(name), (flat,), {"dim": 0}, "flat")
    for dim in (0, 1):
        yield Call(lookup("flip"), (x,), {"dims": (dim,)}, f"dim {dim}")
        yield Call(lookup("pad"), (x, 0.0), {"dim": dim, "before": 3, "after": 2}, f"dim {dim}")


def measure(call: Call) -> dict[str, Any] | None:
    """Microseconds of both and their ratio; None where eager refuses the call."""
    library = importlib.import_module((__package__ or "").rpartition(".")[0])
    operands = [library.from_numpy(x) if isinstance(x, np.ndarray) else x for x in call.operands]
    tensors, op, attrs = [x for x in operands if isinstance(x, library.Tensor)], call.op, call.attrs

    def eager(*xs: Any) -> Any:
        given = iter(xs)
        return op(*[next(given) if isinstance(x, library.Tensor) else x for x in operands], **attrs)

    compiled = library.compile(eager, fullgraph=True)
    try:
        compiled(*tensors)
    except (FusewireError, TypeError) as error:
        print(f"{op.name} {call.layout}: {error}", file=sys.stderr)
        return None
    contenders = {"eager": lambda: eager(*tensors), "compiled": lambda: compiled(*tensors)}
    times = interleaved(contenders, rounds=7, seconds=0.002)
    for _ in range(AGAIN if times["compiled"] > times["eager"] else 0):
        times = min(times, interleaved(contenders, seconds=0.004), key=lambda t: t["compiled"] / t["eager"])
    count = max(x.numel() for x in tensors)
    return {"record": op.name, "layout": call.layout, "elements": count, "eager_us": round(1e6 * times["eager"], 2),
            "compiled_us": round(1e6 * times["compiled"], 2), "ratio": round(times["compiled"] / times["eager"], 3)}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Measure, print."""
    sizes: Iterable[int] = [int(a.partition("=")[2]) for a in arguments if a.startswith("--elements=")] or ELEMENTS
    names = {a for a in arguments if not a.startswith("--")}
    importlib.import_module((__package__ or "").rpartition(".")[0]).set_num_threads(1)
    rows = []
    for count in sizes:
        for call in calls(count):
            row = measure(call) if not names or call.op.name in names else None
            if row is not None:
                rows.append(row)
                print(json.dumps(row), flush=True)
    print(f"\n{len(rows)} calls; slowest against eager:")
    for row in sorted(rows, key=lambda r: -r["ratio"])[:WORST]:
        print(f"{row['ratio']:7.2f}  {row['record']:16s} {row['layout']:28s} {row['elements']:9d}  {row['compiled_us']:10.1f} us")


if __name__ == "__main__":
    main(sys.argv[1:])
