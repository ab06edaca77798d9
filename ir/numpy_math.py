"""What NumPy lacks and the meaning of some primitive needs: the error function and counter-based Philox words.

Pure functions on ndarrays. Knows no op.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Rational approximations of erf on [0, 0.84375), [0.84375, 1.25), [1.25, 1/0.35) and [1/0.35, 6): those of Sun's fdlibm
# (s_erf.c, error below 1 ulp), lowest power first.
_SMALL = (
    (1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02, -5.77027029648944159157e-03,
     -2.37630166566501626084e-05),
    (1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03, 1.32494738004321644526e-04,
     -3.96022827877536812320e-06),
)  # fmt: skip
_MIDDLE = (
    (-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01, 3.18346619901161753674e-01,
     -1.10894694282396677476e-01, 3.54783043256182359371e-02, -2.16637559486879084300e-03),
    (1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02, 1.26171219808761642112e-01,
     1.36370839120290507362e-02, 1.19844998467991074170e-02),
)  # fmt: skip
LARGE = (
    (-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01, -6.23753324503260060396e01,
     -1.62396669462573470355e02, -1.84605092906711035994e02, -8.12874355063065934246e01, -9.81432934416914548592e00),
    (1.0, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02, 6.45387271733267880336e02,
     4.29008140027567833386e02, 1.08635005541779435134e02, 6.57024977031928170135e00, -6.04244152148580987438e-02),
)  # fmt: skip
TAIL = (
    (-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01, -1.60636384855821916062e02,
     -6.37566443368389627722e02, -1.02509513161107724954e03, -4.83519191608651397019e02),
    (1.0, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03, 3.19985821950859553908e03,
     2.55305040643316442583e03, 4.74528541206955367215e02, -2.24409524465858183362e01),
)  # fmt: skip
_ERX = 8.45062911510467529297e-01  # erf(1), rounded to 24 bits; _MIDDLE is fitted to the rest


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Any) -> Any:
    return _polynomial(coefficients[0], x) / _polynomial(coefficients[1], x)


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    out = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        out *= x
        out += c
    return out


def erf(x: Any) -> np.ndarray:
    """The error function, computed in float64 (within 1 ulp), returned in the floating dtype of `x`."""
    x = np.asarray(x)
    wide = np.asarray(np.abs(x)).astype(np.float64)
    out = np.where(np.isnan(wide), np.nan, 1.0)
    part = wide < 0.84375
    t = wide[part]
    out[part] = t + t * _ratio(_SMALL, t * t)
    part = (wide >= 0.84375) & (wide < 1.25)
    out[part] = _ERX + _ratio(_MIDDLE, wide[part] - 1)
    for coefficients, low, high in ((LARGE, 1.25, 1 / 0.35), (TAIL, 1 / 0.35, 6.0)):
        part = (wide >= low) & (wide < high)
        t = wide[part]
        z = (t.view(np.uint64) & np.uint64(0xFFFFFFFF00000000)).view(np.float64)  # z * z is exact
        out[part] = 1 - np.exp(-z * z - 0.5625) * np.exp((z - t) * (z + t) + _ratio(coefficients, 1 / (t * t))) / t
    signed: np.ndarray = np.copysign(out, x).astype(x.dtype)
    return signed


_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def _high(a: np.uint64, b: Any) -> Any:
    """The upper 64 bits of a * b."""
    a0, a1, b0, b1 = a & _MASK, a >> _HALF, b & _MASK, b >> _HALF
    middle = a1 * b0 + (a0 * b0 >> _HALF)
    return a1 * b1 + (middle >> _HALF) + ((middle & _MASK) + a0 * b1 >> _HALF)


def philox(key: Any, counter: Any, word: Any) -> np.ndarray:
    """Word 0..3 of Philox4x64-10 (Salmon et al., 2011) at counter (counter, 0, 0, 0) under key (key, 0): int64 bits.

    All operands are int64 arrays that broadcast."""
    key, counter, word = np.broadcast_arrays(*(np.asarray(v, np.int64) for v in (key, counter, word)))
    k0 = np.array(key).view(np.uint64)
    c0 = np.array(counter).view(np.uint64)
    c1, c2, c3 = (np.zeros_like(c0) for _ in range(3))
    with np.errstate(over="ignore"):
        for i in range(10):
            round_key0, round_key1 = k0 + np.uint64(i * _W0 & (1 << 64) - 1), np.uint64(i * _W1 & (1 << 64) - 1)
            c0, c1, c2, c3 = _high(_M1, c2) ^ c1 ^ round_key0, _M1 * c2, _high(_M0, c0) ^ c3 ^ round_key1, _M0 * c0
    return np.asarray(np.choose(word, (c0, c1, c2, c3))).view(np.int64)


def philox_stream(key: int, counter: int) -> np.random.Philox:
    """The stream `philox` defines, from block `counter` on, by NumPy's C generator."""
    start = (counter % (1 << 64) - 1) % (1 << 256)  # NumPy advances the counter before each block
    words = [start >> 64 * i & (1 << 64) - 1 for i in range(4)]
    return np.random.Philox(counter=np.array(words, np.uint64), key=np.array([key % (1 << 64), 0], np.uint64))


def philox_words(key: int, counter: int, count: int) -> np.ndarray:
    """`count` consecutive words of the stream from block `counter` on, as uint64."""
    return philox_stream(key, counter).random_raw(count)
