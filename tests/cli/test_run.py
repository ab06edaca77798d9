"""``fusewire run``: a script runs as under python (arguments, names, exit status, traceback), and logs what is compiled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fusewire import cli

PROGRAM = '''
import sys
import zlib

import fusewire as torch


@torch.compile
def f(x, n):
    y = x * 2
    zlib.crc32(b"")
    return y.reshape(n, -1)


class Kept:
    pass


if __name__ == "__main__":
    import pickle

    print(sys.argv, __file__, sys.path[0], type(pickle.loads(pickle.dumps(Kept()))).__name__)
    f(torch.ones(4), 2), f(torch.ones(4), 2), f(torch.ones(4), 4)
    if "error" in sys.argv:
        f(None, 2)
    if "exit" in sys.argv:
        sys.exit(7)
    if "interrupt" in sys.argv:
        raise KeyboardInterrupt
'''


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "ignore", *command], cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("scripts")
    (made / "program.py").write_text(PROGRAM)
    return made


@pytest.mark.parametrize("arguments", [("exit", "--b=1"), ("error",), ("interrupt",)])
def test_as_under_python(folder: Path, arguments: tuple[str, ...]) -> None:
    plain = run(folder, "program.py", *arguments)
    ours = run(folder, "-m", "fusewire.cli", "run", "program.py", *arguments)
    assert (ours.stdout, ours.stderr, ours.returncode) == (plain.stdout, plain.stderr, plain.returncode)


def test_a_module(folder: Path) -> None:
    plain = run(folder, "-m", "program", "x", "--log", "y")
    ours = run(folder, "-m", "fusewire.cli", "run", "-m", "program", "x", "--log", "y")
    assert (ours.stdout, ours.stderr, ours.returncode) == (plain.stdout, plain.stderr, plain.returncode)


LINES = [
    "[fusewire.graph_breaks] program.py:11: graph break [c-function] a call of zlib.crc32(...)",
    "[fusewire.recompiles] program.py:11: recompile f: n == 2: 2 -> 4; n decides a shape, a branch or a number of turns: "
    "pass it as a tensor, or keep to few values",
]


@pytest.mark.parametrize("place", ["before", "behind", "environment"])
def test_logs(folder: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "graph_breaks,recompiles"
    if place == "environment":
        monkeypatch.setenv("FUSEWIRE_LOG", names)
        done = run(folder, "program.py", "--log", "own")
    elif place == "before":
        done = run(folder, "-m", "fusewire.cli", "run", "--log", names, "program.py", "--log", "own")
    else:
        done = run(folder, "-m", "fusewire.cli", "run", "program.py", "--log", names, "--", "--log", "own")
    assert done.stdout.startswith("['program.py', '--log', 'own']") and done.returncode == 0
    assert done.stderr.splitlines() == LINES


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["nothing.py"], "can't open file 'nothing.py'"),
        (["--log", "nothing", "program.py"], "no log 'nothing'; there are graph_breaks, "),
        (["program.py", "--log"], "--log takes a value"),
        ([], "run takes a script or -m module"),
    ],
)
def test_what_cannot_be_run(command: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", *command]) == 2
    error = capsys.readouterr().err
    assert text in error and len(error.splitlines()) == 1
