"""Rearranging elements and running totals under PyTorch's names: flip, roll, pad, cumsum, logsumexp, einsum and kin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from ..errors import ShapeError
from ..ir.ops import moves, scans
from ..ir.ops.compare import eq, where
from . import casting
from . import generated as g
from .arguments import one_of, size_of, to_dtype, wrap_dim, wrap_dims
from .executor import apply, is_plain
from .functional import expand, matmul, narrow, permute, reshape, unsqueeze
from .inplace import store_checked
from .outputs import into
from .pure import pure
from .recall import viewing
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor


@served
@pure
def flip(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    """A copy with the order of elements reversed along `dims`, given by name or in a row."""
    wrapped = tuple([wrap_dim(d, input.ndim) for d in size_of(axes if dims is None else (dims,))])
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError(f"dim {max(wrapped, key=wrapped.count)} appears multiple times in the list of dims")
    return apply(moves.flip, (input,), {"dims": wrapped if input.ndim else ()})  # type: ignore[no-any-return]


@pure
def fliplr(input: Tensor) -> Tensor:
    """`flip` along dimension 1."""
    if input.ndim < 2:
        raise RuntimeError(f"fliplr: the input must have at least 2 dimensions, but it has shape {list(input.shape)}")
    return flip(input, 1)


@pure
def flipud(input: Tensor) -> Tensor:
    """`flip` along dimension 0."""
    if not input.ndim:
        raise RuntimeError("flipud: the input must have at least 1 dimension, but it has none")
    return flip(input, 0)


@served
@pure
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved on by `shifts` along `dims`, those that leave at one end coming in at the other; without `dims` in a row."""
    steps = size_of((shifts,)) if isinstance(shifts, (tuple, list)) else (shifts,)
    if dims is None or dims == ():
        if len(steps) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(steps)}, dims:0")
        return reshape(roll(reshape(input, (-1,)), steps[0], 0), input.shape)
    along = dims if isinstance(dims, (tuple, list)) else (dims,)
    if len(along) != len(steps):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(along)}")
    out = input
    for shift, dim in zip(steps, along, strict=True):
        at = wrap_dim(dim, input.ndim)
        n = input.shape[at]
        out = moves.rolled(out, shift % n, at) if n else out
    return g.clone(out) if out is input else out


@served
@pure
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Tensor:
    """`input` with ``pad[0]`` places before and ``pad[1]`` after its last dimension, the next two around the one before, and so
    on; negative ones cut. `mode`: "constant" (`value`, default 0), "reflect", "replicate" or "circular"."""
    around = size_of((pad,))
    if len(around) % 2 or len(around) > 2 * input.ndim:
        raise ShapeError(f"pad: {len(around)} lengths {list(around)} do not fit {input.dtype.name}{list(input.shape)}: two "
                         "for each dimension, the last first")  # fmt: skip
    if mode not in _MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if mode != "constant" and value is not None:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if casting.on and mode in ("reflect", "replicate"):
        (input,) = casting.wide(input)
    out = input
    for k in range(0, len(around), 2):
        dim, before, after = input.ndim - 1 - k // 2, around[k], around[k + 1]
        cut = max(-before, 0), max(-after, 0)
        room = max(before, 0), max(after, 0)
        if mode == "replicate" and (cut[0] or cut[1]) and (room[0] or room[1]):  # what is cut may be what is repeated
            out, cut = _filled(out, mode, dim, *room), (cut[0], cut[1])
            room = (0, 0)
        if cut[0] or cut[1]:
            out = narrow(out, dim, cut[0], out.shape[dim] - cut[0] - cut[1])
        if room[0] or room[1]:
            out = _constant(out, dim, *room, value) if mode == "constant" else _filled(out, mode, dim, *room)
    views = all(n <= 0 for n in around)
    return g.clone(out) if out is input or (views and mode != "constant") else out


_MODES = ("constant", "reflect", "replicate", "circular")


def _constant(x: Tensor, dim: int, before: int, after: int, value: Any) -> Tensor:
    kind = x.dtype.kind
    number = value or 0
    number = {"f": float, "c": complex, "b": bool}.get(kind, int)(number)
    return apply(moves.pad, (x, number), {"dim": dim, "before": before, "after": after})  # type: ignore[no-any-return]


