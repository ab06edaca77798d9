"""Functions against PyTorch: values, dtypes, shapes, gradients, eager and (a part of them) compiled. Skipped without torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))
import function_rows as rows  # noqa: E402
import more_rows as more  # noqa: E402

CALLS = [(call, "") if isinstance(call, str) else call for table in (*rows.TABLES, *more.TABLES) for call in table]
#: a part of them compiled, too
COMPILED = CALLS[:: rows.COMPILED]
MAKE = {fusewire: lambda a: fusewire.tensor(a), torch: lambda a: torch.tensor(a)}


def operands(lib: Any, names: list[str], grad: bool, dtype: Any = None) -> dict[str, Any]:
    out = {}
    for name in names:
        a = rows.OPERANDS[name]
        out[name] = MAKE[lib](a.astype(dtype) if dtype and a.dtype.kind == "f" else a)
        if grad and a.dtype.kind in "fc":
            out[name].requires_grad_()
    return out


def used(call: str) -> list[str]:
    names = compile(call, "call", "eval").co_names
    inner = [c.co_names for c in compile(call, "call", "eval").co_consts if hasattr(c, "co_names")]
    return [n for n in dict.fromkeys([*names, *(m for ns in inner for m in ns)]) if n in rows.OPERANDS]


def function(lib: Any, call: str, names: list[str]) -> Any:
    scope: dict[str, Any] = {"t": lib, "F": lib.nn.functional, "D": lib.distributions, "inf": float("inf"), "nan_": float("nan")}
    exec(f"def f({', '.join(names)}):\n    return {call}\n", scope)
    return scope["f"]


def flat(result: Any) -> list[Any]:
    if isinstance(result, (tuple, list)):
        return [x for r in result for x in flat(r)]
    return [result]


def compare(got: Any, want: Any, rtol: float, what: str) -> None:
    assert len(got) == len(want), what
    for a, b in zip(got, want, strict=True):
        if not torch.is_tensor(b):
            assert a == b or (a != a and b != b), what
            continue
        assert tuple(a.shape) == tuple(b.shape), f"{what}: shape {tuple(a.shape)}, not {tuple(b.shape)}"
        assert str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1], f"{what}: {a.dtype}, not {b.dtype}"
        left, right = a.detach().numpy(), b.detach().resolve_conj().resolve_neg().numpy()
        near = rtol if left.dtype.itemsize > 4 else max(rtol, 1e-5)
        np.testing.assert_allclose(left, right, rtol=near, atol=near * 10, err_msg=what)


def gradients(lib: Any, results: list[Any], inputs: dict[str, Any]) -> list[Any]:
    """Gradients of the results weighted by cosines; None where a tensor was not used."""
    total = None
    for r in results:
        if r.requires_grad:
            weights = MAKE[lib](np.cos(np.arange(r.numel(), dtype=np.float64)).reshape(tuple(r.shape)))
            part = (r.abs() if r.is_complex() else r).mul(weights.to(r.real.dtype if r.is_complex() else r.dtype)).sum()
            total = part if total is None else total + part
    wanted = [x for x in inputs.values() if x.requires_grad]
    return [] if total is None or not wanted else list(lib.autograd.grad(total, wanted, allow_unused=True))


def run(lib: Any, call: str, flags: str, dtype: Any = None) -> tuple[list[Any], list[Any]]:
    names = used(call)
    inputs = operands(lib, names, "g" not in flags, dtype)
    out = flat(function(lib, call, names)(**inputs))
    tensors = [r for r in out if hasattr(r, "requires_grad")]
    return out, gradients(lib, tensors, inputs) if "g" not in flags else []


def same_gradients(ours: list[Any], theirs: list[Any], rtol: float, call: str) -> None:
    if len(ours) != len(theirs):  # where the gradient is 0 it may be said to be none
        assert all(a is None or a.abs().max() == 0 for a in ours + theirs), f"{call}: differentiable in one library only"
        return
    for a, b in zip(ours, theirs, strict=True):
        if (a is None) != (b is None):  # not used, or used where its gradient is 0
            assert (a if b is None else b).abs().max() == 0, call
        elif a is not None:
            compare([a], [b], rtol, f"gradient of {call}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call,flags", CALLS, ids=[c for c, _ in CALLS])
def test_eager(call: str, flags: str) -> None:
    want, theirs = run(torch, call, flags)
    got, ours = run(fusewire, call, flags)
    rtol = 1e-6 if "l" in flags else 1e-9  # float64, of values of about 1; "l": what is ill-conditioned, or summed in float32
    compare(got, want, rtol, call)
    same_gradients(ours, theirs, rtol * 10, call)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call,flags", COMPILED, ids=[c for c, _ in COMPILED])
def test_compiled(call: str, flags: str) -> None:
    names = used(call)
    want = flat(function(torch, call, names)(**operands(torch, names, False, np.float32)))
    fn = fusewire.compile(function(fusewire, call, names))
    got = flat(fn(**operands(fusewire, names, False, np.float32)))
    compare(got, want, 2e-3 if "l" in flags else 2e-4, call)  # float32 in both: a few ops of up to 1,000 roundings


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", rows.ERRORS)
def test_errors(call: str) -> None:
    names = used(call)
    torch.distributions.Distribution.set_default_validate_args(True)  # torch._dynamo turns it off when it is imported
    with pytest.raises(Exception) as theirs:
        function(torch, call, names)(**operands(torch, names, False))
    kind = fusewire.linalg.LinAlgError if isinstance(theirs.value, torch.linalg.LinAlgError) else type(theirs.value)
    with pytest.raises(kind):
        function(fusewire, call, names)(**operands(fusewire, names, False))


def stored(lib: Any, call: str) -> list[Any]:
    """What the call returns and what the given tensors hold then."""
    kinds = {"e64": "float64", "f64": "float64", "ei": "int64", "e32": "int32", "eb": "bool", "wide64": "float64"}
    given = {name: lib.empty(7 if name == "wide64" else 0, dtype=getattr(lib, kind)) for name, kind in kinds.items()}
    inputs = operands(lib, [n for n in ("m", "ints") if n in call], False)
    result = eval("t." + call, {"t": lib, **given, **inputs})
    return flat(result) + [x for name, x in given.items() if name in call.split("out=")[1]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", more.OUT)
def test_out(call: str) -> None:
    compare(stored(fusewire, call), stored(torch, call), 1e-9, call)


@pytest.mark.parametrize("call", more.OUT_ERRORS)
def test_out_refused(call: str) -> None:
    with pytest.raises(Exception) as theirs:
        stored(torch, call)
    with pytest.raises(type(theirs.value)):
        stored(fusewire, call)
