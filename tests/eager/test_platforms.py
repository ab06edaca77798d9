"""Modules for devices that are not there: programs that ask get no for an answer, those that insist an error."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as torch
from fusewire.errors import DeviceError


def test_programs_that_ask_choose_the_cpu() -> None:
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    assert device == torch.device("cpu") and torch.device("cuda:0" if torch.cuda.is_available() else "cpu").type == "cpu"
    assert torch.cuda.device_count() == torch.accelerator.device_count() == torch.cuda.memory_allocated() == 0
    assert not torch.backends.mps.is_available() and not torch.cuda.is_bf16_supported()


def test_switches_and_seeds_are_accepted() -> None:
    torch.cuda.manual_seed_all(1)
    torch.cuda.empty_cache()
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_float32_matmul_precision("highest")
    assert not torch.backends.cuda.matmul.allow_tf32
    with torch.backends.cuda.sdp_kernel(enable_flash=True):
        assert torch.backends.cudnn.benchmark is True
    torch.backends.cudnn.benchmark = before


@pytest.mark.parametrize("insist", [
    lambda: torch.cuda.set_device(0), lambda: torch.cuda.synchronize(), lambda: torch.accelerator.set_device_index(0),
    lambda: torch.zeros(2, device="cuda"), lambda: torch.zeros(2).cuda(), lambda: torch.set_default_device("cuda"),
])  # fmt: skip
def test_programs_that_insist_are_told(insist: Any) -> None:
    with pytest.raises(DeviceError, match="CPU"):
        insist()


def test_classes_that_name_dtypes() -> None:
    x = torch.FloatTensor([1, 2])
    assert isinstance(x, torch.FloatTensor) and not isinstance(x, torch.LongTensor)
    assert torch.LongTensor(2, 3).dtype is torch.int64
    assert x.type(torch.LongTensor).tolist() == [1, 2] and x.type("torch.DoubleTensor").dtype is torch.float64
