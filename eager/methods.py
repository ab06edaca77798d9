"""Methods of Tensor that are functions of other modules or combine what Tensor has: a mixin, so that `tensor.py` holds what needs
the slots. To add a method, write a line here."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from ..ir import dtypes
from ..ir.ops.creation import filled
from . import arranging, creation, functional, sampling, scattering
from .arguments import size_of, to_dtype
from .device import beside, is_at
from .generated import TensorOps
from .later import LaterMethods
from .pure import pure

if TYPE_CHECKING:
    from .tensor import Tensor

_TYPES = {
    "bool": "Bool", "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long", "float16": "Half",
    "bfloat16": "BFloat16", "float32": "Float", "float64": "Double", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
    "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64", "float8_e4m3fn": "Float8_e4m3fn", "float8_e5m2": "Float8_e5m2",
}  # fmt: skip
_BY_TYPE = {f"torch.{word}Tensor": name for name, word in _TYPES.items()}


class Methods(TensorOps, LaterMethods):
    """What Tensor can do beyond the op records; no slots of its own."""

    __slots__ = ()

    # -- shapes

    @pure
    def swapaxes(self: Any, axis0: int, axis1: int) -> Any:
        """`transpose`."""
        return functional.transpose(self, axis0, axis1)

    swapdims = functional.transpose
    moveaxis = arranging.movedim
    H = property(lambda self: _shaped("hermitian", self), doc="A matrix transposed and conjugated.")
    mH = property(lambda self: _shaped("adjoint", self), doc="The last two dimensions swapped, conjugated where complex.")
    broadcast_to = functional.broadcast_to
    unsafe_split, unsafe_chunk = functional.split, functional.chunk

    @pure
    def narrow_copy(self: Any, dim: int, start: int, length: int) -> Any:
        """`narrow` in new memory."""
        return functional.narrow(self, dim, start, length).clone()

    @pure
    def sum_to_size(self: Any, *size: Any) -> Any:
        """Sums over the dimensions that broadcasting from `size` would have made."""
        from ..ir.ops.reductions import sum_to

        whole = self if self.dtype.is_inexact else self.long()
        return sum_to(whole, shape=size_of(size))

    # -- elements

    def __pos__(self: Any) -> Any:
        return self.positive()

    def __nonzero__(self: Any) -> bool:
        return bool(self)

    absolute, negative = TensorOps.abs, TensorOps.neg
    absolute_, negative_ = TensorOps.abs_, TensorOps.neg_
    greater, greater_equal, less, less_equal, not_equal = (
        TensorOps.gt, TensorOps.ge, TensorOps.lt, TensorOps.le, TensorOps.ne)  # fmt: skip
    greater_, greater_equal_, less_, less_equal_, not_equal_ = (
        TensorOps.gt_, TensorOps.ge_, TensorOps.lt_, TensorOps.le_, TensorOps.ne_)  # fmt: skip
    fix, fix_ = TensorOps.trunc, TensorOps.trunc_
    multiply_, subtract_, true_divide_ = TensorOps.mul_, functional.sub_, functional.div_
    byte, char = functional.byte, functional.char

    # -- fills
    exponential_, cauchy_, geometric_ = sampling.exponential_, sampling.cauchy_, sampling.geometric_
    log_normal_, random_ = sampling.log_normal_, sampling.random_
    put, put_ = scattering.put, scattering.put_

    # -- complex numbers
    cfloat, cdouble = functional.cfloat, functional.cdouble
    real = property(
        lambda self: _part("real", self), lambda self, v: _part("set_part", self, 0, v), doc="The real parts, a view."
    )
    imag = property(
        lambda self: _part("imag", self), lambda self, v: _part("set_part", self, 1, v), doc="The imaginary parts, a view."
    )

    # -- what a tensor is
    is_cpu = property(lambda self: self.meta.device == "cpu", doc="Whether the tensor lies in the CPU's memory.")
    is_meta = property(lambda self: self.meta.device == "meta", doc="Whether the tensor has no memory.")
    is_sparse = is_sparse_csr = is_quantized = is_nested = is_mkldnn = is_xpu = is_mps = is_xla = is_vulkan = is_ipu = is_maia = (
        is_mtia) = property(lambda self: False, doc="Never: such tensors do not exist here.")  # fmt: skip
    itemsize = property(lambda self: self.meta.dtype.itemsize, doc="Bytes of one element.")
    layout = property(lambda self: _strided(), doc="How elements lie in memory: always strided.")
    name = property(lambda self: None, doc="The tensor's own name: it has none.")

    @property
    def nbytes(self: Any) -> int:
        """Bytes of all elements."""
        return self.numel() * self.meta.dtype.itemsize  # type: ignore[no-any-return]

    def is_complex(self: Any) -> bool:
        """Whether the dtype is a complex one."""
        return bool(self.meta.dtype.kind == "c")

    def is_signed(self: Any) -> bool:
        """Whether the dtype holds negative numbers."""
        return self.meta.dtype.kind not in "bu"

    def is_conj(self) -> bool:
        """False: conjugation is done at once."""
        return False

    is_neg = is_conj

    def is_pinned(self: Any, device: Any = None) -> bool:
        """Whether the memory is page-locked, so that a GPU copies from it by itself."""
        from .moving import is_pinned

        return is_pinned(self)

    def is_inference(self) -> bool:
        """False: every tensor may take part in gradients."""
        return False

    def record_stream(self: Any, stream: Any) -> None:
        """Work in `stream` uses the tensor, too: its memory is handed out again when that is done."""
        self.storage.record_stream(stream.cuda_stream)

    @property
    def __cuda_array_interface__(self: Any) -> dict[str, Any]:
        """Where the memory lies, for CuPy, Numba and others; AttributeError on the CPU."""
        from .moving import array_interface

        return array_interface(self)

    def is_shared(self: Any) -> bool:
        """Whether other processes can see the memory."""
        from .sharing import is_shared

        return is_shared(self)

    @pure
    def resolve_conj(self: Any) -> Any:
        """Self: conjugation is done at once."""
        return self

    resolve_neg = resolve_conj

    def is_set_to(self: Any, tensor: Any) -> bool:
        """Whether both tensors are one window of one storage."""
        same = self.meta.shape == tensor.meta.shape and self.meta.strides == tensor.meta.strides
        return bool(same and self.storage is tensor.storage and self.data_ptr() == tensor.data_ptr())

    def get_device(self: Any) -> int:
        """Number of the GPU; -1 on the CPU."""
        return -1 if self.meta.device == "cpu" else int(self.device.index)

    def ndimension(self: Any) -> int:
        """Number of dimensions."""
        return len(self.meta.shape)

    def dim_order(self: Any) -> tuple[int, ...]:
        """Dimensions from the slowest to the fastest."""
        return tuple(sorted(range(len(self.meta.shape)), key=lambda d: -self.meta.strides[d]))

    @pure
    def pin_memory(self: Any, device: Any = None) -> Any:
        """A copy in page-locked memory; self where it lies there already, or where there is no GPU."""
        from .moving import pin_memory

        return pin_memory(self)

    def share_memory_(self: Any) -> Any:
        """Move the memory to where processes begun from here see it, and what they write; returns self."""
        from .sharing import share

        return share(self)

    def rename(self: Any, *names: Any, **rename_map: Any) -> Any:
        """RuntimeError unless every name is None: dimensions have no names."""
        if any(n is not None for n in names) or rename_map:
            raise RuntimeError("named tensors are not supported: address dimensions by their number")
        return self

    refine_names = align_to = rename_ = rename

    def type(self: Any, dtype: Any = None, non_blocking: bool = False) -> Any:
        """``"torch.FloatTensor"``; with `dtype` (or such a text) the values in that dtype."""
        if dtype is None:
            return f"torch.{'cuda.' if self.is_cuda else ''}{_TYPES[self.meta.dtype.name]}Tensor"
        home = getattr(dtype, "device", self.device.type)  # that of a class such as torch.cuda.FloatTensor
        if isinstance(dtype, str):
            home = "cuda" if dtype.startswith("torch.cuda.") else "cpu"
        target = None if self.device.type == home else home
        return functional.to(self, dtype=dtype_of(dtype), device=target, non_blocking=non_blocking)

    # -- new tensors of this one's dtype

    def new_tensor(self: Any, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Tensor:
        """A new tensor of the dtype of this one."""
        return creation.tensor(data, dtype=dtype or self.dtype, device=device or beside(self), requires_grad=requires_grad)

    def new_full(
        self: Any, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Any:
        """`full` in the dtype of this tensor."""
        value = fill_value.item() if hasattr(fill_value, "meta") else fill_value
        return _flagged(_beside(self, size_of((size,)), value, dtype, device), requires_grad)

    def new_zeros(
        self: Any, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Any:
        """`zeros` in the dtype of this tensor."""
        shape = size_of(sizes if size is None else (size,))
        return _flagged(_beside(self, shape, 0, dtype, device), requires_grad)

    def new_ones(
        self: Any, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Any:
        """`ones` in the dtype of this tensor."""
        shape = size_of(sizes if size is None else (size,))
        return _flagged(_beside(self, shape, 1, dtype, device), requires_grad)

    new_empty = new_zeros

    def new_empty_strided(self: Any, size: Any, stride: Any, dtype: Any = None, device: Any = None) -> Any:
        """`empty_strided` in the dtype of this tensor."""
        from .making import empty_strided

        return empty_strided(size, stride, dtype=dtype or self.dtype, device=device or beside(self))

    def new(self: Any, *args: Any) -> Any:
        """A tensor of this one's dtype: of the sizes, or with the values, given."""
        if not args or all(isinstance(a, builtins.int) for a in args):
            return filled(self, size_of(args or (0,)), 0)
        return creation.tensor(args[0], dtype=self.dtype, device=beside(self))

    # -- Python's operators

    retains_grad = property(
        lambda self: self._node is not None and any(r() is self for r in self._node.retained or ()),
        doc="Whether `retain_grad` was called on this tensor, which is no leaf.",
    )
    output_nr = property(lambda self: getattr(self._node, "index", 0), doc="Which result of its tape node this tensor is.")

    def __rlshift__(self: Any, other: Any) -> Any:
        from .generated import bitwise_left_shift

        return bitwise_left_shift(other, self)

    def __rrshift__(self: Any, other: Any) -> Any:
        from .generated import bitwise_right_shift

        return bitwise_right_shift(other, self)

    def __lshift__(self: Any, other: Any) -> Any:
        return self.bitwise_left_shift(other)

    def __rshift__(self: Any, other: Any) -> Any:
        return self.bitwise_right_shift(other)

    def __ilshift__(self: Any, other: Any) -> Any:
        return self.bitwise_left_shift_(other)

    def __irshift__(self: Any, other: Any) -> Any:
        return self.bitwise_right_shift_(other)

    def __complex__(self: Any) -> complex:
        return complex(self.item())

    def __reversed__(self: Any) -> Any:
        return arranging.flip(self, 0) if self.ndim else self


def _part(name: str, *args: Any) -> Any:
    from . import complexes

    return getattr(complexes, name)(*args)


def _shaped(name: str, x: Any) -> Any:
    from . import shaping

    return getattr(shaping, name)(x)


def _beside(x: Any, shape: Any, value: Any, dtype: Any, device: Any) -> Any:
    """A tensor of `value` on `device` (None: that of `x`)."""
    if device is None or is_at(x, device):
        return filled(x, shape, value, to_dtype(dtype))
    return creation.full(shape, value, dtype=dtype or x.dtype, device=device)


def _flagged(x: Any, requires_grad: Any) -> Any:
    return x.requires_grad_() if requires_grad else x


def _strided() -> Any:
    from .kinds import strided

    return strided


def dtype_of(kind: Any) -> Any:
    """The dtype that ``"torch.FloatTensor"``, a legacy tensor class or a dtype names."""
    if isinstance(kind, str):
        name = _BY_TYPE.get(kind.replace("torch.cuda.", "torch."))
        if name is None:
            raise ValueError(f"invalid type: {kind!r}")
        return dtypes.lookup(name)
    return getattr(kind, "dtype", None) or to_dtype(kind)
