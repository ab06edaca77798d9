"""No function of the library makes a tensor beside its operands without saying where: on a GPU it would lie on the CPU, and under
another default device not beside an operand of the CPU. What the user asks for goes where new tensors do: "# anywhere"."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("eager", "nn", "optim", "distributions", "utils")
#: what makes tensors, called by its name or as an attribute of one of the modules behind it
MAKERS = frozenset((
    "arange", "as_tensor", "empty", "eye", "full", "linspace", "logspace", "normal", "ones", "rand", "randint", "randn",
    "randperm", "scalar_tensor", "tensor", "zeros",
))  # fmt: skip
MODULES = frozenset({"creation", "random", "making"})
#: files that are told the device by their callers, or make what lies on the CPU: their whole purpose is another
FILES = {
    "eager/creation.py": "makes tensors: the device is an argument",
    "eager/random.py": "makes tensors: the device is an argument",
    "eager/generate.py": "writes text",
    "eager/warming.py": "makes operands of its own",
}


def others(tree: ast.AST) -> set[str]:
    """Names of makers that are something else in a file: functions of its own, and what makes types."""
    names = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith(("types", "ir.ops.creation")):
            names |= {a.asname or a.name for a in node.names}
    return names


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls of makers that name no device."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        f = node.func
        name = f.id if isinstance(f, ast.Name) else f.attr if isinstance(f, ast.Attribute) and (
            isinstance(f.value, ast.Name) and f.value.id in MODULES) else ""  # fmt: skip
        given = {k.arg for k in node.keywords}
        if name in MAKERS and "device" not in given and None not in given:
            yield node


def test_creation_calls_say_where() -> None:
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            file = path.relative_to(ROOT).as_posix()
            if file in FILES:
                continue
            lines = path.read_text().splitlines()
            tree = ast.parse("\n".join(lines))
            for call in calls(tree):
                name = call.func.id if isinstance(call.func, ast.Name) else ""
                if name not in others(tree) and "# anywhere" not in lines[call.lineno - 1]:
                    found.append(f"{file}:{call.lineno}: {lines[call.lineno - 1].strip()}")
    assert not found, "\n".join(found)
