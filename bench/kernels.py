"""Suite `kernels`: functions that fuse, each against eager, the peers and the copy bandwidth, measured in the same rounds."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from . import peers
from .row import Row, package
from .timing import interleaved


@dataclass(frozen=True)
class Program:
    """`make(torch)` is the function in a library of PyTorch's form, `jax(jax)` the same in JAX, None where JAX has no such
    function. `shapes`: of its float32 inputs. `flops`: of its products; 0 for one that is bound by memory or arithmetic.
    `gradient`: the row measures forward and backward."""

    name: str
    make: Callable[[Any], Callable[..., Any]]
    jax: Callable[[Any], Callable[..., Any]] | None
    shapes: tuple[tuple[int, ...], ...]
    flops: int = 0
    gradient: bool = False


ROWS, COLUMNS = 4096, 1024


def _chain(lib: Any) -> Callable[..., Any]:
    lib = getattr(lib, "numpy", lib)
    return lambda x: lib.sin(x) * lib.exp(-x * x) + lib.tanh(x) / (1 + x * x)


def _gelu_norm(torch: Any) -> Callable[..., Any]:
    f = torch.nn.functional
    return lambda x: f.layer_norm(f.gelu(x, approximate="tanh"), (COLUMNS,))


def _jax_norm(jax: Any) -> Callable[..., Any]:
    def norm(x: Any) -> Any:
        x = jax.nn.gelu(x, approximate=True)
        mean = x.mean(-1, keepdims=True)
        return (x - mean) / jax.numpy.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)

    return norm


def _softmax(torch: Any) -> Callable[..., Any]:
    return lambda x: torch.nn.functional.softmax(x, dim=-1)


def _linear(torch: Any) -> Callable[..., Any]:
    f = torch.nn.functional
    return lambda x, w, b: f.gelu(f.linear(x, w, b), approximate="tanh")


def _jax_linear(jax: Any) -> Callable[..., Any]:
    return lambda x, w, b: jax.nn.gelu(x @ w.T + b, approximate=True)


def _attention(torch: Any) -> Callable[..., Any]:
    return lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def _flex(torch: Any) -> Callable[..., Any]:
    flex = importlib.import_module(f"{torch.__name__}.nn.attention.flex_attention")
    mask = flex.create_block_mask(lambda b, h, q, k: q >= k, None, None, HEADS[2], HEADS[2], device="cpu")

    def attention(q: Any, k: Any, v: Any, slopes: Any) -> Any:
        return flex.flex_attention(q, k, v, lambda score, b, h, i, j: score + slopes[h] * (j - i), block_mask=mask)

    return attention


def _norm(torch: Any) -> Callable[..., Any]:
    return lambda x, w, b: torch.nn.functional.layer_norm(x, (COLUMNS,), w, b)


HEADS = (4, 8, 512, 64)
PROGRAMS = (
    Program("sin(x)*exp(-x*x) + tanh(x)/(1+x*x)", _chain, _chain, ((ROWS, COLUMNS),)),
    Program("gelu(tanh) + layer_norm", _gelu_norm, _jax_norm, ((ROWS, COLUMNS),)),
    Program("softmax", _softmax, lambda jax: jax.nn.softmax, ((ROWS, COLUMNS),)),
    Program("layer_norm, forward and backward", _norm, None, ((ROWS, COLUMNS), (COLUMNS,), (COLUMNS,)), gradient=True),
    Program("gelu(x @ w.T + b), 512x256x1024", _linear, _jax_linear, ((512, 256), (1024, 256), (1024,)), 2 * 512 * 256 * 1024),
    Program("causal attention, 4x8x512x64", _attention, None, (HEADS,) * 3, 2 * 4 * 8 * 512 * 512 * 64),
    Program("flex_attention, causal with slopes, 4x8x512x64", _flex, None, ((HEADS,) * 3 + ((8,),)), 2 * 4 * 8 * 512 * 512 * 64),
    Program("causal attention, forward and backward", _attention, None, (HEADS,) * 3, 7 * 4 * 8 * 512 * 512 * 64, True),
)


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Milliseconds a call. `of_copy`: share of the bandwidth of a copy of the first input between existing buffers, counted on
    inputs and results. `GF_s`: of the products."""
    fw, torch, jax = package(), peers.torch_at(threads), peers.jax_here()
    fw.set_num_threads(threads)
    for program in PROGRAMS:
        rng = np.random.default_rng(0)
        arrays = [rng.standard_normal(shape).astype(np.float32) for shape in program.shapes]
        contenders = _contenders(program, arrays, fw, torch, jax)
        contenders["copy"] = partial(np.copyto, np.empty_like(arrays[0]), arrays[0])
        times = {name: 1e3 * t for name, t in interleaved(contenders, 5 if quick else 9, 0.01).items()}
        copy = times.pop("copy")
        limit = {"GF_s": program.flops / times["fusewire"] / 1e6} if program.flops else {"of_copy": copy / times["fusewire"]}
        yield Row("kernels", program.name, threads, "ms", times, {**limit, "copy_ms": copy})


def _contenders(program: Program, arrays: list[Any], fw: Any, torch: Any, jax: Any) -> dict[str, Callable[[], object]]:
    function = program.make(fw)
    run = {"fusewire": _call(program, fw.compile(function), fw, arrays), "fusewire eager": _call(program, function, fw, arrays)}
    if torch is not None:
        theirs = program.make(torch)
        run[peers.TORCH_EAGER] = _call(program, theirs, torch, arrays)
        compiled = _call(program, torch.compile(theirs), torch, arrays)
        run |= {peers.TORCH_COMPILE: compiled} if peers.works(compiled) else {}
    if jax is not None and program.jax is not None:
        jitted, inputs = jax.jit(program.jax(jax)), [jax.numpy.asarray(a) for a in arrays]
        run[peers.JAX] = lambda: jitted(*inputs).block_until_ready()
    return run


def _call(program: Program, function: Callable[..., Any], library: Any, arrays: list[Any]) -> Callable[[], object]:
    tensors = [library.from_numpy(a).requires_grad_(program.gradient) for a in arrays]
    if not program.gradient:
        return lambda: function(*tensors)
    seed = library.ones_like(tensors[0].detach())
    return lambda: library.autograd.grad(function(*tensors), tensors, seed)
