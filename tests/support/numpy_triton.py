"""Users' Triton kernels run by NumPy on the fake driver's memory: the kernel's own Python code, with `tl` made of ndarrays.

What a launch hands over (addresses, sizes, constants, grid) is what the driver was given, so that all of the product down to the
driver's calls takes part. Eager launches run the same way. Knows only as much of `triton.language` as the tests' kernels use.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from triton import language
from triton.runtime import jit

from fusewire.backends.gpu import builder, user_functions
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.kernel import CompiledKernel, Parameter, Target, Variant
from fusewire.backends.gpu.templates import routine_ways
from fusewire.ir import dtypes
from fusewire.ir.ops.launches import launched

sys.path.insert(0, str(Path(__file__).parent))
import fake_cuda

_KINDS = {triton: getattr(dtypes, name if name != "bool" else "bool_").np for name, triton in user_functions.POINTERS.items()}
_NUMBERS = {"i1": np.bool_, "u1": np.bool_, "i32": np.int32, "i64": np.int64, "fp32": np.float32, "fp64": np.float64}


class Block(np.ndarray):
    """A tensor of Triton's."""

    def to(self, dtype: Any) -> Block:
        return self.astype(_NUMBERS[dtype.name] if hasattr(dtype, "is_ptr") else dtype).view(Block)


def block(x: Any) -> Block:
    return np.asarray(x).view(Block)


class Pointer:
    """Addresses of elements."""

    def __init__(self, fake: fake_cuda.Fake, at: Any, dtype: Any) -> None:
        self.fake, self.at, self.dtype = fake, np.asarray(at, np.int64), np.dtype(dtype)

    def __add__(self, n: Any) -> Pointer:
        return Pointer(self.fake, self.at + np.asarray(n).astype(np.int64) * self.dtype.itemsize, self.dtype)

    __radd__ = __add__

    def reached(self, mask: Any) -> tuple[Any, Any, Any]:
        """(which elements, the memory around them, their places there)."""
        at, mask = np.broadcast_arrays(self.at, True if mask is None else np.asarray(mask))
        if not mask.any():
            return mask, np.zeros(1, self.dtype), np.zeros(0, np.int64)
        low, high = int(at[mask].min()), int(at[mask].max()) + self.dtype.itemsize
        assert self.fake.holds(low, high - low), f"{high - low} bytes at {low:#x} are no device memory"
        memory = np.frombuffer((ctypes.c_ubyte * (high - low)).from_address(low), self.dtype)
        return mask, memory, (at[mask] - low) // self.dtype.itemsize


