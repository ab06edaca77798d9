"""PyTorch's own samples of its operators (OpInfo), run by both libraries: how many were compared, and what differs, by kind.

    python tests/support/opinfo_sweep.py [--from 0] [--to 702] [--dtypes float64,int64] [--most 6] [--compiled]

Needs PyTorch. Eager: values, dtypes, shapes, strides, memory shared with the operand, errors, gradients of floating and complex operands;
`--compiled`: the compiled function beside eager fusewire. Not a test: it is the measure that the rows of `tests/functions` come from.
"""

# ruff: noqa: E501
from __future__ import annotations

import argparse
import itertools
import sys
import types
import warnings
from collections import Counter
from typing import Any

import numpy as np
import torch

import fusewire

sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=object))  # type: ignore[arg-type]  # (only PyTorch's own tests use it)
DTYPES = "bool,uint8,int64,bfloat16,float32,float64,complex64,complex128"
NEAR = {"bfloat16": (3e-2, 3e-2), "float16": (3e-3, 3e-3), "float32": (2e-4, 2e-5), "complex64": (2e-4, 2e-5), "float64": (1e-7, 1e-8), "complex128": (1e-7, 1e-8)}
RANDOM = ("bernoulli", "normal", "rand", "dropout", "multinomial", "exponential", "uniform", "empty", "geometric", "cauchy", "log_normal", "rrelu", "lowrank", "lobpcg", "fractional", "resize", "scaled_dot_product", "multi_head_attention")
GAUGE = ("svd", "eig", "qr", "geqrf", "ormqr")
#: Why they differ: (end of the op's name, kind of difference, reason); the first that fits counts.
REASONS = (
    ("", "stride", "results are row-major, or follow NumPy's order, where PyTorch's lie otherwise (LAPACK's columns, fft's moved dimensions, channels_last)"),
    ("kthvalue topk mode argsort sort median", "value", "positions of equal elements: PyTorch does not say which it gives"),
    ("bessel_j0 bessel_j1 bessel_y0 bessel_y1", "value", "PyTorch's rational functions are good for six digits from 5 to 25"),
    ("ctc_loss", "grad", "PyTorch's gradient takes log-probabilities that sum to one for granted; ours is the slope"),
    ("cholesky cholesky_ex", "grad", "imaginary part of the gradient's diagonal of complex upper factors, where the function does not depend on it"),
    ("norm vector_norm subgradients_at_zero householder_product", "history", "a gradient of zeros in one library, none in the other"),
    ("", "history", "flat in this operand: a gradient of zeros in one library, none in the other"),
    ("interpolate.bilinear interpolate.bicubic upsample_bilinear", "value", "uint8: weights in fixed point there"),
    ("polygamma_n_0 polygamma_n_1 polygamma_n_2 polygamma_n_3 polygamma_n_4", "accepts", "the sweep hands the operands over in another order, which is taken too"),
    ("triplet_margin_with_distance_loss", "refuses", "the sweep hands over PyTorch's own distance module"),
    ("to_sparse", "", "sparse tensors are a class of their own"),
    ("gather", "refuses", "an empty index of uint8"),
    ("rms_norm logcumsumexp matrix_exp", "refuses", "complex (rms_norm, logcumsumexp) or half (matrix_exp) operands are not built"),
    ("as_strided_scatter", "grad", "PyTorch's gradient of the operand is the window's part instead of the rest: finite differences of PyTorch's own values agree with ours"),
    ("as_strided.partial_views", "refuses", "as_strided of a view that requires grad: refused rather than wrong"),
    ("addbmm addcdiv conv_transpose2d conv_transpose3d embedding_bag", "value", "bfloat16: sums are rounded once here, at each step there"),
    ("pinv.singular", "refuses", "the sweep hands the second operand over as rtol"),
)


def twin(x: Any, memo: dict[int, tuple[Any, Any]]) -> Any:
    """The same for fusewire: tensors with their strides, dtypes, containers."""
    if isinstance(x, torch.Tensor):
        if id(x) not in memo:
            memo[id(x)] = _tensor(x), x
        return memo[id(x)][0]
    if isinstance(x, (torch.dtype, torch.memory_format, torch.layout)):
        return getattr(fusewire, str(x).split(".")[1])
    if isinstance(x, torch.device):
        return str(x)
    if isinstance(x, (list, tuple)):
        return (list if isinstance(x, list) else tuple)(twin(v, memo) for v in x)
    return {k: twin(v, memo) for k, v in x.items()} if isinstance(x, dict) else x


