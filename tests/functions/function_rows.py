"""Calls that fusewire and PyTorch must answer alike, as text in `t` (either library) and the operands below.

A row is a call, or (call, flags): "g" no gradient is compared, "l" looser tolerance, "i" not in float32.
"""

# ruff: noqa: E501
from __future__ import annotations

from typing import Any

import numpy as np

rng = np.random.default_rng(11)


def _normal(*shape: int) -> Any:
    return rng.normal(size=shape)


def _positive(n: int) -> Any:
    a = _normal(n, n)
    return a @ a.T + n * np.eye(n)


#: Operands by name: floating ones get gradients.
OPERANDS: dict[str, Any] = {
    "x": _normal(3, 4), "y": _normal(3, 4), "v": _normal(5), "w": _normal(5), "u": _normal(4), "m": _normal(4, 4), "n": _normal(4, 3),
    "p": np.abs(_normal(3, 4)) + 0.3, "q": np.abs(_normal(3, 4)) + 0.3, "z": rng.uniform(0.05, 0.95, (3, 4)), "s": np.asarray(1.7),
    "b": _normal(2, 3, 4), "c": _normal(2, 4, 5), "d": _normal(2, 3, 5), "e": _normal(0, 4), "img": _normal(2, 3, 6, 6),
    "spd": _positive(4), "spds": np.stack([_positive(3), _positive(3)]), "sq": _normal(3, 3), "sqs": _normal(2, 3, 3),
    "tall": _normal(5, 3), "wide": _normal(3, 5), "rhs": _normal(4, 2), "long": _normal(2, 40), "seq": _normal(2, 3, 8),
    "nan": np.array([[1.0, np.nan, 3.0, 2.0], [np.nan, np.nan, np.nan, np.nan], [0.5, 2.5, -1.0, 7.0]]),
    "unit": rng.uniform(-0.9, 0.9, (3, 4)), "vol": _normal(1, 2, 3, 4, 4),
    "i": rng.integers(-3, 4, (3, 4)), "j": rng.integers(1, 5, (3, 4)), "k": rng.integers(0, 4, (12,)), "big": rng.integers(0, 50, (4, 6)),
    "cls": rng.integers(0, 4, (3,)), "mask": rng.integers(0, 2, (3, 4)).astype(bool), "i32": rng.integers(-5, 9, (7,)).astype(np.int32),
    "u8": rng.integers(0, 9, (6,)).astype(np.uint8), "sign": np.where(rng.integers(0, 2, (3, 4)), 1.0, -1.0),
    "sign3": np.array([1.0, -1.0, 1.0]), "row": np.array([0.5, 1.5, 2.5, 3.5]),
}  # fmt: skip

