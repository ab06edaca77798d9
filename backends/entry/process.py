"""The entry in this process: its code (compiled once, kept on disk), the table of C API addresses, the classes it builds.

`configure` is called once with the Tensor class; `code` gives mapped entry code, from the disk cache where there is one. The
first process ever compiles it without optimisation (about 10 ms). The optimised form (about 60 ms, once for a processor and a
Python) is stored by `warm`: `fusewire demo` and `fusewire bench` call it, and so does a process at its AMORTISED-th variant,
where it is a small part of what has been spent on compiling. Never in the background, never at exit.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from importlib.util import source_hash
from typing import Any

import numpy as np

from ... import knobs
from ...errors import CompileError, LoadError
from ...runtime import blocks, forks, gradmode, layout, loader, pool, store
from ...runtime.meta import Meta
from . import words as w

#: passes of the optimised form
PASSES = ("sroa", "instruction_combine", "simplify_cfg")

_FUNCTIONS = {
    w.A_VECTORCALL: "PyObject_Vectorcall", w.A_DECREF: "Py_DecRef", w.A_DICT_GET: "PyDict_GetItemWithError",
    w.A_DICT_HAS: "PyDict_Contains", w.A_DICT_NEXT: "PyDict_Next", w.A_SET_SIZE: "PySet_Size",
    w.A_GET_DICT: "PyObject_GenericGetDict", w.A_ERR_CLEAR: "PyErr_Clear", w.A_EQUAL: "PyObject_RichCompareBool",
    w.A_LONG_AS: "PyLong_AsLongLongAndOverflow", w.A_LONG_FROM: "PyLong_FromLongLong", w.A_TUPLE_NEW: "PyTuple_New",
    w.A_TSS_GET: "PyThread_tss_get", w.A_SAVE: "PyEval_SaveThread", w.A_RESTORE: "PyEval_RestoreThread",
    w.A_TP_ALLOC: "PyType_GenericAlloc", w.A_DICT_NEW: "PyDict_New",
}  # fmt: skip

_api = np.zeros(w.A_WORDS, np.int64)
_keep: list[Any] = []
_lock = forks.hold(forks.START, threading.Lock())


class Classes:
    """What `configure` was told. `view`: ``(input tensor, meta, offset in elements) -> tensor`` sharing its storage."""

    tensor: type | None = None
    view: Callable[..., Any] | None = None


def configure(
    tensor_cls: type, storage_cls: type, *, make_view: Callable[..., Any], make_meta: Callable[[Any, bool], Any],
    count_write: Callable[[Any], None],
) -> None:
    """Tell the entry which classes it builds, once, before the first `Variant`.

    `tensor_cls` has the slots meta, _array, _storage, _offset, _grad, _node; `storage_cls` the slot version.
    `make_view(tensor, meta, offset)` and `make_meta(array, requires_grad)` are called where a result is a view, or has a
    shape that no guard fixes; `count_write(tensor)` where a tensor without a storage is written to.
    LayoutError where this interpreter is unknown.
    """
    layout.check()
    need = layout.need
    slots, storage = layout.slot_offsets(tensor_cls), layout.slot_offsets(storage_cls)
    need({"meta", "_array", "_storage", "_offset", "_grad", "_node"} <= slots.keys(), f"slots of {tensor_cls.__name__}")
    npy = layout.numpy_api()
    values = {which: layout.capi(name) for which, name in _FUNCTIONS.items()}
    values |= {w.A_NONE: id(None), w.A_TRUE: id(True), w.A_FALSE: id(False), w.A_FLOAT: id(float), w.A_INT: id(int)}
    values |= {w.A_NDARRAY: npy[layout.NPY_NDARRAY], w.A_NEW_ARRAY: npy[layout.NPY_NEW_FROM_DESCR]}
    values |= {w.A_SET_BASE: npy[layout.NPY_SET_BASE], w.A_U8: id(np.dtype(np.uint8)), w.A_GRAD_KEY: gradmode.KEY}
    values |= {w.A_TENSOR: id(tensor_cls), w.A_NEW_META: id(make_meta), w.A_COUNT: id(count_write)}
    values |= {w.A_S_META: slots["meta"], w.A_S_ARRAY: slots["_array"], w.A_S_STORAGE: slots["_storage"]}
    values |= {w.A_S_OFFSET: slots["_offset"], w.A_S_GRAD: slots["_grad"], w.A_S_NODE: slots["_node"]}
    values[w.A_S_VERSION] = storage["version"]
    metas = layout.slot_offsets(Meta)
    values |= {w.A_M_KIND: metas["kind"], w.A_M_RAW: metas["raw"]}
    for which, value in values.items():
        _api[which] = value
    _keep[:] = [tensor_cls, storage_cls, make_view, make_meta, count_write, np.dtype(np.uint8)]
    Classes.tensor, Classes.view = tensor_cls, make_view


_DEVICE_FUNCTIONS = {
    w.A_INT_AS: "PyLong_AsLongLong", w.A_LIST_APPEND: "PyList_Append", w.A_ERR_FETCH: "PyErr_Fetch",
    w.A_ERR_RESTORE: "PyErr_Restore",
}  # fmt: skip


def configure_device(storage_cls: type, watched_cls: type) -> None:
    """Tell the entry which classes hold tensors of GPUs, once. LayoutError where this interpreter is unknown.

    `storage_cls` is `runtime.gpu.storage.DeviceStorage`; `watched_cls` a subclass that may stand in its place.
    """
    from ...runtime.gpu import allocator, thread

    if _api[w.A_DEVICE]:
        return
    slots, memory = layout.slot_offsets(storage_cls), _memory_slots(allocator.Memory)
    block, waits = layout.slot_offsets(allocator.Block), layout.slot_offsets(allocator.Bin)
    values = {which: layout.capi(name) for which, name in _DEVICE_FUNCTIONS.items()}
    values |= {w.A_D_ADDRESS: slots["_address"], w.A_D_BASE: slots["base"], w.A_D_GPU: slots["gpu"]}
    values |= {w.A_D_MEMORY: slots["memory"], w.A_D_NBYTES: slots["nbytes"]}
    values |= {w.A_Y_BLOCK: memory["block"], w.A_Y_ADDRESS: memory["address"], w.A_B_ADDRESS: block["address"]}
    values |= {w.A_B_SIZE: block["size"], w.A_B_ASKED: block["asked"], w.A_B_USERS: block["users"], w.A_B_BIN: block["bin"]}
    values |= {w.A_N_BLOCKS: waits["blocks"], w.A_N_WORDS: waits["words"], w.A_THREAD_KEY: thread.KEY, w.A_ZERO: id(_ZERO)}
    values |= {w.A_GIVE_BACK: id(allocator.give_back), w.A_MEMORY: id(allocator.Memory), w.A_WATCHED: id(watched_cls)}
    code = map_code()
    for which, value in values.items():
        _api[which] = value
    _api[w.A_DEVICE] = id(storage_cls)
    _on_device.extend([storage_cls, watched_cls, allocator.give_back, allocator.Memory, code])
    layout.set_word(code["home"], api_table())
    finalizer = id(allocator.Memory) + layout.finalizer_offset()
    atexit.register(layout.set_word, finalizer, layout.word(finalizer))  # tensors may outlive our code
    layout.set_word(finalizer, code["finalize"])


_ZERO = 0
_on_device: list[Any] = []  # what machine code for GPUs needs, for good


def _memory_slots(memory_cls: Any) -> dict[str, int]:
    class Probe(memory_cls):  # type: ignore[misc]
        __slots__ = ()

        def __del__(self) -> None:
            """Marks are no memory."""

    return layout.slot_offsets(Probe)


def api_table() -> int:
    """Address of the process table; CompileError before `configure`."""
    if Classes.tensor is None:
        raise CompileError("the native entry is not configured with a Tensor class")
    return int(_api.ctypes.data)


def start_pool() -> bool:
    """Let the entry hand jobs to the thread pool; False where there is none."""
    _api[w.A_POOL_RUN], _api[w.A_POOL] = pool.start(), pool.BLOCK
    return bool(_api[w.A_POOL_RUN])


def start_blocks() -> bool:
    """Let the entry take large results from the cache of blocks; False where there is none."""
    found = blocks.start()
    if found is not None:
        _api[w.A_BLOCKS], _api[w.A_BLOCK_DROP], _api[w.A_HANDLER] = found.state, found.drop, id(found.capsule)
        _api[w.A_BLOCK_NEW] = found.new
    return found is not None


def api(which: int) -> int:
    """One word of the process table."""
    return int(_api[which])


# ---- code ----------------------------------------------------------------------------------------------------------
#: the files that the entry's text follows from
_TEXTS = ("words", "writer", "text", "text_guards", "text_steps", "text_device")
SOURCES = (
    *(os.path.join(os.path.dirname(__file__), f"{name}.py") for name in _TEXTS),
    layout.__file__,
    pool.__file__,
    blocks.__file__,
    os.path.join(os.path.dirname(layout.__file__), "gpu", "allocator.py"),
)


@lru_cache(maxsize=1)
def _key() -> str:
    """Names the entry's code: our sources, the build of Python, NumPy, the processor."""
    digest = b""
    for name in SOURCES:
        with open(name, "rb") as f:
            digest += source_hash(f.read())
    return source_hash(digest + f"{sys.version} NumPy {np.__version__}".encode() + loader.cpu_key()).hex()


