"""Configurations: the model's choice, its candidates, what a measurement has chosen, what a kernel is split into."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fusewire import knobs
from fusewire.backends.gpu import tuned
from fusewire.backends.gpu.config import choose
from fusewire.backends.gpu.kernel import Aligned, Below, Divisible
from fusewire.backends.gpu.split import split
from fusewire.backends.gpu.ways import kernel_ways
from fusewire.ir import dtypes, sizes
from fusewire.ir.loops import Acc, Axis, Buffer, Compute, Const, Kernel, Load, Loop, Reduce, Store, StoreAt
from fusewire.ir.sizes import Size

F = dtypes.float32
I, J = sizes.symbol("i"), sizes.symbol("j")


def rows(points: Size, rounds: Size, across: bool = False) -> Kernel:
    """A sum over the rows of a matrix, or its columns where `across`."""
    at = J * points + I if across else I * rounds + J
    body = (Reduce((Axis("j", rounds),), (Load("a", "x", at),), (Acc("s", "add", "a", F),)), Store("o", I, "s"))
    names = tuple(dict.fromkeys((*sizes.symbols_of(points), *sizes.symbols_of(rounds))))
    buffers = Buffer("x", F, points * rounds, "r"), Buffer("o", F, points, "w")
    return Kernel("rows", buffers, names, (), (Axis("i", points),), body)


def pointwise(count: Size) -> Kernel:
    """x + x."""
    body = Load("a", "x", I), Compute("b", "add", ("a", "a"), F), Store("o", I, "b")
    buffers = Buffer("x", F, count, "r"), Buffer("o", F, count, "w")
    return Kernel("twice", buffers, tuple(sizes.symbols_of(count)), (), (Axis("i", count),), body)


def test_short_rows_stay_in_registers_and_long_ones_go_in_rounds() -> None:
    short, long, down = choose(rows(4096, 1024)), choose(rows(4096, 100_000)), choose(rows(4096, 1024, across=True))
    assert short.persistent and short.rblock == 1024
    assert not long.persistent and long.rblock <= 2048
    assert down.xblock >= 32 and not down.persistent


def test_a_long_sum_is_shared_out() -> None:
    assert [len(split(k).kernels) for k in (rows(4096, 1024), rows(2, 1_000_000), rows(4, 10))] == [1, 2, 1]
    (way, *_) = kernel_ways(rows(2, 1_000_000))
    assert len(way.jobs) == 2 and len(way.scratch) == 1


def test_a_column_sum_has_work_for_all_processors_however_few_its_rounds() -> None:
    first, second = kernel_ways(rows(768, 4096, across=True))[0].jobs
    assert int(str(first.grid[0])) >= 264 and int(str(second.grid[0])) == 12


def test_a_sum_of_a_number_that_only_a_call_tells_is_shared_out_where_there_are_many() -> None:
    few, *_, many, last = kernel_ways(rows(1, sizes.symbol("n")))
    assert Below(sizes.symbol("n"), 1 << 14) in few.assumes and len(few.jobs) == 1
    assert len(many.jobs) == len(last.jobs) == 2 and not last.assumes
    assert "(n // 16384) * 16" in many.jobs[0].build.text, "each part begins at a multiple of 16 bytes"


def test_what_is_read_from_a_cache_does_not_turn_a_kernel() -> None:
    """A gradient of weights: two matrices are read across, two vectors along."""
    at = J * 768 + I
    loads = (Load("a", "x", at), Load("b", "g", at), Load("m", "mean", J), Load("v", "var", J))
    body = (*loads, Compute("c", "sub", ("a", "m"), F), Compute("d", "mul", ("c", "v"), F), Compute("e", "mul", ("d", "b"), F))
    kernel_body = (Reduce((Axis("j", 4096),), body, (Acc("s", "add", "e", F),)), Store("o", I, "s"))
    buffers = (*(Buffer(name, F, 4096 * 768, "r") for name in "xg"), *(Buffer(name, F, 4096, "r") for name in ("mean", "var")))
    k = Kernel("k", (*buffers, Buffer("o", F, 768, "w")), (), (), (Axis("i", 768),), kernel_body)
    assert choose(k).xblock >= 32


def test_loads_come_before_what_is_computed() -> None:
    late = (Compute("b", "exp", ("a",), F), Load("c", "y", I), Compute("d", "add", ("b", "c"), F))
    body = (Load("a", "x", I), *late, Store("o", I, "d"))
    k = Kernel("k", tuple(Buffer(n, F, 4096, "w" if n == "o" else "r") for n in "xyo"), (), (), (Axis("i", 4096),), body)
    text = kernel_ways(k)[0].jobs[0].build.text
    assert text.index("tl.load(y_ptr") < text.index("libdevice.exp(")


def test_sizes_that_only_a_call_tells_are_assumed_and_then_not() -> None:
    n = sizes.symbol("n")
    first, second, last = kernel_ways(pointwise(n))
    assert {type(a) for a in first.assumes} == {Aligned, Below, Divisible} and not last.assumes
    assert {type(a) for a in second.assumes} == {Aligned, Below}
    kinds = [w.jobs[0].build.signature["n"] for w in (first, second, last)]
    assert kinds == ["i32", "i32", "i64"]
    assert "n" in first.jobs[0].build.divisible and "n" not in second.jobs[0].build.divisible


def test_indices_of_a_huge_array_are_wide() -> None:
    (way,) = kernel_ways(pointwise(3 << 30))
    assert "tl.program_id(0).to(tl.int64)" in way.jobs[0].build.text


@pytest.mark.parametrize("n", [3_000_000, sizes.symbol("n")], ids=str)
def test_indices_of_loops_that_become_a_grid_are_wide(n: Any) -> None:
    at = (Load("at", "index", J), Const("v", 1.0, F), StoreAt("o", I, "at", 1024, "v", "add"))
    buffers = Buffer("index", dtypes.int64, n, "r"), Buffer("o", F, 80 * 1024, "rw")
    named = ("n",) if not isinstance(n, int) else ()
    ways = kernel_ways(Kernel("k", buffers, named, (), (Axis("i", 1024),), (Loop(Axis("j", n), at, True),)))
    for way in ways:
        narrow = "tl.program_id(0).to(tl.int64)" not in way.jobs[0].build.text
        assert narrow is any(type(a) is Below and a.size == n * 1024 for a in way.assumes)
    assert any(not way.assumes for way in ways)


def test_a_measured_choice_is_kept_in_a_readable_file(tmp_path: Path) -> None:
    path, kernel = str(tmp_path / "kept" / "choices.txt"), rows(4096, 1024)
    names = list(tuned.candidates(kernel))
    assert names[0] == "model" and len(names) > 3
    assert tuned.Choices("A GPU", path).ways(kernel) is None
    tuned.Choices("A GPU", path).remember(kernel, names[-1], 12.5)
    again = tuned.Choices("A GPU", path)
    found = again.ways(kernel)
    assert found is not None and found[0].jobs[0].build.text == tuned.candidates(kernel)[names[-1]]()[0].jobs[0].build.text
    assert tuned.Choices("another", path).ways(kernel) is None
    assert (tmp_path / "kept" / "choices.txt").read_text().endswith(f"[{names[-1]}] 12.50 us rows\n")


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is not installed")
def test_processes_compile_ahead_and_nothing_is_imported_then(tmp_path: Path) -> None:
    program = f"""
