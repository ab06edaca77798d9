"""Elementary functions as straight-line polynomial code, for any number of lanes. No calls, no tables; the only
branch is taken where sine or cosine meets a huge argument.

Largest errors measured over the whole range, in ulp (f32 / f64), stand at each function. NaN in gives NaN out.
"""

from __future__ import annotations

from . import trig
from .lanes import Lanes, suffix
from .real import Real

_EXP32 = (0.5000000094751104, 0.1666651870059788, 0.04166620769176832, 0.008368902279535025, 0.001395035398567992)
_EXP64 = (
    0.5, 0.16666666666666685, 0.04166666666666673, 0.0083333333333167, 0.0013888888888858855, 0.00019841269897135527,
    2.480158737293896e-05, 2.7557234170872756e-06, 2.7557234027976973e-07, 2.511226010157309e-08, 2.0926742076694396e-09,
)  # fmt: skip
_LOG32 = (0.6666666564409374, 0.400003354577797, 0.28537292907673123, 0.2358243415811454)
_LOG64 = (
    0.6666666666666734, 0.39999999999413793, 0.2857142874257267, 0.2222219855475659, 0.1818356527184392, 0.15314026403570655,
    0.14796192487848878,
)  # fmt: skip
_LOG64_FROM_FIFTH = (
    0.3999999999999998, 0.28571428571445134, 0.22222222217531615, 0.18181818870826458, 0.15384556840364433, 0.13336318469074157,
    0.11674799281368368, 0.11989159038429181,
)  # fmt: skip
_TANH32 = (-0.33333318002736767, 0.13332600450829404, -0.0538537426184625, 0.021077324411934696, -0.006281903265642036)
_TANH64 = (
    -0.333333333333333, 0.1333333333332681, -0.053968253963867105, 0.02186948838880712, -0.008863232648332893,
    0.0035920924906071936, -0.0014555457298048153, 0.0005884560558878679, -0.0002334103142957316,
    8.33567470792307e-05, -1.9519050568714727e-05,
)  # fmt: skip
_ERF_LOW32 = (
    0.12837916591288967, -0.37612627129721615, 0.11283600103048284, -0.026854441456432846, 0.005189529274183148,
    -0.000802078723640951, 7.88893902717454e-05,
)  # fmt: skip
_ERF_LOW64 = (
    0.1283791670955126, -0.3761263890318375, 0.11283791670954885, -0.026866170645077854, 0.005223977624828247,
    -0.0008548326981415515, 0.0001205533113260768, -1.4925595764199716e-05, 1.6461008355426004e-06, -1.6350394980614522e-07,
    1.4660320709342811e-08, -1.1374925985836134e-09, 5.960636935665198e-11,
)  # fmt: skip
# -log(erfc(t)) around t = 2 (f32, t in 1..4) and t = 3 (f64, t in 1..6)
_ERF_HIGH32 = (
    5.364941260242628, 4.418160786313634, 0.9237509843072019, 0.016465791739805644, -0.00357056702303212, 0.0007302099059342756,
    -0.00013764767641104997, 2.1731952554303074e-05,
)  # fmt: skip
_ERF_HIGH64 = (
    10.72036304198112, 6.303753689003274, 0.9573942188008068, 0.00741189179270436, -0.0013533104405485967, 0.0002456921501769178,
    -4.308174847264575e-05, 7.115477197141562e-06, -1.0694725270964509e-06, 1.3606228303328957e-07, -1.1467776258610495e-08,
    -5.317337673527882e-10, 6.936178652708713e-10, -1.8910822372512244e-10, 8.894705206626101e-12, -2.7364231601722936e-11,
    7.548456466449965e-13, 2.852006126138608e-12, 1.226270584990027e-12, 1.7727516294165322e-13,
)  # fmt: skip
_LOG2E = 1.4426950408889634
_LN2 = {True: (0.6931471824645996, -1.9046542121259336e-09), False: (0.6931471805599453, 2.3190468138462996e-17)}
_INF = float("inf")
_NAN = float("nan")


