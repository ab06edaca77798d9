"""Graph -> Schedule: the steps of a compiled graph in order, the memory they use, and why neighbours were not fused.

`schedule_prepare` decomposes composites, `schedule_fuse` groups nodes, `schedule_emit` writes each group's kernel. Knows no
back end; offsets in the arena are given by `ir.memory`.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import field, replace
from typing import Any

from ..errors import CompileError
from . import schedule_tables, sizes, solve
from .graph import Graph, Node, Value, WriteBack
from .lazyclass import dataclass
from .loops import Kernel, Load, LoadAt, Store, walk
from .op import WHOLE, Extern, Gemm, Scatter, lookup
from .plan import (
    BufferView,
    ExternStep,
    FromArena,
    FromInput,
    FromOutput,
    GemmStep,
    KernelStep,
    Place,
    PlanBuffer,
    PlanOutput,
    PlanWrite,
    Refusal,
    RoutineStep,
    ScalarInput,
    Step,
    SymbolSource,
)  # fmt: skip
from .schedule_begin import Begins, Start, begun
from .schedule_collapse import collapse
from .schedule_emit import Emitter, Target, size_of
from .schedule_finish import Finish, Outcome, finished
from .schedule_fuse import Fusion, Unit, fuse, operand_view
from .schedule_group import Group, axis_stem
from .schedule_index import layout
from .schedule_merge import merge
from .schedule_prepare import NO_CLAIMS, Claim, Claims, overwritten, prepared
from .schedule_split import split, woven
from .schedule_twins import Outline, Twins
from .sizes import Size
from .types import ScalarType, TensorType

#: Offset of a temporary that `ir.memory` has not placed yet.
UNPLACED = FromArena(-1)
#: Largest row (elements) kept between two loops of one kernel.
MAX_ROW = 1 << 20


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a plan holds, before temporaries have a place in the arena. Temporaries are the buffers at `UNPLACED`."""

    graph: Graph
    symbols: tuple[SymbolSource, ...]
    buffers: tuple[PlanBuffer, ...]
    steps: tuple[Step, ...]
    outputs: tuple[PlanOutput, ...]
    writes: tuple[PlanWrite, ...]
    refusals: tuple[Refusal, ...]

    def __str__(self) -> str:
        lines = [_step_text(step) for step in self.steps]
        lines += [f"# {r.producer} -> {r.consumer}: {r.reason}" + (f"  # {r.where}" if r.where else "") for r in self.refusals]
        return "\n".join(lines)


def schedule(graph: Graph, claims: Claims = NO_CLAIMS, launched: bool = False) -> Schedule:
    """The steps that compute `graph`, in an order that respects every value and every write-back. `claims`: composites that
    stay whole, each call a step of its own. `launched`: on a device, where what a kernel finds wrong is told when all is done, so
    that no write has to wait for it, and where one kernel that chooses is sooner done than several."""
    made, origins = prepared(graph, claims)
    tables: frozenset[Any] = frozenset(n.args[i] for n in made.nodes for i in overwritten(n, claims))
    return _Scheduler(graph, fuse(made, origins, tables), claims, launched).run()


def _step_text(step: Step) -> str:
    if isinstance(step, KernelStep):
        return str(step.kernel)
    if isinstance(step, GemmStep):
        return f"gemm {step.a.type} @ {step.b.type} -> {step.out.type}\n"
    if isinstance(step, RoutineStep):
        text = f"routine {step.routine} -> {', '.join(str(r.type) for r in step.results)}\n"
        text += "".join(map(str, (b.kernel for b in step.begins)))
        return text + str(step.finish) if step.finish else text
    return f"extern {step.op.name} -> {', '.join(str(r.type) for r in step.results)}\n"