SEARCHING = [
    "t.cummax(x, 1)", "t.cummin(x, 0)", "x.cummax(-1)", "t.cummax(i, 1)", "t.logcumsumexp(x, 1)", "t.diff(x)", "t.diff(x, 2, 0)",
    "t.diff(i)", "t.diff(mask)", "t.diff(v, prepend=w, append=w)", "t.median(x)", "t.median(x, 1)", "t.median(x, 0, True)",
    "t.nanmedian(nan)", "t.nanmedian(nan[::2], 1)", "t.mode(i, 1)[0]", "t.mode(k)[0]", "x.kthvalue(2)", "t.kthvalue(x, 2, 0, True)",
    "t.quantile(x, 0.4)", "t.quantile(x, 0.4, 1)", "t.quantile(x, t.tensor([0.1, 0.5, 1.0], dtype=x.dtype), 0)",
    "t.quantile(x, t.tensor([0.1, 0.5], dtype=x.dtype), 1, True)", "t.quantile(nan, 0.5, 1)", "t.nanquantile(nan, 0.3, 1)",
    "t.nanquantile(nan, 0.5)", "t.quantile(x, 0.5, interpolation='lower')", "t.quantile(x, 0.35, 1, interpolation='nearest')",
    "t.quantile(x, 0.35, 1, interpolation='midpoint')", "t.quantile(x, 0.35, 1, interpolation='higher')",
    "t.unique(k)", "t.unique(i, return_inverse=True, return_counts=True)", "t.unique(i, dim=0)", "t.unique(big, dim=1, return_inverse=True)",
    "t.unique(t.tensor([[1, 2], [1, 2], [0, 5]]), dim=0, return_inverse=True, return_counts=True)", "i.unique()",
    "t.unique_consecutive(k, return_inverse=True, return_counts=True)", "t.unique_consecutive(t.tensor([1, 1, 2, 1, 1]))",
    ("t.unique(x)", "g"), "t.unique(mask)", "t.searchsorted(row, p)", "t.searchsorted(row, p, right=True)", "t.searchsorted(row, 2.5)",
    "t.searchsorted(row, p, out_int32=True)", "t.bucketize(p, row)", "t.bucketize(p, row, right=True)",
    "t.bincount(k)", "t.bincount(k, minlength=9)", "t.histc(x, 5)", "t.histc(x, bins=4, min=-1, max=1)", ("t.histogram(x, 5)[0]", "g"),
    ("t.histogram(v, row)[0]", "g"), ("t.histogram(x, 4, range=(-1., 1.), density=True)", "g"), "t.msort(x)", "t.isin(i, t.tensor([1, 2]))",
    "t.isin(i, k, invert=True)", "t.isin(2, k)", "t.isin(i, 3)", "t.std_mean(x)", "t.std_mean(x, 1, keepdim=True)", "t.var_mean(x, 0)",
    "t.aminmax(x)", "t.aminmax(x, dim=1)", "t.nansum(nan)", "t.nansum(nan, 1)", "t.nanmean(nan, 0)", "t.count_nonzero(i)",
    "t.count_nonzero(i, 1)", "t.trapezoid(x)", "t.trapezoid(x, dx=0.5, dim=0)", "t.trapezoid(x, p)", "t.trapezoid(x, u)",
    "t.cumulative_trapezoid(x)", "t.trapz(v)", "t.gradient(x)", "t.gradient(v, spacing=0.5)", "t.gradient(x, dim=1, edge_order=2)", "t.gradient(u, spacing=(row,))", "t.gradient(v, spacing=2.0, edge_order=2)", "t.cov(x)", "t.cov(v)", "t.cov(x, correction=0)", "t.corrcoef(x)",
    "t.renorm(x, 2, 0, 0.5)", "t.logsumexp(x, 1)", "t.logsumexp(e, 0)", "t.logsumexp(e, 1)", "t.sort(x, 1, True)", "t.argsort(x, 0)",
    "t.topk(x, 2)", "t.cov(x, fweights=t.tensor([1, 2, 1, 3]))", "t.cov(x, aweights=u.abs())", "t.mode(x, 0)",
    "t.median(i)", ("t.median(e)", "g"), ("t.nanmedian(e)", "g"), ("t.ldexp(x.to(t.float16), i)", "g"), ("t.special.entr(z.to(t.bfloat16)).float()", "g"), "t.median(s)", "t.cummax(s, 0)", "t.bincount(k, weights=t.arange(12.))",
]  # fmt: skip
MATHEMATICS = [
    "t.sinc(x)", "t.deg2rad(x)", "t.rad2deg(i)", "t.logit(z)", "t.logit(x, 0.1)", "t.lgamma(p)", "t.digamma(p)", "t.digamma(x)",
    "t.polygamma(1, p)", "t.polygamma(2, p)", "p.polygamma(3)", "t.mvlgamma(p + 2, 3)", "t.i0(x)", ("t.gcd(i, j)", "g"), "t.lcm(i, j)",
    ("t.nextafter(x, y)", "g"), "t.frexp(x)", ("t.ldexp(x, i)", "g"), ("t.heaviside(x, y)", "g"), "t.dist(x, y)", "t.dist(x, y, 1)", "t.fmax(nan, p)", "t.fmin(nan, q)", ("t.igamma(j.to(q.dtype), q)", "g"), ("t.special.spherical_bessel_j0(x)", "g"), ("t.special.shifted_chebyshev_polynomial_t(z, 3)", "g"), "x.arctan()",
    "t.arccos(unit)", "unit.arcsin()", "t.arctan2(x, y)", "x.arcsinh()", "(p + 1).arccosh()", "unit.arctanh()", "t.atan2(x, y)",
    "t.hypot(x, y)", "t.fmod(x, p)", "t.fmod(i, j)", "t.logaddexp(x, y)", "t.logaddexp2(x, y)", "t.xlogy(p, q)", "t.xlogy(2.0, q)",
    "t.xlogy(i, q)", "t.frac(x)", "t.erfinv(unit)", "t.erfc(x)", "t.log2(p)", "t.log10(p)", "t.exp2(x)", "t.tan(x)", "t.sinh(x)",
    "t.cosh(i)", "t.asinh(x)", "t.acosh(p + 1)", "t.atanh(unit)", "x.clone().detach().erfinv_().nan_to_num()", "x.clone().sinc_()",
    "t.special.entr(z)", "t.special.ndtr(x)", "t.special.ndtri(z)", ("t.special.log_ndtr(x * 8)", "l"), "t.special.xlog1py(p, q)",
    "t.special.i0e(x)", "t.special.i1(x)", "t.special.i1e(x)", ("t.special.bessel_j0(x)", "g"), ("t.special.bessel_y0(p)", "g"),
    ("t.special.modified_bessel_k1(p)", "g"), "t.special.erfcx(x)", "t.special.gammaincc(p.detach(), q)", "t.special.gammainc(j, q)",
    "t.special.zeta(j + 1, q)", "t.special.gammaln(p)", "t.special.psi(p)", "t.special.multigammaln(p + 1, 2)", "t.special.expit(x)",
    "t.special.softmax(x, 1)", "t.special.log_softmax(x, 0)", "t.special.logsumexp(x, 1)", "t.special.round(x)", "t.special.sinc(x)",
    ("t.special.chebyshev_polynomial_t(x, 4)", "g"), ("t.special.hermite_polynomial_he(x, 3)", "g"), ("t.special.legendre_polynomial_p(unit, 5)", "g"),
    ("t.special.laguerre_polynomial_l(x, 3)", "g"), ("t.special.chebyshev_polynomial_u(x, 3)", "g"),
]  # fmt: skip
PRODUCTS = [
    "t.addmm(m, m, m, beta=0.5, alpha=2)", "t.addmm(u, x, m)", "x.addmm(x, m)", "t.addmv(t.ones(3, dtype=x.dtype), x, u)", "t.addr(m, u, u)",
    "t.baddbmm(d, b, c)", "t.addbmm(d[0], b, c, beta=2)", "t.mv(x, u)", "t.vdot(v, w)", "t.inner(x, y)", "t.inner(v, w)", "t.inner(s, x)",
    "t.ger(v, u)", "t.kron(m, sq)", "t.kron(v, x)", "t.tensordot(b, c, dims=([2, 0], [1, 0]))", "t.tensordot(x, m, 1)", "t.tensordot(x, y, 0)",
    "t.chain_matmul(x, m, n)", "t.cross(n[:3], sq)", "t.cross(sq, sq, dim=1)", "t.trace(m)", "t.trace(x)", "x.trace()", "t.cdist(x, y)", "t.cdist(x, y, 1.0)",
    "t.cdist(x, y, inf)", "t.cdist(x, y, 3.0)", "t.cdist(b, b)", "t.cdist(long.T, long.T[:7] + 1)", "t.cdist(x, y, compute_mode='use_mm_for_euclid_dist')", "F.pdist(x)", "F.pdist(x, 1.0)", "F.bilinear(x, y, t.arange(32.).reshape(2, 4, 4).to(x.dtype))",
    "t.block_diag(x, v, s)", "t.cartesian_prod(v, u)", "t.combinations(v)", "t.combinations(u, 3)", "t.combinations(u, 2, True)", ("t.vander(v)", "g"),
    ("t.vander(v, 3, True)", "g"), "t.outer(v, w)", "t.dot(v, w)", "t.einsum('ij,kj->ik', x, y)", "t.bmm(b, c)", "t.broadcast_tensors(x, u)[1]",
    "t.addcmul(x, y, p, value=2)", "t.addcdiv(x, y, p)", "t.lerp(x, y, 0.3)", "t.lerp(x, y, p)", "t.meshgrid(v, u, indexing='ij')",
]  # fmt: skip
LAYERS = [
    "F.logsigmoid(x - x.detach())", "F.binary_cross_entropy_with_logits(x - x.detach(), mask.to(x.dtype))",  # slopes at just 0
    "F.binary_cross_entropy(x - x.detach() + mask.to(x.dtype), 1 - mask.to(x.dtype))",  # and of probabilities 0 and 1
    "F.binary_cross_entropy(x - x.detach() + mask.to(x.dtype), mask.to(x.dtype))", "F.mse_loss(x, y, size_average=False)",
    "F.l1_loss(x, y, reduce=False)", "F.nll_loss(x, cls, reduce=False)", "F.cross_entropy(x, cls, size_average=False)",
    "F.elu(x)", "F.elu(x, 0.5)", "F.celu(x, 1.3)", "F.selu(x)", "F.relu6(x * 5)", "F.hardtanh(x)", "F.hardtanh(x, -0.5, 0.3)", "F.hardswish(x * 3)",
    "F.hardsigmoid(x * 3)", "F.mish(x)", "F.glu(x)", "F.glu(b, 2)", "F.logsigmoid(x * 4)", "F.softsign(x)", "F.softmin(x, 1)", "F.tanhshrink(x)",
    "F.softshrink(x)", "F.hardshrink(x)", "F.threshold(x, 0.1, 9.0)", "F.prelu(x, u)", "F.prelu(x, u[:1])", "F.rrelu(x)", "F.softplus(x, 2.0)",
    "F.leaky_relu(x, 0.2)", "F.gelu(x)", "F.silu(x)", "t.selu(x)", "t.celu(x)", "F.normalize(x)", "F.normalize(x, 1.0, 0)", "F.normalize(x, 3.0)",
    "F.local_response_norm(img, 2)", "F.local_response_norm(vol, 3)", "F.alpha_dropout(x, 0.5, False)", "F.dropout1d(b, 0.5, False)",
    "F.dropout3d(vol, 0.5, False)", "F.feature_alpha_dropout(x, 0.5, False)", "F.elu_(x * 1)", "F.mish(x * 1, inplace=True)", "(x * 1).sinc_()", "t.celu_(x * 1, 2.0)", "F.threshold_(x * 1, 0.0, 2.0)",
    "F.smooth_l1_loss(x, y)", "F.smooth_l1_loss(x, y, beta=0.3, reduction='sum')", "F.smooth_l1_loss(x, y, beta=0.0)", "F.huber_loss(x, y, delta=0.7)",
    "F.kl_div(x, z)", "F.kl_div(x, z, reduction='batchmean')", "F.kl_div(x, y, log_target=True, reduction='none')", "F.kl_div(x, z, size_average=False)",
    "F.poisson_nll_loss(x, p)", "F.poisson_nll_loss(p, q, log_input=False, full=True)", "F.poisson_nll_loss(x, p * 3, full=True)",
    "F.gaussian_nll_loss(x, y, p)", "F.gaussian_nll_loss(x, y, p[:, :1], full=True, reduction='none')", "F.margin_ranking_loss(x, y, sign.detach(), 0.3)",
    "F.hinge_embedding_loss(x, sign.detach())", "F.soft_margin_loss(x, sign.detach())", "F.multilabel_soft_margin_loss(x, mask.to(x.dtype))",
    "F.multi_margin_loss(x, cls)", "F.multi_margin_loss(x, cls, p=2, margin=0.5, weight=u.detach().abs())", "F.multi_margin_loss(x[0], cls[0])",
    "F.multilabel_margin_loss(x, t.tensor([[1, 2, -1, 0], [3, -1, 2, 1], [-1, 0, 1, 2]]))", "F.multilabel_margin_loss(u, t.tensor([0, 2, -1, 1]))",
    "F.cosine_similarity(x, y)", "F.cosine_similarity(x, y, 0)", "t.cosine_similarity(x, u, -1)", "F.pairwise_distance(x, y)", "F.pairwise_distance(x, y, 1.0, keepdim=True)",
    "F.cosine_embedding_loss(x, y, sign3.detach(), 0.1)", "F.triplet_margin_loss(x, y, p)", "F.triplet_margin_loss(x, y, p, swap=True, p=1)",
    "F.triplet_margin_with_distance_loss(x, y, p, distance_function=F.cosine_similarity)", "F.l1_loss(x, y)", "F.mse_loss(x, y, reduction='sum')",
    "F.ctc_loss(t.stack([d, c[:, :3], d * 2, d + 1, c[:, 1:]]).transpose(1, 2).reshape(5, 3, 10).log_softmax(2), t.tensor([[1, 2, 2], [3, 1, 0], [4, 0, 0]]), t.tensor([5, 5, 4]), t.tensor([3, 2, 1]))",
    "F.ctc_loss(t.stack([d, c[:, :3], d * 2]).reshape(3, 3, 10).log_softmax(2), t.tensor([1, 2, 2, 3, 1]), t.tensor([3, 3, 2]), t.tensor([2, 2, 1]), reduction='sum')",
    "F.ctc_loss(t.stack([d, c[:, :3], d * 2]).reshape(3, 3, 10).log_softmax(2), t.tensor([1, 2, 2, 2, 2, 3, 1]), (3, 3, 2), (2, 4, 1), reduction='none', zero_infinity=True)",
    "F.pixel_shuffle(t.cat([img, img[:, :1]], 1), 2)", "F.pixel_unshuffle(img, 2)", "F.channel_shuffle(img, 3)", "F.unfold(img, 2)", "F.unfold(img, (2, 3), stride=2, padding=1, dilation=(1, 2))",
    "F.fold(F.unfold(img, 3, stride=2, padding=1), (6, 6), 3, stride=2, padding=1)", "F.fold(F.unfold(img, 2), (6, 6), 2)",
    "F.affine_grid(b[:, :2, :3], (2, 3, 4, 5))", "F.affine_grid(b[:, :2, :3], (2, 3, 4, 5), align_corners=True)", "F.affine_grid(b, (2, 3, 2, 4, 5), align_corners=False)",
    "F.grid_sample(img, F.affine_grid(b[:, :2, :3], (2, 3, 4, 5)))", "F.grid_sample(img, F.affine_grid(b[:, :2, :3], (2, 3, 4, 5)), align_corners=True, padding_mode='border')",
    "F.grid_sample(img, F.affine_grid(b[:, :2, :3], (2, 3, 4, 5)), padding_mode='reflection')", "F.grid_sample(img, F.affine_grid(b[:, :2, :3], (2, 3, 4, 5)), 'nearest')",
    "F.grid_sample(img, F.affine_grid(b[:, :2, :3], (2, 3, 4, 5)), 'bicubic')", "F.grid_sample(img, F.affine_grid(b[:, :2, :3], (2, 3, 4, 5)), 'bicubic', 'reflection', True)",
    "F.grid_sample(vol, F.affine_grid(b[:1] * 0.4, (1, 2, 2, 3, 4)))", "F.grid_sample(vol, F.affine_grid(b[:1] * 0.4, (1, 2, 2, 3, 4)), padding_mode='border', align_corners=True)",
    "F.embedding_bag(cls.reshape(1, 3), n)", "F.embedding_bag(k, m, t.tensor([0, 3, 3, 8]))", "F.embedding_bag(k, m, t.tensor([0, 3, 8]), mode='sum', per_sample_weights=x.reshape(-1))",
    "F.embedding_bag(k, m, t.tensor([0, 3, 8]), mode='max')", "F.embedding_bag(k, m, t.tensor([0, 5, 12]), include_last_offset=True)", "F.embedding_bag(k, m, t.tensor([0, 5]), padding_idx=1)",
    "F.lp_pool1d(seq.abs(), 2, 2)", "F.lp_pool3d(vol.abs(), 2, (1, 2, 2))", "F.max_unpool2d(*F.max_pool2d(img, 2, return_indices=True), 2)", "F.max_unpool1d(*F.max_pool1d(seq, 3, 2, return_indices=True), 3, 2, output_size=(8,))", "F.max_pool2d_with_indices(img, 2)", "F.upsample_bilinear(img, scale_factor=2)", "t.hardshrink(x)", "F.lp_pool2d(img.abs(), 3, 2)", "F.pad(seq, (1, 2), mode='reflect')", "F.pad(img, (1, 2, 2, 1), mode='replicate')", "F.pad(img, (1, 2, 2, 1), mode='circular')",
    "F.pad(seq, (2, 1), mode='circular')", "F.pad(vol, (1, 1, 1, 1, 1, 1), mode='replicate')", "F.one_hot(cls, 5)", "F.one_hot(k)", "F.upsample(img, scale_factor=2)",
    "F.interpolate(img, size=(4, 9), mode='bilinear')", "F.binary_cross_entropy(z, mask.to(z.dtype))", "F.nll_loss(x.log_softmax(1), cls)",
]  # fmt: skip
LINALG = [
    "t.linalg.det(sq)", "t.linalg.det(sqs)", "t.det(m)", "t.linalg.slogdet(sqs)", "t.logdet(spds)", "m.slogdet()[1]", "t.linalg.inv(sqs)", "m.inverse()", "t.linalg.inv_ex(sq)",
    "t.linalg.pinv(tall)", "t.linalg.pinv(wide)", "t.pinverse(sqs)", "t.linalg.pinv(tall, rtol=0.4)", "t.linalg.solve(m, rhs)", "t.linalg.solve(m, u)", "t.linalg.solve(sqs, b[:, :, :3])",
    "t.linalg.solve(m, n.T, left=False)", "t.linalg.solve_ex(sq, n[:3])", "t.linalg.solve(sqs, b[:, :, 0])", "t.linalg.solve_triangular(m, rhs, upper=False)", "t.linalg.solve_triangular(m, rhs, upper=True, unitriangular=True)",
    "t.linalg.solve_triangular(m, n.T, upper=True, left=False)", "t.linalg.cholesky(spd)", "t.linalg.cholesky(spds, upper=True)", "t.cholesky(spd)", "t.linalg.cholesky_ex(spds)",
    "t.cholesky_solve(rhs, t.linalg.cholesky(spd))", "t.cholesky_inverse(t.linalg.cholesky(spd))", "t.linalg.qr(tall)", "t.linalg.qr(wide)", "t.linalg.qr(sqs)", "t.qr(tall)",
    ("[(lambda r: r[0] @ r[1])(t.linalg.qr(tall, mode='complete'))]", "g"), ("[(lambda q: q.transpose(0, 1) @ q)(t.linalg.qr(tall, mode='complete')[0])]", "g"), ("t.linalg.qr(tall, mode='r')", "g"),
    "t.linalg.lu_factor(sq)", "t.linalg.lu_factor(sqs)[0]", "t.linalg.lu(m)", "t.linalg.lu(sqs)", "t.linalg.lu_solve(*t.linalg.lu_factor(m), rhs)", "t.linalg.lu_solve(*t.linalg.lu_factor(m), n.T, left=False)",
    "t.linalg.lu_solve(*t.linalg.lu_factor(m), rhs, adjoint=True)", "t.lu_solve(rhs, *t.linalg.lu_factor(m))", "t.linalg.svdvals(tall)", "t.linalg.svdvals(sqs)", "t.linalg.svd(tall, full_matrices=False)[1]",
    "[(lambda r: (r[0] * t.arange(1., 4.).to(tall.dtype)) @ r[2])(t.linalg.svd(tall, full_matrices=False))]", "[(lambda r: (r[0] * r[1].exp().unsqueeze(-2)) @ r[2])(t.linalg.svd(sqs, full_matrices=False))]",
    "[(lambda r: (r[0] * r[1].exp()) @ r[2])(t.linalg.svd(wide, full_matrices=False))]", "[(lambda r: r[0].abs())(t.linalg.svd(wide, full_matrices=False))]", ("[x.abs() for x in t.linalg.svd(sq)]", "g"),
    ("[(lambda r: (r[0][..., :3] * r[1]) @ r[2])(t.linalg.svd(tall))]", "g"), ("[(lambda r: r[0] @ r[0].T)(t.linalg.svd(tall))]", "g"), "[(lambda r: (r[0] * r[1]) @ r[2].T)(t.svd(tall))]", "t.linalg.eigvalsh(spd)", "t.linalg.eigvalsh(sqs, 'U')", "t.linalg.eigh(spd)[0]",
    "[(lambda r: (r[1] * r[0].exp().unsqueeze(-2)) @ r[1].transpose(-2, -1))(t.linalg.eigh(spds + spds.transpose(1, 2)))]", "[t.linalg.eigh(spd + spd.T)[1].abs()]", "[t.linalg.eigh(m + m.T, UPLO='U')[1].abs()]", "t.linalg.matrix_rank(tall)", "t.linalg.matrix_rank(tall @ tall.T)",
    "t.linalg.matrix_rank(sqs, atol=0.9)", "t.linalg.cond(sq)", "t.linalg.cond(sq, -2)", ("t.linalg.cond(sq, 'fro')", "g"), ("t.linalg.cond(sqs, 1)", "g"), ("t.linalg.matrix_exp(m)", "l"), ("t.matrix_exp(sqs * 4)", "l"), "t.linalg.matrix_power(m, 3)", "t.linalg.matrix_power(m, -2)", "t.matrix_power(sqs, 0)",
    "t.linalg.multi_dot([x, m, n, sq])", "t.linalg.multi_dot([u, m, n])", "t.linalg.multi_dot([u, m, u])", "t.linalg.cross(sq, n[:3])", "t.linalg.diagonal(sqs)", "t.linalg.vecdot(x, y)", "t.linalg.vector_norm(x)", "t.linalg.vector_norm(x, 3, 1)",
    "t.linalg.vector_norm(x, inf, (0, 1), True)", "t.linalg.vector_norm(x, -inf, 1)", "t.linalg.vector_norm(x, 0)", "t.linalg.vector_norm(x, 0.5, 0)", "t.linalg.norm(x)", "t.linalg.norm(x, 'fro')", "t.linalg.norm(x, 'nuc')", "t.linalg.norm(x, 2)", "t.linalg.norm(x, -2)",
    "t.linalg.norm(x, inf)", "t.linalg.norm(x, -1)", "t.linalg.norm(x, 1, dim=1)", "t.linalg.norm(b, dim=(1, 2))", "t.linalg.norm(b, 'nuc', dim=(0, 2), keepdim=True)", "t.linalg.norm(v, 3)", "t.linalg.norm(b)", "t.linalg.matrix_norm(b)", "t.linalg.matrix_norm(b, 1, (2, 0))", "t.linalg.matrix_norm(b, 2, keepdim=True)",
    "t.linalg.lstsq(tall, t.ones(5, 2, dtype=tall.dtype))[:3]", "t.linalg.lstsq(wide, n[:3])[0]", "t.linalg.tensorinv(m.reshape(2, 2, 4), ind=2)", "t.linalg.tensorsolve(m.reshape(2, 2, 4), sq[:2, :2])", "t.linalg.householder_product(t.linalg.cholesky(spd)[:, :3], row[:3] * 0.3)", "t.norm(x, 3, 1)", "x.norm(p=1)", "t.linalg.vander(v)",
    "t.lu_unpack(*t.linalg.lu_factor(m))", "t.triangular_solve(rhs, m)[0]", "t.triangular_solve(rhs, m, upper=False, transpose=True)[0]", "t.orgqr(t.linalg.cholesky(spd)[:, :3], row[:3] * 0.3)",
    "[x.abs() for x in t.linalg.eig(spd)]", "[t.linalg.eig(m)[0].abs().sort()[0]]", "[t.linalg.eigvals(sqs).real.sort()[0]]", ("[(lambda r: (r[1] * r[0].exp().unsqueeze(-2)) @ t.linalg.inv(r[1]))(t.linalg.eig(m))]", "l"),
    "t.linalg.inv(t.complex(sq, n[:3]))", "t.linalg.solve(t.complex(m, m.T), t.complex(rhs, rhs))", "t.linalg.det(t.complex(sqs, sqs * 2))",
]  # fmt: skip
FOURIER = [
    *[f"t.fft.{f}(x)" for f in ("fft", "ifft", "rfft", "ihfft", "hfft", "irfft", "fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn", "hfft2", "ihfftn", "fftshift", "ifftshift")],
    *[f"t.fft.{f}(t.complex(x, y), norm='ortho')" for f in ("fft", "ifft", "irfft", "hfft", "fft2", "irfft2", "fftn", "irfftn")], "t.fft.fft(x, 6)", "t.fft.fft(x, 2, 0, 'forward')", "t.fft.rfft(x, 5, norm='forward')",
    "t.fft.irfft(t.complex(x, y), 5)", "t.fft.irfft(t.complex(x, y), 9, 0)", "t.fft.fftn(b, (2, 5), (0, 2))", "t.fft.irfft(t.fft.rfft(v), 5)", "t.fft.ifft(t.fft.fft(x)).real", "t.fft.fft(i)",
    "t.fft.fftfreq(7, 0.5)", "t.fft.rfftfreq(8)", "t.fft.fftshift(t.fft.fftfreq(8))", "t.hann_window(9)", "t.hamming_window(8, False)", "t.blackman_window(7)", "t.bartlett_window(6)", "t.kaiser_window(6, True, 4.0)", "t.hann_window(1)",
    "t.stft(long, 8, return_complex=True)", ("t.stft(long[0], 8, 3, 6, t.hann_window(6).to(long.dtype), normalized=True, return_complex=True)", "l"), "t.stft(long, 8, center=False, onesided=False, return_complex=True)",
    "t.istft(t.stft(long, 8, window=t.hann_window(8).to(long.dtype), return_complex=True), 8, window=t.hann_window(8).to(long.dtype))", "t.istft(t.stft(long[0], 8, 2, return_complex=True), 8, 2, length=37)",
]  # fmt: skip
def _facts(made: str, value: str, cdf: bool = True) -> list[str]:
    """Log-probability, entropy, mean and variance of a distribution."""
    calls = [f"{made}.log_prob({value})", f"{made}.entropy()", f"[{made}.mean, {made}.variance, {made}.stddev]"]
    return [*calls, *([f"{made}.cdf({value})"] if cdf else [])]


