"""Classes: statements inside the region, dataclasses, enums, descriptors, metaclasses, super(), operators, attribute stores."""


from __future__ import annotations

import abc
import dataclasses
import enum
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from rows import Case, construct


@construct("class statement inside the function")
def class_inside(torch: Any) -> Any:
    def f(x: Any) -> Any:
        scale = 3

        class Scaler:
            """Text."""

            factor = scale + 1

            def __init__(self, bias: int) -> None:
                self.bias = bias

            def __call__(self, y: Any) -> Any:
                return y * self.factor + self.bias + scale

        return Scaler(2)(x), Scaler.__name__, Scaler.__doc__

    return f


@construct("class statement with a base, super(), a decorator and a property")
def class_inherits(torch: Any) -> Any:
    class Base:
        def __init__(self, k: int) -> None:
            self.k = k

        def run(self, x: Any) -> Any:
            return x * self.k

    def f(x: Any) -> Any:
        class Child(Base):
            @property
            def double(self) -> int:
                return self.k * 2

            def run(self, x: Any) -> Any:
                return super().run(x) + self.double

        @dataclass
        class Options:
            a: int
            b: float = 2.0

        child = Child(3)
        return child.run(x), Options(1).b, isinstance(child, Base)

    return f


@construct("object made inside of a class made inside, returned")
def class_returned(torch: Any) -> Any:
    def f(x: Any) -> Any:
        class Result:
            def __init__(self, value: Any) -> None:
                self.value = value

        return Result(x * 2)

    return f


@construct("attributes of an outer object: stored, deleted, augmented")
def attributes(torch: Any) -> Any:
    class Box:
        def __init__(self) -> None:
            self.steps, self.items, self.temporary = 0, [], 0

    box = Box()

    def f(x: Any) -> Any:
        box.steps += 1
        box.items.append(x)
        box.temporary = x
        del box.temporary
        box.last = x * box.steps
        return box.last + 1

    return Case(f, state=lambda: vars(box))


@construct("slots, an object of a slotted class made and changed")
def slotted(torch: Any) -> Any:
    class Slim:
        __slots__ = ("a", "b")

        def __init__(self, a: Any) -> None:
            self.a = a

    outer = Slim(1)

    def f(x: Any) -> Any:
        outer.a = x
        inner = Slim(x + 1)
        inner.b = 2
        return inner, inner.a * inner.b, hasattr(outer, "b")

    return Case(f, state=lambda: outer.a)


@dataclass
class Batch:
    """A dataclass of tensors."""

    data: Any
    label: int = 0
    extra: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True, order=True)
class Frozen:
    """A frozen one."""

    n: int
    name: str = "n"


@dataclass(kw_only=True)
class Checked:
    """One that computes a field."""

    n: int
    twice: int = field(init=False)

    def __post_init__(self) -> None:
        self.twice = self.n * 2
        if self.n < 0:
            raise ValueError("negative")


@construct("dataclass built and returned, default factories")
def dataclass_returned(torch: Any) -> Any:
    def f(x: Any) -> Any:
        batch = Batch(x * 2, extra=[1])
        other = Batch(x)
        other.extra.append(x)
        return batch, other, batch == other if batch.label else None

    return f


@construct("dataclass: frozen, slots, replace, asdict, fields, ordering, hash")
def dataclass_frozen(torch: Any) -> Any:
    def f(x: Any) -> Any:
        a = Frozen(1)
        b = dataclasses.replace(a, n=2)
        try:
            a.n = 5
        except dataclasses.FrozenInstanceError as error:
            text = str(error)
        names = [fd.name for fd in dataclasses.fields(a)]
        return x * b.n, text, dataclasses.asdict(b), names, a < b, {a: 1}[Frozen(1)], dataclasses.astuple(a)

    return f


@construct("dataclass: __post_init__, keyword only, repr, from outside changed")
def dataclass_post(torch: Any) -> Any:
    outer = Checked(n=3)

    def f(x: Any) -> Any:
        c = Checked(n=x.shape[0])
        outer.n += 1
        try:
            Checked(n=-1)
        except ValueError:
            return x * c.twice + outer.n, repr(c)
        return None

    return Case(f, state=lambda: outer.n)


class Mode(enum.Enum):
    """Values of several types."""

    FAST = "fast"
    SLOW = "slow"

    @property
    def factor(self) -> int:
        return 2 if self is Mode.FAST else 3


class Level(enum.IntEnum):
    """Ints."""

    LOW = 1
    HIGH = 5


class Flags(enum.Flag):
    """Flags."""

    A = enum.auto()
    B = enum.auto()


