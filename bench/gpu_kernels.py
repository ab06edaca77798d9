"""A user's Triton kernel that writes down its arguments: what launches must get right. Needs triton."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

#: what `echoed` gives where launches are right
WANTED = ([7, 1 << 40, 1, 1, -3, 2000], [2.5, -0.125])


@triton.jit  # type: ignore[untyped-decorator]
def echo(whole_ptr, real_ptr, a, b, one, flag, negative, n, x, y, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Store every argument."""
    tl.store(whole_ptr, a)
    tl.store(whole_ptr + 1, b)
    tl.store(whole_ptr + 2, one)
    tl.store(whole_ptr + 3, flag.to(tl.int64))
    tl.store(whole_ptr + 4, negative)
    count = tl.zeros((BLOCK,), tl.int64) + 1
    tl.store(whole_ptr + 5, tl.sum(tl.where(tl.arange(0, BLOCK) < n, count, 0)))
    tl.store(real_ptr, x)
    tl.store(real_ptr + 1, y)


def echoed(fw: Any) -> tuple[list[int], list[float]]:
    """What the kernel was given, read back."""
    whole, real = fw.zeros(6, dtype=fw.int64, device="cuda"), fw.zeros(2, dtype=fw.float32, device="cuda")
    echo[(1,)](whole, real, 7, 1 << 40, 1, True, -3, 2000, 2.5, -0.125, BLOCK=2048)
    return whole.tolist(), real.tolist()
