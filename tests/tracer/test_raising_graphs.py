"""A graph that raises in a kernel has had the effects that come before the error, on the first call and on later ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import fusewire as fw


def fn(x: Any, index: Any, seen: Any) -> Any:
    seen.count += 1
    x.add_(1)
    y = x.gather(0, index)
    seen.count += 10
    return y * 2


@pytest.mark.parametrize("backend", ["cpu", "reference", "interpret", "eager"])
def test_effects_before_the_error(backend: str) -> None:
    observed = []
    for call in (fn, fw.compile(fn, backend=backend)):
        seen, x, out = SimpleNamespace(count=0), fw.arange(3.0), []
        for at in (0, 5, 1, 7):
            try:
                out.append(call(x, fw.tensor([at]), seen).tolist())
            except IndexError as error:
                out.append(str(error))
            out += [seen.count, x.tolist()]
        observed.append(out)
    assert observed[0] == observed[1]
