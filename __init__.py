"""fusewire: a tensor compiler and JIT in pure Python. This file is its public face, in PyTorch's shape.

Importing it loads neither llvmlite, networkx nor triton; what needs them, and the layers and optimisers, load at first use.
"""

from __future__ import annotations

import importlib
import math as _math
import sys as _sys
from typing import Any

from . import namespace as _namespace
from .eager import autograd
from .eager import generated as _generated
from .eager import later as _later
from .eager.arranging import cumprod, cumsum, einsum, flip, fliplr, flipud, logsumexp, meshgrid, movedim, roll
from .eager.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    get_default_device,
    get_default_dtype,
    linspace,
    ones,
    ones_like,
    set_default_device,
    set_default_dtype,
    set_default_tensor_type,
    tensor,
    zeros,
    zeros_like,
)
from .eager.device import Device as device
from .eager.functional import (
    add,
    bmm,
    broadcast_to,
    chunk,
    div,
    dot,
    flatten,
    matmul,
    mm,
    narrow,
    outer,
    permute,
    reshape,
    rsub,
    select,
    split,
    squeeze,
    stack,
    sub,
    t,
    transpose,
    unbind,
    unflatten,
    unsqueeze,
)
from .eager.generated import *  # noqa: F403
from .eager.kinds import (
    Layout as layout,
)
from .eager.kinds import (
    MemoryFormat as memory_format,
)
from .eager.kinds import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    jagged,
    preserve_format,
    sparse_coo,
    sparse_csr,
    strided,
)
from .eager.modes import (
    enable_grad,
    inference_mode,
    is_anomaly_check_nan_enabled,  # noqa: F401
    is_anomaly_enabled,  # noqa: F401
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .eager.neural import dropout, log_softmax, softmax
from .eager.normalisation import group_norm
from .eager.ordering import argsort, kthvalue, median, multinomial, sort, topk
from .eager.random import (
    Generator,
    bernoulli,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    set_rng_state,
)
from .eager.reducing import (
    addcdiv,
    addcmul,
    allclose,
    clamp,
    equal,
    lerp,
    masked_fill,
    max,
    min,
    norm,
    round,  # noqa: F401
    square,
    std,
    tril,
    triu,
    var,
    var_mean,
)
from .eager.sampling import normal, poisson, randint_like
from .eager.scattering import (
    argwhere,
    bincount,
    index_add,
    index_copy,
    index_fill,
    index_put,
    index_select,
    masked_scatter,
    masked_select,
    nonzero,
    scatter,
    scatter_add,
    take,
    take_along_dim,
)
from .eager.scattering import where_or_nonzero as where  # noqa: F401
from .eager.size import Size
from .eager.tensor import Tensor
from .eager.windows import (
    adaptive_avg_pool1d,
    avg_pool1d,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .ir.dtypes import DType as dtype
from .ir.dtypes import bfloat16, complex64, complex128, float16, float32, float64, int8, int16, int32, int64, promote_types, uint8
from .ir.dtypes import bool_ as bool
from .runtime import memory as memory
from .runtime.threads import get_num_threads, set_num_threads

__version__ = "0.1.0"

float, double, half = float32, float64, float16
cfloat, cdouble = complex64, complex128
long, int, short = int64, int32, int16
absolute, negative, fix, greater, greater_equal, less, less_equal, not_equal = abs, neg, trunc, gt, ge, lt, le, ne  # noqa: F405
concatenate, moveaxis, swapaxes, swapdims = cat, movedim, Tensor.swapaxes, transpose  # noqa: F405
clip, concat, subtract, multiply, true_divide, divide = clamp, cat, sub, mul, div, div  # noqa: F405
newaxis = None
clone = Tensor.clone  # type: ignore[assignment]
pi, e, inf, nan = _math.pi, _math.e, _math.inf, _math.nan

__all__ = [  # noqa: RUF022  (sorted by hand: dtypes and functions mix cases)
    "Generator", "Size", "Tensor", "add", "addcdiv", "addcmul", "allclose", "arange", "as_tensor", "autograd",
    "bernoulli", "bfloat16", "bmm", "bool", "broadcast_to", "chunk", "clamp", "clip", "concat", "default_generator",
    "device", "div", "divide", "dot", "double", "dropout", "dtype", "e", "empty", "empty_like", "enable_grad", "equal",
    "eye", "flatten", "float", "float16", "float32", "float64", "from_numpy", "full", "full_like", "get_default_dtype",
    "get_num_threads", "get_rng_state", "half", "inf", "inference_mode", "initial_seed", "int", "int16", "int32", "int64", "int8",
    "is_grad_enabled", "is_tensor", "lerp", "linspace", "log_softmax", "long", "manual_seed", "masked_fill", "matmul",
    "max", "min", "mm", "movedim", "multiply", "nan", "narrow", "no_grad", "norm", "numel", "ones", "ones_like",
    "outer", "permute", "pi", "promote_types", "rand", "rand_like", "randint", "randn", "randn_like", "randperm",
    "reshape", "rsub", "select", "set_default_dtype", "set_grad_enabled", "set_num_threads",
    "set_rng_state", "short", "softmax", "split",
    "square", "squeeze", "stack", "std", "sub", "subtract", "t", "tensor", "transpose", "tril", "triu", "true_divide",
    "uint8", "unbind", "unflatten", "unsqueeze", "var", "var_mean", "zeros", "zeros_like",
    "adaptive_avg_pool1d", "avg_pool1d", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "cumprod", "cumsum", "einsum", "flip", "fliplr", "flipud", "logsumexp", "meshgrid", "roll",
    "argsort", "kthvalue", "median", "multinomial", "sort", "topk",
    "argwhere", "index_put", "masked_scatter", "masked_select", "nonzero",
    "get_default_device", "set_default_device", "set_default_tensor_type",
    "cdouble", "cfloat", "complex128", "complex64",
    "channels_last", "channels_last_3d", "contiguous_format",
    "jagged", "layout", "memory_format",
    "normal", "poisson", "preserve_format", "randint_like",
    "sparse_coo", "sparse_csr", "strided", "swapaxes",
    "bincount", "index_add", "index_copy", "index_fill", "index_select", "scatter", "scatter_add", "take", "take_along_dim",
    "conv_transpose2d", "conv_transpose3d", "max_pool1d", "max_pool2d", "max_pool3d", "group_norm",
]  # fmt: skip
__all__ += _generated.__all__

_LEGACY = (
    "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "LongTensor", "IntTensor", "ShortTensor", "CharTensor",
    "ByteTensor", "BoolTensor",
)  # fmt: skip
_MODULES = (
    "nn", "optim", "utils", "vision", "special", "linalg", "fft", "func", "distributions", "backends", "cuda", "accelerator",
    "mps", "amp", "distributed", "version",
)
_sys.meta_path.append(_namespace.Finder())  # type: ignore[arg-type]
_AUTOCAST = (
    "autocast", "autocast_decrement_nesting", "autocast_increment_nesting", "clear_autocast_cache", "get_autocast_cpu_dtype",
    "get_autocast_dtype", "get_autocast_gpu_dtype", "is_autocast_available", "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled", "is_autocast_enabled", "set_autocast_cache_enabled", "set_autocast_cpu_dtype",
    "set_autocast_cpu_enabled", "set_autocast_dtype", "set_autocast_enabled", "set_autocast_gpu_dtype",
)  # fmt: skip
_OF_TENSORS = frozenset((
    "put", "resolve_conj", "resolve_neg", "is_conj", "is_neg", "is_signed", "is_inference", "unsafe_chunk", "unsafe_split",
    "dequantize", "int_repr", "q_scale", "q_zero_point",
))  # fmt: skip
#: names of the top namespace -> where they lie
_ELSEWHERE = {
    "GradScaler": "amp.GradScaler", "Stream": "cuda.Stream", "Event": "cuda.Event",
    "UntypedStorage": "eager.remaking.UntypedStorage",
    "set_anomaly_enabled": "autograd.set_detect_anomaly",
    "embedding_bag": "nn.functional.embedding_bag", "AcceleratorError": "errors.DeviceError",
    **{name: f"ir.dtypes.{name}" for name in ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")},
}  # fmt: skip
_COMPILER = ("compile", "explain", "compiler", "set_logs")
_ALIASES = ("install_as", "uninstall_as")
_FILES = ("save", "load", "serialization")


def is_tensor(obj: Any) -> bool:  # type: ignore[valid-type]
    """Whether `obj` is a Tensor."""
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:  # type: ignore[valid-type]
    """Number of elements."""
    return input.numel()


def is_floating_point(input: Tensor) -> bool:  # type: ignore[valid-type]
    """Whether the dtype of `input` is a floating one."""
    return input.is_floating_point()


def _assert(condition: Any, message: str) -> None:
    """AssertionError with `message` unless `condition` holds."""
    if not condition:
        raise AssertionError(message)


def is_complex(input: Tensor) -> bool:  # type: ignore[valid-type]
    """Whether the dtype of `input` is a complex one."""
    return input.is_complex()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _COMPILER:
        compiler = importlib.import_module(f"{__name__}.compiler")
        return compiler if name == "compiler" else getattr(compiler, name)
    if name in _ALIASES:
        return getattr(importlib.import_module(f"{__name__}.aliases"), name)
    if name == "return_types":
        return importlib.import_module(f"{__name__}.eager.return_types")
    if name == "set_printoptions":
        return importlib.import_module(f"{__name__}.eager.display").set_printoptions
    if name in _FILES:
        serialization = importlib.import_module(f"{__name__}.utils.serialization")
        return serialization if name == "serialization" else getattr(serialization, name)
    if name == "vmap":
        return importlib.import_module(f"{__name__}.eager.transforms").vmap
    if name in _AUTOCAST:
        return getattr(importlib.import_module(f"{__name__}.amp"), name)
    found = _later.find(name) or _namespace.find(name)
    if found is not None:
        return globals().setdefault(name, found)
    if name.endswith("Tensor") and name in _LEGACY:
        from .eager.legacy import legacy

        return legacy(name)
    if name in _OF_TENSORS:
        return getattr(Tensor, name)
    if name in _ELSEWHERE:
        place, _, inner = _ELSEWHERE[name].rpartition(".")
        return getattr(importlib.import_module(f"{__name__}.{place}" if place else __name__), inner)
    if name.endswith("_") and not name.startswith("_") and hasattr(Tensor, name):
        return getattr(Tensor, name)  # relu_(x) is x.relu_()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
