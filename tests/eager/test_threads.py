"""Threads of matrix products."""

from __future__ import annotations

import pytest

import fusewire as fw


def test_threads_are_set_and_told() -> None:
    before = fw.get_num_threads()
    try:
        fw.set_num_threads(1)
        assert fw.get_num_threads() == 1
        a = fw.randn(64, 64)
        assert fw.matmul(a, a).shape == (64, 64)
    finally:
        fw.set_num_threads(before)
    with pytest.raises(ValueError, match="at least 1 thread, not 0"):
        fw.set_num_threads(0)
