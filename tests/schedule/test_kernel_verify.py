"""Each invariant of the kernel IR: a kernel that breaks it is refused with a message that names the fault."""

from __future__ import annotations

import pytest

from fusewire.errors import ParseError, VerifyError
from fusewire.ir.loops_text import parse_kernel, print_kernel
from fusewire.ir.loops_verify import verify_kernel

GOOD = """kernel k(x: r f32[6*s0], t: r i64[6], h: r bf16[8], y: w f32[6*s0], m: r bool[8]) sizes(s0) scalars(lr: float):
  scratch row: f32[6]
  error 0: gather IndexError 'out of range'  # model.py:3
  grid i0 < s0:
    v0 : f32 = param lr
    reduce i1 < 6 -> v3 : f32 = add v2, v9 : f32 = maximum v1:
      v1 = load x[6*i0 + i1]
      v2 : f32 = mul v1 v0  # model.py:12
      store row[i1] = v2
    v4 = load t[0]
    v5 : i64 = const 6
    v6 : bool = lt v4 v5
    check v6 else 0
    v7 = load x[6*i0 @ v4 by 1] if v6
    v8 : f32 = const inf
    for i2 < 6:
      v10 = load row[i2]
      v11 : f32 = select v6 v10 v8
      v12 = index 2*i2 + s0
      v13 = load h[i2]
      v14 : f32 = cast v13
      v15 : f32 = add v11 v14
      store y[6*i0 + i2] = v15
"""

BROKEN = {
    "used before it is defined": ("mul v1 v0", "mul v1 v5"),
    "not visible here": ("load t[0]", "load t[0] if v2"),
    "defined twice": ("v15 : f32 = add", "v11 : f32 = add"),
    "neither a loop axis in scope": ("load t[0]", "load t[i1]"),
    "nor a size of the kernel": ("index 2*i2 + s0", "index 2*i2 + s1"),
    "may reach 9 of t": ("load t[0]", "load t[9]"),
    "may reach -1 of x": ("load x[6*i0 + i1]", "load x[6*i0 + i1 - 1]"),
    "which has 6 elements": ("store row[i1]", "store row[i1 + 1]"),
    "there is no buffer z": ("load t[0]", "load z[0]"),
    "is only written": ("load row[i2]", "load y[i2]"),
    "is only read": ("store row[i1]", "store x[i1]"),
    "is no bool": ("if v6", "if v4"),
    "position v0 is no i64": ("@ v4 by", "@ v0 by"),
    "is checked but is no bool": ("check v6", "check v4"),
    "there is no error 1": ("check v6 else 0", "check v6 else 1"),
    "there is no scalar x": ("param lr", "param x"),
    "unknown primitive": ("= mul v1", "= times v1"),
    "mul takes 2 operands": ("= mul v1 v0", "= mul v1 v0 v0"),
    "operands of select differ": ("select v6 v10 v8", "select v6 v10 v4"),
    "lt of i64 gives bool": ("v6 : bool = lt", "v6 : i64 = lt"),
    "exp is not defined for i64": ("v6 : bool = lt v4 v5", "v6 : i64 = exp v4"),
    "and is not defined for f32": ("v15 : f32 = add v11", "v15 : f32 = and v11"),
    "only cast, load, store": ("v14 : f32 = cast v13", "v14 : bf16 = neg v13"),
    "cast from and to f32 only": ("v14 : f32 = cast v13", "v14 : f64 = cast v13"),
    "a cast to the same dtype": ("v15 : f32 = add v11 v14", "v15 : f32 = cast v11"),
    "unknown combine": ("v3 : f32 = add v2", "v3 : f32 = sum v2"),
    "combine and of f32": ("v3 : f32 = add v2", "v3 : f32 = and v2"),
    "is accumulated as f64": ("v3 : f32 = add v2", "v3 : f64 = add v2"),
    "is no i64": ("const 6", "const 6.5"),
    "stored in y of f32": ("store y[6*i0 + i2] = v15", "store y[6*i0 + i2] = v12"),
    "every point of axis i2 stores": ("store y[6*i0 + i2]", "store y[6*i0]"),
    "every point of axis i0 stores": ("store y[6*i0 + i2]", "store y[i2]"),
    "axis i0 is open already": ("for i2 < 6", "for i0 < 6"),
    "axis s0 has the name of a size": ("for i2 < 6", "for s0 < 6"),
    "depends on an axis": ("for i2 < 6", "for i2 < i0"),
    "select's condition": ("select v6 v10", "select v4 v10"),
    "has access 'x'": ("y: w f32", "y: x f32"),
    "two buffers of one name": ("t: r i64", "x: r i64"),
    "two sizes of one name": ("sizes(s0)", "sizes(s0, s0)"),
    "is of kind 'double'": ("lr: float", "lr: double"),
}


def test_good_kernel_passes_and_prints_as_it_was() -> None:
    kernel = parse_kernel(GOOD)
    verify_kernel(kernel)
    assert print_kernel(kernel) == GOOD
    assert parse_kernel(print_kernel(kernel)) == kernel


@pytest.mark.parametrize("reason", BROKEN)
def test_broken_kernel_is_refused(reason: str) -> None:
    old, new = BROKEN[reason]
    assert GOOD.count(old) >= 1
    with pytest.raises(VerifyError, match="kernel k: ") as caught:
        verify_kernel(parse_kernel(GOOD.replace(old, new, 1)))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "old, new",
    [
        ("kernel k(", "kernel ("), ("    v4 = load t[0]", "    v4 = load t"), ("    v5 :", "      v5 :"), ("grid", "grit"),
        ("v0 : f32 =", "v0 : f99 ="), ("add v2,", "add,"), ("IndexError", "NoSuchError"), ("index 2*i2", "index 2**i2"),
        ("v5 : i64 = const 6", "v5 = const 6"),
    ],
)  # fmt: skip
def test_other_text_is_no_kernel(old: str, new: str) -> None:
    with pytest.raises(ParseError):
        parse_kernel(GOOD.replace(old, new, 1))