# ---- exponentials -------------------------------------------------------------------------------------------------------
def _reduce(f: Real, x: str) -> tuple[str, str]:
    """(r, n) with x = n * log(2) + r and abs(r) <= log(2) / 2; n as an integer."""
    n, bits = f.nearest(x, _LOG2E)
    high, low = _LN2[f.single]
    r = f.fma(n, f.c(-low), f.fma(n, f.c(-high), x))
    return r, f.integer(bits)


def _expm1_core(f: Real, r: str) -> str:
    """exp(r) - 1 for abs(r) <= log(2) / 2."""
    return f.fma(f.mul(r, r), f.poly(r, *(_EXP32 if f.single else _EXP64)), r)


def exp(f: Real, x: str) -> str:
    """e to the x: 1.0 / 1.0 ulp."""
    r, n = _reduce(f, f.clamp(x, -104.0, 89.0) if f.single else f.clamp(x, -746.0, 710.0))
    return f.scale(f.add(_expm1_core(f, r), f.c(1.0)), n)


def _expm1(f: Real, x: str) -> str:
    r, n = _reduce(f, x)
    half = f.power_of_two(f.iop("sub", n, f.ic(1)))
    y = f.fma(half, _expm1_core(f, r), f.sub(half, f.c(0.5)))
    return f.add(y, y)


def expm1(f: Real, x: str) -> str:
    """e to the x, minus 1: 1.5 / 1.8 ulp."""
    y = _expm1(f, f.clamp(x, -30.0, 89.0) if f.single else f.clamp(x, -60.0, 710.0))
    return f.select(f.is_("olt", f.abs(x), f.c(1e-30 if f.single else 1e-200)), x, y)


def tanh(f: Real, x: str) -> str:
    """Hyperbolic tangent: 1.3 / 1.3 ulp."""
    a = f.abs(x)
    z = f.mul(a, a)
    low = f.fma(f.mul(z, a), f.poly(z, *(_TANH32 if f.single else _TANH64)), a)
    top = f.c(10.0 if f.single else 22.0)
    a_cut = f.select(f.is_("olt", top, a), top, a)
    r, n = _reduce(f, f.add(a_cut, a_cut))
    scale = f.power_of_two(n)
    e = f.fma(scale, _expm1_core(f, r), f.add(scale, f.c(1.0)))
    high = f.sub(f.c(1.0), f.div(f.c(2.0), e))
    return f.copysign(f.select(f.is_("olt", a, f.c(0.55)), low, high), x)


def erf(f: Real, x: str) -> str:
    """Error function: 1.8 / 4 ulp."""
    a = f.abs(x)
    low = f.fma(x, f.poly(f.mul(x, x), *(_ERF_LOW32 if f.single else _ERF_LOW64)), x)
    top, middle = (4.0, 2.0) if f.single else (6.0, 3.0)
    t = f.sub(f.select(f.is_("olt", f.c(top), a), f.c(top), a), f.c(middle))
    r, n = _reduce(f, f.neg(f.poly(t, *(_ERF_HIGH32 if f.single else _ERF_HIGH64))))
    n = f.select_int(f.is_("olt", a, f.c(1.0)), f.ic(0), n)
    scale = f.power_of_two(n)
    high = f.sub(f.c(1.0), f.fma(scale, _expm1_core(f, r), scale))
    return f.select(f.is_("olt", a, f.c(1.0)), low, f.copysign(high, x))


# ---- logarithms ---------------------------------------------------------------------------------------------------------
def _split(f: Real, x: str) -> tuple[str, str]:
    """(m, k) with x = m * 2 ** k and m within [sqrt(1/2), sqrt(2)); `x` positive and normal, k an integer."""
    root = 0x3F3504F3 if f.single else 0x3FE6A09E667F3BCD
    bits = f.as_bits(x)
    k = f.iop("ashr", f.iop("sub", bits, f.ic(root)), f.ic(f.mantissa))
    return f.from_bits(f.iop("sub", bits, f.iop("shl", k, f.ic(f.mantissa)))), k


