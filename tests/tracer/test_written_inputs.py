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
