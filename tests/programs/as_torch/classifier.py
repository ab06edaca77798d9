"""A small network as an introduction to PyTorch writes it: a Module, a loader, Adam, a file. ``classifier.py FILE [compile]``."""

import sys

import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(p=0.0)
        self.fc2 = nn.Linear(hidden_size, output_size)

    def forward(self, x):
        x = self.fc1(x)
        x = self.relu(x)
        x = self.dropout(x)
        return self.fc2(x)


def wave(*shape):
    """Numbers that every library makes alike."""
    count = torch.tensor(shape).prod().item()
    return torch.sin(torch.arange(count, dtype=torch.float64) * 0.7).reshape(shape).float()


net = Net(16, 32, 10)
print(net)
print(f"{sum(p.numel() for p in net.parameters() if p.requires_grad):,} parameters")
with torch.no_grad():
    for p in net.parameters():
        p.copy_(wave(*p.shape) * 0.3)
model = torch.compile(net) if "compile" in sys.argv[2:] else net

loader = DataLoader(TensorDataset(wave(100, 16), torch.arange(100) * 7 % 10), batch_size=8, shuffle=False)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=0.01)
for epoch in range(3):
    running_loss = 0.0
    for i, data in enumerate(loader, 0):
        inputs, labels = data
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
        if i % 6 == 5:
            print(f"[{epoch + 1}, {i + 1:5d}] loss: {running_loss / 6:.3f}")
            running_loss = 0.0

torch.save(net.state_dict(), sys.argv[1])
again = Net(16, 32, 10)
again.load_state_dict(torch.load(sys.argv[1]))
again.eval()
print(torch.allclose(again(inputs), net(inputs)), tuple(net(inputs).shape))

sequential = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
print(sequential(torch.randn(32, 784)).shape)
