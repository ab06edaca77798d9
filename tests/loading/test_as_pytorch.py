"""Data sets, samplers, joining and the loader's arguments beside PyTorch's: results, types, lengths and the types of errors."""

from __future__ import annotations

import collections
import random
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import fusewire as fw
import fusewire.utils.data

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
Pair = collections.namedtuple("Pair", "a b")


def plain(x: Any) -> Any:
    """`x` without its library: tensors as their dtype and values, the rest with its types."""
    if isinstance(x, (fw.Tensor, torch.Tensor)):
        return "tensor", str(x.dtype), x.tolist()
    if isinstance(x, Mapping):
        return type(x).__name__, {k: plain(v) for k, v in x.items()}
    if isinstance(x, Sequence) and not isinstance(x, (str, bytes)):
        return type(x).__name__, [plain(v) for v in x]
    return (type(x).__name__, x.tolist()) if isinstance(x, np.ndarray) else "object" if type(x) is object else x


def outcome(call: Callable[[], Any]) -> Any:
    """What `call` gives, or the built-in type of what it raises."""
    try:
        return plain(call())
    except Exception as error:
        return next(t for t in type(error).__mro__ if t.__module__ == "builtins")


BATCHES: list[Callable[[Any], Any]] = [
    lambda t: [t.ones(2), t.zeros(2)],
    lambda t: [1, 2],
    lambda t: [1.5, 2],
    lambda t: [True, False],
    lambda t: ["a", "b"],
    lambda t: [b"a", b"b"],
    lambda t: [np.float32(1), np.float32(2)],
    lambda t: [np.int8(1), np.int8(2)],
    lambda t: [np.arange(3), np.arange(3)],
    lambda t: [np.float64(1.5), np.float64(2)],
    lambda t: [np.bool_(True), np.bool_(False)],
    lambda t: [np.array(1.5), np.array(2.5)],
    lambda t: [np.array(["a"]), np.array(["b"])],
    lambda t: [{"x": 1, "y": t.ones(1)}, {"x": 2, "y": t.ones(1)}],
    lambda t: [collections.OrderedDict(x=1), collections.OrderedDict(x=2)],
    lambda t: [collections.defaultdict(int, x=1)] * 2,
    lambda t: [collections.Counter(x=1)] * 2,
    lambda t: [Pair(1, "a"), Pair(2, "b")],
    lambda t: [(1, "a"), (2, "b")],
    lambda t: [[1, [2.0]], [3, [4.0]]],
    lambda t: [[1], [2, 3]],
    lambda t: [t.ones(2), t.ones(3)],
    lambda t: [None, None],
    lambda t: [object()],
    lambda t: [range(2), range(2)],
    lambda t: [collections.UserList([1]), collections.UserList([2])],
    lambda t: [types.MappingProxyType({"x": 1})] * 2,
    lambda t: [collections.deque([1, 2])] * 2,
    lambda t: [{1}, {2}],
    lambda t: [t.ones(2, dtype=t.bfloat16)] * 3,
    lambda t: [t.tensor(1), t.tensor(2)],
    lambda t: [t.zeros(0, 3)] * 2,
    lambda t: [np.ones(2, np.float16)] * 2,
    lambda t: [np.ones((2, 2)), np.ones((2, 3))],
    lambda t: [1 + 2j, 3j],
    lambda t: [1, 2.5],
    lambda t: [(t.ones(1), {"k": ("s", 1)})] * 2,
    lambda t: [""],
    lambda t: [[], []],
    lambda t: [(), ()],
    lambda t: [{}, {}],
]


@pytest.mark.parametrize("number", range(len(BATCHES)))
@pytest.mark.parametrize("name", ["default_collate", "default_convert"])
def test_joining(name: str, number: int) -> None:
    expected = outcome(lambda: getattr(torch.utils.data, name)(BATCHES[number](torch)))
    assert outcome(lambda: getattr(fw.utils.data, name)(BATCHES[number](fw))) == expected


def sets(t: Any) -> Any:
    """Data sets of each kind in library `t`."""
    d = t.utils.data

    class Squares(d.Dataset):  # type: ignore[misc, name-defined]
        def __getitem__(self, i: int) -> int:
            if not -5 <= i < 5:
                raise IndexError(i)
            return i * i

        def __len__(self) -> int:
            return 5

    class Streamed(d.IterableDataset):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[int]:
            return iter(range(7))

    class Counted(Streamed):
        def __len__(self) -> int:
            return 7

    class Empty(Squares):
        def __len__(self) -> int:
            return 0

    rows = d.TensorDataset(t.arange(10.0).view(5, 2), t.arange(5))
    return types.SimpleNamespace(d=d, t=t, squares=Squares(), streamed=Streamed(), counted=Counted(), empty=Empty(), rows=rows)


def listed(x: Any) -> Any:
    return [x[i] for i in range(len(x))]


