"""The text of tensors, copies that keep sharing memory, and gradients of values that a constant wrote over: PyTorch's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import fusewire as fw

VALUES: list[Any] = [
    1.5, 3, True, [1.5, 2.25], [], [[]], [1e10, 1.0], [1e-5, 1.0], [float("inf"), 1.0], [float("nan"), 1.5], [-1.5, 200.123],
    [[1, 2], [30, -4]], [True, False], [[True], [False]], 1e-10, -0.0, [123456.0, 1.0], [1234567.8, 1.0], [-float("inf"), 1e-8],
    [1e8, 1.0], [1.1, 1000.0, 10000.0], [0.00001],
]  # fmt: skip
SHAPES = [(30,), (2, 3, 4), (1000,), (1001,), (40, 40), (2, 2, 2, 2), (3, 0, 2), (2000, 3), (5, 1001)]


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16", "float64", "int32"])
def test_small_tensors_print_as_in_pytorch(value: Any, dtype: str | None) -> None:
    torch = pytest.importorskip("torch")
    if dtype == "int32" and not (np.abs(np.asarray(value, np.float64)) < 1e9).all():
        pytest.skip("not all are int32")
    made = [repr(m.tensor(value, dtype=dtype and getattr(m, dtype))) for m in (fw, torch)]
    assert made[0].replace("fusewire.", "torch.") == made[1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_large_tensors_print_as_in_pytorch(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for made in (x, x * 0, (x * 100).astype(np.int64), x > 0, x * 1e6):
        text = repr(fw.tensor(made, requires_grad=made.dtype == np.float32)).replace("fusewire.", "torch.")
        assert text == repr(torch.tensor(made, requires_grad=made.dtype == np.float32))


def test_history_is_named_as_in_pytorch() -> None:
    x = fw.tensor([1.0], requires_grad=True)
    assert repr(x * 2) == "tensor([2.], grad_fn=<MulBackward0>)" and repr(x) == "tensor([1.], requires_grad=True)"


def test_copies_share_memory_as_their_originals_do() -> None:
    x = fw.tensor([[0.0, 1.0], [2.0, 3.0]])
    a, row, turned, other = copy.deepcopy([x, x[1], x.t(), fw.ones(2)])
    row.fill_(9.0)
    assert a.tolist() == [[0.0, 1.0], [9.0, 9.0]] and turned.tolist() == [[0.0, 9.0], [1.0, 9.0]]
    assert x.tolist() == [[0.0, 1.0], [2.0, 3.0]] and turned.stride() == (1, 2) and other.tolist() == [1.0, 1.0]
    p = fw.nn.Parameter(fw.ones(2))
    made, data = copy.deepcopy((p, p.data))
    data.zero_()
    assert type(made) is fw.nn.Parameter and made.tolist() == [0.0, 0.0] and p.tolist() == [1.0, 1.0]
    assert copy.deepcopy(fw.ones(3).expand(2, 3)).stride() == (0, 1) and copy.deepcopy(fw.zeros(0, 3)).shape == (0, 3)


def test_values_written_over_by_constants_have_gradients_of_zero() -> None:
    def zeroed(x: Any) -> Any:
        y = x * 2
        y.zero_()
        return y + 1

    def compared(x: Any) -> Any:
        y = x * 2
        return y.gt_(0.5) + 1

    def partly(x: Any) -> Any:
        y = x * 2
        y[0].fill_(5.0)
        return y

    for f, expected in ((zeroed, [0.0, 0.0]), (compared, [0.0, 0.0]), (partly, [0.0, 2.0])):
        for mode in (f, fw.compile(f)):
            x = fw.tensor([1.0, 2.0], requires_grad=True)
            mode(x).sum().backward()
            assert x.grad is not None and x.grad.tolist() == expected
