"""The plan: what a compiled graph does, as flat data. The hand-over from schedule and memory to executables and entry."""

from __future__ import annotations

from typing import Any, Union

from .dtypes import DType
from .lazyclass import dataclass
from .loops import Kernel, KernelError
from .op import Op
from .sizes import Size
from .types import TensorType, Type


@dataclass(frozen=True, slots=True)
class FromInput:
    """The storage of graph input `index`, from that tensor's own first element on."""

    index: int


@dataclass(frozen=True, slots=True)
class FromOutput:
    """Memory of fresh output number `index`, allocated at each call."""

    index: int


@dataclass(frozen=True, slots=True)
class FromArena:
    """`offset` bytes (a multiple of 64) into the arena of the call."""

    offset: Size


Place = Union[FromInput, FromOutput, FromArena]


@dataclass(frozen=True, slots=True)
class PlanBuffer:
    """A run of memory of `size` elements."""

    name: str
    dtype: DType
    size: Size
    place: Place


@dataclass(frozen=True, slots=True)
class BufferView:
    """A tensor lying in buffer number `buffer`, `offset` elements in, laid out as `type` says."""

    buffer: int
    type: TensorType
    offset: Size = 0


@dataclass(frozen=True, slots=True)
class ScalarInput:
    """The value of scalar graph input number `index`."""

    index: int


@dataclass(frozen=True, slots=True)
class KernelStep:
    """Run `kernel`; `buffers` are the numbers of its pointer arguments, `scalars` what its parameters get."""

    kernel: Kernel
    buffers: tuple[int, ...]
    scalars: tuple[ScalarInput, ...] = ()


@dataclass(frozen=True, slots=True)
class GemmStep:
    """``out = a @ b`` over the last two dimensions, batched over the others (a batch stride of 0 repeats an operand)."""

    a: BufferView
    b: BufferView
    out: BufferView


@dataclass(frozen=True, slots=True)
class ExternStep:
    """Run the op whole, by its NumPy kernel or what the back end that claims it has for it, on views of the buffers, and copy
    its results into `results`."""

    op: Op
    args: tuple[Union[BufferView, ScalarInput, bool, int, float, None], ...]
    attrs: dict[str, Any]
    results: tuple[BufferView, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """How a routine gets the elements of ``args[operand]``, which is None then: `kernel`, whose last buffer they would be and
    whose axes are the operand's "row" and "column", and "product" of a batch, computes each where it is read. `args`: which of
    the step's args its other buffers are; `sizes`, `scalars`: from which of the step's its own begin."""

    operand: int
    kernel: Kernel
    args: tuple[int, ...]
    sizes: int
    scalars: int


@dataclass(frozen=True, slots=True)
class RoutineStep:
    """Run native routine `routine` of the back end: machine code of the Kernel ABI that is generic over sizes, so that equal
    names are equal code (``code[routine]`` is its address, as a kernel's).

    Its pointer arguments are the first elements of `args`, then of `results`; an arg that is None is a null pointer. `sizes`:
    its i64 arguments; `scalars`: 8 bytes each, as f64 where they are floats. `scratch`: bytes one thread needs. `parts`: into
    how many pieces the work may be split between threads, which must not touch each other's results; `work`: multiplications
    in all. `finish`: a kernel that the routine calls on what it has made; its address is one size more, the last. `begins`:
    kernels that it computes operands by, where it reads them (templates of GPUs)."""

    routine: str
    args: tuple[BufferView | None, ...]
    results: tuple[BufferView, ...]
    sizes: tuple[Size, ...] = ()
    scalars: tuple[Union[ScalarInput, int, float], ...] = ()
    scratch: Size = 0
    parts: Size = 1
    work: Size = 0
    errors: tuple[KernelError, ...] = ()
    finish: Kernel | None = None
    begins: tuple[Begin, ...] = ()

    @property
    def views(self) -> tuple[BufferView | None, ...]:
        """The pointer arguments in order."""
        return (*self.args, *self.results)


Step = Union[KernelStep, GemmStep, ExternStep, RoutineStep]


def errors_of(step: Step) -> tuple[KernelError, ...]:
    """What the nonzero statuses of a step stand for."""
    return step.kernel.errors if isinstance(step, KernelStep) else step.errors if isinstance(step, RoutineStep) else ()


@dataclass(frozen=True, slots=True)
class SymbolSource:
    """Where the value of a symbol is read at entry: `what` is "shape" or "stride" of input `index` at `dim`, or "value".
    The number read there is ``scale * symbol + offset``."""

    name: str
    index: int
    what: str
    dim: int = 0
    scale: int = 1
    offset: int = 0

    def solved(self, read: int) -> int:
        """The symbol's value."""
        return (read - self.offset) // self.scale


@dataclass(frozen=True, slots=True)
class PlanOutput:
    """Output number n. `source` None: fresh memory of type `type` (contiguous or densely strided); else input number
    `source` itself where `offset` is None, or a view of it at `offset` elements with the shape and strides of `type`."""

    type: Type
    source: int | None = None
    offset: Size | None = None


@dataclass(frozen=True, slots=True)
class PlanWrite:
    """The steps have changed the storage of input number `target`: its version counter moves once."""

    target: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the kernel of node `consumer` was not fused with the one that makes `producer`."""

    producer: str
    consumer: str
    reason: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """`arena`: bytes of temporary memory one call needs, as a polynomial in the symbols."""

    name: str
    inputs: tuple[Type, ...]
    symbols: tuple[SymbolSource, ...]
    buffers: tuple[PlanBuffer, ...]
    steps: tuple[Step, ...]
    outputs: tuple[PlanOutput, ...]
    writes: tuple[PlanWrite, ...] = ()
    arena: Size = 0
    refusals: tuple[Refusal, ...] = ()

    def __str__(self) -> str:
        from .plan_text import print_plan

        return print_plan(self)
