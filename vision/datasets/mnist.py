"""MNIST and the sets in its format (IDX): Fashion-MNIST, Kuzushiji-MNIST.

An IDX file: two zero bytes, a byte for the element type, a byte for the number of dimensions, each size as a big-endian 32-bit
number, then the elements, the last dimension fastest. Format: Y. LeCun, C. Cortes, C. Burges, The MNIST database.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ...eager import factory
from ...eager.tensor import Tensor
from ...errors import FileError
from ..transforms.images import as_image
from .base import Classified
from .files import Published, content, download, found

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_LIMIT = 1 << 31


def read_idx(path: str | os.PathLike[str]) -> Tensor:
    """The array in an IDX file, packed (.gz) or not. FileError where it is damaged, truncated or of another format."""
    place = Path(path)
    data = content(place, _LIMIT)
    rank = data[3] if len(data) > 3 else 0
    if len(data) < 4 + 4 * rank or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise FileError(f"{place} is damaged or no IDX file: it begins with {data[:4]!r}")
    sizes = np.frombuffer(data, ">u4", rank, 4).tolist()
    dtype = np.dtype(_TYPES[data[2]])
    expected = 4 + 4 * rank + math.prod(sizes) * dtype.itemsize
    if len(data) != expected:
        raise FileError(f"{place} is damaged: it has {len(data)} bytes where an array of shape {sizes} takes {expected}")
    values = np.frombuffer(data, dtype, offset=4 + 4 * rank).reshape(sizes)
    return factory.make(values.astype(dtype.newbyteorder("=")))


class MNIST(Classified):
    """Handwritten digits: 60,000 images of 28x28 to train, 10,000 to test, from ``root/MNIST/raw``, packed or not.

    An item is (image, label): a PIL image where PIL is installed, else an array u8[28, 28]. `data` u8[n, 28, 28] and `targets`
    i64[n] hold all. MissingFile, which says what to put where, for a file that is not there; FileError for a damaged one.
    """

    mirrors: tuple[str, ...] = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
    checksums = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    def _read(self) -> None:
        part = "train" if self.train else "t10k"
        self.data = read_idx(self._place(f"{part}-images-idx3-ubyte"))
        self.targets = read_idx(self._place(f"{part}-labels-idx1-ubyte")).long()
        self._images: Any = self.data.numpy()
        if self._images.shape[1:] != (28, 28) or self.targets.shape != self._images.shape[:1]:
            shapes = f"images of shape {list(self.data.shape)} and labels of shape {list(self.targets.shape)}"
            raise FileError(f"{self.raw_folder} is damaged: {shapes} do not belong together")

    @property
    def raw_folder(self) -> Path:
        """Where the published files lie."""
        return self.root / type(self).__name__ / "raw"

    def _published(self, name: str) -> Published:
        return Published(name, self.checksums[name], self.mirrors)

    def _place(self, name: str) -> Path:
        plain = self.raw_folder / name
        place = found([plain, plain.with_name(f"{name}.gz")])
        if place is None:
            raise self._published(f"{name}.gz").missing(plain.with_name(f"{name}.gz"), f"{type(self).__name__}'s file {name}")
        return place

    def download(self) -> None:
        """Fetch the files that are not there. FileError where they cannot be had or are damaged."""
        for name in self.checksums:
            if found([self.raw_folder / name, self.raw_folder / name[: -len(".gz")]]) is None:
                download(self._published(name), self.raw_folder / name)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.changed(as_image(self._images[index]), int(self.targets[index].item()))

    def __len__(self) -> int:
        return len(self._images)


class FashionMNIST(MNIST):
    """Grey images of clothes in MNIST's format, from ``root/FashionMNIST/raw``."""

    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    checksums = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class KMNIST(MNIST):
    """Cursive Japanese characters in MNIST's format, from ``root/KMNIST/raw``."""

    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    checksums = {
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    }
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
