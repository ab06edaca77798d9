"""`save` and `load` in PyTorch's file formats, both ways. A file is data: reading one runs no code of it.

The format: a zip archive whose members lie under one folder, stored without compression: ``data.pkl`` is a pickle in which a
tensor is a call of ``torch._utils._rebuild_tensor_v2`` on a storage named by number, ``data/N`` are the bytes of storage N.
Storages are shared as they were; views keep their offset and strides. Method: the file layout of PyTorch 1.6 and later; files of
the layout before that are read.
"""

from __future__ import annotations

import io
import mmap as maps
import os
import secrets
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..eager import factory
from ..eager.device import Device, check
from ..eager.tensor import Tensor
from ..errors import DeviceError, FileError, FusewireError
from .archives import Archive, OldFile
from .pickles import Pickler, Storages
from .rebuilding import Reader, Stored, added, named, placed

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]

Array = np.ndarray[Any, Any]
ALIGN = 64
#: bytes in front of a member's data in a zip archive, besides its name and extra field
_HEADER = 30
File = str | os.PathLike[str] | IO[bytes]


# ---- writing -------------------------------------------------------------------------------------------------------------
def save(
    obj: Any, f: File, pickle_module: Any = None, pickle_protocol: int = 2, _use_new_zipfile_serialization: bool = True
) -> None:
    """Write `obj` (tensors, and containers and objects that hold them) to the path or binary file `f`, so that PyTorch reads it.

    A path is written whole or not at all: the bytes go to a temporary file in the same folder, which then takes its name.
    `pickle_module`, `pickle_protocol` and `_use_new_zipfile_serialization` are accepted and change nothing: the zip format with a
    pickle of protocol 2 is written, which every PyTorch since 1.6 reads. A whole module is written with its class by name: `load`
    makes it where the program has that class.
    PicklingError for an object that cannot be pickled; OSError where the file cannot be written.
    """
    if not isinstance(pickle_protocol, int) or not 0 <= pickle_protocol <= 5:
        raise ValueError(f"pickle_protocol is a number from 0 to 5, not {pickle_protocol!r}")
    storages = Storages()
    buffer = io.BytesIO()
    Pickler(buffer, storages).dump(obj)
    if isinstance(f, (str, os.PathLike)):
        with replacing(Path(f)) as file:
            _write(file, Path(f).stem or "archive", buffer.getvalue(), storages)
    elif not hasattr(f, "write"):
        raise TypeError(f"a file is a path or has a method write, not {type(f).__name__}")
    elif getattr(f, "seekable", lambda: False)():
        _write(f, "archive", buffer.getvalue(), storages)
    else:
        whole = io.BytesIO()
        _write(whole, "archive", buffer.getvalue(), storages)
        f.write(whole.getvalue())


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that becomes `path` where the body ends well, and is gone where it does not."""
    if not path.parent.is_dir():
        raise RuntimeError(f"Parent directory {path.parent} does not exist.")
    name = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # less what the process masks, as `open` makes files
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _write(file: IO[bytes], folder: str, pickled: bytes, storages: Storages) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _member(archive, file, f"{folder}/data.pkl", pickled)
        _member(archive, file, f"{folder}/byteorder", sys.byteorder.encode())
        for key, array in storages.arrays():
            _member(archive, file, f"{folder}/data/{key}", np.ascontiguousarray(array).view(np.uint8).data)
        _member(archive, file, f"{folder}/version", b"3\n")


def _member(archive: zipfile.ZipFile, file: IO[bytes], name: str, data: bytes | memoryview) -> None:
    """One member whose data starts at a multiple of ALIGN: an extra field called FB fills the gap, as PyTorch's writer has it."""
    info = zipfile.ZipInfo(name)
    start = file.tell() + _HEADER + len(name.encode()) + 4
    gap = -start % ALIGN
    info.extra = b"FB" + gap.to_bytes(2, "little") + b"Z" * gap
    archive.writestr(info, data)  # type: ignore[arg-type]


