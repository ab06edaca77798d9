"""Attention with functions of scores and positions, which users write on scalars: each is followed once, on 0-d Tensors that
record what is done to them (`ir.body`), and goes into the call of the record as data.

Where a function does more than arithmetic on scalars and reads of single elements, it runs under `vmap` on all scores at once.
Launches nothing and knows no op by name but the records that it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..ir import body as bodies
from ..ir import dtypes
from ..ir.graph import Builder, Value
from ..ir.op import Decompose, Op
from ..ir.ops.attention import attention
from ..ir.ops.flex import flex_attention
from ..ir.promote import promoted
from ..ir.types import ScalarType, TensorType, tensor
from ..runtime.meta import Meta
from . import executor
from .batching import BatchStorage, Level, NeedsLoop, level_of
from .creation import arange
from .functional import matmul, reshape, unsqueeze
from .generated import amax, exp, where
from .tensor import Tensor
from .transforms import follow, vmap

_WEAK = (bool, int, float, type(None))
_POSITIONS = ("b", "h", "q", "kv")
_NONE: bodies.Body = bodies.Body((), None)


class _Scalars(Builder):
    """A builder of graphs on scalars, in which calls of composites are what they are made of."""

    def emit(self, op: Op, operands: Sequence[Any], attrs: dict[str, Any], where: Any = None) -> Any:
        if isinstance(op.lowering, Decompose):
            return op.lowering.fn(*promoted(op, tuple(operands)), **attrs)
        return super().emit(op, operands, attrs, where)


class _Trace(Level):
    """What records a function on 0-d Tensors. `outside`: the Tensors and numbers that it reads beside its arguments."""

    def __init__(self, device: str) -> None:
        super().__init__(1)
        self.device = device
        self.builder = _Scalars("body")
        self.names: dict[Value, str] = {}
        self.outside: list[Any] = []
        self.known: dict[int, Value] = {}

    def argument(self, name: str, dtype: Any) -> Any:
        """A 0-d argument."""
        value = self.builder.input(TensorType((), dtype, ()), name)
        self.names[value] = name
        return self.wrap(value)

    def wrap(self, value: Any) -> Any:
        """The Tensor of a value of the graph."""
        kind = value.tensor_type
        made = object.__new__(Tensor)
        made.meta = Meta.of(kind.shape, kind.strides, kind.dtype, False, self.device)
        made._array, made._offset, made._grad, made._node = None, None, None, None
        made._storage = BatchStorage(self, value)
        return made

    def value(self, x: Any) -> Any:
        """An operand as one of the graph."""
        if type(x) in _WEAK or isinstance(x, Value):
            return x
        if level_of(x) is self:
            return x._storage.value
        if id(x) not in self.known:
            kind = _type(x) if isinstance(x, Tensor) else ScalarType("float" if isinstance(x, float) else "int")
            made = self.known[id(x)] = self.builder.input(kind, f"c{len(self.outside)}")
            self.names[made] = f"c{len(self.outside)}"
            self.outside.append(x)
        return self.known[id(x)]

    def apply(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Record a call."""
        for x in operands:
            level = level_of(x)
            if level is not None and level.depth > self.depth:
                return level.apply(op, operands, attrs)
        out = self.builder.emit(op, tuple(map(self.value, operands)), attrs)
        return tuple([self.wrap(r) for r in out]) if isinstance(out, tuple) else self.wrap(out)

    def write(self, target: Any, source: Any) -> None:
        """``score += x`` and the like."""
        if level_of(target) is not self:
            raise RuntimeError("flex_attention: a function of scores or positions must not write to tensors from outside")
        from ..ir.ops.casts import cast
        from ..ir.ops.creation import filled

        value, kind = self.value(source), target._storage.value
        if not isinstance(value, Value):
            value = filled(kind, (), value)
        target._storage.value = value if value.dtype is kind.dtype else cast(value, dtype=kind.dtype)
        target._storage.version += 1

    def draw(self, generator: Any, blocks: int) -> NoReturn:
        raise RuntimeError("flex_attention: a function of scores or positions cannot draw random numbers")


def _type(x: Any) -> TensorType:
    """The type of a tensor from outside; its sizes do not matter, and no condition on them is left."""
    return tensor(tuple([int.__add__(n, 0) for n in x.shape]), x.dtype)


