"""Files of the safetensors format, through its library (the extra `safetensors`): names, dtypes, shapes and bytes, and nothing
else.

The functions are those of ``safetensors.torch``, which `install_as` puts here. Tensors are written densely; writes are atomic.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..eager import factory
from ..eager.device import Device, check, placed
from ..eager.tensor import Tensor
from ..errors import FileError
from ..ir import dtypes
from ..nn.module import Module
from ..runtime.storage import address_of
from .serialization import replacing

__all__ = ["load", "load_file", "load_model", "safe_open", "save", "save_file", "save_model"]

_CODES = {
    "F64": dtypes.float64, "F32": dtypes.float32, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "I64": dtypes.int64,
    "I32": dtypes.int32, "I16": dtypes.int16, "I8": dtypes.int8, "U8": dtypes.uint8,
    "BOOL": dtypes.bool_, "C64": dtypes.complex64,
}  # fmt: skip
_NAMES = {dtype: "bool" if dtype is dtypes.bool_ else dtype.name for dtype in _CODES.values()}


def _library() -> Any:
    try:
        import safetensors
    except ImportError:
        raise ImportError('safetensors files need their library: pip install "fusewire[safetensors]"') from None
    return safetensors


def _checked(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """The values, dense. ValueError for what is no dict of tensors, a dtype the format lacks, or memory that two share."""
    if not isinstance(tensors, Mapping) or not all(isinstance(k, str) and isinstance(t, Tensor) for k, t in tensors.items()):
        raise ValueError("safetensors holds a dict from names to Tensors")
    shared = [names for names in _sharing(tensors) if len(names) > 1]
    if shared:
        raise RuntimeError(
            f"the tensors {', '.join(shared[0])} share memory, which the format cannot say: clone() all but one, "
            "or use save_model"
        )
    out = {}
    for name, t in tensors.items():
        if t.dtype not in _NAMES:
            raise ValueError(f"{name!r} is of dtype {t.dtype.name}, which the format lacks")
        out[name] = np.ascontiguousarray(t.detach().cpu().array).reshape(t.shape)
    return out


def _sharing(tensors: Mapping[str, Tensor]) -> list[list[str]]:
    """Names in groups that lie in one storage; empty tensors share nothing."""
    groups: dict[int, list[str]] = {}
    for name, t in tensors.items():
        groups.setdefault(id(t.storage) if t.numel() else id(t), []).append(name)
    return list(groups.values())


def save(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """A file of these tensors as bytes. `metadata` is text by name."""
    library, values = _library(), _checked(tensors)
    return bytes(library.serialize({k: _described(library, a) for k, a in values.items()}, metadata=metadata))


def _described(library: Any, array: np.ndarray[Any, Any]) -> Any:
    """`array` as the library takes it: 0.8 and later by its address, before that as bytes."""
    name = _NAMES[dtypes.from_numpy(array.dtype)]
    if not hasattr(library, "TensorSpec"):
        return {"dtype": name, "shape": list(array.shape), "data": array.tobytes()}
    return library.TensorSpec(dtype=name, shape=list(array.shape), data_ptr=address_of(array), data_len=array.nbytes)


def save_file(tensors: Mapping[str, Tensor], filename: str | os.PathLike[str], metadata: dict[str, str] | None = None) -> None:
    """Write these tensors to `filename`, whole or not at all."""
    data = save(tensors, metadata)
    with replacing(Path(filename)) as file:
        file.write(data)


def load(data: bytes, device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors in the bytes of a file. FileError for damaged ones."""
    return _read(data, "the data", device)


