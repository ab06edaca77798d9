"""The namespace around `compile`: back ends of users, stances, disable, options, what can be compiled, and from many threads."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import threading
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

import fusewire as fw
from fusewire import compiler, nn
from fusewire.errors import CompileError, GraphBreakError, RecompileError
from fusewire.ir.graph import Graph
from fusewire.tracer import userbackend


def ones(*shape: int, **options: Any) -> Any:
    return fw.ones(*(shape or (2,)), **options)


def count(fn: Any) -> int:
    return len(compiler.variants_of(fn))


@pytest.fixture(autouse=True)
def default_stance() -> Iterator[None]:
    yield
    assert compiler.stance.chosen() == compiler.stance.now() == "default"


# -- back ends -------------------------------------------------------------------------------------------------------------


class Seen:
    """A back end that interprets, and keeps what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[Graph, list[Any]]] = []

    def __call__(self, graph: Graph, inputs: Any) -> Any:
        self.calls.append((graph, list(inputs)))
        return compiler.interpreter(graph)


def test_a_back_end_gets_graph_and_inputs_and_serves_all_calls() -> None:
    seen = Seen()

    @fw.compile(backend=seen)
    def f(x: Any, y: Any, n: int) -> Any:
        x.add_(1)
        return x * y * n, x[0]

    x = ones(2, 2)
    for n in (2, 3):
        product, row = f(x, ones(2, 2), n)
        assert product.tolist() == [[(1 + n - 1) * n] * 2] * 2 and row.tolist() == x[0].tolist()
        row.add_(0)  # a view of x
    ((graph, inputs),) = seen.calls
    assert not graph.writes and [o.source for o in graph.outputs] == [None] * len(graph.outputs)
    assert "mul(" in str(graph) and [type(v) for v in inputs] == [fw.Tensor, fw.Tensor, int]


def test_a_back_end_serves_backward_graphs_and_changing_sizes() -> None:
    seen = Seen()
    f = fw.compile(lambda w: (w * w).sum(), backend=seen)
    for n in (2, 3, 5, 7):
        w = ones(n, requires_grad=True)
        f(w).backward()
        assert w.grad.tolist() == [2.0] * n
    assert count(f) == 2 and {g.name.rpartition("_")[2] for g, _ in seen.calls} >= {"backward"}


@pytest.mark.parametrize(
    ("backend", "text"),
    [
        (lambda graph, inputs: None, "returned NoneType, not something to call"),
        (lambda graph, inputs: lambda *xs: (), "gave 0 results for 1 outputs"),
        (lambda graph, inputs: lambda *xs: (ones(5),), r"gave float32\[5\] for %"),
    ],
)
def test_a_wrong_back_end_is_told_so(backend: Any, text: str) -> None:
    with pytest.raises(CompileError, match=text):
        fw.compile(lambda x: x + 1, backend=backend)(ones())


def test_registered_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userbackend, "_backends", {})

    @compiler.register_backend
    def mine(graph: Graph, inputs: Any) -> Any:
        return compiler.interpreter(graph)

    @compiler.register_backend(name="other")
    def second(graph: Graph, inputs: Any) -> Any:
        return compiler.interpreter(graph)

    assert compiler.list_backends() == ["cpu", "reference", "interpret", "eager", "default", "mine", "other"]
    for name in compiler.list_backends():
        assert fw.compile(lambda x: x + 1, backend=name)(ones()).tolist() == [2.0, 2.0]
    with pytest.raises(ValueError, match="registered already"):
        compiler.register_backend(second, name="mine")
    with pytest.raises(ValueError, match="fusewire's own"):
        compiler.register_backend(second, name="cpu")
    with pytest.raises(ValueError, match=r"no back end 'nothing'; there are cpu, .*, mine, other"):
        fw.compile(ones, backend="nothing")


# -- options and modes -----------------------------------------------------------------------------------------------------


def test_options_hold_for_one_function() -> None:
    f = fw.compile(lambda x, flag: x + flag, options={"variant_limit": 2})
    g = fw.compile(lambda x, flag: x + flag)
    with pytest.warns(RuntimeWarning, match="2 compiled variants"):
        for value in (1, True, 2.0, ones()):
            assert f(ones(), value).tolist() == (ones() + value).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in (1, True, 2.0, ones()):
            g(ones(), value)
    for options, error in (({"threads": 2}, "whole process"), ({"nothing": 2}, "is no knob")):
        with pytest.raises(ValueError, match=error):
            fw.compile(ones, options=options)
    with pytest.raises(TypeError, match="variant_limit takes a int"):
        fw.compile(ones, options={"variant_limit": "2"})


