"""Every record against PyTorch: values, dtypes, and strides where both libraries have one rule. Skipped without torch."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from fusewire.errors import DivisionError, PositionError, RangeError
from fusewire.ir import dtypes
from fusewire.ir.op import Op

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))
from op_cases import ALL, Toy, call, close, error_samples, samples  # noqa: E402

F = torch.nn.functional


def to_torch(x: Any) -> Any:
    """A torch tensor with the strides of an ndarray; other operands as they are."""
    if not isinstance(x, np.ndarray):
        return x
    bits = x.view(np.uint16) if x.dtype == ml_dtypes.bfloat16 else x
    reach = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)) // x.itemsize if x.size else 0
    flat = np.lib.stride_tricks.as_strided(bits, (reach,), (x.itemsize,)).copy() if x.size else np.empty(0, bits.dtype)
    base = torch.from_numpy(flat)
    base = base.view(torch.bfloat16) if x.dtype == ml_dtypes.bfloat16 else base
    return base.as_strided(x.shape, [s // x.itemsize for s in x.strides]) if x.size else base.reshape(x.shape)


def to_numpy(t: Any) -> np.ndarray:
    if t.dtype is torch.bfloat16:
        return t.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return t.numpy()


def torch_dtype(d: Any) -> Any:
    return d if not isinstance(d, dtypes.DType) else getattr(torch, d.name)


def dims(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction; torch takes an empty `dim` for all dimensions, and some of its functions only one."""

    def run(x: Any, dim: tuple[int, ...] = (), keepdim: bool = False, **kw: Any) -> Any:
        if not dim:
            return fn(x.unsqueeze(-1), x.ndim, **kw) if kw.pop("by_one", True) else None
        for d in sorted(dim, reverse=True):
            x = fn(x, d, keepdim=keepdim, **kw)
        return x

    return run


