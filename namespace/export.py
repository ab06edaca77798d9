"""``torch.export``: a whole model as one graph, for given inputs. The graph is run here; it is not written to files."""

from __future__ import annotations

from typing import Any, NoReturn

from .. import compiler
from ..eager.modes import no_grad

__all__ = ["Dim", "ExportedProgram", "export", "load", "save"]


class Dim:
    """A size that may differ between calls: ``Dim("batch")``, or ``Dim.DYNAMIC``. Bounds are accepted and not checked."""

    DYNAMIC, AUTO, STATIC = "dynamic", "auto", "static"

    def __init__(self, name: str, *, min: int | None = None, max: int | None = None) -> None:
        self.__name__, self.min, self.max = name, min, max


class ExportedProgram:
    """One graph: `graph` prints; `module()` gives what runs it."""

    def __init__(self, run: Any, graph: Any, state_dict: dict[str, Any]) -> None:
        self._run, self.graph, self.state_dict = run, graph, state_dict

    def module(self) -> Any:
        """A function that runs the graph; for inputs that it does not fit it is made again."""
        return self._run

    def __str__(self) -> str:
        return f"ExportedProgram:\n{self.graph}"


def export(
    mod: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, *, dynamic_shapes: Any = None,
    strict: bool = False, **options: Any,
) -> ExportedProgram:  # fmt: skip
    """`mod`, a Module or function, captured whole on these example inputs. `dynamic_shapes`: where it is not None all sizes may
    differ. GraphBreakError where it is not one graph."""
    compiled = compiler.compile(mod, fullgraph=True, dynamic=True if dynamic_shapes else None)
    with no_grad():
        compiled(*args, **(kwargs or {}))
    captures = compiler.variants_of(compiled)
    state = dict(mod.state_dict()) if hasattr(mod, "state_dict") else {}
    return ExportedProgram(compiled, captures[-1].graph, state)


def save(ep: ExportedProgram, f: Any, **options: Any) -> NoReturn:
    """NotImplementedError: graphs are not written to files."""
    raise NotImplementedError("export.save is not built: save(model.state_dict()) keeps the values, the disk cache compiled code")


def load(f: Any, **options: Any) -> NoReturn:
    """NotImplementedError: graphs are not read from files."""
    raise NotImplementedError("export.load is not built: files of exported programs hold code and are not read")
