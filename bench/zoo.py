"""The models that are measured, in ordinary PyTorch style. Each factory takes the library: fusewire or PyTorch. Times nothing.

A `Case` holds a model with its example batch, its loss and its optimiser, made alike in any library: the weights are drawn by
NumPy, so that contenders compute the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One row of the suite `models`: `inference(model, *batch)` and `loss(model, *batch)` are what gets compiled.
    `batches`: the batch for inference and the one for training, as NumPy arrays. `gemm_flops`: multiply-adds x 2 of the
    products and convolutions of one inference."""

    name: str
    model: Callable[[Any], Any]
    loss: Callable[[Any], Callable[..., Any]]
    inference_batch: tuple[np.ndarray[Any, Any], ...]
    training_batch: tuple[np.ndarray[Any, Any], ...]


# ---- GPT ---------------------------------------------------------------------------------------------------------------
def gpt(torch: Any, vocabulary: int = 5000, width: int = 256, heads: int = 4, layers: int = 4, context: int = 128) -> Any:
    """A GPT-2 style decoder: (batch, time) token numbers to (batch, time, vocabulary) logits."""
    nn = torch.nn
    block = _gpt_block(torch)

    class GPT(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
            self.blocks = nn.ModuleList([block(width, heads) for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

        def forward(self, tokens: Any) -> Any:
            x = self.token(tokens) + self.position(torch.arange(tokens.shape[1], device=tokens.device))
            for layer in self.blocks:
                x = layer(x)
            return self.head(self.norm(x))

    return GPT()


def _gpt_block(torch: Any) -> Any:
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, width: int, heads: int) -> None:
            super().__init__()
            self.heads = heads
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def attention(self, x: Any) -> Any:
            batch, time, width = x.shape
            q, k, v = self.qkv(x).split(width, dim=2)
            q, k, v = (y.view(batch, time, self.heads, width // self.heads).transpose(1, 2) for y in (q, k, v))
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).contiguous().view(batch, time, width))

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.first(x))
            return x + self.down(functional.gelu(self.up(self.second(x))))

    return Block


def token_loss(torch: Any) -> Callable[..., Any]:
    """Cross entropy of the logits against the next tokens."""

    def loss(model: Any, tokens: Any, targets: Any) -> Any:
        logits = model(tokens)
        return torch.nn.functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))

    return loss


# ---- MLP ---------------------------------------------------------------------------------------------------------------
def mlp(torch: Any) -> Any:
    """784-512-256-10 with dropout."""
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 10)
    )


def class_loss(torch: Any) -> Callable[..., Any]:
    """Cross entropy of a classifier."""

    def loss(model: Any, images: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(images), labels)

    return loss


# ---- ResNet-18 -----------------------------------------------------------------------------------------------------------
def resnet18(torch: Any, classes: int = 1000) -> Any:
    """The ResNet-18 of He et al. (2015), laid out as torchvision's."""
    nn = torch.nn
    block = _residual_block(torch)

    def stage(inputs: int, outputs: int, stride: int) -> Any:
        return nn.Sequential(block(inputs, outputs, stride), block(outputs, outputs, 1))

    class ResNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(
                nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
            )
            self.stages = nn.Sequential(stage(64, 64, 1), stage(64, 128, 2), stage(128, 256, 2), stage(256, 512, 2))
            self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(512, classes)

        def forward(self, x: Any) -> Any:
            return self.head(self.pool(self.stages(self.stem(x))).flatten(1))

    return ResNet()


def _residual_block(torch: Any) -> Any:
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
            self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
            self.shortcut: Any = None
            if stride != 1 or inputs != outputs:
                self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

        def forward(self, x: Any) -> Any:
            y = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
            return functional.relu(y + (x if self.shortcut is None else self.shortcut(x)))

    return Block


# ---- VAE ---------------------------------------------------------------------------------------------------------------
def vae(torch: Any) -> Any:
    """The variational autoencoder of Kingma and Welling (2013), 784-400-20 and back: (reconstruction, mean, log variance)."""
    nn = torch.nn

    class VAE(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.mean, self.log_variance = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
            self.decode = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid())

        def forward(self, x: Any) -> Any:
            hidden = torch.relu(self.encode(x))
            mean, log_variance = self.mean(hidden), self.log_variance(hidden)
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            return self.decode(z), mean, log_variance

    return VAE()


def vae_loss(torch: Any) -> Callable[..., Any]:
    """Reconstruction error plus the divergence from the prior, summed over the batch."""

    def loss(model: Any, images: Any) -> Any:
        made, mean, log_variance = model(images)
        error = torch.nn.functional.binary_cross_entropy(made, images, reduction="sum")
        return error - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())

    return loss


# ---- the rows ------------------------------------------------------------------------------------------------------------
def cases() -> tuple[Case, ...]:
    """GPT, MLP, ResNet-18 and VAE with the batches of the README's table."""
    rng = np.random.default_rng(0)

    def tokens() -> np.ndarray[Any, Any]:
        return rng.integers(0, 5000, (4, 128))

    def image(*shape: int) -> np.ndarray[Any, Any]:
        return rng.standard_normal(shape).astype(np.float32)

    seen, digits = rng.random((128, 784), np.float32), image(64, 784)
    small, labels = image(4, 3, 64, 64), rng.integers(0, 1000, 4)
    return (
        Case("GPT", gpt, token_loss, (tokens(),), (tokens(), tokens())),
        Case("MLP", mlp, class_loss, (digits,), (digits, rng.integers(0, 10, 64))),
        Case("ResNet-18", resnet18, class_loss, (image(1, 3, 224, 224),), (small, labels)),
        Case("VAE", vae, vae_loss, (seen,), (seen,)),
    )


def make(case: Case, torch: Any) -> Any:
    """The model of `case` in the library `torch`, with weights that are the same in every library."""
    model, rng = case.model(torch), np.random.default_rng(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            shape = tuple(parameter.shape)
            if len(shape) > 1:
                fan = int(np.prod(shape[1:]))
                drawn = rng.uniform(-1, 1, shape).astype(np.float32) / np.sqrt(np.float32(fan))
                parameter.copy_(torch.from_numpy(drawn))
            elif name.endswith("bias"):
                parameter.zero_()
    return model
