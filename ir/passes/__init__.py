"""The passes in their order, and the runner that gives dump, timing, verification and a limit to all of them.

A pass is a function ``Graph -> Graph`` in the file of its name. Rules for rules: `README.md` beside this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ... import knobs
from ..graph import Graph
from ..lazyclass import dataclass
from ..verify import verify as check
from .canonicalise import canonicalise, finalise
from .cse import cse
from .dce import dce
from .fold import fold
from .functionalise import functionalise
from .pairs import pairs

Pass = Callable[[Graph], Graph]

#: functionalise first: a write that is not needed keeps nothing alive. canonicalise before cse: equal calls then read alike.
#: fold before cse: folded calls become equal constants. dce last: it sweeps what the others left without a reader.
DEFAULT: tuple[Pass, ...] = (functionalise, canonicalise, fold, cse, dce)

#: The same for a graph that will not be differentiated any more: complex values become pairs first, `detach` goes too.
FINAL: tuple[Pass, ...] = (pairs, functionalise, finalise, fold, cse, dce)


@dataclass(frozen=True, slots=True)
class Step:
    """One application of a pass, as `run` reports it: seconds taken, nodes before and after."""

    name: str
    seconds: float
    before: int
    after: int

    def __str__(self) -> str:
        return f"pass {self.name}: {self.before} -> {self.after} nodes in {1e3 * self.seconds:.2f} ms"


def run(
    graph: Graph,
    passes: Sequence[Pass] = DEFAULT,
    dump: Callable[[str, Graph], None] | None = None,
    limit: int | None = None,
    verify: bool | None = None,
    steps: list[Step] | None = None,
) -> Graph:
    """`graph` after `passes`. ``dump(name, graph)`` sees the graph before the first and after each pass; only the first
    `limit` passes run (default: knob pass_limit, negative is all); every result is verified where `verify` (default: the
    knob) says so; `steps` collects one Step per pass."""
    most = knobs.pass_limit if limit is None else limit
    checked = knobs.verify if verify is None else verify
    if checked:
        check(graph)
    if dump:
        dump("input", graph)
    for step in passes if most < 0 else passes[:most]:
        start, before = time.perf_counter(), len(graph.nodes)
        graph = step(graph)
        taken = Step(step.__name__, time.perf_counter() - start, before, len(graph.nodes))
        if steps is not None:
            steps.append(taken)
        if knobs.debug >= 3:
            knobs.say(3, str(taken))
        if checked:
            check(graph)
        if dump:
            dump(step.__name__, graph)
    if knobs.debug >= 3:
        knobs.say(3, str(graph))
    return graph