# ---- reading -------------------------------------------------------------------------------------------------------------
def load(
    f: File, map_location: Any = None, pickle_module: Any = None, *, weights_only: bool | None = True, mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """What `save` or PyTorch wrote to the path or binary file `f`, in the zip format or the one before it.

    Tensors, containers, numbers, text, NumPy arrays and what `add_safe_globals` named are made; anything else in the file is an
    error, and nothing of it has run. With ``weights_only=False`` also objects of classes that the running program has loaded are
    made (whole modules, say), without calling their constructors: a file's own code runs in neither case.
    `map_location` says where tensors go: a device, a dict from the device they were saved on, or a function ``(storage,
    location)``;
    None: where they were. `mmap`: storages stay in the file, which must be a path, and are read when they are looked at; writes
    to them stay in memory. `pickle_module` and further arguments are accepted and change nothing.
    FileError, which names the file, where it is damaged, truncated or of another format; DeviceError for a device that is not
    there.
    """
    only = weights_only is not False
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _load(file, repr(os.fspath(f)), map_location, only, bool(mmap))
    if mmap:
        raise ValueError("mmap=True takes a path: only a file on disk can be mapped")
    if not hasattr(f, "read"):
        raise TypeError(f"a file is a path or has a method read, not {type(f).__name__}")
    if not (hasattr(f, "seek") and getattr(f, "seekable", lambda: True)()):
        f = io.BytesIO(f.read())
    return _load(f, "the file", map_location, only, False)


def _load(file: IO[bytes], name: str, map_location: Any, weights_only: bool, mapped: bool) -> Any:
    start = file.tell()
    head = file.read(2)
    if start and not head:  # just written, and not rewound
        start = file.seek(0)
        head = file.read(2)
    file.seek(start)
    where = _Where(map_location, name)
    if head[:1] != b"\x80":
        memory = maps.mmap(file.fileno(), 0, access=maps.ACCESS_COPY) if mapped and head else None
        source = file if not start else io.BytesIO(file.read())
        try:
            return _Zipped(Archive(source, name, memory), where).read(weights_only)
        except _OutsideError as error:
            raise error.__cause__ or error from None
        finally:
            file.seek(0, io.SEEK_END)
    if mapped:
        raise FileError(f"{name} is in PyTorch's old format, which cannot be mapped: load it without mmap")
    return _old(file.read(), name, where, weights_only)


class _OutsideError(FusewireError):
    """What a function of the program's raised, on its way through the reader."""


def _asked(function: Any, storage: Stored, location: str) -> Tensor | None:
    """What the function `map_location` makes of a storage."""
    try:
        out = function(storage, location)
        tensor = getattr(out, "tensor", out)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"map_location gave a {type(out).__name__} in place of a storage")
    except Exception as error:
        raise _OutsideError from error
    return tensor


class _Where:
    """Where `map_location` says that storages go."""

    def __init__(self, target: Any, name: str) -> None:
        self.target, self.name = target, name
        if target is not None and not callable(target) and not isinstance(target, dict):
            check(target)

    def stored(self, flat: Array, location: str) -> Stored:
        """The memory `flat`, saved on `location`, where it belongs."""
        tensor, target = factory.make(flat), self.target
        if callable(target):
            out = _asked(target, Stored(tensor), location)
            if out is not None:
                return Stored(out)
            target = None
        if isinstance(target, dict):
            target = target.get(location)
        if target is not None:
            return Stored(placed(tensor, Device(target)))
        try:
            device = Device(location)
            check(device)
        except DeviceError as error:
            raise DeviceError(self._missing(location)) from error
        return Stored(placed(tensor, device))


    def _missing(self, location: str) -> str:
        """PyTorch's words for a device that a file names and this machine has not."""
        from ..runtime.gpu.device import count

        if count():
            return (f"Attempting to deserialize object on CUDA device {location.partition(':')[2] or 0} but "
                    f"torch.cuda.device_count() is {count()}. Please use torch.load with map_location to map your storages to an "
                    f"existing device. ({self.name}: {location})")  # fmt: skip
        return ("Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are running on "
                "a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your storages to the "
                f"CPU. ({self.name} holds tensors saved on {location})")  # fmt: skip


