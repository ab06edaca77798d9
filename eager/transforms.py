"""Functions of functions: `grad`, `vjp`, `jvp`, `vmap` and what is made of them. `fusewire.func` is their public address.

A differentiated argument becomes a fresh leaf (or, where it has a history already, a step of it), the tape does the rest, so
transforms nest in any order. `vmap` runs the function once on Tensors that stand for one member (`batching.py`); where it asks
for the values of one, it runs on each member in turn.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..ir.ops.casts import clone
from ..runtime import gradmode
from . import autograd as tapes
from . import executor, tape
from .arranging import movedim
from .batching import Level, NeedsLoop, active, contains, innermost, level_of, member, physical
from .creation import eye, full
from .factory import alias
from .functional import expand, reshape, stack, unsqueeze
from .structures import flatten, mapped, spread
from .tensor import Tensor

# -- what a tracer does itself ---------------------------------------------------------------------------------------------


def follow(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call what the user gave, or a walk over the tape. While a tracer records, it follows the one and models the other."""
    recorder: Any = executor.recorder()
    return fn(*args, **kwargs) if recorder is None else recorder.follow(fn, args, kwargs)


def variable(x: Any) -> Any:
    """The values of `x`, a Tensor without a history, as a leaf of its own."""
    recorder: Any = executor.recorder()
    return alias(x, True) if recorder is None else recorder.histories.variable(x)


# -- one level of differentiation ------------------------------------------------------------------------------------------


def _base(x: Any) -> Any:
    """The plain Tensor that holds all members of `x`."""
    while level_of(x) is not None:
        x = x._storage.value
    return x


def _dual(x: Any) -> Any:
    """`x` as a variable of its own, with members at every level that runs now."""
    if not isinstance(x, Tensor):
        raise RuntimeError(f"expected the differentiated arguments to be Tensors, not {type(x).__name__}")
    if not x.meta.dtype.is_inexact:
        raise RuntimeError(f"only Tensors of floating point dtype can be differentiated with respect to, not {x.dtype}")
    levels = active()
    for level in levels:
        if not contains(level, x):
            x = member(level, physical(level, x))
    for level in reversed(levels):
        x = physical(level, x)
    made = executor.apply(clone, (x,), {}) if x.meta.requires_grad else variable(x)
    for level in levels:  # the innermost one last: ops go to the level of the outermost wrapping
        made = level.wrap(made)
    return made


def _physicals(xs: Sequence[Any]) -> list[Any]:
    return [_base(x) for x in xs]


def _reaches_others(outs: Sequence[Any], own: Sequence[Any]) -> bool:
    """Whether gradients of `outs` flow on to anything but the leaves among `own`."""
    recorder: Any = executor.recorder()
    if recorder is not None:
        return recorder.histories.reach_others(_physicals(outs), _physicals(own))  # type: ignore[no-any-return]
    known = {id(x) for x in _physicals(own)}
    stack_ = [tape.edge_of(x) for x in _physicals(outs) if x.meta.requires_grad]
    seen: set[int] = set()
    while stack_:
        at = stack_.pop()
        if at is None or id(at) in seen:
            continue
        seen.add(id(at))
        if isinstance(at, tape.Node):
            stack_.extend(at.edges)
        elif id(at) not in known:
            return True
    return False


def _settled(x: Any, own: Sequence[Any], keep: bool) -> Any:
    """A result as the caller gets it: without a history where that ends in the transform's own variables."""
    if not isinstance(x, Tensor) or not x.meta.requires_grad or (keep and _reaches_others([x], own)):
        return x
    return x.detach()


