"""A row's last element alone in its vector: nothing behind it is written. (LLVM widens a masked store of one constant lane of a
truncated vector to the width before the truncation.)"""

from __future__ import annotations

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.backends.cpu.module import llvm_text
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.types import tensor
from fusewire.runtime import executable


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8", "int16", "float32"])
@pytest.mark.parametrize("width", [5, 9, 17, 33])
def test_nothing_behind_a_row_is_written(dtype: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def guarded(count: int) -> np.ndarray:
        raw = np.full(count + 192, 0xAB, np.uint8)
        start = -raw.ctypes.data % 64 + 64
        kept.append((raw, start, count))
        return raw[start : start + count]

    monkeypatch.setattr(executable, "aligned_bytes", guarded)
    kind = getattr(dtypes, dtype)
    b = Builder()
    x = b.input(tensor((4, width), dtypes.int32 if dtype.startswith("int") else kind))
    y = lookup("cast")(lookup("add")(x, 1), dtype=kind)
    total = lookup("sum")(y, dim=(1,))
    graph = b.finish([y, total])
    stores = [line for line in llvm_text(pipeline.stages(graph).kernels).splitlines() if "call void @llvm.masked.store" in line]
    assert all(line.count("i1 true") != 1 for line in stores)  # the form that LLVM gets wrong, in some modules only
    pipeline.compile_graph(graph).run([np.ones((4, width), x.dtype.np)])
    for raw, start, count in kept:
        assert (raw[start + count :] == 0xAB).all() and (raw[:start] == 0xAB).all()
