"""Attention against PyTorch: values, strides and gradients, eager and compiled, over masks, layouts and sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.errors import DTypeError, ShapeError
from fusewire.nn import functional as F

torch = pytest.importorskip("torch")

RUNS = {"eager": lambda f: f, "compiled": lambda f: fw.compile(f)}
each_run = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def numbers(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    made: np.ndarray[Any, Any] = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return made


def both(arrays: list[Any], attrs: dict[str, Any], run: Callable[[Any], Any], mask: Any = None) -> None:
    """Outputs and gradients of q, k, v (and a floating mask) agree with PyTorch's, for a weighted sum of the result."""
    ours = [fw.tensor(a).requires_grad_() for a in arrays]
    theirs = [torch.tensor(a).requires_grad_() for a in arrays]
    mine, its = (None, None) if mask is None else (fw.tensor(mask), torch.tensor(mask))
    if mask is not None and mask.dtype.kind == "f":
        mine.requires_grad_()
        its.requires_grad_()
    got = run(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mine, **attrs))(*ours)
    want = torch.nn.functional.scaled_dot_product_attention(*theirs, its, **attrs)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=2e-5, atol=2e-5)
    assert got.stride() == want.stride() or attrs.get("enable_gqa") or mask is not None
    weights = numbers(9, *got.shape)
    (got * fw.tensor(weights)).sum().backward()
    (want * torch.tensor(weights)).sum().backward()
    pairs = list(zip(ours, theirs, strict=True)) + ([(mine, its)] if mask is not None and mask.dtype.kind == "f" else [])
    for a, b in pairs:
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=5e-5, atol=5e-5)


@each_run
@pytest.mark.parametrize(
    ("rows", "keys", "width"), [(128, 128, 64), (37, 37, 16), (5, 70, 20), (70, 5, 8), (1, 129, 64), (200, 200, 33)]
)
@pytest.mark.parametrize("causal", [False, True])
def test_sizes(run: Any, rows: int, keys: int, width: int, causal: bool) -> None:
    heads = (2, 3)
    arrays = [numbers(i, *heads, n, width) for i, n in ((1, rows), (2, keys), (3, keys))]
    both(arrays, {"is_causal": causal}, run)


@each_run
def test_values_of_another_width_and_a_scale(run: Any) -> None:
    both([numbers(1, 2, 2, 20, 16), numbers(2, 2, 2, 24, 16), numbers(3, 2, 2, 24, 40)], {"scale": 0.3}, run)


@each_run
@pytest.mark.parametrize("shape", [(17, 33), (2, 1, 17, 33), (2, 3, 17, 33), (1, 1, 33), (3, 17, 1)])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_masks(run: Any, shape: tuple[int, ...], kind: str) -> None:
    drawn = numbers(4, *shape)
    mask = drawn > -0.5 if kind == "bool" else np.where(drawn > 1.5, -np.inf, drawn).astype(np.float32)
    if kind == "bool" and mask.ndim == 2:
        mask[3] = False  # a row that sees nothing
    both([numbers(1, 2, 3, 17, 16), numbers(2, 2, 3, 33, 16), numbers(3, 2, 3, 33, 16)], {}, run, mask)


@each_run
def test_heads_cut_out_of_one_product(run: Any) -> None:
    """Views of one (batch, time, 3 x width) tensor: no copies before, and the result merges its heads as a view."""
    x = numbers(5, 2, 40, 3 * 64)

    def attend(lib: Any, x: Any) -> Any:
        q, k, v = (y.view(2, 40, 4, 16).transpose(1, 2) for y in x.split(64, dim=2))
        y = lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return y.transpose(1, 2).view(2, 40, 64)

    ours, theirs = fw.tensor(x).requires_grad_(), torch.tensor(x).requires_grad_()
    got, want = run(lambda x: attend(fw, x))(ours), attend(torch, theirs)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=2e-5, atol=2e-5)
    (got * got).sum().backward()
    (want * want).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=5e-5, atol=5e-5)


