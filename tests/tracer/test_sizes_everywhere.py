"""The library's own code with sizes that a capture leaves open: what it does at further sizes is what eager does there.

Library code that hands a size to C (`range`, a list times a size, a float on its left) would keep the number of the capture.
Storage never gives Python the placeholder of a traced tensor's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import nn
from fusewire.nn import functional as F

SIZES = [(4, 6), (7, 9), (2, 12), (5, 3)]


def numbers(*shape: int, seed: int = 0) -> Any:
    return fw.from_numpy(np.random.default_rng((seed, *shape)).random(shape, np.float32) * 0.8 + 0.1)


def flat(x: Any) -> list[Any]:
    return [y for z in x for y in flat(z)] if isinstance(x, (tuple, list)) else [x]


def outcome(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """What a call gives, from one state of the generator."""
    fw.manual_seed(3)
    try:
        return flat(fn(*args))
    except (ValueError, IndexError, TypeError, RuntimeError) as error:
        return error


def same(fn: Callable[..., Any], calls: list[tuple[Any, ...]]) -> None:
    """`fn` compiled for all sizes gives what eager gives."""
    compiled = fw.compile(fn, dynamic=True, backend="interpret")
    for args in calls:
        want, got = outcome(fn, args), outcome(compiled, args)
        if isinstance(want, Exception):
            assert isinstance(got, Exception), (args, want, got)
            continue
        assert not isinstance(got, Exception), got
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            if isinstance(w, fw.Tensor):
                assert g.shape == w.shape and g.dtype is w.dtype
                np.testing.assert_allclose(g.detach().numpy(), w.detach().numpy(), rtol=1e-4, atol=1e-5)
            else:
                assert type(g) is type(w) and g == w


def written(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`fn` changes a copy of its argument, which is the result."""

    def of_copy(x: Any) -> Any:
        y = x.clone()
        fn(y)
        return y

    return of_copy


