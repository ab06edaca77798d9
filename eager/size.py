"""Size under its public name; the class itself lies where every tensor's Meta can hold one."""

from ..runtime.size import Size

__all__ = ["Size"]
