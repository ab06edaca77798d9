"""What is measured on a GPU, by sections of items, each an iterator of rows. An item needs nothing of those before it.

Peaks (bytes a second of a copy, products a second) are measured where they are needed: an item is often run in a process of its
own, behind one that has died.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from . import gpu_jax, gpu_models
from .gpu_lab import BOTH, DEFAULT, Lab, Make, Work
from .row import Row

Items = dict[str, Callable[[], Iterator[Row]]]
TUNED = ("max-autotune",)
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def peaks(lab: Lab) -> Iterator[Row]:
    """How fast memory is copied, and how fast the best library multiplies."""
    n = 1 << (12 if lab.tiny else 28)
    made: dict[str, Work] = {}
    for lib, name in _libraries(lab):
        x, y = lib.ones(n, device=lab.device), lib.empty(n, device=lab.device)
        made[name] = partial(y.copy_, x)
    x, copied = lab.fw.ones(n, device=lab.device), lab.fw.compile(lambda x: x + 0.0)
    made["fusewire kernel"] = partial(copied, x)
    values = lab.timed(made) if not lab.ahead else {}
    yield lab.row("peak: copy of 1 GiB", values, **{f"gbs {name}": 8e-3 * n / t for name, t in values.items()})
    lab.release()
    for size in (64,) if lab.tiny else (4096, 8192):
        for dtype in ("bfloat16", "float16", "tf32", "float32"):
            yield _product_peak(lab, size, dtype)


def copy_peak(lab: Lab) -> float:
    """GB/s of the best copy, read and written bytes."""
    if lab.ahead:
        return 1.0
    n = 1 << (12 if lab.tiny else 28)
    x, y = lab.fw.ones(n, device=lab.device), lab.fw.empty(n, device=lab.device)
    (spent,) = lab.timed({"copy": lambda: y.copy_(x)}, seconds=0.3).values()
    return 8e-3 * n / max(spent, 1e-9)


def _libraries(lab: Lab) -> list[tuple[Any, str]]:
    return [(lib, name) for lib, name in ((lab.fw, "fusewire"), (lab.torch, "torch eager")) if lib is not None]


def _operands(lab: Lab, lib: Any, size: int, dtype: str) -> tuple[Any, Any]:
    real = getattr(lib, "float32" if dtype == "tf32" else dtype)
    a, b = (lib.randn(size, size, device=lab.device).to(real) for _ in range(2))
    return a, b


def _tf32(lib: Any, dtype: str) -> None:
    lib.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")


def _product_peak(lab: Lab, size: int, dtype: str) -> Row:
    """A bare product, by each library's own routine."""
    makers: dict[str, Callable[[], Work]] = {}
    for lib, name in _libraries(lab):

        def make(lib: Any = lib) -> Work:
            a, b = _operands(lab, lib, size, dtype)
            return lambda: a @ b

        makers[name.replace(" eager", "")] = make
        _tf32(lib, dtype)
    values, facts = lab.measure({"fusewire" if n == "fusewire" else "torch eager": m for n, m in makers.items()})
    for lib, _ in _libraries(lab):
        _tf32(lib, "float32")
    return lab.row(f"peak: a @ b, {dtype}, {size}", values, **_rates(values, 2.0 * size**3), **facts)


def _rates(values: Mapping[str, float], flops: float) -> dict[str, Any]:
    return {"tflops": {name: round(1e-6 * flops / max(t, 1e-9), 1) for name, t in values.items()}}


# -- launches


def launches(lab: Lab) -> Items:
    """Microseconds of the host for a call: one op, graphs of one kernel, of ten products, and of what may be fused to fewer."""
    works: dict[str, Callable[[Any, Any], Any]] = {
        "1 kernel": lambda x, w: x * 2.0 + 1.0, "10 normalisations": _ten, "10 products": _products,
    }  # fmt: skip
    items: Items = {"eager op": partial(_eager_op, lab)}
    for name, f in works.items():
        items[name] = partial(_launch, lab, name, f)
    return items


def _ten(x: Any, w: Any) -> Any:
    for _ in range(5):
        x = x - x.sum(0, keepdim=True) * 0.01
        x = x / (1.0 + x.abs().amax(1, keepdim=True))
    return x


def _products(x: Any, w: Any) -> Any:
    for _ in range(10):
        x = x @ w
    return x