def _split_all(f: Real, x: str) -> tuple[str, str]:
    """`_split` for denormal numbers too; k as a float."""
    tiny = f.is_("olt", x, f.c(2.0**-126 if f.single else 2.0**-1022))
    m, k = _split(f, f.select(tiny, f.mul(x, f.c(2.0**f.mantissa)), x))
    k = f.to_float(k)
    return m, f.select(tiny, f.sub(k, f.c(float(f.mantissa))), k)


def _log_parts(f: Real, m: str, k: str, extra: str | None) -> str:
    """log(1 + m) + k * log(2) + extra for m near 0."""
    s = f.div(m, f.add(m, f.c(2.0)))
    z = f.mul(s, s)
    half = f.mul(f.mul(m, f.c(0.5)), m)
    tail = f.mul(s, f.fma(z, f.poly(z, *(_LOG32 if f.single else _LOG64)), half))
    high, low = _LN2[f.single]
    tail = f.fma(k, f.c(low), tail if extra is None else f.add(tail, extra))
    return f.fma(k, f.c(high), f.sub(m, f.sub(half, tail)))


def _log_ends(f: Real, x: str, positive: str, y: str) -> str:
    """`y` where `positive` (x, or 1 + x) is a finite positive number, else -inf at 0, NaN below, inf at inf."""
    y = f.select(f.is_("oeq", positive, f.c(_INF)), f.c(_INF), y)
    other = f.select(f.is_("oeq", positive, f.c(0.0)), f.c(-_INF), f.c(_NAN))
    return f.select(f.is_("ogt", positive, f.c(0.0)), y, other)


def log(f: Real, x: str) -> str:
    """Natural logarithm: 0.8 / 0.8 ulp."""
    m, k = _split_all(f, x)
    return _log_ends(f, x, x, _log_parts(f, f.sub(m, f.c(1.0)), k, None))


def log1p(f: Real, x: str) -> str:
    """Natural logarithm of 1 + x: 0.8 / 0.8 ulp."""
    u = f.add(x, f.c(1.0))
    lost = f.select(f.is_("olt", x, f.c(1.0)), f.sub(x, f.sub(u, f.c(1.0))), f.sub(f.c(1.0), f.sub(u, x)))
    m, ki = _split(f, u)
    k = f.to_float(ki)
    near = f.is_("oeq", k, f.c(0.0))
    extra = f.select(near, f.c(0.0), f.div(lost, u))
    y = _log_parts(f, f.select(near, x, f.sub(m, f.c(1.0))), k, extra)
    y = f.select(f.is_("olt", f.abs(x), f.c(1e-30 if f.single else 1e-200)), x, y)
    return _log_ends(f, x, u, y)


# ---- circular functions -------------------------------------------------------------------------------------------------
def sin(f: Real, x: str) -> str:
    """Sine, any argument: 1.6 / 2 ulp."""
    return trig.wave(f, x, 0)


def cos(f: Real, x: str) -> str:
    """Cosine, any argument: 1.6 / 2 ulp."""
    return trig.wave(f, x, 1)


# ---- powers -------------------------------------------------------------------------------------------------------------
def power(f: Real, x: str, y: str) -> str:
    """x to the y with the special cases of C's pow: 0.6 / 1.2 ulp. f32 is computed in f64."""
    if not f.single:
        return _power_ends(f, x, y, _power_exact(f, x, y))
    a, b = (f.lanes.convert("fpext", "float", "double", v) for v in (x, y))
    size = f.lanes.convert("fptrunc", "double", "float", _power_short(Real(f.lanes, "double"), a, b))
    return _power_ends(f, x, y, size)


