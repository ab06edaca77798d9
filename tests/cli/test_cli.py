"""The command: every stage of the examples prints, and what is typed wrong is one line and exit status 2."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fusewire import cli
from fusewire.compiler import STAGES

FIRST = str(Path(__file__).resolve().parents[2] / "examples" / "first.py")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["chain", "attention_weights", "loss", "mlp", "with_a_break"])
def test_every_stage_of_every_example_prints(name: str, stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dump", f"{FIRST}:{name}", "--stage", stage]) == 0
    assert len(capsys.readouterr().out) > 10


def test_dump_shows_the_kernel_and_the_users_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dump", f"{FIRST}:attention_weights", "--stage", "kernels"]) == 0
    out = capsys.readouterr().out
    assert out.count("\nkernel ") + out.startswith("kernel ") == 1
    assert "maximum" in out and "exp" in out and "# first.py:" in out


def test_given_arguments_take_the_place_of_annotations(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dump", f"{FIRST}:chain", "--stage", "graph", "--args", "randn(2, 3), zeros(3)"]) == 0
    assert "f32[2,3]" in capsys.readouterr().out


def test_explain_names_the_break_and_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = next(i for i, text in enumerate(Path(FIRST).read_text().splitlines(), 1) if "file.readlines()" in text)
    assert cli.main(["explain", f"{FIRST}:with_a_break"]) == 0
    out = capsys.readouterr().out
    assert "graph break [" in out and f"first.py:{line} in with_a_break" in out and "^^^" in out and "hint:" in out


def test_explain_over_several_calls(capsys: pytest.CaptureFixture[str]) -> None:
    then = ["--then", "randn(2, 3), zeros(3)", "--then", "randn(4, 3), zeros(3)"]
    assert cli.main(["explain", f"{FIRST}:chain", *then]) == 0
    out = capsys.readouterr().out
    assert ", 1 recompile" in out.splitlines()[0] and "f32[64,128] -> f32[2,3]" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [(["expalin", "x"], "did you mean explain?"), (["explain", f"{FIRST}:chain", "--arsg=1"], "did you mean --args?")],
)
def test_what_was_meant(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2 and text in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0 and re.match(r"fusewire \d", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["dump", "absent.py:f", "--stage", "graph"], "no file absent.py"),
        (["dump", FIRST, "--stage", "graph"], "is not FILE:FUNC"),
        (["dump", f"{FIRST}:absent", "--stage", "graph"], "has no 'absent'; there are"),
        (["dump", f"{FIRST}:chain", "--stage", "absent"], "no stage 'absent'; there are bytecode"),
        (["dump", f"{FIRST}:torch", "--stage", "graph"], "is a module, not a function"),
        (["dump", f"{FIRST}:chain", "--stage", "graph", "--args", "randn("], "SyntaxError"),
        (["explain", f"{FIRST}:chain", "--args", "randn(2, 3), zeros(4)"], "cannot broadcast f32[2,3] and f32[4]"),
        (["explain", f"{FIRST}:chain", "--args", "1"], "TypeError"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err and captured.err.count("\n") == 1 and captured.err.startswith("fusewire: ")


def test_a_file_that_does_not_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import fusewire\nx = 1 / 0\n")
    assert cli.main(["explain", f"{bad}:f"]) == 2
    assert "does not run: ZeroDivisionError" in capsys.readouterr().err


def test_an_argument_without_annotation_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare.py"
    bare.write_text("def f(x):\n    return x\n")
    assert cli.main(["explain", f"{bare}:f"]) == 2
    assert "needs an argument 'x': give --args" in capsys.readouterr().err


def test_demo_agrees_and_leaves_its_dumps(tmp_path: Path) -> None:
    code = (
        "import sys; from fusewire import knobs; knobs.cache_dir = sys.argv[1]\n"
        "from fusewire.bench import demo; sys.exit(demo.main(steps=6))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"largest difference of the loss curves: \d\.\de[-+]\d+, over 6 steps", done.stdout)
    assert "times as fast" in done.stdout
    said = r"the compiled model writes, [12] graph\(s\) compiled for contexts of 4 to 64 characters:\n    def "
    assert re.search(said, done.stdout)
    written = {p.stem for p in (tmp_path / "demo").iterdir()}
    assert set(STAGES) <= written
    assert "graph loss(%tokens" in (tmp_path / "demo" / "graph.txt").read_text()


def test_a_reader_that_leaves_is_no_error() -> None:
    """As `fusewire breaks | head` does."""
    words = [sys.executable, "-m", "fusewire.cli", "breaks"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 1)
