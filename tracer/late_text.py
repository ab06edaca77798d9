"""How the tail makes late values and repeats deferred calls: one line of Python each.

A value that follows from a deferred call is made among the effects, behind that call; every other one before the first effect.
"""

from __future__ import annotations

import builtins
import re
import types
from typing import TYPE_CHECKING, Any

from ..eager import tape
from ..eager.factory import alias
from .effects import Call, Evaluate
from .late import Late, LateMethod, Snapshot
from .standins import Place

if TYPE_CHECKING:
    from .tail_values import ValueWriter

_SLOT = re.compile(r"\$(\d+)")
_SIMPLE = re.compile(r"[\w.\[\]]+\Z")


class _Named(tape.Node):
    """The history of a tensor that is shown: a name, no gradients."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def name(self) -> str:
        return self.text


def with_history(x: Any, name: str | None) -> Any:
    """`x` as a Tensor that prints as one which requires grad, made by the step `name` (None: a leaf)."""
    out = alias(x, True)
    out._node = None if name is None else _Named(name)
    return out


def text(writer: ValueWriter, x: Any) -> str:
    """An expression for a late value, a method of one or a snapshot."""
    known = writer.memo.get(id(x))
    if known is not None:
        return known[1]
    if type(x) is Snapshot:
        return _snapshot(writer, x)
    if type(x) is LateMethod:
        return f"{text(writer, x.owner)}.{x.name}"
    if x.call is not None:
        return _result(writer, x)
    _deepest_first(writer, x)
    body = _fstring(writer, x) if x.pieces is not None else render(writer, x.text, x.parts)
    name = writer.assign(body[1:-1] if body.startswith("(") and body.endswith(")") and body.count("(") == 1 else body)
    writer.memo[id(x)] = x, name
    return name


def _deepest_first(writer: ValueWriter, x: Late) -> None:
    """Make what `x` follows from, so that a long sum needs no deep recursion."""
    waiting = [x]
    while waiting:
        last = waiting[-1]
        open_ = [p for p in last.parts if type(p) is Late and p.call is None and id(p) not in writer.memo]
        if open_:
            waiting += open_
        else:
            waiting.pop()
            if last is not x and id(last) not in writer.memo:
                text(writer, last)


def _result(writer: ValueWriter, x: Late) -> str:
    call = x.call
    if call.drawn is not None:
        return writer.load(call.drawn)
    raise writer.session.undo(x, "a value that an effect gives which comes later")


def render(writer: ValueWriter, form: str, parts: tuple[Any, ...]) -> str:
    """`form` with its parts."""
    return _SLOT.sub(lambda found: _callee(writer, parts[int(found[1])]), form)


def _callee(writer: ValueWriter, x: Any) -> str:
    if type(x) is Place:
        return writer.const(x, f"line_{x.frames[-1][-1]}")
    if isinstance(x, types.ModuleType):
        return writer.const(x, x.__name__)
    name = getattr(x, "__name__", None)
    if isinstance(name, str) and callable(x) and getattr(builtins, name, None) is x:
        return name
    return writer.text(x)


def _fstring(writer: ValueWriter, x: Late) -> str:
    out = ""
    for piece, part in zip(x.pieces or (), x.parts, strict=True):
        if type(piece) is str:
            out += piece.replace("{", "{{").replace("}", "}}")
            continue
        name = writer.text(part)
        name = name if _SIMPLE.match(name) else writer.assign(name)
        spec = piece.field[1] if type(piece) is Late and piece.field is not None else ""
        out += "{" + name + (f":{spec}" if spec else "") + "}"
    return "f" + repr(out)


def _snapshot(writer: ValueWriter, x: Snapshot) -> str:
    recorder, tensor = writer.session.recorder, x.tensor
    untouched = tensor._storage.version == x.version
    if untouched and (recorder.input_of(tensor) is not None or not tensor.meta.requires_grad) and not _is_view(writer, tensor):
        return writer.tensor(tensor)
    tracked = tensor.meta.requires_grad
    value = recorder.cut(x.value) if tracked else x.value
    out = writer.output_text(recorder.wrap(value, tensor.meta.with_grad(False)))
    if tracked and not x.plain:
        made = next((node.op for node in recorder.builder.nodes if x.value in node.results), None)
        name = None if made is None else "".join(part.capitalize() for part in made.name.split("_")) + "Backward0"
        out = writer.assign(f"with_history({out}, {name!r})")
    writer.memo[id(x)] = x, out
    return out


def _is_view(writer: ValueWriter, tensor: Any) -> bool:
    """Whether a tensor shares its memory with others, so that an output of its own is the simplest."""
    recorder = writer.session.recorder
    return recorder.input_of(tensor) is None and bool(recorder.way_to(tensor))


def call(writer: ValueWriter, e: Call) -> None:
    """The line of a deferred call; its result gets a name where something may use it."""
    if e.drawn is not None:
        return
    if e.scope < 0:
        if writer.stream[-1].endswith(":"):
            writer.effect_line("pass")
        writer.depth -= 1
        return
    body = render(writer, e.text, e.parts)
    if e.scope > 0:
        closes = _closes(writer.session.effects.journal, e)
        writer.effect_line(f"with {body}:" if closes else f"{body}.__enter__()", e.place)
        writer.depth += closes
        return
    if e.result is None:
        writer.effect_line(body, e.place)
        return
    name = writer.fresh_name()
    writer.waiting.add(name)
    writer.memo[id(e.result)] = e.result, name
    writer.effect_line(f"{name} = {body}", e.place)


def _closes(journal: list[Any], e: Call) -> bool:
    """Whether the ``with`` that begins at `e` ends within the capture."""
    calls = [x for x in journal if isinstance(x, Call)]
    depth = 0
    for x in calls[calls.index(e) :]:
        depth += x.scope
        if not depth:
            return True
    return False


def evaluate(writer: ValueWriter, e: Evaluate) -> None:
    """A value that may raise, made at its place among the effects."""
    before = len(writer.stream)
    writer.text(e.late)
    for i in range(before, len(writer.stream)):
        writer.places.setdefault(i, e.place)