def _eager_op(lab: Lab) -> Iterator[Row]:
    makers: dict[str, Callable[[], Work]] = {}
    for lib, name in _libraries(lab):

        def make(lib: Any = lib) -> Work:
            x = lib.ones(64, 64, device=lab.device)
            return lambda: x + 1.0

        makers[name] = make
    values, facts = _host(lab, makers)
    yield lab.row("host: eager x + 1", values, **facts)


def _launch(lab: Lab, name: str, f: Callable[[Any, Any], Any]) -> Iterator[Row]:
    def make(lib: Any, compiled: Any) -> Work:
        x, w = (lib.ones(64, 64, device=lab.device) / 64 for _ in range(2))
        return partial(compiled(f), x, w)

    values, facts = _host(lab, lab.contenders(make, BOTH))
    yield lab.row(f"host: {name}", values, **facts)


def _host(lab: Lab, makers: Mapping[str, Callable[[], Work]]) -> tuple[dict[str, float], dict[str, Any]]:
    made, facts = dict[str, Work](), dict[str, Any]()
    for name, make in makers.items():
        try:
            made[name] = make()
            made[name]()
        except Exception as error:
            facts.setdefault("failed", {})[name] = f"{type(error).__name__}: {error}"[:300]
            made.pop(name, None)
    return ({} if lab.ahead else lab.host(made, calls=40)), facts


# -- kernels that memory bounds


def flat(lab: Lab) -> Items:
    """Pointwise functions, reductions and the like; `bytes`: read and written for each element, in elements."""
    return {name: partial(_flat, lab, name) for name in FLAT}


def _rows_columns(lab: Lab) -> tuple[int, int]:
    return (32, 64) if lab.tiny else (16384, 4096)


Function = Callable[[Any, Any, Any, Any], Any]
#: name -> (function of (library, x, y, t), elements of x's type moved for each of x's, dtype of x and y)
FLAT: dict[str, tuple[Function, float, str]] = {
    "gelu(x) * y + x": (lambda lib, x, y, t: lib.nn.functional.gelu(x) * y + x, 3.0, "float32"),
    "gelu(x) * y + x, bf16": (lambda lib, x, y, t: lib.nn.functional.gelu(x) * y + x, 3.0, "bfloat16"),
    "sum of rows": (lambda lib, x, y, t: x.sum(-1), 1.0, "float32"),
    "sum of columns": (lambda lib, x, y, t: x.sum(0), 1.0, "float32"),
    "sum of all": (lambda lib, x, y, t: x.sum(), 1.0, "float32"),
    "softmax of rows": (lambda lib, x, y, t: x.softmax(-1), 2.0, "float32"),
    "layer_norm, bf16": (lambda lib, x, y, t: lib.nn.functional.layer_norm(x, x.shape[-1:]), 2.0, "bfloat16"),
    "cross_entropy, bf16": (lambda lib, x, y, t: lib.nn.functional.cross_entropy(x.float(), t), 1.0, "bfloat16"),
    "x[t]": (lambda lib, x, y, t: x[t], 2.0, "float32"),
    "index_add": (lambda lib, x, y, t: y.index_add(0, t, x), 4.0, "float32"),
    "cumsum": (lambda lib, x, y, t: x.cumsum(-1), 2.0, "float32"),
    "transposed copy": (lambda lib, x, y, t: x.t().contiguous(), 2.0, "float32"),
    "dropout": (lambda lib, x, y, t: lib.nn.functional.dropout(x, 0.1), 2.0, "float32"),
}
#: those that the measure "pointwise and reductions" is about
PLAIN = ("gelu(x) * y + x", "gelu(x) * y + x, bf16", "sum of rows", "sum of columns", "sum of all", "softmax of rows",
         "layer_norm, bf16")  # fmt: skip


def _flat(lab: Lab, name: str) -> Iterator[Row]:
    f, moved, dtype = FLAT[name]
    rows, columns = _rows_columns(lab)

    def make(lib: Any, compiled: Any) -> Work:
        x, y = (lib.randn(rows, columns, device=lab.device).to(getattr(lib, dtype)) for _ in range(2))
        t = lib.randint(0, min(rows, columns), (rows,)).to(lab.device)
        run = compiled(lambda x, y, t: f(lib, x, y, t))
        return partial(run, x, y, t)

    jax = gpu_jax.flat(lab.jax, name, rows, columns, dtype) if lab.jax is not None else None
    values, facts = lab.measure(lab.contenders(make, DEFAULT), jax)
    if "fusewire" in values:
        reached = 1e-3 * moved * _BYTES[dtype] * rows * columns / max(values["fusewire"], 1e-9)
        facts |= {"gbs": round(reached), "of_copy": round(reached / max(copy_peak(lab), 1e-9), 3)}
    yield lab.row(f"flat: {name}", values, **facts)
    lab.release()


