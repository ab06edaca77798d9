"""Random numbers: a Generator whose state is a Tensor, and the functions that draw from it.

A draw takes a snapshot of the state and advances the state in place, so that to a tracer it is ordinary tensor mutation;
the numbers themselves are pure functions of the snapshot.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DTypeError
from ..ir import dtypes
from ..ir.layout import strides_like
from ..ir.op import Op
from ..ir.ops import casts, ordering, pointwise
from ..ir.ops import random as draws
from ..ir.types import tensor as tensor_type
from . import device as devices
from . import direct, generators
from .arguments import size_of, to_dtype
from .constraints import within
from .creation import zeros_like
from .executor import apply
from .factory import make
from .inplace import store, store_checked
from .outputs import fills, makes
from .pure import pure, rule
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

_INT = frozenset((int,))
_SEED = 67280421310721  # what a generator starts from, as PyTorch's does


class Generator:
    """A stream of Philox4x64-10 words. `state` is i64[2]: the key (seed) and the number of 256-bit blocks drawn so far."""

    __slots__ = ("__weakref__", "device", "state")

    def __init__(self, device: Any = "cpu") -> None:
        self.device = devices.Device(device)
        self.state: Tensor = devices.placed(make(np.array([_SEED, 0], np.int64)), device)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed` (any int of at most 64 bits); returns self."""
        word = int(seed) & (1 << 64) - 1
        state = make(np.array([word - (1 << 64) if word >> 63 else word, 0], np.int64))
        store(self.state, state if self.state.meta.device == "cpu" else devices.placed(state, self.device))
        return self

    def seed(self) -> int:
        """Start a stream nobody knows; its seed."""
        self.manual_seed(int.from_bytes(os.urandom(6), "little"))
        return self.initial_seed()

    def initial_seed(self) -> int:
        """The seed of the current stream."""
        return int(self.state[0].item())

    def get_state(self) -> Tensor:
        """A copy of the state."""
        return apply(casts.clone, (self.state,), {})  # type: ignore[no-any-return]

    def set_state(self, new_state: Tensor) -> Generator:
        """Go on from `new_state`; returns self."""
        store(self.state, new_state if new_state.meta.device == self.state.meta.device else new_state.to(self.state.device))
        return self

    def draw(self, blocks: int) -> Tensor:
        """The state now; the generator moves on by `blocks`."""
        now: Tensor | None = generators.taken(self.state, blocks)
        if now is not None:
            return now
        snapshot: Tensor = apply(casts.clone, (self.state,), {})
        store(self.state, apply(draws.rng_advance, (self.state,), {"blocks": blocks}))
        return snapshot

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.state.tolist(), str(self.device))


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, *args: Any, **kwargs: Any) -> Iterator[None]:
    """Inside the block the default generator goes its own way: afterwards it stands where it stood."""
    before = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if before is not None:
            set_rng_state(before)


def _restored(state: list[int], device: str = "cpu") -> Generator:
    out = Generator(device)
    out.state = devices.placed(make(np.array(state, np.int64)), device)
    return out


default_generator: Generator = object.__new__(Generator)


def start() -> None:
    """Give the default generator its state; called once, as soon as there is a Tensor class."""
    Generator.__init__(default_generator)


def beside(x: Any, generator: Generator | None) -> Generator:
    """`generator`, or else the default one of the device where `x` lies."""
    if generator is not None:
        return generator
    return default_generator if x.meta.device == "cpu" else generators.of(x.meta.device)


def manual_seed(seed: int) -> Generator:
    """Seed the default generators, that of the CPU, which is returned, and those of all GPUs."""
    for generator in generators.of_gpus():
        generator.manual_seed(seed)
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator's stream at a seed nobody knows, which is returned."""
    return default_generator.seed()


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """A copy of the default generator's state."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Go on from `new_state` in the default generator."""
    default_generator.set_state(new_state)