#: functions of one matrix (n, m), by the names that they stand for
OF_MATRIX: dict[str, Callable[[Any], Any]] = {
    "arange": lambda x: fw.arange(x.shape[0]),
    "arange_step": lambda x: fw.arange(0, x.shape[0], 2),
    "bernoulli": lambda x: fw.bernoulli(x),
    "bmm": lambda x: fw.bmm(x[None], x.t()[None]),
    "broadcast_to": lambda x: fw.broadcast_to(x[0], (3, x.shape[1])),
    "chunk": lambda x: fw.chunk(x, 3),
    "chunks": lambda x: fw.chunk(x, x.shape[0], 0),
    "concat": lambda x: fw.concat([x, x], 1),
    "dot": lambda x: fw.dot(x[0], x[0]),
    "dropout": lambda x: fw.dropout(x),
    "empty": lambda x: fw.empty(x.shape).fill_(1),
    "eye": lambda x: fw.eye(x.shape[0]),
    "eye2": lambda x: fw.eye(x.shape[0], x.shape[1]),
    "flatten": lambda x: x.flatten(),
    "full": lambda x: fw.full(x.shape, 2.0),
    "linspace": lambda x: fw.linspace(0, 1, x.shape[0]),
    "linspace_to": lambda x: fw.linspace(0, x.shape[0], 5),
    "softmax": lambda x: fw.softmax(x, 1),
    "log_softmax": lambda x: fw.log_softmax(x, 0),
    "max": lambda x: tuple(fw.max(x, 1)),
    "min": lambda x: fw.min(x),
    "mm": lambda x: fw.mm(x, x.t()),
    "movedim": lambda x: fw.movedim(x, 0, 1),
    "narrow": lambda x: fw.narrow(x, 0, 1, x.shape[0] - 1),
    "norm": lambda x: x.norm(),
    "numel": lambda x: fw.numel(x),
    "outer": lambda x: fw.outer(x[0], x[:, 0]),
    "rand": lambda x: fw.rand(x.shape),
    "randn": lambda x: fw.randn(x.shape[0]),
    "randint": lambda x: fw.randint(0, 9, (x.shape[0],)),
    "randint_to": lambda x: fw.randint(0, x.shape[0], (5,)),
    "randperm": lambda x: fw.randperm(x.shape[0]),
    "rand_like": lambda x: fw.rand_like(x),
    "normal_": written(lambda y: y.normal_()),
    "uniform_": written(lambda y: y.uniform_()),
    "select": lambda x: fw.select(x, 0, x.shape[0] - 1),
    "split": lambda x: fw.split(x, 2),
    "split_1": lambda x: fw.split(x, x.shape[1] // 3, 1),
    "split_list": lambda x: fw.split(x, [1, x.shape[0] - 1]),
    "stack": lambda x: fw.stack([x, x], 1),
    "std": lambda x: fw.std(x, 0),
    "var": lambda x: fw.var(x),
    "var_mean": lambda x: fw.var_mean(x, 1),
    "tril": lambda x: fw.tril(x),
    "triu": lambda x: fw.triu(x, 1),
    "unbind": lambda x: fw.unbind(x),
    "iter": lambda x: list(x),
    "unflatten": lambda x: fw.unflatten(x, 1, (-1, 3)),
    "reshape": lambda x: x.reshape(-1, 3),
    "zip": lambda x: list(zip(x, x, strict=True)),
    "cumsum": lambda x: fw.cumsum(x, 0),
    "cumprod": lambda x: fw.cumprod(x, 1),
    "einsum": lambda x: fw.einsum("ij,kj->ik", x, x),
    "flip": lambda x: fw.flip(x, (0,)),
    "logsumexp": lambda x: fw.logsumexp(x, 0),
    "meshgrid": lambda x: fw.meshgrid(x[0], x[:, 0]),
    "roll": lambda x: fw.roll(x, 2, 1),
    "roll_flat": lambda x: fw.roll(x, 5),
    "roll_by": lambda x: fw.roll(x, x.shape[0], 1),
    "argsort": lambda x: fw.argsort(x, 1),
    "kthvalue": lambda x: tuple(fw.kthvalue(x, 2)),
    "kth_last": lambda x: tuple(fw.kthvalue(x, x.shape[1])),
    "median": lambda x: fw.median(x),
    "sort": lambda x: tuple(fw.sort(x)),
    "median_of": lambda x: tuple(fw.median(x, 0)),
    "multinomial": lambda x: fw.multinomial(x, 2),
    "topk": lambda x: tuple(fw.topk(x, 2)),
    "topk_all": lambda x: tuple(fw.topk(x, x.shape[1])),
    "argwhere": lambda x: fw.argwhere(x > 0.5),
    "nonzero": lambda x: fw.nonzero(x > 0.5),
    "mask": lambda x: x[x > 0.5],
    "masked_fill": lambda x: x.masked_fill(x > 0.5, 0.0),
    "masked_scatter": lambda x: x.masked_scatter(x > 0.5, x * 2),
    "bincount": lambda x: fw.bincount((x[0] * 9).long()),
    "index_add": lambda x: x.index_add(0, fw.tensor([0, 1]), x[:2]),
    "index_select": lambda x: x.index_select(1, fw.arange(x.shape[1] - 1)),
    "index_fill": lambda x: x.index_fill(0, fw.tensor([1]), 2),
    "index_copy": lambda x: x.index_copy(0, fw.tensor([1]), x[:1]),
    "take": lambda x: x.take(fw.arange(x.numel() - 1)),
    "index_put": lambda x: x.index_put((fw.arange(2),), fw.tensor(1.0)),
    "sorted_gather": lambda x: x.gather(1, x.argsort(1)),
    "take_along_dim": lambda x: fw.take_along_dim(x, x.argsort(0), 0),
    "scatter": lambda x: x.scatter(1, x.argsort(1), x),
    "scatter_add": lambda x: x.scatter_add(1, x.argsort(1), x),
    "list_index": lambda x: x[:, [0, -1]],
    "stepped": lambda x: x[::2],
    "write": written(lambda y: y.__setitem__((slice(None), slice(y.shape[1] // 2, None)), 1.0)),
    "expand": lambda x: x[:1].expand(3, -1),
    "write_tensor": written(lambda y: y.__setitem__(fw.tensor([0, 1]), 0.0)),
    "repeat": lambda x: x.repeat(2, 3),
    "repeat_by": lambda x: x[0].repeat(x.shape[0], 1),
    "prod": lambda x: x.prod(1),
    "mean": lambda x: x.mean(),
    "new_zeros": lambda x: x.new_zeros(x.shape[1], 2),
    "view": lambda x: x.view(-1),
    "len": lambda x: x.sum() * len(x),
    "float left": lambda x: x * (0.5 * x.shape[0]),
    "over": lambda x: x * (1.0 / x.shape[1]),
    "in": lambda x: 2.0 in x,
    "F.normalize": lambda x: F.normalize(x),
    "F.one_hot": lambda x: F.one_hot((x[0] * 9).long(), 10),
    "F.one_hot_size": lambda x: F.one_hot(fw.arange(x.shape[0]), x.shape[0]),
    "F.pad": lambda x: F.pad(x, (1, 2), value=1.0),
    "F.pad_by": lambda x: F.pad(x, (0, 16 - x.shape[1])),
    "F.mse_loss": lambda x: F.mse_loss(x, x * 2),
    "F.pad_reflect": lambda x: F.pad(x[None], (1, 1), mode="reflect"),
    "F.l1_loss": lambda x: F.l1_loss(x, x * 2),
    "F.rms_norm": lambda x: F.rms_norm(x, (x.shape[1],)),
    "F.layer_norm": lambda x: F.layer_norm(x, (x.shape[1],)),
    "F.binary_cross_entropy": lambda x: F.binary_cross_entropy(x, x),
    "F.leaky_relu": lambda x: F.leaky_relu(x),
    "F.binary_cross_entropy_with_logits": lambda x: F.binary_cross_entropy_with_logits(x, x),
    "F.cross_entropy": lambda x: F.cross_entropy(x, x.argmax(1)),
    "F.nll_loss": lambda x: F.nll_loss(x, x.argmax(1)),
    "F.cross_entropy_smooth": lambda x: F.cross_entropy(x, x.argmax(1), label_smoothing=0.1),
    "F.cross_entropy_soft": lambda x: F.cross_entropy(x, x.softmax(1), label_smoothing=0.1),
    "F.linear": lambda x: F.linear(x, x),
    "F.embedding": lambda x: F.embedding(fw.arange(x.shape[0]), x),
    "F.scaled_dot_product_attention": lambda x: F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None]),
    "F.attention_causal": lambda x: F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None], is_causal=True),
}

#: functions of (batch, 4, n, m)
OF_IMAGE: dict[str, Callable[[Any], Any]] = {
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
    "adaptive_avg_pool_1": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "avg_pool2d_ceil": lambda x: F.avg_pool2d(x, 2, padding=1, ceil_mode=True),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "max_pool2d_ceil": lambda x: F.max_pool2d(x, 2, ceil_mode=True),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "conv2d": lambda x: F.conv2d(x, fw.ones(2, 4, 3, 3), padding=1),
    "conv_same": lambda x: F.conv2d(x, fw.ones(2, 4, 3, 3), padding="same"),
    "conv_transpose2d": lambda x: F.conv_transpose2d(x, fw.ones(4, 2, 3, 3), stride=2),
    "dropout2d": lambda x: F.dropout2d(x),
    "group_norm": lambda x: F.group_norm(x, 2),
    "instance_norm": lambda x: F.instance_norm(x),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2),
    "interpolate_size": lambda x: F.interpolate(x, size=(5, 7)),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "conv1d": lambda x: F.conv1d(x[:, :, 0], fw.ones(2, 4, 2)),
    "bilinear_size": lambda x: F.interpolate(x, size=(5, 7), mode="bilinear"),
    "corners": lambda x: F.interpolate(x, size=(5, 7), mode="bilinear", align_corners=True),
    "interpolate_half": lambda x: F.interpolate(x, scale_factor=0.5),
    "max_pool1d": lambda x: F.max_pool1d(x[:, :, 0], 2),
}

