"""What goes wrong with the files of a cache folder, at random; and the process that must not notice.

    python damage.py ROUNDS SEED    runs the program below again and again out of the folder, each time as a new process would
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

WORKER = '''
import sys
import numpy as np
import fusewire as torch
from fusewire import compiler, nn
from fusewire.backends import kept


def one(x):
    return (x * 3 + 1).sum()


def two(x):
    y = x.exp()
    return {"y": y, "z": [y - 1, x]}


def three(x, n=2.5):
    for _ in range(3):
        x = x * n
    print("break", file=sys.stderr)
    return x - 1


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 3)

    def forward(self, x):
        return torch.relu(self.inner(x))


def check(what, found, wanted):
    if not np.allclose(found, wanted, rtol=1e-5, atol=1e-6):
        raise SystemExit(f"{what}: {found} is not {wanted}")


def round_of_calls():
    x = torch.arange(12.0).reshape(3, 4) / 12
    check("one", torch.compile(one)(x).item(), one(x).item())
    made, wanted = torch.compile(two)(x), two(x)
    check("two", made["z"][0].numpy(), wanted["z"][0].numpy())
    check("three", torch.compile(three)(x).numpy(), three(x).numpy())
    torch.manual_seed(2)
    net = Net()
    gradients = []
    for fn in (torch.compile(net), net):
        net.zero_grad()
        fn(x).sum().backward()
        gradients.append(net.inner.weight.grad.numpy().copy())
    check("gradient", *gradients)


for _ in range(int(sys.argv[1])):
    round_of_calls()
    kept._routines.clear()
from fusewire.runtime import store
print(*[sum(n for (_, what), n in store.stats.items() if what == w) for w in ("hit", "damaged")], file=sys.stderr)
print("done")
'''


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


def flip(path: Path, rng: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 8))):
        if raw:
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(raw))


def truncate(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size + 1))


def swap(path: Path, rng: random.Random) -> None:
    other = rng.choice(_files(path.parents[1]) or [path])
    a, b = path.read_bytes(), other.read_bytes()
    path.write_bytes(b)
    other.write_bytes(a)


def delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def garbage(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(rng.randrange(2000)))


def open_to_all(path: Path, rng: random.Random) -> None:
    path.chmod(0o666)


def drop_folder(path: Path, rng: random.Random) -> None:
    shutil.rmtree(path.parent, ignore_errors=True)


KINDS: tuple[Callable[[Path, random.Random], None], ...] = (
    flip, flip, flip, truncate, swap, swap, delete, garbage, open_to_all, drop_folder,
)  # fmt: skip


def damage(folder: Path, rng: random.Random) -> None:
    """One accident, if there is anything to damage."""
    found = _files(folder)
    if found:
        with contextlib.suppress(OSError):
            rng.choice(KINDS)(rng.choice(found), rng)


if __name__ == "__main__":
    exec(WORKER)
    sys.exit()
