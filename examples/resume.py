"""Training that stops and goes on: ``python examples/resume.py [--eager] [--file FILE]``. Each start trains some epochs more.

What a run is made of goes into one file: parameters, the optimiser's and the scheduler's state, the random generator, the epoch.
A run that was stopped ends with the same parameters as one that was not; the last line shows it.
"""

import argparse
import tempfile
from pathlib import Path

import fusewire as torch
from fusewire import nn
from fusewire.nn import functional as F
from fusewire.utils.data import DataLoader
from fusewire.vision import load_digits


class Run:
    """A model with all that its training hangs on."""

    def __init__(self, eager):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
        self.net = self.model if eager else torch.compile(self.model)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=3e-3)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, T_max=20)
        self.epoch = 0

    def train(self, epochs):
        for _ in range(epochs):
            for images, labels in DataLoader(load_digits(train=True), batch_size=128, shuffle=True, drop_last=True):
                self.optimiser.zero_grad()
                loss = F.cross_entropy(self.net(images), labels)
                loss.backward()
                self.optimiser.step()
            self.scheduler.step()
            self.epoch += 1
        return loss.item()

    def save(self, path):
        parts = {name: getattr(self, name).state_dict() for name in ("model", "optimiser", "scheduler")}
        torch.save({**parts, "random": torch.get_rng_state(), "epoch": self.epoch}, path)

    def load(self, path):
        kept = torch.load(path)
        for name in ("model", "optimiser", "scheduler"):
            getattr(self, name).load_state_dict(kept[name])
        torch.set_rng_state(kept["random"])
        self.epoch = kept["epoch"]


torch.use_deterministic_algorithms(True)  # eager calls give the same bits however often they were made before
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--eager", action="store_true", help="do not compile")
parser.add_argument("--epochs", type=int, default=4, help="epochs of each start")
parser.add_argument("--file", type=Path, help="where the run is kept; without it, a temporary file and two starts")
options = parser.parse_args()

if options.file is not None:
    run = Run(options.eager)
    if options.file.exists():
        run.load(options.file)
    print(f"epochs {run.epoch + 1} to {run.epoch + options.epochs}: loss {run.train(options.epochs):.4f}")
    run.save(options.file)
else:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.pt"
        for _ in range(2):
            run = Run(options.eager)
            if file.exists():
                run.load(file)
            print(f"epochs {run.epoch + 1} to {run.epoch + options.epochs}: loss {run.train(options.epochs):.4f}")
            run.save(file)
    whole = Run(options.eager)
    print(f"without a stop: loss {whole.train(2 * options.epochs):.4f}")
    same = all(torch.equal(a, b) for a, b in zip(run.model.parameters(), whole.model.parameters(), strict=True))
    print(f"the parameters are {'the same' if same else 'NOT the same'}")
