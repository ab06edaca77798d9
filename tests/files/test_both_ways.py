"""Files between PyTorch and fusewire, both ways, in all formats; where tensors go; whole modules; writes that are cut off."""

from __future__ import annotations

import datetime
import enum
import io
import os
import pathlib
import pickle
import subprocess
import sys
import time
from collections import Counter, OrderedDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.errors import DeviceError, FileError, FusewireError
from fusewire.ir import dtypes


def oracle() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is the oracle")


def same(a: Any, b: Any) -> None:
    """Equal values of the two libraries: dtypes, strides, kinds and structure too."""
    if hasattr(a, "untyped_storage") and hasattr(a, "stride"):
        assert str(a.dtype) == str(b.dtype) and tuple(a.shape) == tuple(b.shape) and a.requires_grad == b.requires_grad
        assert a.numel() == 0 or all(s == t for s, t, n in zip(a.stride(), b.stride(), a.shape, strict=True) if n > 1)
        assert type(a).__name__ == type(b).__name__ and getattr(a, "note", 0) == getattr(b, "note", 0)
        if a.is_floating_point():  # those of optimisers are computed by each library
            np.testing.assert_allclose(a.double().detach().numpy(), b.double().detach().numpy(), rtol=1e-4, atol=1e-7)
        else:
            assert a.tolist() == b.tolist()
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and np.array_equal(a, b)
    elif isinstance(a, dict):
        assert type(a) is type(b) and list(a) == list(b)
        for k in a:
            same(a[k], b[k])
        same(getattr(a, "_metadata", 0), getattr(b, "_metadata", 0))
    elif isinstance(a, (list, tuple)):
        assert type(a).__name__ == type(b).__name__ and len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert str(a) == str(b) and type(a).__name__ == type(b).__name__


def model(t: Any, trained: bool = True) -> Any:
    layers = t.nn.Conv1d(1, 2, 3), t.nn.BatchNorm1d(2), t.nn.Flatten(), t.nn.Linear(4, 3)
    made = t.nn.Sequential(*layers)
    with t.no_grad():
        for i, p in enumerate(made.parameters()):
            p.copy_((t.arange(p.numel(), dtype=t.float32).view(p.shape) % 7 - 3) / (5 + i))
    return made


def trained(t: Any, kind: str) -> Any:
    """An optimiser's state after two steps."""
    made = t.nn.Sequential(list(model(t))[3])
    optimiser = getattr(t.optim, kind)(made.parameters(), lr=0.01)
    for _ in range(2):
        optimiser.zero_grad()
        made(t.ones(2, 4)).sum().backward()
        optimiser.step()
    return optimiser


def with_note(x: Any) -> Any:
    x.note = {"a": 1}
    return x


