"""Images in folders, one a class, and images made of noise."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...eager import factory
from ...eager.random import Generator, randint, randn
from ...errors import FileError
from ..pictures import read_png, read_ppm
from ..transforms.images import as_image, pil
from .base import VisionDataset

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".npy")


def default_loader(path: str | os.PathLike[str]) -> Any:
    """The image in a file: .npy arrays, .png, .ppm and .pgm are read here, all others (and these, where PIL is installed) by PIL,
    as RGB. FileError for a damaged one, ImportError where PIL is needed."""
    place = Path(path)
    suffix = place.suffix.lower()
    if suffix == ".npy":
        try:
            return np.load(place, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise FileError(f"{place} is damaged: {error}") from error
    try:
        image = pil()
    except ImportError:
        if suffix not in (".png", ".ppm", ".pgm"):
            raise
        array: Any = (read_png if suffix == ".png" else read_ppm)(place)
        return array if array.ndim == 3 else np.repeat(array[:, :, None], 3, 2)
    try:
        with image.open(place) as file:
            return file.convert("RGB")
    except (OSError, SyntaxError) as error:
        raise FileError(f"{place} is damaged or no image: {error}") from error


class DatasetFolder(VisionDataset):
    """Files in folders: ``root/class/.../name.ext``. A class is a folder of `root`, numbered in alphabetical order.

    FileNotFoundError for a root without folders, or (unless `allow_empty`) a class without files. `samples` lists (path, label).
    """

    def __init__(
        self, root: str | os.PathLike[str], loader: Callable[[str], Any], extensions: Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None, target_transform: Callable[[Any], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, None, transform, target_transform)
        if (extensions is None) == (is_valid_file is None):
            raise ValueError("which files count is said by extensions or by is_valid_file: give one of them")
        endings = tuple(e.lower() for e in extensions or ())
        accepted = is_valid_file or (lambda path: path.lower().endswith(endings))
        self.loader, self.extensions = loader, extensions
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.samples = self._samples(accepted, allow_empty)
        self.targets = [label for _, label in self.samples]

    def find_classes(self, directory: str | os.PathLike[str]) -> tuple[list[str], dict[str, int]]:
        """Names of the classes, and the label of each."""
        names = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        if not names:
            raise FileNotFoundError(f"{directory} holds no folders: each class of images has one")
        return names, {name: i for i, name in enumerate(names)}

    def _samples(self, accepted: Callable[[str], bool], allow_empty: bool) -> list[tuple[str, int]]:
        out: list[tuple[str, int]] = []
        for name, label in self.class_to_idx.items():
            walk = sorted(os.walk(self.root / name, followlinks=True))
            paths = [os.path.join(folder, file) for folder, _, files in walk for file in sorted(files)]
            chosen = [(path, label) for path in paths if accepted(path)]
            if not chosen and not allow_empty:
                which = f" with one of the endings {', '.join(self.extensions)}" if self.extensions else ""
                raise FileNotFoundError(f"{self.root / name} holds no file{which}")
            out += chosen
        return out

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, label = self.samples[index]
        return self.changed(self.loader(path), label)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Images in folders, one a class, read by `default_loader`. `imgs` is `samples`."""

    def __init__(
        self, root: str | os.PathLike[str], transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None, loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
    ) -> None:  # fmt: skip
        endings = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, endings, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples


class FakeData(VisionDataset):
    """`size` images of noise, each the same whenever it is asked for, with labels below `num_classes`."""

    def __init__(
        self, size: int = 1000, image_size: tuple[int, int, int] = (3, 224, 224), num_classes: int = 10,
        transform: Callable[[Any], Any] | None = None, target_transform: Callable[[Any], Any] | None = None,
        random_offset: int = 0,
    ) -> None:  # fmt: skip
        super().__init__("", None, transform, target_transform)
        self.size, self.image_size, self.num_classes, self.random_offset = size, image_size, num_classes, random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < self.size:
            raise IndexError(f"{type(self).__name__} has {self.size} images, none of number {index}")
        draws = Generator().manual_seed(index + self.random_offset)
        image = randn(*self.image_size, generator=draws)
        label = int(randint(0, self.num_classes, (1,), generator=draws).item())
        array = (image * 255).to(factory.make(np.zeros(1, np.int64)).dtype).numpy().astype(np.uint8)
        return self.changed(as_image(np.ascontiguousarray(array.transpose(1, 2, 0))), label)

    def __len__(self) -> int:
        return self.size
