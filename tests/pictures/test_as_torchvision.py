"""Programs that import torchvision, torch.utils.data and safetensors.torch run unchanged under ``fusewire run --as torch``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import torch
import torch.utils.data.dataloader
import torchvision
import torchvision.transforms as T
from torch.utils.data import DataLoader, Dataset, random_split
from torch.utils.data._utils.collate import default_collate
from torch.utils.data.distributed import DistributedSampler
from torch.utils.data.sampler import SubsetRandomSampler
from torchvision import datasets, models, transforms
from torchvision.datasets.mnist import MNIST
from torchvision.models import resnet18
from torchvision.transforms import functional as TF, v2
from torchvision.transforms.v2 import ToDtype
from torchvision.utils import make_grid, save_image

data = datasets.FakeData(12, (3, 16, 16), 4, transform=T.Compose([T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)]))
loader = DataLoader(data, batch_size=6, shuffle=True, num_workers=1)
model = models.resnet18(num_classes=4)
for images, labels in loader:
    loss = torch.nn.functional.cross_entropy(model(images), labels)
torch.save(model.state_dict(), "model.pt")
print(model.load_state_dict(torch.load("model.pt", weights_only=True)), torch.__name__, torchvision.__name__, loss.shape)
"""


def test_a_program_runs_unchanged(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "fusewire.cli", "run", "--as", "torch", "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "<All keys matched successfully> fusewire fusewire.vision torch.Size([])\n", done.stderr
