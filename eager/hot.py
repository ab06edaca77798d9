"""Heavy ops of eager programs and their gradient rules as compiled graphs. Knows no op by name.

A record says that it is `heavy`. On large operands its first or third call of a kind compiles it, on small ones the WAIT-th,
which then is one call of machine code. The NumPy kernel remains the op's meaning, and runs where nothing can be compiled. What is
compiled belongs to the values that the knobs had; `forget` drops all of it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import knobs
from ..errors import FusewireError
from ..ir.op import Decompose, Gather, Gemm, Move, Reduce, Scalar, Scan
from ..ir.types import ScalarType
from ..runtime import forks
from ..runtime.meta import Meta
from ..runtime.storage import Storage
from . import factory, plans

#: elements of operands and results below which NumPy serves
SMALL = 1 << 13
#: elements from which a compile is soon earned: the first call compiles
LARGE = 1 << 19
#: calls of one kind, on fewer elements, before it is compiled
COLD = 2
#: calls of a kind on small operands before it is compiled: composites, which NumPy runs in a dozen calls; what moves or folds,
#: and products; of either on more than SMALL elements, and on more than LARGE (a shape of its own is compiled, in the time of
#: about as many calls: programs of ever new lengths never earn it)
WAIT, WAIT_MOVES, WAIT_MIDDLE, WAIT_LARGE = 500, 4000, 20, 8
#: calls of a gradient rule on operands of one kind before it is compiled, and kinds of gradients and numbers remembered for it
WAIT_RULES, MOST_RULES = 1000, 16
#: kinds remembered
MOST = 1024

_found: dict[Any, Any] = {}
#: what is known of kinds of calls of functions, see `served`
tables: list[dict[Any, Any]] = []
recorders = 0  # as in `executor`
lock = forks.hold(forks.HOT, threading.RLock())  # one thread compiles a kind; what is compiled is found without it


_NUMBERS = frozenset((bool, int, float))
_WEAK = {int: ScalarType("int"), float: ScalarType("float")}


def forget() -> None:
    """Drop all that was compiled; kinds are cold again."""
    with lock:
        _found.clear()
        plans.forget()
        for table in tables:
            table.clear()


def is_large(op: Any, arrays: list[Any]) -> bool:
    """Whether this call of a heavy op is worth compiling alone."""
    return bool(_elements(arrays) >= max(SMALL, op.heavy))


def _elements(arrays: list[Any]) -> int:
    return sum([a.size for a in arrays if type(a) is np.ndarray])


def wait(op: Any, operands: tuple[Any, ...]) -> int:
    """How many small calls of such a kind NumPy serves (`plans.Plan.wait`); 0: all."""
    if not knobs.native_entry:
        return 0
    composed = isinstance(op.lowering, (Scalar, Decompose)) and type(op.eager) is not np.ufunc and not op.fixed
    if not all(x is None or hasattr(x, "meta") or (composed and type(x) in _WEAK) for x in operands):
        return 0
    many = _elements([x._array for x in operands if hasattr(x, "_array")])
    if composed:
        return WAIT if many < SMALL else WAIT_MIDDLE if many < LARGE else WAIT_LARGE
    if op.heavy is True or op.effects.draws is not None:
        return WAIT
    moves = isinstance(op.lowering, (Move, Gather, Reduce, Scan, Gemm)) and op.effects.aliases is None
    if not moves:
        return 0
    return WAIT_MOVES if many < SMALL or isinstance(op.lowering, Gemm) else WAIT_MIDDLE if many < LARGE else WAIT_LARGE


def small(plan: plans.Plan, op: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """The Tensor that a call of a kind with `wait` gives, without history, by compiled code; None: NumPy is to run."""
    if plan.wait > 1:
        plan.wait -= 1
        return None
    if plan.state is not knobs.state or plan.native is None:
        with lock:
            plan.native = _native(op, operands, attrs) if knobs.hot_ops else False
            plan.state = knobs.state
    if plan.native is False:
        return None
    made = plan.native(*([x for x in operands if x is not None] if plan.absent else operands))
    return made[0] if made is not None else None


def _native(op: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """The op as one native function of its Tensors; False where there is none. It gives None where it cannot serve."""
    executable = _built(op, [x._array if hasattr(x, "_array") else x for x in operands], attrs, _WEAK)
    return routine(executable, [x for x in operands if x is not None])


def routine(executable: Any, tensors: list[Any]) -> Any:
    """A compiled graph as one native function of Tensors (and numbers) like these; False where there is none."""
    from ..backends import entry
    from ..errors import CompileError

    plan = getattr(executable, "plan", None)
    if plan is None or callable(executable.code) or refused() is not None:
        return False
    if any(o.source is not None for o in plan.outputs):
        return False
    inputs = [(type(x), getattr(x, "meta", None)) for x in tensors]
    try:
        metas = [Meta.of(o.type.shape, o.type.strides, o.type.dtype) for o in plan.outputs]
        return entry.routine(plan, executable.code, inputs, metas, lambda *_: None, keep=executable)
    except CompileError:
        return False


@lru_cache(maxsize=1)
def refused() -> str | None:
    """Why the native entry cannot serve here; it is told about Tensor, unless a compiled function has done so."""
    from ..backends.entry import configure, process, refusal
    from ..runtime.executable import window

    def view_of(x: Any, meta: Any, offset: int) -> Any:
        return factory.make_view(window(x._array, offset, meta.shape, meta.strides), x, meta.requires_grad)

    try:
        if process.Classes.tensor is None:
            configure(factory._class, Storage, make_view=view_of, make_meta=factory.meta_of, count_write=factory.count_write)
        return refusal()
    except (FusewireError, OSError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"


def run(op: Any, operands: tuple[Any, ...], arrays: list[Any], attrs: dict[str, Any]) -> Any:
    """The op's result by compiled code; None where the NumPy kernel is to run."""
    if not knobs.hot_ops:
        return None
    known = _known((op, *map(_kind, operands), *attrs.items()), lambda: _built(op, arrays, attrs), _elements(arrays))
    return None if known is None else _ran(known, arrays)


