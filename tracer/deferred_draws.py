"""Values that are drawn or read off a clock: ``random``, ``numpy.random``, ``time``.

Such a call is made among the effects, in order; where the graph needs what it gives, it is made before the graph, together with
all earlier calls on the same generator (`prologue`). A clock that is read before work of the graph is read before the graph.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .breaks import Break, describe
from .deferred import defer, when_loaded
from .late import LATE, Late
from .special import SPECIAL
from .values import python_type

if TYPE_CHECKING:
    from .session import Session

_NONE = type(None)
_FLOATS = {
    "random", "uniform", "gauss", "normalvariate", "expovariate", "betavariate", "gammavariate", "lognormvariate", "triangular",
    "paretovariate", "weibullvariate", "vonmisesvariate",
}  # fmt: skip
_INTS = {"randint", "randrange", "getrandbits"}
_CODE = "late-value"


def _is_random(owner: Any) -> bool:
    loaded = sys.modules.get("random")
    return loaded is not None and type(owner) in (loaded.Random, loaded.SystemRandom)


def _drawn(s: Session, owner: Any, name: str, args: list[Any], cls: Any, sure: bool = True) -> Any:
    slots = ", ".join(f"${1 + i}" for i in range(len(args)))
    return defer(
        s, f"$0.{name}({slots})", (owner, *args), cls, sure=sure, owner=owner, code=_CODE, draws=True,
        what=f"the number that {name}() draws",
    )  # fmt: skip


def _is_number(x: Any) -> bool:
    return (x.cls if type(x) is Late else python_type(x)) in (int, float)


def from_random(s: Session, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a ``random.Random``; NotImplemented where it is none that can wait."""
    if name in ("choices", "sample") and set(kwargs) == {"k"} and len(args) == 1:
        args, kwargs = [args[0], kwargs["k"]], {}
    if kwargs or not _is_random(owner):
        return NotImplemented
    if name in _FLOATS and all(map(_is_number, args)):
        return _drawn(s, owner, name, args, float, sure=name in ("random", "uniform", "gauss", "normalvariate"))
    if name == "seed" and len(args) <= 1 and not any(isinstance(x, LATE) for x in args):
        values = [s.operators.settle(x) for x in args]
        plain = all(type(x) in (int, str, float, _NONE) for x in values)
        return _drawn(s, owner, name, values, _NONE) if plain else NotImplemented
    if name in _INTS:
        return _int(s, owner, name, [s.operators.settle(x) for x in args])
    if name in ("choice", "choices", "sample", "shuffle") and args and type(args[0]) in (list, tuple, range, str):
        return _chosen(s, owner, name, args)
    return NotImplemented


def _int(s: Session, owner: Any, name: str, args: list[Any]) -> Any:
    if not all(type(x) is int for x in args) or not args:
        return NotImplemented
    low, high = (0, 2 ** args[0] - 1) if name == "getrandbits" else (args[0], args[1]) if len(args) > 1 else (0, args[0] - 1)
    if name == "randrange" and len(args) > 1:
        high -= 1
    if low > high or len(args) > 2:
        return NotImplemented
    made = _drawn(s, owner, name, args, int)
    made.bounds = low, high
    return made


def _chosen(s: Session, owner: Any, name: str, args: list[Any]) -> Any:
    items = list(s.operators.items(args[0]))
    kinds = {python_type(x) for x in items}
    if not items or any(isinstance(x, LATE) for x in items) or not kinds <= {int, float, str, bool, _NONE}:
        return NotImplemented
    cls = kinds.pop() if len(kinds) == 1 else None
    if name == "choice":
        return _drawn(s, owner, name, [items], cls)
    if name == "shuffle":
        if type(args[0]) is not list or len(args) > 1:
            return NotImplemented
        what = "the order that shuffle() gives"
        mixed = defer(s, "shuffled($0, $1)", (owner, items), list, owner=owner, code=_CODE, draws=True, what=what)
        args[0][:] = [Late(f"$0[{i}]", (mixed,), cls) for i in range(len(items))]
        s.effects.item(args[0], slice(None), list(args[0]))
        return None
    count = s.operators.settle(args[1]) if len(args) == 2 else 1 if name == "choices" else None
    if type(count) is not int or not 0 <= count <= (len(items) if name == "sample" else 1000):
        return NotImplemented
    slots = "$1, k=$2"
    made = defer(
        s, f"$0.{name}({slots})", (owner, items, count), list, owner=owner, code=_CODE, draws=True,
        what=f"what {name}() draws",
    )  # fmt: skip
    return [Late(f"$0[{i}]", (made,), cls) for i in range(count)]


def shuffled(owner: Any, items: list[Any]) -> list[Any]:
    """``owner.shuffle(items)``, which is given back."""
    owner.shuffle(items)
    return items


def _model(name: str) -> Any:
    def call(s: Session, owner: Any, *args: Any, **kwargs: Any) -> Any:
        if type(owner) is Late:
            raise owner.needed()
        found = from_random(s, owner, name, list(args), kwargs)
        if found is NotImplemented:
            raise Break("c-function", f"a call of {name}() of {describe(type(owner))}")
        return found

    return call


