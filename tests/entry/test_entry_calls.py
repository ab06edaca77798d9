"""Calls through the native entry: binding, results, errors, life and death, threads, and that the function stays a function."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import pickle
import sys
import threading
import types
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire.backends.entry import table
from fusewire.ir import plan as p
from fusewire.ir.op import lookup
from fusewire.ir.types import ScalarType
from fusewire.runtime import guard as g
from fusewire.runtime import source as s

sys.path.insert(0, str(Path(__file__).parent))
from entry_kit import (
    F32,
    Tensor,
    args_of,
    buffer,
    code,
    floats,
    guarded,
    muladd,
    muladd_plan,
    tensor,
)  # fmt: skip

A, B = floats(64, 1), floats(64, 2)
WANTED = A._array * B._array + A._array


def user(x: Any, y: Any = B) -> Any:
    """The doc of user."""
    return "python"


def right(result: Any) -> bool:
    return type(result) is Tensor and np.array_equal(result._array, WANTED) and result.meta is A.meta


def test_result_is_a_whole_tensor() -> None:
    call, variant, _ = muladd(user, A, B)
    result = call(A, B)
    assert right(result) and variant.hits == 1
    assert (result._storage, result._offset, result._grad, result._node) == (None,) * 4
    assert "x is Tensor f32[64]" in variant.guard_text
    assert variant.failed_guard((A, 3)) is variant.guards[1] and variant.failed_guard((A, B)) is None


def test_an_input_without_an_array_is_a_miss() -> None:
    call, variant, _ = muladd(user, A, B)
    traced = floats(64)
    traced._array = None
    assert call(traced, B) == call(A, traced) == "python" and variant.hits == 0


def test_binding() -> None:
    call, variant, _ = muladd(user, A, B)
    for result in (
        call(A, B),
        call(A, y=B),
        call(y=B, x=A),
        call(A),
        call(x=A),
        call(*(A, B)),
        call(x=A, y=B),
        call(**{"".join("x"): A}),
    ):
        assert right(result)
    assert variant.hits == 8
    assert call(A, 3) == call(3) == "python"


@pytest.mark.parametrize(
    "args, kwargs", [((), {}), ((1, 2, 3), {}), ((1,), {"x": 2}), ((1,), {"z": 2}), ((), {"y": 1}), ((1, 2), {"y": 3})]
)
def test_wrong_arguments_get_pythons_own_error(args: Any, kwargs: Any) -> None:
    def dispatcher(*a: Any, **k: Any) -> Any:
        return user(*a, **k)

    for function in (user, lambda x, *rest, key=1, **more: 0):
        entry = table.Entry(function, dispatcher if function is user else function)
        outcomes = []
        for f in (entry.function, function):
            try:
                outcomes.append(f(*args, **kwargs))
            except TypeError as e:
                outcomes.append(str(e))
        assert outcomes[0] == outcomes[1]


SIGNATURES = [
    "x, y", "x, /, y", "x, y=3", "x, *, y", "x, *, y=3", "x, /, *, y=4",
    "x, *y", "x, **y", "x, *y, z=1, **w", "*x, **y",
    "x=1, /, y=2, *, z=3", "x, y, *z, w",
]  # fmt: skip


@pytest.mark.parametrize("signature", SIGNATURES)
def test_bound_arguments_are_pythons(signature: str) -> None:
    """The tail sees exactly the values that the function's own parameters would have."""
    scope: dict[str, Any] = {}
    names = list(inspect.signature(eval(f"lambda {signature}: 0")).parameters)
    exec(f"def f({signature}): return {{{', '.join(f'{n!r}: {n}' for n in names)}}}", scope)
    function = scope["f"]
    order = table.parameters(function)
    entry = table.Entry(function, function)
    entry.add(
        table.Variant(
            p.Plan("p", (), (), (), (), ()),
            {},
            [],
            [],
            function,
            output_metas=[],
            tail=lambda args, outs: dict(zip(order, args, strict=True)),
        )
    )
    calls = [
        ((), {}),
        ((1,), {}),
        ((1, 2), {}),
        ((1, 2, 3), {}),
        ((1,), {"y": 5}),
        ((), {"x": 1, "y": 2}),
        ((1,), {"z": 7}),
        ((1, 2), {"z": 7, "w": 8}),
        ((1, 2), {"w": 1}),
    ]
    for args, kwargs in calls:
        try:
            wanted: Any = function(*args, **kwargs)
        except TypeError as e:
            with pytest.raises(TypeError) as caught:
                entry.function(*args, **kwargs)
            assert str(caught.value) == str(e)
        else:
            assert entry.function(*args, **kwargs) == wanted


