"""What generated Python programs live in: classes, managers, generators, decorators, globals. One fresh copy for each run.

`WORLD` is the text of a module; `CHANGES` are statements run in it between the calls of a program.
"""

from __future__ import annotations

WORLD = '''
import collections, contextlib, copy, dataclasses, enum, functools, itertools, logging, math, operator, random, warnings
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple

LEVEL, RATE, WORD, COUNT = 3, 0.5, "word", 0
NAMES = ["a", "b", "c"]
TABLE = {"a": 1, "b": 2}
SEEN = {1, 2}
LOG = []
WINDOW = deque([1, 2, 3], 4)
GROUPS = defaultdict(list)
ORDER = OrderedDict(x=1, y=2)
logger = logging.getLogger("generated")
Pair = namedtuple("Pair", "left right", defaults=(7,))


class Color(enum.Enum):
    RED = 1
    GREEN = 2

    @property
    def next(self):
        return Color.GREEN if self is Color.RED else Color.RED


class Problem(Exception):
    def __init__(self, code, note="none"):
        super().__init__(code, note)
        self.code = code


class Worse(Problem, ValueError):
    pass


class Plain(Exception):
    pass


class Plainer(Plain, KeyError):
    pass


class Typed:
    """A data descriptor."""

    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, obj, cls=None):
        return self if obj is None else getattr(obj, self.name, 0)

    def __set__(self, obj, value):
        LOG.append(self.name)
        setattr(obj, self.name, value % 100)


class Base:
    kind = "base"
    made = 0
    weight = Typed()

    def __init__(self, size=2, name="base"):
        self.size, self.name, self.items = size, name, [size]
        Base.made += 1

    @property
    def double(self):
        return self.size * 2

    @double.setter
    def double(self, value):
        self.size = value // 2

    @classmethod
    def build(cls, size):
        return cls(size, cls.kind)

    @staticmethod
    def mix(a, b=2):
        return (a * 3 + b) % 101

    def grow(self, by=1, *more, scale=1):
        self.size = (self.size + by * scale + sum(more)) % 101
        return self.size

    def __len__(self):
        return len(self.items)

    def __getitem__(self, k):
        return self.items[k]

    def __setitem__(self, k, value):
        self.items[k] = value

    def __delitem__(self, k):
        del self.items[k]

    def __contains__(self, x):
        return x in self.items

    def __iter__(self):
        for x in self.items:
            yield x + self.size

    def __eq__(self, other):
        return self.size == other.size if isinstance(other, Base) else NotImplemented

    def __hash__(self):
        return hash(self.size)

    def __lt__(self, other):
        return self.size < other.size if isinstance(other, Base) else NotImplemented

    def __add__(self, other):
        return type(self)(self.size + (other.size if isinstance(other, Base) else int(other)), "sum")

    def __radd__(self, other):
        return other + self.size

    def __iadd__(self, other):
        self.size += int(other)
        return self

    def __neg__(self):
        return type(self)(-self.size, "neg")

    def __bool__(self):
        return self.size % 3 != 0

    def __call__(self, x, *rest, **named):
        return x + self.size + len(rest) + len(named)

    def __repr__(self):
        return f"{type(self).__name__}({self.size})"

    def __format__(self, spec):
        return f"<{self.size}{spec}>"

    def __enter__(self):
        LOG.append(("enter", self.size))
        return self

    def __exit__(self, kind, exc, trace):
        LOG.append(("exit", kind and kind.__name__))
        return self.name == "swallows" and exc is not None


class Child(Base):
    kind = "child"

    def __init__(self, size=1, name="child", extra=0):
        super().__init__(size + 1, name)
        self.extra = extra

    def grow(self, by=1, *more, scale=1):
        return super().grow(by, *more, scale=scale) + self.extra

    @property
    def double(self):
        return super().double + 1

    def __getattr__(self, name):
        if name.startswith("virtual"):
            return len(name)
        raise AttributeError(name)


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self, left, right=0):
        self.left, self.right = left, right


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
    tags: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.norm = abs(self.x) + abs(self.y)


@dataclasses.dataclass(frozen=True, order=True)
class Fixed:
    rank: int
    word: str = "w"


class Manager:
    """Logs; an exit may swallow the exception or raise another."""

    def __init__(self, name, mode="pass"):
        self.name, self.mode = name, mode

    def __enter__(self):
        LOG.append("+" + self.name)
        return len(LOG)

    def __exit__(self, kind, exc, trace):
        LOG.append("-" + self.name + (":" + kind.__name__ if kind else ""))
        if self.mode == "raise" and exc is not None:
            raise Worse(len(LOG), self.name) from exc
        return self.mode == "swallow"


class AsyncManager:
    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        LOG.append("a+" + self.name)
        return len(self.name)

    async def __aexit__(self, kind, exc, trace):
        LOG.append("a-" + self.name)
        return kind is not None and issubclass(kind, Plain)


async def arange(n):
    for k in range(n):
        yield k


def driven(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as e:
        return e.value


@contextlib.contextmanager
def managed(name, swallow=False):
    LOG.append("<" + name)
    try:
        yield len(name)
    except (Problem, LookupError) as e:
        LOG.append(type(e).__name__)
        if not swallow:
            raise
    finally:
        LOG.append(name + ">")


def countdown(n):
    while n > 0:
        yield n
        n -= 1
    return "done"


def joined(*parts):
    end = None
    for part in parts:
        end = yield from part
    return end


def averager():
    total, count = 0, 0
    while True:
        x = yield (total // count if count else 0)
        if x is None:
            return
        total, count = total + x, count + 1


def counter(start=0):
    def step(by=1):
        nonlocal start
        start += by
        return start

    return step


def logged(label):
    def wrap(fn):
        @functools.wraps(fn)
        def inner(*args, **kwargs):
            LOG.append((label, len(args), sorted(kwargs)))
            return fn(*args, **kwargs)

        return inner

    return wrap


@logged("twice")
def twice(x, by=2):
    return x * by


@functools.lru_cache(maxsize=None)
def cached(n):
    return n * 7 % 11


def fact(n):
    return 1 if n <= 1 else n * fact(n - 1) % 1009


def total_of(*args, start=0, **named):
    return start + sum(args) + 10 * len(named)


def fails(k, how="problem"):
    if how == "problem":
        raise Problem(k, how)
    if how == "worse":
        raise Worse(k)
    if how == "plain":
        raise Plain(k)
    return [][k]


def risky(k):
    try:
        if k % 3 == 0:
            raise Problem(k)
        if k % 3 == 1:
            return "early"
        return "late"
    except Problem as e:
        LOG.append(e.code)
        raise LookupError(k) from e
    finally:
        LOG.append("finally")


def plainly(k):
    try:
        if k % 2:
            raise Plainer(k)
        return k
    except (ZeroDivisionError, Plain) as e:
        LOG.append(repr(e))
        return -k
    finally:
        LOG.append("plainly")


def outer_counter():
    global COUNT
    COUNT += 1
    return COUNT


step = counter(5)
base, child, slots, point = Base(3, "swallows"), Child(2), Slotted(1), Point(1, 2)


@opaque
def hidden(x):
    LOG.append("hidden")
    return x


@opaque
def hidden_problem(k):
    raise Problem(k, "hidden")


@opaque
def hidden_write(items, k):
    items.append(k)
    base.size += 1
    TABLE["hidden"] = k
'''

