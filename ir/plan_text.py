"""The plan as text, for reading: inputs, symbols, memory, steps in order, outputs. Never parsed back, never executed."""

from __future__ import annotations

from .plan import (
    BufferView,
    ExternStep,
    FromArena,
    FromInput,
    GemmStep,
    KernelStep,
    Place,
    Plan,
    PlanOutput,
    RoutineStep,
    ScalarInput,
    Step,
)  # fmt: skip


def print_plan(plan: Plan) -> str:
    """One line for each thing that the plan says."""
    lines = [f"plan {plan.name}({', '.join(map(str, plan.inputs))}):"]
    lines += [f"  {_symbol(s.name, s.scale, s.offset)} = {s.what} of input {s.index}" + f" at {s.dim}" * (s.what != "value")
              for s in plan.symbols]  # fmt: skip
    lines += [f"  arena {plan.arena} bytes"] if plan.arena != 0 else []
    lines += [f"  {b.name} : {b.dtype.short}[{b.size}] = {_place(b.place)}" for b in plan.buffers]
    lines += [f"  {i}: {_step(plan, step)}" for i, step in enumerate(plan.steps)]
    lines += [f"  writes input {w.target}" for w in plan.writes]
    lines += [f"  output {i} : {_output(o)}" for i, o in enumerate(plan.outputs)]
    return "\n".join(lines)


def _symbol(name: str, scale: int, offset: int) -> str:
    """What was read, of which the symbol is a part."""
    return (f"{scale} * {name}" if scale != 1 else name) + (f" + {offset}" if offset else "")


def _place(place: Place) -> str:
    if isinstance(place, FromArena):
        return f"arena at {place.offset}"
    return f"input {place.index}" if isinstance(place, FromInput) else f"output {place.index}"


def _step(plan: Plan, step: Step) -> str:
    if isinstance(step, KernelStep):
        given = [plan.buffers[b].name for b in step.buffers] + [f"input {s.index}" for s in step.scalars]
        return f"kernel {step.kernel.name}({', '.join(given)})"
    if isinstance(step, GemmStep):
        return f"{_view(plan, step.out)} = {_view(plan, step.a)} @ {_view(plan, step.b)}"
    if isinstance(step, RoutineStep):
        return _routine(plan, step)
    return _extern(plan, step)


def _routine(plan: Plan, step: RoutineStep) -> str:
    given = [_operand(plan, a) for a in step.args] + [_operand(plan, s) for s in step.scalars]
    text = f"{', '.join(_view(plan, r) for r in step.results)} = routine {step.routine}({', '.join(given)})"
    text += "".join(f", operand {b.operand} by kernel {b.kernel.name}" for b in step.begins)
    return text if step.finish is None else f"{text}, each block by kernel {step.finish.name}"


def _extern(plan: Plan, step: ExternStep) -> str:
    given = [_operand(plan, a) for a in step.args] + [f"{k}={v!r}" for k, v in step.attrs.items()]
    return f"{', '.join(_view(plan, r) for r in step.results)} = {step.op.name}({', '.join(given)})"


def _operand(plan: Plan, x: BufferView | ScalarInput | bool | int | float | None) -> str:
    if isinstance(x, BufferView):
        return _view(plan, x)
    return f"input {x.index}" if isinstance(x, ScalarInput) else repr(x)


def _view(plan: Plan, view: BufferView) -> str:
    name = plan.buffers[view.buffer].name
    return f"{name} as {view.type}" + (f" at {view.offset}" if view.offset != 0 else "")


def _output(output: PlanOutput) -> str:
    if output.source is None:
        return f"{output.type}, fresh"
    if output.offset is None:
        return f"input {output.source} itself"
    return f"{output.type}, a view of input {output.source} at {output.offset}"