def _tensor(x: Any) -> Any:
    if x.layout is not torch.strided:
        raise NotImplementedError(x.layout)
    plain = x.detach().resolve_conj().resolve_neg()
    flat = torch.as_strided(plain, (plain.untyped_storage().nbytes() // plain.element_size(),), (1,), 0)
    half = plain.dtype is torch.bfloat16
    made = fusewire.from_numpy((flat.float() if half else flat).numpy().copy())
    made = fusewire.as_strided(made.to(fusewire.bfloat16) if half else made, tuple(plain.shape), tuple(plain.stride()), plain.storage_offset())
    return made.detach().requires_grad_() if x.requires_grad else made


def flat(x: Any) -> list[Any]:
    return [v for part in x for v in flat(part)] if isinstance(x, (list, tuple)) else [x]


def array(x: Any) -> Any:
    x = x.detach()
    x = (x + 0 if x._is_zerotensor() else x).resolve_conj().resolve_neg() if isinstance(x, torch.Tensor) else x
    return (x.float() if str(x.dtype).endswith("bfloat16") else x).numpy()


def difference(ours: Any, theirs: Any, values: bool, slack: float = 1.0, strides: bool = True) -> str:
    """In a word how two results differ; "" where they do not."""
    ours, theirs = flat(ours), flat(theirs)
    if len(ours) != len(theirs):
        return "number of results"
    for a, b in zip(ours, theirs, strict=True):
        if not hasattr(b, "dtype") or not hasattr(b, "shape"):
            continue
        name = str(b.dtype).split(".")[1]
        if not isinstance(a, (fusewire.Tensor, torch.Tensor)):
            return "type"
        if b.layout is not a.layout and str(b.layout) != "torch.strided":
            continue
        if tuple(a.shape) != tuple(b.shape) or str(a.dtype) != str(b.dtype):
            return "shape" if tuple(a.shape) != tuple(b.shape) else "dtype"
        rtol, atol = NEAR.get(name, (0.0, 0.0))
        if values and not np.allclose(array(a), array(b), rtol * slack, atol * slack, equal_nan=True):
            return "value"
        steps = [[s for s, n in zip(x.stride(), x.shape, strict=True) if n > 1] for x in (a, b)]
        if strides and b.numel() and steps[0] != steps[1]:
            return "stride"
    return ""


def tried(fn: Any, args: Any, kwargs: Any) -> tuple[Any, BaseException | None]:
    try:
        return fn(*args, **kwargs), None
    except Exception as e:
        return None, e


def gradients(lib: Any, outs: list[Any], leaves: list[Any]) -> Any:
    weights = [np.linspace(0.5, 1.5, x.numel()).reshape(tuple(x.shape)) for x in outs]
    given = [lib.tensor(w).to(x.dtype) for w, x in zip(weights, outs, strict=True)]
    return lib.autograd.grad(outs, leaves, given, allow_unused=True)


def compared(counts: Counter[str], one: Any, other: Any, leaves: Any, values: bool, libs: tuple[Any, Any], slack: float) -> str:
    """How the first call, (function, args, kwargs), differs from the second, which is right; the gradients too."""
    right, error = tried(*other)
    found, refused = tried(*one)
    counts["samples"] += 1
    if error is not None or refused is not None:
        return "" if error is not None and refused is not None else "accepts" if error is not None else f"refuses: {type(refused).__name__}"
    word = difference(found, right, values, slack)
    outs = [[x for x in flat(r) if getattr(x, "requires_grad", False)] for r in (found, right)]
    if (word and word != "stride") or not values or not leaves or not any(outs):
        return word
    if len(outs[0]) != len(outs[1]):
        return "history"
    ours, failed = tried(gradients, (libs[0], outs[0], [a for a, _ in leaves]), {})
    theirs, hopeless = tried(gradients, (libs[1], outs[1], [b for _, b in leaves]), {})
    counts["gradients"] += hopeless is None
    if failed is not None or hopeless is not None:
        return "" if hopeless is not None else f"gradient refused: {type(failed).__name__}"
    for a, b in zip(ours, theirs, strict=True):
        if (a is None) != (b is None):
            return word or "history"
        if a is not None and difference(a, b, True, 10 * slack, False):
            return "gradient " + difference(a, b, True, 10 * slack, False)
    return word


def find(root: Any, name: str) -> Any:
    for part in name.split("."):
        root = getattr(root, part, None)
    return root


def samples(op: Any, dtype: Any, most: int) -> list[Any]:
    try:
        torch.manual_seed(0)
        tracked = op.supports_autograd and dtype in (torch.float64, torch.complex128)
        return list(itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=tracked), most))
    except Exception:
        return []


