"""Late numbers as operands of tensor operations: what follows from tensors stays in the graph, as a tensor of no dimension that
acts as Python's number would; what was drawn before the graph is an input of it.

Numbers are computed in float64 or int64, exactly as Python does; where int64 might not hold a number the graph breaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..ir import dtypes
from ..ir.graph import Value
from ..ir.op import Op, lookup
from ..ir.ops import casts
from ..ir.promote import target_dtype, type_of
from .late import EXAMPLES, WEAK, Late, Snapshot
from .symbols import SizeInt
from .values import SYMBOLIC, python_type

if TYPE_CHECKING:
    from .recorder import Recorder

_BIG = 2**63
_UNBOUNDED = (1, 0)


class Lates:
    """What one capture knows about late values in its graph."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.numbers: dict[int, tuple[Late, Value]] = {}
        self.kept: list[Snapshot] = []
        self.drawn: Callable[[Late], Value | None] = lambda late: None  # the graph input that a value drawn before is

    def operands(self, op: Op, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """`given` with late numbers as graph operands."""
        return operands(self.recorder, op, given) if any(type(x) in WEAK for x in given) else given

    def operand(self, x: Any) -> Any:
        """A late number that is written or filled in."""
        drawn = self.drawn(x.late)
        return drawn if drawn is not None else number(self.recorder, x.late)

    def snapshot(self, tensor: Any, plain: bool) -> Snapshot:
        """A traced Tensor as it is now."""
        made = Snapshot(tensor, self.recorder.value_of(tensor), plain)
        self.kept.append(made)
        return made

    def before_write(self, storage: Any) -> None:
        """The memory of an input is about to be written to: what a snapshot shows of it is copied."""
        if id(storage) not in self.recorder.of_storage:
            return
        for x in self.kept:
            if x.tensor._storage is storage and x.version == storage.version:
                x.value = self.recorder._emit(casts.clone, (x.value,), {})


def operands(recorder: Recorder, op: Op, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """`given` with late numbers as graph operands in the dtype that the number would be taken in."""
    lates = [i for i, x in enumerate(given) if type(x) in WEAK]
    if any(i in op.fixed for i in lates):
        raise given[lates[0]].late.needed()
    inputs = {i: recorder.lates.drawn(given[i].late) for i in lates}
    if all(v is not None for v in inputs.values()):
        return tuple([inputs.get(i, x) for i, x in enumerate(given)])
    weak = [EXAMPLES[x.late.cls]() if type(x) in WEAK else type_of(_plain(x)) for x in given]
    target = target_dtype(op, tuple(weak))
    wide = target in (dtypes.float32, dtypes.float64)
    if target is None or not (wide or (target.kind in "ui" and all(given[i].late.cls is not float for i in lates))):
        raise given[lates[0]].late.needed()
    return tuple([cast(recorder, number(recorder, x.late), target) if type(x) in WEAK else x for x in given])


def _plain(x: Any) -> Any:
    if isinstance(x, SizeInt):
        return int(x.raw)
    return x.raw if isinstance(x, SYMBOLIC) else x


def cast(recorder: Recorder, value: Value, dtype: Any) -> Any:
    """A traced Tensor of no dimension and this dtype."""
    if value.dtype is not dtype:
        value = recorder._emit(casts.cast, (value,), {"dtype": dtype})
    return _wrapped(recorder, value)


def _wrapped(recorder: Recorder, value: Value) -> Any:
    return recorder.wrap(value, recorder.meta_of(value.tensor_type, False))


def number(recorder: Recorder, late: Any) -> Value:
    """A late number as a graph value of no dimension, float64 or int64. ValueNeeded where the graph cannot compute it."""
    found = recorder.lates.numbers.get(id(late))
    if found is None:
        made = _made(recorder, late)
        recorder.lates.numbers[id(late)] = late, made
        return made
    return found[1]


def _made(recorder: Recorder, late: Late) -> Value:
    dtype = dtypes.float64 if late.cls is float else dtypes.int64
    if late.call is not None or late.cls not in (float, int, bool):
        raise late.needed()
    if late.element is not None:
        return _of_tensor(recorder, *late.element, dtype)
    if not late.op or (late.cls is not float and bounds(late) is None):
        raise late.needed()
    parts = [_part(recorder, x, dtype) for x in late.parts]
    made: Value = parts[0] if late.op == "cast" else recorder._emit(lookup(late.op), tuple(parts), {})
    return made


def _of_tensor(recorder: Recorder, x: Snapshot, at: tuple[int, ...], dtype: Any) -> Value:
    t: Any = _wrapped(recorder, recorder.cut(x.value) if x.tensor.meta.requires_grad else x.value)
    for i in at:
        t = t[i]
    t = t.reshape(())
    value = recorder.value_of(t)
    return value if value.dtype is dtype else recorder._emit(casts.cast, (value,), {"dtype": dtype})


def _part(recorder: Recorder, x: Any, dtype: Any) -> Any:
    if type(x) is not Late:
        return recorder.scalar(x)
    drawn = recorder.lates.drawn(x)
    if drawn is not None:
        return drawn
    value = number(recorder, x)
    return value if value.dtype is dtype else recorder._emit(casts.cast, (value,), {"dtype": dtype})


def bounds(x: Any) -> tuple[int, int] | None:
    """Between which numbers an int lies for sure; None where int64 might not hold it."""
    if type(x) is not Late:
        return (int(x), int(x)) if python_type(x) in (int, bool) and not isinstance(x, SYMBOLIC) else None
    if x.bounds is None:
        x.bounds = _bounds(x) or _UNBOUNDED
    return None if x.bounds is _UNBOUNDED else x.bounds


def _bounds(x: Late) -> tuple[int, int] | None:
    if x.cls is bool:
        return 0, 1
    if x.call is not None or len(x.parts) > 2:
        return None
    if x.element is not None:
        info = x.element[0].tensor.meta.dtype
        bits = 8 * info.np.itemsize
        return (0, 2**bits - 1) if info.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if x.op in ("neg", "abs"):
        one = bounds(x.parts[0])
        reach = max(map(abs, one)) if one is not None else _BIG
        return (-reach, reach) if reach < _BIG else None
    inner = [bounds(p) for p in x.parts]
    if x.op not in ("add", "sub", "mul") or inner[0] is None or inner[1] is None:
        return None
    (a, b), (c, d) = inner[0], inner[1]
    ends = {"add": [a + c, b + d], "sub": [a - d, b - c], "mul": [a * c, a * d, b * c, b * d]}[x.op]
    return (min(ends), max(ends)) if min(ends) >= -_BIG and max(ends) < _BIG else None

