"""Data sets of images, in torchvision's shape. Published files are read as they are; nothing is fetched unasked."""

from __future__ import annotations

from .base import VisionDataset
from .cifar import CIFAR10, CIFAR100
from .folder import DatasetFolder, FakeData, ImageFolder, default_loader
from .mnist import KMNIST, MNIST, FashionMNIST, read_idx

__all__ = [
    "CIFAR10", "CIFAR100", "KMNIST", "MNIST", "DatasetFolder", "FakeData", "FashionMNIST", "ImageFolder", "VisionDataset",
    "default_loader", "read_idx",
]  # fmt: skip