USES: list[Callable[[Any], Any]] = [
    lambda s: listed(s.rows),
    lambda s: s.rows[-1],
    lambda s: s.rows[9],
    lambda s: s.d.TensorDataset(s.t.ones(2), s.t.ones(3)),
    lambda s: listed(s.squares + s.squares),
    lambda s: (s.squares + s.squares)[-1],
    lambda s: (s.squares + s.squares)[-11],
    lambda s: (s.squares + s.rows).cumulative_sizes,
    lambda s: s.d.ConcatDataset([]),
    lambda s: s.d.ConcatDataset([s.streamed]),
    lambda s: list(s.streamed + s.counted),
    lambda s: len(s.counted + s.counted),
    lambda s: len(s.streamed + s.counted),
    lambda s: list(s.streamed + s.squares),
    lambda s: listed(s.d.StackDataset(s.squares, s.rows)),
    lambda s: s.d.StackDataset(a=s.squares, b=s.rows)[2],
    lambda s: s.d.StackDataset(a=s.squares, b=s.rows).__getitems__([1, 2]),
    lambda s: s.d.StackDataset(),
    lambda s: s.d.StackDataset(s.squares, a=s.rows),
    lambda s: s.d.StackDataset(s.squares, s.empty),
    lambda s: listed(s.d.Subset(s.squares, [3, 1])),
    lambda s: s.d.Subset(s.squares, [3, 1])[2],
    lambda s: s.d.Subset(s.squares, [3, 1]).__getitems__([1, 0]),
    lambda s: [len(p) for p in s.d.random_split(s.squares, [2, 3])],
    lambda s: [len(p) for p in s.d.random_split(s.squares, [0.5, 0.5])],
    lambda s: [len(p) for p in s.d.random_split(s.squares, [0.2, 0.3, 0.5])],
    lambda s: s.d.random_split(s.squares, [2, 2]),
    lambda s: s.d.random_split(s.squares, [0.5, 0.4]),
    lambda s: s.d.random_split(s.squares, [1.5, -0.5]),
    lambda s: sorted(i for p in s.d.random_split(s.squares, [1, 4]) for i in p.indices),
    lambda s: s.d.Dataset()[0],
    lambda s: list(s.d.SequentialSampler(s.squares)),
    lambda s: sorted(s.d.RandomSampler(s.squares)),
    lambda s: len(s.d.RandomSampler(s.squares)),
    lambda s: len(list(s.d.RandomSampler(s.squares, num_samples=12))),
    lambda s: sorted(set(s.d.RandomSampler(s.squares, True, 500))),
    lambda s: sorted(collections.Counter(s.d.RandomSampler(s.squares, num_samples=10)).values()),
    lambda s: s.d.RandomSampler(s.squares, 1),
    lambda s: s.d.RandomSampler(s.squares, num_samples=0),
    lambda s: s.d.RandomSampler(s.squares, num_samples=1.5),
    lambda s: s.d.RandomSampler(s.empty),
    lambda s: sorted(s.d.SubsetRandomSampler([4, 9, 2])),
    lambda s: len(s.d.SubsetRandomSampler([4, 9, 2])),
    lambda s: sorted(s.d.WeightedRandomSampler([1, 0, 2], 2, replacement=False)),
    lambda s: sorted(set(s.d.WeightedRandomSampler([1, 0, 2.0], 100))),
    lambda s: s.d.WeightedRandomSampler([1.0], 0),
    lambda s: s.d.WeightedRandomSampler([1.0], 1, 2),
    lambda s: s.d.WeightedRandomSampler([[1.0]], 1),
    lambda s: list(s.d.BatchSampler(range(7), 3, False)),
    lambda s: list(s.d.BatchSampler(range(7), 3, True)),
    lambda s: len(s.d.BatchSampler(range(7), 3, True)),
    lambda s: len(s.d.BatchSampler(range(7), 3, False)),
    lambda s: s.d.BatchSampler(range(7), 0, False),
    lambda s: s.d.BatchSampler(range(7), True, False),
    lambda s: s.d.BatchSampler(range(7), 3, 1),
    lambda s: [list(s.d.DistributedSampler(s.squares, 3, r, shuffle=False)) for r in range(3)],
    lambda s: [list(s.d.DistributedSampler(s.squares, 3, r, shuffle=False, drop_last=True)) for r in range(3)],
    lambda s: [list(s.d.DistributedSampler(s.d.Subset(s.squares, [0]), 3, r, shuffle=False)) for r in range(3)],
    lambda s: sorted({i for r in range(2) for i in s.d.DistributedSampler(s.squares, 2, r)}),
    lambda s: s.d.DistributedSampler(s.squares, 2, 2),
    lambda s: s.d.DistributedSampler(s.squares, 2, -1),
    lambda s: len(s.d.DistributedSampler(s.squares, 2, 0)),
    lambda s: s.d.get_worker_info(),
]


@pytest.mark.parametrize("number", range(len(USES)))
def test_data_sets_and_samplers(number: int) -> None:
    expected = outcome(lambda: USES[number](sets(torch)))
    assert outcome(lambda: USES[number](sets(fw))) == expected


