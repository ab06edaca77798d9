"""What a capture saw is changed between two calls, in every way Python has: compiled and eager agree on what follows.

Each case makes a function with its arguments and a list of changes; it is made twice, run eagerly and compiled, and called
before the first change and, twice, after each.
"""

from __future__ import annotations

import builtins
import enum
import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
import fusewire.nn as nn
from fusewire import compiler, knobs

Case = tuple[Callable[..., Any], Callable[[], tuple[Any, ...]], list[Callable[[], Any]]]
CASES: dict[str, Callable[[], Case]] = {}


def case(make: Callable[[], Case]) -> Callable[[], Case]:
    CASES[make.__name__] = make
    return make


def x() -> Any:
    return fw.arange(6.0).reshape(2, 3) + 1


def numbers(value: Any) -> Any:
    if isinstance(value, fw.Tensor):
        return value.detach().numpy().copy(), value.requires_grad, str(value.dtype)
    return type(value)(map(numbers, value)) if isinstance(value, (tuple, list)) else value


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return numbers(call())
    except Exception as error:
        return type(error).__name__, str(error)


def history(make: Callable[[], Case], wrap: Callable[[Any], Any]) -> list[Any]:
    fn, args, changes = make()
    called, seen = wrap(fn), []
    for change in [lambda: None, *changes]:
        change()
        seen += [outcome(lambda: called(*args())) for _ in range(2)]
    return seen


def restore(before: dict[str, Any]) -> None:
    """Names of this file and states of the library as they were."""
    for name in globals().keys() - before.keys():
        del globals()[name]
    globals().update(before)
    fw.set_grad_enabled(True)
    fw.manual_seed(0)


# -- names ------------------------------------------------------------------------------------------------------------------

FACTOR, TABLE = 2.0, {"a": 1.0, "b": [1, 2]}


def helper(a: Any, by: float = 2.0, *, plus: float = 0.0) -> Any:
    return a * by + plus


def other_helper(a: Any, by: float = 3.0, *, plus: float = 1.0) -> Any:
    return a - by + plus


def put(name: str, value: Any) -> Callable[[], None]:
    return lambda: globals().__setitem__(name, value)


@case
def global_numbers_and_types() -> Case:
    return lambda a: a * FACTOR, lambda: (x(),), [put("FACTOR", v) for v in (3.0, 4, True, fw.ones(3), "no", None, -0.0)]


@case
def global_functions() -> Case:
    return (
        lambda a: helper(a),
        lambda: (x(),),
        [put("helper", other_helper), put("helper", lambda a: a.sum()), put("helper", fw.exp)],
    )


@case
def a_global_that_hides_a_builtin() -> Case:
    return lambda a: a * len([1, 2]), lambda: (x(),), [put("len", lambda _: 7), lambda: globals().pop("len")]


@case
def a_builtin_that_is_patched() -> Case:
    old = builtins.abs

    def restore() -> None:
        builtins.abs = old

    def patch() -> None:
        builtins.abs = lambda _: 5  # type: ignore[assignment]

    return lambda a: a * abs(-2), lambda: (x(),), [patch, restore]


@case
def a_deleted_global() -> Case:
    globals()["GONE"] = 2.0
    return lambda a: a * GONE, lambda: (x(),), [lambda: globals().pop("GONE"), put("GONE", 3.0)]  # type: ignore[name-defined] # noqa: F821


@case
def defaults_and_keyword_defaults() -> Case:
    def f(a: Any, by: float = 2.0, *, plus: float = 1.0) -> Any:
        return a * by + plus

    def change(name: str, value: Any) -> Callable[[], None]:
        return lambda: setattr(f, name, value)

    return lambda a: f(a), lambda: (x(),), [
        change("__defaults__", (5.0,)), change("__kwdefaults__", {"plus": 7.0}), lambda: f.__kwdefaults__.update(plus=8.0),
        change("__defaults__", None), change("__code__", other_helper.__code__),
    ]  # fmt: skip


@case
def closures() -> Case:
    by: Any = 2.0

    def f(a: Any) -> Any:
        return a * by

    def change(value: Any) -> Callable[[], None]:
        def go() -> None:
            nonlocal by
            by = value

        return go

    return f, lambda: (x(),), [change(v) for v in (3.0, 2, fw.ones(3) * 4, "s", True)]


