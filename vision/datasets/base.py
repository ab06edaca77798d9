"""What the image data sets have in common: a folder, transforms of image and label, a text."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...utils.data import Dataset


class VisionDataset(Dataset):
    """Images with labels from the folder `root`. `transforms` takes both; `transform` the image and `target_transform` the label.
    ValueError for both ways at once."""

    def __init__(
        self, root: str | os.PathLike[str], transforms: Callable[[Any, Any], Any] | None = None,
        transform: Callable[[Any], Any] | None = None, target_transform: Callable[[Any], Any] | None = None,
    ) -> None:  # fmt: skip
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError("transforms takes image and label at once: transform and target_transform do not go with it")
        self.root = Path(root).expanduser()
        self.transforms, self.transform, self.target_transform = transforms, transform, target_transform

    def __len__(self) -> int:
        raise NotImplementedError

    def changed(self, image: Any, target: Any) -> tuple[Any, Any]:
        """Both after their transforms."""
        if self.transforms is not None:
            return self.transforms(image, target)  # type: ignore[no-any-return]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def extra_repr(self) -> str:
        """A further line of the text."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}", f"Root location: {self.root}", *filter(None, [self.extra_repr()])]
        if self.transform is not None or self.target_transform is not None:
            lines.append("StandardTransform")
            for name, value in (("Transform", self.transform), ("Target transform", self.target_transform)):
                if value is not None:
                    lines.append(f"{name}: " + str(value).replace("\n", "\n" + " " * (len(name) + 2)))
        lines = [lines[0], *lines[1:]]
        body = "\n".join("    " + line.replace("\n", "\n    ") if line != "StandardTransform" else line for line in lines)
        return f"Dataset {type(self).__name__}\n{body}"


class Classified(VisionDataset):
    """A published set in two parts, one to train and one to test, of images in named classes."""

    classes: list[str]

    def __init__(
        self, root: str | os.PathLike[str], train: bool = True, transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None, download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, None, transform, target_transform)
        self.train = train
        if download:
            self.download()
        self._read()

    def download(self) -> None:
        """Fetch the files that are not there. FileError where they cannot be had or are damaged."""
        raise NotImplementedError

    def _read(self) -> None:
        """Take the images and labels of the part from its files."""
        raise NotImplementedError

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Label by name."""
        return {name: i for i, name in enumerate(self.classes)}

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"
