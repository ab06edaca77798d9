"""Runs ops on tensors of a GPU: each is its one-op graph through the same compiler, kept for its kind; views run no kernel.

A tensor on a GPU has no array; its storage names the `Executor` here, to which the eager executor hands every call. What has no
kernel runs on the host between copies, which is said once for each op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import knobs
from ..errors import CompileError, DeviceError, FusewireError
from ..ir import sizes
from ..ir.layout import extent_of, windowed
from ..ir.op import Extern, Op
from ..ir.promote import rounded, type_of
from ..ir.run_op import run_op
from ..ir.types import ScalarType, TensorType, contiguous_strides
from ..runtime import gradmode
from ..runtime.chain import Chain, Way
from ..runtime.gpu import device as devices
from ..runtime.gpu.device import GPU
from ..runtime.gpu.storage import DeviceStorage, address_of
from ..runtime.meta import Meta
from . import launches, stores, tape
from .carried import layout_of
from .executor import WEAK
from .executor import native_results as native
from .factory import Detached, blank, make, place, storage_of
from .patterns import Ints, Pattern, by_value, number, of_call

#: kinds of calls remembered
MOST = 8192
#: what a kind of call does: takes the operands, gives a result or a tuple of results, without history
Plan = Callable[[tuple[Any, ...]], Any]


def tensor_in(storage: DeviceStorage, meta: Meta, offset: int = 0) -> Any:
    """The Tensor in a storage, `offset` elements in."""
    t = blank(meta)
    t._storage, t._offset = storage, offset or None
    return t


def fresh(gpu: GPU, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any, requires_grad: bool = False) -> Any:
    """An uninitialised Tensor on `gpu`."""
    nbytes = extent_of(shape, strides) * dtype.itemsize
    meta = Meta.of(shape, strides, dtype, requires_grad, gpu.name)
    return tensor_in(DeviceStorage(gpu, gpu.allocate(nbytes), nbytes), meta)


class Executor:
    """Runs ops on one device (`eager.executor.Executor`)."""

    def __init__(self, gpu: GPU) -> None:
        self.gpu = gpu
        self.plans: dict[Any, Plan] = {}
        self.generic: dict[Any, Any] = {}  # executables of patterns; None: sizes must be fixed
        self.ints = Ints()

    def apply(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """The op's result, recorded where an operand requires grad."""
        try:
            kinds = launches.kinds_of(op, operands, attrs)
            if WEAK.issuperset(map(type, operands)):
                kinds = *kinds, self.gpu.name  # else a tensor says where
            served = launches.called(kinds, op, operands, attrs)
        except (AttributeError, TypeError):  # no Tensor yet, an attribute that does not hash
            kinds, served = (), None
        return self._applied(op, operands, attrs, kinds) if served is None else served

    def _applied(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], kinds: tuple[Any, ...]) -> Any:
        track, ints, held = False, self.ints.are_inputs(op, operands), by_value(operands, attrs)
        key: list[Any] = [op, knobs.state]
        for i, x in enumerate(operands):
            if type(x) in WEAK:
                key.append(type(x) if isinstance(number(op, i, x, ints), ScalarType) and not held else (type(x), repr(x)))
                continue
            meta = getattr(x, "meta", None)
            if meta is None or (x._array is not None or not x._storage.on_device):
                return self._elsewhere(op, operands, attrs)
            track = track or meta.requires_grad
            key.append(meta.with_grad(False) if meta.requires_grad else meta)
        key += attrs.items()
        kind = tuple(key)
        try:
            plan = self.plans.get(kind)
        except TypeError:  # an attribute that does not hash
            plan, kind = None, None  # type: ignore[assignment]
        if plan is None:
            plan = self._plan(op, operands, attrs, ints)
            if len(self.plans) >= MOST:
                self.plans.clear()
            if kind is not None:
                self.plans[kind] = plan
        made = plan(operands)
        if kinds and isinstance(plan, (Runner, View)):
            launches.met(kinds, plan, op, operands, attrs, made, partial(_Unsaved, executor=self))
        if track and op.grad is not None and gradmode.get():
            self._record(op, operands, attrs, made if type(made) is tuple else (made,))
        return made

    # -- kinds of calls

    def _elsewhere(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """A call with an operand that is no tensor of a GPU: 0-d ones of the CPU come along, traced ones record, others are
        refused."""
        given = [native(x) for x in operands]
        for i, x in enumerate(given):
            if type(x) in WEAK:
                continue
            if x._array is None and not x._storage.on_device:
                return x._storage.recorder.apply(op, operands, attrs)
            if x._array is not None:
                if x.meta.shape:
                    raise different(op, given)
                given[i] = moved(x, self.gpu)
        return self.apply(op, tuple(given), attrs)

    def _plan(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], ints: bool) -> Plan:
        """What such a call does; with `ints` whatever its ints are."""
        if any(type(x) not in WEAK and x.meta.device != self.gpu.name for x in operands):
            raise different(op, operands)
        if op.effects.aliases is not None:
            place = _window(op, operands, attrs)
            if place is not None:
                return View(op.effects.aliases, *place)
        if op.eager_only or (type(op.lowering) is Extern and not _has_template(op, operands, attrs)):
            return self._on_host(op, attrs)
        return self._compiled(op, operands, attrs, ints)

    def _compiled(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], ints: bool) -> Plan:
        from ..ir.graph import Builder

        types = [x if type(x) in WEAK else x.meta.type for x in operands]
        builder = Builder(f"eager_{op.name}")
        results = builder.emit(op, [builder.input(t) if isinstance(t, TensorType) else t for t in types], attrs)  # raises misfits
        single = not isinstance(results, tuple)
        out = [v.tensor_type for v in ((results,) if single else results)]
        try:
            for pattern in _patterns(op, types, attrs, out, ints):
                executable = self._serving(op, pattern)
                if executable is not None and _lie_so(executable, pattern, out):
                    break
        except CompileError as error:
            knobs.warn(f"{op.name} runs on the host, between copies from and to {self.gpu.name}: {error}")
            return self._on_host(op, attrs, quiet=True)
        return self._runner(op, executable, pattern, out, single)

    def _serving(self, op: Op, pattern: Pattern) -> Any:
        """The executable that serves all calls of a pattern; None where there is none."""
        key = knobs.state, pattern.key
        found = self.generic.get(key, _missing)
        if found is not _missing:
            return found
        try:
            found = self._built(op, pattern)
        except CompileError:
            if not pattern.values:
                raise
            found = None
        except Exception as error:  # rules that must decide what open sizes leave undecided
            if not pattern.values:
                raise
            found = None
            knobs.say(2, f"{op.name} on {self.gpu.name} is compiled for each size: {type(error).__name__}: {error}")
        self.generic[key] = found
        return found

    def _built(self, op: Op, pattern: Pattern) -> Any:
        from ..ir.graph import Builder
        from ..pipeline import compile_graph

        builder = Builder(f"eager_{op.name}")
        given = [builder.input(t) if isinstance(t, (TensorType, ScalarType)) else t for t in pattern.types]
        results = builder.emit(op, given, pattern.attrs)
        for name in pattern.counted:
            builder.input(ScalarType("int"), name)
        outputs = [results] if not isinstance(results, tuple) else results
        if pattern.collapsed and not all(v.tensor_type.is_contiguous for v in outputs):
            raise CompileError(f"{op.name}: a collapsed result is not dense")
        return compile_graph(builder.finish(outputs, symbols=tuple(pattern.values)), backend=self.gpu.driver.kind)

    def _runner(self, op: Op, executable: Any, pattern: Pattern, out: list[TensorType], single: bool) -> Plan:
        inputs = [i for i, t in enumerate(pattern.types) if isinstance(t, (TensorType, ScalarType))]
        tensors = [i for i, t in enumerate(pattern.types) if isinstance(t, TensorType)]
        metas = [Meta.of(t.shape, t.strides, t.dtype, False, self.gpu.name) for t in out]  # type: ignore[arg-type]
        half = op.promote is not None and not op.promote.wide and out[0].dtype if out[0].dtype.is_half else None
        extra = [pattern.values[name] for name in pattern.counted]
        return Runner(self.gpu, executable, pattern.values, inputs, tensors, extra, metas, half or None, single)

    def _on_host(self, op: Op, attrs: dict[str, Any], quiet: bool = False) -> Plan:
        gpu = self.gpu
        if not quiet:
            reason = op.lowering.reason if type(op.lowering) is Extern else "no kernel has it"
            _note(op, f"{op.name} runs on the host, between copies from and to {gpu.name} ({reason})")

        def run(operands: tuple[Any, ...]) -> Any:
            from .executor import apply

            before = gradmode.get()
            gradmode.set(False)
            try:
                out = apply(op, tuple([x if type(x) in WEAK else to_cpu(x) for x in operands]), attrs)
            finally:
                gradmode.set(before)
            return tuple([moved(x, gpu) for x in out]) if isinstance(out, tuple) else moved(out, gpu)

        return run

    def _record(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], results: tuple[Any, ...]) -> None:
        for r in results:
            if r.meta.dtype.is_inexact:
                r.meta = r.meta.with_grad(True)
        if not any(r.meta.requires_grad for r in results):
            return
        tape.record(op, operands, attrs, results)
        for r in results:
            node = r._node
            if node is None:
                continue
            node = getattr(node, "parent", node)
            node.saved = tuple([_Unsaved(s.type, self) if type(s) is tape.Unsaved else s for s in node.saved])

    def true_places(self, mask: Any) -> list[Any]:
        """Where a mask is true: an int64 tensor for each dimension. Their size must be known: the host waits for the mask."""
        return [moved(make(p), self.gpu) for p in mask._storage.copied(mask).nonzero()]

    # -- writes

    def write(self, target: Any, source: Any) -> None:
        """Store `source`, a Tensor or number that broadcasts, into `target`; one of the two lies on this device."""
        if target._array is not None:
            storage_of(target).write(target, to_cpu(source)._array)
            return
        if not target._storage.on_device:
            target._storage.recorder.write(target, source)
            return
        if type(source) not in WEAK and not hasattr(source, "meta"):
            source = make(np.array(source, target.meta.dtype.np))
        if 0 in target.meta.strides and stores.repeats(target.meta):
            raise RuntimeError(
                f"cannot write in place to a tensor of shape {list(target.shape)}: more than one of its elements refers to a "
                "single memory location (an expanded view); clone() it first"
            )
        storage = target._storage
        if stores.store(target, source):
            return
        if type(source) not in WEAK:
            if source._array is not None or source._storage.gpu is not storage.gpu:
                source = moved(source, storage.gpu)
            source = _apart(source, target)
        if type(source) not in WEAK and source.meta.type == target.meta.type and _dense(target.meta):
            nbytes = target.numel() * target.meta.dtype.itemsize
            storage.gpu.activate()
            if nbytes and address_of(source) != address_of(target):
                storage.gpu.driver.copy(address_of(target), address_of(source), nbytes, storage.gpu.stream)
        else:
            self._write_by_kernel(target, source)
        storage.version += 1
        offset = target._offset
        if type(offset) is Detached and offset.count is not None:
            storage.counted_apart(offset.count)

    def _write_by_kernel(self, target: Any, source: Any) -> None:
        weak = type(source) in WEAK
        key = ("write", knobs.state, target.meta.type, repr(source) if weak else source.meta.type)
        plan = self.plans.get(key)
        if plan is None:
            exact = partial(_writer, self.gpu, target.meta.type, source if weak else source.meta.type)
            plan = self.plans[key] = stores.runner(None, (target, source)) or exact()
        plan((target, source))


