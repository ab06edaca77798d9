"""The rarer functions of `nn.functional` beside PyTorch: values, places and gradients."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

import fusewire as fw

CALLS = [
    "F.fractional_max_pool2d(img, 2, (4, 5), _random_samples=s2, return_indices=True)",
    "F.fractional_max_pool2d(img, (3, 2), output_ratio=(0.5, 0.6), _random_samples=s2)",
    "F.fractional_max_pool2d(one, 2, 1, _random_samples=s1, return_indices=True)",
    "F.fractional_max_pool3d(vol, 2, (3, 2, 3), _random_samples=s3, return_indices=True)", "F.conv_tbc(tbc, w, b, 1)",
    "F.linear_cross_entropy(lin, lw, tgt)", "F.native_channel_shuffle(vol.detach()[:, :, 0], 2)",
    "F.adaptive_max_pool2d_with_indices(img, (3, 4))",
    "F.multi_head_attention_forward(q, k, k, 8, 2, ipw, ipb, bk, bv, True, 0.0, ow, ob, key_padding_mask=kp, attn_mask=am)",
    "F.multi_head_attention_forward(q, k, k, 8, 2, ipw, ipb, None, None, False, 0.0, ow, ob, need_weights=False, attn_mask=am)",
    "F.multi_head_attention_forward(q[:, 0], k[:, 0], k[:, 0], 8, 2, ipw, ipb, bk, bv, False, 0.0, ow, ob, "
    "average_attn_weights=False)",
    "nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3))))(img)",
]
SHAPES = {"img": (2, 3, 9, 8), "vol": (2, 2, 7, 6, 5), "one": (3, 9, 8), "tbc": (7, 2, 4), "w": (3, 4, 5), "b": (5,),
          "q": (4, 2, 8), "k": (5, 2, 8), "bk": (1, 1, 8), "bv": (1, 1, 8), "ipw": (24, 8), "ipb": (24,), "ow": (8, 8),
          "ob": (8,), "lin": (6, 4), "lw": (10, 4), "am": (4, 5)}  # fmt: skip


def flat(out: Any) -> list[Any]:
    return [x for part in out if part is not None for x in flat(part)] if isinstance(out, (tuple, list)) else [out]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: nothing to compare with")
@pytest.mark.filterwarnings("ignore:Support for mismatched")
@pytest.mark.parametrize("text", CALLS)
def test_function_is_pytorch_s(text: str) -> None:
    import torch

    rng = np.random.default_rng(0)
    arrays = {k: rng.standard_normal(s).astype(np.float32) * 0.5 for k, s in SHAPES.items()}
    arrays |= {k: rng.random(s).astype(np.float32) for k, s in {"s1": (1, 3, 2), "s2": (2, 3, 2), "s3": (2, 2, 3)}.items()}
    arrays |= {"tgt": rng.integers(0, 10, 6), "kp": np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 1]], bool)}
    found = []
    for lib in (fw, torch):
        given = {k: lib.from_numpy(v.copy()) for k, v in arrays.items()}
        leaves = [given[k].requires_grad_() for k in ("img", "vol", "q", "k", "bk", "lw")]
        outs = flat(eval(text, {"F": lib.nn.functional, "nn": lib.nn}, given))
        real = [o for o in outs if o.requires_grad]
        if real:
            sum((o * o).sum() for o in real).backward()
        found.append([*[o.detach().numpy() for o in outs], *[x.grad.numpy() for x in leaves if x.grad is not None]])
    assert len(found[0]) == len(found[1])
    for a, b in zip(*found, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
