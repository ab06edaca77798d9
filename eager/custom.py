"""``autograd.Function``: operations whose gradient the user writes. `forward` runs unrecorded; the node calls `backward`."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import AutogradError
from ..ir.ops.creation import filled
from ..runtime import gradmode
from . import tape
from .factory import alias

__all__ = ["Context", "Function", "FunctionCtx", "once_differentiable"]


class Context:
    """What `forward` and `backward` share. Any attribute may be set on it."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True
        self._saved: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._node: Any = None
        self._forward: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep Tensors (or None) for `backward`, where `saved_tensors` gives them back, checked for in-place writes."""
        for i, x in enumerate(tensors):
            if x is not None and not hasattr(x, "meta"):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(x).__name__}: set it as an "
                    "attribute of ctx"
                )
        self._saved = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep Tensors for `jvp`, where `saved_tensors` gives them back."""
        self._forward = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept; AutogradError after the graph was freed."""
        node = self._node() if self._node is not None else None
        return self._saved if node is None else node.unpacked()  # type: ignore[no-any-return]

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """These outputs get no gradient."""
        self._constant = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """These inputs were written to in `forward`, which returns them: their history becomes this call."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default) or None for outputs without a gradient."""
        self.materialize_grads = value


FunctionCtx = Context


class FunctionNode(tape.Node):
    """The tape's record of one `Function.apply`. `places`: of each tensor among the outputs of `forward`, which are `count`."""

    __slots__ = ("constant", "count", "ctx", "function", "own", "places", "saved", "types")

    def __init__(self, function: type[Function], ctx: Context) -> None:
        super().__init__()
        self.function, self.ctx = function, ctx
        self.saved: tuple[Any, ...] | None = None
        self.types: tuple[Any, ...] = ()
        self.places: tuple[int, ...] = ()
        self.constant: tuple[int, ...] = ()  # numbers of the outputs that get no gradient
        self.own: tuple[int | None, ...] = ()  # of each saved value the number of the output that it is
        self.count = 0

    def name(self) -> str:
        return self.function.__name__ + "Backward"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in FunctionNode.__slots__:
            raise AttributeError(name)
        return getattr(self.ctx, name)  # the node is the context to those who meet it as `grad_fn`

    def keep(self, outputs: Sequence[Any]) -> None:
        """Take over what the context saved. An output is kept outside its history: a node that holds its output holds itself."""
        self.own = tuple([next((i for i, o in enumerate(outputs) if x is o), None) for x in self.ctx._saved])
        kept = [x if x is None or i is None else alias(x) for x, i in zip(self.ctx._saved, self.own, strict=True)]
        self.saved = tuple([None if x is None else tape.keep(x) for x in kept])
        self.ctx._saved = ()
        self.ctx._node = weakref.ref(self)

    def unpacked(self) -> tuple[Any, ...]:
        """The saved tensors, checked."""
        if self.saved is None:
            raise tape.freed(self.name())
        values = [None if s is None else s.unpack(self) for s in self.saved]
        if not gradmode.get():
            return tuple(values)
        return tuple([x if i is None else self._as_output(x, i) for x, i in zip(values, self.own, strict=True)])

    def _as_output(self, saved: Any, i: int) -> Any:
        """An output that was saved with its history again, so that gradients of the gradient flow through it."""
        if i not in self.places or i in self.constant:
            return saved
        made = alias(saved, True)
        made._node = self if len(self.results) == 1 else tape.Pick(self, self.places.index(i))
        return made

    def release(self) -> None:
        if self.saved:
            self.saved = None

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.saved is None:
            raise tape.freed(self.name())
        if self.ctx.materialize_grads:
            pairs = zip(grads, self.results, strict=True)
            home = next(g for g in grads if g is not None)
            grads = tuple([filled(home, t.shape, 0, t.dtype) if g is None else g for g, t in pairs])
        given: list[Any] = [None] * self.count
        for i, g in zip(self.places, grads, strict=True):
            given[i] = g
        made = backward_of(self.function)(self.ctx, *given)
        made = made if isinstance(made, tuple) else (made,)
        while len(made) > len(self.edges) and made[-1] is None:
            made = made[:-1]
        if len(made) != len(self.edges):
            raise RuntimeError(f"function {self.name()} returned an incorrect number of gradients (expected {len(self.edges)}, "
                               f"got {len(made)})")  # fmt: skip
        triples = zip(made, self.types, self.edges, strict=True)
        return tuple([None if e is None else self._fitted(i, g, t) for i, (g, t, e) in enumerate(triples)])

    def _fitted(self, i: int, g: Any, t: Any) -> Any:
        if g is None or t is None:
            return None
        if not hasattr(g, "meta"):
            text = f"function {self.name()} returned a {type(g).__name__} as gradient {i}: expected a Tensor or None"
            raise AutogradError(text)
        have, want = tuple(g.meta.shape), tuple(t.shape)
        lead = len(have) - len(want)
        if lead < 0 or any(w not in (1, h) for h, w in zip(have[lead:], want, strict=True)):
            raise AutogradError(f"Function {self.name()} returned an invalid gradient at index {i} - got {list(have)} but "
                                f"expected shape compatible with {list(want)}")  # fmt: skip
        return tape.fitted(g, t)


