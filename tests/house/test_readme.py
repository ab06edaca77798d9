"""What the README shows runs, and what it names is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fusewire import cli, knobs
from fusewire.compiler import STAGES

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Every fusewire command: in indented blocks, between backticks, and behind `&&`."""
    blocks = [line.split("#")[0] for line in TEXT.splitlines() if line.startswith("    ")]
    pieces = [part.strip() for text in [*blocks, *re.findall(r"`([^`\n]+)`", TEXT)] for part in text.split("&&")]
    return list(dict.fromkeys(p for p in pieces if p.startswith("fusewire ")))


def test_the_first_look_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert "@torch.compile" in block
    check = "print(tuple(weights.shape), bool((weights.sum(-1) - 1).abs().max() < 1e-5))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", block + check], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(64, 128) True\n", "")


def test_the_first_look_is_one_kernel() -> None:
    """As the comment beside it says."""
    words = [sys.executable, "-m", "fusewire.cli", "explain", "examples/first.py:attention_weights"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert "): 1 graph, 1 kernel, no graph breaks, " in done.stdout.splitlines()[0]


@pytest.mark.parametrize("command", commands())
def test_the_command_runs(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = shlex.split(re.sub(r"\.\.\.|FILE:FUNC", "examples/first.py:loss", command.split(">")[0]))[1:]
    monkeypatch.chdir(ROOT)
    if words[0] in ("demo", "bench", "run"):  # a few steps of one, small rows of the other, scripts run in tests/cli
        assert cli._parser().parse_args(words).run in (cli._demo, cli._bench, cli._run)
        return
    with knobs.override(cache_dir=str(tmp_path)):  # `cache clear` is among them
        assert cli.main(words) == 0
    captured = capsys.readouterr()
    assert len(captured.out) > (20 if words[0] == "cache" else 100) and captured.err == ""


def test_the_commands_are_found() -> None:
    assert {"fusewire demo", "fusewire breaks"} <= set(commands()) and len(commands()) >= 6


def test_every_stage_is_listed() -> None:
    listed = re.search(r"`--stage` takes (.*?)\. Example", TEXT, re.DOTALL)
    assert listed is not None and tuple(re.findall(r"`(\w+)`", listed[1])) == STAGES


def test_every_path_named_is_there() -> None:
    named = re.findall(r"[`(]([\w./*]+(?:/|\.py|\.md|\.npz))[`)]", TEXT)
    assert len(named) > 20
    assert [name for name in named if not list(ROOT.glob(name))] == []


def test_every_module_to_run_is_there() -> None:
    modules = re.findall(r"python -m fusewire\.([\w.]+)", TEXT)
    assert modules and all((ROOT / f"{m.replace('.', '/')}.py").is_file() for m in modules)
