"""Functions and methods whose modules load at first use, so that `import fusewire` stays cheap. Computes nothing.

To add one, append its name to the row of its module in `FUNCTIONS`, and where it is a method too in `METHODS`; names there that
end in "_" and that the module lacks store the plain function's result in self.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .inplace import store_checked
from .pure import pure

#: Module of `eager` -> functions of the top namespace.
FUNCTIONS: dict[str, str] = {
    "random": "seed",
    "sparse": "sparse_coo_tensor mm:spmm mm:hspmm mm:smm sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor "
              "sparse_compressed_tensor",
    "layer_forms": "kl_div binary_cross_entropy_with_logits cosine_embedding_loss margin_ranking_loss hinge_embedding_loss "
                   "triplet_margin_loss poisson_nll_loss embedding batch_norm instance_norm rms_norm adaptive_max_pool1d "
                   "grid_sampler grid_sampler_2d constant_pad_nd dropout_ feature_dropout",
    "view_copies": "as_strided_scatter view_copy expand_copy permute_copy transpose_copy t_copy squeeze_copy unsqueeze_copy "
                   "select_copy diagonal_copy as_strided_copy unfold_copy detach_copy unbind_copy split_copy "
                   "split_with_sizes_copy narrow_copy",
    "control": "cond while_loop sym_int sym_float sym_not sym_max sym_min sym_sum sym_ite",
    "norms": "frobenius_norm nuclear_norm norm_except_dim",
    "sampling": "binomial",
    "scattering": "nonzero_static",
    "windows": "conv_tbc",
    "searching": "cummax cummin logcumsumexp diff nanmedian nanmean nansum mode quantile nanquantile unique unique_consecutive "
                 "searchsorted bucketize histc histogram msort isin std_mean aminmax count_nonzero trapezoid trapz "
                 "cumulative_trapezoid cov corrcoef renorm gradient",
    "histograms": "histogramdd",
    "mathematics": "arcsin arccos arctan arctan2 arcsinh arccosh arctanh sinc deg2rad rad2deg logit expit lgamma digamma "
                   "polygamma mvlgamma i0 gcd lcm nextafter frexp ldexp heaviside dist fmax fmin igamma igammac",
    "oldlinalg": "det slogdet inverse pinverse matrix_power matrix_exp cholesky_solve orgqr lu_solve",
    "linalg": "logdet old_cholesky:cholesky cholesky_inverse old_qr:qr old_svd:svd triangular_solve",
    "factors": "lu_pair:lu lu_unpack geqrf ormqr svd_lowrank pca_lowrank lobpcg",
    "products": "addmm addmv addr baddbmm addbmm mv vdot inner ger kron tensordot chain_matmul cross trace cdist pdist bilinear "
                "combinations vander",
    "activations": "celu celu_ selu selu_ prelu rrelu rrelu_ relu_ threshold threshold_ alpha_dropout feature_alpha_dropout "
                   "hardshrink",
    "losses": "cosine_similarity pairwise_distance ctc_loss",
    "planes": "pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle",
    "making": "asarray empty_permuted empty_strided from_dlpack frombuffer logspace scalar_tensor to_dlpack range_:range",
    "limits": "finfo iinfo",
    "switches": "set_float32_matmul_precision get_float32_matmul_precision use_deterministic_algorithms set_flush_denormal "
                "are_deterministic_algorithms_enabled is_deterministic_algorithms_warn_only_enabled "
                "get_num_interop_threads set_num_interop_threads set_warn_always is_warn_always_enabled "
                "get_deterministic_debug_mode set_deterministic_debug_mode compiled_with_cxx11_abi is_vulkan_available",
    "elements": "isinf isfinite isposinf isneginf isreal isclose signbit logical_xor float_power nan_to_num positive clamp_min "
                "clamp_max is_nonzero is_same_size fill",
    "complexes": "real imag conj conj:conj_physical angle sgn view_as_real view_as_complex polar complex_of:complex",
    "shaping": "adjoint as_strided atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors cartesian_prod column_stack "
               "diag diag_embed diagflat diagonal diagonal_scatter dsplit dstack hsplit hstack ravel repeat_interleave rot90 "
               "select_scatter slice_scatter split_with_sizes tensor_split tile tril_indices triu_indices vsplit vstack "
               "vstack:row_stack",
    "folding": "scatter_reduce index_reduce copysign",
    "remaking": "result_type can_cast broadcast_shapes typename is_storage get_device unravel_index",
    "fourier": "stft istft hann_window hamming_window blackman_window bartlett_window kaiser_window",
}  # fmt: skip
#: Module of `eager` -> functions of `nn.functional`.
LAYERS: dict[str, str] = {
    "activations": "relu_ elu elu_ celu celu_ selu selu_ relu6 hardtanh hardtanh_ hardswish hardsigmoid mish glu logsigmoid "
                   "softsign softmin tanhshrink softshrink hardshrink threshold threshold_ prelu rrelu rrelu_ leaky_relu_ "
                   "alpha_dropout feature_alpha_dropout dropout1d dropout3d gumbel_softmax local_response_norm",
    "losses": "smooth_l1_loss huber_loss kl_div poisson_nll_loss gaussian_nll_loss margin_ranking_loss hinge_embedding_loss "
              "cosine_embedding_loss soft_margin_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss "
              "triplet_margin_loss triplet_margin_with_distance_loss cosine_similarity pairwise_distance ctc_loss "
              "linear_cross_entropy",
    "planes": "grid_sample affine_grid unfold fold pixel_shuffle pixel_unshuffle channel_shuffle embedding_bag upsample "
              "lp_pool1d lp_pool2d lp_pool3d max_unpool1d max_unpool2d max_unpool3d max_pool1d_with_indices "
              "max_pool2d_with_indices max_pool3d_with_indices upsample_nearest upsample_bilinear "
              "native_channel_shuffle",
    "products": "pdist bilinear",
    "multihead": "multi_head_attention_forward",
    "fractional": "fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d "
                  "fractional_max_pool3d_with_indices adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices "
                  "adaptive_max_pool3d_with_indices",
    "windows": "conv_tbc",
}  # fmt: skip
#: Module of `eager` -> methods of Tensor.
METHODS: dict[str, str] = {
    "random": "bernoulli",
    "remaking": "resize_ resize_as_ set_ apply_ map_ as_subclass untyped_storage map2_",
    "sparse": "to_sparse to_sparse:to_sparse_coo",
    "view_copies": "as_strided_ as_strided_scatter swapaxes_ swapdims_",
    "scattering": "nonzero_static",
    "layouts": "to_dense resize resize_as indices values coalesce is_coalesced sparse_dim dense_dim dequantize q_scale "
               "q_zero_point qscheme int_repr q_per_channel_scales q_per_channel_zero_points q_per_channel_axis",
    "elements": "isinf isfinite isposinf isneginf isreal isclose signbit logical_xor float_power nan_to_num positive clamp_min "
                "clamp_max is_nonzero is_same_size logical_xor_ float_power_ nan_to_num_ clamp_min_ clamp_max_",
    "complexes": "conj conj:conj_physical angle sgn sgn_ conj_:conj_physical_",
    "reducing": "square_ tril_ triu_",
    "arranging": "cumprod_",
    "shaping": "ravel tensor_split hsplit vsplit dsplit split_with_sizes tile repeat_interleave rot90 diagonal diag "
               "diag_embed diagflat diagonal_scatter fill_diagonal_ unfold as_strided select_scatter slice_scatter adjoint "
               "transpose_ t_ squeeze_ unsqueeze_",
    "folding": "scatter_reduce scatter_reduce_ index_reduce index_reduce_ copysign copysign_",
    "searching": "cummax cummin logcumsumexp diff nanmedian nanmean nansum mode quantile nanquantile unique unique_consecutive "
                 "histc histogram msort aminmax count_nonzero cov corrcoef renorm renorm_",
    "mathematics": "arcsin arccos arctan arctan2 arcsinh arccosh arctanh sinc deg2rad rad2deg logit lgamma digamma polygamma "
                   "mvlgamma i0 gcd lcm nextafter frexp ldexp heaviside dist fmax fmin igamma igammac igamma_ igammac_ arcsin_ "
                   "arccos_ arctan_ arctan2_ arcsinh_ arccosh_ arctanh_ sinc_ deg2rad_ rad2deg_ logit_ lgamma_ digamma_ "
                   "polygamma_ mvlgamma_ i0_ gcd_ lcm_ nextafter_ ldexp_ heaviside_",
    "oldlinalg": "det slogdet inverse pinverse matrix_power matrix_exp cholesky_solve orgqr lu_solve",
    "linalg": "logdet old_cholesky:cholesky cholesky_inverse old_qr:qr old_svd:svd triangular_solve",
    "factors": "lu_pair:lu geqrf ormqr",
    "activations": "prelu hardshrink",
    "fourier": "stft istft",
    "products": "addmm addmv addr baddbmm addbmm addmm_ addmv_ addr_ baddbmm_ addbmm_ mv vdot inner ger kron cross trace",
}  # fmt: skip


def find_layer(name: str) -> Callable[..., Any] | None:
    """The function `name` of `nn.functional`; None where no row has it."""
    found = _LAYERS.get(name)
    return None if found is None else _load(*found)


def find(name: str) -> Callable[..., Any] | None:
    """The function `name` of the top namespace; None where no row has it."""
    found = _FUNCTIONS.get(name)
    return None if found is None else _load(*found)


def names() -> list[str]:
    """What `find` finds."""
    return list(_FUNCTIONS)


def _rows(table: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Public name -> (module, name there); "own:public" where these differ."""
    rows = ((module, word) for module, row in table.items() for word in row.split())
    return {word.rpartition(":")[2]: (module, word.partition(":")[0]) for module, word in rows}


