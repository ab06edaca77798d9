"""`autograd.functional`: Jacobians, Hessians and their products, of functions of one Tensor or of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime import gradmode
from . import autograd as tapes
from . import transforms
from .creation import full
from .tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _tuple(x: Any, what: str) -> tuple[Any, ...]:
    made = x if isinstance(x, tuple) else tuple(x) if isinstance(x, list) else (x,)
    for i, t in enumerate(made):
        if not isinstance(t, Tensor):
            where = f"index {i} of " if isinstance(x, (tuple, list)) else ""
            raise TypeError(f"The {where}{what} must be Tensors but got {type(t)}")
    return made


def _as(made: Any, like: Any) -> Any:
    return tuple(made) if isinstance(like, (tuple, list)) else made[0]


class _Call:
    """`func` at `inputs`, which become leaves, or with `create` steps of their own histories."""

    def __init__(self, func: Callable[..., Any], inputs: Any, create: bool) -> None:
        self.given, self.create, self.outer = inputs, create, gradmode.get()
        with tapes.enable_grad():
            self.inputs = [self._input(x) for x in _tuple(inputs, "inputs given to the function")]
            self.result = transforms.follow(func, *self.inputs)
        self.outs = _tuple(self.result, "outputs of the user-provided function")

    def _input(self, x: Any) -> Any:
        if self.create and x.requires_grad:
            return x.view_as(x)
        return transforms.variable(x.detach())

    def scalar(self) -> Any:
        """The one output, which has one element."""
        if len(self.outs) != 1 or self.outs[0].numel() != 1 or isinstance(self.result, tuple):
            raise RuntimeError("The function given to this call must return a single Tensor with one element")
        return self.outs[0]

    def check(self, strict: bool) -> None:
        for i, o in enumerate(self.outs):
            if strict and not o.requires_grad:
                raise RuntimeError(
                    f"Output {i} of the user-provided function does not require gradients: it is independent of the inputs, "
                    "which strict mode refuses"
                )

    def pull(self, outs: Any, vs: Any, create: bool, strict: bool = False, inputs: Any = None) -> list[Any]:
        """Gradients of the inputs; zeros where there is none."""
        inputs = self.inputs if inputs is None else inputs
        live = [(o, v) for o, v in zip(outs, vs, strict=True) if o is not None and o.requires_grad]
        if live:
            outs, vs = [o for o, _ in live], [v for _, v in live]
            made = transforms.follow(tapes.grad, outs, inputs, vs, True, create, allow_unused=True)
        else:
            made = (None,) * len(inputs)
        if strict and any(g is None for g in made):
            raise RuntimeError("The output of the user-provided function is independent of an input, which strict mode refuses")
        return [full(x.shape, 0, dtype=x.dtype, device=x.device) if g is None else g for g, x in zip(made, inputs, strict=True)]

    def outputs(self) -> Any:
        """What the user gets of the function's result."""
        return _as([o if self.create else o.detach() for o in self.outs], self.result)

    def settled(self, made: list[Any], like: Any) -> Any:
        return _as([x if self.create else x.detach() for x in made], like)


def _directions(v: Any, like: tuple[Any, ...], what: str) -> list[Any]:
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if {what} is a single Tensor with one element")
        return [full(like[0].shape, 1, dtype=like[0].dtype, device=like[0].device)]
    vs = _tuple(v, "v")
    if len(vs) != len(like):
        raise RuntimeError(f"v has {len(vs)} Tensors, and {what} has {len(like)}")
    for a, b in zip(vs, like, strict=True):
        if tuple(a.shape) != tuple(b.shape):
            raise RuntimeError(f"v has the shape {list(a.shape)} where {what} has {list(b.shape)}")
    return list(vs)


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``(func(*inputs), v times the Jacobian)``; `v` is like the outputs."""
    call = _Call(func, inputs, create_graph)
    call.check(strict)
    vs = _directions(v, call.outs, "the output of the function")
    return call.outputs(), call.settled(call.pull(call.outs, vs, create_graph, strict), inputs)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``(func(*inputs), the Jacobian times v)``; `v` is like the inputs."""
    call = _Call(func, inputs, create_graph)
    call.check(strict)
    vs = _directions(v, tuple(call.inputs), "the input of the function")
    made = _push(call, call.outs, vs, create_graph)
    return call.outputs(), call.settled(made, call.result)


def _push(call: _Call, outs: Any, vs: list[Any], create: bool) -> list[Any]:
    """Changes of `outs`: the gradient of the gradient by dummy factors."""
    with tapes.enable_grad():
        dummies = [transforms.variable(full(o.shape, 0, dtype=o.dtype, device=o.device)) for o in outs]
        pulled = call.pull(outs, dummies, True)
        return call.pull(pulled, vs, create, inputs=dummies)


def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Jacobian, for each output and each input (tuples where the function has several) a Tensor of the output's shape
    followed by the input's. Rows are computed as one batch."""
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode"')
    if strict and vectorize:
        raise RuntimeError("autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together.")
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError('Computing the Jacobian with strategy="forward-mode" is only provided with `vectorize=True`.')
    call = _Call(func, inputs, create_graph)
    call.check(strict)
    blocks = []
    for o in call.outs:
        rows = transforms.for_each(
            lambda v, o=o: call.pull([o], [v], create_graph, strict), transforms.basis(o)  # type: ignore[misc]
        )
        made = [r.reshape((*o.shape, *x.shape)) for r, x in zip(rows, call.inputs, strict=True)]
        blocks.append(call.settled(made, inputs))
    return _as(blocks, call.result)


def hessian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The matrix of second derivatives of a function to one element: for each pair of inputs a Tensor of both shapes."""
    several = isinstance(inputs, (tuple, list))

    def gradient(*xs: Any) -> Any:
        call = _Call(func, xs, True)
        out = call.outs[0]
        found = call.pull([call.scalar()], [full(out.shape, 1, dtype=out.dtype, device=out.device)], True, strict)
        return tuple(found) if several else found[0]

    return jacobian(gradient, inputs, create_graph, strict)


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``(func(*inputs), v times the Hessian)``; `v` is like the inputs."""
    call = _Call(func, inputs, create_graph)
    out = call.scalar()
    call.check(strict)
    vs = _directions(v, tuple(call.inputs), "the input of the function")
    with tapes.enable_grad():
        first = call.pull([out], [full(out.shape, 1, dtype=out.dtype, device=out.device)], True, strict)
    return call.outputs(), call.settled(call.pull(first, vs, create_graph, strict), inputs)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``(func(*inputs), the Hessian times v)``: the Hessian is symmetric, so this is `vhp`."""
    return vhp(func, inputs, v, create_graph, strict)


