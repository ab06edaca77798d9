"""A launch of a kernel that the user has written, as a call without effects: it gives new values of the tensors that the kernel
writes. Only a back end that claims the record runs it; the kernel itself is known by a name, and its code to that back end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import CompileError
from ..op import Decompose, Op, Sample, register
from ..sizes import Size
from ..types import TensorType, contiguous_strides


def _infer(
    *operands: Any, kernel: str, grid: tuple[Size, ...], places: tuple[Any, ...], words: tuple[Size, ...],
    written: tuple[int, ...], options: tuple[Any, ...],
) -> tuple[TensorType, ...]:  # fmt: skip
    kinds = [operands[i] for i in written]
    return tuple([TensorType(t.shape, t.dtype, contiguous_strides(t.shape)) for t in kinds])


def _apart(*operands: Any, **attrs: Any) -> tuple[Any, ...]:
    """The call on row-major copies of the operands that are not row-major any more."""
    from .casts import contiguous

    moved = tuple([x if getattr(x, "ndim", None) is None or x.tensor_type.is_contiguous else contiguous(x) for x in operands])
    if all(a is b for a, b in zip(moved, operands, strict=True)):
        _eager(**attrs)
    made: tuple[Any, ...] = launched(*moved, **attrs)
    return made


def _eager(*operands: Any, **attrs: Any) -> Any:
    raise CompileError(f"the kernel {attrs['kernel'].split(':')[0]} is written for Triton, which runs it on a GPU only")


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    attrs = {"kernel": "name:hash", "grid": (1, 1, 1), "places": (("tensor", 0),), "words": (), "written": (0,), "options": ()}
    yield Sample((rng.random(3),), attrs, raises=CompileError)


#: A launch. `kernel`: "name:hash" of the kernel, as the back end knows it; `grid`: three sizes; `places`: for each argument
#: ("tensor", operand), ("number", operand), ("size", place in `words`, do not specialise) or ("value", constant); `written`: the
#: operands that the kernel writes, of which the results are the new values, all row-major; `options`: (name, value) for Triton.
launched: Op = register(Op(
    "launched", (), _infer, _eager, None, Decompose(_apart), _samples, upcast=False, eager_only=True,
    constant="what a kernel of the user's computes is not known",
))  # fmt: skip
