"""Arenas that variants keep between calls: what is written down of them holds, whatever several threads do."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

import fusewire as fw
from fusewire.backends.entry import process, table
from fusewire.backends.entry import words as w
from fusewire.runtime import layout


def _variant(function: Any) -> table.Variant:
    """The variant of a compiled function that has run last."""
    entry = next(x for x in vars(function).values() if isinstance(x, table.Entry))
    return max(entry.variants, key=lambda v: v.hits)


def test_a_thread_s_arena_is_not_taken_for_the_larger_one_of_another() -> None:
    """One thread's call holds the kept arena, where another makes a larger one and is not yet done: only the first comes back."""

    @fw.compile(dynamic=True)
    def f(x: fw.Tensor) -> fw.Tensor:
        y = x.sin()
        return fw.softmax(y, 0).cumsum(0) * y.sum()

    for count in (16, 17, 18, 20):
        f(fw.ones(count))
    variant = _variant(f)
    kept = int(variant._words[w.T_ARENA])
    assert kept
    inside, large, done = threading.Event(), threading.Event(), threading.Event()
    make_meta = process._keep[3]

    def slow(array: Any, requires_grad: bool) -> Any:
        """Called by the machine code where a result has a size that is new: both calls stand still here."""
        if array.size == 19:
            inside.set()
            large.wait(20)
        elif array.size == 3000:
            large.set()
            done.wait(20)
        return make_meta(array, requires_grad)

    def small_call() -> None:
        f(fw.ones(19))
        done.set()

    before = int(process._api[w.A_NEW_META])
    process._api[w.A_NEW_META] = id(slow)
    try:
        thread = threading.Thread(target=small_call)
        thread.start()
        assert inside.wait(20)
        f(fw.ones(3000))
        thread.join(20)
    finally:
        process._api[w.A_NEW_META] = before
    assert done.is_set() and int(variant._words[w.T_ARENA]) == kept
    bytes_ = layout.word(layout.word(kept + layout.DIMS))
    assert int(variant._words[w.T_ARENA_BYTES]) <= bytes_ < 3000
    x = np.linspace(0, 1, 2500, dtype=np.float32)
    expected = fw.softmax(fw.tensor(x).sin(), 0).cumsum(0) * fw.tensor(x).sin().sum()
    assert np.allclose(f(fw.tensor(x)).numpy(), expected.numpy(), rtol=1e-4)


def test_a_view_in_another_dtype_stays_within_shared_memory() -> None:
    whole = fw.ones(8)
    view = whole[2:].view(fw.int16)
    before = view.tolist()
    whole.share_memory_()
    assert view._array.dtype == np.int16 and view._array.nbytes == 24 and view.tolist() == before
