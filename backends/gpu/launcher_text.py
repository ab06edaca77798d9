"""The machine code that launches a whole plan: one call for all kernels, each by the driver's own entry point. LLVM text.

A launch of no threads is a C function that launches by itself (a library's): it is called with words read through the arguments.
"""

from __future__ import annotations

#: i64 words of one launch in the table that the routine walks: function, grid, threads, shared bytes, address of the arguments
WORDS = 7
#: words that a C function gets, before the stream
LIBRARY_WORDS = 15
#: set in the status of a C function that failed
LIBRARY_FAILED = 1 << 30


def text() -> str:
    """The module of ``i64 launch_all(i64 driver, i64 table, i64 count, i64 stream)``. It gives 0, or ``number << 32 | status``
    of the first launch that the driver refuses, counted from 1; of a library's function the status has LIBRARY_FAILED set."""
    loads = "\n".join(
        f"  %p{k} = getelementptr i64, ptr %row, i64 {k}\n  %w{k} = load i64, ptr %p{k}" for k in range(WORDS)
    )
    given = "\n".join(
        f"  %q{k} = getelementptr ptr, ptr %given, i64 {k}\n  %r{k} = load ptr, ptr %q{k}\n  %u{k} = load i64, ptr %r{k}"
        for k in range(LIBRARY_WORDS)
    )
    passed = ", ".join(f"i64 %u{k}" for k in range(LIBRARY_WORDS))
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
  %library = icmp eq i64 %w4, 0
  br i1 %library, label %function, label %kernel
function:
  %given = inttoptr i64 %w6 to ptr
{given}
  %code = inttoptr i64 %w0 to ptr
  %raw = call i32 %code({passed}, i64 %stream)
  %fine = icmp eq i32 %raw, 0
  %marked = or i32 %raw, {LIBRARY_FAILED}
  %answer = select i1 %fine, i32 0, i32 %marked
  br label %said
kernel:
  %status = call i32 %launch(i64 %w0, i32 %n1, i32 %n2, i32 %n3, i32 %n4, i32 1, i32 1, i32 %n5, i64 %stream, i64 %w6, i64 0)
  br label %said
said:
  %told = phi i32 [ %status, %kernel ], [ %answer, %function ]
  %good = icmp eq i32 %told, 0
  br i1 %good, label %one, label %bad
one:
  %j = add i64 %i, 1
  br label %next
bad:
  %k = add i64 %i, 1
  %high = shl i64 %k, 32
  %low = zext i32 %told to i64
  %both = or i64 %high, %low
  ret i64 %both
well:
  ret i64 0
}}
"""
