"""Back ends of users: functions that receive a Graph and example inputs, and return what runs it on Tensors.

The graph they get is pure: its outputs are the values of the fresh results, then those of the write-backs. What is an input or a
view of one, and the writing back, is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..eager.factory import make
from ..eager.tensor import Tensor
from ..errors import CompileError
from ..ir.graph import Graph, Output
from ..ir.interpret import bind_symbols, concrete, interpret
from ..ir.types import TensorType

#: ``(graph, example_inputs) -> run``; ``run(*inputs)`` gives one Tensor per graph output, as a tuple or list
UserBackend = Callable[[Graph, Sequence[Any]], Callable[..., Any]]
_backends: dict[str, UserBackend] = {}


def register(name: str, backend: UserBackend) -> None:
    """Make `backend` known as `name`. ValueError where the name is taken by another."""
    if _backends.setdefault(name, backend) is not backend:
        raise ValueError(f"a back end {name!r} is registered already")


def registered() -> dict[str, UserBackend]:
    """All back ends of users by name."""
    return dict(_backends)


def pure(graph: Graph) -> Graph:
    """`graph` without aliased outputs and write-backs: fresh results, then the values to be written."""
    values = [o.value for o in graph.outputs if o.source is None] + [w.value for w in graph.writes]
    return replace(graph, outputs=tuple(Output(v) for v in values), writes=())


def interpreter(graph: Graph) -> Callable[..., tuple[Any, ...]]:
    """What runs a pure graph op by op on Tensors and numbers: the simplest thing a back end can return."""

    def run(*inputs: Any) -> tuple[Any, ...]:
        arrays = [x._array if isinstance(x, Tensor) else x for x in inputs]
        return tuple(map(make, interpret(graph, arrays)[0]))

    return run


class Served:
    """A graph that a user's back end runs. The back end is called at the first run, with that run's inputs as examples."""

    def __init__(self, graph: Graph, backend: UserBackend) -> None:
        self.graph, self.backend = graph, backend
        self.pure = pure(graph)
        self.call: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        return getattr(self.backend, "__name__", type(self.backend).__name__)

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """As `Executable.run`."""
        tensors = [make(x) if isinstance(v.type, TensorType) else x for v, x in zip(self.graph.inputs, inputs, strict=True)]
        if self.call is None:
            call = self.backend(self.pure, tensors)
            if not callable(call):
                raise CompileError(f"back end {self.name} returned {type(call).__name__}, not something to call with the inputs")
            self.call = call
        values = bind_symbols(self.graph, inputs)
        found = iter(self._arrays(self.call(*tensors), values))
        outputs = [next(found) if o.source is None else None for o in self.graph.outputs]
        number = {v: i for i, v in enumerate(self.graph.inputs)}
        for w in self.graph.writes:
            target = inputs[number[w.target]]
            (target if w.view is None else _window(target, w.view, values))[...] = next(found)
        return [
            self._fresh(array, inputs) if o.source is None else _aliased(inputs[number[o.source]], o.view, values)
            for o, array in zip(self.graph.outputs, outputs, strict=True)
        ]

    def _arrays(self, results: Any, values: dict[str, int]) -> list[Any]:
        """The arrays of what the back end's function returned, each of the type that the graph says."""
        results = [results] if isinstance(results, Tensor) else list(results)
        if len(results) != len(self.pure.outputs):
            count = len(self.pure.outputs)
            raise CompileError(f"back end {self.name} gave {len(results)} results for {count} outputs of the graph")
        arrays: list[Any] = [x._array if isinstance(x, Tensor) else x for x in results]
        for o, array in zip(self.pure.outputs, arrays, strict=True):
            shape, dtype = concrete(o.value.shape, values), o.value.dtype.np
            if getattr(array, "shape", None) != shape or array.dtype != dtype:
                given = f"{array.dtype}{list(array.shape)}" if hasattr(array, "dtype") else type(array).__name__
                raise CompileError(f"back end {self.name} gave {given} for %{o.value.name} : {o.value.type}")
        return arrays

    @staticmethod
    def _fresh(array: Any, inputs: Sequence[Any]) -> Any:
        """A result with memory of its own."""
        return array.copy() if array.base is not None or any(array is x for x in inputs) else array


def _window(array: Any, view: Any, values: dict[str, int]) -> Any:
    from ..runtime.executable import window

    return window(array, *(concrete(x, values) for x in (view.offset, view.shape, view.strides)))


def _aliased(array: Any, view: Any, values: dict[str, int]) -> Any:
    return array if view is None else _window(array, view, values)