def _ran(executable: Any, arrays: list[Any]) -> Any:
    made = executable.run([a for a in arrays if type(a) is np.ndarray])
    return tuple(made) if len(made) > 1 else made[0]


def _kind(x: Any) -> Any:
    """What compiled code takes for granted of an operand: a number as it is written, because 0.0 equals -0.0 and NaN nothing."""
    if hasattr(x, "meta"):
        return x.meta
    return (type(x), repr(x)) if isinstance(x, (bool, int, float)) else getattr(x, "type", x)


def _known(key: Any, build: Callable[[], Any], elements: int) -> Any:
    """What `build` has made for this kind of call on so many elements; None while it is cold, or where nothing can be built."""
    key = (knobs.state, *key)
    known = _found.get(key, 0)
    if type(known) is not int:
        return known
    with lock:
        known = _found.get(key, 0)
        if type(known) is not int:
            return known
        if len(_found) >= MOST:
            _found.clear()
        if known < COLD and elements < LARGE:
            _found[key] = known + 1
            return None
        _found[key] = None  # what calls itself, and what fails, runs in NumPy
        _found[key] = made = build()
        return made


def gradients(node: Any, grads: tuple[Any, ...], need: tuple[bool, ...], ins: tuple[Any, ...], outs: list[Any]) -> Any:
    """What the gradient rule of tape node `node` gives, as arrays of the operands' shapes and dtypes (None where it gives none);
    None where the rule is to run op by op. `ins`, `outs`: Tensors, numbers, or what stands for values that are not read."""
    from .executor import is_recording

    if isinstance(node.op.lowering, Reduce):
        return None  # a view
    given = [*grads, *ins, *outs]
    arrays = [getattr(x, "_array", None) for x in given]
    elements = _elements(arrays)
    if not knobs.hot_ops or is_recording() or elements < SMALL:
        return None
    key = (node.op, need, *map(_kind, given), *node.attrs.items())
    known = _known(key, lambda: _rule(node, need, (grads, ins, outs)), elements)
    if known is None:
        return None
    executable, used, places = known
    if any(arrays[i] is None for i in used):  # traced
        return None
    made = executable.run([arrays[i] for i in used])
    return [None if k is None else made[k] for k in places]


def rule(node: Any, plan: plans.Plan, g: Any) -> Any:
    """The gradients that tape node `node`, of a call of the kind `plan`, sends for gradient `g`, by compiled code; None: its rule
    runs op by op. Numbers among the operands are part of what is compiled."""
    if recorders or g is None:
        return None
    if plan.rules_state is not knobs.state:
        plan.rules, plan.rules_state = {}, knobs.state
    saved = node.saved
    key = (g.meta, *[v or repr(v) for v in saved if type(v) in _NUMBERS]) if plan.weak else g.meta
    known = plan.rules.get(key)
    if type(known) is not tuple:
        return _rule_later(node, plan, g, key, known)
    native, used, places = known
    taken = []
    for i in used:
        x = saved[i - 1] if i else g
        if i:
            x = x.unpack(node)
        if x._array is None:  # traced
            return None
        taken.append(x)
    made = native(*taken)
    return made if made is None or places is None else tuple([None if k is None else made[k] for k in places])


def _rule_later(node: Any, plan: plans.Plan, g: Any, key: Any, known: int | bool | None) -> None:
    """Counts a call of `rule` of a kind that is not compiled; compiles it when there were enough."""
    if known is None:
        if len(plan.rules) < MOST_RULES:
            plan.rules[key] = WAIT_RULES
    elif known is not False:
        if known > 1:
            plan.rules[key] = known - 1
            return
        with lock:
            values = [v.unpack(node) if hasattr(v, "unpack") else v for v in node.saved]
            plan.rules[key] = _native_rule(node, g, values) if knobs.hot_ops and knobs.native_entry else False


