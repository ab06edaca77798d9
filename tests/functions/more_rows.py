"""Further calls for `test_functions`, as in `function_rows`: complex numbers, whole numbers, windows, results stored in `out`."""

# ruff: noqa: E501
from __future__ import annotations

import numpy as np
from function_rows import OPERANDS

rng = np.random.default_rng(12)


def _complex(*shape: int) -> np.ndarray:
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


OPERANDS.update({
    "cz": _complex(3, 4), "cy": _complex(3, 4), "cm": _complex(4, 4), "ctall": _complex(5, 3), "cwide": _complex(3, 5), "cr": _complex(4, 2),
    "cv": _complex(40), "cimg": _complex(1, 2, 5, 5), "ck": _complex(3, 2, 2, 2), "u8img": rng.integers(0, 255, (2, 3, 7, 8)).astype(np.uint8),
    "i64img": rng.integers(-9, 9, (2, 3, 7, 8)), "i64k": rng.integers(-3, 4, (2, 3, 3, 3)), "bools": rng.integers(0, 2, (4, 5)).astype(bool),
    "at": rng.integers(0, 4, (2, 5)), "line": rng.normal(size=(2, 3, 9)), "ints": rng.integers(-3, 5, (4, 4)), "pts": rng.normal(size=(30, 2)),
    "deg": rng.integers(0, 5, (3, 4)), "sym": (lambda x: x + x.T)(rng.normal(size=(5, 5))),
})  # fmt: skip

