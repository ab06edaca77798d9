"""Defects to plant, one at a time, into the product: the fuzzer must find each. Each undoes itself; none is in the product.

`level` says which programs look for it: "graph" (`graph_level.py`), "python" (`run.py`) or "sized" (`sized.py`); `backend` is
what compiles those: "reference" where the defect would let machine code touch memory that is not its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import fusewire
from fusewire import knobs
from fusewire.backends.entry import plans
from fusewire.ir import memory, passes, schedule, schedule_emit, schedule_index, schedule_scalars
from fusewire.ir.graph import Output
from fusewire.ir.loops import Axis, Reduce
from fusewire.ir.passes import autodiff, rules
from fusewire.ir.passes.canonicalise import RULES
from fusewire.runtime import executable, guard
from fusewire.tracer import capture, effects, gradient, guards, recorder, tail_helpers, values, variant

Plant = Callable[[], Any]


@dataclass(frozen=True)
class Fault:
    """`plant()` is a context in which the product has the defect."""

    name: str
    level: str
    plant: Plant
    backend: str = "cpu"


FAULTS: list[Fault] = []


@contextmanager
def put(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` for a while; an item where `owner` is a dict."""
    if isinstance(owner, dict):
        before = owner[name]
        owner[name] = value
        try:
            yield
        finally:
            owner[name] = before
        return
    own = name in vars(owner)
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


def fault(level: str, backend: str = "cpu") -> Callable[[Plant], Plant]:
    """Enter a planter under its own name."""

    def enter(plant: Plant) -> Plant:
        FAULTS.append(Fault(plant.__name__, level, plant, backend))
        return plant

    return enter


def module(name: str) -> Any:
    """A module that a function of its name hides."""
    return sys.modules[f"fusewire.ir.passes.{name}"]


# -- guards ----------------------------------------------------------------------------------------------------------------


def _guards_changed(change: Callable[[Any], Any]) -> Any:
    """`change` is applied to every guard of every capture; None drops it."""
    before = guards.Outside.finish

    def finish(self: Any) -> tuple[Any, ...]:
        return tuple(new for g in before(self) if (new := change(g)) is not None)

    return put(guards.Outside, "finish", finish)


def _without(kind: type) -> Plant:
    return lambda: _guards_changed(lambda g: None if type(g) is kind else g)


#: guards on what none of these programs changes, and the tests that do: tests/tracer/test_class_and_module_guards.py
_CHANGED_ELSEWHERE = (guard.SubclassIs,)

for _kind in [kind for kind in guard.Guard.__args__ if kind not in _CHANGED_ELSEWHERE]:
    _backend = "reference" if _kind in (guard.TensorIs, guard.TypeIs, guard.Is) else "cpu"
    _level = "sized" if _kind is guard.SizesFit else "python"
    FAULTS.append(Fault(f"no_{_kind.__name__}_guard", _level, _without(_kind), _backend))


def _blind_to(part: str) -> Plant:
    """Guards on tensors look away from one part of the meta; in Python, for the native form compares pointers."""

    class Loosely(guard.TensorIs):
        __slots__ = ()

        def check(self, args: Any) -> bool:
            value = self.source.load(args)
            if type(value) is not self.cls:
                return False
            ignored = {part, "strides"} if part == "shape" else {part}
            parts = {"shape", "strides", "dtype", "requires_grad"} - ignored
            return all(getattr(value.meta, k) == getattr(self.meta, k) for k in parts)

    def loose(g: Any) -> Any:
        return Loosely(g.source, g.cls, g.meta) if type(g) is guard.TensorIs else g

    return lambda: _both(_guards_changed(loose), knobs.override(native_entry=False))


for _part in ("dtype", "strides", "requires_grad", "shape"):
    FAULTS.append(Fault(f"guards_blind_to_{_part}", "python", _blind_to(_part), "reference"))


# -- passes ----------------------------------------------------------------------------------------------------------------


@fault("graph")
def cse_ignores_attributes() -> Any:
    return put(module("cse"), "attr_text", lambda value: "")


@fault("graph")
def cse_ignores_numbers() -> Any:
    return put(module("cse"), "_key", lambda arg: arg if hasattr(arg, "name") else "number")


