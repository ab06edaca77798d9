"""What a compiled graph's gradients do not reach keeps None, and memory that was written through one input is read afresh."""

from __future__ import annotations

import pytest

import fusewire as fw


def test_an_input_that_no_gradient_reaches_keeps_none() -> None:
    @fw.compile
    def fn(a: fw.Tensor, b: fw.Tensor) -> tuple[fw.Tensor, ...]:
        return a * 2, b.detach() + a, b * 3

    a, b = fw.ones(2, requires_grad=True), fw.ones(2, requires_grad=True)
    first, second, _ = fn(a, b)
    (first + second).sum().backward()
    assert a.grad is not None and a.grad.tolist() == [3, 3] and b.grad is None


def test_zeros_do_not_go_on_into_a_history_that_is_used_up() -> None:
    table: dict[str, fw.Tensor] = {}

    @fw.compile
    def fn(x: fw.Tensor) -> fw.Tensor:
        y = x * 2
        table["y"] = y
        return y + 1

    for _ in range(3):
        x = fw.ones(2, requires_grad=True)
        fn(x).sum().backward()
        assert x.grad is not None and x.grad.tolist() == [2, 2]


@pytest.mark.parametrize("second", [lambda x: x, lambda x: x.view(-1), lambda x: x[1:]])
def test_an_input_read_after_a_write_through_another(second) -> None:  # type: ignore[no-untyped-def]
    def fn(a: fw.Tensor, b: fw.Tensor) -> fw.Tensor:
        a.mul_(0.5)
        return b * 2

    compiled = fw.compile(fn)
    compiled(fw.arange(5.0), fw.arange(5.0))
    x, y = fw.arange(5.0), fw.arange(5.0)
    assert compiled(x, second(x)).tolist() == fn(y, second(y)).tolist()


def test_a_gradient_has_memory_for_each_element() -> None:
    for fn in (lambda x: x.sum(), lambda x: x.sum(dim=1, keepdim=True)):
        found = []
        for call in (fn, fw.compile(fn)):
            x = fw.ones(3, 4, requires_grad=True)
            call(x).sum().backward()
            assert x.grad is not None
            x.grad[0, 1] = 7.0
            found.append((x.grad.stride(), x.grad.tolist()))
        assert found[0] == found[1]


def test_no_write_to_an_expanded_view_that_a_capture_returned() -> None:
    def fn(x: fw.Tensor) -> fw.Tensor:
        wide = x.expand(2, 3)
        wide[:1, 1:2] += 1.0
        wide.mul_(2.0)
        return wide

    for call in (fn, fw.compile(fn)):
        x = fw.ones(1)
        with pytest.raises(RuntimeError, match="single memory location"):
            call(x)
        assert x.tolist() == [2.0]


def test_an_unused_result_with_an_infinite_derivative() -> None:
    def fn(x: fw.Tensor) -> tuple[fw.Tensor, ...]:
        return fw.log(x), x * 2

    for call in (fn, fw.compile(fn)):
        x = fw.tensor([0.0, 1.0], requires_grad=True)
        call(x)[1].sum().backward()
        assert x.grad is not None and x.grad.tolist() == [2.0, 2.0]


def test_a_gradient_of_zeros_beside_a_missing_one() -> None:
    def fn(x: fw.Tensor) -> tuple[fw.Tensor, ...]:
        return fw.tanh(fw.sign(x) + 1), x + 3

    for call in (fn, fw.compile(fn)):
        x = fw.ones(1, requires_grad=True)
        call(x)[0].sum().backward()
        assert x.grad is not None and x.grad.tolist() == [0.0]


def test_leaves_made_inside_get_their_gradients() -> None:
    def f(x):
        leaf = fw.ones(3, requires_grad=True)
        (leaf * leaf * x).sum().backward()
        return leaf

    x = fw.tensor([1.0, 2.0, 3.0])
    want, got = f(x), fw.compile(f)(x)
    assert got.is_leaf and got.grad.tolist() == want.grad.tolist() == [2.0, 4.0, 6.0]
