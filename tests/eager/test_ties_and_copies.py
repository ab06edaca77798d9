"""Corners where a value is right and its memory, dtype or gradient could be wrong, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw

torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")


@pytest.mark.parametrize("times", [(1, 1), (1, 2), (2, 1), (1, 1, 1)])
@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (1, 1)])
def test_repeat_has_memory_of_its_own(shape: tuple[int, ...], times: tuple[int, ...]) -> None:
    x = fw.ones(*shape)
    y = x.repeat(*times)
    assert y.is_contiguous()
    y[0] = 5
    y.view(-1)[-1:].fill_(7)
    t = torch.ones(*shape).repeat(*times)
    t[0] = 5
    t.view(-1)[-1:].fill_(7)
    assert x.tolist() == np.ones(shape).tolist()
    assert y.tolist() == t.tolist()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float16", "float32", "float64"])
def test_division_towards_zero(dtype: str) -> None:
    a = np.array([7.0, 8, 9, 1, 0, 120, 100]) * (1 if dtype == "uint8" else -1)
    for b in (3, 2, 7):
        ours = fw.div(fw.tensor(a).to(getattr(fw, dtype)), b, rounding_mode="trunc")
        theirs = torch.div(torch.tensor(a).to(getattr(torch, dtype)), b, rounding_mode="trunc")
        assert ours.dtype.name == dtype
        assert ours.tolist() == theirs.tolist()
    x = np.array([-0.3, 0.3, 1e30, np.inf, np.nan])
    ours = fw.div(fw.tensor(x), fw.tensor([0.1], dtype=fw.float64), rounding_mode="trunc")
    theirs = torch.div(torch.tensor(x), torch.tensor([0.1], dtype=torch.float64), rounding_mode="trunc")
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


GRADIENTS: dict[str, Any] = {
    "norm": lambda m, x: x.norm(),
    "norm of rows": lambda m, x: x.norm(dim=1).sum(),
    "std": lambda m, x: x.std(1).sum(),
    "std of one": lambda m, x: x[:, :1].std(1, unbiased=False).sum(),
    "clamp by tensors": lambda m, x: (m.clamp(x, x.detach() * 0, x.detach() * 0 + 1) * 3).sum(),
    "clamp tensor bounds": lambda m, x: (m.clamp(x.detach(), x * 0.5, x * 2) * 3).sum(),
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_at_zeros_and_ties(name: str, compiled: bool) -> None:
    values = np.array([[0.0, 0, 0], [0, 1, 2], [-1, 1, 0.5]])
    for rows in (values, values[:1]):
        x, t = fw.tensor(rows, requires_grad=True), torch.tensor(rows, requires_grad=True)

        def ours(x: Any) -> Any:
            return GRADIENTS[name](fw, x)

        (fw.compile(ours) if compiled else ours)(x).backward()
        GRADIENTS[name](torch, t).backward()
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-12)


def test_chunks_of_nothing_are_as_many_as_asked_for() -> None:
    assert [c.shape for c in fw.zeros(2, 0).chunk(3, 1)] == [(2, 0)] * 3
    with pytest.raises(RuntimeError, match="greater than 0"):
        fw.zeros(2).chunk(0)


def test_bytes_as_an_index_are_a_mask() -> None:
    x = fw.arange(4)
    mask = fw.tensor([0, 1, 0, 1], dtype=fw.uint8)
    assert x[mask].tolist() == [1, 3]
    x[mask] = 9
    assert x.tolist() == [0, 9, 2, 9]


def _arrays_torch_refuses() -> list[np.ndarray]:
    record = np.zeros(5, [("a", "f4"), ("b", "u1")])
    record["a"] = np.arange(5)
    return [record["a"], np.arange(5.0).astype(">f8"), np.arange(5).astype(">i2")]


@pytest.mark.parametrize("which", range(3))
def test_memory_no_machine_code_reads(which: int) -> None:
    array = _arrays_torch_refuses()[which]
    with pytest.raises(ValueError, match="cannot be a tensor's memory"):
        fw.from_numpy(array)
    for make in (fw.tensor, fw.as_tensor):
        x = make(array)
        assert fw.compile(lambda x: x + 1)(x).tolist() == [1, 2, 3, 4, 5]


def test_a_view_recorded_again_comes_before_its_reader() -> None:
    values, weights = np.random.default_rng(0).standard_normal((2, 3, 4))
    x = fw.tensor(values, requires_grad=True)
    y = x * 1
    column = y.t()[0]
    column.mul_(3)
    y.view(-1)[1:].add_(column.sum())  # reads a view whose memory was written to since it was made
    (got,) = fw.autograd.grad((y * fw.tensor(weights)).sum(), x)
    want = weights.copy()
    want[:, 0] = 3 * weights[:, 0] + 3 * weights.ravel()[1:].sum()
    np.testing.assert_allclose(got.numpy(), want)


@pytest.mark.parametrize("shapes", [[(), (1,), (4,)], [(1, 3), (2, 3)], [(0, 2), (2, 2)]])
def test_what_a_rule_reads_is_found_for_sizes_of_one_apart(shapes: list[tuple[int, ...]]) -> None:
    for shape in shapes:
        values = np.random.default_rng(0).standard_normal(shape)
        x, t = fw.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
        (ours,) = fw.autograd.grad(x.prod(0).sum(), x, create_graph=True)
        (theirs,) = torch.autograd.grad(t.prod(0).sum(), t, create_graph=True)
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy())
        if len(shape) and shape[0] > 1:
            np.testing.assert_allclose(fw.autograd.grad((ours * ours).sum(), x)[0].numpy(),
                                       torch.autograd.grad((theirs * theirs).sum(), t)[0].numpy())  # fmt: skip


@pytest.mark.parametrize("shape", [(0, 3), (1, 0), (1, 1)])
def test_product_of_all_of_few(shape: tuple[int, ...]) -> None:
    x = fw.zeros(*shape).requires_grad_()
    (g,) = fw.autograd.grad(x.prod(), x)
    assert g.shape == shape and (g == 1).all()
