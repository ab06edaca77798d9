"""The call path of a graph whose sizes data decide: each of its parts is one native call, the nodes between run in NumPy.

What it does not take, and every call in which something is refused, is left to the variant's own way. Captures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .eager.factory import make
from .eager.tensor import Tensor
from .errors import CompileError
from .ir.graph import Node, Value, produced
from .ir.produced import attributes
from .ir.segments import Part
from .ir.types import TensorType
from .runtime.chain import Chain
from .runtime.guard import TensorIs, TensorLike
from .runtime.meta import Meta, MetaPattern
from .runtime.source import Arg

if TYPE_CHECKING:
    from .tracer.variant import Variant

_NUMBERS = {"float": float, "int": int, "bool": bool}


def meta_of_type(t: Any, device: str = "cpu") -> Any:
    """The Meta of a value of type `t`, or its pattern; None for a number."""
    if not isinstance(t, TensorType):
        return None
    if not all(isinstance(n, int) for n in (*t.shape, *t.strides)):
        return MetaPattern(t, device=device)
    return Meta.of(t.shape, t.strides, t.dtype, device=device)  # type: ignore[arg-type]


def kind_of(type_: Any, device: str = "cpu") -> tuple[type, Any]:
    """Class and Meta of what a graph input of this type is at a call."""
    return (Tensor, meta_of_type(type_, device)) if isinstance(type_, TensorType) else (_NUMBERS[type_.kind], None)


def settled(meta: Any) -> Meta | None:
    """A Meta that is known before the call."""
    return meta if isinstance(meta, Meta) else None


def in_parts(variant: Variant) -> Callable[[tuple[Any, ...]], Any] | None:
    """A function of the bound arguments that does what ``variant.run`` does; None where there is none."""
    chain, made = variant.executable, variant.capture
    graph = made.graph
    if type(chain) is not Chain or made.prologue is not None or variant.training is not None or graph.writes:
        return None
    values = [o.value for o in graph.outputs]
    if any(o.source is not None for o in graph.outputs) or len(set(values)) < len(values):
        return None
    try:
        return _Writer(variant, chain).function()
    except CompileError:
        return None


class _Writer:
    """Writes the function: lines for each input, part and node."""

    def __init__(self, variant: Variant, chain: Chain) -> None:
        self.capture, self.chain = variant.capture, chain
        self.space: dict[str, Any] = {"make": make, "otherwise": variant.run, "tail": variant.capture.tail}
        self.names: dict[Any, str] = {}
        tensors: dict[Any, tuple[type, Any]] = {x.source: (x.cls, x.meta) for x in self.capture.guards if isinstance(x, TensorIs)}
        likes = [x for x in self.capture.guards if isinstance(x, TensorLike)]
        tensors |= {x.source: (x.cls, MetaPattern(x.type, x.requires_grad, x.device)) for x in likes}
        given = zip(self.capture.graph.inputs, self.capture.sources, strict=True)
        self.kinds: dict[Any, Any] = {value: tensors.get(source) for value, source in given}

    def function(self) -> Callable[[tuple[Any, ...]], Any]:
        """The function; CompileError where there is none."""
        lines = [*self._inputs(), *self._steps()]
        text = "def run(args):\n" + "".join(f"    {line}\n" for line in lines)
        exec(text, self.space)
        run: Callable[[tuple[Any, ...]], Any] = self.space["run"]
        return run

    def _inputs(self) -> Iterator[str]:
        for i, (value, source) in enumerate(zip(self.capture.graph.inputs, self.capture.sources, strict=True)):
            name = self.names[value] = f"a{i}"
            if type(source) is Arg:
                yield f"{name} = args[{source.index}]"
            else:
                self.space[f"load{i}"] = source.load
                yield f"{name} = load{i}(args)"

    def _steps(self) -> Iterator[str]:
        last = {}
        for number, (part, executable) in enumerate(self.chain.steps):
            if executable is not None:
                yield from self._part(part, executable, number)
                last = {x: f"r{number}[{k}]" for k, x in enumerate(part.outputs)}
                self.names |= {x: name for x, name in last.items() if isinstance(x, Value)}
            for k, node in enumerate(part.then):
                yield from self._node(node, f"{number}_{k}")
        outputs = [last[i] if i in last else self.names[o.value] for i, o in enumerate(self.capture.graph.outputs)]
        made = f"({', '.join(outputs)},)"
        flat = made if self.capture.flat else outputs[0]
        yield f"return {flat if self.capture.tail is None else f'tail(args, list({made}))'}"

    def _part(self, part: Part, executable: Any, number: int) -> Iterator[str]:
        from .backends import entry

        plan = getattr(executable, "plan", None)
        if plan is None or callable(executable.code) or any(o.source is not None for o in plan.outputs):
            raise CompileError("a part without a native form")
        inputs = [self.kinds.get(x) or kind_of(v.type) for x, v in zip(part.inputs, part.graph.inputs, strict=True)]
        metas = [settled(meta_of_type(o.type)) for o in plan.outputs]
        self.space[f"part{number}"] = entry.routine(plan, executable.code, inputs, metas, lambda *_: None, keep=executable)
        yield f"r{number} = part{number}({', '.join(self._name(x) for x in part.inputs)})"
        yield f"if r{number} is None: return otherwise(args)"

    def _name(self, x: Any) -> str:
        if x not in self.names:
            raise CompileError(f"{x} is read off an input's shape")
        return self.names[x]

    def _node(self, node: Node, number: str) -> Iterator[str]:
        """A line that runs the node; its operands have no floats, so that NumPy has no errors to pass over."""
        if not all(isinstance(a, Value) and isinstance(a.type, TensorType) and a.type.dtype.kind in "biu" for a in node.args):
            raise CompileError("a node that asks for more than its NumPy kernel")
        try:
            attrs = attributes(node, {})
        except KeyError:
            raise CompileError("attributes that differ from call to call") from None
        self.space[f"node{number}"] = _kernel(node, attrs)
        yield f"v{number} = node{number}({', '.join(self._name(a) + '._array' for a in node.args)})"
        yield f"if v{number} is None: return otherwise(args)"
        size = produced(node)
        if size is not None:
            self.names[size] = f"n{number}"
            yield f"n{number} = v{number}[0].shape[0]"
        for i, result in enumerate(node.results):
            name = self.names[result] = f"v{number}_{i}"
            yield f"{name} = make(v{number}[{i}])"


def _kernel(node: Node, attrs: dict[str, Any]) -> Callable[..., Any]:
    """The node's results as a tuple of arrays; None where its kernel raises."""
    eager = node.op.eager

    def run(*arrays: Any) -> tuple[Any, ...] | None:
        try:
            made = eager(*arrays, **attrs)
        except Exception:
            return None
        return made if type(made) is tuple else (np.asarray(made),)

    return run
