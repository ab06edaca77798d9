"""PyTorch's own samples of its operators, on a GPU beside the CPU (tests/support/device_sweep.py): a few operators; with --whole
all, in three dtypes. In a process of its own: PyTorch's samples change settings of the process that imports them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

_FOUND = importlib.util.find_spec("torch") is not None
pytestmark = pytest.mark.skipif(not _FOUND, reason="PyTorch, whose samples these are, is not installed")
SUPPORT = Path(__file__).parent.parent / "support"
#: operators and differences that are none of the devices': what the sweep hands over is no call of PyTorch's
KNOWN = (("normal", "two devices"), ("as_strided", "NotImplementedError"))


def run(whole: bool) -> None:
    """Sweep in this process; AssertionError where something differs."""
    import warnings
    from collections import Counter

    import device_sweep as sweep
    import fake_cuda
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    warnings.simplefilter("ignore")
    counts, found = Counter[str](), dict[tuple[str, str], int]()
    with fake_cuda.installed():
        for op in op_db[:: 1 if whole else 31]:
            there = sweep.of_pytorch.find(sweep.fusewire, op.name) or sweep.of_pytorch.find(sweep.fusewire.Tensor, op.name)
            if callable(there) and not op.name.startswith(("_", "torch.", "jiterator", "masked.", "sparse.")):
                for dtype in (torch.float32, torch.float64, torch.int64) if whole else (torch.float64,):
                    if dtype in op.supported_dtypes("cpu"):
                        sweep.look(counts, op, dtype, 4 if whole else 2, False, found)
    assert counts["samples"] > (3000 if whole else 15), counts
    wrong = [row for row in found if not any(row[0].startswith(name) and text in row[1] for name, text in KNOWN)]
    assert not wrong, "\n".join(map(str, wrong))
    print(counts["samples"], "samples")


def test_samples(request: pytest.FixtureRequest) -> None:
    program = (
        f"import sys; sys.path[:] = {[str(SUPPORT), str(Path(__file__).parent), *sys.path]!r}; "
        f"import test_device_samples; test_device_samples.run({request.config.getoption('--whole')!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and " samples" in done.stdout, done.stdout + done.stderr
