"""What calls of an op have in common, sizes aside: one graph with open sizes that serves them all. Runs and compiles nothing.

Equal sizes are one symbol, so that whatever held for them once holds at each later call of the same pattern; 0 and 1 stay
numbers. Pointwise calls lose all dimensions that lie in memory as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..ir import dtypes, sizes
from ..ir.dtypes import DType
from ..ir.loops import COMPARISONS
from ..ir.op import Op, Scalar
from ..ir.types import ScalarType, TensorType, contiguous_strides

Dims = tuple[int, ...]
#: dtypes beside which an int of 32 bits means the same as an input and as a literal, and how far those reach
_WIDE, _INT32 = frozenset((dtypes.bool_, dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64)), 1 << 31
#: ints of a call that have a kernel each (a division by 2 is a shift) before they are an input of one, and calls remembered
_APART, _MOST = 2, 4096


class Pattern:
    """`key`: equal for calls that one graph serves. `types`: of the operands, with symbols (numbers as they are; ScalarType where
    they are inputs). `attrs`: with symbols. `values`: of the symbols, by name, in this call. `collapsed`: whether the results lie
    in memory as eager's do, but have fewer dimensions."""

    __slots__ = ("attrs", "collapsed", "key", "types", "values")

    def __init__(
        self, op: Op | None, types: Sequence[Any], attrs: dict[str, Any], values: dict[str, int], collapsed: bool
    ) -> None:
        self.types, self.attrs, self.values, self.collapsed = types, attrs, values, collapsed
        shown = [str(t) if isinstance(t, (TensorType, ScalarType)) else (type(t), repr(t)) for t in types]
        self.key = (op, *shown, *[(k, str(v)) for k, v in attrs.items()])

    @property
    def counted(self) -> list[str]:
        """The symbols that no tensor's type has: numbers that the graph takes as inputs of their own."""
        parts = [n for t in self.types if isinstance(t, TensorType) for n in (*t.shape, *t.strides)]
        settled = {name for n in parts for name in sizes.symbols_of(n)}
        return [name for name in self.values if name not in settled]


