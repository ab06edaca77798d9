"""safetensors files: both ways with the library's PyTorch functions, names and metadata, modules with shared parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire.errors import FileError
from fusewire.utils import safetensors as ours

pytest.importorskip("safetensors", reason="the library of that format (extra safetensors)")
DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64"]


def tensors() -> dict[str, Any]:
    """Of each dtype of the format, not dense; a number; nothing."""
    return {n: fw.arange(6).view(2, 3).to(getattr(fw, n)).t() for n in DTYPES} | {"s": fw.tensor(3.0), "e": fw.zeros(0, 2)}


def test_there_and_back(tmp_path: Path) -> None:
    saved = tensors()
    ours.save_file(saved, tmp_path / "a.safetensors", {"made": "here"})
    for back in (ours.load_file(tmp_path / "a.safetensors"), ours.load(ours.save(saved))):
        assert sorted(back) == sorted(saved)
        for name, t in saved.items():
            assert back[name].dtype is t.dtype and back[name].shape == t.shape and back[name].tolist() == t.tolist()
            assert back[name].is_contiguous()
    with ours.safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.keys() == sorted(saved) and file.metadata() == {"made": "here"}
        assert file.get_tensor("bfloat16").tolist() == saved["bfloat16"].tolist()
        assert file.get_slice("float32")[1:, 0].tolist() == saved["float32"][1:, 0].tolist()
        with pytest.raises(FileError, match="holds no tensor 'x'"):
            file.get_tensor("x")
    with pytest.raises(FileNotFoundError):
        ours.safe_open(tmp_path / "b")


def test_both_ways_with_pytorch(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is the oracle")
    import safetensors.torch as theirs

    saved = tensors()
    ours.save_file(saved, tmp_path / "ours", {"k": "v"})
    read = theirs.load_file(tmp_path / "ours")
    for name, t in saved.items():
        assert str(read[name].dtype) == str(t.dtype) and read[name].tolist() == t.tolist()
    theirs.save_file({n: t.contiguous() for n, t in read.items()}, tmp_path / "theirs", {"k": "v"})
    for name, t in ours.load_file(tmp_path / "theirs").items():
        assert t.dtype is saved[name].dtype and t.tolist() == saved[name].tolist()


def tied() -> Any:
    model = fw.nn.Sequential(fw.nn.Linear(3, 3), fw.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


def test_modules(tmp_path: Path) -> None:
    model, other = tied(), tied()
    with pytest.raises(RuntimeError, match=r"0\.weight, 1\.weight share memory"):
        ours.save_file(model.state_dict(), tmp_path / "m")
    ours.save_model(model, tmp_path / "m")
    assert ours.load_model(other, tmp_path / "m") == ([], []) and other[1].weight is other[0].weight
    assert other(fw.ones(1, 3)).tolist() == model(fw.ones(1, 3)).tolist()
    with pytest.raises(RuntimeError, match="does not fit the module"):
        ours.load_model(fw.nn.Linear(3, 3), tmp_path / "m")
    with pytest.raises(ValueError, match="complex128"):
        ours.save({"z": fw.ones(1, dtype=fw.complex128)})
    with pytest.raises(ValueError, match="names to Tensors"):
        ours.save({"z": 3})  # type: ignore[dict-item]
