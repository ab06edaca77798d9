"""Compiled programs through the native entry, on the library's own Tensor."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import fusewire
from fusewire import compiler, entrance, knobs
from fusewire.backends.entry import Variant, process


@pytest.fixture(autouse=True, scope="module")
def small_classes() -> Any:
    """The library's Tensor here, not the small one."""
    if process.Classes.tensor is not fusewire.Tensor:
        entrance._refusal.clear()
        process.Classes.tensor = None
    return None


def native(fn: Any) -> list[Variant]:
    return compiler.dispatcher_of(fn).native.entry.variants  # type: ignore[union-attr]


def rand(*shape: int, requires_grad: bool = False) -> Any:
    made = fusewire.tensor(np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32))
    return made.requires_grad_() if requires_grad else made


def test_a_hit_runs_the_plan() -> None:
    @compiler.compile
    def f(x: Any, y: Any, scale: Any = 2.0) -> Any:
        return x * y + x * scale

    x, y = rand(64), rand(64)
    for scale in (2.0, 3.5, -1.0):
        for _ in range(3):
            np.testing.assert_array_equal(f(x, y, scale=scale).numpy(), (x * y + x * scale).numpy())
    (variant,) = native(f)
    assert variant.hits == 8 and len(variant.plan.steps) == 1


def test_calls_that_record_run_the_plan_and_give_gradients() -> None:
    def loss(x: Any, w: Any) -> Any:
        return (x @ w).tanh().sum()

    compiled = compiler.compile(loss)
    x, w = rand(8, 16), rand(16, 4, requires_grad=True)
    loss(x, w).backward()
    wanted, w.grad = w.grad.numpy().copy(), None
    for _ in range(3):
        compiled(x, w).backward()
        np.testing.assert_allclose(w.grad.numpy(), wanted, rtol=1e-5, atol=1e-6)
        w.grad = None
    (variant,) = native(compiled)
    assert variant.hits == 2 and len(variant.plan.steps) > 0
    with fusewire.no_grad():
        assert not compiled(x, w).requires_grad


def test_writes_count_in_the_storage() -> None:
    @compiler.compile
    def step(x: Any, g: Any) -> Any:
        x.add_(g)
        return x

    x, g = rand(32), rand(32)
    expected = x.numpy() + 5 * g.numpy()
    storage = x.storage
    before = storage.version
    for _ in range(5):
        assert step(x, g) is x
    assert storage.version == before + 5 and native(step)[0].hits == 4
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_an_index_out_of_range_raises_what_eager_raises() -> None:
    def pick(x: Any, i: Any) -> Any:
        return x.gather(0, i) * 2.0

    compiled = compiler.compile(pick)
    x, good, bad = rand(8), fusewire.tensor([1, 2]), fusewire.tensor([1, 99])
    assert compiled(x, good).tolist() == pick(x, good).tolist()
    errors = []
    for f in (pick, compiled):
        with pytest.raises(Exception) as caught:
            f(x, bad)
        errors.append((type(caught.value), str(caught.value)))
    assert errors[0] == errors[1]
    assert compiled(x, good).tolist() == pick(x, good).tolist()


def test_a_wrapper_of_a_compiled_function_is_not_that_function() -> None:
    @compiler.compile
    def f(x: Any) -> Any:
        return x + 1

    @functools.wraps(f)
    def twice(x: Any) -> Any:
        return f(x) * 2

    x = rand(4)
    assert compiler.compile(twice)(x).tolist() == twice(x).tolist() == ((x + 1) * 2).tolist()
    with pytest.raises(TypeError, match="not compiled"):
        compiler.dispatcher_of(twice)

    @compiler.compile
    def outer(x: Any) -> Any:
        return twice(x) - 1

    assert outer(x).tolist() == ((x + 1) * 2 - 1).tolist()


def test_the_knob_turns_it_off() -> None:
    with knobs.override(native_entry=False):
        f = compiler.compile(lambda x: x + 1)
        assert compiler.dispatcher_of(f).native is None and f(rand(3)).tolist() == (rand(3) + 1).tolist()


def test_a_training_call_that_writes_an_input_is_native() -> None:
    """The record keeps what was in it, for derivatives of any order."""
    def step(x: Any, s: Any) -> Any:
        y = x * s
        s.mul_(2.0)
        return (y * y).sum()

    compiled = compiler.compile(step)
    x, s = fusewire.tensor([1.0, 2.0, 3.0]).requires_grad_(True), fusewire.tensor([1.0, 1.0, 2.0])
    for _ in range(3):
        before, version = s.numpy().copy(), s._version
        (g,) = fusewire.autograd.grad(compiled(x, s), [x], create_graph=True)
        (gg,) = fusewire.autograd.grad(g.sum(), [x])
        np.testing.assert_array_equal(g.detach().numpy(), 2 * x.detach().numpy() * before**2)
        np.testing.assert_array_equal(gg.numpy(), 2 * before**2)
        np.testing.assert_array_equal(s.numpy(), 2 * before)
        assert s._version == version + 1
    assert compiler.dispatcher_of(compiled).variants[0].hits == 1  # the first call only; the others never saw Python


def test_graphs_without_ops_are_served_natively() -> None:
    x, y = rand(8, 4), rand(6)
    for fn in (lambda x, y: x, lambda x, y: (y, x), lambda x, y: x.to(x.dtype), lambda x, y: {"x": x}, lambda x, y: None):
        compiled = compiler.compile(fn)
        for _ in range(3):
            found, wanted = compiled(x, y), fn(x, y)
            assert type(found) is type(wanted)
            pairs = zip(found, wanted, strict=True) if isinstance(found, tuple) else [(found, wanted)]
            assert all(a is b or a == {"x": x} for a, b in pairs)
        (variant,) = native(compiled)
        assert variant.hits == 2 and variant.plan.steps == ()


def test_views_of_every_dtype() -> None:
    def views(x: Any) -> Any:
        return x[1:], x.t(), x[:, 2:4]

    compiled = compiler.compile(views)
    for dtype in (fusewire.bfloat16, fusewire.float16, fusewire.float32, fusewire.bool, fusewire.int64):
        x = fusewire.ones(5, 6).to(dtype)
        for given in (x, x[1:], x.t()):
            for _ in range(2):
                for a, b in zip(compiled(given), views(given), strict=True):
                    assert (a.stride(), a.shape, a.dtype) == (b.stride(), b.shape, b.dtype)
                    assert a.storage_offset() == b.storage_offset()
                    assert a.storage is b.storage
