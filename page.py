"""The page that `explain` prints: graphs, kernels, breaks and their cost, guards in groups, recompiles and their cure.

Only prints what a Report holds; everything in it can be had from the Report's own fields as well.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .ir.graph import Graph
from .ir.plan import Refusal
from .ir.types import TensorType
from .runtime import guard as g
from .tracer.breaks import BreakRecord, caret
from .tracer.naming import readable, word

if TYPE_CHECKING:
    from .explanations import Part, Report

_WIDTH = 112
_LINES, _INPUTS = 60, 24  # of a graph
_GUARDS, _EDGES = 14, 4  # of one group
_BREAK_US = 8  # what going on behind a break costs by itself (`fusewire bench tracing`)


def counted(number: int, noun: str) -> str:
    """``3 graphs``, ``1 graph``, ``no graphs``."""
    return f"{number or 'no'} {noun}{'s' * (number != 1)}"


def page(report: Report) -> str:
    """The whole page."""
    lines = [_headline(report)]
    for note in report.notes:
        lines += _wrapped("note: ", note)
    for i, part in enumerate(report.parts):
        behind = next((p for p in report.parts[i + 1 :] if p.region > part.region), None)
        lines += ["", *_part(i, part, len(report.parts), behind)]
    for record in report.refused:
        lines += ["", "runs under CPython as a whole:", *_record(record)]
    if report.recompiles:
        lines += ["", "recompiles", *_recompiles(report.recompiles)]
    if report.history:
        lines += ["", f"before this: {counted(report.compiled, 'variant')} of the compiled function, recompiled for"]
        lines += _recompiles(report.history)
    return "\n".join(lines)


def _headline(report: Report) -> str:
    first = report.where
    parts = (
        counted(len(report.parts), "graph"), counted(report.kernels, "kernel"), counted(len(report.breaks), "graph break"),
        counted(len(report.guards), "guard"), counted(len(report.recompiles), "recompile"),
    )  # fmt: skip
    return f"{first.function} ({first}): " + ", ".join(parts)


def _wrapped(head: str, text: str) -> list[str]:
    """`text` behind `head`, its further lines set in as far, or a little where the head is long."""
    behind = " " * (len(head) if len(head) <= 16 else 6)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=head, subsequent_indent=behind, break_long_words=False, break_on_hyphens=False
    )


# -- graphs ----------------------------------------------------------------------------------------------------------------


def _part(i: int, part: Part, count: int, behind: Part | None) -> list[str]:
    title = f"graph {i + 1} of {count}: {part.name} from {part.where} on"
    title += f", variant {part.variant} of it" if part.variant > 1 else ""
    graph = part.graph
    lines = [f"== {title} " + "=" * max(_WIDTH - len(title) - 4, 4), *_graph(part, graph)]
    if part.kernels is not None:
        lines.append(f"{counted(part.kernels, 'kernel')} for {counted(len(graph.nodes), 'op')}")
    lines += _refusals(part.refusals, graph)
    lines += ["guards:", *guard_groups(part.capture.guards, part.home)]
    record = part.capture.break_
    if record is not None:
        lines += [*_record(record), *_cost(part, behind)]
    return lines


def _graph(part: Part, graph: Graph) -> list[str]:
    """The graph that was compiled, with its inputs said apart and what it saves for the backward graph."""
    text = str(graph).rstrip().splitlines()
    sources = zip(part.capture.graph.inputs, part.capture.sources, strict=True)
    told = {v.name: readable(s.expr(), part.home) for v, s in sources if word(s.expr()) != v.name}
    lines = [*_signature(graph), *_shortened([_cut(line) for line in text[1:]])]
    saved = [str(o.value) for o in graph.outputs[len(part.capture.graph.outputs) :]] if part.training is not None else []
    if saved:
        few = f"of these {', '.join(saved)}" if len(saved) <= 6 else f"of these the last {len(saved)}"
        lines += _wrapped("  ", f"({few} {'is' if len(saved) == 1 else 'are'} kept for the backward graph)")
    lines += [f"  %{name} is {source}" for name, source in told.items() if name in {v.name for v in graph.inputs}]
    if any("stack[-" in source for source in told.values()):
        lines.append("  (stack[-1], stack[-2] ...: what lay on the stack of the expression that broke, its own result on top)")
    return lines


def _shortened(lines: list[str], most: int = _LINES) -> list[str]:
    """Lines as they are, or the first and last where there are more than `most`."""
    if len(lines) <= most:
        return lines
    head, tail = most * 2 // 3, most // 4
    return [*lines[:head], f"  ... {len(lines) - head - tail} more: fusewire dump FILE:FUNC --stage graph", *lines[-tail:]]


def _cut(line: str) -> str:
    """A line of a graph, the end of a very long list of results left out."""
    return line if len(line) <= 2 * _WIDTH else f"{line[: 2 * _WIDTH].rpartition(',')[0]}, ..."


def _signature(graph: Graph) -> list[str]:
    """The first line of a graph's text, an input a line where it would be long."""
    head = str(graph).splitlines()[0]
    if len(head) <= _WIDTH:
        return [head]
    inputs = _shortened([f"    %{v.name}: {v.type}," for v in graph.inputs], _INPUTS)
    tail = head[head.rindex(")") :] if ") where" not in head else head[head.rindex(") where") :]
    return [f"graph {graph.name}(", *inputs, tail]


