"""Functions: closures, globals, decorators, functools, itertools, operator, eval, frames."""


from __future__ import annotations

import copy
import functools
import inspect
import itertools
import json
import operator
import os
import sys
import weakref
from typing import Any

from rows import Case, construct, inputs

FACTOR = 1
LOG: list[Any] = []


def set_factor(value: int) -> None:
    """Rebind the module's global."""
    global FACTOR
    FACTOR = value


@construct("closure and free variable read")
def closure(torch: Any) -> Any:
    scale = 3

    def outer(y: Any) -> Any:
        def inner(z: Any) -> Any:
            return y * scale + z

        return inner

    return lambda x: outer(x)(x + 1)


@construct("nonlocal write, visible after each call")
def nonlocal_write(torch: Any) -> Any:
    count = 0

    def f(x: Any) -> Any:
        nonlocal count
        count += 1
        return x + count

    return Case(f, state=lambda: count)


@construct("global changed between calls is noticed")
def global_read(torch: Any) -> Any:
    return Case(lambda x: x * FACTOR, between=lambda k: set_factor(k + 2))


@construct("global statement: written, deleted, list in a global changed")
def global_write(torch: Any) -> Any:
    def f(x: Any) -> Any:
        global FACTOR
        FACTOR = FACTOR + 1
        LOG.append(FACTOR)
        return x * FACTOR

    def between(k: int) -> None:
        if k == 0:
            set_factor(5)
            LOG.clear()

    return Case(f, state=lambda: (FACTOR, LOG), between=between)


@construct("lambda, inner def, function attributes, default arguments that are shared")
def inner_functions(torch: Any) -> Any:
    def remember(item: Any, memory: list[Any] = []) -> int:
        memory.append(item)
        return len(memory)

    def f(x: Any) -> Any:
        def inner(y: Any, k: int = 2) -> Any:
            return y * k

        inner.note = "set"
        return inner(x), inner.note, remember(1), (lambda z: z + 1)(x), inner.__name__

    return f


@construct("decorators: functools.wraps, with arguments, stacked, class based")
def decorators(torch: Any) -> Any:
    def times(n: int) -> Any:
        def decorate(fn: Any) -> Any:
            @functools.wraps(fn)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return fn(*args, **kwargs) * n

            return wrapper

        return decorate

    class Counted:
        def __init__(self, fn: Any) -> None:
            self.fn, self.calls = fn, 0

        def __call__(self, *args: Any) -> Any:
            self.calls += 1
            return self.fn(*args)

    @Counted
    @times(3)
    def g(x: Any) -> Any:
        return x + 1

    def f(x: Any) -> Any:
        @times(2)
        def h(y: Any) -> Any:
            return y - 1

        return g(x), h(x), h.__name__

    return Case(f, state=lambda: g.calls)


@construct("functools.partial, partialmethod, reduce")
def partials(torch: Any) -> Any:
    class Scaler:
        def scale(self, k: int, x: Any) -> Any:
            return x * k

        double = functools.partialmethod(scale, 2)

    add = functools.partial(lambda a, b, c=0: a + b + c, 10, c=5)

    def f(x: Any) -> Any:
        inside = functools.partial(operator.mul, 3)
        return add(x), Scaler().double(x), functools.reduce(operator.add, [x, x, 1]), inside(x), add.keywords

    return f


@construct("functools.lru_cache and cache of a Python function")
def caches(torch: Any) -> Any:
    calls: list[int] = []

    @functools.lru_cache(maxsize=8)
    def squared(n: int) -> int:
        calls.append(n)
        return n * n

    @functools.cache
    def cubed(n: int) -> int:
        return n**3

    def f(x: Any) -> Any:
        return x * squared(x.shape[0]) + cubed(2)

    return Case(f, state=lambda: calls)


@construct("functools.cached_property")
def cached_property(torch: Any) -> Any:
    class Model:
        def __init__(self) -> None:
            self.made = 0

        @functools.cached_property
        def table(self) -> Any:
            self.made += 1
            return [1, 2, 3]

    model = Model()

    def f(x: Any) -> Any:
        inside = Model()
        return x * model.table[1] + len(model.table), inside.table[0], inside.made

    return Case(f, state=lambda: vars(model))