@case
def a_function_in_a_module() -> Case:
    module = types.ModuleType("made")
    module.f = lambda a: a * 2  # type: ignore[attr-defined]

    def change(value: Any) -> Callable[[], None]:
        return lambda: setattr(module, "f", value)

    return lambda a: module.f(a), lambda: (x(),), [change(lambda a: a * 3), change(fw.sin), lambda: delattr(module, "f")]


# -- objects ------------------------------------------------------------------------------------------------------------------


class Base:
    scale = 2.0

    def __init__(self) -> None:
        self.bias = 1.0

    def forward(self, a: Any) -> Any:
        return a * self.scale + self.bias

    @property
    def twice(self) -> float:
        return self.bias * 2


def fresh() -> type:
    return type("Fresh", (Base,), {"forward": lambda self, a: Base.forward(self, a) + self.twice})


@case
def attributes_of_an_object() -> Case:
    box = fresh()()
    return lambda a: box.forward(a), lambda: (x(),), [
        lambda: setattr(box, "bias", 3.0), lambda: setattr(box, "bias", fw.ones(3)), lambda: setattr(box, "scale", 5.0),
        lambda: delattr(box, "scale"), lambda: delattr(box, "bias"), lambda: vars(box).update(bias=9),
    ]  # fmt: skip


@case
def attributes_of_a_class() -> Case:
    cls = fresh()
    box = cls()
    return lambda a: box.forward(a), lambda: (x(),), [
        lambda: setattr(cls, "scale", 4.0), lambda: setattr(cls, "forward", lambda self, a: a + self.bias),
        lambda: setattr(cls, "twice", 3.0), lambda: delattr(cls, "forward"), lambda: delattr(cls, "scale"),
    ]  # fmt: skip


@case
def a_method_on_the_instance() -> Case:
    box = fresh()()
    return lambda a: box.forward(a), lambda: (x(),), [
        lambda: setattr(box, "forward", lambda a: a * 10), lambda: delattr(box, "forward"),
    ]  # fmt: skip


@case
def another_class() -> Case:
    box, other = fresh()(), type("Other", (Base,), {"forward": lambda self, a: a - self.bias})
    return (
        lambda a: box.forward(a),
        lambda: (x(),),
        [lambda: setattr(box, "__class__", other), lambda: setattr(box, "__class__", Base)],
    )


@case
def other_bases() -> Case:
    class Left:
        def go(self, a: Any) -> Any:
            return a * 2

    class Right:
        def go(self, a: Any) -> Any:
            return a * 3

    class Both(Left):
        pass

    box = Both()
    return (
        lambda a: box.go(a),
        lambda: (x(),),
        [lambda: setattr(Both, "__bases__", (Right,)), lambda: setattr(Right, "go", lambda s, a: a)],
    )


@case
def a_getattr_that_comes_later() -> Case:
    cls = fresh()
    box = cls()
    return lambda a: a * getattr(box, "missing", 2), lambda: (x(),), [
        lambda: setattr(cls, "__getattr__", lambda self, name: 5), lambda: delattr(cls, "__getattr__"),
        lambda: setattr(box, "missing", 6), lambda: setattr(cls, "missing", property(lambda self: 7)),
    ]  # fmt: skip


@case
def operators_of_a_class() -> Case:
    cls = type("Number", (), {"__mul__": lambda self, a: a * 2, "__bool__": lambda self: True, "__len__": lambda self: 3})
    box = cls()
    return lambda a: (box * a) * len(box) if box else a, lambda: (x(),), [
        lambda: setattr(cls, "__mul__", lambda self, a: a * 5), lambda: setattr(cls, "__bool__", lambda self: False),
        lambda: delattr(cls, "__bool__"), lambda: setattr(cls, "__len__", lambda self: 0),
    ]  # fmt: skip


