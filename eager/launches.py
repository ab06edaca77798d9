"""Kinds of eager calls on a GPU that machine code serves: it takes memory, fills in addresses and launches, a view needs no more
than its Meta.

A kind is an op on operands described by the same metas, with the same attributes and numbers (a float that is an input of the
kernel may be any), while the knobs have the same values. After some calls machine code serves it. What that leaves (another
thread's context, a graph being recorded, memory of others) goes the executor's way, which is the meaning of all of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from .. import knobs
from ..errors import CompileError
from ..ir.op import Op
from ..ir.promote import rounded
from ..runtime import gradmode
from . import hot, plans, tape
from .patterns import fits

#: kinds remembered for one state of the knobs, and states remembered
MOST, STATES = 4096, 8
#: calls of a kind before machine code is made for it, which takes as long as some dozens of them by Python
AFTER = 16
#: classes of operands (Tensor, Parameter) for which a kind has a function each
CLASSES = 4
NUMBERS = frozenset((bool, int, float, complex, type(None)))
_WRITTEN = frozenset((float, complex))  # numbers that are compared as they are written
#: by the knobs' state: kind -> how it is served; numbers of the operands whose values are part of it, where there are such;
#: False where it is not served, the number of its calls before
_tables: dict[object, dict[Any, Any]] = {}


@dataclasses.dataclass(slots=True)
class Served:
    """`native`: a function of the operands numbered `inputs` (None: of all), or of the tuple of operands for a `view`. `half`:
    what floats are rounded to. `history`: what the tape records where an operand requires grad. `classes` of the operands.
    `ints`: some inputs are ints, of 32 bits (`patterns.may_be_any`). `other`: the same for other classes."""

    native: Callable[..., Any]
    inputs: tuple[int, ...] | None
    half: Any
    view: bool
    history: plans.Plan | None
    classes: tuple[type, ...]
    ints: bool = False
    other: Served | None = None


def forget() -> None:
    """Drop all kinds: a device is a new one."""
    _tables.clear()


def kinds_of(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> tuple[Any, ...]:
    """The kind of a call, as `executor.apply` has it."""
    metas = [type(x) if type(x) in NUMBERS else x.meta for x in operands]
    return (op, *metas, *attrs, *attrs.values()) if attrs else (op, *metas)


def called(kinds: tuple[Any, ...], op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """What a call of a remembered kind gives, recorded where an operand requires grad; None where the executor is to run it."""
    table = _tables.get(knobs.state)
    if table is None:
        return None
    found = table.get(kinds)
    if type(found) is tuple:
        found = table.get((kinds, *values_of(operands, found)))
    while type(found) is Served:
        made = serve(found, operands)
        if made is not None:
            history = found.history
            if history is not None and gradmode.get():
                plans.record(history, op, operands, attrs, made)._node.plan = None  # no rule of the CPU's
            return made
        found = found.other
    return None


def values_of(operands: tuple[Any, ...], places: tuple[int, ...]) -> list[Any]:
    """The numbers at these places, as kinds tell them apart."""
    return [repr(operands[i]) if type(operands[i]) in _WRITTEN else operands[i] for i in places]


def serve(found: Served, operands: tuple[Any, ...]) -> Any:
    """What machine code gives; None where it leaves the call to Python."""
    if found.view:
        storage = operands[0]._storage
        return found.native(operands) if storage is not None and storage.on_device else None
    given: Any = operands if found.inputs is None else [operands[i] for i in found.inputs]
    if found.half is not None:
        given = [rounded(x, found.half) if type(x) is float else x for x in given]
    if found.ints and any(type(x) is int and not fits(x) for x in given):
        return None
    return found.native(*given)


# -- entering kinds


def table() -> dict[Any, Any]:
    """The kinds remembered for the knobs as they are, at least one more of which has room."""
    found = _tables.get(knobs.state)
    if found is None:
        if len(_tables) >= STATES:
            _tables.clear()
        found = _tables[knobs.state] = {}
    if len(found) >= MOST:
        found.clear()
    return found


def met(
    kinds: tuple[Any, ...], run: Any, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], made: Any,
    unsaved: Callable[[Any], Any],
) -> None:  # fmt: skip
    """A call of a kind has given `made` by `run`, a `gpu.Runner` or `gpu.View` (others are not served). `unsaved` makes what the
    tape keeps of a value that no rule reads."""
    if not knobs.native_entry or _signed(op, attrs):
        return
    known = table()
    places = tuple([i for i, x in enumerate(operands) if type(x) in NUMBERS and i not in run.inputs])
    if places:
        known[kinds] = places
        kinds = kinds, *values_of(operands, places)
    if due(known, kinds, operands):
        enter(known, kinds, _served(run, op, operands, attrs, made, unsaved))


def due(known: dict[Any, Any], kinds: Any, operands: tuple[Any, ...]) -> bool:
    """Count a call of a kind that no machine code serves for operands of these classes; whether some is to be made now."""
    one, number, classes = known.get(kinds), 0, tuple(map(type, operands))
    if one is None or (type(one) is int and one < AFTER):
        known[kinds] = (one or 0) + 1
        return False
    while type(one) is Served:
        if one.classes == classes:
            return False
        one, number = one.other, number + 1
    return one is not False and number < CLASSES


def enter(known: dict[Any, Any], kinds: Any, served: Served | None) -> None:
    """Remember what serves a kind beside what does so for other classes; None where nothing can."""
    others = known.get(kinds)
    others = others if type(others) is Served else None
    if served is not None:
        served.other = others
    known[kinds] = served or others or False


def _signed(op: Op, attrs: dict[str, Any]) -> bool:
    """Whether an attribute is a zero that may have a sign, which no kind tells."""
    kinds = getattr(op.infer, "__annotations__", {})
    zeros = [(k, v) for k, v in attrs.items() if type(v) in NUMBERS and v == 0]
    return any(type(v) is float or "float" in str(kinds.get(k)) for k, v in zeros)


def _served(
    run: Any, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], made: Any, unsaved: Callable[[Any], Any]
) -> Served | None:
    history = _history(op, operands, attrs, made, unsaved)
    if history is False:
        return None
    classes = tuple(map(type, operands))
    if run.is_view:
        tensors = [x for x in operands if type(x) not in NUMBERS]
        if len(tensors) != 1 or operands[0] is not operands[op.effects.aliases]:  # type: ignore[index]
            return None
        return Served(run, None, None, True, history, classes)
    native = routine(run, operands)
    inputs = None if len(run.inputs) == len(operands) else tuple(run.inputs)
    return None if native is None else Served(native, inputs, run.half, False, history, classes, takes_ints(run, operands))


def takes_ints(run: Any, operands: tuple[Any, ...]) -> bool:
    """Whether ints are inputs of what runs a call."""
    return any(type(operands[i]) is int for i in run.inputs)


def routine(run: Any, operands: tuple[Any, ...]) -> Any:
    """A function of the operands that are inputs of the kernel; None where there is none."""
    from ..backends import entry
    from ..backends.gpu.native import Launcher
    from ..runtime.gpu.storage import DeviceStorage
    from .gpu import Watched, tensor_in

    executable, given = run.executable, [operands[i] for i in run.inputs]
    plan = executable.plan
    fresh = all(o.source is None for o in plan.outputs)
    filled = all(0 not in m.shape for m in run.metas) and all(type(x) in NUMBERS or 0 not in x.meta.shape for x in given)
    if not fresh or not filled or len(plan.inputs) != len(given) + len(run.extra) or hot.refused() is not None:
        return None
    types = tuple([t if type(x) in NUMBERS else x.meta.type for x, t in zip(given, plan.inputs[: len(given)], strict=True)])
    outputs = tuple([dataclasses.replace(o, type=m.type) for o, m in zip(plan.outputs, run.metas, strict=True)])
    one = dataclasses.replace(plan, inputs=types, symbols=(), outputs=outputs)
    try:
        entry.configure_device(DeviceStorage, Watched)
        launcher = Launcher(executable, run.gpu, tensor_in, run.values, run.metas)  # no result is a view
        inputs = [(type(x), None if type(x) in NUMBERS else x.meta) for x in given]
        return entry.routine(one, {}, inputs, run.metas, lambda *_: None, keep=executable, launcher=launcher, single=run.single)
    except CompileError as error:
        knobs.say(2, f"{plan.name} on {run.gpu.name} is launched by Python: {error}")
        return None


def _history(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], made: Any, unsaved: Callable[[Any], Any]) -> Any:
    """What the tape records of calls of this kind (`plans.Plan`); None: nothing; False: more than is remembered."""
    metas = [None if type(x) in NUMBERS else x.meta for x in operands]
    wants = tuple([m is not None and m.requires_grad for m in metas])
    if op.grad is None or not any(wants):
        return None
    if type(made) is tuple:
        return None if not any(x.meta.dtype.is_inexact for x in made) else False
    kind = made.meta.type
    if not kind.dtype.is_inexact:
        return None
    if op.binds:
        return False
    plan = plans.Plan()
    plan.wants, plan.graded, plan.outputs = wants, made.meta.with_grad(True), (kind,)
    plan.view = None if op.effects.aliases is None or made._storage is not operands[op.effects.aliases]._storage else 0
    plan.inputs = tuple([None if m is None else m.type for m in metas])
    node = tape.OpNode(op, attrs, len(operands))
    node.types, node.results = plan.inputs, plan.outputs
    node.edges = tuple([node if w else None for w in wants])
    read = tape.read_by_rule(op, attrs, operands, node)
    every = (*plan.inputs, kind)
    plan.saves = tuple([None if t is None or i in read else unsaved(t) for i, t in enumerate(every)])
    return plan
