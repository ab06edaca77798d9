"""Element types and the promotion lattice. NumPy is used for the storage form only; never for promotion."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import ml_dtypes
import numpy as np

from .lazyclass import dataclass

NumpyDType = np.dtype[Any]


@dataclass(frozen=True, slots=True, eq=False)
class DType:
    """One element type. Interned: compare with ``is``.

    ``np`` is the stored form, ``compute`` the NumPy dtype in which arithmetic is done (half types compute in float32
    and round once), ``kind`` one of ``b`` bool, ``u`` unsigned, ``i`` signed, ``f`` floating, ``c`` complex.
    """

    name: str
    short: str
    kind: str
    itemsize: int
    np: NumpyDType = field(repr=False)
    compute: NumpyDType = field(repr=False)

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str | tuple:
        return lookup, (self.name,)

    @property
    def is_floating_point(self) -> bool:
        return self.kind == "f"

    @property
    def is_complex(self) -> bool:
        return self.kind == "c"

    @property
    def is_inexact(self) -> bool:
        """Whether it is floating or complex: what can have a gradient."""
        return self.kind in "fc"

    @property
    def is_signed(self) -> bool:
        return self.kind not in "bu"

    def to_real(self) -> DType:
        """The dtype of the parts of a complex one; itself otherwise."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    def to_complex(self) -> DType:
        """The complex dtype whose parts are of this one, half types widened."""
        return self if self.kind == "c" else complex128 if self is float64 else complex64

    @property
    def is_half(self) -> bool:
        return self.compute is not self.np


def lookup(name: str) -> DType:
    """The dtype called `name`, long ("float32") or short ("f32")."""
    return BY_NAME[name]


def converted(x: Any, dtype: DType) -> Any:
    """An array in `dtype`, rounded to nearest even. What float8_e4m3fn cannot hold becomes its largest number, infinity too."""
    if dtype is float8_e4m3fn and x.dtype != dtype.np:
        x = np.clip(x.astype(np.float32), -448.0, 448.0)
    return x.astype(dtype.np)


def _make(name: str, short: str, kind: str, np_name: Any, compute: Any = None) -> DType:
    stored = np.dtype(np_name)
    return DType(name, short, kind, stored.itemsize, stored, stored if compute is None else np.dtype(compute))


bool_ = _make("bool", "bool", "b", np.bool_)
uint8 = _make("uint8", "u8", "u", np.uint8)
int8 = _make("int8", "i8", "i", np.int8)
int16 = _make("int16", "i16", "i", np.int16)
int32 = _make("int32", "i32", "i", np.int32)
int64 = _make("int64", "i64", "i", np.int64)
float16 = _make("float16", "f16", "f", np.float16, np.float32)
bfloat16 = _make("bfloat16", "bf16", "f", ml_dtypes.bfloat16, np.float32)
float32 = _make("float32", "f32", "f", np.float32)
float64 = _make("float64", "f64", "f", np.float64)
complex64 = _make("complex64", "c64", "c", np.complex64)
complex128 = _make("complex128", "c128", "c", np.complex128)

#: The dtypes of data only: tensors of them are made, cast, indexed, printed and sent, by NumPy; kernels know none of them.
uint16 = _make("uint16", "u16", "u", np.uint16)
uint32 = _make("uint32", "u32", "u", np.uint32)
uint64 = _make("uint64", "u64", "u", np.uint64)
float8_e4m3fn = _make("float8_e4m3fn", "f8e4m3", "f", ml_dtypes.float8_e4m3fn, np.float32)
float8_e5m2 = _make("float8_e5m2", "f8e5m2", "f", ml_dtypes.float8_e5m2, np.float32)
STORED = (uint16, uint32, uint64, float8_e4m3fn, float8_e5m2)


@dataclass(frozen=True, slots=True)
class ByteFloat:
    """How a float of 8 bits lies behind its sign: `mantissa` bits below an exponent with this `bias`. What rounds beyond `top`
    becomes `top`; NaN becomes `nan`; from `special` on bytes are no numbers."""

    mantissa: int
    bias: int
    top: int
    nan: int
    special: int


#: float8 -> its layout, for kernels, which cast from and to them
BYTES: dict[DType, ByteFloat] = {
    float8_e4m3fn: ByteFloat(3, 7, 0x7E, 0x7F, 0x7F), float8_e5m2: ByteFloat(2, 15, 0x7C, 0x7E, 0x7C),
}  # fmt: skip

#: The dtypes that graphs and kernels know; complex ones are the eager library's.
ALL = (bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64)
FLOATING = (float16, bfloat16, float32, float64)
COMPLEX = (complex64, complex128)
EVERY = ALL + COMPLEX
INTEGRAL = (uint8, int8, int16, int32, int64)
BY_NAME: dict[str, DType] = {d.name: d for d in (*EVERY, *STORED)} | {d.short: d for d in (*EVERY, *STORED)}
BY_NUMPY: dict[NumpyDType, DType] = {d.np: d for d in (*EVERY, *STORED)}

#: Kinds by what they can hold; integers of either sign are one kind.
RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def from_numpy(dtype: Any) -> DType:
    """The dtype stored as NumPy's `dtype`; TypeError where there is none (strings, objects)."""
    try:
        return BY_NUMPY[np.dtype(dtype).newbyteorder("=")]
    except KeyError:
        raise TypeError(f"no fusewire dtype stores NumPy's {np.dtype(dtype)}") from None


_default = [float32]


def default() -> DType:
    """The dtype that Python floats have beside tensors of integers, and tensors made from them."""
    return _default[0]


def set_default(dtype: DType) -> None:
    """Change `default`; who keeps what was made under another one forgets it (`eager.creation.set_default_dtype`)."""
    _default[0] = dtype


def promote_types(type1: DType, type2: DType) -> DType:
    """The smallest dtype both convert to (PyTorch's lattice: f16 with bf16 is f32, u8 with a signed int is the next wider)."""
    a, b = type1, type2
    if a is b:
        return a
    if "c" in (a.kind, b.kind):
        return complex128 if "f64" in (a.short, b.short) or "c128" in (a.short, b.short) else complex64
    if RANK[a.kind] != RANK[b.kind]:
        return a if RANK[a.kind] > RANK[b.kind] else b
    if a.kind == "f":
        if a.itemsize == b.itemsize:
            return float32
        return a if a.itemsize > b.itemsize else b
    if a.kind == b.kind:
        return a if a.itemsize > b.itemsize else b
    signed = a if a.kind == "i" else b
    return int16 if signed is int8 else signed


def result_type(
    tensors: tuple[DType, ...], zero_dim: tuple[DType, ...], scalars: tuple[type, ...]
) -> DType:
    """PyTorch's three-tier promotion: tensors with dimensions, then 0-d tensors, then Python scalars; a lower tier counts
    only where its kind (bool < int < float) is above that of the tiers over it."""
    weak = {bool: bool_, int: int64, float: default(), complex: default().to_complex()}
    out: DType | None = None
    for tier in (tensors, zero_dim, tuple(weak[t] for t in scalars)):
        if not tier:
            continue
        joined = tier[0]
        for d in tier[1:]:
            joined = promote_types(joined, d)
        if out is None or RANK[joined.kind] > RANK[out.kind]:
            out = out.to_complex() if out is not None and out.kind == "f" else joined
    assert out is not None
    return out
