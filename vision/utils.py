"""Pictures of batches: images side by side, and a file of them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from ..eager.creation import full
from ..eager.functional import stack
from ..eager.generated import cat
from ..eager.tensor import Tensor
from ..ir import dtypes
from .pictures import write_png


def make_grid(
    tensor: Tensor | Sequence[Tensor], nrow: int = 8, padding: int = 2, normalize: bool = False,
    value_range: tuple[float, float] | None = None, scale_each: bool = False, pad_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """Images [B, C, H, W] (or a list of [C, H, W]) in a grid [C, H', W'] of `nrow` images a row with `padding` pixels between
    them;
    one channel becomes three. With `normalize` values are shifted to 0..1 by `value_range`, else by least and greatest (of each
    image with `scale_each`). TypeError for what is no Tensor."""
    if not isinstance(tensor, Tensor):
        if not isinstance(tensor, Sequence) or not all(isinstance(t, Tensor) for t in tensor):
            raise TypeError(f"a grid is made of a Tensor or a list of Tensors, not {type(tensor)}")
        tensor = stack(list(tensor), 0)
    x = tensor.detach()
    x = x[None] if x.ndim == 2 else x
    x = x[None] if x.ndim == 3 else x
    x = cat([x, x, x], 1) if x.shape[1] == 1 else x
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError(f"value_range is a tuple (least, greatest), not {value_range!r}")
        x = stack([_scaled(t, value_range) for t in x], 0) if scale_each else _scaled(x, value_range)
    if x.shape[0] == 1:
        return x[0]  # type: ignore[no-any-return]
    count, channels, h, w = (int(n) for n in x.shape)
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = h + padding, w + padding
    grid = full((channels, height * rows + padding, width * columns + padding), pad_value, dtype=x.dtype)
    for k in range(count):
        top, left = (k // columns) * height + padding, (k % columns) * width + padding
        grid[:, top : top + h, left : left + w] = x[k]
    return grid


def _scaled(t: Tensor, limits: tuple[float, float] | None) -> Tensor:
    low, high = limits if limits is not None else (float(t.min()), float(t.max()))
    return (t.clamp(low, high) - low) / max(high - low, 1e-5)  # type: ignore[no-any-return]


def save_image(
    tensor: Tensor | Sequence[Tensor], fp: str | os.PathLike[str] | IO[bytes], format: str | None = None, **grid: Any
) -> None:
    """Write `make_grid` of `tensor` (floats in 0..1) as a picture: PNG here, other formats by PIL (ImportError without it)."""
    x = make_grid(tensor, **grid)
    array = x.to(dtypes.float32).mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0).to(dtypes.uint8).contiguous().numpy()
    kind = format or (Path(fp).suffix[1:] if isinstance(fp, (str, os.PathLike)) else "png")
    if kind.lower() == "png":
        write_png(array, fp)
        return
    from .transforms.images import pil

    pil().fromarray(array).save(fp, format=format)
