"""Gradient rules against finite differences in float64, first and second order, over the records' samples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire.ir.op import Op, Sample

sys.path.insert(0, str(Path(__file__).parent))
from op_cases import ALL, Toy, call, close, gradients, samples

differentiable = [op for op in ALL if op.grad is not None]
each_op = pytest.mark.parametrize("op", differentiable, ids=[op.name for op in differentiable])
#: Rules that are constant or not smooth enough for a second difference.
FIRST_ORDER_ONLY = ("floor_divide", "remainder")
#: Matrices of which one triangle is read, the other being the same: the slope is taken along symmetric directions.
SYMMETRIC = ("cholesky", "eigh", "eigvalsh")


def directions(op: Op, rng: np.random.Generator, values: list[np.ndarray]) -> list[np.ndarray]:
    """Where to take the slope of `op` at `values`."""
    along = [rng.normal(size=v.shape) for v in values]
    return [a + a.swapaxes(-1, -2) for a in along] if op.name in SYMMETRIC else along


def smooth(op: Op) -> list[Sample]:
    """Samples all of whose floating operands are finite float64, with something to differentiate."""
    found = []
    for s in map(widened, samples(op)):
        arrays = [x for x in s.operands if isinstance(x, np.ndarray)]
        fl = [a for a in arrays if a.dtype.kind not in "biu"]
        fit = all(a.dtype == np.float64 and np.isfinite(a).all() for a in fl) and sum(a.size for a in fl)
        if fit and "ties" not in s.note:
            found.append(s)
    return found


def widened(sample: Sample) -> Sample:
    """The sample in float64 where it is in float32."""
    operands = tuple(x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x for x in sample.operands)
    return Sample(operands, sample.attrs, sample.raises, sample.note)


def with_floats(sample: Sample, values: list[Toy]) -> list[Any]:
    """The sample's operands as Toys, its floating ones replaced."""
    rest = iter(values)
    each = (x if not isinstance(x, np.ndarray) else next(rest) if x.dtype == np.float64 else Toy(x) for x in sample.operands)
    return list(each)


def apply(op: Op, operands: list[Any], attrs: dict[str, Any]) -> list[Toy]:
    """The floating results."""
    out = Toy(np.zeros(())).__apply_op__(op, tuple(operands), attrs)
    return [r for r in (out if isinstance(out, tuple) else (out,)) if r.dtype.is_floating_point]


def first_order(op: Op, sample: Sample, values: list[np.ndarray], weights: list[Any]) -> tuple[list[Toy], list[Any]]:
    """(operands, their gradients of the sum of <out, weights> over the results)."""
    toys = [Toy(v) for v in values]
    outs = apply(op, with_floats(sample, toys), sample.attrs)
    return toys, gradients(outs, [Toy(np.broadcast_to(w, o.shape)) for o, w in zip(outs, weights, strict=True)], toys)


def usable(outs: list[Toy]) -> bool:
    """Whether all results are float64, and there is one."""
    return bool(outs) and all(o.dtype.short == "f64" for o in outs)


def directional(f: Any, values: list[np.ndarray], along: list[np.ndarray], h: float = 1e-6) -> float:
    """Slope of `f` at `values` by a central difference."""
    up, down = ([v + s * h * a for v, a in zip(values, along, strict=True)] for s in (1, -1))
    return float((f(up) - f(down)) / (2 * h))


@each_op
def test_gradient_is_the_slope(op: Op) -> None:
    rng = np.random.default_rng(3)
    cases = smooth(op)
    assert cases
    for sample in cases:
        values = [x for x in sample.operands if isinstance(x, np.ndarray) and x.dtype == np.float64]
        plain = apply(op, with_floats(sample, [Toy(v) for v in values]), sample.attrs)
        if not usable(plain):
            continue
        weights = [rng.normal(size=o.shape) for o in plain]
        _, grads = first_order(op, sample, values, weights)
        along = directions(op, rng, values)

        def value(at: list[np.ndarray], sample: Sample = sample, weights: Any = weights) -> float:
            outs = apply(op, with_floats(sample, [Toy(v) for v in at]), sample.attrs)
            return sum(float(np.sum(o.array * w)) for o, w in zip(outs, weights, strict=True))

        for g, v in zip(grads, values, strict=True):
            assert g is not None and g.shape == v.shape, f"{op.name}: {sample.note}"
        if not all(np.isfinite(o.array).all() for o in plain):
            continue
        slope = sum(float(np.sum(g.array * a)) for g, a in zip(grads, along, strict=True))
        assert slope == pytest.approx(directional(value, values, along), rel=2e-5, abs=2e-6), f"{op.name}: {sample}"


