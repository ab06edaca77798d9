"""Kernels that users have written for Triton as parts of compiled graphs: how they are named there, which arguments they write,
which calls are taken, and how Triton is asked to build them. Imports Triton only to compile, and launches nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ...errors import CompileError
from ...ir import sizes
from ...ir.graph import Node
from ...ir.ops.launches import as_recorded
from ...ir.plan import BufferView, RoutineStep, ScalarInput
from ...ir.sizes import Size
from ...ir.text import attr_text, parse_attr
from ...runtime import fingerprint
from . import stages
from .kernel import Aligned, Assumption, Below, Divisible, Parameter, Target
from .ways import Job, Way

#: dtype -> the type of a pointer to it, as Triton takes it of an argument
POINTERS = {
    "bool": "*i1", "uint8": "*u8", "int8": "*i8", "int16": "*i16", "int32": "*i32", "int64": "*i64", "float16": "*fp16",
    "bfloat16": "*bf16", "float32": "*fp32", "float64": "*fp64", "float8_e4m3fn": "*fp8e4nv", "float8_e5m2": "*fp8e5",
}  # fmt: skip
INTEGERS = ("i1", "u1", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
#: places of a step's sizes: the grid, then numbers of the call
_GRID = 3
_NARROW = 1 << 31
#: what Triton takes where nothing is said (generated kernels ask for exact rounding, the user's have not)
_USUAL = {"enable_fp_fusion": True, "enable_reflect_ftz": True}
#: what Triton's IR says of kernels that print, assert, make descriptors, or use addresses that they have loaded
_STRANGE = ("tt.print", "tt.assert", "descriptor", "tt.int_to_ptr", "ptr<!tt.ptr")
#: calls (and jumps, which are no dialect that is known here): any pointer may come by them
_UNKNOWN = ("tt.call",)
_ELEMENTWISE = ("tt.elementwise_inline_asm", "tt.extern_elementwise")
_DIALECT = re.compile(r"^\s*(?:%[\w:, %#]+ = )?\"?([a-z_]+)\.\w", re.MULTILINE)
_KNOWN = {"tt", "arith", "math", "scf", "ub", "gpu"}
_FLOW = {"scf.for", "scf.while", "scf.if", "scf.yield", "scf.condition"}
_NAME = re.compile(r"%\w+(?:#\d+)?")
_OPENS = re.compile(r"\s*(%\w+)(?::(\d+))? = ")
_PLACE = re.compile(r" loc\((?:[^()]|\([^()]*\))*\)")
_LEAVES = re.compile(r"^\s*(scf\.yield|scf\.condition|tt\.\w+\.return)\b")

_kernels: dict[str, Any] = {}
_written: dict[tuple[str, str], set[str] | None] = {}


def enter(fn: Any) -> str:
    """What a kernel (triton.JITFunction) is called in graphs: the same text for the same code."""
    name = f"{fn.__module__}:{fn.__qualname__}:{fn.cache_key}"
    _kernels[name] = fn
    return name


def find(name: str) -> Any:
    """The kernel called so. CompileError where no capture of this process has met it, and no module holds it."""
    found = _kernels.get(name)
    if found is None:
        module, qualname, key = name.split(":")
        found = fingerprint.kernels.get(key, sys.modules.get(module))
        for part in qualname.split(".") if key not in fingerprint.kernels else ():
            found = getattr(found, part, None)
        while found is not None and not hasattr(found, "cache_key"):  # what tunes it
            found = getattr(found, "fn", None)
        if found is None or found.cache_key != key:
            raise CompileError(f"the Triton kernel {qualname} is not known here: call the function that launches it")
        _kernels[name] = found
    return found


# ---- the step ------------------------------------------------------------------------------------------------------------
def accepts(node: Node) -> bool:
    """Tensors that lie as they did when the launch was recorded."""
    return all(as_recorded(node.args, node.attrs["layouts"]))


def over(node: Node) -> tuple[int, ...]:
    """The operands whose memory the results take."""
    written: tuple[int, ...] = node.attrs["written"]
    return written


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a launch: its pointer arguments are those of the kernel, the results where it writes."""
    a = node.attrs
    written = a["written"]
    numbers = tuple([x if isinstance(x, (ScalarInput, int, float)) else 0 for x in args])
    views = []
    for operand, word in a["pointers"]:
        base = results[written.index(operand)] if operand in written else args[operand]
        if base.type.strides != a["layouts"][operand] and 0 not in base.type.shape:
            raise CompileError(f"operand {operand} of {a['kernel'].split(':')[1]} lies as {base.type}, not as it did when traced")
        views.append(replace(base, offset=base.offset + (a["words"][word] if word >= 0 else 0)))
    name = "user " + attr_text((a["kernel"], tuple(a["places"]), len(a["words"]), tuple(a["options"])))
    return RoutineStep(name, tuple(views), results, (*a["grid"], *a["words"]), numbers)


