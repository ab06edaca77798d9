"""Reading and assigning through generated indices, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusewire as fw

SHAPE = (4, 1, 3, 5)


@st.composite
def basic_items(draw: Any, dim: int) -> Any:
    n = SHAPE[dim]
    if draw(st.booleans()):
        return draw(st.integers(-n, n - 1))
    bound = st.none() | st.integers(-n - 2, n + 2)
    return slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3)))


@st.composite
def basic_indices(draw: Any) -> Any:
    count = draw(st.integers(0, 4))
    items = [draw(basic_items(d)) for d in range(count)]
    if draw(st.booleans()):
        cut = draw(st.integers(0, count))
        items = [*items[:cut], Ellipsis] + [draw(basic_items(len(SHAPE) - count + d)) for d in range(cut, count)]
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), None)
    return tuple(items)


@st.composite
def tensor_indices(draw: Any) -> Any:
    """Two dimensions, next to each other or not, by integer arrays that broadcast; slices elsewhere."""
    first = draw(st.integers(0, 2))
    second = draw(st.integers(first + 1, 3))
    shape = draw(st.sampled_from([(), (2,), (3, 1), (0,)]))
    other = draw(st.sampled_from([shape, (1,) * len(shape)]))
    items: list[Any] = [slice(None)] * (second + 1)
    for d, s in ((first, shape), (second, other)):
        count = int(np.prod(s))
        flat = draw(st.lists(st.integers(-SHAPE[d], SHAPE[d] - 1), min_size=count, max_size=count))
        items[d] = np.array(flat, np.int64).reshape(s)
    return tuple(items)


def mine(index: Any) -> Any:
    return tuple(fw.tensor(i) if isinstance(i, np.ndarray) else i for i in index)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(basic_indices() | tensor_indices())
def test_reading(index: Any) -> None:
    a = np.arange(60.0).reshape(SHAPE)
    x = fw.from_numpy(a).requires_grad_()
    out = x[mine(index)]
    expected = a[index]
    assert tuple(out.shape) == expected.shape
    np.testing.assert_array_equal(out.detach().numpy(), expected)
    weight = np.random.default_rng(0).normal(size=expected.shape)
    (out * fw.tensor(weight)).sum().backward()
    grad = np.zeros(SHAPE)
    np.add.at(grad, index, weight)
    np.testing.assert_allclose(x.grad.numpy(), grad, atol=1e-12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(basic_indices(), st.booleans())
def test_assigning(index: Any, tracked: bool) -> None:
    a = np.arange(60.0).reshape(SHAPE)
    value = np.random.default_rng(1).normal(size=a[index].shape[-1:])
    x, v = fw.tensor(a, requires_grad=tracked), fw.tensor(value, requires_grad=tracked)
    target = x * 1
    target[index] = v
    expected = a.copy()
    expected[index] = value
    np.testing.assert_array_equal(target.detach().numpy(), expected)
    if tracked:
        weight = np.random.default_rng(2).normal(size=SHAPE)
        (target * fw.tensor(weight)).sum().backward()
        kept = weight.copy()
        kept[index] = 0
        np.testing.assert_allclose(x.grad.numpy(), kept)
        part = weight[index]
        lead = tuple(range(part.ndim - value.ndim))
        summed = part.sum(lead) if part.shape else part
        np.testing.assert_allclose(v.grad.numpy(), summed)


@pytest.mark.parametrize("mask_shape", [(4,), (4, 1, 3), SHAPE])
def test_masks(mask_shape: tuple[int, ...]) -> None:
    a = np.arange(60.0).reshape(SHAPE)
    mask = np.random.default_rng(4).integers(0, 2, mask_shape).astype(bool)
    np.testing.assert_array_equal(fw.tensor(a)[fw.tensor(mask)].numpy(), a[mask])
    x = fw.tensor(a)
    x[fw.tensor(mask)] = -1.0
    a[mask] = -1
    np.testing.assert_array_equal(x.numpy(), a)
    with pytest.raises(IndexError, match="shape of the mask"):
        fw.ones(3)[fw.tensor([True, False])]


def test_lists_and_mixed() -> None:
    a = np.arange(60).reshape(SHAPE)
    x = fw.tensor(a)
    for index in ([0, 2], ([1, 0], 0), (slice(1, 3), 0, [0, 2]), ([0, 1], slice(None), [2, 0]), ([[0, 1], [2, 3]],)):
        np.testing.assert_array_equal(x[index].numpy(), a[tuple(index) if isinstance(index, tuple) else index])
    with pytest.raises(IndexError, match="out of bounds for dimension 0 with size 4"):
        x[[4]]
    with pytest.raises(ValueError, match="step must be greater than zero"):
        x[::-1]


NEW_DIMENSIONS: list[tuple[Any, tuple[int, ...]]] = [
    (None, (20, 5, 1)), ((..., None), (5, 1, 1)), ((None, ..., None), (20, 5, 1, 1)), ((None, None), (20, 20, 5, 1)),
    ((slice(None), None), (5, 5, 1)), ((0, None), (5, 1)),
]  # fmt: skip


@pytest.mark.parametrize("index, expected", NEW_DIMENSIONS)
def test_strides_of_new_dimensions(index: Any, expected: tuple[int, ...]) -> None:
    """NumPy gives a new dimension a stride of 0; PyTorch, the ops and compiled code do not."""
    x, y = fw.ones(4, 5), fw.ones(4, 5, requires_grad=True)
    assert x[index].stride() == y[index].stride() == fw.compile(lambda x: x[index])(x).stride() == expected