@dataclass(slots=True)
class _Scheduler:
    original: Graph
    fusion: Fusion
    claims: Claims
    launched: bool = False
    buffers: list[PlanBuffer] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=dict)
    homes: dict[Value, Target] = field(default_factory=dict)
    extra: dict[Value, list[Target]] = field(default_factory=dict)
    direct: set[WriteBack] = field(default_factory=set)
    saved: dict[Value, Target] = field(default_factory=dict)
    kernels: int = 0
    twins: Twins = field(default_factory=Twins)
    finishers: dict[int, Finish] = field(default_factory=dict)  # by the id of the step
    beginners: dict[str, Begins] = field(default_factory=dict)  # by the name of the routine
    units: dict[int, Unit] = field(default_factory=dict)  # by the id of the step
    place: dict[Value, int] = field(init=False)  # numbers of the graph's inputs
    written: dict[Value, list[WriteBack]] = field(default_factory=dict)  # the write-backs of each value
    trials: dict[Unit, Kernel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place = {v: i for i, v in enumerate(self.graph.inputs)}
        for write in self.graph.writes:
            self.written.setdefault(write.value, []).append(write)

    @property
    def graph(self) -> Graph:
        return self.fusion.graph

    def run(self) -> Schedule:
        self._place_inputs()
        self._place_outputs()
        self._place_in_inputs()
        self._place_tables()
        self._place_writes()
        steps = [step for unit in self._ordered() for step in self._steps(unit)]
        steps += [self._copy(w.value, self._write_target(w)) for w in self.graph.writes if w not in self.direct]
        steps, outcomes = finished(steps, self.finishers, self.buffers)
        self._note(outcomes)
        steps, starts = begun(steps, self.beginners, self.buffers)
        self._note_starts(starts)
        return Schedule(
            self.original, symbol_sources(self.graph), tuple(self.buffers), tuple(steps), self._outputs(),
            tuple(PlanWrite(self.place[w.target]) for w in self.graph.writes), tuple(self.fusion.refusals),
        )  # fmt: skip

    def _note(self, outcomes: list[Outcome]) -> None:
        """Set right what the refusals say of routines and the kernels that read their results: nothing where these are one,
        else why they are not, behind all others. (A kernel that only copies belongs to no unit.)"""
        said: dict[str, list[Refusal]] = {}
        for refusal in self.fusion.refusals if outcomes else ():
            said.setdefault(refusal.producer, []).append(refusal)
        known, more = set[int](), list[Refusal]()
        for outcome in outcomes:
            product, group = self.units.get(id(outcome.routine)), self.units.get(id(outcome.reader))
            if isinstance(product, Group) or product is None or not isinstance(group, Group):
                continue
            if outcome.joined is not None:
                self.units[id(outcome.joined)] = product
            consumers = {self.fusion.label(n) for n in group.nodes}
            about = [r for r in said.get(self.fusion.label(product.node), ()) if r.consumer in consumers]
            known.update(map(id, about))
            more += [replace(r, reason=f"{r.reason}: {outcome.reason}") for r in about if outcome.reason]
        self.fusion.refusals[:] = [r for r in self.fusion.refusals if id(r) not in known] + more

    def _note_starts(self, starts: list[Start]) -> None:
        """As `_note`, of the kernels that make operands of routines, which nothing else reads."""
        for start in starts:
            group, product = self.units.get(id(start.maker)), self.units.get(id(start.routine))
            if not isinstance(group, Group) or isinstance(product, Group) or product is None:
                continue
            makers = [self.fusion.label(n) for n in group.nodes]
            kept = [r for r in self.fusion.refusals if r.producer not in makers or r.consumer in makers]
            if start.reason and makers:
                kept.append(Refusal(makers[0], self.fusion.label(product.node), start.reason, str(product.node.where or "")))
            self.fusion.refusals[:] = kept

    def _buffer(self, name: str, kind: TensorType, place: Place, offset: Size = 0) -> Target:
        name = re.sub(r"\W", "_", name)
        while name in self.number:
            name += "_"
        self.number[name] = len(self.buffers)
        size = size_of(kind, offset)
        self.buffers.append(PlanBuffer(name, kind.dtype, size, place))
        return Target(name, kind, 0, size)

    def _place_inputs(self) -> None:
        for i, value in enumerate(self.graph.inputs):
            if isinstance(value.type, TensorType):
                _refuse_negative_strides(value)
                self.homes[value] = self._buffer(value.name, value.type, FromInput(i))

    def _place_outputs(self) -> None:
        fresh = 0
        for new, old in zip(self.graph.outputs, self.original.outputs, strict=True):
            if new.source is not None or isinstance(new.value.type, ScalarType):
                continue
            target = self._buffer(f"out{fresh}", old.value.tensor_type, FromOutput(fresh))
            fresh += 1
            if new.value in self.homes:
                self.extra.setdefault(new.value, []).append(target)
            else:
                self.homes[new.value] = target

    def _place_in_inputs(self) -> None:
        """Let Scatters write into the inputs that their results are written back to, see `schedule_tables`."""
        times = Counter(w.target for w in self.graph.writes)

        def trial(unit: Group) -> Kernel:
            targets = {v: [self.homes[v]] for v in unit.stores}
            return self._emitted(unit, lambda v: self.homes.get(v) or layout_only(v), targets, "trial")

        def before(unit: Unit, readers: set[Unit]) -> bool:
            readers = (readers | self._raising()) - {unit}
            if self._reaches(unit, readers):
                return False
            self._after(unit, readers)
            return True

        for write in self.graph.writes:
            if times[write.target] == 1 and len(self.written[write.value]) == 1:
                target, out = self._write_target(write), self.homes.get(write.value)
                taken = schedule_tables.take(self.fusion, write, lambda n: overwritten(n, self.claims), self.homes, before)
                if taken or schedule_tables.place(self.fusion, write, target, self.homes, trial, before):
                    self.direct.add(write)
                    self.extra[write.value] = ([out] if out else []) + self.extra.get(write.value, [])

    def _raising(self) -> set[Unit]:
        """The units that may raise."""
        trials = self.trials
        able = (u for u in self.fusion.units if may_raise(u, self.claims))
        return {u for u in able if not isinstance(u, Group) or (not self.launched and self._tried(u, trials).errors)}

    def _place_tables(self) -> None:
        """What a Scatter writes into, or a claimed call overwrites, lies where its result does; nothing else reads it."""
        for node in reversed(self.graph.nodes):
            for k, place in enumerate(overwritten(node, self.claims)):
                self.homes.setdefault(node.args[place], self.home(node.results[k]))  # type: ignore[arg-type]
            if isinstance(node.op.lowering, Scatter) and node.results[0] in self.fusion.host:
                table = node.args[0]
                assert isinstance(table, Value)
                self.homes.setdefault(table, self.home(node.results[0]))

    def _outputs(self) -> tuple[PlanOutput, ...]:
        out = []
        place = {v: i for i, v in enumerate(self.original.inputs)}
        for o in self.original.outputs:
            if o.source is None and not isinstance(o.value.type, ScalarType):
                out.append(PlanOutput(o.value.type))
                continue
            source = place[o.source or o.value]
            if o.view is None:
                out.append(PlanOutput(o.value.type, source))
            else:
                kind = TensorType(o.view.shape, o.value.dtype, o.view.strides)
                out.append(PlanOutput(kind, source, o.view.offset))
        return tuple(out)

    def _place_writes(self) -> None:
        """Let a kernel write straight into an input where nothing can read the old contents, or raise, afterwards."""
        trials, raising = self.trials, self._raising()
        times = Counter(w.target for w in self.graph.writes)
        for write in self.graph.writes:
            if write in self.direct:
                continue
            unit = self.fusion.host.get(write.value) or self._copy_unit(write.value)
            alone = times[write.target] == 1
            readers = ({r.unit for r in self.fusion.reads.get(write.target, [])} | raising) - {unit}
            direct = alone and isinstance(unit, Group) and not self._reaches(unit, readers) and self._try(write, unit, trials)
            if direct and unit is not None:
                self._after(unit, readers)
            if not direct and write.value in times:
                self.saved[write.value] = self._buffer(f"old_{write.value.name}", layout(write.value, True), UNPLACED)

    def _after(self, unit: Unit, readers: set[Unit]) -> None:
        """Have `unit` run behind all of `readers`."""
        for reader in readers:
            self.fusion.after.setdefault(reader, set()).add(unit)

    def _try(self, write: WriteBack, unit: Group, trials: dict[Unit, Kernel]) -> bool:
        """`_write_directly` with the unit's trial kernel."""
        return self._write_directly(write, unit, self._tried(unit, trials))

    def _tried(self, unit: Group, trials: dict[Unit, Kernel]) -> Kernel:
        """The unit's trial kernel, which is made once."""
        if unit not in trials:
            trials[unit] = self._trial(unit)
        return trials[unit]

    def _trial(self, unit: Group) -> Kernel:
        """The unit's kernel with every write-back stored in the input itself, to see what it reads afterwards: made as it will be
        for good, for what is kept between two loops decides when the rest is read."""
        targets = {v: [self._write_target(w) for w in self.written.get(v, ())] or [layout_only(v)] for v in unit.stores}

        def home(value: Value) -> Target:
            return self.homes.get(value) or layout_only(value)

        outline = Outline(unit, home, targets)
        return self.twins.kernel("trial", "trial", outline, lambda: self._emitted(unit, home, targets, "trial"))

    def _write_directly(self, write: WriteBack, unit: Group, trial: Kernel) -> bool:
        """Make `unit` store into the input itself; False (and nothing done) where it might read what it has overwritten."""
        target = self._write_target(write)
        if trial.errors or unit.scatters(write.value) or reads_after_write(trial, target.buffer):
            return False
        self.direct.add(write)
        if write.value in self.homes or self._others_read(write.value, unit):
            self.extra.setdefault(write.value, []).append(target)
        else:
            self.homes[write.value] = target
        return True

    def _others_read(self, value: Value, unit: Unit) -> bool:
        return any(r.unit is not unit for r in self.fusion.reads.get(value, []))

    def _copy_unit(self, value: Value) -> Unit | None:
        """The kernel that copies an input to where it is wanted."""
        return next((u for u in self.fusion.units if isinstance(u, Group) and value in u.stores), None)

    def _reaches(self, unit: Unit, goals: set[Unit]) -> bool:
        seen, stack = set[Unit](), [unit]
        while stack:
            for follower in self.fusion.after.get(stack.pop(), ()):
                if follower in goals:
                    return True
                if follower not in seen:
                    seen.add(follower)
                    stack.append(follower)
        return False

    def _write_target(self, write: WriteBack) -> Target:
        base = self.homes[write.target]
        if write.view is None:
            return base
        kind = TensorType(write.view.shape, write.value.dtype, write.view.strides)
        return Target(base.buffer, kind, write.view.offset, base.size)

    def _ordered(self) -> list[Unit]:
        """Units after all those they depend on; the one that stands first in the program first."""
        waiting = dict.fromkeys(self.fusion.units, 0)
        for followers in self.fusion.after.values():
            for unit in followers:
                waiting[unit] += 1
        ready = [(-u.number, u.number) for u, n in waiting.items() if n == 0]
        heapq.heapify(ready)
        out: list[Unit] = []
        while ready:
            unit = self.fusion.units[heapq.heappop(ready)[1]]
            out.append(unit)
            for follower in sorted(self.fusion.after.get(unit, ()), key=lambda u: u.number):
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    heapq.heappush(ready, (-follower.number, follower.number))
        return out

    def home(self, value: Value) -> Target:
        """Where a stored value or input is read."""
        if value not in self.homes:
            self.homes[value] = self._buffer(f"t{value.name}", layout(value, True), UNPLACED)
        return self.homes[value]

    def _steps(self, unit: Unit) -> list[Step]:
        if isinstance(unit, Group):
            parts = [unit] if self.launched else split(unit)
            parts = parts if any(self._targets(v) for v in unit.stores) else []
            steps: list[Step] = [self._kernel_step(kernel) for kernel in woven([self._emit(part) for part in parts])]
            scattered = [v for v in unit.stores if unit.scatters(v)]
            self.units.update((id(step), unit) for step in steps)
            return steps + [self._copy(v, target) for v in scattered for target in self._targets(v)[1:]]
        node = unit.node
        step = self._gemm(node) if isinstance(node.op.lowering, Gemm) else self._extern(node)
        self.units[id(step)] = unit
        return [step, *(self._copy(r, target) for r in node.results for target in self.extra.get(r, []))]

    def _targets(self, value: Value) -> list[Target]:
        own = [self.saved[value]] if value in self.saved else [] if value in self.place else [self.home(value)]
        return own + self.extra.get(value, [])

    def _emit(self, group: Group) -> Kernel:
        targets = {v: self._targets(v) for v in group.stores}
        ops = dict.fromkeys(self.fusion.name(n) for n in reversed(group.nodes))
        name = f"k{self._number()}_" + ("_".join(list(ops)[-3:]) or "copy")
        outline = Outline(group, self.home, targets)
        return self.twins.kernel("", name, outline, lambda: self._emitted(group, self.home, targets, name))

    def _emitted(
        self, group: Group, home: Callable[[Value], Target], targets: dict[Value, list[Target]], name: str
    ) -> Kernel:
        """The group's kernel: emitted to see what two loops share, then with that kept, then with what of it pays."""
        keep: frozenset[Any] = frozenset()
        emitter = Emitter(group, self.fusion.producers, home, targets)
        made = emitter.kernel(name)
        for turn in range(2 if len(group.levels) > 1 else 0):
            shared = [k for k, twice in emitter.again.items() if twice and (turn == 0 or k in keep) and row_fits(group, k)]
            if keep == frozenset(shared):
                break
            keep = frozenset(shared)
            emitter = Emitter(group, self.fusion.producers, home, targets, keep)
            made = emitter.kernel(name)
        made = merge(made)
        return collapse(made, axis_stem(self.graph.symbols))

    def _number(self) -> int:
        self.kernels += 1
        return self.kernels - 1

    def _kernel_step(self, kernel: Kernel) -> KernelStep:
        index = {v.name: i for v, i in self.place.items()} if kernel.scalars else {}
        scalars = tuple(ScalarInput(index[p.name]) for p in kernel.scalars)
        return KernelStep(kernel, tuple(self.number[b.name] for b in kernel.buffers), scalars)

    def _copy(self, value: Value, target: Target) -> Step:
        """A kernel that copies a stored value to a second place; of complex numbers, which kernels do not know, NumPy's copy."""
        if value.dtype.is_complex:
            source = self.saved.get(value) or self.home(value)
            lies, wanted = (BufferView(self.number[t.buffer], t.type, t.offset) for t in (source, target))
            return ExternStep(lookup("clone"), (lies,), {}, (wanted,))
        group = Group(-1, self.graph.symbols, {})
        shape = value.shape
        group.levels = [[group.new_axis(n) for n in shape]]
        at = tuple(0 if n == 1 else group.axis(a) for a, n in zip(group.levels[0], shape, strict=True))
        group.levels = [[a for a, n in zip(group.levels[0], shape, strict=True) if n != 1]]
        group.stores[value] = at
        name, targets = f"k{self._number()}_copy", {value: [target]}

        def home(v: Value) -> Target:
            return self.saved.get(v) or self.home(v)

        def make() -> Kernel:
            return collapse(Emitter(group, {}, home, targets).kernel(name), axis_stem(self.graph.symbols))

        return self._kernel_step(self.twins.kernel("copy", name, Outline(group, home, targets), make))

    def _view(self, node: Node, value: Value) -> BufferView:
        base, offset, strides = operand_view(self.fusion, node, value)
        target = self.home(base)
        if base is value:
            return BufferView(self.number[target.buffer], target.type, target.offset)
        kind = TensorType(value.shape, value.dtype, strides)
        return BufferView(self.number[target.buffer], kind, target.offset + offset)

    def _result(self, value: Value) -> BufferView:
        target = self.home(value)
        return BufferView(self.number[target.buffer], target.type, target.offset)

    def _gemm(self, node: Node) -> Step:
        a, b = (self._view(node, x) for x in node.args[:2] if isinstance(x, Value))
        out = self._result(node.results[0])
        column = b.type.ndim == 1
        row = a.type.ndim == 1
        if row:
            a, out = inserted(a, 0), inserted(out, out.type.ndim - (0 if column else 1))
        if column:
            b, out = inserted(b, 1), inserted(out, out.type.ndim)
        batch = out.type.shape[:-2]
        a, b = expanded(a, batch), expanded(b, batch)
        return self._claimed(node, (a, b), (out,)) or GemmStep(a, b, out)

    def _claimed(self, node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step | None:
        """The step that the claim of the node's op makes of it, if there is one."""
        claim = claimed(node, self.claims)
        if claim is None or claim.step is None:
            return None
        step = claim.step(node, args, results)
        if claim.finish is not None:
            self.finishers[id(step)] = claim.finish
        if claim.begin is not None and isinstance(step, RoutineStep):
            self.beginners[step.routine] = claim.begin
        return step

    def _extern(self, node: Node) -> Step:
        args: list[Any] = []
        for a in node.args:
            if isinstance(a, Value):
                args.append(ScalarInput(self.place[a]) if isinstance(a.type, ScalarType) else self._view(node, a))
            else:
                args.append(a)
        results = tuple(self._result(r) for r in node.results)
        return self._claimed(node, tuple(args), results) or ExternStep(node.op, tuple(args), node.attrs, results)


def claimed(node: Node, claims: Claims) -> Claim | None:
    """The claim that runs a call. (Composites that none accepts are decomposed by now; what NumPy runs else stays as it is.)"""
    found = claims.get(node.op)
    return found if found is None or type(node.op.lowering) is not Extern or found.accepts(node) else None


def may_raise(unit: Unit, claims: Claims = NO_CLAIMS) -> bool:
    """Whether running the unit may end in an error because of values. (A routine of a back end does not by itself.)"""
    nodes = unit.nodes if isinstance(unit, Group) else [unit.node]
    numpys = (n for n in nodes if isinstance(n.op.lowering, WHOLE) and not isinstance(n.op.lowering, Gemm))
    return any(n.op.effects.raises for n in nodes) or any((c := claimed(n, claims)) is None or c.step is None for n in numpys)


def _refuse_negative_strides(value: Value) -> None:
    """A buffer begins at its tensor's first element, so that nothing may lie before that."""
    tops = [sizes.bounds(stride)[1] for stride in value.tensor_type.strides]
    if any(top is not None and top < 0 for top in tops):
        raise CompileError(f"input %{value.name} is {value.type}: a negative stride; make it contiguous before the call")


def layout_only(value: Value) -> Target:
    """A stand-in for a place that is not decided yet."""
    kind = layout(value, True)
    return Target(f"t{value.name}", kind, 0, size_of(kind))


def row_fits(group: Group, key: Any) -> bool:
    """Whether a value of this kernel is small enough to be kept between two loops."""
    inner: Size = 1
    for a in group.axes(key[1]) - set(group.levels[0]):
        inner = inner * group.extents[a]
    high = sizes.bounds(inner)[1]
    return high is None or high <= MAX_ROW


def reads_after_write(kernel: Kernel, buffer: str) -> bool:
    """Whether the kernel may read elements of `buffer` after it, or another grid point, has overwritten them."""
    body = list(walk(kernel.body))
    stores = [i for i, st in enumerate(body) if isinstance(st, Store) and st.buffer == buffer]
    places = {body[i].index for i in stores}  # type: ignore[union-attr]
    for i, st in enumerate(body):
        if isinstance(st, LoadAt) and st.buffer == buffer:
            return True
        if isinstance(st, Load) and st.buffer == buffer and (i > stores[0] or {st.index} != places):
            return True
    return False


def inserted(view: BufferView, dim: int) -> BufferView:
    """The view with a dimension of size 1 at `dim`."""
    kind = view.type
    strides = (*kind.strides[:dim], 1, *kind.strides[dim:])
    return replace(view, type=TensorType((*kind.shape[:dim], 1, *kind.shape[dim:]), kind.dtype, strides))


def expanded(view: BufferView, batch: tuple[Size, ...]) -> BufferView:
    """A matrix operand with the result's batch dimensions, stride 0 where it is repeated."""
    kind = view.type
    own, steps = kind.shape[:-2], kind.strides[:-2]
    lead = len(batch) - len(own)
    strides = [0] * lead + [0 if n == 1 else s for n, s in zip(own, steps, strict=True)]
    return replace(view, type=TensorType((*batch, *kind.shape[-2:]), kind.dtype, (*strides, *kind.strides[-2:])))


def symbol_sources(graph: Graph) -> tuple[SymbolSource, ...]:
    """Where each symbol's value is read: a shape or stride that settles it alone, the plainest one, or an int input of its
    name. CompileError where there is none."""
    out = []
    for name in graph.symbols:
        found = [s for i, v in enumerate(graph.inputs) for s in _sources(name, i, v)]
        if not found:
            raise CompileError(f"graph {graph.name}: no size, stride or int input settles the symbol {name} alone")
        out.append(min(found, key=lambda s: (s.scale, abs(s.offset))))
    return tuple(out)


def _sources(name: str, index: int, value: Value) -> list[SymbolSource]:
    if isinstance(value.type, ScalarType):
        return [SymbolSource(name, index, "value")] if value.name == name else []
    out = []
    for what, found in (("shape", value.shape), ("stride", value.tensor_type.strides)):
        for d, size in enumerate(found):
            form = solve.linear_form(size) if set(sizes.symbols_of(size)) == {name} else None
            if form is not None and form[0] > 0:
                out.append(SymbolSource(name, index, what, d, *form))
    return out
