"""`gradcheck` and `gradgradcheck`: gradients of the tape beside differences of the function's values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime import gradmode
from . import autograd as tapes
from .device import made_beside
from .factory import storage_of
from .tensor import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A gradient that is not what differences say."""


def _outputs(made: Any) -> list[Any]:
    found = list(made) if isinstance(made, (tuple, list)) else [made]
    return [x for x in found if isinstance(x, Tensor) and x.dtype.is_inexact and x.requires_grad]


def _checked(inputs: Any) -> list[Any]:
    """The inputs that require grad; ValueError without any."""
    found = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not found:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
        )
    for x in found:
        if x.dtype.itemsize < 8:
            warnings.warn(f"gradcheck: an input of dtype {x.dtype}; differences need double precision", stacklevel=3)
        if 0 in x.stride() and x.numel() > 1:
            raise RuntimeError("gradcheck: an input has elements that share memory: call contiguous() on it first")
    return found


def _numeric(func: Callable[..., Any], inputs: Any, x: Any, eps: float, count: int) -> list[Any]:
    """For each output the matrix of differences: rows are elements of `x`, columns those of the output."""
    rows: list[list[Any]] = [[] for _ in range(count)]
    values = x.array if x._array is not None else x.detach()
    version = storage_of(x).version  # written to unseen: the values are given back before anyone asks
    for at in np.ndindex(*x.shape):
        was = values[at].item()
        sides = []
        for step in (eps, -eps):
            values[at] = was + step
            with tapes.enable_grad():
                made = _outputs(func(*inputs))
            arrays = [(o.detach().cpu().array, np.float64 if o.dtype.kind == "f" else None) for o in made]
            sides.append([np.array(array, dtype).reshape(-1) for array, dtype in arrays])
            values[at] = was
            storage_of(x).version = version
        for row, above, below in zip(rows, *sides, strict=True):
            row.append((above - below) / (2 * eps))
    return [np.stack(r) if r else np.zeros((0, 0)) for r in rows]


def _analytic(out: Any, x: Any) -> Any:
    """The matrix of the tape's gradients: one backward pass for each element of the output."""
    n = out.numel()
    columns = []
    for i in range(n):
        v = np.zeros(n, out.dtype.np)
        v[i] = 1
        (g,) = tapes.grad([out], [x], [made_beside(v.reshape(tuple(out.shape)), out)], True, False, allow_unused=True)
        if g is not None and (tuple(g.shape) != tuple(x.shape) or g.dtype is not x.dtype):
            raise GradcheckError(
                f"a gradient of shape {list(g.shape)} and {g.dtype} for an input of {list(x.shape)} and {x.dtype}"
            )
        columns.append(np.zeros(x.numel()) if g is None else np.array(g.detach().cpu().array).reshape(-1))
    return np.stack(columns, 1) if columns else np.zeros((x.numel(), 0))


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True, check_grad_dtypes: bool = False,
    check_batched_grad: bool = False, check_batched_forward_grad: bool = False, check_forward_ad: bool = False,
    check_backward_ad: bool = True, fast_mode: bool = False, masked: bool | None = None,
) -> bool:  # fmt: skip
    """Whether the gradients of `func` by those of `inputs` (double precision) that require grad are what differences of size
    `eps` say. GradcheckError where not, or False without `raise_exception`. A second pass must give the same to `nondet_tol`.
    Every element is checked, also with `fast_mode`."""
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    try:
        _check(func, inputs, eps, atol, rtol, nondet_tol)
        if check_batched_grad:
            _check_batched(func, inputs, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check(func: Callable[..., Any], inputs: tuple[Any, ...], eps: float, atol: float, rtol: float, again: float) -> None:
    checked = _checked(inputs)
    with tapes.enable_grad():
        outs = _outputs(func(*inputs))
    if not outs:
        raise ValueError("gradcheck: no output of the function requires grad: it does not depend on the inputs differentiably")
    for j, x in enumerate(checked):
        numeric = _numeric(func, inputs, x, eps, len(outs))
        for i, (o, wanted) in enumerate(zip(outs, numeric, strict=True)):
            found = _analytic(o, x)
            wanted = wanted.reshape(found.shape)
            if not np.allclose(found, wanted, rtol, atol, equal_nan=True):
                raise GradcheckError(
                    f"Jacobian mismatch for output {i} with respect to input {j},\nnumerical:{wanted}\nanalytical:{found}\n"
                )
            if not np.allclose(found, _analytic(o, x), 0.0, again, equal_nan=True):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                    f"different values (output {i}, input {j}, tolerance {again})"
                )


def _check_batched(func: Callable[..., Any], inputs: tuple[Any, ...], atol: float, rtol: float) -> None:
    checked = _checked(inputs)
    rng = np.random.default_rng(0)
    for o in _outputs(func(*inputs)):
        vs = made_beside(rng.normal(size=(2, *o.shape)).astype(o.dtype.np), o)
        batched = tapes.grad([o], checked, [vs], True, False, allow_unused=True, is_grads_batched=True)
        members = [tapes.grad([o], checked, [v], True, False, allow_unused=True) for v in vs]
        for g, *ones in zip(batched, *members, strict=True):
            alike = [np.allclose(g[k].cpu().array, one.cpu().array, rtol, atol) for k, one in enumerate(ones) if one is not None]
            if not all(alike):
                raise GradcheckError("gradients of a batch differ from those of its members")


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True, nondet_tol: float = 0.0, **options: Any,
) -> bool:  # fmt: skip
    """`gradcheck` of the gradient of `func`, as a function of the inputs and of the gradients that arrive (drawn where
    `grad_outputs` does not give them)."""
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    with tapes.enable_grad():
        outs = _outputs(func(*inputs))
    rng = np.random.default_rng(0)
    if grad_outputs is None:
        vs = [made_beside(rng.normal(size=tuple(o.shape)).astype(o.dtype.np), o).requires_grad_() for o in outs]
    else:
        vs = list(grad_outputs) if isinstance(grad_outputs, (tuple, list)) else [grad_outputs]
    wanted = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]

    def gradients(*args: Any) -> Any:
        given, arriving = args[: len(inputs)], args[len(inputs) :]
        made = _outputs(func(*given))
        found = tapes.grad(made, [given[i] for i in wanted], arriving, None, True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    was = gradmode.get()
    gradmode.set(True)
    try:
        return gradcheck(
            gradients, (*inputs, *vs), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol
        )
    finally:
        gradmode.set(was)
