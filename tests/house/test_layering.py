"""Who may import whom: a lower layer never imports a higher one, anywhere in a file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = [
    ("errors", "knobs", "addresses"), ("logs",), ("ir",), ("runtime",), ("backends",), ("pipeline",), ("eager",),
    ("distributed", "version", "cuda", "mps", "accelerator", "amp"),
    ("nn", "optim", "utils", "vision", "special", "linalg", "fft", "func", "distributions"), ("tracer",),
    ("compiler", "entrance", "in_parts", "explanations", "page", "aliases", "namespace"), ("runner",),
    ("bench", "cli", "__init__", "__main__", "pytest_plugin"),
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
LEVEL |= {p.stem: LEVEL["cuda"] for p in ROOT.glob("cuda*.py")}
FILES = sorted(p for p in ROOT.rglob("*.py") if p.relative_to(ROOT).parts[0].removesuffix(".py") in LEVEL)


def imports(path: Path) -> list[tuple[int, str, bool]]:
    """(line, top-level part inside the package, whether inside a function) for each import of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = parts[:-1]
    tree = ast.parse(path.read_text())
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.Lambda)) for n in ast.walk(f)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module or "").split(".")) if node.module else base
            names = [target[0]] if target else [alias.name for alias in node.names]
            found += [(node.lineno, name, id(node) in inner) for name in names]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            assert not any(n.split(".")[0] == "fusewire" for n in names), f"{path}:{node.lineno}: absolute import of the package"
    return found


def test_every_part_has_a_layer() -> None:
    parts = {p.relative_to(ROOT).parts[0].removesuffix(".py") for p in ROOT.rglob("*.py")}
    outside = {n for n in parts if n.startswith(".")} | {"tests", "examples", "docs", "build"}
    assert not parts - outside - LEVEL.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for line, name, inside in imports(path):
        if name not in LEVEL:
            continue
        if here == "eager" and name == "pipeline" and not inside:
            pytest.fail(f"{path}:{line}: eager imports pipeline inside functions only")
        if (here, name, inside) == ("cuda", "compiler", True):
            continue  # make_graphed_callables compiles
        assert LEVEL[name] <= LEVEL[here], f"{path}:{line}: {here} must not import {name}"


def test_tracer_knows_no_back_end() -> None:
    for path in (ROOT / "tracer").glob("*.py"):
        assert not [line for line, name, _ in imports(path) if name == "backends"], path


def test_the_tracer_asks_for_pythons_version_in_one_file() -> None:
    asking = [p.name for p in (ROOT / "tracer").glob("*.py") if re.search(r"version_info|hexversion|\bVERSION\b", p.read_text())]
    assert asking == ["bytecode.py"]


def test_only_knobs_reads_the_environment() -> None:
    readers = [p for p in FILES if "os.environ" in p.read_text() or "getenv" in p.read_text()]
    assert [p.name for p in readers] == ["knobs.py"]


#: where a record's name may be asked for: the records, the rules that match graphs, the generator of stubs, what measures
BY_NAME = ("ir/ops/", "ir/passes/", "ir/op.py", "eager/generate.py", "bench/")


def test_nothing_is_keyed_by_an_ops_name() -> None:
    """What the system knows about an op stands in its record (`ir/op.py`)."""
    asking = []
    for path in FILES:
        name = str(path.relative_to(ROOT))
        nodes = () if name.startswith(BY_NAME) else ast.walk(ast.parse(path.read_text()))
        for node in nodes:
            left = node.left if isinstance(node, ast.Compare) else node.slice if isinstance(node, ast.Subscript) else None
            if isinstance(left, ast.Attribute) and left.attr == "name" and ast.unparse(left.value).split(".")[-1] == "op":
                asking.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
    assert not asking, "\n".join(asking)
