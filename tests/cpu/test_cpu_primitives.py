"""Every primitive and every combine, for every legal dtype and way of writing vectors, against NumPy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fusewire.backends.cpu import scalar
from fusewire.ir import dtypes, loops, sizes
from fusewire.ir.loops import Acc, Axis, Buffer, Compute, Const, Index, Kernel, Load, Reduce, Store
from fusewire.ir.scalar_numpy import MEANING

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from run_kernel import TARGETS, apply, run

FLOATS = (dtypes.float32, dtypes.float64)
INTS = dtypes.INTEGRAL
BOOL = (dtypes.bool_,)
ROUNDED = {"exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf", "pow"}
LEGAL = {
    **dict.fromkeys(("add", "mul", "minimum", "maximum", "eq", "lt", "le"), FLOATS + INTS + BOOL),
    **dict.fromkeys(("sub", "div", "mod", "fma", "neg", "abs", "pow", "floor", "ceil", "trunc", "round"), FLOATS + INTS),
    **dict.fromkeys(("sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf"), FLOATS),
    **dict.fromkeys(("and", "or", "xor", "not"), INTS + BOOL),
    **dict.fromkeys(("shl", "shr"), INTS),
    "select": dtypes.ALL,
}


def values(rng: np.random.Generator, dtype: dtypes.DType, n: int) -> np.ndarray:
    """Ordinary and extreme values of `dtype`."""
    if dtype.kind == "b":
        return rng.integers(0, 2, n).astype(bool)
    if dtype.kind in "ui":
        info = np.iinfo(dtype.np)
        out = rng.integers(info.min, info.max, n, endpoint=True, dtype=dtype.np)
        small = rng.integers(max(info.min, -4), 5, n).astype(dtype.np)
        return np.where(rng.random(n) < 0.5, out, small).astype(dtype.np)
    with np.errstate(all="ignore"):
        out = (rng.normal(size=n) * 10 ** rng.uniform(-3, 3, n)).astype(dtype.np)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, 1.5, 2.5, -2.5]
    out[: len(special)] = np.array(special).astype(dtype.np)
    rng.shuffle(out)
    return out


def operands(rng: np.random.Generator, prim: str, dtype: dtypes.DType, n: int) -> list[np.ndarray]:
    """Operands for which `prim` is defined."""
    xs = [values(rng, dtype, n) for _ in range(loops.PRIMITIVES[prim])]
    if prim == "select":
        xs[0] = rng.integers(0, 2, n).astype(bool)
    if dtype.kind in "ui":
        if prim in ("div", "mod"):
            xs[1] = np.where(xs[1] == 0, dtype.np.type(3), xs[1])
        if prim == "pow":
            xs[1] = rng.integers(0, 100, n).astype(dtype.np)
        if prim in ("shl", "shr"):
            xs[1] = rng.integers(0, 8 * dtype.itemsize, n).astype(dtype.np)
    return xs


def expected(prim: str, xs: list[np.ndarray]) -> np.ndarray:
    """NumPy's answer."""
    with np.errstate(all="ignore"):
        if prim == "floor" or (xs[0].dtype.kind in "ui" and prim in ("ceil", "trunc", "round")):
            return np.floor(xs[0]).astype(xs[0].dtype)
        name = prim + "_" if prim in ("and", "or", "not") else prim
        return np.asarray(MEANING[name](*xs))


def test_every_primitive_is_here() -> None:
    special = {"cast", "select", "philox"}
    assert set(scalar.RULES) == set(loops.PRIMITIVES) - special
    assert set(LEGAL) == set(loops.PRIMITIVES) - {"cast", "philox"}
    assert set(loops.COMBINES) <= set(scalar.RULES)


@pytest.mark.parametrize("prim", sorted(LEGAL))
def test_primitive(prim: str) -> None:
    rng = np.random.default_rng(len(prim))
    for dtype in LEGAL[prim]:
        for number, target in enumerate(TARGETS[:2]):
            xs = operands(rng, prim, dtype, 75)
            want = expected(prim, xs)
            out = dtypes.from_numpy(want.dtype) if prim in ("eq", "lt", "le") else dtype
            got = apply(prim, xs, out, target)
            say = f"{prim} {dtype} {TARGETS[number]}"
            if prim in ROUNDED and dtype.kind == "f":
                eps = np.finfo(dtype.np).eps
                np.testing.assert_allclose(got, want, rtol=4 * eps, atol=0, err_msg=say)
            elif prim == "fma" and dtype.kind == "f":
                np.testing.assert_allclose(got, want, rtol=1e-4, err_msg=say)
            else:
                np.testing.assert_array_equal(got.astype(out.compute), want.astype(out.compute), err_msg=say)


