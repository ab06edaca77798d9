"""Traced Tensors: real Tensors whose Storage has no memory and records every op into a graph.

A storage keeps the graph value of all its memory. A view remembers how it was made from there; after a write its value is taken
from the new one again. In-place writes thus are pure ops, and the last base of an input is written back after the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from functools import lru_cache
from typing import Any

from ..eager import executor
from ..eager.batching import BatchStorage
from ..eager.tensor import Tensor
from ..ir import dtypes, layout, sizes, solve
from ..ir.graph import Builder, Graph, Output, Value, View, Where, WriteBack
from ..ir.lazyclass import dataclass
from ..ir.op import Op, lookup
from ..ir.ops import casts, creation, shape
from ..ir.promote import target_dtype, type_of
from ..ir.types import ScalarType, TensorType, sizes_of
from ..runtime import gradmode
from ..runtime.meta import Meta, MetaPattern
from ..runtime.source import Computed, Source
from . import naming
from .breaks import Break
from .histories import Histories
from .late import WEAK
from .late_graph import Lates
from .metas import SizedMeta, meta_of, view_offset
from .ratios import SizeFloat
from .recast import Recast
from .symbols import SizeInt, Symbols, raw
from .traced import Chain, InputTensor, Seen, TracedStorage
from .values import SYMBOLIC, Apply, Leaf, SymFloat, SymInt, concrete


@dataclass
class Recorder:
    """The executor of traced Tensors (see `eager.executor`): `apply` and `write` emit into one Builder."""

    name: str
    where: Callable[[], Where]
    builder: Builder = field(init=False)
    inputs: list[InputTensor] = field(default_factory=list)
    scalars: dict[Source, Value] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    writes: list[WriteBack] = field(default_factory=list)
    follow: Callable[..., Any] = field(init=False)  # calls what library code that runs as it is gets from the user
    uncounted: list[Any] = field(default_factory=list)  # the steps of aliases whose writes count for themselves (`x.data`)
    settled: str = ""  # the one device on which all tensors of the capture lie; "" until the first of them settles it

    @property
    def device(self) -> str:
        """Where the capture's tensors lie."""
        return self.settled or "cpu"

    def place(self, device: str, what: str = "a tensor made") -> None:
        """A tensor on `device` takes part: the capture breaks where its other tensors lie elsewhere."""
        self.settled = self.settled or device
        if self.settled != device:
            raise Break("outside-object", f"{what} on {device} beside tensors on {self.device}")

    def meta_of(self, type: TensorType, requires_grad: bool) -> Meta:
        """The Meta of a traced Tensor of this type."""
        return meta_of(type, requires_grad, self.device)

    def adopt(self, real: Any) -> Any:
        """The traced twin of a real Tensor that library code came across; the session knows which may be met so."""
        raise Break("outside-object", "a tensor that is held by Python code which the tracer did not follow")

    def __post_init__(self) -> None:
        self.builder = Builder(self.name)
        self.symbols = Symbols(self.where)
        self.numbers: dict[str, Source] = {}  # symbols that are ints from outside
        self.given: list[Any] = []  # memory of the results so far
        self.recast = Recast()
        self.doubts: list[tuple[Any, Any, Meta]] = []  # copies: of what, into what, its Meta
        self.places: dict[Any, tuple[Any, ...]] = {}  # of masks met before
        self.seen: dict[int, Seen] = {}
        self.of_storage: dict[int, InputTensor] = {}
        self.histories = Histories(self)
        self.lates = Lates(self)

    # -- inputs ----------------------------------------------------------------------------------------------------

    def admit(self, real: Any, source: Source, type: TensorType | None = None) -> Any:
        """The traced twin of a Tensor from outside, a new graph input. `type` has `SizeInt`s where sizes are not fixed."""
        memory = real._storage
        written = (i for i in self.inputs if i.traced._storage.written is not None) if self.writes else ()
        if memory is not None and any(i.real._storage is memory for i in written):
            raise Break("write-shared", "the use of a tensor whose memory was written to through another input")
        value = self.builder.input(type or real.meta.type, _input_name(source, self.builder))
        self.sources.append(source)
        meta = real.meta if type is None else self.meta_of(type, real.meta.requires_grad)
        traced = self.wrap(value, meta, real.__class__)
        self.inputs.append(InputTensor(real, traced, value, source))
        self.of_storage[id(traced._storage)] = self.inputs[-1]
        return traced

    def wrap(self, value: Value, meta: Meta, cls: type = Tensor) -> Any:
        """A traced Tensor in a storage of its own."""
        return self._tensor(cls, meta, TracedStorage(self, value, meta), 0, value, ())

    def _tensor(self, cls: type, meta: Meta, storage: TracedStorage, offset: int, value: Value, chain: Chain) -> Any:
        t: Any = object.__new__(cls)
        t.meta, t._array, t._storage, t._offset, t._grad, t._node = meta, None, storage, offset or None, None, None
        self.seen[id(t)] = Seen(t, value, storage.version, chain)
        return t

    def input_of(self, traced: Any) -> InputTensor | None:
        """The input that `traced` is (not a view of it)."""
        found = self.of_storage.get(id(traced._storage))
        return found if found is not None and found.traced is traced else None

    def scalar(self, x: Any) -> Any:
        """A number from outside as a graph operand: an input where it is one, else a constant."""
        if isinstance(x, SizeInt):
            return self._size_operand(x)
        if not isinstance(x, (SymFloat, SymInt)):
            return concrete(x)
        if x.sym.pinned or (x.plain is int and not -(2**63) <= x.raw < 2**63):
            return concrete(x)
        source = source_of(x.sym.expr)
        if source not in self.scalars:
            kind = "int" if x.plain is int else "float"
            self.scalars[source] = self.builder.input(ScalarType(kind), _input_name(source, self.builder))
            self.sources.append(source)
        return self.scalars[source]

    def _size_operand(self, x: SizeInt) -> Any:
        """A size as an operand: the int input that it is, else its number in a tensor of no dimension."""
        size = self.symbols.now(x.size)
        if isinstance(size, int):
            return size
        source = self.numbers.get(str(size))
        return self._emit(creation.size_of, (), {"size": x}) if source is None else self.number_input(str(size), source)

    def _with_ratios(self, op: Op, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        """`operands` with floats of sizes as tensors of no dimension, which act as the weak numbers would; else pinned."""
        weak = [x.raw if type(x) is SizeFloat else int(raw(x)) if type(x) is SizeInt else type_of(x) for x in operands]
        target = target_dtype(op, tuple(weak)) if all(type(x) not in (SymFloat, SymInt) for x in operands) else None
        if target not in (dtypes.float32, dtypes.float64):
            return tuple(concrete(x) if type(x) is SizeFloat else x for x in operands)
        meta = Meta.of((), (), target)
        made = [self._ratio(x, target) if type(x) is SizeFloat else x for x in operands]
        return tuple(self.wrap(x, meta) if isinstance(x, Value) else x for x in made)

    def _ratio(self, x: Any, target: Any) -> Any:
        """A float of sizes as a graph value of dtype `target`, computed in float64."""
        if type(x) is SizeInt:
            found = self._size_operand(x)
            if isinstance(found, Value) and isinstance(found.type, ScalarType):
                found = self._emit(lookup("full"), (found,), {"shape": (), "dtype": dtypes.int64})
            return self._emit(casts.cast, (found,), {"dtype": target}) if isinstance(found, Value) else found
        if type(x) is not SizeFloat:
            return x
        parts = [self._ratio(y, dtypes.float64) for y in x.args]
        if not any(isinstance(y, Value) for y in parts):
            return x.pin()
        made = self._emit(lookup(x.op), tuple(parts), {})
        return made if target is dtypes.float64 else self._emit(casts.cast, (made,), {"dtype": target})

    def size_tensor(self, x: SizeInt) -> Any:
        """A size as a traced Tensor."""
        value = self._size_operand(x)
        return self.wrap(value, self.meta_of(value.tensor_type, False))

    def number_input(self, name: str, source: Source) -> Value:
        """The graph input for a symbol that is an int from outside; it has the symbol's name."""
        if source not in self.scalars:
            self.scalars[source] = self.builder.input(ScalarType("int"), name)
            self.sources.append(source)
        return self.scalars[source]

    def constant(self, value: Any, meta: Meta) -> Any:
        """A fresh tensor all of whose elements are `value`."""
        made = self._emit(creation.full, (value,), {"shape": meta.shape, "dtype": meta.dtype})
        out = self.wrap(made, self.meta_of(made.tensor_type, False))
        out.requires_grad = meta.requires_grad
        return out

    # -- values ----------------------------------------------------------------------------------------------------

    def value_of(self, tensor: Any) -> Value:
        """The graph value that a traced Tensor has now."""
        storage = tensor._storage
        seen = self.seen.get(id(tensor))
        if seen is None or seen.tensor is not tensor:  # made by `factory.alias`: another Tensor on the same memory
            seen = self.seen[id(tensor)] = self._adopt_alias(tensor)
        if seen.version != storage.version:
            value = storage.value
            for op, attrs in seen.chain:
                value = self._emit(op, (value,), attrs)
            value = self.histories.again(tensor, seen.value, value)
            seen.value, seen.version = value, storage.version
        return seen.value

    def _adopt_alias(self, tensor: Any) -> Seen:
        for seen in reversed(self.seen.values()):
            x = seen.tensor
            if x._storage is tensor._storage and x._offset == tensor._offset and x.meta.type == tensor.meta.type:
                value = self.value_of(x)
                if x.meta.requires_grad and not tensor.meta.requires_grad:
                    value = self._emit(casts.detach, (value,), {})
                return Seen(tensor, value, tensor._storage.version, seen.chain)
        raise Break("tracer-error", "a tensor that was laid over the memory of a traced one")

    def _emit(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        if not self.symbols.numbers:
            return self.builder.emit(op, operands, attrs, self.where())
        with self.symbols.strictly():
            return self.builder.emit(op, operands, attrs, self.where())

    # -- the executor's protocol -------------------------------------------------------------------------------------

    def apply(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Record one op call; its result Tensor, or a tuple of them."""
        if not hasattr(op, "lowering"):
            raise Break("tracer-error", f"the operation {op!r}")
        tensors = [x for x in operands if isinstance(x, Tensor)]
        for x in tensors:
            if type(x._storage) is BatchStorage:
                return x._storage.level.apply(op, operands, attrs)
        tracked = any(x.meta.requires_grad for x in tensors)
        detached = tracked and not gradmode.get()
        if any(type(x) is SizeFloat for x in operands):
            operands = self._with_ratios(op, operands)
        operands = self.lates.operands(op, operands)
        args = tuple(self._operand(concrete(x) if i in op.fixed else x, detached) for i, x in enumerate(operands))
        free = _sized(op)
        attrs = {k: v if k in free else _static(v) for k, v in attrs.items()}
        out = self._emit(op, args, attrs)
        differentiable = tracked and not detached and op.grad is not None
        if op.effects.aliases is not None and not isinstance(out, tuple):
            return self._view(op, self._twin(operands[op.effects.aliases]), attrs, out, differentiable)
        made = self._wrapped(out, differentiable)
        if op is casts.contiguous and isinstance(tensors[0].meta, SizedMeta):
            self.doubts.append((tensors[0]._storage, made[0]._storage, tensors[0].meta))
        return made if isinstance(out, tuple) else made[0]

    def _wrapped(self, out: Any, differentiable: bool) -> tuple[Any, ...]:
        values = out if isinstance(out, tuple) else (out,)
        return tuple(self.wrap(v, self.meta_of(v.tensor_type, differentiable)) for v in values)

    def settle_doubts(self, storages: Sequence[Any]) -> None:
        """Of copies that would have been none had some size been 1: it is none of them, where it matters who shares memory."""
        left = []
        for doubt in self.doubts:
            if any(x is storage for x in doubt[:2] for storage in storages):
                for n in doubt[2].shape:
                    _ = n != 1  # leaves a condition
            else:
                left.append(doubt)
        self.doubts = left

    def _twin(self, x: Any) -> Any:
        return x if isinstance(x._storage, TracedStorage) else self.adopt(x)

    def _operand(self, x: Any, detached: bool) -> Any:
        if isinstance(x, Value):
            return x
        if type(x) in WEAK:
            return self.lates.operand(x)
        if not isinstance(x, Tensor):
            return self.scalar(x if isinstance(x, SYMBOLIC) else executor.native_results(x))
        storage = x._storage
        if storage is None or storage.recorder is not self:
            x = self.adopt(x)
        if x.meta.requires_grad and gradmode.get() and self._is_foreign(x._storage.written):
            raise Break("write-gradient", "the use of an input that requires grad behind a write to it")
        value = self.value_of(x)
        return self._emit(casts.detach, (value,), {}) if detached and x.meta.requires_grad else value

    def _is_foreign(self, written: Value | None) -> bool:
        """Whether an input that was written to has a history from before the region."""
        return written is not None and any(i.value is written and i.real._node is not None for i in self.inputs)

    def cut(self, value: Value) -> Value:
        """The same values without a history."""
        return self._emit(casts.detach, (value,), {})  # type: ignore[no-any-return]

    def _view(self, op: Op, base: Any, attrs: dict[str, Any], value: Value, differentiable: bool) -> Any:
        storage: TracedStorage = base._storage
        if value.dtype is not base.meta.dtype:
            made = self.wrap(value, self.meta_of(value.tensor_type, differentiable))
            self.recast.note(storage, made._storage, self.histories.unit())
            return made
        offset = view_offset(op, base.meta, attrs)
        if offset is None:  # this call copies
            return self.wrap(value, self.meta_of(value.tensor_type, differentiable))
        chain = (*self.seen[id(base)].chain, (op, dict(attrs)))
        meta = self.meta_of(value.tensor_type, differentiable)
        return self._tensor(Tensor, meta, storage, (base._offset or 0) + offset, value, chain)

    def write(self, target: Any, source: Any) -> None:
        """Store `source` (a Tensor or number that broadcasts) into the memory of `target`."""
        for x in (target, source):
            if isinstance(x, Tensor) and type(x._storage) is BatchStorage:
                x._storage.level.write(target, source)
                return
        if not isinstance(target._storage, TracedStorage):
            target = self.adopt(target)
        storage = target._storage
        owner = self.of_storage.get(id(storage))
        self._check_write(target, source, owner)
        self.settle_doubts([storage])
        self.recast.check_write(storage)
        self.lates.before_write(storage)
        self.value_of(target)
        whole = target.meta.type == storage.cover.type
        value = self._fitted(self._operand(source, not gradmode.get()), target, whole)
        storage.value = value if whole else self._scatter(storage, target, value)
        storage.version += 1
        if gradmode.get() and isinstance(source, Tensor) and source.meta.requires_grad:
            family = self.family(target)
            for seen in self._on(storage):
                if self.family(seen.tensor) is family:
                    seen.tensor.meta = seen.tensor.meta.with_grad(True)
        if owner is not None:
            storage.written = owner.value
            storage.value = self.histories.written(owner, storage.value)
            self.writes.append(WriteBack(owner.value, storage.value, len(self.builder.nodes)))

    def family(self, tensor: Any) -> Any:
        """What the views of one tensor share, and no detached alias has: the last step out of a history on the way to it."""
        self.value_of(tensor)
        return next((step for step in reversed(self.seen[id(tensor)].chain) if step[0] is casts.detach), None)

    def as_data(self, made: Tensor) -> Tensor:
        """`made`, a detached alias, as ``x.data``: its writes do not count to what it was detached from."""
        chain = self.seen[id(made)].chain if id(made) in self.seen else ()
        if chain and chain[-1][0] is casts.detach:
            self.uncounted.append(chain[-1])
        return made

    def count_of(self, tensor: Any) -> Any:
        """The step of ``x.data`` that the tensor's writes are counted by; None: those of its memory."""
        chain = self.seen[id(tensor)].chain
        return next((step for step in reversed(chain) if any(step is own for own in self.uncounted)), None)

    def _on(self, storage: TracedStorage) -> list[Seen]:
        return [seen for seen in self.seen.values() if seen.tensor._storage is storage]

    def _check_write(self, target: Any, source: Any, owner: InputTensor | None) -> None:
        """Break where the write's effect on histories, or on memory that others see, is more than a new value."""
        tracked = gradmode.get() and isinstance(source, Tensor) and source.meta.requires_grad
        if owner is None:
            history = any(seen.tensor.meta.requires_grad for seen in self._on(target._storage) if not self.histories.made(seen))
            if history and not (gradmode.get() and target.meta.requires_grad):
                raise Break("write-gradient", "an in-place write past the history of a tensor that requires grad")
            family = self.family(target) if tracked else None
            if family is not None and any(all(step is not family for step in x.chain) for x in self._on(target._storage)):
                raise Break("write-gradient", "an in-place write with a history into a detached alias of another tensor")
        elif tracked or (gradmode.get() and target.meta.requires_grad):
            raise Break("write-gradient", "an in-place write to an input with a history")
        elif owner.real._node is not None and any(s.tensor.meta.requires_grad for s in self._on(target._storage) if s.chain):
            raise Break("write-gradient", "an in-place write past the history of a view")
        elif self._shared(owner):
            raise Break("write-shared", "an in-place write to a tensor that shares its memory with another input")
        strides = zip(target.meta.shape, target.meta.strides, strict=True)
        if any(n > 1 and step == 0 for n, step in strides) or (owner is not None and not _is_writable(owner.real)):
            raise Break("raise", "an in-place write to an expanded view or to read-only memory")

    def _shared(self, owner: InputTensor) -> bool:
        mine = owner.real._storage
        return mine is not None and any(i is not owner and i.real._storage is mine for i in self.inputs)

    def _fitted(self, value: Any, target: Any, whole: bool) -> Value:
        """`value` in the shape and dtype of `target`, and in its strides if it replaces all memory."""
        type = target.meta.type
        if not isinstance(value, Value) or isinstance(value.type, ScalarType):
            value = self._emit(creation.full, (value,), {"shape": type.shape, "dtype": type.dtype})
        if value.dtype is not type.dtype:
            value = self._emit(casts.cast, (value,), {"dtype": type.dtype})
        if value.shape != type.shape:
            value = self._emit(shape.expand, (value,), {"shape": type.shape})
        return self._laid_out(value, type) if whole else value

    def _laid_out(self, value: Value, type: TensorType) -> Value:
        if value.tensor_type.strides == type.strides:
            return value
        if type.is_contiguous:
            return self._emit(casts.contiguous, (value,), {})  # type: ignore[no-any-return]
        order = layout.dense_order(type)
        if order is None:
            raise Break("write-layout", "an in-place write to a tensor that is not contiguous")
        stored = self._emit(casts.contiguous, (self._emit(shape.permute, (value,), {"dims": order}),), {})
        back = tuple(sorted(range(len(order)), key=order.__getitem__))
        return self._emit(shape.permute, (stored,), {"dims": back})  # type: ignore[no-any-return]

    def _scatter(self, storage: TracedStorage, target: Any, value: Value) -> Value:
        """All memory with the window that `target` is replaced."""
        if not storage.cover.type.is_contiguous:
            raise Break("write-layout", "an in-place write through a view of a tensor that is not contiguous")
        base = self._laid_out(storage.value, storage.cover.type)
        window = {"shape": target.meta.shape, "strides": target.meta.strides, "offset": target._offset or 0}
        return self._emit(shape.as_strided_scatter, (base, value), window)  # type: ignore[no-any-return]

    # -- fresh memory under several Tensors ------------------------------------------------------------------------

    def is_fresh(self, tensor: Any) -> bool:
        """Whether the region made the memory of a traced Tensor."""
        return id(tensor._storage) not in self.of_storage

    def way_to(self, tensor: Any) -> Chain:
        """The views that lead from all of its memory to a traced Tensor, their attributes as constants."""
        self.value_of(tensor)
        return self.seen[id(tensor)].chain

    def whole(self, tensor: Any) -> Any:
        """A traced Tensor that is all the memory of a traced one."""
        storage: TracedStorage = tensor._storage
        tracks = any(seen.tensor.meta.requires_grad for seen in self._on(storage))
        return self._tensor(Tensor, storage.cover.with_grad(tracks), storage, 0, storage.value, ())

    def shares(self, tensors: Sequence[Any]) -> bool:
        """Whether two of some traced Tensors lie in one memory that the region made."""
        fresh = [id(t._storage) for t in tensors if self.is_fresh(t)]
        return len(set(fresh)) < len(fresh)

    # -- the end ---------------------------------------------------------------------------------------------------

    def output(self, tensor: Any) -> Output:
        """What the caller gets for a traced Tensor."""
        shared = [d for d in self.doubts if d[1] is tensor._storage and (id(d[0]) in self.of_storage or d[0] in self.given)]
        if shared:
            self.settle_doubts([tensor._storage])
        self.recast.check_output(tensor._storage, self.given, self.of_storage)
        self.given.append(tensor._storage)
        value = self.value_of(tensor)
        owner = self.of_storage.get(id(tensor._storage))
        if owner is None:
            return Output(value)
        if owner.traced is tensor:
            return Output(value, owner.value)
        type = tensor.meta.type
        return Output(value, owner.value, View(tensor._offset or 0, type.shape, type.strides))

    def finish(self, outputs: list[Output]) -> Graph:
        """The graph, without inputs that nothing in it reads; sizes are in their last form."""
        outputs = self._settled(outputs)
        used: set[Any] = {a for node in self.builder.nodes for a in node.args if isinstance(a, Value)}
        used.update(w.target for w in self.writes)
        used.update(v for w in self.writes for v in (w.value,))
        used.update(v for o in outputs for v in (o.value, o.source) if v is not None)
        names = self._names(used, outputs)
        while (further := self._settling(used, names)) is not None:
            used.add(further)
        kept = [i for i, v in enumerate(self.builder.inputs) if v in used]
        self.builder.inputs = [self.builder.inputs[i] for i in kept]
        self.sources = [self.sources[i] for i in kept]
        return self.builder.finish(outputs, self.writes, self._names(used, outputs))

    def final_meta(self, meta: Meta) -> Meta | MetaPattern:
        """The Meta of a result: interned where all its sizes are fixed."""
        if not isinstance(meta, SizedMeta):
            return meta
        found = _final_type(meta.type, self.symbols.final)
        if all(isinstance(n, int) for n in sizes_of(found)):
            return Meta.of(found.shape, found.strides, found.dtype, meta.requires_grad)
        return MetaPattern(found, meta.requires_grad, meta.device)

    def _settled(self, outputs: list[Output]) -> list[Output]:
        """All sizes in types, attributes and views in their last form."""
        if not self.symbols.numbers:
            return outputs
        final = self.symbols.final
        for value in (*self.builder.inputs, *(r for node in self.builder.nodes for r in node.results)):
            value.type = _final_type(value.type, final)
        for node in self.builder.nodes:
            for key, attr in node.attrs.items():
                node.attrs[key] = final(attr)
        return [
            o if o.view is None else replace(o, view=View(final(o.view.offset), final(o.view.shape), final(o.view.strides)))
            for o in outputs
        ]

    def _names(self, used: set[Any], outputs: list[Output]) -> tuple[str, ...]:
        """The symbols that occur in the graph, oldest first."""
        if not self.symbols.numbers:
            return ()
        found: dict[str, None] = {}
        values = [*used, *(r for node in self.builder.nodes for r in node.results)]
        every = [n for v in values if isinstance(v, Value) for n in sizes_of(v.type)]
        every += [n for node in self.builder.nodes for a in node.attrs.values() for n in _sizes_in(a)]
        every += [n for o in outputs if o.view is not None for n in (o.view.offset, *o.view.shape, *o.view.strides)]
        for n in every:
            found.update(dict.fromkeys(sizes.symbols_of(n)))
        return tuple(sorted(found.keys() - self.symbols.produced, key=lambda name: int(name[1:])))

    def _settling(self, used: set[Any], names: tuple[str, ...]) -> Value | None:
        """A further input that settles a symbol which those used do not; None where all are settled."""
        if not names:
            return None
        taken = [v for v in self.builder.inputs if v in used]
        scalars = [v.name for v in taken if isinstance(v.type, ScalarType)]
        known = solve.solvable([n for v in taken for n in sizes_of(v.type)], scalars)
        missing = [name for name in names if name not in known]
        if not missing:
            return None
        for name in missing:
            if name in self.numbers:
                return self.number_input(name, self.numbers[name])
        for v in self.builder.inputs:
            if v not in used and set(missing) & (solve.solvable(sizes_of(v.type), known) - known):
                return v
        raise Break("data-size", f"the sizes {', '.join(missing)}, which no tensor shows")


def source_of(expr: Any) -> Any:
    """A symbolic number's expression as a Source; constants stay numbers."""
    if isinstance(expr, Leaf):
        return expr.source
    if not isinstance(expr, Apply):
        return expr
    return Computed(expr.op, tuple(map(source_of, expr.args)))


@lru_cache(maxsize=1024)
def _sized(op: Op) -> frozenset[str]:
    """The attributes of an op that may be symbolic: those whose annotation in `infer` names Size."""
    found = getattr(op.infer, "__annotations__", {})
    return frozenset(name for name, annotation in found.items() if name != "return" and "Size" in str(annotation))


def _final_type(type: Any, final: Callable[[Any], Any]) -> Any:
    if not isinstance(type, TensorType):
        return type
    return TensorType(final(type.shape), type.dtype, final(type.strides))


def _sizes_in(attr: Any) -> Iterator[Any]:
    if isinstance(attr, sizes.Expr):
        yield attr
    elif isinstance(attr, tuple):
        for x in attr:
            yield from _sizes_in(x)


def _static(x: Any) -> Any:
    """An op's attribute: numbers from outside become constants."""
    if isinstance(x, SYMBOLIC):
        return concrete(x)
    if type(x) in WEAK:
        raise x.late.needed()
    return tuple(map(_static, x)) if isinstance(x, tuple) else x


def _is_writable(real: Any) -> bool:
    return real._array is None or bool(real._array.flags.writeable)


def _input_name(source: Source, builder: Builder) -> str | None:
    """A name for the graph's text: the source's own, as a reader calls it."""
    return naming.word(source.expr())
