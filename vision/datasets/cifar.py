"""CIFAR-10 and CIFAR-100, from the published Python files (pickles, read without running anything) or binary files.

A batch's pickle is a dict: b"data" u8[n, 3072] (the red, green and blue planes of 32x32, row by row), b"labels" or
b"fine_labels" a list. A binary record is the label's byte (CIFAR-100: coarse, then fine), then the same 3,072 bytes.
Format: A. Krizhevsky, Learning multiple layers of features from tiny images (2009).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError
from ...utils.unpickling import loads
from ..transforms.images import as_image
from .base import Classified
from .files import Published, content, download, unpack

_PIXELS = 3 * 32 * 32
_WHOLE = 10_000
_LIMIT = 1 << 30


class CIFAR10(Classified):
    """60,000 colour images of 32x32 in ten classes, 50,000 of them to train, from ``root/cifar-10-batches-py`` or, where that is
    missing, ``root/cifar-10-batches-bin``.

    An item is (image, label): a PIL image where PIL is installed, else an array u8[32, 32, 3]. `data` u8[n, 32, 32, 3] is an
    array, `targets` a list. MissingFile, which says what to put where, for a file that is not there; FileError for a damaged
    one (of whole published files the checksum tells).
    """

    base_folder = "cifar-10-batches-py"
    binary_folder = "cifar-10-batches-bin"
    archive = Published(
        "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", ("https://www.cs.toronto.edu/~kriz/",)
    )  # fmt: skip
    train_files = {
        "data_batch_1": "c99cafc152244af753f735de768cd75f", "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751", "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    }  # fmt: skip
    test_files = {"test_batch": "40351d587109b95175f43aff81a1287e"}
    label_bytes = 1
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

    def _read(self) -> None:
        files = self.train_files if self.train else self.test_files
        binary = not (self.root / self.base_folder).is_dir() and (self.root / self.binary_folder).is_dir()
        parts = [self._binary(name) if binary else self._pickled(name, md5) for name, md5 in files.items()]
        planes = np.concatenate([images for images, _ in parts]).reshape(-1, 3, 32, 32)
        self.data = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        self.targets: list[int] = [label for _, labels in parts for label in labels]

    def _bytes(self, place: Path) -> bytes:
        if not place.is_file():
            raise self.archive.missing(place, f"{type(self).__name__}'s file {place.name}, unpacked from its archive,")
        return content(place, _LIMIT)

    def _pickled(self, name: str, md5: str) -> tuple[Any, list[int]]:
        place = self.root / self.base_folder / name
        data = self._bytes(place)
        batch = loads(data, str(place))
        fields = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()} if isinstance(batch, dict) else {}
        images, labels = fields.get("data"), fields.get("labels", fields.get("fine_labels"))
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or not isinstance(labels, list):
            raise FileError(f"{place} is damaged or another file: it holds no data and labels")
        if images.size != len(labels) * _PIXELS or not all(type(n) is int and 0 <= n < len(self.classes) for n in labels):
            raise FileError(f"{place} is damaged: {images.size} pixels and {len(labels)} labels do not belong together")
        if len(labels) >= _WHOLE and (got := hashlib.md5(data, usedforsecurity=False).hexdigest()) != md5:
            raise FileError(f"{place} is damaged: its MD5 is {got}, that of the published file {md5}")
        return images.reshape(-1, _PIXELS), labels

    def _binary(self, name: str) -> tuple[Any, list[int]]:
        place = self.root / self.binary_folder / f"{name}.bin"
        data = np.frombuffer(self._bytes(place), np.uint8)
        length = self.label_bytes + _PIXELS
        if data.size % length:
            raise FileError(f"{place} is damaged: {data.size} bytes are no whole number of records of {length}")
        records = data.reshape(-1, length)
        labels = records[:, self.label_bytes - 1].tolist()
        if labels and max(labels) >= len(self.classes):
            raise FileError(f"{place} is damaged: there is no class {max(labels)}")
        return records[:, self.label_bytes :], labels

    def download(self) -> None:
        """Fetch and unpack the archive, unless its files are there. FileError where it cannot be had or is damaged."""
        if all((self.root / self.base_folder / name).is_file() for name in {**self.train_files, **self.test_files}):
            return
        download(self.archive, self.root / self.archive.name)
        unpack(self.root / self.archive.name, self.root)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.changed(as_image(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)


class CIFAR100(CIFAR10):
    """The same kind of images in a hundred classes, from ``root/cifar-100-python`` or ``root/cifar-100-binary``."""

    base_folder = "cifar-100-python"
    binary_folder = "cifar-100-binary"
    archive = Published(
        "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", ("https://www.cs.toronto.edu/~kriz/",)
    )  # fmt: skip
    train_files = {"train": "16019d7e3df5f24257cddd939b257f8d"}
    test_files = {"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}
    label_bytes = 2
    classes = [
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy", "bridge",
        "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud",
        "cockroach",
        "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster",
        "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree",
        "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear",
        "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
        "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel",
        "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train",
        "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    ]  # fmt: skip
