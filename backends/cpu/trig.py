"""Sine and cosine: Cody-Waite reduction, and for huge arguments Payne-Hanek in a block that runs only when a lane needs it."""

from __future__ import annotations

from .lanes import Lanes, suffix
from .real import Real

_SIN = {
    True: (-0.16666654929856073, 0.008332177430372298, -0.00019517213838204608),
    False: (
        -0.16666666666666632, 0.008333333333322377, -0.0001984126982978471, 2.755731368547069e-06, -2.5050757278311454e-08,
        1.5896754627139805e-10,
    ),
}  # fmt: skip
_COS = {
    True: (0.04166664683164648, -0.0013887366012415166, 2.4438295127728583e-05),
    False: (
        0.0416666666666666, -0.0013888888888874088, 2.4801587289462787e-05, -2.755731434746955e-07, 2.087572269219998e-09,
        -1.1359621121209558e-11,
    ),
}  # fmt: skip
#: pi / 2 as a sum
_HALF_PI = {
    True: (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    False: (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
_TWO_BY_PI = 0.6366197723675814
#: beyond this the reduction by three parts is not exact enough
_LIMIT = {True: 100000.0, False: 1000000.0}
#: 64 zeros, then the bits of 2 / pi
_WORDS = (
    0x0, 0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561, 0xB7246E3A424DD2E0, 0x06492EEA09D1921C,
    0xFE1DEB1CB129A73E, 0xE88235F52EBB4484, 0xE99C7026B45F7E41, 0x3991D639835339F4, 0x9C845F8BBDF9283B, 0x1FF897FFDE05980F,
    0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7, 0x4F463F669E5FEA2D, 0x7527BAC7EBE5F17B, 0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08,
    0x56033046FC7B6BAB,
)  # fmt: skip


def wave(f: Real, x: str, ahead: int) -> str:
    """sin(x + ahead * pi / 2)."""
    r, quadrant = _reduce(f, x)
    if ahead:
        quadrant = f.iop("add", quadrant, f.ic(ahead))
    z = f.mul(r, r)
    s = f.fma(f.mul(r, z), f.poly(z, *_SIN[f.single]), r)
    c = f.fma(f.mul(z, z), f.poly(z, *_COS[f.single]), f.fma(z, f.c(-0.5), f.c(1.0)))
    odd = f.lanes.op("icmp ne", f.i, f.iop("and", quadrant, f.ic(1)), f.ic(0))
    sign = f.iop("shl", f.iop("and", quadrant, f.ic(2)), f.ic(f.bits - 2))
    y = f.from_bits(f.iop("xor", f.as_bits(f.select(odd, c, s)), sign))
    return y if ahead else f.select(f.is_("oeq", x, f.c(0.0)), x, y)


def _reduce(f: Real, x: str) -> tuple[str, str]:
    """(r, quadrant): x = quadrant * pi / 2 + r with abs(r) <= pi / 4; only the low bits of `quadrant` count."""
    n, bits = f.nearest(x, _TWO_BY_PI)
    r = x
    for part in _HALF_PI[f.single]:
        r = f.fma(n, f.c(-part), r)
    size = f.abs(x)
    huge = f.both(f.is_("ogt", size, f.c(_LIMIT[f.single])), f.is_("olt", size, f.c(float("inf"))))
    return _huge(f, x, huge, r, bits)


def _huge(f: Real, x: str, huge: str, r: str, bits: str) -> tuple[str, str]:
    """`r` and `bits`, replaced where a lane of `x` is huge."""
    lanes, w = f.lanes, f.lanes.w
    hit = huge
    if lanes.n > 1:
        t = lanes.type("i1")
        hit = w.call("i1", f"llvm.vector.reduce.or.{suffix(t)}", f"{t} {huge}")
    w.helpers["fw.reduce"] = reducer()
    w.declare("double", "llvm.fabs.f64", "double")
    w.declare("i64", "llvm.fshl.i64", "i64", "i64", "i64")
    slow, join = w.fresh("slow"), w.fresh("join")
    before = w.levels[-1].label
    w.do(f"br i1 {hit}, label %{slow}, label %{join}")
    w.label(slow)
    with w.sometimes():
        r2, q2 = _reduced(f, x, r, bits)
    w.do(f"br label %{join}")
    w.label(join)
    edges = f"%{before}", f"%{slow}"
    r = w.here(f"phi {lanes.type(f.e)} [ {r}, {edges[0]} ], [ {r2}, {edges[1]} ]")
    return r, w.here(f"phi {lanes.type(f.i)} [ {bits}, {edges[0]} ], [ {q2}, {edges[1]} ]")


def _reduced(f: Real, x: str, r: str, bits: str) -> tuple[str, str]:
    """`r` and `bits` after ``fw.reduce`` has gone over the lanes."""
    lanes, w = f.lanes, f.lanes.w
    double, int64 = lanes.type("double"), lanes.type("i64")
    slots = [w.slot(f"[{lanes.n} x i64], align 64") for _ in range(3)]
    wide = [w.here(f"fpext {lanes.type('float')} {v} to {double}") if f.single else v for v in (x, r)]
    q = w.here(f"zext {lanes.type('i32')} {bits} to {int64}") if f.single else bits
    for value, slot in zip((f"{double} {wide[0]}", f"{double} {wide[1]}", f"{int64} {q}"), slots, strict=True):
        w.do(f"store {value}, ptr {slot}, align 8")
    limit = Lanes(w, 1).const(_LIMIT[f.single], "double")
    w.do(f"call void @fw.reduce(ptr {slots[0]}, ptr {slots[1]}, ptr {slots[2]}, i64 {lanes.n}, double {limit})")
    r2 = w.here(f"load {double}, ptr {slots[1]}, align 8")
    q2 = w.here(f"load {int64}, ptr {slots[2]}, align 8")
    if f.single:
        r2 = w.here(f"fptrunc {double} {r2} to {lanes.type('float')}")
        q2 = w.here(f"trunc {int64} {q2} to {lanes.type('i32')}")
    return r2, q2


def reducer() -> str:
    """LLVM text of ``fw.reduce(xs, rs, qs, n, limit)``: each double above `limit` is reduced with 192 bits of 2 / pi."""
    words = ", ".join(f"i64 {v - (1 << 64) if v >> 63 else v}" for v in _WORDS)
    return _REDUCER.replace("WORDS", f"[{len(_WORDS)} x i64] [{words}]").replace("HALF_PI", "0x3FF921FB54442D18")


# x = m * 2^e with a 53-bit m. Of 2/pi only the 192 bits from weight 2^(1 - e) on matter, since lower multiples of 4 drop out;
# m times these, modulo 2^192, is x * 2/pi modulo 4 as a fixed-point number: two bits of quadrant, then the fraction.
_REDUCER = """@fw.two_by_pi = internal constant WORDS
define internal void @fw.reduce(ptr %xs, ptr %rs, ptr %qs, i64 %n, double %limit) cold noinline {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %done ]
  %xp = getelementptr double, ptr %xs, i64 %i
  %x = load double, ptr %xp
  %a = call double @llvm.fabs.f64(double %x)
  %over = fcmp ogt double %a, %limit
  %under = fcmp olt double %a, 0x7FF0000000000000
  %huge = and i1 %over, %under
  br i1 %huge, label %reduce, label %done
reduce:
  %bits = bitcast double %a to i64
  %exp = lshr i64 %bits, 52
  %frac = and i64 %bits, 4503599627370495
  %m = or i64 %frac, 4503599627370496
  %at = add i64 %exp, -1013
  %word = lshr i64 %at, 6
  %shift = and i64 %at, 63
  %p = getelementptr i64, ptr @fw.two_by_pi, i64 %word
  %p1 = getelementptr i64, ptr %p, i64 1
  %p2 = getelementptr i64, ptr %p, i64 2
  %p3 = getelementptr i64, ptr %p, i64 3
  %w0 = load i64, ptr %p
  %w1 = load i64, ptr %p1
  %w2 = load i64, ptr %p2
  %w3 = load i64, ptr %p3
  %t0 = call i64 @llvm.fshl.i64(i64 %w0, i64 %w1, i64 %shift)
  %t1 = call i64 @llvm.fshl.i64(i64 %w1, i64 %w2, i64 %shift)
  %t2 = call i64 @llvm.fshl.i64(i64 %w2, i64 %w3, i64 %shift)
  %m128 = zext i64 %m to i128
  %t1w = zext i64 %t1 to i128
  %t2w = zext i64 %t2 to i128
  %low = mul i128 %m128, %t2w
  %lowhigh = lshr i128 %low, 64
  %mid0 = mul i128 %m128, %t1w
  %mid = add i128 %mid0, %lowhigh
  %midhigh = lshr i128 %mid, 64
  %carry = trunc i128 %midhigh to i64
  %f1 = trunc i128 %mid to i64
  %top0 = mul i64 %m, %t0
  %f0 = add i64 %top0, %carry
  %q0 = lshr i64 %f0, 62
  %g0 = call i64 @llvm.fshl.i64(i64 %f0, i64 %f1, i64 2)
  %g1 = shl i64 %f1, 2
  %round = lshr i64 %g0, 63
  %q1 = add i64 %q0, %round
  %hi = sitofp i64 %g0 to double
  %lo = uitofp i64 %g1 to double
  %hi1 = fmul double %hi, 0x3BF0000000000000
  %lo1 = fmul double %lo, 0x37F0000000000000
  %fraction = fadd double %hi1, %lo1
  %r0 = fmul double %fraction, HALF_PI
  %negative = fcmp olt double %x, 0.0
  %r1 = fneg double %r0
  %q2 = sub i64 0, %q1
  %r = select i1 %negative, double %r1, double %r0
  %q = select i1 %negative, i64 %q2, i64 %q1
  %rp = getelementptr double, ptr %rs, i64 %i
  %qp = getelementptr i64, ptr %qs, i64 %i
  store double %r, ptr %rp
  store i64 %q, ptr %qp
  br label %done
done:
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %exit
exit:
  ret void
}"""