def test_methods() -> None:
    def method(self: Any, x: Any, y: Any = B) -> Any:
        return "python"

    plan = muladd_plan(64)
    entry = table.Entry(method, method)
    x, y = s.Arg(1, "x"), s.Arg(2, "y")
    guards = [g.TensorIs(x, Tensor, A.meta), g.TensorIs(y, Tensor, B.meta)]
    variant = table.Variant(plan, code(), guards, [x, y], method, output_metas=[A.meta])
    entry.add(variant)

    class Model:
        run = entry.function
        free = staticmethod(entry.function)
        of_class = classmethod(entry.function)

    class Child(Model):
        def through(self) -> Any:
            return super().run(A, B)

    model = Model()
    bound = model.run
    for _ in range(300):
        assert right(model.run(A, B)) and right(model.run(A)) and right(bound(A, y=B)) and right(Model.run(model, A))
        assert (
            right(Model.free(0, A, B))
            and right(Model.of_class(A))
            and right(Child().through())
            and right(functools.partial(model.run, y=B)(A))
        )
    assert variant.hits == 2400


def test_hot_call_sites_reach_the_entry() -> None:
    def hot(f: Any) -> None:
        for _ in range(1000):
            f(A, B)

    hot(user)
    call, variant, _ = muladd(user, A, B)
    hot(call)
    assert variant.hits == 1000
    assert all(map(right, map(call, [A] * 10, [B] * 10)))


def test_tail_and_tuples() -> None:
    def tail(args: Any, outputs: Any) -> Any:
        return {"args": args, "outputs": outputs}

    call, _, _ = muladd(user, A, B, tail=tail)
    made = call(A)
    assert made["args"] == (A, B) and right(made["outputs"][0])
    many, _, _ = muladd(user, A, B, single=False)
    assert type(many(A, B)) is tuple and right(many(A, B)[0])

    def broken(args: Any, outputs: Any) -> Any:
        raise LookupError("tail")

    call, _, _ = muladd(user, A, B, tail=broken)
    with pytest.raises(LookupError):
        call(A, B)


def test_kernel_status_calls_the_handler() -> None:
    seen: list[Any] = []

    def handler(*args: Any) -> Any:
        seen.append(args)
        return "replayed"

    call, variant, _ = muladd(user, A, B, plan=muladd_plan(64, "refuse"), on_error=handler)
    assert call(A) == "replayed" and seen == [(variant, (A, B), 1, 0)]
    call, _, _ = muladd(user, A, B, plan=muladd_plan(64, "refuse"))
    with pytest.raises(ValueError, match="refused"):
        call(A, B)


def extern_plan(scalars: bool = False) -> p.Plan:
    kind = A.meta.type
    views = [p.BufferView(i, kind) for i in range(3)]
    args: tuple[Any, ...] = (views[0], views[1])
    buffers = (
        buffer("x", 64, p.FromInput(0)),
        buffer("y", 64, p.FromInput(1)),
        buffer("t", 64, p.FromArena(0)),
        buffer("o", 64, p.FromOutput(0)),
    )
    steps = (
        p.ExternStep(lookup("mul"), args, {}, (p.BufferView(2, kind),)),
        p.ExternStep(lookup("add"), (p.BufferView(2, kind), views[0]), {}, (p.BufferView(3, kind),)),
    )
    return p.Plan("extern", (kind, kind), (), buffers, steps, (p.PlanOutput(kind),), arena=256)