def _power_exact(f: Real, x: str, y: str) -> str:
    """``abs(x) ** y`` but for its special cases."""
    a = f.abs(x)
    high, low = _log2_exact(f, a)
    high = _log2_ends(f, a, high)
    e = f.mul(y, high)
    rest = f.fma(y, low, f.fma(y, high, f.neg(e)))
    rest = f.select(f.is_("olt", f.abs(e), f.c(1100.0)), rest, f.c(0.0))
    e = f.clamp(e, -1100.0, 1100.0)
    n, bits = f.nearest(e, 1.0)
    r = f.mul(f.add(f.sub(e, n), rest), f.c(_LN2[False][0]))
    return f.scale(f.add(f.fma(f.mul(r, r), f.poly(r, *_EXP64), r), f.c(1.0)), f.integer(bits))


def _power_short(f: Real, x: str, y: str) -> str:
    """The same in f64, good for rounding to f32: what lies beyond is 0 or endless there."""
    a = f.abs(x)
    e = f.clamp(f.mul(y, _log2_ends(f, a, _log2_short(f, a))), -300.0, 300.0)
    n, bits = f.nearest(e, 1.0)
    r = f.mul(f.sub(e, n), f.c(_LN2[False][0]))
    return f.mul(f.add(f.fma(f.mul(r, r), f.poly(r, *_EXP32), r), f.c(1.0)), f.power_of_two(f.integer(bits)))


def _log2_ends(f: Real, a: str, log: str) -> str:
    log = f.select(f.is_("oeq", a, f.c(0.0)), f.c(-_INF), f.select(f.is_("oeq", a, f.c(_INF)), f.c(_INF), log))
    return f.select(f.is_("uno", a, a), a, log)


def _power_ends(f: Real, x: str, y: str, size: str) -> str:
    """Signs and special cases around ``abs(x) ** y``."""
    whole = f.is_("oeq", f.floor(y), y)
    half = f.mul(y, f.c(0.5))
    odd = f.both(whole, f.is_("one", f.floor(half), half))
    negative = f.lanes.op("icmp slt", f.i, f.as_bits(x), f.ic(0))
    signed = f.select(f.both(odd, negative), f.neg(size), size)
    fails = f.both(f.is_("olt", x, f.c(0.0)), f.both(f.is_("one", f.floor(y), y), f.is_("ogt", x, f.c(-_INF))))
    signed = f.select(fails, f.c(_NAN), signed)
    endless = f.is_("oeq", f.abs(y), f.c(_INF))
    signed = f.select(f.both(endless, f.is_("oeq", x, f.c(-1.0))), f.c(1.0), signed)
    one = f.lanes.op("or", "i1", f.is_("oeq", x, f.c(1.0)), f.is_("oeq", y, f.c(0.0)))
    return f.select(one, f.c(1.0), signed)


def _log2_short(f: Real, a: str) -> str:
    """log2 to about 36 bits."""
    m, k = _split(f, a)
    m = f.sub(m, f.c(1.0))
    s = f.div(m, f.add(m, f.c(2.0)))
    z = f.mul(s, s)
    series = f.fma(z, f.poly(z, *_LOG32), f.c(2.0))
    return f.fma(f.mul(s, f.c(_LOG2E)), series, f.to_float(k))


