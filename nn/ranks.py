"""Layers for 1, 2 and 3 spatial dimensions from one class: the one mechanism behind ``Conv1d``, ``Conv2d``, ``Conv3d`` and their
like. Computes nothing."""

from __future__ import annotations

from typing import Any, TypeVar

from . import functional

M = TypeVar("M", bound=type)

SHAPES = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}
_LAST = {1: "The last dimension", 2: "The last two dimensions", 3: "The last three dimensions"}


def each(value: Any, n: int) -> tuple[Any, ...]:
    """One value for each of `n` dimensions, where a single one is given."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n


def ranked(
    base: M, name: str, doc: str, function: str = "", dims: tuple[int, ...] = (1, 2, 3), **attrs: dict[int, Any]
) -> tuple[M, ...]:
    """Subclasses of `base` for each of `dims`, called as `name` with the rank in place of "{}". Each has `rank`, what `attrs`
    hold for it (dicts by rank) and, where `function` names one ("conv{}d"), that function of `nn.functional` as `_function`.
    `doc` may speak of "{shape}" and "{last}"."""
    made = []
    for rank in dims:
        fields = {"rank": rank, **{k: v[rank] for k, v in attrs.items()}}
        if function:
            fields["_function"] = staticmethod(getattr(functional, function.format(rank)))
        title = name.format(f"{rank}d")
        text = doc.format(shape=SHAPES[rank], last=_LAST[rank])
        made.append(type(base)(title, (base,), {**fields, "__doc__": text, "__module__": base.__module__, "__qualname__": title}))
    return tuple(made)
