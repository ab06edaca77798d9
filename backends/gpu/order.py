"""In which order a body is printed: what is read from memory first, so that all of it is on its way at once.

Between two loads the assembler moves nothing over a long computation: one whose operand is read late would wait for memory twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.loops import Kernel, Load, Stmt

#: loads that are begun together at most: each holds registers until its value is used
_MOST = 8


def loads_first(body: Sequence[Stmt], kernel: Kernel) -> Sequence[Stmt]:
    """`body` with its plain loads of memory that the kernel does not write before everything else."""
    fixed = {b.name for b in kernel.buffers if b.access == "r"}
    early = [s for s in body if isinstance(s, Load) and s.mask is None and s.buffer in fixed][:_MOST]
    return [*early, *(s for s in body if not any(s is e for e in early))] if len(early) > 1 else body