CHANGES = (
    "LEVEL += 2",
    "LEVEL = True",
    "RATE = 1.5",
    "RATE = 2",
    "WORD = 'other'",
    "NAMES.append('d')",
    "NAMES[0] = 'z'",
    "TABLE['c'] = 5",
    "TABLE.pop('a', None)",
    "SEEN.add(9)",
    "WINDOW.append(7)",
    "GROUPS['a'].append(1)",
    "ORDER.move_to_end('x')",
    "Base.kind = 'changed'",
    "Base.extra = 3",
    "base.size = 4",
    "base.name = 'plain'",
    "base.items = [4, 5]",
    "base.bonus = 2",
    "child.extra = 5",
    "child.grow = lambda *a, **k: 11",
    "Child.virtual_more = 8",
    "child = Child(6)",
    "base = child",
    "slots.right = 3",
    "slots.left = -1",
    "point.tags.append('t')",
    "point = Point(0, 5)",
    "step = counter(50)",
    "step(3)",
    "fact = lambda n: n + 1",
    "total_of = lambda *a, **k: len(a)",
    "plainly = abs",
    "outer_counter = lambda: 1",
    "twice.__wrapped__.__defaults__ = (5,)",
    "total_of.__kwdefaults__['start'] = 4",
    "cached(3)",
    "len = lambda x: 2",
    "Base.mix = staticmethod(lambda a, b=1: a + b)",
    "Base.__bool__ = lambda self: True",
    "Manager.__enter__ = lambda self: 1",
    "random.seed(3)",
    "GROUPS.default_factory = None",
    "COUNT = 10",
    "Problem = KeyError",
    "Child.double = 5",
    "del base.name",
)
"""Each is run as it is; one that fails (an earlier change left nothing to be changed so) changes nothing."""