def test_extern_steps_and_arena() -> None:
    call, variant, _ = muladd(user, A, B, plan=extern_plan())
    for _ in range(20):
        assert right(call(A, B))
    assert variant.hits == 20


def test_scalars() -> None:
    def scaled(x: Any, f: Any, n: Any) -> Any:
        return "python"

    from fusewire.ir import loops

    x, f, n = args_of(scaled)
    params = (loops.ScalarParam("f", "float"), loops.ScalarParam("n", "int"))
    kernel = loops.Kernel("scale", (loops.Buffer("x", F32, 1, "r"), loops.Buffer("o", F32, 1, "w")), (), params, (), ())
    step = p.KernelStep(kernel, (0, 1), (p.ScalarInput(1), p.ScalarInput(2)))
    one = tensor((1,), F32)
    buffers = (buffer("x", 1, p.FromInput(0)), buffer("o", 1, p.FromOutput(0)))
    plan = p.Plan("scale", (one, ScalarType("float"), ScalarType("int")), (), buffers, (step,), (p.PlanOutput(one),))
    value = Tensor(np.array([3.0], np.float32))
    entry = table.Entry(scaled, scaled)
    entry.add(table.Variant(plan, code(), [g.TensorIs(x, Tensor, value.meta)], [x, f, n], scaled, output_metas=[value.meta]))
    for factor, shift in [(1.5, 2), (-0.0, -(2**40)), (1e30, 0), (0.1, 2**62)]:
        got = entry.function(value, factor, shift)._array[0]
        assert got == np.float32(3.0 * factor + float(shift))
    for factor, shift in [(1, 2), (1.5, 2.0), (1.5, True), (1.5, 2**63), (np.float64(1), 1), (None, 1)]:
        assert entry.function(value, factor, shift) == "python"


def test_nothing_leaks() -> None:
    def broken(args: Any, outputs: Any) -> Any:
        raise LookupError("tail")

    calls = [muladd(user, A, B)[0], muladd(user, A, B, plan=extern_plan())[0], muladd(user, A, B, tail=lambda a, o: o)[0]]
    bad = muladd(user, A, B, tail=broken)[0]
    refused = muladd(user, A, B, plan=muladd_plan(64, "refuse"))[0]
    variants = [c.__dict__["__fusewire_entry__"].variants[0] for c in calls]

    def turn(count: int) -> None:
        for _ in range(count):
            for call in calls:
                call(A, B)
                call(A, 3)
            for call, error in ((bad, LookupError), (refused, ValueError)):
                with suppress(error):
                    call(A, B)

    turn(50)
    gc.collect()
    watched: list[Any] = [A, B, A._array, B._array, user, *variants]
    # what eager calls compile when they turn hot holds these, too: once, not every turn
    shared: list[Any] = [A.meta, A._array.dtype, Tensor, np.ndarray, None, True, ()]
    before = [sys.getrefcount(o) for o in watched + shared]
    turn(10_000)
    gc.collect()
    grown = [abs(sys.getrefcount(o) - count) for o, count in zip(watched + shared, before, strict=True)]
    assert max(grown[: len(watched)]) < 8 and max(grown) < 5_000


def test_no_memory_for_the_result() -> None:
    huge = tensor((1 << 55,), F32)
    plan = p.Plan("huge", (), (), (), (), (p.PlanOutput(A.meta.type), p.PlanOutput(huge)))
    variant = table.Variant(plan, {}, [], [], user, output_metas=[A.meta, None])
    entry = table.Entry(user, user)
    entry.add(variant)
    before = sys.getrefcount(A.meta), sys.getrefcount(variant)
    for _ in range(200):
        with pytest.raises(MemoryError):
            entry.function(1, 2)
    assert (sys.getrefcount(A.meta), sys.getrefcount(variant)) == before


