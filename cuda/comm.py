"""``torch.cuda.comm``: tensors from one device to several and back, by plain copies in the order of the streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..eager.generated import cat

__all__ = ["broadcast", "broadcast_coalesced", "gather", "reduce_add", "reduce_add_coalesced", "scatter"]


def _named(device: Any) -> Any:
    return f"cuda:{device}" if isinstance(device, int) and device >= 0 else "cpu" if device == -1 else device


def broadcast(tensor: Any, devices: Iterable[Any] | None = None, *, out: Sequence[Any] | None = None) -> tuple[Any, ...]:
    """`tensor` on each of `devices`, or in each of `out`."""
    if (devices is None) == (out is None):
        raise RuntimeError(f"Exactly one of 'devices' and 'out' must be specified, but got devices={devices} and out={out}")
    if out is not None:
        return tuple([o.copy_(tensor, non_blocking=True) for o in out])
    return tuple([tensor.to(_named(d), non_blocking=True) for d in devices or ()])


def broadcast_coalesced(tensors: Sequence[Any], devices: Sequence[Any], buffer_size: int = 10485760) -> list[tuple[Any, ...]]:
    """For each of `devices`, copies of all `tensors`."""
    return [tuple([t.to(_named(d), non_blocking=True) for t in tensors]) for d in devices]


def reduce_add(inputs: Sequence[Any], destination: Any = None) -> Any:
    """The sum of tensors on several devices, on `destination` (None: the current device)."""
    if not inputs:
        raise RuntimeError("reduce_add expects non-empty inputs")
    home = "cuda" if destination is None else _named(destination)
    if any(x.shape != inputs[0].shape for x in inputs):
        raise ValueError(f"reduce_add takes tensors of one shape, not {[tuple(x.shape) for x in inputs]}")
    total = inputs[0].to(home, copy=True)
    for x in inputs[1:]:
        total += x.to(home)
    return total


def reduce_add_coalesced(
    inputs: Sequence[Sequence[Any]], destination: Any = None, buffer_size: int = 10485760
) -> tuple[Any, ...]:
    """`reduce_add` of each column of a list (one for each device) of lists of tensors."""
    return tuple([reduce_add(column, destination) for column in zip(*inputs, strict=True)])


def scatter(
    tensor: Any, devices: Sequence[Any] | None = None, chunk_sizes: Sequence[int] | None = None, dim: int = 0,
    streams: Sequence[Any] | None = None, *, out: Sequence[Any] | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Parts of `tensor` along `dim`, one on each of `devices` (or in each of `out`)."""
    if out is not None:
        if devices is not None or chunk_sizes is not None:
            raise RuntimeError("'devices' and 'chunk_sizes' must not be specified when 'out' is specified")
        parts = tensor.split([o.shape[dim] for o in out], dim)
        return tuple([o.copy_(p, non_blocking=True) for o, p in zip(out, parts, strict=True)])
    if devices is None:
        raise RuntimeError("scatter() takes 'devices' or 'out'")
    cut = tensor.chunk(len(devices), dim) if chunk_sizes is None else tensor.split(list(chunk_sizes), dim)
    return tuple([p.to(_named(d), non_blocking=True) for p, d in zip(cut, devices, strict=False)])


def gather(tensors: Sequence[Any], dim: int = 0, destination: Any = None, *, out: Any = None) -> Any:
    """The tensors behind one another along `dim`, on `destination` (None: the current device; -1: the CPU) or in `out`."""
    home = out.device if out is not None else "cuda" if destination is None else _named(destination)
    joined = cat([x.to(home) for x in tensors], dim)
    return joined if out is None else out.copy_(joined)
