"""cuBLASLt as we call it, beside facts of its header, the header itself, and the library's own descriptors (no GPU is needed)."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from fusewire.ir import dtypes
from fusewire.runtime.gpu import cublaslt
from fusewire.runtime.gpu.cublaslt import DESCRIPTOR, EPILOGUES, SIGNATURES, TYPES, Heuristic, Lt, Matrix, Problem

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import c_header

#: from cublasLt.h, cublas_api.h (nvidia-cublas 13.10.0.20) and library_types.h (of Triton 3.6): what we use -> its number
FACTS: dict[str, tuple[Any, int]] = {
    "CUDA_R_32F": (TYPES[dtypes.float32], 0), "CUDA_R_64F": (TYPES[dtypes.float64], 1),
    "CUDA_R_16F": (TYPES[dtypes.float16], 2), "CUDA_R_16BF": (TYPES[dtypes.bfloat16], 14),
    "CUBLAS_COMPUTE_32F": (cublaslt.COMPUTE_32F, 68), "CUBLAS_COMPUTE_64F": (cublaslt.COMPUTE_64F, 70),
    "CUBLAS_COMPUTE_32F_FAST_TF32": (cublaslt.COMPUTE_32F_FAST_TF32, 77),
    "CUBLASLT_EPILOGUE_DEFAULT": (EPILOGUES[""], 1), "CUBLASLT_EPILOGUE_RELU": (EPILOGUES["relu"], 2),
    "CUBLASLT_EPILOGUE_BIAS": (EPILOGUES["bias"], 4), "CUBLASLT_EPILOGUE_RELU_BIAS": (EPILOGUES["bias relu"], 6),
    "CUBLASLT_EPILOGUE_GELU": (EPILOGUES["gelu"], 32), "CUBLASLT_EPILOGUE_GELU_BIAS": (EPILOGUES["bias gelu"], 36),
    "CUBLASLT_MATMUL_DESC_TRANSA": (cublaslt.DESC_TRANSA, 3), "CUBLASLT_MATMUL_DESC_TRANSB": (cublaslt.DESC_TRANSB, 4),
    "CUBLASLT_MATMUL_DESC_EPILOGUE": (cublaslt.DESC_EPILOGUE, 7),
    "CUBLASLT_MATMUL_DESC_BIAS_POINTER": (cublaslt.DESC_BIAS_POINTER, 8),
    "CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE": (cublaslt.DESC_BIAS_DATA_TYPE, 26),
    "CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT": (cublaslt.LAYOUT_BATCH_COUNT, 5),
    "CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET": (cublaslt.LAYOUT_STRIDED_BATCH_OFFSET, 6),
    "CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES": (cublaslt.PREF_MAX_WORKSPACE_BYTES, 1),
    "CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK": (cublaslt.PREF_REDUCTION_SCHEME_MASK, 3),
    "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES": (cublaslt.PREF_MIN_ALIGNMENT[0], 5),
    "CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES": (cublaslt.PREF_MIN_ALIGNMENT[3], 8),
    "CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE": (cublaslt.REDUCTION_SCHEME_COMPUTE_TYPE, 2),
    "CUBLAS_OP_N": (0, 0), "CUBLAS_OP_T": (1, 1), "CUBLAS_STATUS_SUCCESS": (0, 0),
}  # fmt: skip
#: bytes of the structures of the same header
SIZES = {
    "cublasLtMatmulHeuristicResult_t": 96, "cublasLtMatmulAlgo_t": 64, "cublasLtMatmulDescOpaque_t": 256,
    "cublasLtMatrixLayoutOpaque_t": 112, "cublasLtMatmulPreferenceOpaque_t": 96,
}  # fmt: skip


def includes() -> Iterator[Path]:
    for folder in map(Path, sys.path):
        yield from (folder / "nvidia" / "cu13" / "include", folder / "nvidia" / "cublas" / "include")


@lru_cache(maxsize=1)
def header() -> c_header.Header:
    """The wheel's header; the test is skipped where there is none."""
    found = next((p for p in includes() if (p / "cublasLt.h").exists()), None)
    triton = importlib.util.find_spec("triton")
    if found is None or triton is None or triton.origin is None:
        pytest.skip("no cublasLt.h (wheel nvidia-cublas), or no library_types.h (Triton brings it)")
    types = Path(triton.origin).parent / "backends" / "nvidia" / "include"
    files = [types / "library_types.h", types / "driver_types.h", found / "cublas_api.h", found / "cublasLt.h"]
    return c_header.read(files, "cublasStatus_t CUBLASWINAPI", ["__LP64__"])


