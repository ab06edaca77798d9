"""Tracebacks of the user's exceptions: which frames are the tracer's and the entry's own, and how they go."""

from __future__ import annotations

from types import FrameType

from ..errors import GraphBreakError

TAIL_FILE = "<fusewire tail"  # how the file name of every generated tail begins
_LIBRARY = __name__.rpartition(".tracer")[0]
_OWN = tuple(f"{_LIBRARY}.{part}" for part in ("tracer.", "compiler", "entrance", "backends.entry."))  # what leads to user frames


def strip_frame(exc: BaseException) -> None:
    """Drop the newest entry of the traceback: the frame that calls this, which is none of the user's."""
    if exc.__traceback__ is not None:
        exc.__traceback__ = exc.__traceback__.tb_next


def strip_own(exc: BaseException) -> None:
    """Drop the newest entries of the traceback up to the user's first: the frames of the tracer and the entry that led there.

    Where no frame of the user's (or of the library's eager side) follows, the error is the tracer's own, and keeps them.
    """
    entry = exc.__traceback__
    while entry is not None and is_own(entry.tb_frame):
        entry = entry.tb_next
    if entry is not None or isinstance(exc, GraphBreakError):
        exc.__traceback__ = entry


def is_own(frame: FrameType) -> bool:
    """Whether a frame is the tracer's or the entry's."""
    return str(frame.f_globals.get("__name__")).startswith(_OWN) or frame.f_code.co_filename.startswith(TAIL_FILE)
