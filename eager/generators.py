"""The default generators of GPUs, which begin with the CPU's seed. Draws nothing; runs no op, so that a tracer may ask, too."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import device as devices
from .executor import is_recording
from .factory import make, storage_of

_found: dict[str, Any] = {}


def of(device: Any = None) -> Any:
    """The default Generator of `device` (None: where tensors are made that do not say where). A GPU's begins with the seed that
    `manual_seed` has set last."""
    from .random import Generator, default_generator

    if devices.on_cpu(device):
        return default_generator
    name = devices.gpu(device).name
    found = _found.get(name)
    if found is None or not found.state.storage.gpu.alive:
        found = _found[name] = Generator(name)
        seed = default_generator.state._array[0]  # type: ignore[index]
        found.state = devices.placed(make(np.array([seed, 0], np.int64)), name)
    return found


def taken(state: Any, blocks: int) -> Any:
    """A copy of an eager state of the CPU, which moves on by `blocks`; None, with nothing done, of any other."""
    array = state._array
    if array is None or is_recording():
        return None
    now = make(array.copy())
    counter = int(array[1]) + blocks
    array[1] = counter if counter < 1 << 63 else counter - (1 << 64)
    storage_of(state).version += 1
    return now


def of_gpus() -> list[Any]:
    """The generators of all GPUs that have one."""
    return [g for g in _found.values() if g.state.storage.gpu.alive]
