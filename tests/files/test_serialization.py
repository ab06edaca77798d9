"""Files in PyTorch's format: both ways, with sharing, views and all dtypes; damaged and hostile ones."""

from __future__ import annotations

import io
import os
import pickle
import random
import stat
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.errors import DeviceError, FileError
from fusewire.ir import dtypes


def through(obj: Any) -> Any:
    buffer = io.BytesIO()
    fw.save(obj, buffer)
    buffer.seek(0)
    return fw.load(buffer)


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda d: d.name)
def test_every_dtype(dtype: Any) -> None:
    x = fw.arange(-3, 9).to(dtype).view(3, 4)
    y = through(x)
    assert y.dtype is dtype and y.tolist() == x.tolist() and y.stride() == (4, 1)


def test_containers_numbers_and_text() -> None:
    obj = {"a": [1, 2.5, None, True, "é"], "b": (fw.ones(2), {3}), "c": OrderedDict(x=b"\x00\xff"), "d": 3 + 4j, "e": fw.float16}
    back = through(obj)
    assert back["b"][0].tolist() == [1.0, 1.0]
    assert (back["a"], back["b"][1], back["c"], back["d"], back["e"]) == (obj["a"], {3}, obj["c"], 3 + 4j, fw.float16)


def test_views_share_memory_again() -> None:
    base = fw.arange(12.0)
    back = through([base, base.view(3, 4).t(), base[5:], base[::3]])
    back[0].mul_(2)
    assert back[1].tolist() == (fw.arange(12.0) * 2).view(3, 4).t().tolist() and back[1].stride() == (1, 4)
    assert back[2].tolist() == [10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0] and back[3].tolist() == [0.0, 6.0, 12.0, 18.0]


def test_odd_memory() -> None:
    backward = fw.from_numpy(np.arange(5.0)[::-1].copy())
    empty, scalar, wide = fw.zeros(0, 3), fw.tensor(7), fw.ones(3).expand(4, 3)
    back = through([backward, empty, scalar, wide])
    assert [b.tolist() for b in back] == [backward.tolist(), [], 7, [[1.0] * 3] * 4]
    assert back[3].stride() == (0, 1)


def test_parameters_and_leaves() -> None:
    back = through({"p": fw.nn.Parameter(fw.ones(2)), "x": fw.ones(3, requires_grad=True)})
    assert type(back["p"]) is fw.nn.Parameter and back["p"].requires_grad and back["x"].requires_grad
    with pytest.raises(pickle.PicklingError, match=r"shape \[2\] with a history"):
        fw.save(fw.nn.Parameter(fw.ones(2)) * 2, io.BytesIO())


def test_a_training_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    def steps(model: Any, optimiser: Any, count: int) -> float:
        for _ in range(count):
            optimiser.zero_grad()
            loss = model(fw.ones(4, 3)).pow(2).sum()
            loss.backward()
            optimiser.step()
        return float(loss)

    fw.manual_seed(0)
    model = fw.nn.Linear(3, 2)
    optimiser = fw.optim.Adam(model.parameters(), lr=0.1)
    steps(model, optimiser, 3)
    fw.save({"model": model.state_dict(), "optimiser": optimiser.state_dict()}, tmp_path / "run.pt")
    expected = steps(model, optimiser, 3)
    resumed = fw.nn.Linear(3, 2)
    other = fw.optim.Adam(resumed.parameters(), lr=0.5)
    state = fw.load(tmp_path / "run.pt")
    resumed.load_state_dict(state["model"])
    other.load_state_dict(state["optimiser"])
    assert steps(resumed, other, 3) == expected


# ---- PyTorch -----------------------------------------------------------------------------------------------------------
TORCH_DTYPES = [d.name for d in dtypes.ALL]


