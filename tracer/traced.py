"""What a recorder keeps of traced Tensors: their storages, their values as last seen, and those from outside. Records nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from ..ir.graph import Value
from ..ir.lazyclass import dataclass
from ..ir.op import Op
from ..runtime.meta import Meta
from ..runtime.source import Source
from ..runtime.storage import Storage
from .breaks import ValueNeeded
from .produced import true_places

if TYPE_CHECKING:
    from .recorder import Recorder

Chain = tuple[tuple[Op, dict[str, Any]], ...]


class TracedStorage(Storage):
    """Memory that a graph value stands for."""

    __slots__ = ("cover", "recorder", "value", "written")

    def __init__(self, recorder: Recorder, value: Value, cover: Meta) -> None:
        self.version, self._address = 0, None
        self.recorder, self.value, self.cover = recorder, value, cover
        self.written: Value | None = None  # the input whose memory this is, once it was written to

    def read(self, tensor: Any) -> NoReturn:
        raise ValueNeeded(f"the values of a tensor {tensor.meta!r}")

    def true_places(self, tensor: Any) -> tuple[Any, ...]:
        return true_places(self.recorder, tensor)

    def becomes_leaf(self, tensor: Any) -> None:
        if tensor.meta.requires_grad:
            raise ValueNeeded(f"no leaf any more: a tensor {tensor.meta!r}", "new-leaf")
        self.recorder.histories.become_leaf(tensor)

    def write(self, tensor: Any, source: Any) -> None:
        self.recorder.write(tensor, source)

    def write_at(self, tensor: Any, window: Any, key: Any, source: Any) -> NoReturn:
        raise ValueNeeded(f"the memory of a tensor {tensor.meta!r}, to write to it")

    @property
    def base(self) -> NoReturn:  # type: ignore[override]
        raise ValueNeeded("the memory of a tensor")

    @property
    def address(self) -> int:
        raise ValueNeeded("the address of a tensor")

    @property
    def flat(self) -> NoReturn:
        raise ValueNeeded("the memory of a tensor")


@dataclass(slots=True)
class Seen:
    """What the recorder knows about a traced Tensor: its value as of storage version `version`, and its way from the base."""

    tensor: Any
    value: Value
    version: int
    chain: Chain = ()


@dataclass(slots=True)
class InputTensor:
    """A Tensor from outside: the real one, the traced one, its graph value and where it is found."""

    real: Any
    traced: Any
    value: Value
    source: Source
