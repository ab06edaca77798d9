"""One group of fused nodes -> one Kernel. Values are emitted on demand, each in the outermost loop that knows its indices.

Reductions, hoisting and sharing all follow from that one rule; which nodes are in the group was decided before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from ..errors import PositionError, RangeError
from . import dtypes, sizes
from .dtypes import DType
from .graph import Node, Value
from .lazyclass import dataclass
from .loops import (
    Acc,
    Axis,
    Buffer,
    Check,
    Index,
    Kernel,
    KernelError,
    Load,
    LoadAt,
    Loop,
    Param,
    Reduce,
    Running,
    ScalarParam,
    Scratch,
    Store,
    StoreAt,
    sizes_of,
    walk,
)  # fmt: skip
from .op import Gather, Move, Scalar, Scan, Scatter
from .op import Reduce as ReduceLowering
from .promote import representable
from .scalar_numpy import compute_dtype as scalar_dtype
from .schedule_group import Group
from .schedule_index import Index as At
from .schedule_index import Piece, affine, axes_of, broadcast, linear, pieces, reach
from .schedule_scalars import Block, KernelScalars, Names, compute_dtype
from .sizes import Size
from .types import ScalarType, TensorType, numel


@dataclass(frozen=True, slots=True)
class Target:
    """Where a stored value goes: the buffer's name, and how the value lies in it."""

    buffer: str
    type: TensorType
    offset: Size = 0
    size: Size = 0


@dataclass(frozen=True, slots=True)
class Mask:
    """The bool name under which a value is wanted, and the axes it depends on."""

    name: str
    axes: frozenset[str]


