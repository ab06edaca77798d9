"""Optimisers. Updates are in-place ops on the parameters, so that a compiled training step captures them."""

from __future__ import annotations

import importlib
from typing import Any

from . import lr_scheduler
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]

#: Module of this folder, loaded at first use -> optimisers in it.
_LATER = {"adaptive": "Adagrad Adadelta RMSprop NAdam RAdam Adamax ASGD Rprop", "lbfgs": "LBFGS", "matrices": "Adafactor Muon"}
_PLACES = {name: module for module, row in _LATER.items() for name in row.split()}
__all__ += sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name == "swa_utils":
        return importlib.import_module(f"{__name__}.swa_utils")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    return globals().setdefault(name, found)
