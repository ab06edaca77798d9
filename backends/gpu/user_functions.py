"""Kernels that users have written for Triton as parts of compiled graphs: how they are named there, which arguments they write,
which calls are taken, and how Triton is asked to build them. Imports Triton only to compile, and launches nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from ...errors import CompileError
from ...ir import sizes
from ...ir.graph import Node, Value
from ...ir.plan import BufferView, RoutineStep, ScalarInput
from ...ir.sizes import Size
from ...ir.text import attr_text, parse_attr
from ...ir.types import TensorType, numel
from . import stages
from .kernel import Aligned, Assumption, Below, Divisible, Parameter, Target
from .triton import HEAD
from .ways import Job, Way

#: dtype -> the type of a pointer to it, as Triton takes it of an argument
POINTERS = {
    "bool": "*i1", "uint8": "*u8", "int8": "*i8", "int16": "*i16", "int32": "*i32", "int64": "*i64", "float16": "*fp16",
    "bfloat16": "*bf16", "float32": "*fp32", "float64": "*fp64", "float8_e4m3fn": "*fp8e4nv", "float8_e5m2": "*fp8e5",
}  # fmt: skip
INTEGERS = ("i1", "u1", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
#: places of a step's sizes: the grid, then numbers of the call, then elements of what is written
_GRID = 3
_BLOCK = 1024
_NARROW = 1 << 31
#: what Triton takes where nothing is said (generated kernels ask for exact rounding, the user's have not)
_USUAL = {"enable_fp_fusion": True, "enable_reflect_ftz": True}
_UNKNOWN = ("tt.call", "tt.int_to_ptr", "tt.elementwise_inline_asm", "tt.extern_elementwise", "descriptor", "tensor_ptr", "cf.")
_NAME = re.compile(r"%\w+")

_kernels: dict[str, Any] = {}


def enter(fn: Any) -> str:
    """What a kernel (triton.JITFunction) is called in graphs: the same text for the same code."""
    name = f"{fn.__name__}:{fn.cache_key}"
    _kernels[name] = fn
    return name


def find(name: str) -> Any:
    """The kernel called so. CompileError where no capture of this process has met it."""
    if name not in _kernels:
        raise CompileError(f"the Triton kernel {name.split(':')[0]} is not known here: call the function that launches it")
    return _kernels[name]


# ---- the step ------------------------------------------------------------------------------------------------------------
def accepts(node: Node) -> bool:
    """Row-major tensors."""
    return all(a.tensor_type.is_contiguous for a in node.args if isinstance(a, Value) and isinstance(a.type, TensorType))


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a launch."""
    views = tuple([x if isinstance(x, BufferView) else None for x in args])
    kinds = tuple([x.type.dtype.name if isinstance(x, BufferView) else None for x in args])
    numbers = tuple([x if isinstance(x, ScalarInput) else 0 for x in args])
    a = node.attrs
    known = a["kernel"], tuple(a["places"]), len(a["words"]), tuple(a["written"]), tuple(a["options"])
    name = "user " + attr_text((*known, kinds))
    words = (*a["grid"], *a["words"], *(numel(r.type.shape) for r in results))
    return RoutineStep(name, views, results, words, numbers)


@lru_cache(256)
def _parts(routine: str) -> Any:
    return parse_attr(routine.split(" ", 1)[1])


def ways(step: RoutineStep, target: Target) -> tuple[Way, ...]:
    """A copy of each tensor that the kernel writes, then the kernel on the copies. As Triton does, with what is known of
    pointers and numbers that are multiples of 16, and of numbers that fit in 32 bits."""
    _, places, count, *_ = _parts(step.routine)
    names = tuple(f"s{i}" for i in range(len(step.sizes)))
    free = [i for i in range(count) if not isinstance(step.sizes[_GRID + i], int)]
    below: tuple[Assumption, ...] = tuple(Below(sizes.symbol(names[_GRID + i]), _NARROW) for i in free)
    special = {p[1] for p in places if p[0] == "size" and not p[2]}
    whole: tuple[Assumption, ...] = tuple(Divisible(sizes.symbol(names[_GRID + i])) for i in free if i in special)
    aligned: tuple[Assumption, ...] = tuple(Aligned(i) for i, v in enumerate(step.views) if v is not None)
    found = []
    for narrow in (below, ()) if below else ((),):
        found += [(*narrow, *a) for a in dict.fromkeys(((*aligned, *whole), aligned, ()))]
    return tuple([Way(a, names, (*_copies(step, names), _job(step, names, a))) for a in dict.fromkeys(found)])


def _copies(step: RoutineStep, names: tuple[str, ...]) -> list[Job]:
    """What is written is a copy, so that the tensor keeps its values for all others who read it."""
    _, _, count, written, *_ = _parts(step.routine)
    made = []
    for k, operand in enumerate(written):
        kind = f"*i{8 * step.results[k].type.dtype.itemsize}"
        text = HEAD + "\n".join([
            "@triton.jit", "def copied(x_ptr, y_ptr, count, XBLOCK: tl.constexpr):",
            "    at = tl.program_id(0).to(tl.int64) * XBLOCK + tl.arange(0, XBLOCK)",
            "    tl.store(y_ptr + at, tl.load(x_ptr + at, at < count), at < count)", "",
        ])  # fmt: skip
        place = _GRID + count + k
        params = (Parameter("buffer", operand), Parameter("buffer", len(step.args) + k), Parameter("size", place, "i64"))
        signature = {"x_ptr": kind, "y_ptr": kind, "count": "i64"}
        build = stages.Build("copied", text, signature, {"XBLOCK": _BLOCK}, (), {"num_warps": 4})
        made.append(Job(build, params, (sizes.floordiv(sizes.symbol(names[place]) + (_BLOCK - 1), _BLOCK), 1, 1)))
    return made


