"""Every exception that fusewire raises on its own account. Never imports anything of fusewire."""

from __future__ import annotations


class FusewireError(Exception):
    """Base of all errors that are fusewire's own."""


class ShapeError(FusewireError, RuntimeError):
    """Operand shapes do not fit the op. The message names every operand's shape."""


class DTypeError(FusewireError, TypeError, RuntimeError):
    """Operand dtypes do not fit the op. The message names every operand's dtype. (PyTorch raises RuntimeError.)"""


class DivisionError(FusewireError, ZeroDivisionError, RuntimeError):
    """An integral division by zero. (PyTorch raises a RuntimeError whose text is "ZeroDivisionError".)"""


class PositionError(FusewireError, IndexError, RuntimeError):
    """A position in an index tensor lies outside of its dimension. (PyTorch raises RuntimeError.)"""


class RangeError(FusewireError, OverflowError, RuntimeError):
    """A Python number that the dtype it must be stored in does not hold. (PyTorch raises RuntimeError.)"""


class LinAlgError(FusewireError, RuntimeError):
    """A matrix is singular, not positive definite, or an iteration did not converge."""


class SizeError(FusewireError, RuntimeError):
    """A size that data decide is none of those that a graph was compiled for. The compiled function runs eagerly then."""


class DeviceError(FusewireError, RuntimeError):
    """Operands lie on different devices, or the device is not there."""


class AutogradError(FusewireError, RuntimeError):
    """The tape cannot be walked: no graph, freed graph, or a saved tensor that was changed in place."""


class VerifyError(FusewireError):
    """An IR breaks one of its invariants. Always a defect of fusewire, never of the user's program."""


class ParseError(FusewireError, ValueError):
    """Text that is not a graph, kernel or size in the printed form."""


class CompileError(FusewireError):
    """A back end could not build code for a graph; the graph's interpreter serves instead."""


class LoadError(FusewireError):
    """A blob of machine code is damaged, foreign to this processor, or may not be mapped."""


class RecompileError(FusewireError, RuntimeError):
    """A call would have compiled while `compiler.set_stance` forbids it."""


class GraphBreakError(FusewireError):
    """Raised under ``fullgraph=True`` in place of a graph break; carries the break's record."""


class FileError(FusewireError, RuntimeError):
    """A file is damaged, truncated, of another format, or holds what must not be made from a file. The message names it."""