# -- products


def products(lab: Lab) -> Items:
    """Square products with a fused epilogue; bf16 also without, with GELU, and as a linear layer's skinny shapes."""
    sizes = (64,) if lab.tiny else (4096, 8192, 2048, 1024)
    items: Items = {f"bfloat16 {n}": partial(_product, lab, n, "bfloat16", "relu(a @ b + bias)") for n in sizes}
    items |= {f"bfloat16 {n} residual": partial(_product, lab, n, "bfloat16", "gelu(a @ b + bias) + c") for n in sizes[:2]}
    items |= {f"{dtype} {sizes[0]}": partial(_product, lab, sizes[0], dtype, "relu(a @ b + bias)")
              for dtype in ("float16", "tf32", "float32")}  # fmt: skip
    items["batch"] = partial(_batch, lab)
    tuned = partial(_product, lab, dtype="bfloat16", kind="relu(a @ b + bias)", modes=TUNED)
    return items | ({} if lab.ahead else {f"bfloat16 {n} tuned": partial(tuned, n) for n in sizes[:2]})


def _finish(lib: Any, kind: str, a: Any, b: Any, bias: Any, c: Any) -> Any:
    if kind == "relu(a @ b + bias)":
        return lib.relu(a @ b + bias)
    return lib.nn.functional.gelu(a @ b + bias) + c


def _product(lab: Lab, n: int, dtype: str, kind: str, modes: tuple[str, ...] = DEFAULT) -> Iterator[Row]:
    def make(lib: Any, compiled: Any) -> Work:
        a, b = _operands(lab, lib, n, dtype)
        bias, c = lib.ones(n, device=lab.device).to(a.dtype), lib.ones(n, n, device=lab.device).to(a.dtype)
        return partial(compiled(lambda a, b, bias, c: _finish(lib, kind, a, b, bias, c)), a, b, bias, c)

    def bare() -> Work:
        a, b = _operands(lab, lab.torch, n, dtype)
        return lambda: a @ b

    makers = lab.contenders(make, modes)
    if lab.torch is not None and not lab.ahead:
        makers["torch a @ b"] = bare
    jax = gpu_jax.product(lab.jax, n, dtype) if lab.jax is not None and kind.startswith("relu") else None
    for lib, _ in _libraries(lab):
        _tf32(lib, dtype)
    values, facts = lab.measure(makers, jax)
    for lib, _ in _libraries(lab):
        _tf32(lib, "float32")
    facts |= _rates(values, 2.0 * n**3)
    ours = [t for name, t in values.items() if name.startswith("fusewire")]
    if ours and "torch a @ b" in values:
        facts["of_cublas"] = round(values["torch a @ b"] / min(ours), 3)
    yield lab.row(f"product: {kind}, {dtype}, {n}{_tuned(modes)}", values, **facts)
    lab.release()


def _tuned(modes: tuple[str, ...]) -> str:
    return ", max-autotune" if modes == TUNED else ""


def _batch(lab: Lab) -> Iterator[Row]:
    b, n = (2, 32) if lab.tiny else (64, 1024)

    def make(lib: Any, compiled: Any) -> Work:
        x, y = (lib.randn(b, n, n, device=lab.device).to(lib.bfloat16) for _ in range(2))
        return partial(compiled(lambda x, y: lib.relu(x @ y)), x, y)

    values, facts = lab.measure(lab.contenders(make))
    yield lab.row(f"product: relu(x @ y), bfloat16, {b} x {n}", values, **_rates(values, 2.0 * b * n**3), **facts)
    lab.release()


# -- attention


def attention(lab: Lab) -> Items:
    """(batch, heads, length, width) in bf16, forward and with gradients, causal or not; then a score function."""
    shapes = [(1, 2, 32, 16)] if lab.tiny else [(4, 16, 2048, 128), (4, 16, 2048, 64), (2, 16, 8192, 128), (16, 16, 512, 64)]
    items: Items = {}
    for shape in shapes:
        for causal in (True, False) if shape == shapes[0] else (True,):
            for backward in (False, True) if shape in shapes[:2] else (False,):
                items[f"{shape} {causal} {backward}"] = partial(_attention, lab, shape, causal, backward)
    items["flex"] = partial(_flex, lab, shapes[0])
    return items


