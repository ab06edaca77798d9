"""Complex tensors beside PyTorch's: values, dtypes, strides and gradients of functions of one and of two operands."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")

RNG = np.random.default_rng(3)
R = RNG.standard_normal((3, 4))
Z, W = R + 1j * RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4)) + 1j * RNG.standard_normal((3, 4))
EDGES = np.array([0, 1, 1j, -2 + 0.5j])

NAMES = (
    "abs angle conj sgn exp log sqrt rsqrt sin cos tanh sigmoid reciprocal neg square real imag view_as_real sum mean clone "
    "detach isnan isfinite isinf expm1 log1p prod t adjoint flatten ravel"
)

Fn = Callable[..., Any]
ONE: dict[str, Fn] = {
    **{name: (lambda m, x, name=name: getattr(m, name)(x)) for name in NAMES.split()},
    **{name: (lambda m, x, name=name: getattr(x, name)) for name in ("T", "H", "mH", "real", "imag")},
    "cumsum": lambda m, x: x.cumsum(1), "cumprod": lambda m, x: x.cumprod(0), "x*2j": lambda m, x: x * 2j,
    "2j*x": lambda m, x: 2j * x, "1j-x": lambda m, x: 1j - x, "x/2j": lambda m, x: x / 2j, "1j/x": lambda m, x: 1j / x,
    "x**2": lambda m, x: x**2, "x**3": lambda m, x: x**3, "x**.5": lambda m, x: x**0.5, "x**1j": lambda m, x: x**1j,
    "2**x": lambda m, x: 2**x, "x==1j": lambda m, x: x == 1j, "row": lambda m, x: x[1], "columns": lambda m, x: x[:, [0, 2]],
    "mask": lambda m, x: x[x.abs() > 1], "sum of columns": lambda m, x: x.sum(0),
    "mean of rows": lambda m, x: x.mean(1, keepdim=True),
    "to complex64": lambda m, x: x.to(m.complex64), "norm": lambda m, x: x.norm(), "flip": lambda m, x: x.flip(0),
    "gather": lambda m, x: x.gather(0, m.tensor([[0, 1, 2, 0]])), "masked_fill": lambda m, x: x.masked_fill(x.abs() > 1, 1j),
    "assign": lambda m, x: assigned(x * 1), "diagonal": lambda m, x: x.diagonal(), "tril": lambda m, x: x.tril(),
    "pairs": lambda m, x: m.view_as_complex(m.view_as_real(x) * 2),
    "index_add": lambda m, x: x.index_add(0, m.tensor([1]), x[:1]),
}  # fmt: skip
TWO: dict[str, Fn] = {
    "add": lambda m, x, y: x + y, "sub": lambda m, x, y: x - y, "mul": lambda m, x, y: x * y, "div": lambda m, x, y: x / y,
    "pow": lambda m, x, y: x**y, "eq": lambda m, x, y: x == y, "cat": lambda m, x, y: m.cat([x, y]),
    "matmul": lambda m, x, y: x @ y.mT, "add alpha": lambda m, x, y: m.add(x, y, alpha=2),
    "einsum": lambda m, x, y: m.einsum("ij,ik->jk", x, y), "stack": lambda m, x, y: m.stack([x, y]),
}  # fmt: skip


def assigned(x: Any) -> Any:
    x[0] = 2j
    return x


def loss(x: Any) -> Any:
    """A real number that hangs on both parts of every element in different ways."""
    if not x.is_complex():
        return (x * x + x * 0.3).sum()
    return ((x * x.conj()).real + x.real * 0.3 + x.imag * 0.7).sum()


def compare(fn: Fn, *arrays: Any) -> None:
    results = []
    for lib in (torch, fusewire):
        xs = [lib.tensor(a, requires_grad=True) for a in arrays]
        out = fn(lib, *xs)
        if out.requires_grad:
            loss(out).backward()
        results.append((out.detach(), [x.grad for x in xs]))
    (want, slopes), (got, mine) = results
    assert repr(got.dtype) == repr(want.dtype) and tuple(got.shape) == tuple(want.shape) and got.stride() == want.stride()
    np.testing.assert_allclose(got.numpy(), want.resolve_conj().numpy(), 1e-6, 1e-9)
    for a, b in zip(slopes, mine, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert repr(b.dtype) == repr(a.dtype)
            np.testing.assert_allclose(b.numpy(), a.resolve_conj().numpy(), 1e-6, 1e-9)


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one(name: str) -> None:
    compare(ONE[name], Z)


@pytest.mark.parametrize("name", ["abs", "sgn", "angle", "conj"])
def test_at_zero_and_on_the_axes(name: str) -> None:
    compare(ONE[name], EDGES)


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two(name: str) -> None:
    compare(TWO[name], Z, W)
    if name in ("matmul", "einsum"):  # of one dtype only
        return
    compare(TWO[name], Z, R)
    compare(TWO[name], R, Z)


@pytest.mark.parametrize("name", ["x*2j", "1j-x", "x**1j", "x/2j", "1j/x"])
def test_real_tensors_meet_complex_numbers(name: str) -> None:
    compare(ONE[name], np.abs(R) + 0.1)
    compare(ONE[name], (np.abs(R) + 0.1).astype(np.float32))


def test_made_of_parts() -> None:
    compare(lambda m, x, y: m.complex(x, y), R, R + 1)
    compare(lambda m, x, y: m.polar(x, y), np.abs(R), R)
    compare(lambda m, x: m.view_as_complex(x), R.reshape(6, 2))
    compare(lambda m, q, a: m.view_as_real(m.view_as_complex(q.reshape(3, 2, 2)) * m.polar(a * 0 + 1, a)).flatten(1), R, R[:, :2])


def test_parts_are_views() -> None:
    x = fusewire.tensor([1 + 2j, 3 - 1j])
    x.real.mul_(10)
    x.imag = 7.0
    fusewire.view_as_real(x)[0, 0] = -1.0
    assert x.tolist() == [-1 + 7j, 30 + 7j]


def product(lib: Any, shapes: Any, kinds: tuple[str, str]) -> Any:
    x, y = (lib.ones(shape, dtype=getattr(lib, kind)) for shape, kind in zip(shapes, kinds, strict=True))
    return x * y


def test_promotion() -> None:
    kinds = ("bool", "int64", "float32", "float64", "complex64", "complex128")
    for a in ("complex64", "complex128"):
        for b in kinds:
            for shapes in (((2,), (2,)), ((2,), ()), ((), (2,))):
                want, got = (product(lib, shapes, (a, b)) for lib in (torch, fusewire))
                assert repr(got.dtype) == repr(want.dtype), (a, b, shapes)


@pytest.mark.parametrize("bad", [
    lambda m: m.view_as_complex(m.zeros(3, 3)), lambda m: m.zeros(2, dtype=m.complex64) < 1, lambda m: m.imag(m.zeros(2)),
    lambda m: m.complex(m.zeros(2), m.zeros(2, dtype=m.float64)), lambda m: m.zeros(2, dtype=m.complex64).max(),
    lambda m: m.zeros(2, dtype=m.int64, requires_grad=True), lambda m: float(m.tensor(1j)),
])  # fmt: skip
def test_refused_as_in_pytorch(bad: Fn) -> None:
    for lib in (torch, fusewire):
        with pytest.raises((RuntimeError, TypeError, ValueError, NotImplementedError)):
            bad(lib)


def test_a_capture_breaks_the_graph_and_is_right() -> None:
    def rotate(q: Any, turn: Any) -> Any:
        return fusewire.view_as_real(fusewire.view_as_complex(q * 2) * turn).flatten(1) + 1

    q, turn = fusewire.randn(3, 2, 2), fusewire.polar(fusewire.ones(3, 2), fusewire.randn(3, 2))
    compiled = fusewire.compile(rotate)
    assert fusewire.allclose(compiled(q, turn), rotate(q, turn))
    assert {b.code for b in fusewire.explain(rotate)(q, turn).breaks} == {"complex-numbers"}


def test_files_and_copies() -> None:
    x = fusewire.tensor([1 + 2j, 3])
    assert copy.deepcopy(x).tolist() == pickle.loads(pickle.dumps(x)).tolist() == x.tolist()
    for dtype in ("complex64", "complex128"):
        for write, read in ((fusewire, torch), (torch, fusewire)):
            file = io.BytesIO()
            write.save(write.tensor([1 + 2j, 3], dtype=getattr(write, dtype)), file)
            file.seek(0)
            back = read.load(file)
            assert back.tolist() == [1 + 2j, 3 + 0j] and repr(back.dtype) == f"torch.{dtype}"
