"""Launches rows of a table by one call of machine code, or one by one where that cannot be had. Knows no plan."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ... import knobs
from ...errors import DeviceError, FusewireError
from ...runtime.gpu.device import started
from ...runtime.gpu.driver import Driver
from .launcher_text import LIBRARY_FAILED, LIBRARY_WORDS, WORDS

_L = ctypes.c_int64


@lru_cache(maxsize=1)
def _routine() -> Any:
    """``launch_all`` as a function that keeps the GIL; None where this machine maps no code of ours."""
    from .. import kept
    from . import launcher_text

    try:
        code = kept.routine("gpu launcher", launcher_text.text, passes=("sroa", "simplify_cfg"))
        return ctypes.PYFUNCTYPE(_L, _L, _L, _L, _L)(code["launch_all"]), code
    except (FusewireError, ImportError, OSError):
        return None


def address() -> int:
    """The machine code of ``launch_all``; 0 where this machine maps none of ours."""
    found = _routine()
    return 0 if found is None else int(found[1]["launch_all"])


class Rows:
    """Launches that follow one another: (function, grid, threads, shared bytes, address of the arguments) each."""

    __slots__ = ("address", "count", "names", "rows", "table")

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.names: list[str] = []
        self.count = self.address = 0
        self.table: Any = None

    def add(self, name: str, function: int, grid: tuple[int, int, int], threads: int, shared: int, arguments: int) -> None:
        """One launch more."""
        self.rows.append((function, *grid, threads, shared, arguments))
        self.names.append(name)

    def seal(self) -> None:
        """Write the table; no launch is added behind it."""
        flat = [word for row in self.rows for word in row]
        self.table = (_L * max(len(flat), 1))(*flat)
        self.address, self.count = ctypes.addressof(self.table), len(self.rows)
        assert len(flat) == WORDS * self.count


def launching(driver: Driver) -> Callable[[Rows, int], tuple[int, int]]:
    """What launches rows in a stream; it gives (0, 0), or (number of the launch that failed, from 1, the driver's status)."""
    if knobs.cuda_launch_blocking:
        return lambda rows, stream: _waiting(driver, rows, stream)
    found = _routine()
    if found is None:
        return lambda rows, stream: _one_by_one(driver, rows, stream)
    call, entry = found[0], driver.launch_address

    def run(rows: Rows, stream: int) -> tuple[int, int]:
        said = call(entry, rows.address, rows.count, stream)
        return (said >> 32, said & 0xFFFFFFFF) if said else _WELL

    return run


_WELL = 0, 0


def _waiting(driver: Driver, rows: Rows, stream: int) -> tuple[int, int]:
    """One by one, with a wait behind each (but while a graph is recorded), so that an error names its kernel."""
    for name, row in zip(rows.names, rows.rows, strict=True):
        one = Rows()
        one.add(name, row[0], (row[1], row[2], row[3]), *row[4:])
        try:
            number, status = _one_by_one(driver, one, stream)
            if number:
                return rows.names.index(name) + 1, status
            if not any(gpu.capturing for gpu in started()):
                driver.stream_synchronize(stream)
        except DeviceError as error:
            raise DeviceError(f"kernel {name}: {error}") from None
    return _WELL


def _one_by_one(driver: Driver, rows: Rows, stream: int) -> tuple[int, int]:
    for number, (function, x, y, z, threads, shared, arguments) in enumerate(rows.rows):
        if threads:
            driver.launch(function, (x, y, z), threads, shared, stream, arguments)
            continue
        pointers = (ctypes.c_void_p * LIBRARY_WORDS).from_address(arguments)
        words = [_L.from_address(p).value for p in pointers if p is not None]
        status = ctypes.PYFUNCTYPE(ctypes.c_int, *[_L] * (LIBRARY_WORDS + 1))(function)(*words, stream)
        if status:
            return number + 1, status | LIBRARY_FAILED
    return _WELL
