"""Lists, dicts and sets that classes hold are the program's own in a second process too: a stored tail has no copies of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json

import fusewire as fw

SHARED = []


class Notes:
    texts, counts, seen = [], {}, set()
    pair = (SHARED, 1)


kept = []


def step(x):
    Notes.texts.append("a")
    Notes.pair[0].append(2.0)
    kept.append(Notes.pair)
    return x * len(Notes.pair[0])


def filled(x):
    Notes.counts["a"] = x.shape[0]
    Notes.seen.add(3)
    return x + 1


class Net(fw.nn.Module):
    history = []

    def forward(self, x):
        self.history.append(x.shape[0])
        return x * 2


x, step, filled, net = fw.ones(2), fw.compile(step), fw.compile(filled), fw.compile(Net())
results = [step(x).tolist() for _ in range(3)]
filled(x), net(x), net(x)
same = all(pair is Notes.pair for pair in kept)
from fusewire.tracer import stored

served = sum(event.what == "served" for event in stored.events)
print(json.dumps([results, Notes.texts, SHARED, Notes.counts, list(Notes.seen), Net.history, same, served]))
"""


def test_a_second_process_writes_to_the_classes_own_lists(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    env = {**os.environ, "FUSEWIRE_CACHE_DIR": str(tmp_path / "cache"), "FUSEWIRE_DISK_CACHE": "1"}
    want = [[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], ["a"] * 3, [2.0] * 3, {"a": 2}, [3], [2, 2], True]
    for warm in (False, True):
        done = subprocess.run([sys.executable, str(file)], env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        *found, served = json.loads(done.stdout)
        assert found == want, warm
        assert (served >= 3) is warm
