"""How many of the names of api_names.py are compared with PyTorch, and which: ``python tests/names/name_report.py``.

A name counts as compared where a program of name_programs.py uses it; `test_names.py` runs those with both libraries.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import api_names
import name_programs as programs

#: what the programs call by short names
SHORT = {"nn": "torch.nn", "F": "torch.nn.functional"}


def dotted(node: ast.AST) -> str | None:
    """``a.b.c`` of an expression that is only names and dots."""
    if isinstance(node, ast.Name):
        return SHORT.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    return None


def used(text: str) -> set[str]:
    """Names that a program uses; methods count for Tensor and Module alike."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text.replace("\\n", "\n"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Attribute):
            path = dotted(node)
            if path is not None and path.startswith("torch."):
                parts = path.split(".")
                found |= {".".join(parts[:n]) for n in range(2, len(parts) + 1)}
            else:
                found |= {f"torch.Tensor.{node.attr}", f"torch.nn.Module.{node.attr}"}
    return found


def counts() -> dict[str, list[str]]:
    """The names by what is known of them."""
    seen = set().union(*[used(programs.PREPARED + t) for t in programs.PROGRAMS])
    names = list(api_names.names())
    compared = [n for n in names if n in seen]
    refused = [n for n in names if n not in seen and n in programs.REFUSED]
    return {"compared": compared, "said why not": refused, "neither": [n for n in names if n not in {*compared, *refused}]}


def text(found: dict[str, list[str]]) -> str:
    """The counts and lists as a page."""
    lines = [f"{sum(map(len, found.values()))} names of programs"]
    lines += [f"{len(names):4} {what}" for what, names in found.items()]
    lines += [f"     {n}: {programs.REFUSED[n]}" for n in found["said why not"]]
    lines += [f"     neither: {n}" for n in found["neither"]]
    return "\n".join(lines)


if __name__ == "__main__":
    print(text(counts()))
