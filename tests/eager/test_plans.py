"""Later calls of a kind, which ask nothing, give what the first call gave; small hot ops as machine code do too."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import knobs
from fusewire.eager import hot, plans
from fusewire.ir import ops
from fusewire.ir.op import OPS

ops.load_rare()
CALLS = 5


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Small ops are compiled at their second planned call."""
    monkeypatch.setattr(hot, "WAIT", 2)
    monkeypatch.setattr(hot, "WAIT_MOVES", 2)
    monkeypatch.setattr(hot, "WAIT_RULES", 2)
    hot.forget()
    yield
    hot.forget()


def _operands(values: Any, grad: bool) -> list[Any]:
    found = []
    for x in values:
        if isinstance(x, np.ndarray):
            x = fw.Tensor._from_array(x)
            if grad and x.dtype.is_floating_point:
                x.requires_grad_()
        found.append(x)
    return found


def _same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, tuple):
        for x, y in zip(a, b, strict=True):
            _same(x, y)
        return
    assert a.dtype is b.dtype and a.shape == b.shape and a.requires_grad == b.requires_grad
    assert a.stride() == b.stride() and a.storage_offset() == b.storage_offset()
    x, y = a.detach().numpy(), b.detach().numpy()
    if x.dtype.kind in "fc":
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5)
    elif x.dtype.kind in "bui":
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", sorted(OPS))
def test_later_calls_give_what_the_first_gave(name: str) -> None:
    op = OPS[name]
    samples = [s for s in op.sample(np.random.default_rng(7)) if s.raises is None]
    for number, sample in enumerate(samples[:6]):
        for grad in (False, True) if op.grad is not None and number < 3 else (False,):
            operands = _operands(sample.operands, grad)
            if not any(isinstance(x, fw.Tensor) for x in operands):
                continue
            first = op(*operands, **sample.attrs)
            for _ in range(CALLS):
                _same(op(*operands, **sample.attrs), first)


@pytest.mark.parametrize("fn", [
    lambda x: fw.softmax(x, -1), lambda x: fw.nn.functional.layer_norm(x, (6,)), lambda x: x * 2.0, lambda x: x.tanh(),
    lambda x: fw.cat([x, x]), lambda x: x.t() @ x, lambda x: x[:, 1:3] * x[1:2, 1:3], lambda x: x.sum(0),
])  # fmt: skip
def test_gradients_of_later_calls(fn: Any) -> None:
    x = fw.tensor(np.random.default_rng(1).standard_normal((4, 6))).requires_grad_()
    found = []
    for _ in range(CALLS):
        x.grad = None
        (fn(x) ** 2).sum().backward()
        found.append(x.grad)
    for later in found[1:]:
        _same(later, found[0])


def test_an_index_out_of_range_is_the_same_error_in_machine_code() -> None:
    x, good, bad = fw.randn(5, 3), fw.tensor([1, 4]), fw.tensor([1, 5])
    for _ in range(CALLS):
        assert x[good].shape == (2, 3)
        with pytest.raises(IndexError, match="out of bounds for dimension 0 with size 5"):
            x[bad]


def test_results_are_no_ones_memory() -> None:
    x = fw.randn(4, 4)
    for _ in range(CALLS):
        y = fw.softmax(x, -1)
        z = fw.softmax(x, -1)
        y.zero_()
        assert z.sum().item() == pytest.approx(4, abs=1e-5)


def test_views_of_views_know_their_offset() -> None:
    base = fw.arange(24).reshape(4, 6)
    for _ in range(CALLS):
        inner = base[1:].t()[2:]
        assert inner.storage_offset() == 8
        inner[0, 0] = -1
        assert base[1, 2] == -1


def test_reset_and_knobs_forget_what_was_compiled() -> None:
    x = fw.randn(3, 4)
    for _ in range(CALLS):
        fw.softmax(x, -1)
    (plan,) = [p for k, p in plans.PLANS.items() if k[0].name == "softmax"]
    assert callable(plan.native)
    with knobs.override(hot_ops=False):
        fw.softmax(x, -1)
        assert plan.native is False
    fw.softmax(x, -1)
    assert callable(plan.native)
    fw.compiler.reset()
    assert not plans.PLANS and not hot._found


def test_threads_share_what_is_compiled() -> None:
    x, wrong = fw.randn(3, 5), []
    expected = fw.softmax(x, -1)

    def work() -> None:
        for _ in range(50):
            if not fw.allclose(fw.softmax(x, -1), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_an_int_that_the_dtype_does_not_hold_is_no_call_of_a_known_kind() -> None:
    x = fw.tensor([1, 2, 3], dtype=fw.int8)
    for _ in range(3):
        assert (x + 1).tolist() == [2, 3, 4] and (x > 1).tolist() == [False, True, True]
        assert (x + 300).tolist() == [45, 46, 47]  # 300 wraps around to 44
        assert fw.where(x > 2, x, 7).tolist() == [7, 7, 3]
        with pytest.raises(RuntimeError, match="overflow"):
            fw.where(x > 2, x, 300)
        assert (x // 2).tolist() == [0, 1, 1]
        with pytest.raises(RuntimeError):
            x // 0
