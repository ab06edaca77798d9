"""What is made like another tensor lies in memory as it does: strides of zeros_like and its family, eager and compiled."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as fw

TENSORS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda: fw.randn(3, 4).t(), (1, 4)), (lambda: fw.randn(2, 3, 4).permute(2, 0, 1)[:, :, ::2], (1, 8, 4)),
    (lambda: fw.randn(2, 3, 4, 5).to(memory_format=fw.channels_last), (60, 1, 15, 3)),
    (lambda: fw.randn(3, 1).expand(3, 4), (4, 1)), (lambda: fw.randn(4, 6)[:, ::2], (3, 1)),
]  # fmt: skip
LIKES = [fw.zeros_like, fw.ones_like, fw.empty_like, lambda x, **kw: fw.full_like(x, 2.5, **kw), fw.rand_like, fw.randn_like]


@pytest.mark.parametrize(("make", "strides"), TENSORS)
def test_order_is_kept(make: Any, strides: tuple[int, ...]) -> None:
    x = make()
    row_major = fw.empty(x.shape).stride()
    for like in LIKES:
        for fn in (like, fw.compile(lambda x, like=like: like(x)), fw.compile(lambda x, like=like: like(x), dynamic=True)):
            assert fn(x).stride() == strides
            assert fn(x).shape == x.shape
        assert like(x, memory_format=fw.preserve_format).stride() == strides
        assert like(x, memory_format=fw.contiguous_format).stride() == row_major
        if x.ndim == 4:
            assert like(x.contiguous(), memory_format=fw.channels_last).stride() == strides
    assert fw.full_like(x, 2.5).tolist() == fw.full(x.shape, 2.5).tolist()
    assert fw.ones_like(x, dtype=fw.int64).sum() == x.numel()


def test_writes_in_that_order() -> None:
    """A whole write into such memory is no break, with sizes that are open too."""

    def f(x: Any) -> Any:
        out = fw.empty_like(x)
        out.copy_(fw.arange(x.numel()).reshape(x.shape) + x * 2)
        return out, out.add_(1)

    for dynamic in (None, True):
        g = fw.compile(f, fullgraph=True, dynamic=dynamic)
        for n in (4, 5, 6):
            x = fw.randn(3, n).t()
            for want, got in zip(f(x), g(x), strict=True):
                assert got.stride() == want.stride() == (1, n)
                assert got.tolist() == want.tolist()


def test_state_of_optimisers() -> None:
    p = fw.nn.Parameter(fw.randn(3, 4).t())
    adam = fw.optim.Adam([p], amsgrad=True)
    p.grad = fw.randn(4, 3)
    adam.step()
    assert {v.stride() for k, v in adam.state[p].items() if k != "step"} == {p.stride()}
