"""Autocast beside PyTorch: dtypes of results op by op, losses and gradients of models, nesting and switches, and compiled."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import amp
from fusewire.eager import casting
from fusewire.nn import functional as F
from fusewire.utils.checkpoint import checkpoint

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with"
)

ROWS = """x @ x; d @ d; b @ b; t.mm(x, x); t.bmm(l, l.mT); t.mv(x, x[0]); x[0].dot(x[0]); t.einsum('ij,jk->ik', x, x)
t.addmm(x, x, x); t.addmv(x[0], x, x[0]); t.baddbmm(l @ l.mT, l, l.mT); t.addbmm(x, l[:, :, :4], l[:, :, :4])
nn.Linear(4, 3)(x); nn.Linear(4, 3)(b); F.linear(x, x); nn.Conv2d(4, 2, 3)(c); nn.Conv1d(4, 2, 3)(l)
nn.ConvTranspose2d(4, 2, 3)(c); F.conv2d(cb, t.randn(2, 4, 3, 3)); F.scaled_dot_product_attention(l, l, l)
F.scaled_dot_product_attention(l, l, l, t.randn(4, 4)); nn.MultiheadAttention(4, 2)(s, s, s)
nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True)(s); x + b; b + b; b * x; b.exp(); b.sum(); b.mean(); b.prod()
b.softmax(-1); b.log_softmax(-1); nn.LayerNorm(4)(b); nn.BatchNorm2d(4)(cb); nn.BatchNorm2d(4).eval()(cb); b.cumsum(0)
nn.GroupNorm(2, 4)(cb); nn.InstanceNorm2d(4, affine=True)(cb); nn.RMSNorm(4)(b); F.gelu(b); F.relu(b); nn.PReLU()(x)
F.mse_loss(b, b); F.mse_loss(x, b); F.l1_loss(b, b); F.smooth_l1_loss(b, b); F.huber_loss(b, b); F.cross_entropy(b, i)
F.cross_entropy(b, i, x[0]); F.cross_entropy(b, pb); F.nll_loss(b, i); F.kl_div(b, b); F.binary_cross_entropy(pb, pb)
F.binary_cross_entropy_with_logits(b, pb); F.poisson_nll_loss(b, b); F.gaussian_nll_loss(b, b, pb + 1)
F.margin_ranking_loss(b, b, b); F.hinge_embedding_loss(b, b); F.soft_margin_loss(b, b); F.multi_margin_loss(b, i)
F.multilabel_margin_loss(b, t.zeros(4, 4).long()); F.multilabel_soft_margin_loss(b, pb); F.triplet_margin_loss(b, b, b)
F.cosine_embedding_loss(b, b, b[0]); F.ctc_loss(t.randn(7, 2, 5).bfloat16().log_softmax(2), t.ones(2, 3).long(), (7, 6), (3, 2))
t.cat([x, b]); t.stack([x, b]); t.cdist(b, b); b.trace(); t.linalg.inv(h); t.linalg.cholesky(h); t.linalg.solve(h, b)
t.linalg.norm(b); b.norm(); t.quantile(b, 0.5); F.avg_pool2d(cb, 2); F.avg_pool3d(vb, 2); F.max_pool3d(vb, 2); F.max_pool2d(cb, 2)
F.adaptive_avg_pool2d(cb, 2); F.adaptive_avg_pool3d(vb, 2); F.pad(cb, (1, 1, 1, 1), 'reflect'); F.pad(cb, (1, 1))
F.grid_sample(cb, t.zeros(2, 3, 3, 2).bfloat16(), align_corners=False); F.interpolate(cb, scale_factor=2); b.pow(2); b.std()
t.logsumexp(b, 0); F.embedding(i, x); nn.LSTMCell(4, 3)(x); nn.Bilinear(4, 4, 2, False)(x, x)
F.embedding_bag(i, x, i[:2]); F.adaptive_avg_pool3d(v, 3); t.outer(x[0], x[0])
t.tensordot(x, x, 1); x.half() @ x.half(); t.linalg.multi_dot([x, x, x]); t.addcmul(b, x, x); t.where(x > 0, x, b)
F.cosine_similarity(b, b); F.normalize(b); t.linalg.vecdot(x, x); t.inner(x, x); t.pinverse(b); F.adaptive_max_pool3d(vb, 2)
F.max_unpool2d(*F.max_pool2d(cb, 2, return_indices=True), 2); t.linalg.svd(b)[1]; t.linalg.eigh(h)[0]; t.linalg.qr(b)[0]"""
CALLS = [row.strip() for row in ROWS.replace("\n", ";").split(";")]


def dtypes(lib: Any, text: str, dtype: str) -> Any:
    t = lib
    t.manual_seed(0)
    x, c, v, l = t.randn(4, 4), t.randn(2, 4, 8, 8), t.randn(1, 2, 4, 4, 4), t.randn(2, 4, 9)
    p = t.rand(4, 4)
    scope = {"x": x, "b": x.bfloat16(), "c": c, "cb": c.bfloat16(), "vb": v.bfloat16(), "v": v, "l": l, "d": x.double(), "t": t,
             "s": l.transpose(1, 2)[:, :, :4].contiguous(), "i": t.tensor([0, 1, 2, 3]), "pb": p.bfloat16(), "nn": t.nn,
             "F": t.nn.functional, "h": (x @ x.T + 4 * t.eye(4)).bfloat16()}  # fmt: skip
    with t.autocast("cpu", getattr(t, dtype)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _names(eval(text, scope))


def _names(out: Any) -> Any:
    return [_names(o) for o in out if o is not None] if isinstance(out, (tuple, list)) else str(out.dtype)


@needs_torch
@pytest.mark.parametrize("text", CALLS)
def test_dtype_is_pytorch_s(text: str) -> None:
    import torch

    assert dtypes(fw, text, "bfloat16") == dtypes(torch, text, "bfloat16")


def training(lib: Any) -> list[Any]:
    """Losses, dtypes on the way and gradients of a small net under autocast, one weight being used twice."""
    rng = np.random.default_rng(5)
    nn, make = lib.nn, lambda *s: lib.from_numpy(rng.standard_normal(s).astype(np.float32))
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 4))
    model.load_state_dict({k: make(*v.shape) * 0.4 for k, v in model.state_dict().items()})
    x, y = make(5, 6), lib.tensor([0, 1, 2, 3, 0])
    seen: list[Any] = []
    with lib.autocast("cpu"):
        hidden = model[0](model[0](x)[:, :6])
        out = model[1:](hidden)
        loss = lib.nn.functional.cross_entropy(out, y)
        seen += [str(hidden.dtype), str(out.dtype), str(loss.dtype)]
    loss.backward()
    grads = [p.grad for p in model.parameters()]
    return [*seen, [str(g.dtype) for g in grads], loss.item(), *[g.numpy() for g in grads]]


@needs_torch
def test_gradients_are_pytorch_s() -> None:
    import torch

    ours, theirs = training(fw), training(torch)
    assert ours[:4] == theirs[:4]
    for a, b in zip(ours[4:], theirs[4:], strict=True):
        np.testing.assert_allclose(a, b, rtol=0.05, atol=0.02)


def states() -> tuple[Any, ...]:
    return amp.is_autocast_enabled("cpu"), amp.get_autocast_dtype("cpu"), amp.is_autocast_cache_enabled()


def test_nesting_and_switches() -> None:
    x = fw.ones(2, 2)
    assert states() == (False, fw.bfloat16, True)
    with fw.autocast("cpu", fw.float16):
        assert (x @ x).dtype is fw.float16
        with fw.autocast("cpu", enabled=False):
            assert (x @ x).dtype is fw.float32
            with fw.autocast("cpu", fw.bfloat16, cache_enabled=False):
                assert (x @ x).dtype is fw.bfloat16 and states() == (True, fw.bfloat16, False)
        assert states() == (True, fw.float16, True)
    assert states() == (False, fw.bfloat16, True) and (x @ x).dtype is fw.float32
    with pytest.raises(KeyError), fw.autocast("cpu"):
        raise KeyError
    assert states() == (False, fw.bfloat16, True) and casting.on == 0

    @fw.autocast("cpu")
    def product(a: Any) -> Any:
        return a @ a

    assert product(x).dtype is fw.bfloat16 and product.__name__ == "product"
    again = fw.autocast("cpu")
    with again, again:
        assert (x @ x).dtype is fw.bfloat16
    amp.set_autocast_enabled("cpu", True)
    assert (x @ x).dtype is fw.bfloat16
    amp.set_autocast_enabled("cpu", False)
    assert casting.on == 0 and not amp.is_autocast_cpu_enabled()


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
        fw.autocast(3)
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'toaster'"):
        fw.autocast("toaster")
    with pytest.warns(UserWarning, match="target dtype is not supported"), fw.autocast("cpu", fw.float64):
        assert (fw.ones(2, 2) @ fw.ones(2, 2)).dtype is fw.float32


def test_casts_of_parameters_are_kept_and_follow_writes() -> None:
    layer = fw.nn.Linear(2, 2, bias=False)
    x = fw.ones(1, 2)
    with fw.autocast("cpu"):
        first = layer(x)
        assert casting._kept(layer.weight, fw.bfloat16) is casting._kept(layer.weight, fw.bfloat16)
        with fw.no_grad():
            layer.weight.mul_(2)
        assert fw.equal(layer(x), first * 2)
    assert casting._casts.kept is None


def test_other_threads_are_not_cast() -> None:
    import threading

    x, found = fw.ones(2, 2), []
    with fw.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append((x @ x).dtype))
        thread.start()
        thread.join()
    assert found == [fw.float32]


def test_functions_with_a_dtype_of_their_own() -> None:
    class Product(fw.autograd.Function):
        @staticmethod
        @amp.custom_fwd(device_type="cpu", cast_inputs=fw.float32)
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(a)
            seen.append((a.dtype, (a @ a).dtype))
            return a @ a

        @staticmethod
        @amp.custom_bwd(device_type="cpu")
        def backward(ctx: Any, g: Any) -> Any:
            (a,) = ctx.saved_tensors
            return g @ a.T + a.T @ g

    seen: list[Any] = []
    x = fw.ones(2, 2, requires_grad=True)
    with fw.autocast("cpu"):
        out = Product.apply(x.bfloat16())
    out.sum().backward()
    assert seen == [(fw.float32, fw.float32)] and out.dtype is fw.float32 and x.grad.dtype is fw.float32


def model() -> Any:
    fw.manual_seed(0)
    return fw.nn.Sequential(fw.nn.Linear(6, 8), fw.nn.ReLU(), fw.nn.LayerNorm(8), fw.nn.Linear(8, 4))


@pytest.fixture
def data() -> Iterator[tuple[Any, Any]]:
    fw.manual_seed(1)
    yield fw.randn(5, 6), fw.tensor([0, 1, 2, 3, 0])
    assert casting.on == 0


def test_a_step_is_one_graph(data: Any) -> None:
    x, y = data

    def run(compiled: bool) -> list[Any]:
        net = model()
        optimiser = fw.optim.AdamW(net.parameters(), 0.01)

        def step() -> Any:
            optimiser.zero_grad()
            with fw.autocast("cpu"):
                out = net(x)
                loss = F.cross_entropy(out, y)
            loss.backward()
            optimiser.step()
            return out, loss

        once = fw.compile(step, fullgraph=True) if compiled else step
        found = [once() for _ in range(4)]
        return [*[(o.dtype, loss.dtype) for o, loss in found], *[loss.item() for _, loss in found],
                *[p.detach().numpy() for p in net.parameters()]]  # fmt: skip

    for a, b in zip(run(True), run(False), strict=True):
        if isinstance(a, tuple):
            assert a == b == (fw.bfloat16, fw.float32)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)  # halves are rounded in the same places


def test_the_mode_around_a_call_is_guarded(data: Any) -> None:
    net = model()
    compiled = fw.compile(net, fullgraph=True)
    x = data[0]
    for _ in range(3):
        assert compiled(x).dtype is fw.float32
        with fw.autocast("cpu"):
            assert compiled(x).dtype is fw.bfloat16
            with fw.autocast("cpu", enabled=False):
                assert compiled(x).dtype is fw.float32
        with fw.autocast("cpu", fw.float16):
            assert compiled(x).dtype is fw.float16
        with fw.no_grad(), fw.autocast("cpu"):
            assert compiled(x).dtype is fw.bfloat16 and not compiled(x).requires_grad


def test_a_break_inside_keeps_the_mode(data: Any) -> None:
    @fw.compile
    def broken(a: Any) -> Any:
        with fw.autocast("cpu"):
            b = a @ a.T
            if b.sum() > 1e9:
                b = b + 1
            c = a @ a.T
        return b, c, a @ a.T

    for _ in range(3):
        assert [o.dtype for o in broken(data[0])] == [fw.bfloat16, fw.bfloat16, fw.float32]
        with fw.autocast("cpu", fw.float16):
            assert [o.dtype for o in broken(data[0])] == [fw.float16] * 3  # the inner one takes the dtype at hand


def test_a_region_left_open_stays_open(data: Any) -> None:
    region = fw.autocast("cpu")

    @fw.compile
    def opens(a: Any) -> Any:
        region.__enter__()
        return a @ a.T

    assert opens(data[0]).dtype is fw.bfloat16 and amp.is_autocast_enabled("cpu")
    region.__exit__(None, None, None)
    assert not amp.is_autocast_enabled("cpu")


def test_checkpoint_runs_again_in_the_same_mode(data: Any) -> None:
    net, seen = model(), []
    net[0].register_forward_hook(lambda m, args, out: seen.append(out.dtype))
    with fw.autocast("cpu"):
        out = checkpoint(net, data[0], use_reentrant=False)
    out.float().sum().backward()
    assert seen == [fw.bfloat16] * 2


def test_scaler_beside_autocast(data: Any) -> None:
    net, scaler = model(), fw.amp.GradScaler("cpu", init_scale=1024.0)
    optimiser = fw.optim.SGD(net.parameters(), 0.1)
    before = [p.detach().clone() for p in net.parameters()]
    with fw.autocast("cpu", fw.float16):
        loss = F.cross_entropy(net(data[0]), data[1])
    scaler.scale(loss).backward()
    scaled = net[3].weight.grad.abs().max().item()
    scaler.step(optimiser)
    scaler.update()
    assert net[3].weight.grad.abs().max().item() < scaled / 1000
    assert all(not fw.equal(a, p) for a, p in zip(before, net.parameters(), strict=True))


def test_the_older_names() -> None:
    from fusewire.amp.autocast_mode import autocast
    from fusewire.cuda.amp import GradScaler
    from fusewire.cuda.amp import autocast as cuda_autocast

    assert autocast is fw.autocast and GradScaler is fw.amp.GradScaler and fw.cuda.amp.autocast is cuda_autocast
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there may be no device
        with cuda_autocast(), cuda_autocast(enabled=False, dtype=fw.bfloat16):
            assert (fw.ones(2, 2) @ fw.ones(2, 2)).dtype is fw.float32
        assert issubclass(cuda_autocast, autocast) and cuda_autocast(False).device == "cuda"