@fault("python")
def dce_drops_what_raises() -> Any:
    def dce(graph: Any) -> Any:
        live = {o.value for o in graph.outputs} | {w.value for w in graph.writes}
        kept = []
        for node in reversed(graph.nodes):
            if any(r in live for r in node.results):
                live.update(a for a in node.args if hasattr(a, "type"))
                kept.append(node)
        return module("dce").keep(graph, kept[::-1])

    return _with_pass("dce", dce)


@contextmanager
def _with_pass(name: str, new: Any) -> Iterator[None]:
    """The pass called `name` is `new` wherever the passes are listed."""
    lists = {which: tuple(new if p.__name__ == name else p for p in getattr(passes, which)) for which in ("DEFAULT", "FINAL")}
    with put(passes, "DEFAULT", lists["DEFAULT"]), put(passes, "FINAL", lists["FINAL"]):
        yield


@fault("graph")
def last_write_back_is_lost() -> Any:
    return _with_pass("functionalise", lambda graph: replace(graph, writes=graph.writes[:-1]))


@fault("python")
def write_backs_to_other_inputs_are_covered() -> Any:
    return put(module("functionalise"), "_covers", lambda later, earlier: True)


@contextmanager
def _with_rule(op: str, apply: Callable[[Any], Any]) -> Iterator[None]:
    planted = rules.Rule("planted", (op,), apply)
    RULES.insert(0, planted)
    try:
        yield
    finally:
        RULES.remove(planted)


@fault("graph")
def rule_x_plus_zero() -> Any:
    """x + 0.0 -> x is wrong for x = -0.0."""
    return _with_rule("add", lambda m: m[0] if m.number(1) == 0 else None)


@fault("graph")
def rule_x_times_zero() -> Any:
    """x * 0 -> 0 is wrong for infinities and negative x."""
    return _with_rule("mul", lambda m: rules.Call("abs", (m[0],), {}) if m.number(1) == 0 else None)


@fault("graph")
def rule_double_negation_of_abs() -> Any:
    """abs(neg x) -> x."""
    return _with_rule("abs", lambda m: m.inner(0, "neg").args[0] if m.inner(0, "neg") is not None else None)


@fault("graph")
def rule_cast_of_a_narrowing_cast() -> Any:
    """cast(cast(x, a), b) -> cast(x, b) whatever a is."""
    return _with_rule(
        "cast", lambda m: rules.Call("cast", m.inner(0, "cast").args, dict(m.attrs)) if m.inner(0, "cast") else None
    )


@fault("graph")
def rule_choice_takes_the_first() -> Any:
    return _with_rule("where", lambda m: m[1] if hasattr(m[1], "name") else None)


# -- gradients -------------------------------------------------------------------------------------------------------------


@fault("graph")
def autodiff_drops_an_accumulation() -> Any:
    return put(autodiff._Reverse, "add", lambda self, value, gradient: self.gradients.__setitem__(value, gradient))


@fault("graph")
def autodiff_forgets_to_sum_broadcasts() -> Any:
    before = autodiff._Reverse.fitted

    def fitted(self: Any, gradient: Any, wanted: Any) -> Any:
        """Takes the first of the elements that should be added."""
        extra = len(gradient.shape) - len(wanted.shape)
        if 0 in gradient.shape or 0 in wanted.shape:
            return before(self, gradient, wanted)
        for d, n in enumerate((1,) * extra + tuple(wanted.shape)):
            if gradient.shape[d] != n:
                gradient = self.emit("slice", gradient, dim=d, start=0, stop=1, step=1)
        return before(self, gradient, wanted)

    return put(autodiff._Reverse, "fitted", fitted)


@fault("graph")
def partition_saves_the_wrong_value() -> Any:
    before = module("partition").Partition

    def made(forward: Any, backward: Any, inputs: Any, saved: int) -> Any:
        count = len(forward.outputs) - saved
        outputs = (*forward.outputs[:count], *forward.outputs[count:][::-1])
        return before(replace(forward, outputs=outputs), backward, inputs, saved)

    return put(module("partition"), "Partition", made)


@fault("python")
def zeros_where_eager_has_no_gradient() -> Any:
    before = autodiff.joint

    def joint(*args: Any) -> Any:
        made = before(*args)
        return replace(made, reached=(True,) * len(made.reached))

    return put(autodiff, "joint", joint)