@case
def slots() -> Case:
    class Slotted:
        __slots__ = ("a", "b")

    box = Slotted()
    box.a = 2.0
    return lambda t: t * box.a + getattr(box, "b", 0), lambda: (x(),), [
        lambda: setattr(box, "a", 3), lambda: setattr(box, "b", 1.5), lambda: delattr(box, "b"), lambda: delattr(box, "a"),
    ]  # fmt: skip


@case
def an_enum_and_a_partial() -> Case:
    class Mode(enum.Enum):
        ADD, MUL = 1, 2

    box = types.SimpleNamespace(mode=Mode.ADD, call=functools.partial(helper, by=3.0))
    return lambda a: box.call(a) + 1 if box.mode is Mode.ADD else box.call(a) * 2, lambda: (x(),), [
        lambda: setattr(box, "mode", Mode.MUL), lambda: setattr(box, "call", functools.partial(helper, by=4.0, plus=1.0)),
        lambda: setattr(box, "call", functools.partial(other_helper)), lambda: box.call.keywords.update(by=9.0),
    ]  # fmt: skip


# -- containers ---------------------------------------------------------------------------------------------------------------


@case
def a_dict() -> Case:
    table: dict[Any, Any] = {"a": 2.0, "b": fw.ones(3)}
    return lambda a: sum([a * v for v in table.values()], a * 0) + table.get("c", 0) + ("d" in table), lambda: (x(),), [
        lambda: table.update(a=3.0), lambda: table.update(c=1), lambda: table.pop("b"), lambda: table.update(d=fw.zeros(3)),
        lambda: table.clear(), lambda: table.update({1: 2.0}), lambda: table.update({True: 4.0}),
    ]  # fmt: skip


@case
def a_list() -> Case:
    held: list[Any] = [2.0, fw.ones(3)]
    return lambda a: sum([a * v for v in held], a * 0) + len(held), lambda: (x(),), [
        lambda: held.append(3), lambda: held.reverse(), lambda: held.__setitem__(0, "no"), lambda: held.clear(),
        lambda: held.extend([1, True]), lambda: held.sort(),
    ]  # fmt: skip


@case
def nested() -> Case:
    deep: Any = {"l": [(1.0, {"k": 2.0})]}
    return lambda a: a * deep["l"][0][1]["k"] + deep["l"][-1][0], lambda: (x(),), [
        lambda: deep["l"][0][1].update(k=5.0), lambda: deep["l"].append((7.0, {})), lambda: deep["l"].insert(0, (0.5, {"k": 3})),
        lambda: deep.update(l=((4.0, {"k": fw.ones(3)}),)), lambda: deep["l"][0][1].pop("k"),
    ]  # fmt: skip


@case
def subclasses_of_containers() -> Case:
    class Loud(dict):  # type: ignore[type-arg]
        def __getitem__(self, key: Any) -> Any:
            return 10.0

    box = types.SimpleNamespace(d={"k": 2.0})
    return lambda a: a * box.d["k"], lambda: (x(),), [lambda: setattr(box, "d", Loud(k=1.0)), lambda: setattr(box, "d", {"k": 3})]


# -- arguments ----------------------------------------------------------------------------------------------------------------


def argument(values: list[Any], fn: Callable[..., Any]) -> Case:
    box = [values[0]]
    return fn, lambda: (x(), box[0]), [lambda v=v: box.__setitem__(0, v) for v in values[1:]]  # type: ignore[misc]


@case
def types_of_an_argument() -> Case:
    values = [
        2,
        2.0,
        True,
        np.float32(2),
        "2",
        None,
        [2],
        (2,),
        fw.ones(3),
        fw.ones(3).to(fw.float64),
        fw.ones(3, dtype=fw.int64),
        1j,
    ]
    return argument(values, lambda a, n: a * n)


@case
def special_numbers() -> Case:
    values = [0.0, -0.0, float("nan"), float("inf"), 2**53 + 1, 2**63, -(2**63), 2**64, 10**30, -1]
    return argument(values, lambda a, n: (a * n, n + 1, n > 0, 1 if n else 2))


@case
def strings_and_flags() -> Case:
    return argument(
        ["a", "b", "".join(["a", ""]), b"a", True, False, None], lambda a, k: a * 2 if k == "a" else a + 1 if k else a
    )


