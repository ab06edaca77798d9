"""Files of pictures: PNG (8 bits a channel) and PPM/PGM, read and written by zlib and NumPy alone."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import FileError

Array = np.ndarray[Any, Any]
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
#: pixels that a file may claim to have
_LIMIT = 1 << 28


def png(array: Array) -> bytes:
    """A PNG file of u8 [H, W] or [H, W, C] with 1 to 4 channels."""
    image = array[:, :, None] if array.ndim == 2 else array
    height, width, count = image.shape
    kind = {n: k for k, n in _CHANNELS.items()}[count]
    rows = np.zeros((height, 1 + width * count), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = image.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(array: Array, file: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write `png` of `array` to a path or a binary file."""
    if isinstance(file, (str, os.PathLike)):
        Path(file).write_bytes(png(array))
    else:
        file.write(png(array))


def read_png(path: Path) -> Array:
    """u8 [H, W] or [H, W, 3] of a PNG file with 8 bits a channel and no interlacing; transparency is left out, colours of a table
    are looked up. FileError for a damaged one or one of another kind."""
    data = path.read_bytes()
    if data[:8] != _SIGNATURE:
        raise FileError(f"{path} is damaged or no PNG file")
    chunks = _chunks(data, path)
    try:
        width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
        count = 1 if kind == 3 else _CHANNELS[kind]
    except (KeyError, struct.error) as error:
        raise FileError(f"{path} is damaged: its head is none") from error
    if depth != 8 or interlaced or not 0 < width * height <= _LIMIT:
        raise FileError(
            f"{path}: {depth} bits a channel{' interlaced' * bool(interlaced)} are not read without PIL: install pillow"
        )
    wanted = height * (1 + width * count)
    try:
        pixels = zlib.decompressobj().decompress(chunks.get(b"IDAT", b""), wanted)
    except zlib.error as error:
        raise FileError(f"{path} is damaged: {error}") from error
    if len(pixels) != wanted:
        raise FileError(f"{path} is damaged: it has {len(pixels)} of {wanted} bytes of pixels")
    image = _unfiltered(np.frombuffer(pixels, np.uint8).reshape(height, -1), count, path).reshape(height, width, count)
    if kind == 3:
        table = np.frombuffer(chunks.get(b"PLTE", b""), np.uint8)
        if table.size % 3 or image.max() >= table.size // 3:
            raise FileError(f"{path} is damaged: a pixel names no colour of its table")
        return table.reshape(-1, 3)[image[:, :, 0]]
    return image[:, :, 0] if count < 3 else image[:, :, :3]


def _chunks(data: bytes, path: Path) -> dict[bytes, bytes]:
    """What each kind of chunk holds, those of one kind joined."""
    found: dict[bytes, bytes] = {}
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if len(data) < at + 12 + length or zlib.crc32(kind + body) != struct.unpack_from(">I", data, at + 8 + length)[0]:
            raise FileError(f"{path} is damaged: its chunk {kind!r} is truncated or wrong")
        found[kind] = found.get(kind, b"") + body
        at += 12 + length
        if kind == b"IEND":
            return found
    raise FileError(f"{path} is damaged: it has no end")


def _unfiltered(rows: Array, step: int, path: Path) -> Array:
    """Pixels from what was saved: each byte less a guess from those to the left and above."""
    out = np.zeros((rows.shape[0] + 1, rows.shape[1] - 1), np.uint8)
    for y, row in enumerate(rows, 1):
        kind, line, above = int(row[0]), row[1:], out[y - 1]
        if kind == 0:
            out[y] = line
        elif kind == 2:
            out[y] = line + above
        elif kind in (1, 3, 4):
            out[y] = _by_left(kind, line.tolist(), above.tolist(), step)
        else:
            raise FileError(f"{path} is damaged: there is no filter {kind}")
    return out[1:]


def _by_left(kind: int, line: list[int], above: list[int], step: int) -> Array:
    """A row whose guesses hang on its own pixels: the left one, the mean of left and above, or the nearest of three (Paeth)."""
    left, corner = [0] * step, [0] * step
    for i, value in enumerate(line):
        a, b, c = left[i], above[i], corner[i]
        if kind == 1:
            guess = a
        elif kind == 3:
            guess = (a + b) // 2
        else:
            p = a + b - c
            guess = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        left.append((value + guess) & 255)
        corner.append(b)
    return np.array(left[step:], np.uint8)


def read_ppm(path: Path) -> Array:
    """u8 [H, W, 3] of a binary PPM file, [H, W] of a PGM file. FileError for a damaged one or one of another kind."""
    data = path.read_bytes()
    words: list[bytes] = []
    at = 0
    while len(words) < 4 and at < len(data):
        end = at
        while end < len(data) and not data[end : end + 1].isspace():
            end += 1
        word = data[at:end]
        if word.startswith(b"#"):
            at = data.find(b"\n", at) + 1 or len(data)
            continue
        words += [word] if word else []
        at = end + 1
    count = {b"P6": 3, b"P5": 1}.get(words[0] if words else b"")
    if count is None or len(words) < 4 or not all(w.isdigit() and len(w) < 8 for w in words[1:]) or words[3] != b"255":
        raise FileError(f"{path} is damaged or no PPM file of 8 bits a channel")
    width, height = int(words[1]), int(words[2])
    if len(data) - at != width * height * count:
        raise FileError(f"{path} is damaged: it has {len(data) - at} bytes of pixels, not {width * height * count}")
    image = np.frombuffer(data, np.uint8, offset=at).reshape(height, width, count)
    return image if count == 3 else image[:, :, 0]
