"""cuBLASLt by ctypes: finds the library, describes products to it, asks which of its algorithms fit. Launches nothing itself.

`Lt` gives each device a handle. Descriptors lie in memory of ours: nothing has to be given back. Matrices are column-major, as in
the library; the back end turns its row-major products into these.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import sys
from collections.abc import Iterator
from ctypes import byref, c_int, c_int64, c_size_t, c_uint64, c_void_p
from typing import Any

from ... import knobs
from ...errors import DeviceError
from ...ir import dtypes
from ...ir.dtypes import DType
from ...ir.lazyclass import dataclass
from .device import GPU

_P, _I, _N, _Q, _L = c_void_p, c_int, c_size_t, c_uint64, c_int64
#: entry point -> types of its arguments; all give a status. (The three ``_internal`` ones are what the header's inline functions
#: for descriptors in one's own memory call.)
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cublasLtCreate": (_P,), "cublasLtDestroy": (_P,),
    "cublasLtMatmulDescInit_internal": (_P, _N, _I, _I), "cublasLtMatrixLayoutInit_internal": (_P, _N, _I, _Q, _Q, _L),
    "cublasLtMatmulPreferenceInit_internal": (_P, _N),
    "cublasLtMatmulDescSetAttribute": (_P, _I, _P, _N), "cublasLtMatmulDescGetAttribute": (_P, _I, _P, _N, _P),
    "cublasLtMatrixLayoutSetAttribute": (_P, _I, _P, _N), "cublasLtMatrixLayoutGetAttribute": (_P, _I, _P, _N, _P),
    "cublasLtMatmulPreferenceSetAttribute": (_P, _I, _P, _N),
    "cublasLtMatmulAlgoGetHeuristic": (_P, _P, _P, _P, _P, _P, _P, _I, _P, _P),
    "cublasLtMatmul": (_P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _N, _P),
}  # fmt: skip
#: bytes of each descriptor: more than any version up to 13 asks for
DESCRIPTOR = 512

#: cudaDataType_t, cublasComputeType_t, cublasLtEpilogue_t
TYPES: dict[DType, int] = {dtypes.float32: 0, dtypes.float64: 1, dtypes.float16: 2, dtypes.bfloat16: 14}
COMPUTE_32F, COMPUTE_64F, COMPUTE_32F_FAST_TF32 = 68, 70, 77
EPILOGUES = {"": 1, "relu": 2, "bias": 4, "bias relu": 6, "gelu": 32, "bias gelu": 36}
#: cublasLtMatmulDescAttributes_t
DESC_TRANSA, DESC_TRANSB, DESC_EPILOGUE, DESC_BIAS_POINTER, DESC_BIAS_DATA_TYPE = 3, 4, 7, 8, 26
#: cublasLtMatrixLayoutAttribute_t
LAYOUT_BATCH_COUNT, LAYOUT_STRIDED_BATCH_OFFSET = 5, 6
#: cublasLtMatmulPreferenceAttributes_t
PREF_MAX_WORKSPACE_BYTES, PREF_REDUCTION_SCHEME_MASK, PREF_MIN_ALIGNMENT = 1, 3, (5, 6, 7, 8)
#: cublasLtReductionScheme_t: parts of the depth are added up in the compute type only
REDUCTION_SCHEME_COMPUTE_TYPE = 2
#: bytes that an algorithm may work in
WORKSPACE = 32 << 20
_NAMES = ("libcublasLt.so.13", "libcublasLt.so.12")
_FOLDERS = ("nvidia/cu13/lib", "nvidia/cublas/lib", "torch/lib")


class Heuristic(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = (
        ("algo", c_uint64 * 8), ("workspace", c_size_t), ("state", c_int), ("waves", ctypes.c_float), ("reserved", c_int * 4),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matrix:
    """Element (r, c) of matrix number b lies at ``r + c * lead + b * far``; `align`: what its address is a multiple of."""

    rows: int
    columns: int
    lead: int
    far: int
    align: int


@dataclass(frozen=True, slots=True)
class Problem:
    """``d = op(a) @ op(b)``, `batch` of them; `turned`: whether op transposes a and b. `epilogue`: of EPILOGUES. `tf32`: float32
    may be multiplied with 10 bits. `bias`: what the address of the bias is a multiple of (0: there is none)."""

    dtype: DType
    a: Matrix
    b: Matrix
    d: Matrix
    turned: tuple[bool, bool]
    batch: int = 1
    epilogue: str = ""
    tf32: bool = False
    bias: int = 0

    @property
    def compute(self) -> int:
        """cublasComputeType_t: halves in float32, float32 in full unless `tf32`."""
        if self.dtype is dtypes.float64:
            return COMPUTE_64F
        return COMPUTE_32F_FAST_TF32 if self.tf32 and self.dtype is dtypes.float32 else COMPUTE_32F

    @property
    def scale(self) -> DType:
        """The type of alpha and beta."""
        return dtypes.float64 if self.dtype is dtypes.float64 else dtypes.float32


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What the library proposes: its own 64 bytes, and the bytes it works in."""

    raw: bytes
    workspace: int


class CublasError(Exception):
    """A status of the library that is not 0."""


