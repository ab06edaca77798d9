"""The calls that suite `calls` measures, by name, over one library. Measures nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[], object]


def calls_of(lib: Any, side: int) -> dict[str, Call]:
    """Name -> call on square matrices of that side; equal numbers whatever the library."""
    rng = np.random.default_rng(0)

    def made(*shape: int) -> Any:
        return lib.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    x, y = made(side, side), made(side, side)
    positions = lib.from_numpy(rng.integers(0, side, (side, side)))
    row = lib.from_numpy(rng.integers(0, side, side))
    found: dict[str, Call] = {}
    found |= _arithmetic(lib, x, y)
    found |= _functions(lib, x)
    found |= _inplace(lib, x * 1, y)
    found |= _reductions(lib, x)
    found |= _searching(lib, x)
    found |= _moving(lib, x, y)
    found |= _views(lib, x)
    found |= _indexing(lib, x, positions, row)
    found |= _products(lib, x, y)
    found |= _making(lib, side)
    found |= _layers(lib, x, y, row)
    found |= _pictures(lib, made, side)
    if side <= 8:
        found |= _scalars(lib, x) | _training(lib, made)
    return found


def _arithmetic(lib: Any, x: Any, y: Any) -> dict[str, Call]:
    mask, b = x > 0, x > 0
    number = x[0, 0].clone()
    column, line = y[:, :1].clone(), y[0].clone()
    whole, kept = (x * 10).long(), lib.empty_like(x)
    return {
        "add": lambda: x + y, "add number": lambda: x + 1.5, "add row": lambda: x + line, "add column": lambda: x + column,
        "sub": lambda: x - y, "mul 0-d": lambda: x * number, "div": lambda: x / y, "rsub": lambda: 1 - x,
        "pow 2": lambda: x**2, "pow 3": lambda: x**3, "pow tensor": lambda: lib.pow(b + 1.5, y), "neg": lambda: -x,
        "gt number": lambda: x > 0, "eq": lambda: x == y, "and": lambda: mask & b, "not": lambda: ~mask,
        "where": lambda: lib.where(mask, x, y), "where number": lambda: lib.where(mask, x, 0.0),
        "clamp": lambda: x.clamp(-1, 1),
        "clamp_min": lambda: x.clamp(min=0), "masked_fill": lambda: x.masked_fill(mask, 0.0),
        "maximum": lambda: lib.maximum(x, y),
        "int add": lambda: whole + whole, "int floordiv": lambda: whole // 3, "int mod": lambda: whole % 7,
        "lerp": lambda: lib.lerp(x, y, 0.3), "addcmul": lambda: lib.addcmul(x, x, y, value=0.5), "to f64": lambda: x.double(),
        "to int": lambda: x.long(), "mask to f32": lambda: mask.float(), "isnan": lambda: lib.isnan(x),
        "add out": lambda: lib.add(x, y, out=kept),
    }  # fmt: skip


def _functions(lib: Any, x: Any) -> dict[str, Call]:
    positive = x.abs() + 0.1
    functional = lib.nn.functional
    return {
        "abs": lambda: x.abs(), "exp": lambda: x.exp(), "log": lambda: positive.log(), "sqrt": lambda: positive.sqrt(),
        "rsqrt": lambda: positive.rsqrt(), "sin": lambda: x.sin(), "tanh": lambda: x.tanh(), "sigmoid": lambda: x.sigmoid(),
        "relu": lambda: x.relu(), "gelu": lambda: functional.gelu(x), "silu": lambda: functional.silu(x),
        "softplus": lambda: functional.softplus(x), "leaky_relu": lambda: functional.leaky_relu(x),
        "elu": lambda: functional.elu(x), "erf": lambda: x.erf(), "floor": lambda: x.floor(), "round": lambda: x.round(),
        "sign": lambda: x.sign(), "log1p": lambda: positive.log1p(), "square": lambda: x.square(),
        "logsigmoid": lambda: functional.logsigmoid(x), "hardtanh": lambda: functional.hardtanh(x),
    }  # fmt: skip


def _inplace(lib: Any, x: Any, y: Any) -> dict[str, Call]:
    mask, small = y > 5, y * 1e-30
    held = [y * 1 for _ in range(7)]
    return {
        "add_": lambda: x.add_(small), "mul_ number": lambda: x.mul_(1.0), "add_ alpha": lambda: x.add_(small, alpha=0.1),
        "zero_": lambda: held[0].zero_(), "fill_": lambda: held[1].fill_(1.0),
        "copy_": lambda: held[2].copy_(y), "clamp_": lambda: x.clamp_(-10, 10),
        "masked_fill_": lambda: x.masked_fill_(mask, 0.0), "addcmul_": lambda: x.addcmul_(small, small, value=0.5),
        "lerp_": lambda: held[3].lerp_(y, 0.5), "relu_": lambda: held[4].relu_(),
        "setitem row": lambda: x.__setitem__(0, y[1]), "setitem number": lambda: x.__setitem__((slice(None), 1), 0.0),
        "normal_": lambda: held[5].normal_(), "uniform_": lambda: held[6].uniform_(),
    }  # fmt: skip


def _reductions(lib: Any, x: Any) -> dict[str, Call]:
    mask = x > 5
    return {
        "sum": lambda: x.sum(), "sum dim": lambda: x.sum(-1), "sum dim 0": lambda: x.sum(0), "mean": lambda: x.mean(),
        "mean dim": lambda: x.mean(-1, keepdim=True), "max": lambda: x.max(), "max dim": lambda: x.max(1),
        "min dim 0": lambda: x.min(0), "amax": lambda: x.amax(1), "argmax": lambda: x.argmax(),
        "argmax dim": lambda: x.argmax(1),
        "prod": lambda: x.prod(), "any": lambda: mask.any(), "all": lambda: mask.all(), "mask sum": lambda: mask.sum(),
        "var": lambda: x.var(), "std dim": lambda: x.std(1), "norm": lambda: x.norm(), "norm dim": lambda: x.norm(dim=1),
        "logsumexp": lambda: x.logsumexp(1), "softmax": lambda: x.softmax(-1), "log_softmax": lambda: x.log_softmax(-1),
        "cumsum": lambda: x.cumsum(1), "cumprod": lambda: x.cumprod(1), "linalg.norm": lambda: lib.linalg.norm(x),
        "count_nonzero": lambda: lib.count_nonzero(x), "var_mean": lambda: lib.var_mean(x, dim=1),
    }  # fmt: skip


def _searching(lib: Any, x: Any) -> dict[str, Call]:
    line = x[0].contiguous()
    edges, _ = line.sort()
    whole = (x * 3).long()
    return {
        "topk": lambda: x.topk(5), "topk 1-d": lambda: line.topk(5), "sort": lambda: x.sort(), "sort 1-d": lambda: line.sort(),
        "argsort": lambda: x.argsort(), "kthvalue": lambda: x.kthvalue(3), "median": lambda: x.median(),
        "unique": lambda: lib.unique(whole), "nonzero": lambda: (x > 1).nonzero(),
        "bincount": lambda: lib.bincount(whole[0].abs()),
        "searchsorted": lambda: lib.searchsorted(edges, x), "bucketize": lambda: lib.bucketize(x, edges),
        "allclose": lambda: lib.allclose(x, x), "equal": lambda: lib.equal(x, x),
    }  # fmt: skip


def _moving(lib: Any, x: Any, y: Any) -> dict[str, Call]:
    four = [x[:2], y[:2], x[2:4], y[4:6]]
    return {
        "cat": lambda: lib.cat([x, y]), "cat dim 1": lambda: lib.cat([x, y], 1), "cat 4": lambda: lib.cat(four),
        "stack": lambda: lib.stack([x, y]), "stack -1": lambda: lib.stack([x, y], -1), "clone": lambda: x.clone(),
        "t contiguous": lambda: x.t().contiguous(), "roll": lambda: x.roll(1, 0), "flip": lambda: x.flip(1),
        "tril": lambda: x.tril(), "triu": lambda: x.triu(1), "repeat": lambda: x.repeat(2, 1),
        "repeat_interleave": lambda: x.repeat_interleave(2, 0), "pad": lambda: lib.nn.functional.pad(x, (1, 1, 1, 1)),
        "diag": lambda: x.diag(), "expand contiguous": lambda: x[0].expand(x.shape[0], -1).contiguous(),
    }  # fmt: skip


def _views(lib: Any, x: Any) -> dict[str, Call]:
    if x.shape[0] > 8:
        return {}
    return {
        "view": lambda: x.view(-1), "reshape": lambda: x.reshape(-1), "permute": lambda: x.permute(1, 0), "t": lambda: x.t(),
        "transpose": lambda: x.transpose(0, 1), "unsqueeze": lambda: x.unsqueeze(0), "squeeze": lambda: x.squeeze(),
        "expand": lambda: x[:1].expand(8, 8), "x[1]": lambda: x[1], "x[:, 2:5]": lambda: x[:, 2:5],
        "x[..., None]": lambda: x[..., None],
        "x[1, 2]": lambda: x[1, 2], "chunk": lambda: x.chunk(4), "split": lambda: x.split(2), "unbind": lambda: x.unbind(),
        "narrow": lambda: x.narrow(0, 1, 3), "flatten": lambda: x.flatten(), "select": lambda: x.select(0, 1),
        "detach": lambda: x.detach(), "unfold": lambda: x.unfold(0, 4, 2), "heads": lambda: x.view(2, 4, 2, 4).transpose(1, 2),
        "iterate": lambda: list(x), "movedim": lambda: x.movedim(0, 1), "view_as": lambda: x.view_as(x),
    }  # fmt: skip


def _indexing(lib: Any, x: Any, positions: Any, row: Any) -> dict[str, Call]:
    mask = x > 0
    functional = lib.nn.functional
    held = [x * 1 for _ in range(5)]
    return {
        "x[index]": lambda: x[row], "x[index, index]": lambda: x[row, row], "x[mask]": lambda: x[mask],
        "index_select": lambda: x.index_select(0, row), "index_select 1": lambda: x.index_select(1, row),
        "gather": lambda: x.gather(1, positions), "take_along": lambda: lib.take_along_dim(x, positions, 1),
        "scatter_": lambda: held[0].scatter_(1, positions, 1.0),
        "scatter_add_": lambda: held[1].scatter_add_(1, positions, x),
        "index_add_": lambda: held[2].index_add_(0, row, x), "embedding": lambda: functional.embedding(row, x),
        "one_hot": lambda: functional.one_hot(row, x.shape[0]), "masked_select": lambda: lib.masked_select(x, mask),
        "setitem index": lambda: held[3].__setitem__(row, 1.0),
        "setitem mask": lambda: held[4].__setitem__(mask, 1.0),
    }  # fmt: skip


def _products(lib: Any, x: Any, y: Any) -> dict[str, Call]:
    if x.shape[0] > 256:
        return {}
    n = x.shape[0]
    a, b = x.repeat(4, 1).view(4, n, n), y.repeat(4, 1).view(4, n, n)
    bias = x[0].clone()
    return {
        "matmul": lambda: x @ y, "matmul t": lambda: x @ y.t(), "mv": lambda: x @ bias, "dot": lambda: bias @ bias,
        "bmm": lambda: lib.bmm(a, b), "matmul 3-d": lambda: a @ y, "einsum ij,jk": lambda: lib.einsum("ij,jk->ik", x, y),
        "einsum bij,bkj": lambda: lib.einsum("bij,bkj->bik", a, b), "linear": lambda: lib.nn.functional.linear(x, y, bias),
        "addmm": lambda: lib.addmm(bias, x, y), "outer": lambda: lib.outer(bias, bias),
        "attention": lambda: lib.nn.functional.scaled_dot_product_attention(a[None], b[None], a[None]),
        "baddbmm": lambda: lib.baddbmm(a, a, b),
    }  # fmt: skip


def _making(lib: Any, n: int) -> dict[str, Call]:
    probabilities, array = lib.ones(n, n), np.ones((n, n))
    return {
        "zeros": lambda: lib.zeros(n, n), "ones": lambda: lib.ones(n, n), "full": lambda: lib.full((n, n), 2.0),
        "empty": lambda: lib.empty(n, n), "zeros_like": lambda: lib.zeros_like(probabilities),
        "arange": lambda: lib.arange(n * n),
        "linspace": lambda: lib.linspace(0, 1, n * n), "eye": lambda: lib.eye(n), "tensor": lambda: lib.tensor([1.0, 2.0, 3.0]),
        "rand": lambda: lib.rand(n, n), "randn": lambda: lib.randn(n, n), "randint": lambda: lib.randint(0, 10, (n, n)),
        "randperm": lambda: lib.randperm(n * n), "bernoulli": lambda: lib.bernoulli(probabilities),
        "multinomial": lambda: lib.multinomial(probabilities, 1), "randn_like": lambda: lib.randn_like(probabilities),
        "as_tensor": lambda: lib.as_tensor(array), "full_like": lambda: lib.full_like(probabilities, 3.0),
    }  # fmt: skip


def _layers(lib: Any, x: Any, y: Any, row: Any) -> dict[str, Call]:
    functional = lib.nn.functional
    n = x.shape[1]
    line = x[0].clone()
    mean, var = lib.zeros(n), lib.ones(n)
    return {
        "cross_entropy": lambda: functional.cross_entropy(x, row), "nll_loss": lambda: functional.nll_loss(x, row),
        "mse_loss": lambda: functional.mse_loss(x, y), "l1_loss": lambda: functional.l1_loss(x, y),
        "smooth_l1": lambda: functional.smooth_l1_loss(x, y), "kl_div": lambda: functional.kl_div(x, y, reduction="batchmean"),
        "bce_logits": lambda: functional.binary_cross_entropy_with_logits(x, y.sigmoid()),
        "layer_norm": lambda: functional.layer_norm(x, (n,), line, line),
        "rms_norm": lambda: functional.rms_norm(x, (n,), line),
        "batch_norm": lambda: functional.batch_norm(x, mean, var, line, line, True),
        "dropout": lambda: functional.dropout(x, 0.5),
        "batch_norm eval": lambda: functional.batch_norm(x, mean, var, line, line),
        "normalize": lambda: functional.normalize(x),
        "cosine_similarity": lambda: functional.cosine_similarity(x, y),
        "group_norm": lambda: functional.group_norm(x, 4, line, line),
    }  # fmt: skip


def _pictures(lib: Any, made: Any, side: int) -> dict[str, Call]:
    functional = lib.nn.functional
    count, channels, size = {8: (1, 3, 8), 256: (4, 16, 32)}.get(side, (8, 64, 56))
    x, kernel, deep = made(count, channels, size, size), made(channels, channels, 3, 3), made(channels, 1, 3, 3)
    bias, mean, var = lib.zeros(channels), lib.zeros(channels), lib.ones(channels)
    return {
        "conv2d": lambda: functional.conv2d(x, kernel, bias, padding=1),
        "conv2d 1x1": lambda: functional.conv2d(x, kernel[:, :, :1, :1]),
        "conv2d depthwise": lambda: functional.conv2d(x, deep, padding=1, groups=channels),
        "max_pool2d": lambda: functional.max_pool2d(x, 2), "avg_pool2d": lambda: functional.avg_pool2d(x, 2),
        "adaptive_avg_pool2d": lambda: functional.adaptive_avg_pool2d(x, 1),
        "max_pool2d 3 2": lambda: functional.max_pool2d(x, 3, 2, 1),
        "interpolate nearest": lambda: functional.interpolate(x, scale_factor=2),
        "conv1d": lambda: functional.conv1d(x[:, :, 0], kernel[..., 0]),
        "interpolate bilinear": lambda: functional.interpolate(x, scale_factor=2, mode="bilinear"),
        "batch_norm 2d": lambda: functional.batch_norm(x, mean, var, var, bias, True),
        "conv_transpose2d": lambda: functional.conv_transpose2d(x, kernel),
    }  # fmt: skip


def _scalars(lib: Any, x: Any) -> dict[str, Call]:
    one = x[0, 0].clone()
    return {
        "item": lambda: one.item(), "float()": lambda: float(one), "bool()": lambda: bool(one), "tolist": lambda: x.tolist(),
        "numpy": lambda: x.numpy(), "shape": lambda: x.shape, "size()": lambda: x.size(0), "len": lambda: len(x),
        "dtype": lambda: x.dtype, "numel": lambda: x.numel(), "device": lambda: x.device,
        "is_contiguous": lambda: x.is_contiguous(),
        "stride": lambda: x.stride(), "x[0, 0].item()": lambda: x[0, 0].item(), "if x > 0": lambda: 1 if one > 0 else 0,
        "int()": lambda: int(one), "to same": lambda: x.to(lib.float32), "data_ptr": lambda: x.data_ptr(),
    }  # fmt: skip


def _training(lib: Any, made: Any) -> dict[str, Call]:
    found: dict[str, Call] = {}
    for name, options in (("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {}), ("RMSprop", {})):
        found[" ".join([name, *options, "20"])] = _optimiser(lib, made, name, options)
    weights = [made(16, 8).requires_grad_(), made(16).requires_grad_(), made(4, 16).requires_grad_()]
    x, target = made(8, 8), made(8, 4)
    functional = lib.nn.functional
    model = lib.nn.Sequential(lib.nn.Linear(8, 16), lib.nn.ReLU(), lib.nn.Linear(16, 4))

    def loss() -> Any:
        hidden = functional.linear(x, weights[0], weights[1]).relu()
        return functional.mse_loss(functional.linear(hidden, weights[2]), target)

    def step() -> Any:
        for w in weights:
            w.grad = None
        loss().backward()

    def no_grad() -> None:
        with lib.no_grad():
            pass

    leaf = made(8).requires_grad_()

    def chain() -> None:
        y = leaf
        for _ in range(5):
            y = (y * 0.5).tanh()
        leaf.grad = None
        y.sum().backward()

    held = [made(8, 8).requires_grad_() for _ in range(20)]
    for w in held:
        w.grad = lib.zeros(8, 8)
    clip = lib.nn.utils.clip_grad_norm_
    return found | {
        "mlp forward": loss, "mlp forward backward": step,
        "module forward": lambda: model(x), "no_grad": no_grad, "chain 10": chain,
        "clip_grad_norm_ 20": lambda: clip(held, 1.0), "grad": lambda: lib.autograd.grad(loss(), weights),
    }  # fmt: skip


def _optimiser(lib: Any, made: Any, name: str, options: dict[str, Any]) -> Call:
    parameters = [made(8, 8).requires_grad_() for _ in range(20)]
    for p in parameters:
        p.grad = made(8, 8)
    return getattr(lib.optim, name)(parameters, lr=1e-6, **options).step  # type: ignore[no-any-return]