class _Zipped:
    """One archive under way."""

    def __init__(self, archive: Archive, where: _Where) -> None:
        self.archive, self.where = archive, where
        self.kept: dict[str, tuple[Any, Stored]] = {}

    def read(self, weights_only: bool) -> Any:
        pickled = self.archive.member("data.pkl").tobytes()
        return Reader(pickled, self.archive.name, self.storage, weights_only).load()

    def storage(self, dtype: np.dtype[Any] | None, key: str, location: str, count: int) -> Stored:
        """Storage number `key` of `count` elements, the same memory at each call."""
        if key in self.kept and self.kept[key][0] == dtype:
            return self.kept[key][1]
        name = self.archive.name
        data = self.archive.mapped(f"data/{key}") if self.archive.memory is not None else self.archive.member(f"data/{key}")
        if data.size != count * (dtype.itemsize if dtype else 1):
            raise FileError(f"{name} is damaged: storage {key} has {data.size} bytes where {count} elements were saved")
        if key in self.kept:
            raise FileError(f"{name} is damaged: storage {key} has two dtypes")
        found = self.where.stored(data if dtype is None else data.view(dtype), location)
        self.kept[key] = dtype, found
        return found


def _old(data: bytes, name: str, where: _Where, weights_only: bool) -> Any:
    """A file of the old format is read twice: where its storages lie is known behind the object that they belong to."""
    file = OldFile(data, name)
    start, sizes = file.at, dict[str, int]()

    def measured(dtype: Any, key: str, location: str, count: int) -> Stored:
        sizes[key] = dtype.itemsize if dtype else 1
        return _nowhere

    first = _Dry(data, name, measured, weights_only, start)
    first.load()
    places, kept = file.places(first.at, sizes), dict[str, Stored]()

    def storage(dtype: Any, key: str, location: str, count: int) -> Stored:
        if key not in kept:
            if key not in places or places[key].nbytes != count * sizes[key]:
                raise FileError(f"{name} is damaged: storage {key} of {count} elements is not there")
            flat = np.frombuffer(bytearray(places[key]), dtype or np.uint8)
            kept[key] = where.stored(flat, location)
        return kept[key]

    return Reader(data, name, storage, weights_only, start).load()


_nowhere = Stored(factory.make(np.empty(0, np.uint8)))


class _Dry(Reader):
    """Goes through a pickle to find its end and its storages, and makes nothing."""

    def call(self, new: bool = False) -> None:
        self.stack.pop()
        self.stack[-1] = {}

    def build(self) -> None:
        self.stack.pop()

    def pairs(self, items: list[Any], target: dict[Any, Any]) -> None:
        return None

    def fill(self, kind: Any) -> tuple[Any, list[Any]]:
        self.marked()
        return [] if kind is not set else set(), []


# ---- what the program trusts -----------------------------------------------------------------------------------------------
def _names(classes: Any) -> dict[tuple[str, str], Any]:
    rows = [c if isinstance(c, tuple) else (c, f"{c.__module__}.{c.__qualname__}") for c in classes]
    known = {}
    for obj, path in rows:
        for cut in (i for i, letter in enumerate(path) if letter == "."):
            known[path[:cut], path[cut + 1 :]] = named(obj)
    return known


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let `load` make objects of these classes, and call these functions, where a file names them. A pair (class, "module.name")
    stands for a class that a file has by another name."""
    added.update(_names(safe_globals))


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` was given."""
    return list({id(made.value): made.value for made in added.values()}.values())


def clear_safe_globals() -> None:
    """Trust nothing again."""
    added.clear()


class safe_globals:
    """`add_safe_globals` for the length of a ``with`` block."""

    def __init__(self, safe_globals: list[Any]) -> None:
        self.names = _names(safe_globals)
        self._before: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> None:
        self._before = dict(added)
        added.update(self.names)

    def __exit__(self, *exc: object) -> None:
        added.clear()
        added.update(self._before)
