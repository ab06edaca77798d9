"""What the op records declare, counted: ``python -m fusewire.bench.completeness``. Measures no time.

`missing` says what a record lacks of the fields that the design asks for; the tests keep that list empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..ir import dtypes, ops
from ..ir.batch import loops
from ..ir.op import OPS, Extern, Op, Sample
from ..ir.types import tensor

_ENOUGH = 10  # letters of a reason


def records() -> list[Op]:
    """All records, by name."""
    ops.load_rare()
    return [OPS[name] for name in sorted(OPS)]


def samples(op: Op) -> tuple[list[Sample], list[Sample]]:
    """(calls that must work, calls that must raise) of a record."""
    every = list(op.sample(np.random.default_rng(7)))
    return [s for s in every if s.raises is None], [s for s in every if s.raises is not None]


def missing(op: Op) -> Iterator[str]:
    """What a record should state and does not."""
    good, bad = samples(op)
    if not op.name.isidentifier() or not callable(op.infer) or not callable(op.eager):
        yield "a name, infer or eager kernel"
    if op.grad is None and not op.constant:
        yield "a gradient, or why there is none"
    if isinstance(op.lowering, Extern) and len(op.lowering.reason) < _ENOUGH:
        yield "why it has no lowering"
    if loops(op) and len(op.looped) < _ENOUGH:
        yield "a batch rule, or why it is a loop"
    if op.looped and not loops(op) and op.batch is None:
        yield "a loop, of which it gives the reason"
    if any(short not in _SHORT or len(pair) != 2 for short, pair in op.tolerance.items()):
        yield "tolerances by dtypes that there are"
    if not good and not (op.eager_only and bad):  # no NumPy kernel runs it: each call says so
        yield "samples"
    if not bad and not _takes_all(op, good):
        yield "error cases, though it refuses some dtypes or shapes"


_SHORT = frozenset(d.short for d in dtypes.ALL)


def _takes_all(op: Op, good: list[Sample]) -> bool:
    """Whether a record refuses no dtype; where it promotes to floats, none that is left of these."""
    every = (dtypes.float32, dtypes.float16, dtypes.int64, dtypes.bool_)
    for dtype in every[:2] if op.promote is not None and op.promote.to == "float" else every:
        types = [tensor((2, 3), dtype) if isinstance(x, np.ndarray) else x for x in good[0].operands]
        try:
            op.infer(*types, **good[0].attrs)
        except Exception:
            return False
    return True


def lines() -> int:
    """Lines of product code that declare the records."""
    root = Path(ops.__file__).parent
    return sum(len(path.read_text().splitlines()) for path in root.glob("*.py"))


def table() -> str:
    """The counts, as text."""
    every = records()
    counted = [samples(op) for op in every]
    lowered = Counter(type(op.lowering).__name__ for op in every)
    looped = [op for op in every if loops(op) or op.looped]
    rows = [
        ("records", len(every)),
        ("  users call by name", sum(bool(op.signature) for op in every)),
        ("  with a gradient", sum(op.grad is not None for op in every)),
        *((f"  lowered by {kind}", n) for kind, n in lowered.most_common()),
        ("  batch rules of their own", sum(op.batch is not None and not op.looped for op in every)),
        ("  batch rules derived", sum(op.batch is None and not loops(op) for op in every)),
        ("  batch rules that loop", len(looped)),
        ("samples", sum(len(good) for good, _ in counted)),
        ("error cases", sum(len(bad) for _, bad in counted)),
        ("lines of ir/ops", lines()),
        ("  a record", round(lines() / len(every))),
    ]
    text = [f"{name:30}{n:>8,}" for name, n in rows]
    text += [f"loops over members: {op.name}: {op.looped}" for op in looped]
    text += [f"lacks {what}: {op.name}" for op in every for what in missing(op)]
    return "\n".join(text)


if __name__ == "__main__":
    print(table())