@each_run
def test_grouped_heads_and_shared_keys(run: Any) -> None:
    both([numbers(1, 2, 6, 20, 16), numbers(2, 2, 2, 24, 16), numbers(3, 2, 2, 24, 16)], {"enable_gqa": True}, run)
    both([numbers(1, 2, 3, 20, 16), numbers(2, 1, 3, 24, 16), numbers(3, 24, 16)[None, None]], {}, run)
    both([numbers(1, 3, 20, 16), numbers(2, 3, 24, 16), numbers(3, 3, 24, 16)], {"is_causal": True}, run)
    both([numbers(1, 20, 16), numbers(2, 24, 16), numbers(3, 24, 16)], {}, run)


@each_run
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_other_dtypes(run: Any, dtype: str) -> None:
    arrays = [numbers(i, 2, 2, 12, 8) for i in range(3)]
    ours, theirs = ([lib.tensor(a).to(getattr(lib, dtype)) for a in arrays] for lib in (fw, torch))
    got = run(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))(*ours)
    want = torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=True)
    loose = 1e-12 if dtype == "float64" else 2e-2
    np.testing.assert_allclose(got.to(fw.float64).numpy(), want.to(torch.float64).numpy(), rtol=loose, atol=loose)
    assert got.stride() == want.stride()


def dense_attention(q: Any, k: Any, v: Any, keep: Any, p: float) -> Any:
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    scores = scores.masked_fill(fw.triu(fw.ones(q.shape[-2], k.shape[-2], dtype=fw.bool), 1), float("-inf"))
    return fw.where(keep, fw.softmax(scores, -1) / (1 - p), 0.0) @ v


@each_run
@pytest.mark.parametrize("rows", [37, 40, 132])
def test_dropout_draws_from_the_stream(run: Any, rows: int) -> None:
    """The same weights are dropped forward and backward, eager and compiled, and the generator moves on."""
    p = 0.3
    arrays = [numbers(i, 2, 2, rows, 16) for i in range(3)]
    ours = [fw.tensor(a).requires_grad_() for a in arrays]
    fw.manual_seed(11)
    got = run(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True))(*ours)
    after = fw.rand(3)
    fw.manual_seed(11)
    keep = fw.rand(2, 2, rows, rows) >= p
    np.testing.assert_array_equal(after.numpy(), fw.rand(3).numpy())
    dense = [fw.tensor(a).requires_grad_() for a in arrays]
    want = dense_attention(*dense, keep, p)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=2e-5, atol=2e-5)
    (got * got).sum().backward()
    (want * want).sum().backward()
    for a, b in zip(ours, dense, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=5e-5, atol=5e-5)


@each_run
def test_second_order(run: Any) -> None:
    """The gradient of a gradient, against PyTorch's (which has it for its plain form only)."""
    arrays = [numbers(i, 2, 2, 6, 4) for i in range(3)]
    ours, theirs = [fw.tensor(a).requires_grad_() for a in arrays], [torch.tensor(a).requires_grad_() for a in arrays]
    got = run(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))(*ours)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        want = torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=True)
    mine = fw.autograd.grad((got * got * got).sum(), ours, create_graph=True)
    its = torch.autograd.grad((want * want * want).sum(), theirs, create_graph=True)
    fw.autograd.backward(sum((g * g).sum() for g in mine))
    torch.autograd.backward(sum((g * g).sum() for g in its))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=2e-4, atol=2e-4)  # gradients of gradients in float32


def test_refusals() -> None:
    q, k, v = (fw.randn(2, 4, 8) for _ in range(3))
    with pytest.raises(ShapeError, match=r"f32\[2,4,8\] and f32\[2,4,6\]"):
        F.scaled_dot_product_attention(q, k[..., :6], v)
    with pytest.raises(DTypeError, match="one floating dtype"):
        F.scaled_dot_product_attention(q, k, v.double())
    with pytest.raises(RuntimeError, match="must not be set"):
        F.scaled_dot_product_attention(q, k, v, fw.ones(4, 4, dtype=fw.bool), is_causal=True)
    with pytest.raises(ShapeError, match="4 heads of queries for 3 heads"):
        F.scaled_dot_product_attention(fw.randn(4, 5, 8), fw.randn(3, 5, 8), fw.randn(3, 5, 8), enable_gqa=True)




