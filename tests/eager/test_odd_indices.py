"""Truth values and None beside tensors as indices, dtypes that ops refuse, reductions over no dimension: as PyTorch has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw
import fusewire.nn.functional as F

PLACES = [
    "True", "False", "(slice(None), True)", "(True, [0, 1])", "(None, M.tensor([0, 1]))", "(M.tensor([0, 1]), None)",
    "(M.tensor([0, 1]), None, M.tensor([0, 2]))", "(slice(None), None, M.tensor([0, 1]))", "(0, None, M.tensor([0, 1]))",
    "(None, 0, M.tensor([0, 1]))", "M.tensor(True)", "M.tensor(False)", "(..., None, M.tensor([0, 1]))",
    "(None, ..., M.tensor([1, 0]))", "(None, M.tensor([True, False]))", "(M.tensor([0, 1]), None, slice(None), M.tensor([0, 1]))",
    "(None, [1, 0])", "(True, None, 1)", "range(2)", "(range(2), [1, 0])", "((0, 1), (1, 2))", "([0, 1], range(1))", "range(0)",
]  # fmt: skip


def outcome(call: Any) -> Any:
    try:
        return call()
    except Exception as e:
        return type(e)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), ()])
def test_indices_are_pytorchs(place: str, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    data = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    results = []
    for M in (fw, torch):
        index = eval(place, {"M": M})
        x = M.tensor(data)
        got = outcome(lambda x=x, index=index: x[index].numpy())
        written = M.tensor(data)
        stored = outcome(lambda w=written, index=index: w.__setitem__(index, -1.0))
        results.append((got, None if stored is None else stored, written.numpy()))
    (a, stored_a, x), (b, stored_b, y) = results
    if isinstance(b, type):
        assert isinstance(a, type) and issubclass(a, b)
        return
    np.testing.assert_array_equal(a, b)
    assert stored_a == stored_b
    np.testing.assert_array_equal(x, y)


def test_gradients_through_a_truth_value() -> None:
    x = fw.tensor([1.0, 2.0], requires_grad=True)
    (x[True] * 3)[None, fw.tensor([0])].sum().backward()
    assert x.grad is not None and x.grad.tolist() == [3.0, 3.0]


def test_any_and_all_of_no_dimension() -> None:
    x = fw.tensor([[0.0, 2.0]])
    assert x.any(dim=()).tolist() == [[False, True]] and x.all(dim=(), keepdim=True).tolist() == [[False, True]]
    assert x.to(fw.uint8).any(dim=()).dtype is fw.uint8 and not x.all()
    assert fw.compile(lambda x: x.any(dim=()))(x).tolist() == [[False, True]]


CALLS = [
    lambda b, i: fw.neg(b), lambda b, i: b - b, lambda b, i: fw.abs(b), lambda b, i: fw.relu(b), lambda b, i: F.silu(i),
    lambda b, i: F.leaky_relu(i), lambda b, i: b**b, lambda b, i: b % b, lambda b, i: b // b, lambda b, i: b.reshape(1, 2) @ b,
    lambda b, i: b.argmax(), lambda b, i: fw.lerp(i, i, 0.5), lambda b, i: fw.addcdiv(i, i, i),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_dtypes_that_pytorch_refuses_are_refused(call: Any) -> None:
    b, i = fw.tensor([True, False]), fw.tensor([1, 2])
    for _ in range(2):
        with pytest.raises(TypeError, match=r"\[2\]|bool\[") as found:
            call(b, i)
        assert isinstance(found.value, RuntimeError)


def test_dtypes_of_results_of_bools() -> None:
    b = fw.tensor([True, False])
    assert fw.add(b, b, alpha=2).tolist() == [True, False] and fw.tril(b.expand(2, 2)).dtype is fw.bool


@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_a_tensor_of_one_number_is_that_int(dtype: str) -> None:
    at = fw.tensor(-2, dtype=getattr(fw, dtype))
    x = fw.tensor([1.0, 2.0, 3.0, 4.0])
    x[at] = 9.0
    assert x.tolist() == [1.0, 2.0, 9.0, 4.0]
    x[at].mul_(2.0)  # a view
    assert x.tolist() == [1.0, 2.0, 18.0, 4.0]


@pytest.mark.parametrize("mode", [lambda f: f, fw.compile], ids=["eager", "compiled"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_at_tensors_of_one_number(mode: Any, create_graph: bool) -> None:
    for f, shape in ((lambda x, i, _: x[i], (4,)), (lambda x, i, j: x[i, j], (4, 3)), (lambda x, i, j: x[i, j], (4, 3, 2))):
        x = fw.ones(shape).requires_grad_(True)
        out = mode(f)(x, fw.tensor(2), fw.tensor(1))
        (g,) = fw.autograd.grad((out * 3).sum(), [x], create_graph=create_graph)
        wanted = np.zeros(shape, np.float32)
        wanted[(2, 1)[: len(shape)]] = 3.0
        assert np.array_equal(g.detach().numpy(), wanted)
