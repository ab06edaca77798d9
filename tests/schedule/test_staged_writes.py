"""What a kernel reads before it writes there is not read again by the kernels that it is split into."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as fw
from fusewire.ir import work


def test_a_loop_apart_does_not_read_again_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "WORTH", 1)
    monkeypatch.setattr(work, "CHUNK", 1)

    def f(b: Any, x: Any) -> Any:
        b.add_(1.0)
        v = x * b
        return v * 0.5 + v, v

    b = fw.ones(1)
    both, v = fw.compile(f)(b, fw.ones(3, 4, 5))
    assert b.tolist() == [2.0]
    assert (both.min().item(), both.max().item(), v.min().item(), v.max().item()) == (3.0, 3.0, 2.0, 2.0)
