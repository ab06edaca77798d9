"""The names that real programs use: each is there, and small programs with them give what PyTorch gives."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire
from fusewire.eager import later

sys.path.insert(0, str(Path(__file__).parent))
import api_names
import name_programs as programs
import name_report as report


def resolve(path: str) -> Any:
    found: Any = fusewire
    for part in path.split(".")[1:]:
        try:
            found = getattr(found, part)
        except AttributeError:
            if not isinstance(found, types.ModuleType):
                raise
            found = importlib.import_module(f"{found.__name__}.{part}")
    return found


#: a clear error stands where the name would
ERRORS = {"torch.classes.NativeInterpretation.ElementwiseInterpreter": (RuntimeError, "not registered")}


def test_every_name_is_there() -> None:
    missing = {}
    for name in api_names.names():
        if name in ERRORS:
            with pytest.raises(ERRORS[name][0], match=ERRORS[name][1]):
                resolve(name)
            continue
        try:
            resolve(name)
        except (AttributeError, ModuleNotFoundError) as error:
            missing[name] = error
    assert not missing


def test_names_are_compared_or_say_why_not() -> None:
    counts = report.counts()
    print(report.text(counts))
    assert not counts["neither"], counts["neither"]


def run(text: str, name: str, lib: Any) -> Any:
    scope: dict[str, Any] = {"torch": lib}
    exec(programs.PREPARED + text.replace("\\n", "\n"), scope)
    return scope["out"]


def same(ours: Any, theirs: Any, where: str) -> None:
    torch = sys.modules["torch"]
    if isinstance(theirs, (torch.Tensor, np.ndarray)):
        assert str(ours.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1], where
        assert tuple(ours.shape) == tuple(theirs.shape), where
        a, b = (v if isinstance(v, np.ndarray) else v.detach().float().numpy() if v.dtype in (lib.float16, lib.bfloat16)
                else v.detach().numpy() for v, lib in ((ours, fusewire), (theirs, torch)))  # fmt: skip
        np.testing.assert_allclose(a, b, rtol=3e-5, atol=3e-6, err_msg=where)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), where
        for n, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{where}[{n}]")
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for key in theirs:
            same(ours[key], theirs[key], f"{where}[{key!r}]")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-5), where
    else:
        assert ours == theirs or repr(ours) == repr(theirs), f"{where}: {ours!r}, not {theirs!r}"


@pytest.mark.parametrize("table", [later.FUNCTIONS, later.LAYERS, later.METHODS], ids=["functions", "layers", "methods"])
def test_one_module_has_a_function_that_loads_later(table: dict[str, str]) -> None:
    """Of two rows with one name the later one would silently win."""
    given = [word.rpartition(":")[2] for row in table.values() for word in row.split()]
    assert [name for name, count in Counter(given).items() if count > 1] == []


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    """What PyTorch makes of each program, before its name stands for fusewire."""
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {text: run(text, "torch", torch) for text in programs.PROGRAMS}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", programs.PROGRAMS, ids=[t[:40] for t in programs.PROGRAMS])
def test_programs(text: str, theirs: dict[str, Any]) -> None:
    loaded = {n: m for n, m in sys.modules.items() if n in ("torch", "safetensors.torch") or n.startswith("torch.")}
    for name in loaded:
        del sys.modules[name]
    try:
        with fusewire.install_as("torch"):
            ours = run(text, "torch", fusewire)
    finally:
        sys.modules.update(loaded)
    same(ours, theirs[text], text[:60])
