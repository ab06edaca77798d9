"""What the GPU code generator hands to the launcher: compiled kernels and what must hold for them. Data only.

A `Code` maps the name of a `Kernel` (or of a routine) to its `Variant`s, best first. At a call the first variant whose
assumptions hold is launched: all its kernels, in order, on one stream. The last variant assumes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Union

from ...ir.lazyclass import dataclass
from ...ir.sizes import Size

#: KiB of shared memory that one program may ask for, by compute capability (CUDA's programming guide, "Compute Capabilities"); of
#: one that is not named: the least of these. AMD's programs have 64
_SHARED: dict[int | str, int] = {80: 163, 86: 99, 87: 163, 89: 99, 90: 227, 100: 227, 103: 227, 110: 227, 120: 99, 121: 99}
_LEAST, _AMD = 99, 64


@dataclass(frozen=True, slots=True)
class Target:
    """What machine code is for: `kind` "cuda" or "hip", `arch` 90 or "gfx942", `warp` threads a warp."""

    kind: str
    arch: int | str
    warp: int

    @property
    def shared(self) -> int:
        """Bytes of shared memory that one program may have."""
        return 1024 * (_AMD if self.kind == "hip" else _SHARED.get(self.arch, _LEAST))

    def __str__(self) -> str:
        return f"{self.kind}:{self.arch}"


SM90 = Target("cuda", 90, 32)
GFX942 = Target("hip", "gfx942", 64)


@dataclass(frozen=True, slots=True)
class TensorMap:
    """A 2-d or 3-d box copy of the hardware (CUtensorMap, 128 bytes) over pointer argument `buffer`.

    `shape`, `strides`: in elements, outermost first, the last stride 1 (polynomials in `CompiledKernel.sizes`); `box`: the
    block one copy moves; `element`: CUtensorMapDataType; `swizzle`: CUtensorMapSwizzle; `itemsize`: bytes of an element."""

    buffer: int
    shape: tuple[Size, ...]
    strides: tuple[Size, ...]
    box: tuple[int, ...]
    element: int
    swizzle: int
    itemsize: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of the machine code. `kind` and `index` say where its value comes from:

    - "buffer": device pointer number `index` of the kernel (a routine's: of its step's `views`), 8 bytes
    - "scratch": pointer to area `index` of `Variant.scratch`, 8 bytes
    - "size": i64 or i32 (see `type`) of size number `index`
    - "int", "float": scalar number `index` as i64 or f64 (f32 where `type` is "fp32")
    - "status": pointer to one i32, zero before the launch; n + 1 is written where Kernel.errors[n] happened
    - "map": `CompiledKernel.maps[index]`, 128 bytes at a multiple of 64
    - "map size": i32 or i64 (see `type`): a number that follows a map (`value` says which)
    - "null": a null pointer, 8 bytes (Triton's two global scratch areas, which our kernels never use)
    """

    kind: str
    index: int = 0
    type: str = "*"
    value: Size = 0


@dataclass(frozen=True, slots=True)
class Aligned:
    """Pointer argument number `buffer` is a multiple of `bytes`."""

    buffer: int
    bytes: int = 16


@dataclass(frozen=True, slots=True)
class Divisible:
    """`size` (in the kernel's size names) is a multiple of `by`."""

    size: Size
    by: int = 16


@dataclass(frozen=True, slots=True)
class Below:
    """`size` is less than `limit`."""

    size: Size
    limit: int


@dataclass(frozen=True, slots=True)
class Word:
    """One argument of a library's function. `kind` "number" (`value` itself); "pointer": the address of pointer argument `index`
    of the step, `value` bytes further on; "at": where that address is kept; "scratch": memory of `Calls.scratch` bytes;
    "own": what `make()` gives, a ctypes object that each call under way has for itself (objects made equal are one)."""

    kind: str
    index: int = 0
    value: int = 0
    make: Callable[[], Any] | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of C functions that launch by themselves: (address, at most 15 words) each; the stream is the 16th argument, and
    a status of 0 means that all is well. `scratch`: bytes that they work in; `kept`: what must live as long as calls are made."""

    calls: tuple[tuple[int, tuple[Word, ...]], ...]
    scratch: int
    kept: Any = None


@dataclass(frozen=True, slots=True)
class LibraryCall:
    """What stands in the place of a `CompiledKernel` where a library does the work. `find(gpu, alignments, numbers)`: the calls
    for the sizes at hand and for pointers that are multiples of these powers of two; None where the library cannot."""

    name: str
    find: Callable[[Any, tuple[int, ...], tuple[int, ...]], Calls | None]


@dataclass(frozen=True, slots=True)
class Offered:
    """The library has a way."""

    call: LibraryCall


Assumption = Union[Aligned, Divisible, Below, Offered]


@dataclass(frozen=True, slots=True)
class CompiledKernel:
    """One launch: block = (num_warps * warp, 1, 1), grid as polynomials in `sizes`, `shared` bytes of dynamic shared memory.

    A grid with a zero in it is not launched. `params`: the arguments in order, the two null pointers at the end included."""

    name: str
    cubin: bytes
    target: Target
    shared: int
    num_warps: int
    params: tuple[Parameter, ...]
    grid: tuple[Size, Size, Size]
    sizes: tuple[str, ...]
    maps: tuple[TensorMap, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run a kernel, valid where all of `assumes` hold. `scratch`: bytes of each area that its launches share, at
    multiples of 256, as polynomials in `sizes` (its contents are undefined before and after). `load` compiles at the first
    call, or reads from disk, and remembers; it may be called from any thread."""

    assumes: tuple[Assumption, ...]
    sizes: tuple[str, ...]
    scratch: tuple[Size, ...]
    load: Callable[[], tuple[CompiledKernel | LibraryCall, ...]]


Code = Mapping[str, tuple[Variant, ...]]
