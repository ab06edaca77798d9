"""Public functions that are more than one op record: PyTorch's spellings over the records' calls.

Each is `@pure` unless it says otherwise; the Tensor class takes its methods from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError, ShapeError
from ..ir import dtypes
from ..ir.dtypes import DType
from ..ir.ops import casts, linalg, pointwise
from ..ir.ops import shape as shapes
from . import casting, direct, notices
from . import device as devices
from . import generated as g
from .arguments import not_tensor, size_of, to_dtype, wrap_dim
from .executor import apply
from .inplace import inplace, store_checked
from .outputs import finished, into
from .pure import pure
from .recall import viewing
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}


def _scaled(other: Any, alpha: Any) -> Any:
    """`other` times `alpha`, as add and sub take it. A traced number is not asked for its value where it does not matter."""
    tensor = hasattr(other, "meta")
    if (type(alpha) in (int, float) or not tensor or other.meta.dtype.kind != "f") and alpha == 1:
        return other
    if tensor and other.meta.dtype.kind == "b" and isinstance(alpha, int):
        alpha = bool(alpha)  # a number takes the kind of what it scales
    return apply(pointwise.mul, (other, alpha), _NONE) if tensor else other * alpha


def _add_scaled(x: Any, other: Any, alpha: Any) -> Any:
    return pointwise.add(x, pointwise.mul(_floats(other), alpha))


def _sub_scaled(x: Any, other: Any, alpha: Any) -> Any:
    return pointwise.sub(x, pointwise.mul(_floats(other), alpha))


def _floats(x: Any) -> Any:
    """A tensor of floats, whose product with any number is one of its dtype."""
    if x.dtype.kind != "f":
        raise DTypeError(f"{x.dtype.name} is left to the op")
    return x


@pure
def add(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Tensor:
    """``input + alpha * other``."""
    if out is not None and alpha == 1 and direct.into(pointwise.add, (input, other), _NONE, out):
        return out  # type: ignore[no-any-return]
    result: Tensor = apply(pointwise.add, (input, _scaled(other, alpha)), _NONE)
    return result if out is None else into(out, result, True, (input, other))


@pure
def sub(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Tensor:
    """``input - alpha * other``."""
    if out is not None and alpha == 1 and direct.into(pointwise.sub, (input, other), _NONE, out):
        return out  # type: ignore[no-any-return]
    result: Tensor = apply(pointwise.sub, (input, _scaled(other, alpha)), _NONE)
    return result if out is None else into(out, result, True, (input, other))


@pure
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """``other - alpha * input``."""
    return sub(other, input, alpha=alpha)


@pure
def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Tensor:
    """``input / other``; `rounding_mode` "floor" or "trunc" rounds the quotient."""
    if rounding_mode is None:
        if out is not None and direct.into(pointwise.div, (input, other), _NONE, out):
            return out  # type: ignore[no-any-return]
        result: Tensor = apply(pointwise.div, (input, other), _NONE)
    elif rounding_mode == "floor":
        result = input // other
    elif rounding_mode == "trunc":
        result = _truncated(input, other)
    else:
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")
    return result if out is None else into(out, result, True, (input, other))


def _truncated(input: Any, other: Any) -> Any:
    quotient = input // other
    if quotient.dtype.is_floating_point:
        return g.trunc(apply(pointwise.div, (input, other), _NONE))
    inexact = (quotient * other).ne(input)
    return quotient + to((quotient < 0) & inexact, quotient.dtype)


def add_(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`add`, stored in self."""
    if alpha != 1 and direct.into(_add_scaled, (self, other, alpha), _NONE, self):
        return self
    return inplace(pointwise.add, (self, _scaled(other, alpha)), _NONE)  # type: ignore[no-any-return]


