"""An MLP learns handwritten digits: ``python examples/digits.py [--eager]``."""

import argparse
import time

import fusewire as torch
from fusewire import nn
from fusewire.nn import functional as F
from fusewire.utils.data import DataLoader
from fusewire.vision import load_digits

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--eager", action="store_true", help="do not compile")
parser.add_argument("--epochs", type=int, default=12)
options = parser.parse_args()

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
net = model if options.eager else torch.compile(model)
optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
loader = DataLoader(load_digits(train=True), batch_size=128, shuffle=True)

start = time.perf_counter()
for epoch in range(options.epochs):
    for images, labels in loader:
        optimiser.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimiser.step()
    if epoch % 3 == 2:
        print(f"epoch {epoch + 1:2}  loss {loss.item():.4f}")

images, labels = load_digits(train=False).tensors
model.eval()
with torch.no_grad():
    right = (net(images).argmax(1) == labels).sum().item()
print(f"{right / len(labels):.1%} of the unseen digits right, {time.perf_counter() - start:.1f} s")
