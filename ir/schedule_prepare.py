"""Graph -> Graph, just before fusion: composites decomposed, equal calls shared, products made in the layout they are read.

Runs after autodiff, on graphs whose passes are done. Remembers for each node the op that the user called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from .dtypes import float32
from .graph import Builder, Graph, Node, Value, rewrite
from .layout import view_strides
from .lazyclass import dataclass
from .op import WHOLE, Decompose, Gemm, Move, Op, Scatter, lookup
from .plan import BufferView, Step
from .schedule_begin import Begins
from .schedule_finish import Finish
from .schedule_limit import MAX_SOURCES, joined_in_turn
from .types import TensorType

Origins = dict[Node, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """How a back end runs the calls of a composite whole. `accepts(node)`: which ones; the others are decomposed.
    `step(node, args, results)`: the step, from where the operands (BufferView, ScalarInput, number or None) and the results
    lie; without it the op's NumPy kernel runs (an ExternStep). `finish`: how a kernel that reads the result becomes the step's
    last part; `begin`: how one that makes an operand becomes its first. `half`: products of half types are taken as they are,
    not as products in float32. `over(node)`: operands, row-major, whose memory the results take, one for each in their order.
    `instead(node)`: the decomposition of a call that is not accepted, None for the record's own."""

    accepts: Callable[[Node], bool] = lambda node: True
    step: Callable[[Node, tuple[Any, ...], tuple[BufferView, ...]], Step] | None = None
    finish: Finish | None = None
    begin: Begins | None = None
    half: bool = False
    over: Callable[[Node], tuple[int, ...]] | None = None
    instead: Callable[[Node], Callable[..., Any] | None] = lambda node: None


#: The composites that a back end runs whole, with how it does.
Claims = Mapping[Op, Claim]
NO_CLAIMS: Claims = {}
Visit = Callable[[Node, Builder, tuple[Any, ...]], Any]


