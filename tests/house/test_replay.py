"""Replay notices what changed, and nothing else; compiling a graph twice emits the same text."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusewire import knobs, pipeline
from fusewire.bench import replay
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder, Graph, WriteBack
from fusewire.ir.op import lookup
from fusewire.ir.types import tensor


def graph(op: str) -> Graph:
    builder = Builder()
    x, y = (builder.input(tensor((4,), dtypes.float32), name) for name in "xy")
    return builder.finish([lookup(op)(x, y)], [WriteBack(y, x, 1)])


def recorded(path: Path, *graphs: Graph) -> Path:
    with replay.recording(path):
        for g in graphs:
            pipeline.stages(g)
    return path


def test_the_same_code_shows_no_difference(tmp_path: Path) -> None:
    files = [recorded(tmp_path / name, graph("add"), graph("sub"), graph("add")) for name in ("a", "b")]
    assert len(replay.load(files[0])) == 2
    assert replay.main([str(f) for f in files]) == 0


def test_what_a_pass_does_otherwise_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = replay.record(pipeline.stages(graph("add"))), replay.record(pipeline.stages(graph("mul")))
    ((key, stage, text),) = replay.differences({"k": before}, {"k": after})
    assert (key, stage) == ("k", "passes") and "-  %0 : f32[4] = add(%x, %y)" in text and "+  %0 : f32[4] = mul(%x, %y)" in text
    assert replay.main([str(recorded(tmp_path / "a", graph("add"))), str(recorded(tmp_path / "b", graph("mul")))]) == 1
    assert "0 graphs in both runs" in capsys.readouterr().out


def test_two_texts_for_one_graph_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter(["one", "two"])
    monkeypatch.setattr(replay, "llvm_text", lambda kernels, target: next(texts))
    recorded(tmp_path / "a", graph("add"), graph("add"))
    (found,) = replay.load(tmp_path / "a").values()
    assert "-one\n+two" in found["unstable"]


def test_knobs_that_change_the_text_are_part_of_the_key() -> None:
    made = pipeline.stages(graph("add"))
    with knobs.override(pass_limit=0):
        limited = replay.key_of(made)
    assert limited != replay.key_of(made)
