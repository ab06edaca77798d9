"""Compiled writes to inputs that eager code has saved for a gradient count, also to tensors that had no storage yet."""

from __future__ import annotations

import pytest

import fusewire as fw


def test_a_saved_input_that_a_compiled_function_writes_to() -> None:
    @fw.compile
    def write(x: fw.Tensor) -> None:
        x.add_(1)

    for _ in range(4):  # the first call is Python's, later ones are the native entry's
        x, w = fw.zeros(3), fw.ones(3, requires_grad=True)
        total = (x * w).sum()
        write(x)
        assert x._version == 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            total.backward()


def test_versions_behind_a_compiled_write() -> None:
    def f(x: fw.Tensor) -> bool:
        x.add_(1)
        return x._version > 0

    compiled = fw.compile(f)
    assert [compiled(fw.zeros(n)) for n in (3, 3, 4, 5, 5, 6)] == [True] * 6


def test_what_a_compiled_graph_saves_goes_through_the_hooks() -> None:
    def f(x: fw.Tensor, w: fw.Tensor) -> fw.Tensor:
        return ((x @ w).sigmoid().exp() * x.sum()).sum()

    def kept(fn: object) -> tuple[int, int, list[float], list[float]]:
        packed: list[fw.Tensor] = []
        unpacked: list[fw.Tensor] = []

        def pack(x: fw.Tensor) -> fw.Tensor:
            packed.append(x)
            return x.detach().clone()

        def unpack(x: fw.Tensor) -> fw.Tensor:
            unpacked.append(x)
            return x

        x, w = fw.arange(9.0).reshape(3, 3) / 9, fw.ones(3, 3, requires_grad=True)
        with fw.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = fn(x, w)  # type: ignore[operator]
        x.zero_()  # what the hooks keep is theirs
        (plain,) = fw.autograd.grad(y, w)
        with fw.autograd.graph.saved_tensors_hooks(lambda x: x * 0, lambda x: x):
            y = fn(x, w)  # type: ignore[operator]
        (spoilt,) = fw.autograd.grad(y, w)
        return len(packed), len(unpacked), plain.flatten().tolist(), spoilt.flatten().tolist()

    compiled = fw.compile(f)
    _, _, plain, spoilt = kept(f)
    for _ in range(3):
        packed, unpacked, mine, other = kept(compiled)
        assert 0 < packed == unpacked
        assert mine == pytest.approx(plain, rel=1e-5)
        assert other == spoilt == [0.0] * 9
