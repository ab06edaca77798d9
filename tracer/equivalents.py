"""Python forms of functions that CPython has in C: the tracer follows these in their place. Run by nobody else.

Each does what the documentation says of its original, arguments included, and touches nothing but what it is given. The
generator functions stand for iterator classes of itertools.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_MISSING = object()


def _add(a: Any, b: Any) -> Any:
    return a + b


def _first(items: Any) -> tuple[Any, ...]:
    """The next item of an iterator, in a tuple; an empty one at its end."""
    for item in items:
        return (item,)
    return ()


def chain(*iterables: Any) -> Iterator[Any]:
    for items in iterables:
        yield from items


def chain_from_iterable(iterables: Any, /) -> Iterator[Any]:
    for items in iterables:
        yield from items


def accumulate(iterable: Any, func: Any = None, *, initial: Any = None) -> Iterator[Any]:
    func = _add if func is None else func
    items = iter(iterable)
    total = initial
    if initial is None:
        first = _first(items)
        if not first:
            return
        total = first[0]
    yield total
    for item in items:
        total = func(total, item)
        yield total


def starmap(function: Any, iterable: Any, /) -> Iterator[Any]:
    for args in iterable:
        yield function(*args)


def takewhile(predicate: Any, iterable: Any, /) -> Iterator[Any]:
    for item in iterable:
        if not predicate(item):
            return
        yield item


def dropwhile(predicate: Any, iterable: Any, /) -> Iterator[Any]:
    items = iter(iterable)
    for item in items:
        if not predicate(item):
            yield item
            break
    yield from items


def filterfalse(function: Any, iterable: Any, /) -> Iterator[Any]:
    for item in iterable:
        if not (item if function is None else function(item)):
            yield item


def compress(data: Any, selectors: Any) -> Iterator[Any]:
    for item, wanted in zip(data, selectors):  # noqa: B905  (as the original: the shorter one ends it)
        if wanted:
            yield item


def pairwise(iterable: Any, /) -> Iterator[Any]:
    items = iter(iterable)
    for first in items:
        for second in items:
            yield first, second
            first = second


def repeat(object: Any, times: Any = None) -> Iterator[Any]:
    if times is None:
        while True:
            yield object
    for _ in range(times):
        yield object


def count(start: Any = 0, step: Any = 1) -> Iterator[Any]:
    n = int(start) if isinstance(start, bool) and step == 1 else start  # C counts by ones in an integer of its own
    while True:
        yield n
        n = n + step


def cycle(iterable: Any, /) -> Iterator[Any]:
    saved = []
    for item in iterable:
        yield item
        saved.append(item)
    while saved:
        yield from saved


def islice(iterable: Any, /, *bounds: Any) -> Iterator[Any]:
    window = slice(*bounds)
    start, stop, step = window.start or 0, window.stop, window.step or 1
    if start < 0 or step < 1 or (stop is not None and stop < 0):
        raise ValueError("Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.")
    items, wanted, k = iter(iterable), start, 0
    end = None if stop is None else max(start, stop)  # what stands before `start` is taken in any case
    while end is None or k < end:
        first = _first(items)
        if not first:
            return
        if k == wanted and (stop is None or k < stop):
            yield first[0]
            wanted += step
        k += 1


def zip_longest(*iterables: Any, fillvalue: Any = None) -> Iterator[Any]:
    iterators = [iter(items) for items in iterables]
    ended: set[int] = set()
    while len(ended) < len(iterators):
        row = []
        for k, items in enumerate(iterators):
            first = () if k in ended else _first(items)
            if not first:
                ended.add(k)
            row.append(first[0] if first else fillvalue)
        if len(ended) < len(iterators):
            yield tuple(row)


def product(*iterables: Any, repeat: int = 1) -> Iterator[Any]:
    pools = [tuple(items) for items in iterables] * repeat
    rows: list[tuple[Any, ...]] = [()]
    for pool in pools:
        rows = [(*row, item) for row in rows for item in pool]
    yield from rows


def permutations(iterable: Any, r: Any = None) -> Iterator[Any]:
    pool = tuple(iterable)
    n = len(pool)
    r = n if r is None else r
    for places in product(range(n), repeat=r):
        if len(set(places)) == r:
            yield tuple([pool[k] for k in places])


def combinations(iterable: Any, r: int) -> Iterator[Any]:
    pool = tuple(iterable)
    for places in permutations(range(len(pool)), r):
        if sorted(places) == list(places):
            yield tuple([pool[k] for k in places])


def combinations_with_replacement(iterable: Any, r: int) -> Iterator[Any]:
    pool = tuple(iterable)
    for places in product(range(len(pool)), repeat=r):
        if sorted(places) == list(places):
            yield tuple([pool[k] for k in places])


def batched(iterable: Any, n: int, *, strict: bool = False) -> Iterator[Any]:
    if n < 1:
        raise ValueError("n must be at least one")
    batch: list[Any] = []
    for item in iterable:
        batch.append(item)
        if len(batch) == n:
            yield tuple(batch)
            batch = []
    if batch:
        if strict:
            raise ValueError("batched(): incomplete batch")
        yield tuple(batch)


def groupby(iterable: Any, key: Any = None) -> Iterator[Any]:
    items, ended = iter(iterable), False
    item: Any = None
    k: Any = _MISSING

    def members(own: Any) -> Iterator[Any]:
        nonlocal item, k, ended
        yield item
        for item in items:
            k = item if key is None else key(item)
            if k != own:
                return
            yield item
        ended = True

    for item in items:  # noqa: B007
        break
    else:
        return
    k = item if key is None else key(item)
    while not ended:
        own = k
        group = members(own)
        yield own, group
        if k == own:
            for _ in group:
                pass


def tee(iterable: Any, n: int = 2, /) -> tuple[Any, ...]:
    items = iter(iterable)
    shared: list[Any] = []

    def branch() -> Iterator[Any]:
        k = 0
        while True:
            if k == len(shared):
                for item in items:
                    shared.append(item)
                    break
                else:
                    return
            yield shared[k]
            k += 1

    return tuple([branch() for _ in range(n)])


def forever(function: Any, sentinel: Any) -> Iterator[Any]:
    """``iter(function, sentinel)``."""
    while True:
        item = function()
        if item == sentinel:
            return
        yield item


def by_index(obj: Any) -> Iterator[Any]:
    """``iter(obj)`` by ``__getitem__``."""
    k = 0
    while True:
        try:
            item = obj[k]
        except (IndexError, StopIteration):
            return
        yield item
        k += 1


# -- operator ------------------------------------------------------------------------------------------------------------


def itemgetter(item: Any, /, *items: Any) -> Callable[[Any], Any]:
    if not items:
        return lambda obj: obj[item]
    return lambda obj: tuple([obj[k] for k in (item, *items)])


def _attribute(obj: Any, name: str) -> Any:
    for part in name.split("."):
        obj = getattr(obj, part)
    return obj


def attrgetter(attr: str, /, *attrs: str) -> Callable[[Any], Any]:
    if not attrs:
        return lambda obj: _attribute(obj, attr)
    return lambda obj: tuple([_attribute(obj, name) for name in (attr, *attrs)])


def methodcaller(name: str, /, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    return lambda obj: getattr(obj, name)(*args, **kwargs)


def contains(a: Any, b: Any, /) -> bool:
    return b in a


def concat(a: Any, b: Any, /) -> Any:
    return a + b


def count_of(a: Any, b: Any, /) -> int:
    return sum([1 for x in a if x is b or x == b])


def index_of(a: Any, b: Any, /) -> int:
    for k, x in enumerate(a):
        if x is b or x == b:
            return k
    raise ValueError("sequence.index(x): x not in sequence")


def count_elements(mapping: Any, iterable: Any, /) -> None:
    for item in iterable:
        mapping[item] = mapping.get(item, 0) + 1


def call(obj: Any, /, *args: Any, **kwargs: Any) -> Any:
    return obj(*args, **kwargs)


# -- heapq, bisect ---------------------------------------------------------------------------------------------------------


def _sift_up(heap: Any, root: int, at: int) -> None:
    """Move the item at `at` towards `root` past what is larger."""
    item = heap[at]
    while at > root:
        parent = (at - 1) >> 1
        if not item < heap[parent]:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = item


def _sift_down(heap: Any, at: int) -> None:
    """Move the hole at `at` to a leaf, then its item up to its place: the number of comparisons is that of the original."""
    item, start, end = heap[at], at, len(heap)
    child = 2 * at + 1
    while child < end:
        if child + 1 < end and not heap[child] < heap[child + 1]:
            child += 1
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = item
    _sift_up(heap, start, at)


def heappush(heap: Any, item: Any, /) -> None:
    heap.append(item)
    _sift_up(heap, 0, len(heap) - 1)


def heappop(heap: Any, /) -> Any:
    last = heap.pop()
    if not heap:
        return last
    first = heap[0]
    heap[0] = last
    _sift_down(heap, 0)
    return first


def heapify(heap: Any, /) -> None:
    for k in reversed(range(len(heap) // 2)):
        _sift_down(heap, k)


def heapreplace(heap: Any, item: Any, /) -> Any:
    first = heap[0]
    heap[0] = item
    _sift_down(heap, 0)
    return first


def heappushpop(heap: Any, item: Any, /) -> Any:
    if heap and heap[0] < item:
        item, heap[0] = heap[0], item
        _sift_down(heap, 0)
    return item


def nsmallest(n: int, iterable: Any, key: Any = None) -> list[Any]:
    return sorted(iterable, key=key)[: max(n, 0)]


def nlargest(n: int, iterable: Any, key: Any = None) -> list[Any]:
    return sorted(iterable, key=key, reverse=True)[: max(n, 0)]


def bisect_right(a: Any, x: Any, lo: int = 0, hi: Any = None, *, key: Any = None) -> int:
    if lo < 0:
        raise ValueError("lo must be non-negative")
    hi = len(a) if hi is None else hi
    while lo < hi:
        middle = (lo + hi) // 2
        if x < (a[middle] if key is None else key(a[middle])):
            hi = middle
        else:
            lo = middle + 1
    return lo


def bisect_left(a: Any, x: Any, lo: int = 0, hi: Any = None, *, key: Any = None) -> int:
    if lo < 0:
        raise ValueError("lo must be non-negative")
    hi = len(a) if hi is None else hi
    while lo < hi:
        middle = (lo + hi) // 2
        if (a[middle] if key is None else key(a[middle])) < x:
            lo = middle + 1
        else:
            hi = middle
    return lo


def insort_right(a: Any, x: Any, lo: int = 0, hi: Any = None, *, key: Any = None) -> None:
    a.insert(bisect_right(a, x if key is None else key(x), lo, hi, key=key), x)


def insort_left(a: Any, x: Any, lo: int = 0, hi: Any = None, *, key: Any = None) -> None:
    a.insert(bisect_left(a, x if key is None else key(x), lo, hi, key=key), x)


# -- functools ---------------------------------------------------------------------------------------------------------------


def cached_property_get(prop: Any, obj: Any, owner: Any = None) -> Any:
    if obj is None:
        return prop
    if prop.attrname is None:
        raise TypeError("Cannot use cached_property instance without calling __set_name__ on it.")
    own = obj.__dict__
    value = own.get(prop.attrname, _MISSING)
    if value is _MISSING:
        value = prop.func(obj)
        own[prop.attrname] = value
    return value


class _Key:
    """What `cmp_to_key` wraps an item in."""

    def __init__(self, compare: Any, obj: Any) -> None:
        self.compare, self.obj = compare, obj

    def __lt__(self, other: Any) -> bool:
        return bool(self.compare(self.obj, other.obj) < 0)

    def __gt__(self, other: Any) -> bool:
        return bool(self.compare(self.obj, other.obj) > 0)

    def __eq__(self, other: Any) -> bool:
        return bool(self.compare(self.obj, other.obj) == 0)

    def __le__(self, other: Any) -> bool:
        return bool(self.compare(self.obj, other.obj) <= 0)

    def __ge__(self, other: Any) -> bool:
        return bool(self.compare(self.obj, other.obj) >= 0)

    __hash__ = None  # type: ignore[assignment]


def cmp_to_key(mycmp: Any) -> Any:
    return lambda obj: _Key(mycmp, obj)


def sort_short(values: list[Any], weights: list[Any], reverse: bool) -> list[Any]:
    """`values` in the stable order of `weights`, which compare by ``<``, as `sorted` goes about up to 63 items: the run at the
    start, then binary insertion."""
    pairs = [(weights[k], values[k]) for k in range(len(values))]
    if reverse:
        pairs.reverse()
    n, run = len(pairs), 1
    if n > 1:
        down = pairs[1][0] < pairs[0][0]
        run = 2
        while run < n and bool(pairs[run][0] < pairs[run - 1][0]) is bool(down):
            run += 1
        if down:
            pairs[:run] = pairs[:run][::-1]
    for at in range(run, n):
        pivot = pairs.pop(at)
        low, high = 0, at
        while low < high:
            middle = (low + high) // 2
            if pivot[0] < pairs[middle][0]:
                high = middle
            else:
                low = middle + 1
        pairs.insert(low, pivot)
    ordered = [value for _, value in pairs]
    return ordered[::-1] if reverse else ordered
