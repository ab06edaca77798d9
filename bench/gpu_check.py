"""What must be right before anything is measured: the driver's layer, piece by piece, and every record beside the CPU.

Used by suite `gpu` and by the tests marked `gpu`. An answer is None where all is well, else what is wrong, in a line.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..eager.executor import apply
from ..eager.factory import make
from ..ir import dtypes
from ..ir.op import Op, Sample, lookup
from .gpu_lab import said
from .row import package

#: what is tried, of fusewire and of elements of a large tensor
Check = Callable[[Any, int], None]
LARGE, SMALL = 1 << 26, 1 << 12


# -- the driver


def memory_goes_and_comes(fw: Any, large: int) -> None:
    """Copies of odd sizes, strided views, pinned memory, a large tensor."""
    for n in (1, 3, 1000, large + 1):
        x = fw.arange(n) % 1021
        _same(x.to("cuda").cpu(), x, f"{n} numbers there and back")
    x = fw.arange(64 * 33).view(64, 33)
    _same(x.to("cuda").t()[3:9, ::5].cpu(), x.t()[3:9, ::5], "a strided view")
    _same((x.pin_memory().to("cuda", non_blocking=True) + 1).cpu(), x + 1, "pinned memory")


def arguments_arrive(fw: Any, large: int) -> None:
    """A kernel with arguments of many kinds writes down what it was given (Triton's layout of parameters, ours of launches)."""
    from . import gpu_kernels

    found = gpu_kernels.echoed(fw)
    if found != gpu_kernels.WANTED:
        raise ValueError(f"a kernel was given {found}, not {gpu_kernels.WANTED}")


def events_and_streams_order(fw: Any, large: int) -> None:
    """Work in a second stream waits for the first; events tell times."""
    x, side = fw.ones(large, device="cuda"), fw.cuda.Stream()
    start, end = (fw.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(20):
        x = x * 1.0 + 1.0
    end.record()
    side.wait_stream(fw.cuda.current_stream())
    with fw.cuda.stream(side):
        y = x * 2.0
    fw.cuda.current_stream().wait_stream(side)
    _same(y[:8].cpu(), fw.full((8,), 42.0), "work of two streams")
    fw.cuda.synchronize()
    if not 0.0 < start.elapsed_time(end) < 1e4:
        raise ValueError(f"20 kernels took {start.elapsed_time(end)} ms by events")


def graphs_replay(fw: Any, large: int) -> None:
    """A recorded graph works on what its inputs hold now; in mode reduce-overhead each call gives results of its own."""
    x, graph = fw.ones(1000, device="cuda"), fw.cuda.CUDAGraph()
    side = fw.cuda.Stream()
    with fw.cuda.stream(side):
        x * 2.0 + 1.0
    side.synchronize()
    with fw.cuda.graph(graph):
        y = x * 2.0 + 1.0
    for value in (1.0, 5.0):
        x.fill_(value)
        graph.replay()
        fw.cuda.synchronize()
        _same(y.cpu(), fw.full((1000,), 2.0 * value + 1.0), "a replayed graph")
    f = fw.compile(lambda x: (x - x.sum(0)).exp(), mode="reduce-overhead", fullgraph=True)
    given = [fw.randn(64, 64) * 0.1 for _ in range(6)]
    held = [f(g.to("cuda")) for g in given]
    for g, h in zip(given, held, strict=True):
        _near(h.cpu(), (g - g.sum(0)).exp(), 1e-4, "mode reduce-overhead")


def errors_are_told(fw: Any, large: int) -> None:
    """Too much memory, an index out of range, two devices: each its own error, and the device goes on working."""
    _raises(fw.cuda.OutOfMemoryError, lambda: fw.empty(1 << 45, device="cuda"), "GiB")
    x, i = fw.ones(8, device="cuda"), fw.tensor([1, 99], device="cuda")

    def indexed() -> Any:
        y = x[i]
        fw.cuda.synchronize()
        return y

    _raises(IndexError, indexed, "")
    _raises(RuntimeError, lambda: x + fw.ones(8), "cuda")
    _same((x + 1).cpu(), fw.full((8,), 2.0), "the device behind errors")


def memory_is_used_again(fw: Any, large: int) -> None:
    """The allocator hands out what was given back, of the right stream, and counts."""
    before = fw.cuda.memory_allocated()
    for _ in range(50):
        x = fw.empty(large, device="cuda")
        del x
    if fw.cuda.memory_allocated() != before:
        raise ValueError(f"{fw.cuda.memory_allocated() - before} bytes are still counted")
    if fw.cuda.memory_reserved() > before + 16 * large + (1 << 26):
        raise ValueError(f"{fw.cuda.memory_reserved()} bytes are held for {before}")


def templates_multiply(fw: Any, large: int) -> None:
    """Products (tensor maps, tensor cores), a convolution, attention: bf16 beside the CPU's f32."""
    F = fw.nn.functional
    for m, n, k in ((512, 384, 256), (129, 65, 33), (1, 4096, 1024)):
        a, b, bias = fw.randn(m, k).bfloat16(), fw.randn(k, n).bfloat16(), fw.randn(n).bfloat16()
        found = fw.compile(lambda a, b, c: fw.relu(a @ b + c))(a.to("cuda"), b.to("cuda"), bias.to("cuda"))
        _near(found.float().cpu(), fw.relu(a.float() @ b.float() + bias.float()), 2e-2, f"a product {m}x{n}x{k}")
    x, w = fw.randn(2, 8, 16, 16), fw.randn(16, 8, 3, 3)
    _near(F.conv2d(x.to("cuda"), w.to("cuda"), padding=1).cpu(), F.conv2d(x, w, padding=1), 2e-3, "a convolution")
    for length in (128, 200):
        q, k_, v = (fw.randn(2, 3, length, 64).bfloat16() for _ in range(3))
        wanted = F.scaled_dot_product_attention(q.float(), k_.float(), v.float(), is_causal=True)
        found = F.scaled_dot_product_attention(*(x.to("cuda") for x in (q, k_, v)), is_causal=True)
        _near(found.float().cpu(), wanted, 3e-2, f"attention over {length}")


def others_share_memory(fw: Any, large: int) -> None:
    """DLPack with PyTorch, CuPy and JAX, those of them that are here with a GPU."""
    for name in ("torch", "cupy", "jax"):
        if importlib.util.find_spec(name) is None or not _has_gpu(name):
            continue
        lib = importlib.import_module(f"{name}.dlpack" if name == "jax" else name)
        x = fw.arange(6, device="cuda").float() * 1.5
        theirs = lib.from_dlpack(x)
        fw.cuda.synchronize()
        if [float(v) for v in theirs] != [1.5 * n for n in range(6)]:
            raise ValueError(f"{name} reads {theirs}")
        back = fw.from_dlpack(theirs)
        _same(back.cpu(), x.cpu(), f"from {name}")


def _has_gpu(name: str) -> bool:
    """Whether a library sees a GPU."""
    lib = importlib.import_module(name)
    if name == "jax":
        return lib.default_backend() == "gpu"  # type: ignore[no-any-return]
    return lib.cuda.is_available()  # type: ignore[no-any-return]


CHECKS: dict[str, Check] = {
    f.__name__: f for f in (
        memory_goes_and_comes, arguments_arrive, events_and_streams_order, graphs_replay, errors_are_told, memory_is_used_again,
        templates_multiply, others_share_memory,
    )
}  # fmt: skip


#: those whose kernels only a GPU runs
ON_A_GPU = ("arguments_arrive",)


def checked(check: Check, large: int = LARGE) -> str | None:
    """What is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(package(), large)
    except Exception as error:
        return said(error)
    return None


def _raises(kind: type[BaseException], call: Callable[[], Any], text: str) -> None:
    try:
        call()
    except kind as error:
        if text not in str(error):
            raise ValueError(f"the error does not say {text!r}: {error}") from None
        return
    raise ValueError(f"no {kind.__name__} was raised")


def _same(found: Any, wanted: Any, what: str) -> None:
    if not np.array_equal(found.numpy(), wanted.numpy()):
        raise ValueError(f"{what}: other numbers")


def _near(found: Any, wanted: Any, tolerance: float, what: str) -> None:
    apart = float((found.double() - wanted.double()).abs().max().item())
    if not apart <= tolerance * max(1.0, float(wanted.abs().max().item())):
        raise ValueError(f"{what}: {apart} apart")


# -- records


@dataclass
class Count:
    """How many samples of records were run, by way."""

    samples: int = 0
    compiled: int = 0
    gradients: int = 0


WAYS = ("eager", "compiled", "gradients")


def of_record_all(name: str, most: int | None, count: Count) -> list[str]:
    """What is wrong with up to `most` samples of a record: eager, compiled, gradients."""
    return [f"{way}: {wrong}" for way in WAYS for wrong in of_record(lookup(name), way, most, count)]


def of_record(op: Op, way: str, most: int | None = None, count: Count | None = None) -> Iterator[str]:
    """What is wrong with the samples of one record, one `way` of `WAYS`."""
    count = count or Count()
    run = {"eager": _eager, "compiled": _compiled, "gradients": _gradients}[way]
    for n, sample in enumerate(op.sample(np.random.default_rng(0))):
        if most is not None and n >= most:
            return
        if not any(isinstance(x, np.ndarray) for x in sample.operands) or (way == "gradients" and not _smooth(op, sample)):
            continue
        counted = "samples" if way == "eager" else way
        setattr(count, counted, getattr(count, counted) + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it runs on the host
            wanted = _outcome(_gradients if way == "gradients" else _eager, op, sample, "cpu")
            found = _outcome(run, op, sample, "cuda")
        wrong = _compared(op, sample, wanted, found)
        if wrong:
            yield f"sample {n} {_types(sample)} {sample.attrs}: {wrong}"[:300]


def _smooth(op: Op, sample: Sample) -> bool:
    floats = [x for x in sample.operands if isinstance(x, np.ndarray) and x.dtype in (np.float32, np.float64)]
    return op.grad is not None and sample.raises is None and bool(floats)


def _outcome(run: Callable[..., Any], op: Op, sample: Sample, device: str) -> Any:
    try:
        given = [make(x.copy(order="K")).to(device) if isinstance(x, np.ndarray) else x for x in sample.operands]
        out = run(op, given, dict(sample.attrs))
        back = [x.cpu() for x in (out if isinstance(out, tuple) else (out,))]
        if device != "cpu":
            package().cuda.synchronize()
        return back
    except Exception as error:
        return error


def _eager(op: Op, given: list[Any], attrs: dict[str, Any]) -> Any:
    return apply(op, tuple(given), attrs)


def _compiled(op: Op, given: list[Any], attrs: dict[str, Any]) -> Any:
    return package().compile(lambda *operands: apply(op, operands, attrs), dynamic=False)(*given)


def _gradients(op: Op, given: list[Any], attrs: dict[str, Any]) -> Any:
    leaves = [x.requires_grad_() for x in given if hasattr(x, "dtype") and x.dtype.is_floating_point]
    out = apply(op, tuple(given), attrs)
    outs = [x for x in (out if isinstance(out, tuple) else (out,)) if x.requires_grad]
    for x in outs:
        x.backward(package().ones_like(x), retain_graph=True)
    return tuple(x.grad for x in leaves if x.grad is not None)


def _compared(op: Op, sample: Sample, wanted: Any, found: Any) -> str | None:
    if isinstance(wanted, Exception):
        return None if isinstance(found, Exception) else f"no {type(wanted).__name__}"
    if isinstance(found, Exception):
        return None if sample.raises is not None and isinstance(found, sample.raises) else said(found)
    if len(wanted) != len(found):
        return f"{len(found)} results, not {len(wanted)}"
    for x, y in zip(found, wanted, strict=True):
        if (x.shape, x.dtype) != (y.shape, y.dtype):
            return f"{x.dtype} {tuple(x.shape)}, not {y.dtype} {tuple(y.shape)}"
        tolerance = 2e-2 if x.dtype.is_half else 1e-4
        a, b = values(x), values(y)
        scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
        if not np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True):
            return f"{float(np.nanmax(np.abs(a - b), initial=0.0)):.3g} apart"
    return None


def values(x: Any) -> Any:
    """The numbers of a CPU tensor in double precision."""
    return x.array.astype(np.complex128 if x.dtype.is_complex else np.float64)


def _types(sample: Sample) -> str:
    def text(x: Any) -> str:
        return f"{dtypes.from_numpy(x.dtype).short}{list(x.shape)}" if isinstance(x, np.ndarray) else str(x)

    return f"({', '.join(map(text, sample.operands))})"