def _drawn(op: Op, shape: tuple[Any, ...], dtype: Any, generator: Generator | None, device: Any = None) -> Any:
    dtype = to_dtype(dtype) or dtypes.default()
    if dtype.is_complex:  # parts of which each has half the variance of the whole
        parts = _drawn(op, (*shape, 2), dtype.to_real(), generator, device)
        return _joined(parts * math.sqrt(0.5) if op is draws.randn else parts)
    return apply(op, (_state(op, shape, dtype, generator, device),), {"shape": shape, "dtype": dtype})


def _state(op: Op, shape: tuple[Any, ...], dtype: Any, generator: Generator | None, device: Any = None) -> Any:
    """The state from which `op` draws a tensor."""
    source = generator if generator is not None else default_generator if devices.on_cpu(device) else generators.of(device)
    kind = "cpu" if devices.on_cpu(device) else "cuda"
    if generator is not None and generator.device.type != kind:
        raise RuntimeError(f"Expected a '{kind}' device type for generator but found '{generator.device.type}'")
    return source.draw(_advance(op, shape, dtype))


@pure
def _advance(op: Op, shape: tuple[Any, ...], dtype: Any) -> Any:
    """How many blocks `op` takes from the stream for a tensor."""
    if _INT.issuperset(map(type, shape)):
        return _blocks(op, tuple(shape), dtype)
    return op.effects.draws(tensor_type(shape, dtype))  # type: ignore[misc]


@lru_cache(maxsize=1024)
def _blocks(op: Op, shape: tuple[int, ...], dtype: Any) -> int:
    """How many blocks of the stream `op` takes for such a tensor."""
    return op.effects.draws(tensor_type(shape, dtype))  # type: ignore[misc, no-any-return]


@served
@rule
def _uniform(state: Tensor, shape: Any, dtype: Any, low: float, wide: float) -> Any:
    """Uniform numbers from `low`, `wide` apart."""
    return apply(draws.rand, (state,), {"shape": shape, "dtype": dtype}) * wide + low


@served
@rule
def _normal(state: Tensor, shape: Any, dtype: Any, mean: float, std: float) -> Any:
    return apply(draws.randn, (state,), {"shape": shape, "dtype": dtype}) * std + mean


def _uniform_op(state: Any, low: Any, wide: Any, *, shape: Any, dtype: Any) -> Any:
    """`_uniform` of graph values."""
    return pointwise.add(pointwise.mul(draws.rand(state, shape=shape, dtype=dtype), wide), low)


def _normal_op(state: Any, mean: Any, std: Any, *, shape: Any, dtype: Any) -> Any:
    """`_normal` of graph values."""
    return pointwise.add(pointwise.mul(draws.randn(state, shape=shape, dtype=dtype), std), mean)


@served
@rule
def _whole(state: Tensor, shape: Any, dtype: Any, low: int, count: int) -> Any:
    """One of the `count` whole numbers from `low` on."""
    uniform = apply(draws.rand, (state,), {"shape": shape, "dtype": dtypes.float64})
    return ((uniform * float(count)).to(dtypes.int64) + low).to(dtype)


@served
@rule
def _chosen(state: Tensor, probability: Any, shape: Any, dtype: Any) -> Any:
    """1 with a probability, else 0."""
    return (apply(draws.rand, (state,), {"shape": shape, "dtype": dtypes.default()}) < probability).to(dtype)


def _joined(parts: Any) -> Any:
    from ..ir.ops.complexes import view_as_complex

    return apply(view_as_complex, (parts,), {})