_FUNCTIONS, _LAYERS = _rows(FUNCTIONS), _rows(LAYERS)


def _load(module: str, name: str) -> Callable[..., Any]:
    """The function, in whose module it stands from now on as one that says where no Tensor was given (`spelling`)."""
    place = importlib.import_module(f"{__package__}.{module}")
    found = getattr(place, name)
    if (module, name) not in _checked:
        from .spelling import checked

        _checked.add((module, name))
        found = checked(found, name.removeprefix("old_"))
        setattr(place, name, found)
    return found  # type: ignore[no-any-return]


_checked: set[tuple[str, str]] = set()


def _method(module: str, name: str) -> Callable[..., Any]:
    @pure
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _load(module, name)(self, *args, **kwargs)

    @pure
    def inplace(self: Any, *args: Any, **kwargs: Any) -> Any:
        source = self.clone() if self.requires_grad else self  # what gradient rules may read after the write
        return store_checked(self, _load(module, name[:-1])(source, *args, **kwargs))

    made = inplace if name.endswith("_") and module not in _OWN else method
    made.__name__, made.__qualname__ = name, f"Tensor.{name}"
    made.__doc__ = f"`{name[:-1]}`, stored in self." if name.endswith("_") else f"As the function `fusewire.{name}`."
    return made


#: Modules whose functions that end in "_" store by themselves.
_OWN = ("shaping", "remaking", "view_copies")


class LaterMethods:
    """The methods of `METHODS`; no slots of its own."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


for _public, (_module, _name) in _rows(METHODS).items():
    setattr(LaterMethods, _public, _method(_module, _name))
