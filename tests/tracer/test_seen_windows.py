"""Views of inputs that machine code makes: what eager gives, storage, offset, versions, what is read-only, nothing leaks."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

import fusewire as fw

VIEWS = {
    "t": lambda x: x.t(), "row": lambda x: x[1], "element": lambda x: x[1, 2], "columns": lambda x: x[:, 2:5],
    "flat": lambda x: x.view(-1), "step": lambda x: x[::2], "unsqueeze": lambda x: x.unsqueeze(1),
    "expand": lambda x: x[:1].expand(6, 8),
    "two": lambda x: (x[0], x[2:]), "split": lambda x: x.split(2), "unfold": lambda x: x.unfold(0, 4, 2),
    "detach": lambda x: x.detach(),
    "none": lambda x: x[3:3],
}  # fmt: skip


def flat(x):
    return [x] if isinstance(x, fw.Tensor) else list(x)


def like(a, b):
    same = (a.shape, a.stride(), a.dtype, a.requires_grad, a.storage_offset(), type(a)) == (
        b.shape, b.stride(), b.dtype, b.requires_grad, b.storage_offset(), type(b))  # fmt: skip
    return same and a.data_ptr() == b.data_ptr() and np.array_equal(a.numpy(), b.numpy()) and a._storage is b._storage


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("inner", [False, True, "detached", "transposed"])
def test_views_are_those_of_eager(name, inner):
    fn = VIEWS[name]
    x = fw.arange(48.0).reshape(6, 8).clone()
    if inner is True:
        x = fw.arange(80.0).reshape(10, 8)[3:9]
    elif inner == "detached":
        x = fw.arange(80.0).reshape(10, 8)[3:9].detach()
    elif inner == "transposed":
        x = fw.arange(48.0).reshape(8, 6).t()
        if name == "flat":
            pytest.skip("no view")
    compiled = fw.compile(fn)
    for _ in range(4):
        wanted, got = flat(fn(x)), flat(compiled(x))
        assert len(wanted) == len(got) and all(map(like, wanted, got))
        version = x._version
        if got[0].numel() and name != "expand":
            got[0].add_(1)
            assert x._version == version + 1 == got[0]._version


def test_what_is_read_only_stays_so():
    array = np.ones((4, 4), np.float32)
    array.flags.writeable = False
    with pytest.warns(UserWarning):
        x = fw.from_numpy(array)
    compiled = fw.compile(lambda x: x[1])
    for _ in range(3):
        assert not compiled(x)._array.flags.writeable or x._array.flags.writeable


def test_views_of_parameters_and_views_that_outlive():
    weight = fw.nn.Parameter(fw.ones(4, 4))
    compiled = fw.compile(lambda: weight[1])
    for _ in range(3):
        with fw.no_grad():
            assert not compiled().requires_grad and compiled().tolist() == [1.0] * 4
        seen = compiled()
        assert seen.requires_grad
        weight.grad = None
        seen.sum().backward()
        assert weight.grad[1].tolist() == [1.0] * 4
    row = fw.compile(lambda x: x[1])
    for _ in range(3):
        kept = row(fw.arange(8.0).reshape(2, 4).clone())
        gc.collect()
        assert kept.tolist() == [4.0, 5.0, 6.0, 7.0]


def test_nothing_is_kept():
    compiled = fw.compile(lambda x: x[1:3].t())
    for x in (fw.ones(6, 4), fw.ones(9, 4)[3:]):
        compiled(x), compiled(x)
        before = [sys.getrefcount(o) for o in (x, x._array, x._storage, x.meta)]
        for _ in range(100):
            compiled(x)
        assert [sys.getrefcount(o) for o in (x, x._array, x._storage, x.meta)] == before
        alone = sys.getrefcount(x._storage)
        held = [compiled(x) for _ in range(50)]
        several = sys.getrefcount(x._storage)
        del held
        after = sys.getrefcount(x._storage)
        assert (several, after) == (alone + 50, alone)
    none = sys.getrefcount(None)
    for _ in range(1000):
        compiled(x)
    assert abs(sys.getrefcount(None) - none) < 50