@pytest.mark.parametrize("source", dtypes.ALL, ids=str)
def test_cast(source: dtypes.DType) -> None:
    rng = np.random.default_rng(3)
    x = values(rng, source, 150)
    for target in dtypes.ALL:
        with np.errstate(all="ignore"):
            if source.kind == "f" and target.kind in "ui":
                x = np.nan_to_num(x.astype(np.float64), nan=3.7, posinf=100.9, neginf=-100.9).astype(source.np)
            wide = x.astype(source.compute)
            through = np.int32 if source.kind == "f" and target.kind in "ui" and target.itemsize < 4 else None
            want = (wide.astype(through) if through else wide).astype(target.np)
        for way in TARGETS[:2]:
            got = apply("cast", [x], target, way)
            np.testing.assert_array_equal(
                got.astype(target.compute), want.astype(target.compute), err_msg=f"{source} -> {target} {way}"
            )


def test_cast_to_half_rounds_once() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=4000) * 10 ** rng.uniform(-8, 5, 4000)
    x[:3] = [1 + 2**-11 + 2**-40, 65519.999999, 2**-25 * (1 + 2**-50)]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(apply("cast", [x], dtypes.float16), x.astype(np.float16))
        narrow = x.astype(np.float32)
        got = apply("cast", [narrow], dtypes.bfloat16)
        np.testing.assert_array_equal(got.view(np.uint16), narrow.astype(dtypes.bfloat16.np).view(np.uint16))


def test_shift_beyond_width_and_division_in_switched_off_lanes() -> None:
    x = np.array([1, -1, 5, -8], np.int32)
    by = np.array([32, 40, 31, 33], np.int32)
    np.testing.assert_array_equal(apply("shl", [x, by], dtypes.int32), [0, 0, np.int32(-(2**31)), 0])
    np.testing.assert_array_equal(apply("shr", [x, by], dtypes.int32), [0, -1, 0, -1])
    lowest = np.full(3, -(2**31), np.int32)
    np.testing.assert_array_equal(apply("div", [lowest, np.full(3, -1, np.int32)], dtypes.int32), lowest)
    np.testing.assert_array_equal(apply("mod", [lowest, np.full(3, -1, np.int32)], dtypes.int32), 0)


def test_casts_that_do_not_fit() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30], np.float32)
    assert set(apply("cast", [x], dtypes.int64).tolist()) == {-(2**63)}
    assert set(apply("cast", [x], dtypes.int32).tolist()) == {-(2**31)}


