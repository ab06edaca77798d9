"""Calls on tensors of a GPU beside the same calls on the CPU: values, dtypes, strides, devices, errors; and what goes between."""

# ruff: noqa: E501
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

pytestmark = pytest.mark.filterwarnings("ignore:.* runs on the host")


@pytest.fixture(scope="module", autouse=True)
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True) as driver:
        yield driver


def same(found: Any, wanted: Any, what: str = "") -> None:
    """A tensor on the GPU is as one of the CPU."""
    assert found.is_cuda, what
    kinds = [(x.shape, x.dtype, x.stride(), x.requires_grad) for x in (found, wanted)]
    assert kinds[0] == kinds[1], what
    np.testing.assert_allclose(*(x.detach().cpu().double().numpy() for x in (found, wanted)), rtol=1e-6, err_msg=what)


@pytest.mark.parametrize("dtype", [fw.float8_e4m3fn, fw.float8_e5m2, fw.bfloat16], ids=str)
def test_views_of_each_float_of_few_bits(dtype: Any) -> None:
    x = fw.arange(12).reshape(3, 4).to(dtype)
    on = x.to("cuda")
    for view in (
        lambda x: x.t(), lambda x: x[1:, ::2], lambda x: x.as_strided((2, 2), (1, 2)), lambda x: x.unfold(1, 2, 1), lambda x: x[2]
    ):  # fmt: skip
        same(view(on), view(x))
        assert view(on).untyped_storage().data_ptr() == on.untyped_storage().data_ptr()
    for each in (x, on):
        each[1:, 1] = each[0, 2:]
    same(on, x)


def test_indices_of_the_cpu_go_along() -> None:
    x = fw.arange(12.0).reshape(3, 4)
    on, rows, mask = x.to("cuda"), fw.tensor([2, 0]), fw.tensor([True, False, True])
    pair = rows[:, None], fw.tensor([1, 3])
    for index in (rows, mask, (rows, 1), (slice(None), rows), ([0, 1], [1, 2]), (None, rows), pair, x > 5):
        same(on[index], x[index], str(index))
        for value in (7.0, x[index] * 2):
            for each in (x, on):
                each[index] = value if isinstance(value, float) else value.to(each.device)
        same(on, x, str(index))
    with pytest.raises(RuntimeError, match="same device"):
        x[rows.cuda()]


def test_complex_numbers_on_the_host() -> None:
    z = fw.complex(fw.arange(6.0).reshape(2, 3), fw.ones(2, 3))
    for call in (lambda z: z.flip(1), lambda z: z.flip(0, 1), lambda z: z / 2.0, lambda z: z / (0.5 + 2j), lambda z: fw.trapz(z)):
        found, wanted = call(z.to("cuda")), call(z)
        assert found.is_cuda and found.stride() == wanted.stride() and found.cpu().allclose(wanted)


#: calls of `x`, float64 in (3, 4), `n`, int64 in (3,), and `c`, complex64 in (2, 6): what makes tensors beside its operands
CALLS = [
    "t.allclose(x, x + 1e-9)", "t.allclose(c, c * 1j)", "t.nonzero(x[0, 0])", "t.nonzero(x > 3)", "t.argwhere(x)", "[p.contiguous() for p in x.nonzero(as_tuple=True)]",
    "t.nonzero_static(x, size=20)", "t.repeat_interleave(n)", "t.repeat_interleave(x, n, 0)", "x.narrow(0, n[0], 2)", "x[1:].as_strided((2, 2), (1, 3), 5)",
    "x.to_sparse().to_dense()", "(x.to_sparse() @ x.t())", "t.sparse_coo_tensor([[0, 2], [1, 0]], x[0, :2], (3, 3)).coalesce().values()",
    "t.istft(c.reshape(3, 4), 4)", "t.unravel_index(n, (2, 2))[1]", "x.clone().map_(x, lambda a, b: a * b)", "x.new_empty_strided((2, 3), (1, 4)).fill_(1)",
    "t.linalg.vander(x[0])", "t.block_diag(x, x)", "t.cartesian_prod(n, n)", "t.tril(x)", "t.histc(x)", "t.bincount(n)", "t.searchsorted(x, x)",
    "t.cov(x)", "t.quantile(x, 0.3)", "t.nn.functional.one_hot(n)", "t.nn.functional.interpolate(x[None, None], scale_factor=2.0, mode='bicubic')",
]  # fmt: skip


