"""Conditions on tensors that only guard an error: ``assert x.min() > 0``, ``if bad.any(): raise ValueError(...)``.

Capture goes on along the way that raises nothing; the graph checks the condition before it writes anything, and where it does not
hold CPython does the whole call, which then raises with all effects before the error, and none behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..eager.tensor import Tensor
from ..ir import dtypes
from ..ir.op import lookup
from ..ir.ops.casts import cast
from ..ir.ops.creation import full
from ..ir.ops.indexing import gather
from ..runtime import gradmode
from .bytecode import Program
from .late import NUMBERS, Late
from .symbols import has_size

if TYPE_CHECKING:
    from .frame import Frame
    from .session import Session

_LONGEST = 80
_ENDS = ("RETURN_VALUE", "YIELD_VALUE", "FOR_ITER", "SEND", "RERAISE", "TO_BOOL", "BEFORE_WITH", "SETUP")


class Unmet(Exception):
    """A condition that capture relied on does not hold; no user code ever sees it."""


def require(value: Any, expected: bool) -> None:
    """Raise `Unmet` where the truth of a value is another than a capture took it for."""
    if bool(value) is not expected:
        raise Unmet


def decided(f: Frame, x: Any) -> bool | None:
    """The truth of `x`, which the next instruction jumps by, where one of the two ways only raises an error: that of the other
    way, checked by the graph. None where that is not so."""
    if not (isinstance(x, Tensor) or (type(x) is Late and x.cls in (*NUMBERS, str))):
        return None
    jump = f.program.steps[f.at + 1]
    if jump.op not in ("POP_JUMP_IF_FALSE", "POP_JUMP_IF_TRUE"):
        return None
    at_target, behind = _only_raises(f.program, jump.target), _only_raises(f.program, f.at + 2)
    if at_target == behind:
        return None
    jumps_if = jump.op.endswith("TRUE")
    expected = jumps_if != at_target
    return expected if _check(f.session, x, expected) else None


def _only_raises(program: Program, at: int) -> bool:
    """Whether the instructions from `at` on lead straight to a ``raise``."""
    for _ in range(_LONGEST):
        step = program.steps[at]
        if step.op == "RAISE_VARARGS":
            return True
        if step.op in _ENDS or step.op.startswith("POP_JUMP") or (step.op == "JUMP" and step.backward):
            return False
        at = step.target if step.op == "JUMP" else at + 1
        if at >= len(program.steps):
            return False
    return False


def _check(s: Session, x: Any, expected: bool) -> bool:
    if type(x) is Late:
        if x.waits:
            return False
        s.effects.risky(Late("require($0, $1)", (x, expected), None, raises=True, code="tensor-branch"), s)
        return True
    shape = x.meta.shape
    if has_size(shape) or any(n != 1 for n in shape) or x.meta.device != "cpu" or x.meta.dtype.np.kind == "c":
        return False
    mode = gradmode.get()
    gradmode.set(False)
    try:
        s.native(_emit, s, x, expected)
    finally:
        gradmode.set(mode)
    return True


def _emit(s: Session, x: Any, expected: bool) -> None:
    """A read at position 0 of one element, or where the condition does not hold at position 1, which raises."""
    recorder = s.recorder
    value = recorder.value_of(x)
    flat = recorder._emit(lookup("view"), (value,), {"shape": (1,)})
    if flat.dtype is not dtypes.bool_:
        flat = recorder._emit(lookup("ne"), (flat, 0), {})
    if expected:
        flat = recorder._emit(lookup("logical_not"), (flat,), {})
    index = recorder._emit(cast, (flat,), {"dtype": dtypes.int64})
    table = recorder._emit(full, (False,), {"shape": (1,), "dtype": dtypes.bool_})
    recorder._emit(gather, (table, index), {"dim": 0})
