"""Every switch: what its two positions do, how the environment sets it, and that something reads it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler, knobs, logs, pipeline
from fusewire.backends.entry import process
from fusewire.errors import VerifyError
from fusewire.ir.graph import Graph
from fusewire.ir.op import lookup
from fusewire.ir.passes import run
from fusewire.ir.text import parse_graph
from fusewire.optim import fused
from fusewire.runtime import loader, store

ROOT = Path(__file__).resolve().parents[2]
GRAPH = parse_graph("""
graph g(%x: f32[4]):
  %0 : f32[4] = mul(%x, 1.0)
  %1 : f32[4] = add(%0, %x)
  return %1
""")


# -- what each does ----------------------------------------------------------------------------------------------------


def reshaped(x: Any, n: int) -> Any:
    return x.reshape(n, -1)


def recursive(x: Any, n: int) -> Any:
    return x if n == 0 else recursive(x + 1, n - 1)


def forgetful(graph: Graph) -> Graph:
    """A pass with a defect."""
    return replace(graph, nodes=graph.nodes[1:])


def test_knob_verify() -> None:
    with knobs.override(verify=False):
        assert len(run(GRAPH, [forgetful]).nodes) == 1
    with knobs.override(verify=True), pytest.raises(VerifyError, match="is not defined in this graph"):
        run(GRAPH, [forgetful])


def test_knob_pass_limit() -> None:
    with knobs.override(pass_limit=0):
        assert [n.op.name for n in pipeline.stages(GRAPH).optimised.nodes] == ["mul", "add"]
    with knobs.override(pass_limit=-1):
        assert [n.op.name for n in pipeline.stages(GRAPH).optimised.nodes] == ["add"]


def test_knob_native_entry() -> None:
    x = fw.arange(4.0)
    for on in (True, False):
        with knobs.override(native_entry=on):
            made = compiler.compile(reshaped)
            assert made(x, 2).tolist() == [[0.0, 1.0], [2.0, 3.0]]
            assert (compiler.dispatcher_of(made).native is not None) == on


def test_knob_cache_dir() -> None:
    with knobs.override(cache_dir="/somewhere"):
        assert knobs.cache_folder() == "/somewhere"
    with knobs.override(cache_dir=""):
        assert Path(knobs.cache_folder()).name == "fusewire"


def test_knob_cache_limit(tmp_path: Path) -> None:
    with knobs.override(cache_dir=str(tmp_path), disk_cache=True):
        assert store.put("kind", "a", bytes(2 << 20))
        with knobs.override(cache_limit=3):
            assert store.sweep() == 0
        with knobs.override(cache_limit=1):
            assert store.sweep() == 1


def test_knob_disk_cache(tmp_path: Path) -> None:
    with knobs.override(cache_dir=str(tmp_path)):
        with knobs.override(disk_cache=False):
            process._write(0, b"code")
            assert process._read(0) is None and not any(tmp_path.iterdir())
        with knobs.override(disk_cache=True):
            process._write(0, b"code")
            assert process._read(0) == b"code"


def test_knob_fused_optim() -> None:
    def doubled(tensors: Any, numbers: Any, flags: Any) -> dict[str, Any]:
        return {"p": lookup("sub")(tensors["p"], lookup("mul")(tensors["grad"], numbers["lr"]))}

    for on in (True, False):
        p, grad = fw.ones(3), fw.ones(3)
        with knobs.override(fused_optim=on):
            assert fused.run(doubled, None, {"p": p, "grad": grad}, {"lr": 0.5}) == on
        np.testing.assert_array_equal(p.numpy(), np.float32([0.5] * 3 if on else [1.0] * 3))


def test_knob_variant_limit() -> None:
    x = fw.arange(12.0)
    for limit in (2, 64):
        made = compiler.compile(reshaped, backend="interpret")
        with knobs.override(variant_limit=limit):
            made(x, 1), made(x, 2)
            if limit == 2:
                with pytest.warns(RuntimeWarning, match="knob variant_limit"):
                    made(x, 3)
            assert made(x, 3).shape == (3, 4)
            assert len(compiler.variants_of(made)) == 3
            assert [v.break_ is None for v in compiler.variants_of(made)] == [True, True, limit == 64]


def test_knob_constant_limit() -> None:
    x = fw.arange(12.0)
    for limit in (0, 8):
        made = compiler.compile(lambda x, n: x.view(n, -1), backend="interpret")
        with knobs.override(constant_limit=limit), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert [made(x, n).shape for n in (1, 2, 3)] == [(1, 12), (2, 6), (3, 4)]
        breaks = [v.break_ for v in compiler.variants_of(made)]
        assert [b.code for b in breaks if b is not None] == (["changing-number"] if limit == 0 else [])


def test_knob_inline_limit() -> None:
    for limit in (4, 64):
        with knobs.override(inline_limit=limit):
            report = compiler.explain(recursive, backend="interpret")(fw.ones(2), 8)
            assert report.result.tolist() == [9.0, 9.0]
            assert {b.code for b in report.breaks} == ({"call-depth"} if limit == 4 else set())


def test_knob_libcuda() -> None:
    from fusewire.runtime.gpu import device

    for path in ("", "libanother.so.1"):
        device.forget()
        with knobs.override(libcuda=path), pytest.raises(fw.errors.DeviceError, match=path or "CUDA"):
            device.device(7)
        device.forget()


def test_knob_libhip() -> None:
    from fusewire.runtime.gpu import device

    for path, said in (("", "no CUDA driver"), ("libother.so.1", "no HIP driver: libother.so.1")):
        device.forget()
        with knobs.override(libhip=path, libcuda="libnone.so"), pytest.raises(fw.errors.DeviceError, match=said):
            device.device(7)
        device.forget()


def test_knob_cuda_launch_blocking() -> None:
    from fusewire.backends.gpu.launcher import Rows, launching

    said: list[Any] = []
    waits = said.append
    driver: Any = SimpleNamespace(
        launch_address=0, launch=lambda function, *rest: said.append(function), stream_synchronize=lambda stream: waits("wait")
    )
    rows = Rows()
    assert launching(driver)(rows, 0) == (0, 0) and said == []
    rows.add("one", 1, (1, 1, 1), 32, 0, 0)
    rows.add("two", 2, (1, 1, 1), 32, 0, 0)
    with knobs.override(cuda_launch_blocking=True):
        assert launching(driver)(rows, 0) == (0, 0) and said == [1, "wait", 2, "wait"]


def test_knob_hot_ops() -> None:
    from fusewire.eager import hot

    x = fw.randn(100, 120)
    for on in (False, True):
        hot._found.clear()
        with knobs.override(hot_ops=on):
            for _ in range(4):
                y = fw.softmax(x, -1)
        assert bool(hot._found) == on and abs(float(y.sum()) - 100) < 1e-2


def test_knob_tf32() -> None:
    from fusewire.backends.gpu.gemm_text import precision
    from fusewire.ir import dtypes

    for allowed, text in ((False, '"ieee"'), (True, '"tf32"')):
        with knobs.override(tf32=allowed):
            assert precision(dtypes.float32) == text and precision(dtypes.bfloat16) == '"ieee"'


def test_knob_cublaslt() -> None:
    from fusewire.runtime.gpu import cublaslt

    with knobs.override(cublaslt="/lib/other.so"):
        assert list(cublaslt.files()) == ["/lib/other.so"]
    with knobs.override(cublaslt="auto"):
        assert next(cublaslt.files()) == "libcublasLt.so.13"
    with knobs.override(cublaslt="off"):
        assert cublaslt.of(SimpleNamespace()) is None  # type: ignore[arg-type]


def test_knob_deterministic() -> None:
    from fusewire.backends.gpu.spread import atomic
    from fusewire.ir import dtypes

    for on in (True, False):
        with knobs.override(deterministic=on):
            assert atomic("add", dtypes.float32) is atomic(None, dtypes.float32) is not on
            assert atomic("add", dtypes.int32)


@compiler.disable
def one() -> int:
    return 1


def breaking(x: Any, n: int) -> Any:
    y = fw.sin(x) + one()
    return y.reshape(n, -1) * 2


#: what stands in the text of each level of knob debug, and of no lower one
LADDER = [
    r"graph break \[[a-z-]+\]", r"recompile breaking .*: n == 1", r"^graph breaking\(", r"^kernel k0_", r"^define i32 @",
    r"^\t\.text",
]  # fmt: skip


def in_process(code: str, **variables: str) -> str:
    env = {**os.environ, **variables}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True).stdout.strip()


def test_knob_threads() -> None:
    code = "import fusewire; print(fusewire.get_num_threads())"
    assert in_process(code, FUSEWIRE_THREADS="3") == "3"
    assert in_process(code, FUSEWIRE_THREADS="0") == str(len(os.sched_getaffinity(0)))


def test_knob_spin() -> None:
    code = "import fusewire.backends; from fusewire.runtime import pool; pool.start(); print(pool._cell(pool.SPIN).value)"
    for rounds in ("0", "5000"):
        assert in_process(code, FUSEWIRE_SPIN=rounds) == (rounds if loader.SUPPORTED else "0")


def test_knob_recycle() -> None:
    code = "import fusewire.backends; from fusewire.runtime import blocks as b; print(b.empty(1<<20).flags.owndata, b.current())"
    assert in_process(code, FUSEWIRE_RECYCLE="0") == "True None"
    assert loader.SUPPORTED is not in_process(code, FUSEWIRE_RECYCLE="64").endswith("None")


def test_knob_debug(capsys: pytest.CaptureFixture[str]) -> None:
    for level in range(len(LADDER) + 1):
        with knobs.override(debug=level):
            made = compiler.compile(breaking)
            made(fw.ones(4), 1), made(fw.ones(4), 2)
        said = capsys.readouterr().err
        assert [bool(re.search(p, said, re.MULTILINE)) for p in LADDER] == [k < level for k in range(len(LADDER))], said


def test_knob_log(caplog: pytest.LogCaptureFixture) -> None:
    for names in ("", "graph_breaks", "graphs,kernels", "all"):
        logs.set_logs()
        compiler.reset()
        with knobs.override(log=names, disk_cache=True):
            made = compiler.compile(breaking)
            made(fw.ones(4), 1), made(fw.ones(4), 2)
        assert {r.name for r in caplog.records} == {f"fusewire.{name}" for name in logs.parse(names)}
        caplog.clear()
    assert tuple(logs.ARTIFACTS) == knobs.LOGS
    with pytest.raises(ValueError, match="no log 'nothing'"), knobs.override(log="nothing"):
        logs.wanted("graphs")


def test_every_knob_is_tested_in_both_positions() -> None:
    assert {name.removeprefix("test_knob_") for name in globals() if name.startswith("test_knob_")} == knobs.KNOBS.keys()


@pytest.mark.parametrize("name", knobs.KNOBS)
def test_something_reads_it(name: str) -> None:
    outside = [p for p in ROOT.rglob("*.py") if p.relative_to(ROOT).parts[0] not in ("tests", "build", "docs")]
    text = "".join(p.read_text() for p in outside)
    assert f"knobs.{name}" in text or f'_values["{name}"]' in text


# -- how they are set --------------------------------------------------------------------------------------------------


def from_environment(**variables: str) -> subprocess.CompletedProcess[str]:
    code = "from fusewire import knobs; print({n: getattr(knobs, n) for n in knobs.KNOBS})"
    known = {f"FUSEWIRE_{n.upper()}" for n in knobs.KNOBS} | {"VERIFY", "DEBUG", "PASS_LIMIT"}
    env = {k: v for k, v in os.environ.items() if k not in known}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**env, **variables})


def test_defaults_and_the_environment() -> None:
    plain = eval(from_environment().stdout)
    assert plain == {name: knob.default for name, knob in knobs.KNOBS.items()}
    variables = {"VERIFY": "1", "DEBUG": "2", "FUSEWIRE_NATIVE_ENTRY": "off", "FUSEWIRE_CACHE_DIR": "here"}
    variables["FUSEWIRE_PASS_LIMIT"] = "3"
    changed = {"verify": True, "debug": 2, "native_entry": False, "cache_dir": "here", "pass_limit": 3}
    assert eval(from_environment(**variables).stdout) == plain | changed


def test_what_is_no_value_is_named() -> None:
    done = from_environment(FUSEWIRE_VARIANT_LIMIT="many")
    assert done.returncode == 1
    assert "FUSEWIRE_VARIANT_LIMIT='many': expected a value like 64 (compiled variants of one function" in done.stderr


def test_a_wrong_name_or_type_is_an_error() -> None:
    with pytest.raises(AttributeError, match=r"no knob 'verfy'; there are cache_dir, cache_limit"):
        knobs.verfy = True
    with pytest.raises(AttributeError, match="no knob 'verfy'"):
        _ = knobs.verfy
    with pytest.raises(TypeError, match="knob debug takes a int, not 'high'"):
        knobs.debug = "high"


def test_override_ends_with_its_block() -> None:
    before = knobs.debug
    with pytest.raises(KeyError), knobs.override(debug=0):
        knobs.debug = 0
        raise KeyError
    assert knobs.debug == before
