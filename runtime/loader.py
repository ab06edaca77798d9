"""Maps blobs of machine code into the process. Needs neither LLVM nor a compiler; x86-64 Linux only.

A blob is position independent and holds no relocation: read-only pages (code, constants), then writable pages (data, a
table of external addresses that is filled by name). `backends.build` makes blobs; nothing here generates code.

    0   magic (8 bytes)      8  digest of everything behind it (8)      16  cpu key (8)
    24  length of head (u32), length of body (u32)                      32  head (text lines), body (bytes of the image)

Head lines: ``ro BYTES`` and ``size BYTES`` (multiples of the page size), ``x OFFSET NAME`` (exported), ``g OFFSET NAME``
(word that gets the address of an external function).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.util import source_hash

from ..errors import LoadError

MAGIC = b"FWBLOB02"
PAGE = 4096
_HEAD = struct.Struct("<8s8s8sII")
_READ, _WRITE, _EXEC, _PRIVATE_ANON = 1, 2, 4, 0x22

#: whether this process can map blobs at all; elsewhere `backends.build.load` goes through llvmlite
SUPPORTED: bool = sys.platform == "linux" and os.uname().machine == "x86_64" and sys.maxsize > 2**32

_libc = ctypes.PyDLL(None, use_errno=True)


def _bind() -> None:
    _libc.mmap.restype = ctypes.c_void_p
    _libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    _libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    _libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


if SUPPORTED:
    _bind()


@lru_cache(maxsize=1)
def cpu_key() -> bytes:
    """Eight bytes that name the processor which code is made for: machine, model and feature lines of /proc/cpuinfo."""
    try:
        with open("/proc/cpuinfo", "rb") as f:
            first = f.read(8192).split(b"\n\n")[0].split(b"\n")
    except OSError:
        first = []
    kept = [line for line in first if line.startswith((b"flags", b"Features", b"model name", b"model\t", b"CPU part"))]
    return source_hash(os.uname().machine.encode() + b"".join(kept)) if hasattr(os, "uname") else bytes(8)


def pack(image: bytes, ro: int, exports: Mapping[str, int], external: Mapping[str, int]) -> bytes:
    """The blob with this image (a multiple of the page size), of which the first `ro` bytes are code and constants."""
    lines = [f"ro {ro}", f"size {len(image)}"]
    lines += [f"x {at} {name}" for name, at in exports.items()] + [f"g {at} {name}" for name, at in external.items()]
    head, body = "\n".join(lines).encode(), image.rstrip(b"\0")
    rest = cpu_key() + struct.pack("<II", len(head), len(body)) + head + body
    return MAGIC + source_hash(rest) + rest


def _unpack(blob: bytes) -> tuple[list[list[str]], bytes]:
    if len(blob) < _HEAD.size or blob[:8] != MAGIC or source_hash(blob[16:]) != blob[8:16]:
        raise LoadError(f"a blob of machine code ({len(blob)} bytes) is damaged or of another format: build it again")
    _, _, key, nhead, nbody = _HEAD.unpack_from(blob)
    if key != cpu_key():
        raise LoadError("a blob of machine code was made for another processor: build it again")
    head, body = blob[_HEAD.size : _HEAD.size + nhead], blob[_HEAD.size + nhead :]
    if len(body) != nbody:
        raise LoadError("a blob of machine code has lost its end: build it again")
    return [line.split(" ", 2) for line in head.decode().split("\n")], body


class Code:
    """A mapped blob: ``code["name"]`` is the address of an exported function or global.

    Pages are written first, then made executable; never both at once. They are unmapped when the last reference to this
    object goes: whoever runs the code or keeps an address of it keeps the Code. LoadError says why a blob cannot be used.
    """

    __slots__ = ("__weakref__", "_size", "base", "exports")

    def __init__(self, blob: bytes, imports: Mapping[str, int] | None = None) -> None:
        self.base, self._size = 0, 0
        if not SUPPORTED:
            raise LoadError("blobs of machine code are mapped on x86-64 Linux only")
        lines, body = _unpack(blob)
        sizes = {line[0]: int(line[1]) for line in lines if line[0] in ("ro", "size")}
        self.exports: dict[str, int] = {}
        words = [(int(at), _external(name, imports)) for kind, at, name in _triples(lines) if kind == "g"]
        address = _libc.mmap(None, sizes["size"], _READ | _WRITE, _PRIVATE_ANON, -1, 0)
        if address in (None, ctypes.c_size_t(-1).value):
            raise LoadError(f"no memory for {sizes['size']} bytes of machine code: {os.strerror(ctypes.get_errno())}")
        self.base, self._size = int(address), sizes["size"]
        ctypes.memmove(self.base, body, len(body))
        for at, value in words:
            ctypes.c_size_t.from_address(self.base + at).value = value
        if sizes["ro"] and _libc.mprotect(self.base, sizes["ro"], _READ | _EXEC):
            raise LoadError(f"the system does not let memory become executable: {os.strerror(ctypes.get_errno())}")
        self.exports = {name: self.base + int(at) for kind, at, name in _triples(lines) if kind == "x"}

    def __getitem__(self, name: str) -> int:
        return self.exports[name]

    def __repr__(self) -> str:
        return f"<Code at {self.base:#x}, {self._size} bytes: {', '.join(self.exports)}>"

    def __del__(self, finalizing=sys.is_finalizing) -> None:  # type: ignore[no-untyped-def]  # bound early: globals may be gone
        if self.base and not finalizing():
            _libc.munmap(self.base, self._size)


def _triples(lines: Iterable[list[str]]) -> list[tuple[str, str, str]]:
    return [(line[0], line[1], line[2]) for line in lines if len(line) == 3]


def _external(name: str, imports: Mapping[str, int] | None) -> int:
    if imports and name in imports:
        return imports[name]
    try:
        return int(ctypes.cast(getattr(_libc, name), ctypes.c_void_p).value or 0)
    except AttributeError:
        raise LoadError(f"machine code needs the function {name!r}, which this process does not have") from None
