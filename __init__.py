"""fusewire: a tensor compiler and JIT in pure Python. This file is its public face, in PyTorch's shape.

Importing it loads neither llvmlite, networkx nor triton; what needs them, and the layers and optimisers, load at first use.
"""

from __future__ import annotations

import math as _math
import sys as _sys
from typing import Any

from . import addresses as _addresses
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

_sys.meta_path.append(_addresses.Finder())  # type: ignore[arg-type]


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
    found = _addresses.find(name)
    found = _later.find(name) if found is None else found
    if found is None and name.endswith("_") and not name.startswith("_"):
        found = getattr(Tensor, name, None)  # relu_(x) is x.relu_()
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, found)