def test_sizes_that_change_between_calls() -> None:
    """One symbolic variant serves every length, forward and backward."""
    function = fw.compile(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))
    for rows in (20, 33, 150, 1, 70):
        arrays = [numbers(i, 2, 2, rows, 16) for i in range(3)]
        ours, theirs = [fw.tensor(a).requires_grad_() for a in arrays], [torch.tensor(a).requires_grad_() for a in arrays]
        got, want = function(*ours), torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=True)
        np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=2e-5, atol=2e-5)
        (got * got).sum().backward()
        (want * want).sum().backward()
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=5e-5, atol=5e-5)


def test_threads_change_no_bit() -> None:
    arrays = [numbers(i, 2, 3, 150, 32) for i in range(3)]
    found = []
    former = fw.get_num_threads()
    for threads in (1, 2):
        fw.set_num_threads(threads)
        try:
            ours = [fw.tensor(a).requires_grad_() for a in arrays]
            out = fw.compile(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))(*ours)
            out.sum().backward()
            found.append([out.detach().numpy(), *(x.grad.numpy() for x in ours)])
        finally:
            fw.set_num_threads(former)
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@each_run
def test_rows_that_lie_across(run: Any) -> None:
    """Operands and gradients whose last dimension is not the one that walks memory."""
    arrays = [numbers(i, 2, 3, 24, 40) for i in range(3)]

    def attend(lib: Any, q: Any, k: Any, v: Any) -> Any:
        q, k, v = (x.transpose(-1, -2) for x in (q, k, v))
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(-1, -2)

    ours, theirs = [fw.tensor(a).requires_grad_() for a in arrays], [torch.tensor(a).requires_grad_() for a in arrays]
    got, want = run(lambda *xs: attend(fw, *xs))(*ours), attend(torch, *theirs)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=2e-5, atol=2e-5)
    weights = numbers(9, *got.shape)
    (got * fw.tensor(weights)).sum().backward()
    (want * torch.tensor(weights)).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=5e-5, atol=5e-5)


@each_run
def test_only_the_gradient_of_the_query(run: Any) -> None:
    arrays = [numbers(i, 2, 3, 40, 24) for i in range(3)]
    ours, theirs = [fw.tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]
    ours[0].requires_grad_()
    theirs[0].requires_grad_()
    run(lambda q, k, v: F.scaled_dot_product_attention(q, k, v))(*ours).sum().backward()
    torch.nn.functional.scaled_dot_product_attention(*theirs).sum().backward()
    np.testing.assert_allclose(ours[0].grad.numpy(), theirs[0].grad.numpy(), rtol=5e-5, atol=5e-5)
    assert ours[1].grad is None


@pytest.mark.parametrize("vector_bytes", [16, 32])
def test_processors_with_shorter_vectors(vector_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from fusewire.backends import kept
    from fusewire.backends.cpu import attention, attention_blocks
    from fusewire.backends.cpu.kinds import Target

    for module in (attention, attention_blocks):
        monkeypatch.setattr(module, "host_target", lambda: Target(vector_bytes, False))
    monkeypatch.setattr(kept, "_routines", {})
    mask = numbers(4, 2, 1, 37, 50) > -0.5
    both([numbers(1, 2, 3, 37, 20), numbers(2, 2, 3, 50, 20), numbers(3, 2, 3, 50, 20)], {}, fw.compile, mask)
    both([numbers(i, 2, 3, 70, 33) for i in range(3)], {"is_causal": True}, fw.compile)


def test_the_gradient_of_the_logarithm_of_sums_alone() -> None:
    """The record's second result, which users do not see, is differentiable like any other."""
    from fusewire.ir.op import lookup

    q, k, v = (fw.tensor(numbers(i, 2, 5, 4)).requires_grad_() for i in range(3))
    lse = lookup("attention")(q, k, v, None, None, scale=0.5)[1]
    lse.sum().backward()
    got = [q.grad, k.grad]
    plain = [fw.tensor(numbers(i, 2, 5, 4)).requires_grad_() for i in range(2)]
    (plain[0] @ plain[1].transpose(-1, -2) * 0.5).exp().sum(-1).log().sum().backward()
    for a, b in zip(got, plain, strict=True):
        np.testing.assert_allclose(a.numpy(), b.grad.numpy(), rtol=1e-5, atol=1e-6)
    assert not v.grad.numpy().any()