#: arguments of a loader, and of which of the data sets above
LOADERS: list[tuple[str, dict[str, Any]]] = [
    ("squares", {}),
    ("rows", {"batch_size": 2}),
    ("rows", {"batch_size": None}),
    ("rows", {"batch_size": 2, "drop_last": True}),
    ("squares", {"batch_size": None}),
    ("squares", {"batch_size": None, "drop_last": True}),
    ("squares", {"batch_size": 0}),
    ("squares", {"batch_size": 2.5}),
    ("squares", {"batch_size": -1}),
    ("squares", {"sampler": [4, 0, 2]}),
    ("squares", {"sampler": [1], "shuffle": True}),
    ("squares", {"sampler": [4, 0, 2], "batch_size": 2}),
    ("squares", {"batch_sampler": [[1, 2], [3]]}),
    ("squares", {"batch_sampler": [[1]], "batch_size": 2}),
    ("squares", {"batch_sampler": [[1]], "shuffle": True}),
    ("squares", {"batch_sampler": [[1]], "drop_last": True}),
    ("squares", {"batch_sampler": [[1]], "sampler": [1]}),
    ("squares", {"num_workers": -1}),
    ("squares", {"timeout": -1}),
    ("squares", {"prefetch_factor": 2}),
    ("squares", {"persistent_workers": True}),
    ("squares", {"multiprocessing_context": "fork"}),
    ("squares", {"num_workers": 1, "multiprocessing_context": "thread"}),
    ("squares", {"num_workers": 1, "multiprocessing_context": 3}),
    ("squares", {"num_workers": 1, "prefetch_factor": -1}),
    ("streamed", {}),
    ("streamed", {"batch_size": 3}),
    ("streamed", {"batch_size": 3, "drop_last": True}),
    ("streamed", {"batch_size": None}),
    ("streamed", {"shuffle": True}),
    ("streamed", {"shuffle": False}),
    ("streamed", {"sampler": [1]}),
    ("streamed", {"batch_sampler": [[1]]}),
    ("counted", {"batch_size": 3}),
    ("counted", {"batch_size": 3, "drop_last": True}),
    ("counted", {"batch_size": None}),
    ("empty", {}),
    ("empty", {"shuffle": True}),
    ("empty", {"batch_size": 3}),
    ("squares", {"collate_fn": tuple, "batch_size": 3}),
    ("squares", {"collate_fn": str, "batch_size": None}),
    ("squares", {"sampler": [7]}),
    ("squares", {"collate_fn": 3}),
    ("squares", {"in_order": False}),
]


@pytest.mark.parametrize("number", range(len(LOADERS)))
def test_loaders(number: int) -> None:
    def facts(t: Any) -> Any:
        found, (name, arguments) = sets(t), LOADERS[number]
        loader = found.d.DataLoader(getattr(found, name), **arguments)
        names = (
            "batch_size",
            "drop_last",
            "num_workers",
            "timeout",
            "prefetch_factor",
            "persistent_workers",
            "in_order",
            "pin_memory",
        )
        length = outcome(lambda: len(loader))
        inner = type(loader.sampler).__name__.strip("_"), type(loader.batch_sampler).__name__
        return (
            [getattr(loader, n) for n in names],
            length,
            inner[0] if name != "streamed" and name != "counted" else 0,
            inner[1],
            list(loader),
        )

    assert outcome(lambda: facts(fw)) == outcome(lambda: facts(torch))


@pytest.mark.parametrize(
    "name", ["batch_size", "sampler", "drop_last", "dataset", "batch_sampler", "persistent_workers", "collate_fn", "timeout"]
)
def test_what_may_be_changed_later(name: str) -> None:
    def change(t: Any) -> None:
        setattr(t.utils.data.DataLoader([1, 2]), name, 1)

    assert outcome(lambda: change(fw)) == outcome(lambda: change(torch))


def test_collate_of_random_structures() -> None:
    rng = random.Random(5)

    def item(depth: int, t: Any, draw: random.Random) -> Any:
        kind = draw.randrange(9 if depth else 5)
        if kind == 0:
            return t.full((2,), draw.random(), dtype=draw.choice([t.float32, t.int64, t.bool]))
        if kind < 5:
            return (draw.randrange(9), draw.random(), "text", np.full((2, 2), draw.random()))[kind - 1]
        parts = [item(depth - 1, t, draw) for _ in range(draw.randrange(1, 4))]
        return (parts, tuple(parts), dict(enumerate(parts)), Pair(parts[0], 0))[kind - 5]

    for _ in range(300):
        seed, size = rng.random(), rng.randrange(1, 4)

        def batch(t: Any, seed: float = seed, size: int = size) -> Any:
            return t.utils.data.default_collate([item(3, t, random.Random(seed)) for _ in range(size)])

        assert plain(batch(fw)) == plain(batch(torch))