@construct("functools.singledispatch, singledispatchmethod")
def singledispatch(torch: Any) -> Any:
    @functools.singledispatch
    def size(x: Any) -> int:
        return -1

    @size.register(list)
    def _(x: Any) -> int:
        return len(x)

    @size.register(int)
    def _(x: Any) -> int:
        return x

    def f(x: Any) -> Any:
        return x + size([1, 2]) + size(7) + size("other")

    return f


@construct("functools.total_ordering, cmp_to_key")
def total_ordering(torch: Any) -> Any:
    @functools.total_ordering
    class Version:
        def __init__(self, n: int) -> None:
            self.n = n

        def __eq__(self, other: Any) -> bool:
            return self.n == other.n

        def __lt__(self, other: Any) -> bool:
            return self.n < other.n

    def f(x: Any) -> Any:
        a, b = Version(1), Version(2)
        order = sorted([3, 1, 2], key=functools.cmp_to_key(lambda p, q: q - p))
        return x * (a >= b) + (a <= b), a > b, order

    return f


@construct("itertools: chain, product, islice, accumulate, repeat, starmap, takewhile, pairwise, groupby")
def itertools_all(torch: Any) -> Any:
    def f(x: Any) -> Any:
        xs = list(itertools.chain([x], itertools.repeat(x * 2, 2)))
        sums = list(itertools.accumulate(xs))
        some = list(itertools.islice(itertools.count(3, 2), 1, 4))
        both = [a * b for a, b in itertools.product([1, 2], [3])] + list(itertools.starmap(pow, [(2, 3)]))
        low = list(itertools.takewhile(lambda v: v < 3, [1, 2, 5, 1])) + list(itertools.dropwhile(lambda v: v < 3, [1, 5, 1]))
        groups = {k: list(g) for k, g in itertools.groupby("aab")}
        return sums, some, both, low, groups, list(itertools.pairwise([1, 2, 3])), list(itertools.zip_longest("ab", "c"))

    return f


@construct("itertools: permutations, combinations, cycle, tee, compress, filterfalse, chain.from_iterable")
def itertools_more(torch: Any) -> Any:
    def f(x: Any) -> Any:
        turns = itertools.cycle([x, x * 2])
        a, b = itertools.tee(iter([1, 2]))
        combined = list(itertools.combinations("abc", 2)) + list(itertools.permutations("ab"))
        flat = list(itertools.chain.from_iterable([[1], [2, 3]]))
        kept = list(itertools.compress("abc", [1, 0, 1])) + list(itertools.filterfalse(lambda v: v % 2, flat))
        return next(turns) + next(turns) + next(turns), list(a), next(b), combined, flat, kept

    return f


@construct("operator: itemgetter, attrgetter, methodcaller, in-place forms")
def operators(torch: Any) -> Any:
    def f(x: Any) -> Any:
        pick = operator.itemgetter(1, 0)
        rows = sorted([{"k": 2}, {"k": 1}], key=operator.itemgetter("k"))
        upper = operator.methodcaller("upper")("ab")
        values = [1]
        operator.iadd(values, [2])
        return operator.mul(x, 2), pick("ab"), rows, upper, operator.attrgetter("shape")(x)[0], values, operator.contains([1], 1)

    return f


@construct("isinstance, hasattr, getattr, setattr, callable, type, issubclass")
def reflection(torch: Any) -> Any:
    class Box:
        pass

    box = Box()

    def f(x: Any) -> Any:
        setattr(box, "value", x)
        flags = isinstance(x, torch.Tensor), hasattr(box, "nothing"), callable(f), issubclass(bool, int), type(x) is torch.Tensor
        return getattr(box, "value") * getattr(box, "missing", 3), flags, sorted(vars(box)), dir(Box)[-1][:2]

    return Case(f, state=lambda: vars(box))


@construct("id and hash")
def identities(torch: Any) -> Any:
    class Key:
        pass

    known = Key()
    table = {known: 5, id(known): 6}

    def f(x: Any) -> Any:
        return x * table[known] + table[id(known)], id(known) == id(known), hash("a") == hash("a"), hash((1, 2)) == hash((1, 2))

    return f


@construct("weakref: read, made inside, WeakValueDictionary")
def weak(torch: Any) -> Any:
    class Node:
        value = 4

    node = Node()
    reference = weakref.ref(node)

    def f(x: Any) -> Any:
        found = reference()
        mine = weakref.ref(node)
        return x * found.value, mine() is node, found is node

    return f