@when_loaded("random")
def _models() -> None:
    import random

    for name in (*_FLOATS, *_INTS, "choice", "choices", "sample", "shuffle", "seed"):
        fn = getattr(random.Random, name, None)
        if fn is not None:
            SPECIAL[fn] = _model(name)


# -- numpy.random ------------------------------------------------------------------------------------------------------------

_PLAIN = {"random": 0, "random_sample": 0, "standard_normal": 0, "standard_exponential": 0, "uniform": 2, "normal": 2,
          "exponential": 1, "laplace": 2, "lognormal": 2}  # fmt: skip


def _from_numpy(s: Session, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a RandomState or Generator."""
    named = {k: s.operators.settle(v) for k, v in kwargs.items()}
    given: list[Any] = [x if isinstance(x, LATE) else s.operators.settle(x) for x in args]
    if name in ("rand", "randn"):
        shape: Any = tuple(given) if given else None
        plain = all(type(x) is int and x >= 0 for x in given) and not named
    elif name in _PLAIN:
        count = _PLAIN[name]
        numbers, rest = given[:count], given[count:]
        shape = rest[0] if rest else named.get("size")
        plain = all(map(_is_number, numbers)) and len(rest) <= 1 and set(named) <= {"size"}
    elif name == "seed" and all(type(x) is int for x in given) and not named:
        return _drawn(s, owner, name, given, _NONE)
    elif name in ("randint", "integers") and not named:
        plain, shape = 1 <= len(given) <= 2 and all(type(x) is int for x in given), None
        if plain and (given[0] < given[1] if len(given) == 2 else given[0] > 0):
            made = _drawn(s, owner, name, given, int if name == "randint" else np.int64)
            made.bounds = (given[0], given[1]) if len(given) == 2 else (0, given[0])
            return made
        return NotImplemented
    else:
        return NotImplemented
    shape = (shape,) if type(shape) is int else shape
    sizes = shape is None or (type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape))
    if not plain or not sizes:
        return NotImplemented
    slots = [f"${1 + i}" for i in range(len(given))] + [f"{k}=${1 + len(given) + i}" for i, k in enumerate(named)]
    return defer(
        s, f"$0.{name}({', '.join(slots)})", (owner, *given, *named.values()), float if shape is None else np.ndarray,
        sure=name in ("random", "rand", "randn", "random_sample", "standard_normal", "uniform"),
        owner=owner, code=_CODE, draws=True,
        what=f"the number that {name}() draws",
    )  # fmt: skip


def method(s: Session, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a generator of random numbers; NotImplemented for any other."""
    cls: Any = owner.cls if type(owner) is Late else type(owner)
    if _is_random(owner):
        return from_random(s, owner, name, args, kwargs)
    if getattr(cls, "__module__", "").startswith("numpy.random") and cls.__name__ in ("RandomState", "Generator"):
        return _from_numpy(s, owner, name, args, kwargs)
    return NotImplemented


def of_numpy(s: Session, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A call of a function of `numpy.random`; NotImplemented where it is none that can wait."""
    if getattr(fn, "__name__", "") == "default_rng" and not kwargs and all(type(x) in (int, _NONE) for x in args):

        slots = ", ".join(f"${1 + i}" for i in range(len(args)))
        return defer(
            s, f"$0({slots})", (fn, *args), np.random.Generator, owner=object(), code=_CODE, draws=True,
            what="a generator of random numbers that the region made",
        )  # fmt: skip
    if fn is np.random.seed and not kwargs and all(type(x) is int for x in map(s.operators.settle, args)):
        values = [s.operators.settle(x) for x in args]
        slots = ", ".join(f"${1 + i}" for i in range(len(values)))
        return defer(s, f"$0({slots})", (fn, *values), _NONE, owner=np.random.mtrand._rand, draws=True)
    return method(s, args[0], fn.__name__, args[1:], kwargs) if args else NotImplemented


# -- clocks --------------------------------------------------------------------------------------------------------------------


def _clock(fn: Any, cls: type) -> Any:
    def read(s: Session) -> Any:
        made = defer(s, "$0()", (fn,), cls, owner=time, code=_CODE, draws=True, what=f"the time that {fn.__name__}() tells")
        made.call.clock = len(s.recorder.builder.nodes)
        made.bounds = (0, 2**62)
        return made

    return read


for _name in ("time", "perf_counter", "monotonic", "process_time", "thread_time"):
    SPECIAL[getattr(time, _name)] = _clock(getattr(time, _name), float)
    SPECIAL[getattr(time, _name + "_ns")] = _clock(getattr(time, _name + "_ns"), int)


def late_clocks(s: Session) -> None:
    """Decide which clocks are read before the graph: those behind which work was recorded, and before which nothing took time on
    purpose."""
    from .effects import Call
    from .prologue import move

    nodes = len(s.recorder.builder.nodes)
    for e in s.effects.journal:
        if not isinstance(e, Call):
            continue
        if e.clock is None and (e.owner is time or e.scope > 0):
            return
        if e.clock is not None and e.drawn is None and e.clock < nodes:
            move(s, e)


