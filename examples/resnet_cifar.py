"""A small ResNet learns CIFAR-10: ``python examples/resnet_cifar.py FOLDER [--download] [--eager] [--epochs N]``.

FOLDER holds cifar-10-batches-py, which ``--download`` fetches; ``--made`` trains on made-up pictures instead.
"""

import argparse
import time

import fusewire as torch
from fusewire import nn
from fusewire.nn import functional as F
from fusewire.utils.data import DataLoader
from fusewire.vision import datasets, transforms


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes (He et al. 2015)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """(batch, 3, 32, 32) pictures to (batch, 10) logits."""

    def __init__(self, width=16):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2))
        self.head = nn.Linear(4 * width, 10)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", nargs="?", default="data", help="where the data is")
parser.add_argument("--download", action="store_true", help="fetch what is missing")
parser.add_argument("--made", action="store_true", help="random pictures in place of CIFAR-10")
parser.add_argument("--eager", action="store_true", help="do not compile")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--workers", type=int, default=0, help="processes that load")
options = parser.parse_args()

plain = [transforms.ToTensor(), transforms.Normalize((0.491, 0.482, 0.447), (0.247, 0.243, 0.262))]
varied = transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *plain])
if options.made:
    train = datasets.FakeData(512, (3, 32, 32), transform=varied)
    test = datasets.FakeData(128, (3, 32, 32), transform=transforms.Compose(plain))
else:
    train = datasets.CIFAR10(options.folder, train=True, transform=varied, download=options.download)
    test = datasets.CIFAR10(options.folder, train=False, transform=transforms.Compose(plain))

torch.manual_seed(0)
model = ResNet()
net = model if options.eager else torch.compile(model)
loader = DataLoader(train, batch_size=128, shuffle=True, drop_last=True, num_workers=options.workers)
optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.1, total_steps=options.epochs * len(loader))

start = time.perf_counter()
for epoch in range(options.epochs):
    model.train()
    for images, labels in loader:
        optimiser.zero_grad()
        loss = F.cross_entropy(net(images), labels, label_smoothing=0.1)
        loss.backward()
        optimiser.step()
        schedule.step()
    print(f"epoch {epoch + 1}  loss {loss.item():.4f}  {time.perf_counter() - start:.0f} s")

model.eval()
with torch.no_grad():
    right = sum((net(images).argmax(1) == labels).sum().item() for images, labels in DataLoader(test, batch_size=128))
print(f"{right / len(test):.1%} of the unseen pictures right")