def _pull(outs: Sequence[Any], ins: Sequence[Any], grads: Sequence[Any], create: bool) -> list[Any]:
    """Gradients of `outs` by `ins` (made by `_dual`); None where there is none. `grads` may have members at deeper levels."""
    level = innermost([*outs, *ins])
    if level is None:
        live = [(o, g) for o, g in zip(outs, grads, strict=True) if o.meta.requires_grad]
        if not live:
            return [None] * len(ins)
        return list(follow(tapes.grad, [o for o, _ in live], ins, [g for _, g in live], True, create, allow_unused=True))
    live = [(o, g) for o, g in zip(outs, grads, strict=True) if contains(level, o)]
    inner = _pull(
        [physical(level, o) for o, _ in live], [physical(level, x) for x in ins], [physical(level, g) for _, g in live], create
    )
    return [None if g is None else member(level, g) for g in inner]


def _zeros(x: Any) -> Any:
    return full(x.shape, 0, dtype=x.dtype, device=x.device)


def _ones(x: Any) -> Any:
    return full(x.shape, 1, dtype=x.dtype, device=x.device)


class _Duals:
    """The differentiated arguments of one call, and the function run on them."""

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Any) -> None:
        self.single = isinstance(argnums, int)
        numbers = (argnums,) if self.single else tuple(argnums)
        for n in numbers:
            if not -len(args) <= n < len(args):
                raise RuntimeError(f"Got argnum={n}, but only {len(args)} positional inputs")
        numbers = tuple([n % len(args) for n in numbers])
        leaves, self.build = flatten(tuple([args[n] for n in numbers]))
        self.outer = gradmode.get()
        with tapes.enable_grad():
            self.leaves = [_dual(x) for x in leaves]
        self.shapes = [tuple(x.shape) for x in leaves]
        given = list(args)
        for n, x in zip(numbers, self.build(self.leaves), strict=True):
            given[n] = x
        self.func, self.args, self.kwargs = func, given, kwargs

    def run(self, has_aux: bool) -> tuple[Any, Any]:
        """(result, what was given beside it)."""
        with tapes.enable_grad():
            made = follow(self.func, *self.args, **self.kwargs)
        if not has_aux:
            return made, None
        if not (isinstance(made, tuple) and len(made) == 2):
            raise RuntimeError("expected a function with has_aux=True to return a tuple of two: (output, aux)")
        return made

    def keeps(self, outs: Sequence[Any]) -> bool:
        """Whether someone may differentiate the results again."""
        return self.outer and _reaches_others(outs, self.leaves)

    def shaped(self, made: Sequence[Any]) -> Any:
        """One value for each argument, in the arguments' structure."""
        found = self.build(list(made))
        return found[0] if self.single else found

    def settle(self, tree: Any, keep: bool) -> Any:
        """Results as the caller gets them."""
        return mapped(lambda x: _settled(x, self.leaves, keep), tree)


