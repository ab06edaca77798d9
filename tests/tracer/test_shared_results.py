"""Results that share memory which the region made share it outside too, across graph breaks and with their history."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as fw


def views(x: Any, w: Any) -> Any:
    v = x * w
    return v[0], v.t()[1:], v, v.detach(), v[:, 3:]


def before_a_break(x: Any, w: Any) -> Any:
    v = x * w
    row = v[0]
    print(end="")
    return row, v.t()[1:], v, v.detach(), v[:, 3:]


@pytest.mark.parametrize("fn", [views, before_a_break])
def test_views_of_one_result(fn: Any) -> None:
    seen = []
    for call in (fn, fw.compile(fn)):
        x, w = fw.arange(6.0).view(2, 3), fw.ones(3, requires_grad=True)
        row, turned, v, cut, _ = made = call(x, w)
        (row.sum() * 2 + turned.sum() * 3 + v.sum()).backward()
        with fw.no_grad():
            cut.mul_(10)
        seen.append([w.grad.tolist(), [t.storage is v.storage for t in made], [t.storage_offset() for t in made[:4]],
                     [t.requires_grad for t in made], [t.detach().tolist() for t in made]])  # fmt: skip
    assert seen[0] == seen[1] and all(seen[0][1])


def test_a_write_after_the_break_reaches_the_base() -> None:
    def fn(x: Any) -> Any:
        v = x * 0.5
        row = v[0]
        print(end="")
        row.mul_(0.25)
        return v, row

    x = fw.arange(6.0).view(3, 2).t()
    assert [t.tolist() for t in fw.compile(fn)(x)] == [t.tolist() for t in fn(x)]


def test_views_have_histories_where_the_part_behind_a_break_began_without() -> None:
    """The tail of that part takes the views, and runs with gradients off: the mode is switched on last."""

    def fn(x: Any) -> Any:
        with fw.no_grad():
            y = x * 2
            print(end="")
            y = y + x
            cut = y[:1]
        z = x * 3
        with fw.no_grad():
            quiet = z[1:]
        return z, z[:1], quiet, y, cut

    x = fw.ones(4, requires_grad=True)
    want, got = fn(x), fw.compile(fn)(x)
    assert [t.requires_grad for t in got] == [t.requires_grad for t in want] == [True, True, False, False, False]
    got[1].sum().backward()
    assert x.grad.tolist() == [3, 0, 0, 0] and fw.is_grad_enabled()
