"""Sizes that keep the code readable. Raising a number is a one-line diff with a reason."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIP = ("tests", "build", "examples", ".")
GENERATED = {"eager/generated.py"}
FILE_LINES, FUNCTION_LINES, P90_LINES, NESTING, COLUMNS = 600, 60, 30, 3, 130
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)


def product_files() -> list[Path]:
    found = (p for p in ROOT.rglob("*.py") if not p.relative_to(ROOT).parts[0].startswith(SKIP))
    return sorted(p for p in found if str(p.relative_to(ROOT)) not in GENERATED)


def functions(path: Path) -> list[ast.FunctionDef]:
    return [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]


def depth(node: ast.AST, level: int = 0) -> int:
    """Nesting of blocks inside a function; an elif chain counts once, nested functions on their own."""
    deepest = level
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for child in children:
            if not isinstance(child, ast.AST) or isinstance(child, (ast.FunctionDef, ast.Lambda)):
                continue
            chained = isinstance(node, ast.If) and field == "orelse" and len(children) == 1 and isinstance(child, ast.If)
            deepest = max(deepest, depth(child, level + (isinstance(child, BLOCKS) and not chained)))
    return deepest


def test_budgets() -> None:
    lengths, over, rows = [], [], {}
    for path in product_files():
        name, text = str(path.relative_to(ROOT)), path.read_text()
        lines = text.count("\n")
        folder = path.relative_to(ROOT).parts[0]
        count, total = rows.get(folder, (0, 0))
        rows[folder] = count + 1, total + lines
        over += [f"{name}: {lines} lines"] if lines > FILE_LINES else []
        over += [f"{name}:{i}: {len(s)} columns" for i, s in enumerate(text.split("\n"), 1) if len(s) > COLUMNS]
        for f in functions(path):
            long = (f.end_lineno or f.lineno) - f.lineno + 1
            lengths.append(long)
            over += [f"{name}:{f.lineno}: {f.name} has {long} lines"] if long > FUNCTION_LINES else []
            over += [f"{name}:{f.lineno}: {f.name} nests {depth(f)} deep"] if depth(f) > NESTING else []
    lengths.sort()
    for folder, (count, total) in sorted(rows.items()):
        print(f"{folder:16} {count:4} files {total:6} lines")
    p90 = lengths[len(lengths) * 9 // 10]
    print(f"functions: {len(lengths)}, median {lengths[len(lengths) // 2]}, p90 {p90}, largest {lengths[-1]} lines")
    assert not over, "\n".join(over)
    assert p90 <= P90_LINES
