"""What distributions refuse, refused inside of compiled functions too, in one graph and with eager's words."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as fw
from fusewire import distributions as D

T = fw.tensor
NAN = float("nan")
#: a program over two tensors, arguments it takes, arguments it refuses
CASES: list[tuple[Any, Any, list[Any]]] = [
    (lambda p, v: D.Normal(p, p).log_prob(v), (T([1.0, 2.0]), T([0.5, 3.0])), [
        (T([1.0, -2.0]), T([0.5, 3.0])), (T([1.0, NAN]), T([0.5, 3.0])), (T([1.0, 2.0]), T([NAN, 3.0])),
    ]),
    (lambda p, v: D.Bernoulli(p).log_prob(v), (T([0.25, 0.5]), T([0.0, 1.0])), [
        (T([0.25, 1.5]), T([0.0, 1.0])), (T([0.25, 0.5]), T([0.0, 2.0])),
    ]),
    (lambda p, v: D.Poisson(p).log_prob(v), (T([0.25, 0.0]), T([0.0, 1.0])), [
        (T([0.25, -0.5]), T([0.0, 1.0])), (T([0.25, 0.5]), T([0.0, 1.5])),
    ]),
    (lambda p, v: D.Uniform(p, p + 1).log_prob(v), (T([0.0, 1.0]), T([0.5, 1.5])), [(T([0.0, 1.0]), T([0.5, 3.0]))]),
    (lambda p, v: D.Categorical(p).log_prob(v), (T([0.25, 0.75]), T([0, 1])), [
        (T([0.25, -0.75]), T([0, 1])), (T([0.25, 0.75]), T([0, 2])),
    ]),
    (lambda p, v: D.Dirichlet(p).log_prob(v), (T([0.5, 2.0]), T([0.25, 0.75])), [
        (T([0.5, 0.0]), T([0.25, 0.75])), (T([0.5, 2.0]), T([0.25, 0.5])),
    ]),
]  # fmt: skip


def said(fn: Any, args: Any) -> str:
    with pytest.raises((ValueError, IndexError)) as caught:
        fn(*args)
    return str(caught.value)


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_refused_alike(case: Any) -> None:
    fn, taken, refused = case
    compiled = fw.compile(lambda p, v: fn(p, v), fullgraph=True)
    for _ in range(3):
        assert fw.allclose(compiled(*taken), fn(*taken))
        for args in refused:
            assert said(compiled, args) == said(fn, args)


def test_not_checked() -> None:
    compiled = fw.compile(lambda p, v: D.Normal(p, p, validate_args=False).log_prob(v), fullgraph=True)
    assert compiled(T([-1.0]), T([0.5])).isnan().all()


def test_constraints_of_a_users_class() -> None:
    class Shifted(D.Normal):
        arg_constraints = {"loc": D.constraints.greater_than(1.0), "scale": D.constraints.positive}

    for run in (Shifted, fw.compile(lambda p, q: Shifted(p, q).mean)):
        with pytest.raises(ValueError, match=r"GreaterThan.lower_bound=1\.0"):
            run(T([0.0]), T([1.0]))
        run(T([2.0]), T([1.0]))
