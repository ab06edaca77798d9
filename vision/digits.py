"""Handwritten digits: 1,797 grey 8x8 images from 43 writers, with their labels.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998),
https://doi.org/10.24432/C50P49, test part; licence CC BY 4.0.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from ..eager.tensor import Tensor
from ..utils.data import TensorDataset


def load_digits(train: bool = True, test_every: int = 5) -> TensorDataset:
    """Images f32[n,64] scaled to 0..1 and labels i64[n]. Every `test_every`-th image is the test part, the others train."""
    with files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as data:
        images, labels = data["images"], data["labels"]
    test = np.arange(len(labels)) % test_every == test_every - 1
    chosen = ~test if train else test
    x = (images[chosen].reshape(-1, 64) / 16.0).astype(np.float32)
    return TensorDataset(Tensor._from_array(x), Tensor._from_array(labels[chosen].astype(np.int64)))
