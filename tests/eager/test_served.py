"""Functions that become one call of machine code give what they gave op by op: values, dtypes, strides, histories, errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import knobs
from fusewire.eager import hot, served
from fusewire.nn import functional as F

X = fw.tensor(np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32))
Y = fw.tensor(np.random.default_rng(1).standard_normal((6, 8)).astype(np.float32))
ROW = fw.tensor([1, 7, 0, 3, 3, 2])
PICTURE = fw.tensor(np.random.default_rng(2).standard_normal((2, 4, 6, 6)).astype(np.float32))

CALLS: dict[str, Callable[[], Any]] = {
    "nll_loss": lambda: F.nll_loss(X, ROW), "nll_loss of weights": lambda: F.nll_loss(X, ROW, X[0], reduction="none"),
    "bce": lambda: F.binary_cross_entropy_with_logits(X, Y), "smooth_l1": lambda: F.smooth_l1_loss(X, Y, beta=0.5),
    "normalize": lambda: F.normalize(X, dim=0), "cosine_similarity": lambda: F.cosine_similarity(X, Y),
    "group_norm": lambda: F.group_norm(PICTURE, 2), "nearest": lambda: F.interpolate(PICTURE, scale_factor=2),
    "bilinear": lambda: F.interpolate(PICTURE, size=(9, 5), mode="bilinear"), "dot": lambda: fw.dot(X[0], Y[1]),
    "mv": lambda: fw.mv(X, Y[2]), "outer": lambda: fw.outer(X[0], Y[:, 1]), "var": lambda: X.var(),
    "std": lambda: X.std(1, keepdim=True),
    "var_mean": lambda: fw.var_mean(X, 0), "norm": lambda: X.norm(dim=1), "lerp": lambda: fw.lerp(X, Y, 0.25),
    "max": lambda: X.max(1), "min": lambda: Y.t().min(1, keepdim=True), "topk": lambda: X.topk(3), "sort": lambda: X.sort(0),
    "kthvalue": lambda: X.kthvalue(2), "median": lambda: X.median(0), "median of all": lambda: Y.median(),
}  # fmt: skip


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(served, "WAIT", 2)
    hot.forget()
    yield
    hot.forget()


def compiled() -> int:
    """How many kinds of calls are served by machine code now."""
    return sum(type(known) is tuple for table in hot.tables for known in table.values())


def parts(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("name", CALLS)
def test_a_served_call_gives_what_the_function_gives(name: str) -> None:
    call = CALLS[name]
    first = call()
    call(), call()
    assert compiled(), "no machine code serves this call"
    last = call()
    assert type(first) is type(last)
    for a, b in zip(parts(first), parts(last), strict=True):
        assert a.dtype is b.dtype and a.stride() == b.stride() and a.shape == b.shape
        assert not b.requires_grad and b._version == 0 and not np.may_share_memory(b.numpy(), X.numpy())
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-6, atol=2e-6)


def test_numbers_and_words_are_part_of_the_kind() -> None:
    zeros = fw.zeros(3)
    for _ in range(3):
        assert fw.lerp(zeros, zeros + 1, 0.0).tolist() == [0, 0, 0] and fw.lerp(zeros, zeros + 1, 1.0).tolist() == [1, 1, 1]
        assert fw.lerp(zeros, zeros + 1, -0.0).signbit().tolist() == fw.lerp(zeros, zeros + 1, 0.0).signbit().tolist()
        assert F.nll_loss(X, ROW, reduction="none").shape == (6,) and F.nll_loss(X, ROW, reduction="sum").shape == ()


def test_gradients_go_op_by_op() -> None:
    x = X.clone().requires_grad_()
    for _ in range(4):
        with fw.no_grad():
            assert not x.norm().requires_grad
    assert compiled() == 1
    x.grad = None
    x.norm().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), (X / X.norm()).numpy(), rtol=1e-5)


def test_an_error_of_the_machine_code_is_the_functions_own() -> None:
    wrong = ROW.clone()
    for _ in range(4):
        F.nll_loss(X, wrong)
    assert compiled() == 1
    wrong[2] = 11
    with pytest.raises(IndexError):
        F.nll_loss(X, wrong)
    wrong[2] = -100
    kept = [X.numpy()[i, c] for i, c in enumerate(wrong.tolist()) if c >= 0]
    assert F.nll_loss(X, wrong).item() == pytest.approx(-np.mean(kept))


def test_what_returns_memory_of_its_operands_or_writes_is_not_served() -> None:
    state = {"view": lambda x: x[1:], "same": lambda x: x, "both": lambda x: (x + 1, x.view(-1)),
             "value": lambda x: x * x.sum().item(), "write": lambda x: x.add_(1),
             "halves": lambda x: tuple((x + 1).chunk(2)), "draw": lambda x: x + fw.rand(8),
             "outside": lambda x: x + Y[0]}  # fmt: skip
    for name, fn in state.items():
        x, function = X.clone(), served.served(fn)
        for _ in range(5):
            function(x)
        assert not compiled(), name


def test_nothing_is_served_while_hot_ops_are_off_or_another_default_dtype_is_set() -> None:
    with knobs.override(hot_ops=False):
        for _ in range(4):
            X.norm()
        assert not compiled()
    for _ in range(4):
        X.norm()
    assert compiled() == 1
    with knobs.override(hot_ops=False):
        assert X.norm().dtype is fw.float32
    for _ in range(4):
        X.norm()
    fw.set_default_dtype(fw.float64)
    try:
        assert not compiled()
    finally:
        fw.set_default_dtype(fw.float32)


def test_a_value_that_is_no_number_of_bins_is_refused() -> None:
    for dtype in (fw.int64, fw.int32, fw.uint8):
        assert fw.bincount(fw.tensor([1, 0, 1], dtype=dtype)).tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="no number of bins"):  # NumPy writes outside of its memory
        fw.bincount(fw.tensor([(1 << 63) - 1, 1]))


def test_lerp_arrives_where_its_weight_is_one() -> None:
    far, near = fw.tensor([1e8, float("inf"), 0.5]), fw.tensor([0.3, 2.0, 0.7])
    for _ in range(4):
        assert fw.lerp(far, near, 1.0).tolist()[::2] == far.clone().lerp_(near, 1).tolist()[::2] == near.tolist()[::2]
        assert fw.lerp(far, near, 0.0).tolist()[::2] == far.tolist()[::2]
        assert fw.lerp(far, near, fw.tensor([1.0, 1.0, 0.0])).tolist()[::2] == [near[0].item(), far[2].item()]


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_points_that_are_no_numbers_are_read_nowhere(mode: str, padding: str) -> None:
    points = fw.zeros(1, 2, 2, 2)
    points[0, 0, 0] = float("nan")
    points[0, 0, 1] = float("inf")
    points[0, 1, 0] = -1e30
    for run in (F.grid_sample, fw.compile(F.grid_sample)):
        for _ in range(4):
            found = run(PICTURE[:1], points, mode, padding, False)
            assert fw.equal(found[..., 1, 1], F.grid_sample(PICTURE[:1], points[:, 1:, 1:], mode, padding, False)[..., 0, 0])


@pytest.mark.parametrize("value", [True, 3, 2.5])
def test_one_element_is_in_order(value: Any) -> None:
    x = fw.tensor(value)
    for run in (lambda x: x.sort(descending=True), fw.compile(lambda x: x.sort(descending=True))):
        values, places = run(x)
        assert values.item() == value and places.item() == 0 == x.argsort().item() and places.dtype is fw.int64
