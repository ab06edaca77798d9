"""PyTorch's own samples of its operators (OpInfo), run by fusewire on a GPU beside the CPU: what differs, by kind, with places.

    python tests/support/device_sweep.py [--from 0] [--to 702] [--dtypes float32,int64] [--most 6] [--compiled] [--real]

Needs PyTorch (its samples). Values, dtypes, shapes, strides, history and device of every result, and gradients; from one seed, so
that draws are compared too. On the driver without a GPU, whose kernels the interpreter of their IR runs; `--real`: on a GPU.
"""

# ruff: noqa: E501
from __future__ import annotations

import argparse
import contextlib
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import opinfo_sweep as of_pytorch
import torch
from fake_cuda import installed

import fusewire

DTYPES = "bool,uint8,int64,bfloat16,float32,float64,complex64"
#: numbers of few bits are rounded once more or less where a kernel keeps float32 between two steps
NEAR = {"bfloat16": 2e-2, "float16": 2e-3, "float32": 2e-5, "complex64": 2e-5, "float64": 1e-10, "complex128": 1e-10}
#: uninitialised memory
NO_VALUES = ("empty", "empty_like", "new_empty", "empty_permuted", "new_empty_strided", "empty_strided", "resize_", "resize_as_")
_ROOT = str(Path(fusewire.__file__).parent)


def beside(x: Any, device: str, memo: dict[int, Any]) -> Any:
    """The same on `device`: tensors with their strides and whether they require grad, containers, names of the device."""
    if isinstance(x, fusewire.Tensor):
        if id(x) not in memo:
            made = _moved(x.detach(), device)
            memo[id(x)] = x, made.requires_grad_() if x.requires_grad else made
        return memo[id(x)][1]
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        return (list if isinstance(x, list) else tuple)(beside(v, device, memo) for v in x)
    if isinstance(x, dict):
        return {k: beside(v, device, memo) for k, v in x.items()}
    return device if isinstance(x, str) and x == "cpu" else x


