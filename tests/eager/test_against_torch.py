"""Values, dtypes, gradients and error types against PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import fusewire as fw

torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]


def pair(array: np.ndarray, grad: bool = False) -> tuple[Any, Any]:
    a, b = fw.tensor(array), torch.tensor(array)
    if grad:
        a.requires_grad_(), b.requires_grad_()
    return a, b


def same(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    assert a.dtype.name == str(b.dtype).removeprefix("torch."), (a.dtype, b.dtype)
    assert tuple(a.shape) == tuple(b.shape)
    x, y = a.detach().to(fw.float64).numpy(), b.detach().to(torch.float64).numpy()
    np.testing.assert_allclose(x, y, rtol, atol)


@pytest.mark.parametrize("op", ["add", "mul", "div", "eq", "maximum", "sub"])
def test_promotion_of_all_pairs(op: str) -> None:
    for da, db in itertools.product(DTYPES, DTYPES):
        if op == "sub" and "bool" in (da, db):
            continue
        for shapes in (((2,), (2,)), ((2,), ()), ((), (2,)), ((), ())):
            a, b = (np.ones(s) for s in shapes)
            mine = getattr(fw, op)(fw.tensor(a).to(getattr(fw, da)), fw.tensor(b).to(getattr(fw, db)))
            ref = getattr(torch, op)(torch.tensor(a).to(getattr(torch, da)), torch.tensor(b).to(getattr(torch, db)))
            same(mine, ref)


@pytest.mark.parametrize("scalar", [True, 3, 2.5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_python_scalars_are_weak(dtype: str, scalar: Any) -> None:
    a, b = fw.ones(3).to(getattr(fw, dtype)), torch.ones(3).to(getattr(torch, dtype))
    for fn in (lambda x: x + scalar, lambda x: scalar * x, lambda x: x / scalar, lambda x: x == scalar, lambda x: scalar / x,
               lambda x: x <= scalar):  # fmt: skip
        same(fn(a), fn(b), 1e-2)


FUNCTIONS = {
    "arith": lambda m, x, y: (x + y) * x - y / (x * x + 2) + 3 - 2 * y,
    "pow": lambda m, x, y: (x * x + 1) ** 2 + (x * x + 1) ** y + 2.0**x,
    "trans": lambda m, x, y: m.exp(x) + m.log(x * x + 1) + m.sqrt(y * y + 1) + m.sin(x) * m.cos(y) + m.tanh(x),
    "more": lambda m, x, y: m.sigmoid(x) + m.rsqrt(y * y + 1) + m.abs(x) + m.relu(y) + m.erf(x) + m.expm1(y) + m.log1p(x * x),
    "reduce": lambda m, x, y: x.sum(1, keepdim=True) + y.mean(0) + (x * y).sum() + x.var(1, keepdim=True) + y.std(),
    "extreme": lambda m, x, y: x.max(1)[0].sum() + y.min(0).values + m.maximum(x, y) + m.minimum(x, y) + x.amax(1, keepdim=True),
    "shape": lambda m, x, y: (x.reshape(2, 6).t().contiguous().view(3, 4) * y.transpose(0, 1).reshape(3, 4))[None].squeeze(),
    "index": lambda m, x, y: x[1:, ::2].sum() + y[:, 1] + x[..., -1] + y[0, 0] + x[:, None, :2].sum((1, 2)) + x[-1, 1:2],
    "gather": lambda m, x, y: x[m.tensor([0, 2, 2])] * y[:, m.tensor([1, 1, 3, 0])] + x[m.tensor([0, 1]), m.tensor([3, 3])].sum(),
    "mask": lambda m, x, y: x[m.tensor([True, False, True])].sum() + m.where(x > y, x, y * 2) + x.masked_fill(y > 0, 0.5),
    "cat": lambda m, x, y: m.cat([x, y, x * 2], 1).sum(0) + m.stack([x, y], 1).sum((0, 1)).repeat(3) + m.cat([x[:0], y]).sum(),
    "split": lambda m, x, y: x.split(2, 1)[0] * y.chunk(2, dim=1)[1] + sum(r.sum() for r in x.unbind(0)),
    "matmul": lambda m, x, y: (x @ y.T).sum(1) + x @ y[0] + (y[0] @ x.T) + m.matmul(x.expand(2, 3, 4), y.t()).sum((0, 1)),
    "softmax": lambda m, x, y: m.softmax(x, 1) * m.log_softmax(y, 0) + m.nn.functional.gelu(x) * m.nn.functional.silu(y),
    "norm": lambda m, x, y: m.nn.functional.layer_norm(x, (4,), y[0], y[1]) * m.nn.functional.gelu(y, approximate="tanh"),
    "clamp": lambda m, x, y: x.clamp(-0.5, 0.5) + y.clamp(min=0.1) + m.clamp(x, max=0.2) + x.tril() + y.triu(1) + x.norm(),
    "loss": lambda m, x, y: m.nn.functional.mse_loss(x, y) + m.nn.functional.cross_entropy(x, m.tensor([1, 0, 3]))
    + m.nn.functional.cross_entropy(x, m.tensor([1, -100, 3]), label_smoothing=0.1)
    + m.nn.functional.cross_entropy(x, m.tensor([1, 2, 3]), weight=m.tensor([0.1, 0.2, 0.3, 0.4]).double(), reduction="sum"),
    "expand": lambda m, x, y: x[:1].expand(3, 4) * y + y[:, :1].expand(-1, 4) + x.permute(1, 0).flatten()[:1].expand(3, 4),
    "prod": lambda m, x, y: x.prod(1, keepdim=True) + y.prod(0, keepdim=True).sum() + m.floor(x) + m.ceil(y) + x.sign(),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients(name: str) -> None:
    fn, rng = FUNCTIONS[name], np.random.default_rng(7)
    x, y = rng.normal(size=(2, 3, 4))
    (a, ta), (b, tb) = pair(x, True), pair(y, True)
    out, ref = fn(fw, a, b), fn(torch, ta, tb)
    same(out, ref, 1e-9, 1e-11)
    weight = rng.normal(size=out.shape)
    out.backward(fw.tensor(weight))
    ref.backward(torch.tensor(weight))
    for mine, theirs in ((a, ta), (b, tb)):
        assert (mine.grad is None) == (theirs.grad is None)
        if theirs.grad is not None:
            same(mine.grad, theirs.grad, 1e-8, 1e-10)


NOT_SMOOTH = {"more", "extreme", "mask", "split", "clamp"}


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - NOT_SMOOTH))
def test_second_order(name: str) -> None:
    fn, rng = FUNCTIONS[name], np.random.default_rng(11)
    x, y = rng.normal(size=(2, 3, 4))
    results = []
    for m in (fw, torch):
        a, b = (m.tensor(v, requires_grad=True) for v in (x, y))
        first = m.autograd.grad((fn(m, a, b) ** 2).sum(), (a, b), create_graph=True)
        total = sum((g * g * (i + 1)).sum() for i, g in enumerate(first))
        results.append((first, m.autograd.grad(total, (a, b))))
    for mine, theirs in zip(*results, strict=True):
        for g, t in zip(mine, theirs, strict=True):
            same(g, t, 1e-7, 1e-8)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_half_types_round_once(dtype: str) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 5, 6)).astype(np.float32)
    results = []
    for m in (fw, torch):
        a, b = (m.tensor(v).to(getattr(m, dtype)).requires_grad_() for v in (x, y))
        out = m.softmax(a * b + 0.1, -1).sum(0) + (a @ b.t()).mean() + a.mean(0) + m.exp(b).sum(0)
        out.sum().backward()
        results.append((out, a.grad, b.grad))
    for mine, theirs in zip(*results, strict=True):
        same(mine, theirs, *((1e-5, 1e-5) if dtype == "float32" else (4e-2, 4e-2)))


ERRORS = [
    ("shapes do not broadcast", lambda m: m.ones(2, 3) + m.ones(4)),
    ("matmul sizes", lambda m: m.ones(2, 3) @ m.ones(2, 3)),
    ("matmul dtypes", lambda m: m.ones(2, 3) @ m.ones(3, 2, dtype=m.float64)),
    ("view", lambda m: m.ones(2, 3).t().view(6)),
    ("view count", lambda m: m.ones(2, 3).view(4, 2)),
    ("bad dim", lambda m: m.ones(2, 3).sum(2)),
    ("bad index", lambda m: m.ones(2)[3]),
    ("too many indices", lambda m: m.ones(2)[0, 0]),
    ("bad index tensor", lambda m: m.ones(2)[m.tensor([5])]),
    ("backward of a vector", lambda m: (m.ones(2, requires_grad=True) * 2).backward()),
    ("backward without graph", lambda m: m.ones(()).backward()),
    ("write to a leaf", lambda m: m.ones(2, requires_grad=True).add_(1)),
    ("write to a leaf's view", lambda m: m.ones(2, requires_grad=True)[0].fill_(1)),
    ("grad of int", lambda m: m.ones(2, dtype=m.int64).requires_grad_()),
    ("truth of many", lambda m: bool(m.ones(2))),
    ("item of many", lambda m: m.ones(2).item()),
    ("numpy of grad", lambda m: m.ones(2, requires_grad=True).numpy()),
    ("in-place result dtype", lambda m: m.ones(2, dtype=m.int64).add_(1.5)),
    ("in-place broadcast", lambda m: m.ones(2).add_(m.ones(3, 2))),
    ("cat", lambda m: m.cat([m.ones(2, 3), m.ones(3, 2)])),
    ("bool minus", lambda m: m.ones(2, dtype=m.bool) - m.ones(2, dtype=m.bool)),
    ("stack", lambda m: m.stack([m.ones(2), m.ones(3)])),
    ("float index", lambda m: m.ones(2)[m.ones(1)]),
    ("write to expanded", lambda m: m.ones(1).expand(3).add_(1)),
    ("cross entropy target", lambda m: m.nn.functional.cross_entropy(m.ones(2, 3), m.tensor([0, 3]))),
    ("squeeze dim", lambda m: m.ones(2).squeeze(4)),
    ("from dict", lambda m: m.ones(2) + {}),
]  # fmt: skip


@pytest.mark.parametrize("call", [c for _, c in ERRORS], ids=[n for n, _ in ERRORS])
def test_errors_are_of_pytorchs_type(call: Any) -> None:
    with pytest.raises(Exception) as theirs:
        call(torch)
    with pytest.raises(theirs.type):
        call(fw)


def test_text() -> None:
    cases = [
        [[1.0, 2.0], [3.5, 4.0]], [1.0, 2.0], [1, 2, 3], [True, False], 3.0, 2, [], [0.1, 1e-8], [1e10, 1.0], [-1.5, 2.25],
        [float("nan"), 1.0], [float("inf"), 1.0], [[1, -20], [300, 4]],
    ]  # fmt: skip
    for case in cases:
        assert repr(fw.tensor(case)) == repr(torch.tensor(case))
    assert repr(fw.ones(2, requires_grad=True)) == repr(torch.ones(2, requires_grad=True))
    assert repr(fw.ones(2, dtype=fw.float64)).replace("fusewire", "torch") == repr(torch.ones(2, dtype=torch.float64))