@makes
def rand(
    *sizes: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Uniform numbers in [0, 1)."""
    out = _drawn(draws.rand, size_of(sizes if size is None else (size,)), dtype, generator, device)
    return out.requires_grad_() if requires_grad else out  # type: ignore[no-any-return]


@makes
def randn(
    *sizes: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers of mean 0 and variance 1."""
    out = _drawn(draws.randn, size_of(sizes if size is None else (size,)), dtype, generator, device)
    return out.requires_grad_() if requires_grad else out  # type: ignore[no-any-return]


def _finished(made: Any, requires_grad: bool, memory_format: Any, input: Tensor) -> Any:
    if memory_format is not None and memory_format.name != "preserve_format":
        made = made.contiguous(memory_format=memory_format)
    elif not input.meta.plain and strides_like(input.meta.type) is not None:
        made = zeros_like(input, dtype=made.dtype, device=made.device).copy_(made)
    return made.requires_grad_() if requires_grad else made


def rand_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: Any = None, generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """`rand` of the shape and dtype of `input`."""
    made = rand(input.shape, dtype=dtype or input.dtype, device=device or devices.beside(input), generator=generator)
    return _finished(made, requires_grad, memory_format, input)  # type: ignore[no-any-return]


def randn_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: Any = None, generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """`randn` of the shape and dtype of `input`."""
    made = randn(input.shape, dtype=dtype or input.dtype, device=device or devices.beside(input), generator=generator)
    return _finished(made, requires_grad, memory_format, input)  # type: ignore[no-any-return]


@makes
def randint(
    low: int = 0, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None, device: Any = None
) -> Tensor:
    """Whole numbers from `low` (default 0) up to, not including, `high`."""
    if size is None:  # randint(high, size)
        low, high, size = 0, low, high
    elif high is None:  # randint(high, size=size)
        low, high = 0, low
    if high <= low:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    shape = size_of((size,))
    state = _state(draws.rand, shape, dtypes.float64, generator, device)
    return _whole(state, shape, to_dtype(dtype) or dtypes.int64, low, high - low)  # type: ignore[no-any-return]


#: part of the key, and of the counter above its low 40 bits, from which orders are drawn
_APART = 0x5A5A5A << 40


@makes
def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """0 to n - 1 in random order: the order of `n` uniform numbers, which no other draw gives (of one seed `rand(n)` would be
    sorted by it)."""
    state = _state(draws.rand, (n,), dtypes.float64, generator, device)
    keys = apply(draws.rand, (state ^ _APART,), {"shape": (n,), "dtype": dtypes.float64})
    order = apply(ordering.argsort, (keys,), {"dim": 0, "descending": False})
    return order.to(to_dtype(dtype) or dtypes.int64)  # type: ignore[no-any-return]


@fills
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element of `input` is (or with `p`, everywhere), else 0."""
    if p is None and not input.dtype.is_floating_point:
        raise DTypeError(f"bernoulli: probabilities must be floating, got {input.dtype.name}{list(input.shape)}")
    if p is None:
        input = within(input, low=0.0, high=1.0, message="Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    elif not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    state = _state(draws.rand, input.shape, dtypes.default(), generator, devices.beside(input))
    return _chosen(state, input if p is None else p, input.shape, input.dtype)  # type: ignore[no-any-return]


# -- methods that fill a tensor


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with uniform numbers in [a, b)."""
    if self.dtype.is_complex:
        values = rand(self.shape, dtype=self.dtype, generator=generator, device=devices.beside(self))
        return store_checked(self, values * (b - a) + a)  # type: ignore[no-any-return]
    state = _state(draws.rand, self.shape, self.dtype, generator, devices.beside(self))
    if direct.into(_uniform_op, (state, a, b - a), {"shape": self.shape, "dtype": self.dtype}, self):
        return self
    return store_checked(self, _uniform(state, self.shape, self.dtype, a, b - a))  # type: ignore[no-any-return]


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers."""
    if self.dtype.is_complex:
        values = randn(self.shape, dtype=self.dtype, generator=generator, device=devices.beside(self))
        return store_checked(self, values * std + mean)  # type: ignore[no-any-return]
    state = _state(draws.randn, self.shape, self.dtype, generator, devices.beside(self))
    if direct.into(_normal_op, (state, mean, std), {"shape": self.shape, "dtype": self.dtype}, self):
        return self
    return store_checked(self, _normal(state, self.shape, self.dtype, mean, std))  # type: ignore[no-any-return]


def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 with probability `p`, else 0."""
    state = _state(draws.rand, self.shape, dtypes.default(), generator, devices.beside(self))
    return store_checked(self, _chosen(state, p, self.shape, self.dtype))  # type: ignore[no-any-return]
