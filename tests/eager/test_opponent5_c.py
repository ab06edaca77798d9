"""What an opponent found to differ from PyTorch: each row is one expression, its text or its error's type compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fusewire as fw

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")


def _x(m: Any) -> Any:
    return m.arange(24.0).reshape(2, 3, 4)


PRINTED: dict[str, Callable[[Any], Any]] = {
    "max": lambda m: _x(m).max(1), "min": lambda m: m.min(_x(m), -1, keepdim=True), "sort": lambda m: _x(m).sort(descending=True),
    "topk": lambda m: _x(m).topk(2), "median": lambda m: _x(m).median(0), "mode": lambda m: m.mode(_x(m)),
    "kthvalue": lambda m: _x(m).kthvalue(2), "cummax": lambda m: _x(m)[0].cummax(0), "nanmedian": lambda m: _x(m).nanmedian(0),
    "aminmax": lambda m: m.aminmax(_x(m)), "qr": lambda m: m.linalg.eigh(m.eye(2)),
    "flip dims": lambda m: (_x(m).flip(dims=(0, 2)), m.flip(_x(m), dims=[1]), _x(m).flip(0, 1), _x(m).flip(-1)),
    "kthvalue is dense": lambda m: (_x(m).kthvalue(2, 0).values.view(-1), _x(m).kthvalue(2, 1)[1].stride()),
    "cat of nothing": lambda m: (m.cat((m.tensor([]), m.ones(2, 2)), 1), m.cat([m.ones(1, 2, 3), m.empty(0)], -1)),
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[Any], Any], type[BaseException]]] = {
    "cat of none": (lambda m: m.cat([]), ValueError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    call, kind = REFUSED[name]
    for m in (fw, torch):
        with pytest.raises(kind):
            call(m)


@pytest.mark.parametrize("name", PRINTED)
def test_text(name: str) -> None:
    assert repr(PRINTED[name](fw)) == repr(PRINTED[name](torch))


def test_named_results_are_tuples() -> None:
    found = fw.max(_x(fw), 0)
    values, indices = found
    assert isinstance(found, fw.return_types.max) and values is found.values and indices is found[1]


def test_named_results_leave_compiled_code() -> None:
    def f(x: Any) -> Any:
        return (x * 2).max(1), x.sort(-1)

    for got, want in zip(fw.compile(f)(_x(fw)), f(_x(fw)), strict=True):
        assert repr(got) == repr(want) and type(got) is type(want)


def test_nodes_print_as_objects() -> None:
    node = (fw.ones(2, requires_grad=True) - 1).grad_fn
    assert repr(node) == f"<SubBackward0 object at {id(node):#x}>"