def _flops(shape: tuple[int, ...], causal: bool, backward: bool) -> float:
    b, h, t, d = shape
    return (3.5 if backward else 1.0) * (0.5 if causal else 1.0) * 4.0 * b * h * t * t * d


def _attention(lab: Lab, shape: tuple[int, ...], causal: bool, backward: bool) -> Iterator[Row]:
    def make(lib: Any, compiled: Any) -> Work:
        q, k, v = _qkv(lab, lib, shape, backward)
        run = compiled(lambda q, k, v: lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal))
        return partial(run, q, k, v) if not backward else partial(_and_back, run, q, k, v)

    values, facts = lab.measure(lab.contenders(make))
    facts |= _rates(values, _flops(shape, causal, backward))
    if values.get("fusewire") and len(values) > 1:
        facts["of_best"] = round(min(t for name, t in values.items() if name != "fusewire") / values["fusewire"], 3)
    kind = f"{'causal' if causal else 'full'}, {'forward and backward' if backward else 'forward'}"
    yield lab.row(f"attention: {kind}, {shape}", values, **facts)
    lab.release()


def _qkv(lab: Lab, lib: Any, shape: tuple[int, ...], backward: bool) -> list[Any]:
    made = [lib.randn(*shape, device=lab.device).to(lib.bfloat16) for _ in range(3)]
    return [x.requires_grad_() for x in made] if backward else made


def _and_back(run: Callable[..., Any], q: Any, k: Any, v: Any) -> Any:
    q.grad = k.grad = v.grad = None
    run(q, k, v).sum().backward()


def _flex(lab: Lab, shape: tuple[int, ...]) -> Iterator[Row]:
    def make(lib: Any, compiled: Any) -> Work:
        import importlib

        module = importlib.import_module(f"{lib.__name__}.nn.attention.flex_attention")
        q, k, v = _qkv(lab, lib, shape, False)

        def score(s: Any, b: Any, h: Any, q_at: Any, k_at: Any) -> Any:
            return s + (k_at - q_at) * 0.01

        return partial(compiled(lambda q, k, v: module.flex_attention(q, k, v, score_mod=score)), q, k, v)

    values, facts = lab.measure(lab.contenders(make, eager=False))
    yield lab.row(f"attention: flex, a bias by distance, {shape}", values, **_rates(values, _flops(shape, False, False)), **facts)
    lab.release()


# -- models


def models(lab: Lab) -> Items:
    """Inference and a training step of each network; those whose kernels are measured first, last."""
    cases, kinds = gpu_models.cases(lab.tiny), ("inference", "training step")
    items: Items = {f"{case.name} {kind}": partial(_model, lab, case, kind, BOTH) for case in cases for kind in kinds}
    tuned: Items = {f"{case.name} tuned": partial(_model, lab, case, "inference", TUNED) for case in cases}
    return items | ({} if lab.ahead else tuned)


def _model(lab: Lab, case: gpu_models.Case, kind: str, modes: tuple[str, ...]) -> Iterator[Row]:
    training = kind != "inference"
    make: Make = partial(_of_model, lab, case, gpu_models.training if training else gpu_models.inference)
    makers = lab.contenders(make, modes, eager=modes != TUNED)
    jax = gpu_jax.model(lab.jax, case, training) if lab.jax is not None and modes != TUNED else None
    values, facts = lab.measure(makers, jax, flush=False)
    flops = case.flops * (3.0 if training else 1.0)
    name = f"model: {case.name}, {kind}{_tuned(modes)}"
    yield lab.row(name, values, sizes=case.text, **(_rates(values, flops) if flops else {}), **facts)
    lab.release()


def _of_model(lab: Lab, case: gpu_models.Case, work: Callable[..., Work], lib: Any, compiled: Any) -> Work:
    return work(lib, case, lab.device, compiled)


#: section -> its items
SECTIONS: dict[str, Callable[[Lab], Items]] = {
    "peaks": lambda lab: {"peaks": partial(peaks, lab)}, "launches": launches, "flat": flat, "products": products,
    "attention": attention, "models": models,
}  # fmt: skip
