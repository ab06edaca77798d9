"""Suite `data`: microseconds a sample that a DataLoader takes with 0, 1 and 2 worker processes, beside PyTorch's.

Items: rows of a TensorDataset; 784 floats, cut from a tensor or an array; a 3x32x32 image with a transform; and 1.5 ms of Python.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import peers
from .row import Row, package

Array = np.ndarray[Any, Any]
COUNT, BATCH = 16_384, 64


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """One row for each kind of items and number of workers: the best of a few passes with workers that stay."""
    with _all_cores():
        yield from _rows_of(threads, quick)


@contextmanager
def _all_cores() -> Iterator[None]:
    """Workers are processes beside this one: for as long as they run this process may use all cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _rows_of(threads: int, quick: bool) -> Iterator[Row]:
    fw, torch = package(), peers.torch_at(threads)
    fw.set_num_threads(threads)
    libraries = {"fusewire": fw, **({peers.TORCH_EAGER: torch} if torch is not None else {})}
    for name, make in ITEMS.items():
        for workers in (0, 1, 2):
            loaders = {of: _loader(library, make(library), workers) for of, library in libraries.items()}
            passes = [{of: _pass(loader) for of, loader in loaders.items()} for _ in range(3 if quick else 7)]
            times = {of: min(p[of] for p in passes) for of in loaders}
            facts = {"samples_per_second": {of: round(1e6 / t) for of, t in times.items()}}
            yield Row("data", f"{name}, {workers} workers", threads, "us/sample", times, facts)


def _loader(library: Any, dataset: Any, workers: int) -> Any:
    return library.utils.data.DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)


def _pass(loader: Any) -> float:
    """Microseconds a sample."""
    start, count = time.perf_counter(), 0
    for _, labels in loader:
        count += len(labels)
    return 1e6 * (time.perf_counter() - start) / count


def _dataset(library: Any, count: int, item: Callable[[int], Any]) -> Any:
    class Items(library.utils.data.Dataset):  # type: ignore[name-defined,misc]
        def __len__(self) -> int:
            return count

        def __getitem__(self, i: int) -> Any:
            return item(i)

    return Items()


def _rows() -> Array:
    return np.random.default_rng(0).standard_normal((COUNT, 784)).astype(np.float32)


def _whole(library: Any) -> Any:
    return library.utils.data.TensorDataset(library.from_numpy(_rows()), library.arange(COUNT) % 10)


def _tensors(library: Any) -> Any:
    x = library.from_numpy(_rows())
    return _dataset(library, COUNT, lambda i: (x[i], i % 10))


def _arrays(library: Any) -> Any:
    x = _rows()
    return _dataset(library, COUNT, lambda i: (x[i], i % 10))


def _images(library: Any) -> Any:
    """As a reader of CIFAR with ToTensor, a flip and Normalize does, in the library's own tensor functions."""
    images = np.random.default_rng(0).integers(0, 256, (COUNT // 4, 32, 32, 3), dtype=np.uint8)
    mean, std = (library.tensor(v).view(3, 1, 1) for v in ([0.49, 0.48, 0.45], [0.2, 0.2, 0.2]))

    def item(i: int) -> Any:
        x = library.from_numpy(images[i]).permute(2, 0, 1).to(library.float32).div(255)
        return ((x.flip(-1) if i & 1 else x) - mean) / std, i % 10

    return _dataset(library, COUNT // 4, item)


def _compose(library: Any) -> Any:
    """The same by ToTensor, a flip and Normalize: fusewire's of `vision.transforms`; for PyTorch, whose torchvision need not be
    here, the tensor functions that torchvision's documentation names for them."""
    images = np.random.default_rng(0).integers(0, 256, (COUNT // 4, 32, 32, 3), dtype=np.uint8)
    mean, std = [0.49, 0.48, 0.45], [0.2, 0.2, 0.2]
    if library is package():
        steps = library.vision.transforms.functional

        def change(image: Array, turn: bool) -> Any:
            x = steps.to_tensor(image)
            return steps.normalize(steps.hflip(x) if turn else x, mean, std)

    else:

        def change(image: Array, turn: bool) -> Any:
            x = library.from_numpy(image.transpose(2, 0, 1)).contiguous().to(library.float32).div(255)
            x = x.flip(-1) if turn else x
            return x.clone().sub_(library.as_tensor(mean).view(-1, 1, 1)).div_(library.as_tensor(std).view(-1, 1, 1))

    return _dataset(library, COUNT // 4, lambda i: (change(images[i], bool(i & 1)), i % 10))


def _slow(library: Any) -> Any:
    def item(i: int) -> Any:
        total = 0
        for k in range(20_000):
            total += k * k
        return library.full((16,), float(total % 7)), i

    return _dataset(library, 640, item)


ITEMS: dict[str, Callable[[Any], Any]] = {
    "rows of a TensorDataset": _whole, "784 floats of a tensor": _tensors, "784 floats of an array": _arrays,
    "images 3x32x32 with tensor functions": _images, "images 3x32x32 with transforms": _compose, "1.5 ms of Python": _slow,
}  # fmt: skip
