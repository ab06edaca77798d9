"""fusewire under PyTorch's name: imports of all kinds, refusal where the real one is loaded, and no trace behind."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import fusewire
from fusewire import nn
from fusewire.aliases import install_as, uninstall_as

NAME = "torch_for_this_test"


@pytest.fixture
def installed() -> Iterator[str]:
    with install_as(NAME):
        yield NAME


def test_every_form_of_import(installed: str) -> None:
    scope: dict[str, object] = {}
    exec(
        f"import {NAME}, {NAME}.nn.functional as F, {NAME}.optim.lr_scheduler\n"
        f"from {NAME} import nn, optim, Tensor\nfrom {NAME}.nn import Linear\nfrom {NAME}.utils.data import DataLoader\n"
        f"from {NAME}.autograd import grad\nfrom {NAME}.nn.modules.linear import Linear as Same\n"
        f"from {NAME}.utils.data.dataset import Dataset\n",
        scope,
    )
    assert scope[NAME] is fusewire and scope["nn"] is nn and scope["Linear"] is nn.Linear is scope["Same"]
    assert scope["F"] is nn.functional and scope["grad"] is fusewire.autograd.grad
    assert importlib.util.find_spec(f"{NAME}.nn") is not None
    with pytest.raises(ModuleNotFoundError, match=rf"nothing for '{NAME}.nonsense'"):
        importlib.import_module(f"{NAME}.nonsense")
    with pytest.raises(ImportError):
        exec(f"from {NAME}.nn import Nonsense")


def test_modules_stay_what_they_are(installed: str) -> None:
    before = {m.__name__: (m.__spec__, m.__name__, m.__package__, m.__loader__) for m in (fusewire, nn, nn.functional)}
    importlib.import_module(f"{NAME}.nn.functional")
    assert before == {m.__name__: (m.__spec__, m.__name__, m.__package__, m.__loader__) for m in (fusewire, nn, nn.functional)}
    assert isinstance(pickle.loads(pickle.dumps(nn.Linear(1, 1))), nn.Linear)


def test_no_trace_is_left() -> None:
    before, finders = set(sys.modules), list(sys.meta_path)
    with install_as(NAME):
        importlib.import_module(f"{NAME}.nn.functional")
        install_as(NAME)  # again: nothing
    assert not [name for name in set(sys.modules) - before if name.startswith(NAME)] and sys.meta_path == finders
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(NAME)
    uninstall_as(NAME)


def test_a_loaded_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = types.ModuleType(NAME)
    monkeypatch.setitem(sys.modules, NAME, real)
    finders = list(sys.meta_path)
    with pytest.raises(ImportError, match="is imported already"):
        install_as(NAME)
    assert sys.modules[NAME] is real and sys.meta_path == finders
    for wrong in ("fusewire", "", "a b"):
        with pytest.raises(ValueError, match="no name"):
            install_as(wrong)


def test_a_script_of_pytorch_runs(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\nimport torch.nn.functional as F\nimport torchvision\nfrom torch import nn\n"
        "from torch.utils.data import DataLoader, TensorDataset\n\ntorch.manual_seed(0)\n"
        "model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))\n"
        "step = torch.compile(lambda x, y: F.mse_loss(model(x), y))\n"
        "optimiser = torch.optim.Adam(model.parameters(), lr=0.05)\nx = torch.randn(64, 2)\ny = x.sum(1, keepdim=True)\n"
        "for _ in range(20):\n    for a, b in DataLoader(TensorDataset(x, y), batch_size=16):\n"
        "        optimiser.zero_grad()\n        loss = step(a, b)\n        loss.backward()\n        optimiser.step()\n"
        "print(torch.__name__, torchvision.__name__, loss.item() < 0.1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "fusewire.cli", "run", "--as", "torch", str(script)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "fusewire fusewire.vision True\n"), done.stderr


def test_a_spawned_process_knows_the_name(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        f"import {NAME} as t\n"
        "import multiprocessing\n"
        "def child(queue):\n    queue.put(t.__name__)\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n    queue = context.Queue()\n"
        "    process = context.Process(target=child, args=(queue,))\n    process.start()\n"
        "    print(queue.get(timeout=60), process.join(), process.exitcode)\n"
    )
    command = [sys.executable, "-m", "fusewire.cli", "run", "--as", NAME, str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["fusewire", "None", "0"], done.stderr


def test_nothing_is_handed_on_behind_the_block() -> None:
    from multiprocessing import spawn

    before = spawn.get_preparation_data
    with install_as(NAME):
        assert "fusewire" in spawn.get_preparation_data("x")
    assert spawn.get_preparation_data is before
