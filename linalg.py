"""Linear algebra: `fusewire.linalg`, the eager library's under PyTorch's address."""

from __future__ import annotations

from .eager.factors import *  # noqa: F403
from .eager.linalg import *  # noqa: F403
from .eager.norms import *  # noqa: F403
from .errors import LinAlgError as LinAlgError
