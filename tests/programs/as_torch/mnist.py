"""The training loop over MNIST as an introduction to PyTorch writes it. ``mnist.py FOLDER DROPOUT [shuffle] [compile]``."""

import sys

import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

device = "cuda" if torch.cuda.is_available() else "cpu"
transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
train_data = datasets.MNIST(sys.argv[1], train=True, download=False, transform=transform)
test_data = datasets.MNIST(sys.argv[1], train=False, download=False, transform=transform)
train_loader = DataLoader(train_data, batch_size=64, shuffle="shuffle" in sys.argv)
test_loader = DataLoader(test_data, batch_size=64, shuffle=False)


class MNISTNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(28 * 28, 128),
            nn.ReLU(),
            nn.Dropout(float(sys.argv[2])),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )

    def forward(self, x):
        return self.net(x)


torch.manual_seed(0)
model = MNISTNet().to(device)
if "compile" in sys.argv:
    model = torch.compile(model)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(3):
    model.train()
    running_loss = 0.0
    for images, labels in train_loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    avg_loss = running_loss / len(train_loader)

    model.eval()
    correct, total = 0, 0
    with torch.no_grad():
        for images, labels in test_loader:
            images, labels = images.to(device), labels.to(device)
            outputs = model(images)
            _, predicted = torch.max(outputs, 1)
            total += labels.size(0)
            correct += (predicted == labels).sum().item()
    print(f"Epoch {epoch + 1}/3 | Loss: {avg_loss:.4f} | Test Acc: {correct / total:.4f}")