def test_pytorch_reads_ours(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    base = fw.arange(12.0)
    obj: dict[str, Any] = {name: fw.arange(6).to(getattr(fw, name)).view(2, 3) for name in TORCH_DTYPES}
    obj |= {"t": base.view(3, 4).t(), "base": base, "p": fw.nn.Parameter(fw.ones(2))}
    obj |= {"n": [1, "x"], "dt": fw.int8, "e": fw.zeros(0)}
    fw.save(obj, tmp_path / "ours.pt")
    back = torch.load(tmp_path / "ours.pt", weights_only=True)
    for name in TORCH_DTYPES:
        assert str(back[name].dtype) == f"torch.{name}" and back[name].double().tolist() == obj[name].double().tolist()
    assert back["t"].stride() == (1, 4) and back["t"].untyped_storage().data_ptr() == back["base"].untyped_storage().data_ptr()
    assert isinstance(back["p"], torch.nn.Parameter) and back["n"] == [1, "x"]
    assert back["dt"] is torch.int8 and back["e"].shape == (0,)


def test_we_read_pytorchs(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    base = torch.arange(12.0)
    obj: dict[str, Any] = {name: torch.arange(6).to(getattr(torch, name)).view(2, 3) for name in TORCH_DTYPES}
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    obj |= {"t": base.view(3, 4).t(), "base": base, "state": model.state_dict(), "size": base.shape, "dev": torch.device("cpu")}
    torch.save(obj, tmp_path / "theirs.pt")
    back = fw.load(tmp_path / "theirs.pt")
    for name in TORCH_DTYPES:
        assert back[name].dtype is getattr(fw, name) and back[name].double().tolist() == obj[name].double().tolist()
    assert back["t"].stride() == (1, 4) and back["size"] == (12,) and back["dev"] == fw.device("cpu")
    back["base"].mul_(0)
    assert back["t"].abs().sum() == 0
    ours = fw.nn.Sequential(fw.nn.Linear(3, 4), fw.nn.LayerNorm(4))
    ours.load_state_dict(back["state"])
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    expected = model(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(fw.from_numpy(x)).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


# ---- damage and malice ---------------------------------------------------------------------------------------------------
def saved() -> bytes:
    buffer = io.BytesIO()
    fw.save({"weight": fw.arange(40.0).view(5, 8), "step": 3}, buffer)
    return buffer.getvalue()


def test_truncated_files_are_named(tmp_path: Path) -> None:
    whole = saved()
    for cut in range(0, len(whole), 7):
        path = tmp_path / "cut.pt"
        path.write_bytes(whole[:cut])
        with pytest.raises(FileError, match=r"cut\.pt"):
            fw.load(path)


def test_damaged_files_are_errors_or_read_the_same() -> None:
    """A flipped byte is found by a checksum, or lies where no value is; what is read is never different."""
    whole, rng, refused = saved(), random.Random(0), 0
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 30))):
            data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        try:
            back = fw.load(io.BytesIO(bytes(data)))
        except FileError:
            refused += 1
            continue
        assert back["step"] == 3 and back["weight"].tolist() == fw.arange(40.0).view(5, 8).tolist()
    assert refused > 200


class Evil:
    def __init__(self, *words: Any) -> None:
        self.words = words

    def __reduce__(self) -> Any:
        return self.words


