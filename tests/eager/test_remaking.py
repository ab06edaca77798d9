"""Other memory and other shapes in place, memory formats, questions about dtypes, corners of operators; beside PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fusewire

ASKED: dict[str, Callable[[Any], Any]] = {
    "resize_": lambda m: m.arange(4).resize_(2, 2), "resize_as_": lambda m: m.arange(4).resize_as_(m.ones(2, 2)),
    "grown": lambda m: m.ones(2).resize_(3)[:2], "set_": lambda m: m.ones(2).set_(m.zeros(3)),
    "apply_": lambda m: m.ones(2).apply_(lambda v: v + 1), "map_": lambda m: m.ones(2).map_(m.ones(2), lambda a, b: a + b),
    "storage": lambda m: len(m.ones(2).untyped_storage()), "bernoulli": lambda m: m.ones(2).bernoulli(),
    "result_type": lambda m: (m.result_type(m.ones(2, dtype=m.int8), 1.5), m.result_type(m.ones(2), m.tensor(300))),
    "can_cast": lambda m: [m.can_cast(getattr(m, a), getattr(m, b)) for a in KINDS for b in KINDS],
    "broadcast_shapes": lambda m: m.broadcast_shapes((2, 1), (3,)), "typename": lambda m: m.typename(m.ones(1)),
    "unravel_index": lambda m: m.unravel_index(m.tensor([5, 1]), (2, 3)),
    "left": lambda m: (1 << m.tensor([1, 2]), 9 >> m.tensor([1, 2])),
    "channels last": lambda m: m.ones(2, 3, 4, 5).contiguous(memory_format=m.channels_last).stride(),
    "asked": lambda m: m.ones(2, 3, 4, 5).to(memory_format=m.channels_last).is_contiguous(memory_format=m.channels_last),
    "clone": lambda m: (m.ones(2, 3).T.clone(memory_format=m.contiguous_format).stride(), m.ones(2, 3).T.clone().stride()),
    "format": lambda m: (f"{m.tensor(1.25):.1f}", f"{m.ones(2)}"), "names": lambda m: (m.newaxis, m.get_device(m.ones(1))),
    "median of NaN": lambda m: m.tensor([[1.0, float("nan")], [3.0, 2.0]]).median(1),
    "square": lambda m: m.tensor([True]).square(),
    "max of bools": lambda m: m.tensor([[True, False]]).max(1), "clamp of bools": lambda m: m.tensor([True]).clamp(max=0),
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[Any], Any], type[BaseException]]] = {
    "format": (lambda m: f"{m.ones(2):.2f}", TypeError), "truth of none": (lambda m: bool(m.ones(0)), RuntimeError),
    "minus a bool": (lambda m: m.tensor([True]) - 1, RuntimeError),
    "minus True": (lambda m: m.tensor([1]) - True, RuntimeError),
    "resize": (lambda m: m.ones(2, requires_grad=True).resize_(3), RuntimeError),
    "text": (lambda m: m.tensor(["a"]), ValueError),
    "None": (lambda m: m.tensor([None]), RuntimeError), "broadcast": (lambda m: m.broadcast_shapes((2,), (3,)), RuntimeError),
}  # fmt: skip
KINDS = ("bool", "uint8", "int8", "int64", "float16", "float32")


@pytest.mark.parametrize("name", ASKED)
def test_answers_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    assert repr(ASKED[name](fusewire)) == repr(ASKED[name](torch))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_in_pytorch(name: str) -> None:
    fn, error = REFUSED[name]
    with pytest.raises(error):
        fn(fusewire)
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    with pytest.raises(error):
        fn(torch)


def test_memory_is_kept_where_it_suffices() -> None:
    x = fusewire.arange(6)
    y = x[2:]
    y.resize_(2, 2)
    y[0, 0] = -1
    assert x.tolist() == [0, 1, -1, 3, 4, 5] and y.untyped_storage() == x.untyped_storage()
    z = fusewire.zeros(0).set_(fusewire.ones(4), 1, (2,), (2,))
    assert z.tolist() == [1.0, 1.0] and z.storage_offset() == 1


def test_a_channels_last_tensor_has_the_same_values_and_gradients() -> None:
    x = fusewire.randn(2, 3, 4, 5, requires_grad=True)
    y = x.contiguous(memory_format=fusewire.channels_last)
    assert fusewire.equal(x, y) and not y.is_contiguous()
    (y * 2).sum().backward()
    assert (x.grad == 2).all()