def sweep(first: int, last: int, kinds: list[Any], most: int, compiled: bool) -> None:
    from torch.testing._internal.common_methods_invocations import op_db

    counts: Counter[str] = Counter()
    differ: dict[tuple[str, str], list[str]] = {}
    missing, seen = [], set()
    for op in op_db[first:last]:
        name = op.name
        theirs, ours = find(torch, name) or find(torch.Tensor, name), find(fusewire, name) or find(fusewire.Tensor, name)
        if name.startswith(("_", "torch.", "jiterator", "masked.", "sparse.")) or not callable(theirs):
            continue
        if not callable(ours):
            missing.append(name)
            continue
        values = not any(w in name for w in RANDOM + GAUGE)
        slack = 10.0 if name.startswith("linalg") else 1.0
        for dtype in [d for d in kinds if d in op.supported_dtypes("cpu")]:
            for sample in samples(op, dtype, most):
                memo: dict[int, tuple[Any, Any]] = {}
                args, kwargs = [sample.input, *sample.args], dict(sample.kwargs)
                try:
                    mine = twin(args, memo), twin(kwargs, memo)
                except (NotImplementedError, AttributeError):
                    continue
                leaves = [(a, b) for a, b in memo.values() if b.requires_grad]
                seen.add(name)
                if compiled:
                    graph = fusewire.compile(lambda *xs, f=ours, kw=mine[1]: f(*xs, **kw))
                    word = compared(counts, (graph, mine[0], {}), (ours, *mine), [(a, a) for a, _ in leaves], values, (fusewire, fusewire), slack)
                else:
                    word = compared(counts, (ours, *mine), (theirs, args, kwargs), leaves, values, (fusewire, torch), slack)
                if word:
                    counts["differ"] += 1
                    label = name + ("." + op.variant_test_name if op.variant_test_name else "")
                    differ.setdefault((label, word), []).append(str(dtype).split(".")[1])
    report(counts, differ, missing, len(seen))


def report(counts: Counter[str], differ: dict[tuple[str, str], list[str]], missing: list[str], ops: int) -> None:
    print(f"{ops} ops, {counts['samples']} samples compared, {counts['gradients']} with gradients; {counts['differ']} differ; missing: {' '.join(missing) or 'none'}")
    reasons: dict[str, list[str]] = {}
    for (label, word), kinds in sorted(differ.items()):
        fits = (r for names, kind, r in REASONS if word.startswith(kind) and (not names or any(label.endswith(n) for n in names.split())))
        reasons.setdefault(next(fits, "-"), []).append(f"{label}: {word} ({len(kinds)}: {','.join(dict.fromkeys(kinds))})")
    for reason, rows in sorted(reasons.items(), reverse=True):
        print(f"\n{'no reason known' if reason == '-' else reason} [{len(rows)}]")
        print(*(f"  {row}" for row in rows), sep="\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    options = argparse.ArgumentParser(description="OpInfo samples, fusewire beside PyTorch")
    options.add_argument("--from", dest="first", type=int, default=0)
    options.add_argument("--to", dest="last", type=int, default=10_000)
    options.add_argument("--dtypes", default=DTYPES)
    options.add_argument("--most", type=int, default=6)
    options.add_argument("--compiled", action="store_true")
    given = options.parse_args()
    sweep(given.first, given.last, [getattr(torch, d) for d in given.dtypes.split(",")], given.most, given.compiled)
