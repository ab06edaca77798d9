"""Fixtures for all tests: golden text, every IR verified after every pass, nothing from the disk cache."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fusewire import knobs
from fusewire.ir import ops

GOLDEN = Path(__file__).parent / "golden"

# What is tested is compiled, not found on disk; nothing is written to the user's cache. Tests of the cache switch it on, in
# folders of their own.
os.environ["FUSEWIRE_DISK_CACHE"] = "0"
knobs.disk_cache = False
ops.load_rare()  # whatever runs first, all tests see the same records


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the text at hand as the new golden text")
    parser.addoption("--fuzz", type=int, help="number of random programs in tests/fuzz (default: 1000 on CPython 3.12, else 250)")
    parser.addoption("--whole", action="store_true", help="run the sweeps of tests/gpu over all cases, not a part of them")
    parser.addoption("--warm", type=Path, metavar="DIR", help="run with the disk cache in DIR: twice, to test what is stored")
    parser.addoption("--replay", type=Path, metavar="FILE", help="record what is emitted for every graph (fusewire.bench.replay)")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(name, text)``: `text` must equal the file tests/golden/`name`."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.rstrip("\n") + "\n")
        assert path.exists(), f"no golden text {name}; run pytest --update-golden and read the diff"
        assert text.rstrip("\n") + "\n" == path.read_text()

    return compare


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--whole"):
        for item in items:
            if item.get_closest_marker("whole") is not None:
                item.add_marker(pytest.mark.skip(reason="runs with --whole"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "whole: another case of what the tests beside it show; runs with --whole")
    folder = config.getoption("--warm", default=None)
    if folder is not None:
        knobs.disk_cache, knobs.cache_dir = True, str(folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--warm", default=None) is None:
        return
    from fusewire.runtime import store
    from fusewire.tracer import stored

    terminalreporter.write_line(f"disk cache: {dict(store.stats)}")
    for reason, count in Counter(e.why for e in stored.events if e.what == "not stored").most_common(20):
        terminalreporter.write_line(f"  {count} not stored: {reason}")


@pytest.fixture(autouse=True)
def verify_everything() -> object:
    with knobs.override(verify=True):
        yield


@pytest.fixture(scope="session", autouse=True)
def replay(request: pytest.FixtureRequest) -> Iterator[None]:
    path = request.config.getoption("--replay")
    if path is None:
        yield
        return
    from fusewire.bench.replay import recording

    with recording(path):
        yield