@fault("python")
def saved_inputs_are_not_checked() -> Any:
    return put(gradient.CompiledNode, "_unpacked", lambda self, inputs, index: inputs[index])


# -- schedule and kernels --------------------------------------------------------------------------------------------------


@fault("graph")
def sub_with_swapped_operands() -> Any:
    before = schedule_scalars.KernelScalars.sub  # type: ignore[attr-defined]
    return put(schedule_scalars.KernelScalars, "sub", lambda self, a, b: before(self, b, a))


@fault("graph")
def less_or_equal_for_less() -> Any:
    return put(schedule_scalars.KernelScalars, "lt", schedule_scalars.KernelScalars.le)  # type: ignore[attr-defined]


@fault("graph")
def half_types_are_not_rounded() -> Any:
    before = schedule_scalars.KernelScalars.cast

    def cast(self: Any, x: Any, dtype: Any) -> Any:
        """The rounding of a half result that the same kernel reads again is left out."""
        made = before(self, x, dtype)
        if dtype.is_half and isinstance(x, str):
            self._block.memo["cast", (made,), schedule_scalars.dtypes.float32] = before(self, x, schedule_scalars.dtypes.float32)
        return made

    return put(schedule_scalars.KernelScalars, "cast", cast)


@fault("graph", "reference")
def broadcast_reads_the_wrong_dimension() -> Any:
    def broadcast(index: Any, shape: Any) -> Any:
        tail = index[len(index) - len(shape) :]
        axes = [i for i, n in zip(tail, shape, strict=True) if n != 1]
        return tuple(0 if n == 1 else axes.pop() for n in shape)

    return put(schedule_emit, "broadcast", broadcast)


@fault("graph", "reference")
def strides_in_the_wrong_order() -> Any:
    before = schedule_index.linear
    return put(schedule_emit, "linear", lambda index, strides: before(index, sorted(strides, key=str, reverse=True)))


@fault("graph")
def reduction_skips_the_last_element() -> Any:
    class Shorter(Reduce):
        __slots__ = ()

        def __init__(self, axes: Any, body: Any, accs: Any) -> None:
            less = [Axis(a.name, a.extent - 1) if isinstance(a.extent, int) and a.extent > 1 else a for a in axes]
            super().__init__(tuple(less), body, accs)

    return put(schedule_emit, "Reduce", Shorter)


@fault("python")
def index_is_not_checked() -> Any:
    return put(schedule_emit.Emitter, "_check", lambda self, node, ok, message, kind, mask, block: None)


@fault("graph")
def arena_buffers_overlap() -> Any:
    return put(memory._Placed, "beside", lambda self, life: [])


@fault("graph")
def arena_is_reused_too_early() -> Any:
    before = memory.lifetimes
    return put(memory, "lifetimes", lambda s: [replace(x, last=max(x.first, x.last - 1)) for x in before(s)])


@fault("graph")
def outputs_are_laid_out_row_major() -> Any:
    before = executable._shaped

    def shaped(flat: Any, kind: Any, offset: int, bound: Any) -> Any:
        made = before(flat, kind, offset, bound)
        return made if made.ndim < 2 or not made.size else flat[offset : offset + made.size].reshape(made.shape)

    return put(executable, "_shaped", shaped)


@fault("python")
def write_backs_before_reads() -> Any:
    """A kernel stores into the input although others read it later."""
    return put(schedule, "reads_after_write", lambda kernel, buffer: False)


# -- capture ---------------------------------------------------------------------------------------------------------------


def _journal(change: Callable[[list[Any]], list[Any]]) -> Any:
    before = capture._effects
    return put(capture, "_effects", lambda session: change(before(session)))


def _ends_a_loop(effect: Any) -> bool:
    """Whether a program without it would run for ever: an iterator from outside never gets past its next item."""
    return isinstance(effect, effects.Method) and effect.name == "__next__"


for _effect in (effects.SetAttr, effects.SetItem, effects.SetCell, effects.Method, effects.GradModeSet):
    FAULTS.append(
        Fault(
            f"{_effect.__name__}_is_not_replayed", "python",
            lambda kind=_effect: _journal(lambda found: [e for e in found if type(e) is not kind or _ends_a_loop(e)]),
        )
    )  # fmt: skip


