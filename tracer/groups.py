"""Exception groups in ``except*``, as CPython parts and joins them."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from .assemble import assemble
from .attributes import find
from .breaks import Break, UserRaise, describe
from .bytecode import JOIN_GROUPS, Instruction

if TYPE_CHECKING:
    from .session import Session


def part(session: Session, exc: Any, wanted: Any) -> tuple[Any, Any]:
    """(what does not match, the group of what does or None)."""
    classes = wanted if isinstance(wanted, tuple) else (wanted,)
    if not all(isinstance(c, type) and issubclass(c, BaseException) for c in classes):
        raise UserRaise(TypeError("catching classes that do not inherit from BaseException is not allowed"))
    if any(issubclass(c, BaseExceptionGroup) for c in classes):
        text = "catching ExceptionGroup with except* is not allowed. Use except instead."
        raise UserRaise(TypeError(text))
    if isinstance(exc, wanted):
        return None, ExceptionGroup("", [exc])
    if not isinstance(exc, BaseExceptionGroup):
        return exc, None
    if any(isinstance(find(type(exc), name), types.FunctionType) for name in ("split", "derive")):
        raise Break("own-attributes", f"{describe(type(exc))}, an exception group that parts itself in its own way")
    match, rest = session.native(exc.split, wanted)
    return rest, match


def _joining() -> types.FunctionType:
    """A function of two arguments that does the instruction itself."""
    op = Instruction(*JOIN_GROUPS)
    template = (lambda group, raised: group).__code__
    loads = [Instruction("RESUME", 0), Instruction("LOAD_FAST", 0), Instruction("LOAD_FAST", 1)]
    code = assemble(template, [*loads, op, Instruction("RETURN_VALUE")], co_stacksize=4)
    return types.FunctionType(code, {})


_join = _joining()


def left_to_raise(group: BaseException, raised: list[BaseException | None]) -> BaseException | None:
    """What is raised behind the last ``except*``: what was not caught, and what the handlers raised."""
    left: BaseException | None = _join(group, raised)
    return left
