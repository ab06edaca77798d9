"""NumPy's functions on Tensors, DLPack and shared memory; beside PyTorch where it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire
from fusewire.eager.numpy_calls import ufunc_of_ops

UFUNCS: dict[str, Callable[..., Any]] = {
    "sin": np.sin, "exp": np.exp, "sqrt": np.sqrt, "add": lambda t: np.add(t, 1), "array": lambda t: np.add(t, np.ones(2)),
    "maximum": lambda t: np.maximum(t, 1), "greater": lambda t: np.greater(t, 1), "isnan": np.isnan, "abs": np.abs,
    "power": lambda t: np.power(t, 2), "divmod": lambda t: np.divmod(t, 2), "clip": lambda t: np.clip(t, 0, 1),
    "left": lambda t: np.float32(2) * t, "f64": lambda t: np.float64(2) * t, "compare": lambda t: np.ones(2) == t,
    "right": lambda t: t + np.ones(2), "reshape": lambda t: np.reshape(t, (2, 1)), "argmax": np.argmax, "cumsum": np.cumsum,
    "concatenate": lambda t: np.concatenate([t, t]), "transpose": np.transpose, "where": lambda t: np.where(t > 1, t, 0),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("name", UFUNCS)
def test_results_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    for values in ([1.0, 2.0], [1, 2]):
        want, got = UFUNCS[name](torch.tensor(values)), UFUNCS[name](fusewire.tensor(values))
        for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (want, got)), strict=True):
            assert type(a).__name__ == type(b).__name__
            assert str(a.dtype) == str(b.dtype)
            np.testing.assert_array_equal(np.asarray(b), np.asarray(a))


def test_ufuncs_stay_in_the_graph() -> None:
    def f(x: Any) -> Any:
        return np.sqrt(np.abs(np.sin(x) + np.add(x, 1.0))), np.greater(x, 0), np.multiply(2, x)

    for x in (fusewire.randn(5), fusewire.arange(5)):
        for a, b in zip(fusewire.compile(f)(x), f(x), strict=True):
            assert a.dtype is b.dtype and fusewire.allclose(a, b)
        assert fusewire.explain(f)(x).breaks == ()


def test_gradients_are_not_lost_silently() -> None:
    x = fusewire.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="requires grad"):
        np.sin(x)
    y = np.ones(2, np.float32) * x
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_memory_is_shared_both_ways() -> None:
    a = np.zeros(3)
    t = fusewire.from_numpy(a)
    a[0], t[1] = 5, 6
    b = np.from_dlpack(t)
    b[2] = 7
    assert t.tolist() == a.tolist() == [5.0, 6.0, 7.0]
    back = fusewire.from_dlpack(a)
    back.mul_(2)
    assert a.tolist() == [10.0, 12.0, 14.0]
    assert fusewire.from_dlpack(t.__dlpack__()).tolist() == a.tolist()
    assert fusewire.asarray(a).data_ptr() == t.data_ptr() and fusewire.asarray(a, copy=True).data_ptr() != t.data_ptr()
    assert t.__dlpack_device__() == (1, 0)


def test_dlpack_with_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="the other side of this exchange")
    theirs = torch.arange(4.0)
    ours = fusewire.from_dlpack(theirs)
    ours.add_(1)
    assert theirs.tolist() == [1.0, 2.0, 3.0, 4.0]
    again = torch.from_dlpack(ours)
    again[0] = -1
    assert ours[0].item() == -1
    assert fusewire.from_dlpack(torch.arange(3).bfloat16()).tolist() == [0.0, 1.0, 2.0]


def test_what_cannot_be_exported_is_refused() -> None:
    with pytest.raises(BufferError, match="gradient"):
        fusewire.ones(2, requires_grad=True).__dlpack__()
    with pytest.raises(BufferError, match="bfloat16"):
        fusewire.ones(2, dtype=fusewire.bfloat16).__dlpack__()
    with pytest.raises(TypeError, match="no op"):
        ufunc_of_ops(np.spacing, fusewire.ones(2))