@pytest.mark.parametrize("default", ["cpu", "cuda"])
def test_results_lie_beside_the_operands(default: str) -> None:
    """Whatever device tensors are made on that do not say where."""
    for text in CALLS:
        x = fw.arange(12, dtype=fw.float64).reshape(3, 4)
        given = {"x": x, "n": fw.tensor([1, 0, 2]), "c": fw.complex(x, x.flip(0)).reshape(2, 6).to(fw.complex64)}
        wanted = eval(text, {"t": fw, **given})
        with fw.device(default):
            device = "cuda" if default == "cpu" else "cpu"
            found = eval(text, {"t": fw, **{name: value.to(device) for name, value in given.items()}})
        for a, b in zip(*(v if isinstance(v, list) else [v] for v in (found, wanted)), strict=True):
            if not isinstance(b, fw.Tensor):
                assert a == b, text
                continue
            assert a.device.type == device and (a.shape, a.dtype, a.stride()) == (b.shape, b.dtype, b.stride()), text
            np.testing.assert_allclose(a.cpu().numpy(), b.numpy(), rtol=1e-6, err_msg=text)


def test_what_is_made_on_a_named_device() -> None:
    for make in (
        lambda **to: fw.tril_indices(3, 3, **to), lambda **to: fw.triu_indices(3, 2, **to), lambda **to: fw.signal.windows.hann(5, **to),
        lambda **to: fw.signal.windows.kaiser(5, **to), lambda **to: fw.hann_window(5, **to), lambda **to: fw.empty_strided((2, 3), (1, 4), **to).fill_(1),
        lambda **to: fw.logspace(0, 2, 3, **to), lambda **to: fw.vander(fw.arange(3, **to)), lambda **to: fw.fft.fftfreq(4, **to),
        lambda **to: fw.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (3,), **to).to_dense(),
    ):  # fmt: skip
        wanted = make()
        same(make(device="cuda"), wanted)
        with fw.device("cuda"):
            same(make(), wanted)
            assert make(device="cpu").device.type == "cpu"


def test_the_tape_on_a_gpu() -> None:
    x, w = fw.randn(5, 3, device="cuda"), fw.randn(4, 3, device="cuda", requires_grad=True)
    with fw.autograd.graph.save_on_cpu(pin_memory=True):
        y = fw.nn.functional.linear(x, w).sin().sum()
    y.backward()
    assert w.grad.is_cuda and w.grad.stride() == (3, 1)
    assert fw.autograd.gradcheck(lambda v: v.sin() * v, fw.rand(3, dtype=fw.float64, device="cuda", requires_grad=True))

    class Halves(fw.autograd.Function):
        @staticmethod
        def forward(ctx: Any, v: Any) -> Any:
            return v * 2, v * 3

        @staticmethod
        def backward(ctx: Any, one: Any, other: Any) -> Any:
            return one * 2 + other * 3

    v = fw.ones(3, device="cuda", requires_grad=True)
    Halves.apply(v)[1].sum().backward()
    assert v.grad.is_cuda and v.grad.tolist() == [3.0] * 3
    (g,) = fw.autograd.grad((v * 0).sum(), [fw.ones(2, device="cuda", requires_grad=True)], allow_unused=True, materialize_grads=True)
    assert g.is_cuda and g.tolist() == [0.0, 0.0]


def test_comparing_tensors_of_a_gpu() -> None:
    x = fw.testing.make_tensor(3, dtype=fw.float32, device="cuda", requires_grad=True)
    assert x.is_cuda and x.requires_grad
    fw.testing.assert_close(x, x * 1.0)
    fw.testing.assert_close(x, x.cpu(), check_device=False)
    with pytest.raises(AssertionError, match=r"The values for attribute 'device' do not match: cuda:0 != cpu"):
        fw.testing.assert_close(x, x.cpu())
    with pytest.raises(AssertionError, match="Tensor-likes are not close"):
        fw.testing.assert_close(x, x + 1)