@construct("enum: members, lookup by value and name, iteration, IntEnum, Flag")
def enums(torch: Any) -> Any:
    state = {"mode": Mode.FAST}

    def f(x: Any) -> Any:
        both = Flags.A | Flags.B
        names = [m.name for m in Mode]
        return (
            x * state["mode"].factor + Level.HIGH, Mode("slow").value, Mode["FAST"] is Mode.FAST, names, Flags.A in both,
            Level.LOW < 3,
            both.value, len(Mode),
        )  # fmt: skip

    return Case(f, between=lambda k: state.update(mode=list(Mode)[k % 2]))


@construct("property with setter, data descriptor, non-data descriptor, __set_name__")
def descriptors(torch: Any) -> Any:
    class Positive:
        def __set_name__(self, owner: Any, name: str) -> None:
            self.name = "_" + name

        def __get__(self, obj: Any, owner: Any = None) -> Any:
            return self if obj is None else getattr(obj, self.name)

        def __set__(self, obj: Any, value: Any) -> None:
            if value < 0:
                raise ValueError("negative")
            setattr(obj, self.name, value)

    class Model:
        size = Positive()

        def __init__(self) -> None:
            self._k = 1
            self.size = 2

        @property
        def k(self) -> int:
            return self._k

        @k.setter
        def k(self, value: int) -> None:
            self._k = value * 10

    model = Model()

    def f(x: Any) -> Any:
        model.k = model.size
        model.size += 1
        try:
            model.size = -1
        except ValueError as error:
            return x * model.k, str(error)
        return None

    return Case(f, state=lambda: vars(model))


@construct("__getattr__, __getattribute__, __setattr__, __delattr__")
def getattrs(torch: Any) -> Any:
    class Proxy:
        def __init__(self, target: Any) -> None:
            object.__setattr__(self, "target", target)

        def __getattr__(self, name: str) -> Any:
            return self.target[name]

        def __setattr__(self, name: str, value: Any) -> None:
            self.target[name] = value

        def __delattr__(self, name: str) -> None:
            del self.target[name]

    class Logged:
        def __getattribute__(self, name: str) -> Any:
            return 3 if name == "three" else object.__getattribute__(self, name)

    target = {"a": 2, "b": 3}
    proxy = Proxy(target)

    def f(x: Any) -> Any:
        proxy.c = x
        proxy.b = proxy.a + 1
        del proxy.c
        return x * proxy.b + Logged().three

    return Case(f, state=lambda: target, between=lambda k: target.update(a=k))


@construct("operator dunders: arithmetic, reflected, in-place, comparison, unary, matmul")
def dunders(torch: Any) -> Any:
    class Vec:
        def __init__(self, v: Any) -> None:
            self.v = v

        def __add__(self, other: Any) -> Vec:
            return Vec(self.v + (other.v if isinstance(other, Vec) else other))

        __radd__ = __add__

        def __imul__(self, k: Any) -> Vec:
            self.v = self.v * k
            return self

        def __neg__(self) -> Vec:
            return Vec(-self.v)

        def __eq__(self, other: Any) -> bool:
            return isinstance(other, Vec)

        def __lt__(self, other: Any) -> bool:
            return True

        def __matmul__(self, other: Any) -> Any:
            return (self.v * other.v).sum()

        __hash__ = None  # type: ignore[assignment]

    def f(x: Any) -> Any:
        v = Vec(x)
        w = 1 + v + v
        w *= 2
        return (-w).v, v == w, v != w, w < v, v @ w, sorted([v, w])[0] is w

    return f


@construct("container dunders: __getitem__, __setitem__, __len__, __contains__, __iter__, __bool__, __call__")
def container_dunders(torch: Any) -> Any:
    class Bag:
        def __init__(self) -> None:
            self.items: dict[Any, Any] = {}

        def __getitem__(self, key: Any) -> Any:
            return self.items[key]

        def __setitem__(self, key: Any, value: Any) -> None:
            self.items[key] = value

        def __delitem__(self, key: Any) -> None:
            del self.items[key]

        def __len__(self) -> int:
            return len(self.items)

        def __contains__(self, key: Any) -> bool:
            return key in self.items

        def __iter__(self) -> Any:
            return iter(self.items)

    class Indexed:
        def __getitem__(self, k: int) -> int:
            if k > 2:
                raise IndexError(k)
            return k * 10

        def __index__(self) -> int:
            return 1

        def __format__(self, spec: str) -> str:
            return f"<{spec}>"

    bag = Bag()

    def f(x: Any) -> Any:
        bag["a"], bag["b"] = x, 2
        del bag["b"]
        if bag and "a" in bag:
            return bag["a"] * len(bag), list(bag), list(Indexed()), [5, 6][Indexed()], f"{Indexed():>3}"
        return None

    return Case(f, state=lambda: bag.items)