def test_failing_allocations() -> None:
    testcapi = pytest.importorskip("_testcapi")
    call, variant, _ = muladd(user, A, B)
    call(A, B)
    gc.collect()
    watched = [A, B, A.meta, variant]
    before = [sys.getrefcount(o) for o in watched]
    failures = 0
    for start in range(8):
        try:
            testcapi.set_nomemory(start, start + 1)
            call(A, B)
        except MemoryError:
            failures += 1
        finally:
            testcapi.remove_mem_hooks()
    gc.collect()
    assert failures and [sys.getrefcount(o) for o in watched] == before and right(call(A, B))


def test_recursion_ends_as_in_python() -> None:
    calls: list[Any] = []

    def tail(args: Any, outputs: Any) -> Any:
        return calls[0](A, B)

    calls.append(muladd(user, A, B, tail=tail)[0])
    with pytest.raises(RecursionError):
        calls[0](A, B)


def test_threads() -> None:
    call, variant, _ = muladd(user, A, B, plan=extern_plan())
    plain, counted, _ = muladd(user, A, B)
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(2000):
            if not (right(call(A, B)) and right(plain(A, B))):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and variant.hits == counted.hits == 8000


def test_long_kernels_let_other_threads_run() -> None:
    n = 1 << 20
    x, y = floats(n, 1), floats(n, 2)
    call, variant, _ = muladd(user, x, y)
    wanted = x._array * y._array + x._array
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(10):
            if not np.array_equal(call(x, y)._array, wanted):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and variant.hits == 40


def test_variants_are_exchanged_while_one_runs() -> None:
    entries: list[table.Entry] = []
    died: list[int] = []

    def tail(args: Any, outputs: Any) -> Any:
        entries[0].clear()
        gc.collect()
        assert not died
        return outputs

    call, variant, entry = muladd(user, A, B, tail=tail)
    entries.append(entry)
    weakref.finalize(variant, died.append, 1)
    del variant
    assert right(call(A, B)[0])
    gc.collect()
    assert died == [1] and call(A, B) == "python"


def test_newest_variant_is_tried_first() -> None:
    call, first, entry = muladd(user, A, B)
    small = floats(8)
    x, y = args_of(user)
    guards = [g.TensorIs(x, Tensor, small.meta), g.TensorIs(y, Tensor, small.meta)]
    second = table.Variant(muladd_plan(8), code(), guards, [x, y], user, output_metas=[small.meta])
    entry.add(second)
    assert right(call(A, B)) and call(small, small).meta is small.meta and call(A, small) == "python"
    assert (first.hits, second.hits) == (1, 1) and entry.variants == [second, first]


def test_thunks_come_back() -> None:
    thunks = table._thunks()
    gc.collect()
    before = len(thunks.mapped)

    def make() -> None:
        call, _, entry = muladd(lambda x, y: entry, A, B)
        entry.function.me = call  # cycles through the function and its closure
        assert right(call(A, B))

    for i in range(600):
        make()
        if i % 20 == 0:
            gc.collect()
    gc.collect()
    assert len(thunks.mapped) <= before + 2


def test_collection_during_calls() -> None:
    call, variant, _ = muladd(user, A, B, single=False, tail=lambda a, o: [o])
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        assert all(right(call(A, B)[0][0]) for _ in range(300))
    finally:
        gc.set_threshold(*before)
    assert variant.hits == 300


def module_level(x: Any, y: Any = 3, *, z: int = 4) -> int:
    """Module level."""
    return 1


original = module_level


def test_the_copy_is_a_function() -> None:
    global module_level
    original.tag = 7  # type: ignore[attr-defined]
    entry = table.Entry(original, original)
    f = module_level = entry.function
    try:
        assert inspect.isfunction(f) and isinstance(f, types.FunctionType) and inspect.isroutine(f) and callable(f)
        assert inspect.signature(f) == inspect.signature(original) and inspect.getsource(f) == inspect.getsource(original)
        assert (f.__name__, f.__qualname__, f.__module__, f.__doc__) == (
            "module_level",
            "module_level",
            original.__module__,
            "Module level.",
        )
        assert f.__code__ is original.__code__ and f.__defaults__ == (3,) and f.__kwdefaults__ == {"z": 4} and f.tag == 7
        assert f.__annotations__ == original.__annotations__ and f.__globals__ is original.__globals__
        assert pickle.loads(pickle.dumps(f)) is f and copy.copy(f) is f and copy.deepcopy([f])[0] is f
        assert weakref.ref(f)() is f and repr(f).startswith("<function module_level at") and hash(f) == object.__hash__(f)
        assert functools.wraps(f)(lambda: 0).__wrapped__ is f
        assert f(1) == 1
    finally:
        module_level = original
        del original.tag  # type: ignore[attr-defined]


