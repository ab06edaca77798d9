"""The printed form of a module tree, as PyTorch prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .module import Module


def text(module: Module) -> str:
    """``Sequential(\\n  (0): Linear(in_features=2, out_features=3, bias=True)\\n)``."""
    extra = module.extra_repr()
    lines = extra.split("\n") if extra else []
    children = [f"({name}): {indented(repr(child))}" for name, child in module._modules.items()]
    head = module._get_name() + "("
    if len(lines) == 1 and not children:
        return head + lines[0] + ")"
    body = lines + children
    return head + ("\n  " + "\n  ".join(body) + "\n" if body else "") + ")"


def indented(block: str) -> str:
    """All lines but the first moved two columns to the right."""
    return block.replace("\n", "\n  ")
