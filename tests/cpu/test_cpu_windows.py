"""Convolution, folding and pooling routines of the CPU back end: compiled against eager, with gradients, over awkward shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
import fusewire.nn.functional as F
from fusewire import knobs
from fusewire.eager import hot
from fusewire.ir.plan import RoutineStep
from fusewire.pipeline import OBSERVERS, Stages


def both(fn: Callable[..., Any], arrays: list[np.ndarray], tol: float) -> None:
    """`fn` eager and compiled, gradients of all operands included."""
    made = []
    for run in (fn, fw.compile(fn)):
        operands = [fw.tensor(a, requires_grad=True) for a in arrays]
        out = run(*operands)
        seed = np.random.default_rng(1).standard_normal(tuple(out.shape)).astype(arrays[0].dtype)
        out.backward(fw.tensor(seed))
        made.append([out.detach().numpy(), *(t.grad.numpy() for t in operands if t.grad is not None)])
    assert len(made[0]) == len(arrays) + 1
    for want, got in zip(*made, strict=True):
        assert want.shape == got.shape
        assert np.abs(want - got).max() <= tol * (np.abs(want).max() + 1e-9)


def draw(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((2, 4, 9, 8), (6, 4, 3, 3)), ((1, 3, 30, 40), (20, 3, 7, 7)), ((3, 5, 7, 7), (17, 5, 3, 3)),
    ((2, 16, 14, 14), (33, 16, 1, 1)),
    ((4, 8, 2, 2), (40, 8, 3, 3)), ((2, 300, 5, 5), (9, 300, 2, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("x", "w"), SHAPES)
@pytest.mark.parametrize("attrs", [(1, 1, 1), (2, 1, 1), (3, 2, 1), (1, 2, 2)])
def test_convolution(x: tuple[int, ...], w: tuple[int, ...], attrs: tuple[int, int, int]) -> None:
    stride, padding, dilation = attrs
    if dilation * (w[2] - 1) >= x[2] + 2 * padding:
        pytest.skip("the kernel does not fit")
    both(lambda x, w, b: F.conv2d(x, w, b, stride, padding, dilation), [draw(x), draw(w), draw(w[:1])], 1e-4)


def test_groups_lines_volumes_and_doubles() -> None:
    both(lambda x, w: F.conv2d(x, w, None, 1, 1, 1, 2), [draw((2, 4, 9, 8)), draw((6, 2, 3, 3))], 1e-4)
    both(lambda x, w: F.conv2d(x, w, None, 2, 1, 1, 4), [draw((2, 4, 9, 8)), draw((8, 1, 3, 3))], 1e-4)
    both(lambda x, w: F.conv1d(x, w, None, 1, 1), [draw((2, 4, 9)), draw((6, 4, 3))], 1e-4)
    both(lambda x, w: F.conv3d(x, w, None, 2, (1, 0, 0)), [draw((2, 4, 9, 5, 6)), draw((6, 4, 3, 2, 1))], 1e-4)
    both(lambda x, w: F.conv2d(x, w, None, 1, 1), [draw((2, 4, 9, 8), np.float64), draw((6, 4, 3, 3), np.float64)], 1e-12)
    both(lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 1), [draw((2, 4, 5, 5)), draw((4, 6, 3, 3))], 1e-4)


def test_many_pixels_read_the_kernel_backwards() -> None:
    """The other way to the gradient in the input: with few pixels columns are added up."""
    both(lambda x, w: F.conv2d(x, w, None, 1, 1), [draw((2, 5, 16, 16)), draw((20, 5, 3, 3))], 1e-4)
    both(lambda x, w: F.conv2d(x, w), [draw((2, 40, 16, 16)), draw((20, 40, 1, 1))], 1e-4)


def test_operands_in_other_orders() -> None:
    both(lambda x, w: F.conv2d(x.transpose(1, 3), w.transpose(0, 1), None, 1, 1), [draw((2, 9, 8, 4)), draw((4, 6, 3, 3))], 1e-4)
    both(lambda x, w: F.conv2d(x[:, :, ::2, 1:], w, None, 1, 1), [draw((2, 4, 18, 9)), draw((6, 4, 3, 3))], 1e-4)


def test_second_order() -> None:
    def slope(x: Any, w: Any) -> Any:
        (g,) = fw.autograd.grad((F.conv2d(x, w, None, 2, 1) ** 3).sum(), [x], create_graph=True)
        return (g * g).sum()

    grads = []
    for run in (F.conv2d, fw.compile(F.conv2d)):
        x, w = (fw.tensor(draw(s, np.float64), requires_grad=True) for s in ((2, 3, 6, 7), (4, 3, 3, 3)))
        (g,) = fw.autograd.grad((run(x, w, None, 2, 1) ** 3).sum(), [x], create_graph=True)
        (g * g).sum().backward()
        grads.append((x.grad.numpy(), w.grad.numpy()))  # type: ignore[union-attr]
    for want, got in zip(*grads, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kw", [
    {"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": (3, 2), "stride": 3, "ceil_mode": True, "padding": 1}, {"kernel_size": 2, "stride": 2, "dilation": 2},
])  # fmt: skip
def test_pooling_with_ties_and_nan(kw: dict[str, Any], dtype: Any, odd: bool) -> None:
    for shape in ((2, 3, 8, 9), (1, 2, 40, 37), (2, 2, 5, 5)):
        x = np.round(2 * draw(shape, dtype)) / 2
        if odd:
            x.reshape(-1)[::7], x.reshape(-1)[::5] = np.nan, -np.inf

        def fn(t: Any) -> Any:
            return F.max_pool2d(t, return_indices=True, **kw)

        for want, got in zip(fn(fw.tensor(x)), fw.compile(fn)(fw.tensor(x)), strict=True):
            np.testing.assert_array_equal(got.numpy(), want.numpy())
            assert got.dtype is want.dtype


def test_a_convolution_is_one_routine_and_reads_no_columns() -> None:
    seen: list[Stages] = []
    OBSERVERS.append(seen.append)
    try:
        fw.compile(lambda x, w: F.conv2d(x, w))(fw.tensor(draw((1, 4, 9, 9))), fw.tensor(draw((6, 4, 3, 3))))
    finally:
        OBSERVERS.remove(seen.append)
    (routine,) = (s for s in seen[-1].plan.steps if isinstance(s, RoutineStep))
    assert routine.routine.startswith("conv f32")
    columns = 4 * 9 * 7 * 7
    assert all(isinstance(b.size, int) and b.size < columns for b in seen[-1].plan.buffers)


def test_parts_of_a_convolution_give_what_one_thread_gives() -> None:
    before = fw.get_num_threads()
    x, w = fw.tensor(draw((4, 64, 40, 40))), fw.tensor(draw((64, 64, 3, 3)))
    try:
        results = []
        for threads in (1, 2):
            fw.set_num_threads(threads)
            results.append(fw.compile(lambda x, w: F.conv2d(x, w, None, 1, 1))(x, w).numpy())
    finally:
        fw.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_knob_hot_ops() -> None:
    """A heavy eager op compiles at its third call, and never with the knob off."""
    x, w = fw.tensor(draw((1, 8, 32, 32))), fw.tensor(draw((8, 8, 3, 3)))
    for on in (False, True):
        hot._found.clear()
        with knobs.override(hot_ops=on):
            results = [F.conv2d(x, w).numpy() for _ in range(4)]
        assert any(type(v) is not int for v in hot._found.values()) is on
        np.testing.assert_allclose(results[-1], results[0], rtol=1e-4, atol=1e-4)
