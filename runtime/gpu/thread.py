"""What each thread has chosen: its device, its stream on each, and the device whose context its driver calls go to.

Machine code reads the last two as words (`WORDS` of them) at an address that is the value of a thread-specific storage key,
null in a thread that has not touched a device. Knows no driver.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

from .. import gradmode

#: words of a thread: 1 + the device whose context is current (0: none), then the stream of each of MOST devices
CONTEXT, STREAMS, MOST = 0, 1, 16
WORDS = STREAMS + MOST

#: address of the Py_tss_t whose value is the address of the thread's words
KEY: int = gradmode.make_key()


class _Streams(dict[int, int]):
    """Streams by device, kept in the thread's words too."""

    def __init__(self, words: Any) -> None:
        super().__init__()
        self.words = words

    def __setitem__(self, ordinal: int, stream: int) -> None:
        if ordinal < MOST:
            self.words[STREAMS + ordinal] = stream
        super().__setitem__(ordinal, stream)


class _Words:
    """The memory of a thread's words; machine code forgets it with the thread."""

    def __init__(self) -> None:
        self.words = (ctypes.c_int64 * WORDS)()
        self.thread = threading.get_ident()
        gradmode.publish(KEY, ctypes.addressof(self.words))

    def __del__(self) -> None:
        try:
            if threading.get_ident() == self.thread:
                gradmode.publish(KEY, 0)
        except (AttributeError, TypeError):  # the interpreter ends
            return


class _Here(threading.local):
    def __init__(self) -> None:
        self.ordinal = 0
        self.__dict__.pop("_held", None)  # the old ones say that they are gone before the new ones say where they are
        self._held = _Words()
        self.streams: dict[int, int] = _Streams(self._held.words)

    @property
    def context(self) -> int | None:
        """The device whose context is current."""
        found: int = self._held.words[CONTEXT]
        return found - 1 if found else None

    @context.setter
    def context(self, ordinal: int) -> None:
        self._held.words[CONTEXT] = 1 + ordinal


here = _Here()