@construct("eval, exec, compile")
def evals(torch: Any) -> Any:
    def f(x: Any) -> Any:
        n = eval("2 + 3")
        space: dict[str, Any] = {}
        exec("y = 4", space)
        return x * n + space["y"], eval("x + 1", {"x": x})

    return f


@construct("import inside: module, from, as, submodule")
def imports(torch: Any) -> Any:
    def f(x: Any) -> Any:
        import math as m
        import os.path
        from collections import deque

        return x * m.floor(2.5) + len(deque([1])), os.path.join("a", "b")

    return f


@construct("os.environ read and written")
def environ(torch: Any) -> Any:
    os.environ.pop("FUSEWIRE_ROW", None)

    def f(x: Any) -> Any:
        factor = int(os.environ.get("FUSEWIRE_ROW", "2"))
        os.environ["FUSEWIRE_WRITTEN"] = str(factor)
        return x * factor

    def between(k: int) -> None:
        os.environ["FUSEWIRE_ROW"] = str(k)

    return Case(f, between=between, state=lambda: os.environ.get("FUSEWIRE_WRITTEN"))


@construct("sys._getframe, inspect.currentframe, locals()")
def frames(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x + 1
        name = sys._getframe().f_code.co_name
        line = inspect.currentframe().f_lineno - sys._getframe().f_code.co_firstlineno
        return y * 2, name, line, sorted(locals())

    return f


@construct("inspect.signature, __name__, __doc__, __code__ of functions")
def signatures(torch: Any) -> Any:
    def g(a: int, b: float = 2.0) -> None:
        """Text."""

    def f(x: Any) -> Any:
        return x + len(inspect.signature(g).parameters), g.__name__, g.__doc__, g.__defaults__, g.__code__.co_argcount

    return f


@construct("copy.copy and copy.deepcopy of containers, objects, tensors")
def copies(torch: Any) -> Any:
    class Config:
        def __init__(self, sizes: list[int]) -> None:
            self.sizes = sizes

    config = Config([1, 2])

    def f(x: Any) -> Any:
        other, deep = copy.copy(config), copy.deepcopy(config)
        deep.sizes.append(3)
        nested = copy.deepcopy({"a": [x.shape[0]], "b": (1, [2])})
        return x * len(deep.sizes), other.sizes is config.sizes, nested, copy.copy([1, 2])

    return Case(f, state=lambda: config.sizes)


@construct("opaque C function: json.loads, json.dumps")
def opaque(torch: Any) -> Any:
    def f(x: Any) -> Any:
        config = json.loads('{"scale": 3}')
        return x * config["scale"], json.dumps({"n": x.shape[0]})

    return f


@construct("method, bound method from outside, classmethod, staticmethod, callable object")
def methods(torch: Any) -> Any:
    class Model:
        factor = 2

        def __init__(self) -> None:
            self.bias = 1

        def scaled(self, x: Any) -> Any:
            return x * self.factor + self.bias

        @classmethod
        def make(cls) -> Model:
            return cls()

        @staticmethod
        def plain(x: Any) -> Any:
            return x - 1

        def __call__(self, x: Any) -> Any:
            return self.scaled(x) + 5

    model = Model()
    bound = model.scaled

    def between(k: int) -> None:
        model.bias = k
        Model.factor = k + 2

    return Case(lambda x: bound(x) + Model.make()(x) + Model.plain(x) + model(x), between=between)


@construct("the compiled function is a method, called on two instances")
def compiled_method(torch: Any) -> Any:
    class Model:
        def __init__(self, k: int) -> None:
            self.k, self.calls = k, 0

        def run(self, x: Any) -> Any:
            self.calls += 1
            return x * self.k

    models = [Model(2), Model(3)]
    calls = [(models[k % 2], *args) for k, args in enumerate(inputs(torch))]
    return Case(Model.run, calls, state=lambda: [m.calls for m in models])


@construct("functions passed in as arguments, swapped between calls")
def functions_in(torch: Any) -> Any:
    (x,), (y,), (z,) = inputs(torch)
    return Case(lambda fn, x: fn(x) + 1, [(lambda v: v * 2, x), (torch.sin, y), (len, z)])
