"""Gradients at the corners of functions, where PyTorch has zeros, shares or limits: beside PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw

sys.path.insert(0, str(Path(__file__).parent))
from gradient_programs import caught, differences, outcome

torch = pytest.importorskip("torch", reason="the oracle, PyTorch, is not installed")

Call = Callable[..., Any]
INF = float("inf")
#: name -> (function of the library and the tensors, the tensors' elements)
ROWS: dict[str, tuple[Call, list[Any]]] = {
    "copysign": (lambda t, a, b: t.copysign(a, b), [[1.0, -2.0], [-1.0, 3.0]]),
    "copysign by a number": (lambda t, a: t.copysign(a, -2.0), [[1.0, -2.0]]),
    "grid_sample nearest": (
        lambda t, x, g: t.nn.functional.grid_sample(x, g, mode="nearest", align_corners=False),
        [[[[[0.0, 1.0], [2.0, 3.0]]]], [[[[-0.9, 0.1], [0.2, 0.7]]]]],
    ),
    "norm 1": (lambda t, a: t.norm(a, 1), [[2.0, 0.0, 1.0]]),
    "norm 3 of zeros": (lambda t, a: t.norm(a, 3), [[0.0, 0.0]]),
    "norm inf with ties": (lambda t, a: t.norm(a, INF), [[2.0, -2.0, 1.0]]),
    "norm below 1": (lambda t, a: t.norm(a, 0.5), [[1.0, 0.0]]),
    "pdist 0": (lambda t, a: t.pdist(a, 0), [[[1.0, 2.0], [3.0, 2.0]]]),
    "cdist 0": (lambda t, a, b: t.cdist(a, b, 0), [[[1.0, 2.0]], [[3.0, 2.0]]]),
    "cdist inf": (lambda t, a, b: t.cdist(a, b, INF), [[[1.0, 2.0]], [[3.0, 2.5]]]),
    "index_fill twice": (lambda t, a, v: a.index_fill(0, t.tensor([0, 0, 1]), v), [[1.0, 2.0, 3.0], 5.0]),
    "nextafter": (lambda t, a, b: t.nextafter(a, b), [[1.0, 2.0], [2.0, 1.0]]),
    "matrix_power 0": (lambda t, a: t.linalg.matrix_power(a, 0), [[[2.0, 1.0], [1.0, 3.0]]]),
    "matrix_power -2": (lambda t, a: t.linalg.matrix_power(a, -2), [[[2.0, 1.0], [1.0, 3.0]]]),
    "remainder": (lambda t, a, b: t.remainder(a, b), [[5.0, -3.0], [2.0, 2.0]]),
    "div floor": (lambda t, a, b: t.div(a, b, rounding_mode="floor"), [[5.0, -3.0], [2.0, 2.0]]),
    "amax with ties": (lambda t, a: t.amax(a), [[5.0, 5.0]]),
    "maximum with ties": (lambda t, a, b: t.maximum(a, b), [[5.0, 1.0], [5.0, 2.0]]),
    "xlogy at 0": (lambda t, a, b: t.xlogy(a, b), [[0.0, 1.0], [0.0, 2.0]]),
    "std of equal ones": (lambda t, a: a.std(correction=0), [[5.0, 5.0]]),
    "renorm": (lambda t, a: a.renorm(2, 0, 1.0), [[[0.0, 1.0], [2.0, 3.0]]]),
    "cummax with ties": (lambda t, a: a.cummax(0)[0], [[5.0, 5.0, 2.0]]),
    "cumprod with zeros": (lambda t, a: a.cumprod(0), [[5.0, 0.0, 2.0, 0.0]]),
    "prod with one zero": (lambda t, a: a.prod(), [[5.0, 0.0, 2.0]]),
    "logsumexp of -inf": (lambda t, a: t.logsumexp(a, 0), [[-INF, -INF]]),
    "scatter_reduce amax": (lambda t, a, b: a.scatter_reduce(0, t.tensor([0, 0, 1]), b, "amax"), [[1.0, 2.0], [3.0, 3.0, 1.0]]),
    "scatter_reduce prod": (lambda t, a, b: a.scatter_reduce(0, t.tensor([0, 0, 1]), b, "prod"), [[1.0, 2.0], [3.0, 0.0, 1.0]]),
    "scatter_reduce mean": (lambda t, a, b: a.scatter_reduce(0, t.tensor([0, 0, 1]), b, "mean"), [[1.0, 2.0], [3.0, 0.0, 1.0]]),
    "ctc_loss, too long": (
        lambda t, a: t.nn.functional.ctc_loss(
            a.log_softmax(2), t.tensor([[1, 2, 2, 1, 3]]), t.tensor([4]), t.tensor([5]), zero_infinity=True
        ),
        [[[[0.1, 0.2, -0.3, 0.4]], [[0.5, 0.1, 0.0, -0.2]], [[0.3, 0.3, 0.1, 0.2]], [[0.9, -0.1, 0.2, 0.1]]]],
    ),
    "ctc_loss": (
        lambda t, a: t.nn.functional.ctc_loss(a.log_softmax(2), t.tensor([[1, 2]]), t.tensor([4]), t.tensor([2])),
        [[[[0.1, 0.2, -0.3, 0.4]], [[0.5, 0.1, 0.0, -0.2]], [[0.3, 0.3, 0.1, 0.2]], [[0.9, -0.1, 0.2, 0.1]]]],
    ),
    "lstsq": (lambda t, a, b: t.linalg.lstsq(a, b)[0], [[[2.0, 1.0], [1.0, 3.0], [0.0, 1.0]], [[1.0], [1.0], [2.0]]]),
    "pinv": (lambda t, a: t.linalg.pinv(a), [[[2.0, 1.0], [1.0, 3.0], [0.0, 1.0]]]),
    "svdvals": (lambda t, a: t.linalg.svdvals(a), [[[2.0, 1.0], [1.0, 3.0], [0.0, 1.0]]]),
    "embedding_bag max": (
        lambda t, w: t.nn.functional.embedding_bag(t.tensor([0, 1, 1]), w, t.tensor([0, 2]), mode="max"),
        [[[0.0, 1.0], [2.0, 3.0]]],
    ),
}


def program(name: str) -> Callable[[Any, Any], Any]:
    fn, elements = ROWS[name]

    def run(t: Any, n: Any) -> Any:
        xs = [t.tensor(x, dtype=t.float64, requires_grad=True) for x in elements]
        return caught(lambda: t.autograd.grad(fn(t, *xs).sum(), xs))

    return run


@pytest.mark.parametrize("name", ROWS)
def test_as_pytorch(name: str) -> None:
    assert differences(outcome(program(name), fw), outcome(program(name), torch)) == []
