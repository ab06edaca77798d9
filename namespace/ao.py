"""``torch.ao`` and ``torch.quantization``: models of 8-bit numbers are not built; what would make one says so."""

from __future__ import annotations

import sys
from typing import Any, NoReturn


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """NotImplementedError: there are no quantised tensors."""
    raise NotImplementedError("quantisation is not built: half numbers (model.bfloat16()) are the smallest that layers take")


quantize_dynamic = quantize = prepare = prepare_qat = convert = get_default_qconfig = get_default_qat_qconfig = _refuse
fuse_modules = QuantStub = DeQuantStub = QuantWrapper = default_qconfig = _refuse
quantization = sys.modules[__name__]
