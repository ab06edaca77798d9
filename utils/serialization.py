"""`save` and `load` in PyTorch's zip format, both ways. A file is data: reading one runs no code of it.

The format: a zip archive whose members lie under one folder, stored without compression: ``data.pkl`` is a pickle in which a
tensor is a call of ``torch._utils._rebuild_tensor_v2`` on a storage named by number, ``data/N`` are the bytes of storage N.
Storages are shared as they were; views keep their offset and strides. Method: the file layout of PyTorch 1.6 and later.
"""

from __future__ import annotations

import io
import os
import secrets
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..eager.device import Device
from ..errors import DeviceError, FileError
from .pickles import Pickler, Storages, Unpickler, add_safe_globals

__all__ = ["add_safe_globals", "load", "save"]

ALIGN = 64
#: bytes in front of a member's data in a zip archive, besides its name and extra field
_HEADER = 30
#: what reading bytes that are no such archive raises
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError, RecursionError, MemoryError,
           OverflowError)  # fmt: skip
File = str | os.PathLike[str] | IO[bytes]


def save(
    obj: Any, f: File, pickle_module: Any = None, pickle_protocol: int = 2, _use_new_zipfile_serialization: bool = True
) -> None:
    """Write `obj` (tensors, and containers and objects that hold them) to the path or binary file `f`, so that PyTorch reads it.

    A path is written whole or not at all: the bytes go to a temporary file in the same folder, which then takes its name.
    `pickle_module` and `_use_new_zipfile_serialization` are accepted and change nothing; `pickle_protocol` must be 2.
    PicklingError for an object that cannot be pickled; OSError where the file cannot be written.
    """
    if pickle_protocol != 2:
        raise ValueError(f"PyTorch's format holds pickles of protocol 2, not {pickle_protocol}")
    storages = Storages()
    buffer = io.BytesIO()
    Pickler(buffer, storages).dump(obj)
    if isinstance(f, (str, os.PathLike)):
        with _replacing(Path(f)) as file:
            _write(file, Path(f).stem or "archive", buffer.getvalue(), storages)
    else:
        _write(f, "archive", buffer.getvalue(), storages)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that becomes `path` where the body ends well, and is gone where it does not."""
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
            _member(archive, file, f"{folder}/data/{key}", array.tobytes())
        _member(archive, file, f"{folder}/version", b"3\n")


def _member(archive: zipfile.ZipFile, file: IO[bytes], name: str, data: bytes) -> None:
    """One member whose data starts at a multiple of ALIGN: an extra field called FB fills the gap, as PyTorch's writer has it."""
    info = zipfile.ZipInfo(name)
    start = file.tell() + _HEADER + len(name.encode()) + 4
    gap = -start % ALIGN
    info.extra = b"FB" + gap.to_bytes(2, "little") + b"Z" * gap
    archive.writestr(info, data)


def load(
    f: File, map_location: Any = None, pickle_module: Any = None, *, weights_only: bool = True, mmap: bool | None = None
) -> Any:
    """What `save` or PyTorch wrote to the path or binary file `f`.

    Only tensors, containers, numbers, text and what `add_safe_globals` named are made; anything else in the file is an error, and
    nothing of it has run. With ``weights_only=False`` any class that can be imported is: that runs code of the file's writer.
    `map_location`: tensors saved on another device need ``"cpu"``. `mmap` is accepted and changes nothing.
    FileError, which names the file, where it is damaged, truncated or of another format; DeviceError for another device.
    """
    name = repr(os.fspath(f)) if isinstance(f, (str, os.PathLike)) else "the file"
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _load(file, name, map_location, weights_only)
    return _load(f, name, map_location, weights_only)


def _load(file: IO[bytes], name: str, map_location: Any, weights_only: bool) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            return _Reader(archive, name, _location(map_location), weights_only).read()
    except FileError:
        raise
    except _DAMAGE as error:
        what = str(error) or type(error).__name__
        raise FileError(f"{name} is damaged, truncated or not a file in PyTorch's zip format ({what})") from error


def _location(map_location: Any) -> Any:
    if map_location is None or callable(map_location) or isinstance(map_location, dict):
        return map_location
    if Device(map_location).type != "cpu":
        raise DeviceError(f"map_location={map_location!r}: tensors can be loaded to the CPU only")
    return map_location


class _Reader:
    """One archive under way."""

    def __init__(self, archive: zipfile.ZipFile, name: str, location: Any, weights_only: bool) -> None:
        self.archive, self.name, self.location, self.weights_only = archive, name, location, weights_only
        self.kept: dict[str, Any] = {}
        pickles = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise FileError(f"{name} is no file in PyTorch's zip format: it holds {len(pickles)} members called data.pkl")
        self.folder = pickles[0].partition("/")[0]

    def read(self) -> Any:
        order = f"{self.folder}/byteorder"
        if order in self.archive.namelist() and self.member("byteorder").decode("ascii", "replace") != sys.byteorder:
            raise FileError(f"{self.name} was written on a machine of the other byte order")
        return Unpickler(io.BytesIO(self.member("data.pkl")), self.name, self.storage, self.weights_only).load()

    def member(self, name: str) -> bytes:
        """The bytes of one member, whose checksum holds."""
        try:
            info = self.archive.getinfo(f"{self.folder}/{name}")
        except KeyError:
            raise FileError(f"{self.name} is damaged: it has no member {name!r}") from None
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise FileError(f"{self.name}: member {name!r} is compressed or encrypted, which PyTorch's format never is")
        return self.archive.read(info)

    def storage(self, dtype: np.dtype[Any] | None, key: str, location: str, count: int) -> np.ndarray[Any, Any]:
        """Storage number `key` as an array of `count` elements, the same array at each call."""
        self._check(location)
        if key not in self.kept:
            data = self.member(f"data/{key}")
            if len(data) != count * (dtype.itemsize if dtype else 1):
                raise FileError(f"{self.name} is damaged: storage {key} has {len(data)} bytes where {count} elements were saved")
            self.kept[key] = np.frombuffer(bytearray(data), np.uint8 if dtype is None else dtype)
        found: np.ndarray[Any, Any] = self.kept[key]
        return found if dtype is None or found.dtype == dtype else found.view(dtype)

    def _check(self, location: str) -> None:
        target = self.location
        if isinstance(target, dict):
            target = target.get(location, location)
        if target is None and Device(location).type != "cpu":
            raise DeviceError(f"{self.name} holds tensors saved on {location}: load them with map_location='cpu'")
