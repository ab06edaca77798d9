"""One section of suite `gpu` in a process of its own: JSON lines to standard output, one where an item begins, one a row.

A kernel that reads where it must not spoils the device for its whole process; a driver that hangs hangs it. So the process that
keeps the rows never touches the device.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from . import peers
from .gpu_lab import Lab, said
from .row import Row

Items = dict[str, Callable[[], Iterator[Row]]]
#: samples of a record where time is short
MOST = 12


def main(argv: list[str]) -> int:
    """Run the items of a section, but for those before number `--skip`."""
    options = parser().parse_args(argv)
    warnings.simplefilter("ignore")  # what runs on the host says so once for each op
    end = time.perf_counter() + options.seconds
    if options.no_peers:
        peers.LEFT_OUT.update({"torch", "jax"})
    with driver(options.fake, options.section in ("check", "records")):
        for n, (name, item) in enumerate(items(options, end).items()):
            if n >= options.skip and (not options.only or name in options.only):
                _run(n, name, item, end)
    return 0


def _run(number: int, name: str, item: Callable[[], Iterator[Row]], end: float) -> None:
    if time.perf_counter() > end:
        tell({"left": name})
        return
    tell({"begin": name, "number": number})
    try:
        for row in item():
            print(row.json(), flush=True)
    except Exception as error:
        tell({"failed": name, "error": said(error)})


def tell(what: dict[str, Any]) -> None:
    """A line for the parent."""
    print(json.dumps(what), flush=True)


def parser() -> argparse.ArgumentParser:
    """What a child is told."""
    found = argparse.ArgumentParser()
    found.add_argument("section")
    found.add_argument("--seconds", type=float, default=60.0)
    found.add_argument("--skip", type=int, default=0)
    found.add_argument("--only", nargs="*", default=())
    found.add_argument("--shard", type=int, nargs=2, default=(0, 1))
    found.add_argument("--device", default="cuda")
    for flag in ("--tiny", "--ahead", "--fake", "--no-peers"):
        found.add_argument(flag, action="store_true")
    return found


def items(options: argparse.Namespace, end: float) -> Items:
    """The items of a section by name."""
    from . import gpu_check, gpu_sections

    if options.section == "check":
        checks = {n: c for n, c in gpu_check.CHECKS.items() if not (options.fake and n in gpu_check.ON_A_GPU)}
        return {name: partial(_check, name, check, options.tiny) for name, check in checks.items()}
    if options.section == "records":
        return {name: partial(_record, name, 1 if options.tiny else MOST) for name in _names(*options.shard)}
    if options.section == "machine":
        return {"machine": partial(_machine, options.device)}
    lab = Lab.open(options.device, options.tiny, options.ahead, end)
    return gpu_sections.SECTIONS[options.section](lab)


def _check(name: str, check: Any, tiny: bool) -> Iterator[Row]:
    from .gpu_check import LARGE, SMALL, checked

    start, wrong = time.perf_counter(), checked(check, SMALL if tiny else LARGE)
    facts = {"error": wrong} if wrong else {}
    yield Row("gpu", f"check: {name}", 1, "us", {}, {"seconds": round(time.perf_counter() - start, 2), **facts})


def _names(shard: int, shards: int) -> list[str]:
    """The records of a shard."""
    from ..ir.op import OPS, lookup

    lookup("add")
    return sorted(OPS)[shard::shards]


def _record(name: str, most: int) -> Iterator[Row]:
    from .gpu_check import Count, of_record_all

    count = Count()
    wrong = of_record_all(name, most, count)
    facts = {"samples": count.samples, "compiled": count.compiled, "gradients": count.gradients, "wrong": wrong}
    yield Row("gpu", f"record: {name}", 1, "us", {}, facts)


def _machine(device: str) -> Iterator[Row]:
    from .row import package

    fw, facts = package(), {}
    if device != "cpu":
        properties = fw.cuda.get_device_properties()
        facts = {"device": properties.name, "driver": properties.driver, "memory": properties.total_memory}
    for name in ("torch", "jax", "cupy", "triton", "numpy", "llvmlite"):
        if peers.installed(name):
            facts[name] = importlib.import_module("importlib.metadata").version(_DISTRIBUTION.get(name, name))
    yield Row("gpu", "machine", 1, "us", {}, facts)


_DISTRIBUTION = {"cupy": "cupy-cuda13x"}


def driver(fake: bool, reference: bool) -> AbstractContextManager[Any]:
    """The device's driver; with `fake` the tests' stand-in, whose numbers mean nothing unless the reference runs the kernels."""
    if not fake:
        return nullcontext()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
    stand_in = importlib.import_module("fake_cuda")
    how = {} if reference else {"triton": True, "run": False, "memory": 64 << 30}
    return stand_in.installed(**how)  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
