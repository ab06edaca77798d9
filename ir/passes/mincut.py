"""What to keep and what to compute again, at the least cost: a minimum cut between what is at hand and what is wanted.

Values are any hashable things; costs are whole numbers. Knows no graph IR. networkx is loaded only for problems that
enumeration does not settle (it takes longer to import than most cuts to find).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

V = TypeVar("V", bound=Hashable)

#: Shared unwanted values whose fate is settled by trying all cases.
_FEW = 3
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Problem(Generic[V]):
    """`keep`: the cost of keeping each value, in an order in which each stands behind what it is computed from. `again`: for
    those that can be computed again, the cost of doing so and the values read. `wanted`: what must be had."""

    keep: Mapping[V, int]
    again: Mapping[V, tuple[int, Sequence[V]]]
    wanted: frozenset[V]


@dataclass(frozen=True, slots=True)
class _Vertex:
    """A value of one part of a problem. `reads`: those it is computed from that are not wanted for their own sake, by number;
    `again`: None where it cannot be computed again; `shared`: not wanted, and read by several."""

    keep: int
    again: int | None
    reads: tuple[int, ...]
    wanted: bool
    shared: bool


_Part = tuple[_Vertex, ...]
_Plan = tuple[bool | None, ...]  # for each vertex: kept (True), computed again (False), not had (None)


def least(problem: Problem[V]) -> tuple[set[V], set[V]]:
    """(values to keep, values to compute again) such that all that is wanted can be had, at the least total cost.

    Each wanted value is had in every solution, so whoever reads it reads it for nothing: the problem falls into the parts that
    hang together through unwanted values. Equal parts, as of the layers of a network, are solved once.
    """
    solved: dict[_Part, _Plan] = {}
    keep: set[V] = set()
    again: set[V] = set()
    for values, part in _parts(problem):
        plan = solved.get(part)
        if plan is None:
            plan = solved[part] = _solve(part)
        keep.update(v for v, kept in zip(values, plan, strict=True) if kept)
        again.update(v for v, kept in zip(values, plan, strict=True) if kept is False)
    return keep, again


def _parts(problem: Problem[V]) -> Iterator[tuple[list[V], _Part]]:
    reads = _relevant(problem)
    readers: dict[V, int] = {}
    root = {v: v for v in reads}

    def find(v: V) -> V:
        while root[v] != v:
            root[v] = v = root[root[v]]
        return v

    for v, operands in reads.items():
        for a in operands:
            readers[a] = readers.get(a, 0) + 1
            root[find(a)] = find(v)
    groups: dict[V, list[V]] = {}
    for v in problem.keep:
        if v in reads:
            groups.setdefault(find(v), []).append(v)
    for values in groups.values():
        number = {v: i for i, v in enumerate(values)}
        yield values, tuple(
            _Vertex(
                problem.keep[v], problem.again[v][0] if v in problem.again else None, tuple(number[a] for a in reads[v]),
                v in problem.wanted, v not in problem.wanted and readers.get(v, 0) > 1,
            ) for v in values
        )  # fmt: skip


def _relevant(problem: Problem[V]) -> dict[V, tuple[V, ...]]:
    """Each value that a solution may hold, with the unwanted ones that it would be computed from."""
    found: dict[V, tuple[V, ...]] = {}
    waiting = list(problem.wanted)
    while waiting:
        v = waiting.pop()
        if v not in found:
            operands = problem.again[v][1] if v in problem.again else ()
            found[v] = tuple(dict.fromkeys(a for a in operands if a not in problem.wanted))
            waiting += found[v]
    return found


def _solve(part: _Part) -> _Plan:
    shared = [i for i, vertex in enumerate(part) if vertex.shared]
    if len(shared) > _FEW:
        return _by_flow(part)
    cases = [frozenset(s for k, s in enumerate(shared) if case >> k & 1) for case in range(1 << len(shared))]
    return min((_with(part, had) for had in sorted(cases, key=len)), key=lambda found: found[0])[1]


def _with(part: _Part, had: frozenset[int]) -> tuple[float, _Plan]:
    """(cost, plan) where of the shared values exactly `had` are had. All others have one reader, so that costs add up: what a
    value costs is the lesser of keeping it and computing it from what it reads."""
    prices: list[float] = []
    kept: list[bool] = []
    for vertex in part:
        total = _NEVER if vertex.again is None else vertex.again
        for a in vertex.reads:
            total += prices[a] if not part[a].shared else 0 if a in had else _NEVER
        kept.append(vertex.keep < total)
        prices.append(min(vertex.keep, total))
    roots = [i for i, vertex in enumerate(part) if vertex.wanted or i in had]
    return sum(prices[i] for i in roots), _traced(part, kept, roots)


def _traced(part: _Part, kept: Sequence[bool], roots: Iterable[int]) -> _Plan:
    """`kept` for what `roots` take, which are had; None for all else."""
    plan: list[bool | None] = [None] * len(part)
    waiting = list(roots)
    while waiting:
        i = waiting.pop()
        if plan[i] is None:
            plan[i] = kept[i]
            waiting += () if kept[i] else part[i].reads
    return tuple(plan)


def _by_flow(part: _Part) -> _Plan:
    """The plan by a minimum cut: each value is an edge of the capacity that keeping it costs, entered from the source at the
    cost of computing it and from all that it reads without bound; what is wanted leads to the sink."""
    import networkx
    from networkx.algorithms.flow import boykov_kolmogorov

    network: Any = networkx.DiGraph()
    for i, vertex in enumerate(part):
        limit = {} if vertex.again is None else {"capacity": vertex.again}
        network.add_edge("source", (i, "in"), **limit)
        network.add_edge((i, "in"), (i, "out"), capacity=vertex.keep)
        network.add_edges_from(((a, "out"), (i, "in")) for a in vertex.reads)
        if vertex.wanted:
            network.add_edge((i, "out"), "sink")
    _, (before, _) = networkx.minimum_cut(network, "source", "sink", flow_func=boykov_kolmogorov)
    kept = [(i, "in") in before for i in range(len(part))]
    return _traced(part, kept, [i for i, vertex in enumerate(part) if vertex.wanted])