def several(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction over a tuple of dimensions."""
    return lambda x, dim, keepdim=False, **kw: fn(x, dim, keepdim=keepdim, **kw) if dim else fn(x.unsqueeze(-1), (x.ndim,), **kw)


def loss(x: Any, t: Any, **kw: Any) -> Any:
    return F.cross_entropy(x, t, **kw)


def key(x: Any, at: Any, dims: Any) -> Any:
    """The subscript with positions `at` along `dims`."""
    found = dict(zip(dims, at, strict=True))
    return tuple(found.get(d, slice(None)) for d in range(x.ndim))


def indexed(x: Any, *at: Any, dims: Any, wrap: bool = True) -> Any:
    return x[key(x, at, dims)].contiguous()  # (PyTorch's result may lie like a permuted operand; ours is row-major)


def put(x: Any, *rest: Any, dims: Any, accumulate: bool = False, wrap: bool = True) -> Any:
    out = x.clone(memory_format=torch.contiguous_format)
    if not accumulate:
        out[key(x, rest[:-1], dims)] = rest[-1]
        return out
    rows = torch.arange(x.numel()).reshape(x.shape)[key(x, rest[:-1], dims)]
    wide = torch.float64 if x.dtype.is_floating_point else x.dtype
    flat = out.to(wide).reshape(-1).index_add(0, rows.reshape(-1), rest[-1].to(wide).reshape(-1))
    return flat.reshape(x.shape).to(x.dtype)


def first(x: Any, k: int, dim: int, largest: bool) -> Any:
    """Which of equal elements PyTorch's topk gives is not said; the first ones of a stable sort are those."""
    torch.topk(x, k, dim, largest)
    return torch.argsort(x, dim=dim, descending=largest, stable=True).narrow(dim, 0, k).contiguous()


def spread(values: Any, *at: Any, shape: Any, dims: Any, wrap: bool = True) -> Any:
    return put(torch.zeros(shape, dtype=values.dtype), *at, values, dims=dims, accumulate=True)


def conv(x: Any, w: Any, b: Any, **kw: Any) -> Any:
    return getattr(F, f"conv{len(kw['stride'])}d")(x, w, b, **kw)


def around(x: Any, padding: Any, value: float) -> Any:
    """`x` with `value` around its trailing dimensions; PyTorch names the last one first."""
    return F.pad(x, [n for pair in reversed(padding) for n in pair], value=value)


def pool(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """The largest elements and their places in the plane without padding."""
    n = len(kernel)
    pooling = getattr(F, f"max_pool{n}d")
    if x.ndim != n + 2:
        raise ValueError("a batch is wanted")
    low = float("-inf") if x.is_floating_point() else torch.iinfo(x.dtype).min
    made, at = pooling(around(x, padding, low), kernel, stride, 0, dilation, return_indices=True)
    sizes = [s + low + high for s, (low, high) in zip(x.shape[2:], padding, strict=True)]
    places = np.unravel_index(at.numpy(), sizes)
    inner = [p - low for p, (low, _) in zip(places, padding, strict=True)]
    flat = torch.from_numpy(np.ravel_multi_index(inner, tuple(x.shape[2:]), mode="clip"))
    return made, flat.reshape(at.shape).contiguous()


def sum_pool(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """Sums of windows: a convolution with ones, each plane by itself."""
    if x.ndim != len(kernel) + 2 or x.dtype is torch.bool:
        raise ValueError("a batch of numbers is wanted")
    plain = around(x, padding, 0)
    ones = torch.ones((1, 1, *kernel), dtype=x.dtype)
    if max(stride) == 1 and x.isnan().any():
        raise ValueError
    made = getattr(F, f"conv{len(kernel)}d")(plain.reshape(-1, 1, *plain.shape[2:]), ones, None, stride, 0, dilation)
    return made.reshape(*x.shape[:2], *made.shape[2:])


def best_so_far(x: Any, dim: int, fn: Any) -> Any:
    """Positions of running extremes."""
    return fn(x, dim).indices.contiguous()


def most_frequent(x: Any, dim: int) -> Any:
    """The last position of the most frequent element; PyTorch's own choice among equal ones is not said."""
    if not x.numel():
        return torch.mode(x, dim).indices
    values = torch.mode(x, dim, keepdim=True).values
    n = x.shape[dim]
    return (n - 1 - (x == values).flip(dim).to(torch.int64).argmax(dim)).contiguous()


SPECIAL: dict[str, Callable[..., Any]] = {
    "cummax_index": lambda x, dim: best_so_far(x, dim, torch.cummax), "mode_index": most_frequent,
    **{f"bessel_{n}": getattr(torch.special, f"bessel_{n}") for n in ("j0", "j1", "y0", "y1")}, "zeta": torch.special.zeta,
    **{f"bessel_{n}": getattr(torch.special, f"modified_bessel_{n}") for n in ("k0", "k1")}, "i0e": torch.special.i0e,
    **{f"bessel_{n}e": getattr(torch.special, f"scaled_modified_bessel_{n}") for n in ("k0", "k1")}, "i1e": torch.special.i1e,
    "i1": torch.special.i1, "erfcx": torch.special.erfcx, "polygamma": lambda x, n: torch.polygamma(n, x), "i0": torch.i0,
    "gammainc": torch.special.gammainc, "gammaincc": torch.special.gammaincc,
    "cummin_index": lambda x, dim: best_so_far(x, dim, torch.cummin), "ndtri": torch.special.ndtri,
    "logcumsumexp": lambda x, dim: torch.logcumsumexp(x, dim).contiguous(), "xlog1py": torch.special.xlog1py,
    "searchsorted": lambda t, x, right=False: torch.searchsorted(t.contiguous(), x.contiguous(), right=right),
    "cast": lambda x, dtype: x.to(dtype), "contiguous": lambda x: x.clone(memory_format=torch.contiguous_format),
    "view": lambda x, shape: x.view(shape), "permute": lambda x, dims: x.permute(dims),
    "expand": lambda x, shape: x.expand(shape),
    "unfold": lambda x, dim, size, step: x.unfold(dim, size, step),
    "slice": lambda x, dim, start, stop, step: x[(slice(None),) * dim + (slice(start, stop, step),)],
    "cat": lambda *xs, dim: torch.cat(xs, dim), "layer_norm": lambda x, w, b, **kw:
    F.layer_norm(x, kw["normalized_shape"], w, b, kw.get("eps", 1e-5)), "cross_entropy": loss,
    "rms_norm": lambda x, w, normalized_shape, eps=1e-6: F.rms_norm(x, normalized_shape, w, eps),
    "as_strided": lambda x, shape, strides, offset: x.as_strided(shape, strides, offset),
    "as_strided_scatter": lambda x, y, shape, strides, offset: torch.as_strided_scatter(x, y, shape, strides, offset),
    "gather": lambda x, i, dim: torch.gather(x, dim, i), "scatter_add": lambda x, i, s, dim: torch.scatter_add(x, dim, i, s),
    "scatter": lambda x, i, s, dim: torch.scatter(x, dim, i, s), "index": indexed, "index_put": put, "spread": spread,
    "argsort": lambda x, dim, descending=False: torch.argsort(x, dim=dim, descending=descending, stable=True).contiguous(),
    "topk_index": lambda x, k, dim, largest=True: first(x, k, dim, largest),
    "cumsum": lambda x, dim, dtype=None: torch.cumsum(x, dim, dtype=dtype).contiguous(),
    "cumprod": lambda x, dim, dtype=None: torch.cumprod(x, dim, dtype=dtype).contiguous(),
    "flip": lambda x, dims: torch.flip(x, dims).contiguous(),
    "pad": lambda x, v, dim, before, after: F.pad(x, (0, 0) * (x.ndim - dim - 1) + (before, after), value=v).contiguous(),
    "embedding": lambda w, i, padding_idx=None: F.embedding(i, w, padding_idx),
    "full": lambda v, shape, dtype, strides=None: torch.full(shape, v, dtype=dtype) if strides is None else
    torch.empty_strided(shape, strides, dtype=dtype).fill_(v), "sum_to": lambda x, shape: x.sum_to_size(shape),
    "arange": lambda start, step, length, dtype: torch.arange(start, start + step * max(length - 0.5, 0), step, dtype=dtype),
    "sum": several(torch.sum), "mean": several(torch.mean), "amax": several(torch.amax), "amin": several(torch.amin),
    "var": several(torch.var), "any": several(torch.any), "all": several(torch.all), "prod": dims(torch.prod),
    "softmax": lambda x, dim: torch.softmax(x, dim), "log_softmax": lambda x, dim: torch.log_softmax(x, dim),
    "detach": lambda x: x.detach(), "clone": lambda x: x.clone(), "convolution": lambda x, w, b, **kw: conv(x, w, b, **kw),
    "conv_input": lambda y, w, shape, **kw: torch.nn.grad.__dict__[f"conv{w.ndim - 2}d_input"](
        (y.shape[0], w.shape[1] * kw.get("groups", 1), *shape), w, y, **kw),
    "conv_weight": lambda x, y, kernel, **kw: torch.nn.grad.__dict__[f"conv{x.ndim - 2}d_weight"](
        x, (y.shape[1], x.shape[1] // kw.get("groups", 1), *kernel), y, **kw),
    "max_pool": lambda x, **kw: pool(x, **kw)[0], "max_pool_index": lambda x, **kw: pool(x, **kw)[1],
    "sum_pool": lambda x, **kw: sum_pool(x, **kw), "hardtanh": lambda x, low, high: F.hardtanh(x, low, high),
    "elu": lambda x, alpha=1.0, scale=1.0, inner=1.0: torch.ops.aten.elu(x, alpha, scale, inner),
}  # fmt: skip
#: PyTorch's function takes no number where ours does.
TENSORS_ONLY = ("logical_and", "logical_or", "maximum", "minimum", "atan2", "hypot", "logaddexp", "logaddexp2")
#: Own streams of random numbers, and ops of ours alone.
NO_ORACLE = (
    "rand", "randn", "philox_rand", "philox_randn", "dropout", "rng_advance", "size_of", "choose", "conv_rows", "attention",
    "conv_taps", "conv_fold", "true_places", "frexp", "attention_backward", "flex_attention", "flex_attention_backward",
    "bounded", "lstm_steps", "lstm_steps_backward", "gru_steps", "gru_steps_backward", "rnn_steps", "rnn_steps_backward",
)  # fmt: skip
#: PyTorch convolves integers too, takes planes without a batch, and hands the order of dimensions on to the result.
WINDOWS = ("convolution", "conv_input", "conv_weight", "max_pool", "max_pool_index", "sum_pool")
#: Factors are unique up to signs only; PyTorch's results are column-major: tests/functions compares what is unique.
FACTORS = (
    "inv", "solve", "solve_triangular", "det", "slogdet", "cholesky", "qr", "lu_factor", "lu_permutation", "matrix_exp", "eigh",
    "eigvalsh", "svd", "svdvals", "pinv", "geqrf", "ldl_factor", "ldl_solve",
)  # fmt: skip
oracle = [op for op in ALL if op.name not in (*NO_ORACLE, *FACTORS)]
LOOSE = {"f16": (2e-3, 1e-3), "bf16": (1.6e-2, 1e-2), "f32": (1e-5, 1e-6), "f64": (1e-12, 1e-12)}


def reference(op: Op, sample: Any) -> Any:
    fn = SPECIAL.get(op.name) or getattr(torch, op.name, None) or getattr(F, op.name)
    operands = [to_torch(x) for x in sample.operands]
    takes_number_first = op.name in SPECIAL or op.name in ("pow", "remainder", "xlogy", "xlog1py")
    if op.name in TENSORS_ONLY or (operands and not torch.is_tensor(operands[0]) and not takes_number_first):
        operands = [torch.tensor(x) if not torch.is_tensor(x) else x for x in operands]
    return fn(*operands, **{k: torch_dtype(v) for k, v in sample.attrs.items()})


def skipped(op: Op, sample: Any) -> bool:
    if op.name in TENSORS_ONLY and "wraps" in sample.note:
        return True  # no number to wrap
    return op.name == "gelu" and sample.note == "special"  # PyTorch's vectorised kernel gives NaN for infinity


@pytest.mark.filterwarnings("ignore:var.*degrees of freedom", "ignore:Mismatch dtype between input and weight")
@pytest.mark.parametrize("op", oracle, ids=[op.name for op in oracle])
def test_values_dtypes_and_strides(op: Op) -> None:
    for sample in samples(op):
        if skipped(op, sample):
            continue
        try:
            want = reference(op, sample)
        except NotImplementedError:
            continue  # PyTorch has no kernel for the dtype
        (got,) = call(op, Toy, sample)
        assert str(want.dtype) == f"torch.{got.dtype.name}", sample
        assert tuple(want.shape) == got.shape, sample
        rough = op.name.startswith("bessel_")  # PyTorch's rational functions are good for six digits from 5 to 25
        loose = {**LOOSE, "f32": (1e-5, 2e-5), "f64": (1e-7, 1e-6)} if rough else LOOSE
        close(got.array, to_numpy(want.resolve_neg()), loose if got.dtype.is_floating_point else {})
        if got.array.size and op.name not in ("expand", *WINDOWS):  # stride 0, or what NumPy has, where nothing is repeated
            assert tuple(want.stride()) == got.type.strides, sample


@pytest.mark.parametrize("op", oracle, ids=[op.name for op in oracle])
def test_errors(op: Op) -> None:
    for sample in error_samples(op):
        if op.name in ("slice", "pad", "clamp"):  # (a bool is clamped as a number: the function casts it for the record)
            continue  # Python clips the bounds of a slice; negative padding crops, other dims count from the end
        if op.name in WINDOWS:
            continue
        with pytest.raises(Exception) as caught:
            reference(op, sample)
        if issubclass(sample.raises, (DivisionError, PositionError, RangeError)):  # programs catch the class, or match the text
            assert issubclass(sample.raises, type(caught.value))
            with pytest.raises(sample.raises, match=re.escape(str(caught.value).rstrip("."))):
                call(op, Toy, sample)
