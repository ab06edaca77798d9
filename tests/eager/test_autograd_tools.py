"""Tools around the tape beside PyTorch: `autograd.functional`, gradcheck, anomaly mode, hooks of saved values, checkpoints."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler
from fusewire.utils.checkpoint import checkpoint

torch = pytest.importorskip("torch", reason="the oracle, PyTorch, is not installed")

PROGRAMS: dict[str, Callable[[Any], Any]] = {}


def program(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    PROGRAMS[fn.__name__] = fn
    return fn


def plain(x: Any) -> Any:
    """Tensors as (dtype, lists, requires_grad), whatever library they are of."""
    if hasattr(x, "detach"):
        return [str(x.dtype).rpartition(".")[2], np.round(np.asarray(x.detach().tolist(), "f8"), 4).tolist(), x.requires_grad]
    return [type(x).__name__, *(plain(v) for v in x)] if isinstance(x, (list, tuple)) else x


def outcome(fn: Callable[[Any], Any], library: Any) -> Any:
    try:
        return plain(fn(library))
    except Exception as error:
        return ["raises", next(k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins")]


def leaf(t: Any, *values: float, dtype: str = "float32") -> Any:
    return t.tensor(list(values) or [1.0, 2.0], requires_grad=True, dtype=getattr(t, dtype))


# -- functional ------------------------------------------------------------------------------------------------------------


def two(x: Any, y: Any) -> Any:
    return (x * y).exp(), x.sum() * y.prod()


@program
def jacobian(t: Any) -> Any:
    x, y = t.tensor([1.0, 0.5]), t.tensor([0.3, 2.0])
    j = t.autograd.functional.jacobian
    sin = lambda a: a.sin()  # noqa: E731
    return j(two, (x, y)), j(sin, x), j(sin, leaf(t), create_graph=True), j(two, (x, y), vectorize=True)


@program
def hessian(t: Any) -> Any:
    x, y = t.tensor([1.0, 0.5]), t.tensor([0.3, 2.0])
    h = t.autograd.functional.hessian
    return h(lambda a, b: (a * b.exp()).sum() ** 2, (x, y)), h(lambda a: (a**3).sum(), x), h(lambda a: a.sum(), x)


@program
def products(t: Any) -> Any:
    x, y = t.tensor([1.0, 0.5]), t.tensor([0.3, 2.0])
    f = t.autograd.functional
    cube = lambda a: (a**3).sum()  # noqa: E731
    return (
        f.vjp(two, (x, y), (t.ones(2), t.tensor(2.0))), f.jvp(two, (x, y), (y, x)), f.vjp(cube, x),
        f.jvp(lambda a: a.exp(), x, y),
        f.vhp(cube, x, y), f.hvp(cube, x, y), f.hvp(cube, leaf(t), y, create_graph=True),
    )  # fmt: skip


@program
def products_refuse(t: Any) -> Any:
    f, x = t.autograd.functional, t.ones(2)
    return [outcome(g, t) for g in (
        lambda t: f.vjp(lambda a: a * 2, x), lambda t: f.jvp(lambda a: a * 2, x, t.ones(3)), lambda t: f.jacobian(lambda a: 3, x),
        lambda t: f.hessian(lambda a: a * 2, x), lambda t: f.jacobian(lambda a: t.ones(2), x, strict=True),
        lambda t: f.jacobian(lambda a: t.ones(2), x),
    )]  # fmt: skip


# -- gradcheck -------------------------------------------------------------------------------------------------------------


@program
def gradcheck(t: Any) -> Any:
    x, y = leaf(t, 0.3, 0.7, dtype="float64"), leaf(t, 1.1, 0.2, dtype="float64")
    g = t.autograd.gradcheck
    return g(lambda a, b: (a * b.exp(), a.sum()), (x, y)), t.autograd.gradgradcheck(lambda a, b: a.sin() * b**3, (x, y))


def wrong(t: Any) -> Any:
    class Wrong(t.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            return a * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3

    return Wrong.apply


@program
def gradcheck_finds(t: Any) -> Any:
    x = leaf(t, 0.3, 0.7, dtype="float64")
    g = t.autograd.gradcheck
    raising = [outcome(lambda _, x=v: g(wrong(t), (x,)), t) for v in (x, x.detach())]  # type: ignore[misc]
    return g(wrong(t), (x,), raise_exception=False), raising


# -- anomaly mode, saved values, profiler ----------------------------------------------------------------------------------


@program
def saved_values_pass_through_hooks(t: Any) -> Any:
    x, seen = leaf(t), []

    def pack(v: Any) -> Any:
        seen.append(v)
        return v * 2

    with t.autograd.graph.saved_tensors_hooks(pack, lambda v: v / 2):
        y = x * x.exp()
    return t.autograd.grad(y.sum(), x), len(seen) > 0


@program
def saved_on_cpu(t: Any) -> Any:
    x = leaf(t)
    with t.autograd.graph.save_on_cpu():
        y = (x * 3) * (x * 2)
    return t.autograd.grad(y.sum(), x)


@program
def saved_values_of_higher_order(t: Any) -> Any:
    x = leaf(t)
    with t.autograd.graph.saved_tensors_hooks(lambda v: v.detach().clone(), lambda v: v):
        y = (x**3).sum()
    (g,) = t.autograd.grad(y, x, create_graph=True)
    return g


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_as_pytorch(name: str) -> None:
    assert outcome(PROGRAMS[name], fw) == outcome(PROGRAMS[name], torch)


def test_anomaly_mode_names_the_forward_line() -> None:
    x = leaf(fw, -1.0, 2.0)
    with fw.autograd.detect_anomaly():
        root = x.sqrt()  # the line to be named
        y = (root * 0).sum()
        with pytest.warns(UserWarning, match="the line to be named"), pytest.raises(RuntimeError, match=r"SqrtBackward0.*nan"):
            y.backward()
    assert not fw.autograd.anomaly_mode.is_anomaly_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (x.sqrt() * 0).sum().backward()
    with fw.autograd.set_detect_anomaly(True, check_nan=False):
        (x.sqrt() * 0).sum().backward()


def test_named_ranges_are_collected() -> None:
    with fw.autograd.profiler.profile() as p:
        for _ in range(3):
            with fw.autograd.profiler.record_function("part"):
                fw.ones(3).sum()
    (row,) = p.key_averages()
    assert (row.key, row.count) == ("part", 3) and "part" in p.key_averages().table(sort_by="cpu_time_total")


# -- checkpoints -----------------------------------------------------------------------------------------------------------


def checkpointed(t: Any, reentrant: bool) -> Any:
    c = import_module(f"{t.__name__}.utils.checkpoint")
    m = t.nn.Sequential(*[t.nn.Linear(3, 3) for _ in range(4)])
    for i, p in enumerate(m.parameters()):
        with t.no_grad():
            p.copy_(t.arange(p.numel()).reshape(p.shape).sin() * (i + 1) / 3)
    x = t.tensor([[1.0, 2.0, 3.0], [0.5, 0.1, -1.0]], requires_grad=True)
    runs: list[int] = []

    def part(v: Any, scale: Any) -> Any:
        runs.append(1)
        return m[1](m[0](v).tanh()) * scale, v

    out, same = c.checkpoint(part, x, 2, use_reentrant=reentrant)
    y = c.checkpoint_sequential(m, 2, out, use_reentrant=reentrant)
    (y.sum() + same.sum()).backward()
    return x.grad, [p.grad for p in m.parameters()], runs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_as_pytorch(reentrant: bool) -> None:
    assert plain(checkpointed(fw, reentrant)) == plain(checkpointed(torch, reentrant))


def test_a_checkpoint_draws_the_same_numbers_again_and_frees_what_lies_inside() -> None:
    x = fw.ones(64, requires_grad=True)
    seen = []

    def part(v: Any) -> Any:
        out = fw.nn.functional.dropout(v * 1, 0.5)
        seen.append(out.detach().tolist())
        return out.sin()

    fw.manual_seed(1)
    y = checkpoint(part, x, use_reentrant=False)
    after = fw.rand(3)
    y.sum().backward()
    assert seen[0] == seen[1] and len(seen) == 2
    following = fw.rand(3)
    fw.manual_seed(1)
    z = part(x)
    assert fw.rand(3).tolist() == after.tolist() and fw.rand(3).tolist() == following.tolist()
    np.testing.assert_allclose(x.grad.numpy(), fw.autograd.grad(z.sum(), x)[0].numpy(), rtol=1e-6)
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_a_checkpoint_is_differentiable_twice() -> None:
    x = leaf(fw)
    y = checkpoint(lambda v: v**3, x, use_reentrant=False).sum()
    (g,) = fw.autograd.grad(y, x, create_graph=True)
    assert fw.autograd.grad(g.sum(), x)[0].tolist() == [6.0, 12.0]


def test_a_checkpoint_inside_of_a_region() -> None:
    w = leaf(fw, 0.5, 0.25)

    def step(x: Any) -> Any:
        return fw.autograd.grad(checkpoint(lambda v: (v * w).sin(), x, use_reentrant=False).sum(), w)

    x = fw.tensor([1.0, 2.0])
    np.testing.assert_allclose(compiler.compile(step)(x)[0].numpy(), step(x)[0].numpy(), rtol=1e-5)


def test_pytorchs_names_of_the_parts_are_imported() -> None:
    code = (
        "import fusewire; fusewire.install_as('torch'); import torch\n"
        "from torch.autograd.functional import jacobian\nfrom torch.autograd.function import once_differentiable\n"
        "from torch.autograd.graph import saved_tensors_hooks\nfrom torch.utils.checkpoint import checkpoint\n"
        "from torch.func import functional_call, grad, vmap\nimport torch.autograd.profiler\n"
        "print(vmap(grad(lambda x: x**2))(torch.ones(3)).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[2.0, 2.0, 2.0]", done.stderr