@lru_cache(256)
def _parts(routine: str) -> Any:
    return parse_attr(routine.split(" ", 1)[1])


def ways(step: RoutineStep, target: Target) -> tuple[Way, ...]:
    """The kernel as Triton builds it: with what is known of pointers and numbers that are multiples of 16, and of numbers that
    fit in 32 bits."""
    _, places, count, _ = _parts(step.routine)
    names = tuple(f"s{i}" for i in range(len(step.sizes)))
    sized = {p[2] for p in places if p[1] == "size" and not p[5]}
    free = [i for i in range(count) if i in sized and not isinstance(step.sizes[_GRID + i], int)]
    below: tuple[Assumption, ...] = tuple(Below(sizes.symbol(names[_GRID + i]), _NARROW) for i in free)
    counted = {p[2] for p in places if p[1] == "size" and p[4]}
    whole: tuple[Assumption, ...] = tuple(Divisible(sizes.symbol(names[_GRID + i])) for i in free if i in counted)
    aligned: tuple[Assumption, ...] = tuple(Aligned(p[2]) for p in places if p[1] == "tensor" and p[4])
    found: list[tuple[Assumption, ...]] = []
    for narrow in (below, ()) if below else ((),):
        found += [(*narrow, *a) for a in ((*aligned, *whole), aligned, ())]
    return tuple([Way(a, names, (_job(step, names, a),)) for a in dict.fromkeys(found)])


def _job(step: RoutineStep, names: tuple[str, ...], assumes: tuple[Assumption, ...]) -> Job:
    kernel, places, _, options = _parts(step.routine)
    taken = Arguments()
    for name, what, *rest in places:
        if what == "tensor":
            taken.pointer(name, rest[1], rest[0], Aligned(rest[0]) in assumes)
        elif what == "number":
            taken.add(name, rest[1], False, Parameter("float", rest[0], rest[1]))
        elif what == "size":
            at = _GRID + rest[0]
            known = [a for a in assumes if isinstance(a, (Below, Divisible)) and str(a.size) == names[at]]
            taken.size(name, step.sizes[at], at, rest[1:], known)
        else:
            taken.constant(name, what, rest[0])
    x, y, z = (sizes.symbol(n) for n in names[:_GRID])
    return Job(taken.build(kernel, dict(options)), tuple(taken.params), (x, y, z))


class Arguments:
    """The arguments of a kernel, one by one, as Triton specialises them."""

    def __init__(self) -> None:
        self.signature: dict[str, str] = {}
        self.constants: dict[str, Any] = {}
        self.divisible: list[str] = []
        self.params: list[Parameter] = []

    def add(self, name: str, kind: str, whole: bool, given: Parameter) -> None:
        """An argument of Triton's type `kind`; a multiple of 16 where `whole`."""
        self.signature[name] = kind
        if whole:
            self.divisible.append(name)
        self.params.append(given)

    def pointer(self, name: str, kind: str, index: int, aligned: bool) -> None:
        """The first element of pointer argument number `index`."""
        self.add(name, kind, aligned, Parameter("buffer", index))

    def size(self, name: str, number: Size, index: int, how: Sequence[Any], known: Sequence[Assumption]) -> None:
        """A whole number, place `index` of the step's sizes; `how`: whether 1 is a constant, whether multiples of 16 count, the
        type that the kernel states or ""."""
        one, whole, kind = how
        if isinstance(number, int) and number == 1 and one and not kind:
            self.constant(name, "value", 1)
            return
        if isinstance(number, int):
            whole, narrow = whole and number % 16 == 0, -_NARROW <= number < _NARROW
        else:
            narrow = any(isinstance(a, Below) for a in known)
            whole = whole and any(isinstance(a, Divisible) for a in known)
        kind = kind or ("i32" if narrow else "i64")
        self.add(name, kind, whole, Parameter("size", index, kind))

    def constant(self, name: str, what: str, value: Any) -> None:
        """What is compiled in: a "value", or the text by which a function ("kernel") or type ("type") is found."""
        self.constants[name], self.signature[name] = Named(what, value) if what != "value" else value, "constexpr"

    def build(self, kernel: str, options: dict[str, Any]) -> stages.Build:
        """What Triton is given; the text is the kernel's name in graphs."""
        name = kernel.split(":")[1].split(".")[-1]
        return stages.Build(
            name, kernel, self.signature, self.constants, tuple(self.divisible), {**_USUAL, **options}, user=True
        )


@dataclass(frozen=True, order=True)
class Named:
    """A constant that Triton wants as an object of its own: a "kernel" or a "type"."""

    what: str
    text: str


def loaded(x: Any) -> Any:
    """A constant as Triton takes it."""
    if not isinstance(x, Named):
        return x
    if x.what == "kernel":
        return find(x.text)
    import triton.language as tl

    return tl.dtype(x.text)