def _lie_so(executable: Any, pattern: Pattern, out: Sequence[TensorType]) -> bool:
    """Whether the graph lays its results out as this call does: open strides may leave undecided which dimension is the outer."""
    if pattern.collapsed:
        return True
    for made, wanted in zip(executable.plan.outputs, out, strict=True):
        steps = [sizes.evaluate(s, pattern.values) for s in made.type.strides]
        if 0 not in wanted.shape and any(a != b for a, b, n in zip(steps, wanted.strides, wanted.shape, strict=True) if n != 1):
            return False
    return True


class _Unsaved(tape.Unsaved):
    """As `tape.Unsaved`; constants that a rule makes beside it lie on the device."""

    __slots__ = ("executor",)

    def __init__(self, type: TensorType, executor: Executor) -> None:
        super().__init__(type)
        self.executor = executor

    def __apply_op__(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        return self.executor.apply(op, operands, attrs)


_noted: set[Op] = set()


def _note(op: Op, text: str) -> None:
    if op not in _noted:
        _noted.add(op)
        knobs.warn(text)


def _placed(found: Any, inputs: list[Any], gpu: GPU, meta: Meta) -> Any:
    """A result of an executable as a Tensor; what is an input comes as a copy, since a pure op's result never shares memory."""
    memory = getattr(found, "memory", None)
    if memory is not None:
        return tensor_in(DeviceStorage(gpu, memory, found.nbytes), meta)
    source = inputs[found.index]
    return copied(tensor_in(source._storage, meta, (source._offset or 0) + found.offset))


#: sizes up to which patterns keep sizes as they are: the first that a graph can be built for serves
_ALL = 1 << 62
_FIXED = (1, 4, _ALL)
_missing = object()


def _dense(meta: Meta) -> bool:
    """Whether the elements fill their memory without gaps or repetition."""
    steps = [s for s, n in zip(meta.strides, meta.shape, strict=True) if n > 1]
    return meta.plain or (extent_of(meta.shape, meta.strides) == int(np.prod(meta.shape)) and 0 not in steps)


def _compact(meta: Meta) -> tuple[int, ...]:
    """The strides of a copy."""
    return meta.strides if _dense(meta) else contiguous_strides(meta.shape)  # type: ignore[return-value]


def _apart(source: Any, target: Any) -> Any:
    """`source`, or a copy of it where writing to `target` would change it under way."""
    first, other = address_of(source), address_of(target)
    size = source.meta.dtype.itemsize
    laid = [(x.meta.shape, x.meta.strides, x.meta.dtype.itemsize) for x in (source, target)]
    if first == other and laid[0] == laid[1]:
        return source
    ends = first + extent_of(source.meta.shape, source.meta.strides) * size
    clear = ends <= other or other + extent_of(target.meta.shape, target.meta.strides) * target.meta.dtype.itemsize <= first
    return source if clear else copied(source)


def copied(x: Any) -> Any:
    """The same values in new memory of the same device."""
    gpu = x._storage.gpu
    meta = x.meta.with_grad(False)
    out = fresh(gpu, meta.shape, _compact(meta), meta.dtype)
    gpu.executor.write(out, x)
    return out


def _writer(gpu: GPU, target: TensorType, source: Any) -> Plan:
    """What stores a source of this type (or this number) in a target of that type."""
    from ..ir.graph import Builder, WriteBack
    from ..ir.ops.casts import cast
    from ..ir.ops.creation import full
    from ..ir.ops.shape import expand
    from ..pipeline import compile_graph

    builder = Builder("eager_write")
    to = builder.input(target)
    number = not isinstance(source, TensorType)
    if number:
        value = builder.emit(full, (source,), {"shape": target.shape, "dtype": target.dtype})
    else:
        value = builder.input(source)
        value = value if source.dtype is target.dtype else cast(value, dtype=target.dtype)
        value = value if source.shape == target.shape else expand(value, shape=target.shape)
    graph = builder.finish([], [WriteBack(to, value, len(builder.nodes))])
    executable: Any = compile_graph(graph, backend=gpu.driver.kind)

    def run(operands: tuple[Any, ...]) -> None:
        executable.run(operands[:1] if number else operands, gpu)

    return run


# -- views


def _patterns(
    op: Op, types: Sequence[Any], attrs: dict[str, Any], out: list[TensorType], ints: bool
) -> Iterator[Pattern]:  # fmt: skip
    """The patterns of a call, those that serve most calls first. What a template runs where sizes are known has as many of them
    known as that takes: the last ones, heads too, or all."""
    from ..backends.gpu import builder

    claim = builder.current.claims.get(op)
    if claim is not None and _claimed(claim, op, of_call(op, types, attrs, out, _ALL)):
        shapes: list[Any] = [t.shape for t in types if isinstance(t, TensorType)]
        shapes = [s for s in shapes if len(s) == max(map(len, shapes))]
        ends = frozenset(s[-1] for s in shapes)
        for kept in (frozenset(), ends, ends | {s[1] for s in shapes if len(s) > 2}):
            pattern = of_call(op, types, attrs, out, 1, kept)
            if _claimed(claim, op, pattern):
                yield pattern
        yield of_call(op, types, attrs, out, _ALL)
        return
    for fixed in _FIXED:
        yield of_call(op, types, attrs, out, fixed, ints=ints)


def _has_template(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> bool:
    """Whether the back end has a template for a call that kernels cannot do."""
    from ..backends.gpu import builder

    claim = builder.current.claims.get(op)
    if claim is None:
        return False
    types = [x if type(x) in WEAK else x.meta.type for x in operands]
    return _claimed(claim, op, of_call(op, types, attrs, op.infer(*types, **attrs), _ALL))


def _claimed(claim: Any, op: Op, pattern: Pattern) -> bool:
    """Whether a template runs the calls of a pattern."""
    from ..ir.graph import Builder

    made = Builder(op.name)
    try:
        given = [made.input(t) if isinstance(t, (TensorType, ScalarType)) else t for t in pattern.types]
        made.emit(op, given, pattern.attrs)
        return bool(claim.accepts(made.nodes[-1]))
    except FusewireError:
        return False


def _window(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> tuple[Meta, int] | None:
    """(Meta, bytes from the operand's first element) of the view that the op gives; None where it copies. Found by the op's own
    kernel on memory laid out as the operand's, of which it reads nothing."""
    base = operands[op.effects.aliases]  # type: ignore[index]
    (kind,) = op.infer(*[type_of(x) for x in operands], **attrs)
    meta, size = base.meta, base.meta.dtype.itemsize
    flat = np.zeros(max(extent_of(meta.shape, meta.strides), 1), meta.dtype.np)
    array = windowed(flat, meta.shape, [s * size for s in meta.strides])
    arrays = [array if x is base else x if type(x) in WEAK else to_cpu(x)._array for x in operands]
    (out,) = run_op(op, arrays, attrs, [meta.dtype])
    if out.size and not np.may_share_memory(out, flat):
        return None
    offset = out.__array_interface__["data"][0] - array.__array_interface__["data"][0] if out.size else 0
    return Meta.of(kind.shape, kind.strides, kind.dtype, False, meta.device), offset  # type: ignore[union-attr, arg-type]


@dataclass(slots=True)
class View:
    """A kind of call that gives a view: of operand `alias`, with this Meta, `offset` bytes behind its first element."""

    alias: int
    meta: Meta
    offset: int
    is_view = True
    inputs = ()

    def __call__(self, operands: tuple[Any, ...]) -> Any:
        base, size = operands[self.alias], self.meta.dtype.itemsize
        first = (base._offset or 0) * base.meta.dtype.itemsize + self.offset
        made = tensor_in(base._storage, self.meta, first // size)
        if type(base._offset) is Detached:
            made._offset = place(base, first // size)
        return made


@dataclass(slots=True)
class Runner:
    """A kind of call that a compiled graph serves: `values` of its symbols; numbers of the operands that are its `inputs`, and of
    the `tensors` among them; sizes that are `extra` inputs; Meta of each result; what floats are rounded to (`half`)."""

    gpu: GPU
    executable: Any
    values: dict[str, int]
    inputs: list[int]
    tensors: list[int]
    extra: list[int]
    metas: list[Meta]
    half: Any
    single: bool
    is_view = False

    def __call__(self, operands: tuple[Any, ...]) -> Any:
        given = [operands[i] for i in self.inputs]
        if self.half is not None:
            given = [rounded(x, self.half) if type(x) is float else x for x in given]
        addresses = [address_of(operands[i]) for i in self.tensors]
        found = self.executable.run_at(self.gpu, self.values, [*given, *self.extra], addresses)
        made = tuple([_placed(f, given, self.gpu, meta) for f, meta in zip(found, self.metas, strict=True)])
        return made[0] if self.single else made


# -- compiled graphs


def run_graph(executable: Any, inputs: Any) -> list[Any]:
    """What a compiled graph gives for Tensors on one GPU and numbers: Tensors, inputs themselves among them."""
    if isinstance(executable, Chain):
        return executable.run_by(inputs, _IN_PARTS)
    home = next((x for x in inputs if hasattr(x, "meta")), None)
    gpu = devices.device() if home is None else home._storage.gpu
    return [_result(f, inputs, gpu) for f in executable.run(inputs, gpu)]


def _settled(node: Any, args: list[Any], attrs: dict[str, Any]) -> tuple[Any, ...]:
    """A node that settles a size, on the host, which has to know it."""
    gpu = next(x for x in args if hasattr(x, "meta"))._storage.gpu
    arrays = [to_cpu(x)._array if hasattr(x, "meta") else x for x in args]
    return tuple([moved(make(x), gpu) for x in run_op(node.op, arrays, attrs, [r.dtype for r in node.results])])


_IN_PARTS = Way(run_graph, _settled, copied, layout_of)


def _result(found: Any, inputs: Any, gpu: GPU) -> Any:
    memory = getattr(found, "memory", None)
    if memory is not None:
        meta = Meta.of(found.shape, found.strides, found.dtype, False, gpu.name)
        return tensor_in(DeviceStorage(gpu, memory, found.nbytes), meta)
    source = inputs[found.index]
    if found.shape is None:
        return source
    meta = Meta.of(found.shape, found.strides, source.meta.dtype, False, gpu.name)
    return tensor_in(source._storage, meta, (source._offset or 0) + found.offset)


class Watched(DeviceStorage):
    """As `DeviceStorage`. When it dies it says in `last` which version it had."""

    __slots__ = ("__weakref__", "last")
    last: list[int]

    def __del__(self) -> None:
        self.last.append(self.version)


def watched(storage: DeviceStorage, last: list[int]) -> Watched:
    """The same memory, watched."""
    out = Watched(storage.gpu, storage.memory, storage.nbytes, storage.address)
    out.last = last
    return out


# -- between devices


def different(op: Op | str, operands: Any) -> DeviceError:
    """The error of an op whose operands lie on different devices."""
    named = [f"operand {i} {x.meta.type} on {x.meta.device}" for i, x in enumerate(operands) if hasattr(x, "meta")]
    found = list(dict.fromkeys(x.meta.device for x in operands if hasattr(x, "meta")))
    return DeviceError(
        f"Expected all tensors to be on the same device, but found at least two devices, {' and '.join(found)}! "
        f"({op}: {', '.join(named)}; use .to(device))"
    )


def to_cpu(x: Any) -> Any:
    """The values of a tensor on a GPU as one of the CPU, without history; waits for them."""
    if x._array is not None:
        return x
    return make(x._storage.copied(x))


def moved(x: Any, gpu: GPU) -> Any:
    """The values of a tensor as one on `gpu`, without history."""
    if x._array is None:
        source = x if _dense(x.meta) or x._storage.gpu is gpu else copied(x)
        out = fresh(gpu, x.meta.shape, _compact(x.meta), x.meta.dtype)
        if source._storage.gpu is gpu:
            gpu.executor.write(out, source)
        else:
            nbytes = x.numel() * x.meta.dtype.itemsize
            devices.copy_across(gpu, out._storage.address, source._storage.gpu, address_of(source), nbytes)
        return out
    array = x._array
    dense = array.copy(order="K") if not _dense(x.meta) or not array.flags.aligned else array
    strides = x.meta.strides if dense is array else tuple([s // array.itemsize for s in dense.strides])
    if any(s < 0 for s in strides):
        dense = np.ascontiguousarray(array)
        strides = tuple([s // array.itemsize for s in dense.strides])
    out = fresh(gpu, array.shape, strides, x.meta.dtype)
    gpu.upload(out._storage.address, dense)
    return out


def executor_of(gpu: GPU) -> Executor:
    """What runs ops on a device."""
    from ..backends.gpu import user_kernels

    user_kernels.serve()
    launches.forget()
    return Executor(gpu)


devices.provide(executor_of)
__all__ = ["Executor", "copied", "different", "fresh", "moved", "storage_of", "tensor_in", "to_cpu"]