def grad_and_value(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function to ``(gradient, value)``, with `has_aux` ``(gradient, (value, aux))``; `func` gives a 0-d Tensor."""

    @functools.wraps(func, assigned=("__name__", "__doc__"), updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        duals = _Duals(func, args, kwargs, argnums)
        out, aux = duals.run(has_aux)
        if not isinstance(out, Tensor):
            raise RuntimeError(f"Expected f(*args) to return a Tensor, got {type(out).__name__}")
        if out.ndim:
            raise RuntimeError(
                f"Expected f(*args) to return a scalar tensor, got tensor with {out.ndim} dims. Did you forget to reduce it?"
            )
        keep = duals.keeps([out])
        made = _pull([out], duals.leaves, [_ones(out)], keep)
        grads = [_zeros(x) if g is None else _settled(g, duals.leaves, keep) for g, x in zip(made, duals.leaves, strict=True)]
        value = duals.settle(out, keep)
        return duals.shaped(grads), (value, duals.settle(aux, keep)) if has_aux else value

    return run


def grad(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function to the gradient of `func` (which gives a 0-d Tensor) by the arguments `argnums`; with `has_aux` `func` gives
    ``(value, aux)`` and the result is ``(gradient, aux)``."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func, assigned=("__name__", "__doc__"), updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        made, value = both(*args, **kwargs)
        return (made, value[1]) if has_aux else made

    return run


def _same_structure(given: Any, like: list[Any], what: str) -> list[Any]:
    leaves = flatten(given)[0]
    if len(leaves) != len(like) or any(
        not isinstance(g, Tensor) or tuple(g.shape) != tuple(x.shape) for g, x in zip(leaves, like, strict=True)
    ):
        raise RuntimeError(f"Expected {what} of the structure and shapes {[list(x.shape) for x in like]}")
    return leaves


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """``(output, fn)``, with `has_aux` ``(output, fn, aux)``: ``fn(cotangents)`` gives a tuple of the gradients of `primals`."""
    duals = _Duals(func, primals, {}, tuple(range(len(primals))))
    out, aux = duals.run(has_aux)
    outs, _ = flatten(out)
    if not outs or not all(isinstance(x, Tensor) for x in outs):
        raise RuntimeError("vjp(f, *primals): Expected f to be a function that has non-empty output of Tensors")
    keep = duals.keeps(outs)

    def pull(*cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        vs = _same_structure(given, outs, "cotangents")
        create = gradmode.get() and (keep or any(v.meta.requires_grad for v in vs))
        made = _pull(outs, duals.leaves, vs, create)
        own = duals.leaves
        return duals.build([_zeros(x) if g is None else _settled(g, own, create) for g, x in zip(made, own, strict=True)])

    result = duals.settle(out, keep)
    return (result, pull, duals.settle(aux, keep)) if has_aux else (result, pull)


class _Linear:
    """`func` at a point, with the gradient of dummy cotangents, which is linear in them: its own gradient is the jvp."""

    def __init__(self, duals: _Duals, has_aux: bool) -> None:
        self.duals = duals
        self.out, self.aux = duals.run(has_aux)
        self.outs, self.build = flatten(self.out)
        if not all(isinstance(x, Tensor) for x in self.outs):
            raise RuntimeError("jvp: expected the function to return Tensors only")
        with tapes.enable_grad():
            self.dummies = [_dual(_zeros(x)) for x in self.outs]
            self.pulled = _pull(self.outs, duals.leaves, self.dummies, True)
        self.keep = duals.outer and _reaches_others(self.outs, duals.leaves)
        self.own = [*duals.leaves, *self.dummies]

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """The change of each output for these changes of the arguments; None: no change."""
        pairs = [
            (g, t) for g, t in zip(self.pulled, tangents, strict=True) if g is not None and t is not None and g.requires_grad
        ]
        if not pairs:
            return [None] * len(self.outs)
        create = gradmode.get() and (self.keep or any(t.meta.requires_grad for _, t in pairs))
        made = _pull([g for g, _ in pairs], self.dummies, [t for _, t in pairs], create)
        return [None if x is None else _settled(x, self.own, create) for x in made]


def jvp(func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """``(output, change of the output)`` for the change `tangents` of `primals`, both tuples; with `has_aux` also aux."""
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise RuntimeError("jvp(f, primals, tangents): Expected primals and tangents to be tuples")
    duals = _Duals(func, primals, {}, tuple(range(len(primals))))
    given = _same_structure(tangents, duals.leaves, "jvp(f, primals, tangents): tangents")
    linear = _Linear(duals, has_aux)
    made = linear.push(given)
    if strict and any(x is None for x in made):
        raise RuntimeError("jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs")
    changes = linear.build([_zeros(x) if t is None else t for t, x in zip(made, linear.outs, strict=True)])
    result = duals.settle(linear.out, linear.keep)
    return (result, changes, duals.settle(linear.aux, linear.keep)) if has_aux else (result, changes)


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """``(output, fn)``: ``fn(*tangents)`` is the change of the output, by the same run of `func` each time."""
    duals = _Duals(func, primals, {}, tuple(range(len(primals))))
    linear = _Linear(duals, False)

    def push(*tangents: Any) -> Any:
        made = linear.push(_same_structure(tangents, duals.leaves, "tangents"))
        return linear.build([_zeros(x) if t is None else t for t, x in zip(made, linear.outs, strict=True)])

    return duals.settle(linear.out, linear.keep), push


# -- whole Jacobians -------------------------------------------------------------------------------------------------------


def basis(x: Any) -> Any:
    """All one-hot Tensors of the shape and dtype of `x`, along dimension 0."""
    n = x.numel()
    return reshape(eye(n, dtype=x.dtype, device=x.device), (n, *x.shape))


def for_each(fn: Callable[[Any], list[Any]], batch: Any, chunk: int | None = None) -> list[Any]:
    """`fn` of each member of `batch`, a list of Tensors or None, each result with the members along dimension 0."""
    n = int(batch.shape[0])
    if n == 0:
        found = fn(_zeros(batch.new_empty(batch.shape[1:])))
        return [None if x is None else expand(unsqueeze(x, 0), (0, *x.shape)) for x in found]
    parts = [_batched(fn, batch[i : i + (chunk or n)]) for i in range(0, n, chunk or n)]
    return parts[0] if len(parts) == 1 else [None if p[0] is None else _whole(p) for p in zip(*parts, strict=True)]


def _whole(parts: Sequence[Any]) -> Any:
    """The parts of a batch as one."""
    from ..ir.ops.shape import cat

    return cat(*parts, dim=0)


def _batched(fn: Callable[[Any], list[Any]], batch: Any) -> list[Any]:
    level = Level(int(batch.shape[0]))
    try:
        with level.entered():
            made = fn(member(level, batch))
            return [None if x is None else physical(level, x) for x in made]
    except NeedsLoop as found:
        if found.level is not level:
            raise
    rows = [fn(x) for x in batch]
    return [None if r[0] is None else stack(r) for r in zip(*rows, strict=True)]


def batched_grad(
    outputs: Any, inputs: Any, grad_outputs: Any, retain: Any = None, create: bool = False, allow_unused: Any = None,
    materialize: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """See `autograd.grad` with ``is_grads_batched=True``."""
    outs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    given = list(grad_outputs) if isinstance(grad_outputs, (tuple, list)) else [grad_outputs]
    level = Level(int(given[0].shape[0]))

    def run(gs: list[Any], keep: Any) -> tuple[Any, ...]:
        options = {"allow_unused": allow_unused, "materialize_grads": materialize}
        return follow(tapes.grad, outs, inputs, gs, keep, create, **options)  # type: ignore[no-any-return]

    try:
        with level.entered():
            made = run([None if g is None else member(level, g) for g in given], retain)
            return tuple([None if x is None else physical(level, x) for x in made])
    except NeedsLoop as found:
        if found.level is not level:
            raise
    rows = [run([None if g is None else g[i] for g in given], True) for i in range(level.size)]
    return tuple([None if r[0] is None else stack(r) for r in zip(*rows, strict=True)])


def jacrev(
    func: Callable[..., Any], argnums: Any = 0, *, has_aux: bool = False, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """A function to the Jacobian of `func`: for each output Tensor (in the output's structure) and each differentiated argument
    (in theirs) a Tensor of the output's shape followed by the argument's. One row of the output at a time, batched."""

    @functools.wraps(func, assigned=("__name__", "__doc__"), updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        duals = _Duals(func, args, kwargs, argnums)
        out, aux = duals.run(has_aux)
        outs, build = flatten(out)
        keep = duals.keeps(outs)
        made = []
        for o in outs:
            rows = for_each(lambda v, o=o: _pull([o], duals.leaves, [v], keep), basis(o), chunk_size)  # type: ignore[misc]
            whole = [(*o.shape, *shape) for shape in duals.shapes]
            blocks = [_of(o, w) if r is None else reshape(r, w) for r, w in zip(rows, whole, strict=True)]
            made.append(duals.shaped([_settled(b, duals.leaves, keep) for b in blocks]))
        return (build(made), duals.settle(aux, keep)) if has_aux else build(made)

    return run


def jacfwd(
    func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, *, chunk_size: int | None = None, randomness: str = "error"
) -> Callable[..., Any]:
    """As `jacrev`, one column of the arguments at a time."""

    @functools.wraps(func, assigned=("__name__", "__doc__"), updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        duals = _Duals(func, args, kwargs, argnums)
        linear = _Linear(duals, has_aux)
        columns = []
        for i, x in enumerate(duals.leaves):

            def push(v: Any, i: int = i) -> list[Any]:
                return linear.push([v if k == i else None for k in range(len(duals.leaves))])

            made = for_each(push, basis(x), chunk_size)
            columns.append([
                _of(o, (*o.shape, *x.shape)) if m is None else reshape(movedim(m, 0, -1), (*o.shape, *x.shape))
                for m, o in zip(made, linear.outs, strict=True)
            ])  # fmt: skip
        blocks = [duals.shaped([column[k] for column in columns]) for k in range(len(linear.outs))]
        result = linear.build(blocks)
        return (result, duals.settle(linear.aux, linear.keep)) if has_aux else result

    return run


def _of(x: Any, shape: tuple[int, ...]) -> Any:
    return full(shape, 0, dtype=x.dtype, device=x.device)


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """A function to the matrix of second derivatives of `func`, in the structure of ``jacfwd(jacrev(func))``."""
    return jacrev(jacrev(func, argnums), argnums)


# -- vmap ------------------------------------------------------------------------------------------------------------------


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable[..., Any]:
    """`func`, which is written for one member, over a batch: each Tensor argument has its members along its dimension in
    `in_dims` (None: the same for all), each result gets them along that in `out_dims`. `randomness`: whether random ops inside
    are an "error", the "same" or "different" for members. ValueError where dimensions do not fit."""
    if randomness not in ("error", "same", "different"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func, assigned=("__name__", "__doc__"), updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        leaves, dims, build, size = _inputs(func, in_dims, args)
        if chunk_size is None or chunk_size >= size:
            return _run(func, leaves, dims, build, size, out_dims, kwargs, randomness)
        parts = []
        for start in range(0, size, chunk_size):
            stop = min(size, start + chunk_size)
            part = [x if d is None else x.narrow(d, start, stop - start) for x, d in zip(leaves, dims, strict=True)]
            parts.append(flatten(_run(func, part, dims, build, stop - start, out_dims, kwargs, randomness)))
        places = spread(out_dims, parts[0][1](parts[0][0]), "out_dims")
        joined = [_joined_at(ps, d) for ps, d in zip(zip(*(p for p, _ in parts), strict=True), places, strict=True)]
        return parts[0][1](joined)

    return run


def _joined_at(parts: Sequence[Any], dim: int | None) -> Any:
    from ..ir.ops.shape import cat

    return parts[0] if dim is None else cat(*parts, dim=dim % parts[0].ndim)


def _inputs(func: Any, in_dims: Any, args: tuple[Any, ...]) -> tuple[list[Any], list[Any], Any, int]:
    """(leaves of the arguments, the dimension of each, how to build the arguments again, size of the batch)."""
    name = f"vmap({getattr(func, '__name__', func)}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple, list)):
        raise ValueError(
            f"{name}: expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, got: "
            f"{type(in_dims)}."
        )
    if not args:
        raise ValueError(f"{name}: got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a function with "
                         "no inputs.")  # fmt: skip
    leaves, build = flatten(args)
    dims = spread(in_dims, args, "in_dims")
    sizes = []
    for i, (x, d) in enumerate(zip(leaves, dims, strict=True)):
        if d is None:
            continue
        if not isinstance(x, Tensor):
            if isinstance(in_dims, int):
                raise ValueError(f"{name}: Got in_dim={d} for an input but the input is of type {type(x)}. We cannot vmap over "
                                 "non-Tensor arguments, please use None as the respective in_dim")  # fmt: skip
            raise ValueError(f"{name}: Got in_dim={d} for an input of type {type(x)}, please use None as the respective in_dim")
        if not -x.ndim <= d < x.ndim:
            raise ValueError(f"{name}: Got in_dim={d} for some input, but that input is a Tensor of dimensionality {x.ndim}")
        dims[i] = d % x.ndim
        sizes.append(int(x.shape[d % x.ndim]))
    if not sizes:
        raise ValueError(f"{name}: at least one input has to be mapped: all of `in_dims` are None")
    if len(set(sizes)) > 1:
        raise ValueError(f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the "
                         "mapped dimension")  # fmt: skip
    return leaves, dims, build, sizes[0]


def _run(
    func: Any, leaves: list[Any], dims: list[Any], build: Any, size: int, out_dims: Any, kwargs: Any, randomness: str
) -> Any:
    level = Level(size, randomness)
    fronts = [x if d is None else movedim(x, d, 0) for x, d in zip(leaves, dims, strict=True)]
    try:
        with level.entered():
            members = [x if d is None else member(level, x) for x, d in zip(fronts, dims, strict=True)]
            out, again = flatten(follow(func, *build(members), **kwargs))
            places = _places(func, out, again, out_dims)
            made = [x if d is None else physical(level, x) for x, d in zip(out, places, strict=True)]
            if any(d is None and contains(level, x) for x, d in zip(out, places, strict=True)):
                raise ValueError(f"vmap: out_dims {out_dims!r} says None for a result that differs from member to member")
    except NeedsLoop as found:
        if found.level is not level or not size:
            raise
        pairs = list(zip(fronts, dims, strict=True))
        flat = [flatten(follow(func, *build([x if d is None else x[i] for x, d in pairs]), **kwargs)) for i in range(size)]
        out, again = flat[0]
        places = _places(func, out, again, out_dims)
        results = zip(*(f for f, _ in flat), strict=True)
        made = [xs[0] if d is None else stack(xs) for xs, d in zip(results, places, strict=True)]
    return again([x if not d else movedim(x, 0, d) for x, d in zip(made, places, strict=True)])


def _places(func: Any, out: list[Any], again: Any, out_dims: Any) -> list[Any]:
    """The dimension of each result."""
    for x in out:
        if not isinstance(x, Tensor):
            name = getattr(func, "__name__", func)
            raise ValueError(f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(x)}.")
    if isinstance(out_dims, tuple) and len(out_dims) == 1 and isinstance(again(out), Tensor):
        out_dims = out_dims[0]
    places = spread(out_dims, again(out), "out_dims")
    for x, d in zip(out, places, strict=True):
        if d is not None and not -x.ndim - 1 <= d <= x.ndim:
            raise IndexError(f"out_dims={d}: the result has {x.ndim} dimensions beside that of the batch")
    return places


class VmapInfo:
    """What a Function's `vmap` is told: `batch_size` and `randomness`."""

    def __init__(self, level: Level) -> None:
        self.batch_size, self.randomness = level.size, level.randomness


def batched_function(cls: Any, args: tuple[Any, ...]) -> Any:
    """A user's autograd.Function on members of a batch: by its own `vmap` where it has one, else on each member in turn."""
    from .custom import Function

    level = innermost(args)
    assert level is not None
    if cls.vmap is Function.vmap:
        raise NeedsLoop(level)
    dims = tuple([0 if isinstance(x, Tensor) and contains(level, x) else None for x in args])
    given = [x if d is None else physical(level, x) for x, d in zip(args, dims, strict=True)]
    out, out_dims = follow(cls.vmap, VmapInfo(level), dims, *given)
    leaves, build = flatten(out)
    places = spread(out_dims, out, "out_dims")
    return build([x if d is None else member(level, movedim(x, d, 0)) for x, d in zip(leaves, places, strict=True)])