@case
def tensors_of_many_kinds() -> Case:
    values = [
        fw.ones(3), fw.ones(2, 3), fw.ones(3, 2).t(), fw.ones(1, 3).expand(2, 3), fw.ones(3, requires_grad=True),
        nn.Parameter(fw.ones(3)),
        fw.ones(6)[::2], fw.ones(()), fw.ones(0, 3), fw.ones(2, 2),
    ]  # fmt: skip
    return argument(values, lambda a, t: a * t + t.stride()[0] if t.ndim else a * t)


# -- memory -------------------------------------------------------------------------------------------------------------------


@case
def the_same_tensor_twice() -> Case:
    pair = [fw.ones(3), fw.zeros(3)]

    def f(a: Any, b: Any) -> Any:
        a.mul_(2)
        b.add_(a)
        return a + b, a is b

    return f, lambda: tuple(pair), [lambda: pair.__setitem__(1, pair[0]), lambda: pair.__setitem__(1, fw.ones(3))]


@case
def views_of_one_memory() -> Case:
    base = fw.arange(6.0)
    pair = [base[:3], base[3:]]

    def f(a: Any, b: Any) -> Any:
        a.add_(1)
        return a + b

    return f, lambda: tuple(pair), [
        lambda: pair.__setitem__(1, base[1:4]), lambda: pair.__setitem__(1, base[:3]), lambda: pair.__setitem__(0, base[2:5]),
        lambda: pair.__setitem__(1, fw.ones(3)),
    ]  # fmt: skip


@case
def a_parameter_that_is_an_argument() -> Case:
    model = nn.Linear(3, 3)
    fill(model)
    box: list[Any] = [fw.ones(3, 3)]

    def f(a: Any, w: Any) -> Any:
        with fw.no_grad():
            w.mul_(2)
        return model(a)

    return f, lambda: (x(), box[0]), [lambda: box.__setitem__(0, model.weight), lambda: box.__setitem__(0, model.weight.detach())]


# -- modules ------------------------------------------------------------------------------------------------------------------


def fill(model: Any) -> Any:
    with fw.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(fw.arange(float(p.numel())).reshape(p.shape) * 0.1 + i)
    return model


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.register_buffer("shift", fw.ones(3))
        self.factor = 2.0

    def forward(self, t: Any) -> Any:
        return self.b(self.a(t).relu()) * self.factor + self.shift * (1 if self.training else 2)


@case
def parts_of_a_module() -> Case:
    net = fill(Net())
    return lambda t: net(t), lambda: (x(),), [
        lambda: setattr(net, "a", fill(nn.Linear(3, 3, bias=False))), lambda: setattr(net, "b", nn.ReLU()), lambda: net.eval(),
        lambda: setattr(net, "b", nn.Identity()), lambda: setattr(net.a, "weight", nn.Parameter(fw.ones(3, 3))),
        lambda: setattr(net, "shift", fw.zeros(3)), lambda: net._buffers.update(shift=fw.ones(1)),
        lambda: setattr(net, "factor", 3),
        lambda: setattr(net.a, "forward", lambda t: t * 2), lambda: setattr(net, "a", None), lambda: delattr(net, "a"),
    ]  # fmt: skip


@case
def gradients_of_a_module() -> Case:
    net = fill(Net())

    def f(t: Any) -> Any:
        return net(t)

    return f, lambda: (x(),), [
        lambda: net.a.weight.requires_grad_(False), lambda: net.requires_grad_(False), lambda: net.b.bias.requires_grad_(True),
        lambda: fw.set_grad_enabled(False), lambda: fw.set_grad_enabled(True), lambda: net.requires_grad_(True),
    ]  # fmt: skip


@case
def hooks_that_come_later() -> Case:
    net, handles = fill(Net()), []

    def on(made: Any) -> None:
        handles.append(made)

    return lambda t: net(t), lambda: (x(),), [
        lambda: on(net.register_forward_hook(lambda m, a, out: out * 2)),
        lambda: on(net.a.register_forward_pre_hook(lambda m, a: (a[0] + 1,))),
        lambda: on(net.b.register_forward_hook(lambda m, a, out: out - 1)), lambda: handles[0].remove(),
        lambda: handles[1].remove(),
        lambda: handles[2].remove(),
    ]  # fmt: skip


