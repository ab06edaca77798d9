"""Write-backs in their shortest form."""

from __future__ import annotations

import pytest

from fusewire.ir.passes.functionalise import functionalise
from fusewire.ir.text import parse_graph
from fusewire.ir.verify import verify

HEAD = """\
graph g(%x: f32[4,3], %y: f32[4,3], %i: i64[4,1]):
  %0 : f32[4,3] = exp(%x)
  %1 : f32[4,1] = gather(%x, %i) {dim=1}
  %2 : f32[4,3] = neg(%0)
  %3 : f32[3] = sum(%0) {dim=(0,), dtype=None, keepdim=False}
  return %2
"""
ROW = "view(%x, offset=3, shape=(3,), strides=(1,))"
WHOLE = "view(%x, offset=0, shape=(4,3), strides=(3,1))"

CASES = {
    "the last whole write counts": (["%x = %0 at 2", "%x = %2 at 4"], ["%x = %2 at 4"]),
    "a whole write covers a window": ([f"{ROW} = %3 at 4", "%x = %2 at 4"], ["%x = %2 at 4"]),
    "a window does not cover the whole": (["%x = %2 at 4", f"{ROW} = %3 at 4"], ["%x = %2 at 4", f"{ROW} = %3 at 4"]),
    "a window covers itself": ([f"{ROW} = %3 at 4", f"{ROW} = %3 at 4"], [f"{ROW} = %3 at 4"]),
    "a window that is the input": ([f"{WHOLE} = %2 at 4"], ["%x = %2 at 4"]),
    "inputs are apart": (["%x = %2 at 4", "%y = %2 at 4"], ["%x = %2 at 4", "%y = %2 at 4"]),
    "an own value is no write": (["%x = %x at 0", "%y = %2 at 4"], ["%y = %2 at 4"]),
    "an own value undoes a write": (["%x = %2 at 4", "%x = %x at 4"], []),
    "an own value after a write that is seen": (["%x = %0 at 1", "%x = %x at 4"], ["%x = %0 at 1", "%x = %x at 4"]),
    "a node that may raise between shows the first": (["%x = %0 at 1", "%x = %2 at 4"], ["%x = %0 at 1", "%x = %2 at 4"]),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_writes(case: str) -> None:
    given, wanted = CASES[case]
    graph = parse_graph(HEAD + "\n".join(f"  write {w}" for w in given))
    after = verify(functionalise(graph))
    assert str(after) == str(parse_graph(HEAD + "\n".join(f"  write {w}" for w in wanted)))
    assert functionalise(after) is after