DISTRIBUTIONS = [
    *_facts("D.Normal(x, p)", "y"), *_facts("D.LogNormal(x, p)", "q"), *_facts("D.Uniform(x, x + p)", "(x + p * z)"), *_facts("D.Exponential(p)", "q"), *_facts("D.Laplace(x, p)", "y"),
    *_facts("D.Cauchy(x, p)", "y")[:2], "D.Cauchy(x, p).cdf(y)", *_facts("D.Gumbel(x, p)", "y"), *_facts("D.HalfNormal(p)", "q"), "D.StudentT(p + 2, x, q).log_prob(y)", "D.StudentT(p + 2, x, q).variance",
    *_facts("D.Bernoulli(z)", "mask.to(z.dtype)", False), *_facts("D.Bernoulli(logits=x)", "mask.to(x.dtype)", False), *_facts("D.Geometric(z)", "j", False), "D.Binomial(5, z).log_prob(j.to(z.dtype))",
    "D.Categorical(logits=x).log_prob(cls)", "D.Categorical(p).log_prob(cls)", "D.Categorical(logits=x).entropy()", "D.Categorical(p).probs", "D.Categorical(p).mode", "D.Categorical(p).enumerate_support()",
    "D.OneHotCategorical(logits=x).log_prob(F.one_hot(cls, 4).to(x.dtype))", "D.Poisson(p).log_prob(j.to(p.dtype))", *_facts("D.Gamma(p, q)", "z", False), *_facts("D.Beta(p, q)", "z", False), "D.Chi2(p).log_prob(q)",
    *_facts("D.Dirichlet(p)", "z / z.sum(1, keepdim=True)", False), *_facts("D.MultivariateNormal(u, spd)", "y", False), "D.MultivariateNormal(u, scale_tril=t.linalg.cholesky(spd)).precision_matrix",
    *_facts("D.Independent(D.Normal(x, p), 1)", "y", False), "D.Normal(x, p).icdf(z)", "D.Normal(0.0, 2.0).log_prob(y)", "D.Normal(x, p).expand((2, 3, 4)).log_prob(y)", "D.Normal(x, 1.0).perplexity()",
    *[f"D.kl_divergence({a}, {b})" for a, b in (("D.Normal(x, p)", "D.Normal(y, q)"), ("D.Bernoulli(z)", "D.Bernoulli(logits=x)"), ("D.Categorical(p)", "D.Categorical(logits=x)"), ("D.Uniform(x, x + p)", "D.Uniform(x - q, x + p + q)"),
      ("D.Exponential(p)", "D.Exponential(q)"), ("D.Laplace(x, p)", "D.Laplace(y, q)"), ("D.Poisson(p)", "D.Poisson(q)"), ("D.Geometric(z)", "D.Geometric(z * 0.5)"), ("D.Gamma(p, q)", "D.Gamma(q, p)"), ("D.Beta(p, q)", "D.Beta(q, p)"),
      ("D.Dirichlet(p)", "D.Dirichlet(q)"), ("D.MultivariateNormal(u, spd)", "D.MultivariateNormal(-u, spd + spd.T)"), ("D.Independent(D.Normal(x, p), 1)", "D.Independent(D.Normal(y, q), 1)"))],
]  # fmt: skip
ERRORS = [
    "t.diff(s)", "t.quantile(i, 0.5)", "t.quantile(x, 0.5, interpolation='x')", "t.cummax(x, 5)", "t.bucketize(x, x)", "t.nanmean(i)",
    "t.histc(x, 0)", "t.kthvalue(x, 9)", "t.mode(e, 0)", "t.searchsorted(row, p, side='middle')",
    "t.polygamma(-1, p)", "t.mvlgamma(p, 0)", "t.frexp(i)", "t.heaviside(x, i)", "t.addmm(x, v, m)", "t.mv(v, v)", "t.inner(x, v)",
    "t.cross(x, x, dim=1)", "t.cdist(x, sq)", "t.cdist(i, i)", "t.trace(b)", "t.combinations(x)", "t.tensordot(x, v, 1)", "t.logit()",
    "F.celu(x, 0.0)", "F.hardtanh(x, 1.0, 0.0)", "F.glu(n)", "F.softshrink(x, -1.0)", "F.prelu(x, v)", "F.smooth_l1_loss(x, y, beta=-1.0)",
    "F.huber_loss(x, y, delta=0.0)", "F.multi_margin_loss(x, cls, p=3)", "F.triplet_margin_loss(x, y, p, margin=-1.0)", "F.pixel_shuffle(img, 2)",
    "F.channel_shuffle(img, 2)", "F.unfold(img, 9)", "F.grid_sample(img, b)", "F.grid_sample(img, img, 'cubic')", "F.embedding_bag(k, m)",
    "F.embedding_bag(k, m, mode='min')", "F.kl_div(x, y, reduction='none of them')", "F.gaussian_nll_loss(x, y, v)", "F.alpha_dropout(x, 2.0)",
    "t.linalg.inv(t.zeros(2, 2))", "t.linalg.inv(x)", "t.linalg.cholesky(-spd)", "t.linalg.solve(m, n[:3])", "t.linalg.inv(i)", "t.linalg.det(v)", "t.linalg.norm(i)", "t.linalg.norm(b, 'fro')",
    "t.linalg.matrix_norm(x, 3)", "t.linalg.multi_dot([m])", "t.linalg.matrix_power(x, 2)", "t.linalg.qr(m, mode='full')", "t.linalg.eigh(m, UPLO='X')", "t.linalg.vecdot(x, v)",
    "D.Normal(x, -p)", "D.Categorical()", "D.Bernoulli(x)", "D.Normal(x, p).log_prob(nan)", "D.Independent(D.Normal(x, p), 3)", "D.kl_divergence(D.Normal(x, p), D.Bernoulli(z))", "D.Uniform(x, x + p).log_prob(x - 1)", "D.MultivariateNormal(u)",
    "t.fft.fft(x, 0)", "t.fft.fft(x, norm='no')", "t.fft.fftn(x, (2, 2, 2))", "t.fft.rfft(t.complex(x, y))", "t.fft.fft(x, dim=3)", "t.stft(v, 80, return_complex=True)", "t.hann_window(-1)",
]  # fmt: skip
TABLES = (SEARCHING, MATHEMATICS, PRODUCTS, LAYERS, LINALG, DISTRIBUTIONS, FOURIER)
#: One call of so many is compiled too.
COMPILED = 7
