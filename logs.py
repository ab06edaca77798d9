"""What a run tells while it goes: one line for each graph break, recompile, guard, graph or kernel, to Python's logging.

Switched on by knob log (``FUSEWIRE_LOG=graph_breaks,recompiles``), by `set_logs` or by ``fusewire run --log``. Lines go to the
loggers ``fusewire.graph_breaks`` and so on, and to stderr where the program has set up no handler of its own. Never loads
`logging` unless something is logged; never decides anything.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import knobs

if TYPE_CHECKING:
    import logging

#: what can be logged, and what its lines say
ARTIFACTS = {
    "graph_breaks": "where a graph ended, and why",
    "recompiles": "which guard failed, its value before and now, and the cure",
    "guards": "the conditions under which each compiled variant serves",
    "graphs": "each captured graph as text",
    "kernels": "how many kernels a variant runs, and which ops each holds",
    "cache": "what the disk cache did for each captured function",
}
_LAST = 10_000
_said: dict[tuple[str, str], None] = {}


def parse(text: str) -> tuple[str, ...]:
    """The artifacts that a list such as "graph_breaks, recompiles" or "all" names. ValueError for an unknown one."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in (*ARTIFACTS, "all")]
    if unknown:
        raise ValueError(f"no log {unknown[0]!r}; there are {', '.join(ARTIFACTS)} and all")
    return tuple(ARTIFACTS) if "all" in names else tuple(dict.fromkeys(names))


def set_logs(
    *, graph_breaks: bool = False, recompiles: bool = False, guards: bool = False, graphs: bool = False, kernels: bool = False,
    cache: bool = False, all: bool = False,
) -> None:  # fmt: skip
    """Log these from now on, and nothing else (so ``set_logs()`` switches all off). Each line comes once."""
    asked = {
        "graph_breaks": graph_breaks, "recompiles": recompiles, "guards": guards, "graphs": graphs, "kernels": kernels,
        "cache": cache, "all": all,
    }  # fmt: skip
    knobs.log = ",".join(name for name, on in asked.items() if on)
    _said.clear()


def wanted(artifact: str) -> bool:
    """Whether lines of this kind are logged now."""
    text = knobs.log
    return bool(text) and artifact in parse(text)


def tell(artifact: str, text: str) -> None:
    """Log `text`, if such lines are wanted and this one has not been logged yet."""
    if not wanted(artifact) or (artifact, text) in _said:
        return
    if len(_said) >= _LAST:
        _said.clear()
    _said[artifact, text] = None
    _logger(artifact).info("%s", text)


def _logger(artifact: str) -> logging.Logger:
    import logging

    package = __name__.rpartition(".")[0]
    ours = logging.getLogger(package)
    logger = ours.getChild(artifact)
    if not ours.isEnabledFor(logging.INFO):
        ours.setLevel(logging.INFO)
    if not logger.hasHandlers():
        ours.addHandler(_handler(logging))
    return logger


def _handler(logging: Any) -> Any:
    """Writes to what is stderr at the time."""

    class ToStderr(logging.StreamHandler):  # type: ignore[misc]
        @property
        def stream(self) -> Any:
            return sys.stderr

        @stream.setter
        def stream(self, value: Any) -> None:
            pass

    made = ToStderr()
    made.setFormatter(logging.Formatter("[%(name)s] %(message)s"))
    return made
