"""A second process runs what the first one compiled: nothing traced, llvmlite not imported; and never what has changed since."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import programs_text as texts
import pytest


class Program:
    """The two modules in a folder of their own, with a cache folder beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.text = {"helper": texts.HELPER, "program": texts.PROGRAM}

    def edit(self, module: str, old: str, new: str) -> None:
        assert self.text[module].count(old) == 1, old
        self.text[module] = self.text[module].replace(old, new)

    def run(self, *args: str, **env: str) -> dict[str, Any]:
        for name, text in self.text.items():
            (self.folder / f"{name}.py").write_text(text)
        environment = {**os.environ, "FUSEWIRE_CACHE_DIR": str(self.folder / "cache"), "FUSEWIRE_DISK_CACHE": "1",
                       "PYTHONDONTWRITEBYTECODE": "1", **env}  # fmt: skip
        command = [sys.executable, str(self.folder / "program.py"), *args]
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    made = Program(tmp_path_factory.mktemp("second"))
    cold = made.run()
    assert cold["wrong"] == [] and cold["llvmlite"] and cold["stats"]["captures written"] >= 15, cold
    return made


def test_second_process_neither_traces_nor_builds(program: Program) -> None:
    warm = program.run("--count")
    assert warm["wrong"] == []
    assert warm["captured"] == []
    assert not warm["llvmlite"]
    assert "code written" not in warm["stats"] and "backward written" not in warm["stats"]
    assert warm["stats"]["backward hit"] >= 2  # one for each set of outputs with gradients


@pytest.mark.parametrize("edit", texts.EDITS, ids=lambda e: e[2].strip()[:24])
def test_changed_program_is_right(program: Program, edit: tuple[str, str, str]) -> None:
    changed = Program(program.folder)
    changed.edit(*edit)
    assert changed.run()["wrong"] == []


def test_knobs_and_options_are_part_of_the_key(program: Program) -> None:
    found = program.run("--count", FUSEWIRE_PASS_LIMIT="0")
    assert found["wrong"] == [] and "plain" in found["captured"]


def test_switched_off(program: Program) -> None:
    found = program.run("--count", FUSEWIRE_DISK_CACHE="0")
    assert found["wrong"] == [] and found["stats"] == {} and "plain" in found["captured"]
