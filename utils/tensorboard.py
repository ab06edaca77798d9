"""``torch.utils.tensorboard``: `SummaryWriter`, on the tensorboardX package, which writes TensorBoard's files without PyTorch."""

from __future__ import annotations

import importlib
from typing import Any


def _convert(value: Any) -> Any:
    """Tensors as arrays, however deep in lists and dicts."""
    if hasattr(value, "meta") and hasattr(value, "detach"):
        detached = value.detach()
        return (detached.float() if detached.dtype.is_half else detached).numpy()
    if isinstance(value, dict):
        return {k: _convert(v) for k, v in value.items()}
    return type(value)(_convert(v) for v in value) if type(value) in (list, tuple) else value


class SummaryWriter:
    """Writes event files through tensorboardX, whose arguments and methods it has; Tensors are taken where arrays are.
    ImportError where that package is not installed."""

    def __init__(self, log_dir: Any = None, *args: Any, **kwargs: Any) -> None:
        try:
            library = importlib.import_module("tensorboardX")
        except ImportError as error:
            raise ImportError("SummaryWriter writes through the tensorboardX package: pip install tensorboardX") from error
        self._writer = library.SummaryWriter(None if log_dir is None else str(log_dir), *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_writer"], name)
        if not name.startswith("add_"):
            return found
        return lambda *args, **kwargs: found(*_convert(args), **_convert(kwargs))

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._writer.close()
