"""The text of a kernel without what a reader alone wants: layers that repeat each other are then one program, compiled once.

Names of arguments become numbers, comments and the kernel's own number go. Changes nothing that Triton makes code of.
"""

from __future__ import annotations

import re
from dataclasses import replace

from .stages import Build

#: what the text is searched for: strings, comments, names that stand for themselves (no attributes, no keywords of calls)
_TOKENS = re.compile(r'"""[\s\S]*?"""|"[^"\n]*"|\'[^\'\n]*\'|[ ]*#[^\n]*|(?<![\w.])[A-Za-z_]\w*(?!\w)(?!=[^=])')
_NUMBERED = re.compile(r"^k\d+_")


def plain(build: Build) -> Build:
    """The same program for all kernels that differ in names alone. A user's kernel is left as it is."""
    if build.user:
        return build
    name = _NUMBERED.sub("k_", build.name)
    names = {old: f"_{i}" for i, old in enumerate(build.signature) if old not in build.constants}
    others = {**names, build.name: name}

    def said(found: re.Match[str]) -> str:
        token = found.group()
        return "" if token.lstrip(" ").startswith("#") else others.get(token, token)

    return replace(
        build, name=name, text=_TOKENS.sub(said, build.text),
        signature={names.get(k, k): kind for k, kind in build.signature.items()},
        divisible=tuple(names.get(k, k) for k in build.divisible),
    )  # fmt: skip