def _refusals(refusals: Sequence[Refusal], graph: Graph) -> list[str]:
    """Edges that were not fused, in the numbers of the graph as printed; parts of an op that the schedule made go by its name."""
    made = {v.name: node.op.name for node in graph.nodes for v in node.results}

    def name(text: str) -> str:
        value, _, op = text.lstrip("%").partition(" ")
        return text if made.get(value) == op else op or text

    told: dict[tuple[str, str, str], list[str]] = {}
    for r in refusals:
        ends = name(r.producer), name(r.consumer)
        kind = (*(end.rpartition(" ")[2] if end.startswith("%") else end for end in ends), r.reason)
        edge = " -> ".join(ends) + (f" ({r.where})" if r.where else "")
        if edge not in told.setdefault(kind, []):  # type: ignore[arg-type]
            told[kind].append(edge)  # type: ignore[index]
    lines = []
    for (_, _, reason), edges in told.items():
        more = f", and {len(edges) - _EDGES} more of these" if len(edges) > _EDGES else ""
        lines += _wrapped("  ", f"{', '.join(edges[:_EDGES])}{more}: {reason}")
    return ["not fused:", *lines] if lines else []


# -- breaks ----------------------------------------------------------------------------------------------------------------


def _record(record: BreakRecord) -> list[str]:
    lines = [f"graph break [{record.code}]: {record.what}"]
    for where in record.stack[:-1]:
        lines += [f"  called at {where} in {where.function}: {' '.join(caret(where, None))}"]
    lines += [f"  {record.where} in {record.where.function}", *(f"    {line}" for line in caret(record.where, record.columns))]
    return lines + _wrapped("  why:  ", record.why) + _wrapped("  hint: ", record.hint)


def _cost(part: Part, behind: Part | None) -> list[str]:
    """What the break splits, and an estimate of its price."""
    before, after = len(part.graph.nodes), len(behind.graph.nodes) if behind is not None else 0
    crossing = [v.type for v in behind.graph.inputs if isinstance(v.type, TensorType)] if behind is not None else []
    sizes = [_bytes(t) for t in crossing]
    text = f"{counted(before, 'op')} before it, {after or 'none'} in the graph behind; about {_BREAK_US} us a call"
    if crossing:
        known = f" ({sum(n for n in sizes if n is not None):,} bytes)" if None not in sizes else ""
        verb = "is" if len(crossing) == 1 else "are"
        text += f", and {counted(len(crossing), 'tensor')}{known} that {verb} stored and read again"
    return _wrapped("  cost: ", text)


def _bytes(t: TensorType) -> int | None:
    count = t.dtype.itemsize
    for n in t.shape:
        if not isinstance(n, int):
            return None
        count *= n
    return count


# -- guards ----------------------------------------------------------------------------------------------------------------


def guard_groups(guards: Iterable[g.Guard], home: Sequence[str]) -> list[str]:
    """Guards by what they are about: tensors, values, objects, code, what must not be there."""
    groups: dict[str, dict[str, None]] = {name: {} for name in ("tensors", "values", "objects", "unchanged", "absent", "others")}
    for guard in guards:
        kind, text = _told(guard, home)
        groups[kind][text] = None
    known = {re.split(r"[: ]", text)[0].rpartition(".")[2] for kind in ("tensors", "objects") for text in groups[kind]}
    groups["absent"] = _absent(groups["absent"], known)
    lines = []
    for kind, texts in groups.items():
        if texts:
            between = ", " if kind == "unchanged" else "; "
            more = [f"and {len(texts) - _GUARDS} more (fusewire dump --stage guards)"] if len(texts) > _GUARDS + 2 else []
            told = list(texts)[: _GUARDS if more else None]
            lines += _wrapped(f"  {kind + ':':<11}", between.join([*told, *more]))
    return lines


