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


class Refused(Exception):
    pass


class Told(Exception):
    def __str__(self) -> str:
        told.append(self.args)
        return "told"


told: list[Any] = []


@pytest.mark.parametrize("kind", [Refused, Told, ValueError])
def test_an_exception_that_holds_a_tensor_passes_handlers_that_do_not_want_it(kind: type[Exception]) -> None:
    def refuse(v: Any) -> None:
        raise kind(v, "no")

    def program(x: Any) -> Any:
        try:
            refuse(x * 2)
        except LookupError:
            return None

    told.clear()
    compiled = fw.compile(program)
    for k in (1.0, 2.0):
        with pytest.raises(kind) as caught:
            compiled(fw.full((2,), k))
        assert caught.value.args[0].tolist() == [2 * k, 2 * k] and caught.value.args[1] == "no"
    assert not told  # nobody asked for its text