def sub_(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`sub`, stored in self."""
    if alpha != 1 and direct.into(_sub_scaled, (self, other, alpha), _NONE, self):
        return self
    return inplace(pointwise.sub, (self, _scaled(other, alpha)), _NONE)  # type: ignore[no-any-return]


def div_(self: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """`div`, stored in self."""
    if rounding_mode is not None:
        return store_checked(self, div(self, other, rounding_mode=rounding_mode))  # type: ignore[no-any-return]
    return inplace(pointwise.div, (self, other), _NONE)  # type: ignore[no-any-return]


# -- dtype, memory


@pure
@viewing
def contiguous(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """Self where the elements lie in row-major order (or in that of `memory_format`), else a copy that does."""
    if memory_format is not None and memory_format.name.startswith("channels_last"):
        return input if input.is_contiguous(memory_format=memory_format) else _channels_last(input)
    return input if input.is_contiguous() else apply(casts.contiguous, (input,), _NONE)


def _channels_last(x: Any) -> Any:
    """A copy whose dimension 1 is the fastest."""
    n = x.ndim
    order = (0, *range(2, n), 1)
    moved = apply(casts.contiguous, (apply(shapes.permute, (x,), {"dims": order}),), _NONE)
    return apply(shapes.permute, (moved,), {"dims": (0, n - 1, *range(1, n - 1))})


@pure
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy, dense in the order of dimensions of `input`, or in that of `memory_format`."""
    if memory_format is None or memory_format.name == "preserve_format":
        return apply(casts.clone, (input,), _NONE)  # type: ignore[no-any-return]
    if memory_format.name.startswith("channels_last"):
        return _channels_last(input)  # type: ignore[no-any-return]
    return apply(casts.contiguous, (input,), _NONE)  # type: ignore[no-any-return]


def device_and_dtype(args: tuple[Any, ...], dtype: Any = None, device: Any = None) -> tuple[Any, DType | None]:
    """What ``x.to(...)`` asks for; DeviceError where the device is not there."""
    for a in args:
        if isinstance(a, (str, devices.Device)) or type(a) is int:  # a number alone is a GPU's
            device = a
        elif hasattr(a, "meta"):
            dtype, device = a.dtype, a.device
        elif a is not None and not isinstance(a, bool):
            dtype = a
    devices.check(device)
    return device, to_dtype(dtype)


@pure
def to(
    self: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, non_blocking: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """``x.to(dtype)``, ``x.to(device)``, ``x.to(other)``, or both: self where nothing changes."""
    target, wanted = device_and_dtype(args, dtype, device)
    if target is not None and not devices.is_at(self, target):
        from .moving import to_device

        out = to_device(self, target, wanted, non_blocking)
        return out if memory_format is None else contiguous(out, memory_format=memory_format)  # type: ignore[no-any-return]
    if memory_format is not None and memory_format.name.startswith("channels_last"):
        self = contiguous(self, memory_format=memory_format)
    if wanted is None or wanted is self.dtype:
        return apply(casts.clone, (self,), _NONE) if copy else self
    return apply(casts.cast, (self,), {"dtype": wanted})  # type: ignore[no-any-return]


def _caster(name: str, dtype: DType) -> Any:
    @pure
    def convert(self: Tensor, memory_format: Any = None) -> Tensor:
        if memory_format is not None:
            self = contiguous(self, memory_format=memory_format)
        return self if self.meta.dtype is dtype else apply(casts.cast, (self,), {"dtype": dtype})

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"Self as {dtype.name}."
    return convert


float_, double, half, bfloat16 = (
    _caster("float", dtypes.float32), _caster("double", dtypes.float64), _caster("half", dtypes.float16),
    _caster("bfloat16", dtypes.bfloat16),
)  # fmt: skip
long, int_, short, char, byte, bool_ = (
    _caster("long", dtypes.int64), _caster("int", dtypes.int32), _caster("short", dtypes.int16), _caster("char", dtypes.int8),
    _caster("byte", dtypes.uint8), _caster("bool", dtypes.bool_),
)  # fmt: skip

cfloat, cdouble = _caster("cfloat", dtypes.complex64), _caster("cdouble", dtypes.complex128)


@pure
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """Self with the dtype of `other`."""
    return to(self, other.dtype)


@pure
def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """Self on the CPU: itself where it lies there."""
    if memory_format is not None:
        self = contiguous(self, memory_format=memory_format)
    return self if self.meta.device == "cpu" else to(self, device="cpu")


@pure
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """Self on a GPU (None: the current one): itself where it lies there. DeviceError where there is none."""
    return to(self, device="cuda" if device is None else devices.Device(device), non_blocking=non_blocking)


# -- shape


@pure
@viewing
def view(self: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same memory under another shape (one size may be -1), or with `dtype` its bytes as elements of that; RuntimeError where
    strides do not allow it."""
    if size is not None:
        shape = (size,)
    elif dtype is not None or (len(shape) == 1 and isinstance(shape[0], DType)):
        from .bits import viewed

        return viewed(self, shape[0] if dtype is None else dtype)  # type: ignore[no-any-return]
    return apply(shapes.view, (self,), {"shape": size_of(shape)})  # type: ignore[no-any-return]


@pure
@viewing
def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """`view` where strides allow it, else a copy."""
    return shapes.reshape(input, size_of(sizes if shape is None else (shape,)))  # type: ignore[no-any-return]


@pure
@viewing
def permute(input: Tensor, *order_of: Any, dims: Any = None) -> Tensor:
    """Dimensions in another order."""
    order = size_of(order_of if dims is None else (dims,))
    wrapped = tuple([wrap_dim(d, input.ndim) for d in order])
    if len(set(wrapped)) != len(wrapped) or len(wrapped) != input.ndim:
        raise ShapeError(f"permute: dims {list(order)} are no order of the {input.ndim} dimensions of shape {list(input.shape)}")
    return apply(shapes.permute, (input,), {"dims": wrapped})  # type: ignore[no-any-return]


@pure
@viewing
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped."""
    order = list(range(input.ndim))
    a, b = wrap_dim(dim0, input.ndim), wrap_dim(dim1, input.ndim)
    if order:
        order[a], order[b] = b, a
    return apply(shapes.permute, (input,), {"dims": tuple(order)})  # type: ignore[no-any-return]


@pure
@viewing
def t(input: Tensor) -> Tensor:
    """A matrix transposed; 1-D and 0-D as they are."""
    if input.ndim > 2:
        raise ShapeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return input if input.ndim < 2 else transpose(input, 0, 1)


@pure
@viewing
def expand(input: Tensor, *sizes: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """Dimensions of size 1 repeated without a copy; -1 keeps a size."""
    return apply(shapes.expand, (input,), {"shape": size_of(sizes if size is None else (size,))})  # type: ignore[no-any-return]


@pure
@viewing
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the dimensions of size 1, or without those among `dim` of size 1."""
    gone = range(input.ndim) if dim is None else [wrap_dim(d, input.ndim) for d in (dim if isinstance(dim, tuple) else (dim,))]
    return shapes.reshape(input, [n for d, n in enumerate(input.shape) if n != 1 or d not in gone])  # type: ignore[no-any-return]


@pure
@viewing
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at `dim`."""
    at = wrap_dim(dim, input.ndim + 1)
    return shapes.reshape(input, (*input.shape[:at], 1, *input.shape[at:]))  # type: ignore[no-any-return]


@pure
@viewing
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions `start_dim` to `end_dim` as one."""
    if not input.ndim:
        return reshape(input, 1)
    a, b = wrap_dim(start_dim, input.ndim), wrap_dim(end_dim, input.ndim)
    if a > b:
        raise RuntimeError(f"flatten() has invalid args: start_dim cannot come after end_dim ({start_dim}, {end_dim})")
    if a == b:
        return input
    middle = 1
    for n in input.shape[a : b + 1]:
        middle = middle * n
    return shapes.reshape(input, (*input.shape[:a], middle, *input.shape[b + 1 :]))  # type: ignore[no-any-return]


@pure
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension `dim` as several of `sizes` (one may be -1)."""
    at = wrap_dim(dim, input.ndim)
    return shapes.reshape(input, (*input.shape[:at], *sizes, *input.shape[at + 1 :]))  # type: ignore[no-any-return]


@pure
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of `other`."""
    return view(self, other.shape)


@pure
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of `other`."""
    return reshape(self, other.shape)


@pure
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of `other`."""
    return expand(self, other.shape)


@pure
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`expand` as a function."""
    return expand(input, size)


@pure
@viewing
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` elements along `dim` from `start` (an int, or a 0-d tensor of one), as a view."""
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    at = wrap_dim(dim, input.ndim)
    start = start.item() if hasattr(start, "meta") else start
    start = start + input.shape[at] if start < 0 else start
    if start + length > input.shape[at] or length < 0:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({input.shape[at]}).")
    attrs = {"dim": at, "start": start, "stop": start + length, "step": 1}
    return apply(shapes.slice_, (input,), attrs)  # type: ignore[no-any-return]


@pure
@viewing
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Position `index` along `dim`, which is dropped; a view."""
    at = wrap_dim(dim, input.ndim)
    n = input.shape[at]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {at}")
    one = narrow(input, at, index + n if index < 0 else index, 1)
    return apply(shapes.view, (one,), {"shape": input.shape[:at] + input.shape[at + 1 :]})  # type: ignore[no-any-return]


@pure
@viewing
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Every position along `dim`, as views."""
    at = wrap_dim(dim, input.ndim)
    return tuple([select(input, at, i) for i in range(int(input.shape[at]))])  # int: range reads a size unasked


@pure
@viewing
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces along `dim`: of one size (the last may be smaller), or of the given sizes."""
    at = wrap_dim(dim, tensor.ndim)
    n, size = tensor.shape[at], split_size_or_sections
    if isinstance(size, int):
        if size <= 0:
            raise RuntimeError(f"split expects split_size be positive, but got split_size={size}")
        size = [size] * int(n // size) + ([n % size] if n % size else []) or [0]  # int: how many there are is fixed
    if sum(size) != n:
        raise RuntimeError(f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {at}), "
                           f"but got split_sizes={list(size)}")  # fmt: skip
    pieces, start = [], 0
    for length in size:
        pieces.append(narrow(tensor, at, start, length))
        start += length
    return tuple(pieces)


@pure
@viewing
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size along `dim` (the last may be smaller)."""
    n = input.shape[wrap_dim(dim, input.ndim)]
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    return split(input, [n // chunks] * int(chunks) if n % chunks == 0 else -(-n // chunks), dim)


@served
@pure
def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Any = None) -> Tensor:
    """Tensors of one shape along a new dimension."""
    try:
        shapes_seen = {x.shape for x in tensors}
    except AttributeError as error:
        raise not_tensor("stack", tensors, error) from None
    if not shapes_seen:
        raise RuntimeError("stack expects a non-empty TensorList")
    if len(shapes_seen) > 1:
        raise ShapeError(f"stack expects each tensor to be equal size, but got {' and '.join(str(list(s)) for s in shapes_seen)}")
    result = g.cat([unsqueeze(x, dim) for x in tensors], wrap_dim(dim, tensors[0].ndim + 1))
    return result if out is None else into(out, result, True, (tensors,))


@served
@pure
def repeat(self: Tensor, *sizes: Any, repeats: Any = None) -> Tensor:
    """Copies laid side by side: `sizes[d]` of them along dimension d (new dimensions in front)."""
    times = size_of(sizes if repeats is None else (repeats,))
    x = shapes.reshape(self, (1,) * (len(times) - self.ndim) + self.shape)
    wide = [n for pair in zip(times, x.shape, strict=True) for n in pair]
    x = expand(shapes.reshape(x, [n for size in x.shape for n in (1, size)]), wide)
    x = apply(casts.contiguous, (x,), _NONE)  # its own memory, also where nothing is repeated
    return shapes.reshape(x, [k * n for k, n in zip(times, wide[1::2], strict=True)])  # type: ignore[no-any-return]


@pure
@viewing
def reversed_dims(self: Tensor) -> Tensor:
    """Dimensions in reverse order. A warning where there are more than two."""
    if self.ndim > 2:
        notices.reversed_dims(self.ndim)
    return apply(shapes.permute, (self,), {"dims": tuple(range(self.ndim - 1, -1, -1))})  # type: ignore[no-any-return]


@pure
@viewing
def mT(self: Tensor) -> Tensor:
    """The last two dimensions swapped."""
    return transpose(self, -2, -1)


# -- products


@pure
def matmul(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Matrix product, batched by broadcasting; a 1-D operand is a row on the left, a column on the right."""
    a, b = input, other
    try:
        rows, columns = len(a.meta.shape), len(b.meta.shape)
    except AttributeError:
        return _of_others("matmul", linalg.matmul, a, b)  # type: ignore[no-any-return]
    if not rows or not columns:
        raise ShapeError(f"matmul: both arguments need to be at least 1D, but they are {rows}D and {columns}D")
    result: Tensor = _of_vectors(a, b) if rows == 1 or columns == 1 else apply(linalg.matmul, (a, b), _NONE)
    return result if out is None else into(out, result, False)


@served
@pure
def _of_vectors(a: Any, b: Any) -> Any:
    """The product where one operand, or both, has one dimension."""
    left, right = a.ndim == 1, b.ndim == 1
    a = shapes.reshape(a, (1, *a.shape)) if left else a
    b = shapes.reshape(b, (*b.shape, 1)) if right else b
    result: Any = apply(linalg.matmul, (a, b), _NONE)
    kept = result.shape[:-2] if left and right else result.shape[:-1] if right else (*result.shape[:-2], result.shape[-1])
    return shapes.reshape(result, kept)


@pure
def unlowered(input: Tensor, other: Tensor) -> Tensor:
    """`matmul` in the operands' own dtype also where autocast lowers products: a step of a function that it leaves alone."""
    return casting.plainly(matmul, input, other) if casting.on else matmul(input, other)  # type: ignore[no-any-return]



def _of_others(name: str, op: Any, *operands: Any) -> Any:
    """The op of operands some of which are no Tensor: by those that know ops (sparse, nested); TypeError where none does."""
    for i, x in enumerate(operands):
        if not hasattr(x, "meta"):
            own = getattr(type(x), "__apply_op__", None)
            if own is None:
                raise TypeError(f"{name}(): argument {i + 1} must be Tensor, not {type(x).__name__}")
            return own(x, op, operands, {})
    raise AttributeError("meta")


@pure
def matmul_operator(self: Tensor, other: Any) -> Tensor:
    """``self @ other``."""
    return matmul(self, other) if hasattr(other, "meta") else NotImplemented


@pure
def matmul_reflected(self: Tensor, other: Any) -> Tensor:
    """``other @ self``, where `other` is no Tensor: NumPy's arrays count as one."""
    from .creation import as_tensor

    return matmul(as_tensor(other, device=self.device), self)


@pure
def mm(input: Tensor, mat2: Tensor, *, out: Any = None) -> Tensor:
    """Product of two matrices."""
    if not hasattr(mat2, "ndim") or not hasattr(input, "ndim"):
        return _of_others("mm", linalg.matmul, input, mat2)  # type: ignore[no-any-return]
    if input.ndim != 2 or mat2.ndim != 2:
        raise ShapeError(f"mm: both must be matrices, got shapes {list(input.shape)} and {list(mat2.shape)}")
    return matmul(input, mat2, out=out)


@pure
def bmm(input: Tensor, mat2: Tensor, *, out: Any = None) -> Tensor:
    """Products of two batches of matrices."""
    if input.ndim != 3 or mat2.ndim != 3 or input.shape[0] != mat2.shape[0]:
        raise ShapeError(f"bmm: both must be batches of as many matrices, got shapes {list(input.shape)} and {list(mat2.shape)}")
    return matmul(input, mat2, out=out)


@served
@pure
def dot(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Sum of the products of two vectors."""
    if input.ndim != 1 or other.ndim != 1:
        raise ShapeError(f"dot: 1D tensors expected, got shapes {list(input.shape)} and {list(other.shape)}")
    return unlowered(input, other) if out is None else matmul(input, other, out=out)


@served
@pure
def outer(input: Tensor, vec2: Tensor, *, out: Any = None) -> Tensor:
    """Every product of an element of one vector with one of the other."""
    return finished(unsqueeze(input, 1) * vec2, out)  # type: ignore[no-any-return]


def rmatmul(self: Tensor, other: Any) -> Any:
    """``other @ self`` for an `other` that is no Tensor: not defined."""
    return NotImplemented
