"""Layers and functions over windows, and batch normalisation, against PyTorch: values, gradients, statistics, text, keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
import fusewire.nn.functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def compare(theirs: Callable[..., Any], ours: Callable[..., Any], arrays: list[np.ndarray], **kw: Any) -> None:
    """Results and gradients agree."""
    want_in, got_in = [torch.tensor(a, requires_grad=True) for a in arrays], [fw.tensor(a, requires_grad=True) for a in arrays]
    want, got = theirs(*want_in, **kw), ours(*got_in, **kw)
    want, got = (x if isinstance(x, tuple) else (x,) for x in (want, got))
    for a, b in zip(want, got, strict=True):
        assert str(a.dtype) == f"torch.{b.dtype.name}"
        assert tuple(a.shape) == tuple(b.shape)
        np.testing.assert_allclose(b.detach().numpy(), a.detach().numpy(), rtol=2e-5, atol=2e-5)
    seed = draw(*want[0].shape)
    want[0].backward(torch.tensor(seed))
    got[0].backward(fw.tensor(seed))
    for a, b in zip(want_in, got_in, strict=True):
        assert a.grad is not None
        assert b.grad is not None
        np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=2e-4, atol=2e-4)


CONVOLUTIONS: list[tuple[str, list[tuple[int, ...]], dict[str, Any]]] = [
    ("conv2d", [(2, 4, 9, 8), (6, 4, 3, 3), (6,)], {"padding": 1, "stride": 2}),
    ("conv2d", [(2, 4, 9, 8), (6, 4, 5, 3), (6,)], {"padding": "same", "dilation": (1, 2)}),
    ("conv2d", [(4, 9, 8), (6, 2, 3, 3)], {"groups": 2, "dilation": 2}),
    ("conv1d", [(2, 4, 9), (6, 4, 3), (6,)], {"padding": 1, "stride": 2}),
    ("conv3d", [(2, 2, 5, 4, 6), (3, 2, 3, 2, 1), (3,)], {"padding": (1, 0, 1)}),
    ("conv_transpose2d", [(2, 4, 5, 4), (4, 3, 3, 3), (3,)], {"stride": 2, "padding": 1, "output_padding": 1}),
    ("conv_transpose2d", [(2, 4, 5, 4), (4, 3, 3, 2), (6,)], {"stride": 2, "groups": 2, "dilation": 2}),
    ("conv_transpose1d", [(4, 5), (4, 3, 3)], {"stride": 3}),
    ("conv_transpose3d", [(1, 2, 3, 3, 2), (2, 2, 2, 2, 2)], {"stride": (1, 2, 1)}),
]


@pytest.mark.parametrize(("name", "shapes", "kw"), CONVOLUTIONS)
def test_convolutions(name: str, shapes: list[tuple[int, ...]], kw: dict[str, Any]) -> None:
    compare(getattr(TF, name), getattr(F, name), [draw(*s) for s in shapes], **kw)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding_of_even_kernels_is_longer_behind() -> None:
    compare(TF.conv2d, F.conv2d, [draw(2, 4, 9, 8), draw(6, 4, 4, 3)], padding="same")


POOLS: list[dict[str, Any]] = [
    {"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": (2, 3), "stride": 3, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
]  # fmt: skip


@pytest.mark.parametrize("kw", POOLS)
def test_pools(kw: dict[str, Any]) -> None:
    x = [draw(2, 3, 8, 9)]
    compare(TF.max_pool2d, F.max_pool2d, x, return_indices=True, **kw)
    compare(TF.avg_pool2d, F.avg_pool2d, x, **kw)
    compare(TF.avg_pool2d, F.avg_pool2d, x, count_include_pad=False, **kw)
    compare(TF.avg_pool2d, F.avg_pool2d, x, divisor_override=5, **kw)


def test_pools_of_lines_and_dilated_ones() -> None:
    compare(TF.max_pool2d, F.max_pool2d, [draw(2, 3, 8, 9)], kernel_size=3, dilation=2, stride=1, return_indices=True)
    compare(TF.max_pool1d, F.max_pool1d, [draw(3, 8)], kernel_size=3)
    compare(TF.avg_pool1d, F.avg_pool1d, [draw(2, 3, 8)], kernel_size=3)
    compare(TF.max_pool3d, F.max_pool3d, [draw(1, 2, 4, 5, 4)], kernel_size=2)


@pytest.mark.parametrize("size", [1, (2, 3), (3, 4), (None, 5), 7, (8, 9)])
def test_adaptive_pools(size: Any) -> None:
    compare(TF.adaptive_avg_pool2d, F.adaptive_avg_pool2d, [draw(2, 3, 8, 9)], output_size=size)
    compare(TF.adaptive_max_pool2d, F.adaptive_max_pool2d, [draw(2, 3, 8, 9)], output_size=size)


@pytest.mark.parametrize("kw", [
    {"scale_factor": 2}, {"size": (5, 13)}, {"scale_factor": 1.7}, {"scale_factor": 2, "mode": "bilinear"},
    {"size": (5, 13), "mode": "bilinear", "align_corners": True}, {"size": (5, 13), "mode": "bilinear", "align_corners": False},
])  # fmt: skip
def test_interpolation(kw: dict[str, Any]) -> None:
    compare(TF.interpolate, F.interpolate, [draw(2, 3, 8, 9)], **kw)


def test_group_and_instance_norm() -> None:
    arrays = [draw(2, 4, 3, 5), draw(4), draw(4) + 1]
    compare(lambda x, w, b: TF.group_norm(x, 2, w, b), lambda x, w, b: F.group_norm(x, 2, w, b), arrays)
    compare(lambda x, w, b: TF.instance_norm(x, weight=w, bias=b), lambda x, w, b: F.instance_norm(x, weight=w, bias=b), arrays)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("compiled", [False, True])
def test_batch_norm_follows_the_batches(momentum: float | None, compiled: bool) -> None:
    theirs, ours = torch.nn.BatchNorm2d(4, momentum=momentum), fw.nn.BatchNorm2d(4, momentum=momentum)
    run = fw.compile(ours) if compiled else ours
    for k in range(3):
        compare(theirs, run, [draw(2, 4, 3, 5 + k)])
    for (name, want), (own, got) in zip(theirs.state_dict().items(), ours.state_dict().items(), strict=True):
        assert name == own
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5, err_msg=name)
    theirs.eval()
    ours.eval()
    compare(theirs, run, [draw(2, 4, 3, 5)])


LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Conv2d", (3, 4, 3), {"padding": 1}), ("Conv1d", (3, 4, 3), {}), ("Conv3d", (2, 2, 3), {"stride": 2}),
    ("Conv2d", (4, 4, (3, 2)), {"padding": "same", "groups": 2, "bias": False, "dilation": 2}),
    ("ConvTranspose2d", (3, 4, 3), {"stride": 2, "output_padding": 1}), ("ConvTranspose1d", (2, 4, 3), {}),
    ("MaxPool2d", (2,), {}), ("MaxPool1d", (2,), {}), ("AvgPool2d", (2,), {}), ("AvgPool1d", (2,), {}),
    ("AdaptiveAvgPool2d", ((1, 1),), {}), ("AdaptiveMaxPool2d", (2,), {}), ("BatchNorm1d", (3,), {}),
    ("BatchNorm2d", (3,), {"affine": False}), ("GroupNorm", (2, 4), {}), ("Upsample", (), {"scale_factor": 2}),
    ("Upsample", (), {"size": (3, 4), "mode": "bilinear"}), ("Dropout2d", (), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kw"), LAYERS)
def test_text_and_state_are_pytorchs(name: str, args: tuple[Any, ...], kw: dict[str, Any]) -> None:
    theirs, ours = getattr(torch.nn, name)(*args, **kw), getattr(fw.nn, name)(*args, **kw)
    assert repr(theirs) == repr(ours)
    assert [(k, tuple(v.shape)) for k, v in theirs.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in ours.state_dict().items()
    ]


def test_weights_start_as_pytorchs() -> None:
    """Uniform within 1 / sqrt(fan in): by bound and variance."""
    layer = fw.nn.Conv2d(16, 64, 3)
    bound = 1 / np.sqrt(16 * 9)
    values = layer.weight.detach().numpy()
    assert np.abs(values).max() <= bound
    assert values.var() == pytest.approx(bound**2 / 3, rel=0.1)
    assert np.abs(layer.bias.detach().numpy()).max() <= bound  # type: ignore[union-attr]


def test_dropout2d_drops_whole_channels() -> None:
    fw.manual_seed(3)
    out = fw.nn.Dropout2d(0.5)(fw.ones(8, 16, 3, 3)).numpy()
    each = out.reshape(128, 9)
    assert ((each == 0).all(1) | (each == 2).all(1)).all()
    assert 30 < (each[:, 0] == 0).sum() < 98


def test_a_transposed_layer_takes_an_output_size() -> None:
    theirs, ours = torch.nn.ConvTranspose2d(2, 3, 3, 2, 1), fw.nn.ConvTranspose2d(2, 3, 3, 2, 1)
    x = draw(1, 2, 4, 5)
    assert tuple(ours(fw.tensor(x), (8, 10)).shape) == tuple(theirs(torch.tensor(x), (8, 10)).shape)
    with pytest.raises(ValueError, match="output size"):
        ours(fw.tensor(x), (12, 10))


def test_errors_name_shapes() -> None:
    with pytest.raises(fw.errors.ShapeError if hasattr(fw, "errors") else RuntimeError, match=r"f32\[1,2,4,4\]"):
        F.conv2d(fw.zeros(1, 2, 4, 4), fw.zeros(3, 3, 3, 3))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        F.batch_norm(fw.zeros(1, 3), None, None, training=True)
    with pytest.raises(RuntimeError, match="half of effective kernel"):
        F.max_pool2d(fw.zeros(1, 1, 4, 4), 2, padding=2)
