"""Pooling by the largest element that says where it was: over windows at drawn places, and over as many windows as are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import generated as g
from .creation import arange
from .pure import pure
from .random import rand
from .windows import adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d, each_dim

if TYPE_CHECKING:
    from .tensor import Tensor


def _fractional(n: int) -> tuple[Any, Any]:
    """The functions for `n` spatial dimensions: with the places, and by option."""
    name = f"fractional_max_pool{n}d"

    def with_indices(
        input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        kernel, sizes = each_dim("kernel_size", kernel_size, n), tuple(input.shape[-n:])
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
        if output_size is None:
            ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
            counts: Any = tuple(int(int(m) * r) for m, r in zip(sizes, ratios, strict=True))
        else:
            counts = each_dim("output_size", output_size, n)
        single = input.ndim == n + 1
        x = input.unsqueeze(0) if single else input
        samples = _random_samples
        if samples is None:
            samples = rand(int(x.shape[0]), int(x.shape[1]), n, dtype=x.dtype, device=x.device)
        values, places = _pooled(x, kernel, counts, samples)
        return (values.squeeze(0), places.squeeze(0)) if single else (values, places)

    def function(
        input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:  # fmt: skip
        values, places = with_indices(input, kernel_size, output_size, output_ratio, return_indices, _random_samples)
        return (values, places) if return_indices else values

    function.__name__, with_indices.__name__ = name, f"{name}_with_indices"
    text = f"The largest element of windows of `kernel_size` at places drawn for each channel ({n} spatial dimensions)"
    function.__doc__, with_indices.__doc__ = f"{text}; with `return_indices` also where it is.", f"{text}, and where it is."
    return function, with_indices


@pure
def _pooled(x: Tensor, kernel: Any, counts: Any, samples: Tensor) -> tuple[Tensor, Tensor]:
    """The largest elements (batch, channels, *counts) of windows, and their places in the flat plane."""
    n, lead = len(kernel), x.shape[:2]
    sizes = x.shape[2:]
    place: Any = 0
    for d in range(n):
        sample = samples[..., n - 1 - d] if n == 2 else samples[..., d]  # of planes the last dimension's is first
        inside = _starts(sample, int(sizes[d]), int(counts[d]), int(kernel[d])).unsqueeze(-1) + arange(kernel[d], device=x.device)
        shape = [1] * (2 * n)
        shape[d], shape[n + d] = counts[d], kernel[d]
        place = place * sizes[d] + inside.reshape((*lead, *shape))
    flat = x.reshape((*lead, -1))
    place = place.reshape((*lead, -1))
    windows = g.gather(flat, 2, place).reshape((*lead, *counts, -1))
    best = windows.detach().argmax(-1, keepdim=True)
    found = g.gather(place.reshape((*lead, *counts, -1)), -1, best).squeeze(-1)
    return g.gather(windows, -1, best).squeeze(-1), found


def _starts(sample: Tensor, size: int, count: int, kernel: int) -> Tensor:
    """Where the windows along one dimension begin: steps drawn between the even ones, the last window at the end."""
    if count == 1:
        return (sample * 0).long().unsqueeze(-1) + (size - kernel)  # type: ignore[no-any-return]
    step = (size - kernel) / (count - 1)
    number = arange(count - 1, dtype=sample.dtype, device=sample.device)
    early = ((number + sample.unsqueeze(-1)) * step).long() - (sample.unsqueeze(-1) * step).long()
    last = (sample * 0).long().unsqueeze(-1) + (size - kernel)
    joined: Tensor = g.cat([early, last], -1)
    return joined


fractional_max_pool2d, fractional_max_pool2d_with_indices = _fractional(2)
fractional_max_pool3d, fractional_max_pool3d_with_indices = _fractional(3)


def adaptive_max_pool1d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """(values, places) of `adaptive_max_pool1d`."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """(values, places) of `adaptive_max_pool2d`."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """(values, places) of `adaptive_max_pool3d`."""
    return adaptive_max_pool3d(input, output_size, True)
