"""The machine code that launches a whole plan: one call for all kernels, each by the driver's own entry point. LLVM text."""

from __future__ import annotations

#: i64 words of one launch in the table that the routine walks: function, grid, threads, shared bytes, address of the arguments
WORDS = 7


def text() -> str:
    """The module of ``i64 launch_all(i64 driver, i64 table, i64 count, i64 stream)``. It gives 0, or ``number << 32 | status``
    of the first launch that the driver refuses, counted from 1."""
    loads = "\n".join(
        f"  %p{k} = getelementptr i64, ptr %row, i64 {k}\n  %w{k} = load i64, ptr %p{k}" for k in range(WORDS)
    )
    narrow = "\n".join(f"  %n{k} = trunc i64 %w{k} to i32" for k in range(1, 6))
    return f"""
define i64 @launch_all(i64 %driver, i64 %table, i64 %count, i64 %stream) {{
entry:
  %launch = inttoptr i64 %driver to ptr
  %first = inttoptr i64 %table to ptr
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %j, %one ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %well, label %body
body:
  %at = mul i64 %i, {WORDS}
  %row = getelementptr i64, ptr %first, i64 %at
{loads}
{narrow}
  %status = call i32 %launch(i64 %w0, i32 %n1, i32 %n2, i32 %n3, i32 %n4, i32 1, i32 1, i32 %n5, i64 %stream, i64 %w6, i64 0)
  %good = icmp eq i32 %status, 0
  br i1 %good, label %one, label %bad
one:
  %j = add i64 %i, 1
  br label %next
bad:
  %k = add i64 %i, 1
  %high = shl i64 %k, 32
  %low = zext i32 %status to i64
  %said = or i64 %high, %low
  ret i64 %said
well:
  ret i64 0
}}
"""
