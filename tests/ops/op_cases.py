"""What the generated op tests share: a small operand class with a tape, evaluation by lowering, and the samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fusewire.ir import dtypes, layout, ops, scalar_numpy, sizes  # noqa: F401  (ops registers the records)
from fusewire.ir.op import OPS, Decompose, Gather, Gemm, Move, Op, Places, Reduce, Sample, Scalar, Scan, Scatter
from fusewire.ir.promote import promoted
from fusewire.ir.run_op import run_op
from fusewire.ir.types import TensorType

ALL = sorted((op for op in OPS.values() if not op.eager_only), key=lambda op: op.name)
FOLD = {
    "add": np.add, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum, "and": np.logical_and, "or": np.logical_or,
}  # fmt: skip


def samples(op: Op) -> Iterator[Sample]:
    """The record's samples that must work."""
    return (s for s in op.sample(np.random.default_rng(7)) if s.raises is None)


def error_samples(op: Op) -> Iterator[Sample]:
    """The record's samples that must raise."""
    return (s for s in op.sample(np.random.default_rng(7)) if s.raises is not None)


class Toy:
    """An ndarray that op calls work on. Every call checks `infer` against the array that came out."""

    def __init__(self, array: Any, made: tuple[Op, tuple[Any, ...], dict[str, Any]] | None = None) -> None:
        self.array, self.made = np.asarray(array), made
        self.results: tuple[Toy, ...] = (self,)  # of the call that made it

    @property
    def type(self) -> TensorType:
        return layout.type_of_array(self.array)

    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: self.type.dtype)
    ndim = property(lambda self: self.array.ndim)

    def __apply_op__(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        operands = promoted(op, operands)
        types = op.infer(*[x.type if isinstance(x, Toy) else x for x in operands], **attrs)
        args = [x.array if isinstance(x, Toy) else x for x in operands]
        with np.errstate(all="ignore"):
            results = self.run(op, operands, args, attrs, types)
        for array, t in zip(results, types, strict=True):
            assert layout.type_of_array(array) == t, f"{op.name}: infer says {t}, got {layout.type_of_array(array)}"
        made = tuple(type(self)(array, (op, operands, attrs)) for array in results)
        for x in made:
            x.results = made
        return made if len(made) > 1 else made[0]

    def run(self, op: Op, operands: Any, args: list[Any], attrs: dict[str, Any], types: tuple[TensorType, ...]) -> Any:
        return run_op(op, args, attrs, [t.dtype for t in types])


class Lowered(Toy):
    """A Toy whose ops run by their lowerings: scalar expressions, index pieces, folds and decompositions."""

    def run(self, op: Op, operands: Any, args: list[Any], attrs: dict[str, Any], types: tuple[TensorType, ...]) -> Any:
        low = op.lowering
        if isinstance(low, Scalar):
            made: Any = scalar_numpy.evaluate(op, args, types, **attrs)
        elif isinstance(low, Move):
            made = (moved(low, args, types[0], attrs),)
        elif isinstance(low, Reduce):
            x = args[0].astype(types[0].dtype.compute)
            made = (FOLD[low.combine].reduce(x, attrs["dim"], keepdims=attrs.get("keepdim", False)),)
        elif isinstance(low, Gather):
            made = (gathered(low, args, types[0], attrs),)
        elif isinstance(low, Scatter):
            made = (scattered(low, args, attrs),)
        elif isinstance(low, Scan):
            wide = np.float64 if types[0].dtype.is_floating_point else types[0].dtype.np
            made = (FOLD[low.combine].accumulate(args[0].astype(wide), attrs["dim"]),)
        elif isinstance(low, Gemm):
            wide = types[0].dtype.compute
            made = (np.einsum("...ij,...jk->...ik", *[a.astype(wide) for a in args]),)
        elif isinstance(low, Decompose):
            out = low.fn(*operands, **attrs) if op.effects.draws is None or isinstance(operands[0], Toy) else None
            made = tuple(o.array for o in (out if isinstance(out, tuple) else (out,)))
        else:
            made = super().run(op, operands, args, attrs, types)
        return [placed(np.asarray(m), t) for m, t in zip(made, types, strict=True)]


def placed(array: np.ndarray, t: TensorType) -> np.ndarray:
    """`array` at the strides of `t`, as the buffer of a compiled result would be; its dtype is converted to that of `t`."""
    assert array.shape == t.shape, f"shape {array.shape} for {t}"
    reach = 1 + sum((n - 1) * s for n, s in zip(t.shape, t.strides, strict=True)) if array.size else 0
    out = np.lib.stride_tricks.as_strided(np.zeros(reach, t.dtype.np), t.shape, [s * t.dtype.itemsize for s in t.strides])
    out[...] = array.astype(t.dtype.np)
    return out


def moved(low: Move, args: list[Any], t: TensorType, attrs: dict[str, Any]) -> np.ndarray:
    """The result of a data movement, element by element; exactly one piece must hold everywhere."""
    if math.prod(t.shape) == 0:
        return np.empty(t.shape, t.dtype.np)
    index = [sizes.symbol(f"i{d}", 0, n - 1) for d, n in enumerate(t.shape)]
    return read_pieces(low.fn(tuple(index), [np.shape(a) for a in args], **attrs), args, t.shape, t.dtype.np, {})


def read_pieces(pieces: Any, args: list[Any], shape: Sequence[int], dtype: Any, symbols: dict[str, int]) -> np.ndarray:
    """What the index pieces read. Sizes are evaluated on whole index grids at once."""
    grids = {f"i{d}": g for d, g in enumerate(np.indices(shape))}
    values: Any = {**symbols, **grids}
    out, times = np.zeros(shape, dtype), np.zeros(shape, np.int64)
    for condition, k, at in pieces:
        hold = np.ones(shape, bool)
        if condition is not None:
            low, size, high = (sizes.evaluate(c, values) for c in condition)
            hold = np.broadcast_to((low <= size) & (size < high), shape)
        places = tuple(np.broadcast_to(sizes.evaluate(i, values), shape)[hold] for i in at)
        out[hold] = np.asarray(args[k])[places]
        times += hold
    assert (times == 1).all(), "an output element has no piece or several"
    return out


def located(places: Places, args: list[Any], wraps: bool) -> tuple[int, ...]:
    """The table index that `places` stand for."""
    found = [int(args[k][at]) for k, at in places.positions]
    return places.filled(p + args[0].shape[d] if wraps and p < 0 else p for d, p in zip(places.dims, found, strict=True))


def gathered(low: Gather, args: list[Any], t: TensorType, attrs: dict[str, Any]) -> np.ndarray:
    """An indexed read by a plain loop."""
    out = np.empty(t.shape, args[0].dtype)
    for i in np.ndindex(*t.shape):
        out[i] = args[0][located(low.fn(i, [a.shape for a in args], **attrs), args, low.wraps(**attrs))]
    return out


def scattered(low: Scatter, args: list[Any], attrs: dict[str, Any]) -> np.ndarray:
    """An indexed write by a plain loop, which also finds out whether dimensions said to be apart are."""
    combine, serial = low.combine(**attrs), low.serial([a.shape for a in args], **attrs)
    out, source = args[0].astype(dtypes.from_numpy(args[0].dtype).compute if combine else args[0].dtype), args[-1]
    owners: dict[tuple[int, ...], Any] = {}
    for i in np.ndindex(*source.shape):
        at = located(low.fn(i, [a.shape for a in args], **attrs), args, low.wraps(**attrs))
        apart = tuple(k for d, k in enumerate(i) if d not in serial)
        assert owners.setdefault(at, apart) == apart, "two elements that never meet have one place"
        out[at] = source[i] if combine is None else FOLD[combine](out[at], source[i])
    return out


def call(op: Op, cls: type[Toy], sample: Sample) -> tuple[Toy, ...]:
    """The op's results on a sample."""
    operands = tuple(cls(x) if isinstance(x, np.ndarray) else x for x in sample.operands)
    out = cls(np.zeros(())).__apply_op__(op, operands, sample.attrs)
    return out if isinstance(out, tuple) else (out,)


def close(got: np.ndarray, want: np.ndarray, tolerance: Any) -> None:
    """Within the record's tolerance for the dtype; the same bits (any NaN) where it names none."""
    assert got.dtype == want.dtype
    short = dtypes.from_numpy(want.dtype).short
    rtol, atol = tolerance.get(short, (0, 0))
    kind = np.float64 if want.dtype.kind not in "biu" else want.dtype
    np.testing.assert_allclose(got.astype(kind), want.astype(kind), rtol=rtol, atol=atol, equal_nan=True)


def gradients(out: Toy | Sequence[Toy], seed: Toy | Sequence[Toy], wrt: Sequence[Toy]) -> list[Any]:
    """Gradients of <out, seed>, or of the sum of several such products, by the records' rules; Toys with history themselves, so
    the call can be repeated."""
    from fusewire.ir.ops.pointwise import add

    outs, seeds = ((x,) if isinstance(x, Toy) else tuple(x) for x in (out, seed))
    grads: dict[int, Any] = {id(o): s for o, s in zip(outs, seeds, strict=True)}
    calls = list({id(x.results): x for x in reversed(history(*outs))}.values())  # each where its first result stands
    order = {id(x): k for k, x in enumerate(history(*outs))}
    for x in sorted(calls, key=lambda x: -order[id(x)]):
        if x.made is None or x.made[0].grad is None or not any(id(r) in grads for r in x.results):
            continue
        op, operands, attrs = x.made
        need = tuple(isinstance(o, Toy) and o.dtype.is_floating_point for o in operands)
        arrived = tuple(grads.get(id(r), Toy(np.zeros_like(r.array))) if r.dtype.is_floating_point else None for r in x.results)
        g, out = (arrived[0], x) if len(arrived) == 1 else (arrived, x.results)  # type: ignore[assignment]
        pieces = op.grad(g, need, out, *operands, **attrs)
        for o, piece in zip(operands, pieces, strict=True):
            if isinstance(o, Toy) and piece is not None and o.dtype.is_floating_point:
                piece = fitted(piece, o)
                grads[id(o)] = add(grads[id(o)], piece) if id(o) in grads else piece
    return [grads.get(id(x)) for x in wrt]


def history(*outs: Toy) -> list[Toy]:
    """`outs` and everything they were made from, makers first."""
    seen: dict[int, Toy] = {}

    def visit(x: Toy) -> None:
        if id(x) not in seen:
            for o in x.made[1] if x.made else ():
                if isinstance(o, Toy):
                    visit(o)
            seen[id(x)] = x

    for out in outs:
        visit(out)
    return list(seen.values())


def fitted(g: Toy, like: Toy) -> Toy:
    """A gradient summed down to its operand's shape and cast to its dtype: the engine's part."""
    from fusewire.ir.ops.casts import cast
    from fusewire.ir.ops.reductions import sum_to

    g = g if g.shape == like.shape else sum_to(g, shape=like.shape)
    return g if g.dtype is like.dtype else cast(g, dtype=like.dtype)