def test_assigned_defaults_and_code_are_seen() -> None:
    call, variant, entry = muladd(user, A, B)
    assert right(call(A))
    call.__defaults__ = (5,)
    assert call(A, B) == "python" and variant.hits == 1
    again = table.Variant(muladd_plan(64), code(), variant.guards, args_of(user), call, output_metas=[A.meta])
    entry.add(again)
    assert right(call(A, B)) and call(A) == "python" and entry.variants == [again]
    kept = call.__code__
    call.__code__ = kept.replace(co_name="other")
    assert call(A, B) == "python"
    call.__code__ = kept
    assert right(call(A, B))


def test_changed_keyword_defaults_are_seen() -> None:
    def keyword(x: Any, *, y: Any = B) -> Any:
        return "python"

    entry = table.Entry(keyword, keyword)

    def add() -> None:
        guards = [g.TensorIs(s.Arg(0, "x"), Tensor, A.meta), g.TensorIs(s.Arg(1, "y"), Tensor, B.meta)]
        sources = [s.Arg(0, "x"), s.Arg(1, "y")]
        entry.add(table.Variant(muladd_plan(64), code(), guards, sources, entry.function, output_metas=[A.meta]))

    add()
    call = entry.function
    assert right(call(A)) and right(call(A, y=B))
    call.__kwdefaults__["y"] = floats(64, 5)
    assert call(A) == call(A, y=B) == "python"
    add()
    assert not right(call(A)) and call(A) != "python" and right(call(A, y=B))
    call.__kwdefaults__ = None
    assert call(A, y=B) == "python"


def test_a_variant_with_many_frame_words() -> None:
    names = [f"k{i}" for i in range(9000)]
    table_of = dict.fromkeys(names, 1)
    call, _ = guarded(lambda x: "missed", *(g.Is(s.Item(s.Arg(0, "x"), n), table_of[n]) for n in names))
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append((call(table_of), call({}))))
    thread.start()
    thread.join()
    assert seen == [((), "missed")]


def test_gradient_of_the_result_is_in_its_meta() -> None:
    meta = A.meta.with_grad(True)
    call, _, _ = muladd(user, A, B, output_metas=[meta])
    assert call(A, B).meta is meta


def test_a_shape_only_python_knows() -> None:
    call, _, _ = muladd(user, A, B, output_metas=[None], output_grads=[True])
    assert call(A, B).meta is A.meta.with_grad(True)


def test_a_guard_text_for_no_guards() -> None:
    call, variant = guarded(lambda x: 1)
    assert call(1) == () and variant.guard_text == "True"


def test_the_self_test_passes_and_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from fusewire.backends.entry import process, selftest
    from fusewire.runtime import install

    assert selftest._try() is None
    monkeypatch.setattr(install, "set_vectorcall", lambda function, address: None)
    assert "calls went past" in str(selftest._try()) or "something else" in str(selftest._try())
    monkeypatch.setattr(process.Classes, "tensor", None)
    selftest.refusal.cache_clear()
    assert "not configured" in str(selftest.refusal())
    selftest.refusal.cache_clear()


def test_a_variant_of_python_code_needs_no_plan() -> None:
    ran: list[Any] = []
    x = s.Arg(0, "x")
    entry = table.Entry(user, user)
    entry.add(table.Variant.of_python([g.Equals(x, 3)], user, lambda args: ran.append(args) or "body"))
    assert entry.function(3) == "body" and entry.function(4) == "python" and ran == [(3, B)]
