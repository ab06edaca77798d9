"""Programs whose surroundings change between calls: compiled and eager observe the same on every call."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fusewire

sys.path.insert(0, str(Path(__file__).parent))
from adversarial import PROGRAMS


def frozen(value):
    """An observation as plain data that nothing can change any more; a Tensor with dtype, shape and `requires_grad`."""
    if isinstance(value, fusewire.Tensor):
        return "Tensor", str(value.dtype), tuple(value.shape), value.requires_grad, value.detach().numpy().copy()
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [frozen(v) for v in value]
    if isinstance(value, dict):
        return "dict", [(k, frozen(v)) for k, v in value.items()]
    return type(value).__name__, repr(value)


def same(a, b):
    if isinstance(a, np.ndarray):
        return np.allclose(a.astype(np.float64), b.astype(np.float64), rtol=2e-6, atol=1e-7, equal_nan=True)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("program", PROGRAMS, ids=[p.__name__ for p in PROGRAMS])
def test_compiled_observes_what_eager_observes(program):
    want = frozen(program(lambda fn: fn))
    got = frozen(program(fusewire.compile))
    assert same(got, want), f"eager observed\n  {want}\ncompiled observed\n  {got}"