def _told(guard: g.Guard, home: Sequence[str]) -> tuple[str, str]:
    def name(source: Any) -> str:
        return readable(source.expr(), home)

    if isinstance(guard, (g.TensorIs, g.TensorLike)):
        return "tensors", _tensor(guard, name(guard.source))
    if isinstance(guard, (g.SizesFit, g.SameStorage)):
        return "tensors" if isinstance(guard, g.SameStorage) or guard.tensors else "values", readable(guard.expr(), home)
    if isinstance(guard, g.SameObject):
        return "objects", _same([[name(s) for s in group] for group in guard.classes])
    if isinstance(guard, g.ClassAttrIs):
        if guard.missing:
            return "absent", f"{guard.cls.__name__}.{guard.name}"
        return "unchanged", getattr(guard.value, "__qualname__", None) or f"{guard.cls.__name__}.{guard.name}"
    if isinstance(guard, g.Is):
        return "unchanged", _object(guard, name(guard.source))
    if isinstance(guard, g.Lacks):
        return "absent", f"{_owner(name(guard.source))}.{guard.key}"
    if isinstance(guard, (g.KeysAre, g.LengthIs)) and not (guard.keys if isinstance(guard, g.KeysAre) else guard.length):
        return "absent", f"entries of {name(guard.source)}"
    if isinstance(guard, (g.TypeIs, g.KeysAre, g.LengthIs)):
        if isinstance(guard, g.TypeIs) and guard.cls is dict and re.search(r"\._\w+$", name(guard.source)):
            return "absent", ""  # the dicts of a Module
        if isinstance(guard, g.TypeIs):
            cls = guard.cls.__name__
            article = "an" if cls[:1] in "aeiouAEIOU" else "a"
            return ("values" if guard.cls in (int, float, str, bool) else "objects"), f"{name(guard.source)} is {article} {cls}"
        return "objects", readable(guard.expr(), home)
    if isinstance(guard, g.GradMode):
        casts = f", autocast mode is {guard.casting}" if guard.casting else ""
        return "values", f"gradients are {'on' if guard.enabled else 'off'}{casts}"
    if isinstance(guard, (g.Equals, g.FitsInt64)):
        return "values", readable(guard.expr(), home)
    return "others", readable(guard.expr(), home)


def _tensor(guard: g.TensorIs | g.TensorLike, name: str) -> str:
    if isinstance(guard, g.TensorLike):
        text, grad, device = str(guard.type), guard.requires_grad, guard.device
    else:
        text, grad, device = str(guard.meta.type), guard.meta.requires_grad, guard.meta.device
    cls = "" if guard.cls.__name__ in ("Tensor", "Parameter") else f"{guard.cls.__name__} "
    return f"{name}: {cls}{text}" + (f" on {device}" if device != "cpu" else "") + (", grad" if grad else "")


def _object(guard: g.Is, name: str) -> str:
    """An object that must be the very one: by its own name where the source only says it again."""
    own = next((getattr(guard.value, n) for n in ("__qualname__", "co_qualname", "__name__") if hasattr(guard.value, n)), None)
    if isinstance(own, str) and (own in name or name.endswith("__code__")):
        return own
    return name


def _same(groups: list[list[str]]) -> str:
    """Which sources hold one object; alone among many: that all differ."""
    if all(len(group) == 1 for group in groups):
        return f"{', '.join(sorted(group[0] for group in groups))} are different objects"
    return " is not ".join(" is ".join(group) for group in groups)


def _owner(text: str) -> str:
    match = re.fullmatch(r"vars\((.*)\)", text)
    return match[1] if match else text


def _absent(texts: dict[str, None], told: set[str]) -> dict[str, None]:
    """What must not be there, hooks told at once, without what would only hide a Module's own entries (`told`)."""
    hooks = dict.fromkeys(
        re.sub(r"^entries of (.*)\._forward_(pre_)?hooks$", r"\1", t) for t in texts if t.endswith("_hooks") and "entries of" in t
    )
    rest = [t for t in texts if t and not re.search(r"_hooks$|^entries of .*\._(parameters|buffers|modules)$", t)]
    rest = [t for t in rest if t.rpartition(".")[2] not in told]
    owners = [*hooks][:6] + ([f"{len(hooks) - 6} more"] if len(hooks) > 6 else [])
    lines = [f"hooks on {', '.join(owners)}"] if hooks else []
    if rest:
        lines.append(", ".join(rest[:6]) + (f" and {len(rest) - 6} more" if len(rest) > 6 else ""))
    return dict.fromkeys(lines)


# -- recompiles ------------------------------------------------------------------------------------------------------------


def _recompiles(misses: Sequence[Any]) -> list[str]:
    lines = []
    for miss in misses:
        change = f": {miss.change}" if miss.change else ""
        guard = readable(miss.guard).replace(" on cpu", "")
        lines += _wrapped("  ", f"{miss.where}, {miss.where.function}: {guard} failed{change}")
        if miss.cure:
            lines += _wrapped("    ", miss.cure)
    return lines
