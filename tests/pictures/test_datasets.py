"""Readers of published data sets, on synthesised files in their formats: values, missing and damaged files, fetching."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import pickle
import struct
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.errors import FileError
from fusewire.vision import datasets, transforms

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (20, 28, 28), dtype=np.uint8), RNG.integers(0, 10, 20, dtype=np.uint8)
PLANES = RNG.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)


@pytest.fixture(params=["with PIL", "without PIL"], autouse=True)
def pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images as PIL's, and as arrays where it is not installed."""
    if request.param == "without PIL":
        monkeypatch.setitem(sys.modules, "PIL", None)
        monkeypatch.delitem(sys.modules, "PIL.Image", raising=False)
    else:
        pytest.importorskip("PIL", reason="Pillow (extra vision)")


def idx(array: Any, code: int = 8) -> bytes:
    big = array.astype(array.dtype.newbyteorder(">"))
    return struct.pack(">HBB", 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + big.tobytes()


def mnist(root: Path, name: str = "MNIST", packed: bool = False) -> Path:
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind, data in ((f"{part}-images-idx3-ubyte", idx(IMAGES)), (f"{part}-labels-idx1-ubyte", idx(LABELS))):
            (folder / (kind + ".gz" * packed)).write_bytes(gzip.compress(data) if packed else data)
    return folder


@pytest.mark.parametrize("kind", ["MNIST", "FashionMNIST", "KMNIST"])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist(kind: str, packed: bool, tmp_path: Path) -> None:
    mnist(tmp_path, kind, packed)
    data = getattr(datasets, kind)(
        tmp_path, train=not packed, transform=transforms.ToTensor(), target_transform=lambda y: y + 100
    )
    assert data.data.tolist() == IMAGES.tolist() and data.targets.tolist() == LABELS.tolist() and data.targets.dtype is fw.int64
    x, y = data[7]
    assert x.shape == (1, 28, 28) and x.dtype is fw.float32 and y == 100 + LABELS[7] and len(data) == 20
    np.testing.assert_array_equal(x.numpy()[0], IMAGES[7].astype(np.float32) / np.float32(255))
    assert len(data.classes) == 10 and data.class_to_idx[data.classes[3]] == 3
    assert "Number of datapoints: 20" in str(data) and "ToTensor()" in str(data)
    image, _ = getattr(datasets, kind)(str(tmp_path))[7]
    assert np.array_equal(np.asarray(image), IMAGES[7])


def test_a_loop_over_mnist_with_workers(tmp_path: Path) -> None:
    mnist(tmp_path)
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    loader = fw.utils.data.DataLoader(datasets.MNIST(tmp_path, transform=steps), batch_size=8, num_workers=1)
    batches = list(loader)
    assert [len(y) for _, y in batches] == [8, 8, 4] and batches[0][0].shape == (8, 1, 28, 28)
    expected = (IMAGES[:8].astype(np.float32) / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(batches[0][0].numpy()[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("code, dtype", [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")])
def test_idx_files(code: int, dtype: str, tmp_path: Path) -> None:
    array = (np.arange(24) - (0 if dtype == "u1" else 5)).reshape(2, 3, 4).astype(dtype)
    (tmp_path / "x").write_bytes(idx(array, code))
    found = datasets.read_idx(tmp_path / "x").numpy()
    assert found.dtype == np.dtype(dtype) and np.array_equal(found, array)


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"train-images-idx3-ubyte\.gz is missing\. Put .*https://.*MD5 f68b3c.*download=True"
    ):
        datasets.MNIST(tmp_path)
    with pytest.raises(RuntimeError, match="is missing"):  # what torchvision raises
        datasets.CIFAR10(tmp_path)
    folder = mnist(tmp_path)
    images = folder / "train-images-idx3-ubyte"
    for data in (
        idx(IMAGES)[:-1],
        idx(IMAGES) + b"x",
        b"",
        b"\0\0",
        idx(IMAGES)[:9],
        b"\0\0\x07\x01" + bytes(8),
        idx(IMAGES[:, :27]),
    ):
        images.write_bytes(data)
        with pytest.raises(FileError, match=r"train-images-idx3-ubyte|MNIST/raw is damaged"):
            datasets.MNIST(tmp_path)
    images.unlink()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES))[:-9])
    with pytest.raises(FileError, match=r"\.gz is damaged"):
        datasets.MNIST(tmp_path)


# ---- CIFAR ---------------------------------------------------------------------------------------------------------------
def batch(number: int, label: bytes = b"labels", classes: int = 10) -> dict[bytes, Any]:
    data = np.roll(PLANES, number, 0).reshape(6, -1)
    return {b"data": data, label: [(i + number) % classes for i in range(6)], b"batch_label": b"some", b"filenames": ["a"] * 6}


def cifar(root: Path) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        (folder / name).write_bytes(pickle.dumps(batch(i), 2))
    return folder


def test_cifar(tmp_path: Path) -> None:
    cifar(tmp_path)
    data = datasets.CIFAR10(tmp_path, transform=transforms.ToTensor())
    assert len(data) == 30 and data.targets[6:12] == [1, 2, 3, 4, 5, 6] and data.data.shape == (30, 32, 32, 3)
    np.testing.assert_array_equal(data[8][0].numpy(), np.roll(PLANES, 1, 0)[2].astype(np.float32) / np.float32(255))
    test = datasets.CIFAR10(tmp_path, train=False)
    assert len(test) == 6 and np.array_equal(np.asarray(test[0][0]), np.roll(PLANES, 5, 0)[0].transpose(1, 2, 0))
    hundred = tmp_path / "cifar-100-python"
    hundred.mkdir()
    (hundred / "train").write_bytes(pickle.dumps(batch(90, b"fine_labels", 100), 2))
    assert datasets.CIFAR100(tmp_path).targets == [90, 91, 92, 93, 94, 95] and len(datasets.CIFAR100.classes) == 100


def test_cifar_as_binary_files(tmp_path: Path) -> None:
    for name, kind, head in (("cifar-10-batches-bin", datasets.CIFAR10, 1), ("cifar-100-binary", datasets.CIFAR100, 2)):
        (tmp_path / name).mkdir()
        rows = b"".join(bytes([7] * (head - 1) + [i + 2]) + PLANES[i].tobytes() for i in range(6))
        for file in kind.train_files:
            (tmp_path / name / f"{file}.bin").write_bytes(rows)
        data = kind(tmp_path)
        assert data.targets[:6] == [2, 3, 4, 5, 6, 7] and np.array_equal(data.data[4], PLANES[4].transpose(1, 2, 0))
        (tmp_path / name / f"{file}.bin").write_bytes(rows[:-1])
        with pytest.raises(FileError, match="no whole number of records"):
            kind(tmp_path)


def test_damaged_and_hostile_batches(tmp_path: Path) -> None:
    folder = cifar(tmp_path)

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("echo harm",)

    whole = {b"data": np.zeros((10_000, 3072), np.uint8), b"labels": [0] * 10_000}
    for value, words in (
        ({b"data": PLANES.reshape(6, -1)}, "holds no data"),
        ([1], "holds no data"),
        ({**batch(0), b"labels": [0] * 5}, "do not belong"),
        ({**batch(0), b"labels": [10] * 6}, "do not belong"),
        ({**batch(0), b"data": Evil()}, r"data_batch_1.* asks for (posix|nt)\.system"),
        (whole, "its MD5 is"),
    ):
        (folder / "data_batch_1").write_bytes(pickle.dumps(value, 2))
        with pytest.raises(FileError, match=words):
            datasets.CIFAR10(tmp_path)


# ---- fetching --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """(folder, address) of files that a server on this machine gives."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield folder, f"http://127.0.0.1:{web.server_address[1]}/"
        web.shutdown()
        thread.join()


def test_fetching_mnist(server: tuple[Path, str], tmp_path: Path) -> None:
    served, address = server
    folder = mnist(tmp_path / "made", packed=True)
    sums = {}
    for file in folder.iterdir():
        sums[file.name] = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        (served / file.name).write_bytes(file.read_bytes())

    class MNIST(datasets.MNIST):
        mirrors = (f"{address}nowhere/", address)
        checksums = sums

    data = MNIST(tmp_path / "a", download=True)
    assert data.data.tolist() == IMAGES.tolist() and sorted(os.listdir(data.raw_folder)) == sorted(sums)
    MNIST.mirrors = ("http://127.0.0.1:9/",)
    assert len(MNIST(tmp_path / "a", download=True)) == 20  # what is there is not fetched
    with pytest.raises(FileError, match=r"could not be fetched\. http://127\.0\.0\.1:9/"):
        MNIST(tmp_path / "b", download=True)
    MNIST.mirrors = (address,)
    (served / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(FileError, match=r"damaged, its MD5 is"):
        MNIST(tmp_path / "c", download=True)
    assert not any(name.startswith(".") or "train-images" in name for name in os.listdir(tmp_path / "c" / "MNIST" / "raw"))


def test_fetching_cifar(server: tuple[Path, str], tmp_path: Path) -> None:
    served, address = server
    folder = cifar(tmp_path / "made")

    def packed(outside: bool = False) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            for file in sorted(folder.iterdir()):
                tar.add(file, f"cifar-10-batches-py/{file.name}")
            if outside:
                tar.add(file, "../../harm")
        return out.getvalue()

    for outside in (False, True):
        data = packed(outside)
        (served / "cifar-10-python.tar.gz").write_bytes(data)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()

        class CIFAR10(datasets.CIFAR10):
            archive = type(datasets.CIFAR10.archive)("cifar-10-python.tar.gz", md5, (address,))

        if outside:
            with pytest.raises(FileError, match="would lie outside"):
                CIFAR10(tmp_path / "b", download=True)
            assert not (tmp_path / "harm").exists()
        else:
            assert len(CIFAR10(tmp_path / "a", download=True)) == 30


# ---- folders, noise --------------------------------------------------------------------------------------------------------
def test_image_folder(tmp_path: Path) -> None:
    from fusewire.vision.pictures import write_png

    picture = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    for name in ("dog/a.png", "cat/deep/b.npy", "cat/c.ppm", "cat/notes.txt", "cat/d.pgm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("no picture")
    write_png(picture, tmp_path / "dog/a.png")
    np.save(tmp_path / "cat/deep/b.npy", picture)
    (tmp_path / "cat/c.ppm").write_bytes(b"P6\n# a remark\n7 5\n255\n" + picture.tobytes())
    (tmp_path / "cat/d.pgm").write_bytes(b"P5 7 5 255\n" + picture[:, :, 0].tobytes())
    data = datasets.ImageFolder(tmp_path, transform=transforms.ToTensor())
    assert data.classes == ["cat", "dog"] and [Path(p).name for p, _ in data.imgs] == ["c.ppm", "d.pgm", "b.npy", "a.png"]
    assert data.targets == [0, 0, 0, 1]
    for i in (0, 2, 3):
        np.testing.assert_array_equal((data[i][0].numpy() * 255).round().transpose(1, 2, 0), picture)
    assert data[1][0].shape == (3, 5, 7)
    (tmp_path / "dog/a.png").write_bytes((tmp_path / "dog/a.png").read_bytes()[:150])
    with pytest.raises(FileError, match=r"a\.png"):
        data[3]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no file"):
        datasets.ImageFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no folders"):
        datasets.ImageFolder(tmp_path / "empty")


def test_fake_data_is_the_same_each_time() -> None:
    data = datasets.FakeData(4, (3, 8, 9), 5, transform=transforms.ToTensor())
    (x, y), (again, _) = data[2], data[2]
    assert x.shape == (3, 8, 9) and 0 <= y < 5 and x.tolist() == again.tolist() != data[1][0].tolist()
    with pytest.raises(IndexError):
        data[4]