class Language:
    """`triton.language` in one program of a grid."""

    float32, float64, int32, int64 = np.float32, np.float64, np.int32, np.int64
    constexpr = staticmethod(lambda x: x)
    exp, sqrt, where = staticmethod(np.exp), staticmethod(np.sqrt), staticmethod(np.where)

    def __init__(self, at: Sequence[int], grid: Sequence[int]) -> None:
        self.at, self.grid = at, grid

    def program_id(self, axis: int) -> Any:
        return np.int64(self.at[axis])

    def num_programs(self, axis: int) -> Any:
        return np.int64(self.grid[axis])

    def arange(self, low: int, high: int) -> Block:
        return block(np.arange(low, high))

    def zeros(self, shape: Any, dtype: Any) -> Block:
        return block(np.zeros(tuple(shape), dtype))

    def sum(self, x: Any, axis: Any = None) -> Block:
        return block(np.sum(x, axis=axis))

    def max(self, x: Any, axis: Any = None) -> Block:
        return block(np.max(x, axis=axis))

    def cdiv(self, a: int, b: int) -> int:
        return -(-a // b)

    def load(self, p: Pointer, mask: Any = None, other: Any = 0) -> Block:
        mask, memory, places = p.reached(mask)
        out = np.full(mask.shape, other, p.dtype)
        out[mask] = memory[places]
        return block(out)

    def store(self, p: Pointer, x: Any, mask: Any = None) -> None:
        mask, memory, places = p.reached(mask)
        memory[places] = np.broadcast_to(x, mask.shape)[mask].astype(p.dtype)

    def atomic_add(self, p: Pointer, x: Any, mask: Any = None) -> None:
        mask, memory, places = p.reached(mask)
        np.add.at(memory, places, np.broadcast_to(x, mask.shape)[mask].astype(p.dtype))


def python(fn: Any, tl: Language) -> Any:
    """A kernel's own function, with that `tl` and with the functions that it calls likewise."""
    code, names = fn.fn.__code__, {**fn.fn.__globals__, "tl": tl}
    for name in code.co_names:
        if isinstance(names.get(name), language.constexpr):
            names[name] = names[name].value
        if isinstance(names.get(name), jit.JITFunction) and names[name] is not fn:
            names[name] = python(names[name], tl)
    held = [cell.cell_contents for cell in fn.fn.__closure__ or ()]
    cells = tuple([types.CellType(python(x, tl) if isinstance(x, jit.JITFunction) else x) for x in held])
    return types.FunctionType(code, names, fn.__name__, fn.fn.__defaults__, cells)


def launch(fake: fake_cuda.Fake, fn: Any, grid: Sequence[int], given: dict[str, Any]) -> None:
    """Run all programs, one after the other. `given`: kind and value of each parameter."""
    grid = (*grid, *(1,) * (3 - len(grid)))
    for z, y, x in itertools.product(*map(range, grid[::-1])):
        tl, args = Language((x, y, z), grid), {}
        for name, (kind, value) in given.items():
            if kind[0] == "*":
                args[name] = Pointer(fake, value, _KINDS[kind])
            elif kind == "constexpr":
                args[name] = python(value, tl) if isinstance(value, jit.JITFunction) else getattr(value, "value", value)
            else:
                args[name] = _NUMBERS[kind](value)
        with np.errstate(all="ignore"):
            python(fn, tl)(**args)


class Users(fake_cuda.Reference):
    """A builder that also takes launches of users' kernels. `built`: what Triton would have been given for each."""

    claims: Any = {launched: CLAIMS[launched]}

    def __init__(self, fake: fake_cuda.Fake) -> None:
        super().__init__(fake)
        self.given: list[Any] = []

    def routine(self, step: Any, target: Target) -> tuple[Variant, ...]:
        return tuple([Variant(w.assumes, w.sizes, w.scratch, self._load(w, target)) for w in routine_ways(step, target)])

    def candidates(self, work: Any, target: Target) -> dict[str, Any]:
        return {"": lambda: self.routine(work, target)} if hasattr(work, "routine") else super().candidates(work, target)

    def _load(self, way: Any, target: Target) -> Any:
        loaded: list[CompiledKernel] = []

        def load() -> tuple[CompiledKernel, ...]:
            if not loaded:
                (job,) = way.jobs
                self.given.append(job.build)
                image = f"user {self.fake.new(job)}".encode()
                params = (*job.params, Parameter("null"), Parameter("null"))
                warps = job.build.options.get("num_warps", 4)
                loaded.append(CompiledKernel(job.build.name, image + b"\0", target, 0, warps, params, job.grid, way.sizes))
                self.fake.kernels[image] = job, loaded[0]
            return tuple(loaded)

        return load


def word(kind: str, raw: int) -> Any:
    """An argument as the driver got it: 8 bytes."""
    if kind[0] == "*":
        return raw
    return np.array([raw], np.int64).view(_NUMBERS[kind])[0]


@contextmanager
def installed(**options: Any) -> Iterator[tuple[fake_cuda.Fake, Users]]:
    """The fake driver, users' kernels running on it."""
    with fake_cuda.installed(**options) as fake:
        users = builder.current = Users(fake)
        before, run = fake.cuLaunchKernel, jit.JITFunction.run

        def perform(build: Any, words: Sequence[int], grid: Sequence[int]) -> None:
            left = iter(words)
            given = {name: (kind, 0 if kind == "constexpr" else word(kind, next(left))) for name, kind in build.signature.items()}
            given.update({name: ("constexpr", user_functions.loaded(x)) for name, x in build.constants.items()})
            launch(fake, user_functions.find(build.text), grid, given)

        def entry(function: int, x: int, y: int, z: int, *rest: Any) -> int:
            job, compiled = fake.known(function, tuple)
            if not hasattr(job, "build"):
                return before(function, x, y, z, *rest)
            pointers = (ctypes.c_void_p * len(compiled.params)).from_address(rest[5])
            words = [ctypes.c_int64.from_address(p).value for p in pointers]
            fake.launches.append((compiled.name, (x, y, z), rest[4] or 0))
            fake.do(rest[4], lambda: perform(job.build, words, (x, y, z)))
            return 0

        def eager(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
            names = {k: v for k, v in kwargs.items() if k in self.arg_names}
            bound = self.signature.bind(*args, **names)
            bound.apply_defaults()
            fake.drain_all()
            grid = grid(bound.arguments) if callable(grid) else grid
            launch(fake, self, grid, {p.name: kinded(p, bound.arguments[p.name]) for p in self.params})

        eager.__module__, eager.__name__ = run.__module__, run.__name__
        fake.cuLaunchKernel, jit.JITFunction.run = entry, eager  # type: ignore[method-assign]
        try:
            yield fake, users
        finally:
            jit.JITFunction.run = run


def kinded(parameter: Any, x: Any) -> tuple[str, Any]:
    """(kind, value) of an argument of an eager launch."""
    if parameter.is_constexpr or x is None:
        return "constexpr", x
    if hasattr(x, "data_ptr"):
        return user_functions.POINTERS[x.dtype.name], x.data_ptr()
    return ("u1" if isinstance(x, bool) else "i64" if isinstance(x, int) else "fp32"), x
