"""Users' own Triton kernels on our tensors: no PyTorch, no C compiler; inside of compiled functions and outside."""

from __future__ import annotations

import ctypes
import importlib.util
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

if importlib.util.find_spec("triton") is None:
    pytest.skip("the compiler of GPU kernels, triton, is not installed", allow_module_level=True)

import triton
import triton.language as tl

import fusewire as fw
from fusewire.backends.gpu import measuring, user_kernels
from fusewire.runtime.gpu.device import device

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@triton.jit
def scaled(x_ptr, y_ptr, out_ptr, n, scale, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + i, tl.load(x_ptr + i, i < n) * scale + tl.load(y_ptr + i, i < n), i < n)


@pytest.mark.skipif("torch" in sys.modules, reason="PyTorch is loaded: its driver serves Triton")
def test_arguments_grid_and_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    with fake_cuda.installed(triton=True) as fake:
        x, out = fw.ones(1000, device="cuda"), fw.empty(1000, device="cuda")
        assert user_kernels.activate()

        def launch(function: int, grid: object, threads: int, shared: int, stream: int, params: int) -> None:
            places = (ctypes.c_void_p * 7).from_address(params)
            seen.append((grid, threads, stream, [ctypes.string_at(p, 8) for p in places]))  # type: ignore[arg-type]

        monkeypatch.setattr(device().driver, "launch", launch)
        side = fw.cuda.Stream()
        with fw.cuda.stream(side):
            scaled[lambda meta: (triton.cdiv(1000, meta["BLOCK"]),)](x, x, out, 1000, 2.5, BLOCK=256, num_warps=8)
    (grid, threads, stream, words), *none = seen
    assert (grid, threads, stream, none) == ((4, 1, 1), 256, side.cuda_stream, [])
    assert [struct.unpack("<Q", w)[0] for w in words[:3]] == [x.data_ptr(), x.data_ptr(), out.data_ptr()]
    assert struct.unpack("<i", words[3][:4])[0] == 1000 and struct.unpack("<f", words[4][:4])[0] == 2.5
    assert words[5:] == [bytes(8), bytes(8)] and fake.calls["cuModuleLoadData"] >= 1


@pytest.mark.skipif("torch" in sys.modules, reason="PyTorch is loaded: its driver serves Triton")
def test_in_a_compiled_function() -> None:
    def f(x: fw.Tensor) -> fw.Tensor:
        y, out = x * 2, fw.empty_like(x)
        scaled[(1,)](y, y, out, 100, 1.0, BLOCK=128)
        return out + 1

    with fake_cuda.installed(triton=True) as fake:
        fw.compile(f)(fw.ones(100, device="cuda"))
        names = [name for name, _, _ in fake.launches]
    at = names.index("scaled")
    assert any("mul" in n for n in names[:at]) and any("add" in n for n in names[at:])


@triton.autotune(configs=[triton.Config({"BLOCK": n}, num_warps=4) for n in (128, 256)], key=["n"], restore_value=["x_ptr"])
@triton.heuristics({"EVEN": lambda args: args["n"] % args["BLOCK"] == 0})
@triton.jit
def doubled(x_ptr, n, EVEN: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if EVEN:
        tl.store(x_ptr + i, tl.load(x_ptr + i) * 2)
    else:
        tl.store(x_ptr + i, tl.load(x_ptr + i, i < n) * 2, i < n)


@pytest.mark.skipif("torch" in sys.modules, reason="PyTorch is loaded: its driver serves Triton")
def test_tuned_kernels() -> None:
    def f(x: fw.Tensor) -> fw.Tensor:
        y = x * 2
        doubled[lambda meta: (triton.cdiv(1000, meta["BLOCK"]),)](y, 1000)
        return y + 1

    with fake_cuda.installed(triton=True) as fake:
        x, compiled = fw.ones(1000, device="cuda"), fw.compile(f)
        f(x)
        for _ in range(2):
            compiled(x)
        del fake.launches[:]
        compiled(x)
        assert [name for name, _, _ in fake.launches if "doubled" in name] == ["doubled"] and len(fake.launches) == 3
        assert fw.explain(f)(x).breaks == ()


def test_triton_imported_behind_the_first_tensor() -> None:
    program = """
        import sys
        import fake_cuda, fusewire as fw
        with fake_cuda.installed():
            fw.ones(2, device="cuda")
            assert "triton" not in sys.modules
            import triton.runtime
            print(type(triton.runtime.driver.active).__name__)
    """
    run = [sys.executable, "-c", textwrap.dedent(program)]
    folder = str(Path(__file__).parent.parent / "support")
    done = subprocess.run(run, capture_output=True, text=True, cwd=folder, check=False)
    assert done.stdout.strip() == "TritonDriver", done.stderr


def test_times_by_the_devices_events() -> None:
    with fake_cuda.installed():
        x = fw.ones(100, device="cuda")
        found = measuring.times(lambda: x + 1, runs=3, warm=1)
        assert len(found) == 3 and found == sorted(found) and found[0] >= 0
        assert measuring.benchmark(lambda: x + 1, quantiles=(0.0, 1.0))[0] >= 0
