"""The small vision part: data that ships with fusewire. Downloads nothing."""

from .digits import load_digits

__all__ = ["load_digits"]
