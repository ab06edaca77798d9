"""Importing fusewire stays cheap, and loads nothing that only compiling needs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

HEAVY = ["llvmlite", "networkx", "triton", "torch", "scipy", "sympy"]


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    loaded = run(f"import sys, fusewire; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded == "[]"


def test_no_submodule_is_named_like_a_public_function() -> None:
    """A submodule `x` would replace the function `fusewire.x` as soon as it is imported."""
    code = (
        "import pkgutil, fusewire\n"
        "names = {m.name for m in pkgutil.iter_modules(fusewire.__path__)}\n"
        "print(sorted(n for n in names if callable(getattr(fusewire, n, None))))"
    )
    assert run(code) == "[]"


def test_no_submodule_is_named_like_a_function_of_pytorch() -> None:
    if importlib.util.find_spec("torch") is None:
        import pytest

        pytest.skip("PyTorch is not installed: no list of its public functions to compare with")
    code = (
        "import pkgutil, types, torch, fusewire\n"
        "ours = {m.name for m in pkgutil.iter_modules(fusewire.__path__)}\n"
        "print(sorted(n for n in ours if isinstance(getattr(torch, n, None), (types.FunctionType, types.BuiltinFunctionType))))"
    )
    assert run(code) == "[]"


def test_everything_that_loads_later_is_there() -> None:
    """Each name of the tables of `addresses` and `eager.later` is found, and in one table only."""
    code = (
        "import fusewire, importlib\n"
        "from fusewire import addresses as a\n"
        "from fusewire.eager import later\n"
        "for n in (*a.MODULES, *a.NAMES, *later.names()): getattr(fusewire, n)\n"
        "for n in a.MODULES: importlib.import_module('fusewire.' + n)\n"
        "for home, n in later._rows(later.LAYERS).values(): getattr(importlib.import_module('fusewire.eager.' + home), n)\n"
        "tables = [set(a.MODULES), set(a.NAMES), set(later.names())]\n"
        "print(sorted(x for i, t in enumerate(tables) for u in tables[:i] for x in t & u))"
    )
    assert run(code) == "[]"