COMPLEX = [
    *(f"t.{f}(cz)" for f in ["cosh", "sinh", "tan", "acos", "asin", "atan", "acosh", "asinh", "atanh", "log2", "log10", "exp2", "sinc", "sgn", "angle"]),
    "t.logaddexp(cz, cy)", "t.lerp(cz, cy, 0.4)", "t.addcdiv(cz, cy, cz)", "t.std(cz, 0)", "t.var(cz)", "t.cov(cz)", "t.corrcoef(cz)", ("F.silu(cz)", "g"),
    "t.logical_and(cz, cy)", "t.logical_xor(cz, cy)", "t.ldexp(cz, cy)", "t.logsumexp(cz, 1)", "t.linalg.norm(cz, 'nuc')", "t.stft(cv, 10, return_complex=False)",
    "F.conv2d(cimg, ck)", "F.conv_transpose2d(cimg[:, :, 1:], ck.transpose(0, 1))", "t.view_as_real(cz * cy.conj())", "F.pad(cz, (1, 1), value=2)",
    "t.linalg.cholesky(cm @ cm.mH + 4 * t.eye(4))", ("t.linalg.qr(ctall)[1].abs()", "g"), "t.linalg.svdvals(cwide)", "t.linalg.eigvalsh(cm + cm.mH)", "t.linalg.slogdet(cm)", "t.linalg.solve_triangular(cm, cr, upper=True)",
    "t.linalg.lu_factor(cm)", "t.linalg.lu_factor(cwide)", "t.linalg.pinv(ctall)", ("t.linalg.cond(cm)", "l"), "t.linalg.matrix_rank(cm)", "t.matrix_exp(cm)", "t.linalg.lu_solve(*t.linalg.lu_factor(cm), cr, adjoint=True)",
    "t.linalg.householder_product(ctall, cz[0, :3])", "t.logdet(cm)", "t.linalg.lstsq(ctall, cz.mT[:1].expand(5, 3))[0]", "t.cholesky_solve(cr, t.linalg.cholesky(cm @ cm.mH + 4 * t.eye(4)))",
]  # fmt: skip
LINALG = [
    "t.linalg.lu(tall)", "t.linalg.lu(wide)", "t.lu_unpack(*t.linalg.lu_factor(tall))", ("t.linalg.ldl_factor(sym)", "g"), ("t.linalg.ldl_solve(*t.linalg.ldl_factor(sym), tall)", "g"),
    ("t.geqrf(tall)[0].abs()", "g"), ("t.ormqr(*t.geqrf(tall), tall, True, True)", "g"), "t.linalg.pinv(sym, hermitian=True)", "t.norm(x, 0.5)", "t.norm(x * 0, 0.5)", "t.linalg.vector_norm(x, 0, 1)", "t.cdist(x, y, 0.0)",
    ("t.lobpcg(m @ m.T @ m @ m.T, 1)[0]", "g"), ("t.svd_lowrank(tall @ wide, 3, 4)[1]", "gl"), "t.linalg.vander(u8)", "t.lu(m)",
]  # fmt: skip
WHOLE = [
    "t.addmv(ints[0], ints, ints[1], beta=0.2, alpha=1.6)", "t.addr(bools[:, :4], bools[0, :4], bools[1, :4], beta=3)", "t.addbmm(ints.to(t.uint8), ints[None].to(t.uint8), ints[None].to(t.uint8))", "bools.sum_to_size(1, 5)",
    "t.bincount(k, weights=k)", "t.scatter_add(bools, 0, at, bools)", "t.index_add(bools, 0, at[0, :2], bools[:2])", "t.index_put(bools, (at[0], at[1]), bools[0], accumulate=True)", ("t.scatter(m, 0, at[:, :4], 2.0, reduce='multiply')", "g"),
    "t.arange(0., -8.000001, -4., dtype=t.int64)", "t.linspace(-3.7, 9.2, 7, dtype=t.int32)", "t.unravel_index(u8, (4, 5))", "t.tensordot(x[:1], y, ([0], [0]))", "F.cosine_similarity(b[:1], b[:, :1], dim=-2)", "t.index_fill(x, 0, cls * 0, s.reshape(()))",
    "F.max_pool2d(u8img, 3, 2, 1, return_indices=True)", "F.avg_pool2d(i64img, 3, 2, 1, count_include_pad=False)", "F.conv2d(i64img, i64k, stride=2)", "F.conv_transpose2d(i64img[:, :2], i64k, padding=1)", "t.copysign(x, y)",
    ("t.special.chebyshev_polynomial_u(x, deg)", "g"), ("t.special.laguerre_polynomial_l(unit, deg)", "g"), ("t.histogramdd(pts, (3, 4))[0]", "g"), ("t.histogramdd(pts, (3, 1), range=(-1., 1., -2., 2.), density=True)[0]", "g"), "t.logsumexp(s, 0)",
]  # fmt: skip
WINDOWS = [
    "F.interpolate(img, size=(4, 9), mode='bicubic')", "F.interpolate(img, scale_factor=1.7, mode='bicubic', align_corners=True)", "F.interpolate(img, size=(3, 4), mode='bicubic', antialias=True)", "F.interpolate(img, size=(4, 9), mode='bilinear', antialias=True)",
    "F.interpolate(line, 5, mode='area')", "F.interpolate(vol, (2, 3, 2), mode='area')", "F.interpolate(line, 13, mode='nearest-exact')", "F.interpolate(vol, scale_factor=(0.7, 1.6, 2), mode='nearest-exact')", "F.interpolate(vol, (5, 3, 2), mode='trilinear')",
    "F.adaptive_max_pool2d(img, (4, 5), return_indices=True)", "F.adaptive_max_pool3d(vol, (2, 3, 3))", "F.adaptive_max_pool1d(line, 4, return_indices=True)", "F.conv_transpose2d(img, img[:1].transpose(0, 1)[..., :3, :2], stride=1, dilation=3, padding=1, output_padding=2)",
    "F.pad(line, (-4, 5), mode='replicate')", "F.pixel_shuffle(img, 1)", "t.gradient(x, spacing=None)",
]  # fmt: skip
#: Results stored in tensors that the caller gives: they must be what is returned, and hold what is returned otherwise.
OUT = [
    "mm(m, m, out=e64)", "sum(m, 0, out=e64)", "sort(m, 0, out=(e64, ei))", "max(m, 1, out=(e64, ei))", "clamp(m, -0.1, 0.2, out=e64)", "softmax(m, 1, out=e64)", "linalg.qr(m, out=(e64, f64))", "arange(5, out=ei)", "ones(2, 3, out=e64)", "add(ints, ints, out=e64)",
    "topk(m, 2, out=(e64, ei))", "std(m, 0, out=e64)", "frexp(m, out=(e64, e32))", "isin(ints, ints[:1], out=eb)", "tril(m, out=e64)", "linspace(0, 1, 4, out=e64)", "addcmul(m, m, m, out=e64)", "mm(m, m, out=wide64)", "angle(m, out=e64)", "cummax(m, 0, out=(e64, ei))",
]  # fmt: skip
#: ... and refused.
OUT_ERRORS = ["mm(m, m, out=ei)", "sort(m, 0, out=e64)", "sort(m, 0, out=(e64, e64))", "add(m, m, out=ei)", "neg(ints, out=e64)", "ones(2, dtype=t.float32, out=e64)"]
TABLES = (COMPLEX, LINALG, WHOLE, WINDOWS)