class _Names:
    """Symbols for sizes and strides by their values."""

    def __init__(self, fixed: int, kept: frozenset[int] = frozenset()) -> None:
        self.fixed, self.kept = fixed, kept
        self.values: dict[str, int] = {}
        self.sizes: dict[int, Any] = {}
        self.steps: dict[int, Any] = {}

    def size(self, n: int) -> Any:
        """The symbol of a size; those of at most `fixed`, and those `kept`, are themselves."""
        return n if n in self.kept else self._of(self.sizes, "s", n)

    def step(self, n: int) -> Any:
        """The symbol of a stride that does not follow from sizes."""
        return self._of(self.steps, "t", n)

    def _of(self, table: dict[int, Any], letter: str, n: int) -> Any:
        if n <= self.fixed:
            return n
        if n not in table:
            name = f"{letter}{len(table)}"
            self.values[name] = n
            table[n] = sizes.symbol(name, 2)
        return table[n]

    def type(self, shape: Dims, strides: Dims, dtype: DType) -> TensorType:
        """A tensor's type with symbols: strides are products of sizes where they may be; what is left out between two dimensions
        is a factor or a summand, so that it stays known which of them is the outer one."""
        named = tuple(map(self.size, shape))
        rows = contiguous_strides(named)
        if strides == contiguous_strides(shape):
            return TensorType(named, dtype, rows)
        found: list[Any] = [0] * len(shape)
        run, product = 1, 1
        for d in sorted(range(len(shape)), key=lambda d: (strides[d], shape[d] != 1, -d)):
            step = strides[d]
            if step == run:
                found[d] = product
            elif 0 < run < step:
                found[d] = product + self.step(step - run) if step % run else product * self.step(step // run)
            else:  # elements that share memory
                found[d] = self.step(step)
            if step >= run:
                run, product = step * shape[d], found[d] * named[d]
        return TensorType(named, dtype, tuple(found))

    def attr(self, x: Any) -> Any:
        """A size among the attributes of an op."""
        if isinstance(x, tuple):
            return tuple(map(self.attr, x))
        return self.size(x) if type(x) is int else x


@lru_cache(maxsize=1024)
def _sized(op: Op) -> frozenset[str]:
    """The attributes of an op that may be symbolic: those whose annotation in `infer` names Size."""
    found = getattr(op.infer, "__annotations__", {})
    return frozenset(name for name, annotation in found.items() if name != "return" and "Size" in str(annotation))


def loose(op: Op) -> bool:
    """Whether floats among the operands of a call may be inputs of its graph."""
    return type(op.lowering) is Scalar


def of_call(
    op: Op, operands: Sequence[Any], attrs: dict[str, Any], out: Sequence[Any], fixed: int = 1,
    kept: frozenset[int] = frozenset(), ints: bool = False,
) -> Pattern:  # fmt: skip
    """The pattern of a call with TensorTypes and numbers as `operands`, whose results are of the types `out`. Sizes of at most
    `fixed`, and those `kept`, are part of it; ints are inputs where `ints` is set."""
    names = _Names(fixed, kept)
    plain = not any(t.dtype.is_complex for t in out)  # those are made of two reals, by the numbers at hand
    given = [number(op, i, x, ints) if plain else x for i, x in enumerate(operands)]
    tensors = [t for t in operands if isinstance(t, TensorType)]
    if tensors and len(out) == 1 and not _sized(op) & attrs.keys() and _pointwise(op, operands, attrs):
        found = collapsed(tensors, out[0])
        if found is not None:
            laid = iter(found)
            types = [names.type(*next(laid)) if isinstance(t, TensorType) else t for t in given]
            return Pattern(op, types, attrs, names.values, True)
    whole = not tensors and "shape" in attrs and _pointwise(op, operands, attrs)  # one value everywhere
    if whole:
        count = 1
        for n in attrs["shape"]:
            count *= n
        attrs = {k: v for k, v in attrs.items() if k != "strides"} | {"shape": (count,)}  # dense in any order
    types = [names.type(t.shape, t.strides, t.dtype) if isinstance(t, TensorType) else t for t in given]  # type: ignore[arg-type]
    free = _sized(op)
    attrs = {k: names.attr(v) if k in free else v for k, v in attrs.items()}
    return Pattern(op, types, attrs, names.values, whole)


def of_write(op: Op | None, operands: Sequence[Any], attrs: dict[str, Any], fixed: int = 1) -> Pattern | None:
    """The pattern of calls that store in their first operand the result of a pointwise op on all of them (or, with none, their
    second operand), which has its shape; None where that hangs on other elements."""
    if op is not None and not _pointwise(op, operands, attrs):
        return None
    names = _Names(fixed)
    tensors = [t for t in operands if isinstance(t, TensorType)]
    joined = collapsed(tensors, tensors[0])
    apart: list[Any] = [(t.shape, t.strides, t.dtype) for t in tensors]
    laid = iter(joined or apart)
    ints = op is None and all(may_be_any(x, [tensors[0].dtype]) for x in operands if type(x) is int)
    given = [ScalarType("int") if ints and type(x) is int else
             ScalarType("float") if type(x) is float and (op is None or number(op, i, x) is not x) else x
             for i, x in enumerate(operands)]  # fmt: skip
    types = [names.type(*next(laid)) if isinstance(t, TensorType) else t for t in given]
    return Pattern(op, types, attrs, names.values, joined is not None)


def number(op: Op, i: int, x: Any, ints: bool = False) -> Any:
    """What the graph of a call takes for operand `i`: an input, where it is a number that may be any (`ints`: an int, too)."""
    if i in op.fixed or not loose(op):
        return x
    return ScalarType("float") if type(x) is float else ScalarType("int") if ints and type(x) is int else x


def by_value(operands: Sequence[Any], attrs: Mapping[str, Any]) -> bool:
    """Whether the numbers of a call are part of its graph: beside complex ones, whose results are made of two reals by them."""
    kinds = [x.meta.dtype for x in operands if hasattr(x, "meta")] + [x for x in attrs.values() if isinstance(x, DType)]
    return any(type(x) is complex for x in operands) or any(d.is_complex for d in kinds)


def may_be_any(x: Any, dtypes_beside: Iterable[DType]) -> bool:
    """Whether a number is an int that a kernel may take as an input beside tensors of these dtypes: it fits all of them."""
    return type(x) is int and fits(x) and all(d in _WIDE for d in dtypes_beside)


def fits(x: int) -> bool:
    """Whether an int has 32 bits at most."""
    return -_INT32 <= x < _INT32


class Ints:
    """Which calls take ints as inputs: those that have had some, each with a kernel of its own."""

    def __init__(self) -> None:
        self.seen: dict[Any, set[tuple[int, ...]]] = {}

    def are_inputs(self, op: Op, operands: Sequence[Any]) -> bool:
        """Whether a call with these Tensors and numbers takes its ints as inputs; notes them."""
        given = tuple([x for x in operands if type(x) is int])
        if not given:
            return False
        metas = [getattr(x, "meta", None) for x in operands]
        if not all(may_be_any(x, [m.dtype for m in metas if m is not None]) for x in given):
            return False
        if len(self.seen) >= _MOST:
            self.seen.clear()
        seen = self.seen.setdefault((op, *metas), set())
        if len(seen) < _APART:
            seen.add(given)
        return given not in seen


def collapsed(tensors: Sequence[TensorType], out: TensorType) -> list[tuple[Dims, Dims, DType]] | None:
    """(shape, strides, dtype) of each operand of a pointwise call, dimensions joined wherever all operands allow it, in the
    order of the result's memory; None where the result has gaps, no elements or no dimensions, or where every operand is
    repeated along one of them (whose size no operand would tell)."""
    shape: Any = out.shape
    out_strides: Any = out.strides
    if not shape or 0 in shape:
        return None
    order = sorted(range(len(shape)), key=lambda d: -out_strides[d])
    run = 1
    for d in reversed(order):
        if shape[d] > 1 and out_strides[d] != run:
            return None
        run *= shape[d]
    order = [d for d in order if shape[d] > 1]
    steps = [_steps(t, len(shape)) for t in tensors]
    if any(not any(step[d] for step in steps) for d in order):
        return None
    groups: list[list[int]] = []
    for d in order:
        if groups and all(s[groups[-1][-1]] == s[d] * shape[d] for s in steps):
            groups[-1].append(d)
        else:
            groups.append([d])
    found: list[Any] = []
    for t, step in zip(tensors, steps, strict=True):
        if not t.shape:
            found.append(((), (), t.dtype))
            continue
        dims = [(_product(shape[d] for d in g), step[g[-1]]) for g in groups] or [(1, 1)]
        sized = tuple([n if s else 1 for n, s in dims])
        rows = contiguous_strides(sized)
        found.append((sized, tuple([s or rows[i] for i, (_, s) in enumerate(dims)]), t.dtype))
    return found


def _steps(t: TensorType, rank: int) -> list[Any]:
    """An operand's strides along the dimensions of the result; 0 where it is repeated."""
    lead = rank - len(t.shape)
    return [0] * lead + [s if n != 1 else 0 for n, s in zip(t.shape, t.strides, strict=True)]


def _product(numbers: Any) -> int:
    out = 1
    for n in numbers:
        out *= n
    return out


class _Asked(Exception):
    """An expression asked where the element lies."""


class _Dummy:
    """A value that nothing computes."""

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype


class _Probe:
    """A builder of scalar primitives that makes nothing."""

    @staticmethod
    def dtype_of(x: Any) -> DType:
        """The dtype of an operand."""
        return x.dtype if isinstance(x, _Dummy) else dtypes.float32

    def __getattr__(self, name: str) -> Any:
        if name in ("index", "size"):
            raise _Asked

        def made(*args: Any) -> _Dummy:
            given = [a for a in args if isinstance(a, DType)] or [a.dtype for a in args if isinstance(a, _Dummy)]
            return _Dummy(dtypes.bool_ if name in COMPARISONS else given[0] if given else dtypes.float32)

        return made


def _pointwise(op: Op, operands: Sequence[Any], attrs: Mapping[str, Any]) -> bool:
    """Whether each element of the result follows from the operands' elements there alone."""
    kinds = tuple([t.dtype if isinstance(t, TensorType) else None for t in operands])
    try:
        return _asks_nothing(op, kinds, tuple(attrs.items()))
    except TypeError:  # an attribute that does not hash
        return False


@lru_cache(maxsize=4096)
def _asks_nothing(op: Op, kinds: tuple[DType | None, ...], attrs: tuple[tuple[str, Any], ...]) -> bool:
    if type(op.lowering) is not Scalar:
        return False
    try:
        op.lowering.fn(_Probe(), *[_Dummy(k or dtypes.float32) for k in kinds], **dict(attrs))
    except Exception:  # it asked for the element's place, or for more of a builder than the probe has
        return False
    return True
