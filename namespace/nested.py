"""``torch.nested``: several tensors that differ in one size, as one. Elementwise ops and products work on each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..eager import creation
from ..eager.arguments import wrap_dim
from ..eager.device import Device
from ..eager.executor import apply
from ..eager.functional import stack
from ..eager.generated import cat
from ..eager.kinds import jagged, strided
from ..ir.op import Scalar

__all__ = ["as_nested_tensor", "nested_tensor", "nested_tensor_from_jagged", "to_padded_tensor"]


class NestedTensor:
    """A batch of tensors of one dtype and rank. `size(d)` is an int where all agree."""

    __array_priority__ = 2000
    is_nested, is_sparse, is_quantized = True, False, False

    def __init__(self, parts: Sequence[Any], layout: Any = strided) -> None:
        self._parts, self.layout = tuple(parts), layout

    dtype = property(lambda self: self._parts[0].dtype, doc="Element type.")
    device = property(lambda self: Device("cpu"), doc="Where the memory lies.")
    ndim = property(lambda self: self._parts[0].ndim + 1, doc="Number of dimensions, that of the batch counted.")
    requires_grad = property(lambda self: any(p.requires_grad for p in self._parts), doc="Whether operations are recorded.")

    def dim(self) -> int:
        """Number of dimensions, that of the batch counted."""
        return int(self.ndim)

    def size(self, dim: int | None = None) -> Any:
        """The size of one dimension; RuntimeError where the parts differ in it, or none is named."""
        if dim is None:
            return tuple(self.size(d) for d in range(self.ndim))
        d = wrap_dim(dim, self.ndim)
        found = {int(p.shape[d - 1]) for p in self._parts} if d else {len(self._parts)}
        if len(found) > 1:
            raise RuntimeError(f"Given dimension {dim} is irregular and does not have a size.")
        return found.pop()

    @property
    def shape(self) -> Any:
        """As ``size()``."""
        return self.size()

    def numel(self) -> int:
        """Number of elements of all parts."""
        return sum(p.numel() for p in self._parts)

    def unbind(self, dim: int = 0) -> tuple[Any, ...]:
        """The parts."""
        if dim:
            raise RuntimeError(f"NestedTensor can only be unbound along dimension 0 got dimension {dim} instead.")
        return self._parts

    def values(self) -> Any:
        """All parts one after the other along the first dimension."""
        return cat(list(self._parts), 0)

    def lengths(self) -> Any:
        """The first size of each part."""
        return creation.tensor([int(p.shape[0]) for p in self._parts])

    def offsets(self) -> Any:
        """Where each part begins in `values`, and where the last one ends."""
        ends = [0]
        for p in self._parts:
            ends.append(ends[-1] + int(p.shape[0]))
        return creation.tensor(ends)

    def to_padded_tensor(self, padding: float, output_size: Any = None) -> Any:
        """One Tensor with room for the largest part, `padding` elsewhere."""
        sizes = tuple(max(int(p.shape[d]) for p in self._parts) for d in range(self.ndim - 1))
        wanted = sizes if output_size is None else tuple(output_size)[1:]
        if any(w < n for w, n in zip(wanted, sizes, strict=True)):
            raise RuntimeError(f"Value in output_size is less than NestedTensor padded size: {wanted} < {sizes}")
        rows = []
        for p in self._parts:
            whole = creation.full(wanted, padding, dtype=p.dtype)
            whole[tuple(slice(0, n) for n in p.shape)] = p
            rows.append(whole)
        return stack(rows)

    def _map(self, fn: Any) -> NestedTensor:
        return NestedTensor([fn(p) for p in self._parts], self.layout)

    def detach(self) -> NestedTensor:
        """The same outside the tape."""
        return self._map(lambda p: p.detach())

    def clone(self) -> NestedTensor:
        """The same in memory of its own."""
        return self._map(lambda p: p.clone())

    def to(self, *args: Any, **kwargs: Any) -> NestedTensor:
        """Each part by ``Tensor.to``."""
        return self._map(lambda p: p.to(*args, **kwargs))

    def __apply_op__(self, op: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Elementwise records, and those along the last dimension or of matrices, part by part."""
        if op.members is None and not isinstance(op.lowering, Scalar):
            raise NotImplementedError(f"{op.name} of a nested tensor is not built: take it of each of unbind()")
        try:
            attrs = attrs if op.members is None else dict(op.members(attrs))
        except ValueError as error:
            raise RuntimeError(f"{op.name} of a nested tensor: {error}") from None
        nested = [x for x in operands if isinstance(x, NestedTensor)]
        if len({len(x._parts) for x in nested}) > 1:
            raise RuntimeError("nested tensors of different batch sizes")
        rows = zip(*[x._parts if isinstance(x, NestedTensor) else (x,) * len(nested[0]._parts) for x in operands], strict=True)
        return NestedTensor([apply(op, row, attrs) for row in rows], self.layout)

    def __getattr__(self, name: str) -> Any:
        from ..eager.tensor import Tensor

        if name.startswith("__") or not callable(getattr(Tensor, name, None)):
            raise AttributeError(f"a nested tensor has no {name!r}")
        return lambda *args, **kwargs: getattr(Tensor, name)(self, *args, **kwargs)

    def __getitem__(self, index: Any) -> Any:
        first, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        if isinstance(first, int):
            return self._parts[first][rest] if rest else self._parts[first]
        return NestedTensor(self._parts[first], self.layout)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        return "nested_tensor([\n" + ",\n".join("  " + repr(p).replace("\n", "\n  ") for p in self._parts) + "\n])"


