"""`fusewire bench`: rows, tables, the chart, and one small row of each suite, without peers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fusewire as fw
from fusewire import cli
from fusewire.bench import kernels, memory, models, peers, suites, zoo
from fusewire.bench.row import Row
from fusewire.bench.table import heading, table

ROWS = [
    Row(
        "models", "GPT", 1, "ms",
        {"fusewire": 20.0, "fusewire eager": 50.0, "torch eager": 30.0, "torch.compile": 25.0}, {"GF_s": 180.0},
    ),
    Row("models", "VAE", 2, "ms", {"fusewire": 1.0, "fusewire eager": 3.1416}, {"first": {"fusewire": 0.5}}),
]  # fmt: skip


def test_a_row_is_one_line_of_json() -> None:
    line = ROWS[0].json()
    assert json.loads(line)["values"]["fusewire"] == 20.0 and "\n" not in line
    assert Row.of_json(line) == ROWS[0]


def test_the_best_peer_is_no_form_of_fusewire() -> None:
    assert ROWS[0].against_peers == 1.25
    assert ROWS[1].against_peers is None


def test_the_table_has_a_column_a_contender() -> None:
    head, rule, first, second = table(ROWS).splitlines()
    assert [cell.strip() for cell in head.split("|")[1:-1]] == [
        "row", "threads", "fusewire", "fusewire eager", "torch eager", "torch.compile", "best peer", "besides",
    ]  # fmt: skip
    assert set(rule) <= set("|- ")
    assert "| 1.25 x " in first and "GF_s 180" in first
    assert "3.14 ms" in second and "first fusewire 0.5" in second


def test_the_heading_names_date_machine_and_versions() -> None:
    assert "CPython 3." in heading() and f"numpy {np.__version__}" in heading()


def test_an_unknown_suite_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "speed"]) == 2
    assert capsys.readouterr().err == (
        "fusewire: no suite 'speed'; there are overhead, eager, compile_time, tracing, kernels, models, training, loops, "
        "data, memory, calls, gpu, gpu-host\n"
    )


def test_a_suite_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    monkeypatch.setattr(suites, "_run", lambda name, threads, options, say: ([ROWS[0]], 0))
    target = tmp_path / "rows.jsonl"
    assert suites.main(["models"], [1, 2], quick=True, json=target, say=said.append) == 0
    assert [Row.of_json(line) for line in target.read_text().splitlines()] == [ROWS[0], ROWS[0]]
    assert sum("| GPT" in text for text in said) == 2


def test_a_suite_that_fails_says_so() -> None:
    said: list[str] = []
    rows, failed = suites._run("no_such_suite", 1, ["quick"], said.append)
    assert (rows, failed) == ([], 1) and "ended with status" in said[-1]


def test_the_chart(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the chart is drawn by matplotlib, the extra bench")
    from fusewire.bench.chart import draw

    target = tmp_path / "chart.svg"
    draw(ROWS, target)
    assert target.read_text().count("<path") > 10


def test_a_chart_without_matplotlib_is_refused_first(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(peers, "installed", lambda name: False)
    assert cli.main(["bench", "overhead", "--chart", "x.svg"]) == 2
    assert capsys.readouterr().err == 'fusewire: the chart needs matplotlib: pip install "fusewire[bench]"\n'


@pytest.mark.parametrize("phase", models.PHASES)
def test_a_row_of_models(phase: str) -> None:
    case = zoo.cases()[1]
    row = models._row(case, phase, 1, 1, fw, None)
    assert row.name == f"MLP {phase}" and set(row.values) == set(row.facts["first_call_s"]) == {"fusewire", "fusewire eager"}
    assert all(0 < value < 1e4 for value in row.values.values())


def test_a_kernel_and_its_gradient_agree_with_eager() -> None:
    program = kernels.Program("x * y", lambda lib: lambda x, y: x * y, None, ((3, 4), (3, 4)), gradient=True)
    arrays = [np.full((3, 4), 2.0, np.float32), np.full((3, 4), 5.0, np.float32)]
    contenders = kernels._contenders(program, arrays, fw, None, None)
    assert set(contenders) == {"fusewire", "fusewire eager"}
    for call in contenders.values():
        made = call()
        assert [g.tolist()[0][0] for g in made] == [5.0, 2.0]  # type: ignore[attr-defined]


def test_what_dropped_functions_leave_is_counted() -> None:
    row = memory.growth(1, 20)
    assert row.unit == "bytes" and row.facts["cycles"] == 20 and memory.resident() > 1 << 20


def test_a_peer_that_fails_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise RuntimeError("no C++ compiler\nlong story")

    assert not peers.works(broken)
    assert capsys.readouterr().out == "# left out: RuntimeError: no C++ compiler\n"


def test_every_common_call_runs() -> None:
    from fusewire.bench.call_table import calls_of

    fw.manual_seed(0)
    found = calls_of(fw, 8)
    assert len(found) > 200
    for name, call in found.items():
        assert call is not None and (call(), name)[1] == name
