"""Functions of shapes, questions about elements and in-place forms beside PyTorch: values, strides, gradients, kinds of error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4)).astype(np.float32)
Y = RNG.standard_normal((2, 3, 4)).astype(np.float32)
V = RNG.standard_normal(5).astype(np.float32)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5], np.float32)

Fn = Callable[..., Any]
SHAPES: dict[str, tuple[Fn, Any]] = {
    "tile": (lambda m, a: m.tile(a, (2,)), X), "tile more": (lambda m, a: a.tile(2, 1, 2), X),
    "repeat_interleave": (lambda m, a: a.repeat_interleave(3), X),
    "along 0": (lambda m, a: m.repeat_interleave(a, 2, dim=0), X),
    "counts": (lambda m, a: m.repeat_interleave(a, m.tensor([1, 0, 2]), dim=0), X), "rot90": (lambda m, a: m.rot90(a), X),
    "half turn": (lambda m, a: m.rot90(a, 2, [1, 0]), X), "diag": (lambda m, a: m.diag(a), X),
    "diag 1": (lambda m, a: a.diag(1), X),
    "diag of a vector": (lambda m, a: m.diag(a, -1), V), "diagonal": (lambda m, a: a.diagonal(), X),
    "diagonal below": (lambda m, a: a.diagonal(-1), X), "diagonal of matrices": (lambda m, a: a.diagonal(1, 2, 0), Y),
    "diag_embed": (lambda m, a: m.diag_embed(a, 1), X), "diagflat": (lambda m, a: m.diagflat(a, 1), X),
    "unfold": (lambda m, a: a.unfold(1, 2, 1), X), "unfold apart": (lambda m, a: a.unfold(0, 2, 2), X),
    "unfold transposed": (lambda m, a: a.T.unfold(0, 3, 1), X), "unfold inside": (lambda m, a: a.unfold(1, 2, 1), Y),
    "tensor_split": (lambda m, a: m.tensor_split(a, 3, 1), X), "tensor_split at": (lambda m, a: a.tensor_split((-1, 9), 1), X),
    "hsplit": (lambda m, a: a.hsplit(2), X), "vsplit": (lambda m, a: a.vsplit([1]), X),
    "vsplit uneven": (lambda m, a: a.vsplit(2), X),
    "hstack": (lambda m, a: m.hstack([a, a]), X), "vstack": (lambda m, a: m.vstack((a, a[0])), X),
    "dstack": (lambda m, a: m.dstack((a, a)), X), "column_stack": (lambda m, a: m.column_stack((a, a[:, 0])), X),
    "block_diag": (lambda m, a: m.block_diag(a, a[0]), X), "broadcast_tensors": (lambda m, a: m.broadcast_tensors(a, a[0]), X),
    "atleast_2d": (lambda m, a: m.atleast_2d(a[0], a), X), "atleast_3d": (lambda m, a: m.atleast_3d(a), X),
    "select_scatter": (lambda m, a: m.select_scatter(a, a[:, 1] * 2, 1, -1), X),
    "slice_scatter": (lambda m, a: m.slice_scatter(a, a[:1] * 3, 0, 1, 2), X),
    "diagonal_scatter": (lambda m, a: m.diagonal_scatter(a, a[0, :3] * 2, 1), X),
    "fill_diagonal_": (lambda m, a: (a * 1).fill_diagonal_(7.0), X),
    "as_strided": (lambda m, a: m.as_strided(a, (2, 2), (1, 2), 1), X),
    "wrapped diagonal": (lambda m, a: (a * 1).T.contiguous().fill_diagonal_(7.0, wrap=True), X), "H": (lambda m, a: a.H, X),
    "swapaxes": (lambda m, a: a.swapaxes(0, 1), X), "ravel": (lambda m, a: a.T.ravel(), X), "put": (lambda m, a: a.put(
        m.tensor([1, -1]), m.tensor([9.0, 8.0])), X), "cartesian_prod": (lambda m, a: m.cartesian_prod(a[0], a[1]), X),
    "sum_to_size": (lambda m, a: a.sum_to_size(1, 4), X), "float_power": (lambda m, a: m.float_power(a.abs(), 1.5), X),
    "clamp_min": (lambda m, a: a.clamp_min(0.1), X), "square_": (lambda m, a: (a * 1).square_(), X),
    "triu_": (lambda m, a: (a * 1).triu_(), X), "negative_": (lambda m, a: (a * 1).negative_(), X),
    "plus": (lambda m, a: +a, X),
    "write to a diagonal": (lambda m, a: written(a * 2, lambda b: b.diagonal().fill_(1.0)), X),
    "write to windows": (lambda m, a: written(a * 2, lambda b: b.unfold(1, 2, 2).mul_(2.0)), X),
}  # fmt: skip
PLAIN: dict[str, Fn] = {
    "linspace": lambda m: m.linspace(0, 1, 5), "linspace of one": lambda m: m.linspace(2, 3, 1), "eye": lambda m: m.eye(2, 3),
    "logspace": lambda m: m.logspace(0, 2, 5), "tril_indices": lambda m: m.tril_indices(3, 4, -1),
    "triu_indices": lambda m: m.triu_indices(3, 4), "strided": lambda m: m.empty_strided((2, 3), (1, 2)).zero_(),
    "permuted": lambda m: m.empty_permuted((2, 3, 4), (2, 0, 1)).zero_(), "scalar_tensor": lambda m: m.scalar_tensor(3),
    "frombuffer": lambda m: m.frombuffer(bytearray(range(16)), dtype=m.int32, offset=4), "t_": lambda m: m.zeros(2, 3).t_(),
    "unsqueeze_": lambda m: m.zeros(2, 3).unsqueeze_(0), "new": lambda m: m.zeros(1, dtype=m.int8).new_full((2,), 3),
    "shifts": lambda m: m.arange(9) << 2, "far shifts": lambda m: (m.arange(9) - 4) >> 70,
    "relu_": lambda m: m.relu_(m.ones(2) * -1),
    "logical_xor": lambda m: m.logical_xor(m.tensor([0, 1, 2]), m.tensor([1, 1, 0])),
}  # fmt: skip


def written(x: Any, write: Callable[[Any], Any]) -> Any:
    write(x)
    return x


def compare(fn: Fn, *arrays: Any) -> None:
    found = []
    for lib in (torch, fusewire):
        xs = [lib.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        try:
            out = fn(lib, *xs)
        except (RuntimeError, ValueError, IndexError) as e:
            found.append((type(e), None))
            continue
        outs = out if isinstance(out, (tuple, list)) else (out,)
        if outs[0].requires_grad:
            (outs[0] * outs[0]).sum().backward()
        found.append(([o.detach() for o in outs], [x.grad for x in xs]))
    (want, slopes), (got, mine) = found
    if slopes is None:
        assert mine is None and issubclass(got, want), (want, got)
        return
    for a, b in zip(want, got, strict=True):
        assert repr(a.dtype) == repr(b.dtype) and tuple(a.shape) == tuple(b.shape)
        assert not a.numel() or a.stride() == b.stride()
        np.testing.assert_allclose(b.numpy(), a.numpy(), 1e-5, 1e-6)
    for a, b in zip(slopes, mine, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(b.numpy(), a.numpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_values_strides_and_gradients(name: str) -> None:
    compare(*SHAPES[name])


@pytest.mark.parametrize("name", PLAIN)
def test_made_without_operands(name: str) -> None:
    compare(PLAIN[name])


@pytest.mark.parametrize("name", ["isinf", "isfinite", "isposinf", "isneginf", "isreal", "signbit", "nan_to_num", "isnan"])
def test_questions(name: str) -> None:
    for a in (SPECIAL, RNG.integers(0, 9, (3,))):
        with np.errstate(invalid="ignore"):
            want, got = (getattr(lib, name)(lib.tensor(a)) for lib in (torch, fusewire))
        assert repr(want.dtype) == repr(got.dtype)
        np.testing.assert_array_equal(got.numpy(), want.numpy())


def test_the_same_compiled() -> None:
    def f(x: Any) -> Any:
        d = x.diagonal(1)
        w = x.unfold(1, 2, 1).sum(-1)
        y = x * 2
        y.diagonal().fill_(1.0)
        return d * 2, w, fusewire.eye(3), fusewire.linspace(0, 1, 3), y, x.tile(2, 1), x.rot90()

    x = fusewire.tensor(X)
    for a, b in zip(fusewire.compile(f)(x), f(x), strict=True):
        assert fusewire.equal(a, b)
    assert fusewire.explain(f)(x).breaks == ()


def test_distributions_fill() -> None:
    fusewire.manual_seed(0)
    n = 20000
    x = fusewire.empty(n)
    assert abs(x.exponential_(2.0).mean().item() - 0.5) < 0.02 and x.min().item() >= 0
    assert abs(x.geometric_(0.25).mean().item() - 4) < 0.15 and x.min().item() == 1
    assert abs(x.log_normal_(0.0, 0.5).log().std().item() - 0.5) < 0.02
    assert abs(x.cauchy_(3.0, 1.0).median().item() - 3) < 0.1
    r = fusewire.empty(n, dtype=fusewire.int64).random_(2, 7)
    assert set(r.tolist()) == {2, 3, 4, 5, 6}
    assert abs(fusewire.normal(2.0, 3.0, (n,)).mean().item() - 2) < 0.1
    assert abs(fusewire.poisson(fusewire.full((2000,), 3.0)).mean().item() - 3) < 0.2
    with pytest.raises(RuntimeError):
        x.exponential_(-1.0)
