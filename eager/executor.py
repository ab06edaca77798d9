"""Runs one op on Tensors: promotion, the NumPy kernel, wrapping, tape. Knows no op by name.

A traced operand (no array, a storage with a recorder) sends the call to that recorder instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

import numpy as np

from ..ir import dtypes
from ..ir.layout import conformed
from ..ir.op import Op, Scalar
from ..ir.ops.casts import cast
from ..ir.promote import fitted, target_dtype, type_of
from ..ir.run_op import run_op
from ..runtime import gradmode
from . import casting, hot, launches, plans, stores, tape
from .factory import make, make_view, of_meta, storage_of
from .plans import PLANS, Plan

# Entering np.errstate costs more than a small add; this is the same switch without the wrapper, where NumPy has it.
_errors: Any = getattr(np._core.umath, "_extobj_contextvar", None)  # type: ignore[attr-defined]
_IGNORE: Any = np._core.umath._make_extobj(all="ignore") if _errors is not None else None  # type: ignore[attr-defined]


class Executor(Protocol):
    """What may run an op: the eager one below, or a tracer's recorder."""

    def apply(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """The op's result (a Tensor), or a tuple where it has several."""

    def write(self, target: Any, source: Any) -> None:
        """Store `source`, a Tensor or number that broadcasts, into the memory of `target`."""


class NotOperand(TypeError):
    """An operand that no op takes; an operator method answers NotImplemented to it."""


class _Recording(threading.local):
    recorder: Executor | None = None


WEAK = frozenset((bool, int, float, complex, type(None)))
_ndarray, _asarray, _NoneType = np.ndarray, np.asarray, type(None)
on_recording = _Recording()
recorders = 0  # how many threads record or cast now; spares all other calls the look at the thread's own


@contextmanager
def recording(recorder: Executor) -> Iterator[None]:
    """Send every op of this thread to `recorder`, those without a traced operand (creation, numbers) included."""
    global recorders
    former = on_recording.recorder
    on_recording.recorder = recorder
    recorders += 1
    hot.recorders += 1
    try:
        yield
    finally:
        on_recording.recorder = former
        recorders -= 1
        hot.recorders -= 1


def divert(threads: int) -> None:
    """That many more threads (or fewer) cast the operands of ops, see `casting`."""
    global recorders
    recorders += threads


def is_recording() -> bool:
    """Whether this thread's ops go to a recorder, those of eager Tensors too."""
    return bool(recorders) and on_recording.recorder is not None


def is_plain(x: Any) -> bool:
    """Whether `x` is a tensor on the CPU with values, while nothing is recorded or cast: no op need be called for what NumPy
    does."""
    return not recorders and x._array is not None


def is_at_hand(x: Any) -> bool:
    """Whether a tensor has values, on the CPU or a GPU, while nothing is recorded or cast: a write of a number needs no op."""
    return not recorders and (x._array is not None or x._storage.on_device)


def recorder() -> Any:
    """What this thread's ops go to, while they are recorded."""
    return on_recording.recorder


_MISSING = object()
_KERNEL_ERRORS = (ArithmeticError, ValueError, TypeError, IndexError, RuntimeError)


def apply(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """Run `op` on Tensors, Python numbers and None; ShapeError, DTypeError or TypeError where they do not fit."""
    if recorders:
        if op.autocast and casting.on:
            operands = casting.fitted(op, operands)
        if on_recording.recorder is not None:
            return on_recording.recorder.apply(op, operands, attrs)
    kinds: Any
    arrays: Any
    try:
        x = operands[0]
        kind: Any = type(x)
        if kind not in WEAK:
            kind, x = x.meta, x._array
        if len(operands) == 1:
            kinds, arrays = (op, kind, *attrs, *attrs.values()) if attrs else (op, kind), (x,)
        elif len(operands) == 2:
            y = operands[1]
            other: Any = type(y)
            if other not in WEAK:
                other, y = y.meta, y._array
            kinds = (op, kind, other, *attrs, *attrs.values()) if attrs else (op, kind, other)
            arrays = (x, y)
            x = None if y is None and other is not _NoneType else x
        else:
            kinds, arrays = _kinds(op, operands, attrs)
        if x is None:  # traced, or on a device
            made = launches.called(kinds, op, operands, attrs)
            return _apply(op, operands, attrs) if made is None else made
        plan = PLANS.get(kinds)
    except (AttributeError, TypeError, IndexError):  # not a Tensor yet, an attribute that does not hash, no operand
        return _apply(op, operands, attrs)
    if plan is None:
        return _apply(op, operands, attrs, kinds)
    if plan.held is not None and any(type(n) is int and not plan.held[0] <= n <= plan.held[1] for n in operands):
        return _apply(op, operands, attrs)
    if plan.wait:
        made = hot.small(plan, op, operands, attrs)
        if made is not None:
            return made if not plan.track or not gradmode.get() else plans.record(plan, op, operands, attrs, made)
    token = _errors.set(_IGNORE)
    try:
        out = op.eager(*arrays, **attrs) if attrs else op.eager(*arrays)
    except _KERNEL_ERRORS as e:
        _explain(op, operands, attrs, e)
    finally:
        _errors.reset(token)
    if plan.ufunc:
        made = of_meta(out if type(out) is _ndarray else _asarray(out), plan.meta)  # type: ignore[arg-type]
    else:
        made = _wrap_planned(plan, op, operands, arrays, out)
    return made if not plan.track or not gradmode.get() else plans.record(plan, op, operands, attrs, made)


def _kinds(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> tuple[Any, list[Any]]:
    """(kind of the call, as `plans.PLANS` has it, arrays and numbers); AttributeError where an operand is traced or no Tensor."""
    arrays: list[Any] = []
    key: list[Any] = [op]
    for x in operands:
        if type(x) in WEAK:
            key.append(type(x))
            arrays.append(x)
            continue
        array = x._array
        if array is None:
            raise AttributeError
        key.append(x.meta)
        arrays.append(array)
    return (*key, *attrs, *attrs.values()), arrays


def _wrap_planned(plan: Plan, op: Op, operands: tuple[Any, ...], arrays: list[Any], out: Any) -> Any:
    """The Tensor on a result of a call of a known kind, without history."""
    if type(out) is not _ndarray:
        out = _asarray(out)
    if plan.view is not None:
        base = operands[op.effects.aliases]  # type: ignore[index]
        if not out.flags.writeable and base._array.flags.writeable:
            out.flags.writeable = True
        return plans.view(plan, base, out)
    if out.base is not None or any(a is out for a in arrays):
        return _wrap(op, operands, arrays, out)
    return make(out) if plan.meta is None else of_meta(out, plan.meta)


def _apply(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], kinds: tuple[Any, ...] | None = None) -> Any:
    """As `apply`, for a call of a kind that is not known, which it is from now on where there is nothing special about it."""
    arrays: list[Any] = []
    dtype = None
    uniform, weak, track, half, plain = True, False, False, False, True
    for x in operands:
        if type(x) in WEAK:
            weak = weak or x is not None
            arrays.append(x)
            continue
        try:
            array = x._array
        except AttributeError:
            array = _MISSING
        if array is _MISSING:
            own = getattr(type(x), "__apply_op__", None)  # tensors that are no Tensor: sparse ones
            if own is not None:
                return own(x, op, operands, attrs)
            return apply(op, tuple([native_results(x) for x in operands]), attrs)
        if array is None:
            if x._storage.recorder is not None:
                return x._storage.recorder.apply(op, operands, attrs)
            array = x._storage.read(x)
        meta = x.meta
        if meta.dtype is not dtype:
            uniform = dtype is None
            dtype = meta.dtype
            half = half or dtype.compute is not dtype.np
        track = track or meta.requires_grad
        plain = plain and meta.plain
        arrays.append(array)
    rule = op.promote
    common = not half and _errors is not None and (not weak or (uniform and dtype is not None and dtype.kind == "f"))
    decides = half and weak and rule is not None and (not rule.wide or complex in map(type, operands))
    if rule is not None and not (uniform and dtype and ((dtype.kind == "f" and not decides) or (not weak and rule.to == "same"))):
        before, operands = operands, _promoted(op, operands)
        half = half or dtypes.default().is_half
        common = not half and _errors is not None and _unchanged(op, before, operands)
        arrays = [x if type(x) in WEAK else x._array for x in operands]
    if not uniform and (rule is None or rule.operands is not None):
        op.infer(*[type_of(x) for x in operands], **attrs)  # NumPy would mix dtypes where the record refuses them
    elif dtype is not None and dtype.kind != "f":
        _check_dtype(op, operands, arrays, attrs)
    large = bool(op.heavy) and not half and hot.is_large(op, arrays)
    out = hot.run(op, operands, arrays, attrs) if large else None
    if out is None:
        out = (_run_slowly if half or _errors is None else _run)(op, operands, arrays, attrs)
    if not plain and type(op.lowering) is Scalar and type(out) is not tuple:
        common = False
        out = _conformed(op, operands, attrs, out)
    if track and op.grad is not None and gradmode.get():
        made = _wrap_tracked(op, operands, arrays, attrs, out)
    elif type(out) is tuple:
        made = tuple([_wrap(op, operands, arrays, r) for r in out])
    else:
        made = _wrap(op, operands, arrays, out)
    if common and kinds is not None and type(made) is not tuple and not large:
        plans.remember(kinds, operands, attrs, made, hot.wait(op, operands))
    return made


def _unchanged(op: Op, before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    """Whether promotion has left all operands as they were, and would whatever the numbers among them are."""
    if any(x is not y for x, y in zip(before, after, strict=True)):
        return False
    rule: Any = op.promote
    chosen = after if rule.operands is None else [after[i] for i in rule.operands if i < len(after)]
    kinds = {x.meta.dtype.kind for x in chosen if type(x) not in WEAK}
    if kinds == {"f"} or not any(type(x) in WEAK and x is not None for x in after):
        return True
    return plans.held(op, after) is not None


_accepted: set[tuple[Op, Any]] = set()


def _check_dtype(op: Op, operands: tuple[Any, ...], arrays: list[Any], attrs: dict[str, Any]) -> None:
    """What `infer` raises where NumPy's function takes more dtypes than the record; asked once for each op and dtype."""
    found = next((a.dtype for a in arrays if type(a) is _ndarray), None)
    if (op, found) not in _accepted:
        op.infer(*[type_of(x) for x in operands], **attrs)
        _accepted.add((op, found))


_targets: dict[tuple[Any, ...], Any] = {}


def _promoted(op: Op, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """As `ir.promote.promoted`, with the target remembered for each combination of dtypes, of which there are few."""
    rule = op.promote
    chosen = range(len(operands)) if rule.operands is None else rule.operands  # type: ignore[union-attr]
    picked = [operands[i] for i in chosen if i < len(operands)]
    key = (op, *[type(x) if type(x) in WEAK else (x.meta.dtype, not x.meta.shape) for x in picked])
    target = _targets.get(key, _MISSING)
    if target is _MISSING:
        target = _targets[key] = target_dtype(op, tuple([type_of(x) for x in operands]))
    if target is None:
        return operands
    if target.kind != "f" or target.is_half:
        operands = fitted(op, operands, target)
    attrs = {"dtype": target}
    return tuple(
        [apply(cast, (x,), attrs) if i in chosen and type(x) not in WEAK and x.meta.dtype is not target else x
         for i, x in enumerate(operands)]
    )  # fmt: skip


def forget() -> None:
    """Drop what is known of kinds of calls: the dtype of Python floats has changed."""
    _targets.clear()
    _accepted.clear()
    _strides.clear()
    PLANS.clear()
    hot.forget()


_strides: dict[tuple[Any, ...], tuple[int, ...]] = {}
_LIMIT = 4096


def _conformed(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], out: Any) -> Any:
    """An elementwise result with the strides that `infer` says; NumPy chooses others where operands disagree."""
    if type(out) is not _ndarray:
        out = np.asarray(out)
    key = (op, out.dtype, *[type(x) if type(x) in WEAK else x.meta for x in operands])
    wanted = _strides.get(key)
    if wanted is None:
        if len(_strides) > _LIMIT:
            _strides.clear()
        (result,) = op.infer(*[type_of(x) for x in operands], **attrs)
        wanted = _strides[key] = tuple([s * out.itemsize for s in result.strides])  # type: ignore[union-attr, operator, misc]
    return out if out.strides == wanted else conformed(out, wanted)


class Eager:
    """The eager executor as an object, for code that takes an `Executor`."""

    @staticmethod
    def apply(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """As the module's `apply`."""
        return apply(op, operands, attrs)

    @staticmethod
    def write(target: Any, source: Any) -> None:
        """As the module's `write`."""
        write(target, source)


EAGER = Eager()


def _run(op: Op, operands: tuple[Any, ...], arrays: Any, attrs: dict[str, Any]) -> Any:
    """The kernel's result."""
    token = _errors.set(_IGNORE)
    try:
        return op.eager(*arrays, **attrs)
    except _KERNEL_ERRORS as e:
        _explain(op, operands, attrs, e)
    finally:
        _errors.reset(token)


def _run_slowly(op: Op, operands: tuple[Any, ...], arrays: list[Any], attrs: dict[str, Any]) -> Any:
    """The kernel's result where half types are computed wide and rounded once, or where NumPy has no fast error switch."""
    with np.errstate(all="ignore"):
        try:
            results = run_op(op, arrays, attrs)
        except _KERNEL_ERRORS as e:
            _explain(op, operands, attrs, e)
        return results if len(results) > 1 else results[0]


def _explain(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], error: BaseException) -> NoReturn:
    """Raise what `infer` says about the operands' types; where it finds nothing wrong, the kernel's own error."""
    types = [type_of(x) for x in operands]
    try:
        op.infer(*types, **attrs)
    except Exception as designed:
        raise designed from None
    raise error


def native_results(x: Any) -> Any:
    """A NumPy scalar or a subclass of a Python number as the plain number; TypeError for what no op takes."""
    if type(x) in WEAK or hasattr(x, "_array"):
        return x
    if isinstance(x, np.generic):
        return x.item()
    for plain in (bool, int, float, complex):
        if isinstance(x, plain):
            return plain(x)  # type: ignore[arg-type]
    if isinstance(x, np.ndarray):
        return make(x)
    raise NotOperand(f"expected a Tensor or a number, not {type(x).__name__}")


def _wrap(op: Op, operands: tuple[Any, ...], arrays: list[Any], out: Any, track: bool = False) -> Any:
    if type(out) is not _ndarray:
        out = np.asarray(out)
    source = op.effects.aliases
    if source is not None:
        if out is arrays[source] or not out.size or np.may_share_memory(out, arrays[source]):  # NumPy says no of empty arrays
            if not out.flags.writeable and arrays[source].flags.writeable:
                out.flags.writeable = True  # NumPy's broadcast_to never is; Storage.write refuses what repeats an element
            return make_view(out, operands[source], track)
    elif out.base is not None:
        out = _unshared(out, arrays)
    else:
        for a in arrays:
            if a is out:
                out = out.copy()
    return make(out, track)


def _unshared(out: Any, arrays: list[Any]) -> Any:
    """`out`, copied where it lies in an operand's memory: a pure op's result never does."""
    return out.copy() if any(type(a) is _ndarray and np.may_share_memory(out, a) for a in arrays) else out


def _wrap_tracked(op: Op, operands: tuple[Any, ...], arrays: list[Any], attrs: dict[str, Any], out: Any) -> Any:
    outs = out if type(out) is tuple else (out,)
    results = tuple([_wrap(op, operands, arrays, r, np.asarray(r).dtype.kind not in "biu") for r in outs])
    tape.record(op, operands, attrs, results)
    return results if type(out) is tuple else results[0]


def written_through(op: Op, operands: tuple[Any, ...]) -> bool:
    """Whether `op`, a ufunc of a known kind of call without history, has stored its result in the first operand."""
    if recorders and on_recording.recorder is not None:
        return False
    target = operands[0]
    array, meta = target._array, target.meta
    if array is None:
        return not recorders and stores.into(op, operands)
    if len(operands) == 1:
        plan, arrays = PLANS.get((op, meta)), (array,)
    elif len(operands) == 2:
        y = operands[1]
        kind: Any = type(y)
        if kind not in WEAK:
            kind, y = getattr(y, "meta", None), getattr(y, "_array", None)
        plan, arrays = PLANS.get((op, meta, kind)), (array, y)  # type: ignore[assignment]
    else:
        return False
    if plan is None or type(op.eager) is not np.ufunc or array is None or arrays[-1] is None:
        return False
    if (plan.track and gradmode.get()) or not meta.plain or (plan.meta is not meta and plan.graded is not meta):
        return False
    if not array.flags.writeable:
        return False
    token = _errors.set(_IGNORE)
    try:
        op.eager(*arrays, out=array)
    finally:
        _errors.reset(token)
    storage = storage_of(target)
    storage.version += 1
    if target._offset is not None and type(target._offset) is not int and target._offset.count is not None:
        storage.counted_apart(target._offset.count)
    return True


def write(target: Any, source: Any) -> None:
    """Store `source`, a Tensor or number that broadcasts, into the memory of the Tensor `target` and count it; no tape."""
    if recorders and on_recording.recorder is not None:
        on_recording.recorder.write(target, source)
        return
    storage = storage_of(target)
    if storage.recorder is not None or type(source) in WEAK:
        storage.write(target, source)
    else:
        source_storage = source._storage
        if source_storage is not None and source_storage.recorder is not None:
            source_storage.recorder.write(target, source)
        else:
            storage.write(target, source._array)