# ---- what a kernel writes ------------------------------------------------------------------------------------------------
def written(build: stages.Build, target: Target) -> set[str] | None:
    """The pointer arguments that a kernel may write, by Triton's IR; None where it does what no graph knows of: it prints,
    asserts, asks for memory of its own, or reaches memory by addresses it has loaded. CompileError where Triton refuses it."""
    key = build.key(), repr(target)
    if key not in _written:
        _written[key] = _found(build, stages.run(build, target, "ttir").asm["ttir"])
    return _written[key]


def _found(build: stages.Build, text: str) -> set[str] | None:
    if any(word in text for word in _STRANGE):
        return None
    arguments = [(name, kind) for name, kind in build.signature.items() if kind != "constexpr"]
    pointers = {name for name, kind in arguments if kind[0] == "*"}
    lines = [_PLACE.sub("", line) for line in text.splitlines() if "llvm.intr.assume" not in line and line[:1] != "#"]
    impure = any(word in line and "pure = true" not in line for line in lines for word in _ELEMENTWISE)
    if impure or any(word in text for word in _UNKNOWN) or set(_DIALECT.findall("\n".join(lines))) - _KNOWN:
        return pointers
    stores = [line for line in lines if re.search(r"\btt\.(store|atomic_rmw|atomic_cas)\b", line)]
    reach = _Reaching()
    for line in lines:
        reach.read(line)
    head = next((line for line in lines if "tt.func public" in line), "")
    named = re.findall(r"(%\w+): ", head)  # by what they were assigned to last
    if reach.open or len(named) != len(arguments) or set(re.findall(r"\bscf\.\w+", "\n".join(lines))) - _FLOW:
        return pointers
    found: set[str] = set()
    for line in stores:
        found |= _closure(_NAME.findall(line.split("tt.", 1)[1])[:1], reach.made)
    return {name for (name, _), value in zip(arguments, named, strict=True) if value in found} & pointers


class _Reaching:
    """`made`: value of Triton's IR -> values that it may be made of, line by line; what is loaded is no pointer made of another.
    (Names of one region may be used again in another: that only adds.)"""

    def __init__(self) -> None:
        self.made: dict[str, set[str]] = {}
        self.open: list[tuple[str, list[str], list[str]]] = []  # op, its results, what each turn begins with

    def read(self, line: str) -> None:
        """Take in one line."""
        if line.lstrip().startswith("}"):
            self._closes(line)
        elif line.rstrip().endswith("{"):
            self._opens(line)
        elif line.lstrip().startswith("^"):
            self._begins(_NAME.findall(line))
        elif _LEAVES.search(line):
            self._leaves(line)
        elif " = " in line and "tt.load" not in line:
            left, right = line.split(" = ", 1)
            for name in _NAME.findall(left):
                self._add(name, _NAME.findall(right))

    def _add(self, name: str, of: Sequence[str]) -> None:
        self.made.setdefault(name, set()).update(of)

    def _opens(self, line: str) -> None:
        found = _OPENS.match(line)
        name, count = (found[1], int(found[2] or 1)) if found else ("", 0)
        results = [f"{name}#{k}" for k in range(count)] if count > 1 else [name] * count
        op = next((word for word in ("scf.for", "scf.while", "scf.if") if word in line), "")
        pairs = re.findall(r"(%\w+) = (%[\w#]+)", line.split("iter_args(" if op == "scf.for" else op, 1)[-1]) if op else []
        for turn, first in pairs:
            self._add(turn, [first])
        if not op:
            for result in results:
                self._add(result, _NAME.findall(line))
        self.open.append((op, results, [turn for turn, _ in pairs] if op else _NAME.findall(line)))

    def _closes(self, line: str) -> None:
        if not line.rstrip().endswith("{"):  # else: a second region
            op, results, turns = self.open.pop() if self.open else ("", [], [])
            for result, turn in zip(results, turns, strict=False) if op == "scf.for" else ():
                self._add(result, [turn])

    def _begins(self, names: list[str]) -> None:
        """Arguments of a block: in a while loop what its condition hands on, elsewhere whatever the op has."""
        op, results, turns = self.open[-1] if self.open else ("", [], [])
        for k, name in enumerate(names):
            self._add(name, results[k : k + 1] if op == "scf.while" else turns)

    def _leaves(self, line: str) -> None:
        """What a region gives: to the next turn of a loop, to the results."""
        op, results, turns = self.open[-1] if self.open else ("", [], [])
        condition = "scf.condition" in line
        given = _NAME.findall(line)[1 if condition else 0 :]
        for target, value in zip(results if condition or op == "scf.if" else turns, given, strict=False):
            self._add(target, [value])
        if not op:
            for result in results:
                self._add(result, given)


def _closure(names: list[str], reach: dict[str, set[str]]) -> set[str]:
    found, left = set(names), list(names)
    while left:
        more = reach.get(left.pop(), set()) - found
        found |= more
        left += more
    return found