@fault("python")
def container_effects_are_replayed_twice() -> Any:
    return _journal(lambda found: [x for e in found for x in ([e, e] if type(e) is effects.Method else [e])])


@fault("python")
def effects_are_replayed_in_reverse() -> Any:
    return _journal(lambda found: found[::-1])


@fault("python")
def effects_before_an_error_are_lost() -> Any:
    def plain(self: Any, error: Any) -> Any:
        raise error

    before = variant.Variant.run

    def run(self: Any, args: Any) -> Any:
        self.raising = ()
        return before(self, args)

    def failed(self: Any, args: Any, error: Any) -> Any:
        raise error.kind(error.message)

    both = put(variant.Variant, "run", run), put(variant.Variant, "failed", failed)
    return _both(*both)


@contextmanager
def _both(first: Any, second: Any) -> Iterator[None]:
    with first, second:
        yield


@fault("python")
def a_resume_function_gets_a_wrong_slot() -> Any:
    before = tail_helpers.HELPERS["go_on"]

    def go_on(values: list[Any], turn: Any) -> Any:
        frame = list(values.pop())
        held = [i for i, x in enumerate(frame) if isinstance(x, fusewire.Tensor)]
        if len(held) > 1:
            frame[held[-1]], frame[held[-2]] = frame[held[-2]], frame[held[-1]]
        return before([tuple(frame)], turn)

    return put(tail_helpers.HELPERS, "go_on", go_on)


@fault("python")
def views_of_inputs_are_returned_as_copies() -> Any:
    before = recorder.Recorder.output

    def output(self: Any, tensor: Any) -> Any:
        made = before(self, tensor)
        return made if made.view is None else Output(made.value)

    return put(recorder.Recorder, "output", output)


@fault("python")
def views_of_results_are_returned_as_copies() -> Any:
    return _both(
        put(recorder.Recorder, "shares", lambda self, tensors: False), put(recorder.Recorder, "is_fresh", lambda self, t: False)
    )


@fault("python")
def views_are_stale_after_a_write() -> Any:
    before = recorder.Recorder.value_of

    def value_of(self: Any, tensor: Any) -> Any:
        seen = self.seen.get(id(tensor))
        return seen.value if seen is not None and seen.tensor is tensor and seen.chain else before(self, tensor)

    return put(recorder.Recorder, "value_of", value_of)


@fault("python")
def a_write_through_a_view_does_not_reach_the_base() -> Any:
    return put(recorder.Recorder, "_scatter", lambda self, storage, target, value: storage.value)


@fault("python")
def memory_under_two_inputs_is_not_seen() -> Any:
    before = recorder.Recorder.admit

    def admit(self: Any, real: Any, *where: Any) -> Any:
        held, real._storage = real._storage, None
        try:
            return before(self, real, *where)
        finally:
            real._storage = held

    blind = _both(put(recorder.Recorder, "admit", admit), put(recorder.Recorder, "_shared", lambda self, owner: False))
    return _both(blind, _without(guard.SameStorage)())  # which does not hold for what was not seen


@fault("python")
def the_version_of_a_written_input_stays() -> Any:
    class Deaf:
        version = 0

    before = plans.PlanRows.results

    def results(self: Any, *args: Any) -> Any:
        full = self.plan
        self.plan = replace(full, writes=())
        try:
            return before(self, *args)
        finally:
            self.plan = full

    return _both(put(variant, "storage_of", lambda tensor: Deaf()), put(plans.PlanRows, "results", results))


@fault("python")
def random_numbers_are_not_advanced() -> Any:
    before = recorder.Recorder.write

    def write(self: Any, target: Any, source: Any) -> None:
        drawn = source.meta.dtype is fusewire.int64 and tuple(source.meta.shape) == (2,) if hasattr(source, "meta") else False
        return None if drawn else before(self, target, source)

    return put(recorder.Recorder, "write", write)


@fault("python")
def no_grad_is_forgotten() -> Any:
    """Values computed under no_grad keep their history."""
    before = recorder.Recorder._operand
    return put(recorder.Recorder, "_operand", lambda self, x, detached: before(self, x, False))


@fault("python")
def numbers_from_outside_are_frozen() -> Any:
    return put(recorder.Recorder, "scalar", lambda self, x: x.raw if isinstance(x, values.SYMBOLIC) else x)