def _moved(x: Any, device: str) -> Any:
    if x.is_sparse or not x.numel():
        return x.to(device)
    flat = fusewire.as_strided(x, (x.untyped_storage().nbytes() // x.element_size(),), (1,), 0)
    return fusewire.as_strided(flat.to(device, copy=True), tuple(x.shape), tuple(x.stride()), x.storage_offset()).detach()


def difference(found: Any, wanted: Any, values: bool, device: str, slack: float = 1.0) -> str:
    """In a few words how two results differ; "" where they do not."""
    found, wanted = of_pytorch.flat(found), of_pytorch.flat(wanted)
    if len(found) != len(wanted):
        return "number of results"
    for a, b in zip(found, wanted, strict=True):
        if not isinstance(b, fusewire.Tensor):
            if type(a) is not type(b) or (isinstance(b, (bool, int, str)) and a != b):
                return f"{type(a).__name__} {a!r:.40}, not {b!r:.40}"
            continue
        if not isinstance(a, fusewire.Tensor):
            return f"type {type(a).__name__}"
        if a.device.type != device:
            return f"on {a.device}"
        word = _of_tensors(a, b, values, slack)
        if word:
            return word
    return ""


def _of_tensors(a: Any, b: Any, values: bool, slack: float) -> str:
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype}{tuple(a.shape)}, not {b.dtype}{tuple(b.shape)}"
    if a.is_sparse or b.is_sparse:
        return "" if a.is_sparse == b.is_sparse and np.array_equal(a.cpu().to_dense().numpy(), b.to_dense().numpy()) else "sparse"
    near = NEAR.get(str(b.dtype).split(".")[1], 0.0) * slack
    x, y = of_pytorch.array(a.cpu()), of_pytorch.array(b)
    scale = float(np.nanmax(np.abs(y[np.isfinite(y)]), initial=1.0)) if y.dtype.kind in "fc" else 1.0
    if values and not np.allclose(x, y, near, near * scale, equal_nan=True):
        return "value"
    if a.requires_grad != b.requires_grad:
        return "history"
    steps = [[s for s, n in zip(x.stride(), x.shape, strict=True) if n > 1] for x in (a, b)]
    return f"strides {a.stride()}, not {b.stride()}" if b.numel() and steps[0] != steps[1] else ""


def place(error: BaseException) -> str:
    """What was raised, and the lines of the library that led there."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(_ROOT)]
    inner = [f for f in frames if not f.filename.endswith(("eager/executor.py", "eager/gpu.py", "eager/generated.py"))] or frames
    lines = " < ".join(f"{f.filename[len(_ROOT) + 1:]}:{f.lineno}" for f in inner[::-1][:3])
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''!s:.150} [{lines}]"


def gradients(outs: list[Any], leaves: list[Any], device: str) -> Any:
    given = [fusewire.linspace(0.5, 1.5, x.numel(), dtype=fusewire.float64, device="cpu").reshape(tuple(x.shape)).to(device, x.dtype) for x in outs]
    return fusewire.autograd.grad(outs, leaves, given, allow_unused=True)


def called(fn: Any, args: Any, kwargs: Any) -> tuple[Any, BaseException | None]:
    fusewire.manual_seed(0)
    try:
        return fn(*args, **kwargs), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a graph break that escapes is none of Exception
        return None, error


def compared(counts: Counter[str], one: Any, other: Any, leaves: list[tuple[Any, Any]], values: bool, device: str) -> str:
    """How a call (function, args, kwargs) on the device differs from that on the CPU, gradients too."""
    wanted, right = called(*other)
    found, error = called(*one)
    counts["samples"] += 1
    if error is not None or right is not None:
        if right is not None:
            return "" if isinstance(error, (type(right), RuntimeError)) else f"accepts what raises {type(right).__name__}" if error is None else f"{type(error).__name__}, not {type(right).__name__}"
        return place(error)  # type: ignore[arg-type]
    word = difference(found, wanted, values, device)
    outs = [[x for x in of_pytorch.flat(r) if getattr(x, "requires_grad", False)] for r in (found, wanted)]
    if word or not leaves or not outs[1]:
        return word
    ours, failed = of_pytorch.tried(gradients, (outs[0], [a for _, a in leaves], device), {})
    right_ones, hopeless = of_pytorch.tried(gradients, (outs[1], [a for a, _ in leaves], "cpu"), {})
    counts["gradients"] += hopeless is None
    if failed is not None or hopeless is not None:
        return "" if hopeless is not None else f"gradient {place(failed)}"  # type: ignore[arg-type]
    for a, b in zip(ours, right_ones, strict=True):
        word = ("" if a is b else "history") if a is None or b is None else difference(a, b, values, device, 10.0)
        if word:
            return f"gradient {word}"
    return ""


def look(counts: Counter[str], op: Any, dtype: Any, most: int, compiled: bool, found: dict[tuple[str, str], int], verbose: bool = False) -> None:
    """Compare the samples of one operator in one dtype."""
    ours = of_pytorch.find(fusewire, op.name) or of_pytorch.find(fusewire.Tensor, op.name)
    for sample in of_pytorch.samples(op, dtype, most):
        try:
            memo: dict[int, Any] = {}
            args, kwargs = of_pytorch.twin([sample.input, *sample.args], memo), of_pytorch.twin(dict(sample.kwargs), memo)
        except (NotImplementedError, AttributeError):
            continue
        placed: dict[int, Any] = {}
        try:
            there = beside(args, "cuda", placed), beside(kwargs, "cuda", placed)
        except Exception as error:
            found[op.name, f"moving {place(error)}"] = found.get((op.name, "moving"), 0) + 1
            continue
        leaves = [pair for pair in placed.values() if pair[0].requires_grad]
        fn = ours
        if compiled:
            fn = fusewire.compile(lambda *xs, f=ours, kw=there[1]: f(*xs, **kw))
            there = there[0], {}
        word = compared(counts, (fn, *there), (ours, args, kwargs), leaves, op.name not in NO_VALUES, "cuda")
        if word:
            if verbose:
                print(op.name, word, *(f"{x!r:.300}" for x in (args, kwargs)), sep="\n  ")
            counts["differ"] += 1
            label = op.name + ("." + op.variant_test_name if op.variant_test_name else "")
            found[label, word] = found.get((label, word), 0) + 1


def sweep(first: int, last: int, kinds: list[Any], most: int, compiled: bool, only: str = "") -> None:
    """All operators; prints what differs."""
    from torch.testing._internal.common_methods_invocations import op_db

    counts: Counter[str] = Counter()
    found: dict[tuple[str, str], int] = {}
    for op in op_db[first:last]:
        if op.name.startswith(("_", "torch.", "jiterator", "masked.", "sparse.")):
            continue
        if not callable(of_pytorch.find(fusewire, op.name) or of_pytorch.find(fusewire.Tensor, op.name)):
            continue
        if only and op.name not in only.split(","):
            continue
        counts["ops"] += 1
        for dtype in [d for d in kinds if d in op.supported_dtypes("cpu")]:
            look(counts, op, dtype, most, compiled, found, bool(only))
    print(f"{counts['ops']} ops, {counts['samples']} samples compared, {counts['gradients']} with gradients; {counts['differ']} differ")
    for (label, word), count in sorted(found.items(), key=lambda row: (row[0][1].split("[")[-1], row[0])):
        print(f"  {label} ({count}): {word}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    options = argparse.ArgumentParser(description="OpInfo samples, fusewire on a GPU beside the CPU")
    options.add_argument("--from", dest="first", type=int, default=0)
    options.add_argument("--to", dest="last", type=int, default=10_000)
    options.add_argument("--dtypes", default=DTYPES)
    options.add_argument("--most", type=int, default=6)
    options.add_argument("--only", default="", help="names of operators: each difference with its operands")
    options.add_argument("--compiled", action="store_true")
    options.add_argument("--real", action="store_true", help="on the GPU of this machine")
    given = options.parse_args()
    with contextlib.nullcontext() if given.real else installed():
        sweep(given.first, given.last, [getattr(torch, d) for d in given.dtypes.split(",")], given.most, given.compiled, given.only)
