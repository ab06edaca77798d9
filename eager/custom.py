"""``autograd.Function``: operations whose gradient the user writes. `forward` runs unrecorded; the node calls `backward`."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ..runtime import gradmode
from . import tape
from .factory import alias, make


class Context:
    """What `forward` and `backward` share. Any attribute may be set on it."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True
        self._saved: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()
        self._node: Any = None

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep Tensors (or None) for `backward`, where `saved_tensors` gives them back, checked for in-place writes."""
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept; AutogradError after the graph was freed."""
        node = self._node() if self._node is not None else None
        return self._saved if node is None else node.unpacked()  # type: ignore[no-any-return]

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """These outputs get no gradient."""
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default) or None for outputs without a gradient."""
        self.materialize_grads = value


class FunctionNode(tape.Node):
    """The tape's record of one `Function.apply`."""

    __slots__ = ("ctx", "function", "saved", "types")

    def __init__(self, function: type[Function], ctx: Context) -> None:
        super().__init__()
        self.function, self.ctx = function, ctx
        self.saved: tuple[Any, ...] | None = None
        self.types: tuple[Any, ...] = ()

    def name(self) -> str:
        return self.function.__name__ + "Backward"

    def keep(self, outputs: tuple[Any, ...]) -> None:
        """Take over what the context saved. An output is kept outside its history: a node that holds its output holds itself."""
        self.saved = tuple(
            [None if x is None else tape.Saved(alias(x) if any(x is o for o in outputs) else x) for x in self.ctx._saved]
        )
        self.ctx._saved = ()
        self.ctx._node = weakref.ref(self)

    def unpacked(self) -> tuple[Any, ...]:
        """The saved tensors, checked."""
        if self.saved is None:
            raise tape.freed(self.name())
        return tuple([None if s is None else s.unpack(self) for s in self.saved])

    def release(self) -> None:
        if self.saved:
            self.saved = None

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.saved is None:
            raise tape.freed(self.name())
        if self.ctx.materialize_grads:
            pairs = zip(grads, self.results, strict=True)
            grads = tuple([make(np.zeros(t.shape, t.dtype.np)) if g is None else g for g, t in pairs])
        made = self.function.backward(self.ctx, *grads)
        made = made if isinstance(made, tuple) else (made,)
        while len(made) > len(self.edges) and made[-1] is None:
            made = made[:-1]
        if len(made) != len(self.edges):
            raise RuntimeError(f"function {self.name()} returned an incorrect number of gradients (expected {len(self.edges)}, "
                               f"got {len(made)})")  # fmt: skip
        pairs = zip(made, self.types, strict=True)
        return tuple([g if g is None or t is None else tape.fitted(g, t) for g, t in pairs])


class Function:
    """Subclasses define static methods ``forward(ctx, *inputs)`` and ``backward(ctx, *grads)``; call ``apply(*inputs)``."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """The result, from plain inputs."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """One gradient (or None) for each input of `forward`, from those of its outputs."""
        raise NotImplementedError("You must implement the backward function for custom autograd.Function.")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record it."""
        ctx = Context()
        ctx.needs_input_grad = tuple([tape.edge_of(x) is not None for x in args])
        recording = gradmode.get()
        gradmode.set(False)
        try:
            result = cls.forward(ctx, *args)
        finally:
            gradmode.set(recording)
        if not recording or not any(ctx.needs_input_grad):
            return result
        several = isinstance(result, (tuple, list))
        outputs = tuple([alias(o) if any(o is x for x in args) else o for o in (result if several else (result,))])
        node = FunctionNode(cls, ctx)
        node.keep(outputs)
        node.types = tuple([x.meta.type if hasattr(x, "meta") else None for x in args])
        tied = [o for o in outputs if hasattr(o, "meta")]
        node.attach(tied, args, constant=ctx._constant)
        return outputs if several else outputs[0]