#: layers, and the shape of what they take
LAYERS: dict[str, tuple[Callable[[], Any], Callable[[int, int], Any]]] = {
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), lambda n, m: numbers(n, 4, m)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4, momentum=None), lambda n, m: numbers(2, 4, n, m)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), lambda n, m: numbers(n, 4, m)),
    "LayerNorm": (lambda: nn.LayerNorm(8), lambda n, m: numbers(n, m, 8)),
    "RMSNorm": (lambda: nn.RMSNorm(8), lambda n, m: numbers(n, m, 8)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), lambda n, m: numbers(2, 3, n, m)),
    "Flatten": (lambda: nn.Flatten(), lambda n, m: numbers(n, 3, m)),
    "Conv2d": (lambda: nn.Conv2d(3, 2, 2, padding=1), lambda n, m: numbers(2, 3, n, m)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 2, 2, stride=2), lambda n, m: numbers(2, 3, n, m)),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
        lambda n, m: numbers(n, m, 8),
    ),
}


@pytest.mark.parametrize("name", OF_MATRIX)
def test_functions_of_a_matrix(name: str) -> None:
    same(OF_MATRIX[name], [(numbers(*size),) for size in SIZES])


@pytest.mark.parametrize("name", OF_IMAGE)
def test_functions_of_images(name: str) -> None:
    same(OF_IMAGE[name], [(numbers(2, 4, *size),) for size in SIZES])


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    make, given = LAYERS[name]
    layers = []
    for _ in range(2):
        fw.manual_seed(0)
        layers.append(make())
    compiled = fw.compile(layers[1], dynamic=True, backend="interpret")
    for size in SIZES:
        with fw.no_grad():
            want, got = layers[0](given(*size)), compiled(given(*size))
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "read",
    [
        lambda x: fw.from_numpy(np.argsort(x.storage.read(x * 2)).copy()),
        lambda x: x.storage.read(x * 2).tolist(),
        pytest.param(lambda x: fw.tensor(x * 2), marks=pytest.mark.filterwarnings("ignore:To copy construct")),
        lambda x: (x * 2).storage.base is None,
        lambda x: fw.nonzero(x.sum() > 0),
    ],
)
def test_no_placeholder_is_read_as_values(read: Callable[[Any], Any]) -> None:
    same(read, [(numbers(n),) for n in (5, 7, 3)])
