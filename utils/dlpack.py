"""``torch.utils.dlpack``: memory shared with other libraries through DLPack."""

from __future__ import annotations

from ..eager.making import from_dlpack, to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