def _filled(x: Tensor, mode: str, dim: int, before: int, after: int) -> Tensor:
    """`x` continued around dimension `dim` by its own elements."""
    n = x.shape[dim]
    most = n - 1 if mode == "reflect" else n
    if mode != "replicate" and (before > most or after > most):
        raise ShapeError(f"Padding size should be less than the corresponding input dimension, but got: padding ({before}, "
                         f"{after}) at dimension {dim} of input {list(x.shape)}")  # fmt: skip
    if mode == "circular":
        ends = narrow(x, dim, n - before, before), narrow(x, dim, 0, after)
    elif mode == "reflect":
        ends = flip(narrow(x, dim, 1, before), dim), flip(narrow(x, dim, n - 1 - after, after), dim)
    else:
        sizes = ((*x.shape[:dim], m, *x.shape[dim + 1 :]) for m in (before, after))
        first, last = narrow(x, dim, 0, 1), narrow(x, dim, n - 1, 1)
        ends = tuple([expand(e, s) for e, s in zip((first, last), sizes, strict=True)])  # type: ignore[assignment]
    return g.cat([ends[0], x, ends[1]], dim)


# -- running totals


def _running(op: Any, input: Tensor, dim: Any, dtype: Any, out: Any) -> Tensor:
    at = wrap_dim(dim, input.ndim)
    x = input if input.ndim else unsqueeze(input, 0)
    result = apply(op, (x,), {"dim": at, "dtype": to_dtype(dtype)})
    result = result if input.ndim else reshape(result, ())
    return result if out is None else into(out, result)  # type: ignore[no-any-return]


@pure
def cumsum(input: Tensor, dim: Any = None, *, dtype: Any = None, out: Any = None, axis: Any = None) -> Tensor:
    """Sums of the elements up to each one along `dim`; of bool and integral ones in int64."""
    return _running(scans.cumsum, input, one_of("dim", dim, "axis", axis), dtype, out)


@pure
def cumprod(input: Tensor, dim: Any = None, *, dtype: Any = None, out: Any = None, axis: Any = None) -> Tensor:
    """Products of the elements up to each one along `dim`; of bool and integral ones in int64."""
    return _running(scans.cumprod, input, one_of("dim", dim, "axis", axis), dtype, out)


