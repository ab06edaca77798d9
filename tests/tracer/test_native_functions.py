"""Every kind of function behind the native entry, on the library's own Tensor: calls, names, copies, threads, signals, memory."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import inspect
import itertools
import pickle
import pydoc
import signal
import sys
import threading
import typing
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler, entrance, knobs
from fusewire.backends import entry
from fusewire.backends.entry import process
from fusewire.errors import CompileError


@pytest.fixture(autouse=True, scope="module")
def library_classes() -> None:
    """The entry builds the library's Tensor, also where another test's small one was there before."""
    if process.Classes.tensor is not fw.Tensor:
        entrance._refusal.clear()


def ones(n: int = 3) -> Any:
    return fw.ones(n)


@fw.compile
def doubled(x: Any) -> Any:
    """Twice x."""
    return x * 2


class Net(fw.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = fw.nn.Linear(3, 2)
        self.calls = 0

    def forward(self, x: Any, *more: Any, scale: float = 1.0, **named: Any) -> Any:
        self.calls += 1
        return self.first(x) * scale + len(more) + len(named)


# -- binding ---------------------------------------------------------------------------------------------------------------


def every(a, b=2, *args, c=3, **kw): return a * 1, b, args, c, kw  # type: ignore[no-untyped-def]
def some(a, *args): return a * 1, args  # type: ignore[no-untyped-def]
def named(**kw): return sorted(kw), kw  # type: ignore[no-untyped-def]
def only(*args, c=1): return args, c  # type: ignore[no-untyped-def]
def first(a, b, /, *args, c=1): return a, b, args, c  # type: ignore[no-untyped-def]
def mixed(a, b=1, /, **kw): return a, b, kw  # type: ignore[no-untyped-def]
def both(*args, **kw): return args, kw  # type: ignore[no-untyped-def]
def keys(a, *, b, c=1): return a, b, c  # type: ignore[no-untyped-def]


@pytest.mark.parametrize("function", [every, some, named, only, first, mixed, both, keys], ids=lambda f: f.__name__)
def test_arguments_bind_as_pythons_own_do(function: Any) -> None:
    x = ones()
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}), ((x,), {}), ((x, x), {}), ((x, x, x), {}), ((x, x, x, x), {}), ((x,), {"b": x}), ((x,), {"c": x}),
        ((x,), {"c": 2, "z": 2}), ((x,), {"a": x}), ((), {"a": x, "b": x}), ((x,), {"z": x, "y": 1}), ((x, x, x), {"b": x}),
        ((x, x, x), {"c": 5, "d": x}), ((x,), {"".join(["", "b"]): 1}),
    ]  # fmt: skip

    def outcome(f: Callable[..., Any], args: Any, kwargs: Any) -> str:
        try:
            return repr(f(*args, **kwargs))
        except TypeError as error:
            return str(error)

    with knobs.override(variant_limit=64):
        compiled = fw.compile(function)
        for args, kwargs in calls * 3:
            assert outcome(compiled, args, kwargs) == outcome(function, args, kwargs), (args, kwargs)
    gc.collect()
    held = sys.getrefcount(x)
    for _ in range(50):
        for args, kwargs in calls:
            outcome(compiled, args, kwargs)
    gc.collect()
    assert sys.getrefcount(x) - held < 10


def test_keyword_dicts_are_fresh() -> None:
    @fw.compile
    def keep(x: Any, **named: Any) -> Any:
        return named

    x = ones()
    a, b = keep(x), keep(x)
    a["k"] = 1
    assert a is not b and keep(x) == {} and b == {}


# -- kinds of functions ----------------------------------------------------------------------------------------------------


def test_recursion_and_compiling_inside() -> None:
    @fw.compile
    def power(x: Any, n: int) -> Any:
        return x if n == 0 else power(x * 2, n - 1)

    @fw.compile
    def outer(x: Any) -> Any:
        @fw.compile
        def inner(y: Any) -> Any:
            return y * 2

        return inner(x) + 1

    for _ in range(3):
        assert power(ones(), 5).tolist() == [32.0] * 3
        assert outer(ones()).tolist() == [3.0] * 3


def test_generators_and_coroutines_run_uncompiled() -> None:
    @fw.compile
    def gen(x: Any) -> Iterator[Any]:
        yield x * 2
        yield x * 3

    @fw.compile
    async def coroutine(x: Any) -> Any:
        await asyncio.sleep(0)
        return x * 2

    @fw.compile
    async def both(x: Any) -> Any:
        yield x * 2

    async def main(x: Any) -> Any:
        return await coroutine(x), [y async for y in both(x)]

    for _ in range(3):
        assert [y.tolist()[0] for y in gen(ones())] == [2.0, 3.0]
        a, b = asyncio.run(main(ones()))
        assert a.tolist() == b[0].tolist() == [2.0] * 3


def test_methods_properties_partials_and_namesakes() -> None:
    class Holder:
        @fw.compile
        @classmethod
        def of_class(cls, x: Any) -> Any:
            return cls, x * 2

        @classmethod
        @fw.compile
        def of_class_too(cls, x: Any) -> Any:
            return cls, x * 2

        @staticmethod
        @fw.compile
        def plain(x: Any) -> Any:
            return x * 3

        @property
        @fw.compile
        def value(self) -> Any:
            return ones() * 4

    class Sub(Holder):
        pass

    partial = fw.compile(functools.partial(every, ones(), c=2))
    lambdas = [fw.compile(lambda x, k=k: x * k) for k in range(3)]
    for _ in range(3):
        for owner in (Holder, Sub, Sub()):
            cls = owner if isinstance(owner, type) else type(owner)
            assert owner.of_class(ones())[0] is cls and owner.of_class_too(ones())[0] is cls
            assert owner.plain(ones()).tolist() == [3.0] * 3
        assert Sub().value.tolist() == [4.0] * 3
        assert partial(5)[1:] == (5, (), 2, {})
        assert [f(ones()).tolist()[0] for f in lambdas] == [0.0, 1.0, 2.0]
    assert fw.compile(Holder.value).fget(Sub()).tolist() == [4.0] * 3


def test_names_signatures_and_pickles_stay() -> None:
    @fw.compile
    def f(a: int, /, b: Any, *, c: int = 3, **named: Any) -> float:
        """What f is for."""
        return b * c

    assert str(inspect.signature(f)) == "(a: 'int', /, b: 'Any', *, c: 'int' = 3, **named: 'Any') -> 'float'"
    assert typing.get_type_hints(f)["return"] is float and "What f is for" in pydoc.render_doc(f)
    assert pickle.loads(pickle.dumps(doubled)) is doubled is copy.copy(doubled) is copy.deepcopy(doubled)


def test_compiled_modules_copy_and_pickle() -> None:
    model, x = fw.compile(Net()), ones()
    expected = model(x).tolist()
    for made in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert made(x).tolist() == expected and isinstance(made, Net) and compiler.dispatcher_of(made).variants
    other = copy.deepcopy(model)
    with fw.no_grad():
        other.first.weight.mul_(0)
        other.first.bias.mul_(0)
    assert other(x).tolist() == [0.0, 0.0] and model(x).tolist() == expected
    assert model(x, x, scale=0.0, k=1).tolist() == [2.0, 2.0]


# -- things that happen to a running call ----------------------------------------------------------------------------------


def test_an_entry_that_dies_while_it_runs() -> None:
    held: list[Any] = []

    def dropped(x: Any) -> Any:
        held.clear()
        compiler.reset()
        gc.collect()
        return x * 2

    def emptied(x: Any) -> Any:
        keep.__dict__.clear()
        gc.collect()
        return x * 2

    for _ in range(3):
        held.append(fw.compile(dropped))
        assert held[0](ones()).tolist() == [2.0] * 3
        keep = fw.compile(emptied)
        assert keep(ones()).tolist() == keep(ones()).tolist() == [2.0] * 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_interrupts_leave_the_function_usable() -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    def pieces(x: Any) -> Any:
        y = x * 2
        print(end="")
        z = y + 1
        print(end="")
        return z * y

    compiled, x, caught = fw.compile(pieces), ones(), 0
    expected = compiled(x).tolist()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(10):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.003)
                while True:
                    compiled(x)
            except KeyboardInterrupt:
                caught += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught == 10 and compiled(x).tolist() == expected


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_writes_to_read_only_memory_are_refused() -> None:
    def grow(x: Any) -> Any:
        x.add_(1)
        return x

    compiled = fw.compile(grow)
    assert compiled(ones()).tolist() == compiled(ones()).tolist() == [2.0] * 3
    for function in (grow, compiled):
        array = np.ones(3, np.float32)
        array.flags.writeable = False
        with pytest.raises(RuntimeError, match="read-only"):
            function(fw.from_numpy(array))
        assert array.tolist() == [1.0] * 3


def test_what_cannot_be_native_is_served_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise CompileError("not in this test")

    monkeypatch.setattr(entry, "Variant", refuse)
    monkeypatch.setattr(entry, "routine", refuse)
    f, x = fw.compile(lambda x: (x * x).sum()), ones().requires_grad_()
    for turn in range(3):
        f(x).backward()
        assert x.grad.tolist() == [2.0 * (turn + 1)] * 3
    assert compiler.dispatcher_of(f).variants[0].hits == 3


# -- threads and memory ----------------------------------------------------------------------------------------------------


def test_four_threads_call_and_compile_one_function() -> None:
    """Different shapes, some calls raise, the collector and the switching of threads are busy; every result is right."""

    class Wanted(Exception):
        pass

    @fw.compile
    def f(x: Any, fails: bool) -> Any:
        y = x * 2 + 1
        if fails:
            raise Wanted("as asked")
        return (y * x).sum() + y

    wrong: list[Any] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for turn in range(120):
            array = rng.standard_normal(int(rng.integers(1, 4)) * 8).astype(np.float32)
            try:
                found = f(fw.tensor(array), turn % 7 == 0).numpy()
                expected = ((array * 2 + 1) * array).sum() + array * 2 + 1
                if turn % 7 == 0 or not np.allclose(found, expected, rtol=1e-4, atol=1e-4):
                    wrong.append((seed, turn, found, expected))
            except Wanted:
                if turn % 7:
                    wrong.append((seed, turn, "raised"))
            if turn % 50 == 49:
                compiler.reset()

    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-5)
    gc.set_threshold(20, 2, 2)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(timeout=60)
        assert not any(t.is_alive() for t in threads)
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)
    assert not wrong, wrong[:3]


def test_compile_and_drop_keeps_memory_flat() -> None:
    """What 300 functions leave behind, once caches are warm: no objects, and next to no memory."""
    memory = pytest.importorskip("fusewire.bench.memory")

    def drop(cycles: int) -> None:
        x = ones(64)
        for n in range(cycles):
            space: dict[str, Any] = {}
            exec("def f(x):\n    return x * 0.5 + x.exp()", space)
            result = fw.compile(space.pop("f"))(x.clone().requires_grad_(n % 10 == 0))
            if n % 10 == 0:
                result.sum().backward()

    drop(60)
    memory.drop(10)
    gc.collect()
    objects, resident = len(gc.get_objects()), memory.resident()
    drop(300)
    memory.drop(20, start=10)
    gc.collect()
    assert len(gc.get_objects()) - objects < 300
    assert memory.resident() - resident < 4 << 20


@pytest.mark.parametrize("start, step", [(False, 1), (True, True), (False, 2), (True, 0)])
def test_count_from_a_bool(start: bool, step: int) -> None:
    def f(x: Any) -> Any:
        return x * 2, list(itertools.islice(itertools.count(start, step), 3))

    (_, plain), (_, compiled) = f(fw.ones(2)), fw.compile(f)(fw.ones(2))
    assert [(type(n), n) for n in compiled] == [(type(n), n) for n in plain]
