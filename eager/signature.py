"""Parses the argument lists of op records: ``sum(Tensor input, dims dim=None, bool keepdim=False, *, dtype? dtype=None)``.

Types: Tensor, Tensor?, Tensor|Scalar, Tensor[], Scalar, Scalar? (operands); bool, int, int?, float, float?, str, str?,
dtype, dtype?, dim, dim?, dims, int[], size (attributes). Parses only; what is generated from it is in `generate.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import ParseError

OPERANDS = frozenset(("Tensor", "Tensor?", "Tensor|Scalar", "Tensor[]", "Scalar", "Scalar?"))
ATTRS = frozenset(("bool", "int", "int?", "float", "float?", "str", "str?", "dtype", "dtype?", "dim", "dim?", "dims",
                   "given_dims", "int[]",
                   "size", "Generator?"))  # fmt: skip

_HEAD = re.compile(r"(\w+)\((.*)\)$", re.S)
_PARAM = re.compile(r"(\S+)\s+(\w+)(?:\s*=\s*(.+))?$", re.S)


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `default` is Python text, None where the argument must be given."""

    type: str
    name: str
    default: str | None
    keyword_only: bool

    @property
    def is_operand(self) -> bool:
        return self.type in OPERANDS


@dataclass(frozen=True, slots=True)
class Signature:
    """One overload."""

    name: str
    params: tuple[Param, ...]

    @property
    def takes_tensor_first(self) -> bool:
        """Whether this can be a method of Tensor."""
        return bool(self.params) and self.params[0].type in ("Tensor", "Tensor|Scalar")


def parse(text: str) -> Signature:
    """The overload written as `text`; ParseError on anything else."""
    head = _HEAD.match(text.strip())
    if head is None:
        raise ParseError(f"not a signature: {text!r}")
    params: list[Param] = []
    keyword_only = False
    for part in split(head[2]):
        if part == "*":
            keyword_only = True
            continue
        found = _PARAM.match(part)
        if found is None or found[1] not in OPERANDS | ATTRS:
            raise ParseError(f"not a parameter: {part!r} in {text!r}")
        params.append(Param(found[1], found[2], found[3], keyword_only))
    return Signature(head[1], tuple(params))


def split(text: str) -> list[str]:
    """Parts between commas that stand outside brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text + ","):
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [p for p in parts if p]