OBJECTS: dict[str, Callable[[Any], Any]] = {
    **{f"dtype {d.name}": lambda t, d=d: t.arange(6).to(getattr(t, d.name)).view(2, 3) for d in dtypes.EVERY},
    "views": lambda t: (lambda x: [x, x.view(3, 4).t(), x[5:], x[::3], x[3], x.view(3, 4)[:, 1:3], x[:0], x[:1].expand(5)])(
        t.arange(12.0)
    ),
    "0-d": lambda t: [t.tensor(3), t.tensor(2.5), t.tensor(True)],
    "empty": lambda t: [t.zeros(0), t.zeros(0, 3), t.zeros(2, 0)],
    "parameter": lambda t: t.nn.Parameter(t.ones(2, 2)),
    "frozen": lambda t: t.nn.Parameter(t.ones(2), requires_grad=False),
    "leaf": lambda t: t.ones(2, requires_grad=True),
    "attributes": lambda t: [with_note(t.ones(2)), with_note(t.nn.Parameter(t.ones(2)))],
    "state_dict": lambda t: model(t).state_dict(),
    "channels last": lambda t: t.arange(24.0).view(1, 2, 3, 4).to(memory_format=t.channels_last),
    **{f"optimiser {k}": lambda t, k=k: trained(t, k).state_dict() for k in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad")},
    "containers": lambda t: {
        "a": [1, (2.5, None), {"x": t.ones(1)}],
        3: {4, 5},
        (1, "k"): OrderedDict(z=1),
        True: b"\x00\xff",
        2.5: "é",
    },
    "numbers": lambda t: [0, -1, 255, 1 << 31, -(1 << 40), 1 << 100, 1.5, float("inf"), 3 + 4j, True],
    "size, dtype, device": lambda t: [
        t.ones(2, 3).shape,
        t.float16,
        t.bool,
        t.complex64,
        t.device("cpu"),
        t.device("cuda", 1),
        t.strided,
    ],
    "sparse": lambda t: [t.eye(3).to_sparse(), t.sparse_coo_tensor(t.tensor([[0, 0], [1, 1]]), t.tensor([1.0, 2.0]), (2, 3))],
    "counter": lambda t: Counter("abca"),
    "shared lists": lambda t: (lambda x: [x, x, {"x": x}])([t.ones(1)]),
    "tied": lambda t: [t.ones(3)] * 3,
    "float state": lambda t: t.optim.lr_scheduler.StepLR(t.optim.SGD([t.nn.Parameter(t.ones(1))], lr=0.1), 2).state_dict(),
}


def plain(obj: Any) -> Any:
    """Sparse tensors as their parts."""
    if isinstance(obj, list) and obj and getattr(obj[0], "is_sparse", False):
        parts = [[p() if callable(p) else p for p in (x._indices, x._values)] for x in obj]
        return [[i.tolist(), v.tolist(), tuple(x.shape), x.is_coalesced()] for (i, v), x in zip(parts, obj, strict=True)]
    return obj


@pytest.mark.filterwarnings("ignore:Sparse invariant")
@pytest.mark.parametrize("name", OBJECTS)
def test_both_ways(name: str, tmp_path: Path) -> None:
    torch = oracle()
    ours, theirs = OBJECTS[name](fw), OBJECTS[name](torch)
    fw.save(ours, tmp_path / "ours.pt")
    same(plain(torch.load(tmp_path / "ours.pt", weights_only=True)), plain(theirs))
    for new in (True, False):
        torch.save(theirs, tmp_path / "theirs.pt", _use_new_zipfile_serialization=new)
        same(plain(fw.load(tmp_path / "theirs.pt")), plain(ours))
        with (tmp_path / "theirs.pt").open("rb") as file:
            same(plain(fw.load(file)), plain(ours))
    torch.save(theirs, tmp_path / "theirs.pt")
    same(plain(fw.load(str(tmp_path / "theirs.pt"), mmap=True)), plain(ours))
    same(plain(fw.load(tmp_path / "ours.pt", mmap=True)), plain(ours))


def test_shared_memory_is_shared_again_both_ways(tmp_path: Path) -> None:
    torch = oracle()

    def shares(obj: Any) -> list[list[float]]:
        obj[0].mul_(2)
        obj[2].sub_(1)
        return [x.tolist() for x in obj]

    torch.save(OBJECTS["views"](torch), tmp_path / "theirs.pt")
    fw.save(OBJECTS["views"](fw), tmp_path / "ours.pt")
    expected = shares(OBJECTS["views"](torch))
    for new in (fw.load(tmp_path / "theirs.pt"), fw.load(tmp_path / "theirs.pt", mmap=True), fw.load(tmp_path / "ours.pt")):
        assert shares(new) == expected
    assert shares(torch.load(tmp_path / "ours.pt")) == expected
    assert fw.load(tmp_path / "theirs.pt")[0].tolist() == torch.arange(12.0).tolist()  # a mapped file is not written to


def test_arrays_both_ways(tmp_path: Path) -> None:
    torch = oracle()
    arrays = [
        np.arange(6.0).reshape(2, 3),
        np.arange(3, dtype=">i4"),
        np.float32(2.5),
        np.array(["a", "bc"]),
        np.zeros(0, np.uint8),
        np.ones((2, 3), order="F"),
        np.array(True),
        np.dtype("f8"),
        np.int64(3),
    ]
    fw.save(arrays, tmp_path / "a.pt")
    for a, b, c in zip(arrays, fw.load(tmp_path / "a.pt"), torch.load(tmp_path / "a.pt", weights_only=False), strict=True):
        assert np.array_equal(a, b) and type(a) is type(b) and np.array_equal(a, c)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda t: t.ones(2, dtype=t.uint16), r"torch\.uint16"),
        (lambda t: t.ones(2).to(t.float8_e4m3fn), "float8"),
        (lambda t: t.ones(2, device="meta"), "meta"),
        (lambda t: t.quantize_per_tensor(t.ones(2), 1.0, 0, t.qint8), "quantized"),
        (lambda t: t.eye(2).to_sparse_csr(), "sparse"),
        (lambda t: t.nn.Linear(1, 1), r"state_dict\(\)"),
        (lambda t: t.optim.SGD, "SGD"),
        (lambda t: pathlib.Path("x"), "add_safe_globals"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_read_is_said(make: Any, words: str) -> None:
    torch = oracle()
    buffer = io.BytesIO()
    torch.save(make(torch), buffer)
    with pytest.raises(FileError, match=words):
        fw.load(buffer)


# ---- devices -----------------------------------------------------------------------------------------------------------
def on_cuda() -> io.BytesIO:
    """A file whose storage was saved on a GPU."""
    from fusewire.utils.pickles import REBUILD_TENSOR, Pickler, Storages, _Stored
    from fusewire.utils.serialization import _write

    class Reduced:
        def __reduce__(self) -> Any:
            key, flat = storages.add(self, np.arange(3, dtype=np.float32))
            return REBUILD_TENSOR, (_Stored(key, flat, "cuda:7"), 0, (3,), (1,), False, OrderedDict())

    storages, pickled, out = Storages(), io.BytesIO(), io.BytesIO()
    Pickler(pickled, storages).dump({"x": Reduced()})
    _write(out, "a", pickled.getvalue(), storages)
    out.seek(0)
    return out


def test_map_location() -> None:
    seen: list[str] = []

    def keep(storage: Any, location: str) -> Any:
        seen.append(location)
        return storage

    forms: list[Any] = ["cpu", fw.device("cpu"), {"cuda:7": "cpu"}, keep, lambda storage, location: storage]
    for target in forms:
        assert fw.load(on_cuda(), map_location=target)["x"].tolist() == [0.0, 1.0, 2.0]
    assert seen == ["cuda:7"]
    for target in (None, {"cuda:0": "cpu"}, lambda storage, location: None, "cuda:7", "nowhere"):
        with pytest.raises(DeviceError):
            fw.load(on_cuda(), map_location=target)
    with pytest.raises(TypeError, match="map_location gave a int"):
        fw.load(on_cuda(), map_location=lambda storage, location: 3)


# ---- objects -------------------------------------------------------------------------------------------------------------
class Colour(enum.Enum):
    RED = 1


class Plain:
    def __init__(self) -> None:
        self.x, self.made = fw.ones(2), True


class Stateful:
    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __getstate__(self) -> Any:
        return "state"


class Closing:
    def __del__(self) -> None:
        raise AssertionError("a file made an object that does something when it goes")


class Net(fw.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = fw.nn.Linear(2, 3), fw.nn.functional.relu
        self.norm, self.rest = fw.nn.BatchNorm1d(3), fw.nn.ModuleList([fw.nn.Dropout(0.1), fw.nn.LSTM(3, 3)])

    def forward(self, x: Any) -> Any:
        return self.norm(self.act(self.first(x)))


def kept(obj: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    fw.save(obj, buffer)
    buffer.seek(0)
    return buffer


def test_whole_modules() -> None:
    model = Net()
    with pytest.raises(FileError, match=r"Sequential.*nothing of it was run.*state_dict"):
        fw.load(kept(fw.nn.Sequential(fw.nn.Linear(1, 1))))
    with pytest.raises(FileError, match=r"Net.*nothing of it was run"):
        fw.load(kept(model))
    back = fw.load(kept(model), weights_only=False)
    x = fw.arange(8.0).view(4, 2)
    assert type(back) is Net and back(x).tolist() == model(x).tolist() and back.training and str(back) == str(model)
    back.first.weight.data.zero_()
    assert model.first.weight.abs().sum() > 0
    classes = [Net, fw.nn.Linear, fw.nn.BatchNorm1d, fw.nn.ModuleList, fw.nn.Dropout, fw.nn.LSTM, fw.nn.functional.relu]
    with fw.serialization.safe_globals(classes):
        assert str(fw.load(kept(model))) == str(model)
        assert len(fw.serialization.get_safe_globals()) == len(classes)
    assert fw.serialization.get_safe_globals() == []


def test_objects_of_the_program() -> None:
    back = fw.load(
        kept([Plain(), Colour.RED, datetime.date(2020, 1, 2), pathlib.PurePosixPath("a/b"), fw.Generator()]), weights_only=False
    )
    assert back[0].made and back[0].x.tolist() == [1.0, 1.0] and back[1] is Colour.RED
    assert back[2:4] == [datetime.date(2020, 1, 2), pathlib.PurePosixPath("a/b")] and isinstance(back[4], fw.Generator)
    for obj in (Stateful(), namedtuple, os.getcwd):
        with pytest.raises((FileError, pickle.PicklingError)):
            fw.load(kept(obj), weights_only=False)
    text = b"\x80\x02c" + f"{__name__}\nClosing\n".encode() + b")\x81."
    with pytest.raises(FileError, match="Closing"):
        fw.load(_around(text), weights_only=False)
    with fw.serialization.safe_globals([Stateful]):
        assert fw.load(kept(Stateful())).state == "state"
    with fw.serialization.safe_globals([(Plain, "other.place.Old")]):
        assert isinstance(fw.load(_around(b"\x80\x02cother.place\nOld\n)\x81}b.")), Plain)


def _around(pickled: bytes) -> io.BytesIO:
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
    return buffer


def test_random_state_goes_on(tmp_path: Path) -> None:
    fw.manual_seed(5)
    fw.save({"rng": fw.get_rng_state()}, tmp_path / "r.pt")
    first = fw.rand(4).tolist()
    fw.set_rng_state(fw.load(tmp_path / "r.pt")["rng"])
    assert fw.rand(4).tolist() == first


# ---- writing -------------------------------------------------------------------------------------------------------------
def test_a_full_disk_leaves_the_former_file(tmp_path: Path) -> None:
    """The limit on file sizes stands for the disk's end."""
    text = (
        "import fusewire as fw, resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "fw.save(fw.ones(3), sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: fw.save(fw.ones(1_000_000), sys.argv[1])\n"
        "except OSError as error: print(type(error).__name__, error.errno)\n"
        "print(fw.load(sys.argv[1]).tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text, str(tmp_path / "x.pt")], capture_output=True, text=True, cwd="/", timeout=60
    )
    assert done.stdout.split("\n")[:2] == ["OSError 27", "[1.0, 1.0, 1.0]"], done.stderr
    assert os.listdir(tmp_path) == ["x.pt"]


def test_a_process_killed_while_it_writes_leaves_whole_files(tmp_path: Path) -> None:
    text = (
        "import fusewire as fw, sys\n"
        "fw.save({'n': 0, 'x': fw.zeros(300_000)}, sys.argv[1]); print('ready', flush=True)\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    fw.save({'n': n, 'x': fw.full((300_000,), float(n))}, sys.argv[1])\n"
    )
    for pause in (0.0, 0.005, 0.013):
        with subprocess.Popen([sys.executable, "-c", text, str(tmp_path / "x.pt")], stdout=subprocess.PIPE, cwd="/") as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(pause)
            process.kill()
        back = fw.load(tmp_path / "x.pt")
        assert back["x"].min() == back["x"].max() == back["n"]


def test_streams_that_cannot_seek(tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as sink:
        fw.save({"x": fw.arange(3)}, sink)
    with os.fdopen(read, "rb") as source:
        assert fw.load(source)["x"].tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match="method read"):
        fw.load(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mmap"):
        fw.load(io.BytesIO(), mmap=True)


def test_pickles_of_every_protocol() -> None:
    for protocol in range(6):
        value = {"a": [1, 2.5, "é", None, (True, b"x")], "n": np.arange(3), "s": {1, 2}, "big": 1 << 70}
        back = fw.load(_around(pickle.dumps(value, protocol)))
        assert back["a"] == value["a"] and back["n"].tolist() == [0, 1, 2] and back["s"] == {1, 2} and back["big"] == 1 << 70


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        fw.load("/nowhere/at/all.pt")
    assert issubclass(FileError, FusewireError)