def _operator(name: str) -> Any:
    def operator(self: NestedTensor, *args: Any) -> Any:
        from ..eager.tensor import Tensor

        return getattr(Tensor, name)(self, *args)

    return operator


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg", "matmul"):
    setattr(NestedTensor, f"__{_name}__", _operator(f"__{_name}__"))


def nested_tensor(
    tensor_list: Sequence[Any], *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> NestedTensor:  # fmt: skip
    """Copies of these tensors (or lists of numbers), all of one rank, as one. `layout`: strided, or jagged, where they may
    differ in one size only. RuntimeError for others."""
    parts = [creation.tensor(t.detach().numpy() if hasattr(t, "meta") else t, dtype=dtype) for t in tensor_list]
    return _checked([p.requires_grad_(requires_grad) for p in parts], layout)


def as_nested_tensor(ts: Any, dtype: Any = None, device: Any = None, layout: Any = None) -> NestedTensor:
    """These tensors as one: gradients reach them."""
    parts = [t if dtype is None else t.to(dtype) for t in (ts.unbind() if hasattr(ts, "unbind") else ts)]
    return _checked(parts, layout)


def _checked(parts: list[Any], layout: Any) -> NestedTensor:
    if not parts:
        raise RuntimeError("Cannot construct a nested tensor from empty tensor list")
    if len({p.ndim for p in parts}) > 1:
        raise RuntimeError("All Tensors given to nested_tensor must have the same dimension. "
                           f"Found ranks {sorted({p.ndim for p in parts})}")  # fmt: skip
    if layout is not None and layout not in (jagged, strided):
        raise RuntimeError(f"Specified layout is unsupported for nested tensors: {layout}")
    if layout is jagged and sum(len({int(p.shape[d]) for p in parts}) > 1 for d in range(parts[0].ndim)) > 1:
        raise RuntimeError("Cannot represent given tensor list as a nested tensor with the jagged layout: "
                           "it has more than one ragged dimension")  # fmt: skip
    return NestedTensor(parts, strided if layout is None else layout)


def nested_tensor_from_jagged(values: Any, offsets: Any = None, lengths: Any = None, jagged_dim: int = 1, **options: Any) -> Any:
    """The parts of `values` between `offsets` (or of these lengths)."""
    if offsets is None and lengths is None:
        raise RuntimeError("nested_tensor_from_jagged(): At least one of offsets or lengths is required.")
    counts = lengths.tolist() if offsets is None else offsets.diff().tolist()
    return NestedTensor(values.split(counts, 0), jagged)


def to_padded_tensor(input: NestedTensor, padding: float, output_size: Any = None) -> Any:
    """`NestedTensor.to_padded_tensor`."""
    return input.to_padded_tensor(padding, output_size)
