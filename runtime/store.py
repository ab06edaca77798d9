"""The disk cache: one file per entry, named by what it follows from. Knows nothing of what entries hold; executes nothing.

    <cache folder>/<kind>/<name>        name: hexadecimal, or two of them with a dash: a group and one entry of it

An entry is written to a name of its own and renamed, so readers see all of it or nothing. It starts with a header (magic,
length, digest of kind, name and content): what is damaged, cut off or was moved to another name is a miss, and is removed. So is
what another user owns or may write to. A folder that cannot be read or written only means that nothing is kept.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from .. import knobs
from ..ir.lazyclass import dataclass

try:
    from _blake2 import blake2b  # hashlib loads OpenSSL for 4 ms
except ImportError:  # pragma: no cover
    from hashlib import blake2b

MAGIC = b"FWCACHE1"
_HEAD = struct.Struct("<8sQ16s")
_DIGEST = 16
#: seconds after which a read renews an entry's place in the order of use
_RENEW = 3600.0
#: seconds after which a half-written file is nobody's any more
_ABANDONED = 600.0
#: writes of one process between two looks at the size of the folder
_SWEEP = 64

#: what happened in this process: (kind, "hit" | "miss" | "damaged" | "written" | "refused") -> how often
stats: Counter[tuple[str, str]] = Counter()
_writes = itertools.count()
_trusted: dict[str, bool] = {}


def digest(*parts: bytes | str) -> str:
    """32 hexadecimal digits that name this sequence of texts."""
    made = blake2b(digest_size=_DIGEST)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        made.update(len(data).to_bytes(8, "little"))
        made.update(data)
    return made.hexdigest()


def enabled() -> bool:
    """Whether anything is kept on disk."""
    return bool(knobs.disk_cache)


def folder() -> str:
    """Where entries lie; it may not exist."""
    return os.path.join(knobs.cache_folder(), "store")


def _check(kind: str, name: str, data: bytes) -> bytes:
    made = blake2b(data, digest_size=_DIGEST)
    made.update(f"{kind}/{name}".encode())
    return made.digest()


def get(kind: str, name: str) -> bytes | None:
    """The content of an entry; None where there is none that can be trusted."""
    if not enabled() or not trusted(folder()):
        return None
    path = os.path.join(folder(), kind, name)
    try:
        raw = _read(path)
    except OSError:
        stats[kind, "miss"] += 1
        return None
    content = None if raw is None else _content(kind, name, raw)
    if content is None:
        stats[kind, "damaged"] += 1
        with contextlib.suppress(OSError):
            os.unlink(path)
        return None
    stats[kind, "hit"] += 1
    return content


def _read(path: str) -> bytes | None:
    """The bytes of a file of ours, None where it is another's."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or not _ours(found):
            return None
        parts = []
        while part := os.read(handle, max(1 << 16, found.st_size + 1)):
            parts.append(part)
        if time.time() - found.st_mtime > _RENEW:
            with contextlib.suppress(OSError):
                os.utime(handle)
        return b"".join(parts)
    finally:
        os.close(handle)


def _content(kind: str, name: str, raw: bytes) -> bytes | None:
    if len(raw) < _HEAD.size:
        return None
    magic, length, check = _HEAD.unpack_from(raw)
    data = raw[_HEAD.size :]
    good = magic == MAGIC and length == len(data) and check == _check(kind, name, data)
    return data if good else None


def put(kind: str, name: str, data: bytes) -> bool:
    """Keep `data` under this name, whole or not at all; whether that went well."""
    if not enabled():
        return False
    path = os.path.join(folder(), kind, name)
    try:
        made = _write(path, _HEAD.pack(MAGIC, len(data), _check(kind, name, data)) + data)
    except OSError:
        made = False
    stats[kind, "written" if made else "refused"] += 1
    if made and next(_writes) % _SWEEP == 0:
        sweep()
    return made


def _write(path: str, raw: bytes) -> bool:
    _make_folder(path)
    if not trusted(folder()):
        return False
    temporary = f"{path}.{os.getpid()}-{time.time_ns():x}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(raw)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return True


def _make_folder(path: str) -> None:
    parent = os.path.dirname(path)
    if os.path.isdir(parent):
        return
    os.makedirs(os.path.dirname(knobs.cache_folder()), exist_ok=True)
    place = knobs.cache_folder()
    for part in ("", *os.path.relpath(parent, place).split(os.sep)):
        place = os.path.join(place, part) if part else place
        with contextlib.suppress(FileExistsError):
            os.mkdir(place, 0o700)  # each by itself: what `makedirs` makes on the way has the mode of the process
    _trusted.pop(folder(), None)


def _ours(found: os.stat_result) -> bool:
    """Whether nobody but this user (and root) can have written it."""
    owner = os.geteuid() if hasattr(os, "geteuid") else found.st_uid
    return found.st_uid == owner and (os.name != "posix" or not found.st_mode & 0o022)


