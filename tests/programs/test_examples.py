"""Each example runs, eagerly and compiled, and says at its end what it is about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SHORT = {
    "digits": (["--epochs", "3"], "of the unseen digits right"),
    "cnn": (["--epochs", "1"], "of the unseen digits right"),
    "vae": (["--epochs", "10"], "epoch 10  loss"),
    "char_rnn": (["--epochs", "10"], "epoch  10  loss"),
    "resnet_cifar": (["--made", "--epochs", "1"], "of the unseen pictures right"),
    "resume": (["--epochs", "2"], "the parameters are the same"),
    "char_gpt": (["--steps", "50"], "step   50  loss"),
}


@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize("name", SHORT)
def test_the_example_runs(name: str, eager: bool) -> None:
    words, shown = SHORT[name]
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *words, *(["--eager"] if eager else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert shown in done.stdout


def test_every_example_is_run() -> None:
    assert {p.stem for p in EXAMPLES.glob("*.py")} == {*SHORT, "first"}


def test_a_classifier_learns() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / "digits.py")], capture_output=True, text=True, check=True)
    assert float(done.stdout.splitlines()[-1].split("%")[0]) > 95
