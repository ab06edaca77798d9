"""What the drivers of the vendors have in common: HIP's calls are CUDA's under other names. One class over a table of names.

Loads the vendor's library when the first device is asked for. Calls that may wait give up the GIL; launches, copies and queries
keep it, since giving it up costs more than they take.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping
from ctypes import byref, c_char_p, c_float, c_int, c_size_t, c_void_p
from types import SimpleNamespace
from typing import Any

from ...errors import DeviceError
from .driver import OutOfMemory, Properties
from .thread import here

#: statuses that both vendors number alike
OUT_OF_MEMORY, NOT_INITIALIZED, NOT_READY = 2, 3, 600
#: statuses behind which no call succeeds any more: a kernel has spoiled the context
FATAL = frozenset((214, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 720, 721))
_FATAL = (
    "A kernel has spoiled this process's context on the device: no further call succeeds, so restart the process. Kernels run "
    "behind the host, it may be any that was launched before: CUDA_LAUNCH_BLOCKING=1 waits behind each and names it"
)
_IMAGE = "The machine code does not fit this GPU or its driver: clear the disk cache (fusewire cache clear), or update the driver"
_CAPTURE = (
    "While a CUDA graph is recorded nothing may wait for the device or read values from it: run the code once before, and leave "
    "out .item(), .cpu(), synchronize() and copies from memory that is not pinned"
)
#: what to do about a status
HINTS = {
    NOT_INITIALIZED: "The driver was not started in this process. A forked process cannot use the GPU of its parent: use the "
                     "'spawn' start method of multiprocessing",
    4: "The process ends, and the driver has gone before",
    34: "The library is the toolkit's stub, not a driver: see LD_LIBRARY_PATH",
    46: "Another process has the device for itself, or it is being reset",
    100: "No GPU is to be seen: is it hidden by CUDA_VISIBLE_DEVICES (HIP_VISIBLE_DEVICES), or by the container?",
    101: "There is no device of this number",
    200: _IMAGE, 209: _IMAGE, 218: _IMAGE, 222: _IMAGE, 223: _IMAGE,
    701: "The kernel needs more registers or shared memory than a block may have",
    802: "The system is not ready for the GPU: is the fabric manager running?",
    803: "The driver's library and the driver of the kernel are of different versions: reboot, or install one of them anew",
    804: "The driver is too old for its compatibility library",
    **dict.fromkeys(range(900, 909), _CAPTURE), **dict.fromkeys(FATAL, _FATAL),
}  # fmt: skip

#: entry points that may wait for the device, or for the driver's own compiler
WAITING = frozenset((
    "init", "context", "synchronize", "allocate", "free", "allocate_host", "free_host", "stream_synchronize", "event_synchronize",
    "load", "unload", "instantiate", "stream_destroy", "to_device", "to_host",
))  # fmt: skip


class Library:
    """The entry points of a shared library by name. `title` names the driver in errors."""

    def __init__(self, path: str, title: str) -> None:
        self.title, self.path = title, path
        try:
            self._lib = ctypes.CDLL(path)
        except OSError as error:
            raise DeviceError(f"no {title} driver: {path} cannot be loaded ({error})") from None

    def address(self, name: str) -> int:
        """The entry point's machine code; DeviceError where the library has none of this name."""
        try:
            return ctypes.cast(getattr(self._lib, name), c_void_p).value or 0
        except AttributeError:
            raise DeviceError(f"the {self.title} driver ({self.path}) has no {name}: it is too old") from None


