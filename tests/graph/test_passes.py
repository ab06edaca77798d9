"""The runner: order, dump, timing, limit and verification; and the whole line of passes on random graphs."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fusewire import knobs
from fusewire.errors import VerifyError
from fusewire.ir import passes
from fusewire.ir.graph import Graph
from fusewire.ir.interpret import interpret
from fusewire.ir.passes import DEFAULT, FINAL, Step, run
from fusewire.ir.text import parse_graph
from fusewire.ir.verify import verify

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from random_graphs import random_graph, unchanged

TEXT = """\
graph g(%x: f32[4], %y: f32[4]):
  %0 : f32[4] = mul(%x, 1)
  %1 : f32[4] = exp(%0)
  %2 : f32[4] = exp(%x)
  %3 : f32[4] = add(%1, %2)
  return %3
  write %y = %y at 0"""


def test_the_line_of_passes() -> None:
    assert str(run(parse_graph(TEXT))) == """\
graph g(%x: f32[4], %y: f32[4]):
  %0 : f32[4] = exp(%x)
  %2 : f32[4] = add(%0, %0)
  return %2"""


def test_dump_and_steps() -> None:
    seen: list[tuple[str, int]] = []
    steps: list[Step] = []
    run(parse_graph(TEXT), dump=lambda name, graph: seen.append((name, len(graph.nodes))), steps=steps)
    assert seen == [("input", 4), ("functionalise", 4), ("canonicalise", 3), ("fold", 3), ("cse", 2), ("dce", 2)]
    assert [(s.name, s.before, s.after) for s in steps] == [
        ("functionalise", 4, 4), ("canonicalise", 4, 3), ("fold", 3, 3), ("cse", 3, 2), ("dce", 2, 2)]  # fmt: skip
    assert all(s.seconds >= 0 for s in steps)


@pytest.mark.parametrize("limit", range(6))
def test_a_limit_stops_the_line(limit: int) -> None:
    seen: list[str] = []
    run(parse_graph(TEXT), dump=lambda name, _: seen.append(name), limit=limit)
    assert seen == ["input", "functionalise", "canonicalise", "fold", "cse", "dce"][: limit + 1]
    with knobs.override(pass_limit=limit):
        by_knob: list[str] = []
        run(parse_graph(TEXT), dump=lambda name, _: by_knob.append(name))
    assert by_knob == seen


def broken(graph: Graph) -> Graph:
    """A pass with a defect: it forgets the first node."""
    return replace(graph, nodes=graph.nodes[1:])


def test_a_broken_pass_is_found_when_verifying() -> None:
    with pytest.raises(VerifyError, match="is not defined in this graph"):
        run(parse_graph(TEXT), [broken])
    with knobs.override(verify=False):
        assert len(run(parse_graph(TEXT), [broken]).nodes) == 3
        with pytest.raises(VerifyError):
            run(parse_graph(TEXT), [broken], verify=True)


def test_every_pass_has_a_file_and_a_test_of_its_name() -> None:
    folder = Path(passes.__file__).parent  # type: ignore[arg-type]
    for step in (*DEFAULT, *("autodiff", "partition")):
        name = step if isinstance(step, str) else step.__name__
        assert (folder / f"{name}.py").exists() and (Path(__file__).parent / f"test_{name}.py").exists()


def test_no_pass_file_is_long() -> None:
    for path in Path(passes.__file__).parent.glob("*.py"):  # type: ignore[arg-type]
        assert len(path.read_text().splitlines()) <= 200, path.name


@pytest.mark.parametrize("seed", range(100, 180))
def test_random_graphs_mean_the_same_after_all(seed: int) -> None:
    graph, inputs = random_graph(seed, calls=12, writes=2)
    verify(run(graph))
    assert unchanged(run, interpret, graph, inputs)
    assert unchanged(lambda g: run(g, FINAL), interpret, graph, inputs)
    again = run(graph)
    assert len(run(again).nodes) == len(again.nodes)


def test_debug_tells_what_each_pass_did_and_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with knobs.override(debug=2):
        run(parse_graph(TEXT))
    assert capsys.readouterr().err == ""
    with knobs.override(debug=3):
        made = run(parse_graph(TEXT))
    lines = capsys.readouterr().err.splitlines()
    told = [re.fullmatch(r"pass (\w+): (\d+) -> (\d+) nodes in \d+\.\d\d ms", line) for line in lines[: len(DEFAULT)]]
    assert [m and m[1] for m in told] == [p.__name__ for p in DEFAULT]
    assert int(told[-1][3]) == len(made.nodes) < int(told[0][2]) and "\n".join(lines[len(DEFAULT) :]) == str(made)  # type: ignore