def _job(step: RoutineStep, names: tuple[str, ...], assumes: tuple[Assumption, ...]) -> Job:
    kernel, places, _, written, options, kinds = _parts(step.routine)
    narrow, whole = ({str(a.size) for a in assumes if isinstance(a, kind)} for kind in (Below, Divisible))
    taken = _Arguments(find(kernel))
    for parameter, place in zip(taken.fn.params, places, strict=True):
        if place[0] == "tensor":
            pointer = len(step.args) + written.index(place[1]) if place[1] in written else place[1]
            taken.pointer(parameter, kinds[place[1]], pointer, Aligned(pointer) in assumes)
        elif place[0] == "number":
            taken.number(parameter, place[1])
        elif place[0] == "size":
            number, name = step.sizes[_GRID + place[1]], names[_GRID + place[1]]
            taken.size(parameter, number, _GRID + place[1], name in narrow, name in whole)
        else:
            taken.constants[parameter.name], taken.signature[parameter.name] = _constant(place[1]), "constexpr"
    build = taken.build(kernel, dict(options))
    x, y, z = (sizes.symbol(n) for n in names[:_GRID])
    return Job(build, tuple(taken.params), (x, y, z))


def _constant(x: Any) -> Any:
    """A constant of the graph as the kernel takes it: types of Triton's are texts that begin with "tl."."""
    if isinstance(x, str) and x.startswith("tl."):
        import triton.language as tl

        return tl.dtype(x[3:])
    return x


class _Arguments:
    """The arguments of a kernel, one by one, as Triton specialises them."""

    def __init__(self, fn: Any) -> None:
        self.fn = fn
        self.signature: dict[str, str] = {}
        self.constants: dict[str, Any] = {}
        self.divisible: list[str] = []
        self.params: list[Parameter] = []

    def _add(self, parameter: Any, kind: str, whole: bool, given: Parameter) -> None:
        self.signature[parameter.name] = kind
        if whole and not parameter.do_not_specialize and not parameter.do_not_specialize_on_alignment:
            self.divisible.append(parameter.name)
        self.params.append(given)

    def pointer(self, parameter: Any, dtype: str, index: int, aligned: bool) -> None:
        self._add(parameter, parameter.annotation_type or POINTERS[dtype], aligned, Parameter("buffer", index))

    def number(self, parameter: Any, index: int) -> None:
        kind = parameter.annotation_type or "fp32"
        self._add(parameter, kind, False, Parameter("float", index, kind))

    def size(self, parameter: Any, number: Size, index: int, narrow: bool, whole: bool) -> None:
        if isinstance(number, bool):
            kind, whole = "u1", False
        elif isinstance(number, int):
            if number == 1 and not parameter.do_not_specialize and not parameter.annotation_type:
                self.constants[parameter.name], self.signature[parameter.name] = 1, "constexpr"
                return
            kind, whole = "i32" if -_NARROW <= number < _NARROW else "i64", number % 16 == 0
        else:
            kind = "i32" if narrow else "i64"
        self._add(parameter, parameter.annotation_type or kind, whole, Parameter("size", index, kind))

    def build(self, kernel: str, options: dict[str, Any]) -> stages.Build:
        """What Triton is given; the text is the kernel's name in graphs."""
        signature = {name: self.signature[name] for name in self.fn.arg_names}
        return stages.Build(
            self.fn.__name__, kernel, signature, self.constants, tuple(self.divisible), {**_USUAL, **options}, user=True
        )


# ---- what a kernel writes ------------------------------------------------------------------------------------------------
def written(build: stages.Build, target: Target) -> set[str] | None:
    """The pointer arguments that a kernel may write, by Triton's IR; None where it does what a graph does not know of.
    CompileError where Triton refuses the kernel."""
    text = stages.run(build, target, "ttir").asm["ttir"]
    if any(word in text for word in ("tt.print", "tt.assert", "tt.make_tensor_descriptor")):
        return None
    pointers = {name for name, kind in build.signature.items() if kind[0] == "*"}
    if any(word in text for word in _UNKNOWN):
        return pointers
    stores = [line for line in text.splitlines() if re.search(r"\btt\.(store|atomic_rmw|atomic_cas)\b", line)]
    reach = _reaching(text)
    found: set[str] = set()
    for line in stores:
        targets = _NAME.findall(line.split("tt.", 1)[1])[:1]
        found |= _closure(targets, reach)
    return {name for name in pointers if f"%{name}" in found}


def _reaching(text: str) -> dict[str, set[str]]:
    """value of Triton's IR -> values that it may be made of; what is loaded is no pointer made of another."""
    made: dict[str, set[str]] = {}
    lines = text.splitlines()
    yields = {x for line in lines if "scf.yield" in line or "scf.condition" in line for x in _NAME.findall(line)}
    for line in lines:
        whole = set(_NAME.findall(line.split(" loc(", 1)[0]))
        if "scf." in line or line.lstrip().startswith("^"):
            for name in whole:
                made.setdefault(name, set()).update(whole, yields)
        elif " = " in line and "tt.load" not in line:
            left, right = line.split(" = ", 1)
            for name in _NAME.findall(left):
                made.setdefault(name, set()).update(_NAME.findall(right))
    return made


def _closure(names: list[str], reach: dict[str, set[str]]) -> set[str]:
    found, left = set(names), list(names)
    while left:
        more = reach.get(left.pop(), set()) - found
        found |= more
        left += more
    return found
