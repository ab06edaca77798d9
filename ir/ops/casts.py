"""Ops that change no value: conversion of dtype, copy, and the identities of autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import dtypes, layout
from ..dtypes import DType
from ..op import Effects, Move, Op, Sample, Scalar, register
from ..types import TensorType, tensor
from .declare import floats, unary_samples


def _cast_infer(x: TensorType, *, dtype: DType) -> tuple[TensorType]:
    return (layout.preserved(dtype, x),)


def _cast_eager(x: Any, *, dtype: DType) -> Any:
    if dtype.is_half and x.dtype == np.float64:
        x = x.astype(np.float32)  # rounded twice, as kernels and PyTorch do
    if x.dtype.kind == "c" and not dtype.is_complex:
        x = x.astype(np.bool_) if dtype.kind == "b" else x.real
    values = dtypes.converted(x, dtype)
    if x.flags.c_contiguous:
        return values
    if [s * x.itemsize for s in values.strides] == [s * values.itemsize for s in x.strides]:
        return values  # x is dense: its order is kept
    out = layout.empty_like(x, dtype.np)
    out[...] = values  # two steps: NumPy assigns between ml_dtypes and other dtypes only through astype
    return out


def _cast_grad(g: Any, need: Any, out: Any, x: Any, *, dtype: DType) -> tuple[Any, ...]:
    return (cast(g, dtype=x.dtype) if g.dtype is not x.dtype else g,)


def _cast_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for source in dtypes.ALL:
        x = floats(rng, (2, 5), source, (0, 5))
        for target in dtypes.ALL:
            if target is not source:
                yield Sample((x,), {"dtype": target})
    half = {"dtype": dtypes.bfloat16}
    yield Sample((np.array([1.00390625, 1.01171875, 3e38, np.inf, np.nan, -0.0], np.float32),), half, note="ties, overflow")
    for sample in unary_samples("f")(rng):
        if sample.note == "special":  # no integral dtype holds them
            continue
        yield Sample(sample.operands, {"dtype": dtypes.float32 if sample.operands[0].dtype != np.float32 else dtypes.int32})


#: Conversion to attr `dtype`; a floating value becomes integral by truncation. Always a fresh tensor. Public: ``Tensor.to``.
cast: Op = register(Op(
    "cast", (), _cast_infer, _cast_eager, _cast_grad, Scalar(lambda s, x, *, dtype: s.cast(x, dtype)),
    _cast_samples, upcast=False, autocast="",
))  # fmt: skip


def rounded_once(rule: Callable[..., tuple[Any, ...]], reads: str = "x") -> Callable[..., tuple[Any, ...]]:
    """The gradient rule of a function of one operand, for half types in float32 with one rounding at its end, as PyTorch has it.
    `reads`: which of "x" and "out" the rule looks at."""

    def grad(g: Any, need: Any, out: Any, x: Any, **attrs: Any) -> tuple[Any, ...]:
        dtype = g.dtype
        if not dtype.is_half:
            return rule(g, need, out, x, **attrs)
        out = cast(out, dtype=dtypes.float32) if "out" in reads else out
        x = cast(x, dtype=dtypes.float32) if "x" in reads else x
        (found,) = rule(cast(g, dtype=dtypes.float32), need, out, x, **attrs)
        return (cast(found, dtype=dtype),)

    return grad


def _contiguous_infer(x: TensorType) -> tuple[TensorType]:
    return (tensor(x.shape, x.dtype),)


def _same_index(index: Any, shapes: Any) -> Any:
    return ((None, 0, tuple(index)),)


#: A fresh row-major copy. Public: ``Tensor.contiguous`` (which returns self where it is row-major already).
contiguous: Op = register(Op(
    "contiguous", (), _contiguous_infer, lambda x: np.array(x, order="C", copy=True),
    lambda g, need, out, x: (g,), Move(_same_index), unary_samples("buif"), upcast=False,
    batch=lambda dims, x: contiguous(front(x, dims[0])),
))  # fmt: skip


def _clone_eager(x: Any) -> Any:
    if x.flags.c_contiguous:
        return x.copy()
    out = layout.empty_like(x, x.dtype)
    out[...] = x
    return out


#: A fresh copy, dense in the stride order of its operand.
clone: Op = register(Op(
    "clone", ("clone(Tensor input)",), lambda x: (layout.preserved(x.dtype, x),), _clone_eager,
    lambda g, need, out, x: (g,), Scalar(lambda s, x: x), unary_samples("buif"), upcast=False,
))  # fmt: skip

#: The same values on the same storage, cut off from the tape.
detach: Op = register(Op(
    "detach", ("detach(Tensor input)",), lambda x: (x,), lambda x: x, None, Move(_same_index), unary_samples("buif"),
    effects=Effects(aliases=0), upcast=False, constant="cutting the tape is its meaning",
    batch=lambda dims, x: detach(front(x, dims[0])),
))  # fmt: skip

from .shape import front  # noqa: E402  (shape's records know nothing of casts)
