"""NumPy's functions on Tensors: what `__array_ufunc__` and `__array_function__` do. In eager NumPy computes, and the result is a
Tensor where PyTorch's is one; for traced Tensors the call is ops of the same dtypes."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..ir import dtypes
from ..runtime import gradmode
from .factory import make
from .functional import to

_SAME = (
    "abs sin cos tan exp exp2 expm1 log log2 log10 log1p sqrt square floor ceil trunc sign sinh cosh tanh negative positive "
    "reciprocal maximum minimum fmax fmin remainder fmod floor_divide logical_and logical_or logical_not logical_xor "
    "bitwise_and bitwise_or bitwise_xor hypot isnan isinf isfinite signbit copysign logaddexp matmul arcsin arccos arctan "
    "arcsinh arccosh arctanh arctan2 deg2rad rad2deg heaviside nextafter gcd lcm float_power"
)
#: NumPy's ufunc -> the method of Tensor that is it.
_METHODS = {name: name for name in _SAME.split()} | {
    "absolute": "abs", "fabs": "abs", "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div",
    "power": "pow", "rint": "round", "invert": "bitwise_not", "bitwise_not": "bitwise_not", "equal": "eq", "not_equal": "ne",
    "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge", "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift", "conjugate": "conj", "radians": "deg2rad", "degrees": "rad2deg", "cbrt": "",
}  # fmt: skip

_OF_TENSORS = (
    "sum mean max min amax amin prod std var any all argmax argmin cumsum cumprod reshape transpose ravel swapaxes repeat take "
    "round around clip squeeze expand_dims linspace"
)
#: NumPy's functions whose result on a Tensor is one.
_TENSORS = frozenset(_OF_TENSORS.split())


def ufunc(called: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``called(*inputs)``, some of which are Tensors; a Tensor, but for ``out=`` arrays and methods such as ``np.add.reduce``."""
    plain = method == "__call__" and not kwargs
    if plain and any(hasattr(x, "meta") and x._array is None for x in inputs):
        return ufunc_of_ops(called, *inputs)
    tracked = any(hasattr(x, "meta") and x.meta.requires_grad for x in inputs)
    if plain and tracked and len(inputs) == 2 and gradmode.get() and _METHODS.get(called.__name__):
        return ufunc_of_ops(called, *inputs)  # an ndarray on the left of an operator
    if plain and len(inputs) == 2 and any(isinstance(x, np.generic) for x in inputs) and _METHODS.get(called.__name__):
        return _of_numbers(called, *inputs)
    arrays = [x.numpy() if hasattr(x, "meta") else x for x in inputs]
    if "out" in kwargs:
        given = kwargs["out"]
        kwargs = {**kwargs, "out": tuple([x.numpy() if hasattr(x, "meta") else x for x in given])}
        getattr(called, method)(*arrays, **kwargs)
        return given[0] if len(given) == 1 else given
    result = getattr(called, method)(*arrays, **kwargs)
    if method != "__call__":
        return result
    if called.__name__ in _COMPARE and any(isinstance(x, np.ndarray) for x in inputs):
        return make(np.asarray(result))  # an ndarray on the left of a comparison
    return wrapped(result)


_COMPARE = frozenset(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"))


def _of_numbers(called: Any, x: Any, y: Any) -> Any:
    """A NumPy number on the left of an operator counts as a Python number, as PyTorch has it."""
    x, y = (v.item() if isinstance(v, np.generic) else v for v in (x, y))
    spelled = _OPERATORS.get(called.__name__)
    return ufunc(called, "__call__", (x, y), {}) if spelled is None else getattr(operator, spelled)(x, y)


_OPERATORS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv", "true_divide": "truediv", "power": "pow",
    "floor_divide": "floordiv", "remainder": "mod", "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le",
    "greater": "gt", "greater_equal": "ge", "bitwise_and": "and_", "bitwise_or": "or_", "bitwise_xor": "xor",
}  # fmt: skip


def ufunc_of_ops(called: Any, *inputs: Any) -> Any:
    """The ufunc as an op of Tensors, in the dtypes that NumPy would choose; TypeError where there is no such op."""
    name = _METHODS.get(called.__name__)
    first = next(x for x in inputs if hasattr(x, "meta"))
    fn = getattr(type(first), name, None) if name else None
    if fn is None:
        raise TypeError(f"np.{called.__name__} has no op of the same meaning: call numpy() first")
    loop = _loop(called, inputs)
    given = [_converted(x, d, first) for x, d in zip(inputs, loop, strict=False)]
    out = fn(*given)
    wanted = dtypes.uint8 if loop[-1].kind == "b" else dtypes.from_numpy(loop[-1])  # as PyTorch wraps truth values
    return out if out.dtype is wanted else to(out, wanted)


def is_op(called: Any) -> bool:
    """Whether Tensors have an op that is this ufunc."""
    from .tensor import Tensor

    return hasattr(Tensor, _METHODS.get(called.__name__) or "?")


def _loop(called: Any, inputs: tuple[Any, ...]) -> Any:
    kinds = [x.meta.dtype.np if hasattr(x, "meta") else type(x) if type(x) in (int, float, complex) else np.asarray(x).dtype
             for x in inputs]  # fmt: skip
    return called.resolve_dtypes((*kinds, *[None] * called.nout))


def _converted(x: Any, dtype: Any, like: Any) -> Any:
    if not hasattr(x, "meta"):
        if type(x) in (bool, int, float):
            return float(x) if dtype.kind == "f" and type(x) is not bool else x
        x = make(np.array(x))
    wanted = dtypes.from_numpy(dtype)
    return x if x.dtype is wanted else to(x, wanted)


def wrapped(result: Any) -> Any:
    """Arrays and NumPy numbers as Tensors; truth values as uint8, as PyTorch has them."""
    if isinstance(result, tuple):
        return tuple([wrapped(r) for r in result])
    if not isinstance(result, (np.ndarray, np.generic)) or result.dtype.kind not in "biufcV":
        return result
    array = np.asarray(result)
    return make(array.astype(np.uint8) if array.dtype.kind == "b" else array)


def function(called: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function of NumPy on the arrays of Tensors among its arguments, however deep in lists."""
    result = called(*_arrays(args), **{k: _arrays(v) for k, v in kwargs.items()})
    if called.__name__ in _TENSORS:
        return wrapped(result) if not (isinstance(result, np.generic) and result.dtype.kind == "b") else make(np.asarray(result))
    return result


def _arrays(x: Any) -> Any:
    if hasattr(x, "meta"):
        return x.numpy()
    if type(x) in (list, tuple):
        return type(x)([_arrays(y) for y in x])
    return x
