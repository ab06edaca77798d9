"""What functions return, print and refuse beside PyTorch: each row is one expression, its text or its error's type compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fusewire as fw

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")


def _x(m: Any) -> Any:
    return m.arange(24.0).reshape(2, 3, 4)


def _gradient(m: Any, **options: Any) -> Any:
    x = m.arange(3.0).requires_grad_()
    return m.autograd.grad((x * x).sum(), x, None, None, False, **options)


PRINTED: dict[str, Callable[[Any], Any]] = {
    "max": lambda m: _x(m).max(1), "min": lambda m: m.min(_x(m), -1, keepdim=True), "sort": lambda m: _x(m).sort(descending=True),
    "topk": lambda m: _x(m).topk(2), "median": lambda m: _x(m).median(0), "mode": lambda m: m.mode(_x(m)),
    "kthvalue": lambda m: _x(m).kthvalue(2), "cummax": lambda m: _x(m)[0].cummax(0), "nanmedian": lambda m: _x(m).nanmedian(0),
    "aminmax": lambda m: m.aminmax(_x(m)), "qr": lambda m: m.linalg.eigh(m.eye(2)),
    "flip dims": lambda m: (_x(m).flip(dims=(0, 2)), m.flip(_x(m), dims=[1]), _x(m).flip(0, 1), _x(m).flip(-1)),
    "kthvalue is dense": lambda m: (_x(m).kthvalue(2, 0).values.view(-1), _x(m).kthvalue(2, 1)[1].stride()),
    "meshgrid xy": lambda m: m.meshgrid(m.arange(3), m.arange(2), indexing="xy"),
    "meshgrid xy of three": lambda m: m.meshgrid(m.arange(3), m.arange(2), m.arange(2), indexing="xy"),
    "take_along_dim from the end": lambda m: m.take_along_dim(_x(m)[0], m.tensor([[-1], [0], [-4]]), 1),
    "nuclear": lambda m: m.ones(2, 2).norm("nuc"), "fft of one dim": lambda m: m.fft.fftn(_x(m)[0], dim=1).real,
    "only_inputs": lambda m: _gradient(m, only_inputs=True, allow_unused=False),
    "categorical": lambda m: m.distributions.Categorical(logits=m.ones(3)),
    "bernoulli": lambda m: m.distributions.Bernoulli(probs=m.tensor([0.5, 0.1])),
    "switches": lambda m: (m.set_float32_matmul_precision("highest"), m.get_float32_matmul_precision(),
                           m.use_deterministic_algorithms(False), m.are_deterministic_algorithms_enabled()),
    "where method": lambda m: _x(m).where(_x(m) > 5, 0.0),
    "where method of bools": lambda m: m.tensor([True, False]).where(m.tensor([False, True]), m.tensor([True])),
    "cat of nothing": lambda m: (m.cat((m.tensor([]), m.ones(2, 2)), 1), m.cat([m.ones(1, 2, 3), m.empty(0)], -1)),
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[Any], Any], type[BaseException]]] = {
    "tril": (lambda m: m.ones(3).tril(), RuntimeError), "flipud": (lambda m: m.tensor(1.0).flipud(), RuntimeError),
    "rot90": (lambda m: m.ones(3).rot90(), RuntimeError), "fliplr": (lambda m: m.fliplr(m.ones(3)), RuntimeError),
    "cat of none": (lambda m: m.cat([]), ValueError), "meshgrid": (lambda m: m.meshgrid(m.ones(2), indexing="yx"), RuntimeError),
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


def test_only_inputs_inside_of_a_compiled_function() -> None:
    def f(x: Any) -> Any:
        return fw.autograd.grad((x * x).sum(), x, None, None, False, True, is_grads_batched=False)[0]

    x = fw.arange(3.0).requires_grad_()
    assert fw.equal(fw.compile(f, fullgraph=True)(x), f(x))


def test_what_a_distribution_refuses() -> None:
    texts = []
    for m in (fw, torch):
        with pytest.raises(ValueError, match="Expected parameter scale") as caught:
            m.distributions.Normal(m.tensor([0.0]), m.tensor([-1.0]))
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
