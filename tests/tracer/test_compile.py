"""The public face: compile in all its forms, wrappers, explain, gradients, threads."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import sys
import threading
import weakref
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agree import agree, plain, t

from fusewire import compiler, knobs, nn
from fusewire.eager import autograd


@compiler.compile
def documented(x, k=2, *, j=1):
    """Its documentation."""
    return x * k + j


@pytest.mark.parametrize("native", [True, False])
def test_the_wrapper_looks_like_the_function(native: bool) -> None:
    with knobs.override(native_entry=native):

        def f(x, k=2, *, j: int = 1) -> int:
            """Doc."""
            return x * k + j

        f.mark = "kept"
        c = compiler.compile(f)
        assert (c.__name__, c.__qualname__, c.__doc__, c.__module__, c.mark) == (
            f.__name__,
            f.__qualname__,
            "Doc.",
            f.__module__,
            "kept",
        )
        assert inspect.signature(c) == inspect.signature(f)
        assert inspect.isfunction(c)
        assert c(t(1), j=3).tolist() == [5.0]
        for bad in ({"z": 1}, {"x": t(1)}):
            with pytest.raises(TypeError) as ours:
                c(t(1), **bad)
            with pytest.raises(TypeError) as theirs:
                f(t(1), **bad)
            assert str(ours.value) == str(theirs.value)


def test_pickles_by_name() -> None:
    assert pickle.loads(pickle.dumps(documented)) is documented


def test_options() -> None:
    @compiler.compile(fullgraph=True, dynamic=None, mode="default", backend="reference")
    def f(x):
        return x + 1

    assert f(t(1)).tolist() == [2.0]
    with pytest.raises(ValueError, match="no back end 'xla'; there are cpu, reference"):
        compiler.explain(f, backend="xla")
    with pytest.raises(ValueError, match="no back end 'xla'"):
        compiler.compile(f, backend="xla")
    with pytest.raises(TypeError, match="compile takes a function"):
        compiler.compile(3)
    assert compiler.compile(len)([1, 2]) == 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 4)
        self.b = nn.Linear(4, 2)
        self.calls = 0

    def forward(self, x, scale=1.0):
        self.calls += 1
        h = nn.functional.relu(self.a(x))
        return self.b(h) * scale if self.training else self.b(h)


def test_module_twin_shares_everything() -> None:
    model = Net()
    twin = compiler.compile(model, backend="interpret")
    assert isinstance(twin, Net) and type(twin).__name__ == "Net"
    assert list(twin.state_dict()) == list(model.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    x = t([1, 2, 3])
    for mode in (True, False, True):
        model.train(mode)
        assert twin.training is mode
        assert twin(x, 2.0).tolist() == model(x, 2.0).tolist()
    assert model.calls == twin.calls == 6
    twin.a.bias = nn.Parameter(t(5, 5, 5, 5))
    assert twin(x).tolist() == model(x).tolist()
    copied = copy.deepcopy(twin)
    assert copied(x).tolist() == model(x).tolist()
    copied.a.weight.data.zero_()
    assert copied(x).tolist() != model(x).tolist()
    again = pickle.loads(pickle.dumps(twin))
    assert type(again).__name__ == "Net" and again(x).tolist() == model(x).tolist()
    assert twin.zero_grad() is None and sum(1 for _ in twin.parameters()) == 4


def test_module_inside_of_a_compiled_function() -> None:
    model = Net()
    twin = compiler.compile(model, backend="interpret")

    def loss(x):
        return (twin(x) + model(x)).sum()

    compiled = compiler.compile(loss, backend="interpret")
    x = t([1, 2, 3])
    assert compiled(x).item() == loss(x).item()
    compiled(x).backward()
    ours = [p.grad.tolist() for p in model.parameters()]
    model.zero_grad()
    loss(x).backward()
    assert ours == [p.grad.tolist() for p in model.parameters()]


@pytest.mark.parametrize("backend", ["interpret", "cpu", "eager"])
def test_gradients(backend: str) -> None:
    def f(x, w, b):
        h = (x @ w + b).relu()
        return h.sum(), h * 2, x + 1

    def run(fn, which):
        x, w, b = t([1, 2], [3, -4]), t([1, 2, 3], [4, 5, -6], grad=True), t(1, 1, 1, grad=True)
        outs = fn(x, w, b)
        total = outs[0] if which == 0 else outs[1].sum() if which == 1 else outs[0] + (outs[1] * outs[1]).sum()
        total.backward()
        return plain([outs, w.grad, b.grad])

    compiled = compiler.compile(f, backend=backend)
    for which in (0, 1, 2, 0):
        assert run(compiled, which) == run(f, which)


def test_second_and_third_derivatives() -> None:
    def f(x):
        return (x * x * x * 2).sum()

    def run(fn):
        x = t(1, 2, grad=True)
        (g,) = autograd.grad(fn(x), x, create_graph=True)
        (h,) = autograd.grad(g.sum(), x, create_graph=True)
        (k,) = autograd.grad(h.sum(), x)
        return g.tolist(), h.tolist(), k.tolist()

    assert run(compiler.compile(f, backend="interpret")) == run(f)


def test_backward_twice() -> None:
    compiled = compiler.compile(lambda x: (x * x).sum(), backend="interpret")
    x = t(1, 2, grad=True)
    loss = compiled(x)
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_outputs_that_are_views_have_gradients() -> None:
    def f(x):
        y = x * 2
        return x.t(), y.t(), x

    def run(fn):
        x = t([1, 2], [3, 4], grad=True)
        a, b, c = fn(x)
        ((a * 2).sum() + (b * b).sum() + c.sum()).backward()
        return x.grad.tolist(), c is x

    assert run(compiler.compile(f, backend="interpret")) == run(f)


def test_random_numbers_are_the_same_stream() -> None:
    import fusewire

    def f(x):
        return fusewire.rand(3) + nn.functional.dropout(x, 0.5) + fusewire.randn(3)

    def run(fn):
        fusewire.manual_seed(3)
        return [fn(t(1, 1, 1)).tolist() for _ in range(3)], fusewire.rand(2).tolist()

    compiled = compiler.compile(f, backend="interpret", fullgraph=True)
    assert run(compiled) == run(f)
    assert len(compiler.variants_of(compiled)) == 1


def test_disable_and_is_compiling() -> None:
    seen = []

    @compiler.disable
    def off(x):
        seen.append(compiler.is_compiling())
        return x * 2

    def f(x):
        return off(x) + (10 if compiler.is_compiling() else 1)

    assert f(t(1)).tolist() == [3.0]
    assert compiler.compile(f, backend="interpret")(t(1)).tolist() == [12.0]
    assert seen == [False, False]


def test_reset_compiles_again() -> None:
    compiled = agree(lambda x: x + 1, (t(1),), variants=1)
    compiler.reset()
    assert compiler.variants_of(compiled) == ()
    assert compiled(t(1)).tolist() == [2.0]
    assert len(compiler.variants_of(compiled)) == 1


def test_explain_is_for_reading() -> None:
    note = compiler.disable(lambda: None)

    def f(x):
        y = (x * 2).sum()
        note()
        return y + 1

    report = compiler.explain(f)(t(1, 2))
    text = str(report)
    assert text.startswith("f (test_compile.py:") and "): 2 graphs, 2 kernels, 1 graph break, " in text.splitlines()[0]
    for part in ("mul(%x, 2)", "guards:", "x: f32[2]", "graph break [", "hint:", "test_compile.py"):
        assert part in text, text
    assert report.result.item() == 7.0 and len(report.breaks) == 1 and report.kernels >= 1


def test_stage_texts() -> None:
    texts = compiler.stage_texts(lambda x: (x * 2).sum(), (t(1, 2, grad=True),))
    assert set(texts) == set(compiler.STAGES)
    assert (
        "mul" in texts["graph"]
        and "define" in texts["llvm"]
        and "BINARY_OP" in texts["bytecode"]
        and "is Tensor" in texts["guards"]
    )
    assert "_backward" in texts["joint"] and "tl.load" in texts["triton"]


def test_back_end_that_cannot_build(monkeypatch: pytest.MonkeyPatch) -> None:
    from fusewire import pipeline

    def broken(graph, backend="cpu"):
        raise ValueError("no such luck")

    monkeypatch.setattr(pipeline, "compile_graph", broken)
    compiled = compiler.compile(lambda x: x * 2 + 1)
    with pytest.warns(RuntimeWarning, match="cannot build .* no such luck") as told:
        assert compiled(t(1, 2)).tolist() == [3.0, 5.0]
    assert told[0].filename == __file__
    assert compiled(t(1, 3)).tolist() == [3.0, 7.0]


def test_compiled_functions_call_each_other() -> None:
    inner = compiler.compile(lambda x: x * 2, backend="interpret")

    def f(x):
        return inner(x) + inner(x * 3)

    compiled = compiler.compile(f, backend="interpret", fullgraph=True)
    assert compiled(t(1, 2)).tolist() == f(t(1, 2)).tolist() == [8.0, 16.0]
    assert len(compiler.variants_of(compiled)[0].graph.nodes) == 4


def test_threads() -> None:
    def f(x, n):
        return (x * n).sum() + n if n % 2 else x.sum() - n

    compiled = compiler.compile(f)
    wrong = []

    def work(seed):
        for i in range(40):
            n = (i + seed) % 7
            if compiled(t(1, 2, 3), n).item() != f(t(1, 2, 3), n).item():
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_dropped_functions_are_collected() -> None:
    def make():
        def f(x):
            return x + 1

        c = compiler.compile(f, backend="interpret")
        c(t(1))
        return weakref.ref(compiler.dispatcher_of(c))

    refs = [make() for _ in range(3)]
    gc.collect()
    assert all(r() is None for r in refs)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_an_optimiser_step_is_one_graph(name: str) -> None:
    import fusewire
    from fusewire import optim

    def run(wrap):
        fusewire.manual_seed(1)
        model = Net()
        opt = getattr(optim, name)(model.parameters(), lr=0.1, **({"momentum": 0.9} if name == "SGD" else {}))
        step = wrap(opt.step)
        for i in range(5):
            opt.zero_grad()
            (model(t([1, 2, 3])) ** 2).sum().backward()
            step()
            if i == 3:
                opt.param_groups[0]["lr"] = 0.05
        return step, [p.detach().numpy().tolist() for p in model.parameters()]

    eager = run(lambda f: f)[1]
    step, ours = run(lambda f: compiler.compile(f, backend="interpret", fullgraph=True))
    assert ours == eager
    made = compiler.variants_of(step)
    assert len(made) == 2  # state is made at the first call


def test_training_step_with_backward_inside() -> None:
    import fusewire
    from fusewire import optim

    def run(wrap):
        fusewire.manual_seed(1)
        model = Net()
        opt = optim.Adam(model.parameters(), lr=0.1)

        def step(x):
            opt.zero_grad()
            loss = (model(x) ** 2).sum()
            loss.backward()
            opt.step()
            return loss

        step = wrap(step)
        return [step(t([1, 2, 3])).item() for _ in range(4)]

    assert run(lambda f: compiler.compile(f, backend="interpret")) == run(lambda f: f)
