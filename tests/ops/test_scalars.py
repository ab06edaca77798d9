"""The NumPy meaning of scalar primitives: completeness, erf, Philox against NumPy's generator, exact rounding of draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusewire.ir import dtypes, numpy_math
from fusewire.ir.loops import PRIMITIVES
from fusewire.ir.op import OPS, lookup
from fusewire.ir.ops import random as draws
from fusewire.ir.scalar_numpy import MEANING, NumpyScalars
from fusewire.ir.types import tensor


def test_every_primitive_has_a_meaning() -> None:
    assert {name.rstrip("_") for name in MEANING} == set(PRIMITIVES) - {"cast"}
    s = NumpyScalars((2,), np.dtype(np.float32))
    assert s.cast(s.const(1.5), dtypes.int64).dtype == np.int64
    with pytest.raises(AttributeError, match="no scalar primitive"):
        s.gamma(s.const(1.0))
    with pytest.raises(TypeError, match="operands of one dtype"):
        s.add(s.const(1.0), s.index(0))


def test_erf_is_within_two_units_in_the_last_place() -> None:
    x = np.concatenate([np.linspace(-7, 7, 40001), np.geomspace(1e-300, 1, 500), [0.0, np.inf, -np.inf]])
    want = np.array([math.erf(v) for v in x])
    np.testing.assert_array_max_ulp(numpy_math.erf(x), want, 2)
    assert np.isnan(numpy_math.erf(np.array(np.nan)))
    assert numpy_math.erf(np.float32(0.5)).dtype == np.float32


@pytest.mark.parametrize(("key", "counter"), [(0, 0), (12345, 7), (-3, 2**62), (2**63 - 1, 0)])
def test_philox_is_numpys_stream(key: int, counter: int) -> None:
    n = np.arange(23)
    words = numpy_math.philox(np.int64(key), counter + n // 4, n % 4).view(np.uint64)
    np.testing.assert_array_equal(words, numpy_math.philox_words(key, counter, 23))
    if counter:
        own = np.random.Philox(key=np.array([key % 2**64, 0], np.uint64), counter=[counter - 1, 0, 0, 0])
        np.testing.assert_array_equal(words, own.random_raw(23))


def test_uniform_numbers_are_numpys_doubles() -> None:
    own = np.random.Generator(np.random.Philox(key=np.array([5, 0], np.uint64), counter=[8, 0, 0, 0])).random(12)
    got = lookup("rand").eager(np.array([5, 9]), shape=(3, 4), dtype=dtypes.float64)
    np.testing.assert_array_equal(got.reshape(-1), own)


@pytest.mark.parametrize("dtype", dtypes.FLOATING, ids=str)
def test_uniform_numbers_are_below_one_in_every_dtype(dtype: dtypes.DType) -> None:
    x = lookup("rand").eager(np.array([1, 0]), shape=(20000,), dtype=dtype).astype(np.float64)
    assert x.min() >= 0 and x.max() < 1
    assert abs(x.mean() - 0.5) < 0.02 and abs(x.var() - 1 / 12) < 0.005


def test_normal_numbers_have_the_moments_of_the_normal_distribution() -> None:
    x = lookup("randn").eager(np.array([3, 0]), shape=(40000,), dtype=dtypes.float64)
    assert abs(x.mean()) < 0.02 and abs(x.std() - 1) < 0.02 and abs((x**4).mean() - 3) < 0.2
    assert np.isfinite(x).all()


@pytest.mark.parametrize(("name", "per_block"), [("rand", 4), ("randn", 4), ("dropout", 4)])
def test_blocks_drawn(name: str, per_block: int) -> None:
    count = OPS[name].effects.draws
    assert count is not None
    for n in (0, 1, per_block, per_block + 1, 100):
        assert count(tensor((n,), dtypes.float32)) == -(-n // per_block)


def test_two_draws_in_a_row_are_one_longer_draw() -> None:
    state = np.array([11, 4])
    rand, advance = lookup("rand").eager, lookup("rng_advance").eager
    whole = rand(state, shape=(20,), dtype=dtypes.float32)
    later = advance(state, blocks=draws.blocks_of(4, 4)(tensor((8,), dtypes.float32)))
    np.testing.assert_array_equal(whole[8:], rand(later, shape=(12,), dtype=dtypes.float32))


def test_dropout_drops_where_the_uniform_numbers_are_below_p() -> None:
    x, state = np.ones((50, 40), np.float32), np.array([2, 0])
    out = lookup("dropout").eager(x, state, p=0.25)
    kept = lookup("rand").eager(state, shape=x.shape, dtype=dtypes.float32) >= 0.25
    np.testing.assert_array_equal(out, np.where(kept, np.float32(1 / 0.75), 0))
