"""Calls on tensors of a GPU beside the same calls on the CPU: values, dtypes, strides, devices, errors; and what goes between."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

pytestmark = pytest.mark.filterwarnings("ignore:.* runs on the host")


@pytest.fixture(scope="module", autouse=True)
def fake() -> Iterator[fake_cuda.Fake]:
    with fake_cuda.installed(lazy=True) as driver:
        yield driver


def same(found: Any, wanted: Any, what: str = "") -> None:
    """A tensor on the GPU is as one of the CPU."""
    assert found.is_cuda, what
    kinds = [(x.shape, x.dtype, x.stride(), x.requires_grad) for x in (found, wanted)]
    assert kinds[0] == kinds[1], what
    np.testing.assert_allclose(*(x.detach().cpu().double().numpy() for x in (found, wanted)), rtol=1e-6, err_msg=what)


@pytest.mark.parametrize("dtype", [fw.float8_e4m3fn, fw.float8_e5m2, fw.bfloat16], ids=str)
def test_views_of_each_float_of_few_bits(dtype: Any) -> None:
    x = fw.arange(12).reshape(3, 4).to(dtype)
    on = x.to("cuda")
    for view in (
        lambda x: x.t(), lambda x: x[1:, ::2], lambda x: x.as_strided((2, 2), (1, 2)), lambda x: x.unfold(1, 2, 1), lambda x: x[2]
    ):  # fmt: skip
        same(view(on), view(x))
        assert view(on).untyped_storage().data_ptr() == on.untyped_storage().data_ptr()
    for each in (x, on):
        each[1:, 1] = each[0, 2:]
    same(on, x)


def test_indices_of_the_cpu_go_along() -> None:
    x = fw.arange(12.0).reshape(3, 4)
    on, rows, mask = x.to("cuda"), fw.tensor([2, 0]), fw.tensor([True, False, True])
    for index in (rows, mask, (rows, 1), (slice(None), rows), ([0, 1], [1, 2]), (None, rows), (rows[:, None], fw.tensor([1, 3])), x > 5):
        same(on[index], x[index], str(index))
        for value in (7.0, x[index] * 2):
            for each in (x, on):
                each[index] = value if isinstance(value, float) else value.to(each.device)
        same(on, x, str(index))
    with pytest.raises(RuntimeError, match="same device"):
        x[rows.cuda()]


def test_complex_numbers_on_the_host() -> None:
    z = fw.complex(fw.arange(6.0).reshape(2, 3), fw.ones(2, 3))
    for call in (lambda z: z.flip(1), lambda z: z.flip(0, 1), lambda z: z / 2.0, lambda z: z / (0.5 + 2j), lambda z: fw.trapz(z)):
        found, wanted = call(z.to("cuda")), call(z)
        assert found.is_cuda and found.stride() == wanted.stride() and found.cpu().allclose(wanted)