def _read(level: int) -> bytes | None:
    return store.get("entry", f"{_key()}-{level}")


def _write(level: int, blob: bytes) -> None:
    store.put("entry", f"{_key()}-{level}", blob)


def build_blob(level: int) -> bytes:
    """Compile the entry: level 0 takes some 10 ms, level 2 some 60 ms and saves about 20 ns a call."""
    from .. import build
    from .text import module_text

    return build.build(module_text(), level=level, passes=PASSES if level else ())


def warm() -> None:
    """Put the optimised entry into the disk cache, for the processes to come, and for what this one has yet to install."""
    if not knobs.disk_cache or not loader.SUPPORTED:
        return
    with _lock:
        if _read(2) is None:
            blob = build_blob(2)
            _write(2, blob)
            _blob[:] = [blob]


#: variants after which a process has spent so much on compiling that `warm` is a tenth of it
AMORTISED = 40
_variants = 0


def count_variant() -> None:
    """One variant more in this process."""
    global _variants
    _variants += 1
    if _variants == AMORTISED:
        warm()


_blob: list[bytes] = []


def map_code() -> Any:
    """A fresh mapping of the entry's code (its own thunk slots)."""
    from .. import build

    with _lock:
        if not _blob:
            _blob.append(_find_blob())
        return build.load(_blob[0])


def _find_blob() -> bytes:
    from .. import build

    for level in (2, 0):
        blob = _read(level)
        if blob is not None:
            try:
                build.load(blob)
                return blob
            except LoadError:
                continue  # damaged or another processor's: build it again
    blob = build_blob(0)
    _write(0, blob)
    return blob
