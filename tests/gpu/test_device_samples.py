"""PyTorch's own samples of its operators, on a GPU beside the CPU (tests/support/device_sweep.py): a few operators; with --whole
all, in one dtype."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import device_sweep as sweep
import fake_cuda
import torch

#: operators and differences that are none of the devices': what the sweep hands over is no call of PyTorch's
KNOWN = (("normal", "two devices"), ("as_strided", "NotImplementedError"))


@pytest.mark.filterwarnings("ignore")
def test_samples(request: pytest.FixtureRequest) -> None:
    from torch.testing._internal.common_methods_invocations import op_db

    whole, counts = request.config.getoption("--whole"), Counter[str]()
    found: dict[tuple[str, str], int] = {}
    with fake_cuda.installed():
        for op in op_db[:: 1 if whole else 31]:
            there = sweep.of_pytorch.find(sweep.fusewire, op.name) or sweep.of_pytorch.find(sweep.fusewire.Tensor, op.name)
            if callable(there) and not op.name.startswith(("_", "torch.", "jiterator", "masked.", "sparse.")):
                for dtype in (torch.float32, torch.float64, torch.int64) if whole else (torch.float64,):
                    if dtype in op.supported_dtypes("cpu"):
                        sweep.look(counts, op, dtype, 4 if whole else 2, False, found)
    assert counts["samples"] > (3000 if whole else 15)
    wrong = [row for row in found if not any(row[0].startswith(name) and text in row[1] for name, text in KNOWN)]
    assert not wrong, "\n".join(map(str, wrong))
