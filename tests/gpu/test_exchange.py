"""Memory shared with other libraries on a GPU: DLPack and ``__cuda_array_interface__`` both ways: streams, versions, layouts."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire as torch
from fusewire.eager import dlpack
from fusewire.runtime.gpu import device as devices

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True, count=2) as driver:
        yield driver


class Producer:
    """Another library: memory of the driver of its own, filled by work in a stream of its own."""

    def __init__(self, fake: fake_cuda.Fake, stream: int, shape: tuple[int, ...], strides: Any = None, **about: Any) -> None:
        gpu = devices.device()
        gpu.activate()
        self.fake, self.stream, self.shape, self.strides, self.about = fake, stream, shape, strides, about
        self.deleted: list[int] = []
        self.address = gpu.driver.allocate(64)
        fake.do(stream, lambda: ctypes.memmove(self.address, bytes(range(64)), 64) and None)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.about.get("device", (2, 0))

    def __dlpack__(self, stream: int | None = None, max_version: Any = None) -> Any:
        assert stream is not None and stream != 0
        if stream != -1:
            event = torch.cuda.Event()
            event.record(torch.cuda.ExternalStream(self.stream))
            torch.cuda.ExternalStream(0 if stream == 1 else stream).wait_event(event)
        versioned = max_version is not None and self.about.get("version", 1) is not None
        made: Any = dlpack._KINDS[int(versioned)]()
        t, rank = made.tensor, len(self.shape)
        t.data, (t.kind, t.ordinal), t.ndim, t.code, t.bits, t.lanes = self.address, self.__dlpack_device__(), rank, 1, 8, 1
        shape, strides = (ctypes.c_int64 * rank)(*self.shape), None
        t.shape = ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64))
        if self.strides is not None:
            strides = (ctypes.c_int64 * rank)(*self.strides)
            t.strides = ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64))
        t.byte_offset = self.about.get("offset", 0)
        if versioned:
            made.major, made.minor, made.flags = self.about.get("version", 1), 0, self.about.get("flags", 0)
        delete = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.deleted.append)
        made.deleter = ctypes.cast(delete, ctypes.c_void_p)
        self.kept = made, shape, strides, delete
        return dlpack._new(ctypes.addressof(made), dlpack._NAMES[int(versioned)], None)


@pytest.mark.parametrize("version", [None, 1])
def test_memory_of_another_library(fake: fake_cuda.Fake, version: int | None) -> None:
    side = torch.cuda.Stream()
    source = Producer(fake, side.cuda_stream, (2, 3), (8, 2), version=version, offset=4)
    x = torch.from_dlpack(source)
    assert (x.dtype, x.shape, x.stride(), x.data_ptr()) == (torch.uint8, (2, 3), (8, 2), source.address + 4)
    assert (x + 0).tolist() == [[4, 6, 8], [12, 14, 16]] and source.deleted == []
    y = x[1:]
    del x
    assert source.deleted == []
    del y
    assert len(source.deleted) == 1


def test_what_is_not_taken(fake: fake_cuda.Fake) -> None:
    side = torch.cuda.Stream().cuda_stream
    with pytest.raises(BufferError, match=r"DLPack 2\.0"):
        torch.from_dlpack(Producer(fake, side, (2,), version=2))
    with pytest.raises(BufferError, match="backwards"):
        torch.from_dlpack(Producer(fake, side, (2,), (-1,), offset=3))
    with pytest.raises(BufferError, match="DLPack kind 10"):
        torch.from_dlpack(Producer(fake, side, (2,), device=(10, 0)))
    with pytest.warns(RuntimeWarning, match="read-only"):
        torch.from_dlpack(Producer(fake, side, (2,), flags=1))


def test_the_consumers_stream_waits(fake: fake_cuda.Fake) -> None:
    x = torch.zeros(4, device="cuda")
    side = torch.cuda.Stream()
    for stream, waits in ((None, None), (1, None), (-1, None), (2, 2), (side.cuda_stream, side.cuda_stream)):
        x.add_(1)
        before = fake.calls.get("cuStreamWaitEvent", 0)
        capsule = x.__dlpack__(stream=stream, max_version=(1, 0))
        assert fake.calls.get("cuStreamWaitEvent", 0) - before == (waits is not None)
        if waits is not None:
            fake.drain(fake.stream(waits))
            assert ctypes.c_float.from_address(x.data_ptr()).value == x.tolist()[0]
        del capsule
    for wrong in (0, -2):
        with pytest.raises(BufferError, match="names no stream"):
            x.__dlpack__(stream=wrong)
    with pytest.raises(TypeError, match="int or None"):
        x.__dlpack__(stream="1")
    with pytest.raises(BufferError, match="grad"):
        x.requires_grad_().__dlpack__()


def test_copies_and_other_devices(fake: fake_cuda.Fake) -> None:
    x = torch.arange(3.0, device="cuda")
    copied = torch.from_dlpack(x.__dlpack__(copy=True, max_version=(1, 0)))
    assert copied.data_ptr() != x.data_ptr() and copied.tolist() == [0.0, 1.0, 2.0]
    assert torch.from_dlpack(x.__dlpack__(dl_device=(1, 0))).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(BufferError, match="move it there first"):
        x.__dlpack__(dl_device=(2, 1))


def test_memory_comes_back_behind_the_consumers_work(fake: fake_cuda.Fake) -> None:
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        x = torch.ones(1000, device="cuda")
        address, capsule = x.data_ptr(), x.__dlpack__(stream=1)
        seen: list[float] = []
        fake.do(0, lambda: seen.append(ctypes.c_float.from_address(address).value))  # the consumer's kernel
        taken = torch.from_dlpack(capsule)
        del x, taken, capsule
        again = torch.zeros(1000, device="cuda")
        assert again.data_ptr() == address
        side.synchronize()
    assert seen == [1.0]


class Interface:
    def __init__(self, **about: Any) -> None:
        self.__cuda_array_interface__ = about


def test_cuda_array_interface(fake: fake_cuda.Fake) -> None:
    side = torch.cuda.Stream()
    source = Producer(fake, side.cuda_stream, (2, 3))
    about = {"shape": (2, 3), "typestr": "|u1", "data": (source.address, False), "version": 3}
    x = torch.as_tensor(Interface(**about, stream=side.cuda_stream), device="cuda")
    assert x.data_ptr() == source.address and x.tolist() == [[0, 1, 2], [3, 4, 5]]
    y = torch.as_tensor(Interface(**about | {"typestr": "<f4", "shape": (2,), "strides": (8,)}), device="cuda")
    assert y.stride() == (2,) and torch.as_tensor(Interface(**about, stream=1), device="cuda").shape == (2, 3)
    for wrong, said in (({"stream": 0}, "stream 0"), ({"strides": (3, -1)}, "forwards"),
                        ({"typestr": "<f4", "strides": (6, 4)}, "multiples")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            torch.as_tensor(Interface(**about | wrong), device="cuda")
    with pytest.warns(RuntimeWarning, match="read-only"):
        torch.as_tensor(Interface(**about | {"data": (source.address, True)}), device="cuda")
    with torch.cuda.stream(side):
        assert x.__cuda_array_interface__["stream"] == side.cuda_stream and x.__cuda_array_interface__["version"] == 3
    assert x.t().__cuda_array_interface__["strides"] == (1, 3) and x.__cuda_array_interface__["strides"] is None
