"""Calls that are made before the graph, because it needs what they give: ``prologue(args)`` returns further arguments of a call.

What it returns stands behind the bound arguments, for the graph's inputs and for the tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir.types import ScalarType
from ..runtime.source import Arg
from .breaks import Restart
from .effects import Call
from .generated import define
from .late import Late

if TYPE_CHECKING:
    from .session import Session

_BIG = 2**63


class Drawn:
    """What one capture makes before its graph. `slots`: the values that it hands on, in order; `unit`: of the first use."""

    def __init__(self) -> None:
        self.slots: list[Any] = []
        self.inputs: dict[int, tuple[Late, Any]] = {}
        self.unit = 0
        self.states = False  # whether a generator's state is changed


def _slot(s: Session, x: Any, name: str) -> Arg:
    s.drawn.slots.append(x)
    return Arg(s.parameters + len(s.drawn.slots) - 1, name)


def move(s: Session, call: Call) -> None:
    """Make `call` before the graph, and with it all calls on the same generator so far that are not yet."""
    for e in s.effects.journal:
        if isinstance(e, Call) and e.drawn is None and (e is call or (e.owner is call.owner and e.clock is None)):
            for inner in [x for x in _needs(e) if x.drawn is None]:
                move(s, inner)
            e.drawn = _slot(s, e.result if e.result is not None else e, f"drawn{len(s.drawn.slots)}")
            s.drawn.states |= e.clock is None
        if e is call:
            break


def _needs(call: Call) -> dict[Any, None]:
    """The calls that the arguments of `call` follow from."""
    return Late("", call.parts, None).calls


def can(s: Session, late: Late) -> bool:
    """Whether a late value can be had before the graph: it follows from draws, constants and arguments alone."""
    return late.free and not late.raises and all(c.drawn is not None or _movable(s, c) for c in late.calls)


def _movable(s: Session, call: Call) -> bool:
    if call.owner is None or not call.draws or not _is_free(s, call):
        return False
    for e in s.effects.journal:
        if e is call:
            return True
        other = not isinstance(e, Call) or e.owner is not call.owner or e.drawn is not None or e.clock is not None
        if not other and not (e.draws and _is_free(s, e)):  # type: ignore[union-attr, arg-type]
            return False
    return True


def _is_free(s: Session, call: Call) -> bool:
    return can(s, Late("", call.parts, None))


def graph_input(s: Session, late: Late) -> Any:
    """The graph input that a late number is which follows from draws; None where it does not, or may not fit."""
    known = s.drawn.inputs.get(id(late))
    if known is not None:
        return known[1]
    if not late.waits or late.cls not in (float, int, bool) or not can(s, late):
        return None
    if late.cls is int and not _fits(late):
        return None
    value = s.recorder.builder.input(ScalarType("float" if late.cls is float else "int"), None)
    _hand_over(s, late, value)
    return value


def _hand_over(s: Session, late: Late, value: Any) -> None:
    for call in late.calls:
        if call.drawn is None:
            move(s, call)
    source = late.call.drawn if late.call is not None else _slot(s, late, f"drawn{len(s.drawn.slots)}")
    s.recorder.sources.append(source)
    s.drawn.inputs[id(late)] = late, value
    s.drawn.unit = s.drawn.unit or s.units


def _fits(late: Late) -> bool:
    from .late_graph import bounds

    found = bounds(late)
    return found is not None and found[0] >= -_BIG and found[1] < _BIG


def settle(s: Session) -> None:
    """What cannot be made again must not be made before a graph that may fail: CPython then does the whole call."""
    raising = any(node.op.effects.raises for node in s.recorder.builder.nodes)
    if s.drawn.states and (raising or s.effects.doubtful) and s.drawn.unit:
        raise Restart(s.drawn.unit, "late-value", "a random number in a graph that may raise")


def write(s: Session) -> Any:
    """The function, or None where nothing is made before the graph."""
    from . import late_text
    from .tail import TailWriter

    if not s.drawn.slots:
        return None
    writer = TailWriter(s, set())
    for e in s.effects.journal:
        if isinstance(e, Call) and e.drawn is not None:
            body = late_text.render(writer, e.text, e.parts)
            name = writer.fresh_name()
            writer.waiting.add(name)
            if e.result is not None:
                writer.memo[id(e.result)] = e.result, name
            writer.memo[id(e)] = e, name
            writer.stream.append(f"{name} = {body}")
    texts = [writer.memo[id(x)][1] if id(x) in writer.memo else writer.text(x) for x in s.drawn.slots]
    lines = [*writer.loads, *writer.builds, *writer.stream, f"return ({', '.join(texts)},)"]
    text = "def prologue(args):\n" + "".join(f"    {line}\n" for line in lines)
    return define("prologue", text, writer.names, writer.held)