def traced(fn: Callable[..., Any], names: Sequence[str], score: Any, device: str) -> tuple[bodies.Body, list[Any]]:
    """(body of a function of the arguments `names`, the operands from outside that it reads); NotScalar where it has none.
    `score`: the dtype of scores."""
    trace = _Trace(device)
    with trace.entered():
        arguments = [trace.argument(n, score if n == "score" else dtypes.int64) for n in names]
        try:
            out = follow(fn, *arguments)
        except NeedsLoop as found:
            if found.level is not trace:
                raise
            raise RuntimeError(
                f"flex_attention: {_name(fn)} asks for the value of a score or position (in an if, .item() or the like); it is "
                "traced once for all of them: write a branch as where"
            ) from None
    if not isinstance(out, Tensor):
        raise ValueError(f"flex_attention: `{_name(fn)}` must only return Tensors, got type {type(out)}.")
    value = trace.value(out)
    if value.tensor_type.shape:
        raise bodies.NotScalar(f"it returns a tensor of shape {list(value.shape)}")
    body = bodies.from_graph(trace.builder.finish([value], symbols=()), trace.names)
    used = bodies.outside(body)
    return bodies.renumbered(body, {old: new for new, old in enumerate(used)}), [trace.outside[i] for i in used]


def _name(fn: Any) -> str:
    return getattr(fn, "__name__", type(fn).__name__)


def flex(
    query: Any, key: Any, value: Any, score_mod: Callable[..., Any] | None, mask_mod: Callable[..., Any] | None,
    blocks: tuple[Any, ...], sizes: tuple[int, int], scale: float,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """(result, logarithm of the sum of exponentials of each row, its largest score). `blocks`: the eight tensors of a block
    mask or None; `sizes`: queries and keys of a block."""
    to = dtypes.float64 if query.dtype is dtypes.float64 else dtypes.float32
    try:
        score, captured = (_NONE, []) if score_mod is None else traced(score_mod, ("score", *_POSITIONS), to, query.meta.device)
        mask, others = (_NONE, []) if mask_mod is None else traced(mask_mod, _POSITIONS, to, query.meta.device)
    except bodies.NotScalar:
        return _dense(query, key, value, score_mod, mask_mod, scale)
    places = {}
    for n, x in enumerate(others):
        places[n] = next((i for i, y in enumerate(captured) if y is x), len(captured))
        if places[n] == len(captured):
            captured.append(x)
    mask = bodies.renumbered(mask, places)
    attrs = {"scale": float(scale), "score": score, "mask": mask, "blocks": sizes}
    return executor.apply(flex_attention, (query, key, value, *blocks, *captured), attrs)  # type: ignore[no-any-return]


def plain(query: Any, key: Any, value: Any, scale: float) -> tuple[Any, Any]:
    """Result and logarithm of the sum of exponentials where there is no function, and all have as many heads."""
    return executor.apply(attention, (query, key, value, None, None), {"scale": float(scale)})  # type: ignore[no-any-return]


def over_all(fn: Callable[..., Any], positions: Sequence[Any], score: Any = None) -> Any:
    """A function of one score and its positions, or of positions alone, on those of all batches, heads, queries and keys."""
    first = () if score is None else (0,)
    for dims in ((None, None, None, 0), (None, None, 0, None), (None, 0, None, None), (0, None, None, None)):
        fn = vmap(fn, (*first, *dims))
    return fn(*(() if score is None else (score,)), *positions)


def _dense(query: Any, key: Any, value: Any, score_mod: Any, mask_mod: Any, scale: float) -> tuple[Any, Any, Any]:
    """With all scores in memory."""
    to = dtypes.float64 if query.dtype is dtypes.float64 else dtypes.float32
    heads, group = key.shape[1], query.shape[1] // key.shape[1]
    q, k, v = (x.to(to) for x in (query, key, value))
    shape = (*query.shape[:3], key.shape[2])
    grouped = reshape(q, (q.shape[0], heads, group * q.shape[2], q.shape[3]))
    scores = reshape(matmul(grouped, k.mT), shape) * scale
    positions = [arange(n, device=query.device) for n in shape]
    if score_mod is not None:
        scores = over_all(score_mod, positions, scores).to(to)
    if mask_mod is not None:
        scores = where(over_all(mask_mod, positions), scores, float("-inf"))
    top = amax(scores, -1)
    closed = top == float("-inf")
    weights = exp(scores - unsqueeze(where(closed, 0.0, top), -1))
    total = weights.sum(-1)
    lse = where(closed, float("-inf"), where(closed, 0.0, top) + where(closed, 1.0, total).log())
    weights = weights / unsqueeze(where(closed, 1.0, total), -1)
    out = matmul(reshape(weights, (*grouped.shape[:3], shape[3])), v)
    return reshape(out, (*query.shape[:3], value.shape[3])).to(query.dtype), lse, top
