"""One kernel on many sets of arguments by one call of machine code: a loop of Python over small tensors spends its time between.

Knows no kernel; keeps nothing. Importing it loads no llvmlite.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache

from . import kept

_TEXT = """
define i32 @each(ptr %code, i64 %count, ptr %args, i64 %na, ptr %sizes, i64 %ns, ptr %scalars, i64 %nw) {
entry:
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %loop, label %done
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %good ]
  %a0 = mul nsw i64 %i, %na
  %a = getelementptr ptr, ptr %args, i64 %a0
  %s0 = mul nsw i64 %i, %ns
  %s = getelementptr i64, ptr %sizes, i64 %s0
  %w0 = mul nsw i64 %i, %nw
  %w = getelementptr i64, ptr %scalars, i64 %w0
  %status = call i32 %code(ptr %a, ptr %s, ptr %w, ptr null, i64 0, i64 1)
  %bad = icmp ne i32 %status, 0
  br i1 %bad, label %failed, label %good
good:
  %next = add nsw i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done
failed:
  ret i32 %status
done:
  ret i32 0
}
"""


@lru_cache(maxsize=1)
def each() -> Callable[[int, int, int, int, int, int, int, int], int]:
    """``run(code, count, args, na, sizes, ns, scalars, nw)``: call number i of the kernel at address `code` gets `na` pointers,
    `ns` sizes and `nw` scalars, 8 bytes each, from the i-th piece of the memory at these addresses on. Needs no scratch, runs on
    this thread without the interpreter lock, and gives the status of the first call that fails, else 0."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p, ctypes.c_int64] * 4)
    address = kept.routine("each", lambda: _TEXT, level=1, passes=())["each"]
    return kind(address)
