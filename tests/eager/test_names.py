"""The names of PyTorch that real programs use (counted over 26 of them): how many are there. A floor that may only rise."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import fusewire

TENSOR = """
item backward to view size sum float mean shape unsqueeze transpose contiguous device reshape detach sqrt data eq max tolist
argmax cpu dim dtype numel pow type clone expand fill_ flatten log masked_fill ndim norm numpy relu sigmoid t type_as T copy_
cos cuda div_ exp mul requires_grad squeeze add_ clamp div mul_ name permute repeat sin softmax std stride unbind view_as abs
amax bernoulli_ ceil chunk clip double expand_as floor gather grad is_cuda long new_zeros repeat_interleave resize rsqrt square
sub tanh to_sparse topk unfold uniform_ unique amin argsort bfloat16 bmm bool clamp_ erf erfinv_ flip half indices int
is_contiguous is_xpu lerp log2 mT masked_fill_ matmul median mm mode narrow nelement new_empty new_full new_tensor normal_
pin_memory prod q_scale requires_grad_ reshape_as scatter_ sigmoid_ sqrt_ tanh_ tile trace triu triu_ unflatten var where zero_
"""
TORCH = """
nn manual_seed no_grad save cat device load tensor ones arange optim zeros Tensor long randn stack cos exp multinomial sin float
float32 from_numpy matmul sum where empty eye full inference_mode int64 log randint randperm tanh topk tril FloatTensor
LongTensor bool mm ones_like rsqrt triu bfloat16 bucketize compile diag einsum flatten float16 linspace max mean meshgrid
multiprocessing outer pi pow rand sigmoid softmax sparse_coo_tensor var view_as_real zeros_like Generator Size __version__
_assert add addcmul arccos arcsin arctan argmax argsort autocast bitwise_and bmm clamp contiguous_format cumsum distributed
double dtype empty_like erfinv finfo float64 fmod gather get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype
get_default_device hstack is_autocast_cpu_enabled is_autocast_enabled is_tensor jagged log1p log2 maximum neg polar prod
randn_like relu repeat_interleave roll set_default_tensor_type sign sort split spmm sqrt tan trapezoid uint8 unbind unique
var_mean view_as_complex vmap
"""
FUNCTIONAL = """
relu softmax log_softmax cross_entropy dropout max_pool2d scaled_dot_product_attention interpolate layer_norm nll_loss sigmoid
silu adaptive_avg_pool2d avg_pool2d conv2d gelu pad smooth_l1_loss softplus adaptive_max_pool2d batch_norm binary_cross_entropy
elu group_norm kl_div l1_loss linear mse_loss normalize prelu relu6 rms_norm tanh
"""

#: Names of other kinds of tensors (sparse, quantised, nested) and of machinery that is not there.
MISSING = {
    "Tensor": "indices q_scale resize",
    "torch": """
autocast distributed get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype is_autocast_cpu_enabled is_autocast_enabled
multiprocessing sparse_coo_tensor spmm vmap
""",
    "functional": "",
}


@pytest.mark.parametrize("where, owner, names", [
    ("Tensor", lambda: fusewire.Tensor, TENSOR), ("torch", lambda: fusewire, TORCH),
    ("functional", lambda: fusewire.nn.functional, FUNCTIONAL),
])  # fmt: skip
def test_the_names_that_programs_use(where: str, owner: Any, names: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        missing = {n for n in names.split() if not hasattr(owner(), n)}
    assert missing <= set(MISSING[where].split())