def trusted(path: str) -> bool:
    """Whether the folder at `path`, and the cache folder it lies in, are this user's alone to write to."""
    known = _trusted.get(path)
    if known is None:
        try:
            places = os.stat(os.path.dirname(path)), os.lstat(path)
            known = all(_ours(found) and stat.S_ISDIR(found.st_mode) for found in places)
        except OSError:
            return False  # it may be made later
        _trusted[path] = known
    return known


def names(kind: str, group: str) -> list[str]:
    """Entries of a group, the newest first: names as `get` takes them."""
    if not enabled() or not trusted(folder()):
        return []
    found = []
    with contextlib.suppress(OSError), os.scandir(os.path.join(folder(), kind, group)) as entries:
        for entry in entries:
            if not entry.name.endswith(".tmp"):
                found.append((entry.stat(follow_symlinks=False).st_mtime_ns, f"{group}/{entry.name}"))
    return [name for _, name in sorted(found, reverse=True)]


# ---- what is there ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class File:
    """One file of the cache folder."""

    path: str
    kind: str
    size: int
    used: float


def files() -> Iterator[File]:
    """Every file in the folder, half-written ones too."""
    base = folder()
    for place, _, found in os.walk(base):
        kind = os.path.relpath(place, base).split(os.sep)[0]
        for name in found:
            path = os.path.join(place, name)
            with contextlib.suppress(OSError):
                made = os.lstat(path)
                yield File(path, kind, made.st_size, made.st_mtime)


def sweep() -> int:
    """Drop the entries unused for longest until the folder holds no more than knob cache_limit; how many went."""
    now, kept, dropped = time.time(), [], 0
    for file in files():
        if file.path.endswith(".tmp"):
            dropped += now - file.used > _ABANDONED and _unlink(file.path)
        else:
            kept.append(file)
    limit = knobs.cache_limit << 20
    total = sum(file.size for file in kept)
    for file in sorted(kept, key=lambda file: file.used) if total > limit else ():
        if total <= limit * 0.9:
            break
        total -= file.size
        dropped += _unlink(file.path)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(file.path))  # where it was the last of its group
    return dropped


def info() -> str:
    """The cache folder, and what lies in it by kind, for reading."""
    found: dict[str, list[int]] = {}
    for file in files():
        found.setdefault(file.kind, []).append(file.size)
    total = sum(map(sum, found.values()))
    state = "" if enabled() else ", switched off (knob disk_cache)"
    state += "" if trusted(folder()) or not os.path.exists(folder()) else ", not used: others may write to it"
    lines = [f"{folder()}: {total / 1e6:.1f} of {knobs.cache_limit} MB{state}"]
    for kind, sizes in sorted(found.items()):
        lines.append(f"  {kind:10} {len(sizes):6} entries {sum(sizes) / 1e6:8.2f} MB  {KINDS.get(kind, '')}".rstrip())
    return "\n".join(lines)


#: what the kinds of entries hold
KINDS = {
    "backward": "backward graphs, built at their first use", "captures": "captured functions: guards, plans, tails, graphs",
    "code": "machine code of kernels and routines", "entry": "the call path itself", "host": "features of the processor",
    "plans": "plans of graphs by content",
}  # fmt: skip


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def clear() -> int:
    """Remove every entry; how many there were."""
    count = sum([_unlink(file.path) for file in list(files())])
    for place, _, _ in list(os.walk(folder(), topdown=False)):
        with contextlib.suppress(OSError):
            os.rmdir(place)
    _trusted.clear()
    return count


# ---- what all entries follow from ------------------------------------------------------------------------------------
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NOT_SOURCES = frozenset({"tests", "examples", "build", "__pycache__"})


@lru_cache(maxsize=1)
def stamp() -> str:
    """Names the programs that make entries: our own source files, Python, NumPy, llvmlite, the processor."""
    from . import loader

    numpy, llvm = sys.modules["numpy"], toolchain()
    return digest(_sources(), sys.version, sys.platform, str(numpy.__version__), llvm, loader.cpu_key())


def _sources() -> str:
    """Place, size and time of every source file of the package; its tests do not count."""
    lines, folders = [], [_PACKAGE]
    while folders:
        with os.scandir(folders.pop()) as scanned:
            entries = list(scanned)
        for entry in entries:
            if entry.name.endswith(".py"):
                found = entry.stat()
                lines.append(f"{entry.path} {found.st_size} {found.st_mtime_ns}")
            elif "." not in entry.name and entry.name not in _NOT_SOURCES and entry.is_dir():
                folders.append(entry.path)
    return "\n".join(sorted(lines))


@lru_cache(maxsize=1)
def toolchain() -> str:
    """Names the llvmlite that would make machine code, without importing it."""
    import importlib.util

    loaded = sys.modules.get("llvmlite")
    origin = loaded.__file__ if loaded is not None else getattr(importlib.util.find_spec("llvmlite"), "origin", None)
    if origin is None:
        return "none"
    found = os.stat(os.path.join(os.path.dirname(origin), "_version.py"))
    return f"{origin} {found.st_size} {found.st_mtime_ns}"