@pytest.mark.parametrize("target", TARGETS[:2], ids=str)
def test_philox_is_numpys(target: object) -> None:
    key = 0x123456789ABCDEF
    want = np.random.Philox(key=key, counter=6).random_raw(256).astype(np.uint64)
    index = np.arange(256)
    keys = np.full(256, key, np.int64)
    got = apply("philox", [keys, 7 + index // 4, index % 4], dtypes.int64, target)  # NumPy counts before it draws
    np.testing.assert_array_equal(got.view(np.uint64), want)


@pytest.mark.parametrize("target", TARGETS[:2], ids=str)
def test_philox_of_any_words(target: object) -> None:
    """Counters, words and keys in no order, and the same words asked for twice."""
    rng = np.random.default_rng(4)
    n = 150
    key, counter, word = rng.integers(2**40, size=n), rng.integers(2**62, size=n), rng.integers(4, size=n)
    np.testing.assert_array_equal(
        apply("philox", [key, counter, word], dtypes.int64, target), MEANING["philox"](key, counter, word)
    )
    i = sizes.symbol("i")
    body = (
        Const("k", 3, dtypes.int64), Index("c", sizes.floordiv(i, 4)), Index("w", sizes.mod(i, 4)),
        Compute("a", "philox", ("k", "c", "w"), dtypes.int64), Compute("b", "philox", ("k", "c", "w"), dtypes.int64),
        Compute("d", "xor", ("a", "b"), dtypes.int64), Store("o", i, "d"), Store("p", i, "b"),
    )  # fmt: skip
    buffers = Buffer("o", dtypes.int64, n, "w"), Buffer("p", dtypes.int64, n, "w")
    o, p = np.ones(n, np.int64), np.ones(n, np.int64)
    assert run(Kernel("k", buffers, (), (), (Axis("i", n),), body), [o, p], target=target) == 0
    at = np.arange(n)
    np.testing.assert_array_equal(p, MEANING["philox"](np.full(n, 3), at // 4, at % 4))
    assert not o.any()


@pytest.mark.parametrize("combine", loops.COMBINES)
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_combine(combine: str, target: object) -> None:
    rng = np.random.default_rng(11)
    legal = {"and": INTS + BOOL, "or": INTS + BOOL, "add": FLOATS + INTS, "mul": FLOATS + INTS}.get(combine, FLOATS + INTS + BOOL)
    ufunc = {"add": np.add, "mul": np.multiply, "and": np.bitwise_and, "or": np.bitwise_or}.get(combine) or getattr(np, combine)
    for dtype in legal:
        for extent in (0, 1, 37, 200):
            if extent == 0 and combine in ("maximum", "minimum"):
                continue
            x = values(rng, dtype, 3 * max(extent, 12)).reshape(3, -1)[:, :extent]
            if dtype.kind == "f":
                x = np.where(np.isfinite(x), 1 + x * 1e-4, 1).astype(dtype.np)
            x = np.ascontiguousarray(x)
            i, j = sizes.symbol("i"), sizes.symbol("j")
            body = Reduce((Axis("j", extent),), (Load("a", "x", i * extent + j),), (Acc("s", combine, "a", dtype),))
            buffers = Buffer("x", dtype, 3 * extent, "r"), Buffer("o", dtype, 3, "w")
            kernel = Kernel("k", buffers, (), (), (Axis("i", 3),), (body, Store("o", i, "s")))
            out = np.empty(3, dtype.np)
            assert run(kernel, [x, out], target=target) == 0
            with np.errstate(all="ignore"):
                want = ufunc.reduce(x, axis=1, dtype=dtype.np)
            np.testing.assert_allclose(out, want, rtol=1e-4 if dtype.kind == "f" else 0, err_msg=f"{combine} {dtype} {extent}")


@pytest.mark.parametrize("combine", ["maximum", "minimum"])
def test_extremes_hand_nan_on(combine: str) -> None:
    i = sizes.symbol("i")
    for at in (0, 17, 49, 99):
        x = np.linspace(-1, 1, 100, dtype=np.float32)
        x[at] = np.nan
        body = Reduce((Axis("i", 100),), (Load("a", "x", i),), (Acc("s", combine, "a", dtypes.float32),))
        buffers = Buffer("x", dtypes.float32, 100, "r"), Buffer("o", dtypes.float32, 1, "w")
        out = np.zeros(1, np.float32)
        assert run(Kernel("k", buffers, (), (), (), (body, Store("o", 0, "s"))), [x, out]) == 0
        assert np.isnan(out[0])


@pytest.mark.parametrize("rows, columns", [(5, 64), (7, 33), (3, 256)])
@pytest.mark.parametrize("target", TARGETS[:2], ids=str)
def test_philox_inside_of_a_reduction_over_rows(target: object, rows: int, columns: int) -> None:
    """Blocks are shared where the vector axis is the outer one, and where a row does not begin with a block."""
    i, r = sizes.symbol("i", 0, columns - 1), sizes.symbol("r", 0, rows - 1)
    at = r * columns + i
    inside = (
        Index("c", sizes.floordiv(at, 4)), Index("w", sizes.mod(at, 4)), Compute("a", "philox", ("k", "c", "w"), dtypes.int64),
        Store("p", at, "a"),
    )  # fmt: skip
    rounds = Reduce((Axis("r", rows),), inside, (Acc("s", "add", "a", dtypes.int64),))
    body = Const("k", 3, dtypes.int64), rounds, Store("o", i, "s")
    n = rows * columns
    buffers = Buffer("o", dtypes.int64, columns, "w"), Buffer("p", dtypes.int64, n, "w")
    o, p = np.ones(columns, np.int64), np.ones(n, np.int64)
    assert run(Kernel("k", buffers, (), (), (Axis("i", columns),), body), [o, p], target=target) == 0
    number = np.arange(n)
    want = MEANING["philox"](np.full(n, 3), number // 4, number % 4)
    np.testing.assert_array_equal(p, want)
    np.testing.assert_array_equal(o, want.reshape(rows, columns).sum(0))
