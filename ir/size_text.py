"""The text of sizes, parsed: the other way round of ``str(size)``. Makes sizes in normal form; knows nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ParseError
from . import sizes
from .sizes import Expr, Size

_TOKEN = re.compile(r"\s*(//|[-+*%(),]|\d+|[A-Za-z_]\w*)")


def parse(text: str, symbols: Mapping[str, Expr] | None = None) -> Size:
    """The size printed as `text`; names not in `symbols` become unbounded symbols. ParseError on anything else."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s", "", text):
        raise ParseError(f"not a size: {text!r}")
    parser = _Parser(tokens, symbols or {}, text)
    size = parser.sum()
    if parser.at != len(tokens):
        raise ParseError(f"not a size: {text!r}")
    return size


class _Parser:
    def __init__(self, tokens: list[str], symbols: Mapping[str, Expr], text: str) -> None:
        self.tokens, self.symbols, self.text, self.at = tokens, symbols, text, 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if not token or (expected is not None and token != expected):
            raise ParseError(f"not a size: {self.text!r}")
        self.at += 1
        return token

    def sum(self) -> Size:
        size = self.product()
        while self.peek() in ("+", "-"):
            size = size + self.product() if self.take() == "+" else size - self.product()
        return size

    def product(self) -> Size:
        size = self.factor()
        while self.peek() in ("*", "//", "%"):
            sign = self.take()
            other = self.factor()
            size = size * other if sign == "*" else sizes.floordiv(size, other) if sign == "//" else sizes.mod(size, other)
        return size

    def factor(self) -> Size:
        token = self.take()
        if token == "-":
            return self.factor() * -1
        if token == "(":
            size = self.sum()
            self.take(")")
            return size
        if token.isdigit():
            return int(token)
        if token in ("min", "max") and self.peek() == "(":
            self.take("(")
            a = self.sum()
            self.take(",")
            b = self.sum()
            self.take(")")
            return sizes.minimum(a, b) if token == "min" else sizes.maximum(a, b)
        return self.symbols[token] if token in self.symbols else sizes.symbol(token)