def load_file(filename: str | os.PathLike[str], device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors in `filename`, on `device`. FileError, which names the file, where it is damaged."""
    return _read(Path(filename).read_bytes(), repr(os.fspath(filename)), device)


def _read(data: bytes, name: str, device: Any) -> dict[str, Tensor]:
    library = _library()
    check(device)
    try:
        rows = library.deserialize(data)
    except library.SafetensorError as error:
        raise FileError(f"{name} is damaged, truncated or no safetensors file: {error}") from error
    return {key: _tensor(row["dtype"], row["shape"], row["data"], name, device) for key, row in sorted(rows)}


def _tensor(code: str, shape: Sequence[int], data: Any, name: str, device: Any) -> Tensor:
    if code not in _CODES:
        raise FileError(f"{name} holds a tensor of dtype {code}, which is not known here")
    array = np.frombuffer(bytearray(data), _CODES[code].np).reshape(tuple(shape))
    return placed(factory.make(array), Device(device))  # type: ignore[no-any-return]


class safe_open:
    """A file opened to read its names (`keys`), `metadata` and single tensors (`get_tensor`, `get_slice`); a context manager."""

    def __init__(self, filename: str | os.PathLike[str], framework: str = "pt", device: Any = "cpu") -> None:
        check(device)
        library, self.name, self.device = _library(), repr(os.fspath(filename)), device
        if not Path(filename).exists():
            raise FileNotFoundError(f"there is no file {self.name}")
        try:
            self._file = library.safe_open(os.fspath(filename), framework="np")
        except library.SafetensorError as error:
            raise FileError(f"{self.name} is damaged, truncated or no safetensors file: {error}") from error
        self._path = Path(filename)
        self._tensors: dict[str, Tensor] | None = None

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *exc: object) -> None:
        self._tensors = None

    def keys(self) -> list[str]:
        """Names of the tensors, sorted."""
        return sorted(self._file.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def metadata(self) -> dict[str, str] | None:
        """Text that was saved beside the tensors."""
        return self._file.metadata()  # type: ignore[no-any-return]

    def get_tensor(self, name: str) -> Tensor:
        """One tensor. FileError where there is none of that name."""
        if name not in self._file.keys():  # noqa: SIM118  (the library's object is no dict)
            raise FileError(f"{self.name} holds no tensor {name!r}; it holds {', '.join(self.keys())}")
        part = self._file.get_slice(name)
        if part.get_dtype() != "BF16":
            return placed(factory.make(np.array(self._file.get_tensor(name))), Device(self.device))  # type: ignore[no-any-return]
        if self._tensors is None:  # NumPy has no such dtype, and the library none of ml_dtypes
            self._tensors = load_file(self._path, self.device)
        return self._tensors[name]

    def get_slice(self, name: str) -> Tensor:
        """As `get_tensor`: to be indexed."""
        return self.get_tensor(name)


def save_model(
    model: Module, filename: str | os.PathLike[str], metadata: dict[str, str] | None = None, force_contiguous: bool = True
) -> None:
    """Write a module's state. Of names that share one tensor the first is written; the others are noted in the metadata."""
    state = model.state_dict()
    notes, kept = dict(metadata or {}), {}
    for names in _sharing(state):
        whole = sorted(names, key=lambda n: (-state[n].numel(), n))[0]
        for name in names:
            if name == whole:
                kept[name] = state[name]
            elif state[name].shape == state[whole].shape and state[name].stride() == state[whole].stride():
                notes[name] = whole
            else:
                kept[name] = state[name].clone()
    save_file(kept, filename, notes or None)


def load_model(
    model: Module, filename: str | os.PathLike[str], strict: bool = True, device: Any = "cpu"
) -> tuple[list[str], list[str]]:
    """Give a module the state that `save_model` wrote; (missing, unexpected) names. RuntimeError for any with `strict`; names
    that share a tensor with one in the file are not missing."""
    state = load_file(filename, device)
    own = model.state_dict()
    for names in _sharing(own):
        present = [n for n in names if n in state]
        for name in names if present else ():
            if name not in state and own[name].shape == own[present[0]].shape:
                state[name] = state[present[0]]
    missing, unexpected = model.load_state_dict(state, strict=False)
    if strict and (missing or unexpected):
        raise RuntimeError(f"{os.fspath(filename)!r} does not fit the module: missing {missing}, unexpected {unexpected}")
    return missing, unexpected