@pure
def cumsum_(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """`cumsum`, stored in self."""
    return store_checked(self, cumsum(self, dim, dtype=dtype))  # type: ignore[no-any-return]


@served
@pure
def logsumexp(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None, axis: Any = None) -> Tensor:
    """Logarithm of the sum of exponentials over `dim`, without overflow."""
    dim = one_of("dim", dim, "axis", axis)
    dims = wrap_dims(dim, input.ndim)
    x = input if input.dtype.is_inexact else input.float()
    if any(x.shape[d] == 0 for d in dims):  # the logarithm of 0: nothing has a largest element
        result = g.log(g.sum(g.exp(x), dims, keepdim))
        return result if out is None else into(out, result)
    size = x.real if x.dtype.is_complex else x
    top = g.amax(size, dims, keepdim=True).detach() if x.ndim else size.detach()
    top = where(eq(g.abs(top), float("inf")), 0.0, top)
    total = g.log(g.sum(g.exp(x - top), dims, keepdim=True)) + top if x.ndim else g.log(g.exp(x - top)) + top
    result = total if keepdim or not x.ndim else reshape(total, [n for d, n in enumerate(x.shape) if d not in dims])
    return result if out is None else into(out, result)  # type: ignore[no-any-return]


# -- dimensions


@pure
@viewing
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions `source` moved to `destination`, the others in order."""
    froms = [wrap_dim(d, input.ndim) for d in (source if isinstance(source, (tuple, list)) else (source,))]
    to = [wrap_dim(d, input.ndim) for d in (destination if isinstance(destination, (tuple, list)) else (destination,))]
    if len(froms) != len(to):
        raise RuntimeError(f"movedim: Invalid source or destination dims: source ({len(froms)} dims) should contain the same "
                           f"number of dims as destination ({len(to)} dims)")  # fmt: skip
    if len(set(froms)) != len(froms) or len(set(to)) != len(to):
        raise RuntimeError(f"movedim: repeated dim in source {source} or destination {destination}")
    order: list[int] = [-1] * input.ndim
    for a, b in zip(froms, to, strict=True):
        order[b] = a
    rest = iter([d for d in range(input.ndim) if d not in froms])
    return permute(input, [next(rest) if d < 0 else d for d in order])


@pure
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Each vector repeated along the dimensions of the others; "xy" exchanges the first two."""
    given = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    swap = indexing == "xy" and len(given) > 1
    given = (given[1], given[0], *given[2:]) if swap else given
    shape = [x.numel() for x in given]
    made = [expand(reshape(x, [-1 if d == k else 1 for d in range(len(given))]), shape) for k, x in enumerate(given)]
    return (made[1], made[0], *made[2:]) if swap else tuple(made)


# -- einsum


@pure
def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products by Einstein's rule, "ij,jk->ik"; "..." stands for dimensions that broadcast. Pairs are multiplied from
    left to right, as matrix products."""
    given = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else list(operands)
    if len(given) == 2 and all(getattr(x, "_array", None) is not None and is_plain(x) for x in given):
        known = _steps(equation, given[0].meta.shape, given[1].meta.shape)
        if known is not None:
            return _stepped(*given, *known)  # type: ignore[no-any-return]
    terms, target = _parsed(equation, [x.shape for x in given])
    parts = [_diagonal(x, term) for x, term in zip(given, terms, strict=True)]
    while len(parts) > 1:
        later = {c for _, term in parts[2:] for c in term} | set(target)
        parts[:2] = [_contracted(*parts[0], *parts[1], later)]
    x, term = parts[0]
    gone = [d for d, c in enumerate(term) if c not in target]
    if gone:
        x, term = g.sum(x, tuple(gone)), [c for c in term if c in target]
    return permute(x, [term.index(c) for c in target]) if term != target else x


@lru_cache(maxsize=512)
def _steps(equation: str, left_shape: tuple[int, ...], right_shape: tuple[int, ...]) -> Any:
    """How two operands are one matrix product: (order of each one's dimensions and its shape as matrices, shape of the product,
    order of its dimensions), None for a step that changes nothing; None where there is more to do."""
    (left, right), target = _parsed(equation, (left_shape, right_shape))
    size = dict(zip([*left, *right], (*left_shape, *right_shape), strict=True))
    sizes = [size[c] for c in (*left, *right)]
    both = [c for c in left if c in right]
    alone = [c for c in (*left, *right) if c not in both and c not in target]
    repeated = len(set(left)) < len(left) or len(set(right)) < len(right)
    if repeated or alone or sizes != [*left_shape, *right_shape] or set(both) <= set(target):
        return None
    batch, inner = [c for c in both if c in target], [c for c in both if c not in target]
    rows, columns = [c for c in left if c not in both], [c for c in right if c not in both]
    out = [*batch, *rows, *columns]
    return (
        *_as_matrices(left, batch, (rows, inner), size), *_as_matrices(right, batch, (inner, columns), size),
        tuple([size[c] for c in out]), None if out == target else tuple([out.index(c) for c in target]),
    )  # fmt: skip


def _as_matrices(term: list[str], batch: list[str], groups: Any, size: dict[str, int]) -> tuple[Any, Any]:
    """The order of dimensions and the shape that make an operand a batch of matrices; None where it is one."""
    order = [*batch, *groups[0], *groups[1]]
    lead = (prod([size[c] for c in batch]),) if batch else ()
    shape = (*lead, *[prod([size[c] for c in group]) for group in groups])
    return (
        None if order == term else tuple([term.index(c) for c in order]),
        None if shape == tuple([size[c] for c in order]) else shape,
    )


def _stepped(a: Any, b: Any, turn_a: Any, shape_a: Any, turn_b: Any, shape_b: Any, shape: Any, turn: Any) -> Any:
    """The product that `_steps` has found."""
    a = a if turn_a is None else permute(a, turn_a)
    a = a if shape_a is None else reshape(a, shape_a)
    b = b if turn_b is None else permute(b, turn_b)
    b = b if shape_b is None else reshape(b, shape_b)
    product = matmul(a, b)
    product = product if product.meta.shape == shape else reshape(product, shape)
    return product if turn is None else permute(product, turn)


def _parsed(equation: str, given: Sequence[Any]) -> tuple[list[list[str]], list[str]]:
    """(the letters of the dimensions of operands of the shapes `given`, those of the result); dimensions under "..." are letters
    "0", "1", ... counted from the last."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(given):
        raise RuntimeError(f"einsum(): {len(terms)} subscripts in the equation {equation!r} for {len(given)} operands")
    out, most = [], 0
    for term, x in zip(terms, given, strict=True):
        dots = len(x) - len(term.replace("...", ""))
        if dots < 0 or (dots and "..." not in term):
            raise RuntimeError(f"einsum(): the subscripts {term!r} do not match an operand of shape {list(x)}")
        most = max(most, dots)
        before, found, after = term.partition("...")
        out.append([*before, *([str(dots - 1 - d) for d in range(dots)] if found else []), *after])
    wide = [str(most - 1 - d) for d in range(most)]
    if not arrow:
        letters = [c for term in terms for c in term.replace("...", "")]
        return out, [*wide, *sorted(c for c in set(letters) if letters.count(c) == 1)]
    before, found, after = right.partition("...")
    target = [*before, *(wide if found else []), *after]
    unknown = [c for c in target if not any(c in term for term in out)]
    if unknown or len(set(target)) != len(target):
        raise RuntimeError(f"einsum(): output subscripts {right!r} of {equation!r} repeat a letter or have one no operand has")
    return out, target


def _diagonal(x: Any, term: list[str]) -> tuple[Any, list[str]]:
    """An operand in which no letter stands twice: where one does, the elements whose indices there are equal."""
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            a = term.index(c)
            b = term.index(c, a + 1)
            if x.shape[a] != x.shape[b]:
                raise RuntimeError(f"einsum(): subscript {c} is repeated for dimensions of sizes {x.shape[a]} and {x.shape[b]}")
            order = [d for d in range(x.ndim) if d not in (a, b)]
            x = _last_diagonal(permute(x, (*order, a, b)))
            term = [*(term[d] for d in order), c]
    return x, term


def _last_diagonal(x: Any) -> Any:
    """The diagonal of the last two dimensions, which are of one size."""
    n = x.shape[-1]
    flat = reshape(x, (*x.shape[:-2], n * n))
    padded = pad(flat, (0, n))
    return reshape(padded, (*x.shape[:-2], n, n + 1))[..., 0]


def _contracted(a: Any, left: list[str], b: Any, right: list[str], later: set[str]) -> tuple[Any, list[str]]:
    """The product of two operands, summed over the letters that are not met `later`: one batched matrix product."""
    a, left = _summed(a, left, {*right, *later})
    b, right = _summed(b, right, {*left, *later})
    size: dict[str, Any] = {}
    for c, n in [*zip(left, a.shape, strict=True), *zip(right, b.shape, strict=True)]:
        known = size.setdefault(c, n)
        if known == 1:
            size[c] = n
        elif n not in (1, known):
            raise RuntimeError(f"einsum(): operands do not broadcast: subscript {c} has sizes {known} and {n}")
    both = [c for c in left if c in right]
    batch, inner = [c for c in both if c in later], [c for c in both if c not in later]
    rows, columns = [c for c in left if c not in both], [c for c in right if c not in both]
    if not inner:  # an outer product, element by element
        out = [*batch, *rows, *columns]
        return _placed(a, left, out) * _placed(b, right, out), out
    a = _grouped(a, left, [batch, rows, inner], size)
    b = _grouped(b, right, [batch, inner, columns], size)
    product = a @ b
    return reshape(product, [size[c] for c in (*batch, *rows, *columns)]), [*batch, *rows, *columns]


def _summed(x: Any, term: list[str], wanted: set[str]) -> tuple[Any, list[str]]:
    """An operand summed over the letters that nothing else has."""
    gone = [d for d, c in enumerate(term) if c not in wanted]
    return (g.sum(x, tuple(gone)), [c for c in term if c in wanted]) if gone else (x, term)


def _placed(x: Any, term: list[str], out: list[str]) -> Any:
    """An operand with its dimensions where `out` has their letters, of size 1 elsewhere."""
    x = permute(x, [term.index(c) for c in out if c in term])
    sizes = iter(x.shape)
    return reshape(x, [next(sizes) if c in term else 1 for c in out])


def _grouped(x: Any, term: list[str], groups: list[list[str]], size: dict[str, Any]) -> Any:
    """An operand as a batch of matrices: the letters of each group as one dimension."""
    order = [c for group in groups for c in group]
    x = expand(permute(x, [term.index(c) for c in order]), [size[c] for c in order])
    shape = []
    for group in groups:
        n = 1
        for c in group:
            n = n * size[c]
        shape.append(n)
    return reshape(x, shape)
