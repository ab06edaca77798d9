"""``autograd.forward_ad``: changes that are carried along with values. The Tensors are in `duals.py`."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import duals
from .tensor import Tensor

__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual",
]  # fmt: skip


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` gives: the value, and its change or None."""

    primal: Any
    tangent: Any


def enter_dual_level() -> int:
    """Begin a level; its number, which is 0: RuntimeError inside of another."""
    if duals.active.level is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    duals.active.level = duals.Level()
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level: what was made inside has no change any more. RuntimeError outside of one."""
    if duals.active.level is None or level not in (None, 0):
        raise RuntimeError("Trying to exit a forward AD level that was not the last one that was created. This is not supported.")
    duals.active.level = None


class dual_level:
    """``with dual_level():``. Inside, `make_dual` gives a Tensor with a change, and ops on it compute the changes of their
    results, which `unpack_dual` gives back."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Tensor:
    """`tensor` with the change `tangent`, of its shape and dtype. RuntimeError outside of a level, ValueError for integers."""
    if duals.active.level is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    if not (tensor.meta.dtype.is_inexact and tangent.meta.dtype.is_inexact):
        kinds = f"{tensor.dtype} and {tangent.dtype}"
        raise ValueError(f"Expected primal and tangent to be floating point or complex, but got: {kinds}")
    if tuple(tensor.shape) != tuple(tangent.shape):
        raise RuntimeError(f"Expected a tangent of the primal's shape, {list(tensor.shape)}, but got {list(tangent.shape)}")
    return duals.made(duals.value_of(tensor), tangent)  # type: ignore[no-any-return]


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """The value of `tensor` and its change; None where it has none, and outside of a level."""
    if not duals.is_dual(tensor):
        return UnpackedDualTensor(duals.value_of(tensor), None)
    return UnpackedDualTensor(tensor._storage.primal, tensor._storage.tangent)
