"""``torch.onnx``: files of ONNX are not written; what would write one says so."""

from __future__ import annotations

from typing import Any, NoReturn


def export(model: Any = None, args: Any = None, f: Any = None, *rest: Any, **options: Any) -> NoReturn:
    """NotImplementedError: ONNX files are not written."""
    raise NotImplementedError("onnx.export is not built: save(model.state_dict()) keeps the values, the disk cache compiled code")


dynamo_export = export


def is_in_onnx_export() -> bool:
    """False."""
    return False