def archive(pickled: bytes, **members: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("archive/data.pkl", pickled)
        for name, data in members.items():
            made.writestr(f"archive/data/{name}", data)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize("words", [
    (os.system, ("touch {}",)), (eval, ("open({!r}, 'w')",)), (exec, ("open({!r}, 'w')",)), (open, ("{}", "w")),
    (getattr, (os, "system")), (__import__, ("antigravity",)),
    (pickle.loads, (b"",)), (np.load, ("{}",)), (bytearray, (1 << 60,)), (sys.exit, (3,)),
], ids=lambda w: getattr(w[0], "__name__", "call"))  # fmt: skip
def test_hostile_files_run_nothing(words: Any, tmp_path: Path) -> None:
    target = tmp_path / "harm"
    args = tuple(a.format(str(target)) if isinstance(a, str) else a for a in words[1])
    for protocol in (0, 2, 4):
        try:
            pickled = pickle.dumps(Evil(words[0], args), protocol)
        except (TypeError, pickle.PicklingError):
            continue
        with pytest.raises(FileError, match="nothing of it was run"):
            fw.load(archive(pickled))
    assert not target.exists()


@pytest.mark.parametrize("size, stride, offset", [
    ((10,), (1,), 0), ((2, 2), (2, 4), 0), ((2,), (1,), 3), ((-1,), (1,), 0), ((2,), (-1,), 3), ((2,), (1, 1), 0),
    ((1 << 61, 1 << 61), (0, 0), 0), ((2.0,), (1,), 0),
])  # fmt: skip
def test_tensors_do_not_leave_their_storage(size: Any, stride: Any, offset: Any) -> None:
    from fusewire.utils.pickles import Pickler, Storages, REBUILD_TENSOR, _Stored  # isort: skip

    buffer = io.BytesIO()
    stored = _Stored("0", np.zeros(4, np.float32))
    Pickler(buffer, Storages()).dump(Evil(REBUILD_TENSOR, (stored, offset, size, stride, False, OrderedDict())))
    with pytest.raises(FileError):
        fw.load(archive(buffer.getvalue(), **{"0": bytes(16)})).sum()


def test_a_view_that_repeats_its_memory_is_no_storage() -> None:
    """It has more elements than memory, so that what stays inside of its size may leave that."""
    from fusewire.utils.pickles import Pickler, Storages, REBUILD_TENSOR, _Call, _Stored  # isort: skip

    buffer = io.BytesIO()
    wide = _Call(REBUILD_TENSOR, (_Stored("0", np.zeros(4, np.float32)), 0, (1 << 10, 1 << 10), (0, 0), False, OrderedDict()))
    Pickler(buffer, Storages()).dump(Evil(REBUILD_TENSOR, (wide, 0, (1 << 20,), (1,), False, OrderedDict())))
    with pytest.raises(FileError, match="a tensor in a Tensor"):
        fw.load(archive(buffer.getvalue(), **{"0": bytes(16)}))


def test_the_state_of_a_tensor_is_not_in_a_file() -> None:
    """Compiled code takes the parts of a Tensor for what they are."""
    from fusewire.utils.pickles import Pickler, Storages, REBUILD_TENSOR, _Stored  # isort: skip

    buffer = io.BytesIO()
    stored = _Stored("0", np.zeros(4, np.float32))
    state = None, {"_array": 7}
    Pickler(buffer, Storages()).dump(Evil(REBUILD_TENSOR, (stored, 0, (4,), (1,), False, OrderedDict()), state))
    with pytest.raises(FileError, match="state of a Tensor"):
        fw.load(archive(buffer.getvalue(), **{"0": bytes(16)}))


def test_a_storage_of_the_wrong_length_is_damage() -> None:
    whole = io.BytesIO(saved())
    made = io.BytesIO()
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(made, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name)[: 100 if "data/0" in name else None])
    with pytest.raises(FileError, match="storage 0 has 100 bytes where 40 elements were saved"):
        fw.load(made)


def test_classes_by_permission_only(tmp_path: Path) -> None:
    fw.save({"when": Plain(3)}, tmp_path / "plain.pt")
    with pytest.raises(FileError, match="Plain"):
        fw.load(tmp_path / "plain.pt")
    assert fw.load(tmp_path / "plain.pt", weights_only=False)["when"].value == 3
    fw.serialization.add_safe_globals([Plain])
    assert fw.load(tmp_path / "plain.pt")["when"].value == 3


class Plain:
    def __init__(self, value: int) -> None:
        self.value = value


def test_files_of_other_devices_need_a_location() -> None:
    whole = io.BytesIO(saved())
    made = io.BytesIO()
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(made, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    with pytest.raises(DeviceError, match=r"torch.cuda.is_available\(\) is False. If you are running on a CPU-only machine"):
        fw.load(made)
    assert fw.load(made, map_location="cpu")["step"] == 3
    with pytest.raises(DeviceError):
        fw.load(made, map_location="cuda")


# ---- writing -----------------------------------------------------------------------------------------------------------
def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    fw.save(fw.ones(3), path)
    before = path.read_bytes()
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        fw.save([fw.zeros(3), lambda: 0], path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["model.pt"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600
    with pytest.raises(RuntimeError, match=r"Parent directory .*absent does not exist"):
        fw.save(fw.ones(3), tmp_path / "absent" / "model.pt")
    with pytest.raises(FileNotFoundError):
        fw.load(tmp_path / "absent.pt")


def test_the_same_object_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        fw.save({"x": fw.ones(3)}, tmp_path / name / "m.pt")
    assert (tmp_path / "a" / "m.pt").read_bytes() == (tmp_path / "b" / "m.pt").read_bytes()