@case
def hooks_of_gradients_that_come_later() -> Case:
    net, handles = fill(Net()), []

    def f(t: Any) -> Any:
        net.zero_grad()
        net(t).sum().backward()
        return net.a.weight.grad.clone()

    return f, lambda: (x(),), [
        lambda: handles.append(net.a.weight.register_hook(lambda g: g * 2)), lambda: handles[0].remove(),
    ]  # fmt: skip


@case
def the_class_of_a_module() -> Case:
    net = fill(Net())
    other = type("OtherNet", (Net,), {"forward": lambda self, t: self.a(t)})

    def restore() -> None:
        Net.forward = old  # type: ignore[method-assign]

    old = Net.forward
    return lambda t: net(t), lambda: (x(),), [
        lambda: setattr(net, "__class__", other), lambda: setattr(other, "forward", lambda self, t: self.b(t)),
        lambda: setattr(net, "__class__", Net), lambda: setattr(Net, "forward", lambda self, t: t), restore,
    ]  # fmt: skip


@case
def a_sequential_that_grows() -> Case:
    net = fill(nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
    return lambda t: net(t), lambda: (x(),), [
        lambda: net.append(nn.Tanh()), lambda: net.__setitem__(0, nn.Identity()), lambda: net._modules.pop("1"),
        lambda: net._modules.clear(), lambda: net.append(nn.Sigmoid()),
    ]  # fmt: skip


@case
def parameters_that_are_shared() -> Case:
    net = fill(Net())
    return lambda t: net(t), lambda: (x(),), [
        lambda: setattr(net.b, "weight", net.a.weight), lambda: setattr(net, "b", net.a),
        lambda: setattr(net, "b", fill(nn.Linear(3, 3))),
    ]  # fmt: skip


@case
def data_of_a_parameter() -> Case:
    net = fill(Net())

    def assign(value: Any) -> Callable[[], None]:
        def go() -> None:
            net.a.weight.data = value

        return go

    return (
        lambda t: net(t),
        lambda: (x(),),
        [assign(fw.ones(3, 3)), assign(fw.ones(3, 3).to(fw.float64)), assign(fw.ones(3, 3).t())],
    )


# -- state of the library -------------------------------------------------------------------------------------------------------


@case
def the_gradient_mode() -> Case:
    w = fw.ones(3, requires_grad=True)
    return lambda a: a * w, lambda: (x(),), [lambda: fw.set_grad_enabled(False), lambda: fw.set_grad_enabled(True)]


@case
def the_random_state() -> Case:
    def f(a: Any) -> Any:
        return a + fw.rand(3)

    fw.manual_seed(3)
    state = fw.get_rng_state()
    return f, lambda: (x(),), [lambda: fw.manual_seed(3), lambda: fw.set_rng_state(state), lambda: fw.rand(7)]


@case
def numpy_arrays() -> Case:
    held = {"k": np.ones(3, np.float32)}
    return lambda a: a + fw.from_numpy(held["k"]), lambda: (x(),), [
        lambda: held["k"].__setitem__(0, 5), lambda: held.update(k=np.zeros(3, np.float32)), lambda: held.update(k=np.ones(3)),
    ]  # fmt: skip


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_compiled_notices_what_eager_sees(name: str, native: bool) -> None:
    before, found = dict(globals()), []
    for wrap in (lambda fn: fn, compiler.compile):
        restore(before)
        try:
            with knobs.override(native_entry=native):
                found.append(history(CASES[name], wrap))
        finally:
            restore(before)
    eager, got = found
    for step, (a, b) in enumerate(zip(got, eager, strict=True)):
        try:
            np.testing.assert_equal(close(a), close(b))
        except AssertionError as error:
            raise AssertionError(f"{name}, call {step}: {a} where eager gives {b}") from error


def close(value: Any) -> Any:
    """Floats to five digits: compiled code may add in another order."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.vectorize(lambda v: float(f"{v:.5g}"), otypes=[float])(value)
    return [close(v) for v in value] if isinstance(value, (tuple, list)) else value
