"""What a GPU driver must offer: the one protocol behind which CUDA's lies, and a HIP one could. Data and types only.

Addresses, streams, events, modules and functions are plain ints; stream 0 is the default one. A call acts on the device that
`activate` made the calling thread's. Errors are DeviceError, out of memory is OutOfMemory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import DeviceError


class OutOfMemory(DeviceError):
    """Device memory for an allocation is not to be had."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What a device is. Sizes in bytes, clocks in kHz, widths in bits; `major`, `minor`: compute capability; `shared_limit`:
    dynamic shared memory that one block may ask for; `driver`: version of the driver as the vendor counts (CUDA: ``1000 * major +
    10 * minor``); `arch`: name of the architecture where the vendor goes by names ("gfx942")."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int
    max_threads_per_multi_processor: int
    shared_limit: int
    L2_cache_size: int
    regs_per_multiprocessor: int
    driver: int
    arch: str = ""
    max_threads_per_block: int = 1024
    shared_memory_per_block: int = 48 << 10
    shared_memory_per_multiprocessor: int = 0
    clock_rate: int = 0
    memory_clock_rate: int = 0
    memory_bus_width: int = 0
    is_integrated: int = 0
    is_multi_gpu_board: int = 0
    pci_bus_id: int = 0
    pci_device_id: int = 0
    pci_domain_id: int = 0

    @property
    def shared_memory_per_block_optin(self) -> int:
        """As `shared_limit`."""
        return self.shared_limit

    @property
    def gcnArchName(self) -> str:
        """As `arch`; the name again where the vendor goes by numbers, as PyTorch has it."""
        return self.arch or self.name


class Driver(Protocol):
    """One vendor's driver. `kind` names its devices ("cuda"), `target` the code it runs ("cuda", "hip"), `version` counts as in
    `Properties`. `launch_address` is the machine code that launches a kernel, for the native entry: ``i32 (function, u32 grid x,
    y, z, u32 threads x, y, z, u32 shared, stream, ptr params, ptr null)``; `graph_address` a recorded graph: ``i32 (graph,
    stream)``."""

    #: held by who records a graph of his own accord: calls of other threads that would spoil it wait
    quiet: Any
    library: Any  # ``address(name)`` is the machine code of an entry point
    kind: str
    target: str
    version: int
    launch_address: int
    graph_address: int

    def check(self, status: int) -> None:
        """DeviceError for a status of `launch_address` that is not 0."""

    def count(self) -> int:
        """Number of devices."""

    def properties(self, ordinal: int) -> Properties:
        """What device `ordinal` is."""

    def activate(self, ordinal: int) -> None:
        """Make `ordinal` the device of this thread."""

    def switch(self, ordinal: int) -> tuple[int, int]:
        """(machine code that makes `ordinal` the thread's device, its argument); (0, 0) where `activate` once is enough."""

    def synchronize(self) -> None:
        """Wait for all that this thread's device does."""

    def reaches(self, ordinal: int, other: int) -> bool:
        """Whether one device can be let read the other's memory."""

    def priorities(self) -> tuple[int, int]:
        """Priorities of streams: (the least urgent, the most urgent, which is the lower number)."""

    # -- memory
    def allocate(self, nbytes: int) -> int:
        """Device memory, at a multiple of 256 bytes; OutOfMemory."""

    def free(self, address: int) -> None:
        """Give `allocate`'s memory back; waits for the device."""

    def memory_info(self) -> tuple[int, int]:
        """(free, total) bytes of the device."""

    def allocate_host(self, nbytes: int) -> int:
        """Page-locked host memory, which every device may read and write; OutOfMemory."""

    def free_host(self, address: int) -> None:
        """Give `allocate_host`'s memory back."""

    def to_device(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy host memory to the device, in the order of `stream`. From pageable memory it has been read on return."""

    def to_host(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy device memory to the host, in the order of `stream`; it is there once the stream has come so far."""

    def copy(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy device memory, between devices too."""

    def fill(self, target: int, byte: int, nbytes: int, stream: int) -> None:
        """Set every byte."""

    def device_of(self, address: int) -> int:
        """The device on which memory lies."""

    # -- streams and events
    def stream_create(self, priority: int) -> int:
        """A stream that does not wait for the default one. Lower numbers are more urgent."""

    def stream_destroy(self, stream: int) -> None:
        """Let a stream go once its work is done."""

    def stream_synchronize(self, stream: int) -> None:
        """Wait for all that was put into the stream."""

    def stream_query(self, stream: int) -> bool:
        """Whether all that was put into the stream is done."""

    def stream_wait(self, stream: int, event: int) -> None:
        """What is put into `stream` from now on waits for `event`."""

    def event_create(self, timing: bool, blocking: bool = False) -> int:
        """An event; with `timing` it keeps the time; with `blocking` who waits for it sleeps."""

    def event_destroy(self, event: int) -> None:
        """Let an event go."""

    def event_record(self, event: int, stream: int) -> None:
        """Let `event` happen once `stream` has come so far."""

    def event_query(self, event: int) -> bool:
        """Whether the event has happened (or was never recorded)."""

    def event_synchronize(self, event: int) -> None:
        """Wait for the event."""

    def event_elapsed(self, start: int, end: int) -> float:
        """Milliseconds between two events that keep the time."""

    # -- code
    def load(self, image: bytes) -> int:
        """A module of machine code."""

    def unload(self, module: int) -> None:
        """Let a module go."""

    def function(self, module: int, name: str, shared: int) -> int:
        """A kernel of the module, allowed `shared` bytes of dynamic shared memory."""

    def launch(self, function: int, grid: tuple[int, int, int], threads: int, shared: int, stream: int, params: int) -> None:
        """Run a kernel; `params` is the address of an array of pointers to its arguments, which are read before the return."""

    def tensor_map(
        self, target: int, address: int, element: int, shape: tuple[int, ...], strides: tuple[int, ...], box: tuple[int, ...],
        swizzle: int,
    ) -> None:  # fmt: skip
        """Write the 128 bytes by which the hardware copies boxes of a tensor. Outermost dimension first; strides in bytes."""

    # -- graphs
    def capture_begin(self, stream: int) -> None:
        """From now on what this thread puts into `stream` is recorded instead of run."""

    def capture_end(self, stream: int) -> int:
        """A graph of what was recorded, ready to be launched; 0 where the capture was spoiled."""

    def graph_launch(self, graph: int, stream: int) -> None:
        """Run a graph."""

    def graph_destroy(self, graph: int) -> None:
        """Let a graph go."""
