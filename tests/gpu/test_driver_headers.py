"""What we call, beside the vendors' own headers (which Triton brings along): exported names, arguments, numbers, layouts."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from fusewire.runtime.gpu import cuda, hip, vendor
from fusewire.runtime.gpu.driver import Properties

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import c_header
import fake_work

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


VENDORS = {"cuda": cuda, "hip": hip}


@pytest.mark.parametrize(("which", "name"), [(v, n) for v, module in VENDORS.items() for n in sorted(module.SIGNATURES)])
def test_entry_points(which: str, name: str) -> None:
    functions, ours = header(which).functions, VENDORS[which].SIGNATURES[name]
    assert name in functions, f"the header exports no {name}"
    assert len(ours) == len(functions[name])
    assert all(map(same, ours, functions[name])), functions[name]


@pytest.mark.parametrize("which", VENDORS)
def test_numbers(which: str) -> None:
    values, ours = header(which).values, VENDORS[which].NUMBERS
    assert {name: values.get(name) for name in ours} == ours
    prefix = "CU_DEVICE_ATTRIBUTE_" if which == "cuda" else "hipDeviceAttribute"
    for field, (name, number) in VENDORS[which].FIELDS.items():
        assert values.get(prefix + name) == number, field
        assert hasattr(Properties, field)
    assert set(VENDORS[which].ENTRIES.values()) <= set(VENDORS[which].SIGNATURES)


def test_statuses_that_both_vendors_number_alike() -> None:
    of_cuda, of_hip = header("cuda").values, header("hip").values
    names = {"OUT_OF_MEMORY": "OutOfMemory", "NOT_INITIALIZED": "NotInitialized", "NOT_READY": "NotReady",
             "NO_DEVICE": "NoDevice",
             "INVALID_IMAGE": "InvalidImage", "NO_BINARY_FOR_GPU": "NoBinaryForGpu", "ILLEGAL_ADDRESS": "IllegalAddress",
             "LAUNCH_FAILED": "LaunchFailure", "STREAM_CAPTURE_UNSUPPORTED": "StreamCaptureUnsupported",
             "CAPTURED_EVENT": "CapturedEvent", "ASSERT": "Assert"}  # fmt: skip
    for name, other in names.items():
        assert of_cuda[f"CUDA_ERROR_{name}"] == of_hip[f"hipError{other}"]
        assert name == "NO_DEVICE" or of_cuda[f"CUDA_ERROR_{name}"] in {*vendor.HINTS, vendor.OUT_OF_MEMORY, vendor.NOT_READY}
    assert (vendor.OUT_OF_MEMORY, vendor.NOT_INITIALIZED, vendor.NOT_READY) == (2, 3, 600)


def test_names_of_errors_in_the_driver_without_a_gpu() -> None:
    values = header("cuda").values
    assert {name: values.get(name) for name in fake_work.ERRORS.values()} == {v: k for k, v in fake_work.ERRORS.items()}


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
    about = header("hip").types["hipDeviceProp_t"]
    assert (ctypes.sizeof(about), about.gcnArchName.offset) == (hip.PROPERTIES, hip.ARCHITECTURE)
