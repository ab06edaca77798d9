"""The programs of docs/gpu.md run, and what it names is there."""

from __future__ import annotations

import importlib.util
import re
import sys
from functools import partial
from pathlib import Path

import pytest

import fusewire as fw
from fusewire import cli, knobs
from fusewire.nn.attention.flex_attention import flex_attention

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "gpu.md").read_text()


def test_its_programs() -> None:
    training, attention = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    with fake_cuda.installed():
        space: dict[str, object] = {}
        exec(compile(training.replace("512, 512", "8, 8"), "guide.py", "exec"), space)
        x, y = fw.randn(4, 8, device="cuda"), fw.randn(4, 8, device="cuda")
        losses = [float(space["step"](x, y)) for _ in range(3)]  # type: ignore[operator]
        assert losses[2] < losses[0]
        given = fw.randn(3, 1, 2, 64, 16, device="cuda")
        words = {"torch": fw, "query": given[0], "key": given[1], "value": given[2]}
        exec(compile(attention.replace("4096", "64").replace("256", "16"), "guide.py", "exec"), words)
        out, (q, k, v) = words["out"], given.cpu()
    at = fw.arange(64)
    away = at[:, None] - at
    scores = (q @ k.transpose(-1, -2)) * 0.25 - 0.1 * away
    wanted = fw.where((away >= 0) & (away < 16), scores, float("-inf")).softmax(-1) @ v
    fw.testing.assert_close(out.cpu(), wanted, rtol=1e-4, atol=1e-5)


SCORES = {
    "slopes": lambda s, b, h, q, kv: s + 2 ** (-8 * (h + 1) / 2) * (q - kv),
    "cap": lambda s, b, h, q, kv: 30.0 * fw.tanh(s / 30.0),
    "inverse": lambda s, b, h, q, kv: fw.where(q > 3, 2.0 * s, s + 1 / (q + 1)),
}  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is not installed")
@pytest.mark.parametrize("name", SCORES)
def test_numbers_stand_anywhere_in_score_functions(name: str) -> None:
    with fake_cuda.installed(triton=True, run=False) as fake:
        given = [fw.empty(1, 2, 64, 16, device="cuda") for _ in range(3)]
        before = len(fake.launches)
        fw.compile(partial(flex_attention, score_mod=SCORES[name]), fullgraph=True)(*given)
        assert len(fake.launches) == before + 1


def test_its_commands_and_switches() -> None:
    for line in re.findall(r"^    (fusewire .*?)(?:  +#.*)?$", TEXT, re.MULTILINE):
        assert cli._parser().parse_args(line.split()[1:]).run
    assert {name.lower() for name in re.findall(r"FUSEWIRE_(\w+)", TEXT)} <= set(knobs.KNOBS)
    assert (ROOT / "bench" / "bare.py").is_file()
