"""Discrete Fourier transforms: `fusewire.fft`, the eager library's under PyTorch's address."""

from __future__ import annotations

from .eager.fourier import *  # noqa: F403
