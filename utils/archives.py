"""PyTorch's two file formats as bytes: the zip archive (1.6 and later), and the older row of pickles. Knows no tensor.

The archive's members lie under one folder, stored without compression: ``data.pkl``, ``byteorder``, ``data/N`` for storage N.
They are read by their places in the file, once those are known to lie inside of it and not in each other.
"""

from __future__ import annotations

import io
import mmap
import struct
import sys
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from ..errors import FileError
from .unpickling import Machine

Array = np.ndarray[Any, Any]
_LOCAL = struct.Struct("<4s5H3I2H")
_MAGIC = 0x1950A86A20F9469CFC6C
_OLD = 1001
#: bytes read and summed at a time
_PIECE = 1 << 24


class Archive:
    """A zip archive in `file`, called `name` in errors. `memory`: the file mapped into memory, from which storages are taken."""

    def __init__(self, file: IO[bytes], name: str, memory: mmap.mmap | None = None) -> None:
        self.file, self.name, self.memory = file, name, memory
        try:
            rows = zipfile.ZipFile(file).infolist()
            self.length = file.seek(0, io.SEEK_END)
        except Exception as error:  # whatever damage does to the reading of the directory
            what = str(error) or type(error).__name__
            raise FileError(f"{name} is damaged, truncated or not a file in PyTorch's zip format ({what})") from error
        self.rows = {row.filename: row for row in rows}
        if len(self.rows) != len(rows):
            raise FileError(f"{name} is damaged: two of its members have one name")
        if sum(row.file_size for row in rows) > self.length:
            raise FileError(f"{name} is damaged: its members claim more bytes than the file has")
        pickles = [n for n in self.rows if n.count("/") == 1 and n.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise FileError(f"{name} is no file in PyTorch's zip format: it holds {len(pickles)} members called data.pkl")
        self.folder = pickles[0].partition("/")[0]
        if f"{self.folder}/byteorder" in self.rows and bytes(self.member("byteorder")) != sys.byteorder.encode():
            raise FileError(f"{name} was written on a machine of the other byte order")

    def member(self, name: str) -> Array:
        """The bytes of one member, whose checksum holds, as a new u8[n]."""
        row, start = self._place(name)
        out = np.empty(row.file_size, np.uint8)
        self.file.seek(start)
        total = 0
        for at in range(0, out.size, _PIECE):
            piece = out.data[at : at + _PIECE]
            read = 0
            while read < len(piece):
                count = self.file.readinto(piece[read:]) if hasattr(self.file, "readinto") else _copied(self.file, piece[read:])
                if not count:
                    raise FileError(f"{self.name} is truncated: member {name!r} ends too soon")
                read += count
            total = zlib.crc32(piece, total)
        if total != row.CRC:
            raise FileError(f"{self.name} is damaged: the checksum of member {name!r} is wrong")
        return out

    def mapped(self, name: str) -> Array:
        """As `member`, in the mapped file: read when it is looked at, its checksum not."""
        row, start = self._place(name)
        assert self.memory is not None
        return np.frombuffer(self.memory, np.uint8, row.file_size, start)

    def _place(self, name: str) -> tuple[zipfile.ZipInfo, int]:
        """A member's row in the directory, and where its bytes begin."""
        row = self.rows.get(f"{self.folder}/{name}")
        if row is None:
            raise FileError(f"{self.name} is damaged: it has no member {name!r}")
        if row.compress_type != zipfile.ZIP_STORED or row.flag_bits & 1 or row.compress_size != row.file_size:
            raise FileError(f"{self.name}: member {name!r} is compressed or encrypted, which PyTorch's format never is")
        try:
            self.file.seek(row.header_offset)
            head = _LOCAL.unpack(self.file.read(_LOCAL.size))
            written = self.file.read(head[9])
        except (OSError, ValueError, struct.error) as error:
            raise FileError(f"{self.name} is damaged: member {name!r} lies nowhere ({error})") from error
        start = row.header_offset + _LOCAL.size + head[9] + head[10]
        if head[0] != b"PK\3\4" or written != row.orig_filename.encode() or start + row.file_size > self.length:
            raise FileError(f"{self.name} is damaged: member {name!r} does not lie where its directory says")
        return row, start


def _copied(file: IO[bytes], target: memoryview) -> int:
    data = file.read(len(target))
    target[: len(data)] = data
    return len(data)


class OldFile:
    """The format before 1.6: pickles of a magic number, a version and the writer's sizes; the object; a list of the storages'
    names; then each storage as the number of its elements and its bytes."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name, self.at = data, name, 0
        if self._plain() != _MAGIC:
            raise FileError(f"{name} is no file of PyTorch's")
        version, system = self._plain(), self._plain()
        if version != _OLD:
            raise FileError(f"{name} is of version {version} of PyTorch's old format, which is not known")
        if not isinstance(system, dict) or system.get("little_endian") is not (sys.byteorder == "little"):
            raise FileError(f"{name} was written on a machine of the other byte order")

    def _plain(self) -> Any:
        machine = Machine(self.data, self.name, {}, None, self.at)
        found = machine.load()
        self.at = machine.at
        return found

    def places(self, end: int, sizes: dict[str, int]) -> dict[str, memoryview]:
        """Where each storage lies, once the object's pickle is known to end at `end`. `sizes` has the bytes of an element."""
        self.at = end
        keys = self._plain()
        if not isinstance(keys, list) or len(set(map(str, keys))) != len(keys):
            raise FileError(f"{self.name} is damaged: it has no list of storages")
        found, whole = {}, memoryview(self.data)
        for key in map(str, keys):
            if len(self.data) < self.at + 8:
                raise FileError(f"{self.name} is truncated: storage {key} is not there")
            (count,) = struct.unpack_from("<q", self.data, self.at)
            length = count * sizes.get(key, 1)
            if count < 0 or self.at + 8 + length > len(self.data):
                raise FileError(f"{self.name} is truncated: storage {key} of {count} elements is not there")
            found[key] = whole[self.at + 8 : self.at + 8 + length]
            self.at += 8 + length
        return found