def _native_rule(node: Any, g: Any, values: list[Any]) -> Any:
    """(native function, numbers of the values it takes, place of each operand's gradient among its results, None where these are
    they), or False."""
    need = tuple([e is not None for e in node.edges])
    if any(type(v) is complex for v in values):
        return False
    try:
        given = ((g,), tuple(values[: node.count]), tuple(values[node.count :]))
        rounds = node.op.heavy is True or isinstance(node.op.lowering, Decompose)  # as its forward pass does
        found = _rule(node, need, given, True, not rounds)
    except FusewireError:
        return False
    if found is None:
        return False
    executable, used, places = found
    flat = (g, *values)
    native = routine(executable, [flat[i] for i in used])
    if native is False:
        return False
    return native, used, None if places == list(range(len(places))) else places


def _rule(node: Any, need: tuple[bool, ...], given: tuple[Any, ...], alone: bool = False, exact: bool = False) -> Any:
    """(executable, numbers of the values it takes, place of each operand's gradient among its results); None where it runs op
    by op: with `exact` where compiled code may round otherwise, too. `alone`: a call costs less than a view does."""
    from ..ir.graph import Builder, Value
    from ..ir.ops.casts import cast, contiguous
    from ..ir.ops.reductions import sum_to

    if any(unfit(x._array) for group in given for x in group if getattr(x, "_array", None) is not None):
        return None
    builder = Builder(f"eager_{node.op.name}_backward")
    everything = [x for group in given for x in group]
    flat = [builder.input(x.meta.type if hasattr(x, "meta") else x.type) if hasattr(x, "shape") else x for x in everything]
    grads, ins, outs = flat[: len(given[0])], flat[len(given[0]) : -len(given[2])], flat[-len(given[2]) :]
    single = len(outs) == 1
    made = node.op.grad(grads[0] if single else tuple(grads), need, outs[0] if single else tuple(outs), *ins, **node.attrs)
    results: list[Any] = []
    places: list[int | None] = []
    for g, wanted, needed in zip(made, node.types, need, strict=True):
        places.append(len(results) if needed and g is not None else None)
        if places[-1] is not None:
            g = g if g.shape == wanted.shape else sum_to(g, shape=wanted.shape)
            results.append(g if g.dtype is wanted.dtype else cast(g, dtype=wanted.dtype))
    if any(0 in r.type.strides for r in results):
        if not alone or sum([math.prod(r.shape) for r in results]) > SMALL:
            return None  # a view that repeats elements is cheaper as one
        results = [contiguous(r) if 0 in r.type.strides else r for r in results]
    live = _live(builder, results)
    if exact and any(n.op.tolerance for n in builder.nodes):
        return None
    used = [i for i, v in enumerate(flat) if isinstance(v, Value) and v in live]
    builder.inputs[:] = [flat[i] for i in used]
    if any(getattr(everything[i], "_array", None) is None for i in used):
        return None  # the rule reads what the tape has not saved
    executable = compiled(builder, results)
    return None if executable is None else (executable, used, places)


def _live(builder: Any, results: list[Any]) -> set[Any]:
    """The values that `results` follow from; nodes that they do not follow from go."""
    live = set(results)
    for step in reversed(builder.nodes):
        if any(r in live for r in step.results):
            live.update(a for a in step.args if hasattr(a, "type"))
    builder.nodes[:] = [n for n in builder.nodes if any(r in live for r in n.results)]
    return live


def unfit(array: Any) -> bool:
    """Whether what lies as `array` does is left to NumPy."""
    kind = array.dtype.kind
    return kind == "c" or (array.dtype.itemsize < 4 and kind not in "biu") or 0 in array.strides or math.prod(array.shape) == 0


def compiled(builder: Any, results: list[Any], writes: Sequence[Any] = ()) -> Any:
    """The executable of the graph with these results and writes; None, said once by a warning, where it cannot be built: no
    defect or limit of the back end may become the error of an eager program."""
    from ..pipeline import compile_graph

    try:
        return compile_graph(builder.finish(results, writes))
    except Exception as error:
        if not isinstance(error, ImportError):  # an installation without llvmlite is no defect
            knobs.warn(f"{builder.name} cannot be compiled, NumPy runs it: {type(error).__name__}: {error}")
        return None


def _built(op: Any, arrays: list[Any], attrs: dict[str, Any], weak: Mapping[type, Any] = MappingProxyType({})) -> Any:
    """The op on operands like `arrays`; numbers of the types `weak` are inputs, others part of what is compiled."""
    from ..ir.graph import Builder
    from ..ir.layout import type_of_array

    if any(type(a) is np.ndarray and unfit(a) for a in arrays):
        return None
    builder = Builder(f"eager_{op.name}")
    given = [type_of_array(a) if type(a) is np.ndarray else weak.get(type(a)) for a in arrays]
    made = op(*[a if t is None else builder.input(t) for a, t in zip(arrays, given, strict=True)], **attrs)
    return compiled(builder, list(made) if isinstance(made, tuple) else [made])