def test_strict_is_eager_to_the_bit() -> None:
    def f(x: Any) -> Any:
        return fw.softmax(fw.sin(x) * 3 + x.exp(), -1).sum(0)

    x = fw.randn(33, 65)
    assert fw.equal(fw.compile(f, mode="strict")(x), f(x))
    with pytest.raises(ValueError, match="no mode 'fast'"):
        fw.compile(f, mode="fast")
    with pytest.raises(ValueError, match="runs the graph as eager ops"):
        fw.compile(f, mode="strict", backend="reference")


# -- stances and disable ---------------------------------------------------------------------------------------------------


def test_stances() -> None:
    f = fw.compile(lambda x: x * 2)
    f(ones())
    with compiler.set_stance("force_eager"):
        assert f(ones()).tolist() == f(ones(2)).tolist() and f(ones(3)).shape == (3,)
    with compiler.set_stance("eager_on_recompile"):
        assert f(ones(4)).shape == (4,) and f(ones()).shape == (2,)
    with compiler.set_stance("fail_on_recompile"):
        f(ones())
        with pytest.raises(RecompileError, match=r"recompile <lambda>: x is Tensor f32\[2\].* -> f32\[4\]"):
            f(ones(4))
        with pytest.raises(RecompileError, match="has not been compiled yet"):
            fw.compile(lambda x: x)(ones())
    assert count(f) == 1
    f(ones(5))
    assert count(f) == 2
    with pytest.raises(ValueError, match="no stance 'nothing'"):
        compiler.set_stance("nothing")


def test_force_eager_takes_machine_code_out_and_puts_it_back() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(compiler.is_compiling())
        return x + 1

    g = fw.compile(f, backend="eager")
    g(ones()), g(ones())
    made = fw.compile(lambda x: x + 1)
    made(ones())
    dispatcher = compiler.dispatcher_of(made)
    with compiler.disable():
        with compiler.set_stance("force_eager"):
            assert compiler.stance.now() == "force_eager"
        assert compiler.stance.now() == "force_eager" and compiler.stance.chosen() == "default"
        before = dispatcher.variants[0].hits
        made(ones())
        assert dispatcher.variants[0].hits == before
    assert made(ones()).tolist() == [2.0, 2.0]


def test_a_stance_as_function_and_decorator() -> None:
    f = fw.compile(lambda x: x * 2)
    compiler.set_stance("force_eager")
    f(ones())
    compiler.set_stance("default")
    assert count(f) == 0

    @compiler.set_stance("force_eager")
    def eagerly(x: Any) -> Any:
        """Doc."""
        return f(x)

    assert compiler.stance.chosen() == "default" and eagerly.__doc__ == "Doc."
    eagerly(ones())
    assert count(f) == 0
    f(ones())
    assert count(f) == 1


def test_disable_in_all_its_forms() -> None:
    def helper(x: Any, k: int = 2) -> Any:
        """Helps."""
        return x * k

    class Holder:
        @compiler.disable
        def method(self, x: Any) -> Any:
            return helper(x)

        @compiler.disable(recursive=False, reason="it is slow")
        def with_reason(self, x: Any) -> Any:
            return helper(x)

    off = compiler.disable(helper)
    assert off is not helper and inspect.signature(off) == inspect.signature(helper) and off.__doc__ == "Helps."
    holder = Holder()
    for fn, text in ((off, "a call of fn(...)"), (holder.method, "a call of fn(...)"), (holder.with_reason, "(it is slow)")):
        report = compiler.explain(lambda x, fn=fn: fn(x) + 1)(ones())
        assert [b.code for b in report.breaks] == ["disabled"] and text in report.breaks[0].what
        assert report.result.tolist() == [3.0, 3.0]
    assert not compiler.explain(lambda x: helper(x) + 1)(ones()).breaks
    assert compiler.compile(off) is off
    layer = compiler.disable(nn.Linear(2, 2))
    assert isinstance(layer, nn.Linear) and compiler.compile(lambda x: layer(x))(ones()).shape == (2,)
    assert [b.code for b in compiler.explain(lambda x: layer(x) + 1)(ones()).breaks] == ["disabled"]
    with pytest.raises(TypeError, match="disable takes"):
        compiler.disable(3)