class Vendor:
    """A `driver.Driver` over a library. What vendors differ in, subclasses give: `entries` names the entry points (by the words
    used here), `signatures` has the types of their arguments."""

    kind = "cuda"  # how devices are named, as PyTorch has it for both vendors
    target = ""
    entries: Mapping[str, str] = {}
    signatures: Mapping[str, tuple[Any, ...]] = {}
    attributes: Mapping[str, int] = {}  # field of Properties -> number of the driver's attribute
    #: flags of streams, events and page-locked memory, an attribute of pointers, a mode of captures: the vendor's own numbers
    non_blocking: int
    no_timing: int
    blocking: int
    portable: int
    ordinal_of: int
    relaxed: int

    def __init__(self, library: Any) -> None:
        calls: dict[str, Any] = {}
        for word, name in self.entries.items():
            make = ctypes.CFUNCTYPE if word in WAITING else ctypes.PYFUNCTYPE
            calls[word] = make(c_int, *self.signatures[name])(library.address(name))
        self.calls = SimpleNamespace(**calls)
        self.library, self.launch_address = library, library.address(self.entries["launch"])
        self.graph_address = library.address(self.entries["graph_launch"])
        self.quiet = threading.RLock()
        self._here = threading.local()
        self._lock = threading.Lock()
        self._contexts: dict[int, int] = {}
        self.check(self.calls.init(0))
        self._alone = self.count() < 2  # no other library of this process can have chosen another device
        self.version = self._int(self.calls.version)

    def check(self, status: int) -> None:
        """DeviceError with the driver's own words, and what to do, unless `status` is 0."""
        if not status:
            return
        name, text = self.words(status)
        said = f"{name} ({status}): {text}"
        if status == OUT_OF_MEMORY:
            raise OutOfMemory(said)
        hint = HINTS.get(status)
        raise DeviceError(f"{said}. {hint}" if hint else said)

    def words(self, status: int) -> tuple[str, str]:
        """Name and text of a status."""
        name, text = c_char_p(), c_char_p()
        self.calls.error_name(status, byref(name))
        self.calls.error_text(status, byref(text))
        return (name.value or b"unknown error").decode(), (text.value or b"").decode()

    def _int(self, call: Any, *args: Any) -> int:
        out = c_int()
        self.check(call(byref(out), *args))
        return out.value

    def _handle(self, call: Any, *args: Any) -> int:
        out = c_void_p()
        self.check(call(byref(out), *args))
        return out.value or 0

    # -- devices

    def count(self) -> int:
        """Number of devices."""
        return self._int(self.calls.count)

    def properties(self, ordinal: int) -> Properties:
        """What device `ordinal` is."""
        name, total = ctypes.create_string_buffer(256), c_size_t()
        device = self._int(self.calls.device, ordinal)
        self.check(self.calls.name(name, 256, device))
        self.check(self.calls.total(byref(total), device))
        found = {field: self._int(self.calls.attribute, number, device) for field, number in self.attributes.items()}
        return Properties(name.value.decode(), total_memory=total.value, driver=self.version, arch=self._arch(ordinal), **found)

    def _arch(self, ordinal: int) -> str:
        return ""

    def activate(self, ordinal: int) -> None:
        """Make `ordinal` this thread's device, unless it is."""
        if self._alone and getattr(self._here, "ordinal", None) == ordinal:
            return
        self._choose(ordinal)
        self._here.ordinal = here.context = ordinal

    def _choose(self, ordinal: int) -> None:
        self.check(self.calls.choose(self._context(ordinal)))

    def _context(self, ordinal: int) -> int:
        """What the entry point takes that makes `ordinal` the thread's device."""
        return ordinal

    def switch(self, ordinal: int) -> tuple[int, int]:
        """For machine code, (entry point that makes `ordinal` this thread's device, its argument); (0, 0) where nobody can have
        chosen another since `activate`."""
        return (0, 0) if self._alone else (self.library.address(self.entries["choose"]), self._context(ordinal))

    def synchronize(self) -> None:
        """Wait for all that this thread's device does."""
        with self.quiet:
            self.check(self.calls.synchronize())

    def reaches(self, ordinal: int, other: int) -> bool:
        """Whether one device can be let read the other's memory."""
        return bool(self._int(self.calls.peer, self._int(self.calls.device, ordinal), self._int(self.calls.device, other)))

    def priorities(self) -> tuple[int, int]:
        """Priorities of streams: (the least urgent, the most urgent, which is the lower number)."""
        least, most = c_int(), c_int()
        self.check(self.calls.priorities(byref(least), byref(most)))
        return least.value, most.value

    # -- memory

    def allocate(self, nbytes: int) -> int:
        """Device memory; OutOfMemory."""
        return self._handle(self.calls.allocate, nbytes)

    def free(self, address: int) -> None:
        """Give `allocate`'s memory back."""
        with self.quiet:
            self.check(self.calls.free(address))

    def memory_info(self) -> tuple[int, int]:
        """(free, total) bytes of the device."""
        free, total = c_size_t(), c_size_t()
        self.check(self.calls.memory_info(byref(free), byref(total)))
        return free.value, total.value

    def allocate_host(self, nbytes: int) -> int:
        """Page-locked host memory."""
        return self._handle(self.calls.allocate_host, nbytes, self.portable)

    def free_host(self, address: int) -> None:
        """Give `allocate_host`'s memory back."""
        with self.quiet:
            self.check(self.calls.free_host(address))

    def to_device(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy host memory to the device."""
        self.check(self.calls.to_device(target, source, nbytes, stream))

    def to_host(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy device memory to the host."""
        self.check(self.calls.to_host(target, source, nbytes, stream))

    def copy(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy device memory, between devices too (addresses are unified)."""
        self.check(self.calls.copy(target, source, nbytes, stream))

    def fill(self, target: int, byte: int, nbytes: int, stream: int) -> None:
        """Set every byte."""
        self.check(self.calls.fill(target, byte, nbytes, stream))

    def device_of(self, address: int) -> int:
        """The ordinal of the device on which memory lies; DeviceError where none does."""
        return self._int(self.calls.pointer, self.ordinal_of, address)

    # -- streams and events

    def stream_create(self, priority: int) -> int:
        """A stream that does not wait for the default one."""
        return self._handle(self.calls.stream_create, self.non_blocking, priority)

    def stream_destroy(self, stream: int) -> None:
        """Let a stream go."""
        self.check(self.calls.stream_destroy(stream))

    def stream_synchronize(self, stream: int) -> None:
        """Wait for all that was put into the stream."""
        self.check(self.calls.stream_synchronize(stream))

    def stream_query(self, stream: int) -> bool:
        """Whether all that was put into the stream is done."""
        return self._done(self.calls.stream_query(stream))

    def _done(self, status: int) -> bool:
        if status == NOT_READY:
            return False
        self.check(status)
        return True

    def stream_wait(self, stream: int, event: int) -> None:
        """What is put into `stream` from now on waits for `event`."""
        self.check(self.calls.stream_wait(stream, event, 0))

    def event_create(self, timing: bool, blocking: bool = False) -> int:
        """An event."""
        return self._handle(self.calls.event_create, (0 if timing else self.no_timing) | (self.blocking if blocking else 0))

    def event_destroy(self, event: int) -> None:
        """Let an event go."""
        self.check(self.calls.event_destroy(event))

    def event_record(self, event: int, stream: int) -> None:
        """Let `event` happen once `stream` has come so far."""
        self.check(self.calls.event_record(event, stream))

    def event_query(self, event: int) -> bool:
        """Whether the event has happened."""
        return self._done(self.calls.event_query(event))

    def event_synchronize(self, event: int) -> None:
        """Wait for the event."""
        self.check(self.calls.event_synchronize(event))

    def event_elapsed(self, start: int, end: int) -> float:
        """Milliseconds between two events."""
        out = c_float()
        self.check(self.calls.event_elapsed(byref(out), start, end))
        return out.value

    # -- code

    def load(self, image: bytes) -> int:
        """A module of machine code."""
        return self._handle(self.calls.load, ctypes.cast(c_char_p(image), c_void_p))

    def unload(self, module: int) -> None:
        """Let a module go."""
        self.check(self.calls.unload(module))

    def function(self, module: int, name: str, shared: int) -> int:
        """A kernel of the module."""
        return self._handle(self.calls.function, module, name.encode())

    def launch(self, function: int, grid: tuple[int, int, int], threads: int, shared: int, stream: int, params: int) -> None:
        """Run a kernel."""
        status = self.calls.launch(function, *grid, threads, 1, 1, shared, stream, params, None)
        if status:
            self.check(status)

    # -- graphs

    def capture_begin(self, stream: int) -> None:
        """Record what is put into `stream`. (Memory may be allocated and modules loaded meanwhile.)"""
        self.check(self.calls.capture_begin(stream, self.relaxed))

    def capture_end(self, stream: int) -> int:
        """A graph of what was recorded; 0 where the capture was spoiled."""
        graph = c_void_p()
        if self.calls.capture_end(stream, byref(graph)) or not graph.value:
            return 0
        try:
            return self._handle(self.calls.instantiate, graph, 0)
        finally:
            self.check(self.calls.graph_destroy(graph))

    def graph_launch(self, graph: int, stream: int) -> None:
        """Run a graph."""
        self.check(self.calls.graph_launch(graph, stream))

    def graph_destroy(self, graph: int) -> None:
        """Let a graph go."""
        self.check(self.calls.exec_destroy(graph))
