"""The transforms under the name of torchvision's second version, `ToImage` and `ToDtype` of which `transforms` has, too."""

from __future__ import annotations

from . import *  # noqa: F403
from . import __all__ as _names
from . import functional

__all__ = [*_names, "functional"]
