"""Rules of PyTorch that programs lean on: weak integers, positions, division by zero; eager and compiled alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fusewire as fw

BYTES = fw.tensor([1, 200], dtype=fw.uint8)
SMALL = fw.tensor([1, -100], dtype=fw.int8)
TABLE = fw.arange(6.0).reshape(2, 3)


def both(fn: Callable[..., Any], *args: Any) -> list[Any]:
    """What `fn` gives or raises, eager; the compiled one must do the same."""
    found = []
    for run in (fn, fw.compile(fn)):
        try:
            out = run(*args)
            found.append((out.tolist(), out.dtype))
        except RuntimeError as e:
            found.append((type(e).__mro__, str(e)))
    assert found[0] == found[1]
    return list(found[0])


@pytest.mark.parametrize("n", [300, -1, 2**40])
@pytest.mark.parametrize("x", [BYTES, SMALL], ids=["u8", "i8"])
@pytest.mark.parametrize("name", ["add", "mul", "sub", "lt", "eq", "maximum", "bitwise_and"])
def test_weak_integers_wrap(name: str, x: Any, n: int) -> None:
    bits = (n + 128) % 256 - 128 if x is SMALL else n % 256
    fn = getattr(fw, name)
    literal = both(lambda x: fn(x, n), x)
    assert literal == both(lambda x, n: fn(x, n), x, n) == both(lambda x: fn(x, bits), x)


@pytest.mark.parametrize("fn", [
    lambda x: x**300, lambda x: fw.where(x > 1, x, 300), lambda x: x.clamp(max=300),
    lambda x: x + fw.full((2,), 300, dtype=fw.uint8),
])  # fmt: skip
def test_where_pytorch_refuses_a_weak_integer_so_do_we(fn: Callable[..., Any]) -> None:
    kinds, text = both(fn, BYTES)
    assert OverflowError in kinds and RuntimeError in kinds
    assert text.startswith("value cannot be converted to type uint8_t without overflow")


@pytest.mark.parametrize("fn", [lambda x, y: x // y, lambda x, y: x % y, lambda x, y: x // 0, lambda x, y: (x + 1) % 0])
def test_integer_division_by_zero_is_both_errors(fn: Callable[..., Any]) -> None:
    kinds, text = both(fn, fw.tensor([3, 4]), fw.tensor([1, 0]))
    assert ZeroDivisionError in kinds and RuntimeError in kinds
    assert "ZeroDivisionError" in text


def test_positions_may_be_int32_and_are_checked() -> None:
    at = fw.tensor([[1, 0]], dtype=fw.int32)
    assert both(lambda x, i: fw.gather(x, 1, i), TABLE, at)[0] == [[1.0, 0.0]]
    assert both(lambda x, i: fw.scatter_add(x, 1, i, x[:1, :2]), TABLE, at)[0] == [[1.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    for wrong in (9, -1):
        kinds, text = both(lambda x, i: fw.gather(x, 1, i), TABLE, fw.tensor([[0, wrong]], dtype=fw.int32))
        assert IndexError in kinds and RuntimeError in kinds
        assert text == f"index {wrong} is out of bounds for dimension 1 with size 3"
    _, text = both(lambda x, i: fw.gather(x, 1, i), TABLE, at.to(fw.int16))
    assert text.startswith("gather(): Expected dtype int32/int64 for index")


def test_any_and_all_of_bytes_are_bytes() -> None:
    pair = fw.tensor([2, 4], dtype=fw.uint8)
    assert both(lambda x: x.any(0) + x.all(), pair) == [2, fw.uint8]
    assert both(lambda x: x.all(), fw.tensor([2.0, 0.0])) == [False, fw.bool]
