"""Containers of Python, made inside or changed from outside; text and numbers."""


from __future__ import annotations

import bisect
import collections
import heapq
import math
import re
import string
from typing import Any

from rows import Case, construct, inputs


@construct("outer list: append, extend, insert, pop, remove, item and slice stores")
def outer_list(torch: Any) -> Any:
    log: list[Any] = [5, 6, 7]

    def f(x: Any) -> Any:
        log.append(x)
        log.extend([1, 2])
        log.insert(0, "first")
        log.remove(1)
        log[1] = x + 1
        log[2:3] = [8, 9]
        del log[-1]
        log.reverse()
        return x * log.pop()

    calls = [(torch.tensor([1.0 * k]),) for k in (1, 2, 3)]
    return Case(f, calls, state=lambda: log, between=lambda k: log.clear() or log.extend([k, 6, 7]))


@construct("outer list: sort with a key, of constants and of user objects")
def list_sort(torch: Any) -> Any:
    class Item:
        def __init__(self, rank: int) -> None:
            self.rank = rank

        def __lt__(self, other: Item) -> bool:
            return self.rank < other.rank

    words = ["pear", "fig", "banana"]
    items = [Item(3), Item(1), Item(2)]

    def f(x: Any) -> Any:
        words.sort(key=len, reverse=True)
        items.sort()
        return x * len(words[0]), [i.rank for i in sorted(items, key=lambda i: -i.rank)]

    return Case(f, state=lambda: (words, [i.rank for i in items]), between=lambda k: words.append("k" * (k + 2)))


@construct("outer dict: item stores, update, pop, setdefault, del, views, merge")
def outer_dict(torch: Any) -> Any:
    known: dict[str, Any] = {"a": 1, "b": 2}

    def f(x: Any) -> Any:
        known["c"] = x
        known.update(d=4, e=5)
        known.setdefault("a", 9)
        known.setdefault("z", []).append(x)
        del known["e"]
        popped = known.pop("b", 0)
        merged = known | {"m": 1}
        return x + popped, list(merged), list(known.values())[0], sorted(known.keys() & {"a", "c"})

    return Case(f, state=lambda: known, between=lambda k: known.update(b=k))


@construct("outer set: add, discard, update, algebra")
def outer_set(torch: Any) -> Any:
    seen = {1, 2}

    def f(x: Any) -> Any:
        seen.add(x.shape[0])
        seen.discard(1)
        seen.update([7, 8])
        new = (seen | {9}) - {2} ^ {100}
        return x * len(new), sorted(new), frozenset([1]) <= seen

    return Case(f, state=lambda: seen)


@construct("deque inside and from outside, maxlen, rotate")
def deque(torch: Any) -> Any:
    window: Any = collections.deque(maxlen=2)

    def f(x: Any) -> Any:
        window.append(x)
        window.appendleft(x * 2)
        inside = collections.deque([1, 2, 3])
        inside.rotate(1)
        inside.extendleft([0])
        return sum(window), list(inside), inside.popleft(), len(window)

    return Case(f, state=lambda: window)


@construct("defaultdict inside and from outside")
def defaultdict(torch: Any) -> Any:
    groups: Any = collections.defaultdict(list)

    def f(x: Any) -> Any:
        groups["x"].append(x)
        counts: Any = collections.defaultdict(int)
        for word in "a b a".split():
            counts[word] += 1
        return x * counts["a"], dict(counts), len(groups["x"]), "missing" in groups

    return Case(f, state=lambda: groups)


@construct("OrderedDict inside and from outside, move_to_end, popitem")
def ordered_dict(torch: Any) -> Any:
    cache: Any = collections.OrderedDict(a=1, b=2)

    def f(x: Any) -> Any:
        cache["c"] = x
        cache.move_to_end("a")
        inside = collections.OrderedDict([("p", x), ("q", 1)])
        inside.move_to_end("p")
        return x * len(cache), list(inside), cache.popitem(last=False)[0]

    return Case(f, state=lambda: cache, between=lambda k: cache.update({f"n{k}": k}))


@construct("Counter inside and from outside, most_common, arithmetic")
def counter(torch: Any) -> Any:
    total: Any = collections.Counter("aab")

    def f(x: Any) -> Any:
        total.update("bcc")
        total["a"] += 1
        inside = collections.Counter("hello")
        return x * inside["l"], inside.most_common(1), inside["missing"], inside + collections.Counter(h=2)

    return Case(f, state=lambda: total)


@construct("ChainMap")
def chain_map(torch: Any) -> Any:
    base = {"a": 1, "b": 2}

    def f(x: Any) -> Any:
        settings = collections.ChainMap({"a": 5}, base)
        settings["new"] = 3
        return x * settings["a"] + settings["b"], sorted(settings), settings.maps[0]

    return Case(f, state=lambda: base, between=lambda k: base.update(b=k))


@construct("namedtuple: fields, _replace, _asdict, unpacking, defaults")
def namedtuple(torch: Any) -> Any:
    Pair = collections.namedtuple("Pair", "first second", defaults=[7])

    def f(x: Any) -> Any:
        p = Pair(x)
        q = p._replace(first=x + 1)
        a, b = q
        return p, q.first * b, a._asdict() if hasattr(a, "_asdict") else q._asdict(), Pair._fields

    return f


@construct("comprehensions: list, dict, set, generator, nested, with conditions")
def comprehensions(torch: Any) -> Any:
    def f(x: Any) -> Any:
        rows = [x * i + j for i in range(3) for j in range(2) if i != j]
        table = {k: v for k, v in zip("abc", rows, strict=False)}
        lengths = {len(k) for k in table}
        grid = [[i * j for j in range(2)] for i in range(2)]
        return rows, table["a"], lengths, sum(r for r in rows), grid, [y := 5, y + 1]

    return f


