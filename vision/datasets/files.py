"""Files of published data sets: where they lie, whether they are whole, how they are fetched.

A file is fetched to a temporary name beside its place, compared with the published checksum, and then takes its name: what has
the name is whole. Archives are unpacked member by member: none leaves its folder. Nothing is fetched unless ``download=True``.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import secrets
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import FileError

_CHUNK = 1 << 20
#: seconds a server may be silent
_PATIENCE = 60


class MissingFile(FileError, FileNotFoundError):
    """A file of a data set is not there. The message says which, where to put it, and where it is published."""


@dataclass(frozen=True)
class Published:
    """One published file: its name, its MD5, and the addresses of the folders it lies in."""

    name: str
    md5: str
    folders: tuple[str, ...]

    def missing(self, place: Path, what: str) -> MissingFile:
        """The error for a file that is not there."""
        return MissingFile(
            f"{what} is not there: {place} is missing. Put the published file there "
            f"({self.folders[0]}{self.name}, MD5 {self.md5}), or pass download=True"
        )


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def download(file: Published, place: Path) -> None:
    """Fetch `file` to `place`, unless it lies there whole. FileError where no address gives it; a damaged one takes no name."""
    if place.exists() and md5_of(place) == file.md5:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for folder in file.folders:
        part = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        try:
            _fetch(folder + file.name, part)
            found = md5_of(part)
            if found == file.md5:
                os.replace(part, place)
                return
            failures.append(f"{folder}{file.name}: damaged, its MD5 is {found} and not {file.md5}")
        except (OSError, urllib.error.URLError, ValueError) as error:
            failures.append(f"{folder}{file.name}: {error}")
        finally:
            part.unlink(missing_ok=True)
    raise FileError(f"{place} could not be fetched. " + "; ".join(failures))


def _fetch(address: str, place: Path) -> None:
    request = urllib.request.Request(address, headers={"User-Agent": "fusewire"})
    with urllib.request.urlopen(request, timeout=_PATIENCE) as source, place.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of a tar archive under `folder`. FileError for a damaged archive or a member that would lie elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            for member in filter(tarfile.TarInfo.isfile, tar.getmembers()):
                _member(tar, member, archive, folder)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{archive} is damaged: {error}") from error


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, folder: Path) -> None:
    target = (folder / member.name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise FileError(f"{archive} is not as published: its member {member.name!r} would lie outside of {folder}")
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    if source is not None:
        part = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        with source, part.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
        os.replace(part, target)


def found(names: Sequence[Path]) -> Path | None:
    """The first of these that is there."""
    return next((p for p in names if p.is_file()), None)


def content(path: Path, limit: int) -> bytes:
    """The bytes of a file, unpacked if its name ends in .gz. FileError for a damaged one, or one of more than `limit` bytes."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(limit + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{path} is damaged: {error}") from error
    if len(data) > limit:
        raise FileError(f"{path} is damaged or another file: it holds more than {limit} bytes")
    return data