@dataclass(slots=True)
class Emitter:
    """Emits the kernel of one group. `home`: where values of other kernels and inputs are read; `targets`: where the
    group's own values are stored; `keep`: (value, index) pairs worth a scratch row between two loops."""

    group: Group
    producers: Mapping[Value, Node]
    home: Callable[[Value], Target]
    targets: Mapping[Value, list[Target]]
    keep: frozenset[Any] = frozenset()
    names: Names = field(default_factory=Names)
    buffers: dict[str, Buffer] = field(default_factory=dict)
    scalars: dict[str, ScalarParam] = field(default_factory=dict)
    scratch: list[Scratch] = field(default_factory=list)
    errors: list[KernelError] = field(default_factory=list)
    again: dict[Any, bool] = field(default_factory=dict)
    stored: set[Value] = field(default_factory=set)
    given: dict[str, Value] = field(default_factory=dict)  # names of int parameters
    calm: dict[Value, bool] = field(default_factory=dict)

    def kernel(self, name: str) -> Kernel:
        """The finished kernel."""
        group = self.group
        top = Block(None, frozenset(group.levels[0]))
        for value in group.stores:
            if value not in self.stored:
                self._store_loop(value, top)
        grid = tuple(Axis(a, group.extents[a]) for a in group.levels[0])
        used = {s for st in walk(top.out) for e in sizes_of(st) for s in sizes.symbols_of(e)}
        used |= {s for a in grid for s in sizes.symbols_of(a.extent)}
        reached = [b.size for b in self.buffers.values()] + [b.size for b in self.scratch]
        used |= {s for size in reached for s in sizes.symbols_of(size)}
        known = tuple(s for s in group.symbols if s in used)
        return Kernel(name, tuple(self.buffers.values()), known, tuple(self.scalars.values()), grid, tuple(top.out),
                      tuple(self.errors), tuple(self.scratch))  # fmt: skip

    def _store_loop(self, value: Value, top: Block) -> None:
        """Loops that store `value` and every other value over the same loops."""
        inner = self._inner(value)
        together = [v for v in self.group.stores if v not in self.stored and self._inner(v) == inner]
        blocks = [top]
        for axes in inner:
            blocks.append(Block(blocks[-1], blocks[-1].axes | set(axes)))
        self._ready([(v, self.group.stores[v]) for v in together], blocks[-1])
        for v in together:
            at = self.group.stores[v]
            name = self.value(v, at, None, blocks[-1])
            if v not in self.stored:
                self._store(v, at, name, blocks[-1])
        for axes, block in zip(reversed(inner), reversed(blocks[1:]), strict=True):
            body = tuple(block.out)
            for axis in reversed(axes):
                body = (Loop(Axis(axis, self.group.extents[axis]), body, axis in self.group.serial),)
            assert block.parent is not None
            block.parent.out += body

    def _inner(self, value: Value) -> list[list[str]]:
        """The loops inside the grid that a stored value needs, level by level."""
        axes = self.group.axes(self.group.stores[value])
        nest = [[a for a in level if a in axes] for level in self.group.levels[1:]]
        return [level for level in nest if level]

    def _place(self, block: Block, axes: set[str]) -> Block:
        while block.parent is not None and axes <= block.parent.axes:
            block = block.parent
        return block

    def _ready(self, roots: list[tuple[Value, At]], block: Block) -> None:
        """Emit what the `roots` need: reductions outside of `block` before its loop begins, then all else in order. What is
        asked for afterwards is known already, so that long chains need no deep recursion."""
        for v, index in self._needed(roots, block, (ReduceLowering,)):
            reduces = isinstance(self.producers[v].op.lowering, ReduceLowering)
            if reduces and self._place(block, self.group.axes(index)) is not block:
                self.value(v, index, None, block)
        for v, index in self._needed(roots, block, (ReduceLowering, Gather)):
            self.value(v, index, None, block)

    def _needed(self, roots: list[tuple[Value, At]], block: Block, ends: tuple[type, ...]) -> list[tuple[Value, At]]:
        """Values that `roots` are computed from, operands first: up to lowerings in `ends`, conditions, and what is known.
        (What a Gather reads can be computed only once its position is loaded.)"""
        out: list[tuple[Value, At]] = []
        seen: set[tuple[Value, At]] = set()
        stack = [(key, False) for key in reversed(roots)]
        while stack:
            key, done = stack.pop()
            v, index = key
            if done:
                out.append(key)
            elif key not in seen and v in self.producers and self.group.computes(v) and not self._known(key, block):
                seen.add(key)
                stack.append((key, True))
                node = self.producers[v]
                if not isinstance(node.op.lowering, ends):
                    stack += [((u, at), False) for u, at, masked in reversed(self.group.reads(node, index)) if not masked]
        return out

    def _known(self, key: tuple[Value, At], block: Block) -> bool:
        return bool(block.find(key) or block.find(("kept", key)))

    def value(self, v: Value, index: At, mask: Mask | None, block: Block) -> str:
        """The name of `v` at `index`; statements go to the outermost block that knows the index."""
        mask = None if mask and not mask.axes & self.group.axes(index) and self._calm(v) else mask
        block = self._place(block, self.group.axes(index) | (set(mask.axes) if mask else set()))
        key = (v, index)
        found = block.find(key) or (mask and block.find((key, mask.name)))
        if found:
            return str(found)
        name = None if mask else self._kept(key, block)
        if name is None:
            name = self._compute(v, index, mask, block)
            if mask is None:
                self._finish(key, name, block)
        block.memo[(key, mask.name) if mask else key] = name
        return name

    def _calm(self, v: Value) -> bool:
        """Whether `v` may be computed where it is not wanted: every index into it is valid, and it raises nothing. Without the
        mask it is computed once, outside of the axes that the mask hangs on."""
        known = self.calm.get(v)
        if known is None:
            node = self.producers.get(v)
            known = v.dtype.is_floating_point and all((sizes.bounds(n)[0] or 0) > 0 for n in v.shape)
            if known and node is not None and self.group.computes(v):
                tensors = [a for a in node.args if isinstance(a, Value) and isinstance(a.type, TensorType)]
                known = isinstance(node.op.lowering, Scalar) and not node.op.effects.raises and all(map(self._calm, tensors))
            self.calm[v] = known
        return known

    def _kept(self, key: Any, block: Block) -> str | None:
        """Load a value that an earlier loop beside this one has put away."""
        place = None if block.parent is None else block.parent.find(("kept", key))
        if place is None:
            return None
        self.again[key] = True
        buffer, at, dtype = place
        name = self.names.fresh(dtype, loads=1)
        if buffer in self.buffers:
            self._use(self.buffers[buffer], "r")
        block.out.append(Load(name, buffer, at))
        return name

    def _finish(self, key: Any, name: str, block: Block) -> None:
        value, index = key
        if value not in self.producers or not self.group.computes(value):
            return
        stored = self.group.stores.get(value) == index
        if stored and value not in self.stored:
            self._store(value, index, name, block)
        slow, loads = self.names.cost[name]
        if block.parent is None or self.group.scatters(value):
            return
        dtype = self.names.dtype[name]
        if stored and (slow or loads > 1):
            target = self.targets[value][0]
            block.parent.memo[("kept", key)] = (target.buffer, self._offset(target, index), dtype)
        elif slow and key in self.keep:
            axes = [a for a in self.group.extents if a in block.axes - block.parent.axes]
            self._put_away(key, name, block, axes, dtype)
        elif slow:
            count = block.parent.find(("seen", key))
            self.again.setdefault(key, False)
            if count:
                self.again[key] = True
            block.parent.memo[("seen", key)] = True

    def _put_away(self, key: Any, name: str, block: Block, axes: list[str], dtype: DType) -> None:
        extents = [self.group.extents[a] for a in axes]
        at: Size = 0
        for a, n in zip(axes, extents, strict=True):
            at = at * n + self.group.axis(a)
        row = Scratch(f"row{len(self.scratch)}", dtype, numel(extents))
        self.scratch.append(row)
        block.out.append(Store(row.name, at, name))
        assert block.parent is not None
        block.parent.memo[("kept", key)] = (row.name, at, dtype)

    def _store(self, v: Value, index: At, name: str, block: Block) -> None:
        self.stored.add(v)
        if self.group.scatters(v):
            self._store_at(self.producers[v], index, name, block)
            return
        for target in self.targets[v]:
            self._use(Buffer(target.buffer, target.type.dtype, target.size, "w"), "w")
            block.out.append(Store(target.buffer, self._offset(target, index), name))

    def _store_at(self, node: Node, index: At, name: str, block: Block) -> None:
        lowering, target = node.op.lowering, self.targets[node.results[0]][0]
        assert isinstance(lowering, Scatter)
        offset = self._offset(target, self._located(node, index, None, block))
        combine = lowering.combine(**node.attrs)
        if combine is None and not axes_of((offset,)) & set(self.group.positions):
            self._use(Buffer(target.buffer, target.type.dtype, target.size, "w"), "w")
            block.out.append(Store(target.buffer, offset, name))
            return
        base, at, stride = self._position(offset, [s for s in axes_of((offset,)) if s in self.group.positions], block)
        self._use(Buffer(target.buffer, target.type.dtype, target.size, "rw"), "rw")
        block.out.append(StoreAt(target.buffer, base, at, stride, name, combine))

    def _offset(self, target: Target, index: At) -> Size:
        return target.offset + linear(index, target.type.strides)

    def _use(self, buffer: Buffer, access: str) -> None:
        known = self.buffers.get(buffer.name)
        both = access if known is None or known.access == access else "rw"
        self.buffers[buffer.name] = Buffer(buffer.name, buffer.dtype, buffer.size, both)

    def _compute(self, v: Value, index: At, mask: Mask | None, block: Block) -> str:
        node = self.producers.get(v)
        if node is None or not self.group.computes(v):
            return self._load(v, index, mask, block)
        lowering = node.op.lowering
        if isinstance(lowering, Move):
            return self._move(node, index, mask, block)
        if isinstance(lowering, ReduceLowering):
            return self._reduce(node, index, mask, block)
        if isinstance(lowering, Gather):
            table = node.args[0]
            assert isinstance(table, Value)
            return self.value(table, self._located(node, index, mask, block), mask, block)
        if isinstance(lowering, Scatter):
            source = node.args[-1]
            assert isinstance(source, Value)
            return self.value(source, index, mask, block)
        if isinstance(lowering, Scan):
            return self._scan(node, index, block)
        return self._scalar(node, v, index, mask, block)

    def _load(self, v: Value, index: At, mask: Mask | None, block: Block) -> str:
        target = self.home(v)
        offset = self._offset(target, index)
        key = ("load", target.buffer, offset, mask and mask.name)
        name = block.find(key)
        if name is None:
            self._use(Buffer(target.buffer, target.type.dtype, target.size, "r"), "r")
            name = self.names.fresh(target.type.dtype, loads=1)
            positions = [s for s in axes_of((offset,)) if s in self.group.positions]
            guard = mask.name if mask else None
            if positions:
                base, at, stride = self._position(offset, positions, block)
                block.out.append(LoadAt(name, target.buffer, base, at, stride, guard))
            else:
                block.out.append(Load(name, target.buffer, offset, guard))
            block.memo[key] = name
        return str(name)

    def _position(self, offset: Size, positions: list[str], block: Block) -> tuple[Size, str, Size]:
        """(index, name, stride) of an offset that depends on loaded positions."""
        form = affine(offset, positions)
        if form is None:
            return 0, self._as_data(offset, block), 1
        if len(positions) == 1:
            return form[0], block.find(("position", positions[0])), form[1][0]
        block = self._place(block, {a for name in positions for a in self.group.positions[name].axes})
        s = self._builder(None, dtypes.int64, (), None, block)
        total = s.const(0, dtypes.int64)
        for name, stride in zip(positions, form[1], strict=True):
            total = s.add(total, s.mul(block.find(("position", name)), self._as_data(stride, block)))
        return form[0], total, 1

    def _as_data(self, size: Size, block: Block) -> str:
        """A size with loaded positions in it, computed as an i64 value."""
        if not any(s in self.group.positions for s in sizes.symbols_of(size)):
            return self._index(size, block)
        s = self._builder(None, dtypes.int64, (), None, block)
        assert isinstance(size, sizes.Expr)
        total: str | None = None
        for mono, k in size.terms:
            term = s.const(k, dtypes.int64)
            for atom, power in mono:
                if isinstance(atom, sizes.Symbol):
                    factor = block.find(("position", atom.name)) or self._index(sizes.Expr(((((atom, 1),), 1),)), block)
                else:
                    prim = {"floordiv": "div", "mod": "mod", "min": "minimum", "max": "maximum"}[atom.fn]
                    factor = s._emit(prim, (self._as_data(atom.a, block), self._as_data(atom.b, block)), dtypes.int64)
                for _ in range(power):
                    term = s.mul(term, factor)
            total = term if total is None else s.add(total, term)
        assert total is not None
        return total

    def _index(self, size: Size, block: Block) -> str:
        """An index expression as an i64 value, in the outermost block that knows it."""
        block = self._place(block, self.group.axes((size,)))
        if isinstance(size, int):
            return self._builder(None, dtypes.int64, (), None, block).const(size)
        name = block.find(("index", size))
        if name is None:
            name = self.names.fresh(dtypes.int64)
            block.out.append(Index(name, size))
            block.memo[("index", size)] = name
        return str(name)

    def _builder(self, node: Node | None, dtype: DType, index: At, mask: Mask | None, block: Block) -> KernelScalars:
        def require(ok: str, message: str, kind: type[BaseException]) -> None:
            assert node is not None
            self._check(node, ok, message, kind, mask, block)

        def given(x: str) -> str | None:
            at = self.given.get(x)
            return None if at is None else self._param(at, dtypes.int64, block)

        op: Any = node.op if node else None
        where = node and node.where
        return KernelScalars(self.names, block, op, dtype, lambda n: self._as_data(n, block), index, require, where, given)

    def _check(self, node: Node, ok: str, message: str, kind: type[BaseException], mask: Mask | None, block: Block) -> None:
        if mask is not None:
            s = self._builder(node, dtypes.bool_, (), None, block)
            ok = s.or_(ok, s.not_(mask.name))
        error = KernelError(node.op.name, kind, f"{node.op.name}: {message}", node.where)
        if error not in self.errors:
            self.errors.append(error)
        block.out.append(Check(ok, self.errors.index(error)))

    def _scalar(self, node: Node, v: Value, index: At, mask: Mask | None, block: Block) -> str:
        types = [a.type if isinstance(a, Value) else a for a in node.args]
        weak = scalar_dtype(node.op, types, [r.tensor_type for r in node.results])
        s = self._builder(node, weak, index, mask, block)
        xs = [self._operand(a, weak, index, mask, block, s) for a in node.args]
        xs = self._rounded(node, xs, weak, s)
        self._require_exact(node, xs, weak, s)
        assert isinstance(node.op.lowering, Scalar)
        made = node.op.lowering.fn(s, *xs, **node.attrs)
        made = made if isinstance(made, tuple) else (made,)
        out = ""
        for result, x in zip(node.results, made, strict=True):
            x = s.cast(x, result.dtype)
            if result is v:
                out = x
            elif mask is None:
                block.memo[(result, index)] = x
                self._finish((result, index), x, block)
        return out

    def _require_exact(self, node: Node, xs: list[Any], weak: DType, s: KernelScalars) -> None:
        """Check that the integral dtype `weak` holds each int, known only at the call, that must not wrap around."""
        if weak.kind not in "ui" or node.op.promote is None:
            return
        low, high = representable(weak)
        for x in (xs[i] for i in node.op.promote.exact):
            wide = s.given(x)
            if wide is not None and weak is not dtypes.int64:
                inside = s.and_(s.le(s.const(low, dtypes.int64), wide), s.le(wide, s.const(high, dtypes.int64)))
                s.require(inside, f"a Python number does not fit {weak.name}", RangeError)

    def _rounded(self, node: Node, xs: list[Any], weak: DType, s: KernelScalars) -> list[Any]:
        """Floats known only at the call as the half dtype `weak` holds them, which the op computes with."""
        rule = node.op.promote
        if rule is None or rule.wide or not weak.is_half:
            return xs
        chosen = range(len(xs)) if rule.operands is None else rule.operands
        graph_scalar = [isinstance(a, Value) and isinstance(a.type, ScalarType) for a in node.args]
        return [s.cast(s.cast(x, weak), compute_dtype(weak)) if i in chosen and graph_scalar[i] else x for i, x in enumerate(xs)]

    def _operand(self, a: Any, weak: DType, index: At, mask: Mask | None, block: Block, s: KernelScalars) -> Any:
        """An operand at the result's `index`, in its compute dtype."""
        if a is None:
            return None
        if not isinstance(a, Value):
            return s.const(a, weak)
        if isinstance(a.type, ScalarType):
            return self._param(a, compute_dtype(weak), block)
        name = self.value(a, broadcast(index, a.shape), mask, block)
        return s.cast(name, compute_dtype(a.dtype))

    def _param(self, a: Value, dtype: DType, block: Block) -> str:
        name = block.find(("param", a, dtype))
        if name is None:
            label = f"{a.name}"
            self.scalars[label] = ScalarParam(label, a.type.kind)  # type: ignore[union-attr]
            name = self.names.fresh(dtype)
            if self.scalars[label].kind == "int":
                self.given[name] = a
            block.out.append(Param(name, label, dtype))
            block.memo[("param", a, dtype)] = name
        return str(name)

    def _move(self, node: Node, index: At, mask: Mask | None, block: Block) -> str:
        found = pieces(node, index)
        dtype = node.results[0].dtype
        if len(found) == 1 and found[0].condition is None:
            return self._piece(found[0], dtype, mask, block)
        out: str | None = None
        s = self._builder(node, dtype, index, mask, block)
        for piece in reversed(found):
            inside = self._condition(piece, mask, block)
            x = self._piece(piece, dtype, inside, block)
            out = x if out is None else s.select(inside.name, x, out)
        return s.cast(s.const(0), dtype) if out is None else out  # no piece: the result is empty

    def _piece(self, piece: Piece, dtype: DType, mask: Mask | None, block: Block) -> str:
        if isinstance(piece.operand, Value) and isinstance(piece.operand.type, TensorType):
            return self.value(piece.operand, piece.index, mask, block)
        s = self._builder(None, dtype, (), None, block)
        return s.cast(self._operand(piece.operand, dtype, (), None, block, s), dtype)

    def _condition(self, piece: Piece, mask: Mask | None, block: Block) -> Mask:
        assert piece.condition is not None
        lo, size, hi = piece.condition
        axes = self.group.axes(piece.condition) | (set(mask.axes) if mask else set())
        block = self._place(block, axes)
        s = self._builder(None, dtypes.int64, (), None, block)
        x = self._as_data(size, block)
        tests = []
        if not is_at_least(size - lo, 0):
            tests.append(s.le(self._as_data(lo, block), x))
        if not is_at_least(hi - size, 1):
            tests.append(s.lt(x, self._as_data(hi, block)))
        tests += [mask.name] if mask else []
        name = tests[0]
        for other in tests[1:]:
            name = s.and_(name, other)
        return Mask(name, frozenset(axes))

    def _reduce(self, node: Node, index: At, mask: Mask | None, block: Block) -> str:
        lowering, (result,) = node.op.lowering, node.results
        assert isinstance(lowering, ReduceLowering)
        axes = list(self.group.reduce_axes(node, index, block.axes))
        operand = node.args[0]
        assert isinstance(operand, Value)
        inside = Block(block, block.axes | set(axes)) if axes else block
        at = self.group.reduced_index(node, index, axes)
        if mask is None:
            self._ready([(operand, at)], inside)
        inner = self.value(operand, at, mask, inside)
        s = self._builder(node, result.dtype, index, mask, inside)
        acc = dtypes.bool_ if lowering.combine in ("and", "or") else compute_dtype(result.dtype)
        value = s.cast(s.cast(inner, compute_dtype(operand.dtype)), acc)
        if not axes:
            return s.cast(value, result.dtype)
        name = self.names.fresh(acc)
        order = tuple(Axis(a, self.group.extents[a]) for a in axes)
        block.out.append(Reduce(order, tuple(inside.out), (Acc(name, lowering.combine, value, acc),)))
        return self._builder(node, result.dtype, index, mask, block).cast(name, result.dtype)

    def _scan(self, node: Node, index: At, block: Block) -> str:
        """The running total at `index`, in the block of the serial loop."""
        lowering, source, to = node.op.lowering, node.args[0], node.results[0].dtype
        assert isinstance(lowering, Scan) and isinstance(source, Value)
        acc = dtypes.float64 if to.kind == "f" else to
        s = self._builder(node, to, index, None, block)
        total = value = s.cast(self.value(source, index, None, block), acc)
        if self.group.axes(index) & self.group.serial:
            total = self.names.fresh(acc, value)
            block.out.append(Running(total, lowering.combine, value, acc))
        return s.cast(total, to)

    def _located(self, node: Node, index: At, mask: Mask | None, block: Block) -> At:
        """Where in its table Gather or Scatter `node` reads or writes at `index`; the positions are loaded and checked."""
        places, symbols = self.group.position(node, index)
        table = node.args[0]
        assert isinstance(table, Value)
        for dim, symbol, (number, at) in zip(places.dims, symbols, places.positions, strict=True):
            position = self.group.positions[symbol_name(symbol)]
            outer = self._place(block, set(position.axes) | (set(mask.axes) if mask else set()))
            wanted = node.args[number]
            assert isinstance(wanted, Value)
            loaded = self.value(wanted, at, mask, outer)
            outer.memo[("position", symbol_name(symbol))] = self._checked(node, dim, table.shape[dim], loaded, mask, outer)
        return places.filled(symbols)

    def _checked(self, node: Node, dim: int, extent: Size, loaded: str, mask: Mask | None, block: Block) -> str:
        """A loaded position along `dim` as i64; the kernel ends where it lies outside of `extent`."""
        assert isinstance(node.op.lowering, (Gather, Scatter))
        s: Any = self._builder(node, dtypes.int64, (), mask, block)
        at, size, zero = s.cast(loaded, dtypes.int64), self._index(extent, block), s.const(0, dtypes.int64)
        if node.op.lowering.wraps(**node.attrs):
            at = s.select(s.lt(at, zero), s.add(at, size), at)
        inside = s.and_(s.le(zero, at), s.lt(at, size))
        self._check(node, inside, f"index is out of bounds for dimension {dim} with size {extent}", PositionError, mask, block)
        return str(at)


def is_at_least(size: Size, least: int) -> bool:
    """Whether a size is certainly `least` or more."""
    low = sizes.bounds(size)[0]
    return low is not None and low >= least


def symbol_name(symbol: Size) -> str:
    """The name of a size that is one symbol."""
    return next(iter(sizes.symbols_of(symbol)))


def size_of(kind: TensorType, offset: Size = 0) -> Size:
    """Elements that a tensor so laid out reaches, from its buffer's start."""
    total = reach(kind.shape, kind.strides)
    return 0 if total == 0 else total + offset