def prepared(graph: Graph, claims: Claims = NO_CLAIMS) -> tuple[Graph, Origins]:
    """`graph` with no Decompose op but the calls that `claims` accept, and the name of the op each node comes from."""
    def parted(node: Node) -> bool:
        return isinstance(node.op.lowering, Decompose) and not (node.op in claims and claims[node.op].accepts(node))

    def decompose(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        lowering = node.op.lowering
        if not parted(node) or not isinstance(lowering, Decompose):
            return _viewed(node, builder, args)
        instead = claims[node.op].instead(node) if node.op in claims else None
        made = (instead or lowering.fn)(*args, **node.attrs)
        if not isinstance(made, tuple):
            return _row_major(made, node.results[0])
        return tuple([_row_major(x, wanted) for x, wanted in zip(made, node.results, strict=True)])

    origins = {n: n.op.name for n in graph.nodes}
    composite = False
    while any(map(parted, graph.nodes)):
        graph, composite = _rewritten(graph, origins, decompose), True
    if composite:
        graph = _rewritten(graph, origins, _sharing())
    if any(isinstance(n.op.lowering, Move) and len(n.args) > MAX_SOURCES for n in graph.nodes):
        graph = _rewritten(graph, origins, joined_in_turn)
    if any(isinstance(n.op.lowering, Gemm) for n in graph.nodes):
        graph = _rewritten(graph, origins, _thin(claims))
        graph = _rewritten(graph, origins, _turning(graph))
    if any(isinstance(n.op.lowering, Scatter) for n in graph.nodes):
        graph = _rewritten(graph, origins, _tables(graph))
    if any(overwritten(n, claims) for n in graph.nodes):
        graph = _rewritten(graph, origins, _overwriting(graph, claims))
    apart = {o.value for o in graph.outputs if o.source is None and _repeats(o.value)} | {w.value for w in graph.writes}
    if apart:
        graph = _rewritten(graph, origins, _copying(apart))
    return graph, origins


def _row_major(made: Value, wanted: Value) -> Value:
    """`made` in row-major order where `wanted` is: a view further on may need that."""
    if made.type == wanted.type or not wanted.tensor_type.is_contiguous:
        return made
    copied: Value = lookup("contiguous")(made)
    return copied


def _rewritten(graph: Graph, origins: Origins, step: Visit) -> Graph:
    """`rewrite` by `step`, with the origin of every new node noted."""

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        before = len(builder.nodes)
        made = step(node, builder, args)
        made = builder.emit(node.op, args, node.attrs) if made is None else made
        for n in builder.nodes[before:]:
            composite = origins[node] != node.op.name or isinstance(node.op.lowering, Decompose)
            origins[n] = origins[node] if composite else n.op.name
        return made

    return rewrite(graph, visit)


def _sharing() -> Visit:
    """A call that was made before gives the values it gave then: composites hold parts in common. A reduction that keeps its
    dimensions is the one that does not, seen in another shape."""
    known: dict[Any, Any] = {}

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        attrs = tuple(sorted((k, _identity(v)) for k, v in node.attrs.items() if k != "keepdim"))
        key = node.op, tuple(map(_identity, args)), attrs
        found = known.get(key)
        if isinstance(found, Value) and found.type != node.results[0].type:
            found = _seen_as(found, node.results[0], builder)
        if found is None:
            found = builder.emit(node.op, args, node.attrs)
            known.setdefault(key, found)
        return found

    return visit


def _seen_as(made: Value, wanted: Value, builder: Builder) -> Value | None:
    """`made` in the shape of `wanted`; None where that takes more than a view."""
    plain = made.tensor_type.is_contiguous and wanted.tensor_type.is_contiguous
    return builder.emit(lookup("view"), (made,), {"shape": wanted.shape}) if plain else None


def _identity(x: Any) -> str:
    """Text that tells 1 from 1.0 and True, 0.0 from -0.0, and one value from another."""
    return f"%{id(x)}" if isinstance(x, Value) else f"({','.join(map(_identity, x))})" if isinstance(x, tuple) else repr(x)


def _thin(claims: Claims) -> Visit:
    """a @ b -> sum(a * b) where one of them is a vector, a * b where both are: bound by memory, so that a kernel which fuses with
    its readers does better than a BLAS made for matrices. Others of half types that no claim takes -> cast(cast(a) @ cast(b)),
    in f32."""
    taken = {op for op, claim in claims.items() if claim.half}

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        if not isinstance(node.op.lowering, Gemm) or any(not isinstance(x, Value) or len(x.shape) < 2 for x in args):
            return None
        return _thinner(node, builder, args, node.op in taken)

    return visit


def _thinner(node: Node, builder: Builder, args: tuple[Any, ...], taken: bool) -> Any:
    a, b = args
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    thin, to = any(isinstance(n, int) and n == 1 for n in (rows, inner, columns)), node.results[0].dtype
    if not thin and (taken or not to.is_half):
        return None
    mul, cast, permute = lookup("mul"), lookup("cast"), lookup("permute")
    if to.is_half:
        a, b = (cast(x, dtype=float32) for x in (a, b))
    if not thin:
        out = builder.emit(node.op, (a, b), node.attrs)
    elif isinstance(inner, int) and inner == 1:
        out = mul(a, b)
    else:
        ndim = max(len(a.shape), len(b.shape))
        tall = not (isinstance(columns, int) and columns == 1)
        product = mul(permute(a, dims=_swapped(len(a.shape))), b) if tall else mul(a, permute(b, dims=_swapped(len(b.shape))))
        out = lookup("sum")(product, dim=(ndim - 2 if tall else ndim - 1,), keepdim=True, dtype=product.dtype)
    out = out if out.dtype is to else cast(out, dtype=to)
    return out if out.type == node.results[0].type else lookup("contiguous")(out)


def _turning(graph: Graph) -> Visit:
    """permute(a @ b) -> permute(b) @ permute(a), where the product has no other reader: its reader finds it in order. If
    that reader is a row-major copy, it goes."""
    readers: dict[Value, int] = {}
    for value in [a for n in graph.nodes for a in n.args if isinstance(a, Value)] + [o.value for o in graph.outputs]:
        readers[value] = readers.get(value, 0) + 1
    kept = {o.value for o in graph.outputs} | {w.value for w in graph.writes}
    producers = {n.results[0]: n for n in graph.nodes}
    permute, contiguous = lookup("permute"), lookup("contiguous")
    turned: set[Any] = set()
    products: dict[Value, tuple[Any, Any]] = {}

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        if isinstance(node.op.lowering, Gemm) and all(isinstance(a, Value) and len(a.shape) > 1 for a in args):
            made = builder.emit(node.op, args, node.attrs)
            products[made] = args[0], args[1]
            return made
        source = node.args[0] if node.args else None
        if node.op is contiguous and args[0] in turned and args[0].type == node.results[0].type:
            return args[0]
        if node.op is not permute or args[0] not in products or not isinstance(source, Value):
            return _viewed(node, builder, args)
        dims = tuple(node.attrs["dims"])
        if readers[source] > 1 or source in kept or node.results[0] in kept or dims != _swapped(len(dims)):
            return _viewed(node, builder, args)
        a, b = (permute(x, dims=_swapped(len(x.shape))) for x in products[args[0]])
        made = builder.emit(producers[source].op, (b, a), producers[source].attrs)
        turned.add(made)
        return made

    return visit


def _viewed(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
    """A view of what lies in another order than it did: taken of a row-major copy where the new order does not allow it."""
    x: Any = args[0] if args else None
    was: Any = node.args[0] if args else None
    if node.op.effects.aliases is None or not isinstance(was, Value) or x.type == was.type:
        return None
    if node.op is lookup("view"):
        fits = view_strides(x.tensor_type, node.results[0].shape) is not None
    else:  # as_strided and parts of complex elements
        fits = x.tensor_type.is_contiguous or not was.tensor_type.is_contiguous
    return None if fits else builder.emit(node.op, (lookup("contiguous")(x), *args[1:]), node.attrs)


def overwritten(node: Node, claims: Claims) -> tuple[int, ...]:
    """The operands whose memory the results of a claimed call take."""
    claim = claims.get(node.op)
    return () if claim is None or claim.over is None else claim.over(node)


def _overwriting(graph: Graph, claims: Claims) -> Visit:
    """What a call overwrites is a copy of its own, but where another has made it for this one alone."""
    used, own = _uses(graph), set[Value]()
    for n in graph.nodes:
        if overwritten(n, claims):
            own.update(r for r in n.results if used[r] == 1)

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        places = [i for i in overwritten(node, claims) if node.args[i] not in own]
        if not places:
            return None
        copied = [lookup("contiguous")(x) if i in places else x for i, x in enumerate(args)]
        return builder.emit(node.op, tuple(copied), node.attrs)

    return visit


def _uses(graph: Graph) -> Counter[Any]:
    """How often each value is read or given out."""
    used = Counter[Any](a for n in graph.nodes for a in n.args if isinstance(a, Value))
    used.update(o.value for o in graph.outputs)
    used.update(w.value for w in graph.writes)
    return used


def _tables(graph: Graph) -> Visit:
    """A Scatter gets a table of its own to write into, which may be what another one has made for it alone; what is combined in a
    half type is so in float32, rounded once."""
    used = _uses(graph)
    own = {n.results[0] for n in graph.nodes if isinstance(n.op.lowering, Scatter) and used[n.results[0]] == 1}

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        lowering, to = node.op.lowering, node.results[0].dtype
        if not isinstance(lowering, Scatter):
            return None
        table, source = args[0], args[-1]
        wide = to.is_half and lowering.combine(**node.attrs) is not None
        if wide:
            table, source = (lookup("cast")(x, dtype=float32) for x in (table, source))
        elif node.args[0] in own:
            return builder.emit(node.op, args, node.attrs)
        made = builder.emit(node.op, (lookup("contiguous")(table), *args[1:-1], source), node.attrs)
        return lookup("cast")(made, dtype=to) if wide else made

    return visit


def _repeats(value: Value) -> bool:
    """Whether elements of the value share memory where it lies as its type says."""
    kind = value.type
    return isinstance(kind, TensorType) and any(s == 0 and n != 1 for n, s in zip(kind.shape, kind.strides, strict=True))


def _copying(apart: set[Value]) -> Visit:
    """A step of its own reads a row-major copy of what is given out, or written back, with elements that share memory."""
    contiguous = lookup("contiguous")

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        if not isinstance(node.op.lowering, WHOLE):
            return None
        copied = [contiguous(new) if isinstance(old, Value) and old in apart and _repeats(old) else new
                  for old, new in zip(node.args, args, strict=True)]  # fmt: skip
        return builder.emit(node.op, tuple(copied), node.attrs)

    return visit


def _swapped(ndim: int) -> tuple[int, ...]:
    """The order of dimensions with the last two exchanged."""
    return (*range(ndim - 2), ndim - 1, ndim - 2)