@construct("star arguments, keyword-only, positional-only, defaults, ** unpacking")
def arguments(torch: Any) -> Any:
    def g(a: Any, /, b: Any = 2, *args: Any, c: Any, d: Any = 4, **rest: Any) -> Any:
        return a * b + c + d, args, sorted(rest)

    def f(*args: Any, scale: float = 2.0, **kwargs: Any) -> Any:
        (x,) = args
        options = {"c": 1, "extra": 5}
        return g(x, *[3, 4, 5], **options, more=1), g(x, c=scale), kwargs

    return f


@construct("slices, negative indices, tuple and list arithmetic, multiplication")
def slices(torch: Any) -> Any:
    def f(x: Any) -> Any:
        items = [1, 2, 3] * 2 + [x]
        part = items[1:-1:2]
        head, *middle, last = items
        return last * part[0], part, middle[::-1], (1, 2) + (3,), items.index(3), items.count(1)

    return f


@construct("strings: methods, f-strings of shapes and constants, format, %")
def strings(torch: Any) -> Any:
    def f(x: Any) -> Any:
        name = f"{x.shape[0]:>4}|{'abc'!r}|{3.14159:.2f}|{x.ndim=}"
        other = "{} and {key}".format(1, key="k") + "%d-%s" % (3, "s")
        parts = " a,b ,c".strip().split(",")
        titles = "-".join(p.title() for p in parts)
        return x * len(name), name, other, titles, "abc".upper().replace("B", "x"), name.partition("|")

    return f


@construct("f-string, str and repr of a dtype, a size and a device")
def text_of_things(torch: Any) -> Any:
    def f(x: Any) -> Any:
        return x + 1, f"{x.shape} {x.device}", str(x.dtype).split(".")[-1], repr(list(x.shape))

    return f


@construct("re: compile, match, sub, groups")
def regular(torch: Any) -> Any:
    pattern = re.compile(r"(\w+)=(\d+)")

    def f(x: Any) -> Any:
        found = pattern.match("lr=10")
        assert found is not None
        return x * int(found.group(2)), found.groups(), re.sub("a", "b", "banana"), re.findall(r"\d", "a1b2")

    return f


@construct("heapq, bisect")
def heaps(torch: Any) -> Any:
    queue = [5, 9]

    def f(x: Any) -> Any:
        heapq.heappush(queue, 1)
        smallest = heapq.heappop(queue)
        inside = [3, 1, 2]
        heapq.heapify(inside)
        return x * smallest, bisect.bisect_left([1, 3, 5], 4), heapq.nsmallest(2, inside), inside

    return Case(f, state=lambda: queue, between=lambda k: queue.append(10 + k))


@construct("string module, math, divmod, round, bit operations, big ints")
def numbers(torch: Any) -> Any:
    def f(x: Any, n: int, r: float) -> Any:
        a, b = divmod(n, 3)
        big = n**40
        bits = n & 3 | 8, ~n << 2
        return x * math.sqrt(n) + r, a, b, round(r, 1), *bits, big % 7, math.gcd(12, n), string.digits[:3], int("1"), float("1.5")

    return Case(f, [(*args, n, r) for args, n, r in zip(inputs(torch), (4, 5, 6), (0.25, 1.35, 2.5), strict=True)])


@construct("complex, bytes, range, None, Ellipsis, bool arithmetic")
def odd_values(torch: Any) -> Any:
    def f(x: Any) -> Any:
        z = complex(1, 2) * 2j
        return x[..., None] * True, z.real, b"ab" + bytes([99]), range(0, 10, 3)[1], 4 in range(5), None is not Ellipsis

    return f


@construct("any, all, min, max, sum, sorted, reversed, zip, enumerate, map, filter")
def builtins_(torch: Any) -> Any:
    def f(x: Any) -> Any:
        shapes = sorted([(3, "c"), (1, "a")], key=lambda p: p[0])
        mapped = list(map(lambda a, b: a * b, [x, x], [1, 2]))
        kept = [k for k in filter(None, [0, 1, 2])]
        return mapped[-1], shapes, kept, any(k > 1 for k in kept), all([]), max([1, 5, 2], key=lambda v: -v), min("b", "a"), list(
            zip(reversed([1, 2]), enumerate("ab", 1), strict=True)
        )

    return f


@construct("dict and list from outside read by several names, changed between calls")
def read_between(torch: Any) -> Any:
    config = {"scale": 2.0, "layers": [1, 2]}
    alias = config["layers"]

    def f(x: Any) -> Any:
        return x * config["scale"] + sum(alias) + len(config["layers"])

    def between(k: int) -> None:
        config["scale"] = 1.0 + k
        alias.append(k)

    return Case(f, between=between, state=lambda: config)


@construct("UserDict, UserList, subclass of dict and list with own methods")
def user_containers(torch: Any) -> Any:
    class Config(dict):
        def __getattr__(self, name: str) -> Any:
            try:
                return self[name]
            except KeyError:
                raise AttributeError(name) from None

    class Stack(list):
        def push(self, item: Any) -> None:
            self.append(item)

    config, stack = Config(scale=3), Stack()

    def f(x: Any) -> Any:
        stack.push(x)
        inside = collections.UserList([1, 2])
        inside.append(3)
        return x * config.scale, len(stack), list(inside), hasattr(config, "other")

    return Case(f, state=lambda: (config, stack), between=lambda k: config.update(scale=k))


@construct("membership, identity and equality of tensors in containers")
def tensor_identity(torch: Any) -> Any:
    bag: list[Any] = []

    def f(x: Any) -> Any:
        bag.append(x)
        return x + 1, any(x is y for y in bag), len(bag), x is bag[-1]

    return Case(f, state=lambda: bag)
