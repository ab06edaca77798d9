"""`fusewire cache info|why|clear`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fusewire import cli, knobs

TEXT = '''
import threading
import fusewire as fw

MODE = "double"
LOCK = threading.Lock()


def plain(x: "f32[4]"):
    return x * 2 if MODE == "double" else x


def broken(x: "f32[4]"):
    y = x + 1
    print("here")
    return y * 2


def never(x: "f32[4]"):
    return [x, threading]
'''

Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    (tmp_path / "prog.py").write_text(TEXT)

    def call(*args: str) -> list[str]:
        assert cli.main(["cache", *args]) == 0
        return capsys.readouterr().out.splitlines()

    with knobs.override(cache_dir=str(tmp_path / "cache"), disk_cache=True):
        yield call


def test_info_and_clear(run: Run, tmp_path: Path) -> None:
    assert run("info") == [f"{tmp_path}/cache/store: 0.0 of 512 MB"]
    run("why", f"{tmp_path}/prog.py:plain")
    kinds = [line.split()[0] for line in run("info")[1:]]
    assert "captures" in kinds and "code" in kinds
    assert "entries removed" in run("clear")[0]
    assert len(run("info")) == 1
    with knobs.override(disk_cache=False):
        assert "switched off" in run("info")[0]
        assert run("why", f"{tmp_path}/prog.py:plain") == ["the disk cache is switched off (knob disk_cache)"]


def test_why(run: Run, tmp_path: Path) -> None:
    target = f"{tmp_path}/prog.py:plain"
    first = run("why", target)
    assert "nothing is kept for this code" in first[0] and first[-1] == "plain (prog.py:9): stored"
    assert run("why", target) == ["plain (prog.py:9): served"]
    (tmp_path / "prog.py").write_text(TEXT.replace('MODE = "', 'MODE = "not '))
    changed = run("why", target)
    assert changed[0] == "plain (prog.py:9): does not fit: vars(prog)['MODE'] == 'double'" and changed[-1].endswith("stored")


def test_why_names_each_region(run: Run, tmp_path: Path) -> None:
    target = f"{tmp_path}/prog.py:broken"
    run("why", target)
    assert run("why", target)[1:] == ["here", "broken (prog.py:13): served"] or "served" in run("why", target)[-1]


def test_a_folder_of_others_is_not_used(run: Run, tmp_path: Path) -> None:
    target = f"{tmp_path}/prog.py:plain"
    run("why", target)
    (tmp_path / "cache" / "store").chmod(0o777)
    from fusewire.runtime import store

    store._trusted.clear()
    assert "others may write to it" in run("info")[0]
    assert "cannot be written" in run("why", target)[-1]