import sys
sys.path[:] = {sys.path!r}
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_choices import pointwise
from fusewire import knobs
from fusewire.backends.gpu import compile, workers
if __name__ == "__main__":
    with knobs.override(cache_dir={str(tmp_path)!r}, disk_cache=True):
        ahead = [compile.variants(pointwise(n))[0] for n in range(1000, 9000, 1000)]
        assert len(workers.missing(ahead)) == workers.prepare(ahead, 2) == 8 and not workers.missing(ahead)
        assert ahead[0].load()[0].cubin[:4] == b"\\x7fELF" and "triton" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr


def test_with_deterministic_algorithms_floats_are_not_added_atomically() -> None:
    at = (Load("at", "index", J), Load("v", "source", J * 8 + I), StoreAt("o", I, "at", 8, "v", "add"))
    buffers = Buffer("index", dtypes.int64, 100, "r"), Buffer("source", F, 800, "r"), Buffer("o", F, 80, "rw")
    k = Kernel("k", buffers, (), (), (Axis("i", 8),), (Loop(Axis("j", 100), at, True),))
    assert "tl.atomic_add" in kernel_ways(k)[0].jobs[0].build.text
    with knobs.override(deterministic=True):
        assert "tl.atomic" not in kernel_ways(k)[0].jobs[0].build.text


def test_what_reads_one_way_and_writes_the_other_goes_by_tiles() -> None:
    def turned(rows: int, columns: int) -> Kernel:
        body = Load("a", "x", J * rows + I), Load("b", "y", I * columns + J), Compute("c", "add", ("a", "b"), F)
        buffers = tuple(Buffer(name, F, rows * columns, "w" if name == "o" else "r") for name in "xyo")
        axes = Axis("i", rows), Axis("j", columns)
        return Kernel("turned", buffers, (), (), axes, (*body, Store("o", I * columns + J, "c")))

    config = choose(turned(4096, 512))
    assert (config.xblock, config.rblock, config.tile) == (64, 64, 64)
    assert choose(turned(96, 1024)).tile == 32 and not choose(turned(100, 1000)).tile and not choose(turned(64, 64)).tile
    (job,) = kernel_ways(turned(4096, 512))[0].jobs
    assert job.grid == (512, 1, 1) and "tl.arange(0, RBLOCK)[None, :]" in job.build.text
