"""Blobs of machine code: what is refused, what the linker refuses, that mappings go with their owner, the entry's disk cache."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fusewire import knobs
from fusewire.backends import build
from fusewire.backends.entry import process
from fusewire.errors import CompileError, LoadError
from fusewire.runtime import gradmode, layout, loader

TEXT = """
declare float @expf(float)
declare i64 @given(i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
@table = internal constant [4 x i32] [i32 5, i32 7, i32 9, i32 11]
@state = hidden global i64 40
define i32 @pick(i32 %i) {
  %p = getelementptr [4 x i32], ptr @table, i32 0, i32 %i
  %v = load i32, ptr %p
  ret i32 %v
}
define float @outside(float %x) {
  %y = call float @expf(float %x)
  %z = fmul float %y, 2.5
  ret float %z
}
define i64 @count(i64 %n) {
  %a = load i64, ptr @state
  %b = add i64 %a, %n
  store i64 %b, ptr @state
  ret i64 %b
}
define void @fill(ptr %p, i64 %n) {
  call void @llvm.memset.p0.i64(ptr %p, i8 7, i64 %n, i1 false)
  ret void
}
define i64 @imported(i64 %x) {
  %y = call i64 @given(i64 %x)
  %z = add i64 %y, 1
  ret i64 %z
}
"""

TWICE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: 2 * x)
IMPORTS = {"given": ctypes.cast(TWICE, ctypes.c_void_p).value or 0}
needs_blobs = pytest.mark.skipif(not loader.SUPPORTED, reason="blobs are mapped on x86-64 Linux only")


def run_everything(code: Any) -> None:
    assert [ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(code["pick"])(i) for i in range(4)] == [5, 7, 9, 11]
    assert ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_float)(code["outside"])(0.0) == 2.5
    count = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code["count"])
    assert [count(1), count(10)] == [41, 51]
    area = ctypes.create_string_buffer(5000)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(code["fill"])(ctypes.addressof(area), 5000)
    assert area.raw == b"\7" * 5000
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code["imported"])(20) == 41


@pytest.mark.parametrize("level, passes", [(0, ()), (2, ()), (2, build.PASSES), (2, None)])
def test_code_runs(level: int, passes: Any) -> None:
    run_everything(build.load(build.build(TEXT, level=level, passes=passes), IMPORTS))


def test_code_runs_through_llvmlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "SUPPORTED", False)
    run_everything(build.load(build.build(TEXT), IMPORTS))


@needs_blobs
def test_two_mappings_share_nothing() -> None:
    blob = build.build(TEXT)
    first, second = loader.Code(blob, IMPORTS), loader.Code(blob, IMPORTS)
    run_everything(first)
    run_everything(second)
    assert first.base != second.base and "pick" in repr(first)


@needs_blobs
def test_damage_is_refused() -> None:
    blob = build.build(TEXT)
    for at in (0, 9, 17, 30, len(blob) // 2, len(blob) - 1):
        with pytest.raises(LoadError):
            loader.Code(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :], IMPORTS)
    for cut in (0, 7, 20, len(blob) // 2, len(blob) - 1):
        with pytest.raises(LoadError):
            loader.Code(blob[:cut], IMPORTS)


@needs_blobs
def test_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = build.build(TEXT)
    monkeypatch.setattr(loader, "cpu_key", lambda: b"another!")
    with pytest.raises(LoadError, match="another processor"):
        loader.Code(blob, IMPORTS)


@needs_blobs
def test_a_missing_function_is_named() -> None:
    with pytest.raises(LoadError, match="'given'"):
        build.load(build.build(TEXT))


@needs_blobs
def test_external_data_and_absolute_addresses_are_refused() -> None:
    with pytest.raises(CompileError, match="pointer_to"):
        build.build("@pointer_to = external global i32\n@p = global ptr @pointer_to")
    with pytest.raises(CompileError, match="fixed address"):
        build.build("define void @f() { ret void }\n@p = global ptr @f")


def test_wrong_text_is_a_compile_error() -> None:
    with pytest.raises(CompileError, match="LLVM does not accept"):
        build.build("define i32 @f() { ret i64 1 }")


def test_assembly_reads() -> None:
    assert "pick:" in build.assembly(TEXT)


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


@needs_blobs
def test_mappings_go_with_their_owner() -> None:
    blob = build.build(TEXT)
    for _ in range(200):
        loader.Code(blob, IMPORTS)
    gc.collect()
    with open("/proc/self/maps") as f:
        maps = len(f.readlines())
    before = resident()
    for _ in range(10_000):
        loader.Code(blob, IMPORTS)
    with open("/proc/self/maps") as f:
        assert len(f.readlines()) <= maps + 5
    assert resident() - before < 2 << 20


@needs_blobs
def test_building_again_and_again_keeps_memory() -> None:
    text = "define i64 @f(i64 %x) {\n  %y = add i64 %x, 1\n  ret i64 %y\n}"
    for _ in range(100):
        build.load(build.build(text))
    before = resident()
    for _ in range(400):
        build.load(build.build(text))
    assert resident() - before < 2 << 20


def test_the_entry_is_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_blob", [])
    built: list[int] = []
    real = process.build_blob
    monkeypatch.setattr(process, "build_blob", lambda level: built.append(level) or real(level))
    with knobs.override(cache_dir=str(tmp_path / "new"), disk_cache=True):
        process.map_code()
        assert built == [0] and len(os.listdir(tmp_path / "new" / "store" / "entry")) == 1
        process._blob.clear()
        process.map_code()
        assert built == [0]
        (kept,) = (tmp_path / "new" / "store" / "entry").iterdir()
        kept.write_bytes(kept.read_bytes()[:-5])
        process._blob.clear()
        assert process.map_code()["thunk0"] and built == [0, 0]
        process.warm()
        process.warm()
        process._blob.clear()
        process.map_code()
        assert built == [0, 0, 2] and len(os.listdir(tmp_path / "new" / "store" / "entry")) == 2


def test_the_code_on_disk_is_named_by_every_source_of_its_text() -> None:
    """The texts, and what they import of the package: directly, as they import nothing that imports more of it but errors."""
    texts = sorted(Path(process.__file__).parent.glob("text*.py"))
    wanted = set(texts)
    for text in texts:
        for folder, module, names in re.findall(r"^from (\.+)([\w.]*) import ([\w, ]+)", text.read_text(), re.MULTILINE):
            base, module = text.parents[len(folder) - 1], module.replace(".", "/")
            files = [base / f"{module}.py", *(base / module / f"{name.split()[0]}.py" for name in names.split(","))]
            wanted |= {p for p in files if p.is_file()}
    assert {Path(p).resolve() for p in process.SOURCES} == {p.resolve() for p in wanted}


def test_an_unwritable_folder_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_blob", [])
    (tmp_path / "file").write_text("in the way")
    with knobs.override(cache_dir=str(tmp_path / "file"), disk_cache=True):
        assert process.map_code()["thunk0"]


def test_layout_is_as_expected() -> None:
    layout.check()
    assert layout.type_versions()
    with pytest.raises(layout.LayoutError, match="differs in: something"):
        layout.need(False, "something")


def test_gradient_mode_is_kept_per_thread() -> None:
    import threading

    seen: list[bool] = []
    gradmode.set(False)
    try:
        thread = threading.Thread(target=lambda: seen.append(gradmode.get()))
        thread.start()
        thread.join()
        assert seen == [True] and not gradmode.get()
    finally:
        gradmode.set(True)
    assert gradmode.get()


def test_the_runtime_side_imports_no_llvmlite() -> None:
    text = "import sys, fusewire.backends.entry.table, fusewire.runtime.install; sys.exit('llvmlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], check=False, cwd="/").returncode == 0
