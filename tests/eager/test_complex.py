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


def test_a_capture_is_one_graph_and_right() -> None:
    def rotate(q: Any, turn: Any) -> Any:
        return fusewire.view_as_real(fusewire.view_as_complex(q * 2) * turn).flatten(1) + 1

    q, turn = fusewire.randn(3, 2, 2), fusewire.polar(fusewire.ones(3, 2), fusewire.randn(3, 2))
    compiled = fusewire.compile(rotate)
    assert fusewire.allclose(compiled(q, turn), rotate(q, turn))
    assert not fusewire.explain(rotate)(q, turn).breaks


def test_what_is_seen_in_two_types_breaks_where_it_is_written_or_given_out() -> None:
    def written(x: Any) -> Any:
        z = fusewire.view_as_complex(x)
        return z.mul_(2).abs() + x.sum()

    def given(x: Any) -> Any:
        return fusewire.view_as_complex(x)

    for f in (written, given):
        x, y = fusewire.ones(3, 2), fusewire.ones(3, 2)
        assert fusewire.compile(f)(x).tolist() == f(y).tolist() and x.tolist() == y.tolist()
        assert "complex-numbers" in {b.code for b in fusewire.explain(f)(x).breaks}
    assert fusewire.compile(given)(x).data_ptr() == x.data_ptr()


def test_rotary_embedding_of_llama() -> None:
    """As its reference code has it, values and gradients, in one graph and one kernel beside the step that parts `turn`."""

    def embed(q: Any, k: Any, turn: Any) -> Any:
        pair = [fusewire.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2)) for x in (q, k)]
        turn = turn.view(*[n if d in (1, 3) else 1 for d, n in enumerate(pair[0].shape)])
        return [fusewire.view_as_real(x * turn).flatten(3).type_as(q) for x in pair]

    freqs = fusewire.outer(fusewire.arange(16.0), 1.0 / 100 ** (fusewire.arange(0, 8, 2)[:4].float() / 8))
    turn = fusewire.polar(fusewire.ones_like(freqs), freqs)
    q, k = (fusewire.randn(2, 16, 3, 8).requires_grad_() for _ in range(2))
    compiled = fusewire.compile(embed, fullgraph=True)
    for got, want in zip(compiled(q, k, turn), embed(q, k, turn), strict=True):
        assert fusewire.allclose(got, want, atol=1e-6)
        weight = fusewire.randn(*got.shape)
        again = {"retain_graph": True, "allow_unused": True}
        ours, theirs = (fusewire.autograd.grad((x * weight).sum(), [q, k], **again) for x in (got, want))
        for a, b in zip(ours, theirs, strict=True):
            assert fusewire.allclose(fusewire.zeros(1) if a is None else a, fusewire.zeros(1) if b is None else b, atol=1e-5)


@pytest.mark.parametrize("f", [
    lambda t, z: (z * 2j + z.conj() / (z + 3)).abs(), lambda t, z: (z @ z.mT).real, lambda t, z: t.fft.fft(z * z).imag,
    lambda t, z: t.where(z.real > 0, z, -z), lambda t, z: z.exp().angle() + z.sgn().real, lambda t, z: (z.sum(0), z.mean()),
    lambda t, z: t.cosh(z).real, lambda t, z: t.view_as_real(z[1:].T.reshape(-1)[::2]).sum(), lambda t, z: t.stack([z, z * 0]),
    lambda t, z: (z == z.conj()) | (z != 0), lambda t, z: t.polar(z.abs(), z.angle()) - z, lambda t, z: (z**3).log().real,
], ids=range(12))  # fmt: skip
def test_compiled_as_eager(f: Fn) -> None:
    z = fusewire.tensor([[1 + 2j, -0.5j, 3.0], [0.25, -1 - 1j, 2j], [-2 + 0.5j, 1j, 1 - 3j]]).requires_grad_()
    whole = fusewire.compile(lambda z: f(fusewire, z), fullgraph=True)
    out, want = whole(z), f(fusewire, z)
    for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (out, want)), strict=True):
        assert a.dtype is b.dtype and np.abs(a.detach().numpy() * 1 - b.detach().numpy() * 1).max() < 1e-4
        if b.requires_grad and not b.is_complex():
            ours, theirs = (fusewire.autograd.grad(x.sum(), z, retain_graph=True)[0].numpy() for x in (a, b))
            assert abs(ours - theirs).max() < 1e-4


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


def test_writes_with_history_into_halves_of_numbers() -> None:
    def f(torch: Any, x: Any, z: Any) -> Any:
        y = x * 1
        torch.view_as_complex(y).mul_(1j)
        w = z * 1
        w.real.zero_()
        w[0].imag.add_(w[1].real + z[1].imag)
        loss = (y**3).sum() + (w.abs() ** 2 * w.imag).sum()
        return y, w, *torch.autograd.grad(loss, (x, z))

    args = [(m, m.tensor(R.reshape(3, 2, 2), requires_grad=True), m.tensor(Z, requires_grad=True)) for m in (fusewire, torch)]
    compiled = fusewire.compile(lambda x, z: f(fusewire, x, z))
    for ours in (f(*args[0]), compiled(*args[0][1:])):
        for a, b in zip(ours, f(*args[1]), strict=True):
            assert np.allclose(a.detach().numpy(), b.detach().numpy())


def test_a_complex_number_is_no_root_of_a_backward_pass() -> None:
    z = fusewire.tensor(Z, requires_grad=True)
    for f in (lambda z: z.sum().backward(), fusewire.compile(lambda z: z.sum().backward())):
        with pytest.raises(RuntimeError, match="real scalar"):
            f(z)
    assert z.grad is None
