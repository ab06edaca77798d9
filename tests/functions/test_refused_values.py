"""Values that losses, draws and layers refuse raise in compiled functions what they raise eagerly, at every call."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as fw
from fusewire.nn import functional as F

NAN = float("nan")
T = fw.tensor
ROWS = fw.arange(12.0).reshape(4, 3)
#: the function, arguments it takes, arguments that it refuses and their error
CASES: list[tuple[Any, list[tuple[Any, ...]], list[tuple[tuple[Any, ...], type[Exception], str]]]] = [
    (F.binary_cross_entropy, [(T([0.1, 0.5]), T([0.0, 1.0])), (T([0.0, 1.0]), T([1.0, 0.25]))], [
        ((T([-0.1, 0.5]), T([0.0, 1.0])), RuntimeError, "elements of input should be between 0 and 1"),
        ((T([NAN, 0.5]), T([0.0, 1.0])), RuntimeError, "elements of input should be between 0 and 1"),
        ((T([0.1, 0.5]), T([0.0, 1.5])), RuntimeError, "elements of target should be between 0 and 1"),
    ]),
    (F.gaussian_nll_loss, [(T([0.1, 0.5]), T([0.0, 1.5]), T([0.0, 1.0])), (T([0.1, 0.5]), T([0.0, 1.5]), T([NAN, 1.0]))], [
        ((T([0.1, 0.5]), T([0.0, 1.5]), T([1.0, -1.0])), ValueError, "var has negative entry/entries"),
    ]),
    (lambda i, o: F.embedding_bag(i, ROWS, o), [(T([1, 2, 3]), T([0, 2])), (T([1, 2, 3]), T([0, 3]))], [
        ((T([1, 2, 3]), T([1, 2])), RuntimeError, r"offsets\[0\] has to be 0, .* However, got 1"),
        ((T([1, 2, 3]), T([0, 4])), RuntimeError, r"input's length 3 but got offsets\[-1\] of 4"),
    ]),
    (lambda p: fw.bernoulli(p).shape, [(T([0.0, 1.0]),)], [((T([0.0, 1.5]),), RuntimeError, "Expected p_in >= 0")]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_refused_alike(case: Any) -> None:
    fn, taken, refused = case
    compiled = fw.compile(lambda *args: fn(*args), fullgraph=True)
    for _ in range(3):
        for args in taken:
            want, got = fn(*args), compiled(*args)
            assert want == got if isinstance(want, tuple) else fw.allclose(want, got, equal_nan=True)
        for args, error, text in refused:
            for run in (fn, compiled):
                with pytest.raises(error, match=text):
                    run(*args)


def test_after_many_calls() -> None:
    """A function that has become machine code after hundreds of calls refuses still."""
    p, q = T([0.25, 0.5]), T([0.0, 1.0])
    found = {F.binary_cross_entropy(p, q).item() for _ in range(1200)}
    assert max(found) - min(found) < 1e-6
    with pytest.raises(RuntimeError, match="elements of input"):
        F.binary_cross_entropy(p * 4, q)


def test_one_element_has_no_variance() -> None:
    size = r"got input size torch.Size\(\[2, 3, 1\]\)"
    for fn in (fw.nn.InstanceNorm1d(3), fw.nn.InstanceNorm1d(3).eval(), F.instance_norm):
        for run in (fn, fw.compile(fn)):
            with pytest.raises(ValueError, match="more than 1 spatial element when training, " + size):
                run(fw.ones(2, 3, 1))
    tracked = fw.nn.InstanceNorm1d(3, track_running_stats=True).eval()
    assert tracked(fw.ones(2, 3, 1)).shape == (2, 3, 1)
    with pytest.raises(ValueError, match=r"more than 1 value per channel when training, got input size \[1, 3\]"):
        F.group_norm(fw.ones(1, 3), 3)
    assert F.group_norm(fw.ones(2, 3), 3).tolist() == [[0.0] * 3] * 2


def test_last_offset_ends_the_last_bag() -> None:
    """With include_last_offset what lies behind the last offset is in no bag (it was in the last one)."""
    for run in (F.embedding_bag, fw.compile(F.embedding_bag)):
        found = run(T([1, 2, 3]), ROWS, T([0, 2, 2]), include_last_offset=True)
        assert found.tolist() == [[4.5, 5.5, 6.5], [0.0, 0.0, 0.0]]
        assert run(T([1, 2, 3]), ROWS, T([0, 2]), include_last_offset=True).tolist() == [[4.5, 5.5, 6.5]]
