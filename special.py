"""Special functions: `fusewire.special`, the eager library's under PyTorch's address."""

from __future__ import annotations

from .eager.special import *  # noqa: F403