@each_op
def test_gradient_of_the_gradient(op: Op) -> None:
    """The rules are op calls, so what they compute can be differentiated by the same rules."""
    if op.name in FIRST_ORDER_ONLY:
        return
    rng = np.random.default_rng(4)
    for sample in smooth(op)[:12]:
        values = [x for x in sample.operands if isinstance(x, np.ndarray) and x.dtype == np.float64]
        outs = apply(op, with_floats(sample, [Toy(v) for v in values]), sample.attrs)
        if not usable(outs) or not all(np.isfinite(o.array).all() for o in outs):
            continue
        weights = [rng.normal(size=o.shape) for o in outs]
        mix = [rng.normal(size=v.shape) for v in values]
        along = directions(op, rng, values)

        def pulled(at: list[np.ndarray], sample: Sample = sample, weights: Any = weights, mix: Any = mix) -> float:
            _, gs = first_order(op, sample, at, weights)
            return sum(float(np.sum(g.array * m)) for g, m in zip(gs, mix, strict=True))

        toys, grads = first_order(op, sample, values, weights)
        second = [np.zeros(v.shape) for v in values]
        for g, m in zip(grads, mix, strict=True):
            for k, piece in enumerate(gradients(g, Toy(m), toys)):
                second[k] = second[k] + (piece.array if piece is not None else 0)
        slope = sum(float(np.sum(s * a)) for s, a in zip(second, along, strict=True))
        assert slope == pytest.approx(directional(pulled, values, along, 1e-5), rel=1e-4, abs=1e-5), f"{op.name}: {sample}"


def test_cast_hands_the_gradient_back_in_the_operand_dtype() -> None:
    from fusewire.ir import dtypes
    from fusewire.ir.ops.casts import cast

    x = Toy(np.ones(3))
    g = gradients(cast(x, dtype=dtypes.bfloat16), Toy(np.ones(3, dtypes.bfloat16.np)), [x])[0]
    assert g.dtype is dtypes.float64


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "layer_norm", "cross_entropy", "gelu", "sigmoid", "mean", "var"])
def test_half_gradients_have_the_operand_dtype(name: str) -> None:
    from fusewire.ir.op import OPS

    op = OPS[name]
    for sample in samples(op):
        toys = [Toy(x) for x in sample.operands if isinstance(x, np.ndarray)]
        if toys[0].dtype.is_half:
            rest = iter(toys)
            (out,) = apply(op, [next(rest) if isinstance(x, np.ndarray) else x for x in sample.operands], sample.attrs)
            for g, x in zip(gradients(out, Toy(np.ones(out.shape, out.array.dtype)), toys), toys, strict=True):
                assert g is None or (g.dtype is x.dtype and g.shape == x.shape)


def test_calls_and_tolerances_agree() -> None:
    """The helper that compares is itself strict."""
    op = next(op for op in ALL if op.name == "add")
    sample = next(iter(samples(op)))
    (out,) = call(op, Toy, sample)
    with pytest.raises(AssertionError):
        close(out.array, out.array ^ True, op.tolerance)


@pytest.mark.parametrize("values", [[1.0, 0.0, 3.0, -2.0, 0.0], [0.0] * 4, [2.0, 0.5, -1.0], [0.0], [1.5, 0.0]])
def test_every_derivative_of_a_product_is_right_at_zeros(values: list[float]) -> None:
    """The n-th mixed derivative of a product is the product of the elements not differentiated by."""
    from fusewire.ir.op import lookup
    from fusewire.ir.ops.shape import slice_

    x = Toy(np.array(values))
    out = lookup("prod")(x, dim=(0,), keepdim=False)
    for order, k in enumerate(range(len(values)), 1):
        (g,) = gradients(out, Toy(np.ones(out.shape)), [x])
        rest = [float(np.prod([v for i, v in enumerate(values[k:]) if i != j])) for j in range(len(values) - k)]
        assert g.array[k:] == pytest.approx(rest), f"derivative {order}"
        assert (g.array[:k] == 0).all()
        out = slice_(g, dim=0, start=k, stop=k + 1, step=1)


def test_the_products_of_others_with_a_symbolic_size_are_those_with_a_constant_one() -> None:
    from fusewire.ir.ops import reductions

    for n in range(8):
        x = Toy(np.random.default_rng(n).normal(size=(3, n)))
        np.testing.assert_allclose(reductions._others_of_many(x).array, reductions._others(x).array, rtol=1e-12)


def test_a_write_through_an_overlapping_window_has_no_gradient_and_says_so() -> None:
    from fusewire.errors import AutogradError
    from fusewire.ir.op import lookup

    x, y = Toy(np.zeros(4)), Toy(np.ones((2, 2)))
    out = lookup("as_strided_scatter")(x, y, shape=(2, 2), strides=(1, 1), offset=0)
    with pytest.raises(AutogradError, match=r"window \[2, 2\] with strides \[1, 1\] may be the same one"):
        gradients(out, Toy(np.ones(4)), [x, y])