def _log2_exact(f: Real, a: str) -> tuple[str, str]:
    """log2 as the sum of two numbers, to about 65 bits."""
    m, k = _split_all(f, a)
    m = f.sub(m, f.c(1.0))
    u = f.add(m, f.c(2.0))
    u_low = f.sub(m, f.sub(u, f.c(2.0)))
    s = f.div(m, u)
    s_low = f.div(f.sub(f.fma(f.neg(s), u, m), f.mul(s, u_low)), u)
    z = f.mul(s, s)
    z_low = f.fma(f.add(s, s), s_low, f.fma(s, s, f.neg(z)))
    cube = f.mul(s, z)
    cube_low = f.fma(s_low, z, f.fma(s, z_low, f.fma(s, z, f.neg(cube))))
    third, third_low = 2.0 / 3.0, 3.700743415417188e-17
    t = f.mul(cube, f.c(third))
    t_low = f.fma(cube_low, f.c(third), f.fma(cube, f.c(third_low), f.fma(cube, f.c(third), f.neg(t))))
    fifth = f.mul(f.mul(cube, z), f.poly(z, *_LOG64_FROM_FIFTH))
    twice = f.add(s, s)
    total = f.add(twice, t)
    rest = f.add(f.add(f.sub(twice, total), t), f.add(f.add(f.add(s_low, s_low), t_low), fifth))
    p = f.mul(total, f.c(_LOG2E))
    p_low = f.fma(rest, f.c(_LOG2E), f.fma(total, f.c(2.0355273740931033e-17), f.fma(total, f.c(_LOG2E), f.neg(p))))
    high = f.add(k, p)
    return high, f.add(f.add(f.sub(k, high), p), p_low)


# ---- remainder ----------------------------------------------------------------------------------------------------------
def python_mod(f: Real, a: str, b: str) -> str:
    """``a % b`` as Python has it, exact: sign of `b`, NaN for a zero divisor or an infinite dividend. f32 goes through f64."""
    if f.single:
        wide = Real(f.lanes, "double")
        x, y = (f.lanes.convert("fpext", "float", "double", v) for v in (a, b))
        return f.lanes.convert("fptrunc", "double", "float", _python_mod(wide, x, y, 8))
    return _python_mod(f, a, b, 48)


def _python_mod(f: Real, a: str, b: str, most: int) -> str:
    lanes, d = f.lanes, f.abs(b)
    bad = lanes.op("or", "i1", f.is_("oeq", d, f.c(0.0)), f.is_("oeq", f.abs(a), f.c(_INF)))
    r = f.select(bad, f.c(_NAN), f.abs(a))
    many = f.is_("oge", f.mul(r, f.c(2.0**-48)), d)
    rounds = lanes.w.let(f"select i1 {_any(lanes, many)}, i64 {most}, i64 1")
    loop = lanes.w.open_loop("0", rounds, 1, [(lanes.type(f.e), r)], nonempty=True)
    r = lanes.w.close_loop(loop, [_remainder_step(f, loop.carried[0], d)])[0]
    r = f.select(f.is_("olt", r, f.c(0.0)), f.add(r, d), r)
    r = f.select(f.is_("oeq", d, f.c(_INF)), f.select(bad, f.c(_NAN), f.abs(a)), r)
    r = f.copysign(r, a)
    crossed = f.both(f.is_("one", r, f.c(0.0)), f.is_("olt", f.mul(f.copysign(f.c(1.0), r), b), f.c(0.0)))
    r = f.select(crossed, f.add(r, b), r)
    return f.select(f.is_("oeq", r, f.c(0.0)), f.copysign(f.c(0.0), b), r)


def _remainder_step(f: Real, r: str, d: str) -> str:
    """`r` less a multiple of `d` that leaves at most d / 2, or 2 ** -49 of `r`; exact, since the quotient keeps 49 bits."""
    far = f.mul(d, f.c(2.0**700))
    farther = f.mul(far, f.c(2.0**700))
    size = f.abs(r)
    d = f.select(f.is_("oge", size, farther), farther, f.select(f.is_("oge", size, far), far, d))
    q = f.div(r, d)
    short = f.from_bits(f.iop("and", f.iop("add", f.as_bits(q), f.ic(8)), f.ic(-16)))
    near = f.lanes.call("llvm.roundeven", f.e, q)
    q = f.select(f.is_("olt", f.abs(q), f.c(2.0**48)), near, short)
    return f.fma(f.neg(q), d, r)


def _any(lanes: Lanes, value: str) -> str:
    if lanes.n == 1:
        return value
    t = lanes.type("i1")
    return lanes.w.call("i1", f"llvm.vector.reduce.or.{suffix(t)}", f"{t} {value}")
