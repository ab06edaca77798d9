"""Half types lie in memory as float32 does, expanded operands included."""

from __future__ import annotations

import pytest

import fusewire as fw


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_results_of_expanded_operands(dtype: str) -> None:
    def strides(kind: fw.dtype) -> list[tuple[int, ...]]:
        a = fw.ones(1, 5, dtype=kind).unsqueeze(0).expand(2, 1, 5)
        b = fw.ones(3, 1, dtype=kind).expand(3, 4).t()
        c = fw.ones(2, 1, 3, dtype=kind).expand(2, 4, 3).permute(2, 0, 1)
        return [t.stride() for x in (a, b, c) for t in (x * 2, x.detach() * 2 + x, fw.exp(x), x - x.contiguous())]

    assert strides(getattr(fw, dtype)) == strides(fw.float32)
