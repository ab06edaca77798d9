"""``torch.fx``: graphs of Python calls to be rewritten. fusewire has graphs of its own (`explain`,
`compiler.register_backend`)."""

from __future__ import annotations

from typing import Any, NoReturn


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """NotImplementedError: there are no fx graphs."""
    raise NotImplementedError(
        "torch.fx is not built: a back end given to compiler.register_backend gets fusewire's own graph, which prints and runs"
    )


def wrap(fn_or_name: Any) -> Any:
    """The function, or its name, as it is."""
    return fn_or_name


symbolic_trace = Tracer = GraphModule = Graph = Interpreter = Transformer = replace_pattern = _refuse
