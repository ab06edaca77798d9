"""A variational autoencoder learns to draw digits: ``python examples/vae.py [--eager]``."""

import argparse
import time

import fusewire as torch
from fusewire import nn
from fusewire.nn import functional as F
from fusewire.utils.data import DataLoader
from fusewire.vision import load_digits


class VAE(nn.Module):
    """Kingma and Welling (2013) over 8x8 images with 8 latent numbers."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 256), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(256, 8), nn.Linear(256, 8)
        self.decoder = nn.Sequential(nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, 64), nn.Sigmoid())

    def forward(self, x):
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decoder(z), mean, log_variance


def loss_of(model, images):
    """Reconstruction error plus the divergence of the latent distribution from the prior, per image."""
    made, mean, log_variance = model(images)
    error = F.binary_cross_entropy(made, images, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return (error + divergence) / len(images)


def drawing(image):
    """An 8x8 image as text."""
    return "\n".join("".join(" .:-=+*#%@"[min(9, int(10 * v))] * 2 for v in row) for row in image.view(8, 8).tolist())


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--eager", action="store_true", help="do not compile")
parser.add_argument("--epochs", type=int, default=40)
options = parser.parse_args()

torch.manual_seed(0)
model = VAE()
step_loss = loss_of if options.eager else torch.compile(loss_of)
optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
data = load_digits(train=True).tensors[0]
data = data - data.min()
loader = DataLoader(data / data.max(), batch_size=128, shuffle=True)

start = time.perf_counter()
for epoch in range(options.epochs):
    for images in loader:
        optimiser.zero_grad()
        loss = step_loss(model, images)
        loss.backward()
        optimiser.step()
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1:2}  loss {loss.item():.3f}")
with torch.no_grad():
    drawn = model.decoder(torch.randn(3, 8))
print("\n\n".join(drawing(image) for image in drawn))
print(f"{time.perf_counter() - start:.1f} s")
