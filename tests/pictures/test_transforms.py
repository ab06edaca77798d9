"""Transforms of images: each of the kinds (Tensor, array, PIL), beside PyTorch's interpolation and PIL's arithmetic."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.vision import models, utils
from fusewire.vision import transforms as T
from fusewire.vision.pictures import png, read_png
from fusewire.vision.transforms import colours, v2
from fusewire.vision.transforms import functional as F

RNG = np.random.default_rng(1)
PICTURE = RNG.integers(0, 256, (11, 14, 3), dtype=np.uint8)


def tensor(dtype: Any = None) -> Any:
    x = fw.from_numpy(np.ascontiguousarray(PICTURE.transpose(2, 0, 1)))
    return x if dtype is None else F.convert_image_dtype(x, dtype)


def kinds() -> list[tuple[Any, Callable[[Any], Any]]]:
    """The picture in each kind, and how such an image becomes an array [H, W, C]."""
    found: list[tuple[Any, Callable[[Any], Any]]] = [
        (tensor(), lambda t: t.numpy().transpose(1, 2, 0)),
        (PICTURE, lambda a: a),
    ]
    try:
        from PIL import Image
    except ImportError:
        return found
    return [*found, (Image.fromarray(PICTURE), np.asarray)]


CHANGES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "hflip": (F.hflip, lambda a: a[:, ::-1]),
    "vflip": (F.vflip, lambda a: a[::-1]),
    "crop": (lambda x: F.crop(x, 2, 3, 5, 6), lambda a: a[2:7, 3:9]),
    "crop outside": (lambda x: F.crop(x, -1, 10, 5, 6), lambda a: np.pad(a, ((1, 0), (0, 2), (0, 0)))[0:5, 10:16]),
    "center": (T.CenterCrop(5), lambda a: a[3:8, 4:9]),
    "center wide": (T.CenterCrop((5, 20)), lambda a: np.pad(a, ((0, 0), (3, 3), (0, 0)))[3:8]),
    "pad": (T.Pad(2), lambda a: np.pad(a, ((2, 2), (2, 2), (0, 0)))),
    "pad sides": (lambda x: F.pad(x, [1, 2, 3, 4], 7), lambda a: np.pad(a, ((2, 4), (1, 3), (0, 0)), constant_values=7)),
    "reflect": (T.Pad((2, 1), padding_mode="reflect"), lambda a: np.pad(a, ((1, 1), (2, 2), (0, 0)), "reflect")),
    "edge": (T.Pad(3, padding_mode="edge"), lambda a: np.pad(a, ((3, 3), (3, 3), (0, 0)), "edge")),
    "symmetric": (T.Pad(3, padding_mode="symmetric"), lambda a: np.pad(a, ((3, 3), (3, 3), (0, 0)), "symmetric")),
    "turn": (lambda x: F.rotate(x, 180), lambda a: a[::-1, ::-1]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_all_kinds_alike(name: str) -> None:
    change, expected = CHANGES[name]
    for image, array in kinds():
        got = change(image)
        assert type(got) is type(image)
        np.testing.assert_array_equal(array(got), expected(PICTURE))


def test_to_tensor_and_back() -> None:
    for image, _ in kinds()[1:]:
        x = T.ToTensor()(image)
        assert x.dtype is fw.float32 and x.is_contiguous()
        np.testing.assert_array_equal(x.numpy(), PICTURE.transpose(2, 0, 1).astype(np.float32) / np.float32(255))
        assert T.PILToTensor()(image).tolist() == tensor().tolist() == v2.ToImage()(image).tolist()
    assert F.to_tensor(PICTURE[:, :, 0]).shape == (1, 11, 14) and F.to_tensor(PICTURE.astype(np.float64)).dtype is fw.float64
    with pytest.raises(TypeError, match="not a Tensor"):
        T.ToTensor()(tensor())
    with pytest.raises(TypeError, match="an image is"):
        T.ToTensor()("picture")
    if len(kinds()) == 3:
        assert np.array_equal(np.asarray(T.ToPILImage()(tensor())), PICTURE)
        assert (
            np.array_equal(np.asarray(T.ToPILImage()(tensor(fw.float32))), PICTURE)
            and T.ToPILImage()(PICTURE[:, :, 0]).mode == "L"
        )
    assert v2.Compose([v2.ToImage(), v2.ToDtype(fw.float32, scale=True)])(PICTURE).tolist() == T.ToTensor()(PICTURE).tolist()


@pytest.mark.parametrize("source", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("target", ["uint8", "int16", "int32", "float32", "float16"])
def test_dtypes_are_scaled_to_their_range(source: str, target: str) -> None:
    a, b = getattr(fw, source), getattr(fw, target)
    top = {"uint8": 255, "int16": 32767, "int32": 2147483647}.get(source, 1.0)
    x = fw.tensor([0, top], dtype=a).view(1, 1, 2)
    if (source, target) == ("float32", "int32"):
        with pytest.raises(RuntimeError, match="does not hold the range"):
            F.convert_image_dtype(x, b)
        return
    got = F.convert_image_dtype(x, b)
    limit = {"uint8": 255, "int16": 32767, "int32": 2147483647}.get(target, 1.0)
    assert got.dtype is b and got.flatten()[0] == 0 and 0.99 * limit <= float(got.flatten()[1]) <= limit


def test_normalize() -> None:
    x = tensor(fw.float32)
    expected = (x.numpy() - np.array([0.5, 0.4, 0.3], np.float32).reshape(3, 1, 1)) / np.float32(0.25)
    got = T.Normalize((0.5, 0.4, 0.3), (0.25, 0.25, 0.25))(x)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)
    leaf = x.clone().requires_grad_()
    T.Normalize(0.5, 0.25)(leaf).sum().backward()
    assert leaf.grad is not None and leaf.grad.min() == leaf.grad.max() == 4
    again = x.clone()
    assert F.normalize(again, [0.5, 0.4, 0.3], [0.25], inplace=True) is again and np.allclose(again.numpy(), expected)
    for bad in (
        lambda: F.normalize(tensor(), [0.5], [0.5]),
        lambda: F.normalize(x, [0.5] * 2, [0.5] * 2),
        lambda: F.normalize(x, [0], [0]),
    ):
        with pytest.raises((TypeError, ValueError)):
            bad()


@pytest.mark.parametrize("size", [(5, 7), (22, 28), (4, 30), (11, 14), (1, 1)])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_resize_is_pytorchs_interpolation(size: tuple[int, int], mode: str, antialias: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    smooth = mode in ("bilinear", "bicubic")
    options = {"align_corners": False, "antialias": antialias} if smooth else {}
    x = RNG.random((2, 3, 11, 14), dtype=np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(x), size, mode=mode, **options).numpy()
    got = F.resize(fw.from_numpy(x), list(size), F.InterpolationMode(mode), antialias=antialias).numpy()
    np.testing.assert_allclose(got, expected, atol=2e-6)
    whole = (x * 255).astype(np.uint8)
    if smooth and size != (1, 1):  # where PyTorch's own check fails
        expected = torch.nn.functional.interpolate(torch.from_numpy(whole), size, mode=mode, **options).numpy()
        got = F.resize(fw.from_numpy(whole), list(size), F.InterpolationMode(mode), antialias=antialias).numpy()
        assert np.abs(got.astype(int) - expected.astype(int)).max() <= 1  # PyTorch's whole numbers are of fixed point


def test_resize_of_all_kinds() -> None:
    images = [array(F.resize(image, (6, 8))) for image, array in kinds()]
    assert all(a.shape == (6, 8, 3) and a.dtype == np.uint8 and np.abs(a.astype(int) - images[0]).max() <= 2 for a in images)
    assert F.resize(tensor(), 22).shape == (3, 22, 28) and F.resize(tensor(), 10, max_size=11).shape == (3, 9, 11)
    assert F.resize(PICTURE[:, :, 0], 5).shape == (5, 6)
    leaf = tensor(fw.float32).requires_grad_()
    F.resize(leaf, (6, 8)).sum().backward()
    assert leaf.grad is not None and abs(float(leaf.grad.sum()) - 3 * 6 * 8) < 1e-3
    for bad in (lambda: T.Resize("x"), lambda: T.Resize([1, 2, 3]), lambda: F.resize(tensor(), (3, 3), "bikubic")):
        with pytest.raises((TypeError, ValueError)):
            bad()


def test_random_ones_draw_from_the_generator() -> None:
    steps = [
        T.RandomCrop(8, padding=2),
        T.RandomHorizontalFlip(),
        T.RandomVerticalFlip(),
        T.RandomResizedCrop(6),
        T.RandomRotation(30),
        T.ColorJitter(0.4, 0.4, 0.4, 0.2),
        T.RandomGrayscale(0.5),
        T.RandomApply([T.CenterCrop(8)]),
        T.RandomOrder([T.CenterCrop(8), T.Pad(1)]),
        T.RandomChoice([T.CenterCrop(8), T.CenterCrop(6)]),
        T.RandomChoice([T.CenterCrop(8), T.CenterCrop(6)], p=[0.0, 1.0]),
    ]
    for step in steps:
        for image, array in kinds():
            fw.manual_seed(3)
            first = [array(step(image)).tolist() for _ in range(6)]
            fw.manual_seed(3)
            assert [array(step(image)).tolist() for _ in range(6)] == first and str(step)
            assert len({str(a) for a in first}) > 1 or isinstance(step, T.RandomChoice)
    fw.manual_seed(0)
    flips = [F.hflip(tensor()).tolist() == T.RandomHorizontalFlip(0.25)(tensor()).tolist() for _ in range(400)]
    assert 60 < sum(flips) < 140
    erased = T.RandomErasing(1.0, value=(1, 2, 3))(tensor(fw.float32))
    assert any((erased[c] == c + 1).any() for c in range(3)) and T.RandomErasing(0.0)(tensor()).tolist() == tensor().tolist()
    assert T.RandomErasing(1.0, value="random")(tensor(fw.float32)).shape == (3, 11, 14)
    assert T.RandomCrop(20, pad_if_needed=True)(tensor()).shape == (3, 20, 20)
    for bad in (
        lambda: T.RandomCrop(20)(tensor()),
        lambda: T.RandomErasing(2),
        lambda: T.ColorJitter(-1),
        lambda: T.ColorJitter(hue=0.6),
    ):
        with pytest.raises(ValueError):
            bad()


def test_colours() -> None:
    x = PICTURE.astype(np.float64)
    luminance = x @ [0.2989, 0.587, 0.114]
    for image, array in kinds():
        grey = array(T.Grayscale(3)(image))
        assert np.abs(grey[:, :, 1] - luminance).max() <= 1.01
        for change, expected in (
            (colours.adjust_brightness, lambda f: f * x),
            (colours.adjust_contrast, lambda f: f * x + (1 - f) * np.floor(luminance).mean()),
            (colours.adjust_saturation, lambda f: f * x + (1 - f) * luminance[:, :, None]),
        ):
            for factor in (0.0, 0.5, 1.0, 1.7):
                assert np.abs(array(change(image, factor)).astype(int) - np.clip(expected(factor), 0, 255)).max() <= 2
        assert np.abs(array(colours.adjust_hue(image, 0.0)).astype(int) - x).max() <= 1
        turned = array(colours.adjust_hue(image, 1 / 3))
        assert (
            np.abs(np.sort(turned, -1).astype(int) - np.sort(PICTURE, -1)).max() <= 2
        )  # a third of the circle moves the channels
        assert np.abs(turned.astype(int) - np.roll(x, 1, -1)).max() <= 2


def test_crops_in_tuples() -> None:
    assert [tuple(t.shape) for t in T.FiveCrop(5)(tensor())] == [(3, 5, 5)] * 5 and len(T.TenCrop((4, 5))(tensor())) == 10
    assert T.FiveCrop(5)(tensor())[3].tolist() == tensor()[:, 6:, 9:].tolist()
    assert F.get_dimensions(tensor()) == F.get_dimensions(PICTURE) == [3, 11, 14] and F.get_image_size(PICTURE) == [14, 11]
    assert F.rotate(tensor(), 90, expand=True).tolist() == tensor().rot90(1, (-2, -1)).tolist()
    assert F.rotate(tensor(fw.float32), 7.0, F.InterpolationMode.BILINEAR, fill=0.5).shape == (3, 11, 14)


# ---- pictures ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_png_files(channels: int, tmp_path: Path) -> None:
    array = RNG.integers(0, 256, (9, 13, channels) if channels else (9, 13), dtype=np.uint8)
    (tmp_path / "x.png").write_bytes(png(array))
    expected = array if not channels else array[:, :, 0] if channels < 3 else array[:, :, :3]
    assert np.array_equal(read_png(tmp_path / "x.png"), expected)
    Image = pytest.importorskip("PIL.Image", reason="Pillow (extra vision)")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "x.png")).reshape(array.shape), array)
    smooth = np.add.outer(np.arange(40), 3 * np.arange(50)).astype(np.uint8)
    picture = np.stack([smooth, smooth.T[:40, :40].repeat(2, 1)[:, :50], 255 - smooth], -1)
    Image.fromarray(picture).save(tmp_path / "filtered.png")  # PIL takes each row's best filter
    assert np.array_equal(read_png(tmp_path / "filtered.png"), picture)
    Image.fromarray(picture).quantize(16).save(tmp_path / "table.png")
    if read_bits(tmp_path / "table.png") == 8:
        assert np.array_equal(read_png(tmp_path / "table.png"), np.asarray(Image.open(tmp_path / "table.png").convert("RGB")))


def read_bits(path: Path) -> int:
    return path.read_bytes()[24]


def test_make_grid_and_save_image(tmp_path: Path) -> None:
    x = fw.rand(5, 3, 4, 6)
    grid = utils.make_grid(x, nrow=3, padding=1, pad_value=0.5)
    assert grid.shape == (3, 2 * 5 + 1, 3 * 7 + 1) and grid[:, 6:10, 8:14].tolist() == x[4].tolist() and grid[0, 0, 0] == 0.5
    assert utils.make_grid([fw.ones(1, 4, 4)] * 2).shape == (3, 8, 14) and utils.make_grid(fw.ones(4, 4)).shape == (3, 4, 4)
    scaled = utils.make_grid(x * 10 - 3, normalize=True, scale_each=True, padding=0, nrow=5)
    assert scaled.min() == 0 and abs(float(scaled.max()) - 1) < 1e-6
    utils.save_image(x, tmp_path / "x.png", nrow=3)
    expected = (utils.make_grid(x, nrow=3).numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    assert np.array_equal(read_png(tmp_path / "x.png"), expected)
    buffer = io.BytesIO()
    utils.save_image(x[0], buffer)
    assert buffer.getvalue()[:4] == b"\x89PNG"
    with pytest.raises(TypeError, match="a grid is made of"):
        utils.make_grid("x")  # type: ignore[arg-type]


# ---- models --------------------------------------------------------------------------------------------------------------
def test_resnets() -> None:
    model = models.resnet18(num_classes=7).eval()
    assert model(fw.ones(1, 3, 32, 32)).shape == (1, 7)
    names = list(model.state_dict())
    assert (
        len(names) == 122
        and names[:6]
        == [
            "conv1.weight",
            "bn1.weight",
            "bn1.bias",
            "bn1.running_mean",
            "bn1.running_var",
            "bn1.num_batches_tracked",
        ]
        and "layer2.0.downsample.1.running_var" in names
        and names[-2:] == ["fc.weight", "fc.bias"]
    )
    sizes = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}
    for name, count in sizes.items():
        assert sum(p.numel() for p in getattr(models, name)().parameters()) == count
    with pytest.raises(ValueError, match="weights=None"):
        models.resnet50(weights="DEFAULT")
    assert models.lenet()(fw.ones(2, 1, 28, 28)).shape == (2, 10)
