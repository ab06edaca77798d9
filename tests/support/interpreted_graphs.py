"""Graphs of the records' samples and random ones: each kernel by Triton's interpreter and by the reference, on the same memory.

    python interpreted_graphs.py chosen|rounds EVERY

"chosen": by the model's configuration; "rounds": small blocks, loops in several rounds, indices of 64 bits. EVERY: one sample
of so many. Prints what differs or hangs on the order of threads, and as the last line the counts as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import triton_interpreter  # isort: skip  (decides how triton is imported)

import numpy as np
import random_graphs

from fusewire import pipeline
from fusewire.backends import reference
from fusewire.backends.gpu.config import Config, choose
from fusewire.backends.gpu.spread import spread
from fusewire.errors import FusewireError
from fusewire.ir import dtypes, layout
from fusewire.ir.graph import Builder, Graph, produced_symbols
from fusewire.ir.loops import Kernel
from fusewire.ir.ops.casts import cast
from fusewire.ir.ops.pointwise import add, exp, mul

_RANDOM = 60
_TOLERANCE = {2: 1e-2, 4: 2e-5, 8: 1e-10}


@dataclass(slots=True)
class Both:
    """A back end that runs every kernel twice and keeps what the reference gives."""

    rounds: bool
    kernels: int = 0
    different: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def run(self, kernel: Kernel, buffers: Sequence[Any], values: Mapping[str, int], scalars: Sequence[Any]) -> int:
        """As `reference.run_kernel`."""
        wanted, got = [b.copy() for b in buffers], [b.copy() for b in buffers]
        status = reference.run_kernel(kernel, wanted, values, scalars)
        text = str(kernel).split("(", 1)[1]
        if text not in self.seen:
            self.seen.add(text)
            self.kernels += 1
            if not self._agrees(kernel, got, wanted, values, scalars, status):
                self.different.append(kernel.name)
        for b, w in zip(buffers, wanted, strict=True):
            if b.flags.writeable:
                b[...] = w
        return status

    def _agrees(
        self, kernel: Kernel, got: list[Any], wanted: list[Any], values: Mapping[str, int], scalars: Sequence[Any], status: int
    ) -> bool:
        config = None
        if self.rounds:
            vectors = choose(spread(kernel)).rblock
            config = Config(4 if vectors else 32, 8 if vectors else 0, False, 4, True)
        try:
            found = triton_interpreter.run_kernel(kernel, got, values, scalars, config)
        except Exception as e:
            print(kernel.name, type(e).__name__, e)
            return False
        if found != status:
            print(kernel.name, "status", found, "rather than", status)
        return found == status and (status != 0 or all(map(close, wanted, got)))


def close(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays agree up to the rounding of their type; integers in every bit."""
    if a.dtype.kind in "biu" or a.dtype in {kind.np for kind in dtypes.BYTES}:
        a, b = (x.view(np.uint8) if x.itemsize == 1 else x for x in (a, b))
        return bool(np.array_equal(a, b))
    tolerance = _TOLERANCE[a.dtype.itemsize]
    return bool(np.allclose(a.astype(np.float64), b.astype(np.float64), rtol=tolerance, atol=tolerance, equal_nan=True))


def byte_floats(kind: dtypes.DType) -> tuple[Graph, list[Any]]:
    """Numbers of all magnitudes to floats of 8 bits, and all of those back."""
    bits = np.random.default_rng(0).integers(0, 1 << 32, 4000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    every = np.arange(256, dtype=np.uint8).view(kind.np)
    hard = np.array([464, 465, 61439, 61440, -np.inf, 2**-10, 2**-17, -0.0], np.float32)
    bits = np.concatenate([bits[np.isfinite(bits)], hard])
    builder = Builder("byte_floats")
    x, y = (builder.input(layout.type_of_array(a)) for a in (bits, every))
    back = builder.emit(cast, (y,), {"dtype": dtypes.float32})
    return builder.finish([builder.emit(cast, (x,), {"dtype": kind}), back]), [bits, every]


def turned(rows: int, columns: int) -> tuple[Graph, list[Any]]:
    """A matrix and a transposed one: by tiles where their sides allow it."""
    x, y = np.random.default_rng(0).standard_normal((2, rows * columns)).astype(np.float32)
    x, y = x.reshape(columns, rows).T, y.reshape(rows, columns)
    builder = Builder("turned")
    a, b = (builder.input(layout.type_of_array(v)) for v in (x, y))
    return builder.finish([builder.emit(add, (a, b), {})]), [x, y]


def updates() -> tuple[Graph, list[Any]]:
    """Many small kernels that do not wait for one another, some of them alike: one launch."""
    builder, inputs, outputs = Builder("updates"), [], []
    for n, shape in enumerate([(40,), (3, 5), (), (130,), (7,), (), (0,), (1100,), (128,)]):
        x, y = np.random.default_rng(n).standard_normal((2, *shape)).astype(np.float32)
        a, b = (builder.input(layout.type_of_array(np.asarray(v))) for v in (x, y))
        kept = builder.emit(mul, (a, 0.5), {})
        outputs += [builder.emit(add, (kept, b), {}), *([builder.emit(exp, (b,), {})] if n % 2 else [])]
        inputs += [np.asarray(x), np.asarray(y)]
    return builder.finish(outputs), inputs


def graphs(every: int, sides: Sequence[tuple[int, int]]) -> Iterator[tuple[Graph, list[Any]]]:
    """Graphs with their inputs; `sides` of matrices beside transposed ones."""
    cases = [(op, s) for op in random_graphs.every_op() for s in random_graphs.samples(op)]
    for op, sample in cases[::every]:
        builder, inputs, operands = Builder("g"), [], []
        for x in sample.operands:
            x = np.asarray(x) if isinstance(x, np.generic) else x
            operands.append(builder.input(layout.type_of_array(x)) if isinstance(x, np.ndarray) else x)
            inputs += [x] if isinstance(x, np.ndarray) else []
        try:
            made = builder.emit(op, operands, sample.attrs)
        except FusewireError:  # takes its numbers from outside of graphs
            continue
        yield builder.finish(list(made) if isinstance(made, tuple) else [made]), inputs
    for kind in dtypes.BYTES:
        yield byte_floats(kind)
    for rows, columns in sides:
        yield turned(rows, columns)
    yield updates()
    for seed in range(0, _RANDOM, every):
        yield random_graphs.random_graph(seed)


#: of several stores to one element any may win, as in PyTorch; a copy with overlapping elements stores the same
_ANY = {"two programs store one element"}


def raced() -> dict[str, list[str]]:
    """The kernels whose results hang on the order in which threads or programs run."""
    stores = {name for name in triton_interpreter.found if any(op in name for op in ("scatter", "index_put", "copy"))}
    found = {name: kinds - (_ANY if name in stores else set()) for name, kinds in triton_interpreter.found.items()}
    return {name: sorted(kinds) for name, kinds in found.items() if kinds}


def main(way: str, every: str) -> None:
    """Run all and print what was found."""
    both = Both(way == "rounds")
    backend = pipeline.Backend(lambda kernels: both.run, launches=pipeline.LAUNCHES)
    sides = ((8, 12), (10, 13)) if both.rounds else ((128, 192), (160, 130))  # small blocks make no tiles of a matrix
    for graph, inputs in graphs(int(every), sides):
        if not produced_symbols(graph):
            pipeline.compile_graph(graph, backend=backend).run(list(inputs))
    print(json.dumps({"kernels": both.kernels, "different": both.different, "raced": raced()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