@construct("metaclass __call__, __prepare__ made outside, registry by __init_subclass__")
def metaclass(torch: Any) -> Any:
    class Singleton(type):
        instances: dict[Any, Any] = {}

        def __call__(cls, *args: Any) -> Any:
            if cls not in cls.instances:
                cls.instances[cls] = super().__call__(*args)
            return cls.instances[cls]

    class Config(metaclass=Singleton):
        def __init__(self) -> None:
            self.k = 3

    class Plugin:
        found: list[str] = []

        def __init_subclass__(cls, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            Plugin.found.append(cls.__name__)

    class One(Plugin):
        pass

    def f(x: Any) -> Any:
        return x * Config().k, Config() is Config(), list(Plugin.found), One.__mro__[1] is Plugin

    return Case(f, state=lambda: len(Singleton.instances))


@construct("metaclass attribute and property, class attribute stored inside")
def metaclass_attributes(torch: Any) -> Any:
    class Meta(type):
        @property
        def kind(cls) -> str:
            return cls.__name__.lower()

        def __getitem__(cls, key: int) -> int:
            return key * 2

    class Model(metaclass=Meta):
        count = 0

    def f(x: Any) -> Any:
        Model.count += 1
        return x * Model.count + Model[3], Model.kind

    return Case(f, state=lambda: Model.count)


@construct("super(): zero arguments, two arguments, diamond, in a classmethod")
def supers(torch: Any) -> Any:
    class A:
        def run(self, x: Any) -> Any:
            return x + 1

        @classmethod
        def make(cls) -> Any:
            return cls()

    class B(A):
        def run(self, x: Any) -> Any:
            return super().run(x) * 2

    class C(A):
        def run(self, x: Any) -> Any:
            return super(C, self).run(x) - 3

    class D(B, C):
        @classmethod
        def make(cls) -> Any:
            return super().make()

    return lambda x: (D.make().run(x), super(D, D()).run(x))


@construct("abstract classes, Protocol, Generic, __class_getitem__")
def abstract(torch: Any) -> Any:
    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self) -> Any: ...

    class Square(Shape):
        def __init__(self, s: Any) -> None:
            self.s = s

        def area(self) -> Any:
            return self.s * self.s

    T = typing.TypeVar("T")

    class Holder(typing.Generic[T]):
        def __init__(self, item: T) -> None:
            self.item = item

    class Sized:
        def __class_getitem__(cls, n: int) -> int:
            return n + 1

    def f(x: Any) -> Any:
        try:
            Shape()
        except TypeError as error:
            text = type(error).__name__
        return Square(x).area(), Holder[int](3).item, Sized[4], text, isinstance(Square(1), Shape)

    return f


@construct("__new__, __init__ with keyword arguments, immutable subclass of tuple and float")
def news(torch: Any) -> Any:
    class Once:
        made: list[int] = []

        def __new__(cls, k: int, **options: Any) -> Any:
            cls.made.append(k)
            return super().__new__(cls)

        def __init__(self, k: int, *, scale: int = 1) -> None:
            self.k = k * scale

    class Pair(tuple):
        def __new__(cls, a: Any, b: Any) -> Any:
            return super().__new__(cls, (a, b))

        @property
        def first(self) -> Any:
            return self[0]

    class Celsius(float):
        def kelvin(self) -> float:
            return self + 273.0

    def f(x: Any) -> Any:
        return Pair(x, 1).first * Once(2, scale=3).k, Celsius(1.0).kelvin(), len(Pair(1, 2))

    return Case(f, state=lambda: Once.made)


@construct("SimpleNamespace, MappingProxyType, type() with three arguments, type aliases")
def odd_objects(torch: Any) -> Any:
    space = types.SimpleNamespace(k=2)
    frozen = types.MappingProxyType({"a": 1})

    def f(x: Any) -> Any:
        space.k += 1
        inside = types.SimpleNamespace(y=x)
        Made = type("Made", (), {"factor": 3})
        return inside.y * space.k + frozen["a"], Made.factor, Made.__name__, isinstance(3, int | str)

    return Case(f, state=lambda: vars(space))


@construct("__enter__ of an inherited class, __exit__ that sees the traceback")
def exits(torch: Any) -> Any:
    class Base:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, kind: Any, value: Any, where: Any) -> bool:
            self.found = (kind.__name__ if kind else None, where is not None)
            return True

    class Child(Base):
        pass

    def f(x: Any) -> Any:
        child, other = Child(), Child()
        with child:
            x = x + 1
            raise KeyError("k")
        with other:
            x = x * 2
        return x, child.found, other.found

    return f


@construct("__del__ and object lifetime")
def finalisers(torch: Any) -> Any:
    log: list[str] = []

    class Guard:
        def __init__(self, name: str) -> None:
            self.name = name

        def __del__(self) -> None:
            log.append(self.name)

    def f(x: Any) -> Any:
        guard = Guard("a")
        y = x + 1
        log.append("before")
        del guard
        log.append("after")
        return y * 2

    return Case(f, state=lambda: log)
