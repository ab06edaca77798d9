"""A convolutional network learns handwritten digits: ``python examples/cnn.py [--eager]``."""

import argparse
import time

import fusewire as torch
from fusewire import nn
from fusewire.nn import functional as F
from fusewire.utils.data import DataLoader
from fusewire.vision import load_digits


class CNN(nn.Module):
    """Two convolutions with batch normalisation and pooling over 8x8 images, then a linear classifier."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.conv2, self.norm2 = nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64)
        self.drop, self.head = nn.Dropout(0.25), nn.Linear(64 * 2 * 2, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        return self.head(self.drop(x.flatten(1)))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--eager", action="store_true", help="do not compile")
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()

torch.manual_seed(0)
model = CNN()
net = model if options.eager else torch.compile(model)
optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
loader = DataLoader(load_digits(train=True), batch_size=64, shuffle=True)

start = time.perf_counter()
for epoch in range(options.epochs):
    for images, labels in loader:
        optimiser.zero_grad()
        loss = F.cross_entropy(net(images.view(-1, 1, 8, 8)), labels)
        loss.backward()
        optimiser.step()
    print(f"epoch {epoch + 1}  loss {loss.item():.4f}")

images, labels = load_digits(train=False).tensors
model.eval()
with torch.no_grad():
    right = (net(images.view(-1, 1, 8, 8)).argmax(1) == labels).sum().item()
print(f"{right / len(labels):.1%} of the unseen digits right, {time.perf_counter() - start:.1f} s")
