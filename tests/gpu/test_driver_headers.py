"""What we call, beside the vendors' own headers (which Triton brings along): names that are exported, arguments, numbers, layouts."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from fusewire.runtime.gpu import cuda

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import c_header

_triton = importlib.util.find_spec("triton")
pytestmark = pytest.mark.skipif(_triton is None, reason="Triton, which brings the headers, is not installed")


@lru_cache(maxsize=2)
def header(kind: str) -> c_header.Header:
    assert _triton is not None and _triton.origin is not None
    backends = Path(_triton.origin).parent / "backends"
    if kind == "cuda":
        return c_header.read([backends / "nvidia" / "include" / "cuda.h"], "CUresult", ["__LP64__"])
    include = backends / "amd" / "include" / "hip"
    files = [include / name for name in ("hip_version.h", "driver_types.h", "hip_runtime_api.h")]
    return c_header.read(files, "hipError_t", ["__HIP_PLATFORM_AMD__"])


def shape(kind: Any) -> tuple[str, int]:
    """How an argument is passed: an address, or a number of so many bytes with or without a sign."""
    if kind in (ctypes.c_void_p, ctypes.c_char_p):
        return "address", 8
    return "signed" if kind(-1).value == -1 else "unsigned", ctypes.sizeof(kind)


def same(ours: Any, theirs: Any) -> bool:
    """Whether a call passes the same bits in the same register. (An address may be given as a number.)"""
    (a, m), (b, n) = shape(ours), shape(theirs)
    return m == n and (a == b or {a, b} <= {"address", "unsigned"})


@pytest.mark.parametrize("name", sorted(cuda.SIGNATURES))
def test_entry_points(name: str) -> None:
    functions = header("cuda").functions
    assert name in functions, f"the header exports no {name}"
    assert len(cuda.SIGNATURES[name]) == len(functions[name])
    assert all(map(same, cuda.SIGNATURES[name], functions[name])), functions[name]


def test_numbers() -> None:
    values = header("cuda").values
    assert {name: values.get(name) for name in cuda.NUMBERS} == cuda.NUMBERS


def test_the_newest_form_of_each_entry_point_is_called() -> None:
    """A name with a later form (``_v2``) of other arguments must not be called by its first name."""
    functions = header("cuda").functions
    for name in cuda.SIGNATURES:
        later = functions.get(f"{name}_v2")
        assert later is None or [*map(shape, later)] == [*map(shape, functions[name])], name


def test_layouts() -> None:
    types = header("cuda").types
    assert ctypes.sizeof(types["CUtensorMap"]) == 128
    config, attribute = types["CUlaunchConfig"], types["CUlaunchAttribute"]
    assert (ctypes.sizeof(config), config.hStream.offset, config.attrs.offset, config.numAttrs.offset) == (56, 32, 40, 48)
    assert (ctypes.sizeof(attribute), attribute.value.offset) == (72, 8)
