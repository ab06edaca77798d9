"""The Tensor: a meta, an array, a Storage shared with its views, a gradient and a place on the tape.

Arithmetic lives in the generated mixin and in `functional.py`; here is what needs the slots. A traced Tensor is the same
class with no array and a Storage that records, so no code here tells the two apart but through `storage`.
"""

from __future__ import annotations

import builtins
import copy
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, SupportsIndex

import numpy as np

from ..errors import AutogradError
from ..ir import dtypes
from ..ir.dtypes import DType
from ..ir.layout import windowed
from ..ir.ops import casts
from ..runtime.meta import Meta
from ..runtime.size import Size
from ..runtime.storage import Storage, address_of
from . import arranging, executor, factory, functional, gradients, indexing, neural, ordering, random, reducing, scattering
from .arguments import wrap_dim
from .device import Device
from .generated import TensorOps
from .methods import Methods
from .pure import pure

Array = np.ndarray[Any, Any]


@factory.bind
class Tensor(Methods):
    """A dense array of one dtype whose gradients can be recorded."""

    __slots__ = ("__dict__", "__weakref__", "_array", "_grad", "_node", "_offset", "_storage", "meta")

    __array_priority__ = 1000  # ndarray op Tensor is a Tensor

    meta: Meta
    _array: Array | None
    _storage: Storage | None
    _offset: int | None
    _grad: Tensor | None
    _node: Any

    def __new__(cls, *data: Any, requires_grad: bool = False) -> Any:
        """``Tensor(2, 3)`` is an uninitialised float tensor, ``Tensor([1, 2])`` one with these values, of the default dtype."""
        kind = dtypes.default().np
        if len(data) == 1 and not isinstance(data[0], (int, np.integer)):
            array = np.array(data[0].numpy() if isinstance(data[0], Tensor) else data[0], kind)
        else:
            array = np.empty(data if data else (0,), kind)
        t = factory.make(array, requires_grad)
        if cls is not Tensor:
            t.__class__ = cls  # type: ignore[assignment]
        return t

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if factory.sent_by_memory:
            from . import sharing  # multiprocessing is slow to import

            sharing.enter(cls)

    @staticmethod
    def _from_array(array: Array, requires_grad: bool = False) -> Tensor:
        """A Tensor on `array` itself, which it owns from now on."""
        return factory.make(array, requires_grad)

    def __apply_op__(self, op: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        if self._array is None and self._storage.on_device:  # type: ignore[union-attr]  # constants beside it lie there, too
            return self._storage.recorder.apply(op, operands, attrs)  # type: ignore[union-attr]
        return executor.apply(op, operands, attrs)

    # -- description -----------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """Sizes of the dimensions."""
        return self.meta.size

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.meta.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.meta.shape)

    @property
    def device(self) -> Device:
        """Where the memory lies."""
        return Device(self.meta.device)

    @property
    def storage(self) -> Storage:
        """The owner of the memory, shared with all views."""
        return factory.storage_of(self)

    @property
    def array(self) -> Array:
        """The values as an array that shares the memory. A fresh view: its shape may be changed without harm."""
        return factory.storage_of(self).read(self).view()

    @property
    def _version(self) -> int:
        return factory.visible_version(self)

    def dim(self) -> int:
        """Number of dimensions."""
        return len(self.meta.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.meta.size if dim is None else self.meta.shape[wrap_dim(dim, len(self.meta.shape))]

    def stride(self, dim: int | None = None) -> Any:
        """Strides in elements, or that of one dimension."""
        return self.meta.strides if dim is None else self.meta.strides[wrap_dim(dim, len(self.meta.shape))]

    def storage_offset(self) -> int:
        """Elements between the start of the storage and this tensor's first."""
        return self._offset or 0

    def numel(self) -> int:
        """Number of elements."""
        n = 1
        for size in self.meta.shape:
            n *= size
        return n

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.meta.dtype.itemsize

    def is_contiguous(self, *, memory_format: Any = None) -> bool:
        """Whether the elements lie without gaps in row-major order, or in that of `memory_format`."""
        if memory_format is not None and memory_format.name.startswith("channels_last"):
            order = (0, *range(2, self.ndim), 1)
            return self.ndim == 4 + memory_format.name.endswith("3d") and functional.permute(self.detach(), order).is_contiguous()
        expected = 1
        for n, s in zip(reversed(self.meta.shape), reversed(self.meta.strides), strict=True):
            if n == 0:
                return True
            if s != expected and n != 1:  # in this order a capture asks less of sizes that it does not fix
                return False
            expected *= n
        return True

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one."""
        return self.meta.dtype.is_floating_point

    def data_ptr(self) -> int:
        """Address of the first element."""
        return factory.address_of_first(self)

    is_cuda = property(lambda self: self.meta.device.startswith("cuda"), doc="Whether the tensor lies on a GPU.")

    # -- gradients -------------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded."""
        return self.meta.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and not self.meta.dtype.is_inexact:
            name = self.meta.dtype.name
            raise RuntimeError(f"only Tensors of floating point and complex dtype can require gradients, not {name}")
        if not value and self._node is not None:
            raise AutogradError("you can only change requires_grad flags of leaf variables; use detach()")
        if value is not self.meta.requires_grad:
            if self._storage is not None:
                self._storage.becomes_leaf(self)
            self.meta = self.meta.with_grad(bool(value))

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad`; returns self."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad_fn(self) -> Any:
        """The tape node that made this tensor; None for a leaf."""
        node = self._node
        return node.parent if hasattr(node, "parent") else node

    @property
    def output_nr(self) -> int:
        """Which of the results of `grad_fn` this tensor is."""
        return getattr(self._node, "index", 0)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` keeps the gradient of this non-leaf tensor."""
        node = self._node
        return node is not None and any(ref() is self for ref in node.retained or ())

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> Any:
        """Call `hook` with this leaf each time a backward pass has added to its `grad`. Returns a removable handle."""
        from .autograd import register_post_accumulate_grad_hook

        return register_post_accumulate_grad_hook(self, hook)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward passes have accumulated; None before the first, and for tensors that are no leaves unless
        they retain it. What is assigned must be a Tensor of the same shape, dtype and device, or None."""
        if self._grad is None and self._node is not None:
            gradients.warn_of_non_leaf(self)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            gradients.check(self, value)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self._node is None

    def backward(
        self, gradient: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Accumulate gradients of this tensor (a scalar, or with `gradient` of its shape) into the leaves' `grad`."""
        from .autograd import backward

        backward((self,), (gradient,), retain_graph, create_graph, inputs)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Any:
        """Call `hook` with this tensor's gradient in each backward pass; its result, if any, replaces the gradient."""
        from .autograd import register_hook

        return register_hook(self, hook)

    @property
    def _backward_hooks(self) -> dict[int, Any] | None:
        """The hooks of a leaf by number; None where it never had one."""
        from .autograd import _leaf_hooks

        return _leaf_hooks.of(self)

    @property
    def _post_accumulate_grad_hooks(self) -> dict[int, Any] | None:
        """The hooks behind accumulation of a leaf by number; None where it never had one."""
        from .autograd import _post_hooks

        return _post_hooks.of(self)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf tensor in `grad`."""
        from .autograd import retain_grad

        retain_grad(self)

    @property
    def data(self) -> Tensor:
        """The same memory outside the tape."""
        return factory.data_of(self)

    @data.setter
    def data(self, other: Tensor) -> None:
        self.meta = other.meta.with_grad(self.meta.requires_grad)
        self._array, self._storage, self._offset = other._array, factory.storage_of(other), factory.Detached(other._offset or 0)

    @pure
    def detach(self) -> Tensor:
        """The same memory outside the tape."""
        if not executor.recorders and (self._array is not None or self._storage.on_device):  # type: ignore[union-attr]
            return factory.detached(self)
        made = executor.apply(casts.detach, (self,), {})
        if made._array is not None:
            made._offset = factory.Detached(made._offset or 0)
        return made  # type: ignore[no-any-return]

    def detach_(self) -> Tensor:
        """Cut this tensor off its history; returns self. RuntimeError for a view."""
        if self.meta.requires_grad and getattr(self._node, "base", None) is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node = None
        self.meta = self.meta.with_grad(False)
        return self

    # -- values ----------------------------------------------------------------------------------------------------

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number."""
        array = factory.asked(self, ".item()") if self._array is None else self._array
        if array.size != 1:
            raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar (shape {list(self.shape)})")
        return array.reshape(()).astype(np.float32).item() if array.dtype.kind == "V" else array.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        array = factory.asked(self, ".tolist()") if self._array is None else self._array
        return array.astype(np.float32).tolist() if array.dtype.kind == "V" else array.tolist()

    def numpy(self, *, force: bool = False) -> Array:
        """The values as an ndarray that shares the memory."""
        if self.meta.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return factory.storage_of(self).shared(self).view()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self.numpy()
        return np.array(array, dtype, copy=copy) if dtype is not None or copy else array

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: Any = False) -> Any:
        from .numpy_calls import wrapped

        return wrapped(array)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from . import numpy_calls

        return numpy_calls.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from . import numpy_calls

        return numpy_calls.function(func, args, kwargs)

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None) -> Any:
        from .making import to_capsule

        if self.meta.device != "cpu":
            from .dlpack import exported

            return exported(self, stream, max_version, dl_device, copy)
        return to_capsule(self, max_version, dl_device, copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        if self.meta.device == "cpu":
            return (1, 0)
        from .dlpack import kind_of

        return kind_of(self._storage), self.device.index or 0

    def __bool__(self) -> bool:
        if self.numel() != 1:
            what = "more than one value" if self.numel() else "no values"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous (shape {list(self.shape)})")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self.meta.dtype.kind == "f":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        if not self.meta.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.meta.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.meta.shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter([self[i] for i in range(int(self.meta.shape[0]))])

    def __contains__(self, x: Any) -> bool:
        return bool((self.array == (x.array if isinstance(x, Tensor) else x)).any())

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        from .display import text

        return text(self, tensor_contents=tensor_contents)

    def __format__(self, spec: str) -> str:
        if spec and self.meta.shape:
            raise TypeError(f"unsupported format string {spec!r} for a Tensor of shape {list(self.shape)}: format its elements")
        one = not self.meta.shape and type(self) is Tensor  # a Parameter shows itself
        return format(self.item(), spec) if spec or one else str(self)

    def __hash__(self) -> int:
        return id(self)

    # -- copies ----------------------------------------------------------------------------------------------------

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("Only Tensors created explicitly by the user support the deepcopy protocol at the moment")
        out = self._copied(memo) if self._array is not None else self._copied_on_device(memo)
        out.__class__ = self.__class__
        memo[id(self)] = out
        if self._grad is not None:
            out._grad = self._grad.__deepcopy__(memo)
        if self.__dict__:
            out.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return out

    def _copied(self, memo: dict[int, Any]) -> Tensor:
        """These values in new memory, or, where what shares memory with this tensor was copied before, in that copy."""
        storage = self.storage
        kept = memo.get(id(storage))
        if kept is None:
            kept = memo[id(storage)] = storage, factory.make(storage.flat.copy())
        array, whole = self.array, kept[1]
        first = (address_of(array) - address_of(storage.flat)) // array.itemsize if array.size else 0
        if min((*array.strides, 0)) < 0 or first < 0 or first + _extent(array) > whole.numel():
            return factory.make(array.copy(order="K"), self.meta.requires_grad)  # .data put it outside of its storage
        window = windowed(whole.array[first:], array.shape, array.strides)
        return factory.make_view(window, whole, self.meta.requires_grad)

    def _copied_on_device(self, memo: dict[int, Any]) -> Tensor:
        from .moving import copied

        return copied(self, memo)  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if self.meta.device != "cpu":
            from .moving import reduced

            return reduced(self)
        array = np.ascontiguousarray(self.array).reshape(self.shape)
        return _rebuild, (type(self), array.tobytes(), self.shape, self.dtype, self.meta.requires_grad, dict(self.__dict__))

    # -- functions that are more than one record -------------------------------------------------------------------

    add = functional.add
    add_ = functional.add_
    sub = functional.sub
    sub_ = functional.sub_
    div = functional.div
    div_ = functional.div_
    contiguous = functional.contiguous
    clone = functional.clone
    to = functional.to
    type_as = functional.type_as
    cpu = functional.cpu
    cuda = functional.cuda
    view = functional.view
    reshape = functional.reshape
    permute = functional.permute
    transpose = functional.transpose
    t = functional.t
    expand = functional.expand
    squeeze = functional.squeeze
    unsqueeze = functional.unsqueeze
    flatten = functional.flatten
    unflatten = functional.unflatten
    view_as = functional.view_as
    reshape_as = functional.reshape_as
    expand_as = functional.expand_as
    narrow = functional.narrow
    select = functional.select
    unbind = functional.unbind
    split = functional.split
    chunk = functional.chunk
    movedim = arranging.movedim
    repeat = functional.repeat
    matmul = functional.matmul
    mm = functional.mm
    bmm = functional.bmm
    dot = functional.dot
    outer = functional.outer
    double = functional.double
    half = functional.half
    bfloat16 = functional.bfloat16
    long = functional.long
    short = functional.short
    max = reducing.max
    min = reducing.min
    var = reducing.var
    std = reducing.std
    norm = reducing.norm
    square = reducing.square
    clamp = reducing.clamp
    clamp_ = reducing.clamp_
    masked_fill = reducing.masked_fill
    masked_fill_ = reducing.masked_fill_
    fill_ = reducing.fill_
    zero_ = reducing.zero_
    copy_ = reducing.copy_
    addcmul = reducing.addcmul
    addcdiv = reducing.addcdiv
    addcmul_ = reducing.addcmul_
    addcdiv_ = reducing.addcdiv_
    lerp = reducing.lerp
    lerp_ = reducing.lerp_
    tril = reducing.tril
    triu = reducing.triu
    equal = reducing.equal
    allclose = reducing.allclose
    softmax = neural.softmax
    log_softmax = neural.log_softmax
    index_select = scattering.index_select
    take = scattering.take
    take_along_dim = scattering.take_along_dim
    scatter = scattering.scatter
    scatter_ = scattering.scatter_
    scatter_add = scattering.scatter_add
    scatter_add_ = scattering.scatter_add_
    index_add = scattering.index_add
    index_add_ = scattering.index_add_
    index_copy = scattering.index_copy
    index_copy_ = scattering.index_copy_
    index_fill = scattering.index_fill
    index_fill_ = scattering.index_fill_
    bincount = scattering.bincount
    index_put = scattering.index_put
    index_put_ = scattering.index_put_
    masked_scatter = scattering.masked_scatter
    masked_scatter_ = scattering.masked_scatter_
    masked_select = scattering.masked_select
    nonzero = scattering.nonzero
    argwhere = scattering.argwhere
    where = scattering.kept_where  # type: ignore[assignment]
    argsort = ordering.argsort
    sort = ordering.sort
    topk = ordering.topk
    kthvalue = ordering.kthvalue
    median = ordering.median
    multinomial = ordering.multinomial
    flip = arranging.flip
    fliplr = arranging.fliplr
    flipud = arranging.flipud
    roll = arranging.roll
    round = reducing.round
    cumsum = arranging.cumsum
    cumsum_ = arranging.cumsum_
    cumprod = arranging.cumprod
    logsumexp = arranging.logsumexp
    uniform_ = random.uniform_
    normal_ = random.normal_
    bernoulli_ = random.bernoulli_
    float, int, bool = functional.float_, functional.int_, functional.bool_
    divide, multiply, subtract = functional.div, TensorOps.mul, functional.sub
    clip = reducing.clamp
    true_divide, divide_, clip_ = functional.div, functional.div_, reducing.clamp_
    __matmul__, __rmatmul__ = functional.matmul_operator, functional.matmul_reflected
    __truediv__, __rtruediv__ = TensorOps.__truediv__, TensorOps.__rtruediv__
    T = property(functional.reversed_dims, doc="Dimensions in reverse order.")
    mT = property(functional.mT, doc="The last two dimensions swapped.")

    # -- indexing --------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Tensor:
        return indexing.get(self, index)  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: Any) -> None:
        indexing.put(self, index, value)

    def __delitem__(self, index: Any) -> NoReturn:
        raise TypeError("Tensor does not support deleting items")


def _extent(array: Array) -> int:
    """Elements between the first and the last of `array`, both counted."""
    if not array.size:
        return 0
    steps = zip(array.shape, array.strides, strict=True)
    return 1 + int(builtins.sum((n - 1) * (s // array.itemsize) for n, s in steps))


def _rebuild(
    cls: type[Tensor], raw: bytes, shape: tuple[int, ...], dtype: DType, requires_grad: bool, own: dict[str, Any] | None = None
) -> Tensor:
    """What a pickle of a Tensor calls."""
    array = np.frombuffer(raw, dtype.np).reshape(shape).copy()
    out = factory.make(array, requires_grad)
    out.__class__ = cls
    out.__dict__.update(own or {})
    return out


random.start()
