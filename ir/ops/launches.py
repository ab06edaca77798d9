"""A launch of a kernel that the user has written, as a call without effects: it gives new values of the tensors that the kernel
writes. Only a back end that claims the record runs it; the kernel itself is known by a name, and its code to that back end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...errors import CompileError
from ..op import Decompose, Op, Sample, register
from ..sizes import Size
from ..types import TensorType, contiguous_strides


def _infer(
    *operands: Any, kernel: str, grid: tuple[Size, ...], places: tuple[Any, ...], pointers: tuple[Any, ...],
    words: tuple[Size, ...], layouts: tuple[tuple[Size, ...], ...], written: tuple[int, ...], options: tuple[Any, ...],
) -> tuple[TensorType, ...]:  # fmt: skip
    kinds = [operands[i] for i in written]
    return tuple([TensorType(t.shape, t.dtype, contiguous_strides(t.shape)) for t in kinds])


def as_recorded(operands: tuple[Any, ...], layouts: tuple[tuple[Size, ...], ...]) -> list[bool]:
    """Which operands lie as those of the call did, whose strides are `layouts`: a kernel sees memory."""
    kinds = [getattr(x, "type", None) for x in operands]
    pairs = zip(kinds, layouts, strict=True)
    return [not isinstance(t, TensorType) or t.strides == wanted or 0 in t.shape for t, wanted in pairs]


_looking: list[bool] = []


@contextmanager
def unrun() -> Iterator[None]:
    """While somebody only looks at graphs: launches give back what they would overwrite, so that no GPU is needed."""
    _looking.append(True)
    try:
        yield
    finally:
        _looking.pop()


def looking() -> bool:
    """Whether launches do nothing now (`unrun`)."""
    return bool(_looking)


def _apart(*operands: Any, **attrs: Any) -> tuple[Any, ...]:
    """The call on row-major copies of the operands that are not row-major any more."""
    from .casts import clone, contiguous

    if _looking:
        return tuple([clone(operands[i]) for i in attrs["written"]])
    lies = as_recorded(operands, attrs["layouts"])
    moved = tuple([x if fine else contiguous(x) for x, fine in zip(operands, lies, strict=True)])
    if all(lies) or not all(as_recorded(moved, attrs["layouts"])):
        _eager(**attrs)
    made: Any = launched(*moved, **attrs)
    return made if isinstance(made, tuple) else (made,)


def _eager(*operands: Any, **attrs: Any) -> Any:
    if _looking:
        return tuple([operands[i].copy() for i in attrs["written"]])
    name = attrs["kernel"].split(":")[1]
    raise CompileError(f"the kernel {name} is written for Triton, which runs it on a GPU only")


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    places = (("x_ptr", "tensor", 0, "*fp64", True),)
    attrs = {"places": places, "pointers": ((0, -1),), "words": (), "layouts": ((1,),), "written": (0,), "options": ()}
    yield Sample((rng.random(3),), {"kernel": "module:name:hash", "grid": (1, 1, 1), **attrs}, raises=CompileError)


#: A launch. `kernel`: "module:name:hash" of the kernel, as the back end knows it; `grid`: three sizes; `places`, for each of its
#: parameters: (name, "tensor", place in `pointers`, type, aligned where it may be), (name, "number", operand, type),
#: (name, "size", place in `words`, whether 1 is a constant, whether multiples of 16 count, type or ""), (name, "value", constant)
#: or (name, "kernel", name of a function); `pointers`: (operand, place of an offset in `words` or -1); `layouts`: the strides of
#: the operands; `written`: the operands that the kernel writes, row-major, of which the results are the new values; `options`:
#: (name, value) for Triton.
launched: Op = register(Op(
    "launched", (), _infer, _eager, None, Decompose(_apart), _samples, upcast=False, eager_only=True,
    constant="what a kernel of the user's computes is not known",
))  # fmt: skip