@lru_cache(maxsize=1)
def library() -> Lt:
    """The library without a handle, which only a GPU gives."""
    found = next(cublaslt.find_libraries(), None)
    if found is None:
        pytest.skip("no libcublasLt (wheel nvidia-cublas)")
    lt = object.__new__(Lt)
    for name, types in SIGNATURES.items():
        setattr(lt, name, ctypes.PYFUNCTYPE(ctypes.c_int, *types)(found.address(name)))
    return lt


def test_our_numbers_are_the_headers() -> None:
    assert {name: ours for name, (ours, _) in FACTS.items()} == {name: number for name, (_, number) in FACTS.items()}
    assert ctypes.sizeof(Heuristic) == SIZES["cublasLtMatmulHeuristicResult_t"] and Heuristic.workspace.offset == 64
    assert all(n <= DESCRIPTOR for n in SIZES.values())


def test_facts_are_the_headers() -> None:
    values, types = header().values, header().types
    assert {name: values.get(name) for name in FACTS} == {name: number for name, (_, number) in FACTS.items()}
    assert {name: ctypes.sizeof(types[name]) for name in SIZES} == SIZES
    theirs = types["cublasLtMatmulHeuristicResult_t"]
    offsets = [getattr(theirs, n).offset for n in ("workspaceSize", "state", "wavesCount")]
    assert [Heuristic.workspace.offset, Heuristic.state.offset, Heuristic.waves.offset] == offsets


def same(ours: Any, theirs: Any) -> bool:
    """Whether an argument is passed alike: an address, or a number of so many bytes."""
    return ctypes.sizeof(ours) == ctypes.sizeof(theirs) and (ours is ctypes.c_void_p) == (theirs is ctypes.c_void_p)


def test_entry_points_are_the_headers() -> None:
    functions = header().functions
    for name, ours in SIGNATURES.items():
        assert len(ours) == len(functions[name]) and all(map(same, ours, functions[name])), (name, functions[name])


@pytest.mark.parametrize("dtype", list(TYPES))
@pytest.mark.parametrize("epilogue", list(EPILOGUES))
def test_the_library_keeps_what_it_is_told(dtype: Any, epilogue: str) -> None:
    lt, bias = library(), 16 if "bias" in epilogue else 0
    m = Matrix(12, 7, 16, 112, 256)
    p = Problem(dtype, m, m, m, (True, False), 5, epilogue, False, bias)
    operation, layout = lt.operation(p), lt.layout(p, m)

    def told(get: Any, thing: Any, attribute: int, kind: Any) -> int:
        value, written = kind(), ctypes.c_size_t()
        lt.check(get(thing, attribute, ctypes.byref(value), ctypes.sizeof(value), ctypes.byref(written)))
        assert written.value == ctypes.sizeof(value)
        return int(value.value)

    of, at = lt.cublasLtMatmulDescGetAttribute, lt.cublasLtMatrixLayoutGetAttribute
    assert [told(of, operation, n, ctypes.c_int) for n in (0, 1, 3, 4, 7)] == [
        p.compute, TYPES[p.scale], 1, 0, EPILOGUES[epilogue]
    ]  # fmt: skip
    lt.check(lt.cublasLtMatmulDescSetAttribute(operation, cublaslt.DESC_BIAS_POINTER, ctypes.byref(ctypes.c_void_p(4096)), 8))
    assert told(of, operation, cublaslt.DESC_BIAS_POINTER, ctypes.c_uint64) == 4096
    kinds = {0: ctypes.c_int, 2: ctypes.c_uint64, 3: ctypes.c_uint64, 4: ctypes.c_int64, 5: ctypes.c_int, 6: ctypes.c_int64}
    assert [told(at, layout, n, kind) for n, kind in kinds.items()] == [TYPES[dtype], 12, 7, 16, 5, 112]
    assert lt._preference(p) is not None