def test_error_on_graph_break() -> None:
    def breaks(x: Any) -> Any:
        zlib.crc32(b"")
        return x + 1

    with compiler.error_on_graph_break(True), pytest.raises(GraphBreakError, match="c-function"):
        fw.compile(breaks)(ones())
    whole = fw.compile(breaks, fullgraph=True)
    with compiler.error_on_graph_break(False):
        assert whole(ones()).tolist() == [2.0, 2.0]
    strictly = compiler.error_on_graph_break(True)(fw.compile(breaks))
    with pytest.raises(GraphBreakError):
        strictly(ones())


def test_allow_in_graph() -> None:
    def scaled(x: Any) -> Any:
        return x * len(hash_of("a"))

    def hash_of(text: str) -> str:
        return str(zlib.crc32(text.encode()))

    assert compiler.explain(lambda x: scaled(x) + 1)(ones()).breaks
    allowed = compiler.allow_in_graph(scaled)
    report = compiler.explain(lambda x: allowed(x) + 1, fullgraph=True)(ones())
    assert report.result.tolist() == (scaled(ones()) + 1).tolist()
    with pytest.raises(TypeError, match="allow_in_graph takes"):
        compiler.allow_in_graph(len)


# -- what can be compiled --------------------------------------------------------------------------------------------------


class Scale:
    """Scales."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, x: Any, *, shift: float = 0.0) -> Any:
        return x * self.by + shift


class Slotted:
    __slots__ = ("by",)

    def __call__(self, x: Any) -> Any:
        return x * self.by


def test_callable_objects() -> None:
    scale = Scale(2.0)
    made = fw.compile(scale)
    assert isinstance(made, Scale) and made.__doc__ == "Scales." and inspect.signature(made) == inspect.signature(scale)
    assert made(ones(), shift=1.0).tolist() == [3.0, 3.0] and count(made) == 1
    scale.by = 4.0
    assert made(ones()).tolist() == [4.0, 4.0]
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(twin).__name__ == "Scale" and twin(ones()).tolist() == [4.0, 4.0]
    slotted = Slotted()
    slotted.by = 3
    assert fw.compile(slotted)(ones()).tolist() == [3.0, 3.0]


def test_partials_methods_properties_builtins_and_twice() -> None:
    part = functools.partial(Scale(2.0), shift=1.0)
    assert fw.compile(part)(ones()).tolist() == [3.0, 3.0]
    method = fw.compile(Scale(2.0).__call__)
    assert method(ones()).tolist() == [2.0, 2.0] and inspect.ismethod(method)
    made = fw.compile(property(lambda self: ones() * 2))
    assert type(made) is property and made.fget(None).tolist() == [2.0, 2.0]
    assert fw.compile(len) is len and fw.compile(zlib.crc32)(b"") == 0

    def plain(x: Any) -> Any:
        return x + 1

    twice = fw.compile(fw.compile(plain), backend="interpret")
    assert twice(ones()).tolist() == [2.0, 2.0] and count(twice) == 1 and twice.__name__ == "plain"

    def generate(x: Any) -> Any:
        yield x + 1

    assert [y.tolist() for y in fw.compile(generate)(ones())] == [[2.0, 2.0]]
    for wrong in (Scale, 3, "f"):
        with pytest.raises(TypeError, match="compile takes"):
            fw.compile(wrong)


def test_a_module_in_place() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    keys, x = list(model.state_dict()), ones(4, 2)
    expected = model(x)
    assert model.compile(fullgraph=True) is None
    assert fw.allclose(model(x), expected) and count(model) == 1
    assert isinstance(model, nn.Sequential) and type(model).__name__ == "Sequential" and list(model.state_dict()) == keys
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert fw.allclose(twin(x), expected) and list(twin.state_dict()) == keys and count(twin) == 1
    with fw.no_grad():
        model[0].weight.zero_()
    assert not fw.allclose(model(x), expected)
    model[2].compile()  # a part of it
    model(x)


# -- threads ---------------------------------------------------------------------------------------------------------------


def test_stances_change_while_others_call() -> None:
    f = fw.compile(lambda x, k: (x * k).sum())
    errors: list[BaseException] = []

    def call() -> None:
        try:
            for i in range(150):
                assert float(f(ones(1 + i % 5), 2.0)) == 2.0 * (1 + i % 5)
        except BaseException as error:
            errors.append(error)

    def switch() -> None:
        for _ in range(60):
            with compiler.disable():
                pass
            compiler.reset()

    threads = [threading.Thread(target=t) for t in (call, call, switch, call)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
