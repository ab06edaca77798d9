"""Programs as introductions to PyTorch write them: unchanged under ``fusewire run --as torch``, with their imports replaced, and
compiled by the one line they name. Where PyTorch is installed, it prints the same."""

from __future__ import annotations

import importlib.util
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAMS = Path(__file__).parent / "as_torch"
ORACLE = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is the oracle of this test")


def output(*command: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", *command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_torch(name: str, *words: str) -> str:
    return output("-m", "fusewire.cli", "run", "--as", "torch", str(PROGRAMS / f"{name}.py"), *words)


def replaced(name: str, folder: Path, *words: str) -> str:
    """The output of the program with fusewire in PyTorch's place in its import lines."""
    text = (PROGRAMS / f"{name}.py").read_text()
    text = re.sub(r"^import torch$", "import fusewire as torch", text, flags=re.M)
    text = re.sub(r"^(import|from) torch\.", r"\1 fusewire.", text, flags=re.M)
    text = re.sub(r"^from torchvision import", "from fusewire.vision import", text, flags=re.M)
    (folder / f"{name}_replaced.py").write_text(text)
    return output(str(folder / f"{name}_replaced.py"), *words)


@ORACLE
def test_first_steps_print_what_pytorch_prints() -> None:
    assert as_torch("first_steps") == output(str(PROGRAMS / "first_steps.py"))


def test_first_steps_with_the_imports_replaced(tmp_path: Path) -> None:
    assert replaced("first_steps", tmp_path) == as_torch("first_steps")


@ORACLE
def test_a_classifier_prints_what_pytorch_prints(tmp_path: Path) -> None:
    assert as_torch("classifier", str(tmp_path / "a.pt")) == output(str(PROGRAMS / "classifier.py"), str(tmp_path / "b.pt"))


def test_a_classifier_is_the_same_in_every_way_it_may_run(tmp_path: Path) -> None:
    plain = as_torch("classifier", str(tmp_path / "a.pt"))
    assert plain.count("loss:") == 6
    assert as_torch("classifier", str(tmp_path / "a.pt"), "compile") == plain
    assert replaced("classifier", tmp_path, str(tmp_path / "a.pt")) == plain


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with IDX files as MNIST has them: digits are bright squares in ten places."""
    folder = tmp_path_factory.mktemp("data")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", 640), ("t10k", 160)):
        labels = rng.integers(0, 10, count).astype(np.uint8)
        images = rng.integers(0, 90, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            row, column = 2 + 13 * (label // 5), 2 + 5 * (label % 5)
            image[row : row + 6, column : column + 5] = 220
        (raw / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels.tobytes())
    return folder


def losses(text: str) -> list[float]:
    found = [float(x) for x in re.findall(r"Loss: ([\d.]+)", text)]
    assert len(found) == 3
    return found


def test_the_loop_over_mnist(mnist: Path, tmp_path: Path) -> None:
    plain = as_torch("mnist", str(mnist), "0.2", "shuffle")
    assert float(plain.split()[-1]) > 0.9
    assert replaced("mnist", tmp_path, str(mnist), "0.2", "shuffle") == plain
    compiled = as_torch("mnist", str(mnist), "0.2", "shuffle", "compile")
    assert losses(compiled) == pytest.approx(losses(plain), abs=2e-3)