class Lt:
    """The library on one device. `library`: as `cuda.Library`."""

    def __init__(self, library: Any, gpu: GPU) -> None:
        for name, types in SIGNATURES.items():
            make = ctypes.CFUNCTYPE if name == "cublasLtCreate" else ctypes.PYFUNCTYPE
            setattr(self, name, make(c_int, *types)(library.address(name)))
        self.library, self.gpu = library, gpu
        self.matmul_address = library.address("cublasLtMatmul")
        self.set_address = library.address("cublasLtMatmulDescSetAttribute")
        self._found: dict[Problem, tuple[Algorithm, ...]] = {}
        gpu.activate()
        handle = c_void_p()
        self.check(self.cublasLtCreate(byref(handle)))
        self.handle = handle.value or 0

    def __getattr__(self, name: str) -> Any:  # (for type checkers: the entry points are attributes)
        raise AttributeError(name)

    @staticmethod
    def check(status: int) -> None:
        """CublasError unless `status` is 0."""
        if status:
            raise CublasError(f"cuBLASLt status {status}")

    # -- descriptors

    def operation(self, p: Problem) -> Any:
        """A cublasLtMatmulDesc, whose bias is nowhere yet."""
        made = descriptor()
        self.check(self.cublasLtMatmulDescInit_internal(made, DESCRIPTOR, p.compute, TYPES[p.scale]))
        given = [(DESC_TRANSA, int(p.turned[0])), (DESC_TRANSB, int(p.turned[1])), (DESC_EPILOGUE, EPILOGUES[p.epilogue])]
        for attribute, value in given + ([(DESC_BIAS_DATA_TYPE, TYPES[p.dtype])] if p.bias else []):
            self.check(self.cublasLtMatmulDescSetAttribute(made, attribute, byref(c_int(value)), 4))
        return made

    def layout(self, p: Problem, m: Matrix) -> Any:
        """A cublasLtMatrixLayout."""
        made = descriptor()
        self.check(self.cublasLtMatrixLayoutInit_internal(made, DESCRIPTOR, TYPES[p.dtype], m.rows, m.columns, m.lead))
        if p.batch > 1:
            self.check(self.cublasLtMatrixLayoutSetAttribute(made, LAYOUT_BATCH_COUNT, byref(c_int(p.batch)), 4))
            self.check(self.cublasLtMatrixLayoutSetAttribute(made, LAYOUT_STRIDED_BATCH_OFFSET, byref(c_int64(m.far)), 8))
        return made

    def _preference(self, p: Problem) -> Any:
        made = descriptor()
        self.check(self.cublasLtMatmulPreferenceInit_internal(made, DESCRIPTOR))
        put = self.cublasLtMatmulPreferenceSetAttribute
        self.check(put(made, PREF_MAX_WORKSPACE_BYTES, byref(c_size_t(WORKSPACE)), 8))
        if p.dtype.is_half:
            self.check(put(made, PREF_REDUCTION_SCHEME_MASK, byref(ctypes.c_uint(REDUCTION_SCHEME_COMPUTE_TYPE)), 4))
        for attribute, m in zip(PREF_MIN_ALIGNMENT, (p.a, p.b, p.d, p.d), strict=True):
            self.check(put(made, attribute, byref(ctypes.c_uint(m.align)), 4))
        return made

    def algorithms(self, p: Problem, most: int = 4) -> tuple[Algorithm, ...]:
        """Up to `most` algorithms, what the library takes for the fastest first; () where it has none. Remembered."""
        if p not in self._found:
            try:
                self._found[p] = self._asked(p, most)
            except CublasError as error:
                knobs.say(2, f"no algorithm for {p}: {error}")
                self._found[p] = ()
        return self._found[p]

    def _asked(self, p: Problem, most: int) -> tuple[Algorithm, ...]:
        operation = self.operation(p)
        if p.bias:  # the library looks at its alignment; nothing is read there
            at = c_void_p((1 << 40) + p.bias)
            self.check(self.cublasLtMatmulDescSetAttribute(operation, DESC_BIAS_POINTER, byref(at), 8))
        a, b, d = (self.layout(p, m) for m in (p.a, p.b, p.d))
        results, count = (Heuristic * most)(), c_int()
        self.gpu.activate()
        self.check(self.cublasLtMatmulAlgoGetHeuristic(
            self.handle, operation, a, b, d, d, self._preference(p), most, results, byref(count)
        ))  # fmt: skip
        return tuple(Algorithm(bytes(r.algo), r.workspace) for r in results[: count.value] if r.state == 0)


def descriptor() -> Any:
    """Memory for one descriptor."""
    return (c_uint64 * (DESCRIPTOR // 8))()


def files() -> Iterator[str]:
    """Names under which the library may be found: the knob's, the loader's own, those of installed wheels."""
    if knobs.cublaslt != "auto":
        yield knobs.cublaslt
        return
    for name in _NAMES:
        yield name
        for folder in sys.path:
            for inside in _FOLDERS:
                yield from sorted(glob.glob(os.path.join(folder or ".", inside, name)))


def find_libraries() -> Iterator[Any]:
    """The libraries that can be loaded, newest first. (Tests put one of their own in their place.)"""
    from .vendor import Library

    for name in files():
        with contextlib.suppress(DeviceError):  # not there, or not for this machine
            yield Library(name, "cuBLASLt")


_known: dict[tuple[int, str], tuple[GPU, Lt | None]] = {}


def of(gpu: GPU) -> Lt | None:
    """The library on `gpu`; None where none can be loaded, or knob `cublaslt` is off."""
    if knobs.cublaslt == "off" or gpu.driver.target != "cuda":
        return None
    key = gpu.ordinal, knobs.cublaslt
    known = _known.get(key)
    if known is None or known[0] is not gpu:
        known = _known[key] = gpu, _made(gpu)
    return known[1]


def _made(gpu: GPU) -> Lt | None:
    for library in find_libraries():
        try:
            return Lt(library, gpu)
        except (CublasError, DeviceError) as error:  # too old, or newer than the driver
            knobs.say(2, f"cuBLASLt is not used: {error}")
    if knobs.cublaslt != "auto":
        knobs.warn(f"knob cublaslt: {knobs.cublaslt} cannot be used as cuBLASLt; products run by Triton")
    return None