class Function:
    """Subclasses define static methods ``forward(ctx, *inputs)`` and ``backward(ctx, *grads)``; call ``apply(*inputs)``. Or
    ``forward(*inputs)``, ``setup_context(ctx, inputs, output)`` and `backward`."""

    generate_vmap_rule = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "an autograd.Function is not called and has no state: its methods are static; call it by its class method apply()"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The result, from plain inputs."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Where it is defined, `forward` takes no context: this fills it, from the inputs and the result."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """One gradient (or None) for each input of `forward`, from those of its outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward "
            "mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Changes of the outputs from those of the inputs (None: no change), for `forward_ad`; where it is not defined the steps
        of `forward` are followed. `func.jvp` differentiates `backward` instead."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """Where it is defined, `func.vmap` calls it for ``(outputs, out_dims)``; else `forward` runs on each member."""
        raise NotImplementedError("To use autograd.Function with vmap, you must define the vmap staticmethod.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` and record it."""
        if kwargs:
            args = by_position(cls, args, kwargs)
        if any(_is_batched(x) for x in args):
            from .transforms import batched_function

            return batched_function(cls, args)
        if cls.jvp is not Function.jvp and any(_has_change(x) for x in args):
            from .duals import function

            return function(cls, args)
        ctx = Context()
        edges = [tape.edge_of(x) for x in args]
        ctx.needs_input_grad = tuple([e is not None for e in edges])
        recording = gradmode.get()
        gradmode.set(False)
        try:
            result = run_forward(cls, ctx, args)
        finally:
            gradmode.set(recording)
        if not recording or not any(ctx.needs_input_grad):
            return result
        several = isinstance(result, (tuple, list))
        made = _tied(cls, ctx, args, edges, list(result) if several else [result])
        return tuple(made) if several else made[0]


def by_position(cls: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Arguments of `forward` given by name, each at its place."""
    first = () if has_setup(cls) else (None,)
    bound = inspect.signature(cls.forward).bind(*first, *args, **kwargs)
    bound.apply_defaults()
    return bound.args[len(first) :]


def has_setup(cls: type[Function]) -> bool:
    """Whether `forward` takes no context."""
    return cls.setup_context is not Function.setup_context


def run_forward(cls: type[Function], ctx: Context, args: tuple[Any, ...]) -> Any:
    """The result of `forward`, in either of its forms."""
    if not has_setup(cls):
        return cls.forward(ctx, *args)
    result = cls.forward(*args)
    cls.setup_context(ctx, args, result)
    return result


def backward_of(cls: type[Function]) -> Callable[..., Any]:
    """The user's `backward`, which may be called `vjp`."""
    return cls.vjp if cls.vjp is not Function.vjp and cls.backward is Function.backward else cls.backward


def _is_batched(x: Any) -> bool:
    return hasattr(x, "_array") and x._array is None and hasattr(x._storage, "like")


def _has_change(x: Any) -> bool:
    return hasattr(x, "_array") and x._array is None and hasattr(x._storage, "tangent")


def _tied(cls: type[Function], ctx: Context, args: tuple[Any, ...], edges: list[Any], outputs: list[Any]) -> list[Any]:
    """The outputs of `forward` tied to a node between them and what `edges` lead to."""
    dirty = [x for x in args if any(x is d for d in ctx._dirty)]
    for x in dirty:
        if x.meta.requires_grad and x._node is None:
            raise AutogradError("a leaf Variable that requires grad has been used in an in-place operation.")
    given = outputs
    outputs = [alias(o) if any(o is x for x in args) else o for o in outputs]
    node = FunctionNode(cls, ctx)
    node.places = tuple([i for i, o in enumerate(outputs) if hasattr(o, "meta")])
    node.count = len(outputs)
    node.keep([*given, *dirty])
    node.types = tuple([x.meta.type if hasattr(x, "meta") else None for x in args])
    node.constant = tuple([i for i, was in enumerate(given) if any(was is c for c in ctx._constant)])
    constant = [outputs[i] for i in node.constant]
    node.attach([outputs[i] for i in node.places], args, constant=constant)
    node.edges = tuple(edges)
    for i, was in enumerate(given):
        if any(was is x for x in dirty):
            from .inplace import rebase

            rebase(was, outputs[i])
            outputs[i] = was
    return outputs


class _Delayed(tape.Node):
    """What lies behind a gradient that was made by a function which is differentiable once."""

    def name(self) -> str:
        return "DelayedError"

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        raise AutogradError("trying to differentiate twice a function that was marked with @once_differentiable")


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a `backward` that runs unrecorded: differentiating its results is an error."""

    @functools.wraps(fn)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        recording = gradmode.get()
        gradmode.set(False)
        try:
            result = fn(ctx, *grads)
        finally:
            gradmode.set(recording)
        if not recording or not any(hasattr(g, "meta") and g.meta.requires_grad for g in grads):
            return result
        several = isinstance(result, tuple)
        made = tuple([alias(x) if hasattr(x, "meta") else x for x in (result if several else (result,))])
        _Delayed().attach([x for x in made if hasattr(x, "meta")], grads)
        return made if several else made[0]

    return wrapped
